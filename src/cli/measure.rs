//! From options and configuration to measured results: what `run`, `compare` and `demo` share.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tokio::time::{Duration, Instant};

use super::{
    files::{self, Loaded},
    options::{Measuring, Size},
    progress::Progress,
    signal,
};
use crate::{
    environment,
    error::Error,
    mcp::{Limits, revision::Revision},
    process::Guard,
    results::{
        ErrorSample, Job, Phase, Results, SCHEMA_VERSION, Sample, ScenarioKind, ServerRecord,
        Skipped,
    },
    runner::{
        self, Plan,
        event::Event,
        hooks::Hooks,
        probe::{self, Probe, Trial},
        round,
        target::{Launch, Target},
    },
    suite::{
        Config, ServerConfig, Suite, SuiteSize, ToolCall,
        discover::{Discovery, discover},
        standard::{ServerFacts, standard, standard_like},
    },
};

/// Tools that are chosen where none is configured.
const MOST_DISCOVERED: usize = 8;
/// Rounds that confirm or dismiss an alarm.
pub(super) const CONFIRMING_ROUNDS: u32 = 5;

/// A server that is being measured, and what has been measured.
pub(super) struct Session {
    plan: Plan,
    /// What has been measured so far; one job.
    pub results: Results,
    /// Samples of tools that failed in every trial call: they stand in the first round.
    failed: BTreeMap<String, Sample>,
    began: Instant,
    deadline: Instant,
    output: PathBuf,
    progress: Progress,
    _guard: Option<Guard>,
}

/// What may end measuring early: the rounds before it are kept.
pub(super) type Early = Option<Error>;

/// Command line beats configuration beats defaults.
pub(super) fn merge(measuring: &Measuring, loaded: &mut Loaded) -> Result<ServerConfig, Error> {
    let suite = &mut loaded.config.suite;
    if let Some(size) = measuring.suite {
        suite.size = match size {
            Size::Quick => SuiteSize::Quick,
            Size::Standard => SuiteSize::Standard,
            Size::Deep => SuiteSize::Deep,
        };
    }
    suite.rounds = measuring.rounds.or(suite.rounds);
    suite.seed = measuring.seed.unwrap_or(suite.seed);
    suite.max_time = measuring.max_time.unwrap_or(suite.max_time);
    let mut server = loaded.config.server.clone().unwrap_or_default();
    if !measuring.command.is_empty() {
        server.command = Some(measuring.command.clone());
        server.url = None;
        server.cwd = None;
        loaded.folder = None;
    }
    if let Some(url) = &measuring.url {
        if measuring.command.is_empty() {
            server.command = None;
        }
        server.url = Some(url.clone());
    }
    if server.command.is_none() && server.url.is_none() {
        return Err(Error::Usage(
            "no server was given: write its command behind `--` (mcpgate run -- node server.js), \
             or its url with --url, or a [server] in mcpgate.toml; `mcpgate demo` needs none"
                .to_owned(),
        ));
    }
    if measuring.pid.is_some() && server.command.is_some() {
        return Err(Error::Usage(
            "--pid is for a server that you started (--url without a command)".to_owned(),
        ));
    }
    Ok(server)
}

fn target(server: &ServerConfig, folder: Option<&Path>, pid: Option<u32>) -> Target {
    Target {
        launch: server.command.clone().map(|command| Launch {
            command,
            env: pairs(&server.env),
            cwd: working_directory(server, folder),
        }),
        url: server.url.clone(),
        headers: pairs(&server.headers),
        pid,
        startup_timeout: server.startup_timeout,
        limits: Limits {
            call_timeout: server.call_timeout,
            ..Limits::default()
        },
    }
}

