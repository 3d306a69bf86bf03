//! Processes that a test started, directly or not, and that still live.
//!
//! Whatever their parent or process group has become, they carry the test's marker in their
//! environment.
#![expect(
    clippy::disallowed_methods,
    reason = "a test harness: it looks at the processes of the machine"
)]

use std::{
    thread,
    time::{Duration, Instant},
};

/// The environment variable that holds the marker.
pub(crate) const MARKER: &str = "MCPGATE_TEST_MARKER";

/// How long an ended process may take to leave the process table.
const GRACE: Duration = Duration::from_secs(2);

/// A process that should have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Survivor {
    pub(crate) pid: i32,
    pub(crate) command: String,
}

/// Those that still live after a short grace; none is the rule.
pub(crate) fn after_grace(marker: &str) -> Vec<Survivor> {
    let deadline = Instant::now() + GRACE;
    loop {
        let survivors = now(marker);
        if survivors.is_empty() || Instant::now() > deadline {
            return survivors;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Ends them all.
pub(crate) fn kill(marker: &str) {
    use rustix::process::{Pid, Signal, kill_process};
    for survivor in now(marker) {
        if let Some(pid) = Pid::from_raw(survivor.pid) {
            // It may have ended by itself in the meantime.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Those that live now. A zombie has no environment and does not count.
#[cfg(target_os = "linux")]
pub(crate) fn now(marker: &str) -> Vec<Survivor> {
    let assignment = format!("{MARKER}={marker}");
    let processes = std::fs::read_dir("/proc").expect("read /proc");
    processes
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            // A process may end, or belong to someone else, at any point here.
            let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == assignment.as_bytes())
                .then(|| Survivor {
                    pid,
                    command: command_line(pid),
                })
        })
        .collect()
}

#[cfg(target_os = "linux")]
fn command_line(pid: i32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// Those that live now, as `ps` shows them with their environment.
#[cfg(not(target_os = "linux"))]
pub(crate) fn now(marker: &str) -> Vec<Survivor> {
    let assignment = format!("{MARKER}={marker}");
    let output = std::process::Command::new("ps")
        .args(["-axEww", "-o", "pid=,command="])
        .output()
        .expect("run ps");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.split_whitespace().any(|word| word == assignment))
        .filter_map(|line| {
            let (pid, command) = line.trim_start().split_once(' ')?;
            Some(Survivor {
                pid: pid.parse().ok()?,
                command: command.to_owned(),
            })
        })
        .collect()
}

#[test]
fn a_grandchild_in_a_group_of_its_own_is_seen_and_killed() {
    use std::{os::unix::process::CommandExt as _, process::Command};
    let marker = format!("survivors-{}", std::process::id());
    let mut child = Command::new("sh")
        .args(["-c", "sleep 60 & exec sleep 60"])
        .env(MARKER, &marker)
        .process_group(0)
        .spawn()
        .expect("start a shell");
    let deadline = Instant::now() + Duration::from_secs(10);
    while now(&marker).len() < 2 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(now(&marker).len(), 2);
    kill(&marker);
    child.wait().expect("wait for the shell");
    assert_eq!(after_grace(&marker), []);
}
