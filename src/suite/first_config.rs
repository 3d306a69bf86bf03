//! The first `mcpgate.toml` of a project: from a server's tools, what they answered, and the project's
//! files to a text that [`super::config`] reads.
//!
//! Whatever a server lists, the text is valid, and stays so when its entries that are switched off are
//! switched on: entries are switched off by `#` alone, prose stands behind `# `.

mod project;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use super::{ToolCall, ToolKind, diagnostics::shown_up_to, discover::Surveyed};

pub use project::{Build, Project, Suggestion};

/// Columns of the prose.
const COLUMNS: usize = 96;
/// Longest piece of a server's text in it, in characters.
const LONGEST_REASON: usize = 400;
/// Longest name in it.
const LONGEST_NAME: usize = 60;
/// Entries that are switched off end here: nobody reads so many, and the file must stay well below what
/// is read of one.
const LONGEST_TEXT: usize = 256 << 10;

/// What the file is made of.
#[derive(Clone, Copy)]
pub struct Facts<'f> {
    /// Who answered and how: `everything 2.0.0, stdio, protocol 2025-11-25`.
    pub server: &'f str,
    /// Program and arguments; empty for a server that is started by others.
    pub command: &'f [String],
    /// Where it listens.
    pub url: Option<&'f str>,
    /// Headers that it is sent, as the file has them: secrets by the names of their variables.
    pub headers: &'f BTreeMap<String, String>,
    /// The revision that was asked for.
    pub protocol: Option<&'f str>,
    /// A `[server]` that is kept as it is; it stands in place of command, URL, headers and revision.
    pub kept: Option<&'f toml::Table>,
    /// How it is built.
    pub build: &'f Build,
    /// Its tools, in the order of the file.
    pub tools: &'f [Entry],
}

/// A tool and what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The tool.
    pub tool: Surveyed,
    /// Whether it is measured.
    pub state: State,
}

/// Whether a tool is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is. With the template of a text that each of its answers held.
    Measured {
        /// `expect.contains`.
        contains: Option<String>,
        /// The first answer, where it reads like a refusal or is empty.
        doubt: Option<String>,
    },
    /// It stands in the file switched off, for this reason.
    Off(String),
}

/// Why a call cannot stand in a file, if it cannot; in words that go on from the tool's name.
#[must_use]
pub fn cannot_be_written(call: &ToolCall) -> Option<String> {
    if call.name.trim().is_empty() || !is_visible(&call.name) {
        return Some("its name holds characters that cannot be seen".to_owned());
    }
    if has_odd_key(&call.arguments) {
        return Some("an argument's name holds characters that cannot be seen".to_owned());
    }
    if has_null(&call.arguments) {
        return Some("needs `null` as an argument, which TOML cannot say".to_owned());
    }
    let arguments = toml_value(&call.arguments);
    match arguments {
        None => Some("an argument is no value of TOML".to_owned()),
        Some(text) if !is_visible(&text.replace(['\n', '\r', '\t'], "")) => {
            Some("an argument holds characters that cannot be seen".to_owned())
        }
        Some(_) => None,
    }
}

fn has_odd_key(arguments: &serde_json::Map<String, Value>) -> bool {
    fn has_one(value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().any(has_one),
            Value::Object(map) => has_odd_key(map),
            _ => false,
        }
    }
    arguments
        .iter()
        .any(|(name, value)| !is_visible(name) || has_one(value))
}

fn has_null(arguments: &serde_json::Map<String, Value>) -> bool {
    fn is_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(items) => items.iter().any(is_null),
            Value::Object(map) => map.values().any(is_null),
            _ => false,
        }
    }
    arguments.values().any(is_null)
}

fn is_visible(text: &str) -> bool {
    text.chars().all(super::visible::is_seen)
}

/// A value as TOML writes it on the right of `=`.
fn toml_value<T: serde::Serialize + ?Sized>(value: &T) -> Option<String> {
    let mut out = String::new();
    value
        .serialize(toml::ser::ValueSerializer::new(&mut out))
        .ok()?;
    Some(out)
}

