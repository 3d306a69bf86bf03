//! Options that several verbs share, and how their output is shown.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};

use crate::{environment, error::Error, report::TextStyle};

/// Where results go unless another place is named.
pub(super) const RESULTS: &str = crate::report::USUAL_RESULTS;

/// What is measured, and how much.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Measuring {
    /// Configuration file; without it, `mcpgate.toml` if there is one.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the results go.
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = RESULTS
    )]
    pub output: PathBuf,
    /// Where every single latency goes, besides: a line of JSON for each scenario and round.
    #[arg(long, value_name = "FILE")]
    pub samples: Option<PathBuf>,
    /// URL of the server: with a command, where it listens (`{port}`: a free port); alone, a server
    /// that you started.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Process of a server that you started, for its memory.
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// How much is measured: quick is 5 rounds without a soak, standard 10, deep 20 longer ones.
    #[arg(long, value_name = "SIZE", value_enum)]
    pub suite: Option<Size>,
    /// Only this tool; may be given several times.
    #[arg(long = "tool", value_name = "NAME")]
    pub tools: Vec<String>,
    /// Rounds, each with a fresh server.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub rounds: Option<u32>,
    /// Seed of everything random.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How long the whole run may measure, such as `90s`.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub max_time: Option<Duration>,
    /// No progress.
    #[arg(short, long)]
    pub quiet: bool,
    /// Command of the server, after `--`.
    #[arg(last = true, value_name = "SERVER COMMAND")]
    pub command: Vec<String>,
}

impl Measuring {
    /// The files that a run writes besides its reports.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let samples = self.samples.as_deref();
        std::iter::once(self.output.as_path()).chain(samples)
    }
}

/// `--suite`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Size {
    Quick,
    Standard,
    Deep,
}

/// `--format` of what is no judgement of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    Text,
    Json,
    Markdown,
}

/// The style of text on standard output.
pub(super) fn style(verbose: bool) -> TextStyle {
    let stdout = std::io::stdout();
    let width = rustix::termios::tcgetwinsize(&stdout)
        .ok()
        .map(|size| size.ws_col)
        .filter(|columns| *columns > 0);
    let is_terminal = stdout.is_terminal();
    TextStyle {
        color: anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never,
        width: width.filter(|_| is_terminal),
        ascii: is_terminal && !environment::terminal_shows_unicode(),
        verbose,
    }
}

/// The name that `word` was probably meant to be.
pub(super) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    names
        .map(|name| (strsim::jaro_winkler(&word, &name.to_lowercase()), name))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// A report that could not be made is one that was not delivered.
pub(super) fn made<E: Into<std::io::Error>>(text: Result<String, E>) -> Result<String, Error> {
    text.map_err(|error| Error::NotDelivered {
        path: PathBuf::from("the report"),
        source: error.into(),
    })
}

/// Prints a report to standard output. A reader that went away is no error.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| {
            if text.ends_with('\n') {
                Ok(())
            } else {
                stdout.write_all(b"\n")
            }
        })
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::NotDelivered {
            path: PathBuf::from("standard output"),
            source: error,
        }),
        _ => Ok(()),
    }
}

/// Prints a line to standard error.
pub(super) fn say(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Prints a question to standard error; the answer goes on its line.
pub(super) fn ask(text: &str) {
    let mut stderr = anstream::stderr().lock();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

/// Prints an error to standard error, its first word coloured.
pub(super) fn print_error(error: &Error) {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    say(&match error {
        Error::Config { rendered } => rendered.trim_end().to_owned(),
        other => format!("{style}error:{style:#} {other}"),
    });
}
