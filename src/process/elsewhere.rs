//! The process table and memory where there is no `/proc` (macOS), through `sysinfo`.
//!
//! Compiled on Linux for its tests only, so that it is not forgotten.

use rustix::process::{Pid, Signal, getpgid, kill_process};
use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

use super::table::{ProcessId, Row, raw};

fn look(which: ProcessesToUpdate<'_>, kind: ProcessRefreshKind) -> Option<System> {
    let mut system = System::new().ok()?;
    system.refresh_processes_specifics(which, true, kind);
    Some(system)
}

fn look_at(pid: u32, kind: ProcessRefreshKind) -> Option<System> {
    look(
        ProcessesToUpdate::Some(&[sysinfo::Pid::from_u32(pid)]),
        kind,
    )
}

/// Not known here.
pub(super) fn holdings(_pid: u32) -> Option<(u32, u32)> {
    None
}

fn row_of(process: &sysinfo::Process) -> Row {
    let pid = process.pid().as_u32();
    // Parts of the kernel have neither session nor group, and asking for theirs is an error.
    let session = process.session_id().map_or(0, sysinfo::Pid::as_u32);
    let group = raw(pid)
        .filter(|_| session != 0)
        .and_then(|pid| getpgid(Some(pid)).ok())
        .map_or(0, |group| group.as_raw_nonzero().get().unsigned_abs());
    Row {
        id: ProcessId {
            pid,
            start: process.start_time(),
        },
        parent: process.parent().map_or(0, sysinfo::Pid::as_u32),
        group,
        session,
        zombie: matches!(
            process.status(),
            ProcessStatus::Zombie | ProcessStatus::Dead
        ),
    }
}

pub(super) fn row(pid: u32) -> Option<Row> {
    look_at(pid, ProcessRefreshKind::nothing())?
        .process(sysinfo::Pid::from_u32(pid))
        .map(row_of)
}

pub(super) fn is_ours() -> bool {
    true
}

pub(super) fn all() -> Vec<Row> {
    let Some(system) = look(ProcessesToUpdate::All, ProcessRefreshKind::nothing()) else {
        return Vec::new();
    };
    system.processes().values().map(row_of).collect()
}

pub(super) fn names(pid: u32) -> Vec<String> {
    let kind = ProcessRefreshKind::nothing().with_exe(UpdateKind::Always);
    let system = look_at(pid, kind);
    let Some(process) = system
        .as_ref()
        .and_then(|system| system.process(sysinfo::Pid::from_u32(pid)))
    else {
        return Vec::new();
    };
    let program = process.exe().and_then(std::path::Path::file_name);
    std::iter::once(process.name())
        .chain(program)
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

pub(super) fn arguments(pid: u32) -> Vec<String> {
    let kind = ProcessRefreshKind::nothing().with_cmd(UpdateKind::Always);
    let system = look_at(pid, kind);
    let process = system
        .as_ref()
        .and_then(|system| system.process(sysinfo::Pid::from_u32(pid)));
    process
        .into_iter()
        .flat_map(sysinfo::Process::cmd)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect()
}

/// None: containers run in a virtual machine where the system is not Linux.
pub(super) fn control_groups(_pid: u32) -> String {
    String::new()
}

pub(super) fn has_variable(pid: u32, name: &str, value: &str) -> bool {
    let wanted = format!("{name}={value}");
    let kind = ProcessRefreshKind::nothing().with_environ(UpdateKind::Always);
    look_at(pid, kind).is_some_and(|system| {
        system
            .process(sysinfo::Pid::from_u32(pid))
            .is_some_and(|process| process.environ().iter().any(|entry| *entry == *wanted))
    })
}

pub(super) fn children(_pid: u32) -> Option<Vec<u32>> {
    None
}

pub(super) fn signal(id: ProcessId, pid: Pid, signal: Signal) -> bool {
    row(id.pid).is_some_and(|row| row.id == id) && kill_process(pid, signal).is_ok()
}

/// Resident memory of a process in bytes.
pub(super) fn resident_bytes(pid: u32) -> Option<u64> {
    look_at(pid, ProcessRefreshKind::nothing().with_memory())?
        .process(sysinfo::Pid::from_u32(pid))
        .map(sysinfo::Process::memory)
}

/// Physical memory of the machine in bytes; 0 if the system does not say.
pub(crate) fn machine_memory_bytes() -> u64 {
    System::new().map_or(0, |mut system| {
        system.refresh_memory();
        system.total_memory()
    })
}

/// The CPU's model name; empty if the system does not say.
pub(crate) fn cpu_model() -> String {
    System::new()
        .ok()
        .and_then(|mut system| {
            system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
            Some(system.cpus().first()?.brand().trim().to_owned())
        })
        .unwrap_or_default()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::{super::linux, *};

    #[test]
    fn agrees_with_proc_about_this_process() {
        let pid = std::process::id();
        assert_eq!(holdings(pid), None);
        let (here, mut proc) = (row(pid).unwrap(), linux::row(pid).unwrap());
        // In a PID namespace that a session began outside of, which only Linux has, there is no
        // telling that group from a kernel thread's.
        if proc.session == 0 {
            proc.group = 0;
        }
        assert_eq!(
            (here.parent, here.group, here.session, here.zombie),
            (proc.parent, proc.group, proc.session, proc.zombie)
        );
        assert_eq!(row(pid), Some(here));
        assert!(all().iter().any(|row| row.id.pid == pid));
        assert!(
            names(pid)
                .iter()
                .any(|name| linux::names(pid).contains(name))
        );
        assert!(children(pid).is_none());
        assert!(is_ours());
        assert_eq!(arguments(pid), linux::arguments(pid));
        assert!(control_groups(pid).is_empty());
        let name = env!("CARGO_PKG_NAME");
        assert!(has_variable(pid, "CARGO_PKG_NAME", name));
        assert!(!has_variable(pid, "PATH", "/nowhere"));
        assert!(resident_bytes(pid).unwrap() > 100_000);
        assert!(machine_memory_bytes() > 100_000_000);
        let _ = cpu_model();
        let stranger = ProcessId {
            start: here.id.start + 1,
            ..here.id
        };
        assert!(!signal(stranger, raw(pid).unwrap(), Signal::KILL));
    }
}
