//! From calls to a [`Sample`].

use std::collections::BTreeMap;

use tokio::time::{Duration, Instant};

use super::event::Latencies;
use crate::{
    mcp::{
        client::Exchange,
        outcome::{CallError, ErrorKind, Strays},
    },
    results::{ErrorSample, Histogram, Latency, Phase, Sample, TIMEOUTS_IN_A_ROW},
    stats::{Summary, quantile},
};

/// What one scenario gave, while it runs.
#[derive(Debug, Default)]
pub struct Collector {
    calls: u32,
    wall_ns: Vec<u64>,
    /// When each successful exchange began, since the first did.
    begins_ns: Vec<u64>,
    first_byte_ns: Vec<u64>,
    adjusted_ns: Vec<u64>,
    errors: BTreeMap<String, u32>,
    first_error: Option<ErrorSample>,
    timeouts_in_a_row: u32,
    began: Option<Instant>,
    ended: Option<Instant>,
    /// How long the parts took that were absorbed: what lies between them does not count.
    parts: Duration,
    delayed_last_bytes: u32,
    /// CPU time of the server's tree over the calls.
    server_cpu_ns: Option<u64>,
    /// CPU time of mcpgate's measuring thread over the calls.
    client_cpu_ns: Option<u64>,
}

/// Whole nanoseconds of a duration; 584 years and more count as that.
#[must_use]
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Collector {
    /// Counts a call that was answered and checked.
    pub fn success(&mut self, exchange: &Exchange) {
        self.calls += 1;
        self.timeouts_in_a_row = 0;
        self.wall_ns.push(nanoseconds(exchange.wall()));
        let first = *self.began.get_or_insert(exchange.sent);
        let since = exchange.sent.saturating_duration_since(first);
        self.begins_ns.push(nanoseconds(self.parts + since));
        self.first_byte_ns
            .push(nanoseconds(exchange.first_byte - exchange.sent));
        if is_acknowledgement_delay(exchange) {
            self.delayed_last_bytes += 1;
        }
        self.span(exchange.sent, exchange.last_byte);
    }

    /// Counts something that is no exchange but took time, such as a handshake.
    pub fn success_lasting(&mut self, began: Instant, ended: Instant) {
        self.calls += 1;
        self.timeouts_in_a_row = 0;
        self.wall_ns.push(nanoseconds(ended - began));
        self.span(began, ended);
    }

    /// Counts an unsuccessful call.
    pub fn failure(&mut self, error: &CallError, began: Instant, ended: Instant) {
        self.calls += 1;
        if error.kind == ErrorKind::Timeout {
            self.timeouts_in_a_row += 1;
        } else {
            self.timeouts_in_a_row = 0;
        }
        let kind = error.kind.name().into_owned();
        self.first_error.get_or_insert_with(|| ErrorSample {
            kind: kind.clone(),
            message: error.message.clone(),
        });
        *self.errors.entry(kind).or_default() += 1;
        self.span(began, ended);
    }

    /// Counts answers that nobody asked for. Each spoils one call: which answer was meant for
    /// whom is not known any more.
    pub fn strays(&mut self, strays: Strays) {
        if strays.count > 0 {
            let count = self.errors.entry("stray-answer".to_owned()).or_default();
            *count = count.saturating_add(strays.count);
            self.first_error.get_or_insert(ErrorSample {
                kind: "stray-answer".to_owned(),
                message: strays.sample,
            });
        }
    }

    /// Takes the adjusted latencies of the successful calls; empty where there are none.
    pub fn adjusted(&mut self, adjusted_ns: Vec<u64>) {
        self.adjusted_ns = adjusted_ns;
    }

    /// Takes what [`super::observer::Observer::cpu_ns`] gave before and after the calls.
    pub fn server_cpu(&mut self, before: Option<u64>, after: Option<u64>) {
        self.server_cpu_ns = before
            .zip(after)
            .map(|(before, after)| after.saturating_sub(before));
    }

    /// Takes the CPU time that mcpgate's measuring thread used over the calls.
    pub fn client_cpu(&mut self, client_cpu_ns: u64) {
        self.client_cpu_ns = Some(client_cpu_ns);
    }

    /// Adds what a later part of the same scenario gave.
    pub fn absorb(&mut self, mut later: Self) {
        let is_first = self.calls == 0;
        let offset_ns = nanoseconds(self.duration());
        let begins = later.begins_ns.iter();
        self.begins_ns
            .extend(begins.map(|begin| begin.saturating_add(offset_ns)));
        self.parts += later.duration();
        self.calls += later.calls;
        self.delayed_last_bytes += later.delayed_last_bytes;
        self.wall_ns.append(&mut later.wall_ns);
        self.first_byte_ns.append(&mut later.first_byte_ns);
        self.adjusted_ns.append(&mut later.adjusted_ns);
        for (kind, count) in later.errors {
            let so_far = self.errors.entry(kind).or_default();
            *so_far = so_far.saturating_add(count);
        }
        self.first_error = self.first_error.take().or(later.first_error);
        self.timeouts_in_a_row = later.timeouts_in_a_row;
        let sum = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a.saturating_add(b));
        (self.server_cpu_ns, self.client_cpu_ns) = if is_first {
            (later.server_cpu_ns, later.client_cpu_ns)
        } else {
            (
                sum(self.server_cpu_ns, later.server_cpu_ns),
                sum(self.client_cpu_ns, later.client_cpu_ns),
            )
        };
    }

    fn duration(&self) -> Duration {
        let own = match (self.began, self.ended) {
            (Some(began), Some(ended)) => ended - began,
            _ => Duration::ZERO,
        };
        own + self.parts
    }

    /// Calls counted so far.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// Successful calls so far, less those that a stray answer spoiled.
    #[must_use]
    pub fn successes(&self) -> u32 {
        let strays = self.errors.get("stray-answer").copied().unwrap_or(0);
        u32::try_from(self.wall_ns.len())
            .unwrap_or(u32::MAX)
            .saturating_sub(strays)
    }

    /// Errors so far, by kind.
    #[must_use]
    pub fn errors(&self) -> &BTreeMap<String, u32> {
        &self.errors
    }

    /// The single latencies, as they came.
    #[must_use]
    pub fn latencies<'a>(
        &'a self,
        (phase, round): (Phase, Option<u32>),
        scenario: &'a str,
    ) -> Latencies<'a> {
        Latencies {
            phase,
            round,
            scenario,
            wall_ns: &self.wall_ns,
            first_byte_ns: &self.first_byte_ns,
            adjusted_ns: &self.adjusted_ns,
        }
    }

    /// Whether going on would only wait for more time-outs.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.timeouts_in_a_row >= TIMEOUTS_IN_A_ROW
    }

    /// The first error seen.
    pub fn take_first_error(&mut self) -> Option<ErrorSample> {
        self.first_error.take()
    }

    fn span(&mut self, began: Instant, ended: Instant) {
        self.began = Some(self.began.map_or(began, |b| b.min(began)));
        self.ended = Some(self.ended.map_or(ended, |e| e.max(ended)));
    }

    /// The sample.
    #[must_use]
    pub fn into_sample(mut self) -> Sample {
        let duration = self.duration();
        // Those of some calls only would be of another sample.
        if self.adjusted_ns.len() != self.wall_ns.len() {
            self.adjusted_ns.clear();
        }
        Sample {
            calls: self.calls,
            successes: self.successes(),
            duration_ns: nanoseconds(duration),
            cpu_per_call_ns: self
                .server_cpu_ns
                .filter(|_| self.calls > 0)
                .map(|cpu| cpu / u64::from(self.calls)),
            delayed_last_bytes: self.delayed_last_bytes,
            slow_calls: slow_calls(&self.wall_ns, &self.begins_ns),
            client_cpu_ns: self.client_cpu_ns,
            wall_histogram_ns: Histogram::of(self.wall_ns.iter().copied()),
            adjusted_histogram_ns: Histogram::of(self.adjusted_ns.iter().copied()),
            wall: latency(&mut self.wall_ns),
            adjusted: latency(&mut self.adjusted_ns),
            first_byte: latency(&mut self.first_byte_ns),
            errors: self.errors,
        }
    }
}

