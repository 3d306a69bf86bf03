//! The standard suite: from tools to scenarios that fit the time.
//!
//! A round runs `handshake`, `list-tools`, every tool one call at a time, then every tool with
//! several calls in flight: what one tool's load leaves behind (garbage, warm caches) never
//! touches another's sequential figures. The soaks run on servers of their own.

mod fit;
mod record;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use super::{Scenario, Suite, SuiteConfig, SuiteSize, ToolCall, ToolKind, hash::short_hash};
use crate::results::{ScenarioKind, ScenarioRecord, Sessions, Skipped, SuiteRecord, Transport};

/// Calls of `handshake` and `list-tools`.
const FIXED_CALLS: u32 = 20;

/// Sequential calls before measuring, where the calls that follow are many more.
const WARM_UP: u32 = 50;

/// Up to this a call is a fast one: concurrent scenarios then make [`FAST_FACTOR`] times as many.
const FAST_CALL: Duration = Duration::from_millis(1);
const FAST_FACTOR: u32 = 5;

/// Up to so long a tool is called one at a time in a round, where the size of the suite allows more
/// calls than the usual ones.
///
/// Of slow calls that are 7 % of all, 100 calls hold fewer than a p95 shows in every third round,
/// 400 in hardly any (`docs/decision.md`).
const SEQUENTIAL_TIME: Duration = Duration::from_secs(2);

/// Calls a round of a tool that reaches an outside service.
const EXTERNAL_CALLS: u32 = 10;

/// Fresh servers of a soak.
const SOAK_ROUNDS: u32 = 3;

/// No scenario makes more calls than this, whatever a baseline file says.
const MOST_CALLS: u32 = 100_000;

/// What was learnt from the server before planning.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerFacts {
    /// How it is reached.
    pub transport: Transport,
    /// `true` in the modern era (2026-07-28 and later), which has no sessions.
    pub stateless: bool,
    /// Whether a client has a session that it ends, as over HTTP by `Mcp-Session-Id`.
    pub has_sessions: bool,
    /// How long one call takes, by tool name; tools that are not here are taken for fast ones.
    pub typical_call: BTreeMap<String, Duration>,
    /// How long one answer is, by tool name; tools that are not here are taken for brief ones.
    pub answer_bytes: BTreeMap<String, u64>,
}

/// The standard suite for these tools, cut to fit `max_time`.
///
/// Slow tools get fewer calls, then no concurrent scenario, then none at all; every cut is in
/// [`Suite::skipped`]. Typical durations are rounded up to powers of two, so that two runs on the
/// same server plan the same suite.
#[must_use]
pub fn standard(config: &SuiteConfig, tools: &[ToolCall], facts: &ServerFacts) -> Suite {
    plan(config, tools, facts, None)
}

/// The standard suite, measuring at least what `baseline` measured and with its amounts: a
/// scenario of the baseline is neither dropped nor reduced to fit the time, so that a server that
/// became slow is still compared like with like.
#[must_use]
pub fn standard_like(
    baseline: &SuiteRecord,
    config: &SuiteConfig,
    tools: &[ToolCall],
    facts: &ServerFacts,
) -> Suite {
    plan(config, tools, facts, Some(baseline))
}

/// How much each size measures.
pub(super) struct Amounts {
    rounds: u32,
    calls: u32,
    /// Sequential calls of a tool so fast that they take no more than [`SEQUENTIAL_TIME`].
    fast_calls: u32,
    concurrency: u32,
    sessions: Sessions,
    soak_rounds: u32,
    soak_calls: u32,
    max_time: Duration,
}

impl Amounts {
    fn of(config: &SuiteConfig) -> Self {
        let (rounds, calls, fast_calls, soak_calls) = match config.size {
            SuiteSize::Quick => (5, 100, 100, 0),
            SuiteSize::Standard => (10, 100, 400, 1_400),
            SuiteSize::Deep => (20, 400, 400, 5_000),
        };
        let soak_calls = config.soak_calls.unwrap_or(soak_calls);
        Self {
            rounds: config.rounds.unwrap_or(rounds).max(1),
            calls: config.calls.unwrap_or(calls).clamp(1, MOST_CALLS),
            fast_calls: config.calls.unwrap_or(fast_calls).clamp(1, MOST_CALLS),
            concurrency: config.concurrency.max(1),
            sessions: config.sessions,
            soak_rounds: if soak_calls == 0 { 0 } else { SOAK_ROUNDS },
            soak_calls: soak_calls.min(MOST_CALLS),
            max_time: config.max_time,
        }
    }

