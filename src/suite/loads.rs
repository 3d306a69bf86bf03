//! The loads of a run: those of `[[scenario]]`, and the standard suite's once-only scenarios.
//!
//! | name | what it shows |
//! |---|---|
//! | `ramp` | 5, 10, 20 virtual users: where latency stops being flat |
//! | `pool-pressure` | 50 virtual users without pause: what happens when a pool runs dry |
//! | `session-churn` | a session a call: what is left behind by clients that come and go |
//! | `large-response` | the tool that returns most, to several callers at once |
//!
//! They find failures and show capacity; a single run of each proves no regression.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{
    Suite, SuiteConfig, SuiteSize, ToolCall, ToolKind,
    executor::{Executor, Stage},
    load::{GRACEFUL_STOP, Load, LoadConfig, LoadTerms, ThinkTime},
    standard::ServerFacts,
};
use crate::results::{Sessions, Skipped, SuiteRecord, Transport};

/// Names of the standard suite's once-only scenarios, in order.
pub const STANDARD: [&str; 4] = ["ramp", "pool-pressure", "session-churn", "large-response"];

/// A tool that takes longer is not pressed: the load would show its wait, call after call.
const SLOWEST_CALL: Duration = Duration::from_millis(500);

/// An answer is large from here on.
const LARGE_ANSWER_BYTES: u64 = 100_000;

/// The standard loads take at most this share of a run's time.
const SHARE_PERCENT: u32 = 10;

/// Adds loads to a suite: those of the configuration, then the standard ones.
///
/// A load of the configuration takes the place of the standard one of its name. One whose tools
/// are not measured in this run is left out, and so are standard ones that do not fit the time.
pub fn add(
    suite: &mut Suite,
    baseline: Option<&SuiteRecord>,
    config: &SuiteConfig,
    own: &[LoadConfig],
    tools: &[ToolCall],
    facts: &ServerFacts,
) {
    let mut leave_out = |name: &str, reason: String| {
        suite.skipped.push(Skipped {
            name: name.to_owned(),
            reason,
        });
    };
    let mut loads = Vec::new();
    for load in own {
        match mix_of(load, tools) {
            Ok(mix) => loads.push(Load::new(&load.name, load.terms.clone(), mix)),
            Err(missing) => leave_out(
                &load.name,
                format!("its tool {missing} is not among those that are measured"),
            ),
        }
    }
    let standard: Vec<&str> = STANDARD
        .into_iter()
        .filter(|name| own.iter().all(|load| load.name != *name))
        .collect();
    let in_baseline =
        |name: &str| baseline.is_some_and(|b| b.scenarios.iter().any(|s| s.name == name));
    let room = config.max_time * SHARE_PERCENT / 100;
    let needed: Duration = standard
        .iter()
        .map(|name| terms(name).executor.longest())
        .sum();
    for name in standard {
        // Where nothing is said of what was never there, a run of the quick suite stays quiet.
        let why_not = if !config.loads {
            in_baseline(name).then(|| "switched off by `loads` in [suite]".to_owned())
        } else if config.size == SuiteSize::Quick {
            in_baseline(name).then(|| "not in the quick suite".to_owned())
        } else if needed > room {
            Some(format!(
                "the standard loads take {}, more than {SHARE_PERCENT} % of max-time ({})",
                humantime::format_duration(needed),
                humantime::format_duration(config.max_time)
            ))
        } else {
            match standard_mix(name, tools, facts) {
                Ok(mix) => {
                    loads.push(Load::new(name, terms(name), mix));
                    None
                }
                Err(why) => why.map(str::to_owned),
            }
        };
        if let Some(reason) = why_not {
            leave_out(name, reason);
        }
    }
    suite.loads = loads;
}

fn mix_of(load: &LoadConfig, tools: &[ToolCall]) -> Result<Vec<(ToolCall, u32)>, String> {
    load.mix
        .iter()
        .map(|(name, weight)| {
            let tool = tools.iter().find(|tool| tool.name == *name);
            tool.map(|tool| (tool.clone(), *weight))
                .ok_or_else(|| name.clone())
        })
        .collect()
}

/// The tools of a standard load, or why there are none (`None`: it says nothing of this server).
fn standard_mix(
    name: &str,
    tools: &[ToolCall],
    facts: &ServerFacts,
) -> Result<Vec<(ToolCall, u32)>, Option<&'static str>> {
    let is_quick = |tool: &&ToolCall| {
        let typical = facts.typical_call.get(&tool.name);
        tool.kind == ToolKind::Compute && typical.is_none_or(|typical| *typical <= SLOWEST_CALL)
    };
    let quick = tools.iter().filter(is_quick);
    let mix: Vec<(ToolCall, u32)> = match name {
        "session-churn" if facts.transport == Transport::Stdio => return Err(None),
        "large-response" => {
            let bytes = |tool: &ToolCall| facts.answer_bytes.get(&tool.name).copied().unwrap_or(0);
            let largest = quick.max_by_key(|tool| bytes(tool));
            let large = largest.filter(|tool| bytes(tool) >= LARGE_ANSWER_BYTES);
            return match large {
                Some(tool) => Ok(vec![(tool.clone(), 1)]),
                None => Err(None),
            };
        }
        _ => quick.map(|tool| (tool.clone(), 1)).collect(),
    };
    if mix.is_empty() {
        return Err(Some(
            "no tool may be pressed: each calls an outside service or takes over 500 ms",
        ));
    }
    Ok(mix)
}

/// The standard load of this name.
fn terms(name: &str) -> LoadTerms {
    let stage = |ms, target| Stage {
        duration: Duration::from_millis(ms),
        target,
    };
    let mut sessions = Sessions::Each;
    let executor = match name {
        "ramp" => Executor::RampingVus {
            start_vus: 5,
            stages: vec![
                stage(2_000, 5),
                stage(0, 10),
                stage(2_000, 10),
                stage(0, 20),
                stage(2_000, 20),
                stage(1_000, 0),
            ],
        },
        "pool-pressure" => Executor::ConstantVus {
            vus: 50,
            duration: Duration::from_secs(3),
        },
        "session-churn" => {
            sessions = Sessions::PerCall;
            Executor::SharedIterations {
                vus: 5,
                iterations: 200,
                max_duration: Duration::from_secs(5),
            }
        }
        _ => Executor::SharedIterations {
            vus: 5,
            iterations: 50,
            max_duration: Duration::from_secs(5),
        },
    };
    LoadTerms {
        executor,
        start_time: None,
        think_time: ThinkTime::default(),
        graceful_stop: GRACEFUL_STOP,
        sessions,
    }
}

impl Suite {
    /// The loads in the order in which they run, those together that share a server.
    #[must_use]
    pub fn load_groups(&self) -> Vec<Vec<&Load>> {
        let (together, alone): (Vec<&Load>, Vec<&Load>) = self
            .loads
            .iter()
            .partition(|load| load.terms.start_time.is_some());
        let mut groups: Vec<Vec<&Load>> = alone.into_iter().map(|load| vec![load]).collect();
        if !together.is_empty() {
            groups.insert(0, together);
        }
        groups
    }
}
