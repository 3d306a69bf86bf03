//! An interval of a ratio as a bar on an axis around no change.
//!
//! ```text
//! ┈┈┈┈┈┈┈┈│┈┊┈┈┈├─●─┤
//! ```
//!
//! The axis is logarithmic, so that half and twice are as far from no change, and the same for all rows
//! of a report.

/// The shortest bar that shows anything.
pub(crate) const NARROWEST: usize = 11;
/// A longer one says no more.
pub(crate) const WIDEST: usize = 31;

/// Ends of the axis, as ratios, the closest first; what lies beyond the last is an arrow.
const ENDS: [f64; 4] = [1.5, 2.0, 3.0, 5.0];

const AXIS: char = '┈';
const NO_CHANGE: char = '│';
const TOLERANCE: char = '┊';
const LOW: char = '├';
const HIGH: char = '┤';
const POINT: char = '●';
const BETWEEN: char = '─';
/// Where the interval holds no change, and the tolerance.
const CROSSED: (char, char) = ('┼', '╂');
/// Where the interval goes on beyond the axis.
const BEYOND: (char, char) = ('◀', '▶');

/// `true` for what is the same in every bar.
pub(crate) fn is_axis(column: char) -> bool {
    matches!(column, AXIS | NO_CHANGE | TOLERANCE)
}

/// A ratio, its interval, and the ratio from which on it is worse than tolerated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bar {
    pub(crate) ratio: f64,
    pub(crate) interval: Option<(f64, f64)>,
    pub(crate) limit: Option<f64>,
}

impl Bar {
    /// How far from no change it reaches, as a ratio of at least 1.
    fn reach(&self) -> f64 {
        let (low, high) = self.interval.unwrap_or((self.ratio, self.ratio));
        [low, high, self.ratio, self.limit.unwrap_or(1.0)]
            .into_iter()
            .filter(|ratio| ratio.is_finite() && *ratio > 0.0)
            .map(|ratio| ratio.max(1.0 / ratio))
            .fold(1.0, f64::max)
    }
}

/// The end of the axis on which most of `bars` have room: nine in ten, since one wild interval would
/// make all others look alike.
pub(crate) fn end(bars: impl Iterator<Item = Bar>) -> f64 {
    let mut reaches: Vec<f64> = bars.map(|bar| bar.reach()).collect();
    reaches.sort_by(f64::total_cmp);
    let most = reaches.len().saturating_sub(1) * 9 / 10;
    let wanted = reaches.get(most).copied().unwrap_or(1.0);
    let [.., last] = ENDS;
    ENDS.into_iter().find(|end| wanted <= *end).unwrap_or(last)
}

/// The bar in exactly `width` columns (an odd number, so that no change has one of its own), on an
/// axis from `1 / end` to `end`.
pub(crate) fn draw(bar: &Bar, end: f64, width: usize) -> String {
    let middle = width / 2;
    let column = |ratio: f64| place(ratio, end, middle);
    let mut columns = vec![AXIS; width];
    let mut set = |at: usize, with: char| {
        if let Some(column) = columns.get_mut(at) {
            *column = with;
        }
    };
    set(middle, NO_CHANGE);
    let limit = bar.limit.map(column);
    if let Some(Place::On(at)) = limit.filter(|limit| *limit != Place::On(middle)) {
        set(at, TOLERANCE);
    }
    let last = width.saturating_sub(1);
    if let Some((low, high)) = bar.interval.filter(|(low, high)| low <= high) {
        let (low, high) = (column(low), column(high));
        let (from, to) = (low.within(last), high.within(last));
        for at in from..=to {
            set(
                at,
                match limit {
                    _ if at == middle => CROSSED.0,
                    Some(Place::On(limit)) if at == limit => CROSSED.1,
                    _ => BETWEEN,
                },
            );
        }
        set(from, if low == Place::Below { BEYOND.0 } else { LOW });
        set(to, if high == Place::Above { BEYOND.1 } else { HIGH });
    }
    match column(bar.ratio) {
        Place::On(at) => set(at, POINT),
        Place::Below => set(0, BEYOND.0),
        Place::Above => set(last, BEYOND.1),
    }
    columns.into_iter().collect()
}

/// Where a ratio is on the axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Below,
    On(usize),
    Above,
}

