//! Absolute limits, each judged with the noise of its figure.

use std::time::Duration;

use super::{
    BudgetCheck, BudgetOutcome, Metric, SERVER,
    errors::Tally,
    evidence::{Groups, Source, gather},
    growth::slopes,
    rule::typical,
};
use crate::{
    results::{Job, Results, ScenarioKind, ScenarioRecord},
    stats::{
        Sample,
        interval::{proportion_lower_bound, student_t_quantile},
        location::{TrimmedMean, median},
    },
    suite::GateConfig,
};

/// One-sided error of "broken".
const ALPHA: f64 = 0.05;
/// Where one round is all there is, no noise is known: then only this multiple of the limit is
/// called broken.
const SURELY: f64 = 2.0;

const MS: f64 = 1e6;

/// Default limits: (p50, p95) in nanoseconds by whether the tool calls an outside service.
const DEFAULT_COMPUTE: (f64, f64) = (100.0 * MS, 500.0 * MS);
const DEFAULT_EXTERNAL: (f64, f64) = (500.0 * MS, 2000.0 * MS);
/// Default limit of the error rate.
const DEFAULT_ERROR_RATE: f64 = 0.01;
/// Default limit of growth in bytes per 1,000 calls, after warm-up.
const DEFAULT_GROWTH: f64 = 10e6;

/// A limit and who set it.
#[derive(Clone, Copy)]
struct Limit {
    value: f64,
    binding: bool,
}

impl Limit {
    /// The user's limit, else the default. Limits of the user are for what gates: a tool that
    /// calls an outside service is held to its defaults, which warn.
    fn choose(record: &ScenarioRecord, set: Option<f64>, default: Option<f64>) -> Option<Self> {
        match set.filter(|_| !record.report_only) {
            Some(value) => Some(Self {
                value,
                binding: true,
            }),
            None => default.map(|value| Self {
                value,
                binding: false,
            }),
        }
    }
}

/// Checks every budget of `results`, in suite order.
pub(super) fn check(results: &Results, policy: &GateConfig) -> Vec<BudgetCheck> {
    let jobs: Vec<&Job> = results.jobs.iter().collect();
    let mut checks = server(&jobs, policy);
    for record in &results.suite.scenarios {
        checks.extend(latency(&jobs, record, policy));
        checks.extend(error_rate(results, record, policy));
        checks.extend(growth(results, record, policy));
    }
    checks
}

fn server(jobs: &[&Job], policy: &GateConfig) -> Vec<BudgetCheck> {
    [
        (Metric::Startup, policy.budget.startup.map(nanoseconds)),
        (
            Metric::PeakMemory,
            policy.budget.peak_memory_bytes.map(|b| b as f64),
        ),
    ]
    .into_iter()
    .filter_map(|(metric, limit)| {
        let limit = Limit {
            value: limit?,
            binding: true,
        };
        Some(rounds(jobs, SERVER, Source::Server, metric, limit))
    })
    .collect()
}

fn latency(jobs: &[&Job], record: &ScenarioRecord, policy: &GateConfig) -> Vec<BudgetCheck> {
    // Defaults are for one caller; latency under load depends on how many there are.
    let defaults = match record.kind {
        ScenarioKind::Sequential if record.report_only => Some(DEFAULT_EXTERNAL),
        ScenarioKind::Sequential => Some(DEFAULT_COMPUTE),
        ScenarioKind::Concurrent => None,
        ScenarioKind::Handshake
        | ScenarioKind::ListTools
        | ScenarioKind::Soak
        | ScenarioKind::Load => {
            return Vec::new();
        }
    };
    let source = Source::Scenario {
        name: &record.name,
        concurrency: record.concurrency,
    };
    [
        (
            Metric::LatencyP50,
            policy.budget.latency_p50,
            defaults.map(|d| d.0),
        ),
        (
            Metric::LatencyP95,
            policy.budget.latency_p95,
            defaults.map(|d| d.1),
        ),
    ]
    .into_iter()
    .filter_map(|(metric, set, default)| {
        let limit = Limit::choose(record, set.map(nanoseconds), default)?;
        Some(rounds(jobs, &record.name, source, metric, limit))
    })
    .collect()
}

fn rounds(
    jobs: &[&Job],
    scenario: &str,
    source: Source<'_>,
    metric: Metric,
    limit: Limit,
) -> BudgetCheck {
    let evidence = gather(&[], jobs, source, metric, Groups::Jobs);
    let figures: Vec<f64> = evidence
        .measure
        .into_iter()
        .chain(evidence.confirm)
        .flatten()
        .collect();
    let typical = typical(&figures, ALPHA);
    checked(
        scenario,
        metric,
        limit,
        typical.map(|t| t.0),
        typical.and_then(|t| t.1),
    )
}

fn error_rate(
    results: &Results,
    record: &ScenarioRecord,
    policy: &GateConfig,
) -> Option<BudgetCheck> {
    let default = (!record.report_only).then_some(DEFAULT_ERROR_RATE);
    let chosen = Limit::choose(record, policy.budget.error_rate, default)?;
    let limit = Limit {
        // What a server does under a load that it was never meant for is told, not held against it.
        binding: chosen.binding || record.kind != ScenarioKind::Load,
        ..chosen
    };
    let tally = Tally::of(results, &record.name);
    let bound = proportion_lower_bound(tally.failed, tally.calls, ALPHA);
    Some(checked(
        &record.name,
        Metric::ErrorRate,
        limit,
        tally.rate(),
        Some(bound),
    ))
}

fn growth(results: &Results, record: &ScenarioRecord, policy: &GateConfig) -> Option<BudgetCheck> {
    if record.kind != ScenarioKind::Soak {
        return None;
    }
    let set = policy
        .budget
        .memory_growth_per_1000_calls_bytes
        .map(|b| b as f64);
    let limit = Limit::choose(record, set, Some(DEFAULT_GROWTH))?;
    let sample = Sample::new(slopes(results, &record.name, record.calls, None));
    let bound = sample.as_ref().filter(|s| s.len() >= 2).map(|s| {
        let mean = TrimmedMean::of(s, 0);
        mean.value
            - student_t_quantile(1.0 - ALPHA, (mean.kept - 1) as f64) * mean.squared_error.sqrt()
    });
    Some(checked(
        &record.name,
        Metric::MemoryGrowth,
        limit,
        sample.map(|s| median(&s)),
        bound,
    ))
}

fn checked(
    scenario: &str,
    metric: Metric,
    limit: Limit,
    value: Option<f64>,
    lower_bound: Option<f64>,
) -> BudgetCheck {
    let outcome = match value {
        None => BudgetOutcome::NotMeasured,
        Some(v) if v <= limit.value => BudgetOutcome::Held,
        Some(v) => {
            let surely = match lower_bound {
                Some(bound) => bound > limit.value,
                None => v > SURELY * limit.value,
            };
            if surely {
                BudgetOutcome::Broken
            } else {
                BudgetOutcome::Near
            }
        }
    };
    BudgetCheck {
        scenario: scenario.to_owned(),
        metric,
        limit: limit.value,
        value,
        outcome,
        binding: limit.binding,
    }
}

fn nanoseconds(d: Duration) -> f64 {
    d.as_nanos() as f64
}
