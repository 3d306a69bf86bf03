//! The top-level error and the exit codes, which are a documented promise.

use std::path::PathBuf;

/// Exit codes of the `mcpgate` command.
pub mod exit_code {
    /// Pass or improved.
    pub const OK: u8 = 0;
    /// Regressed, or a budget broken.
    pub const REGRESSED: u8 = 1;
    /// Usage, configuration or baseline file.
    pub const USAGE: u8 = 2;
    /// Could not measure: the server did not start, or nothing ran.
    pub const NOT_MEASURED: u8 = 3;
    /// Inconclusive, only where the policy says `inconclusive = "fail"`.
    pub const INCONCLUSIVE: u8 = 4;
    /// A report could not be delivered though it was required.
    pub const NOT_DELIVERED: u8 = 5;

    /// Each with its meaning, as the documents and `mcpgate --help` have it.
    pub const ALL: [(u8, &str); 6] = [
        (OK, "pass or improved"),
        (
            REGRESSED,
            "regressed, a budget broken, or a scenario that failed or vanished",
        ),
        (USAGE, "usage, configuration or baseline file"),
        (
            NOT_MEASURED,
            "could not measure: the server did not start, was lost, or nothing ran",
        ),
        (
            INCONCLUSIVE,
            "inconclusive, only with `inconclusive = \"fail\"` in `[gate]`",
        ),
        (
            NOT_DELIVERED,
            "a report or results file could not be written",
        ),
    ];
}

/// Everything that ends a verb early. The text says what happened, where, and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Wrong use of the command line beyond what the parser sees.
    #[error("{0}")]
    Usage(String),
    /// Mistakes in a configuration file, rendered with their places.
    #[error("{rendered}")]
    Config {
        /// All mistakes, each with line, column and caret.
        rendered: String,
    },
    /// A results or baseline file that cannot be used.
    #[error("{}: {problem}", path.display())]
    ResultsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A refused baseline update: every objection.
    #[error("the baseline was not updated:\n{}\nto accept these results all the same, add --force; what it overrode is written into the baseline", objections.iter().map(|o| format!("  - {o}")).collect::<Vec<_>>().join("\n"))]
    BaselineRefused {
        /// Every objection, in words.
        objections: Vec<String>,
    },
    /// The server could not be measured.
    #[error("{0}")]
    NotMeasured(String),
    /// A file could not be written or a report not delivered.
    #[error("{}: cannot be written: {source}", path.display())]
    NotDelivered {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// The exit code of this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::Config { .. }
            | Self::ResultsFile { .. }
            | Self::BaselineRefused { .. } => exit_code::USAGE,
            Self::NotMeasured(_) => exit_code::NOT_MEASURED,
            Self::NotDelivered { .. } => exit_code::NOT_DELIVERED,
        }
    }
}
