//! Plots as inline SVG, without a style or a colour of their own: `page.css` has both, so that a plot
//! is as light or dark as its page. The two sides differ by shape as well as by colour (rings and
//! thin lines, squares and thick lines), for who cannot tell the colours.

use maud::{Markup, html};

use super::thinning::{corners, thinned};
use crate::report::line::Line;

/// Size of the drawing in its own units.
const WIDTH: f64 = 280.0;
const HEIGHT: f64 = 190.0;
/// The plotting area within it.
const LEFT: f64 = 44.0;
const RIGHT: f64 = WIDTH - 10.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = HEIGHT - 34.0;

/// More dots and more steps than this cannot be told apart at this size.
const MOST_POINTS: usize = 120;
/// A line of more corners than this, once those that cannot be told apart are left out, is thinned.
const MOST_CORNERS: usize = 400;
/// Ticks for which an axis by factors has room.
const MOST_LOG_TICKS: usize = 7;

/// Whose figures a mark shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// What is compared with.
    Base,
    /// What was measured now.
    Now,
}

impl Side {
    const fn class(self) -> &'static str {
        match self {
            Self::Base => "b",
            Self::Now => "n",
        }
    }
}

/// A point in units of the axes.
pub(super) type Point = (f64, f64);

/// What is drawn.
#[derive(Debug)]
pub(super) enum Mark {
    /// From point to point; dashed where it is the second kind of line of its side.
    Line(Side, Vec<Point>, Dash),
    /// Rings of the base, squares of the candidate.
    Dots(Side, Vec<Point>),
    /// From a to b, each.
    Bars(Side, Vec<(Point, Point)>),
    /// Between two parts, the second with a name.
    Divider(f64, &'static str),
    /// A thin line at a height.
    Guide(f64),
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dash {
    Solid,
    Dashed,
}

/// An axis: its range, its ticks, and what they say.
#[derive(Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    /// Whether equal distances are equal factors.
    is_log: bool,
    ticks: Vec<(f64, String)>,
    name: String,
}

/// What an axis counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Quantity {
    /// In nanoseconds; shown in what suits their size.
    Time,
    /// In bytes.
    Size,
    /// A whole number of something.
    Count,
    /// A plain number.
    Number,
}

impl Quantity {
    /// The unit in which the largest figure is best read, and its size.
    fn unit(self, largest: f64) -> (f64, &'static str) {
        let units: &[(f64, &str)] = match self {
            Self::Time => &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")],
            Self::Size => &[
                (1.0, "B"),
                (1e3, "kB"),
                (1e6, "MB"),
                (1e9, "GB"),
                (1e12, "TB"),
            ],
            Self::Count | Self::Number => &[(1.0, "")],
        };
        let fitting = units.iter().rev().find(|(size, _)| largest >= *size);
        fitting.or(units.first()).copied().unwrap_or((1.0, ""))
    }
}

