//! The tools: what they are called, what they say of themselves, what arguments they take.
//!
//! How they do their work is in `work.rs`.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Largest `work_us`: one minute.
const MAX_WORK_US: u64 = 60_000_000;
/// Largest `ms` of `wait`: ten minutes.
const MAX_WAIT_MS: u64 = 600_000;
/// Largest `bytes` of `blob`.
const MAX_BLOB_BYTES: u64 = 64 << 20;
/// Longest `query` of `search`, in bytes.
const MAX_QUERY_BYTES: usize = 1_000;
/// Most results of `search`.
const MAX_RESULTS: u64 = 100;

/// A tool of the reference server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tool {
    /// Answers what it was given.
    Echo,
    /// Burns CPU.
    Compute,
    /// Waits off the CPU.
    Wait,
    /// Makes, ranks and returns synthetic documents.
    Search,
    /// Returns a text of a given size.
    Blob,
    /// Replaces the stored note: the one tool that does not only read.
    Note,
    /// Adds to the store.
    Remember,
    /// Answers what is in the store.
    Recall,
}

impl Tool {
    /// Every tool, in the order of the listing.
    pub const ALL: [Self; 8] = [
        Self::Echo,
        Self::Compute,
        Self::Wait,
        Self::Search,
        Self::Blob,
        Self::Note,
        Self::Remember,
        Self::Recall,
    ];

    /// The name in the protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Compute => "compute",
            Self::Wait => "wait",
            Self::Search => "search",
            Self::Blob => "blob",
            Self::Note => "note",
            Self::Remember => "remember",
            Self::Recall => "recall",
        }
    }

    /// The tool of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Whether it is offered with `--store` only.
    pub(crate) fn is_of_store(self) -> bool {
        matches!(self, Self::Remember | Self::Recall)
    }

    /// Its place in [`Tool::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// Its entry in the answer to `tools/list`.
    pub(crate) fn definition(self) -> Value {
        let text = |about: &str| json!({ "type": "string", "description": about });
        let (description, properties, required) = match self {
            Self::Echo => (
                "Answers the message it was given.",
                json!({ "message": text("The text to send back.") }),
                vec!["message"],
            ),
            Self::Compute => (
                "Burns a fixed amount of CPU work, then answers the token.",
                json!({
                    "work_us": {
                        "type": "integer", "minimum": 0, "maximum": MAX_WORK_US,
                        "description": "CPU work in nominal microseconds: a fixed number of steps.",
                    },
                    "token": text("A text that the answer will hold."),
                }),
                vec!["work_us"],
            ),
            Self::Wait => (
                "Waits without using the CPU; any number of calls wait at the same time.",
                json!({ "ms": {
                    "type": "integer", "minimum": 0, "maximum": MAX_WAIT_MS,
                    "description": "How long to wait, in milliseconds.",
                } }),
                vec!["ms"],
            ),
            Self::Search => (
                "Finds synthetic documents that hold the query; the same query finds the same.",
                json!({
                    "query": {
                        "type": "string", "maxLength": MAX_QUERY_BYTES,
                        "description": "What to look for.",
                    },
                    "limit": {
                        "type": "integer", "minimum": 1, "maximum": MAX_RESULTS, "default": 10,
                        "description": "How many results to return.",
                    },
                }),
                vec!["query"],
            ),
            Self::Blob => (
                "Returns a text of the given size.",
                json!({ "bytes": {
                    "type": "integer", "minimum": 0, "maximum": MAX_BLOB_BYTES,
                    "description": "The size of the text, in bytes.",
                } }),
                vec!["bytes"],
            ),
            Self::Note => (
                "Replaces the stored note. What it held before is lost.",
                json!({ "text": text("The new note.") }),
                vec!["text"],
            ),
            Self::Remember => (
                "Adds a line to the store.",
                json!({ "item": text("The line.") }),
                vec!["item"],
            ),
            Self::Recall => ("Answers every line of the store.", json!({}), Vec::new()),
        };
        let annotations = if self == Self::Remember {
            json!({ "readOnlyHint": false, "destructiveHint": false, "openWorldHint": false })
        } else if self == Self::Note {
            json!({ "readOnlyHint": false, "destructiveHint": true, "openWorldHint": false })
        } else {
            json!({ "readOnlyHint": true, "openWorldHint": false })
        };
        json!({
            "name": self.name(),
            "description": description,
            "inputSchema": {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            },
            "annotations": annotations,
        })
    }
}

/// A tool with checked arguments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Work {
    /// `echo`.
    Echo { message: String },
    /// `compute`.
    Compute { work_us: u64, token: Option<String> },
    /// `wait`.
    Wait { ms: u64 },
    /// `search`.
    Search { query: String, limit: u64 },
    /// `blob`.
    Blob { bytes: u64 },
    /// `note`.
    Note { text: String },
    /// `remember`.
    Remember { item: String },
    /// `recall`.
    Recall,
}

