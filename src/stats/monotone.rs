//! Whether a series goes one way: the test of Mann (1945) and Kendall (1975).

use std::cmp::Ordering;

use super::interval::normal_probability;

/// The outcome of the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MannKendall {
    /// Pairs that rise less pairs that fall.
    pub s: i64,
    /// S in its standard deviations, corrected for continuity; 0 where all values are the same.
    pub z: f64,
    /// Two-sided, by the normal approximation, which errs on the side of no trend for clear trends of
    /// ten values.
    pub p_value: f64,
}

/// Tests `series`, in order, for a trend. Its variance is corrected for ties. Values are taken as
/// independent of each other but for the trend.
///
/// Takes time in the square of the length. `None` below three values, or where one is not finite.
#[must_use]
pub fn mann_kendall(series: &[f64]) -> Option<MannKendall> {
    if series.len() < 3 || series.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mut s = 0_i64;
    for (i, earlier) in series.iter().enumerate() {
        for later in series.iter().skip(i + 1) {
            s += match later.partial_cmp(earlier) {
                Some(Ordering::Greater) => 1,
                Some(Ordering::Less) => -1,
                Some(Ordering::Equal) | None => 0,
            };
        }
    }
    let spread = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let mut sorted = series.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ties = sorted.chunk_by(|a, b| a.partial_cmp(b) == Some(Ordering::Equal));
    let tied: f64 = ties.map(|tie| spread(tie.len() as f64)).sum();
    let variance = (spread(series.len() as f64) - tied) / 18.0;
    let towards_nought = s - s.signum();
    let z = if variance > 0.0 {
        towards_nought as f64 / variance.sqrt()
    } else {
        0.0
    };
    Some(MannKendall {
        s,
        z,
        p_value: (2.0 * normal_probability(-z.abs())).min(1.0),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn agrees_with_pymannkendall() {
        // pymannkendall 1.4.3: original_test(series)
        let ramp: Vec<f64> = (0..10).map(|i| 100.0 * 1.03_f64.powi(i)).collect();
        let table: [(&[f64], i64, f64, f64); 4] = [
            (
                &[1.0, 4.5, 4.0, 8.2, 9.9, 30.0, 13.1],
                17,
                2.403_005_636_744_442_3,
                0.016_260_936_780_450_264,
            ),
            (&ramp, 45, 3.935_479_640_399_629_7, 8.303_070_332_638_107e-5),
            (
                &[3.0, 3.0, 2.0, 5.0, 5.0, 5.0, 4.0, 6.0, 7.0, 7.0, 6.0, 8.0],
                46,
                3.135_298_564_312_279_7,
                0.001_716_792_868_609_040_6,
            ),
            (
                &[5.0, 4.0, 4.0, 4.0, 3.0, 6.0, 2.0, 2.0, 1.0, 3.0],
                -24,
                -2.105_459_782_055_869_6,
                0.035_251_304_647_446_3,
            ),
        ];
        for (series, s, z, p) in table {
            let found = mann_kendall(series).unwrap();
            assert_eq!(found.s, s);
            assert!((found.z - z).abs() < 1e-12, "{found:?}");
            assert!((found.p_value - p).abs() < 1e-9, "{found:?}");
        }
    }

    #[test]
    fn nothing_goes_nowhere() {
        assert_eq!(mann_kendall(&[1.0, 2.0]), None);
        assert_eq!(mann_kendall(&[1.0, f64::NAN, 2.0]), None);
        let same = mann_kendall(&[4.0; 9]).unwrap();
        assert_eq!((same.s, same.p_value.to_bits()), (0, 1.0_f64.to_bits()));
    }

    proptest! {
        #[test]
        fn the_other_way_round_is_the_other_way(
            values in prop::collection::vec(-50_i32..50, 3..40),
        ) {
            let there: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
            let back: Vec<f64> = there.iter().rev().copied().collect();
            let (a, b) = (mann_kendall(&there).unwrap(), mann_kendall(&back).unwrap());
            prop_assert_eq!(a.s, -b.s);
            prop_assert!((a.p_value - b.p_value).abs() < 1e-12);
            prop_assert!((0.0..=1.0).contains(&a.p_value));
        }
    }
}
