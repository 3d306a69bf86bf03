//! What was measured, as numbers: a figure for each scenario and metric, over the rounds. For the
//! formats that are read by programs where nothing is compared.

use std::collections::BTreeMap;

use crate::{
    gate::{Metric, SERVER},
    results::{Results, Round, Sample, ScenarioKind, ScenarioRecord},
};

/// One figure of one scenario, in [`Metric::unit`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measured<'a> {
    pub(crate) scenario: &'a str,
    pub(crate) tool: Option<&'a str>,
    pub(crate) metric: Metric,
    /// The median over rounds, as in the other reports; of error rates, the share of all calls.
    pub(crate) value: f64,
    /// The lowest and the highest round; absent where there is one figure only.
    pub(crate) range: Option<(f64, f64)>,
    /// Rounds, soaks or loads behind it.
    pub(crate) rounds: usize,
}

/// Every figure of `results`: the server's, then those of the scenarios in suite order. What was not
/// measured is left out.
pub(crate) fn measured(results: &Results) -> Vec<Measured<'_>> {
    let rounds: Vec<&Round> = results.jobs.iter().flat_map(|job| &job.rounds).collect();
    let mut samples: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for round in &rounds {
        for (name, sample) in &round.scenarios {
            samples.entry(name).or_default().push(sample);
        }
    }
    for job in &results.jobs {
        for (name, load) in &job.loads {
            samples.entry(name).or_default().push(&load.whole);
        }
    }
    let mut all = of_server(&rounds);
    for record in &results.suite.scenarios {
        let samples = samples
            .get(record.name.as_str())
            .map_or(&[][..], Vec::as_slice);
        all.extend(of_scenario(results, record, samples));
    }
    all
}

fn of_server<'a>(rounds: &[&Round]) -> Vec<Measured<'a>> {
    let of = |metric, figure: fn(&Round) -> Option<u64>| {
        let figures = rounds.iter().filter_map(|round| figure(round));
        over_rounds((SERVER, None), metric, figures.map(whole))
    };
    [
        of(Metric::Startup, |round| round.startup_ns),
        of(Metric::StartupAdjusted, |round| round.startup_adjusted_ns),
        of(Metric::PeakMemory, |round| round.peak_memory_bytes),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn of_scenario<'a>(
    results: &Results,
    record: &'a ScenarioRecord,
    samples: &[&Sample],
) -> Vec<Measured<'a>> {
    let subject = (record.name.as_str(), record.tool.as_deref());
    let of = |metric, figure: &dyn Fn(&Sample) -> Option<f64>| {
        over_rounds(subject, metric, samples.iter().filter_map(|s| figure(s)))
    };
    let mut all = vec![
        of(Metric::LatencyP50Adjusted, &|s| {
            Some(whole(s.adjusted?.p50_ns))
        }),
        of(Metric::LatencyP95Adjusted, &|s| {
            s.adjusted?.p95_ns.map(whole)
        }),
        of(Metric::LatencyP50, &|s| Some(whole(s.wall?.p50_ns))),
        of(Metric::LatencyP95, &|s| s.wall?.p95_ns.map(whole)),
        of(Metric::Throughput, &|s| {
            (s.successes > 0).then(|| s.throughput_per_s())
        }),
        of(Metric::CpuPerCall, &|s| s.cpu_per_call_ns.map(whole)),
    ];
    if record.kind == ScenarioKind::Soak {
        let soaks = results.jobs.iter().flat_map(|job| &job.soaks);
        let slopes = soaks.filter_map(|s| s.scenarios.get(&record.name)?.growth_bytes_per_call);
        all.push(over_rounds(
            subject,
            Metric::MemoryGrowth,
            slopes.map(|s| s * 1000.0),
        ));
    }
    all.push(error_rate(results, record));
    all.into_iter().flatten().collect()
}

fn error_rate<'a>(results: &Results, record: &'a ScenarioRecord) -> Option<Measured<'a>> {
    let (mut calls, mut failed, mut rounds) = (0_u64, 0_u64, 0_usize);
    for counts in results
        .jobs
        .iter()
        .flat_map(|job| job.counts_of(&record.name))
    {
        calls += u64::from(counts.calls);
        failed += counts.errors.values().map(|&n| u64::from(n)).sum::<u64>();
        rounds += 1;
    }
    (calls > 0).then(|| Measured {
        scenario: &record.name,
        tool: record.tool.as_deref(),
        metric: Metric::ErrorRate,
        value: whole(failed) / whole(calls),
        range: None,
        rounds,
    })
}

fn over_rounds<'a>(
    (scenario, tool): (&'a str, Option<&'a str>),
    metric: Metric,
    figures: impl Iterator<Item = f64>,
) -> Option<Measured<'a>> {
    let mut figures: Vec<f64> = figures.filter(|figure| figure.is_finite()).collect();
    figures.sort_by(f64::total_cmp);
    let value = middle(&figures)?;
    let (low, high) = (*figures.first()?, *figures.last()?);
    Some(Measured {
        scenario,
        tool,
        metric,
        value,
        range: (figures.len() > 1).then_some((low, high)),
        rounds: figures.len(),
    })
}

/// The middle value of a sorted list, or the mean of the two in the middle; `None` of nothing.
pub(crate) fn middle(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(middle.checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

fn whole(value: u64) -> f64 {
    value as f64
}
