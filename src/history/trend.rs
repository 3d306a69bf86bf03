//! Series of figures over the runs of a history, and where they change.

use std::collections::BTreeMap;

use super::{
    drift::{self, SlowDrift},
    entry::{Entry, METRICS, Machine},
    ground::{Classes, Ground, ground},
};
use crate::{
    gate::{Metric, calibration::unreliable, decides, floor},
    stats::{
        Sample,
        change_points::{MOST_VALUES, Options, change_points},
        location::median,
    },
    suite::GateConfig,
};

/// A change of level by a smaller fraction is not told: nobody would act on it.
const SMALLEST_CHANGE: f64 = 0.05;
/// The same for what is compared by difference, as a share of its floor.
const SMALLEST_SHARE_OF_FLOOR: f64 = 0.1;

/// All series of a history.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Trend {
    /// Runs in all.
    pub runs: usize,
    /// A machine of each class, with the typical speed of the class; [`Series::machine`] is its index.
    pub machines: Vec<Machine>,
    /// Where the runs went over to another machine class, oldest first.
    pub machine_changes: Vec<MachineChange>,
    /// By scenario, then by metric, then by machine.
    pub series: Vec<Series>,
}

/// A run on another machine class than the run before it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MachineChange {
    /// When that run began.
    pub at: String,
    /// The commit that it measured.
    pub commit: Option<String>,
    /// Index of the class before.
    pub from: usize,
    /// Index of the class from here on.
    pub to: usize,
}

/// One metric of one scenario, over the runs whose figures may be compared.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Series {
    /// Scenario name; `server` for start-up and peak memory.
    pub scenario: String,
    /// What it is a figure of.
    pub metric: Metric,
    /// Whether it can fail a build, and is not only shown.
    pub decides: bool,
    /// Index of the machine class; for memory, which depends on system and architecture alone, of the
    /// newest such class.
    pub machine: usize,
    /// Whether the newest run of the history is its last point.
    pub is_current: bool,
    /// Calls in flight at once.
    pub concurrency: u32,
    /// Its runs, oldest first.
    pub points: Vec<Point>,
    /// Stretches without a change, oldest first; at least one.
    pub segments: Vec<Segment>,
    /// Where one stretch ends and the next begins.
    pub changes: Vec<Change>,
    /// What grew or shrank by little at a time.
    pub drift: Option<SlowDrift>,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Point {
    /// When the run began.
    pub at: String,
    /// The commit that it measured.
    pub commit: Option<String>,
    /// In [`Metric::unit`].
    pub value: f64,
}

/// A stretch of points.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Segment {
    /// Index of its first point.
    pub start: usize,
    /// Index behind its last point.
    pub end: usize,
    /// Median of its points.
    pub level: f64,
}

/// A change of level.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Change {
    /// Index of the first point after it.
    pub index: usize,
    /// When the run there began.
    pub at: String,
    /// The commit there: the change lies in it, or in one that was not measured since `after`.
    pub commit: Option<String>,
    /// The commit of the run before it.
    pub after: Option<String>,
    /// Whether both runs measured the same commit, so that it is no change of the code.
    pub is_same_commit: bool,
    /// Median of the stretch before.
    pub from: f64,
    /// Median of the stretch after.
    pub to: f64,
    /// `to` / `from`; absent for memory growth, which is compared by difference.
    pub ratio: Option<f64>,
    /// Whether it got worse.
    pub is_worse: bool,
    /// Of the permutation test.
    pub p_value: f64,
}

/// How a metric's figures are weighed: by ratio, as logarithms, or by difference.
pub(super) fn is_by_ratio(metric: Metric) -> bool {
    metric != Metric::MemoryGrowth
}

/// The figures as they are weighed.
pub(super) fn weighed(metric: Metric, value: f64) -> f64 {
    if is_by_ratio(metric) {
        // A figure of 0 counts as the smallest one that can be told, as in the gate.
        value.max(1e-3).ln()
    } else {
        value
    }
}

