//! Which plots show what: from results to [`Plot`]s. Nothing is drawn that is not in the files.

use super::{
    plot::{Axis, Dash, Mark, Plot, Point, Quantity, Side, distribution},
    thinning::thinned,
};
use crate::{
    gate::Unit,
    report::{figure, line::Line, run_model::median},
    results::{
        LoadRecord, LoadSample, Phase, Results, Round, Sample, ScenarioRecord, Soak, SoakSample,
        StageSample,
    },
};

/// Rounds and soaks of a side that are drawn: the latest.
const MOST_ROUNDS: usize = 100;
const MOST_SOAKS: usize = 6;

/// Marks on a line that has many points.
const MARKS: usize = 9;

/// The results of both sides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) base: Option<&'a Results>,
    pub(super) now: &'a Results,
    /// What the base is to a reader.
    pub(super) base_name: &'static str,
    /// Whether a round of one side belongs to the one of the same number of the other.
    pub(super) are_pairs: bool,
}

/// A quantile of the calls of a stage.
type Quantile = fn(&StageSample) -> Option<u64>;

/// A figure of a round.
type Figure<'f> = &'f dyn Fn(&Round) -> Option<u64>;

impl<'a> Sides<'a> {
    /// Each side with its name, the base first.
    pub(super) fn each(self) -> impl Iterator<Item = (Side, &'a Results)> {
        let base = self.base.map(|base| (Side::Base, base));
        base.into_iter().chain([(Side::Now, self.now)])
    }

    /// The same, but a side only where it has the scenario as it is defined now.
    fn with(self, scenario: &ScenarioRecord) -> Self {
        let has = |results: &&Results| {
            results.suite.scenarios.iter().any(|declared| {
                declared.name == scenario.name
                    && declared.definition_hash == scenario.definition_hash
            })
        };
        Self {
            base: self.base.filter(has),
            ..self
        }
    }

