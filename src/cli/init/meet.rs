//! Asking a server for its tools, and calling each once.

use std::{path::Path, time::Duration};

use tokio::time::Instant;

use crate::{
    cli::{files::Loaded, mask::Mask, measure, progress::Progress, session::Run},
    error::Error,
    mcp::{outcome::ErrorKind, revision::Revision},
    report::{Tried, TriedTool},
    results::{Skipped, Transport},
    runner::{event::Event, hooks::Hooks, probe, probe::Probe, target::Target},
    store,
    suite::{
        Expect, ServerConfig, ToolCall,
        discover::{Guesses, Surveyed, survey},
        first_config::{self, Entry, State},
    },
};

/// How long one trial call may take.
const CALL_PATIENCE: Duration = Duration::from_secs(10);
/// A call that takes longer is not measured unasked: a hundred of them take the time of a run.
const SLOW_CALL: Duration = Duration::from_secs(5);
/// How long everything may take.
pub(super) const PATIENCE: Duration = Duration::from_mins(5);
/// No trial call is begun after so long.
const TRYING: Duration = Duration::from_mins(2);
/// How often a server is started that its calls end.
const MOST_STARTS: u32 = 4;
/// The run's usual seed.
const SEED: u64 = 1;

/// What a server works on, as its command says: a folder that it names, and a file there.
#[derive(Default)]
struct Places {
    folder: Option<String>,
    /// With the folder, and without.
    file: Option<(String, String)>,
}

/// Whether a file is one to be read and shown, as far as its name tells.
fn is_readable(name: &str) -> bool {
    const ENDINGS: [&str; 14] = [
        "c", "css", "csv", "go", "html", "java", "js", "json", "md", "py", "rs", "toml", "ts",
        "txt",
    ];
    let ending = Path::new(name)
        .extension()
        .and_then(|ending| ending.to_str());
    !name.starts_with('.') && ending.is_some_and(|ending| ENDINGS.contains(&ending))
}

impl Places {
    fn of(server: &ServerConfig, folder: Option<&Path>) -> Self {
        let top = folder.unwrap_or(Path::new(".")).to_owned();
        let words = server.command.iter().flatten().skip(1);
        let named = words.filter(|word| !word.is_empty() && top.join(word).is_dir());
        let Some(named) = named.last() else {
            return Self::default();
        };
        let inside = store::names(&top.join(named));
        let mut files = inside
            .into_iter()
            .filter(|name| is_readable(name))
            .map(|name| (format!("{}/{name}", named.trim_end_matches('/')), name));
        Self {
            folder: Some(named.clone()),
            file: files.find(|(path, _)| top.join(path).is_file()),
        }
    }

    fn seen_from_outside(&self) -> Guesses<'_> {
        Guesses {
            plain_texts: true,
            folder: self.folder.as_deref(),
            file: self.file.as_ref().map(|(path, _)| path.as_str()),
        }
    }

    fn seen_from_inside(&self) -> Guesses<'_> {
        Guesses {
            plain_texts: true,
            folder: self.folder.as_ref().map(|_| "."),
            file: self.file.as_ref().map(|(_, name)| name.as_str()),
        }
    }
}

/// A server that was asked and tried.
pub(super) struct Met {
    /// Who answered, and how.
    pub(super) server: String,
    /// For the file.
    pub(super) entries: Vec<Entry>,
    /// For the screen.
    pub(super) tried: Vec<TriedTool>,
    /// What else is to be said.
    pub(super) notes: Vec<String>,
}

/// Asks the server for its tools, and calls each once that may be called. Of the two masks the first
/// hides what is not to be seen, the second what is not to be written.
pub(super) async fn meet(
    run: &mut Run,
    server: &ServerConfig,
    loaded: &Loaded,
    (mask, secrets): (&Mask, &Mask),
) -> Result<Met, Error> {
    let mut target = measure::target(server, loaded.folder.as_deref(), None)?;
    target.limits.call_timeout = CALL_PATIENCE;
    let (mask, secrets) = (
        &mask.clone().and(target.tokens.clone()),
        &secrets.clone().and(target.tokens.clone()),
    );
    let places = Places::of(server, loaded.folder.as_deref());
    let asked = Asked {
        target: &target,
        hooks: measure::hooks(server, loaded.folder.as_deref()),
        pinned: measure::pinned(server),
    };
    let work = meet_all(&mut run.progress, &asked, &places, (mask, secrets));
    match run.interrupts.until(run.deadline.cut(work)).await {
        Some(Some(met)) => met.map_err(|error| mask.error(error)),
        Some(None) => Err(Error::NotMeasured(format!(
            "the server and its trial calls took longer than {}: nothing was written",
            humantime::format_duration(PATIENCE)
        ))),
        None => Err(interrupted()),
    }
}

