//! `mcpgate compare`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum as _};

use super::{
    against::{self, AUTO, MERGE_BASE, Wanted},
    calibrate,
    files::{self, BASELINE, CONFIG, Loaded},
    formats::{Kind, Printing},
    history,
    measure::{self, CONFIRMING_ROUNDS},
    options::{self, Measuring},
    report::Judged,
    session::{Early, Session},
    side_by_side::{Obstacle, SideBySide, base_output},
};
use crate::{
    environment,
    error::Error,
    gate::{self, Judgement, turns},
    github::prepared::{Folder, Prepared},
    history::SlowDrift,
    report::{AcceptIn, Context, DAYS_TO_ACCEPT, Drift, Report},
    results::{Calibration, Phase, Results},
    store,
    suite::{Config, GateConfig, ServerConfig},
};

/// `--against`: only the committed baseline.
const NONE: &str = "none";

/// Measure and compare, or compare two files.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcpgate compare                                       # with baselines/perf-baseline.json
  mcpgate compare --against main                        # with main's server, measured in turn
  mcpgate compare --base-command 'npx my-server@1.4' -- node dist/index.js
  mcpgate compare before.json after.json -v             # nothing is measured
  mcpgate compare --report junit.xml --report report.md")]
pub(super) struct Arguments {
    /// Two results files, base and candidate: nothing is measured then.
    #[arg(value_name = "FILE", num_args = 2, conflicts_with_all = ["command", "url"])]
    files: Vec<PathBuf>,
    /// Compare with another commit's server, built in a work tree of its own and measured in turn
    /// with this one: `main`, a tag, a commit, or `merge-base`, where this branch left the main one.
    /// `auto`: merge-base where `[server]` has a `build`, and the baseline where that fails or there is
    /// none. `none`: the baseline.
    #[arg(long, value_name = "REF", conflicts_with = "files")]
    against: Option<String>,
    /// Compare with the server that this command starts, measured in turn with this one.
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["files", "against"])]
    base_command: Option<String>,
    /// Measures so many pairs of everything, decided or not, and no fresh ones: what a study of the
    /// decision draws from.
    #[arg(long, hide = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    record_pairs: Option<u32>,
    /// The baseline to compare with; it shows the drift where another server is measured in turn. Of two
    /// files, the one whose calibration, which lies beside it, is heeded.
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
        // As for the run that wrote them: what it heeded lies beside its baseline.
        let path = usual_or_named(arguments.baseline.as_deref(), &loaded);
        loaded.config.gate.calibration = calibration_beside(&path)?;
        let taken = [base.as_path(), candidate.as_path()];
        arguments.printing.check(taken)?;
        let judged = Judged::of(Some(base), candidate, &loaded.config)?;
        let code = judged.judgement.exit_code;
        return arguments
            .printing
            .deliver(&judged.report(), judged.kind(), code);
    }
    let baseline = usual_or_named(arguments.baseline.as_deref(), &loaded);
    let base = base_output(&arguments.measuring.output);
    let kept = [baseline.as_path(), base.as_path()];
    arguments
        .printing
        .check(arguments.measuring.files().chain(kept))?;
    let record = prepared.map(Folder::read).transpose()?;
    let stored = Stored::find(&arguments, prepared.zip(record.as_ref()), &mut loaded)?;
    let server = measure::merge(&arguments.measuring, &mut loaded)?;
    let Some(wanted) = wanted(&arguments, record.as_ref(), &server)? else {
        return with_stored(&arguments, &loaded, &server, &stored, None).await;
    };
    let planned = loaded.config.suite.rounds;
    let baseline = stored.baseline.as_ref();
    let measuring = &arguments.measuring;
    match SideBySide::prepare(measuring, wanted, &mut loaded, &server, baseline).await {
        Ok(both) => with_another(&arguments, both, &loaded.config, &stored).await,
        Err(Obstacle::Base(error)) if is_auto(&arguments) => {
            let note = format!("the base could not be measured, so the baseline decides: {error}");
            options::say(&format!("note: {note}"));
            loaded.config.suite.rounds = planned;
            with_stored(&arguments, &loaded, &server, &stored, Some(note)).await
        }
        Err(obstacle) => Err(obstacle.into()),
    }
}

/// The calibration beside the baseline, where there is one.
pub(super) fn calibration_beside(baseline: &Path) -> Result<Option<Calibration>, Error> {
    store::read_calibration(&calibrate::beside(baseline))
}

fn is_auto(arguments: &Arguments) -> bool {
    arguments.against.as_deref() == Some(AUTO)
}

