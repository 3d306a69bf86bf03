//! Each diagnosis at both sides of its borders, and no company for it.

use std::collections::BTreeMap;

use crate::{
    diagnosis::{Confidence, Diagnosis, Kind, diagnose},
    gate::test_support::{CONCURRENT, Fixture, SEQUENTIAL, SOAK, ns, record},
    results::{
        ErrorSample, ExecutorName, Latency, LoadRecord, LoadSample, Results, Sample, ScenarioKind,
        StageRecord, StageSample, Transport,
    },
};

const MS: u64 = 1_000_000;

fn kinds(results: &Results) -> Vec<Kind> {
    diagnose(results).iter().map(|found| found.kind).collect()
}

fn the_only(fixture: Fixture) -> Diagnosis {
    let mut all = diagnose(&fixture.build());
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

/// Calls of 10 ms one at a time; ten at once, of which so many are in progress at a time, while the
/// server uses so many cores.
pub(super) fn together(in_progress: f64, cores: f64) -> Fixture {
    let rate = in_progress * 100.0;
    Fixture::new()
        .samples(SEQUENTIAL, |sample| {
            sample.duration_ns = u64::from(sample.successes) * 10 * MS;
        })
        .samples(CONCURRENT, move |sample| {
            sample.duration_ns = ns(f64::from(sample.successes) / rate * 1e9);
            sample.cpu_per_call_ns = Some(ns(cores / rate * 1e9));
        })
}

#[test]
fn a_healthy_server_has_none() {
    assert_eq!(diagnose(&Fixture::new().build()), []);
    assert_eq!(diagnose(&Fixture::with_rounds(0).build()), []);
}

#[test]
fn callers_that_wait_for_each_other() {
    for (in_progress, cores, expected) in [
        (1.0, 0.05, Some(Kind::EventLoopBlocked)),
        (1.35, 0.05, Some(Kind::EventLoopBlocked)),
        (1.0, 0.95, Some(Kind::CpuBoundSerial)),
        // Half waiting, half working: neither alone explains it.
        (1.0, 0.5, None),
        (3.0, 0.2, Some(Kind::ConnectionPoolExhausted)),
        (5.0, 0.2, Some(Kind::ConnectionPoolExhausted)),
        (6.0, 0.2, None),
        (10.0, 0.1, None),
        // Two busy cores.
        (2.0, 1.9, None),
        // One busy core is no idle one, however many calls it has in progress.
        (4.0, 1.0, None),
        (5.0, 0.6, None),
    ] {
        let found = kinds(&together(in_progress, cores).build());
        assert_eq!(found, Vec::from_iter(expected), "{in_progress} {cores}");
    }
    let found = the_only(together(3.0, 0.2));
    assert_eq!(found.scenario.as_deref(), Some(CONCURRENT));
    assert_eq!(found.confidence, Confidence::Possible);
    assert_eq!(
        found.evidence,
        "10 callers at once got 300 calls done in a second, one alone 100, though a call takes 10 ms: \
         about 3.0 are in progress at a time, and the server used 20 % of a core meanwhile"
    );
    assert!(
        found.advice.contains("about 3 connections"),
        "{}",
        found.advice
    );
    // What the CPU did is what tells a wait from work.
    let unknown = together(1.0, 0.05).samples(CONCURRENT, |sample| sample.cpu_per_call_ns = None);
    assert_eq!(kinds(&unknown.build()), []);
    // A call that takes no time shows the transport.
    let fast = together(10.0, 0.05).samples(SEQUENTIAL, |sample| {
        sample.duration_ns = u64::from(sample.successes) * MS;
    });
    assert_eq!(kinds(&fast.build()), []);
    // Where mcpgate is busy, or calls fail, throughput is not the server's.
    let limited = together(1.0, 0.05).samples(CONCURRENT, |sample| {
        sample.client_cpu_ns = Some(sample.duration_ns * 9 / 10);
    });
    assert_eq!(kinds(&limited.build()), []);
    let failing = together(1.0, 0.05).samples(CONCURRENT, |sample| sample.successes -= 1);
    assert_eq!(kinds(&failing.build()), []);
    let small = together(1.0, 0.95).jobs(|job| job.environment.cores = 1);
    assert_eq!(kinds(&small.build()), []);
    // Two rounds are too few.
    let few = together(1.0, 0.05).jobs(|job| job.rounds.truncate(2));
    assert_eq!(kinds(&few.build()), []);
}

#[test]
fn answers_of_other_calls() {
    let wrong = |scenario: &'static str, count: u32| {
        Fixture::new().jobs(move |job| {
            let sample = job.rounds[0].scenarios.get_mut(scenario).unwrap();
            sample.successes -= count;
            sample.errors.insert("wrong-answer".to_owned(), count);
        })
    };
    let found = the_only(wrong(CONCURRENT, 1));
    assert_eq!(found.kind, Kind::AnswersMixedUp);
    assert_eq!(
        found.evidence,
        "1 of 1000 calls with 10 at once got an answer without what they asked for, or one that nobody \
         asked for, and none of 1000 one at a time"
    );
    // A tool that answers wrongly by itself mixes nothing up.
    assert_eq!(kinds(&wrong(SEQUENTIAL, 5).build()), []);
}

