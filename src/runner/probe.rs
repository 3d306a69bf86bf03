//! The first start of a server: who it is, what it offers, and how long its tools take.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::time::{Duration, Instant};

use super::{
    collector::Collector,
    failure::RunFailure,
    hooks::Hooks,
    target::{self, Ready, Target},
};
use crate::{
    mcp::{
        client::{Endpoint, Exchange, Wanted},
        message::{self, Identity},
        outcome::{CallError, ErrorKind},
        param_headers::ParamHeaders,
        revision::{Era, Revision},
    },
    process::{
        MemorySampler, SchedulerProbe, Stopped, container_process::server_process, listener,
    },
    results::{ErrorSample, Measure, Sample},
    runner::call::CompiledCall,
    suite::{ToolCall, hash},
};

/// Trial calls of one tool.
const TRIALS: u32 = 6;
/// Looks at memory come so often: one is made at once, and that is the one that is wanted.
const MEMORY_LOOK: Duration = Duration::from_secs(60);
/// When no further trial call of a tool is begun.
const TRIAL_TIME: Duration = Duration::from_secs(2);

/// What the first start found out.
pub struct Probe {
    ready: Ready,
    /// Who answered.
    pub identity: Identity,
    /// The negotiated revision.
    pub revision: Revision,
    /// The tools, as the server describes them.
    pub tools: Vec<Value>,
    /// See `results.rs`.
    pub tool_list_hash: String,
    /// The process of an attached server, or why it is not known.
    pub attached_pid: Result<u32, String>,
}

/// What the trial calls of one tool gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Trial {
    /// At least one was successful.
    Works {
        /// The fastest one's time.
        typical: Duration,
        /// Size of the longest answer.
        answer_bytes: u64,
    },
    /// None was.
    Fails {
        /// All of them.
        sample: Box<Sample>,
        /// The first one's error.
        error: ErrorSample,
    },
}

/// What the first call of a tool gave.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstAnswer {
    /// How long it took.
    pub wall: Duration,
    /// The answer in a line: see [`message::answer_in_words`].
    pub words: String,
    /// Whether two answers held the text that was expected in them.
    pub holds_expected: bool,
}

/// What can be measured of a server's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Adjusted latency, or why not.
    pub adjusted: Result<(), String>,
    /// Its memory at this moment in bytes, or why that is not known.
    pub memory: Result<u64, String>,
}

/// Starts the server and asks it what it offers.
///
/// # Errors
/// When it cannot be started, does not get ready, or does not list its tools.
pub async fn probe(
    target: &Target,
    hooks: &Hooks,
    revision: Option<Revision>,
) -> Result<Probe, RunFailure> {
    hooks.reset().await?;
    let wanted = revision.map_or(Wanted::Any, Wanted::Exactly);
    let mut ready = match target::start(target, wanted).await {
        // A server that leaves at the first unknown method is of the `initialize` era.
        Err(RunFailure::Exited { .. } | RunFailure::Handshake { .. })
            if revision.is_none() && !target.is_attached() && target.url.is_none() =>
        {
            target::start(target, Wanted::AnyLegacy).await?
        }
        Err(RunFailure::Handshake { problem, tail }) => {
            let fixed = revision.map_or_else(String::new, |revision| {
                format!(
                    "; `protocol` in [server] fixes {revision}: take it out, and mcpgate asks the \
                     server what it speaks"
                )
            });
            return Err(RunFailure::Handshake {
                problem: format!("{problem}{fixed}"),
                tail,
            });
        }
        outcome => outcome?,
    };
    let identity = ready.opened.identity.clone();
    let revision = ready.opened.client.revision();
    let listed = ready.opened.client.list_tools().await;
    let tools = match listed {
        Ok(tools) => tools,
        Err(error) => {
            let failure = RunFailure::lost(&CallError::new(
                error.kind,
                format!("tools/list failed: {error}"),
            ))
            .at("the first tools/list");
            let failure = ready.server.explain_loss(failure).await;
            ready.server.stop().await;
            return Err(failure);
        }
    };
    let attached_pid = match (&target.pid, &ready.server.endpoint) {
        (Some(pid), _) => Ok(*pid),
        (None, Endpoint::Http(http) | Endpoint::Sse(http)) => http.loopback_address().map_or_else(
            || Err("the server runs on another machine".to_owned()),
            listener::process_behind,
        ),
        (None, Endpoint::Stdio(_)) => Err("the server was not attached to".to_owned()),
    };
    Ok(Probe {
        ready,
        identity,
        revision,
        tool_list_hash: hash::short_hash(&Value::Array(tools.clone())),
        tools,
        attached_pid,
    })
}

