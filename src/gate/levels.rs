//! The typical figure of each metric in one job: the level that a comparison would start from, and
//! what a history keeps.

use super::{
    Metric, SERVER,
    compare::plan,
    evidence::{Groups, Source, gather, has_adjusted},
    rule::typical,
};
use crate::{
    results::{Job, ScenarioRecord},
    stats::{Sample, location::median},
};

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// What it is a figure of.
    pub metric: Metric,
    /// In [`Metric::unit`].
    pub value: f64,
    /// Rounds or soaks behind it.
    pub rounds: usize,
}

/// Start-up and peak memory in `job`.
#[must_use]
pub fn server_levels(job: &Job) -> Vec<Level> {
    [Metric::StartupAdjusted, Metric::Startup, Metric::PeakMemory]
        .into_iter()
        .filter_map(|metric| level(job, Source::Server, metric))
        .collect()
}

/// The figures of one scenario in `job`: those that are compared, as far as it has them.
#[must_use]
pub fn scenario_levels(job: &Job, record: &ScenarioRecord) -> Vec<Level> {
    let is_adjusted = record.kind.is_one_at_a_time() && has_adjusted(&[job], &record.name);
    plan(record.kind, is_adjusted)
        .into_iter()
        .filter_map(|(metric, _)| match metric {
            Metric::MemoryGrowth => growth(job, record),
            metric => {
                let source = Source::Scenario {
                    name: &record.name,
                    concurrency: record.concurrency,
                };
                let mut level = level(job, source, metric)?;
                if metric == Metric::Throughput {
                    // Gathered as the time that one caller waits for one call.
                    level.value = f64::from(record.concurrency.max(1)) * 1e9 / level.value;
                }
                Some(level)
            }
        })
        .filter(|level| level.value.is_finite())
        .collect()
}

fn level(job: &Job, source: Source<'_>, metric: Metric) -> Option<Level> {
    let evidence = gather(&[], &[job], source, metric, Groups::Jobs);
    let figures: Vec<f64> = evidence
        .measure
        .iter()
        .chain(&evidence.confirm)
        .flatten()
        .copied()
        .collect();
    // The error is that of a bound, which is not asked for.
    let (value, _) = typical(&figures, 0.5)?;
    Some(Level {
        metric,
        value,
        rounds: figures.len(),
    })
}

/// In bytes per 1,000 calls, from soaks that made all calls.
fn growth(job: &Job, record: &ScenarioRecord) -> Option<Level> {
    let slopes = job
        .soaks
        .iter()
        .filter_map(|soak| soak.scenarios.get(&record.name))
        .filter(|sample| sample.calls == record.calls)
        .filter_map(|sample| sample.growth_bytes_per_call)
        .map(|slope| slope.clamp(-1e15, 1e15) * 1000.0);
    let slopes = Sample::new(slopes)?;
    Some(Level {
        metric: Metric::MemoryGrowth,
        value: median(&slopes),
        rounds: slopes.len(),
    })
}

/// Whether `metric` of a scenario is one that decides, where these are the metrics that it has:
/// what is adjusted stands in for the wall time beside it, and a wall p95 never decides alone.
#[must_use]
pub fn decides(metric: Metric, scenario: &str, has: impl Fn(Metric) -> bool) -> bool {
    match metric {
        Metric::LatencyP50Adjusted
        | Metric::LatencyP95Adjusted
        | Metric::Throughput
        | Metric::StartupAdjusted
        | Metric::PeakMemory
        | Metric::MemoryGrowth => true,
        Metric::LatencyP50 => !has(Metric::LatencyP50Adjusted),
        Metric::Startup => scenario == SERVER && !has(Metric::StartupAdjusted),
        Metric::LatencyP95 | Metric::ErrorRate | Metric::CpuPerCall => false,
    }
}
