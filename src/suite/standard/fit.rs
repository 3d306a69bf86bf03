//! How many calls each tool gets so that the whole run fits its time.

use std::time::Duration;

use super::{Amounts, ServerFacts, warm_up};
use crate::{
    results::ScenarioKind,
    suite::{ToolCall, ToolKind},
};

/// Share of `max_time` that is planned for calls; starting servers, warm-up of machines and
/// confirming an alarm take the rest.
const PLANNED_PERCENT: u128 = 70;

/// Share of that which soaks may take.
const SOAK_PERCENT: u128 = 30;

/// Taken for a tool that was not timed.
const ASSUMED_CALL: Duration = Duration::from_millis(16);

/// Taken for `handshake` and `list-tools` of a round together.
const FIXED_MS: u128 = 200;

/// Fewer calls than this are no measurement.
const FEWEST_CALLS: u32 = 5;

/// Below this many successes there is no p95.
const CALLS_FOR_P95: u32 = 20;

/// What a scenario gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Share {
    /// Every call it asked for.
    Full,
    /// Fewer.
    Calls(u32),
    /// It is left out, with the reason.
    Nothing(String),
    /// It is left out with all of its tool.
    WholeTool(String),
}

/// What the scenarios of one tool get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shares {
    sequential: Share,
    concurrent: Share,
    soak: Share,
}

impl Shares {
    /// The share of one kind of scenario.
    pub(super) fn of(&self, kind: ScenarioKind) -> &Share {
        match kind {
            ScenarioKind::Concurrent => &self.concurrent,
            ScenarioKind::Soak => &self.soak,
            ScenarioKind::Sequential
            | ScenarioKind::Handshake
            | ScenarioKind::ListTools
            | ScenarioKind::Load => &self.sequential,
        }
    }
}

/// Calls of one tool in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Level {
    sequential: u32,
    /// `None`: too few would be left to keep the callers busy.
    concurrent: Option<u32>,
    cost_ms: u128,
}

/// What one tool asks for.
struct Ask {
    call_ms: u128,
    /// From the fewest calls to all of them.
    levels: Vec<Level>,
}

/// Decides what every tool gets, in their order.
///
/// Each tool that fits with its fewest calls takes part, in the order of the configuration. Then
/// the tool with the fewest calls gets more, again and again, while the round fits its time: calls
/// are evidence, so calls are shared evenly, not time.
pub(super) fn fit(amounts: &Amounts, tools: &[ToolCall], facts: &ServerFacts) -> Vec<Shares> {
    let planned_ms = amounts.max_time.as_millis() * PLANNED_PERCENT / 100;
    let asks: Vec<Ask> = tools.iter().map(|tool| ask(amounts, tool, facts)).collect();
    let soaked = choose_soaks(amounts, tools, &asks, planned_ms * SOAK_PERCENT / 100);
    let soaks_ms: u128 = asks
        .iter()
        .zip(&soaked)
        .filter(|(_, soaked)| **soaked)
        .map(|(ask, _)| soak_ms(amounts, ask))
        .sum();
    let round_ms =
        (planned_ms.saturating_sub(soaks_ms) / u128::from(amounts.rounds)).saturating_sub(FIXED_MS);
    let levels = choose_levels(&asks, round_ms);
    tools
        .iter()
        .zip(&asks)
        .zip(levels.iter().zip(soaked))
        .map(|((tool, ask), (level, soaked))| {
            let full = amounts.sequential_calls(tool, facts);
            shares(amounts, tool, ask, full, *level, soaked)
        })
        .collect()
}

/// Milliseconds, rounded up to a power of two: a server that is a little slower today still gets
/// the same plan.
pub(super) fn quantised_ms(call: Duration) -> u128 {
    let ms = call.as_micros().div_ceil(1_000).max(1);
    ms.checked_next_power_of_two().unwrap_or(ms)
}

