//! Choosing tools and making their arguments where nothing was configured.
//!
//! A tool is called unasked only if it says that it reads (`annotations.readOnlyHint`), and only if
//! its input schema tells what to send. Where no tool of a server carries annotations, which is how
//! many servers are written, a name that can only mean reading or arithmetic will do; all else is
//! left to the user. The tool list comes from the server and is read as hostile.

mod layers;
mod scalars;
mod schema;
mod words;

#[cfg(test)]
mod guess_tests;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::{
    Expect, LONGEST_TOOL_NAME, ToolCall, ToolKind,
    diagnostics::shown,
    visible::{is_mark, is_seen},
};
use crate::results::Skipped;

pub use schema::{Arguments, MadeUp};

/// More tools than this are not looked at.
const LOOKED_AT_MOST: usize = 1_000;

/// What [`discover`] found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Discovery {
    /// Tools to call, the most useful first.
    pub chosen: Vec<ChosenTool>,
    /// Tools that are not called, each with the reason.
    pub left_out: Vec<Skipped>,
}

/// A tool that will be called.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenTool {
    /// The call.
    pub call: ToolCall,
    /// Why it may be called, and with what; one line.
    pub why: String,
}

/// How a tool says what it does.
#[derive(Debug, Clone, Copy, Default)]
struct Hints {
    read_only: Option<bool>,
    destructive: Option<bool>,
    open_world: Option<bool>,
}

/// What is known of one tool of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Surveyed {
    /// The tool's name as it may stand in a report.
    pub shown_name: String,
    /// The call, unless the entry is none of a tool that can be called: then why.
    pub call: Result<ToolCall, String>,
    /// Why it may be called unasked, or why not.
    pub may_call: Result<&'static str, String>,
    /// Where its arguments came from.
    pub arguments: Arguments,
    /// 0 as usual, 1 slow by its own words, 2 reaching outside.
    rank: u8,
}

impl Surveyed {
    /// Why it is not called, if it is not; in words that go on from its name.
    #[must_use]
    pub fn obstacle(&self) -> Option<&str> {
        let refused = self.call.as_ref().err().or(self.may_call.as_ref().err());
        refused
            .map(String::as_str)
            .or_else(|| self.arguments.obstacle())
    }
}

/// What may be guessed besides what a schema says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guesses<'g> {
    /// Any text for what a schema calls a text and nothing else: for calls that are tried, with a
    /// person to see the answer.
    pub plain_texts: bool,
    /// A folder that the server works on.
    pub folder: Option<&'g str>,
    /// A file that it works on.
    pub file: Option<&'g str>,
}

/// Looks at a server's tools (the `tools` of `tools/list`): which may be called unasked, and with what.
/// Tools that reach the outside world and tools that say they take long come last, the rest in the
/// server's order. Besides: what of the list was not looked at.
#[must_use]
pub fn survey(tools: &[Value], guesses: Guesses<'_>) -> (Vec<Surveyed>, Option<Skipped>) {
    let annotated = tools.iter().take(LOOKED_AT_MOST).any(|tool| {
        tool.get("annotations")
            .and_then(Value::as_object)
            .is_some_and(|a| !a.is_empty())
    });
    let mut seen: Vec<&str> = Vec::new();
    let mut out: Vec<Surveyed> = tools
        .iter()
        .take(LOOKED_AT_MOST)
        .enumerate()
        .map(|(n, tool)| consider(tool, n, annotated, guesses, &mut seen))
        .collect();
    // Stable: within a rank the server's order stays.
    out.sort_by_key(|tool| tool.rank);
    let rest = (tools.len() > LOOKED_AT_MOST).then(|| Skipped {
        name: format!("{} more tools", tools.len() - LOOKED_AT_MOST),
        reason: format!("the server lists more than {LOOKED_AT_MOST} tools"),
    });
    (out, rest)
}

/// Chooses at most `limit` of a server's tools and makes their arguments; see [`survey`].
#[must_use]
pub fn discover(tools: &[Value], limit: usize) -> Discovery {
    let mut out = Discovery::default();
    let mut beyond = Vec::new();
    let (surveyed, rest) = survey(tools, Guesses::default());
    for tool in surveyed {
        let obstacle = tool.obstacle().map(str::to_owned);
        match (tool.call, tool.may_call, obstacle) {
            (Ok(call), Ok(reading), None) if out.chosen.len() < limit => {
                let why = format!("{reading}; {}", with_what(&call.arguments));
                out.chosen.push(ChosenTool { call, why });
            }
            (Ok(call), _, None) => beyond.push(Skipped {
                name: call.name,
                reason: format!("{limit} tools are chosen at most; a [[tool]] entry measures it"),
            }),
            (_, _, reason) => out.left_out.push(Skipped {
                name: tool.shown_name,
                reason: reason.unwrap_or_default(),
            }),
        }
    }
    out.left_out.extend(rest);
    out.left_out.extend(beyond);
    out
}

