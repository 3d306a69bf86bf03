//! CPU time of one process, exact to the nanosecond, and of its ended children.

use super::table::ProcessId;

/// What the tree's processes report of children that ended and were waited for. Such a child may
/// have lived between two readings, so its CPU time and wait are in none of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndedChildren {
    /// CPU time, in steps of 10 ms, of children that no reading saw.
    pub cpu_ns: u64,
    /// Page faults: every child that ran a program has some, so a rise means that children ended.
    pub page_faults: u64,
}

/// CPU time of the calling thread: mcpgate's own, since one thread measures.
#[must_use]
pub fn own_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::{ProcessClock, ended_children};
#[cfg(target_os = "linux")]
pub(super) use linux::{ProcessClock, ended_children};

#[cfg(target_os = "linux")]
mod linux {
    use nix::time::{ClockId, clock_getcpuclockid};

    use super::{EndedChildren, ProcessId};

    /// CPU time of all threads that a process has or had.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct ProcessClock(ClockId);

    impl ProcessClock {
        pub(in super::super) fn of(pid: u32) -> Option<Self> {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).ok()?);
            clock_getcpuclockid(pid).ok().map(Self)
        }

        pub(in super::super) fn now_ns(self) -> Option<u64> {
            let time = std::time::Duration::from(self.0.now().ok()?);
            u64::try_from(time.as_nanos()).ok()
        }
    }

    pub(in super::super) fn ended_children(id: ProcessId) -> Option<EndedChildren> {
        let process = procfs::process::Process::new(i32::try_from(id.pid).ok()?).ok()?;
        let stat = process.stat().ok()?;
        let ticks = u64::try_from(stat.cutime.saturating_add(stat.cstime)).ok()?;
        let tick_ns = 1_000_000_000 / procfs::ticks_per_second().max(1);
        (stat.starttime == id.start).then_some(EndedChildren {
            cpu_ns: ticks.saturating_mul(tick_ns),
            page_faults: stat.cminflt.saturating_add(stat.cmajflt),
        })
    }
}

/// Elsewhere there is no `schedstat`, so a probe never comes to use these.
#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{EndedChildren, ProcessId};

    #[derive(Debug, Clone, Copy)]
    pub(in super::super) enum ProcessClock {}

    impl ProcessClock {
        pub(in super::super) fn of(_pid: u32) -> Option<Self> {
            None
        }

        pub(in super::super) fn now_ns(self) -> Option<u64> {
            match self {}
        }
    }

    pub(in super::super) fn ended_children(_id: ProcessId) -> Option<EndedChildren> {
        None
    }
}
