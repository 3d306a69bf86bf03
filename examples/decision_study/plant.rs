//! Changes that are planted into recorded rounds, as if the candidate had them.

use mcpgate::{
    results::{Latency, Sample, Soak},
    stats::quantile::summarize,
};
use rand_chacha::ChaCha8Rng;

use crate::{recording::Recorded, suites::below};

/// What was changed in one tool, or in the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// Every answer of the tool takes so many times as long.
    Slower(f64),
    /// 7 % of the tool's answers take the median three times longer on top.
    Tail,
    /// A quarter more memory.
    Memory,
    /// 20 kB more are kept with each call of the tool.
    Leak,
}

const SLOW_SHARE: f64 = 0.07;
const SLOW_BY: u64 = 3;
const MORE_MEMORY: f64 = 1.25;
const LEAK_BYTES: f64 = 20_000.0;

impl Change {
    pub(crate) fn name(self) -> String {
        match self {
            Self::None => "nothing".to_owned(),
            Self::Slower(factor) => format!("x {factor}"),
            Self::Tail => "7 % of calls + 3 x".to_owned(),
            Self::Memory => "memory + 25 %".to_owned(),
            Self::Leak => "leak of 20 kB a call".to_owned(),
        }
    }

    /// Plants it into a round.
    pub(crate) fn into_round(self, recorded: &mut Recorded, tool: &str, rng: &mut ChaCha8Rng) {
        if self == Self::Memory {
            let bytes = &mut recorded.round.peak_memory_bytes;
            *bytes = bytes.map(|bytes| scaled(bytes, MORE_MEMORY));
            return;
        }
        let of_tool = |name: &str| name.rsplit_once('/').is_some_and(|(of, _)| of == tool);
        for (name, sample) in &mut recorded.round.scenarios {
            if !of_tool(name) {
                continue;
            }
            let Some(calls) = recorded.calls.get_mut(name) else {
                continue;
            };
            match self {
                Self::Slower(factor) => {
                    sample.slow_down(factor);
                    for ns in calls.wall_ns.iter_mut().chain(&mut calls.adjusted_ns) {
                        *ns = scaled(*ns, factor);
                    }
                }
                Self::Tail => {
                    let callers = if name.ends_with("/sequential") {
                        1
                    } else {
                        CALLERS
                    };
                    tail(sample, calls, callers, rng);
                }
                Self::None | Self::Memory | Self::Leak => {}
            }
        }
    }

    /// Plants it into a soak.
    pub(crate) fn into_soak(self, soak: &mut Soak, tool: &str) {
        let of_tool = |name: &str| name.rsplit_once('/').is_some_and(|(of, _)| of == tool);
        for (name, sample) in &mut soak.scenarios {
            if self == Self::Leak && of_tool(name) {
                sample.growth_bytes_per_call = sample.growth_bytes_per_call.map(|b| b + LEAK_BYTES);
            }
        }
    }
}

/// In flight in a concurrent scenario, unless set otherwise.
const CALLERS: u64 = 10;

fn tail(
    sample: &mut Sample,
    calls: &mut crate::recording::Calls,
    callers: u64,
    rng: &mut ChaCha8Rng,
) {
    let Some(wall) = sample.wall else { return };
    let more = SLOW_BY * wall.p50_ns;
    let mut added = 0;
    for at in 0..calls.wall_ns.len() {
        if below(rng) >= SLOW_SHARE {
            continue;
        }
        added += more;
        for series in [&mut calls.wall_ns, &mut calls.adjusted_ns] {
            if let Some(ns) = series.get_mut(at) {
                *ns += more;
            }
        }
    }
    sample.wall = latency(&calls.wall_ns).or(sample.wall);
    sample.adjusted = latency(&calls.adjusted_ns).or(sample.adjusted);
    sample.duration_ns += added / callers;
}

fn latency(ns: &[u64]) -> Option<Latency> {
    let summary = summarize(&mut ns.to_vec())?;
    Some(Latency {
        p50_ns: summary.p50_ns,
        p95_ns: summary.p95_ns,
        p99_ns: summary.p99_ns,
        max_ns: summary.max_ns,
    })
}

fn scaled(value: u64, factor: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and is far from it"
    )]
    let scaled = (value as f64 * factor).round() as u64;
    scaled
}
