//! A server under test: how it is started and when it is ready.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use tokio::{
    net::TcpStream,
    time::{Duration, Instant, sleep, timeout},
};

use super::failure::RunFailure;
use crate::{
    environment,
    mcp::{
        Limits,
        client::{self, Endpoint, OpenError, Opened, Wanted},
        http_target::HttpTarget,
        oauth::TokenSource,
        outcome::ErrorKind,
        stdio::StdioLink,
    },
    process::{LaunchSpec, ServerProcess, StopLimits, Stopped},
    results::Transport,
    suite::Secret,
};

/// How often a starting HTTP server is asked whether it is ready: after each 50th part of the time
/// since its start, so that start-up is known to about 2 %, within these bounds.
const ASK_EVERY: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));
const ASKS: u32 = 50;

/// After so long without an answer, a request was taken: a server that does not listen refuses at
/// once.
const TAKEN: Duration = Duration::from_millis(500);
/// How long a port may stay in use before a server is started on it.
const PORT_FREED: Duration = Duration::from_secs(3);
/// How soon the log of a request follows its answer.
const LOG_FOLLOWS: Duration = Duration::from_millis(100);
/// How soon the end of a process follows the end of its connections.
const EXIT_FOLLOWS: Duration = Duration::from_millis(100);

/// A server under test.
#[derive(Debug, Clone)]
pub struct Target {
    /// How to start it; `None` for a server that the user started.
    pub launch: Option<Launch>,
    /// Where it listens; `None` for stdio. `{port}` stands for a free port.
    pub url: Option<String>,
    /// Whether it is reached there over the older HTTP+SSE alone. If not, that is tried where
    /// streamable HTTP is refused.
    pub is_sse: bool,
    /// Authorities (PEM) whose certificates are good for `url`, besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Sent with every HTTP request.
    pub headers: Vec<(String, Secret)>,
    /// Where the token for `Authorization` comes from, which each round asks for.
    pub tokens: Option<Arc<TokenSource>>,
    /// The process of a server that the user started, where they named it.
    pub pid: Option<u32>,
    /// How long it may take to answer the protocol.
    pub startup_timeout: Duration,
    /// Bounds on each call.
    pub limits: Limits,
}

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Program and arguments; `{port}` stands for a free port.
    pub command: Vec<String>,
    /// Added to the environment; `{port}` stands for a free port.
    pub env: Vec<(String, Secret)>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
}

impl Target {
    /// The transport that is used.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match (&self.url, self.is_sse) {
            (None, _) => Transport::Stdio,
            (Some(_), false) => Transport::StreamableHttp,
            (Some(_), true) => Transport::Sse,
        }
    }

    /// Whether the user started the server.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.launch.is_none()
    }
}

/// A server that answered the protocol.
pub struct Ready {
    /// The running server.
    pub server: RunningServer,
    /// Its first client.
    pub opened: Opened,
    /// From the process's start to the end of the handshake; `None` for an attached server.
    pub startup: Option<Duration>,
}

/// A started or attached server.
pub struct RunningServer {
    process: Option<ServerProcess>,
    /// How clients reach it.
    pub endpoint: Endpoint,
    stdio: Option<StdioLink>,
}

impl RunningServer {
    /// A server without a process.
    #[cfg(test)]
    pub(super) fn in_memory(endpoint: Endpoint) -> Self {
        Self {
            process: None,
            endpoint,
            stdio: None,
        }
    }

