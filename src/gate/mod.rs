//! The decision: results and policy in, a [`Judgement`] out. Pure.
//!
//! | file | what it holds |
//! |---|---|
//! | `judge.rs` | [`judge()`] and [`judge_alone`]: all comparisons, budgets and findings to one verdict |
//! | `comparability.rs` | what two files may be compared by: protocol, transport, machine, suite |
//! | `presence.rs` | scenarios that vanished, never ran or never succeeded |
//! | `compare.rs` | which metrics of a scenario are compared, in which roles |
//! | `server.rs` | start-up and peak memory |
//! | `evidence.rs` | from rounds to the figures that are weighed |
//! | `rule.rs` | the rule for one metric: figures in, verdict out |
//! | [`sequence`] | side by side: after how many pairs of rounds is judged, and with what error |
//! | [`turns`] | side by side: which arm goes first, what goes on after a look |
//! | [`calibration`] | comparisons of a server with itself: how often the gate errs |
//! | `common_shift.rs` | a shift that all scenarios share |
//! | `diagnoses.rs` | which named failure modes are new against the base |
//! | `other_machine.rs` | what another class of machine does to a server, as the suite itself shows it |
//! | `overload.rs` | where mcpgate itself set the pace |
//! | `guard.rs` | noisy metrics beside the one that gates |
//! | `policy.rs` | tolerances, floors and the stated constants |
//! | `errors.rs`, `growth.rs` | error rate and memory growth, compared by difference |
//! | `accepted.rs` | regressions that somebody answers for |
//! | `acceptance.rs`, `renewal.rs` | whether results may, and are to, become the baseline |
//! | [`jobs`] | the jobs that a baseline keeps |
//! | `levels.rs` | the typical figures of one job, for a history |
//! | `work.rs` | how much a round does, since memory grows with work |
//! | `budget.rs` | absolute limits |
//!
//! `docs/decision.md` explains the rule to its users.

use std::fmt;

use crate::{diagnosis::Diagnosis, results::ScenarioRecord};

pub mod acceptance;
mod accepted;
mod budget;
pub mod calibration;
mod common_shift;
mod comparability;
mod compare;
mod diagnoses;
mod errors;
mod evidence;
mod growth;
mod guard;
pub mod jobs;
mod judge;
mod levels;
mod other_machine;
mod overload;
mod policy;
mod presence;
pub mod renewal;
mod rule;
pub mod sequence;
mod server;
pub mod turns;
mod work;

#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;

pub use accepted::{accept, accepted_as, accepted_by};
pub use comparability::{Outlook, outlook};
pub use diagnoses::must_probe_again;
pub use evidence::round_figures;
pub use judge::{
    alarmed_scenarios, gating_figures, judge, judge_alone, judge_in_turn, judge_so_far,
    undecided_scenarios,
};
pub use levels::{Level, decides, scenario_levels, server_levels};
pub use policy::{floor, tolerance};

/// [`Comparison::scenario`] and [`BudgetCheck::scenario`] of start-up and peak memory.
pub const SERVER: &str = "server";

/// One of the five answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Worse by less than the tolerance, with evidence.
    Pass,
    /// Better by more than the tolerance, with evidence.
    Improved,
    /// Worse by more than the tolerance, with evidence.
    Regressed,
    /// The evidence does not decide.
    Inconclusive,
    /// There is nothing to judge.
    NotMeasured,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Median wall time of a call.
    LatencyP50,
    /// 95th percentile of the wall time of a call.
    LatencyP95,
    /// Median of wall time less scheduler wait.
    LatencyP50Adjusted,
    /// 95th percentile of wall time less scheduler wait.
    LatencyP95Adjusted,
    /// Successful calls per second.
    Throughput,
    /// Share of calls that failed.
    ErrorRate,
    /// From starting the process to its first answer.
    Startup,
    /// The same less scheduler wait.
    StartupAdjusted,
    /// Highest memory of the process tree.
    PeakMemory,
    /// Growth of memory with calls.
    MemoryGrowth,
    /// CPU time of the server for each call.
    CpuPerCall,
}

impl Metric {
    /// The name used in files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LatencyP50 => "latency_p50",
            Self::LatencyP95 => "latency_p95",
            Self::LatencyP50Adjusted => "latency_p50_adjusted",
            Self::LatencyP95Adjusted => "latency_p95_adjusted",
            Self::Throughput => "throughput",
            Self::ErrorRate => "error_rate",
            Self::Startup => "startup",
            Self::StartupAdjusted => "startup_adjusted",
            Self::PeakMemory => "peak_memory",
            Self::MemoryGrowth => "memory_growth",
            Self::CpuPerCall => "cpu_per_call",
        }
    }

    /// The unit of [`Comparison::base`] and [`Comparison::candidate`].
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::LatencyP50
            | Self::LatencyP95
            | Self::LatencyP50Adjusted
            | Self::LatencyP95Adjusted
            | Self::Startup
            | Self::StartupAdjusted
            | Self::CpuPerCall => Unit::Nanoseconds,
            Self::Throughput => Unit::CallsPerSecond,
            Self::ErrorRate => Unit::Fraction,
            Self::PeakMemory => Unit::Bytes,
            Self::MemoryGrowth => Unit::BytesPer1000Calls,
        }
    }

    /// `true` where a smaller figure is the worse one.
    #[must_use]
    pub fn more_is_better(self) -> bool {
        matches!(self, Self::Throughput)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Shown as µs, ms or s.
    Nanoseconds,
    /// Shown as kB, MB.
    Bytes,
    /// Shown as kB or MB per 1,000 calls.
    BytesPer1000Calls,
    /// Shown with one decimal.
    CallsPerSecond,
    /// Shown in percent.
    Fraction,
}

