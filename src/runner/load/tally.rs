//! From the calls of a load to a [`LoadSample`].

use std::collections::BTreeMap;

use tokio::time::{Duration, Instant};

use crate::{
    mcp::{
        client::Exchange,
        message,
        outcome::{CallError, Strays},
    },
    results::{ErrorSample, Histogram, Latency, LoadSample, Sample, StageSample},
    runner::collector::{nanoseconds, quantiles},
    stats::compact::CompactLatencies,
    suite::executor::Span,
};

/// Answers up to this size are checked as they come: that takes microseconds. Checking a larger one
/// would delay the time stamps of others, so it is kept for later, while there is room.
const CHECKED_AT_ONCE_BYTES: usize = 16 << 10;
/// Room for answers that are kept.
const HELD_BYTES: usize = 16 << 20;

/// What a load gave, while it runs: 8 bytes for each answered call.
#[derive(Debug, Default)]
pub(super) struct Tally {
    spans: Vec<Span>,
    stages: Vec<Stage>,
    errors: BTreeMap<String, u32>,
    first_error: Option<ErrorSample>,
    connecting: CompactLatencies,
    send_lag: CompactLatencies,
    held: Vec<Held>,
    held_bytes: usize,
    /// Begin of the first call and end of the last answer, since the start of the load.
    first_ns: Option<u64>,
    last_ns: u64,
}

#[derive(Debug, Default)]
struct Stage {
    calls: u32,
    dropped: u32,
    wall: CompactLatencies,
    first_byte: CompactLatencies,
}

/// An answer that is still to be checked.
#[derive(Debug)]
struct Held {
    call: Call,
    exchange: Exchange,
    expected: Option<String>,
}

/// A call that was answered.
#[derive(Debug, Clone, Copy)]
struct Call {
    /// When it began, since the start of the load.
    at: Duration,
    wall: Duration,
    first_byte: Duration,
}

impl Tally {
    pub(super) fn new(spans: Vec<Span>) -> Self {
        let stages = spans.iter().map(|_| Stage::default()).collect();
        Self {
            spans,
            stages,
            ..Self::default()
        }
    }

    /// The stage in which something began; the last one of what began later.
    fn stage(&mut self, at: Duration) -> &mut Stage {
        let after = self.spans.iter().filter(|span| span.ends <= at).count();
        let index = after.min(self.spans.len().saturating_sub(1));
        if self.stages.is_empty() {
            self.stages.push(Stage::default());
        }
        let last = self.stages.len() - 1;
        &mut self.stages[index.min(last)]
    }

    /// A client became ready for its first call.
    pub(super) fn connected(&mut self, took: Duration) {
        self.connecting.push(nanoseconds(took));
    }

    /// mcpgate's own delay in sending a call.
    pub(super) fn lagged(&mut self, lag: Duration) {
        self.send_lag.push(nanoseconds(lag));
    }

    /// A call was not made, since as many as allowed were in flight.
    pub(super) fn dropped(&mut self, at: Duration) {
        self.stage(at).dropped += 1;
    }

    /// A call that began `at` since the start, at the moment `began`, was answered.
    pub(super) fn answered(
        &mut self,
        at: Duration,
        began: Instant,
        exchange: Exchange,
        expected: Option<String>,
    ) {
        let call = Call {
            at,
            wall: exchange.last_byte.saturating_duration_since(began),
            first_byte: exchange.first_byte.saturating_duration_since(began),
        };
        let bytes = exchange.body.len();
        if bytes > CHECKED_AT_ONCE_BYTES && self.held_bytes + bytes <= HELD_BYTES {
            self.held_bytes += bytes;
            self.held.push(Held {
                call,
                exchange,
                expected,
            });
        } else {
            self.check(call, &exchange, expected.as_deref());
        }
    }

    fn check(&mut self, call: Call, exchange: &Exchange, expected: Option<&str>) {
        match message::check_tool_answer(&exchange.body, exchange.id, expected) {
            Ok(()) => {
                self.covers(call.at, call.wall);
                let stage = self.stage(call.at);
                stage.calls += 1;
                stage.wall.push(nanoseconds(call.wall));
                stage.first_byte.push(nanoseconds(call.first_byte));
            }
            Err(error) => self.failure(&error, call.at),
        }
    }

