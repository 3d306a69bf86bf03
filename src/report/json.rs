//! A judgement as JSON: for `--format json`, stable and versioned.

use serde::Serialize;

use super::{
    Report, figure,
    headline::{self, Block},
    line::Line,
};
use crate::{
    gate::{BudgetCheck, Comparison, Diagnosed, Finding, Unit, Verdict},
    history::SlowDrift,
    results::{Environment, Results, ServerRecord},
};

/// Version of the JSON report. It grows when a field is removed or changes its meaning; a new
/// field may come without.
pub const JSON_SCHEMA_VERSION: u32 = 1;

/// The report. Names are exact here, as the server sent them: a consumer that shows them must
/// escape them.
#[derive(Debug, Serialize)]
struct JsonReport<'a> {
    schema_version: u32,
    mcpgate_version: &'static str,
    /// Regressed beats not-measured beats inconclusive beats improved beats pass.
    verdict: Verdict,
    /// What the process exits with.
    exit_code: u8,
    /// The verdict and its main reason, as the text report begins.
    headline: String,
    /// What to do, in order.
    next_steps: Vec<JsonStep<'a>>,
    /// Tells several servers of one repository apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    server: &'a ServerRecord,
    candidate: JsonArm<'a>,
    /// `null` where there was no baseline.
    base: Option<JsonArm<'a>>,
    /// What the base is called, where it was measured in turn with the candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<&'a str>,
    /// The comparison with the committed baseline, where another server decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<JsonDrift<'a>>,
    /// What the history shows to have grown by little at a time, largest first.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    slow_drifts: &'a [SlowDrift],
    comparisons: Vec<JsonComparison<'a>>,
    budgets: Vec<JsonBudget<'a>>,
    findings: &'a [Finding],
    /// Named failure modes; they explain, and never enter the verdict.
    diagnoses: &'a [Diagnosed],
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<f64>,
}

#[derive(Debug, Serialize)]
struct JsonDrift<'a> {
    verdict: Verdict,
    baseline: JsonArm<'a>,
    comparisons: Vec<JsonComparison<'a>>,
}

#[derive(Debug, Serialize)]
struct JsonStep<'a> {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct JsonArm<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    jobs: usize,
    rounds: usize,
    /// Of the newest job.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'a str>,
    /// Of the newest job; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<&'a str>,
    /// Why a job ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<&'a str>,
    /// Of the newest job.
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a Environment>,
}

#[derive(Debug, Serialize)]
struct JsonComparison<'a> {
    #[serde(flatten)]
    comparison: &'a Comparison,
    /// Unit of `base` and `candidate`.
    unit: &'static str,
}

#[derive(Debug, Serialize)]
struct JsonBudget<'a> {
    #[serde(flatten)]
    budget: &'a BudgetCheck,
    /// Unit of `limit` and `value`.
    unit: &'static str,
}

/// A judgement as indented JSON with a final line break.
///
/// # Errors
/// Does not fail in practice: every key is a string. The signature is serde_json's.
pub fn json(report: &Report<'_>) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&view(report))?;
    text.push('\n');
    Ok(text)
}

fn view<'a>(report: &'a Report<'a>) -> JsonReport<'a> {
    let judgement = report.judgement;
    let context = &report.context;
    let headline = headline::headline(report);
    let next_steps = headline::next_steps(report);
    JsonReport {
        schema_version: JSON_SCHEMA_VERSION,
        mcpgate_version: env!("CARGO_PKG_VERSION"),
        verdict: judgement.verdict,
        exit_code: context.exit_code.unwrap_or(judgement.exit_code),
        headline: plain(&Line::own(headline.word).then(": ").join(headline.reason)),
        next_steps: next_steps
            .iter()
            .map(|step| JsonStep {
                text: plain(&step.text),
                command: match step.block {
                    Some(Block::Command(_)) => context.command_to_reproduce.as_deref(),
                    _ => None,
                },
            })
            .collect(),
        key: context.key.as_deref(),
        server: &report.candidate.server,
        candidate: arm(report.candidate, context.results_path.as_deref()),
        base: report
            .base
            .map(|base| arm(base, context.baseline_path.as_deref())),
        against: context.against.as_deref(),
        slow_drifts: &context.slow_drifts,
        drift: report.drift.as_ref().map(|drift| JsonDrift {
            verdict: drift.judgement.verdict,
            baseline: arm(drift.baseline, drift.path.as_deref()),
            comparisons: comparisons(&drift.judgement.comparisons),
        }),
        comparisons: comparisons(&judgement.comparisons),
        budgets: judgement
            .budgets
            .iter()
            .map(|budget| JsonBudget {
                budget,
                unit: unit(budget.metric.unit()),
            })
            .collect(),
        findings: &judgement.findings,
        diagnoses: &judgement.diagnoses,
        duration_seconds: context.duration.map(|duration| duration.as_secs_f64()),
    }
}

fn comparisons(comparisons: &[Comparison]) -> Vec<JsonComparison<'_>> {
    comparisons
        .iter()
        .map(|comparison| JsonComparison {
            comparison,
            unit: unit(comparison.metric.unit()),
        })
        .collect()
}

fn plain(line: &Line) -> String {
    line.plain().replace(figure::GAP, " ")
}

fn arm<'a>(results: &'a Results, path: Option<&'a str>) -> JsonArm<'a> {
    let newest = results.jobs.last();
    JsonArm {
        path,
        jobs: results.jobs.len(),
        rounds: results.jobs.iter().map(|job| job.rounds.len()).sum(),
        commit: newest.and_then(|job| job.commit.as_deref()),
        started_at: newest.map(|job| job.started_at.as_str()),
        incomplete: results
            .jobs
            .iter()
            .find_map(|job| job.incomplete.as_deref()),
        environment: newest.map(|job| &job.environment),
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Nanoseconds => "ns",
        Unit::Bytes => "bytes",
        Unit::BytesPer1000Calls => "bytes per 1000 calls",
        Unit::CallsPerSecond => "calls per second",
        Unit::Fraction => "fraction",
    }
}