#[test]
fn failures_that_begin_with_callers_at_once() {
    let failing = |count: u32, message: &'static str| {
        Fixture::new().errors(CONCURRENT, count).jobs(move |job| {
            let sample = ErrorSample {
                kind: "tool-error".to_owned(),
                message: message.to_owned(),
            };
            job.error_samples.insert(CONCURRENT.to_owned(), sample);
        })
    };
    let found = the_only(failing(20, "disk full"));
    assert_eq!(found.kind, Kind::ConnectionPoolExhausted);
    assert_eq!(found.confidence, Confidence::Possible);
    assert_eq!(
        found.evidence,
        "2.0 % of 1000 calls with up to 10 at once failed (tool-error), and none of 1000 one at a time"
    );
    for (message, confidence) in [
        ("QueuePool of size 5 reached", Confidence::Likely),
        ("429 Too Many Requests", Confidence::Likely),
        ("unexpected delimiter in the spool", Confidence::Possible),
    ] {
        let found = the_only(failing(20, message));
        assert_eq!(found.confidence, confidence, "{message}");
    }
    // A crash is no pool.
    let crashing = failing(20, "QueuePool").jobs(|job| {
        let sample = job.rounds[0].scenarios.get_mut(CONCURRENT).unwrap();
        sample.errors = BTreeMap::from([("closed".to_owned(), 20)]);
    });
    assert_eq!(kinds(&crashing.build()), []);
    assert_eq!(kinds(&failing(2, "QueuePool limit").build()), []);
    assert_eq!(kinds(&failing(9, "QueuePool limit").build()), []);
    // A tool that fails when it is alone has another problem.
    let both = failing(20, "QueuePool limit").errors(SEQUENTIAL, 1);
    assert_eq!(kinds(&both.build()), []);
}

/// A load of 5, 10 and 20 callers for two seconds each: calls, failures and the median of each.
fn ramp(levels: [(u32, u32, u64); 3]) -> Fixture {
    let stage = |vus: u32| StageRecord {
        duration_ns: 2_000 * MS,
        from: vus,
        to: vus,
    };
    let latency = |ms: u64| Latency {
        p50_ns: ms * MS,
        p95_ns: None,
        p99_ns: None,
        max_ns: ms * MS,
    };
    let stages = levels.map(|(calls, failed, ms)| StageSample {
        calls,
        successes: calls - failed,
        dropped: 0,
        wall: Some(latency(ms)),
    });
    let failed: u32 = levels.iter().map(|(_, failed, _)| failed).sum();
    let calls: u32 = levels.iter().map(|(calls, ..)| calls).sum();
    let whole = Sample {
        calls,
        successes: calls - failed,
        errors: if failed == 0 {
            BTreeMap::new()
        } else {
            BTreeMap::from([("http-503".to_owned(), failed)])
        },
        duration_ns: 6_000 * MS,
        wall: Some(latency(20)),
        adjusted: None,
        first_byte: None,
        delayed_last_bytes: 0,
        wall_histogram_ns: None,
        adjusted_histogram_ns: None,
        slow_calls: Vec::new(),
        cpu_per_call_ns: None,
        client_cpu_ns: None,
    };
    let sample = LoadSample {
        whole,
        dropped: 0,
        interrupted: 0,
        most_in_flight: 20,
        connecting: None,
        send_lag: None,
        peak_memory_bytes: None,
        memory: Vec::new(),
        outside_load_cores: None,
        steal_cores: None,
        stages: stages.to_vec(),
    };
    Fixture::new()
        .with(|results| {
            let mut load = record("ramp", ScenarioKind::Load, 0, 20);
            load.tool = None;
            load.load = Some(LoadRecord {
                executor: ExecutorName::RampingVus,
                tools: BTreeMap::from([("search".to_owned(), 1)]),
                time_unit_ns: None,
                stages: [5, 10, 20].map(stage).to_vec(),
            });
            results.suite.scenarios.push(load);
        })
        .jobs(move |job| {
            job.loads.insert("ramp".to_owned(), sample.clone());
        })
}

