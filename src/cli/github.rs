//! `mcpgate github`: the steps around a comparison in a GitHub workflow.

mod prepare;
mod publish;
mod refresh;

use clap::{Args, Subcommand};

use crate::{environment, error::Error, github::runner::Runner};

/// Steps of a GitHub workflow.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples, as the action runs them:
  mcpgate github prepare --dir \"$RUNNER_TEMP/mcpgate\"
  mcpgate compare --prepared \"$RUNNER_TEMP/mcpgate\"
  mcpgate github publish --dir \"$RUNNER_TEMP/mcpgate\"")]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Before measuring: fetch from the base what decides: its policy and its baseline.
    Prepare(prepare::Arguments),
    /// After measuring: summary, annotations, outputs, and the comment on the pull request.
    Publish(publish::Arguments),
    /// After measuring a push to the main branch: propose its results as the baseline, if need be.
    Refresh(refresh::Arguments),
}

pub(super) async fn run(arguments: Arguments) -> Result<u8, Error> {
    match arguments.verb {
        Verb::Prepare(arguments) => prepare::run(&arguments).await,
        Verb::Publish(arguments) => publish::run(&arguments).await,
        Verb::Refresh(arguments) => refresh::run(&arguments).await,
    }
}

fn runner() -> Result<Runner, Error> {
    Runner::from_environment(environment::variable).map_err(Error::Usage)
}