impl Work {
    /// Checks the arguments of a call. The error is for the caller of the tool.
    pub(crate) fn parse(tool: Tool, arguments: Map<String, Value>) -> Result<Self, String> {
        let work = match tool {
            Tool::Echo => {
                let EchoArguments { message } = typed(tool, arguments)?;
                Self::Echo { message }
            }
            Tool::Compute => {
                let ComputeArguments { work_us, token } = typed(tool, arguments)?;
                within(tool, "work_us", work_us, 0, MAX_WORK_US)?;
                Self::Compute { work_us, token }
            }
            Tool::Wait => {
                let WaitArguments { ms } = typed(tool, arguments)?;
                within(tool, "ms", ms, 0, MAX_WAIT_MS)?;
                Self::Wait { ms }
            }
            Tool::Search => {
                let SearchArguments { query, limit } = typed(tool, arguments)?;
                if query.len() > MAX_QUERY_BYTES {
                    return Err(format!(
                        "search: `query` is longer than {MAX_QUERY_BYTES} bytes"
                    ));
                }
                within(tool, "limit", limit, 1, MAX_RESULTS)?;
                Self::Search { query, limit }
            }
            Tool::Blob => {
                let BlobArguments { bytes } = typed(tool, arguments)?;
                within(tool, "bytes", bytes, 0, MAX_BLOB_BYTES)?;
                Self::Blob { bytes }
            }
            Tool::Note => {
                let NoteArguments { text } = typed(tool, arguments)?;
                Self::Note { text }
            }
            Tool::Remember => {
                let RememberArguments { item } = typed(tool, arguments)?;
                Self::Remember { item }
            }
            Tool::Recall => {
                let RecallArguments {} = typed(tool, arguments)?;
                Self::Recall
            }
        };
        Ok(work)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EchoArguments {
    message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ComputeArguments {
    work_us: u64,
    token: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WaitArguments {
    ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchArguments {
    query: String,
    #[serde(default = "default_limit")]
    limit: u64,
}

fn default_limit() -> u64 {
    10
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlobArguments {
    bytes: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoteArguments {
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RememberArguments {
    item: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecallArguments {}

fn typed<'de, T: Deserialize<'de>>(tool: Tool, arguments: Map<String, Value>) -> Result<T, String> {
    T::deserialize(Value::Object(arguments)).map_err(|error| format!("{}: {error}", tool.name()))
}

fn within(tool: Tool, name: &str, value: u64, low: u64, high: u64) -> Result<(), String> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(format!(
            "{}: `{name}` must be between {low} and {high}, and is {value}",
            tool.name()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn a_definition_accepts_what_the_tool_accepts_and_refuses_what_it_refuses() {
        let cases = [
            (Tool::Echo, json!({ "message": "hi" }), true),
            (Tool::Echo, json!({ "message": "" }), true),
            (Tool::Echo, json!({}), false),
            (Tool::Echo, json!({ "message": 1 }), false),
            (Tool::Echo, json!({ "message": "hi", "more": 1 }), false),
            (Tool::Compute, json!({ "work_us": 5 }), true),
            (Tool::Compute, json!({ "work_us": 5, "token": "t" }), true),
            (Tool::Compute, json!({ "work_us": -1 }), false),
            (Tool::Compute, json!({ "work_us": 60_000_001 }), false),
            (Tool::Compute, json!({ "work_us": 1.5 }), false),
            (Tool::Wait, json!({ "ms": 0 }), true),
            (Tool::Wait, json!({ "ms": 600_001 }), false),
            (Tool::Search, json!({ "query": "q" }), true),
            (Tool::Search, json!({ "query": "q", "limit": 100 }), true),
            (Tool::Search, json!({ "query": "q", "limit": 0 }), false),
            (Tool::Search, json!({ "query": "q".repeat(1_001) }), false),
            (Tool::Blob, json!({ "bytes": 1024 }), true),
            (Tool::Blob, json!({ "bytes": 1_u64 << 40 }), false),
            (Tool::Note, json!({ "text": "t" }), true),
            (Tool::Note, json!({ "text": null }), false),
            (Tool::Remember, json!({ "item": "i" }), true),
            (Tool::Remember, json!({}), false),
            (Tool::Recall, json!({}), true),
            (Tool::Recall, json!({ "item": "i" }), false),
        ];
        for (tool, arguments, right) in cases {
            let schema = tool.definition()["inputSchema"].clone();
            let validator = jsonschema::validator_for(&schema).unwrap();
            assert_eq!(
                validator.is_valid(&arguments),
                right,
                "schema: {tool:?} {arguments}"
            );
            let parsed = Work::parse(tool, object(arguments.clone()));
            assert_eq!(
                parsed.is_ok(),
                right,
                "parser: {tool:?} {arguments} {parsed:?}"
            );
        }
    }

    #[test]
    fn only_note_and_remember_write() {
        for tool in Tool::ALL {
            let read_only = tool.definition()["annotations"]["readOnlyHint"] == json!(true);
            let writes = matches!(tool, Tool::Note | Tool::Remember);
            assert_eq!(read_only, !writes, "{tool:?}");
            assert_eq!(Tool::named(tool.name()), Some(tool));
            assert_eq!(Tool::ALL[tool.index()], tool);
        }
    }
}
