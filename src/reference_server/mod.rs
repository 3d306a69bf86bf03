//! The bundled MCP server and its faults.
//!
//! It is the yardstick of this project's own tests, the server of `mcpgate demo`, and something
//! to practise on: a correct and fast server over stdio and streamable HTTP, in both protocol
//! eras, with faults that can be switched on one by one.
//!
//! | file | kind | what it holds |
//! |---|---|---|
//! | `message.rs`, `rpc.rs` | pure | what comes in, and errors |
//! | `protocol.rs` | pure | message in, step out |
//! | `headers.rs` | pure | what HTTP headers must say |
//! | `faults.rs`, `plan.rs` | pure | the faults; what they do to one call |
//! | `tools.rs` | pure | the tools and their arguments |
//! | `lasting.rs` | shell | faults that are about more than one call |
//! | `work.rs`, `threads.rs` | shell | how the tools do their work; the threads of faults |
//! | `server.rs` | shell | how one call runs, whatever the transport |
//! | `stdio.rs` | shell | the stdio transport |
//! | `http.rs`, `sessions.rs` | shell | streamable HTTP |
//! | `sse.rs` | shell | the older HTTP+SSE |
//! | `listen.rs`, `reply.rs`, `body.rs` | shell | connections, answers and their bodies |
//!
//! The server runs on a multi-thread runtime with two workers, and computes inside its tasks, as
//! Rust servers do.

mod body;
mod faults;
mod headers;
mod http;
mod lasting;
mod listen;
mod message;
mod plan;
mod protocol;
mod reply;
mod rpc;
mod server;
mod sessions;
mod sse;
mod stdio;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod threads;
mod tools;
mod work;

use std::{io, process::ExitCode, sync::Arc};

use tokio::signal::unix::{SignalKind, signal};

pub use faults::{Fault, FaultError};
pub use tools::Tool;

use server::{Server, complain};

/// Exit code of the fault `exit-at-once`.
const EXIT_AT_ONCE: u8 = 7;

/// Options of the reference server.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(after_help = "\
Examples:
  mcpgate reference-server                              # over stdio, without a fault
  mcpgate reference-server --fault delay=search:20
  mcpgate run -- mcpgate reference-server --fault lost-updates")]
pub struct Options {
    /// How clients reach the server.
    #[arg(long, value_enum, default_value_t = Transport::Stdio)]
    pub transport: Transport,
    /// HTTP: the port on 127.0.0.1; 0 = any free one. The URL is written to stderr as one line:
    /// `listening on http://127.0.0.1:PORT/mcp` (over HTTP+SSE, `/sse`).
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
    /// The protocol eras that are spoken.
    #[arg(long, value_enum, default_value_t = Era::Both)]
    pub era: Era,
    /// HTTP: answer with event streams, not with JSON.
    #[arg(long)]
    pub sse: bool,
    /// Tools on one page of `tools/list`; 0 = all on one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub page_size: usize,
    /// Offer the tools `remember` and `recall`, which write and read a store.
    #[arg(long)]
    pub store: bool,
    /// Seed of what is random in faults.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Switch a fault on; may be repeated. The long help lists them.
    #[arg(long, value_name = "NAME[=VALUE]", long_help = faults::help())]
    pub fault: Vec<Fault>,
}

/// How clients reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Transport {
    /// One message a line on stdin and stdout.
    #[default]
    Stdio,
    /// Streamable HTTP on the loopback.
    Http,
    /// The older HTTP+SSE on the loopback, in the era of sessions.
    Sse,
}

/// The protocol eras that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Era {
    /// The sessions of 2024-11-05 to 2025-11-25 only.
    Legacy,
    /// The stateless protocol of 2026-07-28 only.
    Modern,
    /// Both, as the client opens.
    #[default]
    Both,
}