impl Probe {
    /// Whether the server gives its clients sessions that they can end.
    #[must_use]
    pub fn has_session(&self) -> bool {
        self.ready.opened.client.has_session()
    }

    /// Whether the server is reached over the older HTTP+SSE.
    #[must_use]
    pub fn is_sse(&self) -> bool {
        matches!(self.ready.server.endpoint, Endpoint::Sse(_))
    }

    /// By name, which arguments of the tools travel as headers; or why a tool may not be called.
    fn mirrored(&self) -> BTreeMap<String, Result<ParamHeaders, String>> {
        let has_headers = matches!(self.ready.server.endpoint, Endpoint::Http(_))
            && self.revision.era() == Era::Modern;
        let tools = self.tools.iter().filter(|_| has_headers);
        tools
            .filter_map(|tool| {
                let name = tool.get("name")?.as_str()?;
                Some((name.to_owned(), ParamHeaders::of(tool)))
            })
            .collect()
    }

    /// The same of those that may be called.
    #[must_use]
    pub fn valid_mirrored(&self) -> BTreeMap<String, ParamHeaders> {
        let all = self.mirrored().into_iter();
        all.filter_map(|(name, headers)| Some((name, headers.ok()?)))
            .collect()
    }

    /// Makes a few calls of each tool, to know how long they take and which do not work.
    ///
    /// # Errors
    /// When the server is lost.
    pub async fn try_tools(
        &mut self,
        calls: &[ToolCall],
        seed: u64,
    ) -> Result<BTreeMap<String, Trial>, crate::error::Error> {
        let mut trials = BTreeMap::new();
        let mut mirrored = self.mirrored();
        for call in calls {
            let trial = match self.compile(call, seed, &mut mirrored)? {
                Ok(compiled) => self.try_tool(&compiled).await?,
                Err(why) => not_to_be_called(&why),
            };
            trials.insert(call.name.clone(), trial);
        }
        Ok(trials)
    }

    /// Makes a call ready; or says why no client may make it.
    fn compile(
        &self,
        call: &ToolCall,
        seed: u64,
        mirrored: &mut BTreeMap<String, Result<ParamHeaders, String>>,
    ) -> Result<Result<CompiledCall, String>, crate::error::Error> {
        let compiled = CompiledCall::new(call, seed, "trial")?;
        let headers = mirrored.remove(&call.name);
        let headers = headers.unwrap_or_else(|| Ok(ParamHeaders::default()));
        Ok(headers.map(|headers| compiled.mirroring(headers)))
    }

