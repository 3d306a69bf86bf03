//! A server process from start to stop.
#![expect(
    clippy::disallowed_methods,
    reason = "makes unique markers from the clock, polls with an end"
)]

use std::{
    fmt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::process::{Signal, kill_process_group};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{
    belongings::{Belongings, MARKER_VARIABLE, Orphan},
    guard,
    output::OutputTail,
    registry,
    start_error::StartError,
    table::{self, ProcessId, raw},
};

/// How often a condition is looked at that the system does not announce.
const POLL: Duration = Duration::from_millis(10);
/// How long a process may take to vanish after SIGKILL (one in an uninterruptible wait may not).
const DEATH: Duration = Duration::from_secs(3);
/// How long the last output of a server that ended is waited for.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// How a server is started.
#[derive(Clone)]
pub struct LaunchSpec {
    /// A name in PATH, or a path.
    pub program: String,
    /// Its arguments, passed on as they are: no shell is involved.
    pub args: Vec<String>,
    /// Added to mcpgate's own environment.
    pub env: Vec<(String, String)>,
    /// Working directory; mcpgate's own if absent.
    pub cwd: Option<PathBuf>,
    /// `true`: standard input and output carry the protocol. `false`: standard input is empty, and
    /// standard output is kept with standard error.
    pub stdio_pipes: bool,
}

impl fmt::Debug for LaunchSpec {
    /// Without the values of the environment, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("LaunchSpec")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &names)
            .field("cwd", &self.cwd)
            .field("stdio_pipes", &self.stdio_pipes)
            .finish()
    }
}

/// How long a server may take to end.
#[derive(Debug, Clone, Copy)]
pub struct StopLimits {
    /// From the closing of standard input to SIGTERM (stdio only).
    pub after_stdin: Duration,
    /// From SIGTERM to SIGKILL.
    pub after_terminate: Duration,
    /// From the server's end to SIGKILL for what it left behind.
    pub for_orphans: Duration,
}

impl Default for StopLimits {
    fn default() -> Self {
        Self {
            after_stdin: Duration::from_secs(2),
            after_terminate: Duration::from_secs(2),
            for_orphans: Duration::from_millis(500),
        }
    }
}

/// What it took to end a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Nothing: it ended by itself, or once its standard input was closed.
    Exited,
    /// SIGTERM.
    Terminated,
    /// SIGKILL.
    Killed,
}

/// A server that was stopped.
#[derive(Debug)]
pub struct Stopped {
    /// What it took.
    pub how: How,
    /// Its exit status; absent only if the system would not end it.
    pub status: Option<ExitStatus>,
    /// Processes of the server that outlived it and were ended.
    pub orphans: Vec<Orphan>,
}

/// A running server in a process group of its own. Dropping it ends it and everything that belongs
/// to it at once, so that no error, panic or cancelled future leaves a process behind.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    pid: u32,
    pipes: Option<(ChildStdin, ChildStdout)>,
    stdio: bool,
    tail: OutputTail,
    environment: Vec<(String, String)>,
    belongings: Belongings,
    status: Option<ExitStatus>,
    finished: bool,
}

impl ServerProcess {
    /// Starts a server. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the system cannot start it, with a hint why.
    pub fn start(spec: &LaunchSpec) -> Result<Self, StartError> {
        let failed = |source| StartError::explain(spec, source);
        if !table::is_ours() {
            return Err(StartError::without_table(spec));
        }
        let marker = new_marker();
        let mut command = Command::new(&spec.program);
        command
            .args(&spec.args)
            .envs(spec.env.iter().map(|(name, value)| (name, value)))
            .env(MARKER_VARIABLE, &marker)
            .stdin(if spec.stdio_pipes {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(cwd) = &spec.cwd {
            command.current_dir(cwd);
        }
        // Before the start: a marker alone is enough to find the server later.
        guard::announce(&marker, None);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                guard::forget(&marker);
                return Err(failed(error));
            }
        };
        let pid = child.id().unwrap_or(0);
        // Not yet waited for, so the id cannot belong to anybody else.
        let root = ProcessId::of(pid).unwrap_or(ProcessId { pid, start: 0 });
        guard::announce(&marker, Some(root));
        registry::add(registry::Child {
            id: root,
            marker: Some(marker.clone()),
        });
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut server = Self {
            child,
            pid,
            pipes: None,
            stdio: spec.stdio_pipes,
            tail: OutputTail::default(),
            environment: spec.env.clone(),
            belongings: Belongings::new(root, marker),
            status: None,
            finished: false,
        };
        if let Some(stderr) = stderr {
            let pipe = stderr.into_owned_fd().map_err(failed)?;
            server.tail.drain(pipe).map_err(failed)?;
        }
        match (stdin, stdout) {
            (Some(stdin), Some(stdout)) => server.pipes = Some((stdin, stdout)),
            (None, Some(stdout)) => {
                let pipe = stdout.into_owned_fd().map_err(failed)?;
                server.tail.drain(pipe).map_err(failed)?;
            }
            _ => {}
        }
        Ok(server)
    }

