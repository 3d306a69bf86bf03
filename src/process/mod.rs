//! Starting, sampling and stopping server processes.
//!
//! | file | what it holds |
//! |---|---|
//! | [`server`] | a server process from start to stop |
//! | `start_error` | why a server could not be started |
//! | [`output`] | what a server writes beside the protocol: read, bounded, made printable |
//! | [`belongings`] | which processes belong to a server, also when they hide, and ending them |
//! | [`guard`] | a second process that ends the servers if mcpgate itself is killed |
//! | [`tree`] | the descendants of a process |
//! | [`scheduler`] | CPU time and run-queue wait of a process tree around a call |
//! | `cpu_clock` | CPU time of one process |
//! | [`memory`] | memory of a process tree |
//! | `series` | a figure against another, thinned out as it grows |
//! | [`overlap`] | memory that processes of one tree share |
//! | [`listener`] | the process behind a loopback port |
//! | [`container`] | programs that stand in for a server which runs elsewhere |
//! | [`machine`] | what the rest of the machine was doing |
//! | [`reference_work`] | how fast the machine is |
//! | `table`, `linux`, `elsewhere` | the process table, by system |
//!
//! Invariants. A process is named by id *and* start time, so that an id used again by a stranger
//! is never signalled or measured. Only processes that provably descend from a server we started
//! are ever signalled. Every buffer is bounded and every wait has an end.

pub mod belongings;
pub mod container;
pub mod container_process;
mod cpu_clock;
pub mod guard;
pub mod listener;
pub mod machine;
pub mod memory;
pub mod output;
pub mod overlap;
pub mod reference_work;
mod registry;
pub mod scheduler;
mod series;
pub mod server;
#[cfg(test)]
mod server_tests;
mod start_error;
mod table;
#[cfg(test)]
pub(crate) mod testing;
pub mod tree;

#[cfg(any(not(target_os = "linux"), test))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{cpu_model, machine_memory_bytes};

pub use self::{
    belongings::Orphan,
    cpu_clock::{EndedChildren, own_cpu_ns},
    guard::Guard,
    machine::{MachineDelta, MachineReading},
    memory::{MemoryReading, MemorySampler, MemorySummary, MemoryWatch},
    scheduler::{ClientWait, Delta, Reading, SchedulerProbe},
    server::{How, LaunchSpec, ServerProcess, StopLimits, Stopped},
    start_error::StartError,
    table::ProcessId,
};

/// Makes orphans of our servers children of this process, so that they can be found, ended and
/// reaped. To be called once, early in `main`.
///
/// Linux only (`PR_SET_CHILD_SUBREAPER`); elsewhere orphans are found by their group and marker
/// alone. A failure is not an error for the same reason.
pub fn become_subreaper() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}
