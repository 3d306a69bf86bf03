//! The machine of a run, and which machines' figures may be compared closely.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Job;

/// Machines whose speeds differ by more than this factor are not as fast as each other. Well under
/// the default tolerance of 20 %, since whatever a slower machine adds looks like a slower server;
/// well over the 4 % by which the best rounds of two runs differed on one noisy machine.
const SPEED_FACTOR: f64 = 1.15;

/// What the latencies of two files must share to be compared closely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// `linux`, `macos`.
    pub os: String,
    /// `x86_64`, `aarch64`.
    pub arch: String,
    /// CPU model as the system names it; empty if it does not.
    pub cpu_model: String,
    /// Cores that this process may use.
    pub cores: u32,
    /// Physical memory.
    pub memory_bytes: u64,
    /// Kernel release; not part of the machine class.
    pub kernel: String,
    /// Hosted runner image and version, where one is named by the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_image: Option<String>,
    /// Memory limit of the container or control group, where one is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_memory_limit_bytes: Option<u64>,
    /// CPU limit of the container or control group in thousandths of a core, where one is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_cpu_limit_millicores: Option<u32>,
}

impl Environment {
    /// Whether two machines are described alike; how fast they are is another matter: see
    /// [`Job::same_machine_class`].
    #[must_use]
    pub fn same_hardware(&self, other: &Self) -> bool {
        self.same_size(other) && self.cpu_model == other.cpu_model
    }

    /// Whether two machines differ by no more than the model of their processor and what does not
    /// concern times: then they may move all calls of a server alike.
    #[must_use]
    pub fn same_size(&self, other: &Self) -> bool {
        self.same_runtime_class(other)
            && self.cores == other.cores
            && self.container_cpu_limit_millicores == other.container_cpu_limit_millicores
    }

    /// Memory figures of two machines of the same runtime class are compared as usual.
    #[must_use]
    pub fn same_runtime_class(&self, other: &Self) -> bool {
        self.os == other.os && self.arch == other.arch
    }
}

impl Job {
    /// CPU time that the same fixed work took on this machine in its best round: what the machine
    /// can do. The other rounds tell of its neighbours. `None` where no round tells.
    #[must_use]
    pub fn reference_work_ns(&self) -> Option<u64> {
        self.rounds
            .iter()
            .filter_map(|round| round.reference_work_ns)
            .filter(|&figure| figure > 0)
            .min()
    }

    /// CPU time that filling fresh memory took in the middle one of its rounds: how much the
    /// machine was disturbed while it measured. `None` where no round tells.
    #[must_use]
    pub fn page_work_ns(&self) -> Option<u64> {
        let figures = self.rounds.iter().filter_map(|round| round.page_work_ns);
        let mut figures: Vec<u64> = figures.filter(|&figure| figure > 0).collect();
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied()
    }

    /// How many times as long as on `other`'s machine the same fixed work took on this one;
    /// `None` where one of them does not tell.
    #[must_use]
    pub fn slowness(&self, other: &Self) -> Option<f64> {
        let (here, there) = (self.reference_work_ns()?, other.reference_work_ns()?);
        Some(here as f64 / there as f64)
    }

    /// Latencies of two machines of the same class are compared closely: machines of one
    /// description, and as fast as each other where both tell.
    ///
    /// The description alone does not do: a cloud gives one name to several generations of
    /// processors, and one processor has several speeds.
    #[must_use]
    pub fn same_machine_class(&self, other: &Self) -> bool {
        self.environment.same_hardware(&other.environment) && self.is_as_fast(other)
    }

    /// Whether the machines are as fast as each other, as far as both tell.
    #[must_use]
    pub fn is_as_fast(&self, other: &Self) -> bool {
        self.slowness(other).is_none_or(are_as_fast)
    }
}

/// Whether two machines, one of which takes `factor` times as long for the same work, are as fast as
/// each other.
#[must_use]
pub fn are_as_fast(factor: f64) -> bool {
    factor.max(1.0 / factor) <= SPEED_FACTOR
}
