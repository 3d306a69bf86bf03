//! `mcpgate compare`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    files::{self, BASELINE, Loaded},
    measure::{self, CONFIRMING_ROUNDS},
    options::{self, Format, Measuring, Printing},
    session::{Early, Session},
};
use crate::{
    environment,
    error::Error,
    gate::{self, Judgement},
    github::prepared::Folder,
    report::{self, Context, Report},
    results::{Phase, Results},
    store,
    suite::{Config, GateConfig},
};

/// Measure and compare, or compare two files.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Two results files, base and candidate: nothing is measured then.
    #[arg(value_name = "FILE", num_args = 2, conflicts_with_all = ["baseline", "command", "url"])]
    files: Vec<PathBuf>,
    /// The baseline to compare with.
    #[arg(short, long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Folder that `mcpgate github prepare` wrote: its baseline and policy decide, and the results
    /// go into it.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["files", "baseline"])]
    prepared: Option<PathBuf>,
    #[command(flatten)]
    measuring: Measuring,
    #[command(flatten)]
    printing: Printing,
}

pub(super) async fn run(mut arguments: Arguments) -> Result<u8, Error> {
    let Some(dir) = arguments.prepared.take() else {
        return compare(arguments, None).await;
    };
    let folder = Folder::at(&dir);
    arguments.measuring.output = folder.results();
    let outcome = compare(arguments, Some(&folder)).await;
    if let Err(error) = &outcome {
        folder.write_error(error)?;
    }
    outcome
}

async fn compare(arguments: Arguments, prepared: Option<&Folder>) -> Result<u8, Error> {
    let mut loaded = files::load_config(arguments.measuring.config.as_deref())?;
    if let [base, candidate] = &arguments.files[..] {
        return compare_files(base, candidate, &loaded.config, &arguments.printing);
    }
    let baseline_path;
    let base;
    if let Some(folder) = prepared {
        let record = folder.read()?;
        loaded.config.gate = folder.policy(&record)?;
        base = folder.base(&record)?;
        baseline_path = PathBuf::from(record.baseline_path);
    } else {
        baseline_path = usual_or_named(arguments.baseline.as_deref(), &loaded);
        base = match store::read_results(&baseline_path) {
            Ok(base) => Some(base),
            Err(error) if arguments.baseline.is_some() || baseline_path.exists() => {
                return Err(error);
            }
            Err(_) => None,
        };
    }
    let measuring = &arguments.measuring;
    let server = measure::merge(measuring, &mut loaded)?;
    let mut session = measure::prepare(measuring, &server, &loaded, base.as_ref()).await?;
    if base.is_none() {
        session.say(&format!(
            "there is no baseline at {} yet: measuring without one",
            baseline_path.display()
        ));
    }
    let early = measure_against(&mut session, base.as_ref(), &loaded.config.gate).await?;
    session.end_progress();
    let judgement = gate::accept(
        judge(base.as_ref(), &session.results, &loaded.config.gate),
        &loaded.config.accept,
        &environment::today(),
        &loaded.config.gate,
    );
    if session
        .results
        .jobs
        .iter()
        .any(|job| !job.rounds.is_empty())
    {
        let report = Report {
            candidate: &session.results,
            base: base.as_ref(),
            judgement: &judgement,
            context: Context {
                command_to_reproduce: Some(command_to_reproduce(&arguments)),
                results_path: Some(measuring.output.display().to_string()),
                baseline_path: Some(baseline_path.display().to_string()),
                duration: Some(session.elapsed()),
                key: None,
                accept_in: None,
            },
        };
        print(&report, &arguments.printing)?;
    }
    match early {
        Some(error) => Err(error),
        None => Ok(judgement.exit_code),
    }
}

