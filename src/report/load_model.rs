//! What a report says of loads: a row for each, and one for each of its stages.

use super::{figure, line::Line};
use crate::{
    gate::Unit,
    results::{
        Latency, LoadRecord, LoadSample, Results, Sample, ScenarioKind, ScenarioRecord,
        StageRecord, StageSample,
    },
};

/// One load.
#[derive(Debug)]
pub(crate) struct LoadView<'a> {
    pub(crate) name: &'a str,
    pub(crate) whole: LoadRow,
    /// Empty where the load does not change.
    pub(crate) stages: Vec<LoadRow>,
    /// What the figures do not say.
    pub(crate) remarks: Vec<Line>,
}

/// Figures of a load or a stage; a missing one is [`figure::NONE`].
#[derive(Debug)]
pub(crate) struct LoadRow {
    /// `5 VUs`, `20 → 0 VUs`, `200/s`.
    pub(crate) level: String,
    pub(crate) calls: String,
    pub(crate) errors: String,
    pub(crate) dropped: String,
    pub(crate) p50: String,
    pub(crate) p95: String,
    pub(crate) p99: String,
    pub(crate) max: String,
    pub(crate) per_second: String,
}

/// What the short headers mean.
pub(crate) const LOAD_LEGEND: &str = "Each once, on a fresh server. VUs: virtual users, each with one call in flight; \
     where a rate is given, latency counts from the time at which a call was to begin; dropped: calls that found all VUs busy; in parentheses: of what it is compared with. Nothing of it gates.";

/// From here on mcpgate itself set the pace.
const BUSY: f64 = 0.9;
/// Delays of mcpgate's own that are worth a word.
const LATE_NS: u64 = 1_000_000;

/// The loads of the latest run that has them, in suite order; beside some figures what the same
/// load gave in `base`.
pub(crate) fn loads<'a>(results: &'a Results, base: Option<&Results>) -> Vec<LoadView<'a>> {
    let scenarios = results.suite.scenarios.iter();
    scenarios
        .filter(|scenario| scenario.kind == ScenarioKind::Load)
        .filter_map(|scenario| {
            let mut view = view(scenario, latest(results, scenario)?);
            if let Some(before) = base.and_then(|base| latest(base, scenario)) {
                let before = whole(String::new(), before);
                for (now, before) in [
                    (&mut view.whole.p50, before.p50),
                    (&mut view.whole.p95, before.p95),
                    (&mut view.whole.per_second, before.per_second),
                ] {
                    *now = format!("{now} ({before})");
                }
            }
            Some(view)
        })
        .collect()
}

/// What a load gave in the latest run that has it, defined as it is here.
fn latest<'a>(results: &'a Results, scenario: &ScenarioRecord) -> Option<&'a LoadSample> {
    let mut declared = results.suite.scenarios.iter();
    declared.find(|declared| {
        declared.name == scenario.name && declared.definition_hash == scenario.definition_hash
    })?;
    let mut jobs = results.jobs.iter().rev();
    jobs.find_map(|job| job.loads.get(&scenario.name))
}

fn view<'a>(scenario: &'a ScenarioRecord, sample: &LoadSample) -> LoadView<'a> {
    let record = scenario.load.as_ref();
    let stages: Vec<LoadRow> = record
        .iter()
        .flat_map(|record| {
            record
                .stages
                .iter()
                .zip(&sample.stages)
                .map(|(stage, sample)| stage_row(record, stage, sample))
        })
        .collect();
    let level = match (record, stages.as_slice()) {
        (Some(record), []) => record
            .stages
            .first()
            .map_or_else(String::new, |stage| level(record, stage)),
        (_, [only]) => only.level.clone(),
        _ => String::new(),
    };
    LoadView {
        name: &scenario.name,
        whole: whole(level, sample),
        stages: if stages.len() > 1 { stages } else { Vec::new() },
        remarks: remarks(sample),
    }
}

fn whole(level: String, sample: &LoadSample) -> LoadRow {
    let Sample {
        calls,
        successes,
        wall,
        ..
    } = &sample.whole;
    let per_second = (*successes > 0).then(|| sample.whole.throughput_per_s());
    row(
        level,
        (*calls, *successes, sample.dropped),
        *wall,
        per_second,
    )
}