/// What a comparison may do to the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Judged at the tolerance.
    Gates,
    /// Noisy: can only fail at a confirmed 2 x, and can turn a pass into inconclusive.
    Guards,
    /// Shown only.
    Reported,
}

/// One scenario, one metric.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Comparison {
    /// Scenario name; `server` for start-up and peak memory.
    pub scenario: String,
    /// The tool, where the scenario calls one.
    pub tool: Option<String>,
    /// What is compared.
    pub metric: Metric,
    /// What it may do to the verdict.
    pub role: Role,
    /// The answer for this comparison alone.
    pub verdict: Verdict,
    /// Typical figure of the base, in [`Metric::unit`].
    pub base: Option<f64>,
    /// Typical figure of the candidate, in [`Metric::unit`].
    pub candidate: Option<f64>,
    /// Candidate / base; for `memory_growth` and `error_rate` absent (they are compared by
    /// difference).
    pub ratio: Option<f64>,
    /// Interval of the ratio at the confidence that decides `regressed`.
    pub interval: Option<Interval>,
    /// How much worse it may get, as a fraction.
    pub tolerance: f64,
    /// Smallest ratio (worse direction) that this evidence could have called regressed with 90 %
    /// power; absent where no interval could be had.
    pub smallest_detectable_ratio: Option<f64>,
    /// The change of `memory_growth` and `error_rate`; absent for others, and without figures.
    pub difference: Option<Difference>,
    /// Rounds behind the base figure.
    pub base_rounds: usize,
    /// Rounds behind the candidate figure.
    pub candidate_rounds: usize,
    /// Inconclusive, and more planned rounds could change that; not for files.
    #[serde(skip)]
    pub more_rounds_could_decide: bool,
    /// A pass that rules out a gross change and no more: the figure is too noisy for its tolerance.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_coarse: bool,
    /// Why, in words, without the figures that stand beside it.
    pub reason: String,
}

/// Candidate − base, in [`Metric::unit`].
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Difference {
    /// How much it is.
    pub estimate: f64,
    /// Its interval at the confidence that decides `regressed`; absent where so few figures have none.
    pub interval: Option<Interval>,
    /// Smallest increase that this evidence could have called regressed with 90 % power.
    pub smallest_detectable: Option<f64>,
}

/// Lower and upper bound.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// One absolute limit.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct BudgetCheck {
    /// Scenario name; `server` for start-up and peak memory.
    pub scenario: String,
    /// What is limited.
    pub metric: Metric,
    /// The limit, in [`Metric::unit`].
    pub limit: f64,
    /// Typical figure, in [`Metric::unit`].
    pub value: Option<f64>,
    /// Whether it holds.
    pub outcome: BudgetOutcome,
    /// `true`: breaking it fails. So for limits that the user set, and for the default error rate,
    /// since failed calls measure nothing. Other defaults warn.
    pub binding: bool,
}

/// Whether a budget holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BudgetOutcome {
    /// It holds.
    Held,
    /// It is broken, beyond the noise of the figure.
    Broken,
    /// The figure is over the limit, but within its noise of it.
    Near,
    /// No figure.
    NotMeasured,
}

/// Something about the whole comparison that a reader must know.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// The scenario it is about, where it is about one.
    pub scenario: Option<String>,
    /// One sentence.
    pub text: String,
}

/// Weight of a [`Finding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Makes the judgement inconclusive.
    Doubt,
    /// Fails: a scenario vanished, or measured nothing.
    Failure,
}

/// A diagnosis of the candidate, beside the base.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Diagnosed {
    /// What was found.
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
    /// Whether it is new.
    pub standing: Standing,
    /// What it makes of the verdict, where it does: `regressed` where it is new and was shown by every
    /// one of several sets of probes, `inconclusive` where there was one set only, `improved` where it
    /// is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// How a diagnosis stands to the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The base was asked the same and does not show it.
    New,
    /// The base shows it as well.
    Known,
    /// The base shows it, and the candidate was asked the same and does not.
    Gone,
    /// As [`Self::New`], and somebody answers for it (`[[accept]]`).
    Accepted,
    /// There is no base, or it was not asked the same.
    Unknown,
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Judgement {
    /// Regressed beats not-measured beats inconclusive beats improved beats pass. Budgets do not
    /// enter it, only the exit code: a broken budget that the user set can stand beside a pass.
    pub verdict: Verdict,
    /// In suite order.
    pub comparisons: Vec<Comparison>,
    /// In suite order.
    pub budgets: Vec<BudgetCheck>,
    /// Heaviest first.
    pub findings: Vec<Finding>,
    /// Named failure modes that the candidate's figures show, gravest first, then those of the base that
    /// are gone. Only what probes show enters the verdict ([`Diagnosed::verdict`]): what the others
    /// cost stands in a comparison or a budget, with its noise.
    pub diagnoses: Vec<Diagnosed>,
    /// Scenarios of the baseline that this run does not have and does not say why.
    pub missing: Vec<ScenarioRecord>,
    /// The process exit code that the verdict, the budgets and the policy amount to.
    pub exit_code: u8,
}
