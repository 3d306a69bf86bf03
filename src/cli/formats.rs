//! Forms of a report: what `--format` prints and `--report` writes.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::options;
use crate::{
    error::{Error, exit_code},
    report::{self, Report, TextStyle},
    store,
};

/// `--format`. A new one is a variant here and its row in [`Format::row`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For a terminal or a log.
    Text,
    /// Everything, stable and versioned, for programs.
    Json,
    /// For a pull-request comment.
    Markdown,
    /// One page with plots that loads nothing.
    Html,
    /// JUnit XML, for CI servers.
    Junit,
    /// A row for each scenario and metric, for spreadsheets.
    Csv,
    /// What the action github-action-benchmark reads (customSmallerIsBetter).
    Benchmark,
}

/// Makes the text of a report.
type Render = fn(&Report<'_>, Kind, TextStyle) -> Result<String, Error>;

impl Format {
    /// The ending of files that are meant to be of this format, and what makes it. An empty ending is
    /// none: such a format must be named.
    fn row(self) -> (&'static str, Render) {
        match self {
            Self::Text => ("txt", |report, kind, style| Ok(kind.text(report, style))),
            Self::Json => ("json", |report, _, _| options::made(report::json(report))),
            Self::Markdown => ("md", |report, kind, _| Ok(kind.markdown(report))),
            Self::Html => ("html", |report, kind, _| Ok(kind.html(report))),
            Self::Junit => ("xml", |report, _, _| options::made(report::junit(report))),
            Self::Csv => ("csv", |report, _, _| options::made(report::csv(report))),
            Self::Benchmark => ("", |report, _, _| options::made(report::benchmark(report))),
        }
    }

    fn of_ending(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        let mut all = Self::value_variants().iter().copied();
        all.find(|format| format.row().0 == ending)
    }
}

/// What is reported on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What one run measured.
    Run,
    /// A judgement, also where there was no baseline.
    Comparison,
}

impl Kind {
    fn text(self, report: &Report<'_>, style: TextStyle) -> String {
        match self {
            Self::Run => report::run_text(report.candidate, Some(report.judgement), style),
            Self::Comparison => report::text(report, style),
        }
    }

    fn markdown(self, report: &Report<'_>) -> String {
        match self {
            Self::Run => report::run_markdown(report.candidate, Some(report.judgement)),
            Self::Comparison => report::markdown(report),
        }
    }

    fn html(self, report: &Report<'_>) -> String {
        match self {
            Self::Run => report::run_html(report),
            Self::Comparison => report::html(report),
        }
    }
}

/// How a report is printed, and where else it goes.
#[derive(Debug, Clone, Args)]
pub(super) struct Printing {
    /// Form of the report on standard output.
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Another report into a file, besides; may be given several times. The file's ending tells the
    /// form (.txt, .json, .md, .html, .xml for junit, .csv), or a prefix: `benchmark=bench.json`.
    #[arg(long = "report", value_name = "[FORMAT=]FILE", value_parser = parse_file)]
    reports: Vec<ReportFile>,
    /// Every row, also those that are as they should be.
    #[arg(short, long)]
    verbose: bool,
}

/// One `--report`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ReportFile {
    format: Format,
    path: PathBuf,
}

fn parse_file(text: &str) -> Result<ReportFile, String> {
    let named = text.split_once('=').filter(|(name, _)| is_word(name));
    let (format, path) = match named {
        Some((name, path)) => {
            let format = Format::from_str(name, true).map_err(|_| unknown(name))?;
            (format, path)
        }
        None => {
            let format = Format::of_ending(Path::new(text)).ok_or_else(|| {
                format!(
                    "the ending does not tell the form of the report; write it before: \
                     junit={text} ({})",
                    names().join(", ")
                )
            })?;
            (format, text)
        }
    };
    if path.is_empty() {
        return Err("a file must be named".to_owned());
    }
    let path = PathBuf::from(path);
    Ok(ReportFile { format, path })
}

