//! Evidence in, named failure modes out. Pure.
//!
//! A gate says that something became slower; a diagnosis says what it is that breaks when agents
//! call in earnest. Each states its evidence in numbers, how sure it is, and what to look at.
//!
//! | file | what it finds |
//! |---|---|
//! | `concurrency.rs` | calls that wait for each other: a blocked event loop, a pool that is used up, one busy core; saturation under a ramp |
//! | `answers.rs` | answers that belong to other calls; failures that begin with callers at once |
//! | `calls.rs` | few slow calls among fast ones; answers held back by Nagle's algorithm |
//! | `server.rs` | memory that grows with calls; a slow start |
//! | `probes.rs` | what the probes were made for |

mod answers;
mod calls;
mod concurrency;
mod probes;
mod server;

use self::probes::Look;
use crate::{
    results::{Phase, ProbeName, Results, Round, Sample, ScenarioKind, ScenarioRecord},
    stats::{self, location},
};

/// A failure mode, or a limit that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A call is answered with what another call asked for.
    AnswersMixedUp,
    /// Of writes at once some are gone, though each was answered without an error.
    LostUpdates,
    /// The first calls of a server never end where they come at once.
    FirstCallsDeadlock,
    /// Calls that were given up leave no way for those that follow.
    StuckAfterAborts,
    /// Calls fail, or wait, once more are in flight than some pool holds.
    ConnectionPoolExhausted,
    /// Calls wait for one another while the server's CPU is idle.
    EventLoopBlocked,
    /// Answers do not come once they are large, or hold up others.
    LargeAnswerStall,
    /// A session more cannot be opened.
    ConnectionsRefused,
    /// Memory grows with each call.
    MemoryLeak,
    /// Memory grows with each session that was ended.
    SessionLeakClosed,
    /// Memory grows with each session that was left.
    SessionLeakAbandoned,
    /// Open descriptors grow with each session or aborted call.
    DescriptorLeak,
    /// Threads grow with each session or aborted call.
    ThreadLeak,
    /// The server does not leave when it is told to, or leaves processes behind.
    DoesNotExit,
    /// CPU time is used while nothing is asked.
    IdleCpu,
    /// The end of an answer waits for a delayed acknowledgement.
    NagleStall,
    /// Few calls take many times as long as most.
    HighP95LowP50,
    /// The server takes long to get ready.
    SlowStart,
    /// The first call takes many times as long as later ones.
    FirstCallSlow,
    /// Errors take much longer than answers.
    SlowErrors,
    /// Calls are worked on one after another by one busy core.
    CpuBoundSerial,
    /// More callers get no more calls done: saturation.
    Overloaded,
    /// Large answers are held in memory as a whole, more than once.
    AnswersBuffered,
    /// Large answers are sent as they are made.
    AnswersStreamed,
}

impl Kind {
    /// As in files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AnswersMixedUp => "answers-mixed-up",
            Self::LostUpdates => "lost-updates",
            Self::FirstCallsDeadlock => "first-calls-deadlock",
            Self::StuckAfterAborts => "stuck-after-aborts",
            Self::ConnectionPoolExhausted => "connection-pool-exhausted",
            Self::EventLoopBlocked => "event-loop-blocked",
            Self::LargeAnswerStall => "large-answer-stall",
            Self::ConnectionsRefused => "connections-refused",
            Self::MemoryLeak => "memory-leak",
            Self::SessionLeakClosed => "session-leak-closed",
            Self::SessionLeakAbandoned => "session-leak-abandoned",
            Self::DescriptorLeak => "descriptor-leak",
            Self::ThreadLeak => "thread-leak",
            Self::DoesNotExit => "does-not-exit",
            Self::IdleCpu => "idle-cpu",
            Self::NagleStall => "nagle-stall",
            Self::HighP95LowP50 => "high-p95-low-p50",
            Self::SlowStart => "slow-start",
            Self::FirstCallSlow => "first-call-slow",
            Self::SlowErrors => "slow-errors",
            Self::CpuBoundSerial => "cpu-bound-serial",
            Self::Overloaded => "overloaded",
            Self::AnswersBuffered => "answers-buffered",
            Self::AnswersStreamed => "answers-streamed",
        }
    }

    /// Whether it shows only where calls happen to meet: then a base that was asked once may have it,
    /// too.
    #[must_use]
    pub fn is_a_race(self) -> bool {
        matches!(self, Self::AnswersMixedUp | Self::LostUpdates)
    }

    /// Whether it is a limit that every server has somewhere, or a way to work, and not a fault.
    #[must_use]
    pub fn is_information(self) -> bool {
        matches!(
            self,
            Self::CpuBoundSerial | Self::Overloaded | Self::AnswersBuffered | Self::AnswersStreamed
        )
    }
}

