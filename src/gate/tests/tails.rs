//! Tail figures: when they gate, and what watches them when they do not.

use super::*;
use crate::{
    gate::{
        alarmed_scenarios,
        guard::{Surroundings, guard},
        policy::{Machines, terms},
        rule::Evidence,
        test_support::{CONCURRENT, Fixture, SEQUENTIAL, times},
    },
    results::Phase,
};

/// Adjusted p95 of the sequential scenario swings between rounds by a factor of up to 9.
fn swinging(fixture: Fixture) -> Fixture {
    let mut round = 0_u32;
    fixture.samples(SEQUENTIAL, move |s| {
        let factor = 3_f64.powi(i32::try_from(round % 3).unwrap() - 1);
        round += 1;
        if let Some(p95) = s.adjusted.as_mut().and_then(|l| l.p95_ns.as_mut()) {
            *p95 = times(*p95, factor);
        }
    })
}

#[test]
fn a_tail_that_scatters_on_both_sides_guards_instead_of_gating() {
    let p95 = |base: Fixture, candidate: Fixture| {
        let j = judged(&base.build(), &candidate.build());
        let c = row(&j, SEQUENTIAL, Metric::LatencyP95Adjusted);
        (c.role, c.verdict)
    };
    let calm = Fixture::new;
    let calm_twenty = || Fixture::with_rounds(20);
    let wild = || swinging(calm());
    assert_eq!(p95(calm(), calm()), (Role::Gates, Verdict::Pass));
    assert_eq!(p95(wild(), wild()), (Role::Guards, Verdict::Pass));
    // A candidate that has become noisy has not left the gate.
    let (role, verdict) = p95(calm(), wild());
    assert_eq!((role, verdict), (Role::Gates, Verdict::Inconclusive));
    assert_eq!(p95(wild(), calm()).0, Role::Gates);
    let far_worse = swinging(calm_twenty()).slower(SEQUENTIAL, 12.0);
    assert_eq!(
        p95(swinging(calm_twenty()), far_worse),
        (Role::Guards, Verdict::Regressed)
    );
}

#[test]
fn p95_of_few_calls_guards_instead_of_gating() {
    for (calls, role) in [(100, Role::Gates), (99, Role::Guards), (20, Role::Guards)] {
        let few = || {
            Fixture::new().samples(SEQUENTIAL, |s| {
                s.calls = calls;
                s.successes = calls;
            })
        };
        let j = judged(&Fixture::new().build(), &few().build());
        let c = row(&j, SEQUENTIAL, Metric::LatencyP95Adjusted);
        assert_eq!((c.role, c.verdict), (role, Verdict::Pass), "{calls}: {c:?}");
    }
}

#[test]
fn a_failed_call_does_not_take_p95_out_of_the_gate() {
    let slow_tail = || {
        Fixture::new().samples(SEQUENTIAL, |s| {
            for l in [&mut s.wall, &mut s.adjusted].into_iter().flatten() {
                l.p95_ns = l.p95_ns.map(|v| times(v, 1.7));
            }
        })
    };
    let once = |f: Fixture| f.errors(SEQUENTIAL, 1).build();
    let each_round = |f: Fixture| f.samples(SEQUENTIAL, |s| s.successes = 99).build();
    let cut_short = |f: Fixture| {
        f.rounds(|r| {
            if r.index == 9 {
                let sample = r.scenarios.get_mut(SEQUENTIAL).unwrap();
                (sample.calls, sample.successes) = (40, 40);
            }
        })
        .build()
    };
    for (base, candidate) in [
        (Fixture::new().build(), once(slow_tail())),
        (once(Fixture::new()), slow_tail().build()),
        (each_round(Fixture::new()), each_round(slow_tail())),
        (Fixture::new().build(), cut_short(slow_tail())),
    ] {
        let j = judged(&base, &candidate);
        let c = row(&j, SEQUENTIAL, Metric::LatencyP95Adjusted);
        assert_eq!(
            (c.role, c.verdict),
            (Role::Gates, Verdict::Regressed),
            "{c:?}"
        );
    }
}

/// Ten rounds around 10 ms x `factor` that scatter by about `spread`.
fn scattering(factor: f64, spread: f64) -> Vec<f64> {
    [
        0.12, -1.45, 0.64, -0.12, 1.45, -0.64, 0.37, -0.95, 0.95, -0.37,
    ]
    .map(|z: f64| 1e7 * factor * (spread * z).exp())
    .to_vec()
}

#[test]
fn only_what_no_rounds_can_resolve_leaves_the_gate() {
    let evidence = |base: Vec<Vec<f64>>, candidate: Vec<f64>| Evidence {
        base,
        measure: vec![candidate],
        confirm: vec![Vec::new()],
        pairs: None,
    };
    let wild = || scattering(1.0, 0.4);
    let calm = || scattering(1.0, 0.1);
    for (base, candidate, tolerance, expected) in [
        (vec![wild()], wild(), 0.2, true),
        (vec![wild()], calm(), 0.2, false),
        (vec![calm()], wild(), 0.2, false),
        // Who asks for more does not get less.
        (vec![calm()], calm(), 0.02, false),
        // Who asks for less can have it.
        (vec![wild()], wild(), 1.0, false),
        // Jobs that differ are no scatter of rounds.
        (
            [0.5, 1.0, 2.0].map(|level| scattering(level, 0.1)).to_vec(),
            wild(),
            0.2,
            false,
        ),
        (
            [0.5, 1.0, 2.0].map(|level| scattering(level, 0.4)).to_vec(),
            wild(),
            0.2,
            true,
        ),
        // Too little is known.
        (vec![wild()], vec![1e7, 9e7], 0.2, false),
        (vec![], wild(), 0.2, false),
    ] {
        let evidence = evidence(base, candidate);
        assert_eq!(
            evidence.is_unresolvable(tolerance),
            expected,
            "{evidence:?} {tolerance}"
        );
    }
}

