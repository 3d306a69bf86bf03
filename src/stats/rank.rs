//! Rank statistics for a handful of rounds.

use super::{Sample, interval::normal_probability};

/// The most figures a side for which the exact distribution is computed; larger samples are
/// thinned evenly, which only loses power.
const MOST_FIGURES: usize = 60;

/// One-sided exact probability, if both samples came from the same source, of as many pairs
/// `candidate > base` as were seen or more (Mann and Whitney 1947). Ties count for the base, which
/// errs towards "no difference".
///
/// Three against three completely separated give 1/20, the smallest value that they can.
#[must_use]
pub fn mann_whitney_greater(base: &Sample, candidate: &Sample) -> f64 {
    let (base, candidate) = (thinned(base), thinned(candidate));
    let wins = candidate
        .iter()
        .map(|c| base.iter().filter(|b| *c > **b).count())
        .sum::<usize>();
    upper_tail(base.len(), candidate.len(), wins)
}

/// Between which bounds the rank test leaves how far `candidate` lies above `base`, each with an error of
/// at most `alpha` on its side (Moses 1965). `None` where even complete separation is no evidence at that
/// error.
#[must_use]
pub fn shift_bounds(base: &Sample, candidate: &Sample, alpha: f64) -> Option<(f64, f64)> {
    let (base, candidate) = (thinned(base), thinned(candidate));
    let (n, m) = (base.len(), candidate.len());
    let mut differences: Vec<f64> = candidate
        .iter()
        .flat_map(|c| base.iter().map(move |b| c - b))
        .collect();
    differences.sort_by(f64::total_cmp);
    // The slack is for rounding: 1/20 must count as 0.05.
    let beyond = (0..n * m)
        .take_while(|&lost| upper_tail(n, m, n * m - lost) <= alpha * (1.0 + 1e-9))
        .count();
    let low = differences.get(beyond.checked_sub(1)?)?;
    let high = differences.get(differences.len().checked_sub(beyond)?)?;
    Some((*low, *high))
}