fn stage_row(record: &LoadRecord, stage: &StageRecord, sample: &StageSample) -> LoadRow {
    let seconds = stage.duration_ns as f64 / 1e9;
    let per_second = (sample.successes > 0).then(|| f64::from(sample.successes) / seconds);
    row(
        level(record, stage),
        (sample.calls, sample.successes, sample.dropped),
        sample.wall,
        per_second,
    )
}

fn row(
    level: String,
    (calls, successes, dropped): (u32, u32, u32),
    wall: Option<Latency>,
    per_second: Option<f64>,
) -> LoadRow {
    let time = |of: &dyn Fn(Latency) -> Option<u64>| {
        figure::time_or_none(wall.and_then(of).map(|ns| ns as f64))
    };
    LoadRow {
        level,
        calls: calls.to_string(),
        errors: calls.saturating_sub(successes).to_string(),
        dropped: dropped.to_string(),
        p50: time(&|wall| Some(wall.p50_ns)),
        p95: time(&|wall| wall.p95_ns),
        p99: time(&|wall| wall.p99_ns),
        max: time(&|wall| Some(wall.max_ns)),
        per_second: figure::figure_or_none(per_second, Unit::CallsPerSecond),
    }
}

fn level(record: &LoadRecord, stage: &StageRecord) -> String {
    let from_to = if stage.from == stage.to {
        stage.to.to_string()
    } else {
        format!("{} → {}", stage.from, stage.to)
    };
    match record.time_unit_ns {
        None if stage.from == 1 && stage.to == 1 => "1 VU".to_owned(),
        None => format!("{from_to} VUs"),
        Some(1_000_000_000) => format!("{from_to} calls/s"),
        Some(unit_ns) => {
            let unit = humantime::format_duration(std::time::Duration::from_nanos(unit_ns));
            let calls = if from_to == "1" { "call" } else { "calls" };
            format!("{from_to} {calls} in {unit}")
        }
    }
}

fn remarks(sample: &LoadSample) -> Vec<Line> {
    let mut remarks = Vec::new();
    let time = |ns: u64| figure::figure(ns as f64, Unit::Nanoseconds);
    if let Some(client_cpu_ns) = sample.whole.client_cpu_ns {
        let share = client_cpu_ns as f64 / (sample.whole.duration_ns.max(1)) as f64;
        if share >= BUSY {
            remarks.push(Line::own(format!(
                "mcpgate itself was busy for {:.0} % of the time: these figures are its limit, not the server's",
                share.min(1.0) * 100.0
            )));
        }
    }
    if let Some(lag) = sample.send_lag
        && let Some(p99_ns) = lag.p99_ns.filter(|ns| *ns >= LATE_NS)
    {
        remarks.push(Line::own(format!(
            "1 in 100 calls was sent {} late or more by mcpgate itself, which its latency contains",
            time(p99_ns)
        )));
    }
    if sample.dropped > 0 {
        remarks.push(Line::own(format!(
            "{} never made: all {} VUs were busy when they were due (`max-vus`)",
            figure::count(sample.dropped as usize, "call"),
            sample.most_in_flight
        )));
    }
    if sample.interrupted > 0 {
        remarks.push(Line::own(format!(
            "{} still unanswered at the end, after `graceful-stop`",
            figure::count(sample.interrupted as usize, "call"),
        )));
    }
    let mut facts = Vec::new();
    if let Some(connecting) = sample.connecting {
        let of = connecting.p95_ns.unwrap_or(connecting.max_ns);
        let which = if connecting.p95_ns.is_some() {
            "p95"
        } else {
            "max"
        };
        facts.push(format!(
            "connecting: p50 {}, {which} {}",
            time(connecting.p50_ns),
            time(of)
        ));
    }
    if let Some(bytes) = sample.peak_memory_bytes {
        let bytes_of = |bytes: u64| figure::figure(bytes as f64, Unit::Bytes);
        let course = match sample.memory[..] {
            [(0, before), .., (calls, after)] => format!(
                " ({} before its first call, {} after {})",
                bytes_of(before),
                bytes_of(after),
                figure::count(usize::try_from(calls).unwrap_or(usize::MAX), "call"),
            ),
            _ => String::new(),
        };
        facts.push(format!("peak memory: {}{course}", bytes_of(bytes)));
    }
    if !facts.is_empty() {
        remarks.push(Line::own(facts.join("; ")));
    }
    remarks
}
