//! `mcpgate github publish`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::{
    cli::{compare::quoted, files::CONFIG, history, options, side_by_side::base_output},
    environment,
    error::{Error, exit_code},
    gate::{self, Finding, Severity, Verdict, sequence::Sequence, turns},
    github::{
        annotation::annotations,
        api::Api,
        command::{self, Annotation, Level},
        comment::{self, DEFAULT_KEY, Marker},
        prepared::{Folder, Prepared},
        runner::Runner,
        sticky::{self, Posted},
    },
    report::{self, AcceptIn, Context, DAYS_TO_ACCEPT, Drift, Report},
    results::{Job, Results},
    store,
};

/// The author of comments made with the token of GitHub Actions.
const ACTIONS_BOT: &str = "github-actions[bot]";
/// GitHub refuses a step's summary beyond this.
const MOST_SUMMARY_BYTES: u64 = 1 << 20;

/// What is said, and where.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mcpgate github publish --dir \"$RUNNER_TEMP/mcpgate\"")]
pub(super) struct Arguments {
    /// Folder that `prepare` and `compare --prepared` wrote.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The output `digest` of `prepare`: what decides must be what it was then.
    #[arg(long, value_name = "SHA-256")]
    digest: Option<String>,
    /// Results from elsewhere, such as another job's artifact: they may say anything, and nothing
    /// they say is trusted.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// How `compare` ended, where it could not measure.
    #[arg(long, value_name = "CODE")]
    measured_exit_code: Option<u8>,
    /// Whether to comment on the pull request.
    #[arg(long, value_enum, default_value = "auto")]
    comment: Commenting,
    /// Tells the comments of several gates in one repository apart.
    #[arg(long, value_name = "KEY", default_value = DEFAULT_KEY)]
    comment_key: String,
    /// Login of the comments' author, where the token is neither that of GitHub Actions nor a
    /// person's.
    #[arg(long, value_name = "LOGIN")]
    comment_author: Option<String>,
    /// What makes the exit code other than 0.
    #[arg(long, value_enum, default_value = "regression")]
    fail_on: FailOn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Commenting {
    /// Where there is a pull request and the token may.
    Auto,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// As `compare` does.
    Regression,
    /// Also where the evidence does not decide.
    Inconclusive,
    Never,
}

/// What is to be said.
struct Said {
    verdict: &'static str,
    exit_code: u8,
    /// For the comment, which has a limit.
    short: String,
    whole: String,
    annotations: Vec<Annotation>,
    results: Option<PathBuf>,
    /// Those of the other arm, where two were measured in turn.
    base_results: Option<PathBuf>,
}

pub(super) async fn run(arguments: &Arguments) -> Result<u8, Error> {
    comment::check_key(&arguments.comment_key).map_err(Error::Usage)?;
    let runner = super::runner()?;
    let folder = Folder::at(&arguments.dir);
    let prepared = folder.read_unchanged(arguments.digest.as_deref())?;
    let said = said(arguments, &folder, &prepared)?;
    store::write_atomic(&folder.report(), said.whole.as_bytes())?;
    for annotation in &said.annotations {
        options::print(&format!("{}\n", annotation.to_command()))?;
    }
    if let Some(summary) = &runner.summary {
        tell("the job's summary", append_summary(summary, &said.whole));
    }
    let url = match comment(arguments, &runner, &prepared, &said).await {
        Ok(Some(posted)) => {
            options::say(&match &posted {
                Posted::Created(url) => format!("commented: {url}"),
                Posted::Updated(url) => format!("updated the comment: {url}"),
                Posted::Unchanged(url) => format!("the comment says so already: {url}"),
                Posted::Newer(url) => format!("a newer run has commented: {url}"),
            });
            posted.url().to_owned()
        }
        Ok(None) => String::new(),
        Err(problem) => {
            warn("mcpgate: no comment", &problem)?;
            String::new()
        }
    };
    if let Some(output) = &runner.output {
        let path = |path: &Option<PathBuf>| {
            let path = path.as_ref().map(|path| path.display().to_string());
            path.unwrap_or_default()
        };
        let outputs = [
            ("verdict", said.verdict.to_owned()),
            ("exit-code", said.exit_code.to_string()),
            ("results", path(&said.results)),
            ("base-results", path(&said.base_results)),
            ("report", folder.report().display().to_string()),
            ("comment-url", url),
        ];
        let text: String = outputs
            .iter()
            .map(|(name, value)| command::output(name, value, &environment::nonce()))
            .collect();
        tell("the outputs", store::append(output, text.as_bytes()));
    }
    Ok(said.exit_code)
}

/// Everything but the comment must not depend on whether it can be written.
fn tell(what: &str, written: Result<(), Error>) {
    if let Err(error) = written {
        options::say(&format!("{what} could not be written: {error}"));
    }
}

fn warn(title: &str, message: &str) -> Result<(), Error> {
    let annotation = Annotation {
        level: Level::Warning,
        place: None,
        title: title.to_owned(),
        message: message.to_owned(),
    };
    options::print(&format!("{}\n", annotation.to_command()))
}

fn append_summary(path: &Path, text: &str) -> Result<(), Error> {
    let there = store::size(path);
    if there + text.len() as u64 + 1 > MOST_SUMMARY_BYTES {
        return Err(Error::Usage(format!(
            "it has {there} bytes already, and GitHub takes no more than 1 MiB"
        )));
    }
    store::append(path, format!("{text}\n").as_bytes())
}

fn said(arguments: &Arguments, folder: &Folder, prepared: &Prepared) -> Result<Said, Error> {
    let usual = folder.results();
    let path = arguments.results.as_deref().unwrap_or(&usual);
    let not_measured = arguments
        .measured_exit_code
        .filter(|&code| code > exit_code::REGRESSED && code != exit_code::INCONCLUSIVE);
    if let Some(code) = not_measured {
        let why = folder
            .error()?
            .unwrap_or_else(|| "the log of the job says why".to_owned());
        let code = match arguments.fail_on {
            FailOn::Never => exit_code::OK,
            FailOn::Regression | FailOn::Inconclusive => code,
        };
        return Ok(failed(code, &why));
    }
    let results = store::read_results(path)?;
    let policy = folder.policy(prepared)?;
    let baseline = folder.base(prepared)?;
    let accepted = folder.accepted(prepared)?;
    let accept = |judgement| gate::accept(judgement, &accepted, &environment::today(), &policy);
    let other = measured_in_turn(path, &results)?;
    let by_baseline = baseline
        .as_ref()
        .map(|baseline| accept(gate::judge(baseline, &results, &policy)));
    let (mut judgement, drift) = match (&other, by_baseline) {
        (Some((base, sequence)), drift) => (
            accept(gate::judge_in_turn(base, &results, &policy, sequence)),
            drift,
        ),
        (None, Some(judgement)) => (judgement, None),
        (None, None) => (accept(gate::judge_alone(&results, &policy)), None),
    };
    for note in &prepared.notes {
        judgement.findings.push(Finding {
            severity: Severity::Note,
            scenario: None,
            text: note.clone(),
        });
    }
    let slow_drifts = folder
        .history(prepared)
        .map(|path| history::slow_drifts(&path, &results, &policy));
    let config_text = folder.head()?;
    let against = match &other {
        Some((base, _)) => Some(base),
        None => baseline.as_ref(),
    };
    let report = Report {
        candidate: &results,
        base: against,
        judgement: &judgement,
        drift: baseline
            .as_ref()
            .zip(drift.as_ref())
            .map(|(baseline, judgement)| Drift {
                baseline,
                judgement,
                path: Some(prepared.baseline_path.clone()),
            }),
        context: Context {
            exit_code: None,
            command_to_reproduce: Some(command_to_reproduce(
                &prepared.config_path,
                other.is_some(),
            )),
            // A path of the runner's own says nothing to whoever reads the comment, which links to
            // the run and its artifacts.
            results_path: None,
            baseline_path: match other {
                Some(_) => None,
                None => Some(prepared.baseline_path.clone()),
            },
            against: other.as_ref().map(|_| "the base".to_owned()),
            slow_drifts: slow_drifts.unwrap_or_default(),
            duration: None,
            key: Some(&arguments.comment_key)
                .filter(|key| *key != DEFAULT_KEY)
                .cloned(),
            accept_in: Some(AcceptIn {
                config_path: prepared.config_path.clone(),
                until: environment::day_in(DAYS_TO_ACCEPT),
            }),
        },
    };
    Ok(judged(arguments, prepared, path, &report, &config_text))
}

/// What a reader types in a clone to see the same.
fn command_to_reproduce(config_path: &str, in_turn: bool) -> String {
    let mut command = "mcpgate compare".to_owned();
    if in_turn {
        command.push_str(" --against merge-base");
    }
    if config_path != CONFIG {
        command = format!("{command} --config {}", quoted(config_path));
    }
    command
}

/// The base's results beside the candidate's, where the two were measured in turn.
fn measured_in_turn(
    path: &Path,
    candidate: &Results,
) -> Result<Option<(Results, Sequence)>, Error> {
    let is_one = |job: &Job| job.in_turn.is_some();
    let beside = base_output(path);
    if !candidate.jobs.iter().any(is_one) || !beside.is_file() {
        return Ok(None);
    }
    let base = store::read_results(&beside)?;
    let sequence = turns::measured_in_turn(&base, candidate).map(|(sequence, _)| sequence);
    Ok(sequence.map(|sequence| (base, sequence)))
}

fn judged(
    arguments: &Arguments,
    prepared: &Prepared,
    path: &Path,
    report: &Report<'_>,
    config_text: &str,
) -> Said {
    let config_text = Some(config_text).filter(|text| !text.is_empty());
    let judgement = report.judgement;
    let exit_code = match arguments.fail_on {
        FailOn::Never => exit_code::OK,
        FailOn::Inconclusive
            if judgement.exit_code == exit_code::OK
                && judgement.verdict == Verdict::Inconclusive =>
        {
            exit_code::INCONCLUSIVE
        }
        FailOn::Regression | FailOn::Inconclusive => judgement.exit_code,
    };
    Said {
        verdict: word(judgement.verdict),
        exit_code,
        short: report::markdown(report),
        whole: report::whole_markdown(report),
        annotations: annotations(&report::remarks(report), &prepared.config_path, config_text),
        results: Some(path.to_owned()),
        base_results: report.context.against.as_ref().map(|_| base_output(path)),
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Improved => "improved",
        Verdict::Regressed => "regressed",
        Verdict::Inconclusive => "inconclusive",
        Verdict::NotMeasured => "not-measured",
    }
}

/// Nothing was measured: an older comment must not stay green.
fn failed(exit_code: u8, why: &str) -> Said {
    let text = report::failure_markdown(why);
    Said {
        verdict: word(Verdict::NotMeasured),
        exit_code,
        short: text.clone(),
        whole: text,
        annotations: vec![Annotation {
            level: Level::Error,
            place: None,
            title: "mcpgate: not measured".to_owned(),
            message: why.to_owned(),
        }],
        results: None,
        base_results: None,
    }
}

/// `None` where there is nothing to comment on. An error is a reason in words: the verdict does
/// not depend on it.
async fn comment(
    arguments: &Arguments,
    runner: &Runner,
    prepared: &Prepared,
    said: &Said,
) -> Result<Option<Posted>, String> {
    let (Some(number), Commenting::Auto) = (prepared.pull_request, arguments.comment) else {
        return Ok(None);
    };
    if prepared.is_fork {
        return Err(
            "this pull request comes from a fork, whose token may not comment; the job's summary \
             has the report, and the pair of workflows in examples/workflows comments for forks"
                .to_owned(),
        );
    }
    if runner.token.is_none() {
        return Err("there is no GITHUB_TOKEN in the environment of this step".to_owned());
    }
    let api = Api::new(runner);
    let author = match &arguments.comment_author {
        Some(author) => author.clone(),
        None => api
            .login()
            .await
            .map_err(|failure| failure.to_string())?
            .unwrap_or_else(|| ACTIONS_BOT.to_owned()),
    };
    let marker = Marker {
        key: arguments.comment_key.clone(),
        run: prepared.run,
        head_sha: prepared.head_sha.clone(),
    };
    let links = format!(
        "<sub>[Run and artifacts]({}) · measured `{}` · base `{}`, {}</sub>",
        runner.run_page(prepared.run.0),
        short_sha(&prepared.head_sha),
        short_sha(&prepared.base_sha),
        report::prose(&prepared.base_found_by),
    );
    let body = comment::body(&said.short, &links, &marker);
    sticky::post(&api, number, &author, &marker, &body)
        .await
        .map(Some)
        .map_err(|failure| failure.to_string())
}

fn short_sha(sha: &str) -> &str {
    sha.get(..10).unwrap_or(sha)
}
