//! The error rate, compared by difference with both sides' intervals.

use super::{
    Comparison, Metric, Role, Verdict,
    comparability::shortened,
    compare::{Context, blank},
};
use crate::{
    results::{Results, ScenarioRecord},
    stats::interval::{proportion_lower_bound, proportion_upper_bound},
};

/// One-sided error of the worse side's lower bound.
const ALARM_ALPHA: f64 = 0.001;
/// One-sided error of the better side's upper bound.
const REFERENCE_ALPHA: f64 = 0.05;
/// A single failed call proves nothing.
const ERRORS_NEEDED: u64 = 2;

/// Calls of one scenario over all rounds, soaks and loads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) calls: u64,
    pub(super) failed: u64,
    pub(super) rounds: usize,
}

impl Tally {
    pub(super) fn of(results: &Results, scenario: &str) -> Self {
        let counts = results.jobs.iter().flat_map(|j| j.counts_of(scenario));
        let mut tally = Self::default();
        for counts in counts.filter(|counts| counts.calls > 0) {
            tally.calls += u64::from(counts.calls);
            tally.failed += u64::from(counts.calls.saturating_sub(counts.successes));
            tally.rounds += 1;
        }
        tally
    }

    /// Share of calls that failed; `None` without calls.
    pub(super) fn rate(self) -> Option<f64> {
        (self.calls > 0).then(|| self.failed as f64 / self.calls as f64)
    }

    /// Calls were made and every one failed.
    pub(super) fn all_failed(self) -> bool {
        self.calls > 0 && self.failed == self.calls
    }

    /// Worse than `other` beyond the noise of both.
    fn worse_than(self, other: Self) -> bool {
        self.failed >= ERRORS_NEEDED
            && proportion_lower_bound(self.failed, self.calls, ALARM_ALPHA)
                > proportion_upper_bound(other.failed, other.calls, REFERENCE_ALPHA)
    }
}

/// Kind and message of the first error of a scenario, for a sentence: `": kind: message"`, or
/// nothing.
pub(super) fn first_error(results: &Results, scenario: &str) -> String {
    results
        .jobs
        .iter()
        .rev()
        .find_map(|j| j.error_samples.get(scenario))
        .map_or_else(String::new, |e| {
            format!(
                "; first error: {}: {}",
                shortened(&e.kind, 40),
                shortened(&e.message, 300)
            )
        })
}

/// Compares the error rates of a scenario.
pub(super) fn compare(ctx: &Context<'_>, record: &ScenarioRecord) -> Comparison {
    let base = Tally::of(ctx.base, &record.name);
    let candidate = Tally::of(ctx.candidate, &record.name);
    let mut row = blank(ctx.policy, &record.name, Metric::ErrorRate, Role::Gates);
    row.tool.clone_from(&record.tool);
    row.base = base.rate();
    row.candidate = candidate.rate();
    row.base_rounds = base.rounds;
    row.candidate_rounds = candidate.rounds;
    let error = || first_error(ctx.candidate, &record.name);
    (row.verdict, row.reason) = if base.calls == 0 || candidate.calls == 0 {
        (Verdict::NotMeasured, "no calls on one side".to_owned())
    } else if candidate.all_failed() && base.all_failed() {
        (
            Verdict::NotMeasured,
            format!("no call succeeded on either side{}", error()),
        )
    } else if candidate.all_failed() {
        (Verdict::Regressed, format!("no call succeeded{}", error()))
    } else if candidate.worse_than(base) {
        (
            Verdict::Regressed,
            format!("more calls fail, beyond the noise of both sides{}", error()),
        )
    } else if base.worse_than(candidate) || base.all_failed() {
        (
            Verdict::Improved,
            "fewer calls fail, beyond the noise of both sides".to_owned(),
        )
    } else if candidate.failed == 0 {
        (Verdict::Pass, "no call failed".to_owned())
    } else if candidate.failed < ERRORS_NEEDED
        || candidate.rate()
            <= Some(proportion_upper_bound(
                base.failed,
                base.calls,
                REFERENCE_ALPHA,
            ))
    {
        (
            Verdict::Pass,
            format!(
                "no more failed calls than the {} allows for{}",
                ctx.base_name(),
                error()
            ),
        )
    } else {
        (
            Verdict::Inconclusive,
            format!("more calls failed, but too few to be sure{}", error()),
        )
    };
    row.more_rounds_could_decide = row.verdict == Verdict::Inconclusive;
    row
}
