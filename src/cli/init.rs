//! `mcpgate init`: a first configuration, from a running server.

use std::{
    collections::BTreeSet,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use tokio::time::Instant;

use super::{
    files::{self, CONFIG, Loaded},
    mask::Mask,
    measure,
    options::{self, Format, Measuring, Printing},
    progress::Progress,
    session::Run,
};
use crate::{
    environment,
    error::{Error, exit_code},
    git::Git,
    mcp::outcome::ErrorKind,
    report::{self, FirstSteps, Tried, TriedTool},
    results::{Skipped, Transport},
    runner::{event::Event, hooks::Hooks, probe, probe::Probe, target::Target},
    store,
    suite::{
        Expect, ServerConfig, ToolCall, config,
        discover::{Surveyed, survey},
        first_config::{self, Entry, Facts, Project, State},
    },
};

/// Where GitHub looks for workflows, from the top of the repository.
const WORKFLOW: &str = ".github/workflows/mcpgate.yml";
/// The workflow that the README shows.
const WORKFLOW_TEXT: &str = include_str!("../../examples/workflows/gate.yml");

/// How long one trial call may take.
const CALL_PATIENCE: Duration = Duration::from_secs(10);
/// A call that takes longer is not measured unasked: a hundred of them take the time of a run.
const SLOW_CALL: Duration = Duration::from_secs(5);
/// How long everything may take.
const PATIENCE: Duration = Duration::from_mins(5);
/// No trial call is begun after so long.
const TRYING: Duration = Duration::from_mins(2);
/// How often a server is started that its calls end.
const MOST_STARTS: u32 = 4;
/// The run's usual seed.
const SEED: u64 = 1;

/// Make a first configuration.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The file to write; its folder is the project's.
    #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// URL of the server: with a command, where it listens (`{port}`: a free port); alone, a server
    /// that you started.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Write a GitHub workflow as well, which measures each pull request.
    #[arg(long)]
    workflow: bool,
    /// Ask nothing; the workflow is written only with --workflow.
    #[arg(short, long)]
    yes: bool,
    /// Write over files that are there.
    #[arg(long)]
    force: bool,
    /// Command of the server, after `--`.
    #[arg(last = true, value_name = "SERVER COMMAND")]
    command: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  mcpgate init -- node dist/index.js
  mcpgate init -- uv run my-server
  mcpgate init --url 'http://127.0.0.1:{port}/mcp' -- node dist/index.js --port '{port}'
  mcpgate init --url http://127.0.0.1:3000/mcp";

pub(super) async fn run(arguments: Arguments) -> Result<u8, Error> {
    let folder = files::folder_of(&arguments.config);
    refuse_existing(&arguments.config, arguments.force)?;
    let git_folder = folder.clone().unwrap_or_else(|| PathBuf::from("."));
    let place = WorkflowPlace::find(&git_folder).await;
    if arguments.workflow {
        refuse_existing(&place.path, arguments.force)?;
    }
    let files = project_files(&git_folder);
    let read = |name: &str| store::read_text(&git_folder.join(name)).ok().flatten();
    let project = Project {
        files: &files,
        read: &read,
    };
    if arguments.command.is_empty() && arguments.url.is_none() {
        return Err(Error::Usage(no_server(&project)));
    }
    let variables = environment::variables();
    refuse_secrets(&arguments, &variables)?;
    let server = ServerConfig {
        command: Some(relative(arguments.command.clone(), &git_folder))
            .filter(|command| !command.is_empty()),
        url: arguments.url.clone(),
        ..ServerConfig::default()
    };
    let mask = Mask::of_values(hidden(&variables));
    let mut loaded = Loaded::without_file();
    loaded.folder.clone_from(&folder);
    loaded.config.server = Some(server);
    let measuring = Measuring::default();
    let server = measure::merge(&measuring, &mut loaded)?;
    let mut run = measure::begin(&measuring, PATIENCE)?;
    let met = meet(&mut run, &server, &loaded, &mask).await?;
    run.progress.finish();

    let build = project.build(server.command.as_deref().unwrap_or_default());
    let facts = Facts {
        server: &met.server,
        command: server.command.as_deref().unwrap_or_default(),
        url: server.url.as_deref(),
        build: &build,
        tools: &met.entries,
    };
    let text = first_config::text(&facts);
    // What is written must be what `run` reads.
    config::parse(
        &arguments.config.display().to_string(),
        &text,
        config::Outside::NOTHING,
    )
    .map_err(|mistakes| Error::Config {
        rendered: format!(
            "this server cannot be written into a configuration:\n{}",
            mistakes.render(false)
        ),
    })?;
    let wants_workflow = match arguments.workflow {
        true => true,
        false => !arguments.yes && place.may_be_offered() && ask(&mut run, &place.path).await?,
    };
    store::write_atomic(&arguments.config, text.as_bytes())?;
    let mut steps = FirstSteps {
        server: format!("{}: {} tools", met.server, met.entries.len()),
        tools: met.tried,
        written: vec![(
            arguments.config.display().to_string(),
            in_words(&met.entries),
        )],
        notes: Vec::new(),
        next: next(&arguments.config, &met.entries),
    };
    if wants_workflow {
        let text = first_config::workflow(WORKFLOW_TEXT, &place.prefix, &build);
        store::write_atomic(&place.path, text.as_bytes())?;
        steps.written.push((
            place.path.display().to_string(),
            "measures each pull request; read it before you commit it".to_owned(),
        ));
    }
    steps.notes.extend(met.notes);
    let printing = Printing {
        format: Format::Text,
        verbose: false,
    };
    options::print(&report::first_steps(&steps, printing.style()))?;
    Ok(exit_code::OK)
}

fn refuse_existing(path: &Path, force: bool) -> Result<(), Error> {
    if force || !path.exists() {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{}: it is there already, and nothing was written; --force writes over it, and `mcpgate doctor` \
         checks the configuration that you have",
        path.display()
    )))
}