    /// Standard input and output of a stdio server; `None` for others and the second time.
    pub fn take_pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.pipes.take()
    }

    /// Process id of what was started. A wrapper's child has another one; see
    /// [`super::tree::descendants`].
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The last lines (at most 20) that the server wrote to standard error (and, without stdio
    /// pipes, to standard output), printable, without the values of the environment it was given.
    #[must_use]
    pub fn output_tail(&self) -> String {
        if self.status.is_some() {
            self.tail.wait_for_end(LAST_WORDS);
        }
        self.tail.text(&self.environment)
    }

    /// Waits for the server's end. May be cancelled and called again.
    pub async fn exited(&mut self) -> ExitStatus {
        loop {
            match self.child.wait().await {
                Ok(status) => {
                    self.status = Some(status);
                    return status;
                }
                // Only possible where somebody else waited for our child: it is gone.
                Err(_) if !self.belongings.root.is_running() => {
                    return *self.status.get_or_insert(ExitStatus::default());
                }
                Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// The server's exit status if it has ended.
    pub fn try_exit(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// Whether anything that belongs to it still runs: itself, or what it left in the background.
    pub fn leaves_something(&mut self) -> bool {
        !self.belongings.running().is_empty()
    }

    /// Ends the server and everything that belongs to it. For stdio the caller must have dropped
    /// the pipes: a server ends when its standard input closes.
    pub async fn stop(mut self, limits: StopLimits) -> Stopped {
        self.pipes = None;
        // Seen while they still hang together: some cannot be found once the server is gone.
        self.belongings.running();
        let mut how = How::Exited;
        let patience = if self.stdio {
            limits.after_stdin
        } else {
            Duration::ZERO
        };
        if !self.ends_within(patience).await {
            self.belongings.running();
            how = How::Terminated;
            self.signal_group(Signal::TERM);
            if !self.ends_within(limits.after_terminate).await {
                self.belongings.running();
                how = How::Killed;
                self.signal_group(Signal::KILL);
                self.ends_within(DEATH).await;
            }
        }
        let orphans = self.end_orphans(limits.for_orphans).await;
        self.finish();
        Stopped {
            how,
            status: self.status,
            orphans,
        }
    }

    async fn ends_within(&mut self, limit: Duration) -> bool {
        if self.try_exit().is_some() {
            return true;
        }
        tokio::time::timeout(limit, self.exited()).await.is_ok()
    }

    /// Signals the process group. Safe as long as the server was not waited for: its id, which is
    /// the group's, is then still its own.
    fn signal_group(&mut self, signal: Signal) {
        if self.try_exit().is_none()
            && let Some(group) = raw(self.pid)
        {
            let _ = kill_process_group(group, signal);
        }
    }

    /// Gives what outlived the server a moment to end by itself, then ends it.
    async fn end_orphans(&mut self, patience: Duration) -> Vec<Orphan> {
        let start = Instant::now();
        while start.elapsed() < patience {
            if self.belongings.running().is_empty() {
                return Vec::new();
            }
            tokio::time::sleep(POLL).await;
        }
        let mut orphans: Vec<Orphan> = Vec::new();
        let start = Instant::now();
        loop {
            let names: Vec<(ProcessId, String)> = self
                .belongings
                .running()
                .into_iter()
                .map(|id| (id, id.name()))
                .collect();
            if names.is_empty() || start.elapsed() > DEATH {
                return orphans;
            }
            for (id, name) in names {
                id.signal(Signal::KILL);
                if id != self.belongings.root && !orphans.iter().any(|orphan| orphan.pid == id.pid)
                {
                    orphans.push(Orphan { pid: id.pid, name });
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn finish(&mut self) {
        self.finished = true;
        registry::remove(self.belongings.root);
        guard::forget(&self.belongings.marker);
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.belongings.running();
        self.signal_group(Signal::KILL);
        let start = Instant::now();
        loop {
            let left = self.belongings.kill_once();
            let ended = self.try_exit().is_some();
            if (ended && left.is_empty()) || start.elapsed() > DEATH {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.finish();
    }
}

/// Unique among all servers of all mcpgate processes of a machine.
fn new_marker() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos());
    format!("{}-{now:x}-{count}", std::process::id())
}
