//! `mcpgate report`, and what is judged without being measured.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    compare, files,
    formats::{Kind, Printing},
};
use crate::{
    error::{Error, exit_code},
    gate::{self, Judgement},
    report::{Context, Report},
    results::Results,
    store,
    suite::Config,
};

/// Make a report of results that were measured before.
#[derive(Debug, Args)]
#[command(after_help = "\
The exit code is 0 whatever the verdict: `mcpgate compare BASE CANDIDATE` gives it.

Examples:
  mcpgate report mcpgate-results.json
  mcpgate report mcpgate-results.json --baseline baselines/perf-baseline.json --format markdown
  mcpgate report now.json before.json --report junit.xml --report report.csv
  mcpgate report mcpgate-results.json --format benchmark > bench.json")]
pub(super) struct Arguments {
    /// The results, as `run` or `compare` wrote them.
    #[arg(value_name = "RESULTS")]
    results: PathBuf,
    /// The results that they are compared with.
    #[arg(value_name = "BASE", conflicts_with = "baseline")]
    base: Option<PathBuf>,
    /// The same, as `compare` names it.
    #[arg(short, long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Configuration file, for the policy.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    printing: Printing,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Error> {
    let base = arguments.base.as_ref().or(arguments.baseline.as_ref());
    arguments.printing.check(
        [Some(&arguments.results), base]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path),
    )?;
    let mut loaded = files::load_config(arguments.config.as_deref())?;
    let baseline = compare::usual_or_named(arguments.baseline.as_deref(), &loaded);
    loaded.config.gate.calibration = compare::calibration_beside(&baseline)?;
    let judged = Judged::of(
        base.map(PathBuf::as_path),
        &arguments.results,
        &loaded.config,
    )?;
    arguments
        .printing
        .deliver(&judged.report(), judged.kind(), exit_code::OK)
}

/// Results that were measured before, and what the gate makes of them.
pub(super) struct Judged {
    base: Option<(PathBuf, Results)>,
    path: PathBuf,
    candidate: Results,
    pub(super) judgement: Judgement,
    /// What the base is called, where both were measured in turn.
    against: Option<String>,
}

impl Judged {
    /// Reads the files; without `base` only budgets are judged.
    pub(super) fn of(base: Option<&Path>, path: &Path, config: &Config) -> Result<Self, Error> {
        let read = |path: &Path| Ok::<_, Error>((path.to_owned(), store::read_results(path)?));
        let base = base.map(read).transpose()?;
        let candidate = store::read_results(path)?;
        let (judgement, against) = match &base {
            Some((_, base)) => compare::judge_files(base, &candidate, &config.gate),
            None => (gate::judge_alone(&candidate, &config.gate), None),
        };
        let against = against.map(str::to_owned);
        Ok(Self {
            judgement: compare::accepted(judgement, config),
            base,
            path: path.to_owned(),
            candidate,
            against,
        })
    }

    pub(super) fn kind(&self) -> Kind {
        match self.base {
            Some(_) => Kind::Comparison,
            None => Kind::Run,
        }
    }

    pub(super) fn report(&self) -> Report<'_> {
        let base = self.base.as_ref();
        Report {
            candidate: &self.candidate,
            base: base.map(|(_, base)| base),
            judgement: &self.judgement,
            drift: None,
            context: Context {
                results_path: Some(self.path.display().to_string()),
                baseline_path: base.map(|(path, _)| path.display().to_string()),
                against: self.against.clone(),
                ..Context::default()
            },
        }
    }
}