/// What a reader types to see the same. A server command from the command line is not repeated:
/// it may hold what the shell filled in, and the report may be published.
fn command_to_reproduce(arguments: &Arguments) -> String {
    let mut command = "mcpgate compare".to_owned();
    for (option, value) in [
        ("--config", &arguments.measuring.config),
        ("--baseline", &arguments.baseline),
    ] {
        if let Some(path) = value {
            command = format!("{command} {option} '{}'", path.display());
        }
    }
    if !arguments.measuring.command.is_empty() {
        command.push_str(" -- YOUR SERVER COMMAND");
    }
    command
}

/// The baseline named, else the usual place beside the configuration file.
pub(super) fn usual_or_named(named: Option<&Path>, loaded: &Loaded) -> PathBuf {
    named.map_or_else(
        || match &loaded.folder {
            Some(folder) => folder.join(BASELINE),
            None => PathBuf::from(BASELINE),
        },
        Path::to_owned,
    )
}

fn judge(base: Option<&Results>, candidate: &Results, policy: &GateConfig) -> Judgement {
    match base {
        Some(base) => gate::judge(base, candidate, policy),
        None => gate::judge_alone(candidate, policy),
    }
}

/// The planned rounds; as many again where they do not decide and time is left; and, where they
/// alarm, fresh ones that confirm or dismiss.
pub(super) async fn measure_against(
    session: &mut Session,
    base: Option<&Results>,
    policy: &GateConfig,
) -> Result<Early, Error> {
    let rounds = session.rounds();
    let mut early = session.measure_rounds(Phase::Measure, rounds).await?;
    if early.is_none() {
        early = session.measure_soaks(Phase::Measure).await?;
    }
    if early.is_none() {
        early = session.measure_loads().await?;
    }
    let Some(base) = base.filter(|_| early.is_none()) else {
        return Ok(early);
    };
    let judgement = gate::judge(base, &session.results, policy);
    let is_alarmed = !gate::alarmed_scenarios(&judgement).is_empty();
    if !is_alarmed && !gate::undecided_scenarios(&judgement).is_empty() && !session.is_out_of_time()
    {
        session.say("undecided: measuring as many rounds again");
        early = session.measure_rounds(Phase::Measure, rounds).await?;
        if early.is_some() {
            return Ok(early);
        }
    }
    let judgement = gate::judge(base, &session.results, policy);
    if gate::alarmed_scenarios(&judgement).is_empty() || session.is_out_of_time() {
        return Ok(None);
    }
    session.say("alarm: measuring fresh rounds that confirm or dismiss it");
    early = session
        .measure_rounds(Phase::Confirm, CONFIRMING_ROUNDS)
        .await?;
    let is_growth = judgement.comparisons.iter().any(|comparison| {
        comparison.metric == gate::Metric::MemoryGrowth
            && comparison.verdict == gate::Verdict::Regressed
    });
    if early.is_none() && is_growth {
        early = session.measure_soaks(Phase::Confirm).await?;
    }
    Ok(early)
}

fn compare_files(
    base_path: &Path,
    candidate_path: &Path,
    config: &Config,
    printing: &Printing,
) -> Result<u8, Error> {
    let base = store::read_results(base_path)?;
    let candidate = store::read_results(candidate_path)?;
    let judgement = gate::accept(
        gate::judge(&base, &candidate, &config.gate),
        &config.accept,
        &environment::today(),
        &config.gate,
    );
    let report = Report {
        candidate: &candidate,
        base: Some(&base),
        judgement: &judgement,
        context: Context {
            command_to_reproduce: None,
            results_path: Some(candidate_path.display().to_string()),
            baseline_path: Some(base_path.display().to_string()),
            duration: None,
            key: None,
            accept_in: None,
        },
    };
    print(&report, printing)?;
    Ok(judgement.exit_code)
}

fn print(report: &Report<'_>, printing: &Printing) -> Result<(), Error> {
    options::print(&match printing.format {
        Format::Text => report::text(report, printing.style()),
        Format::Markdown => report::markdown(report),
        Format::Json => options::json(report::json(report))?,
    })
}
