//! Every fault by name: how it is written, and one line about it.

use std::fmt::Write as _;

use super::{
    super::{Transport, work::NOMINAL_US_OF_FREE_TOOLS},
    Fault,
    value::{
        bytes, every, factor, keyword, milliseconds, needed, none, number, percent, positive,
        scope, threads,
    },
};

/// Size of `huge-answer` where none is given.
const DEFAULT_HUGE_BYTES: u64 = 10_000_000;

/// One line of the catalogue.
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// Shape of the value as shown; empty where there is none.
    pub(super) value: &'static str,
    about: &'static str,
    /// The only transport where it can show, where there is one.
    pub(super) only: Option<Transport>,
}

const fn entry(
    name: &'static str,
    value: &'static str,
    about: &'static str,
    only: Option<Transport>,
) -> Entry {
    Entry {
        name,
        value,
        about,
        only,
    }
}

const STDIO: Option<Transport> = Some(Transport::Stdio);
const HTTP: Option<Transport> = Some(Transport::Http);

/// Every fault, in the order of `--help`.
pub(super) const CATALOGUE: &[Entry] = &[
    entry(
        "slow",
        "=[TOOL:]FACTOR",
        "multiplies the work; adds (FACTOR - 1) x 1 ms of CPU where a tool costs nothing",
        None,
    ),
    entry(
        "delay",
        "=[TOOL:]MS",
        "waits off the CPU before each call",
        None,
    ),
    entry(
        "jitter",
        "=[TOOL:]MS",
        "waits off the CPU between 0 and MS, by the seed and the call's number",
        None,
    ),
    entry(
        "tail",
        "=[TOOL:]PERCENT:FACTOR",
        "multiplies the work of so many per cent of the calls",
        None,
    ),
    entry(
        "hiccup",
        "=[TOOL:]EVERY_N:MS",
        "every so many calls one waits off the CPU",
        None,
    ),
    entry(
        "fan-out",
        "=[TOOL:]THREADS",
        "each call starts so many threads that burn 1 ms of CPU each, and waits for them",
        None,
    ),
    entry(
        "lock-fight",
        "=[TOOL:]THREADS",
        "the same threads need one lock for their work",
        None,
    ),
    entry(
        "background",
        "=THREADS",
        "so many threads burn CPU all the time",
        None,
    ),
    entry(
        "leak",
        "=[TOOL:]BYTES",
        "keeps touched memory at each call (suffixes kB, MB, MiB)",
        None,
    ),
    entry(
        "bloat",
        "=BYTES",
        "keeps touched memory from the start (suffixes kB, MB, MiB)",
        None,
    ),
    entry(
        "one-at-a-time",
        "",
        "requests wait for each other, whatever they wait for",
        None,
    ),
    entry(
        "queue",
        "=SIZE",
        "calls beyond so many at once wait for one of them to end",
        None,
    ),
    entry(
        "hang-beyond",
        "=BYTES",
        "calls whose answers are larger are never answered",
        None,
    ),
    entry(
        "quadratic-copy",
        "=MS",
        "answers cost time by the square of their size, MS for 1 MB",
        None,
    ),
    entry(
        "one-writer",
        "",
        "while an answer is on its way, nobody else is answered",
        HTTP,
    ),
    entry(
        "nagle",
        "",
        "answers go out in two parts without TCP_NODELAY",
        HTTP,
    ),
    entry(
        "pool",
        "=SIZE",
        "calls beyond so many at once answer isError: true, with words of a pool that is used up",
        None,
    ),
    entry(
        "stuck-after-aborts",
        "=SLOTS",
        "so many calls go on at once, and one that is given up keeps its place for good",
        None,
    ),
    entry(
        "first-call",
        "=MS",
        "the first call waits off the CPU",
        None,
    ),
    entry(
        "first-calls-deadlock",
        "",
        "the first calls are never answered where they come at once",
        None,
    ),
    entry(
        "slow-errors",
        "=MS",
        "refuses requests only after a wait",
        None,
    ),
    entry("slow-start", "=MS", "waits before it serves", None),
    entry(
        "session-limit",
        "=N",
        "opens no session more while so many are open: status 503",
        HTTP,
    ),
    entry(
        "session-leak",
        "=BYTES",
        "keeps touched memory for each session, for good (suffixes kB, MB, MiB)",
        HTTP,
    ),
    entry(
        "session-weight",
        "=BYTES",
        "keeps touched memory for each session, until it is ended (suffixes kB, MB, MiB)",
        HTTP,
    ),
    entry(
        "descriptor-leak",
        "",
        "each session opens a file that is never closed",
        HTTP,
    ),
    entry(
        "thread-leak",
        "",
        "each session starts a thread that never ends",
        HTTP,
    ),
    entry(
        "lost-updates",
        "",
        "remember writes back a copy of the store that it took before (with --store)",
        None,
    ),
    entry(
        "hang-on-initialize",
        "",
        "never answers initialize nor server/discover",
        None,
    ),
    entry(
        "hang-on-call",
        "[=AFTER_N]",
        "never answers a call, after N answered ones",
        None,
    ),
    entry(
        "freeze",
        "=AFTER_N:MS",
        "answers no call for so long, once, after N answered ones",
        None,
    ),
    entry(
        "garbage-line",
        "",
        "writes a line that is not JSON before each answer",
        STDIO,
    ),
    entry(
        "garbage-only",
        "",
        "writes only noise, never the protocol",
        STDIO,
    ),
    entry(
        "wrong-id",
        "",
        "answers calls with an id that nobody asked with",
        None,
    ),
    entry(
        "duplicate-answer",
        "",
        "answers each call twice (over HTTP in one event stream)",
        None,
    ),
    entry(
        "mixed-up",
        "[=always]",
        "echo answers with the message of a call in flight at the same time; always: of the call before",
        None,
    ),
    entry(
        "tool-error",
        "[=EVERY_N]",
        "calls answer isError: true",
        None,
    ),
    entry(
        "rpc-error",
        "[=EVERY_N]",
        "calls answer a JSON-RPC error, code -32603",
        None,
    ),
    entry("http-500", "[=EVERY_N]", "calls answer status 500", HTTP),
    entry("http-503", "[=EVERY_N]", "calls answer status 503", HTTP),
    entry(
        "truncated-body",
        "[=EVERY_N]",
        "calls announce more bytes than they send, and close",
        HTTP,
    ),
    entry(
        "close-mid-call",
        "[=AFTER_N]",
        "closes stdout and exits with code 1 in the middle of a call, after N answered ones",
        STDIO,
    ),
    entry(
        "crash-after",
        "=N",
        "exits with code 101 in the middle of the call after N answered ones",
        None,
    ),
    entry(
        "exit-at-once",
        "",
        "writes to stderr and exits with code 7 before any protocol",
        None,
    ),
    entry(
        "ignore-shutdown",
        "",
        "ignores the end of stdin and SIGTERM (SIGINT still ends it)",
        None,
    ),
    entry(
        "orphan-child",
        "[=detached]",
        "starts `sleep 600` in a process group of its own, holding stderr; detached: its parent is gone",
        None,
    ),
    entry(
        "huge-answer",
        "[=BYTES]",
        "calls answer a text of that size, 10 MB by default",
        None,
    ),
    entry(
        "stderr-flood",
        "=BYTES",
        "writes that much to stderr at each call",
        None,
    ),
    entry(
        "input-required",
        "",
        "2026-07-28: calls answer resultType input_required until retried with the requestState",
        None,
    ),
];

