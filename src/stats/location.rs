//! Where a sample lies: median, trimmed mean with its error, Hodges-Lehmann.

use super::Sample;

/// The middle value, or the mean of the two middle values.
#[must_use]
pub fn median(sample: &Sample) -> f64 {
    let v = sample.values();
    let mid = v.len() / 2;
    let upper = v.get(mid).copied().unwrap_or_default();
    if v.len() % 2 == 1 {
        upper
    } else {
        let lower = v.get(mid.wrapping_sub(1)).copied().unwrap_or(upper);
        lower + (upper - lower) / 2.0
    }
}

/// A trimmed mean and what is needed to say how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrimmedMean {
    /// Mean of the values kept.
    pub value: f64,
    /// Estimated variance of `value`: winsorised sum of squares / (h·(h − 1)) with h values kept
    /// (Yuen 1974); 0 when fewer than two are kept.
    pub squared_error: f64,
    /// Values kept.
    pub kept: usize,
}

impl TrimmedMean {
    /// Mean of the sample without its `each_end` smallest and `each_end` largest values.
    ///
    /// `each_end` is reduced where it would leave nothing. With 0 it is the plain mean and its
    /// squared standard error.
    #[must_use]
    pub fn of(sample: &Sample, each_end: usize) -> Self {
        let v = sample.values();
        let g = each_end.min((v.len() - 1) / 2);
        let core = v.get(g..v.len() - g).unwrap_or(v);
        let kept = core.len();
        let value = mean(core);
        let squared_error = if kept < 2 {
            0.0
        } else {
            winsorized_sum_of_squares(v, g) / (kept as f64 * (kept - 1) as f64)
        };
        Self {
            value,
            squared_error,
            kept,
        }
    }
}

/// How many values a trimmed mean drops at each end of `n`: ⌊n · `percent` / 100⌋.
#[must_use]
pub fn trim_count(n: usize, percent: usize) -> usize {
    n.saturating_mul(percent) / 100
}

/// Variance (n − 1 in the denominator) after the `each_end` smallest and largest values were
/// replaced by their nearest remaining neighbours; 0 for one value.
#[must_use]
pub fn winsorized_variance(sample: &Sample, each_end: usize) -> f64 {
    let v = sample.values();
    let g = each_end.min((v.len() - 1) / 2);
    if v.len() < 2 {
        0.0
    } else {
        winsorized_sum_of_squares(v, g) / (v.len() - 1) as f64
    }
}

fn winsorized_sum_of_squares(sorted: &[f64], g: usize) -> f64 {
    let last = sorted.len() - 1;
    let (low, high) = (
        sorted.get(g).copied().unwrap_or_default(),
        sorted.get(last - g).copied().unwrap_or_default(),
    );
    let clamped: Vec<f64> = sorted.iter().map(|v| v.max(low).min(high)).collect();
    let centre = mean(&clamped);
    clamped.iter().map(|v| (v - centre).powi(2)).sum()
}

/// Mean by increments, so that it stays within the values and sums cannot overflow.
fn mean(values: &[f64]) -> f64 {
    let mut mean = 0.0;
    for (i, v) in values.iter().enumerate() {
        mean += (v - mean) / (i + 1) as f64;
    }
    mean
}

/// Hodges-Lehmann estimate of the centre: median of the means of all pairs (i ≤ j).
///
/// Takes time and space in n²; meant for rounds, not for calls.
#[must_use]
pub fn hodges_lehmann(sample: &Sample) -> f64 {
    let v = sample.values();
    let means = v
        .iter()
        .enumerate()
        .flat_map(|(i, a)| v.iter().skip(i).map(move |b| a + (b - a) / 2.0));
    Sample::new(means).map_or_else(|| median(sample), |m| median(&m))
}

