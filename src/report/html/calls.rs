//! How single calls are spread: from the histograms of rounds, or where a file has none from their
//! quantiles.

use super::{
    figures::{Sides, joined, range, rounds, time},
    plot::{Axis, Dash, Mark, Plot, Point, Quantity, Side},
};
use crate::{
    report::{figure, run_model::median},
    results::{Histogram, Latency, LoadSample, Results, Sample, ScenarioRecord},
};

/// Where a curve has marks, in thousandths of the calls.
const MARKED: [u16; 3] = [500, 950, 990];

/// The calls of several rounds together.
struct Pooled {
    histogram: Histogram,
    rounds: usize,
    /// The largest, exactly.
    max_ns: u64,
}

/// Wall or adjusted: the histogram of a sample, and the figures of the same calls.
type Kept = for<'s> fn(&'s Sample) -> (Option<&'s Histogram>, Option<Latency>);

const WALL: Kept = |sample| (sample.wall_histogram_ns.as_ref(), sample.wall);
const ADJUSTED: Kept = |sample| (sample.adjusted_histogram_ns.as_ref(), sample.adjusted);

impl Pooled {
    /// `None` where no sample has a histogram.
    fn of<'s>(samples: impl Iterator<Item = &'s Sample> + Clone, kept: Kept) -> Option<Self> {
        let those = samples
            .map(kept)
            .filter_map(|(histogram, latency)| Some((histogram?, latency)));
        let histogram = Histogram::together(those.clone().map(|(histogram, _)| histogram))?;
        let last_ns = histogram.quantile_ns(1000);
        // Where a file says otherwise, one of the two is wrong.
        let max_ns = those
            .clone()
            .filter_map(|(_, latency)| Some(latency?.max_ns));
        let max_ns = max_ns.max().unwrap_or(last_ns).min(last_ns);
        Some(Self {
            histogram,
            rounds: those.count(),
            max_ns,
        })
    }

    /// The distribution function: exact at the borders of buckets, a straight line within.
    fn curve(&self) -> Vec<Point> {
        let total = self.histogram.total() as f64;
        let max = self.max_ns as f64;
        let mut corners: Vec<Point> = Vec::new();
        let (mut so_far, mut before_ns) = (0_u64, None);
        for bucket in self.histogram.buckets() {
            if before_ns.is_none_or(|before: u64| before.saturating_add(1) < bucket.low_ns) {
                let low = (bucket.low_ns as f64).min(max);
                corners.push((low, so_far as f64 / total));
            }
            so_far += u64::from(bucket.count);
            let high = (bucket.high_ns as f64).min(max);
            corners.push((high, so_far as f64 / total));
            before_ns = Some(bucket.high_ns);
        }
        corners
    }

    /// A time within which so many thousandths of the calls were.
    fn within(&self, per_mille: u16) -> f64 {
        self.histogram.quantile_ns(per_mille).min(self.max_ns) as f64
    }

    /// `half within 2.10 ms, 95 % within …`.
    fn words(&self) -> String {
        format!(
            "half within {}, 95 % within {}, 99 % within {}, all within {}",
            time(self.within(500)),
            time(self.within(950)),
            time(self.within(990)),
            time(self.max_ns as f64),
        )
    }
}

