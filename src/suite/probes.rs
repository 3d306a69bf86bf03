//! Which probes a run makes: questions that are put to a server beside its rounds.
//!
//! | probe | what it finds | harmless |
//! |---|---|---|
//! | `first-call` | a first call that pays for what the start left undone | yes |
//! | `idle` | CPU time while nothing is asked | yes |
//! | `refusals` | errors that take longer than answers | yes |
//! | `beside` | a cheap request that waits for a slow tool | yes |
//! | `tokens` | answers that belong to another call | yes |
//! | `first-calls` | a server that hangs when its first calls come at once | own server |
//! | `aborts` | what is left of calls that were given up | own server |
//! | `exit` | a server that does not leave | own server |
//! | `sessions` | memory, descriptors and threads that sessions leave behind | own server |
//! | `open-sessions` | how many sessions can be open at once | own server |
//! | `large-answers` | answers that do not come, or hold up others, once they are large | a tool that is marked so, own server |
//! | `writes` | writes at once of which some are lost | a tool that is marked so |

use std::{collections::BTreeMap, time::Duration};

use super::{
    GrowingTool, MarkedTools, SuiteSize, ToolCall, ToolKind, WritingTool, standard::ServerFacts,
};
use crate::results::{ProbeName, Transport};

/// A call that takes less tells nothing about who waits for it.
const SLOW_ENOUGH: Duration = Duration::from_millis(3);
/// A call that takes more would take too much of the run's time.
const QUICK_ENOUGH: Duration = Duration::from_millis(300);
/// Longer answers are not searched for words.
const SHORT_ANSWER: u64 = 1 << 16;
/// Tools that are tried for whether their answers repeat what they were asked.
const TOOLS_TRIED: usize = 3;
/// Sessions of each kind, and those that are open at once.
const SESSIONS: (u32, u32) = (900, 100);
/// The same for the deep suite.
const SESSIONS_OF_DEEP: (u32, u32) = (5_000, 500);

/// Whether it may leave a server in another state than it was.
const fn is_rough(name: ProbeName) -> bool {
    matches!(
        name,
        ProbeName::FirstCalls
            | ProbeName::Aborts
            | ProbeName::Exit
            | ProbeName::Sessions
            | ProbeName::OpenSessions
            | ProbeName::LargeAnswers
            | ProbeName::Writes
    )
}

/// Whether it is about a server that was just started, or that is ended.
const fn needs_own_server(name: ProbeName) -> bool {
    matches!(
        name,
        ProbeName::FirstCall | ProbeName::FirstCalls | ProbeName::Exit
    )
}

/// When a probe is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// In the standard suite and the deep one; also against a server that mcpgate did not start.
    On,
    /// In the deep suite only.
    Nightly,
    /// Never.
    Off,
}

/// `[probes]`: what is not named is made in the standard suite and the deep one, against a server
/// that mcpgate started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProbesConfig(pub BTreeMap<ProbeName, When>);

impl ProbesConfig {
    /// Without any.
    #[must_use]
    pub fn none() -> Self {
        Self(ProbeName::ALL.map(|name| (name, When::Off)).into())
    }

    /// With one alone.
    #[must_use]
    pub fn only(name: ProbeName) -> Self {
        let mut config = Self::none();
        config.0.insert(name, When::On);
        config
    }

    fn is_made(&self, name: ProbeName, size: SuiteSize, is_own: bool) -> bool {
        let when = self.0.get(&name).copied();
        let in_size = match (when, size) {
            (Some(When::Off), _) | (_, SuiteSize::Quick) => false,
            (Some(When::Nightly), size) => size == SuiteSize::Deep,
            (Some(When::On) | None, _) => true,
        };
        let is_allowed =
            is_own || (!needs_own_server(name) && (!is_rough(name) || when == Some(When::On)));
        in_size && is_allowed
    }
}

/// What is asked; a part that is absent or 0 is not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProbePlan {
    /// The tool whose first call is timed.
    pub first_call: Option<ToolCall>,
    /// Whether the server is watched while nothing is asked.
    pub idle: bool,
    /// Whether a tool is called that does not exist.
    pub refusals: bool,
    /// The tool beside whose calls a cheap request is made, and how long one takes.
    pub beside: Option<(ToolCall, Duration)>,
    /// Tools that are tried for whether their answers repeat what they were asked.
    pub tokens: Vec<ToolCall>,
    /// The tool whose calls are given up, and how long one takes.
    pub aborts: Option<(ToolCall, Duration)>,
    /// Whether is told how the server left.
    pub exit: bool,
    /// Tools that are called first, at once.
    pub first_calls: Vec<ToolCall>,
    /// Sessions that are opened, of each kind.
    pub sessions: u32,
    /// Sessions that are opened and kept.
    pub open_sessions: u32,
    /// The tool whose answers grow.
    pub large_answers: Option<GrowingTool>,
    /// Tools that write.
    pub writes: Vec<WritingTool>,
}

