//! From options and configuration to measured results: what `run`, `compare` and `demo` share.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    choose::{MissingTools, choose_tools, leave_out_failing},
    files::{self, Loaded},
    mask::Mask,
    options::{Measuring, Size},
    progress::Progress,
    samples::Samples,
    session::{Arm, Run, Session},
    signal::Interrupts,
};
use crate::{
    environment,
    error::Error,
    git::Git,
    mcp::{
        Limits,
        client_assertion::SigningKey,
        elicitation::Elicitation,
        oauth::{ClientCredentials, Proof, TokenSource},
        param_headers::ParamHeaders,
        revision::{Era, Revision},
    },
    process::{Guard, Stopped},
    results::{Job, Results, SCHEMA_VERSION, ServerRecord, Skipped, SuiteRecord, Transport},
    runner::{
        self, Plan,
        deadline::Deadline,
        event::Event,
        hooks::Hooks,
        load,
        probe::{self, Probe, Trial, Watched},
        round,
        target::{Launch, Target},
    },
    suite::{
        OAuthConfig, Scenario, ServerConfig, SuiteSize, ToolCall, TransportChoice, loads, probes,
        probes::ProbePlan,
        standard::{ServerFacts, standard, standard_like},
    },
};

/// Rounds that confirm or dismiss an alarm.
pub(super) const CONFIRMING_ROUNDS: u32 = 5;

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
    if let Some(folder) = &loaded.folder {
        let key = server
            .oauth
            .as_mut()
            .and_then(|o| o.private_key_file.as_mut());
        for file in server.ca_file.iter_mut().chain(key) {
            *file = folder.join(&*file);
        }
    }
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
    let token_url = server.oauth.as_ref().map(|oauth| oauth.token_url.as_str());
    let mut urls = server.url.as_deref().into_iter().chain(token_url);
    if let Some(host) = urls.find_map(environment::behind_proxy) {
        return Err(Error::Usage(format!(
            "the environment sets a proxy for {host}, and its times would be measured with the \
             server's: add {host} to NO_PROXY, and mcpgate connects to it directly"
        )));
    }
    Ok(server)
}

/// What is run before the server.
pub(super) fn hooks(server: &ServerConfig, folder: Option<&Path>) -> Hooks {
    Hooks {
        setup: server.setup.clone(),
        reset: server.reset.clone(),
        cwd: working_directory(server, folder),
        env: pairs(&server.env),
        ..Hooks::default()
    }
}

/// The revision that is fixed.
pub(super) fn pinned(server: &ServerConfig) -> Option<Revision> {
    server.protocol.as_deref().and_then(Revision::parse)
}

pub(super) fn target(
    server: &ServerConfig,
    folder: Option<&Path>,
    pid: Option<u32>,
) -> Result<Target, Error> {
    let tokens = server
        .oauth
        .as_ref()
        .filter(|_| server.url.is_some())
        .map(|oauth| {
            token_source(oauth, server)
                .map(Arc::new)
                .map_err(Error::Usage)
        })
        .transpose()?;
    let most = usize::try_from(server.message_limit_bytes).unwrap_or(usize::MAX);
    Ok(Target {
        launch: server.command.clone().map(|command| Launch {
            command,
            env: pairs(&server.env),
            cwd: working_directory(server, folder),
        }),
        url: server.url.clone(),
        is_sse: server.transport == Some(TransportChoice::Sse),
        ca_file: server.ca_file.clone(),
        headers: pairs(&server.headers),
        tokens,
        pid,
        startup_timeout: server.startup_timeout,
        limits: Limits {
            call_timeout: server.call_timeout,
            message_bytes: most,
            elicitation: if server.accepts_defaults {
                Elicitation::Defaults
            } else {
                Elicitation::Refused
            },
        },
    })
}

fn token_source(oauth: &OAuthConfig, server: &ServerConfig) -> Result<TokenSource, String> {
    let proof = match (&oauth.client_secret, &oauth.private_key_file) {
        (Some(secret), _) => Proof::Secret(secret.expose().to_owned()),
        (None, Some(file)) => Proof::Key(Box::new(SigningKey::of(file)?)),
        (None, None) => return Err("[server.oauth] names no secret and no key".to_owned()),
    };
    let own_url = server.url.as_deref().filter(|url| !url.contains("{port}"));
    let resource = oauth.resource.as_deref().or(own_url);
    let credentials = ClientCredentials {
        token_url: oauth.token_url.clone(),
        client_id: oauth.client_id.clone(),
        proof,
        scope: oauth.scope.clone(),
        resource: resource.filter(|r| !r.is_empty()).map(str::to_owned),
        audience: oauth.audience.clone(),
    };
    TokenSource::new(credentials, server.ca_file.as_deref(), server.call_timeout)
}