impl Sides<'_> {
    /// How the calls of a scenario are spread, all rounds together; where a side has no histogram the
    /// quantiles of rounds, which both have.
    pub(super) fn calls(self, scenario: &ScenarioRecord) -> Option<Plot> {
        let has_all = self
            .each()
            .all(|(_, results)| !is_without(results, &scenario.name));
        let sides: Vec<(Side, Vec<&Sample>)> = self
            .each()
            .map(|(side, results)| (side, samples(results, &scenario.name).collect()))
            .collect();
        let drawn = has_all
            .then(|| self.spread("Calls of all rounds", Some("round"), &sides))
            .flatten();
        drawn.or_else(|| self.quantiles(scenario))
    }

    /// How the calls of a load are spread; `None` where a side has no histogram, since the other alone
    /// would look as if there was nothing to compare it with.
    pub(super) fn calls_of_load(self, loads: &[(Side, &LoadSample)]) -> Option<Plot> {
        if loads.iter().any(|(_, load)| lacks(&load.whole)) {
            return None;
        }
        let sides: Vec<(Side, Vec<&Sample>)> = loads
            .iter()
            .map(|(side, load)| (*side, vec![&load.whole]))
            .collect();
        self.spread("Calls of the load, wall", None, &sides)
    }

    /// Distributions over calls: wall drawn through, adjusted dashed. `noun`: what samples are of, where
    /// there are several.
    fn spread(
        self,
        caption: &'static str,
        noun: Option<&str>,
        sides: &[(Side, Vec<&Sample>)],
    ) -> Option<Plot> {
        let mut marks = vec![Mark::Guide(0.5)];
        let (mut values, mut said) = (Vec::new(), Vec::new());
        for (side, samples) in sides {
            let mut parts = Vec::new();
            for (kept, dash) in [(WALL, Dash::Solid), (ADJUSTED, Dash::Dashed)] {
                let Some(pooled) = Pooled::of(samples.iter().copied(), kept) else {
                    continue;
                };
                let curve = pooled.curve();
                values.extend(
                    [curve.first(), curve.last()]
                        .into_iter()
                        .flatten()
                        .map(|p| p.0),
                );
                marks.push(Mark::Line(*side, curve, dash));
                if dash == Dash::Solid {
                    let at = |per_mille| (pooled.within(per_mille), f64::from(per_mille) / 1000.0);
                    marks.push(Mark::Dots(*side, MARKED.map(at).into()));
                    let calls = usize::try_from(pooled.histogram.total()).unwrap_or(usize::MAX);
                    let calls = figure::count(calls, "call");
                    parts.push(noun.map_or_else(
                        || calls.clone(),
                        |noun| format!("{calls} of {}", figure::count(pooled.rounds, noun)),
                    ));
                    parts.push(pooled.words());
                } else {
                    parts.push(format!("adjusted {}", pooled.words()));
                }
            }
            if !parts.is_empty() {
                said.push(self.sentence(*side, parts));
            }
        }
        (!values.is_empty()).then(|| Plot {
            caption,
            description: joined(said),
            x: Axis::of_times("latency", values),
            y: Axis::shares("share of calls at or below"),
            marks,
        })
    }

    /// Whose results have latencies of calls but no histogram of any, in words; `None` where none lacks them.
    pub(super) fn without_histograms(self) -> Option<String> {
        let is_older = |results: &Results| {
            let scenarios = &results.suite.scenarios;
            let mut loads = results.jobs.iter().flat_map(|job| job.loads.values());
            scenarios.iter().any(|s| is_without(results, &s.name))
                || loads.any(|load| lacks(&load.whole))
        };
        let those: Vec<String> = self
            .each()
            .filter(|(_, results)| is_older(results))
            .map(|(side, _)| match side {
                Side::Base => format!("the {}", self.base_name),
                Side::Now => "this run".to_owned(),
            })
            .collect();
        (!those.is_empty()).then(|| those.join(" and "))
    }

    /// What is known of single calls where no histogram was kept: four quantiles, each as the median
    /// over rounds with their range.
    fn quantiles(self, scenario: &ScenarioRecord) -> Option<Plot> {
        const QUANTILES: [&str; 4] = ["p50", "p95", "p99", "max"];
        let quantiles: [fn(&Latency) -> Option<u64>; 4] = [
            |l| Some(l.p50_ns),
            |l| l.p95_ns,
            |l| l.p99_ns,
            |l| Some(l.max_ns),
        ];
        let mut marks = Vec::new();
        let mut values = Vec::new();
        let mut said = Vec::new();
        for (side, results) in self.each() {
            let off = self.beside(side);
            let (mut middles, mut ranges, mut texts) = (Vec::new(), Vec::new(), Vec::new());
            for (row, (quantile, name)) in (1_u32..).zip(quantiles.into_iter().zip(QUANTILES)) {
                let of_rounds: Vec<f64> = rounds(results)
                    .filter_map(|round| round.scenarios.get(&scenario.name)?.wall.as_ref())
                    .filter_map(|wall| Some(quantile(wall)? as f64))
                    .collect();
                let Some(middle) = median(of_rounds.iter().copied()) else {
                    continue;
                };
                let (low, high) = range(&of_rounds);
                let y = f64::from(row) - off;
                middles.push((middle, y));
                ranges.push(((low, y), (high, y)));
                values.extend([low, high]);
                texts.push(format!("{name} {}", time(middle)));
            }
            said.push(self.sentence(side, texts));
            marks.push(Mark::Bars(side, ranges));
            marks.push(Mark::Line(side, middles.clone(), Dash::Solid));
            marks.push(Mark::Dots(side, middles));
        }
        (!values.is_empty()).then(|| Plot {
            caption: "Calls of a round: quantiles, wall",
            description: joined(said),
            x: Axis::of("latency", Quantity::Time, values, true),
            y: Axis::names("of the calls of a round", &QUANTILES),
            marks,
        })
    }
}

/// What a scenario gave in each of the rounds that are drawn.
fn samples<'r>(results: &'r Results, scenario: &'r str) -> impl Iterator<Item = &'r Sample> {
    rounds(results).filter_map(|round| round.scenarios.get(scenario))
}

/// Whether calls were measured and not counted in a histogram.
fn lacks(sample: &Sample) -> bool {
    sample.wall.is_some() && sample.wall_histogram_ns.is_none()
}

/// Whether calls of a scenario were measured, and none was counted in a histogram.
fn is_without(results: &Results, scenario: &str) -> bool {
    samples(results, scenario).any(|sample| sample.wall.is_some())
        && !samples(results, scenario).any(|sample| sample.wall_histogram_ns.is_some())
}
