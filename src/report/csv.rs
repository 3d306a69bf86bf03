//! A row for each scenario and metric, as CSV (RFC 4180): for spreadsheets and scripts.

use std::io;

use csv::{QuoteStyle, WriterBuilder};

use super::{
    Report, escape,
    measured::{Measured, measured},
    model::word,
};
use crate::gate::{Comparison, Metric, Role, Unit};

/// Figures of one unit have columns of their own, so that a column can be sorted, plotted and summed.
/// Each is there twice: of the base, and of this run.
const UNITS: [&str; 5] = [
    "ms",
    "bytes",
    "bytes_per_1000_calls",
    "calls_per_second",
    "fraction",
];

/// One row, before its figures go to the columns of their unit.
struct Row<'a> {
    scenario: &'a str,
    tool: Option<&'a str>,
    metric: Metric,
    role: &'static str,
    verdict: &'static str,
    ratio: Option<f64>,
    interval: (Option<f64>, Option<f64>),
    tolerance: Option<f64>,
    base: Option<f64>,
    now: Option<f64>,
    rounds: (Option<usize>, usize),
    reason: &'a str,
}

/// Comparisons, or where nothing was compared what was measured. Every text is quoted, and none of a
/// server's begins a formula.
///
/// # Errors
/// Does not fail in practice: it is written into memory. The signature is that of the `csv` crate.
pub fn csv(report: &Report<'_>) -> io::Result<String> {
    let mut writer = WriterBuilder::new()
        .quote_style(QuoteStyle::NonNumeric)
        .from_writer(Vec::new());
    writer.write_record(header())?;
    let comparisons = &report.judgement.comparisons;
    if comparisons.is_empty() {
        for figure in measured(report.candidate) {
            writer.write_record(cells(&of_figure(&figure)))?;
        }
    }
    for comparison in comparisons {
        writer.write_record(cells(&of_comparison(comparison)))?;
    }
    let bytes = writer
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn header() -> Vec<String> {
    let first = [
        "scenario",
        "tool",
        "metric",
        "role",
        "verdict",
        "ratio",
        "interval_low_ratio",
        "interval_high_ratio",
        "tolerance_fraction",
    ];
    let figures = UNITS
        .iter()
        .flat_map(|unit| ["base", "now"].map(|side| format!("{side}_{unit}")));
    let last = ["base_rounds", "now_rounds", "reason"];
    let own = |name: &&str| (*name).to_owned();
    first
        .iter()
        .map(own)
        .chain(figures)
        .chain(last.iter().map(own))
        .collect()
}

fn of_comparison(comparison: &Comparison) -> Row<'_> {
    Row {
        scenario: &comparison.scenario,
        tool: comparison.tool.as_deref(),
        metric: comparison.metric,
        role: match comparison.role {
            Role::Gates => "gates",
            Role::Guards => "guards",
            Role::Reported => "reported",
        },
        verdict: word(comparison.verdict),
        ratio: comparison.ratio,
        interval: (
            comparison.interval.map(|interval| interval.low),
            comparison.interval.map(|interval| interval.high),
        ),
        tolerance: Some(comparison.tolerance),
        base: comparison.base,
        now: comparison.candidate,
        rounds: (Some(comparison.base_rounds), comparison.candidate_rounds),
        reason: &comparison.reason,
    }
}

fn of_figure<'a>(figure: &Measured<'a>) -> Row<'a> {
    Row {
        scenario: figure.scenario,
        tool: figure.tool,
        metric: figure.metric,
        role: "",
        verdict: "",
        ratio: None,
        interval: (None, None),
        tolerance: None,
        base: None,
        now: Some(figure.value),
        rounds: (None, figure.rounds),
        reason: "",
    }
}

fn cells(row: &Row<'_>) -> Vec<String> {
    let name = |text: &str| escape::spreadsheet_cell(&escape::whole_name(text));
    let mut cells = vec![
        name(row.scenario),
        row.tool.map_or_else(String::new, name),
        row.metric.name().to_owned(),
        row.role.to_owned(),
        row.verdict.to_owned(),
        number(row.ratio),
        number(row.interval.0),
        number(row.interval.1),
        number(row.tolerance),
    ];
    let (column, scale) = match row.metric.unit() {
        Unit::Nanoseconds => (0, 1e6),
        Unit::Bytes => (1, 1.0),
        Unit::BytesPer1000Calls => (2, 1.0),
        Unit::CallsPerSecond => (3, 1.0),
        Unit::Fraction => (4, 1.0),
    };
    for index in 0..UNITS.len() {
        for value in [row.base, row.now] {
            let value = value.filter(|_| index == column);
            cells.push(number(value.map(|value| value / scale)));
        }
    }
    cells.push(row.rounds.0.map_or_else(String::new, |n| n.to_string()));
    cells.push(row.rounds.1.to_string());
    cells.push(escape::spreadsheet_cell(&escape::prose(row.reason)));
    cells
}

/// Empty where there is no number that a spreadsheet knows.
fn number(value: Option<f64>) -> String {
    value
        .filter(|value| value.is_finite())
        .map_or_else(String::new, |value| value.to_string())
}
