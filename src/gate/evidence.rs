//! From the rounds of a results file to the figures that the rule weighs.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Comparison, Metric, SERVER,
    rule::{Evidence, Pair, Pairs},
    sequence::FIRST_LOOK,
};
use crate::{
    results::{Job, Phase, Results, Round, Sample},
    stats::{Sample as Figures, location::median},
};

/// Where a figure of a round is found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    /// In a scenario's sample.
    Scenario {
        /// Its name.
        name: &'a str,
        /// Calls in flight, for throughput.
        concurrency: u32,
    },
    /// In the round itself.
    Server,
}

/// What the figures of a side are grouped by: what has a level of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Groups {
    /// Each job.
    Jobs,
    /// The jobs of each machine class together: between classes, five jobs of one class tell no more
    /// than one does.
    MachineClasses,
}

impl Groups {
    fn of(self, jobs: &[&Job], figures: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        if self == Self::Jobs {
            return figures;
        }
        let mut classes: Vec<(&Job, Vec<f64>)> = Vec::new();
        for (job, figures) in jobs.iter().zip(figures) {
            match classes
                .iter_mut()
                .find(|(of, _)| of.same_machine_class(job))
            {
                Some((_, all)) => all.extend(figures),
                None => classes.push((job, figures)),
            }
        }
        classes.into_iter().map(|(_, figures)| figures).collect()
    }
}

/// The figures of `metric` on both sides, larger being worse: nanoseconds or bytes.
///
/// Rounds without the figure are left out. Throughput is turned into nanoseconds that one caller
/// waits for one call, `concurrency × duration / successes` (Little's law).
pub(super) fn gather(
    base: &[&Job],
    candidate: &[&Job],
    source: Source<'_>,
    metric: Metric,
    groups: Groups,
) -> Evidence {
    let (full_base, full_candidate) = (full_rounds(base), full_rounds(candidate));
    let of = |jobs: &[&Job], full: &BTreeSet<&str>, phase: Option<Phase>| {
        let of_jobs = jobs
            .iter()
            .map(|job| {
                job.rounds
                    .iter()
                    .filter(|r| phase.is_none_or(|p| r.phase == p))
                    .filter(|r| metric != Metric::PeakMemory || is_full(r, full))
                    .filter_map(|r| figure(r, source, metric))
                    .collect::<Vec<f64>>()
            })
            .collect();
        groups.of(jobs, of_jobs)
    };
    let mut base: Vec<Vec<f64>> = of(base, &full_base, None);
    base.retain(|job| !job.is_empty());
    let measure = of(candidate, &full_candidate, Some(Phase::Measure));
    let confirm = of(candidate, &full_candidate, Some(Phase::Confirm));
    Evidence {
        base,
        measure,
        confirm,
        pairs: None,
    }
}

/// The figures of `metric` in rounds that were measured in turn: round by round of the same number
/// and phase, in the order of their numbers. Rounds without a counterpart are left out.
pub(super) fn pairs(
    base: &[&Job],
    candidate: &[&Job],
    source: Source<'_>,
    metric: Metric,
) -> Pairs {
    let figures = |jobs: &[&Job]| {
        let full = full_rounds(jobs);
        let rounds = jobs.last().map_or(&[][..], |job| &job.rounds);
        let found = rounds
            .iter()
            .filter(|r| metric != Metric::PeakMemory || is_full(r, &full))
            .filter_map(|r| Some(((r.index, r.phase), figure(r, source, metric)?)));
        found.collect::<BTreeMap<_, _>>()
    };
    let base = figures(base);
    let both: Vec<(Phase, Pair)> = figures(candidate)
        .into_iter()
        .filter_map(|(key, candidate)| {
            let base = *base.get(&key)?;
            let log_ratio = (candidate / base).ln();
            Some((key.1, Pair { base, log_ratio }))
        })
        .collect();
    let of = |wanted: Phase| {
        let those = both.iter().filter(|(phase, _)| *phase == wanted);
        those.map(|(_, pair)| *pair).collect()
    };
    Pairs {
        planned: of(Phase::Measure),
        fresh: of(Phase::Confirm),
    }
}