    /// A call that began `at` since the start was unsuccessful.
    pub(super) fn failure(&mut self, error: &CallError, at: Duration) {
        self.covers(at, Duration::ZERO);
        self.stage(at).calls += 1;
        let kind = error.kind.name().into_owned();
        self.first_error.get_or_insert_with(|| ErrorSample {
            kind: kind.clone(),
            message: error.message.clone(),
        });
        let count = self.errors.entry(kind).or_default();
        *count = count.saturating_add(1);
    }

    /// Answers that nobody asked for; see [`crate::runner::collector::Collector::strays`].
    pub(super) fn strays(&mut self, strays: Strays) {
        if strays.count > 0 {
            let count = self.errors.entry("stray-answer".to_owned()).or_default();
            *count = count.saturating_add(strays.count);
            self.first_error.get_or_insert(ErrorSample {
                kind: "stray-answer".to_owned(),
                message: strays.sample,
            });
        }
    }

    fn covers(&mut self, at: Duration, lasting: Duration) {
        let at_ns = nanoseconds(at);
        self.first_ns = Some(self.first_ns.map_or(at_ns, |first| first.min(at_ns)));
        self.last_ns = self.last_ns.max(nanoseconds(at.saturating_add(lasting)));
    }

    /// Checks the answers that were kept.
    #[must_use]
    pub(super) fn checked(mut self) -> Self {
        for held in std::mem::take(&mut self.held) {
            self.check(held.call, &held.exchange, held.expected.as_deref());
        }
        self
    }

    /// The first error seen.
    pub(super) fn take_first_error(&mut self) -> Option<ErrorSample> {
        self.first_error.take()
    }

    /// The single latencies, stage after stage: wall time and time to the first byte.
    pub(super) fn latencies_ns(&self) -> (Vec<u64>, Vec<u64>) {
        let stages = || self.stages.iter();
        (
            stages().flat_map(|stage| stage.wall.iter_ns()).collect(),
            stages()
                .flat_map(|stage| stage.first_byte.iter_ns())
                .collect(),
        )
    }

    pub(super) fn into_sample(self) -> LoadSample {
        let mut wall = CompactLatencies::default();
        let mut first_byte = CompactLatencies::default();
        for stage in &self.stages {
            wall.append(&stage.wall);
            first_byte.append(&stage.first_byte);
        }
        let strays = self.errors.get("stray-answer").copied().unwrap_or(0);
        let duration_ns = self
            .last_ns
            .saturating_sub(self.first_ns.unwrap_or(self.last_ns));
        LoadSample {
            dropped: self.stages.iter().map(|stage| stage.dropped).sum(),
            connecting: latency(&self.connecting),
            send_lag: latency(&self.send_lag),
            stages: self.stages.iter().map(Stage::sample).collect(),
            ..without_load(Sample {
                calls: self.stages.iter().map(|stage| stage.calls).sum(),
                successes: count(&wall).saturating_sub(strays),
                errors: self.errors,
                duration_ns,
                wall: latency(&wall),
                adjusted: None,
                wall_histogram_ns: Histogram::of(wall.iter_ns()),
                adjusted_histogram_ns: None,
                first_byte: latency(&first_byte),
                cpu_per_call_ns: None,
                delayed_last_bytes: 0,
                slow_calls: Vec::new(),
                client_cpu_ns: None,
            })
        }
    }
}

impl Stage {
    fn sample(&self) -> StageSample {
        StageSample {
            calls: self.calls,
            successes: count(&self.wall),
            dropped: self.dropped,
            wall: latency(&self.wall),
        }
    }
}

/// What calls gave that were made before a load, which then was not applied.
pub(super) fn without_load(whole: Sample) -> LoadSample {
    LoadSample {
        whole,
        dropped: 0,
        interrupted: 0,
        most_in_flight: 0,
        connecting: None,
        send_lag: None,
        peak_memory_bytes: None,
        memory: Vec::new(),
        outside_load_cores: None,
        steal_cores: None,
        stages: Vec::new(),
    }
}

fn count(latencies: &CompactLatencies) -> u32 {
    u32::try_from(latencies.len()).unwrap_or(u32::MAX)
}

fn latency(latencies: &CompactLatencies) -> Option<Latency> {
    latencies.summarize().map(quantiles)
}
