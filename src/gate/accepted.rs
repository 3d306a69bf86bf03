//! Regressions that somebody answers for: named one by one, with a limit, a reason and an end.

use super::{
    Comparison, Finding, Judgement, Metric, Role, Severity, Verdict,
    comparability::{about, about_all, shortened},
    judge,
};
use crate::suite::{AcceptedMetric, AcceptedRegression, GateConfig};

/// How the reason of a row begins that was accepted.
pub(super) const ACCEPTED: &str = "accepted until ";

/// Takes accepted regressions out of what fails. `today` is `YYYY-MM-DD`.
///
/// A row that is accepted stays regressed to the eye, and is said with its reason; it only no
/// longer decides. One that went beyond its limit, or whose time is over, decides as ever.
#[must_use]
pub fn accept(
    mut judgement: Judgement,
    accepted: &[AcceptedRegression],
    today: &str,
    policy: &GateConfig,
) -> Judgement {
    let mut said = Vec::new();
    for entry in accepted {
        let is_over = entry.until.as_str() < today;
        let mut met = false;
        for row in &mut judgement.comparisons {
            if row.scenario != entry.scenario
                || !covers(entry.metric, row.metric)
                || row.verdict != Verdict::Regressed
                || row.role == Role::Reported
            {
                continue;
            }
            met = true;
            if is_over {
                said.push(about(
                    Severity::Note,
                    &row.scenario,
                    format!("{}: was accepted, until {}", row.metric, entry.until),
                ));
            } else if is_within(row, entry.limit) {
                row.role = Role::Reported;
                let reason = shortened(&entry.reason, 300);
                row.reason = format!("{ACCEPTED}{}: {reason}", entry.until);
                said.push(about(
                    Severity::Note,
                    &row.scenario,
                    format!(
                        "{} is a regression accepted until {}: {reason}",
                        row.metric, entry.until
                    ),
                ));
            } else {
                said.push(about(
                    Severity::Note,
                    &row.scenario,
                    format!(
                        "{} is beyond the limit that was accepted for it",
                        row.metric
                    ),
                ));
            }
        }
        let is_known = |row: &Comparison| row.scenario == entry.scenario;
        if !met && !judgement.comparisons.is_empty() && !judgement.comparisons.iter().any(is_known)
        {
            said.push(about_all(
                Severity::Note,
                format!(
                    "[[accept]] names a scenario that there is not: {}",
                    shortened(&entry.scenario, 80)
                ),
            ));
        }
    }
    // The loud ones first, among notes.
    said.append(&mut judgement.findings);
    said.sort_by_key(|finding: &Finding| std::cmp::Reverse(finding.severity));
    judgement.findings = said;
    judge::conclude_again(judgement, policy)
}

/// A user thinks of p95, whichever figure of it gates.
fn covers(accepted: AcceptedMetric, metric: Metric) -> bool {
    match accepted {
        AcceptedMetric::LatencyP50 => {
            matches!(metric, Metric::LatencyP50 | Metric::LatencyP50Adjusted)
        }
        AcceptedMetric::LatencyP95 => {
            matches!(metric, Metric::LatencyP95 | Metric::LatencyP95Adjusted)
        }
        AcceptedMetric::Startup => matches!(metric, Metric::Startup | Metric::StartupAdjusted),
        AcceptedMetric::Throughput => metric == Metric::Throughput,
        AcceptedMetric::PeakMemory => metric == Metric::PeakMemory,
        AcceptedMetric::MemoryGrowth => metric == Metric::MemoryGrowth,
        AcceptedMetric::CpuPerCall => metric == Metric::CpuPerCall,
    }
}

fn is_within(row: &Comparison, limit: f64) -> bool {
    row.candidate.is_some_and(|value| {
        if row.metric.more_is_better() {
            value >= limit
        } else {
            value <= limit
        }
    })
}
