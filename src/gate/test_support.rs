//! Results for tests: a plausible server, with knobs.
//!
//! [`Fixture`] holds five scenarios in ten rounds and three soaks. The spread between rounds is
//! a fixed pattern, so tables are exact; `tests/simulation.rs` draws its rounds at random.

use std::collections::BTreeMap;

use crate::results::{
    Environment, ErrorSample, Job, Latency, Measure, Phase, Results, Round, SCHEMA_VERSION, Sample,
    ScenarioKind, ScenarioRecord, ServerRecord, Sessions, Soak, SoakSample, SuiteRecord, Transport,
};

/// The fixture's scenario of sequential calls.
pub(crate) const SEQUENTIAL: &str = "search/sequential";
/// The fixture's scenario of concurrent calls.
pub(crate) const CONCURRENT: &str = "search/concurrent";
/// The fixture's soak.
pub(crate) const SOAK: &str = "search/soak";

/// Ten standardised deviations (mean 0, sd 1) in no order.
const PATTERN: [f64; 10] = [
    0.12, -1.45, 0.64, -0.12, 1.45, -0.64, 0.37, -0.95, 0.95, -0.37,
];

const MS: f64 = 1e6;

/// Builds [`Results`].
#[derive(Clone)]
pub(crate) struct Fixture {
    results: Results,
    spread: f64,
}

impl Fixture {
    /// One complete job of ten rounds, spread 4 % (wall p95 12 %), on a Linux machine, over
    /// stdio.
    pub(crate) fn new() -> Self {
        Self::with_rounds(10)
    }

    /// The same with another number of rounds.
    pub(crate) fn with_rounds(rounds: u32) -> Self {
        let spread = 0.04;
        let job = Job {
            started_at: "2026-01-02T03:04:05Z".to_owned(),
            commit: None,
            seed: 1,
            environment: environment(),
            memory_measure: Measure::By("high-water mark".to_owned()),
            adjusted_measure: Measure::By("schedstat".to_owned()),
            incomplete: None,
            rounds: (0..rounds)
                .map(|i| round(i, Phase::Measure, spread))
                .collect(),
            soaks: (0..3).map(|i| soak(i, Phase::Measure)).collect(),
            loads: BTreeMap::new(),
            probes: Vec::new(),
            error_samples: BTreeMap::new(),
            notes: Vec::new(),
            in_turn: None,
        };
        let results = Results {
            schema_version: SCHEMA_VERSION,
            mcpgate_version: "0.1.0".to_owned(),
            server: ServerRecord {
                name: "fixture".to_owned(),
                version: "1.0.0".to_owned(),
                transport: Transport::Stdio,
                protocol_version: "2025-11-25".to_owned(),
                tool_list_hash: "aaaa".to_owned(),
                attached: false,
            },
            suite: SuiteRecord {
                name: "standard".to_owned(),
                hash: "bbbb".to_owned(),
                scenarios: records(),
                skipped: Vec::new(),
            },
            jobs: vec![job],
            accepted: None,
        };
        Self { results, spread }
    }

