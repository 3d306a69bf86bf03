//! The results file, schema version 1. A baseline is a results file that someone accepted.
//!
//! All times are nanoseconds, all sizes bytes; units stand in the field names. Every round is
//! kept, so that a better statistic can be applied to an old baseline.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod calibration;
pub mod histogram;
mod load;
mod machine;
mod memory;
mod probes;
mod turn;

pub use calibration::{CalibratedFigure, CalibratedScenario, Calibration, Control};
pub use histogram::Histogram;
pub use load::{ExecutorName, LoadRecord, LoadSample, StageRecord, StageSample};
pub use machine::{Environment, are_as_fast};
pub use memory::{ProcessMemory, TreeMemory};
pub use probes::{
    AbortProbe, BesideProbe, Exit, ExitProbe, FirstCallProbe, FirstCallsProbe, Holdings, IdleProbe,
    LargeAnswer, LargeAnswersProbe, OpenSessionsProbe, ProbeName, Probes, RefusalProbe,
    SessionProbe, SessionSeries, TokenCount, TokenProbe, UnreadAnswer, WriteCount, WriteProbe,
};
pub use turn::{ArmName, InTurn};

/// The schema version this build writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// What one or several runs measured of one server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// Version of this schema; see [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The mcpgate that wrote the file.
    pub mcpgate_version: String,
    /// Who was measured.
    pub server: ServerRecord,
    /// What was to be measured: the declared set, whether or not it was.
    pub suite: SuiteRecord,
    /// One entry a run, oldest first. A fresh run has exactly one.
    pub jobs: Vec<Job>,
    /// Present once someone accepted these results as a baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Acceptance>,
}

impl Results {
    /// The sets of probes of all jobs, oldest first.
    pub fn probe_sets(&self) -> impl Iterator<Item = &Probes> {
        self.jobs.iter().flat_map(|job| &job.probes)
    }
}

/// How a results file became a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// RFC 3339, UTC.
    pub at: String,
    /// The objections that `--force` overrode, in words; empty for an ordinary update.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forced_over: Vec<String>,
}

/// Identity of the measured server, as it named itself, and how it was reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerRecord {
    /// `serverInfo.name`; empty if the server did not say.
    pub name: String,
    /// `serverInfo.version`; empty if the server did not say.
    pub version: String,
    /// The transport used.
    pub transport: Transport,
    /// The negotiated protocol revision, such as `2025-11-25`.
    pub protocol_version: String,
    /// SHA-256 (first 16 hex digits) of the canonical tool list.
    pub tool_list_hash: String,
    /// `true` when the user started the server (`--url` alone): weaker evidence, since rounds
    /// share one process.
    pub attached: bool,
}

/// How messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Lines on the server's standard input and output.
    Stdio,
    /// One HTTP endpoint, answers as JSON or as an event stream.
    StreamableHttp,
    /// The older HTTP+SSE: messages are posted, answers come on one event stream.
    Sse,
}

/// The declared set of scenarios.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuiteRecord {
    /// `quick`, `standard` or `deep`.
    pub name: String,
    /// SHA-256 (first 16 hex digits) over all scenario definitions.
    pub hash: String,
    /// In the order in which they run.
    pub scenarios: Vec<ScenarioRecord>,
    /// Tools or scenarios that were left out on purpose, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
}

/// Something the run left out on purpose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// Tool or scenario name.
    pub name: String,
    /// Why, in words.
    pub reason: String,
}

/// One declared scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioRecord {
    /// Unique in the suite: `handshake`, `list-tools`, `search/sequential`, `search/concurrent`,
    /// `search/soak`, `ramp`.
    pub name: String,
    /// Which workload of the standard suite it is.
    pub kind: ScenarioKind,
    /// The tool called, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Measured calls a round (for a soak: calls per fresh server; for a load: in all, 0 where time
    /// decides how many).
    pub calls: u32,
    /// Calls in flight at once; of a load at most.
    pub concurrency: u32,
    /// SHA-256 (first 16 hex digits) of what is sent and expected (tool, arguments template,
    /// expectation, concurrency), without `calls`. Two records with different hashes are not
    /// comparable.
    pub definition_hash: String,
    /// `true` for tools that call an outside service: reported, never gated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub report_only: bool,
    /// How many sessions the calls of `concurrent` or of a load go over.
    #[serde(default, skip_serializing_if = "Sessions::is_each")]
    pub sessions: Sessions,
    /// Of a load: how it is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadRecord>,
}

/// Who has a session over HTTP. On stdio there is one, and in the 2026-07-28 revision none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sessions {
    /// Each virtual user has its own, as many agents do.
    #[default]
    Each,
    /// All virtual users share one, as one agent with parallel calls does; each on its own
    /// connection.
    Shared,
    /// Each call has one of its own, opened before it and ended after it.
    PerCall,
}

impl Sessions {
    /// Whether each virtual user has its own.
    #[must_use]
    pub const fn is_each(&self) -> bool {
        matches!(self, Self::Each)
    }
}