fn no_server(project: &Project<'_>) -> String {
    let mut text =
        "no server was given: write its command behind `--`, or its url with --url".to_owned();
    let suggestions = project.suggestions();
    if suggestions.is_empty() {
        text.push_str(", such as:\n  mcpgate init -- node dist/index.js");
    } else {
        text.push_str("; this project's files suggest:");
        for suggestion in suggestions {
            text.push_str(&format!(
                "\n  mcpgate init -- {}    ({})",
                suggestion.command, suggestion.from
            ));
        }
    }
    text
}

/// Names in the project's folder, and in two more that tell of commands.
fn project_files(folder: &Path) -> BTreeSet<String> {
    let mut out = store::names(folder);
    for inside in ["cmd", ".venv/bin", "src"] {
        let names = store::names(&folder.join(inside));
        out.extend(names.into_iter().map(|name| format!("{inside}/{name}")));
    }
    out
}

/// Words that name files of the project's folder by their whole path become relative to it, so that
/// the file means the same in another clone.
fn relative(command: Vec<String>, folder: &Path) -> Vec<String> {
    let Ok(top) = std::path::absolute(folder).map(|top| top.components().collect::<PathBuf>())
    else {
        return command;
    };
    let shorter = |word: String| -> String {
        let inside = Path::new(&word).strip_prefix(&top).ok();
        match inside.and_then(Path::to_str) {
            Some(inside) if !inside.is_empty() && top.join(inside).exists() => {
                // A program without a slash would be looked for in PATH.
                if inside.contains('/') {
                    inside.to_owned()
                } else {
                    format!("./{inside}")
                }
            }
            _ => word,
        }
    };
    command.into_iter().map(shorter).collect()
}

