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
        client::{Endpoint, Wanted},
        message::{self, Identity},
        outcome::{CallError, ErrorKind},
        param_headers::ParamHeaders,
        revision::{Era, Revision},
    },
    process::listener,
    results::{ErrorSample, Sample},
    runner::call::CompiledCall,
    suite::{ToolCall, hash},
};

/// Trial calls of one tool.
const TRIALS: u32 = 6;
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
            let compiled = CompiledCall::new(call, seed, "trial")?;
            let trial = match mirrored
                .remove(&call.name)
                .unwrap_or_else(|| Ok(ParamHeaders::default()))
            {
                Ok(headers) => self.try_tool(&compiled.mirroring(headers)).await?,
                Err(why) => not_to_be_called(&why),
            };
            trials.insert(call.name.clone(), trial);
        }
        Ok(trials)
    }

    async fn try_tool(&mut self, call: &CompiledCall) -> Result<Trial, RunFailure> {
        let client = &mut self.ready.opened.client;
        let mut best: Option<Duration> = None;
        let mut answer_bytes = 0;
        let mut collector = Collector::default();
        let began = Instant::now();
        for i in 0..TRIALS {
            if began.elapsed() > TRIAL_TIME {
                break;
            }
            let (prepared, expected) = call.prepare(client, 0, i);
            let sent = Instant::now();
            let answered = match client.make_ready().await {
                Ok(()) => client.send(&prepared).await,
                Err(error) => Err(error),
            };
            let checked = answered.and_then(|exchange| {
                message::check_tool_answer(&exchange.body, exchange.id, expected.as_deref())?;
                Ok((exchange.wall(), exchange.body.len() as u64))
            });
            let error = match checked {
                Ok((wall, bytes)) => {
                    answer_bytes = bytes.max(answer_bytes);
                    best = Some(best.map_or(wall, |b| b.min(wall)));
                    continue;
                }
                Err(error) => error,
            };
            let is_lost = client.down().is_some()
                || error.kind == ErrorKind::Refused
                || (error.kind == ErrorKind::Reset && self.ready.server.exits_at_once().await);
            if is_lost {
                let seen = client.down().unwrap_or(error);
                let failure =
                    RunFailure::lost(&seen).at(&format!("a trial call of {}", call.tool()));
                return Err(self.ready.server.explain_loss(failure).await);
            }
            collector.failure(&error, sent, Instant::now());
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

    /// Ends the server.
    pub async fn end(self) {
        self.ready.opened.client.close().await;
        self.ready.server.stop().await;
    }
}

/// The trial of a tool that no client of its revision may call.
fn not_to_be_called(why: &str) -> Trial {
    let error = CallError::new(
        ErrorKind::Malformed,
        format!("{why}, so no client may call this tool over HTTP"),
    );
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
