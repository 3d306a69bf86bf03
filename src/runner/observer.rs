//! Scheduler readings around sequential calls.
//!
//! Three readings a call, all outside the timed span: *before*, *after*, and the *next before*;
//! [`Reading::call`] says what each is for.

use std::time::Duration;

use super::collector::nanoseconds;
use crate::{
    process::{Delta, Reading, SchedulerProbe},
    stats::adjusted::adjusted_latency_ns,
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

    /// CPU time of the server's tree so far, in nanoseconds, with that of children that have ended.
    /// Not to be asked around a timed call.
    pub fn cpu_ns(&mut self) -> Option<u64> {
        let probe = self.probe.as_mut()?;
        probe.refresh();
        let living = probe.read().since(&Reading::default()).server_cpu_ns;
        Some(living.saturating_add(probe.ended_children().cpu_ns))
    }

    fn ended_children(&mut self) -> u64 {
        self.probe
            .as_mut()
            .map_or(0, |probe| probe.ended_children().page_faults)
    }

    /// Why the figures could not be followed to the end, if they could not.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.probe
            .as_ref()
            .and_then(SchedulerProbe::problem)
            .map(str::to_owned)
    }
}

/// Adjusted latencies of one scenario's calls.
pub struct CallWatch<'a> {
    observer: &'a mut Observer,
    before: Reading,
    after: Reading,
    next_before: Reading,
    /// Wall time of the last call, if it was successful and is not yet adjusted, and for how long its
    /// answer was then held back.
    last: Option<(u64, u64)>,
    adjusted_ns: Vec<u64>,
    /// Page faults of ended children when the watch began.
    children_then: u64,
}

impl<'a> CallWatch<'a> {
    /// A watch over the calls to come.
    pub fn new(observer: &'a mut Observer) -> Self {
        observer.refresh();
        Self {
            children_then: observer.ended_children(),
            observer,
            before: Reading::default(),
            after: Reading::default(),
            next_before: Reading::default(),
            last: None,
            adjusted_ns: Vec::new(),
        }
    }

    /// To be called right before the clock of a call starts.
    pub fn before(&mut self) {
        if let Some(probe) = &mut self.observer.probe {
            probe.refresh_if_changed();
            probe.read_into(&mut self.next_before);
            self.complete();
            std::mem::swap(&mut self.before, &mut self.next_before);
        }
    }

    /// To be called right after the clock of a call has stopped.
    pub fn after(&mut self) {
        if let Some(probe) = &mut self.observer.probe {
            probe.read_into(&mut self.after);
        }
    }

    /// What of the last call's wall time was no wait for a core, as far as it is known when its answer is
    /// there: all of it, where nothing can be read.
    #[must_use]
    pub fn worked(&self, wall: Duration) -> Duration {
        if self.observer.probe.is_none() {
            return wall;
        }
        let delta = Reading::call(&self.before, &self.after, &self.after);
        Duration::from_nanos(adjusted_latency_ns(nanoseconds(wall), delta))
    }

    /// To be called when the call turned out to be successful. `held`: for how long its answer was held
    /// back, which no scheduler did.
    pub fn keep(&mut self, wall: Duration, held: Duration) {
        self.last = Some((nanoseconds(wall), nanoseconds(held)));
    }

    fn complete(&mut self) {
        if let Some((wall_ns, held_ns)) = self.last.take() {
            let delta = Reading::call(&self.before, &self.after, &self.next_before);
            let adjusted_ns = adjusted_latency_ns(wall_ns, delta);
            self.adjusted_ns.push(adjusted_ns.saturating_add(held_ns));
        }
    }

    /// The adjusted latencies of the successful calls, in order; empty where nothing can be read,
    /// and where children of the server came and went meanwhile: their CPU time is in no reading,
    /// so the floor of the adjustment would not hold.
    #[must_use]
    pub fn finish(mut self) -> Vec<u64> {
        if let Some(probe) = &mut self.observer.probe {
            probe.read_into(&mut self.next_before);
            self.complete();
        }
        if self.observer.ended_children() == self.children_then {
            self.adjusted_ns
        } else {
            Vec::new()
        }
    }
}
