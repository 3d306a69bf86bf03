//! What a report of the history says, worked out once for every format.

use super::{
    figure::{self, GAP},
    line::Line,
    slow_drift::{self, commit_name},
};
use crate::{
    gate::Unit,
    history::{Change, Machine, MachineChange, Segment, Series, Trend, machine_in_words},
};

/// What is reported.
#[derive(Debug, Clone)]
pub struct TrendReport<'a> {
    /// The series.
    pub trend: &'a Trend,
    /// Where the history is, as the reader would name it.
    pub path: String,
    /// Commits in all.
    pub commits: usize,
    /// When the oldest and the newest run began; empty where there is none.
    pub span: (String, String),
    /// Lines of the file that say nothing.
    pub skipped_lines: usize,
    /// Only series of this scenario.
    pub scenario: Option<String>,
    /// Only series of the metric with this name.
    pub metric: Option<String>,
    /// Also series of metrics that do not decide.
    pub all_metrics: bool,
}

/// Machine changes that are named; of more, only how many there are.
const MOST_MACHINE_CHANGES: usize = 3;

/// The whole report.
#[derive(Debug)]
pub(crate) struct TrendView<'a> {
    /// Which runs.
    pub(crate) head: Line,
    /// Series by machine class.
    pub(crate) machines: Vec<MachineRows<'a>>,
    /// Where the machine changed, which is no change of the code.
    pub(crate) machine_changes: Vec<Line>,
    /// What is not shown, and how it would be.
    pub(crate) left_out: Vec<Line>,
}

/// The series of one machine class.
#[derive(Debug)]
pub(crate) struct MachineRows<'a> {
    pub(crate) machine: Line,
    pub(crate) rows: Vec<TrendRow<'a>>,
}

/// One series, ready to be laid out.
#[derive(Debug)]
pub(crate) struct TrendRow<'a> {
    pub(crate) series: &'a Series,
    pub(crate) scenario: &'a str,
    pub(crate) metric: &'static str,
    pub(crate) first: String,
    pub(crate) now: String,
    pub(crate) change: String,
    /// Change points, oldest first, then the drift.
    pub(crate) notes: Vec<Note>,
}

/// A remark on a series.
#[derive(Debug)]
pub(crate) struct Note {
    /// What stands out: our own words.
    pub(crate) lead: String,
    /// What follows it.
    pub(crate) text: Line,
    /// What it is to the reader; `None` where it only informs.
    pub(crate) is_worse: Option<bool>,
}

impl<'a> TrendReport<'a> {
    /// The series that are asked for, and of which there is more than one run.
    pub(crate) fn series(&self) -> impl Iterator<Item = &'a Series> {
        let is_asked = |asked: &Option<String>, name: &str| match asked {
            Some(asked) => asked == name,
            None => true,
        };
        let of_metric = self.metric.is_some() || self.all_metrics;
        let (scenario, metric) = (self.scenario.clone(), self.metric.clone());
        let all = self.trend.series.iter();
        all.filter(move |series| {
            is_asked(&scenario, &series.scenario)
                && is_asked(&metric, series.metric.name())
                && (of_metric || series.decides)
                && series.points.len() > 1
        })
    }
}