/// The fault of that name in the catalogue, from its value; the error is about the value.
pub(super) fn parse(name: &str, value: Option<&str>) -> Result<Fault, String> {
    Ok(match name {
        "slow" => {
            let (tool, [times]) = scope(value)?;
            Fault::Slow {
                tool,
                factor: factor(times)?,
            }
        }
        "delay" => {
            let (tool, [ms]) = scope(value)?;
            Fault::Delay {
                tool,
                delay: milliseconds(ms)?,
            }
        }
        "jitter" => {
            let (tool, [ms]) = scope(value)?;
            Fault::Jitter {
                tool,
                most: milliseconds(ms)?,
            }
        }
        "tail" => {
            let (tool, [share, times]) = scope(value)?;
            Fault::Tail {
                tool,
                percent: percent(share)?,
                factor: factor(times)?,
            }
        }
        "hiccup" => {
            let (tool, [number, ms]) = scope(value)?;
            Fault::Hiccup {
                tool,
                every: positive(number)?,
                lasting: milliseconds(ms)?,
            }
        }
        "queue" => Fault::Queue {
            size: positive(needed(value)?)?,
        },
        "hang-beyond" => Fault::HangBeyond {
            bytes: bytes(needed(value)?)?,
        },
        "quadratic-copy" => Fault::QuadraticCopy {
            lasting: milliseconds(needed(value)?)?,
        },
        "fan-out" | "lock-fight" => {
            let (tool, [text]) = scope(value)?;
            let threads = threads(text)?;
            if name == "fan-out" {
                Fault::FanOut { tool, threads }
            } else {
                Fault::LockFight { tool, threads }
            }
        }
        "background" => Fault::Background {
            threads: threads(needed(value)?)?,
        },
        "leak" => {
            let (tool, [size]) = scope(value)?;
            Fault::Leak {
                tool,
                bytes: bytes(size)?,
            }
        }
        "bloat" => Fault::Bloat {
            bytes: bytes(needed(value)?)?,
        },
        "pool" => Fault::Pool {
            size: positive(needed(value)?)?,
        },
        "stuck-after-aborts" => Fault::StuckAfterAborts {
            slots: positive(needed(value)?)?,
        },
        "first-call" => Fault::FirstCall {
            lasting: milliseconds(needed(value)?)?,
        },
        "slow-errors" => Fault::SlowErrors {
            lasting: milliseconds(needed(value)?)?,
        },
        "slow-start" => Fault::SlowStart {
            lasting: milliseconds(needed(value)?)?,
        },
        "session-limit" => Fault::SessionLimit {
            sessions: number(needed(value)?)?,
        },
        "session-leak" => Fault::SessionLeak {
            bytes: bytes(needed(value)?)?,
        },
        "session-weight" => Fault::SessionWeight {
            bytes: bytes(needed(value)?)?,
        },
        "hang-on-call" => Fault::HangOnCall {
            after: value.map_or(Ok(0), number)?,
        },
        "freeze" => {
            let (after, ms) = needed(value)?.split_once(':').unwrap_or_default();
            Fault::Freeze {
                after: number(after)?,
                lasting: milliseconds(ms)?,
            }
        }
        "mixed-up" => Fault::MixedUp {
            always: keyword(value, "always")?,
        },
        "tool-error" => Fault::ToolError {
            every: every(value)?,
        },
        "rpc-error" => Fault::RpcError {
            every: every(value)?,
        },
        "http-500" => Fault::Http500 {
            every: every(value)?,
        },
        "http-503" => Fault::Http503 {
            every: every(value)?,
        },
        "truncated-body" => Fault::TruncatedBody {
            every: every(value)?,
        },
        "close-mid-call" => Fault::CloseMidCall {
            after: value.map_or(Ok(0), number)?,
        },
        "crash-after" => Fault::CrashAfter {
            calls: number(needed(value)?)?,
        },
        "orphan-child" => Fault::OrphanChild {
            detached: keyword(value, "detached")?,
        },
        "huge-answer" => Fault::HugeAnswer {
            bytes: value.map_or(Ok(DEFAULT_HUGE_BYTES), bytes)?,
        },
        "stderr-flood" => Fault::StderrFlood {
            bytes: bytes(needed(value)?)?,
        },
        plain => {
            none(value)?;
            match plain {
                "one-at-a-time" => Fault::OneAtATime,
                "one-writer" => Fault::OneWriter,
                "nagle" => Fault::Nagle,
                "first-calls-deadlock" => Fault::FirstCallsDeadlock,
                "descriptor-leak" => Fault::DescriptorLeak,
                "thread-leak" => Fault::ThreadLeak,
                "lost-updates" => Fault::LostUpdates,
                "hang-on-initialize" => Fault::HangOnInitialize,
                "garbage-line" => Fault::GarbageLine,
                "garbage-only" => Fault::GarbageOnly,
                "wrong-id" => Fault::WrongId,
                "duplicate-answer" => Fault::DuplicateAnswer,
                "exit-at-once" => Fault::ExitAtOnce,
                "ignore-shutdown" => Fault::IgnoreShutdown,
                "input-required" => Fault::InputRequired,
                _ => return Err("it is not in the catalogue".to_owned()),
            }
        }
    })
}

/// The long help of `--fault`: one line for each.
pub(crate) fn help() -> String {
    let mut text = String::from("Switch a fault on; may be repeated:\n");
    for entry in CATALOGUE {
        let written = format!("{}{}", entry.name, entry.value);
        let only = match entry.only {
            Some(Transport::Stdio) => " [stdio]",
            Some(Transport::Http | Transport::Sse) => " [http]",
            None => "",
        };
        let _ = writeln!(text, "  {written:<28} {}{only}", entry.about);
    }
    text
}

// The stated amount in `--help` is this one.
const _: () = assert!(NOMINAL_US_OF_FREE_TOOLS == 1_000);
