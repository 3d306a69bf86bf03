//! Rank statistics for a handful of rounds.

use super::Sample;

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
