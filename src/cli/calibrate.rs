//! `mcpgate calibrate`: the null control, and how much power there is.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{
    against::Wanted,
    compare,
    files::{self, Loaded},
    measure,
    options::{self, Measuring, RESULTS},
    side_by_side::SideBySide,
};
use crate::{
    environment,
    error::{Error, exit_code},
    gate::{
        self,
        calibration::{self, Judged},
        turns,
    },
    report,
    results::{Calibration, Control, Results, SCHEMA_VERSION},
    store,
    suite::{ServerConfig, probes::ProbesConfig},
};

/// Compare a server with itself, again and again: how often the gate errs, and what it can see.
#[derive(Debug, Args)]
#[command(
    after_help = "Each suite is a comparison of the server with itself, measured as \
        `compare --against` does. What is found goes into perf-calibration.json beside the baseline \
        (of a baseline NAME.json into NAME.calibration.json); a scenario that is called regressed too \
        often is reported only from then on.\n\n\
        Examples:\n  mcpgate calibrate 20\n  mcpgate calibrate 20 --inject 1.3    # how often 30 % is found"
)]
pub(super) struct Arguments {
    /// Suites to be measured.
    #[arg(value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=1000))]
    suites: u32,
    /// Makes one arm so many times as slow: how often is that found?
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    inject: Option<f64>,
    /// The baseline beside which the file goes.
    #[arg(short, long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    #[command(flatten)]
    measuring: Measuring,
    /// Form of the report.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Every row, also those that are as they should be.
    #[arg(short, long)]
    verbose: bool,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Markdown,
    Html,
}

fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor > 1.0 && factor <= 100.0 => Ok(factor),
        Ok(_) | Err(_) => Err("write a number above 1 and up to 100, such as 1.3".to_owned()),
    }
}

/// Where the calibration of a baseline is.
pub(super) fn beside(baseline: &Path) -> PathBuf {
    files::beside(baseline, "perf-calibration.json", ".calibration.json")
}

pub(super) async fn run(mut arguments: Arguments) -> Result<u8, Error> {
    // What is measured here is no candidate, and with --inject no truth: it does not take the place of
    // a run's results unless somebody names a file for it.
    let aside = tempfile::tempdir()
        .map_err(|error| Error::Usage(format!("no temporary folder can be made: {error}")))?;
    if arguments.measuring.output == Path::new(RESULTS) {
        arguments.measuring.output = aside.path().join(RESULTS);
    }
    let measuring = &arguments.measuring;
    let mut loaded = files::load_config(measuring.config.as_deref())?;
    let baseline = compare::usual_or_named(arguments.baseline.as_deref(), &loaded);
    let path = beside(&baseline);
    // One that cannot be read is found now, and not after an hour.
    let earlier = store::read_calibration(&path)?;
    // It says what is measured, as in a comparison: else the two could be of different suites.
    let stored = match baseline.exists() {
        true => Some(store::read_results(&baseline)?),
        false => None,
    };
    // They are the same on both sides, and decide by themselves.
    loaded.config.probes = ProbesConfig::none();
    let server = measure::merge(measuring, &mut loaded)?;
    let started_at = environment::now_rfc3339();
    let seed = loaded.config.suite.seed;
    let rounds = loaded.config.suite.rounds;
    let mut judged: Vec<Judged> = Vec::new();
    let mut last = None;
    let mut ended_by = None;
    for number in 0..arguments.suites {
        loaded.config.suite.seed = seed.wrapping_add(u64::from(number));
        loaded.config.suite.rounds = rounds;
        if !measuring.quiet {
            options::say(&format!("suite {} of {}", number + 1, arguments.suites));
        }
        match suite(&arguments, &mut loaded, &server, stored.as_ref()).await {
            Ok((judgement, results)) => {
                judged.push(judgement);
                last = Some(results);
            }
            Err(error) => {
                ended_by = Some(error);
                break;
            }
        }
    }
    if let Some(results) = last {
        let control = calibration::control(&judged, arguments.inject.unwrap_or(1.0), seed);
        let calibration = merged(earlier, control, &results, started_at);
        store::write_calibration(&path, &calibration)?;
        options::print(&match arguments.format {
            Format::Text => {
                report::calibration_text(&calibration, options::style(arguments.verbose))
            }
            Format::Markdown => report::calibration_markdown(&calibration),
            Format::Json => store::calibration_text(&calibration),
            Format::Html => report::calibration_html(&calibration),
        })?;
        options::say(&format!("written: {}", path.display()));
    }
    match ended_by {
        Some(error) => Err(error),
        None => Ok(exit_code::OK),
    }
}

async fn suite(
    arguments: &Arguments,
    loaded: &mut Loaded,
    server: &ServerConfig,
    stored: Option<&Results>,
) -> Result<(Judged, Results), Error> {
    let itself = Wanted::Itself(server.command.clone().unwrap_or_default());
    let measuring = &arguments.measuring;
    let mut both = SideBySide::prepare(measuring, itself, loaded, server, stored).await?;
    both.candidate.plan.slowed_by = arguments.inject;
    let policy = &loaded.config.gate;
    let early = both.measure(policy).await?;
    both.run.progress.finish();
    if let Some(error) = early {
        return Err(error);
    }
    let (base, candidate) = (&both.base.results, &both.candidate.results);
    let judgement = match turns::measured_in_turn(base, candidate) {
        Some((sequence, _)) => gate::judge_in_turn(base, candidate, policy, &sequence),
        None => gate::judge(base, candidate, policy),
    };
    let seconds = both.run.elapsed().as_secs_f64();
    Ok(((judgement, seconds), both.candidate.results))
}

/// Controls of the same server, suite and machine are kept, each factor once.
fn merged(
    earlier: Option<Calibration>,
    control: Control,
    results: &Results,
    started_at: String,
) -> Calibration {
    let environment = results.jobs.first().map(|job| job.environment.clone());
    let mut calibration = Calibration {
        schema_version: SCHEMA_VERSION,
        mcpgate_version: env!("CARGO_PKG_VERSION").to_owned(),
        server: results.server.clone(),
        suite_hash: results.suite.hash.clone(),
        environment: environment.unwrap_or_else(environment::describe),
        started_at,
        controls: Vec::new(),
    };
    let same = |earlier: &Calibration| {
        earlier.suite_hash == calibration.suite_hash
            && earlier.server == calibration.server
            && earlier.environment.same_hardware(&calibration.environment)
            && earlier.mcpgate_version == calibration.mcpgate_version
    };
    let kept = earlier.filter(same).map(|earlier| earlier.controls);
    calibration.controls = kept.unwrap_or_default();
    calibration
        .controls
        .retain(|known| (known.factor - control.factor).abs() > 1e-9);
    calibration.controls.push(control);
    calibration
        .controls
        .sort_by(|a, b| a.factor.total_cmp(&b.factor));
    calibration
}
