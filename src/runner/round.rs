//! One round: a fresh server, warm-up, every repeating scenario once.

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
    mcp::{
        client::{Endpoint, Wanted},
        param_headers::ParamHeaders,
    },
    process::{
        ClientWait, How, MachineReading, MemorySampler, SchedulerProbe, Stopped,
        container_process::server_process,
        reference_work::{PageWork, ReferenceWork},
    },
    results::{ErrorSample, Job, Measure, Phase, Round, ScenarioKind, ScenarioRecord},
    stats::adjusted::{SchedulerDelta, adjusted_latency_ns},
    suite::{Scenario, Suite},
};

/// How often memory is looked at while a round runs.
const MEMORY_EVERY: Duration = Duration::from_millis(100);

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
    /// The scenario that was begun last.
    pub scenario: Option<String>,
}

impl Findings {
    /// Where the round or soak was, in words.
    #[must_use]
    pub fn place(&self) -> &str {
        self.scenario.as_deref().unwrap_or("before its first call")
    }
}

/// A server that is ready, and what watches it.
pub(super) struct Started {
    pub(super) bench: Bench,
    pub(super) memory: Result<MemorySampler, String>,
    startup: Option<(u64, Option<u64>)>,
    machine: MachineReading,
}

/// Starts a server and what watches it.
pub(super) async fn begin(plan: &Plan, findings: &mut Findings) -> Result<Started, RunFailure> {
    plan.hooks.reset().await?;
    let client = ClientWait::now();
    let Ready {
        server,
        opened,
        startup,
    } = target::start(&plan.target, Wanted::Exactly(plan.revision)).await?;
    let started = match (server.pid(), plan.target.is_attached()) {
        (Some(pid), _) => Ok(pid),
        (None, true) => plan.attached_pid.clone(),
        (None, false) => Err("the server has no process".to_owned()),
    };
    let pid = match started {
        Ok(pid) => server_process(pid).await,
        Err(why) => Err(why),
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

    /// Whether what a scenario calls was given up.
    pub(super) fn has(&self, record: &ScenarioRecord) -> bool {
        self.0.contains(Self::key(record))
    }

    /// Whether a tool was given up.
    pub(super) fn has_tool(&self, tool: &str) -> bool {
        self.0.contains(tool)
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
    let mut reference_work = ReferenceWork::begin();
    let mut page_work = PageWork::default();
    page_work.look();
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
        findings.scenario = Some(name.clone());
        let place = format!("round {}, {name}", index + 1);
        reference_work.look_again();
        let mut collector = measure(plan, &mut bench, scenario)
            .await
            .map_err(|failure| failure.at(&place))?;
        keep_error(findings, name, &mut collector);
        let latencies = collector.latencies((phase, Some(index)), name);
        listener(Event::Latencies(&latencies));
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
            let measure = summary.measure.clone();
            (Some(summary), measure)
        }
        Err(why) => (None, Measure::NotMeasured(why)),
    };
    findings.memory = Some(measure);
    end(bench, findings).await;
    page_work.look();
    Ok(Round {
        index,
        phase,
        startup_ns: startup.map(|(wall, _)| wall),
        startup_adjusted_ns: startup.and_then(|(_, adjusted)| adjusted),
        peak_memory_bytes: memory.as_ref().and_then(|memory| memory.peak_bytes),
        processes: memory.as_ref().and_then(|memory| memory.processes),
        memory_at_end: memory.and_then(|memory| memory.at_end),
        server_cpu_ns,
        server_wait_ns: delta.map(|d| d.server_wait_total_ns),
        client_cpu_ns: Some(machine.client_cpu_ns),
        outside_load_cores: machine.outside_load_cores,
        steal_cores: machine.steal_cores,
        load_average: machine_before.load_average(),
        reference_work_ns: reference_work.quickest_ns(),
        page_work_ns: page_work.typical_ns(),
        scenarios,
    })
}

pub(super) fn keep_error(findings: &mut Findings, name: &str, collector: &mut Collector) {
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
        sessions,
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
            let users = (concurrency, sessions);
            bench.concurrent(call, warm_up, calls, users).await
        }
        (ScenarioKind::Soak | ScenarioKind::Load, _) | (_, None) => Ok(Collector::default()),
    }
}

/// Ends a server, and notes what that took.
pub(super) async fn end(bench: Bench, findings: &mut Findings) {
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
    mirrored: &BTreeMap<String, ParamHeaders>,
) -> Result<BTreeMap<String, Arc<CompiledCall>>, Error> {
    scenarios
        .iter()
        .filter_map(|scenario| scenario.call.as_ref().map(|call| (scenario, call)))
        .map(|(scenario, call)| {
            let name = scenario.record.name.clone();
            let headers = mirrored.get(&call.name).cloned().unwrap_or_default();
            let compiled = CompiledCall::new(call, seed, &name)?.mirroring(headers);
            Ok((name, Arc::new(compiled)))
        })
        .collect()
}
