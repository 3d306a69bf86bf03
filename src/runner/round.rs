//! One round: a fresh server, warm-up, every repeating scenario once. And one soak.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    Plan,
    call::CompiledCall,
    collector::{Collector, nanoseconds},
    event::{Event, Listener},
    failure::RunFailure,
    measure::Bench,
    observer::Observer,
    target::{self, Ready},
};
use crate::{
    error::Error,
    mcp::client::{Endpoint, Wanted},
    process::{ClientWait, How, MachineReading, MemorySampler, SchedulerProbe, Stopped},
    results::{
        ErrorSample, Job, Measure, Phase, Round, ScenarioKind, ScenarioRecord, Soak, SoakSample,
    },
    stats::{
        adjusted::{SchedulerDelta, adjusted_latency_ns},
        slope,
    },
    suite::{Scenario, Suite},
};

/// How often memory is looked at while a round runs.
const MEMORY_EVERY: Duration = Duration::from_millis(100);
/// Calls before a soak, over all its tools.
const SOAK_WARM_UP: u32 = 2_500;
/// Memory readings of a soak.
const SOAK_READINGS: u32 = 28;

/// What a round found out beside its figures.
#[derive(Debug, Default)]
pub struct Findings {
    /// How memory was measured, or why not.
    pub memory: Option<Measure>,
    /// How adjusted latency was measured, or why not.
    pub adjusted: Option<Measure>,
    /// For each scenario with errors, the first one.
    pub errors: BTreeMap<String, ErrorSample>,
    /// What the server left behind or needed to be told, in words.
    pub notes: Vec<String>,
}

struct Started {
    bench: Bench,
    memory: Result<MemorySampler, String>,
    startup: Option<(u64, Option<u64>)>,
    machine: MachineReading,
}

async fn begin(plan: &Plan, findings: &mut Findings) -> Result<Started, RunFailure> {
    plan.hooks.reset().await?;
    let client = ClientWait::now();
    let Ready {
        server,
        opened,
        startup,
    } = target::start(&plan.target, Wanted::Exactly(plan.revision)).await?;
    let pid = match (server.pid(), plan.target.is_attached()) {
        (Some(pid), _) => Ok(pid),
        (None, true) => plan.attached_pid.clone(),
        (None, false) => Err("the server has no process".to_owned()),
    };
    let mut probe = pid.clone().and_then(SchedulerProbe::attach);
    let startup = startup.map(|wall| {
        let wall_ns = nanoseconds(wall);
        let adjusted = probe.as_mut().ok().zip(client).map(|(probe, client)| {
            let delta = probe.read().since_birth(client);
            adjusted_latency_ns(
                wall_ns,
                SchedulerDelta {
                    max_server_wait_ns: delta.max_server_wait_ns,
                    client_wait_ns: delta.client_wait_ns,
                    server_cpu_ns: delta.server_cpu_ns,
                },
            )
        });
        (wall_ns, adjusted)
    });
    findings.adjusted = Some(match &probe {
        Ok(_) => Measure::By("wall time less scheduler wait, floored by CPU time".to_owned()),
        Err(why) => Measure::NotMeasured(why.clone()),
    });
    Ok(Started {
        bench: Bench {
            server,
            client: opened.client,
            revision: plan.revision,
            limits: plan.target.limits,
            observer: Observer::new(probe.ok()),
        },
        memory: pid.map(|pid| MemorySampler::start(pid, MEMORY_EVERY)),
        startup,
        machine: MachineReading::now(),
    })
}

/// Names of what is not called any more, since its calls only timed out: tools, and scenarios
/// without one. See [`crate::results::TIMEOUTS_IN_A_ROW`].
#[derive(Debug, Clone, Default)]
pub struct GivenUp(BTreeSet<String>);

impl GivenUp {
    /// What was given up in the rounds and soaks so far.
    #[must_use]
    pub fn so_far(suite: &Suite, job: &Job) -> Self {
        let mut given_up = Self::default();
        for Scenario { record, .. } in &suite.scenarios {
            let mut samples = job
                .rounds
                .iter()
                .filter_map(|r| r.scenarios.get(&record.name));
            if samples.any(|sample| sample.was_given_up(record.calls)) {
                given_up.add(record);
            }
        }
        for Scenario { record, .. } in &suite.soaks {
            let mut samples = job
                .soaks
                .iter()
                .filter_map(|s| s.scenarios.get(&record.name));
            if samples.any(|sample| sample.was_given_up(record.calls)) {
                given_up.add(record);
            }
        }
        given_up
    }

    fn add(&mut self, record: &ScenarioRecord) {
        self.0.insert(Self::key(record).to_owned());
    }

    fn has(&self, record: &ScenarioRecord) -> bool {
        self.0.contains(Self::key(record))
    }

    fn key(record: &ScenarioRecord) -> &str {
        record.tool.as_ref().unwrap_or(&record.name)
    }
}