    /// The plots of a scenario that every round runs.
    pub(super) fn of_scenario(self, scenario: &ScenarioRecord) -> Vec<Plot> {
        let sides = self.with(scenario);
        let sample = |round: &Round, of: &dyn Fn(&Sample) -> Option<u64>| {
            round.scenarios.get(&scenario.name).and_then(of)
        };
        let wall_p50 = |round: &Round| sample(round, &|s| Some(s.wall?.p50_ns));
        let wall_p95 = |round: &Round| sample(round, &|s| s.wall?.p95_ns);
        let adjusted_p50 = |round: &Round| sample(round, &|s| Some(s.adjusted?.p50_ns));
        let adjusted_p95 = |round: &Round| sample(round, &|s| s.adjusted?.p95_ns);
        [
            sides.calls(scenario),
            sides.shares(
                "p50 of each round",
                Quantity::Time,
                &wall_p50,
                &adjusted_p50,
            ),
            sides.shares(
                "p95 of each round",
                Quantity::Time,
                &wall_p95,
                &adjusted_p95,
            ),
            sides.in_order(
                "Rounds in order: p50 to p95, wall",
                Quantity::Time,
                &wall_p50,
                &wall_p95,
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The plots of the server as a whole.
    pub(super) fn of_server(self) -> Vec<Plot> {
        let none = |_: &Round| None;
        let startup = |round: &Round| round.startup_ns;
        let adjusted = |round: &Round| round.startup_adjusted_ns;
        let memory = |round: &Round| round.peak_memory_bytes;
        [
            self.shares(
                "Start-up of each round",
                Quantity::Time,
                &startup,
                &adjusted,
            ),
            self.shares("Peak memory of each round", Quantity::Size, &memory, &none),
            self.in_order(
                "Peak memory, rounds in order",
                Quantity::Size,
                &memory,
                &none,
            ),
            self.other_load(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// How far a side stands from the middle of what both share, so that neither hides the other.
    pub(super) fn beside(self, side: Side) -> f64 {
        match (self.base, side) {
            (None, _) => 0.0,
            (_, Side::Base) => -0.14,
            (_, Side::Now) => 0.14,
        }
    }

    /// The distribution of a figure over rounds: wall drawn through, adjusted dashed.
    fn shares(
        self,
        caption: &'static str,
        quantity: Quantity,
        wall: Figure<'_>,
        adjusted: Figure<'_>,
    ) -> Option<Plot> {
        let mut marks = vec![Mark::Guide(0.5)];
        let mut values = Vec::new();
        let mut said = Vec::new();
        for (side, results) in self.each() {
            for (of, dash) in [(wall, Dash::Solid), (adjusted, Dash::Dashed)] {
                let figures: Vec<f64> = rounds(results).filter_map(of).map(|v| v as f64).collect();
                let Some(middle) = median(figures.iter().copied()) else {
                    continue;
                };
                let corners = distribution(&figures);
                let tops = corners.iter().skip(1).step_by(2).copied().collect();
                marks.push(Mark::Line(side, corners, dash));
                if dash == Dash::Solid {
                    marks.push(Mark::Dots(side, tops));
                }
                let (low, high) = range(&figures);
                let shown = |value: f64| match quantity {
                    Quantity::Size => figure::figure(value, Unit::Bytes),
                    _ => time(value),
                };
                let kind = if dash == Dash::Dashed {
                    "adjusted "
                } else {
                    ""
                };
                said.push(self.sentence(
                    side,
                    [format!(
                        "{kind}{} to {}, median {}, in {}",
                        shown(low),
                        shown(high),
                        shown(middle),
                        figure::count(figures.len(), "round"),
                    )],
                ));
                values.extend(figures);
            }
        }
        (!values.is_empty()).then(|| Plot {
            caption,
            description: joined(said),
            x: Axis::of(axis_name(quantity), quantity, values, false),
            y: Axis::shares("share of rounds at or below"),
            marks,
        })
    }

    /// A figure of each round in the order measured, with a line up to a second one.
    fn in_order(
        self,
        caption: &'static str,
        quantity: Quantity,
        of: Figure<'_>,
        up_to: Figure<'_>,
    ) -> Option<Plot> {
        let order = self.order();
        let mut marks = order.dividers;
        let mut values = Vec::new();
        for (side, those) in order.rounds {
            let (mut points, mut bars) = (Vec::new(), Vec::new());
            for (x, round) in those {
                let Some(value) = of(round).map(|value| value as f64) else {
                    continue;
                };
                points.push((x, value));
                values.push(value);
                if let Some(end) = up_to(round).map(|end| end as f64) {
                    bars.push(((x, value), (x, end)));
                    values.push(end);
                }
            }
            marks.push(Mark::Bars(side, bars));
            marks.push(Mark::Dots(side, points));
        }
        (!values.is_empty()).then(|| Plot {
            caption,
            description: Line::own("The figures of the rounds, one after another: the distribution beside has the same."),
            x: Axis::of(order.name, Quantity::Count, [1.0, order.last], false),
            y: Axis::of(axis_name(quantity), quantity, values, true),
            marks,
        })
    }

    /// What other processes took of the machine in each round.
    fn other_load(self) -> Option<Plot> {
        let order = self.order();
        let mut marks = order.dividers;
        let mut values = Vec::new();
        for (side, those) in order.rounds {
            let points: Vec<Point> = those
                .iter()
                .filter_map(|(x, round)| Some((*x, round.outside_load_cores?)))
                .filter(|(_, cores)| cores.is_finite())
                .collect();
            values.extend(points.iter().map(|point| point.1));
            marks.push(Mark::Dots(side, points));
        }
        let (_, most) = range(&values);
        (!values.is_empty()).then(|| Plot {
            caption: "Load by others, rounds in order",
            description: Line::own(format!("At most {most:.2} cores.")),
            x: Axis::of(order.name, Quantity::Count, [1.0, order.last], false),
            y: Axis::of(
                "cores used by others",
                Quantity::Number,
                values.into_iter().chain([0.1]),
                true,
            ),
            marks,
        })
    }

    /// Where the rounds of both sides stand: those in pairs side by side, others one side after the
    /// other.
    fn order(self) -> Order<'a> {
        let mut order = Order {
            rounds: Vec::new(),
            dividers: Vec::new(),
            name: "round, in the order measured",
            last: 1.0,
        };
        if self.are_pairs {
            order.name = "pair of rounds, in the order measured";
        }
        let mut at = 0_u32;
        for (side, results) in self.each() {
            if self.are_pairs {
                at = 0;
            }
            let mut those = Vec::new();
            let mut phase = Phase::Measure;
            let all: Vec<&Round> = rounds(results).collect();
            if side == Side::Now && at > 0 {
                order
                    .dividers
                    .push(Mark::Divider(f64::from(at) + 0.5, "this run"));
            }
            for round in all {
                at += 1;
                if round.phase == Phase::Confirm && phase == Phase::Measure && side == Side::Now {
                    order
                        .dividers
                        .push(Mark::Divider(f64::from(at) - 0.5, "to confirm"));
                }
                phase = round.phase;
                let off = if self.are_pairs {
                    self.beside(side)
                } else {
                    0.0
                };
                those.push((f64::from(at) + off, round));
            }
            order.last = order.last.max(f64::from(at));
            order.rounds.push((side, those));
        }
        order
    }

    /// Memory against calls, with the slope that the file has.
    pub(super) fn of_soak(self, scenario: &ScenarioRecord) -> Option<Plot> {
        let sides = self.with(scenario);
        let mut marks = Vec::new();
        let mut said = Vec::new();
        let (mut calls, mut bytes) = (vec![0.0], Vec::new());
        for (side, results) in sides.each() {
            let soaks: Vec<&Soak> = results.jobs.iter().flat_map(|job| &job.soaks).collect();
            let latest = soaks.iter().rev().take(MOST_SOAKS);
            let samples: Vec<&SoakSample> = latest
                .filter_map(|soak| soak.scenarios.get(&scenario.name))
                .collect();
            for sample in &samples {
                let points: Vec<Point> = sample
                    .memory
                    .iter()
                    .map(|(calls, bytes)| (f64::from(*calls), *bytes as f64))
                    .collect();
                marks.extend(
                    slope_line(sample, &points).map(|line| Mark::Line(side, line, Dash::Solid)),
                );
                calls.extend(points.iter().map(|point| point.0));
                bytes.extend(points.iter().map(|point| point.1));
                marks.push(Mark::Dots(side, points));
            }
            let growth = median(
                samples
                    .iter()
                    .filter_map(|sample| sample.growth_bytes_per_call),
            );
            let growth = growth.map_or_else(
                || "no slope".to_owned(),
                |growth| {
                    format!(
                        "{} per 1,000 calls",
                        figure::figure(growth * 1000.0, Unit::BytesPer1000Calls)
                    )
                },
            );
            let soaks = figure::count(samples.len(), "fresh server");
            said.push(sides.sentence(side, [format!("{growth}, median over {soaks}")]));
        }
        (!bytes.is_empty()).then(|| Plot {
            caption: "Memory against calls",
            description: joined(said),
            x: Axis::of("calls made", Quantity::Count, calls, true),
            y: Axis::of("memory", Quantity::Size, bytes, false),
            marks,
        })
    }

    /// The plots of a load: its calls, latency against load where that changes, memory against calls.
    pub(super) fn of_load(self, scenario: &ScenarioRecord) -> Vec<Plot> {
        let sides = self.with(scenario);
        let loads: Vec<(Side, &LoadSample)> = sides
            .each()
            .filter_map(|(side, results)| {
                let mut jobs = results.jobs.iter().rev();
                Some((side, jobs.find_map(|job| job.loads.get(&scenario.name))?))
            })
            .collect();
        let latency = scenario
            .load
            .as_ref()
            .and_then(|record| sides.latency(record, &loads));
        [
            sides.calls_of_load(&loads),
            latency,
            sides.memory_of_loads(&loads),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Latency at each level of load; where stages only change it, across the levels
    /// of each.
    fn latency(self, record: &LoadRecord, loads: &[(Side, &LoadSample)]) -> Option<Plot> {
        let mut levels = vec![0.0];
        let mut is_across = false;
        let mut values = Vec::new();
        let mut marks = Vec::new();
        let mut said = Vec::new();
        for (side, load) in loads {
            let quantiles: [(Quantile, Dash); 2] = [
                (|stage| Some(stage.wall?.p50_ns), Dash::Solid),
                (|stage| stage.wall?.p95_ns, Dash::Dashed),
            ];
            for (quantile, dash) in quantiles {
                let (mut points, mut spans) = (Vec::new(), Vec::new());
                for (stage, sample) in record.stages.iter().zip(&load.stages) {
                    let Some(value) = quantile(sample).map(|value| value as f64) else {
                        continue;
                    };
                    let (from, to) = (f64::from(stage.from), f64::from(stage.to));
                    levels.extend([from, to]);
                    values.push(value);
                    if stage.from == stage.to {
                        points.push((to, value));
                    } else {
                        spans.push(((from, value), (to, value)));
                    }
                }
                points.sort_by(|a: &Point, b| a.0.total_cmp(&b.0));
                // Beside steady levels they would say little and hide much.
                if points.len() < 2 {
                    is_across = is_across || !spans.is_empty();
                    marks.push(Mark::Bars(*side, spans));
                }
                let name = if dash == Dash::Solid { "p50" } else { "p95" };
                said.push(
                    self.sentence(
                        *side,
                        points
                            .iter()
                            .map(|(level, ns)| format!("{name} {} at {level:.0}", time(*ns))),
                    ),
                );
                marks.push(Mark::Line(*side, points.clone(), dash));
                marks.push(Mark::Dots(*side, points));
            }
        }
        let (low, high) = range(levels.get(1..)?);
        (high > low).then(|| Plot {
            caption: if is_across {
                "Latency across the levels of a stage"
            } else {
                "Latency against load"
            },
            description: joined(said),
            x: Axis::of(
                if record.executor.is_open() {
                    "calls in each time unit"
                } else {
                    "virtual users"
                },
                Quantity::Count,
                levels,
                true,
            ),
            y: Axis::of("latency", Quantity::Time, values, true),
            marks,
        })
    }

    fn memory_of_loads(self, loads: &[(Side, &LoadSample)]) -> Option<Plot> {
        let (mut calls, mut bytes, mut marks) = (vec![0.0], Vec::new(), Vec::new());
        let mut said = Vec::new();
        for (side, load) in loads {
            let points: Vec<Point> = load
                .memory
                .iter()
                .map(|(calls, bytes)| (*calls as f64, *bytes as f64))
                .collect();
            let ends = points.first().zip(points.last());
            said.extend(ends.map(|(first, last)| {
                let of = |point: &Point| figure::figure(point.1, Unit::Bytes);
                self.sentence(*side, [format!("{} to {}", of(first), of(last))])
            }));
            calls.extend(points.iter().map(|point| point.0));
            bytes.extend(points.iter().map(|point| point.1));
            marks.push(Mark::Line(*side, points.clone(), Dash::Solid));
            marks.push(Mark::Dots(*side, thinned(&points, MARKS)));
        }
        (bytes.len() > 2).then(|| Plot {
            caption: "Memory against calls",
            description: joined(said),
            x: Axis::of("calls ended", Quantity::Count, calls, true),
            y: Axis::of("memory", Quantity::Size, bytes, false),
            marks,
        })
    }

    /// `baseline: …` where there are two sides.
    pub(super) fn sentence(self, side: Side, parts: impl IntoIterator<Item = String>) -> Line {
        let parts: Vec<String> = parts.into_iter().collect();
        let parts = parts.join(", ");
        Line::own(match (self.base, side) {
            (None, _) => parts,
            (_, Side::Base) => format!("{}: {parts}", self.base_name),
            (_, Side::Now) => format!("this run: {parts}"),
        })
    }
}

/// Rounds on a time axis.
struct Order<'a> {
    rounds: Vec<(Side, Vec<(f64, &'a Round)>)>,
    dividers: Vec<Mark>,
    name: &'static str,
    last: f64,
}

/// The latest rounds of all jobs, in the order measured.
pub(super) fn rounds(results: &Results) -> impl Iterator<Item = &Round> {
    let all: usize = results.jobs.iter().map(|job| job.rounds.len()).sum();
    let rounds = results.jobs.iter().flat_map(|job| &job.rounds);
    rounds.skip(all.saturating_sub(MOST_ROUNDS))
}

/// The line of a slope through its points: of all lines of that slope the one that has as many
/// points above as below (Conover 1980 for Theil's slope).
fn slope_line(sample: &SoakSample, points: &[Point]) -> Option<Vec<Point>> {
    let slope = sample
        .growth_bytes_per_call
        .filter(|slope| slope.is_finite())?;
    let height = median(points.iter().map(|(x, y)| y - slope * x))?;
    let (first, last) = points.first().zip(points.last())?;
    Some([first, last].map(|(x, _)| (*x, height + slope * x)).into())
}

/// Smallest and largest; nought of nothing.
pub(super) fn range(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low <= high { (low, high) } else { (0.0, 0.0) }
}

pub(super) fn time(ns: f64) -> String {
    figure::figure(ns, Unit::Nanoseconds)
}

const fn axis_name(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Time => "time",
        Quantity::Size => "memory",
        Quantity::Count | Quantity::Number => "",
    }
}

pub(super) fn joined(lines: Vec<Line>) -> Line {
    crate::report::line::separated("; ", lines)
}
