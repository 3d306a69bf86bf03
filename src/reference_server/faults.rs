//! The faults that can be switched on, how they are written, and what they say of themselves.
//!
//! What a fault does to a call is decided in `plan.rs`.

use std::{fmt, num::NonZeroU64, str::FromStr, time::Duration};

use super::{Transport, tools::Tool};

mod catalogue;
mod value;

use catalogue::CATALOGUE;
pub(crate) use catalogue::help;
use value::nearest;

/// One deliberate fault. [`Fault::from_str`] reads `NAME[=VALUE]`, and `Display` writes it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// Multiplies the work of one tool, or of all.
    Slow {
        /// The tool; `None` = all.
        tool: Option<Tool>,
        /// 2 = twice as slow.
        factor: f64,
    },
    /// Waits off the CPU before each call.
    Delay {
        /// The tool; `None` = all.
        tool: Option<Tool>,
        /// How long.
        delay: Duration,
    },
    /// Waits off the CPU between zero and this, evenly spread, by the seed and the call's number.
    Jitter {
        /// The tool; `None` = all.
        tool: Option<Tool>,
        /// At most.
        most: Duration,
    },
    /// Multiplies the work of so many per cent of the calls of one tool, evenly spread.
    Tail {
        /// The tool; `None` = all.
        tool: Option<Tool>,
        /// More than 0, at most 100.
        percent: f64,
        /// 10 = ten times as slow.
        factor: f64,
    },
    /// Every so many calls of one tool one waits off the CPU.
    Hiccup {
        /// The tool; `None` = all.
        tool: Option<Tool>,
        /// More than 0: 20 = the 20th, the 40th, and so on.
        every: NonZeroU64,
        /// How long.
        lasting: Duration,
    },
    /// Each call starts so many threads that burn a nominal millisecond of CPU each, and waits for
    /// them: on fewer cores they wait for each other.
    FanOut {
        /// The tool; `None` = all.
        tool: Option<Tool>,
        /// More than 0.
        threads: NonZeroU64,
    },
    /// The same threads need one lock for their work, in many small parts.
    LockFight {
        /// The tool; `None` = all.
        tool: Option<Tool>,
        /// More than 0.
        threads: NonZeroU64,
    },
    /// So many threads burn CPU all the time.
    Background {
        /// More than 0.
        threads: NonZeroU64,
    },
    /// Keeps touched memory at each call.
    Leak {
        /// The tool; `None` = all.
        tool: Option<Tool>,
        /// Per call.
        bytes: u64,
    },
    /// Keeps touched memory from the start.
    Bloat {
        /// In all.
        bytes: u64,
    },
    /// Requests wait for each other, whatever they wait for: each until the one before has ended.
    OneAtATime,
    /// Calls beyond so many at once answer `isError: true`, with words of a pool that is used up.
    Pool {
        /// More than 0.
        size: NonZeroU64,
    },
    /// Calls beyond so many at once wait for one of them to end.
    Queue {
        /// More than 0.
        size: NonZeroU64,
    },
    /// Calls whose answers are larger are never answered.
    HangBeyond {
        /// Of the answer as JSON.
        bytes: u64,
    },
    /// Answers cost time by the square of their size.
    QuadraticCopy {
        /// Of 1 MB.
        lasting: Duration,
    },
    /// HTTP: while an answer is on its way, nobody else is answered.
    OneWriter,
    /// HTTP: answers go out in two parts without `TCP_NODELAY`, so that the second waits for the
    /// acknowledgement of the first.
    Nagle,
    /// So many calls may go on at once, and one that is given up keeps its place for good.
    StuckAfterAborts {
        /// More than 0.
        slots: NonZeroU64,
    },
    /// The first call waits off the CPU.
    FirstCall {
        /// How long.
        lasting: Duration,
    },
    /// The first calls are never answered where they come at once.
    FirstCallsDeadlock,
    /// Requests are refused only after a wait.
    SlowErrors {
        /// How long.
        lasting: Duration,
    },
    /// Waits before it serves.
    SlowStart {
        /// How long.
        lasting: Duration,
    },
    /// HTTP: opens no session more while so many are open: status 503.
    SessionLimit {
        /// Sessions open at once.
        sessions: u64,
    },
    /// HTTP: keeps touched memory for each session, for good.
    SessionLeak {
        /// A session.
        bytes: u64,
    },
    /// HTTP: keeps touched memory for each session, until it is ended.
    SessionWeight {
        /// A session.
        bytes: u64,
    },
    /// HTTP: each session opens a file that is never closed.
    DescriptorLeak,
    /// HTTP: each session starts a thread that never ends.
    ThreadLeak,
    /// `remember` writes back a copy of the store that it took before.
    LostUpdates,
    /// Never answers `initialize` nor `server/discover`.
    HangOnInitialize,
    /// Never answers a call, after so many answered ones.
    HangOnCall {
        /// Calls answered before.
        after: u64,
    },
    /// Stands still for so long, once, after so many answered calls: no call is answered until
    /// then, as where a runtime collects garbage or a lock is held.
    Freeze {
        /// Calls answered before.
        after: u64,
        /// How long.
        lasting: Duration,
    },
    /// stdio: a line that is not JSON before each answer.
    GarbageLine,
    /// stdio: only lines that are not JSON, never the protocol.
    GarbageOnly,
    /// Answers calls with an id that nobody asked with.
    WrongId,
    /// Answers each call twice; over HTTP in one event stream.
    DuplicateAnswer,
    /// `echo` answers with the message of another call.
    MixedUp {
        /// `true`: of the call before, always; `false`: of one in flight at the same time.
        always: bool,
    },
    /// Calls answer `isError: true`.
    ToolError {
        /// Every so many calls.
        every: NonZeroU64,
    },
    /// Calls answer a JSON-RPC error, code -32603.
    RpcError {
        /// Every so many calls.
        every: NonZeroU64,
    },
    /// HTTP: calls answer status 500.
    Http500 {
        /// Every so many calls.
        every: NonZeroU64,
    },
    /// HTTP: calls answer status 503.
    Http503 {
        /// Every so many calls.
        every: NonZeroU64,
    },
    /// HTTP: announces more bytes than it sends, then closes the connection.
    TruncatedBody {
        /// Every so many calls.
        every: NonZeroU64,
    },
    /// stdio: closes stdout and exits in the middle of a call.
    CloseMidCall {
        /// Calls answered before.
        after: u64,
    },
    /// Exits with code 101 in the middle of the call after so many.
    CrashAfter {
        /// Calls answered before.
        calls: u64,
    },
    /// Writes to stderr and exits with code 7 before any protocol.
    ExitAtOnce,
    /// Ignores the end of stdin and SIGTERM; SIGINT and SIGKILL still end it.
    IgnoreShutdown,
    /// Starts `sleep 600` in a process group of its own, which outlives the server.
    OrphanChild {
        /// `true`: its parent has already left, so that the process tree does not show it.
        detached: bool,
    },
    /// Calls answer a text of so many bytes.
    HugeAnswer {
        /// Size of the text.
        bytes: u64,
    },
    /// Writes so many bytes to stderr at each call.
    StderrFlood {
        /// Per call.
        bytes: u64,
    },
    /// Protocol 2026-07-28: calls answer `resultType: "input_required"` until they are retried
    /// with the `requestState`.
    InputRequired,
}