/// Works out every series of `entries`, which stand in order of their time, oldest first.
#[must_use]
pub fn trend(entries: &[Entry], policy: &GateConfig) -> Trend {
    trend_of(entries, policy, (&|_| true, true))
}

/// What has grown worse by little at a time, so that no single run regressed, up to and with the
/// run `now`: only metrics that decide, on its machine class, and beyond the tolerance and the floor
/// of `policy`. Largest change first.
#[must_use]
pub fn slow_drifts(entries: &[Entry], now: &Entry, policy: &GateConfig) -> Vec<SlowDrift> {
    let mut with_now: Vec<Entry> = entries
        .iter()
        .filter(|entry| !entry.is_same_run(now))
        .cloned()
        .collect();
    with_now.push(now.clone());
    // Its changes are not asked for, and a search for them takes long.
    let wanted = |series: &Series| series.is_current && series.decides;
    let trend = trend_of(&with_now, policy, (&wanted, false));
    let mut drifts: Vec<SlowDrift> = trend
        .series
        .into_iter()
        .filter_map(|series| series.drift)
        .filter(|drift| drift.is_worse)
        .collect();
    drifts.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
    drifts
}

fn trend_of(
    entries: &[Entry],
    policy: &GateConfig,
    (wanted, with_changes): (&dyn Fn(&Series) -> bool, bool),
) -> Trend {
    let classes = Classes::of(entries);
    let machine_changes = classes
        .of
        .windows(2)
        .zip(entries.iter().skip(1))
        .filter_map(|(pair, entry)| match *pair {
            [from, to] if from != to => Some(MachineChange {
                at: entry.at.clone(),
                commit: entry.commit.clone(),
                from,
                to,
            }),
            _ => None,
        })
        .collect();
    let mut series = collect(entries, &classes, policy);
    series.retain(|series| wanted(series));
    // Each family shares an error of its own: those of which reports speak, whether or not others are
    // looked at besides, so that all verbs say the same of them; and all others.
    let is_spoken_of = |series: &Series| series.decides && series.is_current;
    let tested = series.iter().filter(|series| drift::is_tested(series));
    let (spoken_of, others): (Vec<&Series>, Vec<&Series>) =
        tested.partition(|series| is_spoken_of(series));
    let (spoken_of, others) = (spoken_of.len(), others.len());
    for series in &mut series {
        if with_changes {
            find_changes(series, policy);
        }
        let family = if is_spoken_of(series) {
            spoken_of
        } else {
            others
        };
        series.drift = drift::find(series, policy, family);
        if let Some(drift) = &series.drift {
            // It is what cuts within it would tell, and tells it better.
            let bend = drift.since_index;
            series.changes.retain(|change| change.index <= bend);
            let kept = series.changes.len() + 1;
            series.segments.truncate(kept);
            let end = series.points.len();
            if let Some(last) = series.segments.last_mut() {
                last.end = end;
                last.level = level(series.points.get(last.start..).unwrap_or_default());
            }
        }
    }
    Trend {
        runs: entries.len(),
        machines: classes.machines,
        machine_changes,
        series,
    }
}

/// The series with their points alone.
fn collect(entries: &[Entry], classes: &Classes, policy: &GateConfig) -> Vec<Series> {
    let mut all: BTreeMap<(&str, Metric, Ground), Series> = BTreeMap::new();
    let stepped_down = policy.calibration.as_ref().map(unreliable);
    let stepped_down = stepped_down.unwrap_or_default();
    for (number, (entry, &class)) in entries.iter().zip(&classes.of).enumerate() {
        for (scenario, figures) in &entry.scenarios {
            for metric in METRICS {
                let Some(value) = figures.get(metric) else {
                    continue;
                };
                let ground = ground(entry, class, classes, scenario, metric);
                let is_shown_only = figures.report_only || stepped_down.contains_key(scenario);
                let machine = ground.class;
                let series = all
                    .entry((scenario, metric, ground))
                    .or_insert_with(|| Series {
                        scenario: scenario.clone(),
                        metric,
                        decides: false,
                        machine,
                        is_current: false,
                        concurrency: 1,
                        points: Vec::new(),
                        segments: Vec::new(),
                        changes: Vec::new(),
                        drift: None,
                    });
                series.decides = !is_shown_only
                    && decides(metric, scenario, |other| figures.get(other).is_some());
                series.concurrency = figures.concurrency.unwrap_or(1).max(1);
                series.is_current = number + 1 == entries.len();
                series.points.push(Point {
                    at: entry.at.clone(),
                    commit: entry.commit.clone(),
                    value,
                });
            }
        }
    }
    let mut all: Vec<Series> = all.into_values().collect();
    let place = |series: &Series| METRICS.iter().position(|m| *m == series.metric);
    all.sort_by(|a, b| (&a.scenario, place(a), a.machine).cmp(&(&b.scenario, place(b), b.machine)));
    for series in &mut all {
        // More than this no change point is looked for in.
        let surplus = series.points.len().saturating_sub(MOST_VALUES);
        series.points.drain(..surplus);
    }
    all
}

