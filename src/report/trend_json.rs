//! The history as JSON.

use serde::Serialize;

use super::trend::TrendReport;
use crate::history::{Fault, Machine, MachineChange, Series};

/// Version of this form. It grows when a field is removed or changes its meaning; a new field may
/// come without.
const SCHEMA_VERSION: u32 = 1;

/// Names are exact here: a consumer that shows them must escape them. Figures are nanoseconds, bytes,
/// calls a second, or bytes per 1,000 calls.
#[derive(Serialize)]
struct JsonTrend<'a> {
    schema_version: u32,
    mcpgate_version: &'static str,
    history: &'a str,
    runs: usize,
    commits: usize,
    machines: &'a [Machine],
    machine_changes: &'a [MachineChange],
    series: Vec<&'a Series>,
    /// Lines of the file that no run could be read from.
    faults: Vec<JsonFault<'a>>,
}

#[derive(Serialize)]
struct JsonFault<'a> {
    line: usize,
    problem: &'a str,
}

/// The history as indented JSON with a final line break.
///
/// # Errors
/// Does not fail in practice: every key is a string. The signature is serde_json's.
pub fn trend_json(report: &TrendReport<'_>, faults: &[Fault]) -> Result<String, serde_json::Error> {
    let trend = report.trend;
    let mut text = serde_json::to_string_pretty(&JsonTrend {
        schema_version: SCHEMA_VERSION,
        mcpgate_version: env!("CARGO_PKG_VERSION"),
        history: &report.path,
        runs: trend.runs,
        commits: report.commits,
        machines: &trend.machines,
        machine_changes: &trend.machine_changes,
        series: report.series().collect(),
        faults: faults
            .iter()
            .map(|fault| JsonFault {
                line: fault.line,
                problem: &fault.problem,
            })
            .collect(),
    })?;
    text.push('\n');
    Ok(text)
}