/// The first of a call's texts that differs from call to call: what its answer may hold as well.
#[must_use]
pub fn varying_text(call: &ToolCall) -> Option<String> {
    fn first(value: &Value) -> Option<&str> {
        match value {
            Value::String(text) => ["{{i}}", "{{uuid}}"]
                .iter()
                .any(|placeholder| text.contains(placeholder))
                .then_some(text),
            Value::Array(items) => items.iter().find_map(first),
            Value::Object(map) => map.values().find_map(first),
            _ => None,
        }
    }
    let text = call.arguments.values().find_map(first)?;
    Some(text.to_owned())
}

/// Whether an answer that is none of an error begins as those do.
#[must_use]
pub fn reads_like_refusal(answer: &str) -> bool {
    const FIRST: &str = "cannot denied error exception fail failed failure forbidden invalid missing \
                         traceback unable unauthorized unknown";
    const PHRASES: [&str; 11] = [
        "access denied",
        "could not",
        "does not exist",
        "no matches",
        "no results",
        "no such",
        "not allowed",
        "not authorized",
        "not found",
        "nothing found",
        "permission denied",
    ];
    const READ_CHARS: usize = 80;
    let start: String = answer.chars().take(READ_CHARS).collect();
    let start = start.to_lowercase();
    let mut words = start.split(|c: char| !c.is_alphanumeric());
    let first = words.find(|word| !word.is_empty()).unwrap_or_default();
    FIRST.split_whitespace().any(|word| word == first)
        || PHRASES.iter().any(|phrase| start.contains(phrase))
}

/// Whether an answer, in a line as `mcpgate init` shows it, holds nothing: no text, or JSON without a value
/// in it.
#[must_use]
pub fn is_empty_answer(answer: &str) -> bool {
    fn is_empty(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::String(text) => text.trim().is_empty(),
            Value::Array(items) => items.iter().all(is_empty),
            Value::Object(map) => map.values().all(is_empty),
            Value::Bool(_) | Value::Number(_) => false,
        }
    }
    let text = answer.trim();
    // Several texts without a word in them are listed by their kind.
    let kinds = text
        .strip_prefix('(')
        .and_then(|text| text.strip_suffix(')'));
    let is_listed =
        |kinds: &str| kinds == "nothing" || kinds.split(", ").all(|kind| kind == "text");
    text.is_empty()
        || kinds.is_some_and(is_listed)
        || serde_json::from_str(text).is_ok_and(|value| is_empty(&value))
}