impl<'a> TrendView<'a> {
    pub(crate) fn of(report: &TrendReport<'a>) -> Self {
        let trend = report.trend;
        let mut machines: Vec<(usize, Vec<TrendRow<'a>>)> = Vec::new();
        for series in report.series() {
            // Of another machine, or measured otherwise, it may go on in another series.
            let ends = !series.is_current
                && !report.trend.series.iter().any(|other| {
                    other.is_current
                        && other.scenario == series.scenario
                        && other.metric == series.metric
                });
            let row = row(series, ends);
            match machines.iter_mut().find(|(m, _)| *m == series.machine) {
                Some((_, rows)) => rows.push(row),
                None => machines.push((series.machine, vec![row])),
            }
        }
        // That of the newest run first.
        machines.sort_by_key(|(machine, rows)| {
            (!rows.iter().any(|row| row.series.is_current), *machine)
        });
        Self {
            head: head(report),
            machines: machines
                .into_iter()
                .map(|(machine, rows)| MachineRows {
                    machine: machine_line(trend, machine),
                    rows,
                })
                .collect(),
            machine_changes: machine_changes(trend),
            left_out: left_out(report),
        }
    }
}

fn head(report: &TrendReport<'_>) -> Line {
    let (first, last) = &report.span;
    let runs = figure::count(report.trend.runs, "run");
    let mut line = Line::default().path(&report.path).then(format!(": {runs}"));
    if report.commits > 0 {
        line = line.then(format!(" of {}", figure::count(report.commits, "commit")));
    }
    if first.is_empty() {
        return line;
    }
    line.then(", ")
        .join(day(first))
        .then(" to ")
        .join(day(last))
}

/// The day of a time, which is foreign text.
pub(crate) fn day(at: &str) -> Line {
    let day = at.get(..10).unwrap_or(at);
    if day
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-')
    {
        Line::own(day.to_owned())
    } else {
        Line::of_name(day)
    }
}

impl Note {
    /// As one line.
    pub(crate) fn line(&self) -> Line {
        Line::own(self.lead.clone()).join(self.text.clone())
    }
}

fn machine_line(trend: &Trend, machine: usize) -> Line {
    let Some(described) = trend.machines.get(machine) else {
        return Line::own("unknown machine");
    };
    let line = Line::of_name(&machine_in_words(described));
    let others = trend.machines.iter().enumerate();
    let has_twin = others
        .filter(|(index, _)| *index != machine)
        .any(|(_, other)| other.same_hardware(described));
    match described.reference_work_ns {
        Some(ns) if has_twin => {
            let work = figure::figure(ns as f64, Unit::Nanoseconds);
            line.then(format!(" (reference work {work})"))
        }
        _ => line,
    }
}

fn row(series: &Series, ends: bool) -> TrendRow<'_> {
    let unit = series.metric.unit();
    // Levels, and not single runs, which scatter; what drifts has none but at its ends.
    let level = |segment: Option<&Segment>| segment.map_or(f64::NAN, |segment| segment.level);
    let (mut first, mut now) = (
        level(series.segments.first()),
        level(series.segments.last()),
    );
    if let Some(drift) = &series.drift {
        now = drift.to;
        if series.segments.len() == 1 {
            first = drift.from;
        }
    }
    let mut notes: Vec<Note> = series.changes.iter().map(|c| change(series, c)).collect();
    if let Some(drift) = &series.drift {
        notes.push(Note {
            lead: "Slow drift".to_owned(),
            text: Line::own(": ").join(slow_drift::how(drift)),
            is_worse: Some(drift.is_worse),
        });
    }
    if ends {
        notes.push(Note {
            lead: String::new(),
            text: Line::own("not in the newest run"),
            is_worse: None,
        });
    }
    TrendRow {
        series,
        scenario: &series.scenario,
        metric: figure::label(series.metric),
        first: figure::figure(first, unit),
        now: figure::figure(now, unit),
        change: if unit == Unit::BytesPer1000Calls {
            difference(first, now, unit)
        } else {
            figure::percent_change(now / first)
        },
        notes,
    }
}

fn difference(from: f64, to: f64, unit: Unit) -> String {
    let sign = if to > from { "+" } else { "" };
    format!("{sign}{}", figure::figure(to - from, unit))
}

/// `+31 % at abc1234def on 2026-11-20 (after 0123456789): 12.1 ms -> 15.9 ms`.
fn change(series: &Series, change: &Change) -> Note {
    let unit = series.metric.unit();
    let size = change.ratio.map_or_else(
        || difference(change.from, change.to, unit),
        figure::percent_change,
    );
    let line = Line::default();
    let line = match (&change.commit, &change.after) {
        (Some(commit), _) if change.is_same_commit => line
            .then(" between two runs of ")
            .join(commit_name(commit))
            .then(", so by no change of the code, until ")
            .join(day(&change.at)),
        (Some(commit), after) => {
            let line = line
                .then(" at ")
                .join(commit_name(commit))
                .then(" on ")
                .join(day(&change.at));
            match after {
                Some(after) => line.then(" (after ").join(commit_name(after)).then(")"),
                None => line,
            }
        }
        (None, _) => line.then(" with the run of ").name(&change.at),
    };
    Note {
        lead: size,
        text: line.then(format!(
            ": {}{GAP}->{GAP}{}",
            figure::figure(change.from, unit),
            figure::figure(change.to, unit)
        )),
        is_worse: (!change.is_same_commit).then_some(change.is_worse),
    }
}