pub(super) fn pairs<T: Clone>(map: &BTreeMap<String, T>) -> Vec<(String, T)> {
    map.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// The folder of the configuration, else the working directory.
pub(super) fn folder_of(loaded: &Loaded) -> PathBuf {
    loaded.folder.clone().unwrap_or_else(|| PathBuf::from("."))
}

pub(super) fn working_directory(server: &ServerConfig, folder: Option<&Path>) -> Option<PathBuf> {
    match (folder, &server.cwd) {
        (Some(folder), Some(cwd)) => Some(folder.join(cwd)),
        (None, Some(cwd)) => Some(PathBuf::from(cwd)),
        (folder, None) => folder.map(Path::to_owned),
    }
}

/// Begins a run that may take `max_time`.
pub(super) fn begin(measuring: &Measuring, max_time: Duration) -> Result<Run, Error> {
    let samples = measuring.samples.as_deref();
    let samples = samples.map(|path| Samples::create(path, &measuring.output));
    let samples = samples.transpose()?;
    let mut progress = Progress::new(measuring.quiet);
    progress.event(&Event::Probing);
    let interrupts = Interrupts::listen();
    let guard = Guard::start().ok();
    let began = Instant::now();
    Ok(Run {
        began,
        deadline: Deadline::new(began, max_time),
        samples,
        progress,
        interrupts,
        was_interrupted: false,
        _guard: guard,
    })
}

/// Starts the server once, finds out what it offers, and plans the run.
pub(super) async fn prepare(
    measuring: &Measuring,
    server: &ServerConfig,
    loaded: &Loaded,
    base: Option<&Results>,
) -> Result<Session, Error> {
    let mut run = begin(measuring, loaded.config.suite.max_time)?;
    let wanted = Wish {
        name: "",
        base: base.map(|base| &base.suite),
        probes: None,
        nothing_else: false,
        missing_tools: MissingTools::Refused,
        looks_at_process: false,
        output: &measuring.output,
    };
    let arm = prepare_arm(&mut run, measuring, server, loaded, &wanted).await?;
    Ok(Session { run, arm })
}

/// How an arm is wanted.
pub(super) struct Wish<'a> {
    /// See [`Arm::name`].
    pub(super) name: &'static str,
    /// What it is to be comparable with.
    pub(super) base: Option<&'a SuiteRecord>,
    /// What its probes are to ask, where another server's ask that.
    pub(super) probes: Option<&'a ProbePlan>,
    /// Whether it is to do that and nothing else.
    pub(super) nothing_else: bool,
    /// What becomes of a tool that is configured and not offered.
    pub(super) missing_tools: MissingTools,
    /// Whether the first start is to tell what can be measured of its process.
    pub(super) looks_at_process: bool,
    /// Where its results go.
    pub(super) output: &'a Path,
}

/// Starts the server once in a run that has begun, finds out what it offers, and plans its arm.
pub(super) async fn prepare_arm(
    run: &mut Run,
    measuring: &Measuring,
    server: &ServerConfig,
    loaded: &Loaded,
    wish: &Wish<'_>,
) -> Result<Arm, Error> {
    let probed = probe_arm(run, measuring, server, loaded, wish).await?;
    plan_arm(&run.progress, loaded, wish, probed)
}

/// What the first start of a server gave.
pub(super) struct Probed {
    target: Target,
    hooks: Hooks,
    mask: Mask,
    about: About,
    /// The tools that are to be measured.
    pub(super) tools: Vec<ToolCall>,
    left_out: Vec<Skipped>,
    /// What their trial calls gave, by name.
    pub(super) trials: BTreeMap<String, Trial>,
    /// From the process's start to the end of the handshake; `None` for an attached server.
    pub(super) startup: Option<Duration>,
    /// What can be measured of its process, where that was asked for.
    pub(super) watched: Option<Watched>,
    /// What it took to end it, where mcpgate started it.
    pub(super) stopped: Option<Stopped>,
}

