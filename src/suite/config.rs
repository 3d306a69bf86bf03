//! `mcpgate.toml`: from text to a validated [`Config`], or to every mistake in it at once.

mod expand;
mod gate;
mod reader;
mod secrets;
mod server;
mod syntax;
mod tools;
mod values;

#[cfg(test)]
mod tests;

use toml::de::DeTable;

use super::{
    Config, GateConfig, SuiteConfig,
    diagnostics::{Diagnostic, Diagnostics},
};
use reader::{Context, Entry, Table};

/// Larger files are refused unread: no configuration is that long.
const LARGEST_FILE_BYTES: usize = 1 << 20;

/// Reads a configuration file.
///
/// `file_name` is only shown. `env` looks up the variables of `${NAME}`; the values it gives are
/// kept in [`Secret`](super::Secret)s and never shown.
///
/// # Errors
///
/// Every mistake of the file, in the order of their places: of syntax, of names, of values, and of
/// values that contradict each other. Where the syntax is broken, what can still be read is still
/// checked.
pub fn parse(
    file_name: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Diagnostics> {
    if text.len() > LARGEST_FILE_BYTES {
        let problem = Diagnostic::new(0..0, "the file is larger than 1 MiB", "")
            .help("is this the right file? `--config FILE` names another");
        return Err(Diagnostics::new(file_name, "", vec![problem], &[]));
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    let broken = syntax::mistakes(text, root.get_ref(), &errors);
    let cx = Context::new(text, env);
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

fn read(cx: &Context<'_>, root: &DeTable<'_>) -> Config {
    let mut table = Table::new(cx, "the file", 0..0, root);
    let server = table
        .get("server")
        .and_then(|entry| entry.table("[server]", "write it as [server]"))
        .map(server::read);
    let tools = table
        .get("tool")
        .map(|entry| tools::read(&entry))
        .unwrap_or_default();
    let suite = table
        .get("suite")
        .and_then(|entry| entry.table("[suite]", "write it as [suite]"))
        .map_or_else(SuiteConfig::default, gate::read_suite);
    let gate = table
        .get("gate")
        .and_then(|entry| entry.table("[gate]", "write it as [gate]"))
        .map_or_else(GateConfig::default, gate::read_gate);
    table.finish(&[(
        "scenario",
        "take it out; this version measures the standard suite",
    )]);
    Config {
        server,
        tools,
        suite,
        gate,
    }
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
