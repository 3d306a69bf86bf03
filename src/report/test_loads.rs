//! Loads made by hand, for the tests of the formats.

use std::collections::BTreeMap;

use crate::results::{
    ExecutorName, Histogram, Latency, LoadRecord, LoadSample, Results, Sample, ScenarioKind,
    ScenarioRecord, Sessions, StageRecord, StageSample,
};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

/// The results with a ramp that held, a rate that did not, and a load of which mcpgate itself was
/// the limit.
pub(crate) fn with_loads(mut results: Results, name: &str) -> Results {
    let stages = [(2 * S, 5, 5), (2 * S, 20, 20), (S, 20, 0)];
    let mut add = |name: &str, load: LoadRecord, sample: LoadSample| {
        results.suite.scenarios.push(ScenarioRecord {
            name: name.to_owned(),
            kind: ScenarioKind::Load,
            tool: None,
            calls: 0,
            concurrency: sample.most_in_flight,
            definition_hash: "0123456789abcdef".to_owned(),
            report_only: false,
            sessions: Sessions::Each,
            load: Some(load),
        });
        for job in &mut results.jobs {
            job.loads.insert(name.to_owned(), sample.clone());
        }
    };
    add(
        "ramp",
        record(ExecutorName::RampingVus, None, &stages),
        LoadSample {
            connecting: Some(latency(MS)),
            peak_memory_bytes: Some(91_000_000),
            memory: vec![(0, 71_000_000), (3_000, 80_000_000), (6_010, 90_400_000)],
            stages: vec![stage(1_000, 0), stage(4_000, 0), stage(1_010, 0)],
            ..load((6_010, 6_010), 5 * S, 20)
        },
    );
    add(
        name,
        record(
            ExecutorName::ConstantArrivalRate,
            Some(S),
            &[(10 * S, 200, 200)],
        ),
        LoadSample {
            dropped: 150,
            interrupted: 1,
            send_lag: Some(latency(MS)),
            stages: vec![stage(1_850, 150)],
            ..load((1_850, 1_844), 10 * S, 50)
        },
    );
    add(
        "quick-server",
        record(
            ExecutorName::ConstantArrivalRate,
            Some(60 * S),
            &[(60 * S, 1, 1)],
        ),
        LoadSample {
            whole: Sample {
                client_cpu_ns: Some(58 * S),
                ..load((1, 1), 60 * S, 1).whole
            },
            stages: vec![stage(1, 0)],
            ..load((1, 1), 60 * S, 1)
        },
    );
    results
}

fn record(executor: ExecutorName, unit: Option<u64>, stages: &[(u64, u32, u32)]) -> LoadRecord {
    LoadRecord {
        executor,
        tools: BTreeMap::from([("search".to_owned(), 1)]),
        time_unit_ns: unit,
        stages: stages
            .iter()
            .map(|(duration_ns, from, to)| StageRecord {
                duration_ns: *duration_ns,
                from: *from,
                to: *to,
            })
            .collect(),
    }
}

fn load((calls, successes): (u32, u32), duration_ns: u64, most_in_flight: u32) -> LoadSample {
    let failed = calls - successes;
    let errors = (failed > 0).then(|| ("timeout".to_owned(), failed));
    LoadSample {
        whole: Sample {
            calls,
            successes,
            errors: errors.into_iter().collect(),
            duration_ns,
            wall: Some(latency(10 * MS)),
            adjusted: None,
            first_byte: Some(latency(9 * MS)),
            cpu_per_call_ns: None,
            delayed_last_bytes: 0,
            wall_histogram_ns: Histogram::of((0..u64::from(successes)).map(|n| 9 * MS + n * 2_000)),
            adjusted_histogram_ns: None,
            slow_calls: Vec::new(),
            client_cpu_ns: Some(duration_ns / 10),
        },
        dropped: 0,
        interrupted: 0,
        most_in_flight,
        connecting: None,
        send_lag: None,
        peak_memory_bytes: None,
        memory: Vec::new(),
        outside_load_cores: None,
        steal_cores: None,
        stages: Vec::new(),
    }
}

fn stage(calls: u32, dropped: u32) -> StageSample {
    StageSample {
        calls,
        successes: calls,
        dropped,
        wall: Some(latency(10 * MS)),
    }
}

fn latency(p50_ns: u64) -> Latency {
    Latency {
        p50_ns,
        p95_ns: Some(p50_ns * 2),
        p99_ns: Some(p50_ns * 3),
        max_ns: p50_ns * 5,
    }
}
