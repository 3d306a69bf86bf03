//! mcpgate: the performance gate for MCP (Model Context Protocol) servers.
//!
//! A pure core inside a thin shell.
//!
//! | room | kind | what it holds |
//! |---|---|---|
//! | [`suite`] | pure | what is to be run: configuration, scenarios, templates |
//! | [`stats`] | pure | quantiles, intervals, slopes, adjusted latency |
//! | [`results`] | pure | the results file, which is also the baseline file |
//! | [`diagnosis`] | pure | results in, named failure modes and advice out |
//! | [`gate`] | pure | results and policy in, judgement out |
//! | [`history`] | pure | one line a run: change points, slow drift, changes of machine |
//! | [`report`] | pure | a judgement or results as text, Markdown, HTML or JSON |
//! | [`mcp`] | shell | the protocol: stdio and streamable HTTP, both eras |
//! | [`process`] | shell | starting, sampling and stopping server processes |
//! | [`runner`] | shell | rounds: from a suite to results |
//! | [`reference_server`] | shell | the bundled server and its faults |
//! | [`github`] | shell | what decides on a pull request, and the comment that says so |
//! | [`git`] | shell | the clone: commits, files at a commit, work trees |
//! | [`store`] | shell | reading and atomically writing files |
//! | [`environment`] | shell | what machine this is |
//! | [`cli`] | shell | one file a verb |
//!
//! The pure rooms touch no file, clock, environment or process; `clippy.toml` and
//! `tests/it/tidy.rs` keep it so. `results` and `stats` import nothing of ours; `suite`
//! imports `results`; `diagnosis` imports `results` and `stats`; `gate` imports those four; `history`
//! imports `gate`, `results`, `stats` and `suite`; `report` imports `gate`, `history`, `diagnosis`,
//! `results` and `suite`.

pub mod cli;
pub mod diagnosis;
pub mod environment;
pub mod error;
pub mod gate;
pub mod git;
pub mod github;
pub mod history;
pub mod mcp;
pub mod process;
pub mod reference_server;
pub mod report;
pub mod results;
pub mod runner;
pub mod stats;
pub mod store;
pub mod suite;

#[cfg(not(unix))]
compile_error!(
    "mcpgate does not support Windows yet: it starts and ends servers by Unix process groups"
);
