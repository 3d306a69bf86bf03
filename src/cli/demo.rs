//! `mcpgate demo`: the main job on the bundled server, no server of the user's needed.

use std::path::Path;

use clap::Args;
use serde_json::json;

use super::{
    compare,
    files::Loaded,
    measure,
    options::{self, Measuring},
};
use crate::{
    environment,
    error::{Error, exit_code},
    gate::{self, Judgement, Verdict},
    report::{self, Context, Report},
    results::{Phase, ProbeName, Results},
    suite::{
        Config, Expect, GateConfig, MarkedTools, ServerConfig, SuiteConfig, ToolCall, ToolKind,
        WritingTool, probes::ProbesConfig,
    },
};

/// Show what mcpgate does.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcpgate demo
  mcpgate demo --rounds 5 --quiet")]
pub(super) struct Arguments {
    /// No progress.
    #[arg(short, long)]
    quiet: bool,
    /// Rounds of each of the three runs.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(5..=50))]
    rounds: u32,
    /// Every row, also those that are as they should be.
    #[arg(short, long)]
    verbose: bool,
}

/// The planted regression: one tool twice as slow, another one leaking, a third one losing writes.
const PLANTED: [&str; 6] = [
    "--fault",
    "slow=search:2",
    "--fault",
    "leak=echo:20000",
    "--fault",
    "lost-updates",
];

pub(super) async fn run(arguments: Arguments) -> Result<u8, Error> {
    let folder = tempfile::Builder::new()
        .prefix("mcpgate-demo-")
        .tempdir()
        .map_err(|e| Error::NotMeasured(format!("no temporary folder: {e}")))?;
    let heading = |text: &str| options::print(&format!("\n── {text} ──\n"));

    heading("1 of 3: the bundled server, measured as the baseline")?;
    let base = one_run(&arguments, folder.path(), &[], None).await?.0;
    options::print(&report::run_text(
        &base,
        None,
        options::style(arguments.verbose),
    ))?;

    heading("2 of 3: the same server again, compared with the baseline")?;
    let (same, judgement) = one_run(&arguments, folder.path(), &[], Some(&base)).await?;
    let unchanged = judgement.verdict;
    show(&arguments, &base, &same, &judgement)?;

    heading(
        "3 of 3: search twice as slow, 20 kB leaked by each call of echo, and writes at once that are \
         lost",
    )?;
    let (planted, judgement) = one_run(&arguments, folder.path(), &PLANTED, Some(&base)).await?;
    show(&arguments, &base, &planted, &judgement)?;

    let as_expected = matches!(unchanged, Verdict::Pass | Verdict::Improved)
        && judgement.verdict == Verdict::Regressed;
    if as_expected {
        options::print(
            "\nThe unchanged server passed and the planted regression was found.\n\
             Next, on your own server: mcpgate run -- YOUR SERVER COMMAND\n",
        )?;
        Ok(exit_code::OK)
    } else {
        options::print(&format!(
            "\nExpected pass, then regressed; the verdicts were {} and {}: this machine was too busy \
             for a demonstration of {} rounds; try --rounds 12\n",
            name(unchanged),
            name(judgement.verdict),
            arguments.rounds
        ))?;
        Ok(exit_code::REGRESSED)
    }
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Improved => "improved",
        Verdict::Regressed => "regressed",
        Verdict::Inconclusive => "inconclusive",
        Verdict::NotMeasured => "not measured",
    }
}

fn show(
    arguments: &Arguments,
    base: &Results,
    candidate: &Results,
    judgement: &Judgement,
) -> Result<(), Error> {
    options::print(&report::text(
        &Report {
            candidate,
            base: Some(base),
            judgement,
            drift: None,
            context: Context::default(),
        },
        options::style(arguments.verbose),
    ))
}

async fn one_run(
    arguments: &Arguments,
    folder: &Path,
    faults: &[&str],
    base: Option<&Results>,
) -> Result<(Results, Judgement), Error> {
    let this = environment::this_program()
        .map_err(|e| Error::NotMeasured(format!("mcpgate cannot find itself: {e}")))?;
    let mut command = [this.as_str(), "reference-server", "--store"]
        .map(str::to_owned)
        .to_vec();
    command.extend(faults.iter().map(|fault| (*fault).to_owned()));
    let tool = |name: &str, arguments: serde_json::Value, contains: &str| ToolCall {
        name: name.to_owned(),
        arguments: arguments.as_object().cloned().unwrap_or_default(),
        expect: Expect {
            contains: Some(contains.to_owned()),
        },
        kind: ToolKind::Compute,
        data: None,
    };
    let mut loaded = Loaded {
        config: Config {
            server: Some(ServerConfig {
                command: Some(command),
                ..ServerConfig::default()
            }),
            tools: vec![
                tool("search", json!({"query": "query {{i}}"}), "query {{i}}"),
                tool("echo", json!({"message": "hello {{i}}"}), "hello {{i}}"),
            ],
            suite: SuiteConfig {
                rounds: Some(arguments.rounds),
                // Enough for a leak of this size, on a slow machine, too.
                soak_calls: Some(500),
                loads: false,
                ..SuiteConfig::default()
            },
            marked: MarkedTools {
                writing: vec![WritingTool {
                    write: tool("remember", json!({"item": "item {{i}}"}), "remembered"),
                    read_back: tool("recall", json!({}), "item {{i}}"),
                }],
                growing: Vec::new(),
            },
            probes: ProbesConfig::only(ProbeName::Writes),
            loads: Vec::new(),
            gate: GateConfig::default(),
            accept: Vec::new(),
        },
        folder: None,
    };
    let measuring = Measuring {
        output: folder.join("results.json"),
        quiet: arguments.quiet,
        ..Measuring::default()
    };
    let server = measure::merge(&measuring, &mut loaded)?;
    let mut session = measure::prepare(&measuring, &server, &loaded, base).await?;
    let policy = &loaded.config.gate;
    let early = match base {
        Some(_) => compare::measure_against(&mut session, base, policy).await?,
        None => {
            let rounds = session.rounds();
            let mut early = session.measure_rounds(Phase::Measure, rounds).await?;
            if early.is_none() {
                early = session.measure_soaks(Phase::Measure).await?;
            }
            // One set would leave open whether writes that are lost are new.
            for _ in 0..2 {
                if early.is_none() {
                    early = session.measure_probes().await?;
                }
            }
            early
        }
    };
    session.run.progress.finish();
    if let Some(error) = early {
        return Err(error);
    }
    let judgement = match base {
        Some(base) => gate::judge(base, &session.arm.results, policy),
        None => gate::judge_alone(&session.arm.results, policy),
    };
    Ok((session.arm.results, judgement))
}
