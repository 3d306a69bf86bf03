//! Loads: scenarios of their own, as `[[scenario]]` says or as the standard suite has them.

use std::time::Duration;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use serde_json::{Value, json};

use super::{
    ToolCall,
    executor::{Executor, Span},
    hash::short_hash,
};
use crate::results::{
    ExecutorName, LoadRecord, ScenarioKind, ScenarioRecord, Sessions, StageRecord,
};

/// How long calls in flight are waited for when a load ends, as in k6.
pub const GRACEFUL_STOP: Duration = Duration::from_secs(30);

/// Calls of a mix after which its order repeats, about.
const MIXED: usize = 4_096;

/// `[[scenario]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadConfig {
    /// Its name.
    pub name: String,
    /// The tools that are called and how often, relative to each other.
    pub mix: Vec<(String, u32)>,
    /// How and when.
    pub terms: LoadTerms,
}

/// What a load is, but for its tools.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadTerms {
    /// How calls are spread over time.
    pub executor: Executor,
    /// With one, the load runs on one server together with all others that have one, and begins so
    /// long after the first; without, on a server of its own.
    pub start_time: Option<Duration>,
    /// Between the calls of a virtual user.
    pub think_time: ThinkTime,
    /// How long calls in flight are waited for at the end.
    pub graceful_stop: Duration,
    /// Who has a session.
    pub sessions: Sessions,
}

/// How long a virtual user pauses between two calls: evenly spread between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ThinkTime {
    /// At least.
    pub from: Duration,
    /// At most.
    pub to: Duration,
}

impl ThinkTime {
    /// Before call `i`; the same for the same seed.
    #[must_use]
    pub fn before(&self, seed: u64, i: u64) -> Duration {
        let span_ns = self.to.saturating_sub(self.from).as_nanos();
        if span_ns == 0 {
            return self.from;
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_word_pos(u128::from(i) * 2);
        let share = u128::from(random.next_u64());
        let ns = u64::try_from((share * (span_ns + 1)) >> 64).unwrap_or(u64::MAX);
        self.from.saturating_add(Duration::from_nanos(ns))
    }
}

/// A load that is to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// As declared in the results file.
    pub record: ScenarioRecord,
    /// What it is.
    pub terms: LoadTerms,
    /// What is called, and how often, relative to each other.
    pub mix: Vec<(ToolCall, u32)>,
}

impl Load {
    /// The load with its record.
    #[must_use]
    pub fn new(name: &str, terms: LoadTerms, mix: Vec<(ToolCall, u32)>) -> Self {
        let executor = &terms.executor;
        let planned = executor.planned_calls().unwrap_or(0);
        let record = ScenarioRecord {
            name: name.to_owned(),
            kind: ScenarioKind::Load,
            tool: match mix.as_slice() {
                [(tool, _)] => Some(tool.name.clone()),
                _ => None,
            },
            calls: u32::try_from(planned).unwrap_or(u32::MAX),
            concurrency: executor.most_vus(),
            definition_hash: short_hash(&definition(&terms, &mix)),
            report_only: false,
            sessions: terms.sessions,
            load: Some(LoadRecord {
                executor: name_of(executor),
                tools: mix
                    .iter()
                    .map(|(tool, weight)| (tool.name.clone(), *weight))
                    .collect(),
                time_unit_ns: time_unit(executor).map(nanoseconds),
                stages: executor.spans().iter().map(stage).collect(),
            }),
        };
        Self { record, terms, mix }
    }

    /// Seed of what is random in this load beside its arguments, from the run's.
    #[must_use]
    pub fn seed(&self, run: u64) -> u64 {
        let own = short_hash(&json!([run, self.record.name, "order"]));
        u64::from_str_radix(&own, 16).unwrap_or(run)
    }
}

fn definition(terms: &LoadTerms, mix: &[(ToolCall, u32)]) -> Value {
    let executor = &terms.executor;
    let spans: Vec<Value> = executor
        .spans()
        .iter()
        .map(|span| {
            let duration_ns = nanoseconds(span.ends - span.begins);
            json!([duration_ns, span.from, span.to])
        })
        .collect();
    let tools: Vec<Value> = mix
        .iter()
        .map(|(tool, weight)| {
            json!({
                "tool": tool.name,
                "arguments": tool.arguments,
                "contains": tool.expect.contains,
                "data": tool.data.as_ref().map(|data| data.to_json()),
                "weight": weight,
            })
        })
        .collect();
    json!({
        "executor": executor.name(),
        "spans": spans,
        "time_unit_ns": time_unit(executor).map(nanoseconds),
        "vus": executor.most_vus(),
        "calls": executor.planned_calls(),
        "start_ns": terms.start_time.map(nanoseconds),
        "think_ns": [nanoseconds(terms.think_time.from), nanoseconds(terms.think_time.to)],
        "sessions": terms.sessions,
        "tools": tools,
    })
}

