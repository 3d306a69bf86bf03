//! A judgement or results as text, Markdown, HTML, JSON, JUnit XML or CSV. Pure.
//!
//! Everything to be said is worked out once, in `model::View` and
//! `run_model::RunView`; a format is one small file that only lays it out.
//!
//! | file | what it holds |
//! |---|---|
//! | `model.rs` | the rows of a judgement, by verdict |
//! | `overview.rs`, `bar.rs` | a line for each scenario; its interval as a bar |
//! | `details.rs` | budgets, findings, errors |
//! | `headline.rs` | the first lines: what broke, by how much, what to do |
//! | `accept_entry.rs` | what to add to the configuration for what got worse on purpose |
//! | `calibration.rs` | comparisons of a server with itself |
//! | `chart.rs` | the rounds behind the first cause, as a picture |
//! | `provenance.rs` | what was compared with what, on which machine, how closely |
//! | `run_model.rs` | the rows of results without a judgement |
//! | `load_model.rs` | the rows of loads |
//! | `slow_drift.rs` | what the history shows to have grown by little at a time |
//! | `trend.rs`, `trend_text.rs`, `trend_markdown.rs`, `trend_json.rs`, `trend_plot.rs` | the history: its rows, and their formats |
//! | `remarks.rs` | what failed, one remark a tool |
//! | `line.rs`, `escape.rs`, `figure.rs` | sentences, foreign text, figures with units |
//! | `first_steps.rs` | what `init` and `doctor` found |
//! | `measured.rs` | the figures of results as numbers |
//! | `html.rs`, `html/` | a page with plots, as one file |
//! | `text.rs`, `overview_text.rs`, `run_text.rs`, `load_text.rs`, `markdown.rs`, `run_markdown.rs`, `load_markdown.rs`, `json.rs`, `junit.rs`, `csv.rs`, `benchmark.rs` | the formats |

mod accept_entry;
mod bar;
mod benchmark;
mod calibration;
mod chart;
mod csv;
mod details;
mod escape;
mod figure;
mod first_steps;
mod headline;
mod html;
mod json;
mod junit;
mod layout;
mod line;
mod load_markdown;
mod load_model;
mod load_text;
mod markdown;
mod markdown_table;
mod measured;
mod model;
mod overview;
mod overview_text;
#[cfg(test)]
mod properties;
mod provenance;
mod remarks;
mod run_markdown;
mod run_model;
mod run_text;
mod slow_drift;
#[cfg(test)]
mod test_diagnoses;
#[cfg(test)]
mod test_loads;
#[cfg(test)]
mod test_results;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_for_programs;
mod text;
mod trend;
mod trend_json;
mod trend_markdown;
mod trend_plot;
#[cfg(test)]
mod trend_tests;
mod trend_text;

use std::time::Duration;

pub use benchmark::benchmark;
pub use calibration::{calibration_markdown, calibration_text};
pub use csv::csv;
pub use first_steps::{Check, CheckState, Tried, TriedTool, Written, checks, first_calls, written};
pub use html::{calibration_html, html, run_html};
pub use json::{JSON_SCHEMA_VERSION, json};
pub use junit::junit;
pub use markdown::{MARKDOWN_LIMIT_BYTES, failure_markdown, markdown, whole_markdown};
pub use remarks::{Remark, remarks};
pub use run_markdown::run_markdown;
pub use run_text::run_text;
pub use text::text;
pub use trend::TrendReport;
pub use trend_json::trend_json;
pub use trend_markdown::trend_markdown;
pub use trend_plot::{MOST_PANELS, trend_plot};
pub use trend_text::trend_text;

use crate::{
    gate::{Judgement, Unit},
    history::SlowDrift,
    results::{Results, Sample},
};

/// Foreign prose for a sentence in Markdown.
#[must_use]
pub fn prose(text: &str) -> String {
    escape::markdown_prose(text)
}

/// What one scenario gave in one round, while the run goes on: `p95 1.20 ms, 812/s`.
#[must_use]
pub fn sample_in_words(sample: &Sample) -> String {
    let Some(wall) = sample.wall else {
        return "no successful call".to_owned();
    };
    let (name, ns) = match wall.p95_ns {
        Some(p95_ns) => ("p95", p95_ns),
        None => ("p50", wall.p50_ns),
    };
    let time = figure::figure(ns as f64, Unit::Nanoseconds);
    let rate = figure::figure(sample.throughput_per_s(), Unit::CallsPerSecond);
    format!("{name} {time}, {rate}").replace(figure::GAP, " ")
}

/// Everything a report is made of; the same for every format.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// What was measured now.
    pub candidate: &'a Results,
    /// What it was compared with; `None` on first use, when there is no baseline yet.
    pub base: Option<&'a Results>,
    /// What the gate made of it.
    pub judgement: &'a Judgement,
    /// How far it has come from the committed baseline, where another server decides.
    pub drift: Option<Drift<'a>>,
    /// What only the caller knows.
    pub context: Context,
}

/// What is shown beside what decides: the comparison with the committed baseline.
#[derive(Debug, Clone)]
pub struct Drift<'a> {
    /// The committed baseline.
    pub baseline: &'a Results,
    /// What the gate made of the comparison with it.
    pub judgement: &'a Judgement,
    /// Where it is, as the reader would name it.
    pub path: Option<String>,
}

/// What a report says beyond results and judgement.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// A command line that repeats the comparison on a developer's machine.
    pub command_to_reproduce: Option<String>,
    /// Where the candidate's results file is, as the reader would name it.
    pub results_path: Option<String>,
    /// Where the file of what it was compared with is, as the reader would name it.
    pub baseline_path: Option<String>,
    /// What the base is called, where it was measured in turn with the candidate.
    pub against: Option<String>,
    /// The exit code, where it is not the judgement's: of a run that ended early.
    pub exit_code: Option<u8>,
    /// How long measuring took.
    pub duration: Option<Duration>,
    /// Tells the comments of several servers in one repository apart.
    pub key: Option<String>,
    /// What the history shows to have grown by little at a time, up to the candidate's run.
    pub slow_drifts: Vec<SlowDrift>,
    /// Where a regression is accepted, if another commit's baseline decides; `None` where the
    /// baseline at hand does.
    pub accept_in: Option<AcceptIn>,
}

/// Where results are unless another place is named.
pub const USUAL_RESULTS: &str = "mcpgate-results.json";
/// Where the baseline is, beside the configuration, unless another place is named.
pub const USUAL_BASELINE: &str = "baselines/perf-baseline.json";

/// How long a regression is proposed to be accepted for: by then the baseline has moved, or the
/// change was forgotten.
pub const DAYS_TO_ACCEPT: u64 = 60;

/// Where and until when a regression would be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptIn {
    /// The configuration, as the reader would name it.
    pub config_path: String,
    /// A day to propose, `YYYY-MM-DD`.
    pub until: String,
}

/// What the base is to a reader: a stored one, or one that was measured in turn.
fn base_name(report: &Report<'_>) -> &'static str {
    match report.context.against {
        Some(_) => "base",
        None => "baseline",
    }
}

/// How text is laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextStyle {
    /// Whether to colour with ANSI escapes.
    pub color: bool,
    /// Columns of the terminal; `None` where the output is not one: lines are then not wrapped.
    pub width: Option<u16>,
    /// Whether nothing but ASCII can be shown.
    pub ascii: bool,
    /// Whether to list also what did not change, and the details.
    pub verbose: bool,
}
