//! Regressions that somebody answers for: named one by one, with a limit, a reason and an end.

use super::{
    Comparison, Diagnosed, Finding, Judgement, Metric, Role, SERVER, Severity, Standing, Verdict,
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
                || accepted_as(row.metric) != Some(entry.metric)
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
        match entry.metric {
            AcceptedMetric::Removed => {
                said.extend(accept_removal(&mut judgement, entry, is_over));
                continue;
            }
            AcceptedMetric::FailureMode(name) => {
                said.extend(accept_failure_mode(&mut judgement, entry, name, is_over));
                continue;
            }
            _ => {}
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

/// Lets a failure mode that is new be there without deciding.
fn accept_failure_mode(
    judgement: &mut Judgement,
    entry: &AcceptedRegression,
    name: &str,
    is_over: bool,
) -> Option<Finding> {
    let place = |diagnosed: &Diagnosed| match &diagnosed.diagnosis.scenario {
        Some(scenario) => *scenario == entry.scenario,
        None => entry.scenario == SERVER,
    };
    let mut all = judgement.diagnoses.iter_mut();
    let diagnosed =
        all.find(|d| d.standing == Standing::New && d.diagnosis.kind.name() == name && place(d))?;
    let text = if is_over {
        format!("{name}: was accepted, until {}", entry.until)
    } else {
        diagnosed.verdict = None;
        diagnosed.standing = Standing::Accepted;
        let reason = shortened(&entry.reason, 300);
        format!("{name} is accepted until {}: {reason}", entry.until)
    };
    Some(about(Severity::Note, &entry.scenario, text))
}

/// Turns the failures of scenarios that may be gone into notes; or says why it does not.
fn accept_removal(
    judgement: &mut Judgement,
    entry: &AcceptedRegression,
    is_over: bool,
) -> Vec<Finding> {
    let name = Some(&entry.scenario);
    let gone: Vec<String> = judgement
        .missing
        .iter()
        .filter(|record| record.tool.as_ref() == name || Some(&record.name) == name)
        .map(|record| record.name.clone())
        .collect();
    if is_over {
        let text = || format!("its removal was accepted, until {}", entry.until);
        return gone
            .iter()
            .map(|scenario| about(Severity::Note, scenario, text()))
            .collect();
    }
    let reason = shortened(&entry.reason, 300);
    for finding in &mut judgement.findings {
        let scenario = finding.scenario.as_ref();
        if finding.severity == Severity::Failure && scenario.is_some_and(|s| gone.contains(s)) {
            finding.severity = Severity::Note;
            finding.text = format!("removed, which is accepted until {}: {reason}", entry.until);
        }
    }
    judgement
        .missing
        .retain(|record| !gone.contains(&record.name));
    Vec::new()
}

/// What `[[accept]]` calls a metric; `None` for one that cannot be accepted. A user thinks of p95,
/// whichever figure of it gates.
#[must_use]
pub const fn accepted_as(metric: Metric) -> Option<AcceptedMetric> {
    match metric {
        Metric::LatencyP50 | Metric::LatencyP50Adjusted => Some(AcceptedMetric::LatencyP50),
        Metric::LatencyP95 | Metric::LatencyP95Adjusted => Some(AcceptedMetric::LatencyP95),
        Metric::Startup | Metric::StartupAdjusted => Some(AcceptedMetric::Startup),
        Metric::Throughput => Some(AcceptedMetric::Throughput),
        Metric::PeakMemory => Some(AcceptedMetric::PeakMemory),
        Metric::MemoryGrowth => Some(AcceptedMetric::MemoryGrowth),
        Metric::CpuPerCall => Some(AcceptedMetric::CpuPerCall),
        Metric::ErrorRate => None,
    }
}

/// What a new failure mode is accepted by: the scenario and the metric of its entry. `None` for one
/// that fails nothing.
#[must_use]
pub fn accepted_by(diagnosed: &Diagnosed) -> Option<(&str, AcceptedMetric)> {
    let Diagnosed {
        diagnosis,
        standing,
        verdict,
    } = diagnosed;
    let fails = *standing == Standing::New && *verdict == Some(Verdict::Regressed);
    fails.then(|| {
        let scenario = diagnosis.scenario.as_deref().unwrap_or(SERVER);
        (scenario, AcceptedMetric::FailureMode(diagnosis.kind.name()))
    })
}

fn is_within(row: &Comparison, limit: Option<f64>) -> bool {
    row.candidate.zip(limit).is_some_and(|(value, limit)| {
        if row.metric.more_is_better() {
            value >= limit
        } else {
            value <= limit
        }
    })
}