    /// Calls a tool once, and once more where its answer holds what `call` expects, to see whether
    /// each does.
    ///
    /// # Errors
    /// When the server is lost, or a template is wrong.
    pub async fn try_once(
        &mut self,
        call: &ToolCall,
        seed: u64,
    ) -> Result<Result<FirstAnswer, CallError>, crate::error::Error> {
        let mut mirrored = self.mirrored();
        let compiled = match self.compile(call, seed, &mut mirrored)? {
            Ok(compiled) => compiled,
            Err(why) => return Ok(Err(may_not_be_called(&why))),
        };
        let (exchange, expected) = match self.call(&compiled, 0).await? {
            Ok(answered) => answered,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = message::check_tool_answer(&exchange.body, exchange.id, None) {
            return Ok(Err(error));
        }
        let holds = |exchange: &Exchange, expected: Option<String>| {
            expected.is_some_and(|expected| {
                message::check_tool_answer(&exchange.body, exchange.id, Some(&expected)).is_ok()
            })
        };
        let mut holds_expected = holds(&exchange, expected);
        if holds_expected {
            holds_expected = match self.call(&compiled, 1).await? {
                Ok((second, expected)) => holds(&second, expected),
                Err(_) => false,
            };
        }
        Ok(Ok(FirstAnswer {
            wall: exchange.wall(),
            words: message::answer_in_words(&exchange.body, exchange.id),
            holds_expected,
        }))
    }

    /// Makes call number `i`; with the answer, the text that it is expected to hold.
    async fn call(
        &mut self,
        call: &CompiledCall,
        i: u32,
    ) -> Result<Result<(Exchange, Option<String>), CallError>, RunFailure> {
        let client = &mut self.ready.opened.client;
        let (prepared, expected) = call.prepare(client, 0, i);
        let answered = match client.make_ready().await {
            Ok(()) => client.send(&prepared).await,
            Err(error) => Err(error),
        };
        match answered {
            Ok(exchange) => Ok(Ok((exchange, expected))),
            Err(error) => self.still_there(error, call).await.map(Err),
        }
    }

    /// The error of a call, unless it is that the server is gone.
    async fn still_there(
        &mut self,
        error: CallError,
        call: &CompiledCall,
    ) -> Result<CallError, RunFailure> {
        let client = &self.ready.opened.client;
        let is_lost = client.down().is_some()
            || error.kind == ErrorKind::Refused
            || (error.kind == ErrorKind::Reset && self.ready.server.exits_at_once().await);
        if !is_lost {
            return Ok(error);
        }
        let seen = self.ready.opened.client.down().unwrap_or(error);
        let failure = RunFailure::lost(&seen).at(&format!("a trial call of {}", call.tool()));
        Err(self.ready.server.explain_loss(failure).await)
    }

    async fn try_tool(&mut self, call: &CompiledCall) -> Result<Trial, RunFailure> {
        let mut best: Option<Duration> = None;
        let mut answer_bytes = 0;
        let mut collector = Collector::default();
        let began = Instant::now();
        for i in 0..TRIALS {
            if began.elapsed() > TRIAL_TIME {
                break;
            }
            let sent = Instant::now();
            let checked = self.call(call, i).await?.and_then(|(exchange, expected)| {
                message::check_tool_answer(&exchange.body, exchange.id, expected.as_deref())?;
                Ok((exchange.wall(), exchange.body.len() as u64))
            });
            match checked {
                Ok((wall, bytes)) => {
                    answer_bytes = bytes.max(answer_bytes);
                    best = Some(best.map_or(wall, |b| b.min(wall)));
                }
                Err(error) => {
                    // An answer that closes the connection may be the last one.
                    let error = self.still_there(error, call).await?;
                    collector.failure(&error, sent, Instant::now());
                }
            }
        }
        Ok(match (best, collector.take_first_error()) {
            (Some(typical), _) => Trial::Works {
                typical,
                answer_bytes,
            },
            (None, error) => Trial::Fails {
                sample: Box::new(collector.into_sample()),
                error: error.unwrap_or_else(|| ErrorSample {
                    kind: ErrorKind::Timeout.name().into_owned(),
                    message: "no trial call was made".to_owned(),
                }),
            },
        })
    }

    /// From the process's start to the end of the handshake; `None` for an attached server.
    #[must_use]
    pub fn startup(&self) -> Option<Duration> {
        self.ready.startup
    }

    /// The root of the process tree of a server that mcpgate started.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.ready.server.pid()
    }

    /// What can be measured of the server's process.
    pub async fn watched(&self) -> Watched {
        let pid = match self.ready.server.pid() {
            Some(pid) => Ok(pid),
            None => self.attached_pid.clone(),
        };
        let pid = match pid {
            Ok(pid) => server_process(pid).await,
            Err(why) => Err(why),
        };
        Watched {
            adjusted: pid.clone().and_then(SchedulerProbe::attach).map(|_| ()),
            memory: pid.and_then(|pid| {
                let summary = MemorySampler::start(pid, MEMORY_LOOK).finish();
                match (summary.peak_bytes, summary.measure) {
                    (Some(bytes), _) => Ok(bytes),
                    (None, Measure::NotMeasured(why) | Measure::By(why)) => Err(why),
                }
            }),
        }
    }

    /// Ends the server; what that took, where mcpgate started it.
    pub async fn end(self) -> Option<Stopped> {
        self.ready.opened.client.close().await;
        self.ready.server.stop().await
    }
}

fn may_not_be_called(why: &str) -> CallError {
    CallError::new(
        ErrorKind::Malformed,
        format!("{why}, so no client may call this tool over HTTP"),
    )
}

/// The trial of a tool that no client of its revision may call.
fn not_to_be_called(why: &str) -> Trial {
    let error = may_not_be_called(why);
    let now = Instant::now();
    let mut collector = Collector::default();
    collector.failure(&error, now, now);
    Trial::Fails {
        error: ErrorSample {
            kind: error.kind.name().into_owned(),
            message: error.message,
        },
        sample: Box::new(collector.into_sample()),
    }
}
