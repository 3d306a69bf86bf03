//! What the rest of the machine was doing while a round was measured.
#![expect(
    clippy::disallowed_methods,
    reason = "reads the clock and the machine's counters"
)]

use std::time::Instant;

/// The machine's counters at one moment.
#[derive(Debug, Clone, Copy)]
pub struct MachineReading {
    at: Instant,
    own_cpu_ns: u64,
    ticks: Option<Ticks>,
    load_average: Option<f64>,
}

/// Time of all cores together, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks {
    busy_ns: u64,
    stolen_ns: u64,
}

/// What happened between two readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MachineDelta {
    /// CPU time of processes other than the server and mcpgate, in cores: 1 = one core all the
    /// time. The counters are coarse (Linux: 10 ms), so spans under 0.2 s say little. On Linux, in
    /// a container, this is the whole host. Absent elsewhere.
    pub outside_load_cores: Option<f64>,
    /// Time that a hypervisor gave to others while a core here wanted to run, in cores.
    pub steal_cores: Option<f64>,
    /// CPU time of mcpgate itself.
    pub client_cpu_ns: u64,
    /// Wall time between the readings.
    pub wall_ns: u64,
}

impl MachineReading {
    /// Reads the counters now.
    #[must_use]
    pub fn now() -> Self {
        Self {
            at: Instant::now(),
            own_cpu_ns: own_cpu_ns(),
            ticks: ticks(),
            load_average: load_average(),
        }
    }

    /// One-minute load average; absent where there is no `/proc`.
    #[must_use]
    pub fn load_average(&self) -> Option<f64> {
        self.load_average
    }

    /// What happened since an earlier reading. `server_cpu_ns` is the server's CPU time between
    /// the two; where it is unknown the outside load is unknown, too.
    #[must_use]
    pub fn since(&self, earlier: &Self, server_cpu_ns: Option<u64>) -> MachineDelta {
        let wall_ns = nanoseconds(self.at.saturating_duration_since(earlier.at));
        let client_cpu_ns = self.own_cpu_ns.saturating_sub(earlier.own_cpu_ns);
        let ticks = self.ticks.zip(earlier.ticks);
        MachineDelta {
            outside_load_cores: ticks.zip(server_cpu_ns).and_then(|((now, then), server)| {
                let inside = server.saturating_add(client_cpu_ns);
                cores(now.busy_ns.saturating_sub(then.busy_ns), inside, wall_ns)
            }),
            steal_cores: ticks.and_then(|(now, then)| {
                cores(now.stolen_ns.saturating_sub(then.stolen_ns), 0, wall_ns)
            }),
            client_cpu_ns,
            wall_ns,
        }
    }
}

/// `(total − part) / wall`, never negative: coarse counters can fall short of exact ones.
fn cores(total_ns: u64, part_ns: u64, wall_ns: u64) -> Option<f64> {
    (wall_ns > 0).then(|| total_ns.saturating_sub(part_ns) as f64 / wall_ns as f64)
}

fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn own_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    std::time::Duration::try_from(time).map_or(0, nanoseconds)
}

#[cfg(target_os = "linux")]
fn ticks() -> Option<Ticks> {
    use procfs::CurrentSI as _;
    let total = procfs::KernelStats::current().ok()?.total;
    let tick_ns = 1_000_000_000 / procfs::ticks_per_second().max(1);
    let busy = total.user
        + total.nice
        + total.system
        + total.irq.unwrap_or(0)
        + total.softirq.unwrap_or(0);
    Some(Ticks {
        busy_ns: busy.saturating_mul(tick_ns),
        stolen_ns: total.steal.unwrap_or(0).saturating_mul(tick_ns),
    })
}

#[cfg(not(target_os = "linux"))]
fn ticks() -> Option<Ticks> {
    None
}

/// From a file, so that one way serves: absent where there is no `/proc`.
fn load_average() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn reading(at: Instant, own_cpu_ns: u64, busy_ns: u64, stolen_ns: u64) -> MachineReading {
        MachineReading {
            at,
            own_cpu_ns,
            ticks: Some(Ticks { busy_ns, stolen_ns }),
            load_average: None,
        }
    }

    #[test]
    fn outside_is_what_neither_we_nor_the_server_used() {
        const SECOND: u64 = 1_000_000_000;
        let start = Instant::now();
        let before = reading(start, SECOND, 100 * SECOND, 7 * SECOND);
        let later = start + Duration::from_secs(2);
        let after = reading(later, 2 * SECOND, 104 * SECOND, 8 * SECOND);
        let delta = after.since(&before, Some(SECOND));
        assert_eq!(
            delta,
            MachineDelta {
                outside_load_cores: Some(1.0),
                steal_cores: Some(0.5),
                client_cpu_ns: SECOND,
                wall_ns: 2 * SECOND,
            }
        );
        // More inside than the coarse counters saw at all.
        let delta = after.since(&before, Some(9 * SECOND));
        assert_eq!(delta.outside_load_cores, Some(0.0));
        assert_eq!(after.since(&before, None).outside_load_cores, None);
        assert_eq!(before.since(&before, Some(0)).outside_load_cores, None);
    }

    #[test]
    fn this_machine_has_counters_that_only_rise() {
        let before = MachineReading::now();
        let busy: u64 = (0..3_000_000_u64).fold(0, |sum, n| sum ^ n.wrapping_mul(31));
        assert_ne!(busy, 1);
        let after = MachineReading::now();
        assert!(after.own_cpu_ns > before.own_cpu_ns);
        assert!(after.since(&before, Some(0)).wall_ns > 0);
        #[cfg(target_os = "linux")]
        assert!(after.ticks.unwrap().busy_ns >= before.ticks.unwrap().busy_ns);
    }
}
