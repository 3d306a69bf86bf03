//! How rounds of one server belong to those of another that was measured in turn with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A job whose rounds were measured in turn with those of another server: a round of the same index
/// and phase in the other job is its pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InTurn {
    /// The same in both jobs, and in no others.
    pub id: String,
    /// Which of the two this is.
    pub arm: ArmName,
    /// What the base is, as the user named it: `main`.
    pub against: String,
    /// At most so many pairs were planned before a confirmation.
    pub most_pairs: u32,
}

/// One of two servers that are measured in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArmName {
    /// The one that is compared with.
    Base,
    /// The one that is judged.
    Candidate,
}