impl Options {
    /// Faults that could never show with the other options are a mistake, not a no-op.
    fn check(&self) -> Result<(), String> {
        for fault in &self.fault {
            let name = fault.name();
            match fault.only_transport() {
                Some(Transport::Stdio) if self.transport != Transport::Stdio => {
                    return Err(format!(
                        "fault `{name}` is about stdio; leave out --transport"
                    ));
                }
                Some(Transport::Http) if self.transport != Transport::Http => {
                    return Err(format!(
                        "fault `{name}` is about HTTP; add --transport http"
                    ));
                }
                _ => {}
            }
            if *fault == Fault::LostUpdates && !self.store {
                return Err(format!("fault `{name}` is about the store; add --store"));
            }
            if *fault == Fault::InputRequired && self.era == Era::Legacy {
                return Err(format!(
                    "fault `{name}` is about 2026-07-28; leave out --era legacy"
                ));
            }
        }
        Ok(())
    }
}

/// Threads that serve.
const WORKERS: usize = 2;

/// Serves until stdin ends (stdio), SIGTERM, SIGINT, or a fault ends it.
///
/// Wants a multi-thread runtime: on a current-thread one a tool that computes stops everything
/// else. Sets the process's handlers of SIGTERM and SIGINT.
///
/// # Errors
/// The options contradict each other, the port is taken, a pipe broke, or a fault asked for an
/// exit code other than 0.
pub async fn serve(options: Options) -> io::Result<()> {
    match serve_until_end(options).await? {
        0 => Ok(()),
        code => Err(io::Error::other(format!(
            "a fault ended the reference server with exit code {code}"
        ))),
    }
}

/// Runs the server on a runtime of its own and gives the exit code of the process.
#[must_use]
pub fn run(options: Options) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("cannot start: {error}"));
            return ExitCode::from(crate::error::exit_code::NOT_MEASURED);
        }
    };
    // On a worker: the thread that blocks here is woken by hand, which every message would pay.
    let ended = runtime.block_on(async { tokio::spawn(serve_until_end(options)).await });
    // A helper thread may still be blocked in a read of stdin.
    runtime.shutdown_background();
    match ended {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => {
            complain(&error.to_string());
            ExitCode::from(if error.kind() == io::ErrorKind::InvalidInput {
                crate::error::exit_code::USAGE
            } else {
                crate::error::exit_code::NOT_MEASURED
            })
        }
        Err(panicked) => {
            complain(&format!("a defect of mcpgate: {panicked}"));
            ExitCode::from(crate::error::exit_code::NOT_MEASURED)
        }
    }
}

async fn serve_until_end(options: Options) -> io::Result<u8> {
    options
        .check()
        .map_err(|problem| io::Error::new(io::ErrorKind::InvalidInput, problem))?;
    if options.fault.contains(&Fault::ExitAtOnce) {
        complain("cannot read its configuration (told by the fault exit-at-once)");
        return Ok(EXIT_AT_ONCE);
    }
    for fault in &options.fault {
        if let Fault::OrphanChild { detached } = fault {
            start_orphan(*detached).await?;
        }
    }
    for fault in &options.fault {
        if let Fault::SlowStart { lasting } = fault {
            tokio::time::sleep(*lasting).await;
        }
    }
    let server = Arc::new(Server::new(&options));
    let ignores_sigterm = options.fault.contains(&Fault::IgnoreShutdown);
    let serving = async {
        match options.transport {
            Transport::Stdio => stdio::run(Arc::clone(&server)).await,
            Transport::Http => http::run(Arc::clone(&server), options.port).await,
            Transport::Sse => sse::run(Arc::clone(&server), options.port).await,
        }
    };
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let told_to_leave = async {
        loop {
            tokio::select! {
                _ = terminated.recv() => if !ignores_sigterm { return },
                _ = interrupted.recv() => return,
            }
        }
    };
    tokio::select! {
        result = serving => result.map(|()| 0),
        code = server.exit_code() => Ok(code),
        () = told_to_leave => Ok(0),
    }
}

/// Starts a `sleep` that outlives this process: a shell with a process group of its own starts
/// it, and waits for it or leaves it behind. It holds our stderr, as forgotten helpers do.
async fn start_orphan(detached: bool) -> io::Result<()> {
    let script = if detached {
        "sleep 600 &"
    } else {
        "sleep 600 & wait"
    };
    let mut shell = tokio::process::Command::new("sh")
        .args(["-c", script])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .process_group(0)
        .spawn()?;
    if detached {
        shell.wait().await?;
    }
    Ok(())
}