/// The workloads of the standard suite.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ScenarioKind {
    /// Fresh sessions, one after another. On stdio in the `initialize` era a process has one
    /// session only, so there the round's `startup` is the handshake.
    Handshake,
    /// `tools/list`, one after another.
    ListTools,
    /// Calls of one tool, one after another.
    Sequential,
    /// Calls of one tool, several in flight.
    Concurrent,
    /// Many calls on a fresh server, for memory growth.
    Soak,
    /// A load of its own, once a run, on a fresh server.
    Load,
}

impl ScenarioKind {
    /// `true` where calls go one at a time, so that adjusted latency can be had.
    #[must_use]
    pub fn is_one_at_a_time(self) -> bool {
        match self {
            Self::Handshake | Self::ListTools | Self::Sequential => true,
            Self::Concurrent | Self::Soak | Self::Load => false,
        }
    }
}

/// One run of mcpgate on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// RFC 3339, UTC.
    pub started_at: String,
    /// The measured commit, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Seed of everything random in the run.
    pub seed: u64,
    /// The machine.
    pub environment: Environment,
    /// Where its rounds were measured in turn with those of another server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_turn: Option<InTurn>,
    /// How memory was measured.
    pub memory_measure: Measure,
    /// How adjusted latency was measured.
    pub adjusted_measure: Measure,
    /// Why the run ended early, in words; absent for a complete run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    /// Fresh servers, each running every repeating scenario once.
    pub rounds: Vec<Round>,
    /// Fresh servers for memory growth.
    pub soaks: Vec<Soak>,
    /// Loads, by scenario name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub loads: BTreeMap<String, LoadSample>,
    /// Sets of probes: one, and a second where the first showed what the other server does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probes>,
    /// For each scenario with errors, the first one seen (at most 300 characters, made printable).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub error_samples: BTreeMap<String, ErrorSample>,
    /// What else the run noticed, in words: processes that the server left behind, a server that
    /// had to be killed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The calls of one scenario in one round, soak or load.
#[derive(Debug, Clone, Copy)]
pub struct CallCounts<'a> {
    /// Calls made.
    pub calls: u32,
    /// Calls answered and validated.
    pub successes: u32,
    /// Unsuccessful calls by kind.
    pub errors: &'a BTreeMap<String, u32>,
}

impl Job {
    /// Every count of a scenario's calls: one a round, soak or load that made some.
    pub fn counts_of<'a>(&'a self, scenario: &'a str) -> impl Iterator<Item = CallCounts<'a>> {
        let of = |sample: &'a Sample| CallCounts {
            calls: sample.calls,
            successes: sample.successes,
            errors: &sample.errors,
        };
        let rounds = self
            .rounds
            .iter()
            .filter_map(move |round| round.scenarios.get(scenario).map(of));
        let soaks = self.soaks.iter().filter_map(move |soak| {
            soak.scenarios.get(scenario).map(|sample| CallCounts {
                calls: sample.calls,
                successes: sample.successes,
                errors: &sample.errors,
            })
        });
        let load = self.loads.get(scenario);
        let load = load.into_iter().map(move |load| of(&load.whole));
        rounds.chain(soaks).chain(load)
    }
}

/// How something was measured, or why it was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Name of the method, such as `high-water mark` or `tree, shared pages once`.
    By(String),
    /// Why there is no figure, in words.
    NotMeasured(String),
}

/// One answer that was counted as an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorSample {
    /// See [`Sample::errors`].
    pub kind: String,
    /// What the server or the transport said.
    pub message: String,
}

/// Why a round was measured.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Planned.
    Measure,
    /// Fresh evidence after an alarm; only this confirms it.
    Confirm,
}

/// One fresh server (or, attached, one fresh set of sessions).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// Counts from 0 in the job.
    pub index: u32,
    /// Why it was measured.
    pub phase: Phase,
    /// From starting the process to the answer that shows it ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_ns: Option<u64>,
    /// The same less scheduler wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_adjusted_ns: Option<u64>,
    /// Highest memory of the server's process tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Processes in the server's tree at the end of the round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Memory of the server's tree at the end of the round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_at_end: Option<TreeMemory>,
    /// CPU time of the server's tree over all scenarios.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_cpu_ns: Option<u64>,
    /// Time that threads of the server waited for a core over all scenarios.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_wait_ns: Option<u64>,
    /// CPU time of mcpgate itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cpu_ns: Option<u64>,
    /// CPU time used by processes other than the server and mcpgate, as a share of wall time
    /// (1 = one whole core).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside_load_cores: Option<f64>,
    /// Time stolen by the hypervisor, as a share of one core's wall time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_cores: Option<f64>,
    /// One-minute load average at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_average: Option<f64>,
    /// CPU time that a fixed piece of work took at its quickest, before the server was started and
    /// between the scenarios: how fast the machine is. It tells machines apart and never enters
    /// another figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_work_ns: Option<u64>,
    /// CPU time of filling 4 MiB of fresh memory, from the median MiB before the server was started and
    /// after it ended: how much others on the same host disturbed the machine, where no count of
    /// the system shows it. It widens intervals and never enters another figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_work_ns: Option<u64>,
    /// By scenario name.
    pub scenarios: BTreeMap<String, Sample>,
}

