//! One soak: many calls on a fresh server, and its memory as they go on.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Plan,
    call::CompiledCall,
    collector::Collector,
    event::{Event, Listener},
    failure::RunFailure,
    measure::Bench,
    round::{Findings, GivenUp, Started, begin, end, keep_error},
};
use crate::{
    process::MemorySampler,
    results::{Phase, Soak, SoakSample},
    stats::slope,
    suite::Scenario,
};

/// Calls before a soak, over all its tools.
const WARM_UP: u32 = 2_500;
/// Memory readings of a soak.
const READINGS: u32 = 28;

/// Runs a soak, without what was given up: many calls on a fresh server, memory read at equal call
/// counts.
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
    let hopeless = warm_up(plan, &soaks, &mut bench)
        .await
        .map_err(|failure| failure.at(&format!("soak {}, its warm-up", index + 1)))?;
    let mut scenarios = BTreeMap::new();
    for (name, mut collector) in hopeless {
        keep_error(findings, &name, &mut collector);
        scenarios.insert(name, sample(&collector, Vec::new(), 0));
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
        findings.scenario = Some(name.clone());
        let place = format!("soak {}, {name}", index + 1);
        let sample = of_one_tool(&mut bench, call, scenario, memory.as_ref().ok(), findings)
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
async fn warm_up(
    plan: &Plan,
    soaks: &[&Scenario],
    bench: &mut Bench,
) -> Result<Vec<(String, Collector)>, RunFailure> {
    let tools = u32::try_from(soaks.len()).unwrap_or(u32::MAX);
    let mut hopeless = Vec::new();
    for scenario in soaks {
        if let Some(call) = plan.calls.get(&scenario.record.name) {
            let calls = scenario.record.calls.min(WARM_UP / tools.max(1));
            let warmed = bench.sequential(call, 0, calls).await?;
            if warmed.is_hopeless() {
                hopeless.push((scenario.record.name.clone(), warmed));
            }
        }
    }
    Ok(hopeless)
}

async fn of_one_tool(
    bench: &mut Bench,
    call: &Arc<CompiledCall>,
    scenario: &Scenario,
    sampler: Option<&MemorySampler>,
    findings: &mut Findings,
) -> Result<SoakSample, RunFailure> {
    let calls = scenario.record.calls;
    let block = calls.div_ceil(READINGS).max(1);
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
    Ok(sample(&whole, memory, scenario.warm_up))
}

fn sample(whole: &Collector, memory: Vec<(u32, u64)>, warm_up: u32) -> SoakSample {
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
