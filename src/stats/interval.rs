//! How sure an estimate is: intervals for a difference of centres and for a proportion.

use statrs::distribution::{Beta, ChiSquared, ContinuousCDF, Normal, StudentsT};

use super::location::TrimmedMean;

/// Beyond this many degrees of freedom Student's t is the normal distribution to five digits.
const NORMAL_FROM: f64 = 100_000.0;

/// The difference of two trimmed means (candidate − base) with its standard error.
///
/// Yuen (1974) with Welch's degrees of freedom: variances may differ. Without trimming it is
/// Welch's t.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Candidate − base.
    pub estimate: f64,
    /// Standard error of `estimate`; 0 where neither side varies.
    pub standard_error: f64,
    /// Degrees of freedom; at least 1.
    pub degrees_of_freedom: f64,
}

impl Difference {
    /// `None` where a side keeps fewer than two values: then nothing is known about its error.
    #[must_use]
    pub fn between(base: &TrimmedMean, candidate: &TrimmedMean) -> Option<Self> {
        if base.kept < 2 || candidate.kept < 2 {
            return None;
        }
        let (db, dc) = (base.squared_error, candidate.squared_error);
        let (fb, fc) = ((base.kept - 1) as f64, (candidate.kept - 1) as f64);
        let squared = db + dc;
        let welch = squared * squared / (db * db / fb + dc * dc / fc);
        // 0/0 where neither side varies, or where the squares are too small to be represented.
        let degrees_of_freedom = if welch.is_finite() {
            welch.clamp(fb.min(fc), fb + fc)
        } else {
            fb.min(fc)
        };
        Some(Self {
            estimate: candidate.value - base.value,
            standard_error: squared.sqrt(),
            degrees_of_freedom,
        })
    }

    /// Of pairs, whose own differences lie where `pairs` says (Student 1908; with trimming Tukey and
    /// McLaughlin 1963). `None` where fewer than two are kept.
    #[must_use]
    pub fn of_pairs(pairs: &TrimmedMean) -> Option<Self> {
        (pairs.kept >= 2).then(|| Self {
            estimate: pairs.value,
            standard_error: pairs.squared_error.sqrt(),
            degrees_of_freedom: (pairs.kept - 1) as f64,
        })
    }

    /// Half-width of the interval that the true difference leaves on one given side with
    /// probability `alpha` (0 < alpha < 0.5).
    #[must_use]
    pub fn margin(&self, alpha: f64) -> f64 {
        student_t_quantile(1.0 - alpha, self.degrees_of_freedom) * self.standard_error
    }
}

/// Quantile of Student's t; `p` in (0, 1), `degrees_of_freedom` at least 1 (less counts as 1).
#[must_use]
pub fn student_t_quantile(p: f64, degrees_of_freedom: f64) -> f64 {
    if degrees_of_freedom >= NORMAL_FROM {
        return normal_quantile(p);
    }
    StudentsT::new(0.0, 1.0, degrees_of_freedom.max(1.0)).map_or_else(
        |_| normal_quantile(p),
        |t| t.inverse_cdf(p.clamp(f64::EPSILON, 1.0 - f64::EPSILON)),
    )
}

/// Quantile of a normal sample's standard deviation, as a multiple of the true one; `p` in (0, 1),
/// `degrees_of_freedom` at least 1 (less counts as 1).
#[must_use]
pub fn spread_quantile(p: f64, degrees_of_freedom: f64) -> f64 {
    let degrees_of_freedom = degrees_of_freedom.max(1.0);
    ChiSquared::new(degrees_of_freedom).map_or(1.0, |chi| {
        let square = chi.inverse_cdf(p.clamp(f64::EPSILON, 1.0 - f64::EPSILON));
        (square / degrees_of_freedom).sqrt()
    })
}

/// Quantile of the standard normal distribution; `p` in (0, 1).
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p.clamp(f64::EPSILON, 1.0 - f64::EPSILON))
}

