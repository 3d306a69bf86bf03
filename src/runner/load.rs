//! Loads: scenarios of their own, each on a fresh server, or several together on one.

mod closed;
mod open;
mod tally;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use tokio::{
    task::{JoinSet, yield_now},
    time::{Duration, Instant},
};

use self::tally::Tally;
use super::{
    Plan,
    call::CompiledCall,
    collector::Collector,
    event::{Event, Latencies, Listener},
    failure::RunFailure,
    measure::Bench,
    round::{Findings, GivenUp, Started, begin, end, keep_error},
};
use crate::{
    error::Error,
    mcp::{
        Limits,
        client::{self, Client, Endpoint, Wanted},
        outcome::{CallError, ErrorKind},
        param_headers::ParamHeaders,
    },
    process::{MachineReading, MemorySampler, own_cpu_ns},
    results::{ErrorSample, LoadSample, Measure, Phase, Sessions, TIMEOUTS_IN_A_ROW},
    suite::{
        Suite,
        load::{Load, Mix},
    },
};

/// Calls of each tool before a load, and how long all of them may take.
const WARM_UP: u32 = 21;
const WARM_UP_TIME: Duration = Duration::from_secs(2);

/// How long a server that broke connections under load may take to have ended.
const EXIT_FOLLOWS: Duration = Duration::from_secs(1);

/// Calls that one load makes at most, whatever its time allows.
const MOST_CALLS: u64 = 10_000_000;

/// A load whose calls are ready to be filled in.
pub struct PlannedLoad {
    load: Load,
    /// By position in the load's mix.
    calls: Vec<Arc<CompiledCall>>,
    mix_seed: u64,
}

impl PlannedLoad {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.load.record.name
    }
}

/// Makes the loads of a suite ready, those together that share a server.
///
/// # Errors
/// For a template that is wrong.
pub fn compile(
    suite: &Suite,
    mirrored: &BTreeMap<String, ParamHeaders>,
) -> Result<Vec<Vec<PlannedLoad>>, Error> {
    let one = |load: &Load| {
        let name = &load.record.name;
        let calls = load.mix.iter().map(|(tool, _)| {
            let headers = mirrored.get(&tool.name).cloned().unwrap_or_default();
            let scenario = format!("{name}/{}", tool.name);
            let compiled = CompiledCall::new(tool, suite.seed, &scenario)?;
            Ok(Arc::new(compiled.mirroring(headers)))
        });
        Ok(PlannedLoad {
            calls: calls.collect::<Result<_, Error>>()?,
            mix_seed: load.seed(suite.seed),
            load: load.clone(),
        })
    };
    suite
        .load_groups()
        .into_iter()
        .map(|group| group.into_iter().map(one).collect())
        .collect()
}

