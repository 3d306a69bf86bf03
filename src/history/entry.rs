//! One line of the history.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    gate::{Metric, SERVER, scenario_levels, server_levels},
    results::{Environment, Job, Measure, Results, Transport},
};

/// The schema version of lines that this build writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// One run. Keys are written in this order, and unknown ones are ignored, so that a newer mcpgate
/// may add some.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// When the run began: RFC 3339, UTC.
    pub at: String,
    /// The measured commit, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Seed of the run; with `at`, `commit` and `machine` it tells runs apart.
    pub seed: u64,
    /// The mcpgate that measured.
    pub mcpgate_version: String,
    /// The machine.
    pub machine: Machine,
    /// `stdio`, `streamable-http` or `sse`.
    pub transport: String,
    /// The negotiated protocol revision.
    pub protocol_version: String,
    /// `true` where the user started the server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attached: bool,
    /// Hash of the suite: memory grows with work.
    pub suite_hash: String,
    /// How memory was measured; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_measure: Option<String>,
    /// By scenario; `server` has start-up and peak memory.
    pub scenarios: BTreeMap<String, Figures>,
}

/// What tells machine classes apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Machine {
    /// `linux`, `macos`.
    pub os: String,
    /// `x86_64`, `aarch64`.
    pub arch: String,
    /// CPU model as the system names it; empty if it does not.
    pub cpu_model: String,
    /// Cores that mcpgate might use.
    pub cores: u32,
    /// CPU limit of the container or control group in thousandths of a core, where one is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_cpu_limit_millicores: Option<u32>,
    /// CPU time that a fixed piece of work took at its quickest: how fast the machine is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_work_ns: Option<u64>,
}

/// Typical figures of one scenario over the rounds of the run, as the gate weighs them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Hash of what is sent and expected; absent for `server`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition_hash: Option<String>,
    /// Rounds, or soaks, behind the figures.
    pub rounds: u32,
    /// Calls in flight at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// `true` for tools that call an outside service.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub report_only: bool,
    /// Median wall time of a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p50_ns: Option<u64>,
    /// 95th percentile of the wall time of a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p95_ns: Option<u64>,
    /// Median of wall time less scheduler wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p50_adjusted_ns: Option<u64>,
    /// 95th percentile of wall time less scheduler wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p95_adjusted_ns: Option<u64>,
    /// Successful calls per second, to a tenth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput_per_s: Option<f64>,
    /// CPU time of the server for each call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_per_call_ns: Option<u64>,
    /// From starting the process to its first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_ns: Option<u64>,
    /// The same less scheduler wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_adjusted_ns: Option<u64>,
    /// Highest memory of the process tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Growth of memory with calls; negative where it shrinks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_growth_bytes_per_1000_calls: Option<i64>,
}

/// The metrics that a line may hold, those that decide first.
pub const METRICS: [Metric; 10] = [
    Metric::LatencyP50Adjusted,
    Metric::LatencyP95Adjusted,
    Metric::LatencyP50,
    Metric::LatencyP95,
    Metric::Throughput,
    Metric::CpuPerCall,
    Metric::StartupAdjusted,
    Metric::Startup,
    Metric::PeakMemory,
    Metric::MemoryGrowth,
];

impl Figures {
    /// The figure of a metric, in [`Metric::unit`].
    #[must_use]
    pub fn get(&self, metric: Metric) -> Option<f64> {
        let whole = |value: Option<u64>| value.map(|v| v as f64);
        match metric {
            Metric::LatencyP50 => whole(self.latency_p50_ns),
            Metric::LatencyP95 => whole(self.latency_p95_ns),
            Metric::LatencyP50Adjusted => whole(self.latency_p50_adjusted_ns),
            Metric::LatencyP95Adjusted => whole(self.latency_p95_adjusted_ns),
            Metric::Throughput => self.throughput_per_s,
            Metric::CpuPerCall => whole(self.cpu_per_call_ns),
            Metric::Startup => whole(self.startup_ns),
            Metric::StartupAdjusted => whole(self.startup_adjusted_ns),
            Metric::PeakMemory => whole(self.peak_memory_bytes),
            Metric::MemoryGrowth => self.memory_growth_bytes_per_1000_calls.map(|v| v as f64),
            Metric::ErrorRate => None,
        }
    }

