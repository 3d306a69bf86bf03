//! Rules by which other gates judge, on one run of each server.

use mcpgate::stats::{interval::student_t_quantile, quantile::nearest_rank};
use statrs::{
    distribution::{ContinuousCDF, Normal, StudentsT},
    statistics::Statistics,
};

use crate::recording::{Calls, Recorded};

/// One-sided error of the tests.
const ALPHA: f64 = 0.05;
/// Windows of a run, whose means are taken for independent.
const WINDOWS: usize = 10;
/// Earlier runs of the base.
pub(crate) const HISTORY: usize = 10;

/// Names, in the order of [`flags`].
pub(crate) const NAMES: [&str; 5] = [
    "p95 of one run > 1.2 x",
    "p95 of one run > 2 x",
    "Mann-Whitney on calls",
    "Welch's t on windows",
    "t against ten runs before",
];

/// Which of the rules call a scenario worse, for those scenarios that `wanted` takes: any of them.
pub(crate) fn flags(
    [base, candidate]: &[Recorded; 2],
    history: &[Recorded],
    wanted: impl Fn(&str) -> bool,
) -> [bool; 5] {
    let mut any = [false; 5];
    for (name, now) in candidate.calls.iter().filter(|(name, _)| wanted(name)) {
        let Some(before) = base.calls.get(name) else {
            continue;
        };
        let earlier: Vec<f64> = history
            .iter()
            .filter_map(|round| p95(round.calls.get(name)?))
            .collect();
        let ratio = p95(now).zip(p95(before)).map(|(now, before)| now / before);
        let found = [
            ratio.is_some_and(|ratio| ratio > 1.2),
            ratio.is_some_and(|ratio| ratio > 2.0),
            mann_whitney(&before.wall_ns, &now.wall_ns) < ALPHA,
            // Only calls that go one after another are stored in the order of time.
            name.ends_with("/sequential")
                && welch(&windows(&before.wall_ns), &windows(&now.wall_ns)) < ALPHA,
            p95(now).is_some_and(|now| is_beyond(now, &earlier)),
        ];
        for (any, found) in any.iter_mut().zip(found) {
            *any |= found;
        }
    }
    any
}

fn p95(calls: &Calls) -> Option<f64> {
    let mut sorted = calls.wall_ns.clone();
    sorted.sort_unstable();
    nearest_rank(&sorted, 950).map(|ns| ns as f64)
}

/// One-sided probability by the normal approximation, ties corrected.
fn mann_whitney(base: &[u64], candidate: &[u64]) -> f64 {
    let (n, m) = (base.len() as f64, candidate.len() as f64);
    let mut all: Vec<(u64, bool)> = base.iter().map(|ns| (*ns, false)).collect();
    all.extend(candidate.iter().map(|ns| (*ns, true)));
    all.sort_unstable();
    let (mut ranks, mut ties, mut before) = (0.0, 0.0, 0.0);
    for same in all.chunk_by(|a, b| a.0 == b.0) {
        let size = same.len() as f64;
        let rank = before + f64::midpoint(size, 1.0);
        ranks += rank
            * same
                .iter()
                .filter(|(_, is_candidate)| *is_candidate)
                .count() as f64;
        ties += size.powi(3) - size;
        before += size;
    }
    let wins = ranks - m * (m + 1.0) / 2.0;
    let total = n + m;
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    upper_normal((wins - n * m / 2.0) / variance.sqrt())
}

fn upper_normal(z: f64) -> f64 {
    Normal::new(0.0, 1.0).map_or(1.0, |normal| if z.is_finite() { normal.sf(z) } else { 1.0 })
}

fn windows(ns: &[u64]) -> Vec<f64> {
    let size = ns.len().div_ceil(WINDOWS).max(1);
    ns.chunks(size)
        .map(|window| window.iter().map(|ns| *ns as f64).sum::<f64>() / window.len() as f64)
        .collect()
}

/// Welch's one-sided probability.
fn welch(base: &[f64], candidate: &[f64]) -> f64 {
    let (Some(base), Some(candidate)) = (moments(base), moments(candidate)) else {
        return 1.0;
    };
    let square = (
        base.variance / base.count,
        candidate.variance / candidate.count,
    );
    let error = square.0 + square.1;
    let freedom = error.powi(2)
        / (square.0.powi(2) / (base.count - 1.0) + square.1.powi(2) / (candidate.count - 1.0));
    let t = (candidate.mean - base.mean) / error.sqrt();
    StudentsT::new(0.0, 1.0, freedom).map_or(1.0, |student| student.sf(t))
}

struct Moments {
    mean: f64,
    variance: f64,
    count: f64,
}

fn moments(values: &[f64]) -> Option<Moments> {
    (values.len() > 1).then(|| Moments {
        mean: values.mean(),
        variance: values.variance(),
        count: values.len() as f64,
    })
}

/// Whether a figure lies beyond the one-sided 99 % prediction bound of earlier ones.
fn is_beyond(now: f64, earlier: &[f64]) -> bool {
    moments(earlier).is_some_and(|before| {
        let t = student_t_quantile(0.99, before.count - 1.0);
        now > before.mean + t * (before.variance * (1.0 + 1.0 / before.count)).sqrt()
    })
}