/// Whether a variable's name says that its value is nobody's business.
fn is_secret_name(name: &str) -> bool {
    const WORDS: [&str; 8] = [
        "TOKEN",
        "SECRET",
        "PASSW",
        "KEY",
        "CREDENTIAL",
        "AUTH",
        "DSN",
        "PRIVATE",
    ];
    let name = name.to_uppercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// A command with a secret in it would be written into a file that is committed.
fn refuse_secrets(arguments: &Arguments, variables: &[(String, String)]) -> Result<(), Error> {
    const SHORTEST: usize = 6;
    let words = || arguments.command.iter().chain(&arguments.url);
    let found = variables.iter().find(|(name, value)| {
        let may_be_secret = is_secret_name(name) || (value.contains("://") && value.contains('@'));
        may_be_secret
            && value.len() >= SHORTEST
            && words().any(|word| word.contains(value.as_str()))
    });
    match found {
        None => Ok(()),
        Some((name, _)) => Err(Error::Usage(format!(
            "the server's command or url holds the value of the environment variable {name}, which \
             would be written into a file: a server that mcpgate starts has the whole environment and \
             can read {name} there; over HTTP, write headers = {{ … = \"${{{name}}}\" }} into [server] \
             by hand"
        ))),
    }
}

/// Values that a server may repeat and nobody is to see.
fn hidden(variables: &[(String, String)]) -> impl Iterator<Item = &str> {
    const SHORTEST: usize = 8;
    const SHORTEST_SECRET: usize = 4;
    // What every machine has, and hides nothing.
    const KNOWN: [&str; 9] = [
        "PWD", "OLDPWD", "HOME", "SHELL", "LANG", "TERM", "TMPDIR", "PATH", "_",
    ];
    variables.iter().filter_map(|(name, value)| {
        let shortest = if is_secret_name(name) {
            SHORTEST_SECRET
        } else {
            SHORTEST
        };
        let is_hidden = value.len() >= shortest && !KNOWN.contains(&name.as_str());
        is_hidden.then_some(value.as_str())
    })
}

/// A server that was asked and tried.
struct Met {
    server: String,
    entries: Vec<Entry>,
    tried: Vec<TriedTool>,
    notes: Vec<String>,
}

/// Asks the server for its tools, and calls each once that may be called.
async fn meet(
    run: &mut Run,
    server: &ServerConfig,
    loaded: &Loaded,
    mask: &Mask,
) -> Result<Met, Error> {
    let mut target = measure::target(server, loaded.folder.as_deref(), None)?;
    target.limits.call_timeout = CALL_PATIENCE;
    let hooks = Hooks::default();
    let work = meet_all(&mut run.progress, &target, &hooks, mask);
    match run.interrupts.until(run.deadline.cut(work)).await {
        Some(Some(met)) => met.map_err(|error| mask.error(error)),
        Some(None) => Err(Error::NotMeasured(format!(
            "the server and its trial calls took longer than {}: nothing was written",
            humantime::format_duration(PATIENCE)
        ))),
        None => Err(interrupted()),
    }
}

fn interrupted() -> Error {
    Error::NotMeasured("interrupted: nothing was written".to_owned())
}

async fn meet_all(
    progress: &mut Progress,
    target: &Target,
    hooks: &Hooks,
    mask: &Mask,
) -> Result<Met, Error> {
    let began = Instant::now();
    let mut probe = Some(probe::probe(target, hooks, None).await?);
    let mut starts = 1;
    let (server, (tools, rest)) = match &probe {
        Some(probe) => (who(probe, target, mask), survey(&probe.tools)),
        None => (String::new(), (Vec::new(), None)),
    };
    let (mut entries, mut tried) = (Vec::new(), Vec::new());
    for tool in tools {
        let call = match callable(&tool) {
            Ok(call) => call.clone(),
            Err(reason) => {
                let reason = mask.text(&reason);
                tried.push(named(&tool, Tried::NotCalled(reason.clone())));
                entries.push(Entry {
                    tool,
                    state: State::Off(reason),
                });
                continue;
            }
        };
        progress.event(&Event::Scenario { name: &call.name });
        if probe.is_none() && starts < MOST_STARTS && began.elapsed() < TRYING {
            starts += 1;
            probe = probe::probe(target, hooks, None).await.ok();
        }
        let (outcome, state) = match &mut probe {
            Some(running) if began.elapsed() < TRYING => match attempt(running, &call).await {
                Ok((outcome, state)) => (outcome, state),
                Err(lost) => {
                    if let Some(lost) = probe.take() {
                        lost.end().await;
                    }
                    let lost = lost.to_string();
                    let reason = lost.lines().next().unwrap_or_default().to_owned();
                    (Tried::Failed(reason.clone()), State::Off(reason))
                }
            },
            _ => {
                let reason = "was not tried: the calls before took too long, or ended the server";
                (
                    Tried::NotCalled(reason.to_owned()),
                    State::Off(reason.to_owned()),
                )
            }
        };
        tried.push(named(&tool, hide(outcome, mask)));
        let state = match state {
            State::Off(reason) => State::Off(mask.text(&reason)),
            measured @ State::Measured { .. } => measured,
        };
        entries.push(Entry { tool, state });
    }
    if let Some(probe) = probe {
        probe.end().await;
    }
    let notes = rest.map(|Skipped { name, reason }| format!("{name} were not looked at: {reason}"));
    Ok(Met {
        server,
        entries,
        tried,
        notes: notes.into_iter().collect(),
    })
}

/// The call of a tool that may be tried and measured; else why not.
fn callable(tool: &Surveyed) -> Result<&ToolCall, String> {
    let call = tool.call.as_ref().map_err(Clone::clone)?;
    if let Some(obstacle) = tool.obstacle() {
        return Err(obstacle.to_owned());
    }
    first_config::cannot_be_written(call).map_or(Ok(call), Err)
}

fn named(tool: &Surveyed, outcome: Tried) -> TriedTool {
    TriedTool {
        name: tool.shown_name.clone(),
        outcome,
    }
}

fn hide(outcome: Tried, mask: &Mask) -> Tried {
    match outcome {
        Tried::Answered { ns, answer } => Tried::Answered {
            ns,
            answer: mask.text(&answer),
        },
        Tried::Failed(reason) => Tried::Failed(mask.text(&reason)),
        Tried::NotCalled(reason) => Tried::NotCalled(mask.text(&reason)),
    }
}

/// Calls a tool once.
async fn attempt(probe: &mut Probe, call: &ToolCall) -> Result<(Tried, State), Error> {
    let contains = first_config::varying_text(call);
    let call = ToolCall {
        expect: Expect {
            contains: contains.clone(),
        },
        ..call.clone()
    };
    let answer = match probe.try_once(&call, SEED).await? {
        Ok(answer) => answer,
        Err(error) => {
            let reason = match error.kind {
                ErrorKind::ToolError => error.message,
                ErrorKind::Timeout => format!(
                    "did not answer within {}",
                    humantime::format_duration(CALL_PATIENCE)
                ),
                _ => error.to_string(),
            };
            return Ok((Tried::Failed(reason.clone()), State::Off(reason)));
        }
    };
    if answer.wall > SLOW_CALL {
        let reason = format!(
            "one call took {:.1} s, and a run makes a hundred; switch it on with `calls` in [suite] set low",
            answer.wall.as_secs_f64()
        );
        return Ok((Tried::Failed(reason.clone()), State::Off(reason)));
    }
    let tried = Tried::Answered {
        ns: u64::try_from(answer.wall.as_nanos()).unwrap_or(u64::MAX),
        answer: answer.words,
    };
    let contains = contains.filter(|_| answer.holds_expected);
    Ok((tried, State::Measured { contains }))
}

fn who(probe: &Probe, target: &Target, mask: &Mask) -> String {
    let transport = match (target.transport(), probe.is_sse()) {
        (Transport::Stdio, _) => "stdio",
        (Transport::StreamableHttp, false) => "streamable HTTP",
        (_, true) | (Transport::Sse, false) => "HTTP+SSE",
    };
    let name = match probe.identity.name.trim() {
        "" => "a server without a name",
        name => name,
    };
    mask.text(&format!(
        "{name} {}, {transport}, protocol {}",
        probe.identity.version, probe.revision
    ))
}

fn in_words(entries: &[Entry]) -> String {
    let measured = entries
        .iter()
        .filter(|entry| matches!(entry.state, State::Measured { .. }))
        .count();
    let off = entries.len() - measured;
    let measured = match measured {
        0 => "no tool is measured yet".to_owned(),
        1 => "1 tool is measured".to_owned(),
        n => format!("{n} tools are measured"),
    };
    match off {
        0 => measured,
        1 => format!("{measured}, 1 stands switched off with its reason"),
        n => format!("{measured}, {n} stand switched off, each with its reason"),
    }
}

fn next(config: &Path, entries: &[Entry]) -> Vec<(String, String)> {
    let named = |verb: &str| {
        if config == Path::new(CONFIG) {
            format!("mcpgate {verb}")
        } else {
            let path = config.display().to_string();
            let path = shlex::try_quote(&path).map_or(path.clone(), std::borrow::Cow::into_owned);
            format!("mcpgate {verb} --config {path}")
        }
    };
    let is_measured = |entry: &Entry| matches!(entry.state, State::Measured { .. });
    let run = if entries.iter().any(is_measured) {
        "measures; takes some minutes, `--suite quick` fewer"
    } else {
        "measures, once a tool is switched on in the file"
    };
    vec![
        (named("run"), run.to_owned()),
        (
            named("baseline update"),
            "accepts the results as the baseline; commit it".to_owned(),
        ),
    ]
}

/// Where the workflow goes.
struct WorkflowPlace {
    path: PathBuf,
    /// Where the project lies in its repository: empty at its top.
    prefix: String,
    is_repository: bool,
}

impl WorkflowPlace {
    async fn find(folder: &Path) -> Self {
        let git = Git::new(folder);
        let (top, prefix) = (git.top().await, git.prefix().await);
        match (top, prefix) {
            (Ok(_), Some(prefix)) if prefix.is_empty() => Self {
                path: folder.join(WORKFLOW),
                prefix,
                is_repository: true,
            },
            (Ok(top), Some(prefix)) => Self {
                path: top.join(WORKFLOW),
                prefix: prefix.trim_end_matches('/').to_owned(),
                is_repository: true,
            },
            _ => Self {
                path: folder.join(WORKFLOW),
                prefix: String::new(),
                is_repository: false,
            },
        }
    }

    /// Whether it is worth a question: there is a repository without one, and somebody to answer.
    fn may_be_offered(&self) -> bool {
        let somebody = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        somebody && self.is_repository && !self.path.exists()
    }
}

/// Asks whether the workflow is to be written.
async fn ask(run: &mut Run, path: &Path) -> Result<bool, Error> {
    options::ask(&format!(
        "Write {}, which measures each pull request? [y/N] ",
        path.display()
    ));
    // On a thread of its own, since the signals are taken by now, and Ctrl-C must end the waiting.
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    match run.interrupts.until(line).await {
        Some(Ok(Ok(line))) => Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes")),
        Some(_) => Ok(false),
        None => Err(interrupted()),
    }
}