/// Hodges-Lehmann estimate of the shift from `base` to `candidate`: median of all differences.
///
/// Takes time and space in n·m; meant for rounds, not for calls.
#[must_use]
pub fn hodges_lehmann_shift(base: &Sample, candidate: &Sample) -> f64 {
    let differences = base
        .values()
        .iter()
        .flat_map(|b| candidate.values().iter().map(move |c| c - b));
    Sample::new(differences).map_or_else(|| median(candidate) - median(base), |d| median(&d))
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) const X: [f64; 10] = [31.2, 28.4, 33.0, 29.9, 30.5, 27.8, 35.9, 30.1, 29.0, 41.0];
    pub(crate) const Y: [f64; 11] = [
        36.1, 33.8, 39.9, 35.2, 37.7, 34.4, 36.0, 58.2, 35.1, 33.0, 37.2,
    ];

    pub(crate) fn sample(values: &[f64]) -> Sample {
        Sample::new(values.iter().copied()).unwrap()
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{a} is not {b}");
    }

    #[test]
    fn agrees_with_scipy() {
        // scipy 1.17: stats.trim_mean(x, 0.2)
        close(
            TrimmedMean::of(&sample(&X), 2).value,
            30.616_666_666_666_664,
        );
        close(
            TrimmedMean::of(&sample(&Y), 2).value,
            35.957_142_857_142_856,
        );
        // scipy 1.17: numpy.var(mstats.winsorize(x, (0.2, 0.2)), ddof=1)
        close(winsorized_variance(&sample(&X), 2), 2.864_555_555_555_556);
        close(winsorized_variance(&sample(&Y), 2), 1.924_909_090_909_095_3);
        // numpy 2.x: median of the Walsh means; median of the differences
        close(hodges_lehmann(&sample(&X)), 30.7);
        close(
            hodges_lehmann_shift(&sample(&X), &sample(&Y)),
            5.350_000_000_000_001,
        );
        close(median(&sample(&X)), 30.3);
        close(median(&sample(&Y)), 36.0);
    }

    #[test]
    fn small_samples_have_a_centre_and_no_error() {
        for each_end in 0..4 {
            let one = TrimmedMean::of(&sample(&[7.0]), each_end);
            assert_eq!((one.value, one.squared_error, one.kept), (7.0, 0.0, 1));
            let two = TrimmedMean::of(&sample(&[1.0, 3.0]), each_end);
            assert_eq!((two.value, two.kept), (2.0, 2));
        }
        assert_eq!(TrimmedMean::of(&sample(&[0.0, 1.0, 100.0]), 1).value, 1.0);
        assert_eq!(winsorized_variance(&sample(&[7.0]), 3), 0.0);
        assert_eq!(
            (trim_count(10, 20), trim_count(4, 20), trim_count(14, 20)),
            (2, 0, 2)
        );
    }

    proptest! {
        #[test]
        fn centres_lie_within_the_sample(
            values in prop::collection::vec(-1e6..1e6_f64, 1..40), each_end in 0_usize..30,
        ) {
            let s = sample(&values);
            let slack = 1e-9 * s.min().abs().max(s.max().abs()).max(1.0);
            for centre in [median(&s), hodges_lehmann(&s), TrimmedMean::of(&s, each_end).value] {
                prop_assert!(centre >= s.min() - slack && centre <= s.max() + slack);
            }
        }

        #[test]
        fn centres_move_and_scale_with_the_sample(
            values in prop::collection::vec(-100.0..100.0_f64, 1..30),
            shift in -50.0..50.0_f64, scale in 0.1..10.0_f64,
        ) {
            let s = sample(&values);
            let moved = sample(&values.iter().map(|v| v * scale + shift).collect::<Vec<_>>());
            let g = trim_count(values.len(), 20);
            let (a, b) = (TrimmedMean::of(&s, g), TrimmedMean::of(&moved, g));
            prop_assert!((a.value * scale + shift - b.value).abs() < 1e-9);
            prop_assert!((a.squared_error * scale * scale - b.squared_error).abs() < 1e-6);
            prop_assert!((median(&s) * scale + shift - median(&moved)).abs() < 1e-9);
            prop_assert!((hodges_lehmann(&s) * scale + shift - hodges_lehmann(&moved)).abs() < 1e-9);
        }

        #[test]
        fn a_shift_is_found_and_reverses(
            values in prop::collection::vec(-100.0..100.0_f64, 1..20), shift in -50.0..50.0_f64,
        ) {
            let (a, b) = (sample(&values), sample(&values.iter().map(|v| v + shift).collect::<Vec<_>>()));
            let there = hodges_lehmann_shift(&a, &b);
            prop_assert!((there - shift).abs() < 1e-9);
            prop_assert!((there + hodges_lehmann_shift(&b, &a)).abs() < 1e-9);
        }
    }
}
