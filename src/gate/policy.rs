//! From the user's policy to the terms of each comparison: tolerances, floors, and the stated
//! constants of the rule. `docs/decision.md` gives the reasons for each number.

use std::time::Duration;

use super::{
    Metric,
    rule::{BetweenJobs, ByMachine, CONFIRM_ALPHA, Coarse, PASS_ALPHA, Terms},
    sequence::PairErrors,
};
use crate::suite::GateConfig;

/// One-sided error of an alarm against a stored baseline.
const ALARM_ALPHA: f64 = 0.001;
/// The same on another machine class, where the spread between machines is most of the margin.
const ALARM_ALPHA_OTHER_CLASS: f64 = 0.005;
/// The lower bound of an alarm must exclude this share of the tolerance.
const TRIVIAL_SHARE: f64 = 0.25;

/// One-sided error at which a guard that stands in for a gate is heard. Fresh rounds then clear an
/// unchanged server. At the error of an alarm, a doubled tail that scatters by 0.4 passed in 18 % of
/// simulated runs, and in 3 % at this one.
const SUSPICION_ALPHA: f64 = 0.01;

/// A guard fails alone only at this factor…
const GROSS_FACTOR: f64 = 2.0;
/// …with a lower bound above this one.
const GROSS_TRIVIAL: f64 = 0.2;

/// Standard deviation between machines of different classes, of the logarithm of any time.
const BETWEEN_MACHINES: f64 = 0.15;

/// How the machines of the two sides relate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Machines {
    /// Latencies are compared closely.
    SameClass,
    /// Machines of one description, not as fast as each other: latencies are compared with room for
    /// that, on one side.
    OtherSpeed {
        /// As in [`Machines::OtherClass`].
        slowness_ln: f64,
    },
    /// Times can only show gross changes.
    OtherClass {
        /// Whether the jobs at hand cover enough machine classes to teach their spread.
        several: bool,
        /// Logarithm of how many times as long the same fixed work takes for the candidate: 0
        /// where that is unknown.
        slowness_ln: f64,
    },
}

/// Stated standard deviation of the logarithm between jobs on machines of one class.
fn between_jobs(metric: Metric) -> f64 {
    match metric {
        Metric::LatencyP50Adjusted
        | Metric::LatencyP95Adjusted
        | Metric::StartupAdjusted
        | Metric::CpuPerCall => 0.04,
        Metric::LatencyP50 | Metric::Throughput | Metric::Startup => 0.05,
        Metric::LatencyP95 => 0.10,
        Metric::PeakMemory | Metric::MemoryGrowth | Metric::ErrorRate => 0.02,
    }
}

/// How much worse `metric` may get, as a fraction; 0 where it is compared by difference.
#[must_use]
pub fn tolerance(metric: Metric, policy: &GateConfig) -> f64 {
    let set = &policy.tolerance;
    let chosen = match metric {
        Metric::LatencyP50 | Metric::LatencyP50Adjusted | Metric::CpuPerCall => set.latency_p50,
        Metric::LatencyP95 | Metric::LatencyP95Adjusted => set.latency_p95,
        Metric::Throughput => set.throughput,
        Metric::Startup | Metric::StartupAdjusted => set.startup,
        Metric::PeakMemory => set.peak_memory,
        Metric::MemoryGrowth | Metric::ErrorRate => 0.0,
    };
    if chosen.is_finite() {
        chosen.max(0.0)
    } else {
        0.0
    }
}

/// Absolute change below which nothing is a regression, in nanoseconds or bytes.
///
/// Throughput is judged as the time that one caller waits for one call, so it shares the floor of
/// p50.
#[must_use]
pub fn floor(metric: Metric, policy: &GateConfig) -> f64 {
    let set = &policy.floor;
    let ns = |d: Duration| d.as_nanos() as f64;
    match metric {
        Metric::LatencyP50
        | Metric::LatencyP50Adjusted
        | Metric::CpuPerCall
        | Metric::Throughput => ns(set.latency_p50),
        Metric::LatencyP95 | Metric::LatencyP95Adjusted => ns(set.latency_p95),
        Metric::Startup | Metric::StartupAdjusted => ns(set.startup),
        Metric::PeakMemory => set.peak_memory_bytes as f64,
        Metric::MemoryGrowth => set.memory_growth_per_1000_calls_bytes as f64,
        Metric::ErrorRate => 0.0,
    }
}

