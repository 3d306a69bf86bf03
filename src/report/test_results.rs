//! Results made by hand, for the tests of the formats.

use std::collections::BTreeMap;

use crate::results::{
    Environment, Job, Latency, Measure, Phase, ProcessMemory, Results, Round, Sample, ScenarioKind,
    ScenarioRecord, ServerRecord, Sessions, Skipped, Soak, SoakSample, SuiteRecord, Transport,
    TreeMemory,
};

/// Results of the given tools.
pub(crate) fn results(
    commit: &str,
    started_at: &str,
    tools: &[&str],
    rounds: u32,
    jobs: usize,
) -> Results {
    let mut scenarios = vec![scenario("list-tools", ScenarioKind::ListTools, None)];
    for tool in tools {
        for (kind, name) in [
            (ScenarioKind::Sequential, "sequential"),
            (ScenarioKind::Concurrent, "concurrent"),
            (ScenarioKind::Soak, "soak"),
        ] {
            scenarios.push(scenario(&format!("{tool}/{name}"), kind, Some(tool)));
        }
    }
    let job = job(commit, started_at, &scenarios, rounds);
    Results {
        schema_version: 1,
        mcpgate_version: "0.1.0".to_owned(),
        server: ServerRecord {
            name: "example-servers/everything".to_owned(),
            version: "2.0.0".to_owned(),
            transport: Transport::Stdio,
            protocol_version: "2025-11-25".to_owned(),
            tool_list_hash: "0011223344556677".to_owned(),
            attached: false,
        },
        suite: SuiteRecord {
            name: "standard".to_owned(),
            hash: "8899aabbccddeeff".to_owned(),
            scenarios,
            skipped: vec![Skipped {
                name: "write_file".to_owned(),
                reason: "it does not say that it only reads".to_owned(),
            }],
        },
        jobs: vec![job; jobs],
        accepted: None,
    }
}

fn scenario(name: &str, kind: ScenarioKind, tool: Option<&str>) -> ScenarioRecord {
    ScenarioRecord {
        name: name.to_owned(),
        kind,
        tool: tool.map(str::to_owned),
        calls: 100,
        concurrency: if kind == ScenarioKind::Concurrent {
            10
        } else {
            1
        },
        definition_hash: "0123456789abcdef".to_owned(),
        report_only: false,
        sessions: Sessions::Each,
        load: None,
    }
}

fn job(commit: &str, started_at: &str, scenarios: &[ScenarioRecord], rounds: u32) -> Job {
    let measured = scenarios.iter().filter(|s| s.kind != ScenarioKind::Soak);
    let samples: BTreeMap<String, Sample> =
        measured.map(|s| (s.name.clone(), sample(s.kind))).collect();
    let soaks = scenarios.iter().filter(|s| s.kind == ScenarioKind::Soak);
    let soaks: BTreeMap<String, SoakSample> =
        soaks.map(|s| (s.name.clone(), soak_sample())).collect();
    Job {
        started_at: started_at.to_owned(),
        commit: Some(commit.to_owned()),
        seed: 1,
        environment: Environment {
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
            cpu_model: "AMD EPYC 7763 64-Core Processor".to_owned(),
            cores: 2,
            memory_bytes: 8_000_000_000,
            kernel: "6.8.0".to_owned(),
            runner_image: None,
            container_memory_limit_bytes: None,
            container_cpu_limit_millicores: None,
        },
        memory_measure: Measure::By("high-water mark".to_owned()),
        adjusted_measure: Measure::By("schedstat, floored".to_owned()),
        incomplete: None,
        rounds: (0..rounds)
            .map(|index| round(index, samples.clone()))
            .collect(),
        loads: BTreeMap::new(),
        probes: Vec::new(),
        soaks: (0..3)
            .map(|index| Soak {
                index,
                phase: Phase::Measure,
                scenarios: soaks.clone(),
            })
            .collect(),
        error_samples: BTreeMap::new(),
        notes: Vec::new(),
        in_turn: None,
    }
}

fn process(name: &str, resident_bytes: u64) -> ProcessMemory {
    ProcessMemory {
        name: name.to_owned(),
        resident_bytes,
        peak_resident_bytes: Some(resident_bytes),
        proportional_bytes: Some(resident_bytes / 2),
    }
}

fn round(index: u32, scenarios: BTreeMap<String, Sample>) -> Round {
    Round {
        index,
        phase: Phase::Measure,
        startup_ns: Some(212_000_000 + u64::from(index) * 1_000_000),
        startup_adjusted_ns: Some(198_000_000),
        peak_memory_bytes: Some(84_200_000 + u64::from(index) * 10_000),
        processes: Some(2),
        memory_at_end: TreeMemory::of(vec![
            process("node", 80_100_000),
            process("npm exec notes", 4_100_000),
        ]),
        server_cpu_ns: Some(1_400_000_000),
        server_wait_ns: Some(90_000_000),
        client_cpu_ns: Some(200_000_000),
        outside_load_cores: Some(0.12),
        steal_cores: Some(0.0),
        load_average: Some(0.7),
        reference_work_ns: Some(1_250_000),
        page_work_ns: Some(1_300_000),
        scenarios,
    }
}

fn sample(kind: ScenarioKind) -> Sample {
    let latency = |p50_ns: u64| Latency {
        p50_ns,
        p95_ns: Some(p50_ns * 2),
        p99_ns: Some(p50_ns * 3),
        max_ns: p50_ns * 5,
    };
    let wall = match kind {
        ScenarioKind::ListTools | ScenarioKind::Handshake => 350_000,
        ScenarioKind::Sequential | ScenarioKind::Soak => 2_100_000,
        ScenarioKind::Concurrent | ScenarioKind::Load => 12_400_000,
    };
    Sample {
        calls: 100,
        successes: 100,
        errors: BTreeMap::new(),
        duration_ns: 123_000_000,
        wall: Some(latency(wall)),
        adjusted: kind.is_one_at_a_time().then(|| latency(wall * 9 / 10)),
        first_byte: Some(latency(wall * 8 / 10)),
        cpu_per_call_ns: Some(1_200_000),
        delayed_last_bytes: 0,
        wall_histogram_ns: None,
        adjusted_histogram_ns: None,
        slow_calls: Vec::new(),
        client_cpu_ns: None,
    }
}

fn soak_sample() -> SoakSample {
    SoakSample {
        calls: 1400,
        successes: 1400,
        errors: BTreeMap::new(),
        growth_bytes_per_call: Some(120.5),
        memory: vec![(0, 80_000_000), (1400, 80_168_700)],
    }
}