#[test]
fn a_guard_in_place_of_a_gate_is_heard_sooner() {
    let terms = |metric| terms(metric, &GateConfig::default(), Machines::SameClass, 0.0);
    let verdict = |metric, candidate: Vec<f64>, fresh: Vec<f64>, load_rise: f64| {
        let evidence = Evidence {
            base: vec![scattering(1.0, 0.4)],
            measure: vec![candidate],
            confirm: vec![fresh],
            pairs: None,
        };
        let around = Surroundings {
            load_rise: Some(load_rise),
            gate_regressed: false,
            must_confirm: false,
        };
        let (verdict, reason, _) = guard(metric, &evidence, &terms(metric), around);
        (verdict, reason)
    };
    let tails = [Metric::LatencyP95Adjusted, Metric::Throughput];
    for (metric, beside_a_gate) in tails
        .map(|m| (m, false))
        .into_iter()
        .chain([(Metric::LatencyP95, true)])
    {
        let alone = |factor| verdict(metric, scattering(factor, 0.4), vec![], 0.0).0;
        assert_eq!(alone(1.0), Verdict::Pass, "{metric}");
        // The lower bound at an error of 1 % says worse, the one at 0.1 % does not.
        let expected = if beside_a_gate {
            Verdict::Pass
        } else {
            Verdict::Inconclusive
        };
        assert_eq!(alone(1.95), expected, "{metric}");
        assert_eq!(alone(8.0), Verdict::Regressed, "{metric}");
    }
    for metric in tails {
        let (verdict, reason) = verdict(metric, scattering(1.95, 0.4), vec![], 0.6);
        assert_eq!(verdict, Verdict::Inconclusive, "{metric}");
        assert!(reason.contains("other processes"), "{reason}");
    }
    // As for the gate: load does not double what is left without the waits.
    let doubled = |metric| verdict(metric, scattering(8.0, 0.4), vec![], 0.6).0;
    assert_eq!(doubled(Metric::LatencyP95Adjusted), Verdict::Regressed);
    assert_eq!(doubled(Metric::Throughput), Verdict::Inconclusive);
    // Fresh rounds clear it where they bring the whole back to the base's level…
    let clear = scattering(1.0, 0.4);
    let cleared = verdict(tails[0], scattering(1.95, 0.4), clear, 0.0);
    assert_eq!(cleared.0, Verdict::Pass, "{}", cleared.1);
    // …and not where they are only too few or too wild to confirm.
    let wild = vec![0.9e7, 2.6e7, 6e7];
    for (metric, load_rise, expected) in [
        (tails[0], 0.0, Verdict::Inconclusive),
        (tails[0], 0.6, Verdict::Inconclusive),
        (Metric::LatencyP95, 0.0, Verdict::Inconclusive),
        (Metric::LatencyP95, 0.6, Verdict::Pass),
    ] {
        let got = verdict(metric, scattering(2.6, 0.4), wild.clone(), load_rise);
        assert_eq!(got.0, expected, "{metric} {load_rise}: {}", got.1);
    }
}

#[test]
fn a_suspicion_asks_for_fresh_rounds() {
    let wild = |factor: f64, fresh: u32| {
        let spread = |f: Fixture| {
            let mut i = 0;
            f.samples(SEQUENTIAL, move |s| {
                let figures = scattering(1.0, 0.4);
                let figure = figures[i % figures.len()] / 1e7;
                i += 1;
                if let Some(p95) = s.adjusted.as_mut().and_then(|l| l.p95_ns.as_mut()) {
                    *p95 = times(*p95, figure);
                }
            })
        };
        spread(Fixture::new().confirm(fresh)).phase(Phase::Measure, |r| {
            let sample = r.scenarios.get_mut(SEQUENTIAL).unwrap();
            if let Some(p95) = sample.adjusted.as_mut().and_then(|l| l.p95_ns.as_mut()) {
                *p95 = times(*p95, factor);
            }
        })
    };
    let base = wild(1.0, 0).build();
    let j = judged(&base, &wild(1.95, 0).build());
    let c = row(&j, SEQUENTIAL, Metric::LatencyP95Adjusted);
    assert_eq!(
        (c.role, c.verdict),
        (Role::Guards, Verdict::Inconclusive),
        "{c:?}"
    );
    assert_eq!(j.verdict, Verdict::Inconclusive);
    assert!(alarmed_scenarios(&j).contains(SEQUENTIAL));
    assert!(!alarmed_scenarios(&j).contains(CONCURRENT));
    let j = judged(&base, &wild(1.95, 5).build());
    assert_eq!(j.verdict, Verdict::Pass, "{:?}", not_passed(&j));
}
