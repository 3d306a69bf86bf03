//! Statistics: pure functions on samples. No clock, no I/O, no randomness.

pub mod adjusted;
