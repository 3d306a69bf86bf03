//! Where a series changes: E-divisive, the hierarchical bisection of Matteson and James (2014),
//! "A Nonparametric Approach for Multiple Change Point Analysis of Multivariate Data", Journal of
//! the American Statistical Association 109, 334-345.
//!
//! Two stretches of a series are as far apart as the energy distance of their values says (the
//! paper's exponent α is 1 here), which takes note of any change of distribution and needs no
//! assumption about its shape. The best place to cut is tested by permuting the values within the
//! stretches found so far; the first one that is not significant ends the search.

use rand::seq::SliceRandom as _;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};

/// Longest series that is looked at: only its newest values, since each permutation takes time in
/// the square of the length.
pub const MOST_VALUES: usize = 250;

/// Two statistics that differ by less than this share are the same cut of other orders, summed up
/// otherwise.
const ROUNDING: f64 = 1e-9;

/// How sure a change must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Largest p-value that is a change: the share of series without any in which one is seen.
    pub significance: f64,
    /// Permutations of a test; the smallest p-value is 1 / (`permutations` + 1).
    pub permutations: u32,
    /// Fewest values between two changes; at least 1.
    pub min_segment: usize,
    /// Seed of the permutations.
    pub seed: u64,
}

impl Default for Options {
    /// 1 %, 999 permutations, three values.
    ///
    /// The paper's own least is 30 values, for long series; a single value would let one outlier at
    /// an end pass for a change.
    fn default() -> Self {
        Self {
            significance: 0.01,
            permutations: 999,
            min_segment: 3,
            seed: 0,
        }
    }
}

/// One change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChangePoint {
    /// Index of the first value that belongs to what comes after.
    pub index: usize,
    /// The paper's Q̂ at its largest, in the unit of the values.
    pub statistic: f64,
    /// (1 + permutations at least as extreme) / (1 + permutations), as Phipson and Smyth (2010) have
    /// it, so that it is never 0.
    pub p_value: f64,
}

/// The changes of `series`, in order of their index; none where a value is not finite.
///
/// The values are taken as exchangeable between two changes: where neighbours resemble each other
/// (a noisy hour of a shared machine), changes are seen more often than `significance` says. Of a
/// series longer than [`MOST_VALUES`] only the newest ones are looked at.
#[must_use]
pub fn change_points(series: &[f64], options: &Options) -> Vec<ChangePoint> {
    let skipped = series.len().saturating_sub(MOST_VALUES);
    let series = series.get(skipped..).unwrap_or_default();
    let scale = series.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
    if !scale.is_finite() || scale <= 0.0 || series.iter().any(|v| !v.is_finite()) {
        return Vec::new();
    }
    // Within -1 to 1 no sum can overflow.
    let values: Vec<f64> = series.iter().map(|v| v / scale).collect();
    let min_segment = options.min_segment.max(1);
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut found: Vec<ChangePoint> = Vec::new();
    while let Some(best) = best_cut(&values, &bounds(&found, values.len()), min_segment) {
        let stretches = bounds(&found, values.len());
        let Some(p_value) = permuted(&values, &stretches, best.statistic, options, &mut rng) else {
            break;
        };
        found.push(ChangePoint { p_value, ..best });
        found.sort_by_key(|change| change.index);
    }
    for change in &mut found {
        change.index += skipped;
        change.statistic *= scale;
    }
    found
}

/// The stretches between the changes so far: first index and the one behind the last.
fn bounds(found: &[ChangePoint], length: usize) -> Vec<(usize, usize)> {
    let starts = std::iter::once(0).chain(found.iter().map(|change| change.index));
    let ends = found.iter().map(|change| change.index);
    starts.zip(ends.chain([length])).collect()
}

/// The p-value of `observed`, or `None` where it is above the significance.
fn permuted(
    values: &[f64],
    stretches: &[(usize, usize)],
    observed: f64,
    options: &Options,
    rng: &mut ChaCha8Rng,
) -> Option<f64> {
    let most = options.significance * (f64::from(options.permutations) + 1.0);
    let mut extreme = 1_u32;
    let mut order = values.to_vec();
    for _ in 0..options.permutations {
        for &(start, end) in stretches {
            order.get_mut(start..end)?.shuffle(rng);
        }
        let best = best_cut(&order, stretches, options.min_segment.max(1));
        if best.is_some_and(|best| best.statistic >= observed * (1.0 - ROUNDING)) {
            extreme += 1;
        }
        // Whatever the others say, it cannot become significant any more (Besag and Clifford 1991).
        if f64::from(extreme) > most {
            return None;
        }
    }
    let p_value = f64::from(extreme) / (f64::from(options.permutations) + 1.0);
    (p_value <= options.significance).then_some(p_value)
}