/// Runs the loads of one group on a fresh server, without tools that were given up, and returns
/// what each gave.
///
/// A server that is lost under load is a finding, not a run that failed: the calls that it did not
/// answer stand in the sample.
///
/// # Errors
/// When the server cannot be started, or is lost before the load begins.
pub async fn run(
    plan: &Plan,
    group: &[PlannedLoad],
    given_up: &GivenUp,
    findings: &mut Findings,
    listener: Listener<'_>,
) -> Result<BTreeMap<String, LoadSample>, RunFailure> {
    let Started {
        mut bench, memory, ..
    } = begin(plan, findings).await?;
    let mut samples = BTreeMap::new();
    let mut running = Vec::new();
    for planned in group {
        listener(Event::Scenario {
            name: planned.name(),
        });
        findings.scenario = Some(planned.name().to_owned());
        let Some((calls, mix)) = planned.without(given_up) else {
            continue;
        };
        let hopeless = warm_up(&mut bench, &calls)
            .await
            .map_err(|failure| failure.at(&format!("{}, its warm-up", planned.name())))?;
        if let Some(mut collector) = hopeless {
            keep_error(findings, planned.name(), &mut collector);
            let whole = collector.into_sample();
            samples.insert(planned.name().to_owned(), tally::without_load(whole));
            continue;
        }
        let load = Arc::new(Running::new(planned, calls, mix, &bench));
        let clients = open_clients(&mut bench, &load).await;
        running.push((load, clients));
    }
    if let Ok(sampler) = &memory {
        let loads: Vec<Arc<Running>> = running.iter().map(|(load, _)| Arc::clone(load)).collect();
        sampler.watch(Box::new(move || {
            let answered = loads.iter().map(|load| load.ended.load(Ordering::Relaxed));
            answered.sum()
        }));
    }
    let machine_before = MachineReading::now();
    let server_cpu_before = bench.observer.cpu_ns();
    let client_cpu_before = own_cpu_ns();
    let mut drivers = JoinSet::new();
    let zero = Instant::now();
    let is_alone = running.len() == 1;
    for (load, clients) in running {
        load.begin(zero);
        drivers.spawn(drive(load, clients));
    }
    let mut ended = Vec::new();
    while let Some(driven) = drivers.join_next().await {
        let Ok((load, clients)) = driven else {
            return Err(RunFailure::Target(
                "a load ended unexpectedly; this is a defect of mcpgate".to_owned(),
            ));
        };
        ended.push((load, clients));
    }
    let client_cpu_ns = own_cpu_ns().saturating_sub(client_cpu_before);
    let server_cpu_ns = bench
        .observer
        .cpu_ns()
        .zip(server_cpu_before)
        .map(|(after, before)| after.saturating_sub(before));
    let machine = MachineReading::now().since(&machine_before, server_cpu_ns);
    let memory = memory.ok().map(MemorySampler::finish);
    if let Some(measure) = memory.as_ref().map(|p| &p.measure)
        && matches!(measure, Measure::By(_))
    {
        findings.memory = Some(measure.clone());
    }
    for (load, clients) in ended {
        for mut client in clients {
            let strays = client.take_strays().await;
            load.tally().strays(strays);
            client.close().await;
        }
        let name = load.name.clone();
        let (mut sample, error) = {
            let tally = std::mem::take(&mut *load.tally()).checked();
            let (wall_ns, first_byte_ns) = tally.latencies_ns();
            listener(Event::Latencies(&Latencies {
                phase: Phase::Measure,
                round: None,
                scenario: &name,
                wall_ns: &wall_ns,
                first_byte_ns: &first_byte_ns,
                adjusted_ns: &[],
            }));
            load.sample_of(tally)
        };
        if let Some(error) = error {
            findings.errors.entry(name.clone()).or_insert(error);
        }
        if let Some(memory) = &memory {
            sample.peak_memory_bytes = memory.peak_bytes;
            sample.memory.clone_from(&memory.series);
        }
        sample.outside_load_cores = machine.outside_load_cores;
        sample.steal_cores = machine.steal_cores;
        let calls = u64::from(sample.whole.calls);
        if is_alone && calls > 0 {
            sample.whole.cpu_per_call_ns = server_cpu_ns.map(|cpu| cpu / calls);
            sample.whole.client_cpu_ns = Some(client_cpu_ns);
        }
        listener(Event::Measured {
            name: &name,
            sample: &sample.whole,
        });
        samples.insert(name, sample);
    }
    let is_broken = samples.values().any(|sample| {
        let errors = &sample.whole.errors;
        ["refused", "reset", "closed"]
            .iter()
            .any(|kind| errors.contains_key(*kind))
    });
    if is_broken {
        // Its status, if that is why, follows: see below.
        let _ = bench.server.exits_within(EXIT_FOLLOWS).await;
    }
    if let Err(lost) = bench.still_runs().await {
        let names: Vec<&str> = group.iter().map(PlannedLoad::name).collect();
        let text = lost.at(&names.join(" and ")).to_string();
        findings.notes.push(text);
    }
    end(bench, findings).await;
    Ok(samples)
}

impl PlannedLoad {
    /// The calls that are left, and their order; `None` if there are none.
    fn without(&self, given_up: &GivenUp) -> Option<(Vec<Arc<CompiledCall>>, Mix)> {
        let (calls, weights): (Vec<_>, Vec<u32>) = self
            .calls
            .iter()
            .zip(&self.load.mix)
            .filter(|(_, (tool, _))| !given_up.has_tool(&tool.name))
            .map(|(call, (_, weight))| (Arc::clone(call), *weight))
            .unzip();
        (!calls.is_empty()).then(|| (calls, Mix::new(&weights, self.mix_seed)))
    }
}