impl ProbePlan {
    /// The same of a server that has these tools.
    #[must_use]
    pub fn of_tools(&self, tools: &[ToolCall]) -> Self {
        let has = |tool: &ToolCall| tools.iter().any(|other| other.name == tool.name);
        let mut plan = self.clone();
        plan.first_call = plan.first_call.filter(has);
        plan.beside = plan.beside.filter(|(tool, _)| has(tool));
        plan.aborts = plan.aborts.filter(|(tool, _)| has(tool));
        plan.tokens.retain(has);
        plan.first_calls.retain(has);
        plan.large_answers = plan.large_answers.filter(|growing| has(&growing.tool));
        plan
    }

    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The probes of a suite of tools that work.
#[must_use]
pub fn plan(
    config: &ProbesConfig,
    size: SuiteSize,
    (tools, marked): (&[ToolCall], &MarkedTools),
    facts: &ServerFacts,
    is_own: bool,
) -> ProbePlan {
    let is_made = |name| config.is_made(name, size, is_own);
    let typical = |tool: &ToolCall| facts.typical_call.get(&tool.name).copied();
    let own_work = || tools.iter().filter(|tool| tool.kind == ToolKind::Compute);
    let slowest = own_work()
        .filter_map(|tool| Some((tool.clone(), typical(tool)?)))
        .filter(|(_, time)| (SLOW_ENOUGH..=QUICK_ENOUGH).contains(time))
        .max_by_key(|(_, time)| *time);
    let quickest = own_work().min_by_key(|tool| typical(tool));
    let (sessions, open_sessions) = match size {
        SuiteSize::Deep => SESSIONS_OF_DEEP,
        SuiteSize::Quick | SuiteSize::Standard => SESSIONS,
    };
    let has_sessions = facts.transport == Transport::StreamableHttp && facts.has_sessions;
    let unless = |is_left_out: bool, count: u32| if is_left_out { 0 } else { count };
    ProbePlan {
        first_call: quickest.filter(|_| is_made(ProbeName::FirstCall)).cloned(),
        idle: is_made(ProbeName::Idle),
        refusals: is_made(ProbeName::Refusals),
        beside: slowest.clone().filter(|_| is_made(ProbeName::Beside)),
        tokens: own_work()
            .filter(|tool| is_made(ProbeName::Tokens) && tool.has_placeholders())
            .filter(|tool| {
                facts
                    .answer_bytes
                    .get(&tool.name)
                    .is_none_or(|b| *b <= SHORT_ANSWER)
            })
            .take(TOOLS_TRIED)
            .cloned()
            .collect(),
        aborts: slowest.filter(|_| is_made(ProbeName::Aborts)),
        exit: is_made(ProbeName::Exit),
        first_calls: own_work()
            .filter(|_| is_made(ProbeName::FirstCalls))
            .filter(|tool| typical(tool).is_some_and(|time| time <= QUICK_ENOUGH))
            .cloned()
            .collect(),
        sessions: unless(!has_sessions || !is_made(ProbeName::Sessions), sessions),
        open_sessions: unless(
            !has_sessions || !is_made(ProbeName::OpenSessions),
            open_sessions,
        ),
        large_answers: marked
            .growing
            .iter()
            .filter(|_| is_made(ProbeName::LargeAnswers))
            .find(|growing| tools.iter().any(|tool| tool.name == growing.tool.name))
            .cloned(),
        writes: marked
            .writing
            .iter()
            .filter(|_| is_made(ProbeName::Writes))
            .cloned()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Expect;

    fn tool(name: &str, kind: ToolKind) -> ToolCall {
        ToolCall {
            name: name.to_owned(),
            arguments: serde_json::from_str(r#"{"query": "call {{i}}"}"#).unwrap(),
            expect: Expect::default(),
            kind,
            data: None,
        }
    }

    fn facts(transport: Transport, stateless: bool) -> ServerFacts {
        let times = [("fast", 1), ("slow", 20), ("slowest", 900), ("outside", 50)];
        ServerFacts {
            transport,
            stateless,
            has_sessions: !stateless,
            typical_call: times
                .map(|(name, ms)| (name.to_owned(), Duration::from_millis(ms)))
                .into(),
            answer_bytes: BTreeMap::new(),
        }
    }

    fn planned(
        config: &ProbesConfig,
        size: SuiteSize,
        facts: &ServerFacts,
        own: bool,
    ) -> ProbePlan {
        let tools = [
            tool("slow", ToolKind::Compute),
            tool("fast", ToolKind::Compute),
            tool("slowest", ToolKind::Compute),
            tool("outside", ToolKind::External),
        ];
        let growing = |name| GrowingTool {
            tool: tool(name, ToolKind::Compute),
            argument: "bytes".to_owned(),
        };
        let marked = MarkedTools {
            writing: vec![WritingTool {
                write: tool("note", ToolKind::Compute),
                read_back: tool("notes", ToolKind::Compute),
            }],
            // The first does not work.
            growing: vec![growing("broken"), growing("fast")],
        };
        plan(config, size, (&tools, &marked), facts, own)
    }

    #[test]
    fn each_probe_gets_a_tool_that_fits_it() {
        let http = facts(Transport::StreamableHttp, false);
        let plan = planned(&ProbesConfig::default(), SuiteSize::Standard, &http, true);
        assert_eq!(plan.first_call.unwrap().name, "fast");
        assert_eq!(plan.beside.unwrap().0.name, "slow");
        assert_eq!(plan.aborts.unwrap().1, Duration::from_millis(20));
        assert_eq!(plan.tokens.len(), 3);
        // A slow tool, and eight at once, would look like one that hangs.
        assert_eq!(plan.first_calls.len(), 2);
        assert_eq!((plan.sessions, plan.open_sessions), SESSIONS);
        assert!(plan.idle && plan.refusals && plan.exit);
        assert_eq!(plan.writes.len(), 1);
        assert_eq!(plan.large_answers.unwrap().tool.name, "fast");
    }

    #[test]
    fn of_two_servers_both_are_asked_of_tools_that_both_have() {
        let http = facts(Transport::StreamableHttp, false);
        let plan = planned(&ProbesConfig::default(), SuiteSize::Standard, &http, true);
        let all = ["slow", "fast", "slowest"].map(|name| tool(name, ToolKind::Compute));
        assert_eq!(plan.of_tools(&all), plan);
        let other = plan.of_tools(&[tool("fast", ToolKind::Compute)]);
        assert!(other.beside.is_none() && other.aborts.is_none());
        assert_eq!(other.first_call, plan.first_call);
        assert_eq!((other.tokens.len(), other.first_calls.len()), (1, 1));
        assert_eq!(other.sessions, plan.sessions);
    }

    #[test]
    fn no_sessions_where_there_is_one_or_none() {
        for facts in [
            facts(Transport::Stdio, false),
            facts(Transport::StreamableHttp, true),
            facts(Transport::Sse, false),
        ] {
            let plan = planned(&ProbesConfig::default(), SuiteSize::Deep, &facts, true);
            assert_eq!((plan.sessions, plan.open_sessions), (0, 0));
        }
    }

    #[test]
    fn the_quick_suite_has_none_and_nightly_ones_are_for_the_deep_one() {
        let http = facts(Transport::StreamableHttp, false);
        let all = |when| ProbesConfig(ProbeName::ALL.map(|name| (name, when)).into());
        for (config, size, is_empty) in [
            (ProbesConfig::default(), SuiteSize::Quick, true),
            (all(When::On), SuiteSize::Quick, true),
            (all(When::Nightly), SuiteSize::Standard, true),
            (all(When::Nightly), SuiteSize::Deep, false),
            (all(When::Off), SuiteSize::Deep, true),
            (ProbesConfig::none(), SuiteSize::Deep, true),
        ] {
            let plan = planned(&config, size, &http, true);
            assert_eq!(plan.is_empty(), is_empty, "{config:?} {size:?}");
        }
    }

    #[test]
    fn a_server_that_somebody_else_started_is_only_asked_what_is_harmless() {
        let http = facts(Transport::StreamableHttp, false);
        let plan = planned(&ProbesConfig::default(), SuiteSize::Standard, &http, false);
        assert!(plan.idle && plan.refusals && plan.beside.is_some());
        assert_eq!((plan.sessions, plan.open_sessions), (0, 0));
        assert!(plan.aborts.is_none() && plan.writes.is_empty() && plan.first_calls.is_empty());
        assert!(plan.large_answers.is_none());
        assert!(plan.first_call.is_none() && !plan.exit);

        let word = ProbesConfig(ProbeName::ALL.map(|name| (name, When::On)).into());
        let plan = planned(&word, SuiteSize::Standard, &http, false);
        assert_eq!(plan.sessions, SESSIONS.0);
        assert!(plan.aborts.is_some() && !plan.writes.is_empty());
        assert!(plan.first_call.is_none() && plan.first_calls.is_empty() && !plan.exit);
    }
}
