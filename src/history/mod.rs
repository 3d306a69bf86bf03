//! The history: one line of JSON a run, oldest first, in a file that is committed. Pure.
//!
//! | file | what it holds |
//! |---|---|
//! | `entry.rs` | one line: which run, on which machine, and the level of each metric |
//! | `file.rs` | the lines of a file: read, and with one more |
//! | `ground.rs` | which runs may be compared with each other |
//! | `trend.rs` | series, their change points, and where the machine changed |
//! | `drift.rs` | what grows by little, run by run |

mod drift;
mod entry;
mod file;
mod ground;
#[cfg(test)]
pub(crate) mod test_support;
mod trend;

pub use drift::SlowDrift;
pub use entry::{Entry, Figures, METRICS, Machine, SCHEMA_VERSION, entries_of};
pub use file::{Added, Fault, History, MOST_BYTES, MOST_LINES, added, all_added, read};
pub use ground::machine_in_words;
pub use trend::{Change, MachineChange, Point, Segment, Series, Trend, slow_drifts, trend};
