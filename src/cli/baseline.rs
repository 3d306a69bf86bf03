//! `mcpgate baseline update`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{compare, files, history, options};
use crate::{
    environment,
    error::{Error, exit_code},
    gate::{acceptance, jobs},
    process::output::printable,
    results::Acceptance,
    store,
};

const EXAMPLES: &str = "\
Examples:
  mcpgate baseline update                               # accepts mcpgate-results.json
  mcpgate baseline update ci-results.json --baseline baselines/perf-baseline.json
  mcpgate baseline update --replace                     # forgets the jobs before
  mcpgate baseline update --force                       # also what got worse; it is recorded";

/// Work with the baseline.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Accept results as the new baseline; refuses results that are bad or have regressed.
    Update(Update),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Update {
    /// The results to accept.
    #[arg(value_name = "RESULTS", default_value = options::RESULTS)]
    results: PathBuf,
    /// The baseline to write.
    #[arg(short, long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Configuration file, for the policy.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Drop the jobs that the baseline holds, also where the results say the same.
    #[arg(long)]
    replace: bool,
    /// Accept all the same; what was overridden is recorded in the baseline.
    #[arg(long)]
    force: bool,
    /// The history that gets a line; without it, the one beside the baseline.
    #[arg(long, value_name = "FILE", conflicts_with = "no_history")]
    history: Option<PathBuf>,
    /// Add no line to the history.
    #[arg(long)]
    no_history: bool,
}

pub(super) fn run(arguments: Arguments) -> Result<u8, Error> {
    let Verb::Update(update) = arguments.verb;
    let loaded = files::load_config(update.config.as_deref())?;
    let path = compare::usual_or_named(update.baseline.as_deref(), &loaded);
    let results = store::read_results(&update.results)?;
    let mut unreadable = None;
    let existing = if path.exists() {
        match store::read_results(&path) {
            Ok(existing) => Some(existing),
            Err(error) if !update.force => return Err(error),
            Err(error) => {
                unreadable = Some(format!("the baseline before could not be read: {error}"));
                None
            }
        }
    } else {
        None
    };
    let mut objections = acceptance::objections(
        &results,
        existing.as_ref(),
        &loaded.config.gate,
        (&loaded.config.accept, &environment::today()),
    );
    objections.extend(unreadable);
    // They hold names out of the files, which may be anybody's.
    for objection in &mut objections {
        *objection = printable(objection);
    }
    if !objections.is_empty() && !update.force {
        return Err(Error::BaselineRefused { objections });
    }
    for objection in &objections {
        options::say(&format!("accepted by --force: {objection}"));
    }
    let history = (!update.no_history).then(|| results.clone());
    let kept = existing.as_ref().filter(|_| !update.replace);
    let (mut baseline, why_replaced) = jobs::added(kept, results, &loaded.config.gate);
    if let Some(why) = why_replaced {
        options::say(&format!("the jobs before are dropped: {}", printable(&why)));
    }
    baseline.accepted = Some(Acceptance {
        at: environment::now_rfc3339(),
        forced_over: objections,
    });
    files::save(&path, &baseline)?;
    let jobs = match baseline.jobs.len() {
        1 => String::new(),
        jobs => format!(", of {jobs} jobs"),
    };
    options::print(&format!(
        "{} is the new baseline{jobs}: commit it\n",
        path.display()
    ))?;
    if let Some(results) = history {
        let usual = || history::beside(&path);
        history::record(&update.history.unwrap_or_else(usual), &results)?;
    }
    Ok(exit_code::OK)
}
