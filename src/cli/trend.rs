//! `mcpgate trend`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use clap::{Args, builder::PossibleValuesParser};

use super::{
    compare, files, history as recorded,
    options::{self, Form},
};
use crate::{
    error::{Error, exit_code},
    history::{self, Fault, History, METRICS},
    process::output::printable,
    report::{self, TrendReport},
    store,
};

/// Lines that say nothing are named up to this many.
const MOST_FAULTS: usize = 10;
/// Scenarios named to who asked for one that is not there.
const MOST_NAMES: usize = 20;

/// Show the history.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcpgate trend                                    # what decides, beside the baseline
  mcpgate trend --scenario search/sequential -v    # every metric of one scenario
  mcpgate trend --plot trend.svg")]
pub(super) struct Arguments {
    /// The history to show; without it, the one beside the baseline.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Only this scenario, such as `search/sequential`.
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Only this metric; without it, those that decide.
    #[arg(long, value_name = "METRIC", value_parser = PossibleValuesParser::new(METRICS.map(|m| m.name())))]
    metric: Option<String>,
    /// Draw it, too: an SVG file with a panel for each scenario and metric.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Configuration file, for tolerances and floors.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Form of the report.
    #[arg(long, value_enum, default_value = "text")]
    format: Form,
    /// Every metric, also those that decide nothing.
    #[arg(short, long)]
    verbose: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Error> {
    let loaded = files::load_config(arguments.config.as_deref())?;
    let usual = || recorded::beside(&compare::usual_or_named(None, &loaded));
    let path = arguments.history.clone().unwrap_or_else(usual);
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if arguments.plot.as_deref().map(whole) == Some(whole(&path)) {
        return Err(Error::Usage(format!(
            "--plot {}: that is the history itself: give the plot a file of its own",
            path.display()
        )));
    }
    let history = read(&path)?;
    if let Some(scenario) = &arguments.scenario {
        check(scenario, &history, &path)?;
    }
    let trend = history::trend(&history.entries, &loaded.config.gate);
    let at = |entry: Option<&history::Entry>| entry.map(|e| e.at.clone()).unwrap_or_default();
    let report = TrendReport {
        trend: &trend,
        path: path.display().to_string(),
        commits: history.commits(),
        span: (at(history.entries.first()), at(history.entries.last())),
        skipped_lines: history.faults.len(),
        scenario: arguments.scenario.clone(),
        metric: arguments.metric.clone(),
        all_metrics: arguments.verbose,
    };
    options::print(&match arguments.format {
        Form::Text => report::trend_text(&report, options::style(arguments.verbose)),
        Form::Markdown => report::trend_markdown(&report),
        Form::Json => options::made(report::trend_json(&report, &history.faults))?,
    })?;
    if let Some(plot) = &arguments.plot {
        draw(plot, &report)?;
    }
    Ok(exit_code::OK)
}

fn read(path: &Path) -> Result<History, Error> {
    let advice = "`mcpgate baseline update` and `mcpgate run --record` add a line a run";
    let Some(history) = store::read_history(path)? else {
        return Err(Error::Usage(format!(
            "{}: there is no such file; {advice}",
            path.display()
        )));
    };
    tell(path, &history.faults);
    if history.entries.is_empty() {
        return Err(Error::Usage(format!(
            "{}: no run stands there; {advice}",
            path.display()
        )));
    }
    Ok(history)
}

/// Names the lines that no run could be read from.
fn tell(path: &Path, faults: &[Fault]) {
    for Fault { line, problem } in faults.iter().take(MOST_FAULTS) {
        let problem: String = printable(problem).chars().take(300).collect();
        options::say(&format!("{}:{line}: skipped: {problem}", path.display()));
    }
    match faults.len().saturating_sub(MOST_FAULTS) {
        0 => {}
        more => options::say(&format!("{}: and {more} more lines", path.display())),
    }
}

fn check(scenario: &str, history: &History, path: &Path) -> Result<(), Error> {
    let entries = history.entries.iter();
    let names: BTreeSet<&String> = entries.flat_map(|e| e.scenarios.keys()).collect();
    if names.iter().any(|name| *name == scenario) {
        return Ok(());
    }
    let nearest = names
        .iter()
        .map(|name| (strsim::jaro_winkler(name, scenario), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match nearest {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => {
            let some: Vec<String> = names
                .iter()
                .take(MOST_NAMES)
                .map(|n| format!("`{n}`"))
                .collect();
            format!("it has {}", some.join(", "))
        }
    };
    Err(Error::Usage(printable(&format!(
        "{}: no scenario `{scenario}`; {hint}",
        path.display()
    ))))
}

fn draw(plot: &Path, report: &TrendReport<'_>) -> Result<(), Error> {
    let (svg, left_out) = report::trend_plot(report).map_err(|problem| Error::NotDelivered {
        path: plot.to_owned(),
        source: std::io::Error::other(problem),
    })?;
    store::write_atomic(plot, svg.as_bytes())?;
    if left_out > 0 {
        options::say(&format!(
            "{} has the first {} panels, and {left_out} are left out: choose by --scenario or --metric",
            plot.display(),
            report::MOST_PANELS
        ));
    }
    Ok(())
}