/// The workflow that measures each pull request, for a project in `folder` of its repository (empty: at
/// the top). `example` is the one that is documented.
#[must_use]
pub fn workflow(example: &str, folder: &str, build: &Build) -> String {
    const PLACE: &str = "      # Here: what your server needs";
    // What the runners of GitHub have installed.
    const THERE: [&str; 5] = ["npm ", "yarn ", "cargo ", "go ", "python3 "];
    // Every JSON text is one of YAML.
    let quoted = |text: &str| Value::from(text).to_string();
    let mut out = String::new();
    for line in example.lines() {
        match build {
            Build::Known(command) if line.starts_with(PLACE) => {
                if THERE.iter().any(|tool| command.starts_with(tool)) {
                    out.push_str(&format!("      - run: {}\n", quoted(command)));
                    if !folder.is_empty() {
                        out.push_str(&format!("        working-directory: {}\n", quoted(folder)));
                    }
                } else {
                    out.push_str("      # Here: what installs and runs:\n");
                    out.push_str(&format!("      # - run: {}\n", quoted(command)));
                }
            }
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    if !folder.is_empty() {
        out.push_str("        with:\n");
        out.push_str(&format!(
            "          working-directory: {}\n",
            quoted(folder)
        ));
    }
    out
}

/// The text of the file.
#[must_use]
pub fn text(facts: &Facts<'_>) -> String {
    let mut page = Page::default();
    page.prose(
        "What mcpgate measures of this server, and how it judges a change. `mcpgate run` measures, \
         `mcpgate doctor` checks this file, the server and the machine.",
    );
    page.prose(&format!(
        "Made by `mcpgate init` from the tools of {}. An entry behind `#` is switched off: take the `#` \
         of its lines away to switch it on.",
        shown_up_to(facts.server, LONGEST_REASON)
    ));
    server(&mut page, facts);
    tools(&mut page, facts.tools);
    page.blank();
    page.prose(
        "How much is measured: \"quick\" is 5 rounds without soaks and loads, \"standard\" 10, \"deep\" \
         20 longer ones.",
    );
    page.off("[suite]\nsize = \"standard\"");
    page.blank();
    page.prose(
        "What is a regression: worse by more than both of these. Budgets are limits of your own.",
    );
    page.off(
        "[gate]\n\
         tolerance = { latency_p50 = \"20%\", latency_p95 = \"20%\", peak_memory = \"20%\" }\n\
         floor = { latency_p50 = \"250us\", latency_p95 = \"1ms\", peak_memory = \"1MB\" }\n\
         budget = { error_rate = \"1%\", latency_p95 = \"500ms\" }",
    );
    page.out
}

fn server(page: &mut Page, facts: &Facts<'_>) {
    page.blank();
    if let Some(kept) = facts.kept {
        page.prose("Kept from the file that was here before.");
        let mut table = kept.clone();
        if let Build::Known(command) = facts.build {
            let build = table.entry("build");
            build.or_insert_with(|| command.clone().into());
        }
        let whole = toml::Table::from_iter([("server".to_owned(), table.into())]);
        page.on(whole.to_string().trim_end());
        return;
    }
    page.on("[server]");
    // `${` would name a variable of the environment, which neither of the two may hold.
    let open = |text: &str| text.replace("${", "$${");
    if !facts.command.is_empty() {
        let words: Vec<String> = facts.command.iter().map(|word| open(word)).collect();
        page.assign("command", &words);
    }
    if let Some(url) = facts.url {
        page.assign("url", &open(url));
    }
    if let Some(protocol) = facts.protocol {
        page.assign("protocol", protocol);
    }
    page.prose("Secrets go in from the environment, by name: they are never shown or written.");
    match facts.url {
        Some(_) if !facts.headers.is_empty() => page.assign("headers", facts.headers),
        Some(_) => page.off("headers = { Authorization = \"Bearer ${MCP_TOKEN}\" }"),
        None => page.off("env = { API_KEY = \"${API_KEY}\" }"),
    }
    match facts.build {
        Build::Known(command) => {
            page.prose(
                "Builds a commit before it is measured in turn with this one (`mcpgate compare \
                 --against main`, and pull requests).",
            );
            page.assign("build", command);
        }
        Build::Unknown { why, perhaps } => {
            page.prose(&format!("No build: {}.", shown_up_to(why, LONGEST_REASON)));
            if let Some(perhaps) = perhaps.as_ref().and_then(toml_value) {
                page.off(&format!("build = {perhaps}"));
            }
        }
    }
}

fn tools(page: &mut Page, tools: &[Entry]) {
    let (measured, off): (Vec<&Entry>, Vec<&Entry>) = tools
        .iter()
        .partition(|entry| matches!(entry.state, State::Measured { .. }));
    page.blank();
    page.prose(match measured.len() {
        0 => "No tool is measured yet: switch one of these on, with arguments that it answers.",
        _ => {
            "The tools that are measured. `{{i}}` is the number of the call. \"Choose better\" marks \
             values that were made up from the input schema: put in what your users send."
        }
    });
    for entry in measured {
        if let (Ok(call), State::Measured { contains, doubt }) = (&entry.tool.call, &entry.state) {
            page.blank();
            notes(page, &entry.tool);
            if let Some(doubt) = doubt {
                let looks = match is_empty_answer(doubt) {
                    true => "is empty",
                    false => "reads like a refusal",
                };
                page.prose(&format!(
                    "Its first answer {looks}, which would then be what is measured: {}",
                    shown_up_to(doubt, LONGEST_NAME)
                ));
            }
            let lines = entry_lines(call, contains.as_deref());
            page.on(&lines);
        }
    }
    if off.is_empty() {
        return;
    }
    page.blank();
    page.prose("Not measured:");
    for (n, entry) in off.iter().enumerate() {
        let State::Off(reason) = &entry.state else {
            continue;
        };
        page.blank();
        if page.out.len() > LONGEST_TEXT {
            page.prose(&format!("… and {} more tools.", off.len() - n));
            break;
        }
        page.prose(&format!(
            "{}: {}",
            entry.tool.shown_name,
            shown_up_to(reason, LONGEST_REASON)
        ));
        let Ok(call) = &entry.tool.call else {
            continue;
        };
        if cannot_be_written(call).is_none() {
            notes(page, &entry.tool);
            let missing = &entry.tool.arguments.missing;
            if !missing.is_empty() {
                page.prose(&format!(
                    "Fill in: {}.",
                    names(missing.iter().map(|(n, _)| n))
                ));
            }
            page.off(&entry_lines(call, None));
        }
    }
}

/// What a person must know of a tool's entry.
fn notes(page: &mut Page, tool: &Surveyed) {
    if let Ok(reading) = tool.may_call
        && reading.contains("its name")
    {
        page.prose(&format!("Make sure that it changes nothing: {reading}."));
    }
    let made_up: Vec<String> = tool
        .arguments
        .made_up
        .iter()
        .take(20)
        .map(|made_up| {
            let name = shown_up_to(&made_up.argument, LONGEST_NAME);
            format!("{name} ({})", shown_up_to(&made_up.what, LONGEST_NAME))
        })
        .collect();
    if !made_up.is_empty() {
        page.prose(&format!("Choose better: {}.", made_up.join(", ")));
    }
    if !tool.arguments.optional.is_empty() {
        let optional = names(tool.arguments.optional.iter());
        page.prose(&format!("May be given, too: {optional}."));
    }
}

fn names<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let shown: Vec<String> = names.map(|n| shown_up_to(n, LONGEST_NAME)).collect();
    shown.join(", ")
}

/// The lines of a `[[tool]]`.
fn entry_lines(call: &ToolCall, contains: Option<&str>) -> String {
    /// Longer arguments get a line each.
    const INLINE: usize = 100;
    let mut out = "[[tool]]".to_owned();
    let mut add = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            out.push_str(&format!("\n{key} = {value}"));
        }
    };
    add("name", toml_value(&call.name));
    if call.kind == ToolKind::External {
        add("kind", toml_value("external"));
    }
    let expect = contains.and_then(toml_value);
    let expect = expect.map(|text| format!("{{ contains = {text} }}"));
    let arguments = Some(&call.arguments).filter(|arguments| !arguments.is_empty());
    let inline = arguments.and_then(toml_value);
    match (arguments, inline) {
        (Some(arguments), Some(inline)) if inline.len() > INLINE || inline.contains('\n') => {
            add("expect", expect);
            // Behind the other keys: what follows belongs to it.
            out.push_str("\n[tool.arguments]");
            for (name, value) in arguments {
                if let (Some(name), Some(value)) = (toml_key(name), toml_value(value)) {
                    out.push_str(&format!("\n{name} = {value}"));
                }
            }
        }
        (_, inline) => {
            add("arguments", inline);
            add("expect", expect);
        }
    }
    out
}