/// How far the evidence goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// Something else could look the same.
    Possible,
    /// Hardly anything else looks like this.
    Likely,
}

/// One failure mode that the evidence shows.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Diagnosis {
    /// Which.
    pub kind: Kind,
    /// The scenario that shows it, of a probe the tool; `None` where it is about the server as a
    /// whole.
    pub scenario: Option<String>,
    /// How sure.
    pub confidence: Confidence,
    /// What was seen, in numbers: a sentence without its full stop.
    pub evidence: String,
    /// What to look at: another one.
    pub advice: String,
    /// The probe that shows it, where one was made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeName>,
}

impl Diagnosis {
    /// Whether the same is said of the same.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.kind == other.kind && self.scenario == other.scenario
    }

    /// Whether a change that brings it is worse for that alone: a probe was made for it, and hardly
    /// anything else looks like this.
    #[must_use]
    pub fn decides(&self) -> bool {
        self.probe.is_some() && self.confidence == Confidence::Likely
    }
}

/// All that the figures show, gravest first.
#[must_use]
pub fn diagnose(results: &Results) -> Vec<Diagnosis> {
    let mut found: Vec<Diagnosis> = Vec::new();
    found.extend(answers::mixed_up(results));
    found.extend(answers::exhausted(results));
    found.extend(concurrency::waiting(results));
    found.extend(concurrency::saturated(results));
    found.extend(calls::few_slow_ones(results));
    found.extend(calls::held_back(results));
    found.extend(server::growing(results));
    found.extend(server::slow_start(results));
    let probed = probes::shown(
        results,
        &results.probe_sets().collect::<Vec<_>>(),
        Look::Strict,
    );
    // What a probe was made for is told by it alone.
    found.retain(|other| probed.iter().all(|probed| probed.kind != other.kind));
    found.extend(probed);
    found.sort_by_key(|diagnosis| diagnosis.kind);
    found
}

/// What any set of probes shows or nearly shows, though another may not: what lies near a border is on
/// the other side of it another time, so it is neither new where a server has it nor gone where one
/// lacks it.
#[must_use]
pub fn nearly_shown(results: &Results) -> Vec<Diagnosis> {
    let of_one = results
        .probe_sets()
        .map(|set| probes::shown(results, &[set], Look::Lenient));
    of_one.flatten().collect()
}

/// How many sets of probes were asked what a diagnosis is about, of the same tool, so that they could
/// have shown it.
#[must_use]
pub fn times_asked(results: &Results, diagnosis: &Diagnosis) -> usize {
    probes::times_asked(results, diagnosis)
}

/// How many sets of probes show the same, as sure as that it decides.
#[must_use]
pub fn times_shown(results: &Results, diagnosis: &Diagnosis) -> usize {
    results
        .probe_sets()
        .filter(|set| {
            let shown = probes::shown(results, &[set], Look::Strict);
            let mut same = shown.iter().filter(|other| other.is_same_as(diagnosis));
            same.any(Diagnosis::decides)
        })
        .count()
}

/// Rounds below this tell nothing: one of them may have been disturbed.
const ROUNDS_NEEDED: usize = 3;

/// The planned rounds of all jobs.
fn rounds(results: &Results) -> impl Iterator<Item = &Round> {
    results
        .jobs
        .iter()
        .flat_map(|job| &job.rounds)
        .filter(|round| round.phase == Phase::Measure)
}

fn records(results: &Results, kind: ScenarioKind) -> impl Iterator<Item = &ScenarioRecord> {
    let records = results.suite.scenarios.iter();
    records.filter(move |record| record.kind == kind && !record.report_only)
}

/// The scenario of this kind that calls the same tool.
fn sibling<'a>(
    results: &'a Results,
    record: &ScenarioRecord,
    kind: ScenarioKind,
) -> Option<&'a ScenarioRecord> {
    records(results, kind).find(|other| other.tool == record.tool)
}

/// The middle one of what the rounds say; `None` where too few of them do.
fn typical(figures: impl Iterator<Item = f64>) -> Option<f64> {
    stats::Sample::new(figures)
        .filter(|sample| sample.len() >= ROUNDS_NEEDED)
        .map(|sample| location::median(&sample))
}

/// Successful calls a second; `None` where there were none.
fn throughput(sample: &Sample) -> Option<f64> {
    Some(sample.throughput_per_s()).filter(|rate| *rate > 0.0)
}

fn milliseconds(ns: f64) -> String {
    let ms = ns / 1e6;
    match ms {
        ms if ms >= 1_000.0 => format!("{:.1} s", ms / 1_000.0),
        ms if ms >= 10.0 => format!("{ms:.0} ms"),
        ms => format!("{ms:.1} ms"),
    }
}