impl Axis {
    /// An axis that shows all `values`, from nought where `from_nought` is set.
    pub(super) fn of(
        name: &str,
        quantity: Quantity,
        values: impl IntoIterator<Item = f64>,
        from_nought: bool,
    ) -> Self {
        // Beyond that a difference of two is no number any more.
        let finite = values
            .into_iter()
            .filter(|value| value.is_finite())
            .map(|value| value.clamp(-1e300, 1e300));
        let range = finite.fold(None, |range: Option<(f64, f64)>, value| {
            let (low, high) = range.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        let (mut low, mut high) = range.unwrap_or((0.0, 1.0));
        if from_nought {
            low = low.min(0.0);
            high = high.max(0.0);
        }
        // The same figure everywhere still needs a width.
        let width = match high - low {
            width if width > high.abs() * 1e-6 => width,
            _ => (high.abs() * 0.1).max(1.0),
        };
        let air = width * 0.05;
        if !from_nought || low < 0.0 {
            low = if low >= 0.0 {
                (low - air).max(0.0)
            } else {
                low - air
            };
        }
        high += air;
        let (size, unit) = quantity.unit(high.abs().max(low.abs()));
        let step = step((high - low) / size, matches!(quantity, Quantity::Count));
        let decimals = decimals(step);
        let first = (low / size / step).ceil();
        let ticks = (0_u8..10)
            .map(|index| (first + f64::from(index)) * step)
            .take_while(|tick| *tick <= high / size)
            .map(|tick| (tick * size, label(tick, decimals)))
            .collect();
        Self {
            low,
            high,
            is_log: false,
            ticks,
            name: match unit {
                "" => name.to_owned(),
                unit => format!("{name}, {unit}"),
            },
        }
    }

    /// An axis of times, in nanoseconds from 1 to more than a `u64` holds: by factors where they are of different sizes, since
    /// the slowest calls would else leave no room to the others.
    pub(super) fn of_times(name: &str, ns: impl IntoIterator<Item = f64>) -> Self {
        let values: Vec<f64> = ns.into_iter().filter(|ns| *ns >= 1.0).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max).min(1e20);
        // So that one of 1, 2 and 5 lies between them, and often two.
        if high < low * 4.0 {
            return Self::of(name, Quantity::Time, values, false);
        }
        let air = (high / low).powf(0.03);
        let (low, high) = (low / air, high * air);
        let (size, unit) = Quantity::Time.unit((low * high).sqrt());
        let (least, most) = (low.log10().floor(), high.log10().ceil());
        let of_each_power = |factors: &[f64]| -> Vec<f64> {
            let powers = (0_u8..24).map(|power| least + f64::from(power));
            powers
                .take_while(|power| *power <= most)
                .flat_map(|power| {
                    factors
                        .iter()
                        .map(move |factor| factor * 10_f64.powf(power))
                })
                .filter(|tick| (low..=high).contains(tick))
                .collect()
        };
        let mut ticks = of_each_power(&[1.0, 2.0, 5.0]);
        if ticks.len() > MOST_LOG_TICKS {
            ticks = of_each_power(&[1.0]);
            let every = ticks.len().div_ceil(MOST_LOG_TICKS);
            ticks = ticks.into_iter().step_by(every).collect();
        }
        let label = |tick: f64| {
            if (1e-3..1e6).contains(&tick) {
                label(tick, decimals(tick))
            } else {
                format!("{tick:.0e}")
            }
        };
        Self {
            low,
            high,
            is_log: true,
            ticks: ticks.into_iter().map(|t| (t, label(t / size))).collect(),
            name: format!("{name}, {unit}, by factors"),
        }
    }

    /// An axis of shares from 0 to 100 %.
    pub(super) fn shares(name: &str) -> Self {
        let ticks = [0.0, 0.25, 0.5, 0.75, 1.0];
        Self {
            low: 0.0,
            high: 1.03,
            is_log: false,
            ticks: ticks.map(|t| (t, format!("{:.0} %", t * 100.0))).into(),
            name: name.to_owned(),
        }
    }

    /// An axis with a name at each whole number, from 1.
    pub(super) fn names(name: &str, names: &[&str]) -> Self {
        Self {
            low: 0.5,
            high: names.len() as f64 + 0.5,
            is_log: false,
            ticks: (1_u32..)
                .zip(names)
                .map(|(at, name)| (f64::from(at), (*name).to_owned()))
                .collect(),
            name: name.to_owned(),
        }
    }

    /// Where on the way from one end to the other a value lies, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value / self.low).max(0.0).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        share.clamp(0.0, 1.0)
    }
}

/// One, two or five times a power of ten, so that there are about five steps.
fn step(width: f64, is_whole: bool) -> f64 {
    let rough = (width / 4.5).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(power * 10.0);
    if is_whole { step.max(1.0) } else { step }
}

/// Digits behind the point that a multiple of `step` needs.
fn decimals(step: f64) -> usize {
    (0..6)
        .find(|digits| {
            let shifted = step * 10_f64.powi(*digits);
            (shifted - shifted.round()).abs() < 1e-6
        })
        .and_then(|digits| usize::try_from(digits).ok())
        .unwrap_or(6)
}

fn label(value: f64, decimals: usize) -> String {
    if value.abs() >= 1e6 {
        return format!("{value:.1e}");
    }
    // A tick of -0.0 is none.
    format!("{:.decimals$}", value + 0.0)
}

/// One plot.
#[derive(Debug)]
pub(super) struct Plot {
    /// What it shows, in a few words of ours.
    pub(super) caption: &'static str,
    /// The same in numbers, for who does not see it.
    pub(super) description: Line,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) marks: Vec<Mark>,
}

impl Plot {
    /// The drawing with its caption. `id` is the page's only one of its name.
    pub(super) fn markup(&self, id: usize) -> Markup {
        let caption = format!("c{id}");
        let description = format!("d{id}");
        html! {
            figure {
                figcaption id=(caption) { (self.caption) }
                svg.plot viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img"
                    aria-labelledby=(caption) aria-describedby=(description) {
                    desc id=(description) { (self.description.plain()) }
                    (self.grid())
                    @for mark in &self.marks { (self.mark(mark)) }
                }
            }
        }
    }