    /// Changes anything.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Results)) -> Self {
        change(&mut self.results);
        self
    }

    /// Changes every job.
    pub(crate) fn jobs(mut self, change: impl FnMut(&mut Job)) -> Self {
        self.results.jobs.iter_mut().for_each(change);
        self
    }

    /// Changes every round.
    pub(crate) fn rounds(self, mut change: impl FnMut(&mut Round)) -> Self {
        self.jobs(|j| j.rounds.iter_mut().for_each(&mut change))
    }

    /// Changes every round of one phase.
    pub(crate) fn phase(self, phase: Phase, mut change: impl FnMut(&mut Round)) -> Self {
        self.rounds(|r| {
            if r.phase == phase {
                change(r);
            }
        })
    }

    /// Changes one scenario's sample in every round.
    pub(crate) fn samples(self, scenario: &str, mut change: impl FnMut(&mut Sample)) -> Self {
        self.rounds(|r| {
            if let Some(sample) = r.scenarios.get_mut(scenario) {
                change(sample);
            }
        })
    }

    /// Multiplies every time of one scenario.
    pub(crate) fn slower(self, scenario: &str, factor: f64) -> Self {
        self.samples(scenario, |s| scale_sample(s, factor))
    }

    /// Sets the growth of the soaks, in bytes per call.
    pub(crate) fn growth(mut self, slopes: &[f64]) -> Self {
        for job in &mut self.results.jobs {
            job.soaks = slopes
                .iter()
                .zip(0..)
                .map(|(slope, i)| {
                    let mut soak = soak(i, Phase::Measure);
                    for sample in soak.scenarios.values_mut() {
                        sample.growth_bytes_per_call = Some(*slope);
                    }
                    soak
                })
                .collect();
        }
        self
    }

    /// Adds fresh rounds, as after an alarm.
    pub(crate) fn confirm(mut self, rounds: u32) -> Self {
        let spread = self.spread;
        for job in &mut self.results.jobs {
            let first = u32::try_from(job.rounds.len()).unwrap_or(u32::MAX);
            job.rounds
                .extend((first..first + rounds).map(|i| round(i, Phase::Confirm, spread)));
        }
        self
    }

    /// Lets `failed` calls of one scenario fail in the first round that ran it.
    pub(crate) fn errors(mut self, scenario: &str, failed: u32) -> Self {
        for job in &mut self.results.jobs {
            let sample = job
                .rounds
                .iter_mut()
                .find_map(|r| r.scenarios.get_mut(scenario));
            if let Some(sample) = sample {
                sample.successes = sample.calls.saturating_sub(failed);
                sample.errors.insert("tool-error".to_owned(), failed);
            }
            job.error_samples
                .insert(scenario.to_owned(), error_sample());
        }
        self
    }

    /// Lets every call of one scenario fail.
    pub(crate) fn all_fail(self, scenario: &str) -> Self {
        self.samples(scenario, |s| {
            s.successes = 0;
            s.errors.insert("tool-error".to_owned(), s.calls);
            s.wall = None;
            s.adjusted = None;
            s.first_byte = None;
        })
        .jobs(|j| {
            j.error_samples.insert(scenario.to_owned(), error_sample());
        })
    }

    /// Takes away what only Linux's `schedstat` can tell.
    pub(crate) fn without_adjusted(self) -> Self {
        self.rounds(|r| {
            r.startup_adjusted_ns = None;
            for s in r.scenarios.values_mut() {
                s.adjusted = None;
            }
        })
        .jobs(|j| j.adjusted_measure = Measure::NotMeasured("no schedstat on macOS".to_owned()))
    }

    /// The results.
    pub(crate) fn build(self) -> Results {
        self.results
    }
}

/// Multiplies every time of a sample.
pub(crate) fn scale_sample(s: &mut Sample, factor: f64) {
    s.duration_ns = times(s.duration_ns, factor);
    s.cpu_per_call_ns = s.cpu_per_call_ns.map(|v| times(v, factor));
    for latency in [&mut s.wall, &mut s.adjusted, &mut s.first_byte]
        .into_iter()
        .flatten()
    {
        scale_latency(latency, factor);
    }
}

/// Multiplies every quantile.
pub(crate) fn scale_latency(l: &mut Latency, factor: f64) {
    l.p50_ns = times(l.p50_ns, factor);
    l.p95_ns = l.p95_ns.map(|v| times(v, factor));
    l.p99_ns = l.p99_ns.map(|v| times(v, factor));
    l.max_ns = times(l.max_ns, factor);
}

/// A whole number times a factor, rounded.
pub(crate) fn times(value: u64, factor: f64) -> u64 {
    ns(value as f64 * factor)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float is cut off at the ends of the integer, which is what tests want"
)]
pub(crate) fn ns(value: f64) -> u64 {
    value.round() as u64
}

fn error_sample() -> ErrorSample {
    ErrorSample {
        kind: "tool-error".to_owned(),
        message: "disk full".to_owned(),
    }
}

/// A Linux machine.
pub(crate) fn environment() -> Environment {
    Environment {
        os: "linux".to_owned(),
        arch: "x86_64".to_owned(),
        cpu_model: "Model A".to_owned(),
        cores: 2,
        memory_bytes: 8_000_000_000,
        kernel: "6.1".to_owned(),
        runner_image: None,
        container_memory_limit_bytes: None,
        container_cpu_limit_millicores: None,
    }
}

/// A declared scenario of the tool `search`.
pub(crate) fn record(
    name: &str,
    kind: ScenarioKind,
    calls: u32,
    concurrency: u32,
) -> ScenarioRecord {
    ScenarioRecord {
        name: name.to_owned(),
        kind,
        tool: name.contains('/').then(|| "search".to_owned()),
        calls,
        concurrency,
        definition_hash: format!("hash of {name}"),
        report_only: false,
        sessions: Sessions::Each,
        load: None,
    }
}