/// A key as TOML writes it: that of a table with nothing else in it.
fn toml_key(name: &str) -> Option<String> {
    let table = toml_value(&BTreeMap::from([(name, true)]))?;
    let key = table.strip_prefix("{ ")?.strip_suffix(" = true }")?;
    Some(key.to_owned())
}

/// Collects lines.
#[derive(Default)]
struct Page {
    out: String,
}

impl Page {
    fn blank(&mut self) {
        self.out.push('\n');
    }

    /// Lines that count.
    fn on(&mut self, lines: &str) {
        self.out.push_str(lines);
        self.out.push('\n');
    }

    fn assign<T: serde::Serialize + ?Sized>(&mut self, key: &str, value: &T) {
        if let Some(value) = toml_value(value) {
            self.on(&format!("{key} = {value}"));
        }
    }

    /// Lines that are switched off.
    fn off(&mut self, lines: &str) {
        for line in lines.split('\n') {
            self.out.push('#');
            self.out.push_str(line);
            self.out.push('\n');
        }
    }

    /// A comment.
    fn prose(&mut self, text: &str) {
        let options = textwrap::Options::new(COLUMNS)
            .initial_indent("# ")
            .subsequent_indent("# ")
            .break_words(false)
            .word_separator(textwrap::WordSeparator::AsciiSpace)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        for line in textwrap::wrap(text, options) {
            self.out.push_str(line.trim_end());
            self.out.push('\n');
        }
    }
}
