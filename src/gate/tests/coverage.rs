//! Whether each interval misses the truth as often as it says, over calls that are drawn as they
//! come on a hosted runner: lognormal within a round, with bursts of slow calls, rounds that differ
//! by their process and their start, and a machine that shifts both rounds of a pair.

use super::simulation::Draw;
use crate::{
    gate::sequence,
    stats::{
        Sample,
        interval::{
            Difference, proportion_difference, proportion_lower_bound, proportion_upper_bound,
        },
        location::{TrimmedMean, trim_count},
        rank::shift_bounds,
        summarize,
    },
};

const DRAWS: u32 = 2_000;
const CALLS: usize = 100;
/// Standard deviations of the logarithm.
const BETWEEN_PAIRS: f64 = 0.06;
const OF_START: f64 = 0.03;
const OF_PROCESS: f64 = 0.03;
const WITHIN: f64 = 0.35;
/// Chance that a burst begins at a call, and that it goes on after one.
const BURST_BEGINS: f64 = 0.02;
const BURST_GOES_ON: f64 = 7.0 / 8.0;
const TRUTH: f64 = 1.3;

/// The logarithm of a round's p95.
fn round(draw: &mut Draw, level: f64) -> f64 {
    let level = level + OF_START * draw.normal() + OF_PROCESS * draw.normal();
    let mut burst: Option<f64> = None;
    let mut calls: Vec<u64> = (0..CALLS)
        .map(|_| {
            burst = match burst {
                Some(factor) if draw.uniform() < BURST_GOES_ON => Some(factor),
                _ if draw.uniform() < BURST_BEGINS => Some(1.5 + 3.5 * draw.uniform()),
                _ => None,
            };
            let ns = 1e6 * (level + WITHIN * draw.normal()).exp() * burst.unwrap_or(1.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "positive, and far below 2^53"
            )]
            let ns = ns as u64;
            ns
        })
        .collect();
    let p95 = summarize(&mut calls).unwrap().p95_ns.unwrap();
    (p95 as f64).ln()
}

fn pairs(draw: &mut Draw, count: usize) -> Vec<f64> {
    let mut one = || {
        let machine = BETWEEN_PAIRS * draw.normal();
        let base = round(draw, machine);
        round(draw, machine + TRUTH.ln()) - base
    };
    (0..count).map(|_| one()).collect()
}

fn rounds(draw: &mut Draw, count: usize, level: f64) -> TrimmedMean {
    let figures = (0..count).map(|_| {
        let machine = BETWEEN_PAIRS * draw.normal();
        round(draw, level + machine)
    });
    let sample = Sample::new(figures.collect::<Vec<_>>()).unwrap();
    TrimmedMean::of(&sample, trim_count(count, 20))
}

/// How often each bound may miss in so many draws: its error, and what chance adds in one of a
/// thousand tests.
fn at_most(alpha: f64) -> f64 {
    let expected = f64::from(DRAWS) * alpha;
    expected + 3.1 * (expected * (1.0 - alpha)).sqrt() + 1.0
}

/// The draws in which a bound lies on the wrong side of the truth: below, above.
fn misses(differences: &[Difference], alpha: f64) -> [u32; 2] {
    let mut misses = [0, 0];
    for difference in differences {
        let (error, margin) = (difference.estimate - TRUTH.ln(), difference.margin(alpha));
        misses[0] += u32::from(error > margin);
        misses[1] += u32::from(-error > margin);
    }
    misses
}

