//! What a change of each size and kind is called.

use super::*;
use crate::gate::{
    alarmed_scenarios,
    test_support::{CONCURRENT, Fixture, SEQUENTIAL, SOAK, times},
    undecided_scenarios,
};
use std::time::Duration;

#[test]
fn the_same_again_passes() {
    let j = judged(&Fixture::new().build(), &Fixture::new().build());
    assert_eq!(not_passed(&j), Vec::<String>::new());
    assert_eq!((j.verdict, j.exit_code), (Verdict::Pass, 0));
    assert!(j.findings.is_empty(), "{:?}", j.findings);
    assert!(alarmed_scenarios(&j).is_empty() && undecided_scenarios(&j).is_empty());
    let p95 = row(&j, SEQUENTIAL, Metric::LatencyP95Adjusted);
    assert_eq!(
        (p95.role, p95.reason.as_str()),
        (Role::Gates, "within the tolerance")
    );
    assert_eq!((p95.base_rounds, p95.candidate_rounds), (10, 10));
    assert_eq!(p95.tool.as_deref(), Some("search"));
}

#[test]
fn sizes_of_a_uniform_slow_down() {
    for (factor, expected) in [
        (0.5, Verdict::Improved),
        (0.9, Verdict::Pass),
        (1.0, Verdict::Pass),
        (1.02, Verdict::Pass),
        (1.15, Verdict::Pass),
        (1.18, Verdict::Inconclusive),
        (1.22, Verdict::Inconclusive),
        (1.5, Verdict::Regressed),
        (3.0, Verdict::Regressed),
    ] {
        let j = judged(
            &Fixture::new().build(),
            &Fixture::new().slower(SEQUENTIAL, factor).build(),
        );
        assert_eq!(j.verdict, expected, "x {factor}: {:?}", not_passed(&j));
        assert_eq!(
            j.exit_code,
            u8::from(expected == Verdict::Regressed),
            "x {factor}"
        );
        for metric in [Metric::LatencyP50Adjusted, Metric::LatencyP95Adjusted] {
            let c = row(&j, SEQUENTIAL, metric);
            assert_eq!(c.verdict, expected, "x {factor}: {c:?}");
            let ratio = c.ratio.unwrap();
            assert!((ratio / factor - 1.0).abs() < 1e-6, "{ratio}");
            let interval = c.interval.unwrap();
            assert!(interval.low < ratio && ratio < interval.high);
        }
    }
}

#[test]
fn a_regression_names_its_scenario_and_spares_the_others() {
    let j = judged(
        &Fixture::new().build(),
        &Fixture::new().slower(SEQUENTIAL, 1.6).build(),
    );
    assert_eq!(
        alarmed_scenarios(&j).into_iter().collect::<Vec<_>>(),
        [SEQUENTIAL]
    );
    assert_eq!(
        row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted).reason,
        "worse by more than the tolerance; not confirmed by fresh rounds"
    );
    assert!(not_passed(&j).iter().all(|r| r.starts_with(SEQUENTIAL)));
}

#[test]
fn the_tail_alone_regresses_though_the_median_does_not() {
    let slow_tail = Fixture::new().samples(SEQUENTIAL, |s| {
        for l in [&mut s.wall, &mut s.adjusted].into_iter().flatten() {
            l.p95_ns = l.p95_ns.map(|v| times(v, 2.2));
        }
    });
    let j = judged(&Fixture::new().build(), &slow_tail.build());
    assert_eq!(j.verdict, Verdict::Regressed);
    assert_eq!(
        row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted).verdict,
        Verdict::Pass
    );
    assert_eq!(
        row(&j, SEQUENTIAL, Metric::LatencyP95Adjusted).verdict,
        Verdict::Regressed
    );
}

