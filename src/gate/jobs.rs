//! The jobs that a baseline keeps: several tell how far jobs differ, one cannot.

use super::{Role, Verdict, comparability::shortened, judge};
use crate::{results::Results, suite::GateConfig};

/// Jobs that a baseline keeps, unless set otherwise.
const USUAL_JOBS: u32 = 5;

/// Adds the jobs of `results` to those of the `existing` baseline, and drops the oldest. Returns the
/// baseline and, where the old jobs were dropped though there were some, why: what no longer says the
/// same would hide the next regression.
#[must_use]
pub fn added(
    existing: Option<&Results>,
    results: Results,
    policy: &GateConfig,
) -> (Results, Option<String>) {
    let Some(existing) = existing else {
        return (results, None);
    };
    if let Some(why) = differs(existing, &results, policy) {
        return (results, Some(why));
    }
    let most = policy.baseline_jobs.unwrap_or(USUAL_JOBS).max(1);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut jobs = existing.jobs.clone();
    jobs.retain(|job| !results.jobs.contains(job));
    jobs.extend(results.jobs.iter().cloned());
    jobs.drain(..jobs.len().saturating_sub(most));
    (Results { jobs, ..results }, None)
}

/// Why the two do not say the same, in words.
fn differs(existing: &Results, results: &Results, policy: &GateConfig) -> Option<String> {
    let scenarios = |of: &Results| -> Vec<(String, String, u32)> {
        let records = of.suite.scenarios.iter();
        records
            .map(|s| (s.name.clone(), s.definition_hash.clone(), s.calls))
            .collect()
    };
    let reach = |of: &Results| {
        let server = &of.server;
        (
            server.protocol_version.clone(),
            server.transport,
            server.attached,
            server.tool_list_hash.clone(),
        )
    };
    if scenarios(existing) != scenarios(results) {
        return Some("other scenarios are measured, or others are sent or expected".to_owned());
    }
    if reach(existing) != reach(results) {
        return Some(
            "the server is reached in another way, or offers another list of tools".to_owned(),
        );
    }
    let judgement = judge(existing, results, policy);
    let changed = judgement.comparisons.iter().find(|row| {
        row.role == Role::Gates && matches!(row.verdict, Verdict::Improved | Verdict::Regressed)
    })?;
    Some(format!(
        "{} {} is {}",
        shortened(&changed.scenario, 100),
        changed.metric,
        match changed.verdict {
            Verdict::Improved => "better than in them",
            _ => "worse than in them",
        }
    ))
}