#[test]
fn bounds_of_rounds_miss_the_truth_as_often_as_they_say() {
    // At five pairs the mean is plain, at eleven it is trimmed.
    let of_pairs = |count: usize| {
        let mut draw = Draw::seeded(7);
        (0..DRAWS)
            .map(|_| sequence::centre(&pairs(&mut draw, count)).unwrap())
            .collect::<Vec<_>>()
    };
    let of_rounds = |count: usize| {
        let mut draw = Draw::seeded(7);
        let mut one = || {
            let base = rounds(&mut draw, count, 0.0);
            Difference::between(&base, &rounds(&mut draw, count, TRUTH.ln())).unwrap()
        };
        (0..DRAWS).map(|_| one()).collect::<Vec<_>>()
    };
    for (what, differences) in [
        ("5 pairs", of_pairs(5)),
        ("11 pairs", of_pairs(11)),
        ("10 rounds", of_rounds(10)),
    ] {
        for alpha in [0.0025, 0.0125, 0.05] {
            let found = misses(&differences, alpha);
            let expected = f64::from(DRAWS) * alpha;
            for missed in found.map(f64::from) {
                assert!(missed <= at_most(alpha), "{what}, {alpha}: {found:?}");
                // An interval that never misses says less than it could.
                let is_telling = alpha < 0.05 || missed > expected / 2.0;
                assert!(is_telling, "{what}, {alpha}: {found:?}");
            }
        }
    }
}

#[test]
fn bounds_of_a_share_miss_the_truth_no_more_often_than_they_say() {
    const TRIALS: u32 = 300;
    for truth in [0.005, 0.05, 0.5, 0.98] {
        let mut draw = Draw::seeded(3);
        let mut missed = [0, 0];
        for _ in 0..DRAWS {
            let those = (0..TRIALS).filter(|_| draw.uniform() < truth).count() as u64;
            let trials = u64::from(TRIALS);
            missed[0] += u32::from(proportion_lower_bound(those, trials, 0.025) > truth);
            missed[1] += u32::from(proportion_upper_bound(those, trials, 0.025) < truth);
        }
        assert!(
            missed.iter().all(|m| f64::from(*m) <= at_most(0.025)),
            "{truth}: {missed:?}"
        );
    }
}

#[test]
fn bounds_of_a_difference_of_shares_miss_the_truth_about_as_often_as_they_say() {
    const TRIALS: u32 = 800;
    for (first, second) in [(0.02, 0.03), (0.05, 0.20), (0.5, 0.45)] {
        let mut draw = Draw::seeded(5);
        let mut missed = [0, 0];
        for _ in 0..DRAWS {
            let mut of = |truth: f64| {
                let those = (0..TRIALS).filter(|_| draw.uniform() < truth).count() as u64;
                (those, u64::from(TRIALS))
            };
            let (base, candidate) = (of(first), of(second));
            let (low, high) = proportion_difference(base, candidate, 0.025).unwrap();
            missed[0] += u32::from(low > second - first);
            missed[1] += u32::from(high < second - first);
        }
        // It is no exact interval: published coverages of 95 % lie between 93 and 98 %.
        assert!(
            missed.iter().all(|m| f64::from(*m) <= at_most(0.035)),
            "{first} {second}: {missed:?}"
        );
    }
}

/// Slopes of fresh servers: three a side, and three against six.
#[test]
fn bounds_of_a_shift_miss_the_truth_as_often_as_they_say() {
    for (n, m) in [(3, 3), (6, 3), (6, 6)] {
        let mut draw = Draw::seeded(11);
        let mut missed = [0, 0];
        for _ in 0..DRAWS {
            let mut of = |count: usize, level: f64| {
                Sample::new(
                    (0..count)
                        .map(|_| level + draw.normal())
                        .collect::<Vec<_>>(),
                )
                .unwrap()
            };
            let (base, candidate) = (of(n, 0.0), of(m, TRUTH));
            let (low, high) = shift_bounds(&base, &candidate, 0.05).unwrap();
            missed[0] += u32::from(low > TRUTH);
            missed[1] += u32::from(high < TRUTH);
        }
        assert!(
            missed.iter().all(|m| f64::from(*m) <= at_most(0.05)),
            "{n} {m}: {missed:?}"
        );
        assert!(
            missed.iter().all(|m| *m > DRAWS / 80),
            "{n} {m}: {missed:?}"
        );
    }
}
