//! The process table: who exists, who started whom, and signals that cannot hit a stranger.

use rustix::process::{Pid, Signal};

#[cfg(not(target_os = "linux"))]
use super::elsewhere as system;
#[cfg(target_os = "linux")]
use super::linux as system;

/// A process by id and start time. An id alone may be used again by another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    /// The process id.
    pub pid: u32,
    /// When it started, in a unit of the system (Linux: clock ticks since boot). Only compared.
    pub start: u64,
}

/// One line of the process table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    /// Who.
    pub(crate) id: ProcessId,
    /// Who started it, or who adopted it.
    pub(crate) parent: u32,
    /// Its process group.
    pub(crate) group: u32,
    /// Its session.
    pub(crate) session: u32,
    /// Dead, but not yet waited for.
    pub(crate) zombie: bool,
}

impl ProcessId {
    /// The process that has this id now; `None` if there is none.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        row(pid).map(|row| row.id)
    }

    /// `true` while this very process exists and is not a zombie.
    #[must_use]
    pub fn is_running(self) -> bool {
        row(self.pid).is_some_and(|row| row.id == self && !row.zombie)
    }

    /// Its short name, made printable; `?` if it is gone.
    #[must_use]
    pub fn name(self) -> String {
        let name = names(self.pid)
            .into_iter()
            .next()
            .unwrap_or_else(|| "?".to_owned());
        super::output::printable(&name)
    }

    /// Sends a signal to this very process; `false` if it is gone or may not be signalled.
    pub(crate) fn signal(self, signal: Signal) -> bool {
        let Some(pid) = raw(self.pid) else {
            return false;
        };
        system::signal(self, pid, signal)
    }
}

/// A process id as the system call layer wants it; never 0 or negative, which mean groups.
pub(crate) fn raw(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Whether the table's ids are the ids that this process knows others by. Not so where `/proc` is
/// missing or was mounted for another PID namespace (`unshare --pid` without `--mount-proc`):
/// every look at it would then meet strangers.
pub(crate) fn is_ours() -> bool {
    system::is_ours()
}

/// All processes that can be seen.
pub(crate) fn all() -> Vec<Row> {
    system::all()
}

/// One process.
pub(crate) fn row(pid: u32) -> Option<Row> {
    system::row(pid)
}

/// The names a process goes by: its short name, its program's file name, its first argument's
/// file name. Not made printable.
pub(crate) fn names(pid: u32) -> Vec<String> {
    system::names(pid)
}

/// The arguments that a process was started with, its program's name first. Empty where they
/// cannot be read.
pub(crate) fn arguments(pid: u32) -> Vec<String> {
    system::arguments(pid)
}

/// The control groups of a process, as `/proc/PID/cgroup` lists them. Empty where there are none.
pub(crate) fn control_groups(pid: u32) -> String {
    system::control_groups(pid)
}

/// Whether `NAME=value` stands in the environment that a process was started with. `false` where
/// it cannot be read.
pub(crate) fn has_variable(pid: u32, name: &str, value: &str) -> bool {
    system::has_variable(pid, name, value)
}

/// Open descriptors and threads of a process; `None` where they cannot be counted.
pub(crate) fn holdings(pid: u32) -> Option<(u32, u32)> {
    system::holdings(pid)
}

/// Children of a process as the system lists them; `None` where it has no such list.
pub(crate) fn children(pid: u32) -> Option<Vec<u32>> {
    system::children(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_known_by_id_and_start() {
        assert!(is_ours());
        let me = ProcessId::of(std::process::id()).unwrap();
        assert!(me.is_running());
        assert!(all().iter().any(|row| row.id == me));
        let earlier = ProcessId {
            start: me.start + 1,
            ..me
        };
        assert!(!earlier.is_running());
        // Not delivered: it would end the test.
        assert!(!earlier.signal(Signal::KILL));
    }

    #[test]
    fn group_ids_are_never_process_ids() {
        assert_eq!(raw(0), None);
        assert_eq!(raw(u32::MAX), None);
    }
}