    /// The root of its process tree, if mcpgate started it.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(ServerProcess::pid)
    }

    /// Completes a loss with what the process says.
    pub async fn explain_loss(&mut self, failure: RunFailure) -> RunFailure {
        let RunFailure::Lost {
            place,
            problem,
            is_cause,
            ..
        } = failure
        else {
            return failure;
        };
        let Some(process) = &mut self.process else {
            return RunFailure::Lost {
                place,
                problem,
                is_cause,
                status: None,
                tail: None,
            };
        };
        // A process that closed its output is most often on its way out: its status says more
        // than the closed pipe does.
        let status = timeout(Duration::from_secs(2), process.exited()).await.ok();
        RunFailure::Lost {
            place,
            problem,
            is_cause,
            status,
            tail: Some(process.output_tail()),
        }
    }

    /// Whether a process that broke a connection ends at once: a crash closes the connections
    /// before it ends the process.
    pub async fn exits_at_once(&mut self) -> bool {
        self.exits_within(EXIT_FOLLOWS).await
    }

    /// The same with more patience.
    pub async fn exits_within(&mut self, patience: Duration) -> bool {
        match &mut self.process {
            Some(process) => timeout(patience, process.exited()).await.is_ok(),
            None => false,
        }
    }

    /// Whether the process has ended by itself.
    pub fn has_exited(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| process.try_exit().is_some())
    }

    /// Ends a server that mcpgate started; leaves an attached one alone.
    pub async fn stop(self) -> Option<Stopped> {
        self.stop_within(StopLimits::default()).await
    }

    /// The same with limits of one's own.
    pub async fn stop_within(self, limits: StopLimits) -> Option<Stopped> {
        if let Some(link) = self.stdio {
            link.close().await;
        }
        match self.process {
            Some(process) => Some(process.stop(limits).await),
            None => None,
        }
    }
}

/// Starts (or attaches to) the server and waits until the protocol answers.
///
/// # Errors
/// See [`RunFailure`]. Nothing is left running.
pub async fn start(target: &Target, wanted: Wanted) -> Result<Ready, RunFailure> {
    let port = needs_port(target)
        .then(environment::free_port)
        .transpose()
        .map_err(|e| RunFailure::Target(format!("no free port: {e}")))?;
    let fill = |text: &str| match port {
        Some(port) => text.replace("{port}", &port.to_string()),
        None => text.to_owned(),
    };
    let http = match &target.url {
        Some(url) => {
            let mut headers: Vec<_> = target
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), value.expose().to_owned()))
                .collect();
            if let Some(tokens) = &target.tokens {
                let token = tokens.token().await.map_err(RunFailure::Target)?;
                headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
            }
            let target = HttpTarget::new(&fill(url), &headers, target.ca_file.as_deref())
                .map_err(RunFailure::Target)?;
            Some(Arc::new(target))
        }
        None => None,
    };
    if let (Some(url), Some(http), Some(_)) = (&target.url, &http, &target.launch)
        && !url.contains("{port}")
        && let Some(address) = http.loopback_address()
    {
        nobody_listens(address).await?;
    }
    let started = Instant::now();
    let mut process = match &target.launch {
        Some(launch) => Some(
            ServerProcess::start(&LaunchSpec {
                program: launch.command.first().map(|p| fill(p)).unwrap_or_default(),
                args: launch.command.iter().skip(1).map(|arg| fill(arg)).collect(),
                env: launch
                    .env
                    .iter()
                    .map(|(name, value)| (name.clone(), fill(value.expose())))
                    .collect(),
                cwd: launch.cwd.clone(),
                stdio_pipes: http.is_none(),
            })
            .map_err(RunFailure::Start)?,
        ),
        None => None,
    };
    let (endpoint, stdio) = match (http, &mut process) {
        (Some(http), _) if target.is_sse => (Endpoint::Sse(http), None),
        (Some(http), _) => (Endpoint::Http(http), None),
        (None, Some(process)) => {
            let (input, output) = process.take_pipes().ok_or_else(|| {
                RunFailure::Target("the server was started without pipes".to_owned())
            })?;
            let link = StdioLink::new(input, output, target.limits);
            (Endpoint::Stdio(link.clone()), Some(link))
        }
        (None, None) => {
            return Err(RunFailure::Target(
                "neither a command nor a URL was given".to_owned(),
            ));
        }
    };
    let mut server = RunningServer {
        process,
        endpoint,
        stdio,
    };
    let limits = Limits {
        call_timeout: target.startup_timeout,
        ..target.limits
    };
    let opened = wait_until_ready(&mut server, target, wanted, limits, started).await;
    match opened {
        Ok(mut opened) => {
            let startup = server.pid().map(|_| started.elapsed());
            opened.client.set_call_timeout(target.limits.call_timeout);
            server.endpoint = opened.endpoint.clone();
            Ok(Ready {
                server,
                opened,
                startup,
            })
        }
        Err(failure) => {
            server.stop().await;
            Err(failure)
        }
    }
}

