//! Workflow commands and step outputs: text that GitHub's runner acts on, so that foreign text
//! gets into it only escaped. Pure.

use std::fmt::Write as _;

/// How loud an annotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Red.
    Error,
    /// Yellow.
    Warning,
    /// Grey.
    Notice,
}

/// A remark on a line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// How loud.
    pub level: Level,
    /// Path from the repository's root, and the line (from 1); none for the job as a whole.
    pub place: Option<(String, u32)>,
    /// In one short line.
    pub title: String,
    /// The rest.
    pub message: String,
}

impl Annotation {
    /// The workflow command, one line without its end.
    #[must_use]
    pub fn to_command(&self) -> String {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Notice => "notice",
        };
        let mut command = format!("::{level} ");
        if let Some((file, line)) = &self.place {
            let _ = write!(command, "file={},line={line},", property(file));
        }
        let _ = write!(
            command,
            "title={}::{}",
            property(&self.title),
            data(&self.message)
        );
        command
    }
}

/// As GitHub's own toolkit escapes the message of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// As GitHub's own toolkit escapes a property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// One output as it is appended to the file that GITHUB_OUTPUT names.
///
/// `nonce` must be one that nobody could know when `value` was made: a line of `value` that is
/// equal to the delimiter would end it and begin outputs of its own choice.
#[must_use]
pub fn output(name: &str, value: &str, nonce: &str) -> String {
    let mut delimiter = format!("mcpgate-{nonce}");
    while value.contains(&delimiter) {
        delimiter.push('-');
    }
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_line_whatever_it_says() {
        let annotation = Annotation {
            level: Level::Error,
            place: Some(("a,b:c%\n.toml".to_owned(), 7)),
            title: "x::y, z\r\n::set-output".to_owned(),
            message: "100 %\n::warning::no".to_owned(),
        };
        assert_eq!(
            annotation.to_command(),
            "::error file=a%2Cb%3Ac%25%0A.toml,line=7,title=x%3A%3Ay%2C z%0D%0A%3A%3Aset-output\
             ::100 %25%0A::warning::no"
        );
        let plain = Annotation {
            level: Level::Notice,
            place: None,
            title: "t".to_owned(),
            message: "m".to_owned(),
        };
        assert_eq!(plain.to_command(), "::notice title=t::m");
    }

    #[test]
    fn an_output_cannot_end_itself() {
        assert_eq!(
            output("verdict", "pass", "n"),
            "verdict<<mcpgate-n\npass\nmcpgate-n\n"
        );
        let text = output("v", "mcpgate-n\nexit-code=0", "n");
        assert_eq!(text, "v<<mcpgate-n-\nmcpgate-n\nexit-code=0\nmcpgate-n-\n");
    }
}