/// What one scenario gave in one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Calls made.
    pub calls: u32,
    /// Calls answered, matched and validated. Only these count as latencies.
    pub successes: u32,
    /// Unsuccessful calls by kind: `tool-error`, `protocol-error`, `http-500`, `timeout`,
    /// `refused`, `tls`, `reset`, `closed`, `wrong-answer`, `input-required`, `too-large`, `malformed`,
    /// and `stray-answer` (an answer that nobody asked for, which spoils one call).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u32>,
    /// From the first request's start to the last answer's end.
    pub duration_ns: u64,
    /// Wall time of successful calls; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall: Option<Latency>,
    /// Wall time less scheduler wait, of successful sequential calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjusted: Option<Latency>,
    /// How `wall` is spread over the calls: for pictures, never compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_histogram_ns: Option<Histogram>,
    /// The same of `adjusted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjusted_histogram_ns: Option<Histogram>,
    /// From the request's start to the answer's first byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<Latency>,
    /// Answers whose last byte came 39 to 46 ms after their first: about as long as Linux delays an
    /// acknowledgement.
    #[serde(default, skip_serializing_if = "load::is_zero")]
    pub delayed_last_bytes: u32,
    /// Calls one at a time that took at least four times the median and 5 ms more: `[number of the
    /// successful call, from 0, nanoseconds since the first began]`, the first 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slow_calls: Vec<(u32, u64)>,
    /// CPU time of the server's tree for each call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_per_call_ns: Option<u64>,
    /// Where several calls are in flight: CPU time of mcpgate's measuring thread. Near
    /// `duration_ns`, mcpgate itself set the pace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cpu_ns: Option<u64>,
}

/// After so many time-outs in a row a scenario is given up, and its tool is not called again in
/// that run: a server that hangs must not cost a time-out for each call.
pub const TIMEOUTS_IN_A_ROW: u32 = 3;

fn was_given_up(calls: u32, successes: u32, errors: &BTreeMap<String, u32>, planned: u32) -> bool {
    let timeouts = errors.get("timeout").copied().unwrap_or(0);
    timeouts >= TIMEOUTS_IN_A_ROW && (calls < planned || successes == 0)
}

impl Sample {
    /// Whether its scenario, of `planned` calls a round, was given up: see
    /// [`TIMEOUTS_IN_A_ROW`].
    #[must_use]
    pub fn was_given_up(&self, planned: u32) -> bool {
        was_given_up(self.calls, self.successes, &self.errors, planned)
    }

    /// Makes every time in it `factor` times as long, as if each answer had taken that much longer.
    pub fn slow_down(&mut self, factor: f64) {
        let slower = |ns: &mut u64| *ns = times(*ns, factor);
        let latencies = [&mut self.wall, &mut self.adjusted, &mut self.first_byte];
        for latency in latencies.into_iter().flatten() {
            slower(&mut latency.p50_ns);
            latency.p95_ns.iter_mut().for_each(slower);
            latency.p99_ns.iter_mut().for_each(slower);
            slower(&mut latency.max_ns);
        }
        let histograms = [&mut self.wall_histogram_ns, &mut self.adjusted_histogram_ns];
        for histogram in histograms.into_iter().flatten() {
            *histogram = histogram.scaled(factor);
        }
        slower(&mut self.duration_ns);
        self.cpu_per_call_ns.iter_mut().for_each(slower);
    }

    /// Successful calls per second; 0 if nothing was measured.
    #[must_use]
    pub fn throughput_per_s(&self) -> f64 {
        if self.duration_ns == 0 {
            0.0
        } else {
            f64::from(self.successes) * 1e9 / self.duration_ns as f64
        }
    }
}

/// A time that is `factor` times as long.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and a time that long is wrong anyway"
)]
fn times(ns: u64, factor: f64) -> u64 {
    (ns as f64 * factor.max(0.0)).round() as u64
}

/// Quantiles of one sample of latencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Median.
    pub p50_ns: u64,
    /// 95th percentile; absent below 20 samples, where it would be the maximum by another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ns: Option<u64>,
    /// 99th percentile; absent below 100 samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ns: Option<u64>,
    /// Largest.
    pub max_ns: u64,
}

/// Memory of one fresh server against calls made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Soak {
    /// Counts from 0 in the job.
    pub index: u32,
    /// Why it was measured.
    pub phase: Phase,
    /// By scenario name.
    pub scenarios: BTreeMap<String, SoakSample>,
}

/// Memory against calls made, for one tool on one server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SoakSample {
    /// Calls made.
    pub calls: u32,
    /// Calls answered and validated.
    pub successes: u32,
    /// Unsuccessful calls by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u32>,
    /// Theil-Sen slope of memory against calls, after warm-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth_bytes_per_call: Option<f64>,
    /// `[calls made, bytes]` pairs in order.
    pub memory: Vec<(u32, u64)>,
}

impl SoakSample {
    /// As [`Sample::was_given_up`].
    #[must_use]
    pub fn was_given_up(&self, planned: u32) -> bool {
        was_given_up(self.calls, self.successes, &self.errors, planned)
    }
}
