//! End-to-end tests: the `mcpgate` binary as a person uses it.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests end a test by panicking, as tests do"
)]

mod action;
mod baseline;
mod calibration;
mod command_line;
mod conformance;
mod eras;
mod exit_codes;
mod faults;
mod first_matrix;
mod first_steps;
mod formats;
mod github;
mod guides;
mod harness;
mod history;
mod hostile;
mod html;
mod interrupts;
mod loads;
mod losses;
mod machine;
mod manual;
mod matrix;
mod pattern;
mod probes;
mod process_care;
mod readme;
mod real_servers;
mod reference;
mod reference_page;
mod remote;
mod rows;
mod samples;
mod side_by_side;
mod survivors;
mod terminal;
mod tidy;