fn pairs<T: Clone>(map: &BTreeMap<String, T>) -> Vec<(String, T)> {
    map.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn working_directory(server: &ServerConfig, folder: Option<&Path>) -> Option<PathBuf> {
    match (folder, &server.cwd) {
        (Some(folder), Some(cwd)) => Some(folder.join(cwd)),
        (None, Some(cwd)) => Some(PathBuf::from(cwd)),
        (folder, None) => folder.map(Path::to_owned),
    }
}

/// Starts the server once, finds out what it offers, and plans the run.
pub(super) async fn prepare(
    measuring: &Measuring,
    server: &ServerConfig,
    loaded: &Loaded,
    base: Option<&Results>,
) -> Result<Session, Error> {
    let mut progress = Progress::new(measuring.quiet);
    progress.event(&Event::Probing);
    let guard = Guard::start().ok();
    let folder = loaded.folder.as_deref();
    let target = target(server, folder, measuring.pid);
    let hooks = Hooks {
        setup: server.setup.clone(),
        reset: server.reset.clone(),
        cwd: working_directory(server, folder),
        env: pairs(&server.env),
    };
    let pinned = server.protocol.as_deref().and_then(Revision::parse);
    let began = Instant::now();
    let probing = async {
        hooks.setup().await?;
        let mut probe = probe::probe(&target, &hooks, pinned).await?;
        let (tools, left_out) = choose_tools(&loaded.config, measuring, &probe, &progress)?;
        let trials = match probe.try_tools(&tools, loaded.config.suite.seed).await {
            Ok(trials) => trials,
            Err(error) => {
                probe.end().await;
                return Err(error);
            }
        };
        let about = About::of(&probe);
        probe.end().await;
        Ok::<_, Error>((about, tools, left_out, trials))
    };
    let (about, tools, left_out, trials) = signal::until_interrupted(probing)
        .await
        .unwrap_or_else(|| {
            Err(Error::NotMeasured(
                "interrupted before the first round".to_owned(),
            ))
        })?;

    let facts = ServerFacts {
        transport: target.transport(),
        stateless: about.revision.era() == crate::mcp::revision::Era::Modern,
        typical_call: trials
            .iter()
            .filter_map(|(tool, trial)| match trial {
                Trial::Works(typical) => Some((tool.clone(), *typical)),
                Trial::Fails(_) => None,
            })
            .collect(),
    };
    let config = &loaded.config.suite;
    let mut suite = match base {
        Some(base) => standard_like(&base.suite, config, &tools, &facts),
        None => standard(config, &tools, &facts),
    };
    suite.skipped.extend(left_out);
    let record = suite.record();
    let (failed, error_samples) = leave_out_failing(&mut suite, &trials, &progress);
    let calls = {
        let mut calls = round::compile(&suite.scenarios, suite.seed)?;
        calls.extend(round::compile(&suite.soaks, suite.seed)?);
        calls
    };
    let max_time = config.max_time;
    Ok(Session {
        results: Results {
            schema_version: SCHEMA_VERSION,
            mcpgate_version: env!("CARGO_PKG_VERSION").to_owned(),
            server: ServerRecord {
                name: about.identity.name,
                version: about.identity.version,
                transport: target.transport(),
                protocol_version: about.revision.to_string(),
                tool_list_hash: about.tool_list_hash,
                attached: target.is_attached(),
            },
            suite: record,
            jobs: vec![Job {
                started_at: environment::now_rfc3339(),
                commit: environment::commit(folder.unwrap_or(Path::new("."))),
                seed: suite.seed,
                environment: environment::describe(),
                memory_measure: runner::not_yet(),
                adjusted_measure: runner::not_yet(),
                incomplete: None,
                rounds: Vec::new(),
                soaks: Vec::new(),
                error_samples,
                notes: Vec::new(),
            }],
            accepted: None,
        },
        plan: Plan {
            target,
            hooks,
            suite,
            revision: about.revision,
            calls,
            attached_pid: about.attached_pid,
        },
        failed,
        began,
        deadline: began + max_time,
        output: measuring.output.clone(),
        progress,
        _guard: guard,
    })
}

struct About {
    identity: crate::mcp::message::Identity,
    revision: Revision,
    tool_list_hash: String,
    attached_pid: Result<u32, String>,
}

impl About {
    fn of(probe: &Probe) -> Self {
        Self {
            identity: probe.identity.clone(),
            revision: probe.revision,
            tool_list_hash: probe.tool_list_hash.clone(),
            attached_pid: probe.attached_pid.clone(),
        }
    }
}

/// The configured tools (all of which the server must offer), or those that were found.
fn choose_tools(
    config: &Config,
    measuring: &Measuring,
    probe: &Probe,
    progress: &Progress,
) -> Result<(Vec<ToolCall>, Vec<Skipped>), Error> {
    let offered: Vec<&str> = probe
        .tools
        .iter()
        .filter_map(|tool| tool.get("name").and_then(Value::as_str))
        .collect();
    let list = || crate::mcp::outcome::excerpt(&offered.join(", "));
    let (mut tools, left_out) = if config.tools.is_empty() {
        let Discovery { chosen, left_out } = discover(&probe.tools, MOST_DISCOVERED);
        for tool in &chosen {
            progress.say(&format!(
                "chosen: {}: {}",
                crate::mcp::outcome::excerpt(&tool.call.name),
                crate::mcp::outcome::excerpt(&tool.why)
            ));
        }
        let tools: Vec<_> = chosen.into_iter().map(|tool| tool.call).collect();
        if tools.is_empty() {
            let reasons: Vec<_> = left_out
                .iter()
                .take(20)
                .map(|s| {
                    format!(
                        "\n  {}: {}",
                        crate::mcp::outcome::excerpt(&s.name),
                        crate::mcp::outcome::excerpt(&s.reason)
                    )
                })
                .collect();
            return Err(Error::NotMeasured(format!(
                "none of the server's {} tools can be called without being told how; write a \
                 [[tool]] with its name and arguments into mcpgate.toml{}",
                offered.len(),
                reasons.concat()
            )));
        }
        (tools, left_out)
    } else {
        for tool in &config.tools {
            if !offered.contains(&tool.name.as_str()) {
                return Err(Error::Usage(format!(
                    "the server offers no tool `{}`; it offers: {}",
                    tool.name,
                    list()
                )));
            }
        }
        (config.tools.clone(), Vec::new())
    };
    if !measuring.tools.is_empty() {
        for name in &measuring.tools {
            if !tools.iter().any(|tool| tool.name == *name) {
                let known: Vec<_> = tools.iter().map(|tool| tool.name.as_str()).collect();
                return Err(Error::Usage(format!(
                    "--tool {name}: not among the tools to be measured: {}",
                    known.join(", ")
                )));
            }
        }
        tools.retain(|tool| measuring.tools.contains(&tool.name));
    }
    Ok((tools, left_out))
}

/// A tool that failed in every trial call is not called again in each round: its trial stands for
/// its sequential scenario, and the others are not measured.
fn leave_out_failing(
    suite: &mut Suite,
    trials: &BTreeMap<String, Trial>,
    progress: &Progress,
) -> (BTreeMap<String, Sample>, BTreeMap<String, ErrorSample>) {
    let mut samples = BTreeMap::new();
    let mut errors = BTreeMap::new();
    let failing = |tool: &Option<String>| {
        tool.as_ref()
            .and_then(|tool| trials.get(tool))
            .and_then(|trial| match trial {
                Trial::Fails(error) => Some(error),
                Trial::Works(_) => None,
            })
    };
    for scenario in &suite.scenarios {
        let Some(error) = failing(&scenario.record.tool) else {
            continue;
        };
        if scenario.record.kind != ScenarioKind::Sequential {
            continue;
        }
        let name = &scenario.record.name;
        progress.say(&format!("{name}: every trial call failed: {error}"));
        let kind = error.kind.name().into_owned();
        samples.insert(
            name.clone(),
            Sample {
                calls: 1,
                successes: 0,
                errors: BTreeMap::from([(kind.clone(), 1)]),
                duration_ns: 0,
                wall: None,
                adjusted: None,
                first_byte: None,
                cpu_per_call_ns: None,
            },
        );
        errors.insert(
            name.clone(),
            ErrorSample {
                kind,
                message: error.message.clone(),
            },
        );
    }
    suite
        .scenarios
        .retain(|scenario| failing(&scenario.record.tool).is_none());
    suite
        .soaks
        .retain(|scenario| failing(&scenario.record.tool).is_none());
    (samples, errors)
}

impl Session {
    /// Planned rounds.
    pub(super) fn rounds(&self) -> u32 {
        self.plan.suite.rounds
    }

    /// Since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether the time budget is used up.
    pub(super) fn is_out_of_time(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Says something that stays, beside the progress.
    pub(super) fn say(&self, text: &str) {
        self.progress.say(text);
    }

    /// Measures `count` rounds; what was measured is written to the results file as it comes.
    pub(super) async fn measure_rounds(
        &mut self,
        phase: Phase,
        count: u32,
    ) -> Result<Early, Error> {
        for number in 1..=count {
            let early = self
                .until_interrupted(phase, Part::Round { number, of: count })
                .await?;
            if early.is_some() || self.is_incomplete() {
                return Ok(early);
            }
        }
        Ok(None)
    }

    /// Measures the soaks of the suite.
    pub(super) async fn measure_soaks(&mut self, phase: Phase) -> Result<Early, Error> {
        self.until_interrupted(phase, Part::Soaks).await
    }

    fn is_incomplete(&self) -> bool {
        self.results.jobs.iter().any(|job| job.incomplete.is_some())
    }

    async fn until_interrupted(&mut self, phase: Phase, part: Part) -> Result<Early, Error> {
        let Some(job) = self.results.jobs.first_mut() else {
            return Ok(None);
        };
        let progress = &mut self.progress;
        let mut listener = |event: Event<'_>| progress.event(&event);
        let work = async {
            match part {
                Part::Round { number, of } => {
                    runner::run_round(
                        &self.plan,
                        phase,
                        (number, of),
                        self.deadline,
                        job,
                        &mut listener,
                    )
                    .await
                }
                Part::Soaks => {
                    runner::run_soaks(&self.plan, phase, self.deadline, job, &mut listener).await
                }
            }
        };
        let outcome = signal::until_interrupted(work).await;
        if let Some(first) = job.rounds.first_mut() {
            for (name, sample) in &self.failed {
                first
                    .scenarios
                    .entry(name.clone())
                    .or_insert_with(|| sample.clone());
            }
        }
        let early = match outcome {
            Some(Ok(())) => None,
            Some(Err(failure)) => Some(Error::from(failure)),
            None => {
                job.incomplete = Some(format!("interrupted after {} rounds", job.rounds.len()));
                Some(Error::NotMeasured(format!(
                    "interrupted after {} rounds, which are kept in {}",
                    job.rounds.len(),
                    self.output.display()
                )))
            }
        };
        if !job.rounds.is_empty() {
            files::save(&self.output, &self.results)?;
        }
        Ok(early)
    }

    /// Takes the progress away, so that a report can be printed.
    pub(super) fn end_progress(&self) {
        self.progress.finish();
    }
}

enum Part {
    Round { number: u32, of: u32 },
    Soaks,
}
