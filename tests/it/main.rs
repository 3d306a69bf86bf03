//! End-to-end tests: the `mcpgate` binary as a person uses it.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests end a test by panicking, as tests do"
)]

mod command_line;
mod harness;
mod machine;
mod readme;
mod real_servers;
mod survivors;
mod tidy;
