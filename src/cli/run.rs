//! `mcpgate run`.

use clap::Args;

use super::{
    files, measure,
    options::{self, Format, Measuring, Printing},
};
use crate::{
    error::Error,
    gate,
    report::{self, Context, Report},
    results::Phase,
};

/// Measure a server.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    measuring: Measuring,
    #[command(flatten)]
    printing: Printing,
}

pub(super) async fn run(arguments: Arguments) -> Result<u8, Error> {
    let Arguments {
        measuring,
        printing,
    } = arguments;
    let mut loaded = files::load_config(measuring.config.as_deref())?;
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
    if results.jobs.iter().any(|job| !job.rounds.is_empty()) {
        let report = Report {
            candidate: results,
            base: None,
            judgement: &judgement,
            drift: None,
            context: Context {
                results_path: Some(measuring.output.display().to_string()),
                duration: Some(session.run.elapsed()),
                ..Context::default()
            },
        };
        options::print(&match printing.format {
            Format::Text => report::run_text(results, Some(&judgement), printing.style()),
            Format::Markdown => report::run_markdown(results, Some(&judgement)),
            Format::Json => options::json(report::json(&report))?,
            Format::Html => report::run_html(&report),
        })?;
    }
    match early {
        Some(error) => Err(error),
        None => Ok(judgement.exit_code),
    }
}