/// Memory depends on the work done: a round that ran only the alarmed scenarios, or only those that
/// were not decided yet, is not comparable with one that ran everything, as the first planned rounds
/// of each job do. A tool whose trial calls failed stands in the first round alone.
fn full_rounds<'a>(jobs: &[&'a Job]) -> BTreeSet<&'a str> {
    let first = jobs.iter().flat_map(|job| {
        let planned = job.rounds.iter().filter(|r| r.phase == Phase::Measure);
        planned.take(FIRST_LOOK as usize)
    });
    let mut rounds = 0_usize;
    let mut ran: BTreeMap<&str, usize> = BTreeMap::new();
    for round in first {
        rounds += 1;
        for name in round.scenarios.keys() {
            *ran.entry(name).or_default() += 1;
        }
    }
    ran.retain(|_, times| *times * 2 > rounds);
    ran.into_keys().collect()
}

fn is_full(round: &Round, full: &BTreeSet<&str>) -> bool {
    full.iter().all(|name| round.scenarios.contains_key(*name))
}

fn figure(round: &Round, source: Source<'_>, metric: Metric) -> Option<f64> {
    let whole = |v: u64| v as f64;
    let value = match source {
        Source::Server => match metric {
            Metric::Startup => round.startup_ns.map(whole),
            Metric::StartupAdjusted => round.startup_adjusted_ns.map(whole),
            Metric::PeakMemory => round.peak_memory_bytes.map(whole),
            _ => None,
        },
        Source::Scenario { name, concurrency } => {
            let sample = round.scenarios.get(name)?;
            match metric {
                Metric::LatencyP50 => sample.wall.map(|l| whole(l.p50_ns)),
                Metric::LatencyP95 => sample.wall.and_then(|l| l.p95_ns).map(whole),
                Metric::LatencyP50Adjusted => sample.adjusted.map(|l| whole(l.p50_ns)),
                Metric::LatencyP95Adjusted => sample.adjusted.and_then(|l| l.p95_ns).map(whole),
                Metric::CpuPerCall => sample.cpu_per_call_ns.map(whole),
                Metric::Throughput => (sample.successes > 0).then(|| {
                    f64::from(concurrency.max(1)) * whole(sample.duration_ns)
                        / f64::from(sample.successes)
                }),
                _ => None,
            }
        }
    };
    // A logarithm is taken of it: a figure of 0 counts as the smallest one that can be told.
    value.map(|v| v.max(1.0))
}

/// The figure that `comparison` compares, in each round of `results` that has it: nanoseconds or
/// bytes. Empty for a metric that no round has by itself.
#[must_use]
pub fn round_figures(results: &Results, comparison: &Comparison) -> Vec<f64> {
    let source = if comparison.scenario == SERVER {
        Source::Server
    } else {
        Source::Scenario {
            name: &comparison.scenario,
            concurrency: 1,
        }
    };
    let rounds = results.jobs.iter().flat_map(|job| &job.rounds);
    rounds
        .filter_map(|round| figure(round, source, comparison.metric))
        .collect()
}

/// The scenario's samples on one side.
pub(super) fn samples<'a>(jobs: &[&'a Job], scenario: &str) -> Vec<&'a Sample> {
    jobs.iter()
        .flat_map(|j| j.rounds.iter())
        .filter_map(|r| r.scenarios.get(scenario))
        .collect()
}

/// Whether most rounds with latencies also carry adjusted ones.
pub(super) fn has_adjusted(jobs: &[&Job], scenario: &str) -> bool {
    let samples = samples(jobs, scenario);
    let wall = samples.iter().filter(|s| s.wall.is_some()).count();
    let adjusted = samples.iter().filter(|s| s.adjusted.is_some()).count();
    adjusted > 0 && adjusted * 2 >= wall
}

/// How much more of the machine other processes took in the candidate's rounds than in the
/// base's, in cores: difference of the medians. `None` where a side does not know.
pub(super) fn outside_load_rise(base: &[&Job], candidate: &[&Job]) -> Option<f64> {
    let of = |jobs: &[&Job]| {
        Figures::new(
            jobs.iter()
                .flat_map(|j| j.rounds.iter())
                .filter_map(|r| r.outside_load_cores),
        )
        .map(|s| median(&s))
    };
    Some(of(candidate)? - of(base)?)
}
