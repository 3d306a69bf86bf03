//! Wall time and CPU beside the latency that gates.

use super::*;
use crate::{
    gate::{
        alarmed_scenarios,
        test_support::{CONCURRENT, Fixture, SEQUENTIAL, scale_latency, times},
    },
    results::Phase,
};

/// Wall time of the sequential scenario alone is multiplied.
fn wall(factor: f64) -> Fixture {
    Fixture::new().samples(SEQUENTIAL, |s| {
        if let Some(l) = &mut s.wall {
            scale_latency(l, factor);
        }
    })
}

fn load(f: Fixture, cores: f64) -> Results {
    f.rounds(|r| r.outside_load_cores = Some(cores)).build()
}

#[test]
fn wall_time_that_rises_alone_is_never_a_pass() {
    for (factor, p50, overall) in [
        (1.05, Verdict::Pass, Verdict::Pass),
        (1.5, Verdict::Inconclusive, Verdict::Inconclusive),
        (2.6, Verdict::Regressed, Verdict::Regressed),
        (0.3, Verdict::Improved, Verdict::Pass),
    ] {
        let j = judged(&Fixture::new().build(), &wall(factor).build());
        let c = row(&j, SEQUENTIAL, Metric::LatencyP50);
        assert_eq!(
            (c.role, c.verdict),
            (Role::Guards, p50),
            "x {factor}: {c:?}"
        );
        assert_eq!(j.verdict, overall, "x {factor}: {:?}", not_passed(&j));
        assert_eq!(
            row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted).verdict,
            Verdict::Pass
        );
    }
    let j = judged(&Fixture::new().build(), &wall(1.5).build());
    assert_eq!(
        row(&j, SEQUENTIAL, Metric::LatencyP50).reason,
        "wall time rose though latency less scheduler wait did not, and no outside load explains it"
    );
    assert!(alarmed_scenarios(&j).contains(SEQUENTIAL));
}

#[test]
fn outside_load_explains_longer_wall_times() {
    for (factor, cores, expected) in [
        (1.5, 0.10, Verdict::Inconclusive),
        (1.5, 0.60, Verdict::Pass),
        // Twice the wall time is too much to explain away, and too little to blame on the server.
        (2.6, 0.60, Verdict::Inconclusive),
        (2.6, 0.10, Verdict::Regressed),
    ] {
        let j = judged(&Fixture::new().build(), &load(wall(factor), cores));
        let c = row(&j, SEQUENTIAL, Metric::LatencyP50);
        assert_eq!(c.verdict, expected, "x {factor}, {cores} cores: {c:?}");
        assert_eq!(j.verdict, expected);
        if cores > 0.5 {
            assert!(c.reason.contains("other processes"), "{}", c.reason);
        }
    }
    // Unknown load explains nothing.
    let unknown = wall(1.5).rounds(|r| r.outside_load_cores = None).build();
    assert_eq!(
        judged(&Fixture::new().build(), &unknown).verdict,
        Verdict::Inconclusive
    );
    // A load that fell explains nothing either.
    let j = judged(&load(Fixture::new(), 0.9), &load(wall(1.5), 0.1));
    assert_eq!(j.verdict, Verdict::Inconclusive);
    // The load must have risen: the same load on both sides explains nothing.
    let j = judged(&load(Fixture::new(), 0.6), &load(wall(1.5), 0.6));
    assert_eq!(j.verdict, Verdict::Inconclusive);
}

