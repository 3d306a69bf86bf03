//! Probes: questions that are put to a server beside its rounds, each for one failure mode.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Latency, load::is_zero};

/// A probe's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeName {
    /// `first-call`.
    FirstCall,
    /// `idle`.
    Idle,
    /// `refusals`.
    Refusals,
    /// `beside`.
    Beside,
    /// `tokens`.
    Tokens,
    /// `first-calls`.
    FirstCalls,
    /// `aborts`.
    Aborts,
    /// `exit`.
    Exit,
    /// `sessions`.
    Sessions,
    /// `open-sessions`.
    OpenSessions,
    /// `large-answers`.
    LargeAnswers,
    /// `writes`.
    Writes,
}

impl ProbeName {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::FirstCall,
        Self::Idle,
        Self::Refusals,
        Self::Beside,
        Self::Tokens,
        Self::FirstCalls,
        Self::Aborts,
        Self::Exit,
        Self::Sessions,
        Self::OpenSessions,
        Self::LargeAnswers,
        Self::Writes,
    ];

    /// As in `[probes]`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstCall => "first-call",
            Self::Idle => "idle",
            Self::Refusals => "refusals",
            Self::Beside => "beside",
            Self::Tokens => "tokens",
            Self::FirstCalls => "first-calls",
            Self::Aborts => "aborts",
            Self::Exit => "exit",
            Self::Sessions => "sessions",
            Self::OpenSessions => "open-sessions",
            Self::LargeAnswers => "large-answers",
            Self::Writes => "writes",
        }
    }
}

/// What one set of probes found; absent where one was not run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probes {
    /// The first call of a fresh server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_call: Option<FirstCallProbe>,
    /// What the server does while nothing is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<IdleProbe>,
    /// Requests that the server has to refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusals: Option<RefusalProbe>,
    /// Whether a cheap request is answered while a tool works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<BesideProbe>,
    /// Whether each call at once gets its own answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenProbe>,
    /// What calls leave behind whose callers went away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborts: Option<AbortProbe>,
    /// How the server left when it was told to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitProbe>,
    /// The first calls of a fresh server, all at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_calls: Option<FirstCallsProbe>,
    /// What sessions leave behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<SessionProbe>,
    /// Sessions that are open at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_sessions: Option<OpenSessionsProbe>,
    /// Answers of growing size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large_answers: Option<LargeAnswersProbe>,
    /// Writes at once, and what is left of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<WriteProbe>,
}

/// The first call of a server that has done nothing but the handshake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstCallProbe {
    /// The tool.
    pub tool: String,
    /// The first.
    pub first_ns: u64,
    /// Median of those that followed.
    pub later_ns: u64,
    /// How many followed.
    pub later_calls: u32,
}

/// A connected server that is asked nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdleProbe {
    /// How long.
    pub duration_ns: u64,
    /// CPU time of its process tree meanwhile.
    pub server_cpu_ns: u64,
}

/// Calls of a tool that does not exist, beside `tools/list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusalProbe {
    /// Of each as many.
    pub requests: u32,
    /// Of `tools/list`.
    pub answers: Latency,
    /// Of the calls.
    pub refusals: Latency,
}

/// `tools/list`, alone and while calls of a tool go on one after another on another connection (over
/// stdio: on the same pipe).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BesideProbe {
    /// The tool.
    pub tool: String,
    /// Its calls meanwhile.
    pub tool_calls: u32,
    /// Median of these.
    pub tool_p50_ns: u64,
    /// Requests answered, alone and beside: each as many.
    pub requests: u32,
    /// Alone, less what was waited for a core.
    pub alone: Latency,
    /// While the tool works, less what was waited for a core.
    pub beside: Latency,
    /// Cores that the server's process tree used or waited for meanwhile (1 = one whole core).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_cores: Option<f64>,
}

/// Calls at once, each with a word that no other call has and that the tool's answer repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenProbe {
    /// The tool.
    pub tool: String,
    /// Calls in flight at once.
    pub callers: u32,
    /// One call at a time: how many answers were right, to show that the tool repeats the word.
    pub alone: TokenCount,
    /// All callers in one session; on stdio the one pipe.
    pub one_session: TokenCount,
    /// Each caller in a session of its own, with the same request ids as the others; absent where a
    /// server has one session only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_sessions: Option<TokenCount>,
}

/// How calls with words of their own were answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenCount {
    /// Calls answered without an error.
    pub answers: u32,
    /// Of these, answers that hold another call's word.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub foreign: u32,
    /// Of these, answers that hold no call's word.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub wordless: u32,
}