/// Runs a round, without what was given up.
///
/// # Errors
/// When the server cannot be started, or is lost.
pub async fn run(
    plan: &Plan,
    phase: Phase,
    index: u32,
    mut given_up: GivenUp,
    findings: &mut Findings,
    listener: Listener<'_>,
) -> Result<Round, RunFailure> {
    let Started {
        mut bench,
        memory,
        startup,
        machine: machine_before,
    } = begin(plan, findings).await?;
    let before = bench.observer.read();
    let cpu_before = bench.observer.cpu_ns();
    let mut scenarios = BTreeMap::new();
    for scenario in &plan.suite.scenarios {
        if given_up.has(&scenario.record) {
            continue;
        }
        let name = &scenario.record.name;
        listener(Event::Scenario { name });
        let place = format!("round {}, {name}", index + 1);
        let mut collector = measure(plan, &mut bench, scenario)
            .await
            .map_err(|failure| failure.at(&place))?;
        keep_error(findings, name, &mut collector);
        let sample = collector.into_sample();
        if sample.was_given_up(scenario.record.calls) {
            given_up.add(&scenario.record);
        }
        listener(Event::Measured {
            name,
            sample: &sample,
        });
        scenarios.insert(name.clone(), sample);
    }
    bench
        .still_runs()
        .await
        .map_err(|failure| failure.at(&format!("round {}, after its last call", index + 1)))?;
    let delta = bench.observer.since(before.as_ref());
    let cpu = cpu_before.zip(bench.observer.cpu_ns());
    let server_cpu_ns = cpu.map(|(before, after)| after.saturating_sub(before));
    let machine = MachineReading::now().since(&machine_before, server_cpu_ns);
    if let Some(problem) = bench.observer.problem() {
        findings.adjusted = Some(Measure::NotMeasured(problem));
    }
    let (memory, measure) = match memory {
        Ok(sampler) => {
            let summary = sampler.finish();
            (
                Some((summary.peak_bytes, summary.processes)),
                summary.measure,
            )
        }
        Err(why) => (None, Measure::NotMeasured(why)),
    };
    findings.memory = Some(measure);
    end(bench, findings).await;
    Ok(Round {
        index,
        phase,
        startup_ns: startup.map(|(wall, _)| wall),
        startup_adjusted_ns: startup.and_then(|(_, adjusted)| adjusted),
        peak_memory_bytes: memory.and_then(|(peak, _)| peak),
        processes: memory.and_then(|(_, processes)| processes),
        server_cpu_ns,
        server_wait_ns: delta.map(|d| d.server_wait_total_ns),
        client_cpu_ns: Some(machine.client_cpu_ns),
        outside_load_cores: machine.outside_load_cores,
        steal_cores: machine.steal_cores,
        load_average: machine_before.load_average(),
        scenarios,
    })
}

fn keep_error(findings: &mut Findings, name: &str, collector: &mut Collector) {
    if let Some(error) = collector.take_first_error() {
        findings.errors.entry(name.to_owned()).or_insert(error);
    }
}

async fn measure(
    plan: &Plan,
    bench: &mut Bench,
    scenario: &Scenario,
) -> Result<Collector, RunFailure> {
    let ScenarioRecord {
        kind,
        calls,
        concurrency,
        ..
    } = scenario.record;
    let call = plan.calls.get(&scenario.record.name);
    let warm_up = scenario.warm_up;
    let warmed = match (kind, call) {
        (ScenarioKind::ListTools, _) => bench.list_tools(warm_up).await?,
        (ScenarioKind::Sequential | ScenarioKind::Concurrent, Some(call)) => {
            bench.sequential(call, 0, warm_up).await?
        }
        _ => Collector::default(),
    };
    // A warm-up that only times out has shown all there is to see.
    if warmed.is_hopeless() {
        return Ok(warmed);
    }
    match (kind, call) {
        (ScenarioKind::Handshake, _) => bench.handshake(calls).await,
        (ScenarioKind::ListTools, _) => bench.list_tools(calls).await,
        (ScenarioKind::Sequential, Some(call)) => bench.sequential(call, warm_up, calls).await,
        (ScenarioKind::Concurrent, Some(call)) => {
            bench.concurrent(call, warm_up, calls, concurrency).await
        }
        (ScenarioKind::Soak, _) | (_, None) => Ok(Collector::default()),
    }
}

