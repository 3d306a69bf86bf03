//! What the GitHub Action `github-action-benchmark` reads with `tool: customSmallerIsBetter`: a list
//! of named figures, of which smaller ones are better. A team that has a chart keeps it.

use serde::Serialize;

use super::{
    Report, escape, figure,
    line::Line,
    measured::{Measured, measured},
};
use crate::gate::{Metric, Unit};

/// One figure. Its name is the key under which the action finds the same figure of earlier commits, and
/// its unit is part of no key: both must stay as they are from one version to the next.
#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    unit: &'static str,
    value: f64,
    /// The lowest and the highest round, in the same unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    /// Shown beside the point of the chart.
    extra: String,
}

/// The figures of the run as an array of `name`, `unit`, `value`, `range` and `extra`. What is better
/// when it is larger is left out, since the action has one direction a file, and so is what is nought in a
/// good run.
///
/// # Errors
/// Does not fail in practice: every key is a string. The signature is serde_json's.
pub fn benchmark(report: &Report<'_>) -> Result<String, serde_json::Error> {
    let commit = report
        .candidate
        .jobs
        .last()
        .and_then(|job| job.commit.as_deref())
        .map(|commit| Line::own(", commit ").name(commit).plain())
        .unwrap_or_default();
    let figures: Vec<Figure> = measured(report.candidate)
        .iter()
        .filter(|measured| !measured.metric.more_is_better() && !is_often_nought(measured.metric))
        .map(|measured| of(measured, &commit))
        .collect();
    let mut text = serde_json::to_string_pretty(&figures)?;
    text.push('\n');
    Ok(text)
}

/// The action divides by the figure before, and by nought any growth is endless.
fn is_often_nought(metric: Metric) -> bool {
    matches!(metric, Metric::ErrorRate | Metric::MemoryGrowth)
}

fn of(measured: &Measured<'_>, commit: &str) -> Figure {
    let (unit, scale) = unit(measured.metric);
    let scaled = |value: f64| rounded((value / scale).max(0.0));
    Figure {
        // The action puts names between back-ticks, in a table.
        name: escape::code(&format!(
            "{} · {}",
            escape::whole_name(measured.scenario),
            measured.metric.name()
        )),
        unit,
        value: scaled(measured.value),
        range: measured
            .range
            .map(|(low, high)| format!("{} to {}", scaled(low), scaled(high))),
        extra: format!("median of {}{commit}", rounds(measured)),
    }
}

fn rounds(measured: &Measured<'_>) -> String {
    figure::count(measured.rounds, "round")
}

fn unit(metric: Metric) -> (&'static str, f64) {
    match metric.unit() {
        Unit::Nanoseconds => ("ms", 1e6),
        Unit::Bytes => ("MB", 1e6),
        Unit::BytesPer1000Calls => ("MB per 1,000 calls", 1e6),
        Unit::CallsPerSecond => ("calls/s", 1.0),
        Unit::Fraction => ("%", 0.01),
    }
}

/// To six digits behind the point: nanoseconds and bytes of what is in ms and MB.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