#[test]
fn a_ramp_that_gets_no_more_done() {
    let found = the_only(ramp([(500, 0, 20), (900, 0, 22), (950, 0, 43)]));
    assert_eq!(found.kind, Kind::Overloaded);
    assert!(found.kind.is_information());
    assert_eq!(
        found.evidence,
        "from 10 to 20 callers the calls done in a second went from 450 to 475, and the time of one \
         from 22 ms to 43 ms"
    );
    for levels in [
        // It keeps up.
        [(500, 0, 20), (1_000, 0, 20), (1_900, 0, 21)],
        // It collapses, which is no saturation.
        [(500, 0, 20), (900, 0, 22), (300, 0, 90)],
        // Latency grows little though throughput stays: callers came and went.
        [(500, 0, 20), (510, 0, 25), (520, 0, 30)],
    ] {
        assert_eq!(kinds(&ramp(levels).build()), [], "{levels:?}");
    }
}

#[test]
fn a_ramp_that_fails_from_a_level_on() {
    let found = the_only(ramp([(500, 0, 20), (1_000, 0, 20), (2_000, 700, 20)]));
    assert_eq!(found.kind, Kind::ConnectionPoolExhausted);
    assert_eq!(found.confidence, Confidence::Likely);
    assert_eq!(
        found.evidence,
        "20.0 % of 3500 calls with up to 20 at once failed (http-503), and none of 1000 one at a \
         time; they begin at 20 callers"
    );
}

#[test]
fn few_slow_calls() {
    let tail = |p50: u64, p95: u64| {
        Fixture::new().samples(SEQUENTIAL, move |sample| {
            let adjusted = sample.adjusted.as_mut().unwrap();
            (adjusted.p50_ns, adjusted.p95_ns) = (p50, Some(p95));
        })
    };
    let found = the_only(tail(10 * MS, 45 * MS));
    assert_eq!(found.kind, Kind::HighP95LowP50);
    assert_eq!(
        found.evidence,
        "half of the calls take up to 10 ms, one in twenty 45 ms or more"
    );
    assert_eq!(kinds(&tail(10 * MS, 39 * MS).build()), []);
    // Within what a machine does to fast calls.
    assert_eq!(kinds(&tail(MS / 10, 4 * MS).build()), []);
}

#[test]
fn memory_that_grows_on_every_server() {
    let found = the_only(Fixture::new().growth(&[20_100.0, 20_500.0, 19_800.0]));
    assert_eq!(found.kind, Kind::MemoryLeak);
    assert_eq!(found.scenario.as_deref(), Some(SOAK));
    assert_eq!(
        found.evidence,
        "memory grows by 20 kB with each of 1400 calls, after warm-up, on each of 3 fresh servers"
    );
    for slopes in [&[20_000.0, 20_000.0, 9_000.0][..], &[20_000.0, 20_000.0]] {
        assert_eq!(kinds(&Fixture::new().growth(slopes).build()), []);
    }
}

#[test]
fn a_start_that_takes_seconds() {
    let starting = |ns: u64| Fixture::new().rounds(move |r| r.startup_adjusted_ns = Some(ns));
    let found = the_only(starting(6_200 * MS));
    assert_eq!((found.kind, &found.scenario), (Kind::SlowStart, &None));
    assert_eq!(
        found.evidence,
        "it takes 6.2 s from starting the process to its first answer"
    );
    assert_eq!(kinds(&starting(4_900 * MS).build()), []);
}

#[test]
fn answers_held_back_by_delayed_acknowledgements() {
    let held = |scenario: &str, late: u32, transport| {
        let fixture = Fixture::new()
            .with(|results| results.server.transport = transport)
            .samples(scenario, |sample| sample.delayed_last_bytes = late);
        kinds(&fixture.build())
    };
    let http = Transport::StreamableHttp;
    for (scenario, late, transport, is_found) in [
        ("list-tools", 100, http, true),
        ("list-tools", 51, http, true),
        ("list-tools", 50, http, false),
        ("list-tools", 100, Transport::Stdio, false),
        // A tool may well work for so long.
        (SEQUENTIAL, 100, http, false),
    ] {
        let found = held(scenario, late, transport);
        assert_eq!(found == [Kind::NagleStall], is_found, "{scenario} {late}");
        assert!(is_found || found.is_empty());
    }
}

#[test]
fn the_gravest_comes_first() {
    let all = together(1.0, 0.05).growth(&[20_000.0; 3]).jobs(|job| {
        // Of the other rounds all calls are whole.
        let sample = job.rounds[0].scenarios.get_mut(CONCURRENT).unwrap();
        sample.successes -= 1;
        sample.errors.insert("stray-answer".to_owned(), 1);
    });
    assert_eq!(
        kinds(&all.build()),
        [
            Kind::AnswersMixedUp,
            Kind::EventLoopBlocked,
            Kind::MemoryLeak
        ]
    );
}