/// `false` for the beginning of a path: what stands before `=` there is no format.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn unknown(name: &str) -> String {
    let names = names();
    let meant = options::nearest(name, names.iter().map(String::as_str))
        .map_or_else(|| ".".to_owned(), |near| format!("; did you mean {near}?"));
    format!(
        "there is no form `{name}`{meant} Known: {} (a file whose name has a = is written ./{name}=...)",
        names.join(", ")
    )
}

fn names() -> Vec<String> {
    let values = Format::value_variants().iter();
    values
        .filter_map(|format| Some(format.to_possible_value()?.get_name().to_owned()))
        .collect()
}

impl Printing {
    /// Refuses files that would overwrite each other or what is in `taken`.
    pub(super) fn check<'a>(&self, taken: impl IntoIterator<Item = &'a Path>) -> Result<(), Error> {
        // However a path is spelled, as far as that can be told without the files being there.
        let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut taken: Vec<PathBuf> = taken.into_iter().map(whole).collect();
        for file in &self.reports {
            // Devices and pipes take any number of reports.
            let is_file = !file.path.exists() || file.path.is_file();
            let path = whole(&file.path);
            if is_file && taken.contains(&path) {
                return Err(Error::Usage(format!(
                    "--report {}: another file of this run goes there: give each its own",
                    file.path.display()
                )));
            }
            taken.push(path);
        }
        Ok(())
    }

    /// Writes the files, then prints; returns the exit code that `judged` becomes. What cannot be
    /// written is told, and keeps nothing else from being written.
    pub(super) fn deliver(&self, report: &Report<'_>, kind: Kind, judged: u8) -> Result<u8, Error> {
        let plain = TextStyle {
            verbose: self.verbose,
            ..TextStyle::default()
        };
        let mut problems = Vec::new();
        for ReportFile { format, path } in &self.reports {
            let written = format.row().1(report, kind, plain)
                .and_then(|text| store::write_atomic(path, text.as_bytes()));
            problems.extend(written.err());
        }
        let printed = self.format.row().1(report, kind, options::style(self.verbose))
            .and_then(|text| options::print(&text));
        problems.extend(printed.err());
        let Some(last) = problems.pop() else {
            return Ok(judged);
        };
        for problem in &problems {
            options::print_error(problem);
        }
        if judged == exit_code::OK {
            return Err(last);
        }
        // Documented: what was found beats what could not be written.
        options::print_error(&last);
        Ok(judged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_file_names_its_form_by_its_ending_or_before_it() {
        let table = [
            ("a.json", Format::Json, "a.json"),
            ("a.MD", Format::Markdown, "a.MD"),
            ("dir/junit.xml", Format::Junit, "dir/junit.xml"),
            ("a.csv", Format::Csv, "a.csv"),
            ("a.txt", Format::Text, "a.txt"),
            ("benchmark=a.json", Format::Benchmark, "a.json"),
            ("JUNIT=a", Format::Junit, "a"),
            ("./a=b.csv", Format::Csv, "./a=b.csv"),
            ("text=b=c", Format::Text, "b=c"),
            ("junit=/dev/stdout", Format::Junit, "/dev/stdout"),
        ];
        for (text, format, path) in table {
            let path = PathBuf::from(path);
            assert_eq!(parse_file(text), Ok(ReportFile { format, path }), "{text}");
        }
        for (text, expected) in [
            ("report", "the ending does not tell the form"),
            ("a.exe", "junit=a.exe (text, json, markdown"),
            ("junti=a.xml", "did you mean junit?"),
            ("junit=", "a file must be named"),
        ] {
            let error = parse_file(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn every_ending_belongs_to_one_format() {
        let mut endings: Vec<&str> = Format::value_variants()
            .iter()
            .map(|format| format.row().0)
            .filter(|ending| !ending.is_empty())
            .collect();
        let all = endings.len();
        endings.sort_unstable();
        endings.dedup();
        assert_eq!(endings.len(), all);
    }

    #[test]
    fn every_format_is_described() {
        let page = include_str!("../../docs/reports.md");
        for (name, format) in names().iter().zip(Format::value_variants()) {
            let ending = match format.row().0 {
                "" => format!("none: `{name}=FILE`"),
                ending => format!("`.{ending}`"),
            };
            assert!(page.contains(&format!("| `{name}` | {ending} |")), "{name}");
        }
    }
}