/// Why a text is not a fault. The text names the fault and says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FaultError(String);

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let Some(entry) = CATALOGUE.iter().find(|entry| entry.name == name) else {
            let names: Vec<&str> = CATALOGUE.iter().map(|entry| entry.name).collect();
            return Err(FaultError(format!(
                "there is no fault {name:?}{}; the faults are {}",
                nearest(name, &names),
                names.join(", ")
            )));
        };
        catalogue::parse(name, value).map_err(|problem| {
            FaultError(format!(
                "fault `{name}`: {problem}; it is written {name}{}",
                entry.value
            ))
        })
    }
}

impl Fault {
    /// The name before the `=`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Slow { .. } => "slow",
            Self::Delay { .. } => "delay",
            Self::Jitter { .. } => "jitter",
            Self::Tail { .. } => "tail",
            Self::Hiccup { .. } => "hiccup",
            Self::Queue { .. } => "queue",
            Self::Nagle => "nagle",
            Self::HangBeyond { .. } => "hang-beyond",
            Self::QuadraticCopy { .. } => "quadratic-copy",
            Self::OneWriter => "one-writer",
            Self::FanOut { .. } => "fan-out",
            Self::LockFight { .. } => "lock-fight",
            Self::Background { .. } => "background",
            Self::Leak { .. } => "leak",
            Self::Bloat { .. } => "bloat",
            Self::OneAtATime => "one-at-a-time",
            Self::Pool { .. } => "pool",
            Self::StuckAfterAborts { .. } => "stuck-after-aborts",
            Self::FirstCall { .. } => "first-call",
            Self::FirstCallsDeadlock => "first-calls-deadlock",
            Self::SlowErrors { .. } => "slow-errors",
            Self::SlowStart { .. } => "slow-start",
            Self::SessionLimit { .. } => "session-limit",
            Self::SessionLeak { .. } => "session-leak",
            Self::SessionWeight { .. } => "session-weight",
            Self::DescriptorLeak => "descriptor-leak",
            Self::ThreadLeak => "thread-leak",
            Self::LostUpdates => "lost-updates",
            Self::HangOnInitialize => "hang-on-initialize",
            Self::HangOnCall { .. } => "hang-on-call",
            Self::Freeze { .. } => "freeze",
            Self::GarbageLine => "garbage-line",
            Self::GarbageOnly => "garbage-only",
            Self::WrongId => "wrong-id",
            Self::DuplicateAnswer => "duplicate-answer",
            Self::MixedUp { .. } => "mixed-up",
            Self::ToolError { .. } => "tool-error",
            Self::RpcError { .. } => "rpc-error",
            Self::Http500 { .. } => "http-500",
            Self::Http503 { .. } => "http-503",
            Self::TruncatedBody { .. } => "truncated-body",
            Self::CloseMidCall { .. } => "close-mid-call",
            Self::CrashAfter { .. } => "crash-after",
            Self::ExitAtOnce => "exit-at-once",
            Self::IgnoreShutdown => "ignore-shutdown",
            Self::OrphanChild { .. } => "orphan-child",
            Self::HugeAnswer { .. } => "huge-answer",
            Self::StderrFlood { .. } => "stderr-flood",
            Self::InputRequired => "input-required",
        }
    }

    /// The only transport where this fault can show; `None` = both.
    pub(crate) fn only_transport(&self) -> Option<Transport> {
        CATALOGUE
            .iter()
            .find(|entry| entry.name == self.name())
            .and_then(|entry| entry.only)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        let of = |tool: &Option<Tool>| tool.map_or(String::new(), |t| format!("{}:", t.name()));
        match self {
            Self::Slow { tool, factor } => write!(f, "{name}={}{factor}", of(tool)),
            Self::Delay { tool, delay } | Self::Jitter { tool, most: delay } => {
                write!(f, "{name}={}{}", of(tool), delay.as_millis())
            }
            Self::Tail {
                tool,
                percent,
                factor,
            } => write!(f, "{name}={}{percent}:{factor}", of(tool)),
            Self::FanOut { tool, threads } | Self::LockFight { tool, threads } => {
                write!(f, "{name}={}{threads}", of(tool))
            }
            Self::Background { threads } => write!(f, "{name}={threads}"),
            Self::Leak { tool, bytes } => write!(f, "{name}={}{bytes}", of(tool)),
            Self::Pool { size: number }
            | Self::Queue { size: number }
            | Self::StuckAfterAborts { slots: number } => write!(f, "{name}={number}"),
            Self::Hiccup {
                tool,
                every,
                lasting,
            } => write!(f, "{name}={}{every}:{}", of(tool), lasting.as_millis()),
            Self::HangBeyond { bytes } => write!(f, "{name}={bytes}"),
            Self::FirstCall { lasting }
            | Self::QuadraticCopy { lasting }
            | Self::SlowErrors { lasting }
            | Self::SlowStart { lasting } => write!(f, "{name}={}", lasting.as_millis()),
            Self::SessionLimit { sessions } => write!(f, "{name}={sessions}"),
            Self::SessionLeak { bytes } | Self::SessionWeight { bytes } => {
                write!(f, "{name}={bytes}")
            }
            Self::Bloat { bytes } | Self::HugeAnswer { bytes } | Self::StderrFlood { bytes } => {
                write!(f, "{name}={bytes}")
            }
            Self::HangOnCall { after }
            | Self::CloseMidCall { after }
            | Self::CrashAfter { calls: after } => write!(f, "{name}={after}"),
            Self::Freeze { after, lasting } => {
                write!(f, "{name}={after}:{}", lasting.as_millis())
            }
            Self::ToolError { every }
            | Self::RpcError { every }
            | Self::Http500 { every }
            | Self::Http503 { every }
            | Self::TruncatedBody { every } => write!(f, "{name}={every}"),
            Self::MixedUp { always: true } => write!(f, "{name}=always"),
            Self::OrphanChild { detached: true } => write!(f, "{name}=detached"),
            Self::OneAtATime
            | Self::Nagle
            | Self::OneWriter
            | Self::FirstCallsDeadlock
            | Self::DescriptorLeak
            | Self::ThreadLeak
            | Self::LostUpdates
            | Self::HangOnInitialize
            | Self::GarbageLine
            | Self::GarbageOnly
            | Self::WrongId
            | Self::DuplicateAnswer
            | Self::MixedUp { always: false }
            | Self::ExitAtOnce
            | Self::IgnoreShutdown
            | Self::OrphanChild { detached: false }
            | Self::InputRequired => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_fault_of_the_catalogue_is_read_and_written_back() {
        // For each shape of a value, texts that are right.
        for entry in CATALOGUE {
            let values: &[&str] = match entry.value {
                "" => &[""],
                "=[TOOL:]FACTOR" => &["=2", "=echo:1.5"],
                "=[TOOL:]MS" => &["=20", "=wait:20"],
                "=[TOOL:]PERCENT:FACTOR" => &["=5:10", "=search:0.5:10"],
                "=[TOOL:]EVERY_N:MS" => &["=8:60", "=echo:20:5"],
                "=[TOOL:]BYTES" => &["=4096", "=compute:4096"],
                "=[TOOL:]THREADS" => &["=1", "=search:64"],
                "=THREADS" => &["=2"],
                "=BYTES" => &["=4096"],
                "[=BYTES]" => &["=4096"],
                "=N" => &["=0", "=7"],
                "=MS" => &["=20"],
                "=SIZE" | "=SLOTS" => &["=1", "=20"],
                "=AFTER_N:MS" => &["=100:1000"],
                "[=AFTER_N]" | "[=EVERY_N]" => &["=3"],
                "[=always]" => &["", "=always"],
                "[=detached]" => &["", "=detached"],
                other => panic!("a new shape: {other}"),
            };
            for value in values {
                let text = format!("{}{value}", entry.name);
                let fault: Fault = text.parse().unwrap();
                assert_eq!(fault.to_string(), text);
                assert_eq!(fault.name(), entry.name);
            }
            if entry.value.is_empty() || entry.value.starts_with('[') {
                let fault: Fault = entry.name.parse().unwrap();
                assert_eq!(fault.to_string().parse(), Ok(fault), "{}", entry.name);
            } else {
                assert!(entry.name.parse::<Fault>().is_err(), "{}", entry.name);
            }
        }
    }

    #[test]
    fn sizes_have_suffixes_and_defaults_are_as_said() {
        let cases = [
            ("bloat=50MB", Fault::Bloat { bytes: 50_000_000 }),
            ("bloat=1MiB", Fault::Bloat { bytes: 1 << 20 }),
            ("huge-answer", Fault::HugeAnswer { bytes: 10_000_000 }),
            ("hang-on-call", Fault::HangOnCall { after: 0 }),
            (
                "tool-error",
                Fault::ToolError {
                    every: NonZeroU64::MIN,
                },
            ),
        ];
        for (text, fault) in cases {
            assert_eq!(text.parse(), Ok(fault), "{text}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_what_is_allowed() {
        let mistakes = [
            "slo=2",
            "",
            "slow",
            "slow=",
            "slow=0",
            "slow=nan",
            "slow=ech:2",
            "slow=echo:2:3",
            "tail=echo:5",
            "tail=echo:101:2",
            "delay=-1",
            "delay=3600001",
            "leak=5XB",
            "bloat=17GiB",
            "fan-out=search:0",
            "background=65",
            "tool-error=0",
            "wrong-id=1",
            "mixed-up=sometimes",
            "crash-after",
            "freeze=1000",
            "freeze=wait:1",
        ];
        let mut text = String::new();
        for mistake in mistakes {
            let error = mistake.parse::<Fault>().unwrap_err();
            text.push_str(&format!("{mistake}\n  {error}\n"));
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn the_help_has_a_line_for_each() {
        insta::assert_snapshot!(help());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(name in "[a-z-]{0,20}", value in ".{0,20}") {
            let _ = format!("{name}={value}").parse::<Fault>();
            for entry in CATALOGUE {
                if let Ok(fault) = format!("{}={value}", entry.name).parse::<Fault>() {
                    prop_assert_eq!(fault.to_string().parse(), Ok(fault));
                }
            }
        }
    }
}