/// Calls that are slow among fast ones; see [`Sample::slow_calls`]. None where calls overlap: their
/// order is no server's rhythm.
fn slow_calls(wall_ns: &[u64], begins_ns: &[u64]) -> Vec<(u32, u64)> {
    const FACTOR: u64 = 4;
    const BY_NS: u64 = 5_000_000;
    const MOST: usize = 64;
    let mut sorted = wall_ns.to_vec();
    let Some(summary) = quantile::summarize(&mut sorted) else {
        return Vec::new();
    };
    let border = (summary.p50_ns.saturating_mul(FACTOR)).max(summary.p50_ns.saturating_add(BY_NS));
    let calls = || begins_ns.iter().zip(wall_ns);
    let ends = calls().map(|(begin, wall)| begin.saturating_add(*wall));
    let is_sequential = wall_ns.len() == begins_ns.len()
        && ends
            .zip(begins_ns.iter().skip(1))
            .all(|(end, next)| end <= *next);
    if !is_sequential {
        return Vec::new();
    }
    let slow = (0_u32..)
        .zip(calls())
        .filter(|(_, (_, wall))| **wall >= border);
    slow.take(MOST)
        .map(|(number, (begin, _))| (number, *begin))
        .collect()
}

/// Linux delays an acknowledgement by 40 ms; what a timer and a busy machine add is allowed for.
fn is_acknowledgement_delay(exchange: &Exchange) -> bool {
    let lag = exchange.last_byte - exchange.first_byte;
    (Duration::from_millis(39)..Duration::from_millis(46)).contains(&lag)
}

