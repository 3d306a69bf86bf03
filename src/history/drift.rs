//! Slow drift: what changes by so little at a time that no comparison of two runs says so, and by
//! more than the tolerance in all.

use std::collections::BTreeSet;

use super::trend::{Point, Series, is_by_ratio, weighed};
use crate::{
    gate::{Metric, floor, tolerance},
    stats::{
        Sample,
        change_points::{Options, change_points},
        location::median,
        monotone::mann_kendall,
        slope::theil_sen,
    },
    suite::GateConfig,
};

/// The newest runs that are looked at: what is older is settled.
const WINDOW: usize = 30;
/// Fewer runs than this are no trend.
const FEWEST: usize = 8;
/// Fewer runs than this on the way are a step.
const FEWEST_ON_THE_WAY: usize = 4;
/// Error of the test for a trend, shared by all series of a family that are tested (Bonferroni).
const ALPHA: f64 = 0.05;
/// Runs on each side of a place whose medians tell how much changes there.
const BESIDE: usize = 3;
/// Runs on each side of a place that tell how the values rise there anyway.
const AROUND: usize = 5;
/// The levels at the ends must tell at least this share of what the line tells: their medians lie
/// within the ends.
const SHARE_OF_LEVELS: f64 = 0.6;

/// A slow change.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SlowDrift {
    /// Scenario name.
    pub scenario: String,
    /// What it is a figure of.
    pub metric: Metric,
    /// Level where it began, in [`Metric::unit`].
    pub from: f64,
    /// Level now.
    pub to: f64,
    /// `to` / `from`; absent for memory growth, which is compared by difference.
    pub ratio: Option<f64>,
    /// Commits, or runs where commits are not known, that it took.
    pub steps: usize,
    /// Whether `steps` are commits.
    pub are_commits: bool,
    /// The last commit at the level where it began.
    pub since: Option<String>,
    /// When that one was measured.
    pub since_at: String,
    /// Index of that run in its series.
    pub since_index: usize,
    /// Whether it gets worse.
    pub is_worse: bool,
    /// Of the test for a trend.
    pub p_value: f64,
}

impl SlowDrift {
    /// The ratio of one step, on average; absent without a ratio.
    #[must_use]
    pub fn ratio_of_a_step(&self) -> Option<f64> {
        Some(self.ratio?.powf(1.0 / self.steps.max(1) as f64))
    }

    /// How much of a change it is, for ordering: what is compared by difference comes last.
    pub(super) fn weight(&self) -> f64 {
        self.ratio.map_or(0.0, |ratio| ratio.ln().abs())
    }
}

/// Whether the test is made of a series, as its length alone tells: what a value says must not choose
/// who shares the error.
pub(super) fn is_tested(series: &Series) -> bool {
    series.points.len() >= FEWEST
}

/// The drift at the end of a series, if there is one; `tested` series of its family share the error.
///
/// Theil-Sen's line through the runs since the bend where a level and a line fit best together (least
/// absolute residuals) tells how much, and Mann and Kendall's test over the whole window whether. What
/// comes after the last step beyond the tolerance is looked at alone: steps are told by themselves.
pub(super) fn find(series: &Series, policy: &GateConfig, tested: usize) -> Option<SlowDrift> {
    let metric = series.metric;
    let limit = limit(metric, policy);
    let newest = series.points.len().saturating_sub(WINDOW);
    let points = series.points.get(newest..)?;
    let all: Vec<f64> = points.iter().map(|p| weighed(metric, p.value)).collect();
    let start = change_points(&all, &Options::default())
        .iter()
        .filter(|change| step(&all, change.index).abs() > limit)
        .map(|change| change.index)
        .next_back()
        .unwrap_or(0);
    let (points, values) = (points.get(start..)?, all.get(start..)?);
    if values.len() < FEWEST {
        return None;
    }
    let test = mann_kendall(values)?;
    if test.p_value > ALPHA / tested.max(1) as f64 {
        return None;
    }
    let bend = bend(values)?;
    let on_the_way = values.len() - 1 - bend;
    let slope = slope(values.get(bend..)?)?;
    let from = middle(values.get(..=bend)?);
    let total = slope * on_the_way as f64;
    let by_levels = middle(values.get(values.len() - BESIDE..)?) - middle(values.get(..BESIDE)?);
    let steepest = (1..values.len())
        .map(|index| step(values, index).abs())
        .fold(0.0, f64::max);
    let is_slow = steepest <= limit.max(total.abs() / 2.0);
    let is_one_way = total.signum() == test.z.signum()
        && by_levels * total.signum() >= SHARE_OF_LEVELS * total.abs();
    if on_the_way < FEWEST_ON_THE_WAY || !is_slow || !is_one_way || total.abs() <= limit {
        return None;
    }
    let unweighed = |value: f64| {
        if is_by_ratio(metric) {
            value.exp()
        } else {
            value
        }
    };
    let (from, to) = (unweighed(from), unweighed(from + total));
    let callers = f64::from(series.concurrency);
    if is_by_ratio(metric) && absolute(metric, from, to, callers) <= floor(metric, policy) {
        return None;
    }
    let (steps, are_commits) = steps(points.get(bend..)?);
    let began = points.get(bend)?;
    Some(SlowDrift {
        scenario: series.scenario.clone(),
        metric,
        from,
        to,
        ratio: is_by_ratio(metric).then(|| total.exp()),
        steps,
        are_commits,
        since: began.commit.clone(),
        since_at: began.at.clone(),
        since_index: newest + start + bend,
        is_worse: (total > 0.0) != metric.more_is_better(),
        p_value: test.p_value,
    })
}

