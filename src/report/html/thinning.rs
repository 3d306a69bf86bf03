//! Which points of a long line are drawn.

use super::plot::Point;

/// How far, in units of the drawing, a line may pass from a point that is left out. A thin line is a
/// few times as thick.
const TOLERANCE: f64 = 0.2;
/// Points in a row that are left out at most, so that a long line takes no long time.
const MOST_BETWEEN: usize = 100;

/// The corners of a line in units of the drawing: points on the straight way between two others, or so
/// near to it that nobody sees the difference, are left out.
pub(super) fn corners(line: &[Point]) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::new();
    let mut between: Vec<Point> = Vec::new();
    for &point in line {
        let Some(&last) = kept.last() else {
            kept.push(point);
            continue;
        };
        let is_straight = between.len() < MOST_BETWEEN
            && between
                .iter()
                .all(|&passed| distance(passed, last, point) <= TOLERANCE);
        if !is_straight {
            kept.extend(between.pop());
            between.clear();
        }
        between.push(point);
    }
    kept.extend(between.pop());
    kept
}

/// Of a point from the straight line between two others.
fn distance((x, y): Point, from: Point, to: Point) -> f64 {
    let (along_x, along_y) = (to.0 - from.0, to.1 - from.1);
    let square = along_x * along_x + along_y * along_y;
    let share = if square > 0.0 {
        ((x - from.0) * along_x + (y - from.1) * along_y) / square
    } else {
        0.0
    };
    let share = share.clamp(0.0, 1.0);
    (x - from.0 - share * along_x).hypot(y - from.1 - share * along_y)
}

/// At most so many of the points, evenly chosen, with the first and the last.
pub(super) fn thinned(points: &[Point], most: usize) -> Vec<Point> {
    if points.len() <= most {
        return points.to_vec();
    }
    let last = points.len() - 1;
    (0..most)
        .filter_map(|index| points.get(index * last / (most - 1)).copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_lies_on_the_way_is_left_out() {
        let table: [(&[Point], &[Point]); 6] = [
            (&[], &[]),
            (&[(1.0, 1.0)], &[(1.0, 1.0)]),
            (&[(0.0, 0.0), (1.0, 1.0)], &[(0.0, 0.0), (1.0, 1.0)]),
            (
                &[(0.0, 0.0), (1.0, 1.1), (2.0, 2.0), (3.0, 9.0)],
                &[(0.0, 0.0), (2.0, 2.0), (3.0, 9.0)],
            ),
            // Steps keep both of their corners.
            (
                &[(0.0, 0.0), (0.0, 5.0), (4.0, 5.0), (4.0, 9.0)],
                &[(0.0, 0.0), (0.0, 5.0), (4.0, 5.0), (4.0, 9.0)],
            ),
            // There and back.
            (
                &[(0.0, 0.0), (9.0, 0.0), (0.0, 0.0)],
                &[(0.0, 0.0), (9.0, 0.0), (0.0, 0.0)],
            ),
        ];
        for (line, expected) in table {
            assert_eq!(corners(line), expected, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_lies_off_the_line_that_is_drawn(
            heights in proptest::collection::vec(0.0..3.0_f64, 2..400),
        ) {
            let line: Vec<Point> = (0_u32..).map(|n| f64::from(n) * 0.3).zip(heights).collect();
            let kept = corners(&line);
            prop_assert_eq!(kept.first(), line.first());
            prop_assert_eq!(kept.last(), line.last());
            for &point in &line {
                let nearest = kept
                    .windows(2)
                    .map(|pair| distance(point, pair[0], pair[1]))
                    .fold(f64::INFINITY, f64::min);
                prop_assert!(nearest <= TOLERANCE, "{point:?}: {nearest}");
            }
        }
    }
}