/// By how many standard deviations normal figures must be shifted for all `m` of them to lie above
/// all `n` of the others with this probability.
#[must_use]
pub fn separating_shift(n: usize, m: usize, probability: f64) -> f64 {
    let (below, above) = (n as f64 - 1.0, m as f64);
    // P = ∫ n φ(x) Φ(x)^(n-1) Φ(δ-x)^m dx, by Simpson's rule: x is the largest of the others.
    let separated = |shift: f64| {
        const STEPS: u32 = 400;
        const REACH: f64 = 8.0;
        let step = 2.0 * REACH / f64::from(STEPS);
        let terms = (0..=STEPS).map(|i| {
            let x = f64::from(i).mul_add(step, -REACH);
            let weight = match i {
                0 | STEPS => 1.0,
                odd if odd % 2 == 1 => 4.0,
                _ => 2.0,
            };
            let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            weight
                * density
                * normal_probability(x).powf(below)
                * normal_probability(shift - x).powf(above)
        });
        n as f64 * step / 3.0 * terms.sum::<f64>()
    };
    let (mut low, mut high) = (0.0, 20.0);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if separated(middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

fn thinned(sample: &Sample) -> Vec<f64> {
    let step = sample.len().div_ceil(MOST_FIGURES).max(1);
    sample.values().iter().copied().step_by(step).collect()
}

/// P(U ≥ `at_least`) for sizes `n` and `m`, U the number of pairs won by the second sample.
///
/// `shares[k]` is the probability of U = k. Going from i − 1 to i figures of the second sample
/// multiplies the generating function by (1 − q^(n+i)) / (1 − q^i) · i / (n + i).
fn upper_tail(n: usize, m: usize, at_least: usize) -> f64 {
    let mut shares = vec![0.0_f64; n * m + 1];
    if let Some(first) = shares.first_mut() {
        *first = 1.0;
    }
    for i in 1..=m {
        for k in (n + i..shares.len()).rev() {
            let less = shares.get(k - n - i).copied().unwrap_or_default();
            if let Some(share) = shares.get_mut(k) {
                *share -= less;
            }
        }
        for k in i..shares.len() {
            let more = shares.get(k - i).copied().unwrap_or_default();
            if let Some(share) = shares.get_mut(k) {
                *share += more;
            }
        }
        let scale = i as f64 / (n + i) as f64;
        for share in &mut shares {
            *share *= scale;
        }
    }
    // The distribution is symmetric: the sum of the small end keeps the digits of a small tail.
    let tail: f64 = shares
        .iter()
        .take((n * m + 1).saturating_sub(at_least))
        .sum();
    tail.clamp(0.0, 1.0)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;
    use crate::stats::location::tests::sample;
    use proptest::prelude::*;

    /// Hollander and Wolfe 1973, pages 69 and 78: permeability of human chorioamnion, at term (10) and
    /// between the 12th and 26th week (5), with an interval of 96 %.
    #[test]
    fn shifts_lie_between_published_bounds() {
        let at_term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
        let before = [1.15, 0.88, 0.90, 0.74, 1.21];
        let (low, high) = shift_bounds(&sample(&at_term), &sample(&before), 0.02).unwrap();
        assert!((low + 0.76).abs() < 1e-9, "{low}");
        assert!((high - 0.15).abs() < 1e-9, "{high}");
        // Three against three: all differences, and nothing at a smaller error.
        let [b, c] = [[1.0, 2.0, 3.0], [10.0, 20.0, 40.0]].map(|v| sample(&v));
        assert_eq!(shift_bounds(&b, &c, 0.05), Some((7.0, 39.0)));
        assert_eq!(shift_bounds(&b, &c, 0.049), None);
    }

    /// One against one: P(c > b) = Φ(δ / √2).
    #[test]
    fn what_separates_is_wider_the_more_there_are() {
        let one = separating_shift(1, 1, 0.9);
        let exact = crate::stats::interval::normal_quantile(0.9) * 2.0_f64.sqrt();
        assert!((one - exact).abs() < 1e-6, "{one} {exact}");
        let three = separating_shift(3, 3, 0.9);
        assert!(
            three > one && three < separating_shift(6, 3, 0.9),
            "{three}"
        );
        assert!((separating_shift(6, 3, 0.9) - separating_shift(3, 6, 0.9)).abs() < 1e-6);
    }

    #[test]
    fn agrees_with_scipy() {
        // scipy 1.17: stats.mannwhitneyu(candidate, base, alternative="greater", method="exact")
        for (base, candidate, expected) in [
            (vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0], 0.05),
            (
                vec![1.0, 2.0, 5.0],
                vec![3.0, 4.0, 6.0, 7.0],
                0.114_285_714_285_714_28,
            ),
            (
                vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
                vec![3.5, 4.5, 5.5, 7.0, 8.0, 9.0],
                0.032_467_532_467_532_464,
            ),
        ] {
            let p = mann_whitney_greater(&sample(&base), &sample(&candidate));
            assert!((p - expected).abs() < 1e-12, "{p} is not {expected}");
        }
    }

    #[test]
    fn ties_count_for_the_base() {
        let same = sample(&[1.0, 1.0, 1.0]);
        assert_eq!(mann_whitney_greater(&same, &same), 1.0);
    }

    #[test]
    fn large_samples_are_bounded_and_keep_their_meaning() {
        let low = sample(&(0..5_000).map(f64::from).collect::<Vec<_>>());
        let high = sample(&(5_000..10_000).map(f64::from).collect::<Vec<_>>());
        assert!(mann_whitney_greater(&low, &high) < 1e-12);
        assert!(mann_whitney_greater(&high, &low) > 0.999_999);
        let p = mann_whitney_greater(&low, &low);
        assert!((0.4..0.6).contains(&p), "{p}");
    }

    proptest! {
        #[test]
        fn a_probability_that_falls_as_the_candidate_rises(
            base in prop::collection::vec(-10.0..10.0_f64, 1..9),
            candidate in prop::collection::vec(-10.0..10.0_f64, 1..9),
            shift in 0.0..10.0_f64,
        ) {
            let (b, c) = (sample(&base), sample(&candidate));
            let up = sample(&candidate.iter().map(|v| v + shift).collect::<Vec<_>>());
            let (p, q) = (mann_whitney_greater(&b, &c), mann_whitney_greater(&b, &up));
            prop_assert!((0.0..=1.0).contains(&p) && q <= p + 1e-12);
        }
    }
}