/// The largest change, as figures are weighed, that nobody minds.
fn limit(metric: Metric, policy: &GateConfig) -> f64 {
    if is_by_ratio(metric) {
        tolerance(metric, policy).ln_1p()
    } else {
        floor(metric, policy)
    }
}

/// The change in the unit of the floor: throughput as the time that one caller waits for one call.
fn absolute(metric: Metric, from: f64, to: f64, callers: f64) -> f64 {
    if metric == Metric::Throughput {
        (callers * 1e9 / to - callers * 1e9 / from).abs()
    } else {
        (to - from).abs()
    }
}

/// How much higher the values from `index` on are than those before it, near by, beyond what they
/// rise on their way: the median of the slopes within the two sides.
fn step(values: &[f64], index: usize) -> f64 {
    let side = |width: usize| {
        let before = values.get(index.saturating_sub(width)..index)?;
        let after = values.get(index..(index + width).min(values.len()))?;
        Some((before, after))
    };
    let (Some((before, after)), Some(near)) = (side(BESIDE), side(AROUND)) else {
        return 0.0;
    };
    // One value at an end is no level.
    if before.len().min(after.len()) < 2 {
        return 0.0;
    }
    let slopes = [near.0, near.1].into_iter().flat_map(|values| {
        let later = move |i: usize| values.iter().enumerate().skip(i + 1);
        let of = move |(i, a): (usize, &f64)| {
            let a = *a;
            later(i).map(move |(j, b)| (b - a) / (j - i) as f64)
        };
        values.iter().enumerate().flat_map(of).collect::<Vec<_>>()
    });
    let slope = Sample::new(slopes).map_or(0.0, |slopes| median(&slopes));
    let between = (before.len() + after.len()) as f64 / 2.0;
    let jump = middle(after) - middle(before);
    let beyond = jump - slope * between;
    // A slope the other way would only add to it.
    if jump.signum() == slope.signum() {
        if beyond.signum() == jump.signum() {
            beyond
        } else {
            0.0
        }
    } else {
        jump
    }
}

/// The last index of a level from which on a line goes: where the two fit best.
fn bend(values: &[f64]) -> Option<usize> {
    let fits = (0..values.len().saturating_sub(FEWEST_ON_THE_WAY)).filter_map(|bend| {
        let rest = values.get(bend..)?;
        let (level, slope) = (middle(values.get(..=bend)?), slope(rest)?);
        let before = values.iter().take(bend).map(|v| (v - level).abs());
        let after = (0..).zip(rest);
        let after = after.map(|(step, v)| (v - level - slope * f64::from(step)).abs());
        Some((bend, before.chain(after).sum::<f64>()))
    });
    let best = fits.min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(best.0)
}

fn slope(values: &[f64]) -> Option<f64> {
    let points: Vec<(f64, f64)> = (0..)
        .zip(values)
        .map(|(step, value)| (f64::from(step), *value))
        .collect();
    theil_sen(&points)
}

fn middle(values: &[f64]) -> f64 {
    Sample::new(values.iter().copied()).map_or(0.0, |sample| median(&sample))
}

/// Commits after the first point, where all are known; else runs.
fn steps(points: &[Point]) -> (usize, bool) {
    let after = points.get(1..).unwrap_or_default();
    let commits: Option<BTreeSet<&str>> = after.iter().map(|p| p.commit.as_deref()).collect();
    match commits {
        Some(commits) => (commits.len(), true),
        None => (after.len(), false),
    }
}