/// The server to be measured in turn, where there is to be one.
fn wanted(
    arguments: &Arguments,
    record: Option<&Prepared>,
    server: &ServerConfig,
) -> Result<Option<Wanted>, Error> {
    if let Some(line) = &arguments.base_command {
        return against::command(line).map(Some);
    }
    let Some(name) = &arguments.against else {
        return Ok(None);
    };
    if name == NONE {
        return Ok(None);
    }
    if name != AUTO && name != MERGE_BASE {
        let (name, sha) = (name.clone(), None);
        return Ok(Some(Wanted::Commit { name, sha }));
    }
    // A server that nothing builds may be anything on this machine but the other commit's.
    if name == AUTO && (server.build.is_none() || server.command.is_none()) {
        return Ok(None);
    }
    Ok(match record {
        // A push: what it is measured for is the baseline.
        Some(record) if record.base_sha == record.head_sha => None,
        Some(record) => Some(Wanted::Commit {
            name: "the base".to_owned(),
            sha: Some(record.base_sha.clone()),
        }),
        None => Some(Wanted::Commit {
            name: MERGE_BASE.to_owned(),
            sha: None,
        }),
    })
}

/// The committed baseline.
struct Stored {
    /// `None` where there is none yet.
    baseline: Option<Results>,
    path: PathBuf,
    /// The history beside it, where one is looked for.
    history: Option<PathBuf>,
}

impl Stored {
    fn find(
        arguments: &Arguments,
        prepared: Option<(&Folder, &Prepared)>,
        loaded: &mut Loaded,
    ) -> Result<Self, Error> {
        if let Some((folder, record)) = prepared {
            loaded.config.gate = folder.policy(record)?;
            return Ok(Self {
                baseline: folder.base(record)?,
                path: PathBuf::from(&record.baseline_path),
                history: folder.history(record),
            });
        }
        let path = usual_or_named(arguments.baseline.as_deref(), loaded);
        loaded.config.gate.calibration = calibration_beside(&path)?;
        let baseline = match store::read_results(&path) {
            Ok(baseline) => Some(baseline),
            Err(error) if arguments.baseline.is_some() || path.exists() => return Err(error),
            Err(_) => None,
        };
        let history = Some(history::beside(&path));
        Ok(Self {
            baseline,
            path,
            history,
        })
    }
}

impl Stored {
    fn slow_drifts(&self, results: &Results, policy: &GateConfig) -> Vec<SlowDrift> {
        let path = self.history.as_deref();
        path.map_or_else(Vec::new, |path| history::slow_drifts(path, results, policy))
    }
}

/// Measures, and compares with the committed baseline.
async fn with_stored(
    arguments: &Arguments,
    loaded: &Loaded,
    server: &ServerConfig,
    stored: &Stored,
    note: Option<String>,
) -> Result<u8, Error> {
    let measuring = &arguments.measuring;
    let base = stored.baseline.as_ref();
    let mut session = measure::prepare(measuring, server, loaded, base).await?;
    for job in &mut session.arm.results.jobs {
        job.notes.extend(note.clone());
    }
    if base.is_none() {
        session.run.say(&format!(
            "there is no baseline at {} yet: measuring without one",
            stored.path.display()
        ));
    }
    let early = measure_against(&mut session, base, &loaded.config.gate).await?;
    session.run.progress.finish();
    let results = &session.arm.results;
    let judgement = accepted(judge(base, results, &loaded.config.gate), &loaded.config);
    let mut code = ended(early.as_ref(), &judgement);
    if session.arm.has_rounds() {
        let report = Report {
            candidate: results,
            base,
            judgement: &judgement,
            drift: None,
            context: Context {
                command_to_reproduce: Some(command_to_reproduce(arguments)),
                results_path: Some(measuring.output.display().to_string()),
                baseline_path: Some(stored.path.display().to_string()),
                slow_drifts: stored.slow_drifts(results, &loaded.config.gate),
                exit_code: Some(code),
                duration: Some(session.run.elapsed()),
                ..Context::default()
            },
        };
        code = arguments
            .printing
            .deliver(&report, Kind::Comparison, code)?;
    }
    match early {
        Some(error) => Err(error),
        None => Ok(code),
    }
}

/// Measures two servers in turn; the committed baseline shows the drift.
async fn with_another(
    arguments: &Arguments,
    mut both: SideBySide,
    config: &Config,
    stored: &Stored,
) -> Result<u8, Error> {
    let measuring = &arguments.measuring;
    let baseline = stored.baseline.as_ref();
    let early = match arguments.record_pairs {
        Some(pairs) => both.record(pairs).await?,
        None => both.measure(&config.gate).await?,
    };
    both.run.progress.finish();
    let (base, candidate) = (&both.base, &both.candidate);
    let judgement = judge(Some(&base.results), &candidate.results, &config.gate);
    let judgement = accepted(judgement, config);
    let mut code = ended(early.as_ref(), &judgement);
    if base.has_rounds() && candidate.has_rounds() {
        let drift = baseline.map(|baseline| {
            let judgement = judge(Some(baseline), &candidate.results, &config.gate);
            (baseline, accepted(judgement, config))
        });
        let report = Report {
            candidate: &candidate.results,
            base: Some(&base.results),
            judgement: &judgement,
            drift: drift.as_ref().map(|(baseline, judgement)| Drift {
                baseline,
                judgement,
                path: Some(stored.path.display().to_string()),
            }),
            context: Context {
                command_to_reproduce: Some(command_to_reproduce(arguments)),
                results_path: Some(candidate.output.display().to_string()),
                baseline_path: Some(base.output.display().to_string()),
                against: Some(both.against.clone()),
                slow_drifts: stored.slow_drifts(&candidate.results, &config.gate),
                accept_in: Some(AcceptIn {
                    config_path: config_path(measuring),
                    until: environment::day_in(DAYS_TO_ACCEPT),
                }),
                exit_code: Some(code),
                duration: Some(both.run.elapsed()),
                ..Context::default()
            },
        };
        code = arguments
            .printing
            .deliver(&report, Kind::Comparison, code)?;
    }
    match early {
        Some(error) => Err(error),
        None => Ok(code),
    }
}