/// A few calls of each tool, one after another, so that what only a first call does is not in the
/// load. Returns what a tool gave whose calls only timed out.
async fn warm_up(
    bench: &mut Bench,
    calls: &[Arc<CompiledCall>],
) -> Result<Option<Collector>, RunFailure> {
    let time = WARM_UP_TIME / u32::try_from(calls.len()).unwrap_or(u32::MAX).max(1);
    for call in calls {
        let began = Instant::now();
        let mut made = 0;
        while made < WARM_UP && (made == 0 || began.elapsed() < time) {
            // Numbers that no call of the load has.
            let first = u32::MAX - WARM_UP + made;
            let collector = bench.sequential(call, first, TIMEOUTS_IN_A_ROW).await?;
            if collector.is_hopeless() {
                return Ok(Some(collector));
            }
            made += TIMEOUTS_IN_A_ROW;
        }
    }
    Ok(None)
}

/// A client for each virtual user, opened before the load begins; none where each call opens its
/// own.
async fn open_clients(bench: &mut Bench, load: &Running) -> Vec<Client> {
    let vus = load.terms.executor.most_vus();
    let mut clients = Vec::new();
    if load.has_session_per_call() {
        return clients;
    }
    for _ in 0..vus {
        let began = Instant::now();
        match bench.another_client(load.terms.sessions).await {
            Ok(client) => {
                load.tally().connected(began.elapsed());
                clients.push(client);
            }
            Err(error) => {
                let is_over = error.kind == ErrorKind::Refused || error.kind == ErrorKind::Timeout;
                load.tally().failure(&error, Duration::ZERO);
                if is_over {
                    break;
                }
            }
        }
    }
    clients
}

async fn drive(load: Arc<Running>, clients: Vec<Client>) -> (Arc<Running>, Vec<Client>) {
    let seats = load.seats(clients);
    let clients = if load.terms.executor.is_open() {
        open::run(&load, seats).await
    } else {
        closed::run(&load, seats).await
    };
    (load, clients)
}

/// What a virtual user calls with; `None` where each call opens a client of its own.
type Seat = Option<Client>;

/// A load that goes on: what its virtual users share.
struct Running {
    name: String,
    terms: crate::suite::load::LoadTerms,
    calls: Vec<Arc<CompiledCall>>,
    mix: Mix,
    think_seed: u64,
    endpoint: Endpoint,
    wanted: Wanted,
    limits: Limits,
    zero: std::sync::OnceLock<Instant>,
    next: AtomicU64,
    tally: Mutex<Tally>,
    in_flight: AtomicU32,
    ended: AtomicU64,
    most_in_flight: AtomicU32,
}

/// Whether a virtual user goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    GoesOn,
    TimedOut,
    IsOver,
}