/// Probability that a standard normal figure is at most `z`.
#[must_use]
pub fn normal_probability(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// Bounds of the difference of two proportions, second − first, each with error `alpha` on its side:
/// the hybrid of both Wilson scores (Newcombe 1998, method 10). `None` where one has no trials.
#[must_use]
pub fn proportion_difference(
    (successes1, trials1): (u64, u64),
    (successes2, trials2): (u64, u64),
    alpha: f64,
) -> Option<(f64, f64)> {
    let (first, low1, high1) = wilson(successes1, trials1, alpha)?;
    let (second, low2, high2) = wilson(successes2, trials2, alpha)?;
    let difference = second - first;
    let below = (second - low2).hypot(high1 - first);
    let above = (high2 - second).hypot(first - low1);
    Some((difference - below, difference + above))
}

/// A proportion with the bounds of its score interval (Wilson 1927).
fn wilson(successes: u64, trials: u64, alpha: f64) -> Option<(f64, f64, f64)> {
    let n = (trials > 0).then_some(trials as f64)?;
    let p = successes.min(trials) as f64 / n;
    let z = normal_quantile(1.0 - alpha);
    let (square, whole) = (z * z / n, 1.0 + z * z / n);
    let half = z * (p * (1.0 - p) / n + square / (4.0 * n)).sqrt();
    let middle = p + square / 2.0;
    Some((
        p,
        ((middle - half) / whole).clamp(0.0, p),
        ((middle + half) / whole).clamp(p, 1.0),
    ))
}

/// More trials than this are brought down to it in proportion before a bound is taken: the
/// distribution function loses its digits beyond, and fewer trials only widen the bound.
const MOST_TRIALS: u64 = 1_000_000;

/// Successes and failures, at most [`MOST_TRIALS`] together; successes beyond trials are ignored.
fn counts(successes: u64, trials: u64) -> (f64, f64) {
    let k = successes.min(trials);
    if trials <= MOST_TRIALS {
        (k as f64, (trials - k) as f64)
    } else {
        let k = (k as f64 / trials as f64 * MOST_TRIALS as f64).round();
        (k, MOST_TRIALS as f64 - k)
    }
}

/// Clopper-Pearson lower bound of a proportion: with `successes` of `trials` seen, the true
/// proportion is below it with probability at most `alpha`. 0 without trials.
#[must_use]
pub fn proportion_lower_bound(successes: u64, trials: u64, alpha: f64) -> f64 {
    let (k, failures) = counts(successes, trials);
    beta_quantile(k, failures + 1.0, alpha).unwrap_or(0.0)
}

/// Clopper-Pearson upper bound of a proportion: with `successes` of `trials` seen, the true
/// proportion is above it with probability at most `alpha`. 1 without trials.
#[must_use]
pub fn proportion_upper_bound(successes: u64, trials: u64, alpha: f64) -> f64 {
    let (k, failures) = counts(successes, trials);
    beta_quantile(k + 1.0, failures, 1.0 - alpha).unwrap_or(1.0)
}

/// Quantile of the beta distribution by halving its interval: it always ends, and it is as exact
/// as the distribution function. `None` where a parameter is 0.
fn beta_quantile(a: f64, b: f64, p: f64) -> Option<f64> {
    let beta = Beta::new(a, b).ok()?;
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..200 {
        let mid = low + (high - low) / 2.0;
        if mid <= low || mid >= high {
            break;
        }
        if beta.cdf(mid) < p {
            low = mid;
        } else {
            high = mid;
        }
    }
    Some(high)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;
    use crate::stats::location::{
        tests::{X, Y, sample},
        trim_count,
    };
    use proptest::prelude::*;
    use rand_chacha::{
        ChaCha8Rng,
        rand_core::{Rng, SeedableRng},
    };

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-9 * b.abs().max(1e-3), "{a} is not {b}");
    }

    fn difference(base: &[f64], candidate: &[f64], percent: usize) -> Difference {
        let centre = |v: &[f64]| TrimmedMean::of(&sample(v), trim_count(v.len(), percent));
        Difference::between(&centre(base), &centre(candidate)).unwrap()
    }

    /// Chi-square as printed in tables: 7.779, 12.017 and 15.987 at 0.9 with 4, 7 and 10 degrees of
    /// freedom.
    #[test]
    fn spread_quantiles_are_those_of_the_tables() {
        for (freedom, square) in [(4.0, 7.779), (7.0, 12.017), (10.0, 15.987)] {
            let found = spread_quantile(0.9, freedom).powi(2) * freedom;
            assert!((found - square).abs() < 0.0006, "{freedom}: {found}");
        }
    }

    #[test]
    fn yuen_welch_agrees_with_scipy() {
        // scipy 1.17: r = stats.ttest_ind(y, x, equal_var=False, trim=0.2); r.df, r.statistic,
        // r.confidence_interval(c)
        let d = difference(&X, &Y, 20);
        close(d.degrees_of_freedom, 9.502_882_589_420_734);
        close(d.estimate / d.standard_error, 4.652_381_040_232_265);
        for (alpha, low, high) in [
            (0.05, 3.248_850_044_564_591, 7.432_102_336_387_793),
            (0.025, 2.764_539_072_107_489, 7.916_413_308_844_895),
            (0.001, 0.502_406_923_097_312_9, 10.178_545_457_855_071),
        ] {
            close(d.estimate - d.margin(alpha), low);
            close(d.estimate + d.margin(alpha), high);
        }
    }

    #[test]
    fn welch_agrees_with_scipy() {
        // scipy 1.17: r = stats.ttest_ind(y[:6], x[:5], equal_var=False)
        let d = difference(&X[..5], &Y[..6], 0);
        close(d.degrees_of_freedom, 8.923_662_419_600_088);
        close(d.estimate - d.margin(0.05), 3.383_025_575_174_243_7);
        close(d.estimate + d.margin(0.05), 7.783_641_091_492_413);
    }

    #[test]
    fn student_t_agrees_with_scipy() {
        // scipy 1.17: stats.t.ppf(p, df)
        for (p, df, expected) in [
            (0.999, 5.0, 5.893_429_531_356_009),
            (0.95, 9.3, 1.826_403_427_771_456_5),
            (0.975, 2.0, 4.302_652_729_749_462),
            (0.995, 30.5, 2.746_967_063_704_737),
        ] {
            close(student_t_quantile(p, df), expected);
        }
    }

    #[test]
    fn student_t_inverts_its_distribution_at_every_size_in_use() {
        for df in (0..200)
            .map(|i| 1.0 + 0.37 * f64::from(i))
            .chain([1e3, 9.9e4])
        {
            for alpha in [0.05, 0.025, 0.01, 0.005, 0.001] {
                let t = StudentsT::new(0.0, 1.0, df).unwrap();
                let q = student_t_quantile(1.0 - alpha, df);
                let back = 1.0 - t.cdf(q);
                assert!(
                    (back / alpha - 1.0).abs() < 1e-6,
                    "df {df} alpha {alpha}: {q} {back}"
                );
            }
        }
        assert!((student_t_quantile(0.999, 1e12) - normal_quantile(0.999)).abs() < 1e-12);
    }

    #[test]
    fn clopper_pearson_agrees_with_scipy() {
        // scipy 1.17: stats.binomtest(k, n).proportion_ci(1 - 2 * alpha, method="exact")
        for (k, n, alpha, low, high) in [
            (0, 10, 0.05, 0.0, 0.258_865_550_893_347_23),
            (
                1,
                100,
                0.05,
                0.000_512_801_416_269_692,
                0.046_559_811_453_045_11,
            ),
            (
                5,
                100,
                0.05,
                0.019_905_563_661_764_75,
                0.102_253_377_643_274_51,
            ),
            (
                5,
                100,
                0.001,
                0.007_517_096_336_799_617,
                0.155_367_305_810_468_3,
            ),
            (10, 10, 0.05, 0.741_134_449_106_652_8, 1.0),
            (
                2,
                1000,
                0.001,
                4.542_370_422_507_068e-5,
                0.011_177_192_441_194_916,
            ),
        ] {
            close(proportion_lower_bound(k, n, alpha), low);
            close(proportion_upper_bound(k, n, alpha), high);
        }
    }

    /// Newcombe 1998, table II, method 10, at 95 %.
    #[test]
    fn differences_of_proportions_lie_between_published_bounds() {
        for (first, second, low, high) in [
            ((48, 80), (56, 70), 0.0524, 0.3339),
            ((3, 10), (9, 10), 0.1705, 0.8090),
            ((0, 10), (0, 10), -0.2775, 0.2775),
            ((0, 10), (10, 10), 0.6075, 1.0),
        ] {
            let (l, h) = proportion_difference(first, second, 0.025).unwrap();
            assert!(
                (l - low).abs() < 5e-5 && (h - high).abs() < 5e-5,
                "{first:?} {second:?}: {l} {h}"
            );
            let (l2, h2) = proportion_difference(second, first, 0.025).unwrap();
            assert!(
                (l + h2).abs() < 1e-12 && (h + l2).abs() < 1e-12,
                "it mirrors"
            );
        }
        assert_eq!(proportion_difference((0, 0), (1, 2), 0.025), None);
    }

    #[test]
    fn proportions_without_sense_stay_proportions() {
        assert_eq!(proportion_lower_bound(0, 0, 0.05), 0.0);
        assert_eq!(proportion_upper_bound(0, 0, 0.05), 1.0);
        assert_eq!(proportion_upper_bound(9, 3, 0.05), 1.0);
        for (k, n) in [
            (u64::MAX, u64::MAX),
            (1, u64::MAX),
            (u64::MAX / 2, u64::MAX),
        ] {
            let (low, high) = (
                proportion_lower_bound(k, n, 0.001),
                proportion_upper_bound(k, n, 0.001),
            );
            let share = k as f64 / n as f64;
            assert!(
                0.0 <= low && low <= share && share <= high && high <= 1.0,
                "{low} {high}"
            );
        }
    }

    #[test]
    fn one_value_a_side_has_no_interval_and_equal_values_have_none_to_speak_of() {
        let one = TrimmedMean::of(&sample(&[1.0]), 0);
        let three = TrimmedMean::of(&sample(&[2.0, 2.0, 2.0]), 0);
        assert_eq!(Difference::between(&one, &three), None);
        let d = Difference::between(&three, &three).unwrap();
        assert_eq!(
            (d.estimate, d.margin(0.001), d.degrees_of_freedom),
            (0.0, 0.0, 2.0)
        );
        let two = TrimmedMean::of(&sample(&[1.0, 2.0]), 0);
        let d = Difference::between(&two, &two).unwrap();
        // Student's t of two degrees in closed form: (2p − 1)·sqrt(2 / (4p(1 − p))).
        close(d.margin(0.001), 15.787_661_329_349_895);
    }

    /// One standard normal draw (Box and Muller 1958).
    fn normal(rng: &mut ChaCha8Rng) -> f64 {
        let uniform = |rng: &mut ChaCha8Rng| (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let (u, v) = (1.0 - uniform(rng), uniform(rng));
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    #[test]
    fn the_interval_misses_the_truth_as_often_as_it_says() {
        let mut rng = ChaCha8Rng::seed_from_u64(20_260_101);
        let (draws, alpha) = (4_000, 0.05);
        for (n, m, sd_base, sd_candidate) in
            [(10, 10, 1.0, 1.0), (10, 5, 1.0, 2.0), (20, 10, 0.3, 1.0)]
        {
            let mut missed = 0_u32;
            for _ in 0..draws {
                let base: Vec<f64> = (0..n).map(|_| sd_base * normal(&mut rng)).collect();
                let candidate: Vec<f64> = (0..m)
                    .map(|_| 3.0 + sd_candidate * normal(&mut rng))
                    .collect();
                let d = difference(&base, &candidate, if n.min(m) < 8 { 0 } else { 20 });
                missed += u32::from(d.estimate - d.margin(alpha) > 3.0);
            }
            // Four binomial standard errors around alpha, plus what Yuen's approximation is off.
            let rate = f64::from(missed) / f64::from(draws);
            let error = 4.0 * (alpha * (1.0 - alpha) / f64::from(draws)).sqrt();
            assert!((rate - alpha).abs() < error + 0.005, "{n} {m}: {rate}");
        }
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_estimate_and_widens_with_confidence(
            base in prop::collection::vec(-10.0..10.0_f64, 3..20),
            candidate in prop::collection::vec(-10.0..10.0_f64, 3..20),
        ) {
            let d = difference(&base, &candidate, 20);
            let (narrow, wide) = (d.margin(0.05), d.margin(0.001));
            prop_assert!(narrow >= 0.0 && wide >= narrow && wide.is_finite());
        }

        #[test]
        fn the_difference_scales_and_reverses(
            base in prop::collection::vec(-10.0..10.0_f64, 3..20),
            candidate in prop::collection::vec(-10.0..10.0_f64, 3..20),
            scale in 0.1..10.0_f64,
        ) {
            let scaled = |v: &[f64]| v.iter().map(|x| x * scale).collect::<Vec<_>>();
            let (d, s) = (
                difference(&base, &candidate, 20),
                difference(&scaled(&base), &scaled(&candidate), 20),
            );
            prop_assert!((d.estimate * scale - s.estimate).abs() < 1e-9);
            prop_assert!((d.margin(0.01) * scale - s.margin(0.01)).abs() < 1e-6 * s.margin(0.01).max(1.0));
            let back = difference(&candidate, &base, 20);
            prop_assert!((d.estimate + back.estimate).abs() < 1e-12);
            prop_assert!((d.margin(0.01) - back.margin(0.01)).abs() < 1e-9 * d.margin(0.01).max(1.0));
        }

        #[test]
        fn the_bounds_of_a_proportion_enclose_it(k in 0_u64..500, more in 0_u64..500) {
            let n = k + more + 1;
            let (low, high) = (proportion_lower_bound(k, n, 0.01), proportion_upper_bound(k, n, 0.01));
            let share = k as f64 / n as f64;
            prop_assert!(low <= share && share <= high);
        }
    }
}