/// Calls of a tool that are given up before their answer, in two halves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbortProbe {
    /// The tool.
    pub tool: String,
    /// Calls given up, in each half: the client says so, or in the era of 2026-07-28 closes.
    pub aborted: [u32; 2],
    /// Calls whose connections were cut off, in each half; none over stdio.
    #[serde(default)]
    pub cut_off: [u32; 2],
    /// Calls of the same tool afterwards.
    pub calls_after: u32,
    /// Of these, those that succeeded.
    pub successes_after: u32,
    /// How the first failed that did, after which none was made: an error's kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the server's process tree held before, after the first half, and after the second.
    pub holdings: [Holdings; 3],
    /// Event streams that were cut off after that; none where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub streams_cut_off: u32,
}

/// How a server leaves whose input was closed, or over HTTP that got SIGTERM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExitProbe {
    /// What it took.
    pub how: Exit,
    /// Processes that it left behind.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub orphans: u32,
}

/// What it takes to end a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// Nothing more, or the end of its input.
    ByItself,
    /// SIGTERM.
    Terminated,
    /// SIGKILL.
    Killed,
}

/// Calls at once that are the first of a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstCallsProbe {
    /// Calls made at once.
    pub calls: u32,
    /// Of these, those that were answered, whatever with.
    pub answered: u32,
    /// How long each could take.
    pub patience_ns: u64,
    /// Cores that the server's process tree used or waited for until all were answered or that was
    /// over (1 = one whole core); absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_cores: Option<f64>,
}

/// Sessions that are opened and ended, and then sessions that are left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionProbe {
    /// Each ended by its client (`DELETE`).
    pub closed: SessionSeries,
    /// Each left by its client without a word.
    pub abandoned: SessionSeries,
}

/// What one kind of sessions does to a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionSeries {
    /// Sessions opened one after another.
    pub sessions: u32,
    /// Of these, those that failed to open.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u32,
    /// `[sessions so far, bytes]` pairs in order, with the warm-up.
    pub memory: Vec<(u32, u64)>,
    /// `[sessions so far, what the server's process tree held]` pairs in order, from before the first
    /// on; the last was read once that had settled.
    pub holdings: Vec<(u32, Holdings)>,
}

/// What a process tree holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Holdings {
    /// Open descriptors: files, sockets, pipes.
    pub descriptors: u32,
    /// Threads.
    pub threads: u32,
}

/// Sessions that are opened one after another and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenSessionsProbe {
    /// How many were to be opened; fewer where time was up before that.
    pub wanted: u32,
    /// How many were, before one failed.
    pub opened: u32,
    /// How that one failed: an error's kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether one could be opened again after all were ended.
    pub recovers: bool,
}

/// Calls of a tool whose answers grow with an argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LargeAnswersProbe {
    /// The tool.
    pub tool: String,
    /// A small one, then about 64 kB, 1 MB and 10 MB; fewer where the tool refuses so much, or one did
    /// not come.
    pub sizes: Vec<LargeAnswer>,
    /// How far the highest memory of the server's process tree lies above that before the first of
    /// them; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

impl LargeAnswersProbe {
    /// Callers at once.
    pub const CALLERS: u32 = 3;
}

/// Answers of one size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LargeAnswer {
    /// Size of the answer as it came; where none came, as it was to be.
    pub bytes: u64,
    /// Calls answered, one after another.
    pub answers: u32,
    /// How the first failed that did, after which none was made: an error's kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// From the request to the answer's first byte, median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ns: Option<u64>,
    /// To its last byte, median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_byte_ns: Option<u64>,
    /// Until each of three callers at once had its answer; absent where one had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once_ns: Option<u64>,
    /// Whether one of three callers at once had no answer in time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_once_hangs: bool,
    /// Of the largest: a client that does not read for a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<UnreadAnswer>,
}

/// What a client that does not read its answer does to itself and to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnreadAnswer {
    /// `tools/list` before, median.
    pub alone_ns: u64,
    /// `tools/list` of another client meanwhile, median; absent over stdio, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_ns: Option<u64>,
    /// Whether the answer came whole once it was read.
    pub is_whole: bool,
}

/// Writes of one tool, one after another and then at once, each with a read-back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteProbe {
    /// The tool that writes.
    pub tool: String,
    /// The tool that reads.
    pub read_back: String,
    /// Writes in each half.
    pub writes: u32,
    /// One after another.
    pub in_sequence: WriteCount,
    /// At once.
    pub at_once: WriteCount,
}

impl WriteProbe {
    /// How many seconds what was written may take until it can be read.
    pub const PATIENCE_S: u64 = 2;
}

/// What became of writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteCount {
    /// Writes answered without an error.
    pub acknowledged: u32,
    /// Of these, those that were read back.
    pub found: u32,
    /// Why nothing could be read back at all, also a while later: an error's kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_error: Option<String>,
}
