//! What `[[accept]]` can name.

/// A metric as `[[accept]]` names it; latencies and start-up stand for wall time and adjusted time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptedMetric {
    /// `latency_p50`.
    LatencyP50,
    /// `latency_p95`.
    LatencyP95,
    /// `throughput`.
    Throughput,
    /// `startup`.
    Startup,
    /// `peak_memory`.
    PeakMemory,
    /// `memory_growth`.
    MemoryGrowth,
    /// `cpu_per_call`.
    CpuPerCall,
    /// `removed`: the scenario itself may be gone.
    Removed,
    /// One of [`FAILURE_MODES`]: it may be there though the base has it not.
    FailureMode(&'static str),
}

/// The failure modes that probes decide by, as `[[accept]]` and the reports name them.
pub const FAILURE_MODES: [&str; 13] = [
    "answers-mixed-up",
    "lost-updates",
    "first-calls-deadlock",
    "stuck-after-aborts",
    "event-loop-blocked",
    "cpu-bound-serial",
    "large-answer-stall",
    "connections-refused",
    "session-leak-closed",
    "descriptor-leak",
    "thread-leak",
    "does-not-exit",
    "idle-cpu",
];

impl AcceptedMetric {
    /// Every metric, and `removed`.
    pub const ALL: [Self; 8] = [
        Self::LatencyP50,
        Self::LatencyP95,
        Self::Throughput,
        Self::Startup,
        Self::PeakMemory,
        Self::MemoryGrowth,
        Self::CpuPerCall,
        Self::Removed,
    ];

    /// The name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LatencyP50 => "latency_p50",
            Self::LatencyP95 => "latency_p95",
            Self::Throughput => "throughput",
            Self::Startup => "startup",
            Self::PeakMemory => "peak_memory",
            Self::MemoryGrowth => "memory_growth",
            Self::CpuPerCall => "cpu_per_call",
            Self::Removed => "removed",
            Self::FailureMode(name) => name,
        }
    }

    /// Every metric, `removed`, and the failure modes.
    pub const EVERY: [Self; Self::ALL.len() + FAILURE_MODES.len()] = {
        let mut every = [Self::Removed; _];
        let mut at = 0;
        while at < every.len() {
            every[at] = if at < Self::ALL.len() {
                Self::ALL[at]
            } else {
                Self::FailureMode(FAILURE_MODES[at - Self::ALL.len()])
            };
            at += 1;
        }
        every
    };

    /// The names of [`Self::EVERY`], in its order.
    pub const NAMES: [&'static str; Self::EVERY.len()] = {
        let mut names = [""; _];
        let mut at = 0;
        while at < names.len() {
            names[at] = Self::EVERY[at].name();
            at += 1;
        }
        names
    };
}