/// The exit code of a run: that of what ended it early, else the judgement's.
pub(super) fn ended(early: Option<&Error>, judgement: &Judgement) -> u8 {
    early.map_or(judgement.exit_code, Error::exit_code)
}

fn config_path(measuring: &Measuring) -> String {
    let path = measuring.config.as_deref().unwrap_or(Path::new(CONFIG));
    path.display().to_string()
}

pub(super) fn accepted(judgement: Judgement, config: &Config) -> Judgement {
    gate::accept(
        judgement,
        &config.accept,
        &environment::today(),
        &config.gate,
    )
}

/// What a reader types to see the same. A server command from the command line is not repeated:
/// it may hold what the shell filled in, and the report may be published.
fn command_to_reproduce(arguments: &Arguments) -> String {
    let mut command = "mcpgate compare".to_owned();
    if let Some(name) = &arguments.against {
        command = format!("{command} --against {}", quoted(name));
    }
    if arguments.base_command.is_some() {
        command.push_str(" --base-command 'THE OTHER COMMAND'");
    }
    let measuring = &arguments.measuring;
    for (option, value) in [
        ("--config", &measuring.config),
        ("--baseline", &arguments.baseline),
    ] {
        if let Some(path) = value {
            command = format!("{command} {option} {}", quoted(&path.display().to_string()));
        }
    }
    if let Some(size) = measuring.suite.and_then(|size| size.to_possible_value()) {
        command = format!("{command} --suite {}", size.get_name());
    }
    for tool in &measuring.tools {
        command = format!("{command} --tool {}", quoted(tool));
    }
    if let Some(rounds) = measuring.rounds {
        command = format!("{command} --rounds {rounds}");
    }
    if let Some(seed) = measuring.seed {
        command = format!("{command} --seed {seed}");
    }
    // A URL may hold a secret as well.
    if measuring.url.is_some() {
        command.push_str(" --url YOUR_URL");
    }
    if !measuring.command.is_empty() {
        command.push_str(" -- YOUR SERVER COMMAND");
    }
    command
}

/// A word for a shell.
pub(super) fn quoted(word: &str) -> String {
    // It refuses the zero byte alone, which no argument holds.
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
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
        Some(base) => judge_files(base, candidate, policy).0,
        None => gate::judge_alone(candidate, policy),
    }
}

/// By pairs, where both were measured in turn: then with what the base is called.
pub(super) fn judge_files<'a>(
    base: &'a Results,
    candidate: &'a Results,
    policy: &GateConfig,
) -> (Judgement, Option<&'a str>) {
    match turns::measured_in_turn(base, candidate) {
        Some((sequence, against)) => (
            gate::judge_in_turn(base, candidate, policy, &sequence),
            Some(against),
        ),
        None => (gate::judge(base, candidate, policy), None),
    }
}

/// The figures, then the probes: once, and again where they show what the base does not.
pub(super) async fn measure_against(
    session: &mut Session,
    base: Option<&Results>,
    policy: &GateConfig,
) -> Result<Early, Error> {
    let mut early = measure_figures(session, base, policy).await?;
    while early.is_none() {
        let before = session.arm.results.probe_sets().count();
        early = session.measure_probes().await?;
        let is_open = base.is_some_and(|base| gate::must_probe_again(base, &session.arm.results));
        let is_made = session.arm.results.probe_sets().count() > before;
        if !is_open || session.run.is_out_of_time() || !is_made {
            break;
        }
        session
            .run
            .say("probing again, to confirm or dismiss what differs");
    }
    Ok(early)
}

/// The planned rounds; as many again where they do not decide and time is left; and, where they
/// alarm, fresh ones that confirm or dismiss.
async fn measure_figures(
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
    let judgement = gate::judge(base, &session.arm.results, policy);
    let is_alarmed = !gate::alarmed_scenarios(&judgement).is_empty();
    if !is_alarmed
        && !gate::undecided_scenarios(&judgement).is_empty()
        && !session.run.is_out_of_time()
    {
        session.run.say("undecided: measuring as many rounds again");
        early = session.measure_rounds(Phase::Measure, rounds).await?;
        if early.is_some() {
            return Ok(early);
        }
    }
    let judgement = gate::judge(base, &session.arm.results, policy);
    if gate::alarmed_scenarios(&judgement).is_empty() || session.run.is_out_of_time() {
        return Ok(None);
    }
    session
        .run
        .say("alarm: measuring fresh rounds that confirm or dismiss it");
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
