//! The command line: one file a verb.
//!
//! Reports go to standard output, progress and errors to standard error. Every verb returns an
//! exit code or an [`Error`]; only [`main`] turns either into the process's end, so that servers
//! are ended on every way out.

mod against;
mod base_tree;
mod baseline;
mod calibrate;
mod choose;
mod compare;
mod demo;
mod doctor;
mod files;
mod formats;
mod github;
mod history;
mod init;
mod manual;
mod mask;
mod measure;
mod options;
mod progress;
pub mod reference;
mod report;
mod run;
mod samples;
mod schema;
mod session;
mod side_by_side;
mod signal;
mod trend;

use std::process::ExitCode;

use clap::{ColorChoice, Parser, Subcommand};

use crate::{error::Error, process, reference_server};

/// The performance gate for MCP servers: measures tool calls, compares with a baseline, and says
/// pass, regressed, improved, inconclusive or not measured.
#[derive(Debug, Parser)]
#[command(name = "mcpgate", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Colours: `auto` is off where standard output is no terminal or NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
}

const EXIT_CODES: &str = "\
Examples:
  mcpgate demo                             # what it does, on a bundled server
  mcpgate init -- node dist/index.js       # a first mcpgate.toml
  mcpgate run && mcpgate baseline update   # a first baseline
  mcpgate compare --against main           # this work tree against main's server

Exit codes:
  0  pass or improved
  1  regressed, a budget broken, or a scenario that failed or vanished
  2  usage, configuration or baseline file
  3  could not measure: the server did not start, was lost, or nothing ran
  4  inconclusive, only with `inconclusive = \"fail\"` in `[gate]`
  5  a report or results file could not be written";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show what mcpgate does, on a bundled server: a pass, then a planted regression.
    Demo(demo::Arguments),
    /// Ask a server for its tools and write a first mcpgate.toml.
    Init(init::Arguments),
    /// Check machine, configuration, server, baseline and permissions, and say what to do.
    Doctor(doctor::Arguments),
    /// Measure a server: results as JSON, and a table.
    Run(run::Arguments),
    /// Measure and compare with the baseline, or compare two results files.
    Compare(compare::Arguments),
    /// Report on results that were measured before, in any format; nothing is measured.
    Report(report::Arguments),
    /// Compare a server with itself: how often the gate errs, and what it can see.
    Calibrate(calibrate::Arguments),
    /// Work with the committed baseline.
    Baseline(baseline::Arguments),
    /// Show the history of the figures: where they changed, at which commit, and what drifts.
    Trend(trend::Arguments),
    /// Steps of a GitHub workflow, around `compare --prepared`.
    Github(github::Arguments),
    /// Print the JSON schema of the results file.
    #[command(after_help = "Example:\n  mcpgate schema > mcpgate-results.schema.json")]
    Schema,
    /// Print a completion script for bash, zsh, fish, elvish or PowerShell.
    Completions(manual::Completions),
    /// Print the manual page, or write a page for each verb.
    Man(manual::Manual),
    /// Run the bundled MCP server, with faults that can be switched on.
    ReferenceServer(reference_server::Options),
    /// Ends servers that a killed mcpgate left behind; started by mcpgate itself.
    #[command(name = "__guard", hide = true)]
    Guard,
}

/// Parses the command line, runs the verb, and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.color {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    }
    .write_global();
    let outcome = match cli.verb {
        Verb::ReferenceServer(options) => return reference_server::run(options),
        Verb::Guard => return process::guard::run(),
        Verb::Schema => schema::run(),
        Verb::Completions(arguments) => manual::completions(&arguments),
        Verb::Man(arguments) => manual::manual(&arguments),
        Verb::Demo(arguments) => on_one_thread(demo::run(arguments)),
        Verb::Init(arguments) => on_one_thread(init::run(arguments)),
        Verb::Doctor(arguments) => on_one_thread(doctor::run(arguments)),
        Verb::Run(arguments) => on_one_thread(run::run(arguments)),
        Verb::Calibrate(arguments) => on_one_thread(calibrate::run(arguments)),
        Verb::Compare(arguments) => on_one_thread(compare::run(arguments)),
        Verb::Github(arguments) => on_one_thread(github::run(arguments)),
        Verb::Baseline(arguments) => baseline::run(arguments),
        Verb::Report(arguments) => report::run(&arguments),
        Verb::Trend(arguments) => trend::run(&arguments),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            options::print_error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Everything is measured on the thread that runs this: its scheduler wait is mcpgate's own.
fn on_one_thread(work: impl Future<Output = Result<u8, Error>>) -> Result<u8, Error> {
    process::become_subreaper();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::NotMeasured(format!("no runtime could be made: {e}")))?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_help_has_every_exit_code() {
        let listed: String = crate::error::exit_code::ALL
            .iter()
            .map(|(code, meaning)| format!("\n  {code}  {meaning}"))
            .collect();
        let codes = super::EXIT_CODES.split_once("Exit codes:").unwrap().1;
        assert_eq!(codes, listed);
    }

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