impl Place {
    fn within(self, last: usize) -> usize {
        match self {
            Self::Below => 0,
            Self::On(at) => at,
            Self::Above => last,
        }
    }
}

fn place(ratio: f64, end: f64, middle: usize) -> Place {
    if ratio.is_nan() {
        return Place::On(middle);
    }
    // A column at a time, since there are few: nothing is cast.
    let step = end.ln() / middle.max(1) as f64;
    let offset = (ratio.max(f64::MIN_POSITIVE).ln() / step).round();
    let half = middle as f64;
    if offset < -half {
        return Place::Below;
    }
    if offset > half {
        return Place::Above;
    }
    let steps = (0..=middle)
        .find(|steps| *steps as f64 >= offset.abs())
        .unwrap_or(middle);
    Place::On(if offset < 0.0 {
        middle - steps
    } else {
        middle + steps
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bar(ratio: f64, low: f64, high: f64) -> Bar {
        Bar {
            ratio,
            interval: Some((low, high)),
            limit: Some(1.2),
        }
    }

    #[test]
    fn bars_show_where_the_interval_lies() {
        let only = Bar {
            ratio: 1.5,
            interval: None,
            limit: Some(1.2),
        };
        let more_is_better = Bar {
            limit: Some(1.0 / 1.2),
            ..bar(0.7, 0.6, 0.8)
        };
        let table = [
            (bar(1.0, 0.95, 1.05), "┈┈┈┈┈┈┈├●┤┊┈┈┈┈┈┈"),
            (bar(1.7, 1.5, 1.9), "┈┈┈┈┈┈┈┈│┈┊┈┈├●┤┈"),
            (bar(1.1, 0.8, 1.5), "┈┈┈┈┈├──┼●╂──┤┈┈┈"),
            (bar(3.0, 1.8, 5.0), "┈┈┈┈┈┈┈┈│┈┊┈┈┈┈├▶"),
            (bar(0.2, 0.1, 0.3), "◀┈┈┈┈┈┈┈│┈┊┈┈┈┈┈┈"),
            (bar(1.0, 0.01, 90.0), "◀───────●─╂─────▶"),
            (only, "┈┈┈┈┈┈┈┈│┈┊┈┈●┈┈┈"),
            (more_is_better, "┈┈├─●┤┊┈│┈┈┈┈┈┈┈┈"),
            (bar(f64::INFINITY, f64::NAN, 0.0), "┈┈┈┈┈┈┈┈│┈┊┈┈┈┈┈▶"),
        ];
        for (bar, expected) in table {
            let drawn = draw(&bar, 2.0, 17);
            assert!(drawn.starts_with(expected), "{bar:?}\n{drawn}\n{expected}");
        }
    }

    #[test]
    fn the_axis_holds_nine_in_ten() {
        assert!((end(std::iter::empty()) - 1.5).abs() < 1e-9);
        assert!((end([bar(1.0, 0.9, 1.1)].into_iter()) - 1.5).abs() < 1e-9);
        assert!((end([bar(1.0, 0.55, 1.1)].into_iter()) - 2.0).abs() < 1e-9);
        let mut bars = vec![bar(1.0, 0.9, 1.1); 10];
        bars.push(bar(1.0, 0.01, 90.0));
        assert!((end(bars.into_iter()) - 1.5).abs() < 1e-9);
        assert!((end([bar(9.0, 8.0, 10.0)].into_iter()) - 5.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn a_bar_has_its_width(
            ratio in any::<f64>(), low in any::<f64>(), high in any::<f64>(),
            end in prop::sample::select(ENDS.to_vec()), half in 2_usize..20,
        ) {
            let width = 2 * half + 1;
            let drawn = draw(&bar(ratio, low, high), end, width);
            prop_assert_eq!(drawn.chars().count(), width);
        }

        /// The point of an interval that is on the axis stands within its ends.
        #[test]
        fn the_point_is_within_the_interval(
            ratio in 0.6_f64..1.6, below in 0.0_f64..0.1, above in 0.0_f64..0.1,
        ) {
            let drawn = draw(&bar(ratio, ratio - below, ratio + above), 2.0, 21);
            let at = |c: char| drawn.chars().position(|column| column == c);
            let point = at(POINT).unwrap();
            prop_assert!(at(LOW).is_none_or(|low| low < point), "{}", drawn);
            prop_assert!(at(HIGH).is_none_or(|high| point < high), "{}", drawn);
        }
    }
}
