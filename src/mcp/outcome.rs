//! The kinds of unsuccessful calls.

use std::{borrow::Cow, fmt};

use crate::suite::visible::{is_mark, is_seen};

/// Why a call did not count. The names are those of `errors` in the results file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The tool answered with `isError: true`.
    ToolError,
    /// The server answered with a JSON-RPC `error`.
    ProtocolError,
    /// An HTTP status outside 2xx.
    Http(u16),
    /// No complete answer in time.
    Timeout,
    /// The connection was refused.
    Refused,
    /// No encrypted connection came about: the certificate was not good, or the server does not
    /// encrypt.
    Tls,
    /// The connection was reset, or ended inside an answer.
    Reset,
    /// The server closed its output, or ended.
    Closed,
    /// The answer came under another id, or did not hold what was expected.
    WrongAnswer,
    /// The server asked for more input instead of answering (`resultType: input_required`).
    InputRequired,
    /// The answer was larger than the limit.
    TooLarge,
    /// The answer was not a JSON-RPC message, or not a result of the right shape.
    Malformed,
}

impl ErrorKind {
    /// The name used in files and reports.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::ToolError => "tool-error",
            Self::ProtocolError => "protocol-error",
            Self::Http(status) => return Cow::Owned(format!("http-{status}")),
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::WrongAnswer => "wrong-answer",
            Self::InputRequired => "input-required",
            Self::TooLarge => "too-large",
            Self::Malformed => "malformed",
        })
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// An unsuccessful call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct CallError {
    /// Its kind.
    pub kind: ErrorKind,
    /// What was said, printable and at most [`EXCERPT_CHARS`] characters of the server's own.
    pub message: String,
    /// Revisions that the server says it speaks, where it refused the one it was asked in.
    pub versions: Vec<String>,
}

impl CallError {
    /// An error with a message of our own words.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            versions: Vec::new(),
        }
    }

    /// The same of a server that speaks these revisions.
    #[must_use]
    pub fn speaking(self, versions: Vec<String>) -> Self {
        Self { versions, ..self }
    }
}

/// Answers that nobody asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strays {
    /// How many.
    pub count: u32,
    /// The first one, in words.
    pub sample: String,
}

impl Strays {
    /// Counts one.
    pub fn add(&mut self, sample: String) {
        if self.count == 0 {
            self.sample = sample;
        }
        self.count = self.count.saturating_add(1);
    }
}

/// How much of a server's text goes into a message.
pub const EXCERPT_CHARS: usize = 300;

/// The start of a server's text on one line: what is not seen as spaces or escapes, cut at
/// [`EXCERPT_CHARS`].
#[must_use]
pub fn excerpt(text: &str) -> String {
    let mut out = String::new();
    let mut left = EXCERPT_CHARS;
    for c in text.trim().chars() {
        let shown = match c {
            '\n' | '\r' | '\t' => " ".to_owned(),
            c if !is_seen(c) && !is_mark(c) => c.escape_unicode().to_string(),
            c => c.to_string(),
        };
        let Some(rest) = left.checked_sub(shown.chars().count()) else {
            out.push('…');
            break;
        };
        left = rest;
        out.push_str(&shown);
    }
    out
}

/// [`excerpt`] of bytes that may not be text.
#[must_use]
pub fn excerpt_bytes(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(4 * EXCERPT_CHARS + 4)];
    excerpt(&String::from_utf8_lossy(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_printable() {
        for (text, expected) in [
            (" a\r\nb\tc ", "a  b c".to_owned()),
            ("\u{1b}[31m", "\\u{1b}[31m".to_owned()),
            (&"x".repeat(EXCERPT_CHARS), "x".repeat(EXCERPT_CHARS)),
            (
                &"ü".repeat(EXCERPT_CHARS + 1),
                format!("{}…", "ü".repeat(EXCERPT_CHARS)),
            ),
            // Found by the fuzzer of messages: escapes are longer than what they stand for.
            (
                &"\0".repeat(EXCERPT_CHARS),
                format!("{}…", "\\u{0}".repeat(EXCERPT_CHARS / 5)),
            ),
        ] {
            assert_eq!(excerpt(text), expected, "{text:?}");
        }
    }
}