#[test]
fn cpu_time_that_rises_alone_is_inconclusive_whatever_its_size() {
    for (factor, cores, expected) in [
        (1.05, 0.02, Verdict::Pass),
        (1.5, 0.02, Verdict::Inconclusive),
        (9.0, 0.02, Verdict::Inconclusive),
        // Cores share caches and execution units.
        (1.5, 0.90, Verdict::Pass),
        (9.0, 0.90, Verdict::Inconclusive),
        (0.2, 0.02, Verdict::Pass),
    ] {
        let hungry = Fixture::new().samples(SEQUENTIAL, |s| {
            s.cpu_per_call_ns = s.cpu_per_call_ns.map(|v| times(v, factor));
        });
        let j = judged(&Fixture::new().build(), &load(hungry, cores));
        let c = row(&j, SEQUENTIAL, Metric::CpuPerCall);
        assert_eq!(
            (c.role, c.verdict),
            (Role::Guards, expected),
            "x {factor}: {c:?}"
        );
        assert_eq!(c.smallest_detectable_ratio, None);
        assert_eq!(j.verdict, expected);
    }
    let blind = Fixture::new().samples(SEQUENTIAL, |s| s.cpu_per_call_ns = None);
    let j = judged(&Fixture::new().build(), &blind.build());
    assert!(!has_row(&j, SEQUENTIAL, Metric::CpuPerCall));
    assert_eq!(j.verdict, Verdict::Pass);
}

#[test]
fn beside_a_regressed_gate_a_guard_only_agrees() {
    let j = judged(
        &Fixture::new().build(),
        &Fixture::new().slower(SEQUENTIAL, 1.6).build(),
    );
    let c = row(&j, SEQUENTIAL, Metric::LatencyP50);
    assert_eq!(
        (c.verdict, c.reason.as_str()),
        (
            Verdict::Inconclusive,
            "worse too, but as a guard it fails alone only at a confirmed doubling"
        )
    );
}

#[test]
fn a_guard_needs_its_doubling_confirmed() {
    let base = Fixture::new().build();
    let run = |planned: f64, fresh: f64| {
        let f = wall(planned).confirm(6).phase(Phase::Confirm, |r| {
            let s = r.scenarios.get_mut(SEQUENTIAL).unwrap();
            if let Some(l) = &mut s.wall {
                scale_latency(l, fresh);
            }
        });
        judged(&base, &f.build())
    };
    for (planned, fresh, expected, words) in [
        (2.8, 2.8, Verdict::Regressed, "confirmed by 6 fresh rounds"),
        (2.8, 1.6, Verdict::Inconclusive, "wall time rose"),
        (
            2.8,
            1.0,
            Verdict::Pass,
            "worse in the planned rounds, not so in 6 fresh ones",
        ),
        (
            1.6,
            1.0,
            Verdict::Pass,
            "worse in the planned rounds, not so in 6 fresh ones",
        ),
        (1.6, 1.6, Verdict::Inconclusive, "wall time rose"),
    ] {
        let j = run(planned, fresh);
        let c = row(&j, SEQUENTIAL, Metric::LatencyP50);
        assert_eq!(c.verdict, expected, "{planned} {fresh}: {c:?}");
        assert!(c.reason.contains(words), "{}", c.reason);
    }
}

#[test]
fn concurrent_p95_guards() {
    let tail = |factor: f64| {
        Fixture::new()
            .samples(CONCURRENT, |s| {
                if let Some(l) = &mut s.wall {
                    l.p95_ns = l.p95_ns.map(|v| times(v, factor));
                }
            })
            .build()
    };
    for (factor, expected) in [
        (1.1, Verdict::Pass),
        (1.9, Verdict::Inconclusive),
        (4.0, Verdict::Regressed),
    ] {
        let j = judged(&Fixture::new().build(), &tail(factor));
        let c = row(&j, CONCURRENT, Metric::LatencyP95);
        assert_eq!(
            (c.role, c.verdict),
            (Role::Guards, expected),
            "x {factor}: {c:?}"
        );
        assert_eq!(j.verdict, expected);
    }
    assert_eq!(
        row(
            &judged(&Fixture::new().build(), &tail(1.9)),
            CONCURRENT,
            Metric::LatencyP95
        )
        .reason,
        "rose though the metrics that gate did not, and no outside load explains it"
    );
}