fn consider<'t>(
    tool: &'t Value,
    n: usize,
    annotated: bool,
    guesses: Guesses<'_>,
    seen: &mut Vec<&'t str>,
) -> Surveyed {
    let named = name_of(tool, seen);
    let object = tool.as_object();
    let text = |key| {
        object
            .and_then(|tool| tool.get(key))
            .and_then(Value::as_str)
    };
    let description = text("description").unwrap_or_default();
    let (name, object) = match (named, object) {
        (Ok(name), Some(object)) => (name, object),
        (named, _) => {
            let reason = named.err().unwrap_or_default();
            return Surveyed {
                shown_name: name_for_report(tool, n),
                call: Err(reason.clone()),
                may_call: Err(reason),
                arguments: Arguments::default(),
                rank: 0,
            };
        }
    };
    let hints = hints(object);
    let arguments = match object.get("inputSchema") {
        Some(input) => schema::arguments(input, name, guesses),
        None => Arguments {
            problem: Some("has no input schema".to_owned()),
            ..Arguments::default()
        },
    };
    let external = hints.open_world == Some(true);
    let may_call = may_call(name, description, object, hints, annotated);
    Surveyed {
        shown_name: name_for_report(tool, n),
        call: Ok(ToolCall {
            name: name.to_owned(),
            arguments: arguments.template.clone(),
            expect: Expect::default(),
            data: None,
            kind: if external {
                ToolKind::External
            } else {
                ToolKind::Compute
            },
        }),
        rank: match (&may_call, arguments.obstacle(), external) {
            (Err(_), _, _) | (_, Some(_), _) => 0,
            (Ok(_), None, true) => 2,
            (Ok(_), None, false) => u8::from(words::sounds_slow(name, description)),
        },
        may_call,
        arguments,
    }
}

/// The name of an entry that can be called at all; else why not.
fn name_of<'t>(tool: &'t Value, seen: &mut Vec<&'t str>) -> Result<&'t str, String> {
    let object = tool
        .as_object()
        .ok_or("not a tool: the server lists something else")?;
    let name = object
        .get("name")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty())
        .ok_or("has no name")?;
    if name.chars().count() > LONGEST_TOOL_NAME {
        return Err(format!(
            "its name is longer than {LONGEST_TOOL_NAME} characters"
        ));
    }
    if name.chars().any(|c| !is_seen(c) && !is_mark(c)) {
        return Err("its name holds characters that cannot be seen".to_owned());
    }
    if seen.contains(&name) {
        return Err("the server lists this name twice".to_owned());
    }
    seen.push(name);
    if object
        .get("execution")
        .and_then(|e| e.get("taskSupport"))
        .and_then(Value::as_str)
        == Some("required")
    {
        return Err("runs only as a task, which is not supported yet".to_owned());
    }
    Ok(name)
}

fn hints(tool: &Map<String, Value>) -> Hints {
    let hint = |key| {
        tool.get("annotations")
            .and_then(|annotations| annotations.get(key))
            .and_then(Value::as_bool)
    };
    Hints {
        read_only: hint("readOnlyHint"),
        destructive: hint("destructiveHint"),
        open_world: hint("openWorldHint"),
    }
}

/// Why the tool may be called unasked, or why not.
fn may_call(
    name: &str,
    description: &str,
    tool: &Map<String, Value>,
    hints: Hints,
    annotated: bool,
) -> Result<&'static str, String> {
    match (hints.read_only, hints.destructive) {
        (Some(true), Some(true)) => {
            return Err("says both that it only reads and that it destroys".to_owned());
        }
        (Some(true), _) => return Ok("says that it only reads"),
        (Some(false), _) => return Err("says that it changes something".to_owned()),
        (None, _) => {}
    }
    if annotated {
        return Err("does not say that it only reads (annotations.readOnlyHint)".to_owned());
    }
    if words::sounds_like_reading(name, description) {
        return Ok("its name says that it only reads (the server annotates no tool)");
    }
    if words::sounds_like_arithmetic(name) && schema::takes_only_numbers(tool.get("inputSchema")) {
        return Ok("its name says that it only calculates (the server annotates no tool)");
    }
    Err(
        "may change something: neither an annotation nor its name says that it only reads"
            .to_owned(),
    )
}

fn with_what(arguments: &Map<String, Value>) -> String {
    const SHOWN: usize = 200;
    if arguments.is_empty() {
        return "called without arguments".to_owned();
    }
    let text = Value::Object(arguments.clone()).to_string();
    let mut out = String::from("called with ");
    for (n, c) in text.chars().enumerate() {
        if n == SHOWN {
            out.push('…');
            break;
        }
        // JSON escapes ASCII control characters; direction marks and the like are ours to escape.
        if c.is_ascii() {
            out.push(c);
        } else {
            out.extend(c.escape_debug());
        }
    }
    out
}

fn name_for_report(tool: &Value, n: usize) -> String {
    match tool.get("name").and_then(Value::as_str) {
        Some(name) if !name.is_empty() => shown(name),
        _ => format!("tool {}", n + 1),
    }
}