fn machine_changes(trend: &Trend) -> Vec<Line> {
    let named = |machine: usize| {
        let words = trend.machines.get(machine).map(machine_in_words);
        Line::of_name(&words.unwrap_or_default())
    };
    let sentence = |change: &MachineChange| {
        let same = match (
            trend.machines.get(change.from),
            trend.machines.get(change.to),
        ) {
            (Some(from), Some(to)) => speeds(from, to),
            _ => None,
        };
        let line = day(&change.at).then(": ");
        let line = match same {
            Some(speeds) => line.join(named(change.to)).then(speeds),
            None => line
                .join(named(change.from))
                .then(" -> ")
                .join(named(change.to)),
        };
        match &change.commit {
            Some(commit) => line.then(", at ").join(commit_name(commit)),
            None => line,
        }
    };
    let all = &trend.machine_changes;
    let mut lines: Vec<Line> = all
        .iter()
        .rev()
        .take(MOST_MACHINE_CHANGES)
        .map(sentence)
        .collect();
    if all.len() > MOST_MACHINE_CHANGES {
        lines.push(Line::own(format!(
            "and {} before, between {} machine classes",
            figure::count(all.len() - MOST_MACHINE_CHANGES, "change"),
            trend.machines.len(),
        )));
    }
    lines
}

/// Of machines of one description, how fast they are.
fn speeds(from: &Machine, to: &Machine) -> Option<String> {
    let (slow, fast) = (from.reference_work_ns?, to.reference_work_ns?);
    from.same_hardware(to).then(|| {
        format!(
            " of another speed: the same work takes {} instead of {}",
            figure::figure(fast as f64, Unit::Nanoseconds),
            figure::figure(slow as f64, Unit::Nanoseconds)
        )
    })
}

fn left_out(report: &TrendReport<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    let single = report.trend.series.iter().filter(|s| s.points.len() < 2);
    match single.count() {
        0 => {}
        single => lines.push(Line::own(format!("{single} series of one run only"))),
    }
    if report.skipped_lines > 0 {
        lines.push(Line::own(format!(
            "{} of the file that no run could be read from",
            figure::count(report.skipped_lines, "line")
        )));
    }
    if report.metric.is_none() && !report.all_metrics {
        lines.push(Line::own("metrics that do not decide: see them with ").code("--verbose"));
    }
    lines
}

/// Block characters, lowest first.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// A spread of less than this share of the level is noise, and must not look like a mountain range.
const FLAT: f64 = 0.2;

/// The values as a row of blocks, at most `width` of them: medians of neighbours where there are more
/// values.
pub(crate) fn sparkline(values: &[f64], width: usize) -> String {
    let buckets = values.len().min(width.max(1));
    let shown: Vec<f64> = (0..buckets)
        .map(|bucket| {
            let edge = |bucket: usize| bucket * values.len() / buckets;
            let mut part = values
                .get(edge(bucket)..edge(bucket + 1))
                .unwrap_or_default()
                .to_vec();
            part.sort_by(f64::total_cmp);
            part.get(part.len() / 2).copied().unwrap_or_default()
        })
        .collect();
    let low = shown.iter().copied().fold(f64::INFINITY, f64::min);
    let high = shown.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let middle = low / 2.0 + high / 2.0;
    let spread = (high - low).max(FLAT * middle.abs());
    shown
        .iter()
        .map(|value| {
            let place = (value - middle) / spread + 0.5;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 7, and saturates"
            )]
            let index = (place * (BLOCKS.len() - 1) as f64).round() as usize;
            BLOCKS.get(index).copied().unwrap_or('█')
        })
        .collect()
}