/// The best cut of all stretches; `None` where none is long enough, or all values are the same.
fn best_cut(
    values: &[f64],
    stretches: &[(usize, usize)],
    min_segment: usize,
) -> Option<ChangePoint> {
    let cuts = stretches.iter().filter_map(|&(start, end)| {
        let (tau, statistic) = cut(values.get(start..end)?, min_segment)?;
        Some((start + tau, statistic))
    });
    let best = cuts.fold(None, |best: Option<(usize, f64)>, next| match best {
        Some(best) if best.1 >= next.1 => Some(best),
        _ => Some(next),
    });
    let (index, statistic) = best.filter(|(_, statistic)| *statistic > 0.0)?;
    Some(ChangePoint {
        index,
        statistic,
        p_value: 1.0,
    })
}

/// The τ at which Q̂(X_τ, Y_τ(κ)) is largest over all κ, and how large: equations 4 to 6 of the
/// paper. X_τ are the first τ values, and Y_τ(κ) those from there to κ.
///
/// A cut that is better one value earlier or later is none, also where that one would leave fewer than
/// `min_segment` values: else two wild values at an end would be a change together with a third, and
/// lie one too early.
///
/// Takes time in the square of the length: the sums of distances within Y_τ(κ) grow by one row when
/// τ goes down by one.
fn cut(values: &[f64], min_segment: usize) -> Option<(usize, f64)> {
    let n = values.len();
    if n < 2 * min_segment {
        return None;
    }
    // within[k]: of the values from 0 to k, since τ is 0 at the end.
    let mut within = vec![0.0; n + 1];
    for tau in (0..n).rev() {
        add_row(&mut within, values, tau);
    }
    let whole = within.clone();
    within.fill(0.0);
    // For each κ the statistics of τ + 2 and τ + 1 while that of τ is worked out.
    let mut ahead = vec![(f64::NEG_INFINITY, f64::NEG_INFINITY); n + 1];
    let mut best: Option<(usize, f64)> = None;
    for tau in (0..n).rev() {
        add_row(&mut within, values, tau);
        let left = whole.get(tau).copied().unwrap_or_default();
        let sums = within.iter().zip(&whole).zip(&mut ahead).enumerate();
        for (kappa, ((right, all), (later, middle))) in sums.skip(tau + 1) {
            let now = if tau == 0 {
                f64::NEG_INFINITY
            } else {
                divergence(tau as f64, (kappa - tau) as f64, left, *right, *all)
            };
            let at = tau + 1;
            let is_cut = at >= min_segment && kappa >= at + min_segment;
            let most = *middle * (1.0 + ROUNDING);
            if is_cut
                && most >= *later
                && most >= now
                && best.is_none_or(|(_, statistic)| *middle >= statistic)
            {
                best = Some((at, *middle));
            }
            (*later, *middle) = (*middle, now);
        }
    }
    best
}

/// The paper's scaled divergence of `x` values from the `y` behind them, by the sums of distances
/// within each (`left`, `right`) and among all of them.
fn divergence(x: f64, y: f64, left: f64, right: f64, all: f64) -> f64 {
    let mean_within = |sum: f64, count: f64| {
        if count > 1.0 {
            sum / (count * (count - 1.0) / 2.0)
        } else {
            0.0
        }
    };
    let between = all - left - right;
    let divergence = 2.0 * between / (x * y) - mean_within(left, x) - mean_within(right, y);
    x * y / (x + y) * divergence
}

/// Adds the distances of the value at `tau` to those behind it.
fn add_row(within: &mut [f64], values: &[f64], tau: usize) {
    let Some((first, rest)) = values.get(tau..).and_then(<[f64]>::split_first) else {
        return;
    };
    let mut row = 0.0;
    for (sum, value) in within.iter_mut().skip(tau + 2).zip(rest) {
        row += (first - value).abs();
        *sum += row;
    }
}

#[cfg(test)]
#[path = "change_points_tests.rs"]
mod tests;