    /// Enough for a p95 at the tail of which stand several bursts of callers.
    fn concurrent_calls(&self) -> u32 {
        self.calls
            .saturating_mul(2)
            .max(self.concurrency.saturating_mul(20))
            .min(MOST_CALLS)
    }

    /// A tool that answers in well under a millisecond is called more often: a load of some 20 ms
    /// would show when the runtime's garbage collector runs, and little else.
    fn concurrent_calls_of(&self, tool: &ToolCall, facts: &ServerFacts) -> u32 {
        let is_fast = facts
            .typical_call
            .get(&tool.name)
            .is_some_and(|typical| *typical <= FAST_CALL);
        let factor = if is_fast { FAST_FACTOR } else { 1 };
        self.concurrent_calls()
            .saturating_mul(factor)
            .min(MOST_CALLS)
    }

    /// Sequential calls of one tool, before any cut.
    fn sequential_calls(&self, tool: &ToolCall, facts: &ServerFacts) -> u32 {
        match tool.kind {
            ToolKind::Compute => facts
                .typical_call
                .get(&tool.name)
                .and_then(|typical| self.calls_in(SEQUENTIAL_TIME, *typical))
                .unwrap_or(self.calls),
            ToolKind::External => self.calls.min(EXTERNAL_CALLS),
        }
    }

    /// How many calls of this length fit the time, if they are more than the usual ones.
    fn calls_in(&self, time: Duration, call: Duration) -> Option<u32> {
        let calls = time.as_millis() / fit::quantised_ms(call);
        u32::try_from(calls)
            .ok()
            .map(|calls| calls.min(self.fast_calls))
            .filter(|calls| *calls > self.calls)
    }
}

fn plan(
    config: &SuiteConfig,
    tools: &[ToolCall],
    facts: &ServerFacts,
    baseline: Option<&SuiteRecord>,
) -> Suite {
    let amounts = Amounts::of(config);
    let fit = fit::fit(&amounts, tools, facts);
    let before = |record: &ScenarioRecord| {
        baseline?
            .scenarios
            .iter()
            .find(|b| b.name == record.name && b.definition_hash == record.definition_hash)
    };
    let mut skipped: Vec<Skipped> = Vec::new();
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut soaks: Vec<Scenario> = Vec::new();

    if facts.transport != Transport::Stdio || facts.stateless {
        scenarios.push(scenario(
            ScenarioKind::Handshake,
            None,
            FIXED_CALLS,
            (1, Sessions::Each),
        ));
    }
    scenarios.push(scenario(
        ScenarioKind::ListTools,
        None,
        FIXED_CALLS,
        (1, Sessions::Each),
    ));

    for (kind, full, concurrency) in [
        (ScenarioKind::Sequential, None, 1),
        (ScenarioKind::Concurrent, None, amounts.concurrency),
        (ScenarioKind::Soak, Some(amounts.soak_calls), 1),
    ] {
        if kind == ScenarioKind::Soak && amounts.soak_rounds == 0 {
            continue;
        }
        for (tool, fitted) in tools.iter().zip(&fit) {
            let full = full.unwrap_or_else(|| match kind {
                ScenarioKind::Concurrent => amounts.concurrent_calls_of(tool, facts),
                _ => amounts.sequential_calls(tool, facts),
            });
            let users = (concurrency, amounts.sessions);
            let whole = scenario(kind, Some(tool), full, users);
            let name = whole.record.name.clone();
            let target = if kind == ScenarioKind::Soak {
                &mut soaks
            } else {
                &mut scenarios
            };
            // A tool that was declared external since is no longer pressed.
            let pressing = tool.kind == ToolKind::External && kind != ScenarioKind::Sequential;
            if let Some(before) = before(&whole.record).filter(|_| !pressing) {
                let said = baseline.into_iter().flat_map(|record| &record.skipped);
                skipped.extend(said.filter(|said| said.name == name).cloned());
                let calls = before.calls.clamp(1, MOST_CALLS);
                target.push(scenario(kind, Some(tool), calls, users));
                continue;
            }
            match fitted.of(kind) {
                fit::Share::Full => target.push(whole),
                fit::Share::Calls(calls) => {
                    skipped.push(Skipped {
                        name,
                        reason: format!(
                            "{calls} calls a round instead of {full}, to fit max-time ({})",
                            humantime::format_duration(amounts.max_time)
                        ),
                    });
                    target.push(scenario(kind, Some(tool), *calls, users));
                }
                fit::Share::Nothing(reason) => skipped.push(Skipped {
                    name,
                    reason: reason.clone(),
                }),
                fit::Share::WholeTool(reason) => {
                    // Said once, under the tool's own name.
                    if kind == ScenarioKind::Sequential {
                        skipped.push(Skipped {
                            name: tool.name.clone(),
                            reason: reason.clone(),
                        });
                    }
                }
            }
        }
    }
    let mut suite = Suite {
        size: config.size,
        rounds: amounts.rounds,
        soak_rounds: if soaks.is_empty() {
            0
        } else {
            amounts.soak_rounds
        },
        scenarios,
        soaks,
        loads: Vec::new(),
        skipped,
        seed: config.seed,
    };
    if let Some(record) = baseline {
        suite.with_counts_of(record);
    }
    suite
}

