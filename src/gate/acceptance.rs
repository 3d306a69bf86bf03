//! Whether results may become the baseline.

use super::{
    Judgement, Severity, Verdict,
    accepted::{ACCEPTED, accept, accepted_by},
    judge, judge_alone,
};
use crate::{
    results::{Phase, Results, ScenarioKind},
    suite::{AcceptedRegression, GateConfig},
};

/// Rounds below which results are no baseline: no spread can be told from fewer.
pub const FEWEST_ROUNDS: usize = 5;

/// Everything that speaks against accepting `results`, in words; empty if nothing does.
///
/// `existing` is the baseline that would be replaced: results that regressed against it, or that
/// lack a scenario of it, are refused. Regressions that are `accepted` on this day (`today`,
/// `YYYY-MM-DD`) are none.
#[must_use]
pub fn objections(
    results: &Results,
    existing: Option<&Results>,
    policy: &GateConfig,
    (accepted, today): (&[AcceptedRegression], &str),
) -> Vec<String> {
    let mut objections = Vec::new();
    for job in &results.jobs {
        if let Some(why) = &job.incomplete {
            objections.push(format!("the run is incomplete: {why}"));
        }
        let rounds = job
            .rounds
            .iter()
            .filter(|round| round.phase == Phase::Measure)
            .count();
        if rounds < FEWEST_ROUNDS {
            objections.push(format!(
                "too few rounds: {rounds}, and a baseline needs {FEWEST_ROUNDS}; measure more with --rounds"
            ));
        }
    }
    for scenario in &results.suite.scenarios {
        let name = &scenario.name;
        let (mut present, mut failed, mut successes) = (0_usize, 0_u64, 0_u64);
        let mut count = |calls: u32, successful: u32| {
            present += 1;
            failed += u64::from(calls.saturating_sub(successful));
            successes += u64::from(successful);
        };
        for job in &results.jobs {
            for counts in job.counts_of(name) {
                count(counts.calls, counts.successes);
            }
        }
        if present == 0 {
            objections.push(format!("{name}: declared, but not measured"));
        } else if successes == 0 {
            objections.push(format!("{name}: no call was successful"));
        } else if failed > 0 && scenario.kind != ScenarioKind::Load {
            // Where a load ends is what it is to find out.
            objections.push(format!("{name}: {failed} calls failed"));
        }
    }
    objections.extend(against(&judge_alone(results, policy), Severity::Failure));
    if let Some(existing) = existing {
        let judgement = accept(judge(existing, results, policy), accepted, today, policy);
        for comparison in &judgement.comparisons {
            let was_accepted = comparison.reason.starts_with(ACCEPTED);
            if comparison.verdict == Verdict::Regressed && !was_accepted {
                objections.push(format!(
                    "{}: {} regressed against the present baseline",
                    comparison.scenario, comparison.metric
                ));
            }
        }
        for (scenario, mode) in judgement.diagnoses.iter().filter_map(accepted_by) {
            let name = mode.name();
            objections.push(format!(
                "{scenario}: {name} is new against the present baseline"
            ));
        }
        objections.extend(against(&judgement, Severity::Failure));
    }
    let mut seen = std::collections::BTreeSet::new();
    objections.retain(|objection| seen.insert(objection.clone()));
    objections
}

fn against(judgement: &Judgement, severity: Severity) -> impl Iterator<Item = String> {
    judgement
        .findings
        .iter()
        .filter(move |finding| finding.severity >= severity)
        .map(|finding| finding.text.clone())
}
