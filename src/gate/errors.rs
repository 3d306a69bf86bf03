//! The error rate, compared by difference with both sides' intervals.

use std::collections::BTreeMap;

use super::{
    Comparison, Difference, Interval, Metric, Role, Verdict,
    comparability::shortened,
    compare::{Context, blank},
};
use crate::{
    results::{Phase, Results, ScenarioKind, ScenarioRecord},
    stats::{
        Sample,
        interval::{self, proportion_difference, proportion_lower_bound, proportion_upper_bound},
        location::TrimmedMean,
    },
};

/// One-sided error of the worse side's lower bound.
const ALARM_ALPHA: f64 = 0.001;
/// One-sided error of the better side's upper bound.
const REFERENCE_ALPHA: f64 = 0.05;
/// With what probability the smallest detectable rate would have been found.
const POWER: f64 = 0.9;
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
        counts.for_each(|counts| tally.add(counts.calls, counts.successes));
        tally
    }

    /// Of the rounds of one phase alone.
    fn of_rounds(results: &Results, scenario: &str, phase: Phase) -> Self {
        let rounds = results.jobs.iter().flat_map(|job| &job.rounds);
        let samples = rounds
            .filter(|round| round.phase == phase)
            .filter_map(|round| round.scenarios.get(scenario));
        let mut tally = Self::default();
        samples.for_each(|sample| tally.add(sample.calls, sample.successes));
        tally
    }

    fn add(&mut self, calls: u32, successes: u32) {
        if calls > 0 {
            self.calls += u64::from(calls);
            self.failed += u64::from(calls.saturating_sub(successes));
            self.rounds += 1;
        }
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
        self.worse_at(ALARM_ALPHA, other)
    }

    fn worse_at(self, alpha: f64, other: Self) -> bool {
        self.failed >= ERRORS_NEEDED
            && proportion_lower_bound(self.failed, self.calls, alpha) > other.at_most()
    }

    /// The highest rate that this many failed calls leave possible; 1 without calls.
    fn at_most(self) -> f64 {
        proportion_upper_bound(self.failed, self.calls, REFERENCE_ALPHA)
    }

    /// How many more of `candidate`'s calls fail, and what would have been seen.
    fn difference_to(self, candidate: Self) -> Option<Difference> {
        let of = |tally: Self| (tally.failed, tally.calls);
        let (low, high) = proportion_difference(of(self), of(candidate), ALARM_ALPHA)?;
        let base = self.rate()?;
        Some(Difference {
            estimate: candidate.rate()? - base,
            interval: Some(Interval { low, high }),
            smallest_detectable: candidate
                .fewest_that_alarm(self)
                .map(|failed| proportion_lower_bound(failed, candidate.calls, POWER) - base),
        })
    }

    /// How many of these calls would have to fail to be worse than `other`; `None` if not even all are
    /// enough.
    fn fewest_that_alarm(self, other: Self) -> Option<u64> {
        let is_enough = |failed: u64| Self { failed, ..self }.worse_than(other);
        let (mut too_few, mut enough) = (0, self.calls);
        if !is_enough(enough) {
            return None;
        }
        while enough - too_few > 1 {
            let middle = u64::midpoint(too_few, enough);
            if is_enough(middle) {
                enough = middle;
            } else {
                too_few = middle;
            }
        }
        Some(enough)
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
    row.difference = base.difference_to(candidate);
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
    } else if let Some((verdict, reason)) = alarm(ctx, record) {
        (verdict, format!("{reason}{}", error()))
    } else if fewer_fail(ctx, record) || base.all_failed() {
        (
            Verdict::Improved,
            "fewer calls fail, beyond the noise of both sides".to_owned(),
        )
    } else if candidate.failed == 0 {
        (Verdict::Pass, "no call failed".to_owned())
    } else if candidate.failed < ERRORS_NEEDED || candidate.rate() <= Some(base.at_most()) {
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

/// What is said where more calls of the candidate fail than the noise of both sides explains; `None`
/// where that is not so.
///
/// Where fresh pairs can be measured, these alone must show the same.
fn alarm(ctx: &Context<'_>, record: &ScenarioRecord) -> Option<(Verdict, String)> {
    let both = [ctx.base, ctx.candidate];
    let Some(in_turn) = ctx.in_turn.filter(|_| is_repeated(record)) else {
        let [base, candidate] = both.map(|results| Tally::of(results, &record.name));
        let said = "more calls fail, beyond the noise of both sides".to_owned();
        return candidate
            .worse_than(base)
            .then_some((Verdict::Regressed, said));
    };
    if !more_fail(record, both, Phase::Measure, (ALARM_ALPHA, REFERENCE_ALPHA)) {
        return None;
    }
    let share = in_turn.errors.confirm;
    let [fresh_base, fresh] =
        both.map(|results| Tally::of_rounds(results, &record.name, Phase::Confirm));
    Some(if !in_turn.with_fresh {
        let said = "more calls fail, beyond the noise of both sides; not confirmed by fresh rounds";
        (Verdict::Regressed, said.to_owned())
    } else if fresh.calls == 0 || fresh_base.calls == 0 {
        let said =
            "more calls fail, beyond the noise of both sides, but no fresh pairs confirmed it";
        (Verdict::Inconclusive, said.to_owned())
    } else if more_fail(record, both, Phase::Confirm, (share, share)) {
        (
            Verdict::Regressed,
            format!(
                "more calls fail, beyond the noise of both sides, confirmed by {} fresh rounds",
                fresh.rounds
            ),
        )
    } else {
        (
            Verdict::Inconclusive,
            format!(
                "more calls failed, but not in {} fresh rounds",
                fresh.rounds
            ),
        )
    })
}

/// The mirror of an alarm.
fn fewer_fail(ctx: &Context<'_>, record: &ScenarioRecord) -> bool {
    let swapped = [ctx.candidate, ctx.base];
    if ctx.in_turn.is_some() && is_repeated(record) {
        return more_fail(
            record,
            swapped,
            Phase::Measure,
            (ALARM_ALPHA, REFERENCE_ALPHA),
        );
    }
    let [better, worse] = swapped.map(|results| Tally::of(results, &record.name));
    worse.worse_than(better)
}

/// Whether its calls belong to rounds, of which there can be fresh ones.
fn is_repeated(record: &ScenarioRecord) -> bool {
    !matches!(record.kind, ScenarioKind::Soak | ScenarioKind::Load)
}

/// Whether more calls of the second of two fail in the rounds of a phase, by the calls and by the pairs of
/// rounds, each at its error.
///
/// Errors come in bursts: a database is away for a minute, and a hundred calls fail of which none tells
/// more than the first. So calls alone are no evidence. Over pairs, one burst is one outlier: it raises the
/// mean by as much as its own standard error, which Student's t takes for nothing.
fn more_fail(
    record: &ScenarioRecord,
    both: [&Results; 2],
    phase: Phase,
    (alpha, of_pairs): (f64, f64),
) -> bool {
    let [base, candidate] = both.map(|results| Tally::of_rounds(results, &record.name, phase));
    candidate.worse_at(alpha, base)
        && rise_of_shares(&record.name, both, phase)
            .is_some_and(|rise| rise.estimate - rise.margin(of_pairs) > 0.0)
}

/// By how much the share of failed calls rises within a pair; `None` below two pairs.
fn rise_of_shares(
    scenario: &str,
    both: [&Results; 2],
    phase: Phase,
) -> Option<interval::Difference> {
    let [base, candidate] = both.map(|results| {
        let rounds = results.jobs.iter().flat_map(|job| &job.rounds);
        let shares = rounds
            .filter(|round| round.phase == phase)
            .filter_map(|round| {
                let sample = round.scenarios.get(scenario).filter(|s| s.calls > 0)?;
                let failed = sample.calls.saturating_sub(sample.successes);
                Some((round.index, f64::from(failed) / f64::from(sample.calls)))
            });
        shares.collect::<BTreeMap<_, _>>()
    });
    let rises = candidate
        .iter()
        .filter_map(|(index, share)| Some(share - base.get(index)?));
    interval::Difference::of_pairs(&TrimmedMean::of(&Sample::new(rises)?, 0))
}

/// Whether a row is an alarm that fresh pairs can confirm.
pub(super) fn is_alarm(row: &Comparison) -> bool {
    row.metric == Metric::ErrorRate && row.role == Role::Gates && row.verdict == Verdict::Regressed
}