impl Probed {
    /// Who answered and how.
    pub(super) fn server_in_words(&self) -> String {
        let transport = match (self.target.transport(), self.about.is_sse) {
            (Transport::Stdio, _) => "stdio",
            (Transport::StreamableHttp, false) => "streamable HTTP",
            (_, true) | (Transport::Sse, false) => "HTTP+SSE",
        };
        let identity = &self.about.identity;
        let name = match identity.name.trim() {
            "" => "a server without a name",
            name => name,
        };
        let named = format!("{name} {}", identity.version);
        let revision = self.about.revision;
        let words = format!("{}, {transport}, protocol {revision}", named.trim_end());
        self.mask.text(&words)
    }

    /// A text of the server without secrets.
    pub(super) fn masked(&self, text: &str) -> String {
        self.mask.text(text)
    }
}

/// Starts the server once in a run that has begun, and finds out what it offers.
pub(super) async fn probe_arm(
    run: &mut Run,
    measuring: &Measuring,
    server: &ServerConfig,
    loaded: &Loaded,
    wish: &Wish<'_>,
) -> Result<Probed, Error> {
    let Run {
        deadline,
        progress,
        interrupts,
        was_interrupted,
        ..
    } = run;
    let folder = loaded.folder.as_deref();
    let target = target(server, folder, measuring.pid)?;
    let mask = Mask::of(&loaded.config).and(target.tokens.clone());
    let hooks = hooks(server, folder);
    let pinned = pinned(server);
    let max_time = loaded.config.suite.max_time;
    let probing = async {
        hooks.setup().await?;
        let clone = Git::new(folder.unwrap_or(Path::new(".")));
        // Nothing of this start is measured, so that git may work beside it.
        let (commit, probe) =
            tokio::join!(clone.checked_out(), probe::probe(&target, &hooks, pinned));
        let mut probe = probe?;
        let (tools, left_out) = choose_tools(
            &loaded.config,
            measuring,
            &probe,
            wish.missing_tools,
            progress,
        )?;
        let trials = match probe.try_tools(&tools, loaded.config.suite.seed).await {
            Ok(trials) => trials,
            Err(error) => {
                probe.end().await;
                return Err(error);
            }
        };
        let about = About::of(&probe, commit);
        let startup = probe.startup();
        let watched = match wish.looks_at_process {
            true => Some(probe.watched().await),
            false => None,
        };
        let stopped = probe.end().await;
        Ok::<_, Error>((about, tools, left_out, trials, (startup, watched, stopped)))
    };
    let probed = match interrupts.until(deadline.cut(probing)).await {
        Some(Some(probed)) => probed,
        Some(None) => Err(Error::NotMeasured(format!(
            "max-time ({}) was used up before the first round: the server's start and the trial \
             calls of its tools took longer; raise max-time in [suite] (or --max-time), or name \
             fewer tools",
            humantime::format_duration(max_time)
        ))),
        None => {
            *was_interrupted = true;
            Err(Error::NotMeasured(
                "interrupted before the first round".to_owned(),
            ))
        }
    };
    let (about, tools, left_out, trials, (startup, watched, stopped)) =
        probed.map_err(|error| match mask.error(error) {
            Error::NotMeasured(text) => {
                let stale = files::still_there(wish.output);
                let of = match wish.name {
                    "" => String::new(),
                    name => format!("the {name}: "),
                };
                Error::NotMeasured(format!("{of}{text}{stale}"))
            }
            other => other,
        })?;
    Ok(Probed {
        target,
        hooks,
        mask,
        about,
        tools,
        left_out,
        trials,
        startup,
        watched,
        stopped,
    })
}