    fn grid(&self) -> Markup {
        let mut lines = String::new();
        for (value, _) in &self.y.ticks {
            lines.push_str(&format!("M{LEFT} {}H{RIGHT}", near(self.height(*value))));
        }
        let mut ticks = format!("M{LEFT} {BOTTOM}H{RIGHT}");
        for (value, _) in &self.x.ticks {
            ticks.push_str(&format!("M{} {BOTTOM}v4", near(self.across(*value))));
        }
        html! {
            path.grid d=(lines) {}
            path.axis d=(ticks) {}
            g.y {
                @for (value, label) in &self.y.ticks {
                    text x=(LEFT - 6.0) y=(near(self.height(*value) + 3.5)) { (label) }
                }
            }
            g.x {
                @for (value, label) in &self.x.ticks {
                    text x=(near(self.across(*value))) y=(BOTTOM + 15.0) { (label) }
                }
            }
            text.name x="2" y="11" { (self.y.name) }
            text.name.end x=(RIGHT) y=(HEIGHT - 4.0) { (self.x.name) }
        }
    }

    fn mark(&self, mark: &Mark) -> Markup {
        match mark {
            Mark::Line(side, points, dash) => {
                let placed: Vec<Point> = points
                    .iter()
                    .map(|(x, y)| (self.across(*x), self.height(*y)))
                    .collect();
                let mut path = String::new();
                let corners = thinned(&corners(&placed), MOST_CORNERS);
                for (index, (x, y)) in corners.into_iter().enumerate() {
                    let lead = if index == 0 { "M" } else { "L" };
                    path.push_str(&format!("{lead}{} {}", near(x), near(y)));
                }
                let dash = match dash {
                    Dash::Solid => "",
                    Dash::Dashed => " a",
                };
                html! { path class=(format!("line {}{dash}", side.class())) d=(path) {} }
            }
            Mark::Dots(side, points) => {
                let path: String = thinned(points, MOST_POINTS)
                    .into_iter()
                    .map(|point| format!("M{}h0", self.place(point)))
                    .collect();
                html! {
                    path class=(format!("dot {}", side.class())) d=(path) {}
                    // A ring is a dot with a hole in it.
                    @if *side == Side::Base { path.hole d=(path) {} }
                }
            }
            Mark::Bars(side, bars) => {
                let path: String = bars
                    .iter()
                    .map(|(from, to)| format!("M{}L{}", self.place(*from), self.place(*to)))
                    .collect();
                html! { path class=(format!("bar {}", side.class())) d=(path) {} }
            }
            Mark::Divider(at, name) => {
                let x = self.across(*at);
                html! {
                    path.divider d=(format!("M{} {TOP}V{BOTTOM}", near(x))) {}
                    @if x > WIDTH * 0.75 {
                        text.part.end x=(near(RIGHT)) y=(TOP - 2.0) { (name) }
                    } @else {
                        text.part x=(near(x + 3.0)) y=(TOP - 2.0) { (name) }
                    }
                }
            }
            Mark::Guide(value) => {
                html! { path.guide d=(format!("M{LEFT} {}H{RIGHT}", near(self.height(*value)))) {} }
            }
        }
    }

    fn across(&self, value: f64) -> f64 {
        LEFT + self.x.share(value) * (RIGHT - LEFT)
    }

    fn height(&self, value: f64) -> f64 {
        BOTTOM - self.y.share(value) * (BOTTOM - TOP)
    }

    fn place(&self, (x, y): Point) -> String {
        format!("{} {}", near(self.across(x)), near(self.height(y)))
    }
}