fn ask(amounts: &Amounts, tool: &ToolCall, facts: &ServerFacts) -> Ask {
    let call = facts
        .typical_call
        .get(&tool.name)
        .copied()
        .unwrap_or(ASSUMED_CALL);
    let call_ms = quantised_ms(call);
    let external = tool.kind == ToolKind::External;
    let full = amounts.sequential_calls(tool, facts);
    let mut counts: Vec<u32> = round_numbers().take_while(|n| *n < full).collect();
    counts.push(full);
    // Callers in flight come once one call at a time has its p95: slow tools are better known by
    // one figure with support than by two without.
    let first_pressed = counts
        .iter()
        .copied()
        .find(|count| *count >= CALLS_FOR_P95)
        .unwrap_or(full);
    let mut levels = Vec::new();
    for sequential in counts {
        let concurrent = concurrent_calls(amounts, sequential, full.min(amounts.calls))
            .filter(|_| !external && sequential >= first_pressed);
        if concurrent.is_none() || sequential == first_pressed {
            levels.push(level(amounts, sequential, None, call_ms, external));
        }
        if concurrent.is_some() {
            levels.push(level(amounts, sequential, concurrent, call_ms, external));
        }
    }
    Ask { call_ms, levels }
}

fn level(
    amounts: &Amounts,
    sequential: u32,
    concurrent: Option<u32>,
    call_ms: u128,
    external: bool,
) -> Level {
    let one_at_a_time = sequential + warm_up(ScenarioKind::Sequential, sequential, 1, external);
    // As if the server worked on one call at a time, as many do.
    let in_flight = concurrent.map_or(0, |calls| calls.saturating_add(amounts.concurrency));
    Level {
        sequential,
        concurrent,
        cost_ms: (u128::from(one_at_a_time) + u128::from(in_flight)) * call_ms,
    }
}

/// 5, 10, 20, 50, 100, …: few numbers, so that small differences in time change nothing.
fn round_numbers() -> impl Iterator<Item = u32> {
    (0..6)
        .flat_map(|power| {
            let ten = 10_u32.pow(power);
            [ten, 2 * ten, 5 * ten]
        })
        .filter(|n| *n >= FEWEST_CALLS)
}

/// The concurrent calls that go with a number of sequential ones, where `full` of these go with all
/// of them; at least two bursts.
fn concurrent_calls(amounts: &Amounts, sequential: u32, full: u32) -> Option<u32> {
    let all = amounts.concurrent_calls();
    if sequential >= full {
        return Some(all);
    }
    let share = u64::from(all) * u64::from(sequential) / u64::from(full.max(1));
    u32::try_from(share)
        .ok()
        .filter(|calls| *calls >= amounts.concurrency.saturating_mul(2))
}

fn soak_ms(amounts: &Amounts, ask: &Ask) -> u128 {
    u128::from(amounts.soak_rounds) * u128::from(amounts.soak_calls) * ask.call_ms
}

/// Soaks of the fastest tools first, while they fit; a shorter soak would measure warm-up.
fn choose_soaks(amounts: &Amounts, tools: &[ToolCall], asks: &[Ask], budget_ms: u128) -> Vec<bool> {
    let mut order: Vec<usize> = (0..asks.len()).collect();
    order.sort_by_key(|&n| asks.get(n).map_or(0, |ask| ask.call_ms));
    let mut out = vec![false; asks.len()];
    let mut left = budget_ms;
    for n in order {
        let (Some(ask), Some(tool), Some(soaked)) = (asks.get(n), tools.get(n), out.get_mut(n))
        else {
            continue;
        };
        if tool.kind == ToolKind::External {
            continue;
        }
        if let Some(rest) = left.checked_sub(soak_ms(amounts, ask)) {
            left = rest;
            *soaked = true;
        }
    }
    out
}

