//! Why a server could not be measured, in words that say what to do next.

use std::{process::ExitStatus, time::Duration};

use crate::{
    error::Error,
    mcp::outcome::{CallError, ErrorKind},
    process::StartError,
};

/// A server that could not be started, did not get ready, or was lost.
#[derive(Debug)]
pub enum RunFailure {
    /// The command could not be started.
    Start(StartError),
    /// A hook failed.
    Hook {
        /// `setup` or `reset`.
        name: &'static str,
        /// The command and what happened.
        problem: String,
        /// The end of its output.
        tail: String,
    },
    /// The URL, or something else of the target, cannot be used.
    Target(String),
    /// The process ended before the protocol answered.
    Exited {
        /// How.
        status: ExitStatus,
        /// Since its start.
        after: Duration,
        /// The end of its output.
        tail: String,
    },
    /// The protocol was not answered in time.
    NeverReady {
        /// How long was waited.
        waited: Duration,
        /// What the last try gave.
        last: String,
        /// The end of its output.
        tail: String,
    },
    /// The handshake was answered, but not rightly.
    Handshake {
        /// The request and what came.
        problem: String,
        /// The end of its output.
        tail: String,
    },
    /// Nothing listens at an attached URL.
    NobodyListens {
        /// The URL.
        url: String,
        /// What the system said.
        problem: String,
    },
    /// The server was lost while it was measured.
    Lost {
        /// Round and scenario.
        place: String,
        /// What was seen.
        problem: String,
        /// Whether that is why mcpgate gave it up: an end of the process came after it.
        is_cause: bool,
        /// How the process ended, if it did.
        status: Option<ExitStatus>,
        /// The end of its output; `None` for a server that the user started.
        tail: Option<String>,
    },
    /// The time did not suffice.
    OutOfTime {
        /// What was given up: round or soak, and scenario.
        place: String,
    },
    /// Not in the first round: the server could be started before.
    Later {
        /// The round or soak.
        place: String,
        /// What happened.
        failure: Box<Self>,
    },
}

impl RunFailure {
    /// The same, said to have happened in a later round or soak.
    #[must_use]
    pub fn later(self, place: String) -> Self {
        match self {
            lost @ Self::Lost { .. } => lost.at(&place),
            Self::NobodyListens { url, problem } => Self::Lost {
                place,
                problem: format!("no server answers at {url} any more: {problem}"),
                is_cause: false,
                status: None,
                tail: None,
            },
            other => Self::Later {
                place,
                failure: Box::new(other),
            },
        }
    }

    /// The same with the round and scenario named.
    #[must_use]
    pub fn at(self, at: &str) -> Self {
        match self {
            Self::Lost {
                place,
                problem,
                is_cause,
                status,
                tail,
            } if place.is_empty() => Self::Lost {
                place: at.to_owned(),
                problem,
                is_cause,
                status,
                tail,
            },
            other => other,
        }
    }

    /// A loss seen by a call, to be completed by [`Self::at`].
    #[must_use]
    pub fn lost(error: &CallError) -> Self {
        Self::Lost {
            place: String::new(),
            problem: error.message.clone(),
            is_cause: matches!(error.kind, ErrorKind::TooLarge | ErrorKind::Malformed),
            status: None,
            tail: None,
        }
    }
}

/// How a process ended, in words that follow its name.
pub(super) fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Advice where a process ended well: most often it left its server in the background.
fn in_the_foreground(status: ExitStatus) -> &'static str {
    if status.success() {
        "; the process that the command starts must stay as long as the server: keep it in the \
         foreground"
    } else {
        ""
    }
}

fn with_tail(text: &str, tail: &str) -> String {
    if tail.trim().is_empty() {
        format!("{text}\n  it wrote no output that could say more")
    } else {
        let lines: Vec<_> = tail.lines().map(|line| format!("  | {line}")).collect();
        format!("{text}\n  the end of its output:\n{}", lines.join("\n"))
    }
}

impl std::fmt::Display for RunFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match self {
            Self::Start(error) => error.to_string(),
            Self::Target(problem) => problem.clone(),
            Self::Hook {
                name,
                problem,
                tail,
            } => with_tail(&format!("the {name} hook failed: {problem}"), tail),
            Self::Exited {
                status,
                after,
                tail,
            } => with_tail(
                &format!(
                    "the server {} before it answered the protocol, {} ms after its start{}",
                    ended(*status),
                    after.as_millis(),
                    in_the_foreground(*status)
                ),
                tail,
            ),
            Self::NeverReady { waited, last, tail } => with_tail(
                &format!(
                    "the server did not get ready within {} ({last}); if it needs longer, set startup-timeout in [server]",
                    humantime::format_duration(*waited)
                ),
                tail,
            ),
            Self::Handshake { problem, tail } => with_tail(
                &format!("the server answered, but the handshake failed: {problem}"),
                tail,
            ),
            Self::NobodyListens { url, problem } => format!(
                "no server answers at {url}: {problem}; start it first, or give its command so that mcpgate starts it"
            ),
            Self::Lost {
                place,
                problem,
                is_cause,
                status,
                tail,
            } => {
                let how = match status {
                    Some(status) if *is_cause => format!(
                        "the server was lost during {place}: {problem}; then it {}",
                        ended(*status)
                    ),
                    Some(status) => format!(
                        "the server {} during {place}{}",
                        ended(*status),
                        in_the_foreground(*status)
                    ),
                    None => format!("the server was lost during {place}: {problem}"),
                };
                match tail {
                    Some(tail) => with_tail(&how, tail),
                    None => format!("{how}\n  you started it: its own output may say why"),
                }
            }
            Self::OutOfTime { place } => format!(
                "max-time was used up during {place}\n  raise max-time in [suite] (or --max-time), or \
                 call slow tools less by `calls`"
            ),
            Self::Later { place, failure } => format!("{place}: {failure}"),
        };
        f.write_str(&text)
    }
}

impl std::error::Error for RunFailure {}

impl From<RunFailure> for Error {
    fn from(failure: RunFailure) -> Self {
        Self::NotMeasured(failure.to_string())
    }
}
