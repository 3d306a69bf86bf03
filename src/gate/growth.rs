//! Memory growth with calls: slopes of fresh servers compared by difference, never with zero,
//! since an interpreter's heap grows for a while without any leak.

use std::f64::consts::FRAC_PI_2;

use super::{
    Comparison, Difference, Interval, Metric, Role, Verdict,
    compare::{Context, blank},
    policy::{floor, floor_in_words},
    server::memory_not_comparable,
};
use crate::{
    results::{Phase, Results, ScenarioRecord, SoakSample},
    stats::{
        Sample,
        interval::normal_quantile,
        location::{hodges_lehmann_shift, median, winsorized_variance},
        rank::{mann_whitney_greater, separating_shift, shift_bounds},
    },
};

/// Fresh servers needed on each side.
pub(super) const SOAKS_NEEDED: usize = 3;
/// One-sided error of the rank test. Three against three reach it only by complete separation; the
/// floor must be exceeded as well.
const RANK_ALPHA: f64 = 0.05;
/// With what probability the smallest detectable growth would be found.
const POWER: f64 = 0.9;

/// Slopes of one scenario in bytes per 1,000 calls, from soaks that made all `calls`.
pub(super) fn slopes(
    results: &Results,
    scenario: &str,
    calls: u32,
    phase: Option<Phase>,
) -> Vec<f64> {
    soaks(results, scenario, phase)
        .filter(|s| s.calls == calls)
        .filter_map(|s| s.growth_bytes_per_call)
        .filter(|slope| slope.is_finite())
        .map(|slope| slope.clamp(-1e15, 1e15) * 1000.0)
        .collect()
}

fn soaks<'a>(
    results: &'a Results,
    scenario: &'a str,
    phase: Option<Phase>,
) -> impl Iterator<Item = &'a SoakSample> {
    results
        .jobs
        .iter()
        .flat_map(|j| j.soaks.iter())
        .filter(move |s| phase.is_none_or(|p| s.phase == p))
        .filter_map(move |s| s.scenarios.get(scenario))
}

/// Compares the growth of one soak.
pub(super) fn compare(ctx: &Context<'_>, record: &ScenarioRecord) -> Comparison {
    let metric = Metric::MemoryGrowth;
    let mut row = blank(ctx.policy, &record.name, metric, Role::Gates);
    row.tool.clone_from(&record.tool);
    let declared = ctx
        .base
        .suite
        .scenarios
        .iter()
        .find(|s| s.name == record.name)
        .map_or(record.calls, |s| s.calls);
    let base = slopes(ctx.base, &record.name, declared, None);
    let planned = slopes(
        ctx.candidate,
        &record.name,
        record.calls,
        Some(Phase::Measure),
    );
    let fresh = slopes(
        ctx.candidate,
        &record.name,
        record.calls,
        Some(Phase::Confirm),
    );
    let all: Vec<f64> = planned.iter().chain(&fresh).copied().collect();
    let typical = |slopes: &[f64]| Sample::new(slopes.iter().copied()).map(|s| median(&s));
    row.base = typical(&base);
    row.candidate = typical(&all);
    row.base_rounds = base.len();
    row.candidate_rounds = all.len();
    row.difference = difference(ctx, &base, &all);
    (row.verdict, row.reason) = if let Some(why) = memory_not_comparable(ctx) {
        (Verdict::NotMeasured, why)
    } else if declared != record.calls {
        (
            Verdict::Inconclusive,
            format!(
                "the {}'s soak makes {declared} calls, this one {}: growth is compared at equal calls",
                ctx.base_name(),
                record.calls
            ),
        )
    } else {
        let short = short_soaks(ctx, record);
        judge(ctx, &base, &planned, &fresh, &short)
    };
    row
}