fn latency(ns: &mut [u64]) -> Option<Latency> {
    quantile::summarize(ns).map(quantiles)
}

/// As results files have them.
pub(super) fn quantiles(summary: Summary) -> Latency {
    Latency {
        p50_ns: summary.p50_ns,
        p95_ns: summary.p95_ns,
        p99_ns: summary.p99_ns,
        max_ns: summary.max_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts of a scenario, between which another server was called.
    #[test]
    fn what_lies_between_parts_does_not_count() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let part = |sent: u64, ended: u64, cpu: (u64, u64)| {
            let mut part = Collector::default();
            part.success(&Exchange {
                id: 1,
                sent: at(sent),
                first_byte: at(ended),
                last_byte: at(ended),
                body: bytes::Bytes::new(),
            });
            part.server_cpu(Some(cpu.0), Some(cpu.1));
            part.client_cpu(3);
            part
        };
        let mut whole = Collector::default();
        whole.absorb(part(0, 10, (100, 140)));
        whole.absorb(part(500, 530, (200, 220)));
        let sample = whole.into_sample();
        assert_eq!((sample.calls, sample.successes), (2, 2));
        assert_eq!(sample.duration_ns, 40_000_000);
        assert_eq!(sample.cpu_per_call_ns, Some(30));
        assert_eq!(sample.client_cpu_ns, Some(6));
        assert_eq!(sample.wall.unwrap().max_ns, 30_000_000);
    }

    #[test]
    fn adjusted_latencies_of_some_calls_only_are_let_go() {
        let collected = |adjusted_ns: &[u64]| {
            let mut collector = Collector::default();
            let now = Instant::now();
            for ms in [3, 2] {
                collector.success_lasting(now, now + Duration::from_millis(ms));
            }
            collector.adjusted(adjusted_ns.to_vec());
            collector.into_sample()
        };
        let all = collected(&[1_500_000, 2_500_000]);
        assert_eq!(all.wall_histogram_ns, Histogram::of([2_000_000, 3_000_000]));
        assert_eq!(
            all.adjusted_histogram_ns,
            Histogram::of([1_500_000, 2_500_000])
        );
        assert_eq!(all.adjusted.unwrap().max_ns, 2_500_000);
        let some = collected(&[1_500_000]);
        assert_eq!((some.adjusted, some.adjusted_histogram_ns), (None, None));
        assert_eq!(some.wall_histogram_ns, all.wall_histogram_ns);
    }

    #[test]
    fn slow_calls_are_told_by_number_and_time_unless_calls_overlap() {
        let start = Instant::now();
        let collected = |gap_ms: u64| {
            let mut collector = Collector::default();
            for number in 0..40_u64 {
                let sent = start + Duration::from_millis(number * gap_ms);
                let took = if number % 10 == 9 { 30 } else { 2 };
                let last_byte = sent + Duration::from_millis(took);
                collector.success(&Exchange {
                    id: 1,
                    sent,
                    first_byte: last_byte,
                    last_byte,
                    body: bytes::Bytes::new(),
                });
            }
            collector
        };
        let mut whole = collected(50);
        whole.absorb(collected(50));
        let slow = whole.into_sample().slow_calls;
        let first = [9, 19, 29, 39].map(|number| (number, u64::from(number) * 50_000_000));
        assert_eq!(slow[..4], first);
        // The first part lasted 39 x 50 ms and its last call's 30.
        assert_eq!(slow[4], (49, 450_000_000 + 1_980_000_000));
        assert_eq!(slow.len(), 8);
        assert_eq!(collected(20).into_sample().slow_calls, []);
    }

    #[test]
    fn last_bytes_that_waited_for_an_acknowledgement_are_counted() {
        let mut collector = Collector::default();
        let now = Instant::now();
        for lag_ms in [0, 38, 39, 41, 44, 46, 400] {
            let first_byte = now + Duration::from_millis(1);
            collector.success(&Exchange {
                id: 1,
                sent: now,
                first_byte,
                last_byte: first_byte + Duration::from_millis(lag_ms),
                body: bytes::Bytes::new(),
            });
        }
        assert_eq!(collector.into_sample().delayed_last_bytes, 3);
    }
}
