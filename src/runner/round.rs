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
        ClientWait, How, MachineReading, MemorySampler, Reading, SchedulerProbe, StopLimits,
        Stopped,
        container_process::server_process,
        reference_work::{PageWork, ReferenceWork},
    },
    results::{ErrorSample, Job, Measure, Phase, Round, Sample, ScenarioKind, ScenarioRecord},
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
            slowed_by: plan.slowed_by,
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
        Self::since(suite, job, Phase::Measure)
    }

    /// The same for what is measured in this phase: fresh rounds are to confirm or dismiss what the planned
    /// ones showed, so they ask again.
    #[must_use]
    pub fn since(suite: &Suite, job: &Job, phase: Phase) -> Self {
        let counts = |of: Phase| phase == Phase::Measure || of == phase;
        let mut given_up = Self::default();
        for Scenario { record, .. } in &suite.scenarios {
            let mut samples = job
                .rounds
                .iter()
                .filter(|r| counts(r.phase))
                .filter_map(|r| r.scenarios.get(&record.name));
            if samples.any(|sample| sample.was_given_up(record.calls)) {
                given_up.add(record);
            }
        }
        for Scenario { record, .. } in &suite.soaks {
            let mut samples = job
                .soaks
                .iter()
                .filter(|s| counts(s.phase))
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
    given_up: GivenUp,
    findings: &mut Findings,
    listener: Listener<'_>,
) -> Result<Round, RunFailure> {
    let mut round = OpenRound::begin(plan, (phase, index), given_up, findings).await?;
    for scenario in &plan.suite.scenarios {
        if !round.has_given_up(&scenario.record) {
            round
                .part(scenario, Part::WHOLE, findings, listener)
                .await?;
            round.conclude(&scenario.record, findings, listener);
        }
    }
    let cpu_ns = round.server_cpu_ns();
    round.finish(cpu_ns, findings).await
}

/// A part of a scenario's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Counts from 0.
    pub(super) number: u32,
    /// How many there are; at least 1.
    pub(super) of: u32,
}

impl Part {
    /// All calls.
    pub(super) const WHOLE: Self = Self { number: 0, of: 1 };

    /// First call and number of calls, of so many.
    fn of_calls(self, calls: u32) -> (u32, u32) {
        let start = |number: u32| {
            let share = u64::from(calls) * u64::from(number) / u64::from(self.of.max(1));
            u32::try_from(share).unwrap_or(calls)
        };
        let first = start(self.number);
        (
            first,
            start(self.number.saturating_add(1)).saturating_sub(first),
        )
    }
}

/// A round that goes on: its server runs.
pub(super) struct OpenRound<'a> {
    plan: &'a Plan,
    phase: Phase,
    index: u32,
    given_up: GivenUp,
    bench: Bench,
    memory: Result<MemorySampler, String>,
    startup: Option<(u64, Option<u64>)>,
    machine_before: MachineReading,
    before: Option<Reading>,
    cpu_before: Option<u64>,
    reference_work: ReferenceWork,
    page_work: PageWork,
    /// What the present scenario has given so far.
    current: Collector,
    scenarios: BTreeMap<String, Sample>,
}

