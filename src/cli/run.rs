//! `mcpgate run`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    compare, files,
    formats::{Kind, Printing},
    history, measure,
    options::{self, Measuring},
};
use crate::{
    error::Error,
    gate,
    report::{Context, Report},
    results::Phase,
};

/// Measure a server.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcpgate run -- node dist/index.js
  mcpgate run --url 'http://127.0.0.1:{port}/mcp' -- node dist/index.js --port '{port}'
  mcpgate run --url http://127.0.0.1:3000/mcp           # a server that you started
  mcpgate run --tool search --suite quick               # of the server in mcpgate.toml
  mcpgate run --report junit.xml --report benchmark=bench.json")]
pub(super) struct Arguments {
    #[command(flatten)]
    measuring: Measuring,
    /// Add a line to the history, where `mcpgate trend` finds it.
    #[arg(long)]
    record: bool,
    /// The history for `--record`; without it, the one beside the baseline.
    #[arg(long, value_name = "FILE", requires = "record")]
    history: Option<PathBuf>,
    #[command(flatten)]
    printing: Printing,
}

pub(super) async fn run(arguments: Arguments) -> Result<u8, Error> {
    let Arguments {
        measuring,
        record,
        history: named,
        printing,
    } = arguments;
    let mut loaded = files::load_config(measuring.config.as_deref())?;
    let baseline = compare::usual_or_named(None, &loaded);
    printing.check(measuring.files().chain([baseline.as_path()]))?;
    let server = measure::merge(&measuring, &mut loaded)?;
    let mut session = measure::prepare(&measuring, &server, &loaded, None).await?;
    let rounds = session.rounds();
    let mut early = session.measure_rounds(Phase::Measure, rounds).await?;
    if early.is_none() {
        early = session.measure_soaks(Phase::Measure).await?;
    }
    if early.is_none() {
        early = session.measure_loads().await?;
    }
    if early.is_none() {
        early = session.measure_probes().await?;
    }
    session.run.progress.finish();
    let results = &session.arm.results;
    let judgement = gate::judge_alone(results, &loaded.config.gate);
    let code = compare::ended(early.as_ref(), &judgement);
    let mut delivered = Ok(code);
    if results.jobs.iter().any(|job| !job.rounds.is_empty()) {
        let report = Report {
            candidate: results,
            base: None,
            judgement: &judgement,
            drift: None,
            context: Context {
                results_path: Some(measuring.output.display().to_string()),
                exit_code: Some(code),
                duration: Some(session.run.elapsed()),
                ..Context::default()
            },
        };
        delivered = printing.deliver(&report, Kind::Run, code);
        if early.is_none() && !measuring.quiet {
            options::say(&next(&measuring.output, &baseline));
        }
    }
    // Also where a report could not be written: nothing else adds this run.
    if record && early.is_none() {
        let usual = || history::beside(&baseline);
        history::record(&named.unwrap_or_else(usual), results)?;
    }
    let code = delivered?;
    match early {
        Some(error) => Err(error),
        None => Ok(code),
    }
}

/// What comes next.
fn next(results: &Path, baseline: &Path) -> String {
    let results = results.display();
    if baseline.exists() {
        format!("All figures: {results}\nNext: `mcpgate compare` compares with the baseline")
    } else {
        format!("All figures: {results}\nNext: `mcpgate baseline update` makes them the baseline")
    }
}