fn records() -> Vec<ScenarioRecord> {
    vec![
        record("handshake", ScenarioKind::Handshake, 100, 1),
        record("list-tools", ScenarioKind::ListTools, 100, 1),
        record(SEQUENTIAL, ScenarioKind::Sequential, 100, 1),
        record(CONCURRENT, ScenarioKind::Concurrent, 100, 10),
        record(SOAK, ScenarioKind::Soak, 1_400, 1),
    ]
}

fn latency(p50: f64, p95: f64) -> Latency {
    Latency {
        p50_ns: ns(p50),
        p95_ns: Some(ns(p95)),
        p99_ns: Some(ns(p95 * 1.2)),
        max_ns: ns(p95 * 1.5),
    }
}

/// One round; figure `k` of it deviates by `spread` times the pattern, shifted by `k`.
fn round(index: u32, phase: Phase, spread: f64) -> Round {
    let z = |k: u32| {
        let i = (index + 3 * k) as usize % PATTERN.len();
        PATTERN.get(i).copied().unwrap_or_default()
    };
    let v = |level: f64, k: u32, spread: f64| level * (spread * z(k)).exp();
    let mut scenarios = BTreeMap::new();
    for (i, (name, level)) in (0..).zip([
        ("handshake", 5.0),
        ("list-tools", 4.0),
        (SEQUENTIAL, 10.0),
        (CONCURRENT, 50.0),
    ]) {
        let p50 = v(level * MS, i, spread);
        let p95 = v(level * 2.0 * MS, i + 1, spread);
        let concurrency = if name == CONCURRENT { 10.0 } else { 1.0 };
        let sample = Sample {
            calls: 100,
            successes: 100,
            errors: BTreeMap::new(),
            duration_ns: ns(v(110.0 * level * MS / concurrency, i + 2, spread)),
            wall: Some(latency(
                p50 * 1.02,
                v(level * 2.4 * MS, i + 3, 3.0 * spread),
            )),
            adjusted: (name != CONCURRENT).then(|| latency(p50, p95)),
            first_byte: None,
            cpu_per_call_ns: Some(ns(v(level * 0.6 * MS, i + 1, spread))),
            delayed_last_bytes: 0,
            wall_histogram_ns: None,
            adjusted_histogram_ns: None,
            slow_calls: Vec::new(),
            client_cpu_ns: None,
        };
        scenarios.insert(name.to_owned(), sample);
    }
    Round {
        index,
        phase,
        startup_ns: Some(ns(v(320.0 * MS, 1, spread))),
        startup_adjusted_ns: Some(ns(v(300.0 * MS, 2, spread))),
        peak_memory_bytes: Some(ns(v(100e6, 3, spread / 2.0))),
        processes: Some(1),
        memory_at_end: None,
        server_cpu_ns: Some(4_000_000_000),
        server_wait_ns: Some(1_000_000),
        client_cpu_ns: Some(50_000_000),
        outside_load_cores: Some(0.02),
        steal_cores: Some(0.0),
        load_average: Some(0.5),
        reference_work_ns: None,
        page_work_ns: None,
        scenarios,
    }
}

/// One soak of 1,400 calls, growing by about 1 kB a call.
fn soak(index: u32, phase: Phase) -> Soak {
    let sample = SoakSample {
        calls: 1_400,
        successes: 1_400,
        errors: BTreeMap::new(),
        growth_bytes_per_call: Some(1_000.0 + 50.0 * f64::from(index)),
        memory: vec![(100, 90_000_000), (1_400, 91_300_000)],
    };
    Soak {
        index,
        phase,
        scenarios: BTreeMap::from([(SOAK.to_owned(), sample)]),
    }
}

/// Adds fresh soaks with the given growth, in bytes per call.
pub(crate) fn add_fresh_soaks(results: &mut Results, slopes: &[f64]) {
    for job in &mut results.jobs {
        for (slope, i) in slopes.iter().zip(100..) {
            let mut soak = soak(i, Phase::Confirm);
            for sample in soak.scenarios.values_mut() {
                sample.growth_bytes_per_call = Some(*slope);
            }
            job.soaks.push(soak);
        }
    }
}