/// One scenario with its name, warm-up and definition hash.
fn scenario(
    kind: ScenarioKind,
    tool: Option<&ToolCall>,
    calls: u32,
    (concurrency, sessions): (u32, Sessions),
) -> Scenario {
    let suffix = match kind {
        ScenarioKind::Handshake => "handshake",
        ScenarioKind::ListTools => "list-tools",
        ScenarioKind::Sequential => "sequential",
        ScenarioKind::Concurrent => "concurrent",
        ScenarioKind::Soak => "soak",
        ScenarioKind::Load => "load",
    };
    let report_only = tool.is_some_and(|tool| tool.kind == ToolKind::External);
    let sessions = match kind {
        ScenarioKind::Concurrent => sessions,
        _ => Sessions::Each,
    };
    let mut definition = json!({
        "kind": suffix,
        "tool": tool.map(|tool| &tool.name),
        "arguments": tool.map(|tool| &tool.arguments),
        "contains": tool.and_then(|tool| tool.expect.contains.as_ref()),
        "concurrency": concurrency,
    });
    if sessions == Sessions::Shared {
        definition["sessions"] = json!("shared");
    }
    if let Some(data) = tool.and_then(|tool| tool.data.as_ref()) {
        definition["data"] = data.to_json();
    }
    Scenario {
        record: ScenarioRecord {
            name: tool.map_or_else(
                || suffix.to_owned(),
                |tool| format!("{}/{suffix}", tool.name),
            ),
            kind,
            tool: tool.map(|tool| tool.name.clone()),
            calls,
            concurrency,
            definition_hash: short_hash(&definition),
            report_only,
            sessions,
            load: None,
        },
        warm_up: warm_up(kind, calls, concurrency, report_only),
        call: tool.cloned(),
    }
}

/// Calls before measuring: a function of the measured ones, so that a run with a baseline's
/// amounts warms up as the baseline did.
fn warm_up(kind: ScenarioKind, calls: u32, concurrency: u32, report_only: bool) -> u32 {
    match kind {
        ScenarioKind::Handshake | ScenarioKind::ListTools => 3,
        ScenarioKind::Sequential if report_only => 1,
        ScenarioKind::Sequential => (calls / 2).clamp(1, WARM_UP),
        // The sequential scenario before it warmed the tool; this warms the connections.
        ScenarioKind::Concurrent => concurrency,
        // Growth is read after warm-up from the series itself.
        ScenarioKind::Soak | ScenarioKind::Load => 0,
    }
}