/// Cuts a series into stretches.
fn find_changes(series: &mut Series, policy: &GateConfig) {
    let metric = series.metric;
    let values: Vec<f64> = series
        .points
        .iter()
        .map(|point| weighed(metric, point.value))
        .collect();
    let found = change_points(&values, &Options::default());
    // Weakest first, changes too small to be told are taken back: their stretches become one.
    let mut cuts: Vec<(usize, f64)> = found.iter().map(|c| (c.index, c.p_value)).collect();
    loop {
        let segments = segments(series, &cuts);
        let weakest = segments
            .windows(2)
            .enumerate()
            .filter_map(|(index, pair)| match pair {
                [from, to] => Some((index, size(metric, from.level, to.level, policy))),
                _ => None,
            })
            .min_by(|a, b| a.1.total_cmp(&b.1));
        match weakest {
            Some((index, size)) if size < 1.0 => {
                cuts.remove(index);
            }
            _ => {
                series.changes = changes(series, &segments, &cuts);
                series.segments = segments;
                return;
            }
        }
    }
}

/// A change of level as a multiple of the smallest that is told.
fn size(metric: Metric, from: f64, to: f64, policy: &GateConfig) -> f64 {
    if is_by_ratio(metric) {
        (weighed(metric, to) - weighed(metric, from)).abs() / SMALLEST_CHANGE.ln_1p()
    } else {
        let smallest = floor(metric, policy) * SMALLEST_SHARE_OF_FLOOR;
        (to - from).abs() / smallest.max(1.0)
    }
}

fn segments(series: &Series, cuts: &[(usize, f64)]) -> Vec<Segment> {
    let starts = std::iter::once(0).chain(cuts.iter().map(|cut| cut.0));
    let ends = cuts.iter().map(|cut| cut.0).chain([series.points.len()]);
    starts
        .zip(ends)
        .map(|(start, end)| Segment {
            start,
            end,
            level: level(series.points.get(start..end).unwrap_or_default()),
        })
        .collect()
}

fn level(points: &[Point]) -> f64 {
    Sample::new(points.iter().map(|point| point.value)).map_or(0.0, |sample| median(&sample))
}

fn changes(series: &Series, segments: &[Segment], cuts: &[(usize, f64)]) -> Vec<Change> {
    let pairs = segments.windows(2).zip(cuts);
    pairs
        .filter_map(|(pair, &(index, p_value))| {
            let [from, to] = pair else { return None };
            let first = series.points.get(index)?;
            let before = series.points.get(index.checked_sub(1)?)?;
            let rises = to.level > from.level;
            Some(Change {
                index,
                at: first.at.clone(),
                commit: first.commit.clone(),
                after: before.commit.clone(),
                is_same_commit: first.commit.is_some() && first.commit == before.commit,
                from: from.level,
                to: to.level,
                ratio: (is_by_ratio(series.metric) && from.level > 0.0)
                    .then(|| to.level / from.level),
                is_worse: rises != series.metric.more_is_better(),
                p_value,
            })
        })
        .collect()
}

#[cfg(test)]
#[path = "trend_tests.rs"]
mod tests;
