//! A second process that ends the servers if mcpgate itself is killed.
//!
//! No process can act after SIGKILL. So mcpgate starts itself once more with a hidden verb: the
//! guard reads, on its standard input, which servers begin and end. When that pipe closes, however
//! mcpgate came to its end, the guard ends what is left and itself. It runs in a process group of
//! its own, so that Ctrl-C at a terminal does not reach it, and costs nothing while it waits.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{belongings::Belongings, registry, table::ProcessId};

/// The hidden verb under which mcpgate starts itself as the guard.
pub const VERB: &str = "__guard";
/// Longest line that the guard reads.
const LONGEST_LINE: u64 = 200;
/// Most servers that the guard remembers.
const MOST_SERVERS: usize = 1000;
/// How long the guard tries to end what is left, and how long mcpgate waits for the guard.
const PATIENCE: Duration = Duration::from_secs(3);

static PIPE: Mutex<Option<ChildStdin>> = Mutex::new(None);

fn pipe() -> MutexGuard<'static, Option<ChildStdin>> {
    PIPE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The running guard. Dropping it lets it end servers that are left, and waits for its end.
#[derive(Debug)]
pub struct Guard {
    child: Child,
    id: Option<ProcessId>,
}

impl Guard {
    /// Starts the guard. To be called once, in `main`, before the first server is started.
    ///
    /// # Errors
    /// When it cannot be started. mcpgate works without it, but a SIGKILL may then leave servers
    /// behind.
    pub fn start() -> std::io::Result<Self> {
        #[cfg(target_os = "linux")]
        let program = std::path::PathBuf::from("/proc/self/exe");
        #[cfg(not(target_os = "linux"))]
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        command.arg0("mcpgate").arg(VERB);
        Self::start_with(command)
    }

    pub(crate) fn start_with(mut command: Command) -> std::io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let id = ProcessId::of(child.id());
        if let Some(id) = id {
            registry::add(registry::Child { id, marker: None });
        }
        *pipe() = child.stdin.take();
        Ok(Self { child, id })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(pipe().take());
        let start = now();
        while start.elapsed() < PATIENCE + PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            pause();
        }
        if let Some(id) = self.id {
            registry::remove(id);
        }
    }
}

/// Tells the guard, if there is one, of a server that is about to start or (with `root`) has.
pub(crate) fn announce(marker: &str, root: Option<ProcessId>) {
    let root = root.unwrap_or(ProcessId { pid: 0, start: 0 });
    tell(&format!("+{} {} {marker}\n", root.pid, root.start));
}

/// Tells the guard, if there is one, that nothing is left of a server.
pub(crate) fn forget(marker: &str) {
    tell(&format!("-{marker}\n"));
}

fn tell(line: &str) {
    let mut pipe = pipe();
    if let Some(stdin) = pipe.as_mut()
        && stdin.write_all(line.as_bytes()).is_err()
    {
        // The guard is gone; mcpgate goes on without it.
        *pipe = None;
    }
}

/// The guard's whole life: what `main` does under [`VERB`].
#[must_use]
pub fn run() -> ExitCode {
    let left = read_servers(BufReader::new(std::io::stdin().lock()));
    end(left);
    ExitCode::SUCCESS
}

/// Reads until the pipe closes; returns the servers that were not taken back.
fn read_servers(mut input: impl BufRead) -> BTreeMap<String, ProcessId> {
    let mut servers = BTreeMap::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        match input
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
        {
            Ok(0) | Err(_) => return servers,
            Ok(_) => {}
        }
        let Ok(text) = std::str::from_utf8(&line) else {
            continue;
        };
        // A line without its end was torn by the death of its writer.
        let Some(text) = text.strip_suffix('\n') else {
            continue;
        };
        if let Some(marker) = text.strip_prefix('-') {
            servers.remove(marker);
        } else if let Some((marker, root)) = text.strip_prefix('+').and_then(parse)
            && servers.len() < MOST_SERVERS
        {
            servers.insert(marker, root);
        }
    }
}

fn parse(text: &str) -> Option<(String, ProcessId)> {
    let mut words = text.split(' ');
    let pid = words.next()?.parse().ok()?;
    let start = words.next()?.parse().ok()?;
    let marker = words.next().filter(|marker| !marker.is_empty())?;
    Some((marker.to_owned(), ProcessId { pid, start }))
}

/// Ends all processes of these servers.
fn end(servers: BTreeMap<String, ProcessId>) {
    let mut left: Vec<Belongings> = servers
        .into_iter()
        .map(|(marker, root)| Belongings::new(root, marker))
        .collect();
    let start = now();
    while !left.is_empty() && start.elapsed() < PATIENCE {
        left.retain_mut(|server| !server.kill_once().is_empty());
        if !left.is_empty() {
            pause();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the end of a wait")]
fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the system does not announce the end of a process that is not a child"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_back_is_forgotten_and_torn_lines_are_nothing() {
        let long = "x".repeat(1000);
        let text = format!(
            "+0 0 a\n+12 900 a\n+0 0 b\n-b\n+13 901 c d\n+no 1 e\n+1 -1 f\n+14 902 \n{long}\n\
             -unknown\n\n+15 903 g\n+16 904 torn"
        );
        let servers = read_servers(text.as_bytes());
        let expected = [("a", 12, 900), ("c", 13, 901), ("g", 15, 903)]
            .map(|(marker, pid, start)| (marker.to_owned(), ProcessId { pid, start }));
        assert_eq!(servers, BTreeMap::from(expected));
        assert!(read_servers(&b"+1 2 \xff\n"[..]).is_empty());
    }
}
