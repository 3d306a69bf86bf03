//! Choosing tools and making their arguments where nothing was configured.
//!
//! A tool is called unasked only if it says that it reads (`annotations.readOnlyHint`), and only if
//! its input schema tells what to send. Where no tool of a server carries annotations, which is how
//! many servers are written, a name that can only mean reading or arithmetic will do; all else is
//! left to the user. The tool list comes from the server and is read as hostile.

mod schema;
mod words;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::{Expect, LONGEST_TOOL_NAME, ToolCall, ToolKind, diagnostics::shown};
use crate::results::Skipped;

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

/// Chooses at most `limit` of a server's tools (the `tools` of `tools/list`) and makes their
/// arguments. Tools that reach the outside world and tools that say they take long come last, the
/// rest in the server's order.
#[must_use]
pub fn discover(tools: &[Value], limit: usize) -> Discovery {
    let annotated = tools.iter().take(LOOKED_AT_MOST).any(|tool| {
        tool.get("annotations")
            .and_then(Value::as_object)
            .is_some_and(|a| !a.is_empty())
    });
    let mut out = Discovery::default();
    let mut seen: Vec<&str> = Vec::new();
    let mut usable: Vec<(u8, ChosenTool)> = Vec::new();
    for (n, tool) in tools.iter().take(LOOKED_AT_MOST).enumerate() {
        match consider(tool, annotated, &mut seen) {
            Ok((rank, chosen)) => usable.push((rank, chosen)),
            Err(reason) => out.left_out.push(Skipped {
                name: name_for_report(tool, n),
                reason,
            }),
        }
    }
    if tools.len() > LOOKED_AT_MOST {
        out.left_out.push(Skipped {
            name: format!("{} more tools", tools.len() - LOOKED_AT_MOST),
            reason: format!("the server lists more than {LOOKED_AT_MOST} tools"),
        });
    }
    // Stable: within a rank the server's order stays.
    usable.sort_by_key(|(rank, _)| *rank);
    for (n, (_, chosen)) in usable.into_iter().enumerate() {
        if n < limit {
            out.chosen.push(chosen);
        } else {
            out.left_out.push(Skipped {
                name: chosen.call.name,
                reason: format!("{limit} tools are chosen at most; a [[tool]] entry measures it"),
            });
        }
    }
    out
}

/// Ranks: 0 as usual, 1 slow by its own words, 2 reaching outside.
fn consider<'t>(
    tool: &'t Value,
    annotated: bool,
    seen: &mut Vec<&'t str>,
) -> Result<(u8, ChosenTool), String> {
    let object = tool
        .as_object()
        .ok_or("not a tool: the server lists something else")?;
    let name = object
        .get("name")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty())
        .ok_or("has no name")?;
    if name.chars().count() > LONGEST_TOOL_NAME || name.chars().any(char::is_control) {
        return Err(format!(
            "its name is longer than {LONGEST_TOOL_NAME} characters or holds control characters"
        ));
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
    let description = object
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let hints = hints(object);
    let reading = may_call(name, description, object, hints, annotated)?;
    let input = object.get("inputSchema").ok_or("has no input schema")?;
    let arguments = schema::arguments(input, name)?;
    let external = hints.open_world == Some(true);
    let rank = if external {
        2
    } else {
        u8::from(words::sounds_slow(name, description))
    };
    let why = format!("{reading}; {}", with_what(&arguments));
    Ok((
        rank,
        ChosenTool {
            call: ToolCall {
                name: name.to_owned(),
                arguments,
                expect: Expect::default(),
                data: None,
                kind: if external {
                    ToolKind::External
                } else {
                    ToolKind::Compute
                },
            },
            why,
        },
    ))
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
