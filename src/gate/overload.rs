//! Where mcpgate itself set the pace, its figures are its own limit and not the server's.

use super::{Comparison, Finding, Severity, Verdict, comparability::about, evidence::samples};
use crate::{
    results::{Job, Results, ScenarioKind, ScenarioRecord},
    stats::{Sample as Figures, location::median},
};

/// Share of a load's time for which the measuring thread was on a core, from which on answers
/// waited for it: a queue that is served for nine tenths of the time is ten calls long on average
/// (M/M/1).
const BUSY: f64 = 0.9;

/// The share in the middle round of those that tell, where it means that mcpgate was too busy.
fn too_busy(jobs: &[&Job], record: &ScenarioRecord) -> Option<f64> {
    if record.kind != ScenarioKind::Concurrent {
        return None;
    }
    let shares = samples(jobs, &record.name)
        .into_iter()
        .filter_map(|sample| {
            let client_cpu_ns = sample.client_cpu_ns?;
            (sample.duration_ns > 0).then(|| client_cpu_ns as f64 / sample.duration_ns as f64)
        });
    let share = median(&Figures::new(shares)?);
    (share >= BUSY).then_some(share)
}

fn in_words(share: f64) -> String {
    format!(
        "mcpgate itself was busy for {:.0} % of the time, so this is its limit and not the server's",
        share.min(1.0) * 100.0
    )
}

/// Takes back what cannot be said of a scenario in which the candidate's load was mcpgate's limit.
pub(super) fn excuse(row: &mut Comparison, candidate: &[&Job], record: &ScenarioRecord) {
    if row.verdict != Verdict::Regressed {
        return;
    }
    if let Some(share) = too_busy(candidate, record) {
        row.verdict = Verdict::Inconclusive;
        row.reason = format!("{}; {}", in_words(share), row.reason);
    }
}

/// A note for each scenario that shows mcpgate's limit.
pub(super) fn of_results(results: &Results) -> Vec<Finding> {
    let jobs: Vec<&Job> = results.jobs.iter().collect();
    results
        .suite
        .scenarios
        .iter()
        .filter_map(|record| {
            let share = too_busy(&jobs, record)?;
            Some(about(Severity::Note, &record.name, in_words(share)))
        })
        .collect()
}