pub(super) fn interrupted() -> Error {
    Error::NotMeasured("interrupted: nothing was written".to_owned())
}

/// How the server is started and asked.
struct Asked<'a> {
    target: &'a Target,
    hooks: Hooks,
    pinned: Option<Revision>,
}

impl Asked<'_> {
    async fn start(&self) -> Result<Probe, Error> {
        Ok(probe::probe(self.target, &self.hooks, self.pinned).await?)
    }
}

async fn meet_all(
    progress: &mut Progress,
    asked: &Asked<'_>,
    places: &Places,
    (mask, secrets): (&Mask, &Mask),
) -> Result<Met, Error> {
    let began = Instant::now();
    asked.hooks.setup().await?;
    let mut probe = Some(asked.start().await?);
    let mut starts = 1;
    let Some(first) = &probe else {
        return Err(interrupted());
    };
    let server = who(first, asked.target, mask);
    let (tools, rest) = survey(&first.tools, places.seen_from_outside());
    // Some servers take paths from the folder that they were given.
    let (others, _) = survey(&first.tools, places.seen_from_inside());
    let (mut entries, mut tried) = (Vec::new(), Vec::new());
    for mut tool in tools {
        withhold(&mut tool, secrets);
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
        let other = others.iter().find(|other| {
            let other = callable(other).ok();
            other.is_some_and(|other| other.name == call.name && *other != call)
        });
        let mut best: Option<(Surveyed, Tried, State)> = None;
        for tool in std::iter::once(&tool).chain(other) {
            if probe.is_none() && starts < MOST_STARTS && began.elapsed() < TRYING {
                starts += 1;
                probe = asked.start().await.ok();
            }
            let (outcome, state) = match (&mut probe, callable(tool)) {
                (Some(running), Ok(call)) if began.elapsed() < TRYING => {
                    match attempt(running, call).await {
                        Ok(outcome) => outcome,
                        Err(lost) => {
                            if let Some(lost) = probe.take() {
                                lost.end().await;
                            }
                            let lost = lost.to_string();
                            let reason = lost.lines().next().unwrap_or_default().to_owned();
                            (Tried::Failed(reason.clone()), State::Off(reason))
                        }
                    }
                }
                _ => {
                    let reason =
                        "was not tried: the calls before took too long, or ended the server";
                    (
                        Tried::NotCalled(reason.to_owned()),
                        State::Off(reason.to_owned()),
                    )
                }
            };
            let is_good = matches!(&state, State::Measured { doubt: None, .. });
            let is_better = best
                .as_ref()
                .is_none_or(|(_, _, best)| rank(&state) > rank(best));
            if is_better {
                best = Some((tool.clone(), outcome, state));
            }
            if is_good {
                break;
            }
        }
        let Some((tool, outcome, state)) = best else {
            continue;
        };
        tried.push(named(&tool, hide(outcome, mask)));
        let state = match state {
            State::Off(reason) => State::Off(mask.text(&reason)),
            State::Measured { contains, doubt } => State::Measured {
                contains,
                doubt: doubt.map(|doubt| mask.text(&doubt)),
            },
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

/// Takes the call from a tool whose schema names a secret of this environment.
fn withhold(tool: &mut Surveyed, secrets: &Mask) {
    let holds_one = tool.call.as_ref().is_ok_and(|call| {
        let text = serde_json::Value::Object(call.arguments.clone()).to_string();
        secrets.text(&text) != text
    });
    if holds_one {
        let reason = "its input schema names a secret of this environment as a value";
        tool.call = Err(reason.to_owned());
    }
}

/// How good the outcome of a trial is.
fn rank(state: &State) -> u8 {
    match state {
        State::Off(_) => 0,
        State::Measured { doubt: Some(_), .. } => 1,
        State::Measured { doubt: None, .. } => 2,
    }
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
        Tried::Answered {
            ns,
            answer,
            is_doubtful,
        } => Tried::Answered {
            ns,
            answer: mask.text(&answer),
            is_doubtful,
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
    let is_doubtful = first_config::reads_like_refusal(&answer.words)
        || first_config::is_empty_answer(&answer.words);
    let state = State::Measured {
        contains: contains.filter(|_| answer.holds_expected),
        doubt: is_doubtful.then(|| answer.words.clone()),
    };
    let tried = Tried::Answered {
        ns: u64::try_from(answer.wall.as_nanos()).unwrap_or(u64::MAX),
        answer: answer.words,
        is_doubtful,
    };
    Ok((tried, state))
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
    let named = format!("{name} {}", probe.identity.version);
    let named = named.trim_end();
    mask.text(&format!(
        "{named}, {transport}, protocol {}",
        probe.revision
    ))
}