/// Plans the arm of a server that was started once.
pub(super) fn plan_arm(
    progress: &Progress,
    loaded: &Loaded,
    wish: &Wish<'_>,
    probed: Probed,
) -> Result<Arm, Error> {
    let Probed {
        mut target,
        hooks,
        mask,
        about,
        tools,
        left_out,
        trials,
        ..
    } = probed;
    target.is_sse = about.is_sse;
    let facts = ServerFacts {
        transport: target.transport(),
        stateless: about.revision.era() == Era::Modern,
        has_sessions: about.has_sessions,
        typical_call: trials
            .iter()
            .filter_map(|(tool, trial)| match trial {
                Trial::Works { typical, .. } => Some((tool.clone(), *typical)),
                Trial::Fails { .. } => None,
            })
            .collect(),
        answer_bytes: trials
            .iter()
            .filter_map(|(tool, trial)| match trial {
                Trial::Works { answer_bytes, .. } => Some((tool.clone(), *answer_bytes)),
                Trial::Fails { .. } => None,
            })
            .collect(),
    };
    let config = &loaded.config.suite;
    let mut suite = match wish.base {
        Some(base) => standard_like(base, config, &tools, &facts),
        None => standard(config, &tools, &facts),
    };
    suite.skipped.extend(left_out);
    if let Some(base) = wish.base.filter(|_| wish.nothing_else) {
        let is_there = |scenario: &Scenario| {
            let mut declared = base.scenarios.iter();
            declared.any(|record| record.name == scenario.record.name)
        };
        suite.scenarios.retain(is_there);
        suite.soaks.retain(is_there);
    }
    let working: Vec<ToolCall> = tools
        .iter()
        .filter(|tool| facts.typical_call.contains_key(&tool.name))
        .cloned()
        .collect();
    loads::add(
        &mut suite,
        wish.base,
        config,
        &loaded.config.loads,
        &working,
        &facts,
    );
    let record = suite.record();
    let (failed, error_samples) = leave_out_failing(&mut suite, &trials, &mask, progress);
    let loads = load::compile(&suite, &about.mirrored)?;
    // Two servers are asked the same, or nothing.
    let probe_plan = match wish.probes {
        Some(plan) => plan.of_tools(&working),
        None => probes::plan(
            &loaded.config.probes,
            suite.size,
            (&working, &loaded.config.marked),
            &facts,
            !target.is_attached(),
        ),
    };
    let probes = (!probe_plan.is_empty())
        .then(|| {
            let first_write = environment::random_number();
            runner::probes::compile(&probe_plan, suite.seed, first_write, &about.mirrored)
        })
        .transpose()?;
    let calls = {
        let mut calls = round::compile(&suite.scenarios, suite.seed, &about.mirrored)?;
        calls.extend(round::compile(&suite.soaks, suite.seed, &about.mirrored)?);
        calls
    };
    Ok(Arm {
        name: wish.name,
        results: Results {
            schema_version: SCHEMA_VERSION,
            mcpgate_version: env!("CARGO_PKG_VERSION").to_owned(),
            server: ServerRecord {
                name: mask.text(&about.identity.name),
                version: mask.text(&about.identity.version),
                transport: target.transport(),
                protocol_version: about.revision.to_string(),
                tool_list_hash: about.tool_list_hash,
                attached: target.is_attached(),
            },
            suite: record,
            jobs: vec![Job {
                started_at: environment::now_rfc3339(),
                commit: about.commit,
                seed: suite.seed,
                environment: environment::describe(),
                memory_measure: runner::not_yet(),
                adjusted_measure: runner::not_yet(),
                incomplete: None,
                rounds: Vec::new(),
                soaks: Vec::new(),
                loads: BTreeMap::new(),
                probes: Vec::new(),
                error_samples,
                notes: Vec::new(),
                in_turn: None,
            }],
            accepted: None,
        },
        plan: Plan {
            target,
            hooks,
            suite,
            revision: about.revision,
            calls,
            loads,
            probes,
            slowed_by: None,
            attached_pid: about.attached_pid,
        },
        tools,
        probes: probe_plan,
        failed,
        output: wish.output.to_owned(),
        mask,
    })
}

struct About {
    identity: crate::mcp::message::Identity,
    revision: Revision,
    tool_list_hash: String,
    is_sse: bool,
    has_sessions: bool,
    mirrored: BTreeMap<String, ParamHeaders>,
    attached_pid: Result<u32, String>,
    /// What of the clone that the configuration lies in is checked out.
    commit: Option<String>,
}

impl About {
    fn of(probe: &Probe, commit: Option<String>) -> Self {
        Self {
            commit,
            identity: probe.identity.clone(),
            revision: probe.revision,
            tool_list_hash: probe.tool_list_hash.clone(),
            is_sse: probe.is_sse(),
            has_sessions: probe.has_session(),
            mirrored: probe.valid_mirrored(),
            attached_pid: probe.attached_pid.clone(),
        }
    }
}