/// The level of each tool; `None` for tools that do not fit.
fn choose_levels(asks: &[Ask], round_ms: u128) -> Vec<Option<Level>> {
    let mut left = round_ms;
    // Positions in each tool's levels.
    let mut chosen: Vec<Option<usize>> = Vec::new();
    for ask in asks {
        let fewest = fewest(ask, round_ms, asks.len());
        let cost = fewest
            .and_then(|at| ask.levels.get(at))
            .map(|level| level.cost_ms);
        match cost.and_then(|cost| left.checked_sub(cost)) {
            Some(rest) => {
                left = rest;
                chosen.push(fewest);
            }
            None => chosen.push(None),
        }
    }
    let mut open: Vec<usize> = (0..asks.len()).collect();
    loop {
        // The tool with the fewest calls, the first of those.
        let next = open
            .iter()
            .filter_map(|&n| {
                let at = (*chosen.get(n)?)?;
                let levels = &asks.get(n)?.levels;
                let (now, more) = (levels.get(at)?, levels.get(at + 1)?);
                Some((now.sequential, n, more.cost_ms.saturating_sub(now.cost_ms)))
            })
            .min();
        let Some((_, n, extra)) = next else { break };
        match (left.checked_sub(extra), chosen.get_mut(n)) {
            (Some(rest), Some(Some(at))) => {
                left = rest;
                *at += 1;
            }
            _ => open.retain(|&other| other != n),
        }
    }
    asks.iter()
        .zip(chosen)
        .map(|(ask, at)| at.and_then(|at| ask.levels.get(at)).copied())
        .collect()
}

/// The level below which a tool is rather left out: enough calls for a p95 where the tool is fast
/// enough for that, since more tools with too few calls each decide nothing. `None` where even the
/// fewest calls would take most of the time of the others.
fn fewest(ask: &Ask, round_ms: u128, tools: usize) -> Option<usize> {
    let supported = ask
        .levels
        .iter()
        .position(|level| level.sequential >= CALLS_FOR_P95 && level.concurrent.is_some())
        .unwrap_or(ask.levels.len().saturating_sub(1));
    let cost = |at: usize| ask.levels.get(at).map_or(u128::MAX, |level| level.cost_ms);
    if cost(supported) <= round_ms / 4 {
        return Some(supported);
    }
    let most = if tools == 1 { round_ms } else { round_ms / 2 };
    (cost(0) <= most).then_some(0)
}

fn shares(
    amounts: &Amounts,
    tool: &ToolCall,
    ask: &Ask,
    full: u32,
    level: Option<Level>,
    soaked: bool,
) -> Shares {
    let external = tool.kind == ToolKind::External;
    let max_time = humantime::format_duration(amounts.max_time);
    let about = if ask.call_ms >= 1_000 {
        format!("{} s", ask.call_ms / 1_000)
    } else {
        format!("{} ms", ask.call_ms)
    };
    let Some(level) = level else {
        let reason = format!(
            "calls of up to about {about} do not fit max-time ({max_time}) beside the other tools; raise max-time or choose tools"
        );
        return Shares {
            sequential: Share::WholeTool(reason.clone()),
            concurrent: Share::WholeTool(reason.clone()),
            soak: Share::WholeTool(reason),
        };
    };
    let outside = "calls an outside service, which is never pressed";
    Shares {
        sequential: if level.sequential == full {
            Share::Full
        } else {
            Share::Calls(level.sequential)
        },
        concurrent: match level.concurrent {
            _ if external => Share::Nothing(outside.to_owned()),
            Some(calls) if calls == amounts.concurrent_calls() => Share::Full,
            Some(calls) => Share::Calls(calls),
            None => Share::Nothing(format!(
                "calls of up to about {about} leave too few of them to fit max-time ({max_time})"
            )),
        },
        soak: if external {
            Share::Nothing(outside.to_owned())
        } else if soaked {
            Share::Full
        } else {
            Share::Nothing(format!(
                "{} calls of up to about {about} on {} servers do not fit max-time ({max_time})",
                amounts.soak_calls, amounts.soak_rounds
            ))
        },
    }
}
