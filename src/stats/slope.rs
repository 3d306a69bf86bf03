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

/// How much of the variance of y a straight line explains: the square of Pearson's correlation, 0 to 1.
///
/// `None` where there are fewer than three points, or x or y is everywhere the same, or one is not
/// finite.
#[must_use]
pub fn straightness(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let sum =
        |of: &dyn Fn(f64, f64) -> f64| points.iter().map(|p| of(p.0 - x, p.1 - y)).sum::<f64>();
    let (xx, yy, xy) = (sum(&|x, _| x * x), sum(&|_, y| y * y), sum(&|x, y| x * y));
    let squared = xy * xy / (xx * yy);
    (points.len() >= 3 && squared.is_finite()).then(|| squared.min(1.0))
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
    fn straightness_agrees_with_python() {
        // Python 3.13: statistics.correlation(range(7), [1, 4.5, 4, 8.2, 9.9, 30, 13.1]) ** 2
        let y = [1.0, 4.5, 4.0, 8.2, 9.9, 30.0, 13.1];
        let points: Vec<(f64, f64)> = y.iter().enumerate().map(|(i, y)| (i as f64, *y)).collect();
        let found = straightness(&points).unwrap();
        assert!((found - 0.553929821339292).abs() < 1e-12, "{found}");
        assert_eq!(
            straightness(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]),
            Some(1.0)
        );
        for none in [
            &[][..],
            &[(0.0, 1.0), (1.0, 2.0)],
            &[(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)],
            &[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)],
            &[(1.0, f64::INFINITY), (2.0, 2.0), (3.0, 3.0)],
        ] {
            assert_eq!(straightness(none), None, "{none:?}");
        }
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
