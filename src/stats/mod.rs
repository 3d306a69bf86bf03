//! Statistics: pure functions on samples. No clock, no I/O, no randomness but from a seed.
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
//! | `change_points.rs` | where a series changes: E-divisive |
//! | `monotone.rs` | whether a series goes one way: Mann-Kendall |
//! | `adjusted.rs` | latency less scheduler wait |

pub mod adjusted;
pub mod change_points;
pub mod compact;
pub mod interval;
pub mod location;
pub mod monotone;
pub mod quantile;
pub mod rank;
pub mod sample;
pub mod slope;

pub use quantile::{Summary, summarize};
pub use sample::Sample;
