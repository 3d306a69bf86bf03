//! Scheduler readings around sequential calls.
//!
//! Three readings a call, all outside the timed span. Waits are those between *before* and
//! *after*; CPU time is that between *before* and the *next before*, since the kernel brings the
//! run time of a thread that is on a core up to date only at the next tick or when it sleeps.

use crate::{
    process::scheduler::{Delta, Reading, SchedulerProbe},
    runner::collector::nanoseconds,
    stats::adjusted::{SchedulerDelta, adjusted_latency_ns},
};

/// Reads the scheduler's figures of the server, where they can be had.
#[derive(Debug, Default)]
pub struct Observer {
    probe: Option<SchedulerProbe>,
}

impl Observer {
    /// An observer of `probe`; without one, nothing is adjusted.
    #[must_use]
    pub fn new(probe: Option<SchedulerProbe>) -> Self {
        Self { probe }
    }

    /// Looks for new threads and processes of the server.
    pub fn refresh(&mut self) {
        if let Some(probe) = &mut self.probe {
            probe.refresh();
        }
    }

    /// The figures now.
    pub fn read(&mut self) -> Option<Reading> {
        self.probe.as_mut().map(SchedulerProbe::read)
    }

    /// What has happened since `earlier`.
    pub fn since(&mut self, earlier: Option<&Reading>) -> Option<Delta> {
        let now = self.read()?;
        earlier.map(|earlier| now.since(earlier))
    }
}

struct Watched {
    before: Reading,
    waits: Option<Delta>,
    wall_ns: Option<u64>,
}

/// Adjusted latencies of one scenario's calls.
pub struct CallWatch<'a> {
    observer: &'a mut Observer,
    last: Option<Watched>,
    adjusted_ns: Vec<u64>,
}

impl<'a> CallWatch<'a> {
    /// A watch over the calls to come.
    pub fn new(observer: &'a mut Observer) -> Self {
        observer.refresh();
        Self {
            observer,
            last: None,
            adjusted_ns: Vec::new(),
        }
    }

    /// To be called right before the clock of a call starts.
    pub fn before(&mut self) {
        let Some(probe) = &mut self.observer.probe else {
            return;
        };
        probe.refresh_if_changed();
        let now = probe.read();
        self.complete(&now);
        self.last = Some(Watched {
            before: now,
            waits: None,
            wall_ns: None,
        });
    }

    /// To be called right after the clock of a call has stopped.
    pub fn after(&mut self) {
        let Some(now) = self.observer.read() else {
            return;
        };
        if let Some(last) = &mut self.last {
            last.waits = Some(now.since(&last.before));
        }
    }

    /// To be called when the call turned out to be successful.
    pub fn keep(&mut self, wall: std::time::Duration) {
        if let Some(last) = &mut self.last {
            last.wall_ns = Some(nanoseconds(wall));
        }
    }

    fn complete(&mut self, now: &Reading) {
        let Some(Watched {
            before,
            waits: Some(waits),
            wall_ns: Some(wall_ns),
        }) = self.last.take()
        else {
            return;
        };
        self.adjusted_ns.push(adjusted_latency_ns(
            wall_ns,
            SchedulerDelta {
                max_server_wait_ns: waits.max_server_wait_ns,
                client_wait_ns: waits.client_wait_ns,
                server_cpu_ns: now.since(&before).server_cpu_ns,
            },
        ));
    }

    /// The adjusted latencies of the successful calls, in order; empty where nothing can be read.
    #[must_use]
    pub fn finish(mut self) -> Vec<u64> {
        if let Some(now) = self.observer.read() {
            self.complete(&now);
        }
        self.adjusted_ns
    }
}