impl Running {
    fn new(planned: &PlannedLoad, calls: Vec<Arc<CompiledCall>>, mix: Mix, bench: &Bench) -> Self {
        Self {
            name: planned.name().to_owned(),
            terms: planned.load.terms.clone(),
            calls,
            mix,
            think_seed: planned.mix_seed,
            endpoint: bench.server.endpoint.clone(),
            wanted: Wanted::Exactly(bench.revision),
            limits: bench.limits,
            zero: std::sync::OnceLock::new(),
            next: AtomicU64::new(0),
            tally: Mutex::new(Tally::new(planned.load.terms.executor.spans())),
            in_flight: AtomicU32::new(0),
            ended: AtomicU64::new(0),
            most_in_flight: AtomicU32::new(0),
        }
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pipe is one session, whatever is said of sessions.
    fn has_session_per_call(&self) -> bool {
        let is_piped = matches!(self.endpoint, Endpoint::Stdio(_));
        self.terms.sessions == Sessions::PerCall && !is_piped
    }

    /// What the load gave, and the first error seen.
    fn sample_of(&self, mut tally: Tally) -> (LoadSample, Option<ErrorSample>) {
        let error = tally.take_first_error();
        let mut sample = tally.into_sample();
        sample.interrupted = self.in_flight.load(Ordering::Relaxed);
        sample.most_in_flight = self.most_in_flight.load(Ordering::Relaxed);
        (sample, error)
    }

    fn begin(&self, zero: Instant) {
        let zero = zero + self.terms.start_time.unwrap_or_default();
        let _ = self.zero.set(zero);
    }

    /// When the load begins.
    fn began(&self) -> Instant {
        *self.zero.get_or_init(Instant::now)
    }

    /// After this no call begins.
    fn ends(&self) -> Instant {
        self.began() + self.terms.executor.longest()
    }

    fn seats(&self, clients: Vec<Client>) -> Vec<Seat> {
        if self.has_session_per_call() {
            let vus = self.terms.executor.most_vus();
            (0..vus).map(|_| None).collect()
        } else {
            clients.into_iter().map(Some).collect()
        }
    }

    /// The number of the next call, in the closed model; `None` when there is none.
    ///
    /// Where each virtual user has calls of its own the number depends on it and on how many it
    /// made; elsewhere on how many all of them made.
    fn take(&self, vu: u32, own: u64) -> Option<u64> {
        use crate::suite::executor::Executor;
        if let Executor::PerVuIterations { iterations, .. } = &self.terms.executor {
            let iterations = u64::from(*iterations);
            return (own < iterations).then(|| u64::from(vu) * iterations + own);
        }
        let i = self.next.fetch_add(1, Ordering::Relaxed);
        let planned = self.terms.executor.planned_calls();
        (i < planned.unwrap_or(MOST_CALLS)).then_some(i)
    }

    /// Makes call `i`. `intended`: when it was to begin, in the open model; latency counts from
    /// there.
    async fn call(&self, seat: &mut Seat, vu: u32, i: u64, intended: Option<Instant>) -> Flow {
        let in_flight = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_in_flight.fetch_max(in_flight, Ordering::Relaxed);
        let flow = match seat {
            Some(client) => self.call_with(client, vu, i, intended).await,
            None => Box::pin(self.call_in_new_session(vu, i, intended)).await,
        };
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.ended.fetch_add(1, Ordering::Relaxed);
        flow
    }

    async fn call_in_new_session(&self, vu: u32, i: u64, intended: Option<Instant>) -> Flow {
        let began = Instant::now();
        let opened = client::open(&self.endpoint, self.wanted, self.limits).await;
        let mut client = match opened {
            Ok(opened) => opened.client,
            Err(failed) => return self.failed(&failed.error, intended.unwrap_or(began)),
        };
        self.tally().connected(began.elapsed());
        let flow = self.call_with(&mut client, vu, i, intended).await;
        let strays = client.take_strays().await;
        self.tally().strays(strays);
        client.close().await;
        // The next call has a connection of its own.
        if flow == Flow::IsOver {
            Flow::GoesOn
        } else {
            flow
        }
    }

    async fn call_with(
        &self,
        client: &mut Client,
        vu: u32,
        i: u64,
        intended: Option<Instant>,
    ) -> Flow {
        let Some(call) = self.calls.get(self.mix.tool(i)) else {
            return Flow::IsOver;
        };
        let number = u32::try_from(i).unwrap_or(u32::MAX);
        let (prepared, expected) = call.prepare(client, vu, number);
        let began = Instant::now();
        let answered = match client.stay_ready().await {
            Ok(()) => client.send(&prepared).await,
            Err(error) => Err(error),
        };
        if self.terms.executor.most_vus() > 1 {
            // Answers to others that lie there are read, and their times taken, before this one is
            // looked at and its caller calls again.
            yield_now().await;
        }
        match answered {
            Ok(exchange) => {
                let began = intended.unwrap_or(exchange.sent);
                let mut tally = self.tally();
                if let Some(intended) = intended.filter(|_| !self.has_session_per_call()) {
                    tally.lagged(exchange.sent.saturating_duration_since(intended));
                }
                tally.answered(self.since_start(began), began, exchange, expected);
                Flow::GoesOn
            }
            Err(error) => {
                let flow = self.failed(&error, intended.unwrap_or(began));
                if client.down().is_some() {
                    Flow::IsOver
                } else {
                    flow
                }
            }
        }
    }

    fn failed(&self, error: &CallError, began: Instant) -> Flow {
        self.tally().failure(error, self.since_start(began));
        match error.kind {
            ErrorKind::Refused => Flow::IsOver,
            ErrorKind::Timeout => Flow::TimedOut,
            _ => Flow::GoesOn,
        }
    }

    fn since_start(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.began())
    }
}
