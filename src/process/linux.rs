//! The process table on Linux, from `/proc`.
#![expect(
    clippy::disallowed_methods,
    reason = "reads /proc, the process table of the system"
)]

use std::{
    fs::File,
    io::Read,
    time::{Duration, Instant},
};

use procfs::{
    FromRead as _,
    process::{Process, Stat},
};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use super::table::{ProcessId, Row};

/// Most that is read of one process's environment or command line.
const MOST_BYTES: u64 = 4 << 20;
/// More than the line of one process in the table can have: 52 fields, of which the name is the
/// longest.
const MOST_OF_A_ROW: u64 = 4096;
/// How long a process may take from one program to the next, on a machine with much else to do.
const EXEC: Duration = Duration::from_millis(500);

fn open(pid: u32) -> Option<Process> {
    Process::new(i32::try_from(pid).ok()?).ok()
}

pub(super) fn row(pid: u32) -> Option<Row> {
    // Opened by itself, without the process's folder as `Process::new` does: the whole table is read
    // at each start and end of a server.
    let file = File::open(format!("/proc/{pid}/stat")).ok()?;
    // A file by itself is first asked for its size, which this one does not know.
    let stat = Stat::from_read(file.take(MOST_OF_A_ROW)).ok()?;
    let unsigned = |value: i32| u32::try_from(value).unwrap_or(0);
    Some(Row {
        id: ProcessId {
            pid: unsigned(stat.pid),
            start: stat.starttime,
        },
        parent: unsigned(stat.ppid),
        group: unsigned(stat.pgrp),
        session: unsigned(stat.session),
        zombie: matches!(stat.state, 'Z' | 'X' | 'x'),
    })
}

/// Open descriptors and threads of a process.
pub(super) fn holdings(pid: u32) -> Option<(u32, u32)> {
    let count = |folder: &str| {
        let entries = std::fs::read_dir(format!("/proc/{pid}/{folder}")).ok()?;
        u32::try_from(entries.count()).ok()
    };
    Some((count("fd")?, count("task")?))
}

pub(super) fn is_ours() -> bool {
    std::fs::read_link("/proc/self")
        .is_ok_and(|link| link.as_os_str() == &*std::process::id().to_string())
}

pub(super) fn all() -> Vec<Row> {
    std::fs::read_dir("/proc").map_or_else(
        |_| Vec::new(),
        |entries| {
            entries
                .filter_map(|entry| row(entry.ok()?.file_name().to_str()?.parse().ok()?))
                .collect()
        },
    )
}

pub(super) fn names(pid: u32) -> Vec<String> {
    let base = |text: &[u8]| {
        let last = text.rsplit(|&byte| byte == b'/').next().unwrap_or(text);
        String::from_utf8_lossy(last).into_owned()
    };
    let mut names = Vec::new();
    if let Some(comm) = read(pid, "comm") {
        names.push(base(comm.strip_suffix(b"\n").unwrap_or(&comm)));
    }
    if let Ok(exe) = std::fs::read_link(format!("/proc/{pid}/exe")) {
        names.extend(
            exe.file_name()
                .map(|name| name.to_string_lossy().into_owned()),
        );
    }
    if let Some(first) = read(pid, "cmdline").and_then(|line| {
        line.split(|&byte| byte == 0)
            .next()
            .filter(|first| !first.is_empty())
            .map(base)
    }) {
        names.push(first);
    }
    names
}

fn read(pid: u32, file: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(format!("/proc/{pid}/{file}"))
        .ok()?
        .take(MOST_BYTES)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

pub(super) fn arguments(pid: u32) -> Vec<String> {
    let line = read(pid, "cmdline").unwrap_or_default();
    line.strip_suffix(b"\0")
        .unwrap_or(&line)
        .split(|&byte| byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect()
}

pub(super) fn control_groups(pid: u32) -> String {
    let groups = read(pid, "cgroup").unwrap_or_default();
    String::from_utf8_lossy(&groups).into_owned()
}

pub(super) fn has_variable(pid: u32, name: &str, value: &str) -> bool {
    let wanted = format!("{name}={value}");
    environment(pid).is_some_and(|environ| {
        environ
            .split(|&byte| byte == 0)
            .any(|entry| entry == wanted.as_bytes())
    })
}

/// In the middle of `execve` a process has the memory of its next program, but not yet that
/// program's environment and arguments: both read as empty until the call is through. Whoever
/// looked once would take a child of the server for a stranger.
fn environment(pid: u32) -> Option<Vec<u8>> {
    let start = Instant::now();
    loop {
        let environ = read(pid, "environ")?;
        // Kernel threads have neither and never will; nor have they a program.
        if !environ.is_empty() || std::fs::read_link(format!("/proc/{pid}/exe")).is_err() {
            return Some(environ);
        }
        if !read(pid, "cmdline")?.is_empty() || start.elapsed() > EXEC {
            // With arguments, or never to have any: what stands there now is all.
            return read(pid, "environ");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// From `/proc/PID/task/TID/children` of every thread: much cheaper than the whole table.
pub(super) fn children(pid: u32) -> Option<Vec<u32>> {
    let process = open(pid)?;
    let mut all = Vec::new();
    for task in process.tasks().ok()? {
        let Ok(task) = task else { continue };
        match task.children() {
            Ok(children) => all.extend(children),
            // The thread ended meanwhile, or the kernel has no such file.
            Err(_) if task.stat().is_err() => {}
            Err(_) => return None,
        }
    }
    Some(all)
}

/// A descriptor of the process is taken first and its start time checked after, so the signal
/// goes to that process or to none (kernel 5.3; before that, check and signal are two steps).
pub(super) fn signal(id: ProcessId, pid: Pid, signal: Signal) -> bool {
    let descriptor = pidfd_open(pid, PidfdFlags::empty());
    if row(id.pid).is_none_or(|row| row.id != id) {
        return false;
    }
    match descriptor {
        Ok(descriptor) => pidfd_send_signal(descriptor, signal).is_ok(),
        Err(rustix::io::Errno::NOSYS) => kill_process(pid, signal).is_ok(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_known_by_its_environment_from_its_first_moment() {
        const NAME: &str = "MCPGATE_TEST_EXEC";
        for n in 0..300 {
            let value = n.to_string();
            let mut child = std::process::Command::new("sleep")
                .arg("60")
                .env(NAME, &value)
                .spawn()
                .unwrap();
            let is_known = has_variable(child.id(), NAME, &value);
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(is_known, "child {n}");
            assert!(!has_variable(child.id(), NAME, &value));
        }
    }
}
