//! `mcpgate.toml`: from text to a validated [`Config`], or to every mistake in it at once.

mod accept;
mod expand;
mod gate;
pub mod keys;
mod oauth;
mod probes;
mod reader;
mod scenarios;
mod secrets;
mod server;
mod syntax;
mod tools;
mod values;

#[cfg(test)]
mod data_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod scenario_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    AcceptedRegression, Config, GateConfig, SuiteConfig,
    diagnostics::{Diagnostic, Diagnostics},
    probes::ProbesConfig,
};
use reader::{Context, Entry, Table};

pub use expand::literals;
pub use reader::Outside;

/// Larger files are refused unread: no configuration is that long.
const LARGEST_FILE_BYTES: usize = 1 << 20;

/// Reads a configuration file.
///
/// `file_name` is only shown. The values of variables are kept in [`Secret`](super::Secret)s and
/// never shown.
///
/// # Errors
///
/// Every mistake of the file, in the order of their places: of syntax, of names, of values, and of
/// values that contradict each other. Where the syntax is broken, what can still be read is still
/// checked.
pub fn parse(file_name: &str, text: &str, outside: Outside<'_>) -> Result<Config, Diagnostics> {
    if text.len() > LARGEST_FILE_BYTES {
        let problem = Diagnostic::new(0..0, "the file is larger than 1 MiB", "")
            .help("is this the right file? `--config FILE` names another");
        return Err(Diagnostics::new(file_name, "", vec![problem], &[]));
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    let broken = syntax::mistakes(text, root.get_ref(), &errors);
    let cx = Context::new(text, outside);
    let config = read(&cx, root.get_ref());
    let (mut problems, masked) = cx.into_found();
    if !broken.is_empty() {
        problems = syntax::unexplained(text, &broken, problems);
        problems.extend(broken.into_iter().map(|broken| broken.problem));
    }
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(Diagnostics::new(file_name, text, problems, &masked))
    }
}

/// Reads the policy alone, `[gate]`; nothing else of the file is looked at, so that one which
/// names variables that are not set here, or keys of another version, still tells it.
///
/// # Errors
///
/// Every mistake of syntax, and of `[gate]`.
pub fn parse_policy(file_name: &str, text: &str) -> Result<GateConfig, Diagnostics> {
    parse_part(file_name, text, |table| {
        table
            .get("gate")
            .and_then(|entry| entry.table("[gate]", "write it as [gate]"))
            .map_or_else(GateConfig::default, gate::read_gate)
    })
}

/// Reads the accepted regressions alone, `[[accept]]`, as [`parse_policy`] reads the policy.
///
/// # Errors
///
/// Every mistake of syntax, and of `[[accept]]`.
pub fn parse_accepted(file_name: &str, text: &str) -> Result<Vec<AcceptedRegression>, Diagnostics> {
    parse_part(file_name, text, |table| {
        let entry = table.get("accept");
        entry.map(|entry| accept::read(&entry)).unwrap_or_default()
    })
}

fn parse_part<T>(
    file_name: &str,
    text: &str,
    read: impl FnOnce(&mut Table<'_, '_>) -> T,
) -> Result<T, Diagnostics> {
    if text.len() > LARGEST_FILE_BYTES {
        let problem = Diagnostic::new(0..0, "the file is larger than 1 MiB", "");
        return Err(Diagnostics::new(file_name, "", vec![problem], &[]));
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    let broken = syntax::mistakes(text, root.get_ref(), &errors);
    let cx = Context::new(text, Outside::NOTHING);
    let part = read(&mut Table::new(&cx, "the file", 0..0, root.get_ref()));
    let (mut problems, masked) = cx.into_found();
    problems.extend(broken.into_iter().map(|broken| broken.problem));
    if problems.is_empty() {
        Ok(part)
    } else {
        Err(Diagnostics::new(file_name, text, problems, &masked))
    }
}

/// The lines (from 1) on which the tools of a configuration are named, by name.
#[must_use]
pub fn tool_lines(text: &str) -> BTreeMap<String, u32> {
    let (root, _) = DeTable::parse_recoverable(text);
    let tools = root.get_ref().get("tool").map(Spanned::get_ref);
    let Some(DeValue::Array(tools)) = tools else {
        return BTreeMap::new();
    };
    tools
        .iter()
        .filter_map(|tool| {
            let name = tool.get_ref().as_table()?.get("name")?;
            let line = text.get(..name.span().start)?.matches('\n').count() + 1;
            Some((
                name.get_ref().as_str()?.to_owned(),
                u32::try_from(line).ok()?,
            ))
        })
        .collect()
}

fn read(cx: &Context<'_>, root: &DeTable<'_>) -> Config {
    let mut table = Table::new(cx, "the file", 0..0, root);
    let server = table
        .get("server")
        .and_then(|entry| entry.table("[server]", "write it as [server]"))
        .map(server::read);
    let tools::Tools {
        called: tools,
        marked,
    } = table
        .get("tool")
        .map(|entry| tools::read(&entry))
        .unwrap_or_default();
    let probes = table
        .get("probes")
        .and_then(|entry| entry.table("[probes]", "write it as [probes]"))
        .map_or_else(ProbesConfig::default, probes::read);
    let suite = table
        .get("suite")
        .and_then(|entry| entry.table("[suite]", "write it as [suite]"))
        .map_or_else(SuiteConfig::default, gate::read_suite);
    let gate = table
        .get("gate")
        .and_then(|entry| entry.table("[gate]", "write it as [gate]"))
        .map_or_else(GateConfig::default, gate::read_gate);
    let accept = table
        .get("accept")
        .map(|entry| accept::read(&entry))
        .unwrap_or_default();
    let loads = table
        .get("scenario")
        .map(|entry| scenarios::read(&entry, &tools))
        .unwrap_or_default();
    table.finish(&[]);
    Config {
        server,
        tools,
        marked,
        probes,
        loads,
        suite,
        gate,
        accept,
    }
}

/// Every key that the readers ask for in this text, with the place of its table.
#[cfg(test)]
fn asked(
    text: &str,
    outside: Outside<'_>,
) -> std::collections::BTreeSet<(&'static str, &'static str)> {
    let (root, _) = DeTable::parse_recoverable(text);
    let cx = Context::new(text, outside);
    read(&cx, root.get_ref());
    cx.asked()
}

/// `{port}` in a text: replaced by mcpgate with a free port.
fn has_port(text: &str) -> bool {
    text.contains("{port}")
}

/// A NUL byte cannot be handed to a process.
fn refuse_nul(entry: &Entry<'_, '_>, text: &str) -> bool {
    let found = text.contains('\0');
    if found {
        entry.refuse(
            format!(
                "`{}` holds a NUL character",
                super::diagnostics::shown(entry.name())
            ),
            "holds \\u0000",
            "take it out: no process can be given one",
        );
    }
    found
}