/// Runs a soak, without what was given up: many calls on a fresh server, memory read at equal call
/// counts.
///
/// # Errors
/// When the server cannot be started, or is lost.
pub async fn soak(
    plan: &Plan,
    phase: Phase,
    index: u32,
    given_up: GivenUp,
    findings: &mut Findings,
    listener: Listener<'_>,
) -> Result<Soak, RunFailure> {
    let Started {
        mut bench, memory, ..
    } = begin(plan, findings).await?;
    let soaks: Vec<&Scenario> = plan
        .suite
        .soaks
        .iter()
        .filter(|scenario| !given_up.has(&scenario.record))
        .collect();
    let hopeless = warm_up_for_soak(plan, &soaks, &mut bench)
        .await
        .map_err(|failure| failure.at(&format!("soak {}, its warm-up", index + 1)))?;
    let mut scenarios = BTreeMap::new();
    for (name, mut collector) in hopeless {
        keep_error(findings, &name, &mut collector);
        scenarios.insert(name, soak_sample(&collector, Vec::new(), 0));
    }
    for scenario in soaks {
        let name = &scenario.record.name;
        if scenarios.contains_key(name) {
            continue;
        }
        let Some(call) = plan.calls.get(name) else {
            continue;
        };
        listener(Event::Scenario { name });
        let place = format!("soak {}, {name}", index + 1);
        let sample = soak_one(&mut bench, call, scenario, memory.as_ref().ok(), findings)
            .await
            .map_err(|failure| failure.at(&place))?;
        scenarios.insert(name.clone(), sample);
    }
    bench
        .still_runs()
        .await
        .map_err(|failure| failure.at(&format!("soak {}, after its last call", index + 1)))?;
    if let Ok(sampler) = memory {
        let _ = sampler.finish();
    }
    end(bench, findings).await;
    Ok(Soak {
        index,
        phase,
        scenarios,
    })
}

/// Calls of all the soak's tools in turn, so that the runtime's heap has grown to its working size
/// before memory is read: Node's grows by 20 to 40 MiB in its first 2,500 calls without any leak.
/// Returns those whose calls only timed out.
async fn warm_up_for_soak(
    plan: &Plan,
    soaks: &[&Scenario],
    bench: &mut Bench,
) -> Result<Vec<(String, Collector)>, RunFailure> {
    let tools = u32::try_from(soaks.len()).unwrap_or(u32::MAX);
    let mut hopeless = Vec::new();
    for scenario in soaks {
        if let Some(call) = plan.calls.get(&scenario.record.name) {
            let calls = scenario.record.calls.min(SOAK_WARM_UP / tools.max(1));
            let warmed = bench.sequential(call, 0, calls).await?;
            if warmed.is_hopeless() {
                hopeless.push((scenario.record.name.clone(), warmed));
            }
        }
    }
    Ok(hopeless)
}

async fn soak_one(
    bench: &mut Bench,
    call: &Arc<CompiledCall>,
    scenario: &Scenario,
    sampler: Option<&MemorySampler>,
    findings: &mut Findings,
) -> Result<SoakSample, RunFailure> {
    let calls = scenario.record.calls;
    let block = calls.div_ceil(SOAK_READINGS).max(1);
    let mut whole = Collector::default();
    let mut memory = Vec::new();
    let mut made = 0;
    while made < calls {
        let next = block.min(calls - made);
        let collector = bench.sequential(call, made, next).await?;
        let is_hopeless = collector.is_hopeless();
        whole.absorb(collector);
        made += next;
        if let Some(reading) = sampler.and_then(MemorySampler::sample_now) {
            memory.push((made, reading.bytes));
        }
        if is_hopeless {
            break;
        }
    }
    keep_error(findings, &scenario.record.name, &mut whole);
    Ok(soak_sample(&whole, memory, scenario.warm_up))
}

fn soak_sample(whole: &Collector, memory: Vec<(u32, u64)>, warm_up: u32) -> SoakSample {
    let points: Vec<_> = memory
        .iter()
        .filter(|(calls, _)| *calls > warm_up)
        .map(|(calls, bytes)| (f64::from(*calls), *bytes as f64))
        .collect();
    SoakSample {
        calls: whole.calls(),
        successes: whole.successes(),
        errors: whole.errors().clone(),
        growth_bytes_per_call: slope::theil_sen(&points),
        memory,
    }
}

async fn end(bench: Bench, findings: &mut Findings) {
    let Bench { server, client, .. } = bench;
    let is_stdio = matches!(server.endpoint, Endpoint::Stdio(_));
    client.close().await;
    let Some(Stopped { how, orphans, .. }) = server.stop().await else {
        return;
    };
    if how == How::Killed {
        let asked = if is_stdio {
            "when its input closed, nor on SIGTERM"
        } else {
            "on SIGTERM"
        };
        findings.notes.push(format!(
            "the server did not leave {asked}; it was ended by SIGKILL"
        ));
    }
    // Without process ids, so that every round says the same and it is told once.
    for orphan in orphans {
        findings.notes.push(format!(
            "the server left a process behind, which was ended: {}",
            crate::mcp::outcome::excerpt(&orphan.name),
        ));
    }
}

/// Makes the calls of a suite ready.
///
/// # Errors
/// For a template that is wrong.
pub fn compile(
    scenarios: &[Scenario],
    seed: u64,
) -> Result<BTreeMap<String, Arc<CompiledCall>>, Error> {
    scenarios
        .iter()
        .filter_map(|scenario| scenario.call.as_ref().map(|call| (scenario, call)))
        .map(|(scenario, call)| {
            let name = scenario.record.name.clone();
            CompiledCall::new(call, seed, &name).map(|compiled| (name, Arc::new(compiled)))
        })
        .collect()
}
