//! How much evidence it takes: rounds, calls, jobs, fresh rounds.

use super::*;
use crate::{
    gate::{
        alarmed_scenarios,
        rule::{BetweenJobs, ByMachine, Evidence, Terms, rule},
        test_support::{Fixture, SEQUENTIAL, scale_latency, scale_sample},
        undecided_scenarios,
    },
    results::Phase,
};

#[test]
fn a_handful_of_rounds_is_not_enough_and_says_so() {
    for (b, c) in [(2, 10), (10, 2), (1, 1)] {
        let j = judged(
            &Fixture::with_rounds(b).build(),
            &Fixture::with_rounds(c).slower(SEQUENTIAL, 5.0).build(),
        );
        assert_eq!(j.verdict, Verdict::Inconclusive);
        let c5 = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted);
        assert_eq!(
            c5.reason,
            format!("needs at least 3 rounds on each side, had {b} and {c}")
        );
        assert!(
            alarmed_scenarios(&j).is_empty(),
            "{:?}",
            alarmed_scenarios(&j)
        );
        // More rounds of this run do not help a baseline of too few.
        assert_eq!(undecided_scenarios(&j).contains(SEQUENTIAL), b > 2);
        assert_eq!(undecided_scenarios(&j).contains("server"), b > 2);
    }
    let j = judged(
        &Fixture::with_rounds(3).build(),
        &Fixture::with_rounds(3).slower(SEQUENTIAL, 5.0).build(),
    );
    assert_eq!(j.verdict, Verdict::Regressed);
}

#[test]
fn p95_needs_calls() {
    let with_calls = |n: u32| {
        Fixture::new().samples(SEQUENTIAL, |s| {
            s.calls = n;
            s.successes = n;
            if n < 20 {
                for l in [&mut s.wall, &mut s.adjusted].into_iter().flatten() {
                    l.p95_ns = None;
                }
            }
        })
    };
    let j = judged(
        &with_calls(12).build(),
        &with_calls(12).slower(SEQUENTIAL, 4.0).build(),
    );
    for metric in [Metric::LatencyP95Adjusted, Metric::LatencyP95] {
        let c = row(&j, SEQUENTIAL, metric);
        assert_eq!(
            (c.role, c.verdict, c.reason.as_str()),
            (
                Role::Reported,
                Verdict::NotMeasured,
                "p95 needs 20 calls a round, had 12"
            )
        );
    }
    assert_eq!(
        row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted).verdict,
        Verdict::Regressed
    );
    for (calls, flagged) in [(20, true), (99, true), (100, false)] {
        let j = judged(&with_calls(calls).build(), &with_calls(calls).build());
        let reason = &row(&j, SEQUENTIAL, Metric::LatencyP95Adjusted).reason;
        assert_eq!(
            reason.contains(&format!(
                "with {calls} calls a round p95 rests on few of them"
            )),
            flagged,
            "{reason}"
        );
    }
}

#[test]
fn fresh_rounds_confirm_or_clear_an_alarm() {
    let base = Fixture::new().build();
    let run = |planned: f64, fresh: f64, rounds: u32| {
        let mut slow = Fixture::new().slower(SEQUENTIAL, planned).confirm(rounds);
        slow = slow.phase(Phase::Confirm, |r| {
            scale_sample(r.scenarios.get_mut(SEQUENTIAL).unwrap(), fresh);
        });
        judged(&base, &slow.build())
    };
    for (planned, fresh, rounds, expected, reason) in [
        (
            1.6,
            1.6,
            5,
            Verdict::Regressed,
            "worse by more than the tolerance, confirmed by 5 fresh rounds",
        ),
        (
            1.6,
            1.35,
            5,
            Verdict::Regressed,
            "worse by more than the tolerance, confirmed by 5 fresh rounds",
        ),
        (
            1.6,
            1.1,
            5,
            Verdict::Inconclusive,
            "the alarm was not confirmed by 5 fresh rounds",
        ),
        (
            1.6,
            1.6,
            2,
            Verdict::Inconclusive,
            "the alarm was not confirmed by 2 fresh rounds",
        ),
        (
            1.6,
            1.6,
            0,
            Verdict::Regressed,
            "worse by more than the tolerance; not confirmed by fresh rounds",
        ),
        (1.0, 1.0, 5, Verdict::Pass, "within the tolerance"),
    ] {
        let j = run(planned, fresh, rounds);
        let c = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted);
        assert_eq!((c.verdict, c.reason.as_str()), (expected, reason));
        assert_eq!(c.candidate_rounds, 10 + rounds as usize);
    }
    // An improvement that fresh rounds do not repeat is only no regression.
    for (fresh, expected) in [(0.6, Verdict::Improved), (1.0, Verdict::Pass)] {
        let j = run(0.6, fresh, 5);
        let c = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted);
        assert_eq!(c.verdict, expected, "{c:?}");
    }
    // Fresh rounds alone never make a regression of what the planned ones did not alarm on.
    let c = run(1.0, 3.0, 8);
    let c = row(&c, SEQUENTIAL, Metric::LatencyP50Adjusted);
    assert_eq!(c.verdict, Verdict::Inconclusive, "{c:?}");
}