/// How much faster the candidate's memory grows, as the rank test sees it.
///
/// To be called regressed it must lie above all of the base's, and its median above theirs by the floor.
/// What would be seen follows from how far slopes scatter on either side, as if they were normal.
fn difference(ctx: &Context<'_>, base: &[f64], candidate: &[f64]) -> Option<Difference> {
    let [b, c] = [base, candidate].map(|slopes| Sample::new(slopes.iter().copied()));
    let (b, c) = (b?, c?);
    let bounds = shift_bounds(&b, &c, RANK_ALPHA);
    let is_enough = base.len() >= SOAKS_NEEDED && candidate.len() >= SOAKS_NEEDED;
    Some(Difference {
        estimate: hodges_lehmann_shift(&b, &c),
        interval: bounds.map(|(low, high)| Interval { low, high }),
        smallest_detectable: is_enough.then(|| {
            let squares =
                |sample: &Sample| winsorized_variance(sample, 0) * (sample.len() - 1) as f64;
            let freedom = (b.len() + c.len() - 2) as f64;
            let spread = ((squares(&b) + squares(&c)) / freedom).sqrt();
            let parts = (b.len() as f64).recip() + (c.len() as f64).recip();
            // A median scatters by the root of pi / 2 more than a mean.
            let of_medians = normal_quantile(POWER) * (FRAC_PI_2 * parts).sqrt();
            let apart = spread * separating_shift(b.len(), c.len(), POWER);
            apart.max(floor(Metric::MemoryGrowth, ctx.policy) + spread * of_medians)
        }),
    })
}

/// Shows the growth of each side where it is not compared.
pub(super) fn show(ctx: &Context<'_>, record: &ScenarioRecord, row: &mut Comparison) {
    let of = |results: &Results| Sample::new(slopes(results, &record.name, record.calls, None));
    let (base, candidate) = (of(ctx.base), of(ctx.candidate));
    row.base = base.as_ref().map(median);
    row.candidate = candidate.as_ref().map(median);
    row.base_rounds = base.map_or(0, |s| s.len());
    row.candidate_rounds = candidate.map_or(0, |s| s.len());
}

/// Says how many soaks ended before all their calls, where some did.
fn short_soaks(ctx: &Context<'_>, record: &ScenarioRecord) -> String {
    let short = soaks(ctx.candidate, &record.name, None)
        .filter(|s| s.calls != record.calls)
        .count();
    if short == 0 {
        String::new()
    } else {
        format!("; {short} ended before all their calls")
    }
}

fn judge(
    ctx: &Context<'_>,
    base: &[f64],
    planned: &[f64],
    fresh: &[f64],
    short: &str,
) -> (Verdict, String) {
    let floor = floor(Metric::MemoryGrowth, ctx.policy);
    let in_words = floor_in_words(Metric::MemoryGrowth, ctx.policy);
    let sides = (
        Sample::new(base.iter().copied()),
        Sample::new(planned.iter().copied()),
    );
    let ((Some(b), Some(c)), true) = (
        sides,
        base.len() >= SOAKS_NEEDED && planned.len() >= SOAKS_NEEDED,
    ) else {
        // Soaks that the baseline has and this run lacks may have died of the leak.
        let verdict = if base.len() >= SOAKS_NEEDED {
            Verdict::Inconclusive
        } else {
            Verdict::NotMeasured
        };
        return (
            verdict,
            format!(
                "needs {SOAKS_NEEDED} soaks on each side, had {} and {}{short}",
                base.len(),
                planned.len()
            ),
        );
    };
    let change = median(&c) - median(&b);
    if change > floor && separated(&b, &c) {
        return match Sample::new(fresh.iter().copied()) {
            None if ctx.must_confirm() => (
                Verdict::Inconclusive,
                format!(
                    "grows faster by more than {in_words} per 1,000 calls, but no fresh soaks confirmed it"
                ),
            ),
            None => (
                Verdict::Regressed,
                format!(
                    "grows faster by more than {in_words} per 1,000 calls; not confirmed by fresh soaks"
                ),
            ),
            Some(f) if median(&f) - median(&b) > floor && f.min() > b.max() => (
                Verdict::Regressed,
                format!(
                    "grows faster by more than {in_words} per 1,000 calls, confirmed by {} fresh soaks",
                    f.len()
                ),
            ),
            Some(f) => (
                Verdict::Inconclusive,
                format!("the alarm was not confirmed by {} fresh soaks", f.len()),
            ),
        };
    }
    if -change > floor && separated(&c, &b) {
        (
            Verdict::Improved,
            format!("grows slower by more than {in_words} per 1,000 calls"),
        )
    } else if change > floor {
        (
            Verdict::Inconclusive,
            format!(
                "grows faster by more than {in_words} per 1,000 calls, but the soaks of the two sides overlap"
            ),
        )
    } else {
        (
            Verdict::Pass,
            format!("does not grow faster by more than {in_words} per 1,000 calls"),
        )
    }
}

/// Whether `high` lies above `low` beyond chance.
fn separated(low: &Sample, high: &Sample) -> bool {
    // The slack is for rounding: 1/20 must count as 0.05.
    mann_whitney_greater(low, high) <= RANK_ALPHA * (1.0 + 1e-9)
}