/// To a tenth of a unit, as short as can be.
fn near(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// The empirical distribution function of `values` as the corners of its steps.
pub(super) fn distribution(values: &[f64]) -> Vec<Point> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let ranks: Vec<Point> = (1_u32..)
        .zip(&sorted)
        .map(|(rank, value)| (*value, f64::from(rank) / count))
        .collect();
    let mut corners = Vec::new();
    let mut before = 0.0;
    // Each step has two corners.
    for (value, share) in thinned(&ranks, MOST_POINTS / 2) {
        corners.push((value, before));
        corners.push((value, share));
        before = share;
    }
    corners
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_stand_at_round_figures_in_a_unit_that_suits() {
        let table: [(Quantity, &[f64], bool, &str, &str); 8] = [
            (Quantity::Time, &[1.9e6, 4.1e6], true, "t, ms", "0 1 2 3 4"),
            (
                Quantity::Time,
                &[2.61e6, 2.63e6],
                false,
                "t, ms",
                "2.610 2.615 2.620 2.625 2.630",
            ),
            (
                Quantity::Time,
                &[850.0],
                false,
                "t, ns",
                "846 848 850 852 854",
            ),
            (Quantity::Time, &[0.0, 3.2e9], true, "t, s", "0 1 2 3"),
            (
                Quantity::Size,
                &[84.2e6, 84.9e6],
                false,
                "t, MB",
                "84.2 84.4 84.6 84.8",
            ),
            (Quantity::Count, &[1.0, 10.0], false, "t", "5 10"),
            (Quantity::Count, &[1.0, 2.0], false, "t", "1 2"),
            (Quantity::Number, &[0.0, 0.12], true, "t", "0.00 0.05 0.10"),
        ];
        for (quantity, values, from_nought, name, ticks) in table {
            let axis = Axis::of("t", quantity, values.iter().copied(), from_nought);
            let labels: Vec<&str> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
            assert_eq!(
                (axis.name.as_str(), labels.join(" ").as_str()),
                (name, ticks),
                "{values:?}"
            );
        }
    }

    #[test]
    fn times_of_different_sizes_stand_by_factors() {
        let table: [(&[f64], &str, &str); 7] = [
            (&[2.0e6, 4.0e6], "t, ms", "2.0 2.5 3.0 3.5 4.0"),
            (&[2.0e6, 8.1e6], "t, ms, by factors", "2 5"),
            (&[0.31e6, 12e6], "t, ms, by factors", "0.5 1 2 5 10"),
            (&[90e3, 700e3], "t, µs, by factors", "100 200 500"),
            (
                &[80e3, 30e9],
                "t, ms, by factors",
                "0.1 1 10 100 1000 10000",
            ),
            (
                &[1.0, 1.8e19],
                "t, s, by factors",
                "1e-9 1e-6 0.001 1 1000 1e6 1e9",
            ),
            (&[], "t, ns", "0.0 0.5 1.0"),
        ];
        for (values, name, ticks) in table {
            let axis = Axis::of_times("t", values.iter().copied());
            let labels: Vec<&str> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
            assert_eq!(
                (axis.name.as_str(), labels.join(" ").as_str()),
                (name, ticks),
                "{values:?}"
            );
        }
        let axis = Axis::of_times("t", [1e6, 100e6]);
        assert!((axis.share(10e6) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_distribution_has_a_step_at_each_value() {
        assert_eq!(distribution(&[]), []);
        assert_eq!(
            distribution(&[3.0, 1.0, f64::NAN, 3.0, 2.0]),
            [
                (1.0, 0.0),
                (1.0, 0.25),
                (2.0, 0.25),
                (2.0, 0.5),
                (3.0, 0.5),
                (3.0, 0.75),
                (3.0, 0.75),
                (3.0, 1.0),
            ]
        );
        let many: Vec<f64> = (0..10_000).map(f64::from).collect();
        let corners = distribution(&many);
        assert_eq!(corners.len(), MOST_POINTS);
        assert_eq!(corners.first(), Some(&(0.0, 0.0)));
        assert_eq!(corners.last(), Some(&(9_999.0, 1.0)));
    }

    #[test]
    fn a_plot_as_it_is_drawn() {
        let plot = Plot {
            caption: "Latency",
            description: Line::own("from 1 to 3 ms"),
            x: Axis::of("round", Quantity::Count, [1.0, 3.0], false),
            y: Axis::of("time", Quantity::Time, [1e6, 3e6], true),
            marks: vec![
                Mark::Guide(2e6),
                Mark::Bars(Side::Now, vec![((1.0, 1e6), (1.0, 2e6))]),
                Mark::Line(
                    Side::Base,
                    vec![(1.0, 1e6), (2.0, 3e6), (3.0, 2e6)],
                    Dash::Dashed,
                ),
                Mark::Dots(Side::Base, vec![(1.0, 1e6)]),
                Mark::Dots(Side::Now, vec![(2.0, 3e6)]),
                Mark::Divider(2.5, "this run"),
            ],
        };
        insta::assert_snapshot!("plot", plot.markup(7).into_string().replace("><", ">\n<"));
    }

    proptest! {
        #[test]
        fn any_figures_lie_within_the_drawing(
            values in proptest::collection::vec(any::<f64>(), 0..50),
            from_nought in any::<bool>(),
        ) {
            let quantities = [Quantity::Time, Quantity::Size, Quantity::Count, Quantity::Number];
            let axes = quantities
                .map(|quantity| Axis::of("t", quantity, values.iter().copied(), from_nought));
            let by_factors = Axis::of_times("t", values.iter().copied());
            for axis in axes.into_iter().chain([by_factors]) {
                prop_assert!(axis.ticks.len() <= 10);
                for value in values.iter().copied().chain(axis.ticks.iter().map(|tick| tick.0)) {
                    let share = axis.share(value);
                    prop_assert!(value.is_nan() || (0.0..=1.0).contains(&share), "{value}: {share}");
                }
                for (_, label) in &axis.ticks {
                    prop_assert!(label.len() <= 12, "{label}");
                }
            }
        }
    }
}
