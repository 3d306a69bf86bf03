//! The calibration file: what comparisons of a server with itself showed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Environment, ServerRecord};

/// How often a gate errs, and what it can see, on one server and one kind of machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Version of this schema; see [`super::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The mcpgate that wrote the file.
    pub mcpgate_version: String,
    /// Who was measured.
    pub server: ServerRecord,
    /// SHA-256 (first 16 hex digits) over all scenario definitions.
    pub suite_hash: String,
    /// The machine.
    pub environment: Environment,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// One for each planted change; that of 1 is the null control.
    pub controls: Vec<Control>,
}

/// Comparisons of a server with itself, the candidate being made slower by a known factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// How many times as slow the candidate was made.
    pub factor: f64,
    /// Seed of the first suite; each further one has the next.
    pub seed: u64,
    /// Suites that were measured and judged.
    pub suites: u32,
    /// Of these, those called regressed.
    pub regressed: u32,
    /// Of these, those called improved.
    pub improved: u32,
    /// Of these, those called inconclusive.
    pub inconclusive: u32,
    /// How long a suite took to measure: the median, in seconds.
    pub seconds: f64,
    /// Scenarios that can fail the build, in suite order.
    pub scenarios: Vec<CalibratedScenario>,
    /// Their figures.
    pub figures: Vec<CalibratedFigure>,
}

/// One scenario, whatever of it was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalibratedScenario {
    /// Scenario name; `server` for start-up and peak memory.
    pub scenario: String,
    /// Suites in which it was judged.
    pub suites: u32,
    /// Of these, those that called any of its figures regressed.
    pub regressed: u32,
}

/// One scenario, one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalibratedFigure {
    /// Scenario name; `server` for start-up and peak memory.
    pub scenario: String,
    /// As in reports: `latency_p50_adjusted`.
    pub metric: String,
    /// Suites in which it was judged.
    pub suites: u32,
    /// Of these, those that called it regressed.
    pub regressed: u32,
    /// Of these, those that called it improved.
    pub improved: u32,
    /// Of these, those that did not decide it.
    pub inconclusive: u32,
    /// Pairs that it took: the median.
    pub pairs: f64,
    /// Smallest ratio (worse direction) that could have been seen, nine times in ten: the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smallest_detectable_ratio: Option<f64>,
}
