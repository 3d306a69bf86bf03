//! Results drawn at random: servers, jobs and rounds whose truth is known.

use std::collections::BTreeMap;

use mcpgate::results::{
    Environment, Job, Latency, Measure, Phase, Results, Round, SCHEMA_VERSION, Sample,
    ScenarioKind, ScenarioRecord, ServerRecord, Sessions, Soak, SoakSample, SuiteRecord, Transport,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// The tool that may change.
pub(crate) const TOOL: &str = "tool-0";

/// What is true of the servers and machines. Spreads are standard deviations of the logarithm.
#[derive(Clone, Copy)]
pub(crate) struct World {
    /// Tools of the suite: each is called one at a time and concurrently.
    pub(crate) tools: usize,
    /// Soaks a side; 0 for a suite without.
    pub(crate) soaks: u32,
    /// Planned rounds of each side.
    pub(crate) rounds: u32,
    /// Spread of every gating figure between rounds; peak memory has half of it.
    pub(crate) within: f64,
    /// The same of adjusted p95 and throughput of [`TOOL`].
    pub(crate) within_tail: f64,
    /// Spread of every time's level between jobs.
    pub(crate) between: f64,
    /// The same of peak memory.
    pub(crate) between_memory: f64,
    /// Share of the variance between jobs that all figures of a job have in common.
    pub(crate) together: f64,
    /// Whether the candidate runs on another CPU model.
    pub(crate) other_class: bool,
    /// Whether machines tell how long a fixed piece of work takes.
    pub(crate) tells_speed: bool,
    /// How long the handshake and the list of tools take, as a share of what a tool takes.
    pub(crate) handshake: f64,
    /// Share of CPU time in what is called one at a time.
    pub(crate) cpu_share: f64,
    /// Tools, from the last on, that wait for something else: they have a tenth of the CPU time, and
    /// the machine moves them a tenth as far.
    pub(crate) waiting: usize,
    /// Whether every tool is changed, and the handshake and the list of tools.
    pub(crate) all_change: bool,
    /// Jobs that the baseline holds, each on a CPU model of its own.
    pub(crate) base_jobs: u32,
    /// True factor of all times of [`TOOL`].
    pub(crate) change: f64,
    /// True factor of its adjusted and wall p95 and its time per concurrent call beside that.
    pub(crate) tail_change: f64,
    /// Bytes per call that [`TOOL`] leaks in the candidate.
    pub(crate) leak: f64,
}

/// Ten tools on a quiet machine: 44 figures gate.
pub(crate) const QUIET: World = World {
    tools: 10,
    soaks: 0,
    rounds: 10,
    within: 0.06,
    within_tail: 0.06,
    between: 0.0,
    between_memory: 0.0,
    together: 0.0,
    other_class: false,
    tells_speed: false,
    handshake: 1.0,
    cpu_share: 0.6,
    waiting: 0,
    all_change: false,
    base_jobs: 1,
    change: 1.0,
    tail_change: 1.0,
    leak: 0.0,
};

impl World {
    fn waits(&self, tool: Option<&str>) -> bool {
        let number = tool.and_then(|tool| tool.strip_prefix("tool-")?.parse::<usize>().ok());
        number.is_some_and(|number| number + self.waiting >= self.tools)
    }
}

/// Spread of wall p95 between rounds.
const WITHIN_WALL_P95: f64 = 0.25;
/// Growth of every server in bytes per call, and its standard deviation: an interpreter's heap.
const GROWTH: (f64, f64) = (3_000.0, 2_400.0);
const MS: f64 = 1e6;

/// A source of random numbers.
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One standard normal deviate (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

/// One job: the levels that its machine gives to each figure, for all rounds to come.
pub(crate) struct Machine<'a> {
    world: &'a World,
    is_candidate: bool,
    common: f64,
    own: Vec<f64>,
}

/// Figures with a level of their own: two of each scenario, two of the server, and both pieces of fixed
/// work where they matter.
fn figures(world: &World) -> usize {
    2 * scenarios(world).len() + 2 + if world.other_class { 2 } else { 0 }
}

impl<'a> Machine<'a> {
    pub(crate) fn new(world: &'a World, is_candidate: bool, draw: &mut Draw) -> Self {
        Self {
            world,
            is_candidate,
            common: draw.normal(),
            own: (0..figures(world)).map(|_| draw.normal()).collect(),
        }
    }

    /// Standardised.
    fn level(&self, figure: usize) -> f64 {
        let own = self.own.get(figure).copied().unwrap_or_default();
        let together = self.world.together;
        together.sqrt() * self.common + (1.0 - together).sqrt() * own
    }

    /// Measures further rounds into `results`.
    pub(crate) fn rounds(&self, results: &mut Results, phase: Phase, count: u32, draw: &mut Draw) {
        for job in &mut results.jobs {
            for _ in 0..count {
                job.rounds.push(self.round(phase, draw));
            }
        }
    }

    fn round(&self, phase: Phase, draw: &mut Draw) -> Round {
        let w = self.world;
        let work = |from_last: usize| {
            let level = w.between * self.level(figures(w) - from_last);
            w.tells_speed.then(|| ns(MS * level.exp()))
        };
        let mut figure = |typical: f64, k: usize, within: f64, levels: f64| {
            ns(typical * (levels * self.level(k) + within * draw.normal()).exp())
        };
        let startup = figure(300.0 * MS, 0, w.within, w.between);
        let memory = figure(100e6, 1, w.within / 2.0, w.between_memory);
        let startup_wall = figure(320.0 * MS, 0, w.within, w.between);
        let mut samples = BTreeMap::new();
        for (i, record) in scenarios(w).iter().enumerate() {
            if record.kind == ScenarioKind::Soak {
                continue;
            }
            let is_tool = record.tool.as_deref() == Some(TOOL);
            let tail = if is_tool { w.within_tail } else { w.within };
            let (change, tail_change) = match (is_tool, self.is_candidate) {
                (true, true) => (w.change, w.change * w.tail_change),
                (false, true) if w.all_change => (w.change, w.change),
                _ => (1.0, 1.0),
            };
            let waits = w.waits(record.tool.as_deref());
            let follows = if waits { 0.1 } else { 1.0 };
            let levels = w.between * follows;
            let ms = if record.tool.is_some() {
                MS
            } else {
                MS * w.handshake
            };
            let (first, second) = (2 + 2 * i, 3 + 2 * i);
            let is_alone = record.kind != ScenarioKind::Concurrent;
            let p50 = figure(10.0 * ms * change, first, w.within, levels);
            let wall = Latency {
                p50_ns: figure(10.0 * ms * change, first, w.within, levels),
                p95_ns: Some(figure(
                    25.0 * ms * tail_change,
                    first,
                    WITHIN_WALL_P95,
                    levels,
                )),
                p99_ns: None,
                max_ns: ns(200.0 * MS),
            };
            let tail_figure = figure(20.0 * ms * tail_change, second, tail, levels);
            let cpu = figure(
                10.0 * ms * w.cpu_share * follows * change,
                first,
                w.within,
                w.between,
            );
            let sample = Sample {
                calls: record.calls,
                successes: record.calls,
                errors: BTreeMap::new(),
                delayed_last_bytes: 0,
                wall_histogram_ns: None,
                adjusted_histogram_ns: None,
                slow_calls: Vec::new(),
                client_cpu_ns: None,
                duration_ns: if is_alone { ns(1e9) } else { tail_figure * 10 },
                wall: Some(if is_alone {
                    wall
                } else {
                    Latency {
                        p50_ns: p50,
                        ..wall
                    }
                }),
                adjusted: is_alone.then_some(Latency {
                    p50_ns: p50,
                    p95_ns: Some(tail_figure),
                    p99_ns: None,
                    max_ns: ns(200.0 * MS),
                }),
                first_byte: None,
                cpu_per_call_ns: Some(cpu),
            };
            samples.insert(record.name.clone(), sample);
        }
        Round {
            index: 0,
            phase,
            startup_ns: Some(startup_wall),
            startup_adjusted_ns: Some(startup),
            peak_memory_bytes: Some(memory),
            processes: Some(1),
            memory_at_end: None,
            server_cpu_ns: None,
            server_wait_ns: None,
            client_cpu_ns: None,
            outside_load_cores: Some(0.02),
            steal_cores: None,
            load_average: None,
            reference_work_ns: work(1),
            page_work_ns: work(2),
            scenarios: samples,
        }
    }

    /// Measures further soaks into `results`.
    pub(crate) fn soaks(&self, results: &mut Results, phase: Phase, draw: &mut Draw) {
        let records = scenarios(self.world);
        let soaks = records.iter().filter(|r| r.kind == ScenarioKind::Soak);
        let names: Vec<&str> = soaks.map(|r| r.name.as_str()).collect();
        let leak = if self.is_candidate {
            self.world.leak
        } else {
            0.0
        };
        for job in &mut results.jobs {
            for index in 0..self.world.soaks {
                let mut sample = |_| SoakSample {
                    calls: 1_400,
                    successes: 1_400,
                    errors: BTreeMap::new(),
                    growth_bytes_per_call: Some(GROWTH.0 + GROWTH.1 * draw.normal() + leak),
                    memory: Vec::new(),
                };
                let scenarios = names
                    .iter()
                    .map(|name| ((*name).to_owned(), sample(name)))
                    .collect();
                job.soaks.push(Soak {
                    index,
                    phase,
                    scenarios,
                });
            }
        }
    }

    /// Results of one job without any round.
    pub(crate) fn results(&self) -> Results {
        let moved = self.is_candidate && self.world.other_class;
        Results {
            schema_version: SCHEMA_VERSION,
            mcpgate_version: String::new(),
            server: ServerRecord {
                name: "simulated".to_owned(),
                version: String::new(),
                transport: Transport::Stdio,
                protocol_version: "2025-11-25".to_owned(),
                tool_list_hash: String::new(),
                attached: false,
            },
            suite: SuiteRecord {
                name: "standard".to_owned(),
                hash: String::new(),
                scenarios: scenarios(self.world),
                skipped: Vec::new(),
            },
            jobs: vec![Job {
                started_at: String::new(),
                commit: None,
                seed: 0,
                environment: Environment {
                    os: "linux".to_owned(),
                    arch: "x86_64".to_owned(),
                    cpu_model: if moved { "B" } else { "A0" }.to_owned(),
                    cores: 2,
                    memory_bytes: 8_000_000_000,
                    kernel: String::new(),
                    runner_image: None,
                    container_memory_limit_bytes: None,
                    container_cpu_limit_millicores: None,
                },
                memory_measure: Measure::By("high-water mark".to_owned()),
                adjusted_measure: Measure::By("schedstat".to_owned()),
                incomplete: None,
                rounds: Vec::new(),
                soaks: Vec::new(),
                loads: BTreeMap::new(),
                probes: Vec::new(),
                error_samples: BTreeMap::new(),
                notes: Vec::new(),
                in_turn: None,
            }],
            accepted: None,
        }
    }
}

fn scenarios(world: &World) -> Vec<ScenarioRecord> {
    let record = |name: String, kind, tool: Option<&str>, calls, concurrency| ScenarioRecord {
        name,
        kind,
        tool: tool.map(str::to_owned),
        calls,
        concurrency,
        definition_hash: String::new(),
        report_only: false,
        sessions: Sessions::Each,
        load: None,
    };
    let mut all = vec![
        record(
            "handshake".to_owned(),
            ScenarioKind::Handshake,
            None,
            100,
            1,
        ),
        record(
            "list-tools".to_owned(),
            ScenarioKind::ListTools,
            None,
            100,
            1,
        ),
    ];
    for i in 0..world.tools {
        let tool = format!("tool-{i}");
        for (what, kind, calls, concurrency) in [
            ("sequential", ScenarioKind::Sequential, 100, 1),
            ("concurrent", ScenarioKind::Concurrent, 100, 10),
            ("soak", ScenarioKind::Soak, 1_400, 1),
        ] {
            if kind != ScenarioKind::Soak || world.soaks > 0 {
                let name = format!("{tool}/{what}");
                all.push(record(name, kind, Some(&tool), calls, concurrency));
            }
        }
    }
    all
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the simulated figures are positive and far from the ends of the integer"
)]
fn ns(value: f64) -> u64 {
    value.round() as u64
}