#[test]
fn what_gates_where() {
    let roles = |j: &Judgement, scenario: &str| {
        j.comparisons
            .iter()
            .filter(|c| c.scenario == scenario)
            .map(|c| (c.metric, c.role))
            .collect::<Vec<_>>()
    };
    use Metric::*;
    use Role::*;
    let (full, bare) = (
        Fixture::new().build(),
        Fixture::new().without_adjusted().build(),
    );
    let adjusted = [
        (LatencyP50Adjusted, Gates),
        (LatencyP95Adjusted, Gates),
        (LatencyP50, Guards),
        (LatencyP95, Guards),
        (CpuPerCall, Guards),
        (ErrorRate, Gates),
    ];
    let wall = [
        (LatencyP50, Gates),
        (LatencyP95, Guards),
        (CpuPerCall, Guards),
        (ErrorRate, Gates),
    ];
    let concurrent = [
        (LatencyP50, Gates),
        (Throughput, Gates),
        (LatencyP95, Guards),
        (CpuPerCall, Reported),
        (ErrorRate, Gates),
    ];
    for (base, candidate, one_at_a_time) in [
        (&full, &full, &adjusted[..]),
        (&full, &bare, &wall[..]),
        (&bare, &full, &wall[..]),
        (&bare, &bare, &wall[..]),
    ] {
        let j = judged(base, candidate);
        for scenario in ["handshake", "list-tools", SEQUENTIAL] {
            assert_eq!(roles(&j, scenario), one_at_a_time, "{scenario}");
        }
        assert_eq!(roles(&j, CONCURRENT), concurrent);
        assert_eq!(roles(&j, SOAK), [(MemoryGrowth, Gates), (ErrorRate, Gates)]);
    }
    assert_eq!(
        roles(&judged(&full, &full), "server"),
        [
            (StartupAdjusted, Gates),
            (Startup, Guards),
            (PeakMemory, Gates)
        ]
    );
    assert_eq!(
        roles(&judged(&bare, &full), "server"),
        [(Startup, Gates), (PeakMemory, Gates)]
    );
    let order: Vec<String> = {
        let mut names: Vec<String> = judged(&full, &full)
            .comparisons
            .into_iter()
            .map(|c| c.scenario)
            .collect();
        names.dedup();
        names
    };
    assert_eq!(
        order,
        [
            "server",
            "handshake",
            "list-tools",
            SEQUENTIAL,
            CONCURRENT,
            SOAK
        ]
    );
}

#[test]
fn losing_the_adjusted_latency_is_said() {
    let j = judged(
        &Fixture::new().build(),
        &Fixture::new().without_adjusted().build(),
    );
    assert_eq!(
        findings(&j, Severity::Note),
        [
            "latency less scheduler wait was not measured in this run (no schedstat on macOS): wall time gates instead"
        ]
    );
    assert_eq!(j.verdict, Verdict::Pass);
}

#[test]
fn a_change_below_the_floor_is_no_regression() {
    // 10 ms: times 1.6 is 6 ms more, within a few microseconds.
    let slower = Fixture::new().slower(SEQUENTIAL, 1.6).build();
    let mut policy = GateConfig::default();
    for (floor_ms, expected) in [
        (1, Verdict::Regressed),
        (5, Verdict::Regressed),
        (7, Verdict::Pass),
    ] {
        policy.floor.latency_p50 = Duration::from_millis(floor_ms);
        policy.floor.latency_p95 = Duration::from_millis(floor_ms * 2);
        let j = judge(&Fixture::new().build(), &slower, &policy);
        let c = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted);
        assert_eq!(c.verdict, expected, "floor {floor_ms} ms: {c:?}");
        assert!(
            floor_ms < 6 || c.reason.contains(&format!("floor of {floor_ms}ms")),
            "{}",
            c.reason
        );
    }
}

#[test]
fn throughput_is_worse_when_it_falls() {
    let slow = Fixture::new().samples(CONCURRENT, |s| s.duration_ns *= 2);
    let j = judged(&Fixture::new().build(), &slow.clone().build());
    let c = row(&j, CONCURRENT, Metric::Throughput);
    assert_eq!(c.verdict, Verdict::Regressed);
    assert!((c.ratio.unwrap() - 0.5).abs() < 1e-6);
    let interval = c.interval.unwrap();
    assert!(interval.low < 0.5 && 0.5 < interval.high && interval.high < 1.0);
    assert!(c.smallest_detectable_ratio.unwrap() < 1.0);
    // 100 calls in about 0.55 s and 1.1 s.
    assert!((c.base.unwrap() - 182.0).abs() < 5.0, "{c:?}");
    assert!((c.candidate.unwrap() - 91.0).abs() < 3.0, "{c:?}");
    let j = judged(&slow.build(), &Fixture::new().build());
    assert_eq!(
        row(&j, CONCURRENT, Metric::Throughput).verdict,
        Verdict::Improved
    );
}
