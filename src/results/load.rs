//! Loads: scenarios of their own, each once a run, on a fresh server.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Latency, Sample};

/// How the load of a scenario is applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadRecord {
    /// Its executor.
    pub executor: ExecutorName,
    /// The tools that are called, each with its weight in the mix.
    pub tools: BTreeMap<String, u32>,
    /// What rates are counted in; absent in the closed model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_unit_ns: Option<u64>,
    /// The stages one after another, as [`LoadSample::stages`] has them.
    pub stages: Vec<StageRecord>,
}

/// The executors, in k6's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExecutorName {
    /// Virtual users share a number of calls.
    SharedIterations,
    /// Each virtual user makes the same number of calls.
    PerVuIterations,
    /// As many calls as a number of virtual users manages.
    ConstantVus,
    /// The same with a number that changes.
    RampingVus,
    /// Calls at even distances, whatever the answers do.
    ConstantArrivalRate,
    /// The same at distances that change.
    RampingArrivalRate,
}

impl ExecutorName {
    /// Whether calls begin at times that do not depend on answers.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::ConstantArrivalRate | Self::RampingArrivalRate)
    }
}

/// From one level of load to another, evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageRecord {
    /// At most: where iterations are counted it ends with the last of them.
    pub duration_ns: u64,
    /// Virtual users; in the open model, calls in each time unit.
    pub from: u32,
    /// The same at its end.
    pub to: u32,
}

/// What a load gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadSample {
    /// Over all stages. In the open model latency counts from the time at which a call was to
    /// begin, so that no wait is hidden.
    pub whole: Sample,
    /// Calls that were to begin while as many as allowed were in flight: they were not made.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u32,
    /// Calls that were still in flight when `graceful-stop` was over: they were given up.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interrupted: u32,
    /// Most calls in flight at once.
    pub most_in_flight: u32,
    /// From the start of a connection to the session that is ready for its first call; never part
    /// of a call's latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connecting: Option<Latency>,
    /// From the time at which a call was to begin to its sending: mcpgate's own delay, which
    /// latency contains. Absent in the closed model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_lag: Option<Latency>,
    /// Highest memory of the server's process tree, over all loads on the same server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// `[calls ended, bytes]` pairs in order, 64 at most: memory of the server's process tree as
    /// calls went on, over all loads on the same server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memory: Vec<(u64, u64)>,
    /// CPU time used by processes other than the server and mcpgate, as a share of wall time
    /// (1 = one whole core).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside_load_cores: Option<f64>,
    /// Time stolen by the hypervisor, as a share of one core's wall time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_cores: Option<f64>,
    /// By [`LoadRecord::stages`].
    pub stages: Vec<StageSample>,
}

/// The calls that began in one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageSample {
    /// Calls made.
    pub calls: u32,
    /// Calls answered, matched and validated.
    pub successes: u32,
    /// See [`LoadSample::dropped`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u32,
    /// Wall time of successful calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall: Option<Latency>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
pub(super) fn is_zero(count: &u32) -> bool {
    *count == 0
}
