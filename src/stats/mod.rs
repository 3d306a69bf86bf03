//! Statistics: pure functions on samples. No clock, no I/O, no randomness.
//!
//! | file | what it holds |
//! |---|---|
//! | `sample.rs` | [`Sample`]: finite figures in order, never empty |
//! | `quantile.rs` | the one definition of a latency quantile, and [`summarize`] |
//! | `compact.rs` | latencies in four bytes each |
//! | `location.rs` | median, trimmed mean with its error, Hodges-Lehmann |
//! | `interval.rs` | Yuen-Welch difference, Student and normal quantiles, Clopper-Pearson |
//! | `rank.rs` | exact Mann-Whitney probability for small samples |
//! | `slope.rs` | Theil-Sen slope |
//! | `adjusted.rs` | latency less scheduler wait |

pub mod adjusted;
pub mod compact;
pub mod interval;
pub mod location;
pub mod quantile;
pub mod rank;
pub mod sample;
pub mod slope;

pub use quantile::{Summary, summarize};
pub use sample::Sample;