    fn set(&mut self, metric: Metric, value: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and no figure is that large"
        )]
        let whole = Some(value.round() as u64);
        match metric {
            Metric::LatencyP50 => self.latency_p50_ns = whole,
            Metric::LatencyP95 => self.latency_p95_ns = whole,
            Metric::LatencyP50Adjusted => self.latency_p50_adjusted_ns = whole,
            Metric::LatencyP95Adjusted => self.latency_p95_adjusted_ns = whole,
            Metric::Throughput => self.throughput_per_s = Some((value * 10.0).round() / 10.0),
            Metric::CpuPerCall => self.cpu_per_call_ns = whole,
            Metric::Startup => self.startup_ns = whole,
            Metric::StartupAdjusted => self.startup_adjusted_ns = whole,
            Metric::PeakMemory => self.peak_memory_bytes = whole,
            Metric::MemoryGrowth => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "saturates, and no figure is that large"
                )]
                let whole = value.round() as i64;
                self.memory_growth_bytes_per_1000_calls = Some(whole);
            }
            Metric::ErrorRate => {}
        }
    }
}

impl Machine {
    /// What the history keeps of a machine.
    #[must_use]
    pub fn of(environment: &Environment, reference_work_ns: Option<u64>) -> Self {
        Self {
            os: environment.os.clone(),
            arch: environment.arch.clone(),
            cpu_model: environment.cpu_model.clone(),
            cores: environment.cores,
            container_cpu_limit_millicores: environment.container_cpu_limit_millicores,
            reference_work_ns,
        }
    }

    /// As [`Environment::same_hardware`].
    #[must_use]
    pub fn same_hardware(&self, other: &Self) -> bool {
        let without_speed = |machine: &Self| Self {
            reference_work_ns: None,
            ..machine.clone()
        };
        without_speed(self) == without_speed(other)
    }
}

impl Entry {
    /// Whether both lines tell of the same run.
    #[must_use]
    pub fn is_same_run(&self, other: &Self) -> bool {
        self.at == other.at
            && self.seed == other.seed
            && self.commit == other.commit
            && self.machine == other.machine
    }

    /// One line of JSON with its line break.
    #[must_use]
    pub fn to_line(&self) -> String {
        // Every key is a string, and every number is finite.
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
}

/// The lines of `results`: one for each of its runs that was complete and measured something.
///
/// Loads are applied once a run, so that their figures prove nothing, and are left out.
#[must_use]
pub fn entries_of(results: &Results) -> Vec<Entry> {
    let jobs = results.jobs.iter().filter(|job| job.incomplete.is_none());
    jobs.map(|job| entry(results, job))
        .filter(|entry| !entry.scenarios.is_empty())
        .collect()
}

fn entry(results: &Results, job: &Job) -> Entry {
    let server = &results.server;
    let mut scenarios = BTreeMap::new();
    for record in &results.suite.scenarios {
        let mut figures = Figures {
            definition_hash: Some(record.definition_hash.clone()),
            concurrency: Some(record.concurrency).filter(|&callers| callers > 1),
            report_only: record.report_only,
            ..Figures::default()
        };
        if fill(&mut figures, &scenario_levels(job, record)) {
            scenarios.insert(record.name.clone(), figures);
        }
    }
    let mut figures = Figures::default();
    if fill(&mut figures, &server_levels(job)) {
        scenarios.insert(SERVER.to_owned(), figures);
    }
    Entry {
        schema_version: SCHEMA_VERSION,
        at: job.started_at.clone(),
        commit: job.commit.clone(),
        seed: job.seed,
        mcpgate_version: results.mcpgate_version.clone(),
        machine: Machine::of(&job.environment, job.reference_work_ns()),
        transport: match server.transport {
            Transport::Stdio => "stdio",
            Transport::StreamableHttp => "streamable-http",
            Transport::Sse => "sse",
        }
        .to_owned(),
        protocol_version: server.protocol_version.clone(),
        attached: server.attached,
        suite_hash: results.suite.hash.clone(),
        memory_measure: match &job.memory_measure {
            Measure::By(method) => Some(method.clone()),
            Measure::NotMeasured(_) => None,
        },
        scenarios,
    }
}

/// Whether there was anything to fill in.
fn fill(figures: &mut Figures, levels: &[crate::gate::Level]) -> bool {
    for level in levels {
        figures.set(level.metric, level.value);
        let rounds = u32::try_from(level.rounds).unwrap_or(u32::MAX);
        figures.rounds = figures.rounds.max(rounds);
    }
    !levels.is_empty()
}