impl<'a> OpenRound<'a> {
    /// Starts the server.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) async fn begin(
        plan: &'a Plan,
        (phase, index): (Phase, u32),
        given_up: GivenUp,
        findings: &mut Findings,
    ) -> Result<Self, RunFailure> {
        let reference_work = ReferenceWork::begin();
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
        Ok(Self {
            plan,
            phase,
            index,
            given_up,
            bench,
            memory,
            startup,
            machine_before,
            before,
            cpu_before,
            reference_work,
            page_work,
            current: Collector::default(),
            scenarios: BTreeMap::new(),
        })
    }

    /// Whether what a scenario calls was given up.
    pub(super) fn has_given_up(&self, record: &ScenarioRecord) -> bool {
        self.given_up.has(record)
    }

    /// Makes a part of a scenario's calls.
    ///
    /// # Errors
    /// When the server is lost.
    pub(super) async fn part(
        &mut self,
        scenario: &Scenario,
        part: Part,
        findings: &mut Findings,
        listener: Listener<'_>,
    ) -> Result<(), RunFailure> {
        let name = &scenario.record.name;
        if part.number == 0 {
            listener(Event::Scenario { name });
            findings.scenario = Some(name.clone());
            self.reference_work.look_again();
            self.current = Collector::default();
        }
        if self.current.is_hopeless() {
            return Ok(());
        }
        let collector = measure(self.plan, &mut self.bench, scenario, part)
            .await
            .map_err(|failure| failure.at(&format!("round {}, {name}", self.index + 1)))?;
        if part == Part::WHOLE {
            self.current = collector;
        } else {
            self.current.absorb(collector);
        }
        Ok(())
    }

    /// Ends a scenario.
    pub(super) fn conclude(
        &mut self,
        record: &ScenarioRecord,
        findings: &mut Findings,
        listener: Listener<'_>,
    ) {
        let name = &record.name;
        let mut collector = std::mem::take(&mut self.current);
        keep_error(findings, name, &mut collector);
        let latencies = collector.latencies((self.phase, Some(self.index)), name);
        listener(Event::Latencies(&latencies));
        let mut sample = collector.into_sample();
        // What one caller sees is held back as it is measured.
        if record.kind == ScenarioKind::Concurrent
            && let Some(factor) = self.bench.slowed_by
        {
            sample.slow_down(factor);
        }
        if sample.was_given_up(record.calls) {
            self.given_up.add(record);
        }
        listener(Event::Measured {
            name,
            sample: &sample,
        });
        self.scenarios.insert(name.clone(), sample);
    }

    /// CPU time of the server since the round began.
    pub(super) fn server_cpu_ns(&mut self) -> Option<u64> {
        let cpu = self.cpu_before.zip(self.bench.observer.cpu_ns());
        cpu.map(|(before, after)| after.saturating_sub(before))
    }

    /// CPU time of the server since it was born.
    pub(super) fn whole_cpu_ns(&mut self) -> Option<u64> {
        self.bench.observer.cpu_ns()
    }

    /// Ends the server, and forgets what it gave.
    pub(super) async fn give_up(self, findings: &mut Findings) {
        drop(self.memory);
        end(self.bench, findings).await;
    }

    /// Ends the server. `measured_cpu_ns`: CPU time of all servers that were measured meanwhile, which
    /// are no load from outside.
    ///
    /// # Errors
    /// When it has ended by itself.
    pub(super) async fn finish(
        mut self,
        measured_cpu_ns: Option<u64>,
        findings: &mut Findings,
    ) -> Result<Round, RunFailure> {
        self.bench.still_runs().await.map_err(|failure| {
            failure.at(&format!("round {}, after its last call", self.index + 1))
        })?;
        let delta = self.bench.observer.since(self.before.as_ref());
        let server_cpu_ns = self.server_cpu_ns();
        let machine = MachineReading::now().since(&self.machine_before, measured_cpu_ns);
        if let Some(problem) = self.bench.observer.problem() {
            findings.adjusted = Some(Measure::NotMeasured(problem));
        }
        let (memory, measure) = match self.memory {
            Ok(sampler) => {
                let summary = sampler.finish();
                let measure = summary.measure.clone();
                (Some(summary), measure)
            }
            Err(why) => (None, Measure::NotMeasured(why)),
        };
        findings.memory = Some(measure);
        end(self.bench, findings).await;
        self.page_work.look_again();
        Ok(Round {
            index: self.index,
            phase: self.phase,
            startup_ns: self.startup.map(|(wall, _)| wall),
            startup_adjusted_ns: self.startup.and_then(|(_, adjusted)| adjusted),
            peak_memory_bytes: memory.as_ref().and_then(|memory| memory.peak_bytes),
            processes: memory.as_ref().and_then(|memory| memory.processes),
            memory_at_end: memory.and_then(|memory| memory.at_end),
            server_cpu_ns,
            server_wait_ns: delta.map(|d| d.server_wait_total_ns),
            client_cpu_ns: Some(machine.client_cpu_ns),
            outside_load_cores: machine.outside_load_cores,
            steal_cores: machine.steal_cores,
            load_average: self.machine_before.load_average(),
            reference_work_ns: self.reference_work.quickest_ns(),
            page_work_ns: self.page_work.typical_ns(),
            scenarios: self.scenarios,
        })
    }
}

pub(super) fn keep_error(findings: &mut Findings, name: &str, collector: &mut Collector) {
    if let Some(error) = collector.take_first_error() {
        findings.errors.entry(name.to_owned()).or_insert(error);
    }
}

/// Each part begins with calls that do not count: the first with the scenario's warm-up, a later one
/// with one call, since another server has run meanwhile.
async fn measure(
    plan: &Plan,
    bench: &mut Bench,
    scenario: &Scenario,
    part: Part,
) -> Result<Collector, RunFailure> {
    let ScenarioRecord {
        kind,
        calls,
        concurrency,
        sessions,
        ..
    } = scenario.record;
    let call = plan.calls.get(&scenario.record.name);
    let warm_up = match part.number {
        0 => scenario.warm_up,
        _ => 1,
    };
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
    let (before, calls) = part.of_calls(calls);
    let first = scenario.warm_up.saturating_add(before);
    match (kind, call) {
        (ScenarioKind::Handshake, _) => bench.handshake(calls).await,
        (ScenarioKind::ListTools, _) => bench.list_tools(calls).await,
        (ScenarioKind::Sequential, Some(call)) => bench.sequential(call, first, calls).await,
        (ScenarioKind::Concurrent, Some(call)) => {
            let users = (concurrency, sessions);
            bench.concurrent(call, first, calls, users).await
        }
        (ScenarioKind::Soak | ScenarioKind::Load, _) | (_, None) => Ok(Collector::default()),
    }
}

/// Ends a server, and notes what that took; with the number of processes that it left behind, where
/// mcpgate started it.
pub(super) async fn end(bench: Bench, findings: &mut Findings) -> Option<(How, u32)> {
    end_within(bench, StopLimits::default(), findings).await
}

/// The same with limits of one's own.
pub(super) async fn end_within(
    bench: Bench,
    limits: StopLimits,
    findings: &mut Findings,
) -> Option<(How, u32)> {
    let Bench { server, client, .. } = bench;
    let is_stdio = matches!(server.endpoint, Endpoint::Stdio(_));
    client.close().await;
    let Stopped { how, orphans, .. } = server.stop_within(limits).await?;
    let left_behind = u32::try_from(orphans.len()).unwrap_or(u32::MAX);
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
    Some((how, left_behind))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_calls_once() {
        for calls in [0, 1, 5, 20, 100, 101, u32::MAX] {
            for of in 1..=7 {
                let mut next = 0;
                for number in 0..of {
                    let (first, count) = Part { number, of }.of_calls(calls);
                    assert_eq!(first, next);
                    assert!(count.abs_diff(calls / of) <= 1, "{calls} in {of}: {count}");
                    next += count;
                }
                assert_eq!(next, calls);
            }
        }
        assert_eq!(Part::WHOLE.of_calls(7), (0, 7));
    }
}