/// The floor in words, as a user would write it.
pub(super) fn floor_in_words(metric: Metric, policy: &GateConfig) -> String {
    let set = &policy.floor;
    let time = |d: Duration| humantime::format_duration(d).to_string();
    let size = |bytes: u64| bytesize::ByteSize(bytes).display().si().to_string();
    match metric {
        Metric::LatencyP50
        | Metric::LatencyP50Adjusted
        | Metric::CpuPerCall
        | Metric::Throughput => time(set.latency_p50),
        Metric::LatencyP95 | Metric::LatencyP95Adjusted => time(set.latency_p95),
        Metric::Startup | Metric::StartupAdjusted => time(set.startup),
        Metric::PeakMemory => size(set.peak_memory_bytes),
        Metric::MemoryGrowth => size(set.memory_growth_per_1000_calls_bytes),
        Metric::ErrorRate => "0".to_owned(),
    }
}

/// The terms on which `metric` gates.
pub(super) fn terms(
    metric: Metric,
    policy: &GateConfig,
    machines: Machines,
    disturbance_ln: f64,
) -> Terms {
    let tolerance = tolerance(metric, policy);
    let is_time = metric != Metric::PeakMemory;
    let one_class = BetweenJobs::Learnt(between_jobs(metric));
    let (between_jobs, alpha, slowness_ln) = match machines {
        Machines::OtherClass {
            several,
            slowness_ln,
        } if is_time => {
            let between = if several {
                BetweenJobs::Learnt(BETWEEN_MACHINES)
            } else {
                BetweenJobs::Stated(BETWEEN_MACHINES)
            };
            (between, ALARM_ALPHA_OTHER_CLASS, slowness_ln)
        }
        Machines::OtherSpeed { slowness_ln } if is_time => (one_class, ALARM_ALPHA, slowness_ln),
        Machines::SameClass | Machines::OtherSpeed { .. } | Machines::OtherClass { .. } => {
            (one_class, ALARM_ALPHA, 0.0)
        }
    };
    let disturbance_ln = if is_time { disturbance_ln } else { 0.0 };
    Terms {
        tolerance,
        trivial: tolerance * TRIVIAL_SHARE,
        floor: floor(metric, policy),
        between_jobs,
        pass_across_jobs: is_time && matches!(machines, Machines::OtherClass { .. }),
        alpha,
        pass_alpha: PASS_ALPHA,
        confirm_alpha: CONFIRM_ALPHA,
        coarse: None,
        machine: ByMachine::at_most([slowness_ln, disturbance_ln]),
    }
}

/// The terms of pairs: what shifts both rounds of a pair alike is not in them, so neither jobs nor
/// the machine's speed and neighbours widen anything.
pub(super) fn paired(terms: Terms, errors: PairErrors) -> Terms {
    Terms {
        between_jobs: BetweenJobs::Stated(0.0),
        pass_across_jobs: false,
        alpha: errors.alarm,
        pass_alpha: errors.pass,
        confirm_alpha: errors.confirm,
        coarse: Some(Coarse {
            most_pairs: errors.most_pairs,
            limit: GROSS_FACTOR - 1.0,
        }),
        machine: ByMachine::default(),
        ..terms
    }
}

/// The terms on which a guard fails alone: a doubling, or the tolerance where that is more.
pub(super) fn gross(terms: Terms) -> Terms {
    Terms {
        tolerance: terms.tolerance.max(GROSS_FACTOR - 1.0),
        trivial: terms.trivial.max(GROSS_TRIVIAL),
        ..terms
    }
}

/// The terms on which a guard that stands in for a gate is no plain pass.
pub(super) fn suspicion(terms: Terms) -> Terms {
    Terms {
        alpha: terms.alpha.max(SUSPICION_ALPHA),
        ..terms
    }
}