#[test]
fn a_doubling_that_noise_could_explain_does_not_fail() {
    let scattered = |spread: f64| {
        let mut i = 0;
        wall(2.6).samples(SEQUENTIAL, |s| {
            i += 1;
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            if let Some(l) = &mut s.wall {
                scale_latency(l, (sign * spread).exp());
            }
        })
    };
    let mut seen = [0, 0];
    for percent in 0..60 {
        let candidate = scattered(f64::from(percent) / 100.0).build();
        let j = judged(&Fixture::new().build(), &candidate);
        let c = row(&j, SEQUENTIAL, Metric::LatencyP50);
        let low = c.interval.unwrap().low;
        assert!(c.ratio.unwrap() > 2.0);
        // A lower bound above the ordinary 5 % is not enough for a guard.
        if low > 1.2 {
            seen[0] += 1;
            assert_eq!(c.verdict, Verdict::Regressed, "{c:?}");
        } else if low > 1.05 {
            seen[1] += 1;
            assert_eq!(c.verdict, Verdict::Inconclusive, "{c:?}");
        } else {
            assert_eq!(c.verdict, Verdict::Pass, "{c:?}");
        }
    }
    assert!(seen[0] > 3 && seen[1] > 3, "{seen:?}");
}

#[test]
fn a_guard_too_noisy_to_speak_passes_without_boasting() {
    let noisy = |seed: usize| {
        let mut i = seed;
        wall(1.0)
            .samples(SEQUENTIAL, |s| {
                i += 1;
                let factor = [0.4, 1.1, 2.2, 0.8, 1.5, 0.6, 1.0, 1.9, 0.5, 1.3][i % 10];
                if let Some(l) = &mut s.wall {
                    scale_latency(l, factor);
                }
            })
            .build()
    };
    let j = judged(&noisy(0), &noisy(3));
    let c = row(&j, SEQUENTIAL, Metric::LatencyP50);
    assert_eq!(
        (c.verdict, c.reason.as_str()),
        (
            Verdict::Pass,
            "no sure sign of a change; too noisy to gate at the tolerance"
        )
    );
    assert!(c.smallest_detectable_ratio.unwrap() > 3.0);
    assert_eq!(j.verdict, Verdict::Pass, "{:?}", not_passed(&j));
}

#[test]
fn what_gates_does_not_blame_the_server_for_the_load_of_others() {
    let base = Fixture::new().build();
    for (scenario, metric, factor, cores, expected) in [
        (
            CONCURRENT,
            Metric::LatencyP50,
            1.6,
            0.10,
            Verdict::Regressed,
        ),
        (
            CONCURRENT,
            Metric::LatencyP50,
            1.6,
            0.60,
            Verdict::Inconclusive,
        ),
        (
            CONCURRENT,
            Metric::Throughput,
            1.6,
            0.60,
            Verdict::Inconclusive,
        ),
        (
            CONCURRENT,
            Metric::LatencyP50,
            3.0,
            0.60,
            Verdict::Inconclusive,
        ),
        (
            SEQUENTIAL,
            Metric::LatencyP50Adjusted,
            1.6,
            0.60,
            Verdict::Inconclusive,
        ),
        // Load inflates what is left without the waits, but does not double it.
        (
            SEQUENTIAL,
            Metric::LatencyP50Adjusted,
            3.0,
            0.60,
            Verdict::Regressed,
        ),
        // Better on a busier machine is better all the more.
        (CONCURRENT, Metric::LatencyP50, 0.5, 0.60, Verdict::Improved),
    ] {
        let j = judged(&base, &load(Fixture::new().slower(scenario, factor), cores));
        let c = row(&j, scenario, metric);
        assert_eq!(
            (c.role, c.verdict),
            (Role::Gates, expected),
            "x {factor}, {cores} cores: {c:?}"
        );
    }
    let calmer = load(Fixture::new().slower(CONCURRENT, 0.5), 0.0);
    let j = judged(&load(Fixture::new(), 0.6), &calmer);
    assert_eq!(
        row(&j, CONCURRENT, Metric::LatencyP50).verdict,
        Verdict::Pass
    );
    // Memory is no time.
    let mut bigger = load(Fixture::new(), 0.6);
    for round in &mut bigger.jobs[0].rounds {
        round.peak_memory_bytes = round.peak_memory_bytes.map(|b| times(b, 2.0));
    }
    assert_eq!(judged(&base, &bigger).verdict, Verdict::Regressed);
}