fn name_of(executor: &Executor) -> ExecutorName {
    match executor {
        Executor::SharedIterations { .. } => ExecutorName::SharedIterations,
        Executor::PerVuIterations { .. } => ExecutorName::PerVuIterations,
        Executor::ConstantVus { .. } => ExecutorName::ConstantVus,
        Executor::RampingVus { .. } => ExecutorName::RampingVus,
        Executor::ConstantArrivalRate { .. } => ExecutorName::ConstantArrivalRate,
        Executor::RampingArrivalRate { .. } => ExecutorName::RampingArrivalRate,
    }
}

fn time_unit(executor: &Executor) -> Option<Duration> {
    match executor {
        Executor::ConstantArrivalRate { time_unit, .. }
        | Executor::RampingArrivalRate { time_unit, .. } => Some(*time_unit),
        _ => None,
    }
}

fn stage(span: &Span) -> StageRecord {
    StageRecord {
        duration_ns: nanoseconds(span.ends - span.begins),
        from: span.from,
        to: span.to,
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Which tool of a mix each call is for: every run of as many calls as the weights add up to holds
/// each tool as often as its weight says, in an order of its own that the seed decides. So a short
/// load has the right shares, too, and no virtual user always meets the same tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix(Vec<u16>);

impl Mix {
    /// Of tools with these weights; their common factors are taken out.
    #[must_use]
    pub fn new(weights: &[u32], seed: u64) -> Self {
        let common = weights.iter().copied().fold(0, greatest_common_divisor);
        let once: Vec<u16> = (0..)
            .zip(weights)
            .flat_map(|(tool, weight)| {
                let times = weight.checked_div(common).unwrap_or(0);
                std::iter::repeat_n(tool, times as usize)
            })
            .collect();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let runs = if weights.len() > 1 {
            MIXED.div_ceil(once.len().max(1))
        } else {
            1
        };
        let mut order = Vec::with_capacity(runs * once.len());
        for _ in 0..runs {
            let mut run = once.clone();
            // Fisher and Yates, as Durstenfeld has it.
            for last in (1..run.len()).rev() {
                let below = last as u128 + 1;
                let chosen = (u128::from(random.next_u64()) * below) >> 64;
                run.swap(last, usize::try_from(chosen).unwrap_or(last));
            }
            order.append(&mut run);
        }
        Self(order)
    }

    /// The position of the tool of call `i`.
    #[must_use]
    pub fn tool(&self, i: u64) -> usize {
        let at = i % (self.0.len().max(1) as u64);
        let at = usize::try_from(at).unwrap_or(0);
        self.0.get(at).copied().map_or(0, usize::from)
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_run_of_a_mix_has_the_shares_of_its_weights(
            weights in prop::collection::vec(1_u32..20, 1..6),
            seed: u64,
        ) {
            let mix = Mix::new(&weights, seed);
            let common = weights.iter().copied().fold(0, greatest_common_divisor);
            let run: u64 = weights.iter().map(|w| u64::from(w / common)).sum();
            for begin in [0, run, 7 * run, 100_000 * run] {
                let mut counts = vec![0; weights.len()];
                for i in begin..begin + run {
                    counts[mix.tool(i)] += 1;
                }
                let expected: Vec<u32> = weights.iter().map(|w| w / common).collect();
                prop_assert_eq!(&counts, &expected);
            }
            prop_assert_eq!(Mix::new(&weights, seed), mix);
        }

        #[test]
        fn think_time_lies_between_its_bounds(from in 0_u64..1_000, more in 0_u64..1_000, i: u64) {
            let think = ThinkTime {
                from: Duration::from_millis(from),
                to: Duration::from_millis(from + more),
            };
            let time = think.before(1, i);
            prop_assert!(time >= think.from && time <= think.to);
            prop_assert_eq!(time, think.before(1, i));
        }
    }

    #[test]
    fn the_order_of_a_mix_changes_from_run_to_run_and_with_the_seed() {
        let mix = Mix::new(&[1, 1, 1, 1], 1);
        let run = |mix: &Mix, n: u64| (4 * n..4 * n + 4).map(|i| mix.tool(i)).collect::<Vec<_>>();
        let runs: std::collections::BTreeSet<_> = (0..200).map(|n| run(&mix, n)).collect();
        assert_eq!(runs.len(), 24, "200 runs of 4 tools see every order");
        assert_ne!(Mix::new(&[1, 1, 1, 1], 2), mix);
    }

    #[test]
    fn think_time_differs_from_call_to_call() {
        let think = ThinkTime {
            from: Duration::ZERO,
            to: Duration::from_secs(1),
        };
        let times: Vec<_> = (0..1_000).map(|i| think.before(1, i)).collect();
        let below = times.iter().filter(|t| **t < think.to / 4).count();
        assert!(
            (200..300).contains(&below),
            "{below} of 1,000 in the first quarter"
        );
    }
}