#[test]
fn several_jobs_narrow_the_interval_when_they_agree_and_widen_it_when_not() {
    let several = |shifts: &[f64]| {
        let mut all = Fixture::new();
        all = all.with(|r| {
            let job = r.jobs[0].clone();
            r.jobs = shifts
                .iter()
                .map(|shift| {
                    let mut job = job.clone();
                    for round in &mut job.rounds {
                        for s in round.scenarios.values_mut() {
                            scale_sample(s, *shift);
                        }
                    }
                    job
                })
                .collect();
        });
        all.build()
    };
    let width = |base: &Results| {
        let j = judged(base, &Fixture::new().build());
        let i = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted)
            .interval
            .unwrap();
        (i.high / i.low).ln()
    };
    let (one, alike, apart) = (
        width(&several(&[1.0])),
        width(&several(&[1.0; 5])),
        width(&several(&[0.8, 0.9, 1.0, 1.1, 1.25])),
    );
    assert!(alike < 0.8 * one, "{alike} {one}");
    assert!(apart > one, "{apart} {one}");
}

#[test]
fn the_smallest_detectable_ratio_grows_with_the_noise() {
    let noisy = |factor: f64| {
        Fixture::new()
            .rounds(|r| {
                let shift = if r.index % 2 == 0 {
                    factor
                } else {
                    1.0 / factor
                };
                for s in r.scenarios.values_mut() {
                    for l in [&mut s.wall, &mut s.adjusted].into_iter().flatten() {
                        scale_latency(l, shift);
                    }
                }
            })
            .build()
    };
    let smallest = |factor: f64| {
        let j = judged(&noisy(factor), &noisy(factor));
        row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted)
            .smallest_detectable_ratio
            .unwrap()
    };
    let (quiet, loud) = (smallest(1.0), smallest(1.3));
    assert!(1.25 < quiet && quiet < 1.5, "{quiet}");
    assert!(loud > quiet + 0.3, "{loud}");
}

#[test]
fn fresh_rounds_that_scatter_confirm_nothing() {
    let mut i = 0;
    let slow = Fixture::new()
        .slower(SEQUENTIAL, 1.6)
        .confirm(4)
        .phase(Phase::Confirm, |r| {
            i += 1;
            let factor = [0.7, 3.0, 0.8, 3.5][i % 4];
            scale_sample(r.scenarios.get_mut(SEQUENTIAL).unwrap(), factor);
        });
    let j = judged(&Fixture::new().build(), &slow.build());
    let c = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted);
    assert_eq!(
        (c.verdict, c.reason.as_str()),
        (
            Verdict::Inconclusive,
            "the alarm was not confirmed by 4 fresh rounds"
        )
    );
}

#[test]
fn adjusted_latency_of_a_few_rounds_does_not_gate() {
    for (kept, gates) in [(4, false), (5, true), (10, true)] {
        let partly = Fixture::new().rounds(|r| {
            if r.index >= kept {
                r.scenarios.values_mut().for_each(|s| s.adjusted = None);
            }
        });
        let j = judged(&Fixture::new().build(), &partly.build());
        assert_eq!(
            has_row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted),
            gates,
            "{kept} of 10"
        );
    }
}

#[test]
fn the_margin_between_jobs_falls_with_their_number() {
    let terms = Terms {
        tolerance: 0.2,
        trivial: 0.05,
        floor: 0.0,
        between_jobs: BetweenJobs::Stated(0.04),
        pass_across_jobs: false,
        alpha: 0.001,
        pass_alpha: 0.05,
        confirm_alpha: 0.01,
        coarse: None,
        machine: ByMachine::default(),
    };
    // Rounds without any spread leave the margin to the jobs.
    let half_width = |base_jobs: usize, candidate_jobs: usize| {
        let evidence = Evidence {
            base: vec![vec![1e7; 10]; base_jobs],
            measure: vec![vec![1e7; 10]; candidate_jobs],
            confirm: vec![Vec::new(); candidate_jobs],
            pairs: None,
        };
        rule(&evidence, &terms).bounds.unwrap().1.ln()
    };
    let z = 3.090_232_306_167_813;
    for (k, m) in [(1, 1), (4, 1), (1, 4), (5, 5)] {
        let expected = z * 0.04 * (1.0 / k as f64 + 1.0 / m as f64).sqrt();
        let got = half_width(k, m);
        assert!((got - expected).abs() < 1e-9, "{k} {m}: {got} {expected}");
    }
}

#[test]
fn more_rounds_are_asked_for_only_where_they_could_decide() {
    let elsewhere = |f: Fixture| f.jobs(|j| j.environment.cpu_model = "Model B".to_owned());
    for (factor, here, there) in [
        (1.0, false, false),
        (1.18, true, false),
        (1.22, true, false),
        (1.26, true, false),
        // Alarms.
        (1.5, false, false),
        (3.0, false, false),
        // Just short of an alarm and of a pass on another class.
        (1.79, false, true),
        (0.855, false, true),
    ] {
        let slower = Fixture::new().slower(SEQUENTIAL, factor);
        let ask = |candidate: &Results| {
            let j = judged(&Fixture::new().build(), candidate);
            undecided_scenarios(&j).contains(SEQUENTIAL)
        };
        let got = (
            ask(&slower.clone().build()),
            ask(&elsewhere(slower).build()),
        );
        assert_eq!(got, (here, there), "x {factor}");
    }
    // Soaks are not measured again, nor can rounds make up for other work.
    let overlapping = Fixture::new().growth(&[1e3, 2e3, 30e3]);
    let j = judged(
        &overlapping.clone().build(),
        &overlapping.growth(&[8e3, 12e3, 40e3]).build(),
    );
    assert_eq!(j.verdict, Verdict::Inconclusive);
    assert!(undecided_scenarios(&j).is_empty());
}