/// Makes sure that what answers will be the server that is started, and no other.
async fn nobody_listens(address: SocketAddr) -> Result<(), RunFailure> {
    let freed = async {
        // The server of the round before may take a moment to give its port up.
        while let Ok(Ok(_)) = timeout(TAKEN, TcpStream::connect(address)).await {
            sleep(ASK_EVERY.1).await;
        }
    };
    timeout(PORT_FREED, freed).await.map_err(|_| {
        RunFailure::Target(format!(
            "something listens at {address} before the server is started: end it, or write {{port}} \
             in place of the port, and mcpgate finds a free one"
        ))
    })
}

fn needs_port(target: &Target) -> bool {
    let has = |text: &str| text.contains("{port}");
    target.url.as_deref().is_some_and(has)
        || target.launch.as_ref().is_some_and(|launch| {
            launch.command.iter().any(|arg| has(arg))
                || launch.env.iter().any(|(_, value)| has(value.expose()))
        })
}

async fn wait_until_ready(
    server: &mut RunningServer,
    target: &Target,
    wanted: Wanted,
    limits: Limits,
    started: Instant,
) -> Result<Opened, RunFailure> {
    let endpoint = server.endpoint.clone();
    let mut last = "it never answered".to_owned();
    let asking = ask(&endpoint, wanted, limits, target, started, &mut last);
    let waiting = timeout(target.startup_timeout, asking);
    let outcome = match &mut server.process {
        Some(process) => {
            tokio::select! {
                // A process that ends is the better explanation of a failed handshake.
                biased;
                status = process.exited() => {
                    return Err(RunFailure::Exited {
                        status,
                        after: started.elapsed(),
                        tail: process.output_tail(),
                    });
                }
                outcome = waiting => outcome,
            }
        }
        None => waiting.await,
    };
    let failed = match outcome {
        Ok(Ok(opened)) => return Ok(opened),
        Ok(Err(failed)) => Some(failed),
        Err(_) => None,
    };
    if let Some(failed) = &failed
        && failed.error.kind == ErrorKind::Closed
        && let Some(process) = &mut server.process
        && let Ok(status) = timeout(Duration::from_secs(2), process.exited()).await
    {
        return Err(RunFailure::Exited {
            status,
            after: started.elapsed(),
            tail: process.output_tail(),
        });
    }
    let tail = match &server.process {
        Some(process) => {
            // What a server logs about a request may come after its answer.
            sleep(LOG_FOLLOWS).await;
            process.output_tail()
        }
        None => String::new(),
    };
    Err(match (failed, &target.url) {
        (Some(failed), Some(url))
            if target.is_attached() && failed.error.kind == ErrorKind::Http(404) =>
        {
            RunFailure::Target(format!(
                "nothing speaks MCP at {url} ({}); check the path of the URL",
                failed.error.message
            ))
        }
        (Some(failed), Some(url)) if target.is_attached() && failed.may_be_starting() => {
            RunFailure::NobodyListens {
                url: url.clone(),
                problem: failed.error.message,
            }
        }
        (Some(failed), _) if failed.error.kind != ErrorKind::Timeout => RunFailure::Handshake {
            problem: failed.to_string(),
            tail,
        },
        (Some(failed), _) => RunFailure::NeverReady {
            waited: target.startup_timeout,
            last: failed.to_string(),
            tail,
        },
        (None, _) => RunFailure::NeverReady {
            waited: target.startup_timeout,
            last,
            tail,
        },
    })
}

/// Asks until the protocol answers. A server that mcpgate started may not be listening yet: there
/// a refused connection is asked again. An attached one is taken at its word.
async fn ask(
    endpoint: &Endpoint,
    wanted: Wanted,
    limits: Limits,
    target: &Target,
    started: Instant,
    last: &mut String,
) -> Result<Opened, OpenError> {
    let may_be_starting = |failed: &OpenError| {
        !matches!(endpoint, Endpoint::Stdio(_)) && !target.is_attached() && failed.may_be_starting()
    };
    loop {
        let mut opening = std::pin::pin!(client::open(endpoint, wanted, limits));
        let outcome = match timeout(TAKEN, &mut opening).await {
            Ok(outcome) => outcome,
            Err(_) => {
                "it takes requests and does not answer them".clone_into(last);
                opening.await
            }
        };
        match outcome {
            Err(failed) if may_be_starting(&failed) => {
                *last = failed.to_string();
                let pause = started.elapsed() / ASKS;
                sleep(pause.clamp(ASK_EVERY.0, ASK_EVERY.1)).await;
            }
            outcome => return outcome,
        }
    }
}
