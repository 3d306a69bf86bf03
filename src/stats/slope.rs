//! A slope that a few wild points cannot bend.

use super::{Sample, location::median};

/// More points than this are thinned evenly before the slopes of all pairs are taken, which
/// bounds time and space (500,000 pairs).
const MOST_POINTS: usize = 1_000;

/// Theil-Sen slope of `points` (x, y): the median of the slopes of all pairs with different x.
///
/// `None` where no two points differ in x. Up to 29 % of the points may be arbitrarily wrong
/// (Sen 1968). Points that are not finite are ignored.
#[must_use]
pub fn theil_sen(points: &[(f64, f64)]) -> Option<f64> {
    let step = points.len().div_ceil(MOST_POINTS).max(1);
    let kept: Vec<(f64, f64)> = points.iter().copied().step_by(step).collect();
    let slopes = kept.iter().enumerate().flat_map(|(i, a)| {
        kept.iter()
            .skip(i + 1)
            .map(move |b| (b.1 - a.1) / (b.0 - a.0))
    });
    // A pair with equal x gives an infinite or undefined slope, which `Sample` drops.
    Sample::new(slopes).map(|s| median(&s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn agrees_with_scipy() {
        // scipy 1.17: stats.theilslopes([1, 4.5, 4, 8.2, 9.9, 30, 13.1], range(7)).slope
        let y = [1.0, 4.5, 4.0, 8.2, 9.9, 30.0, 13.1];
        let points: Vec<(f64, f64)> = y.iter().enumerate().map(|(i, y)| (i as f64, *y)).collect();
        assert!((theil_sen(&points).unwrap() - 2.225).abs() < 1e-12);
    }

    #[test]
    fn no_slope_without_two_different_x() {
        assert_eq!(theil_sen(&[]), None);
        assert_eq!(theil_sen(&[(1.0, 2.0)]), None);
        assert_eq!(theil_sen(&[(1.0, 2.0), (1.0, 5.0)]), None);
        assert_eq!(theil_sen(&[(f64::NAN, 2.0), (1.0, 5.0)]), None);
    }

    #[test]
    fn many_points_are_thinned_without_losing_the_slope() {
        let points: Vec<(f64, f64)> = (0..50_000)
            .map(|i| (f64::from(i), 3.0 * f64::from(i)))
            .collect();
        assert_eq!(theil_sen(&points), Some(3.0));
    }

    proptest! {
        #[test]
        fn a_line_keeps_its_slope_though_a_quarter_of_the_points_is_wild(
            slope in -1e3..1e3_f64, wild in prop::collection::vec(-1e9..1e9_f64, 5),
        ) {
            let mut points: Vec<(f64, f64)> =
                (0..20).map(|i| (f64::from(i), slope * f64::from(i))).collect();
            for (i, y) in wild.iter().enumerate() {
                points[i * 4].1 = *y;
            }
            prop_assert!((theil_sen(&points).unwrap() - slope).abs() < 1e-6);
        }
    }
}
