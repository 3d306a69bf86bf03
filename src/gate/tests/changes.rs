//! What a change of each size and kind is called.

use super::*;
use crate::{
    gate::{
        alarmed_scenarios,
        test_support::{
            CONCURRENT, Fixture, SEQUENTIAL, SOAK, add_fresh_soaks, scale_latency, scale_sample,
            times,
        },
        undecided_scenarios,
    },
    results::{Measure, Phase},
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
        (1.15, Verdict::Inconclusive),
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
    // 10 ms: times 1.6 is 6 ms more.
    let slower = Fixture::new().slower(SEQUENTIAL, 1.6).build();
    let mut policy = GateConfig::default();
    for (floor_ms, expected) in [
        (1, Verdict::Regressed),
        (7, Verdict::Inconclusive),
        (40, Verdict::Pass),
    ] {
        policy.floor.latency_p50 = Duration::from_millis(floor_ms);
        policy.floor.latency_p95 = Duration::from_millis(floor_ms * 2);
        let j = judge(&Fixture::new().build(), &slower, &policy);
        let c = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted);
        assert_eq!(c.verdict, expected, "floor {floor_ms} ms: {c:?}");
        assert!(
            floor_ms == 1 || c.reason.contains(&format!("floor of {floor_ms}ms")),
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
        assert!(undecided_scenarios(&j).contains(SEQUENTIAL));
        assert!(undecided_scenarios(&j).contains("server"));
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
    // Fresh rounds alone never make a regression of what the planned ones did not alarm on.
    let c = run(1.0, 3.0, 8);
    let c = row(&c, SEQUENTIAL, Metric::LatencyP50Adjusted);
    assert_eq!(c.verdict, Verdict::Inconclusive, "{c:?}");
}

#[test]
fn a_fresh_round_that_ran_less_says_nothing_about_memory() {
    let heavier = Fixture::new()
        .rounds(|r| r.peak_memory_bytes = r.peak_memory_bytes.map(|v| times(v, 1.5)))
        .confirm(5)
        .phase(Phase::Confirm, |r| {
            r.scenarios.retain(|name, _| name == SEQUENTIAL);
            r.peak_memory_bytes = r.peak_memory_bytes.map(|v| times(v, 0.5));
        });
    let j = judged(&Fixture::new().build(), &heavier.build());
    let c = row(&j, "server", Metric::PeakMemory);
    assert_eq!(
        (c.verdict, c.candidate_rounds),
        (Verdict::Regressed, 10),
        "{c:?}"
    );
    assert!(c.reason.contains("not confirmed by fresh rounds"));
    assert!(alarmed_scenarios(&j).contains("server"));
}

#[test]
fn start_up_and_memory() {
    let scaled = |startup: f64, memory: f64| {
        Fixture::new()
            .rounds(|r| {
                r.startup_ns = r.startup_ns.map(|v| times(v, startup));
                r.startup_adjusted_ns = r.startup_adjusted_ns.map(|v| times(v, startup));
                r.peak_memory_bytes = r.peak_memory_bytes.map(|v| times(v, memory));
            })
            .build()
    };
    let base = Fixture::new().build();
    for (startup, memory, metric, expected) in [
        (1.0, 1.5, Metric::PeakMemory, Verdict::Regressed),
        (1.0, 1.25, Metric::PeakMemory, Verdict::Regressed),
        (1.0, 1.08, Metric::PeakMemory, Verdict::Pass),
        (1.0, 0.5, Metric::PeakMemory, Verdict::Improved),
        (2.0, 1.0, Metric::StartupAdjusted, Verdict::Regressed),
        (2.5, 1.0, Metric::Startup, Verdict::Regressed),
        (0.5, 1.0, Metric::StartupAdjusted, Verdict::Improved),
    ] {
        let j = judged(&base, &scaled(startup, memory));
        assert_eq!(
            row(&j, "server", metric).verdict,
            expected,
            "{startup} {memory}"
        );
    }
}

#[test]
fn memory_that_was_not_measured_is_said_and_fails_nothing() {
    let why = "the server runs in a container";
    let blind = Fixture::new()
        .rounds(|r| r.peak_memory_bytes = None)
        .jobs(|j| {
            j.memory_measure = Measure::NotMeasured(why.to_owned());
            for s in &mut j.soaks {
                s.scenarios
                    .values_mut()
                    .for_each(|s| s.growth_bytes_per_call = None);
            }
        })
        .build();
    let seen = Fixture::new().build();
    for (base, candidate, words, noted) in [
        (
            &seen,
            &blind,
            "not measured: the server runs in a container",
            true,
        ),
        (
            &blind,
            &seen,
            "not measured in the baseline: the server runs in a container",
            true,
        ),
        (
            &blind,
            &blind,
            "not measured: the server runs in a container",
            false,
        ),
    ] {
        let j = judged(base, candidate);
        for (scenario, metric) in [("server", Metric::PeakMemory), (SOAK, Metric::MemoryGrowth)] {
            let c = row(&j, scenario, metric);
            assert_eq!(
                (c.verdict, c.reason.as_str()),
                (Verdict::NotMeasured, words)
            );
        }
        assert_eq!((j.verdict, j.exit_code), (Verdict::Pass, 0));
        assert_eq!(!findings(&j, Severity::Note).is_empty(), noted);
    }
    let other = Fixture::new()
        .jobs(|j| j.memory_measure = Measure::By("tree".to_owned()))
        .build();
    let j = judged(&seen, &other);
    assert_eq!(
        row(&j, "server", Metric::PeakMemory).reason,
        "measured by high-water mark in the baseline and by tree here"
    );
}

#[test]
fn memory_growth_is_compared_with_the_bases() {
    // Bytes per call; the floor is 5 MB per 1,000 calls, which is 5 kB per call.
    let cases: [(&[f64], &[f64], Verdict, &str); 10] = [
        (
            &[1e3, 2e3, 3e3],
            &[1e3, 2e3, 3e3],
            Verdict::Pass,
            "does not grow faster",
        ),
        (
            &[1e3, 2e3, 3e3],
            &[21e3, 22e3, 23e3],
            Verdict::Regressed,
            "not confirmed by fresh soaks",
        ),
        (
            &[21e3, 22e3, 23e3],
            &[1e3, 2e3, 3e3],
            Verdict::Improved,
            "grows slower",
        ),
        (
            &[30e3, 31e3, 29e3],
            &[32e3, 30e3, 33e3],
            Verdict::Pass,
            "does not grow faster",
        ),
        (
            &[1e3, 2e3, 3e3],
            &[4e3, 5e3, 6e3],
            Verdict::Pass,
            "does not grow faster",
        ),
        (
            &[1e3, 2e3, 9e3],
            &[8e3, 12e3, 13e3],
            Verdict::Inconclusive,
            "overlap",
        ),
        (
            &[1e3, 2e3],
            &[1e3, 2e3, 3e3],
            Verdict::NotMeasured,
            "needs 3 soaks on each side, had 2 and 3",
        ),
        (
            &[1e3, 2e3, 3e3],
            &[],
            Verdict::NotMeasured,
            "needs 3 soaks on each side, had 3 and 0",
        ),
        (
            &[-5e3, 0.0, 1e3],
            &[20e3, 21e3, 25e3],
            Verdict::Regressed,
            "grows faster",
        ),
        // One wild soak among six does not hide what the other five say.
        (
            &[1e3, 2e3, 3e3, 2e3, 1e3, 25e3],
            &[21e3, 22e3, 23e3, 24e3, 22e3, 26e3],
            Verdict::Regressed,
            "grows faster",
        ),
    ];
    for (base, candidate, expected, words) in cases {
        let j = judged(
            &Fixture::new().growth(base).build(),
            &Fixture::new().growth(candidate).build(),
        );
        let c = row(&j, SOAK, Metric::MemoryGrowth);
        assert_eq!(c.verdict, expected, "{base:?} {candidate:?} {c:?}");
        assert!(c.reason.contains(words), "{}", c.reason);
        assert_eq!((c.ratio, c.interval), (None, None));
    }
    let c = judged(
        &Fixture::new().growth(&[1e3, 2e3, 3e3]).build(),
        &Fixture::new().build(),
    );
    assert_eq!(row(&c, SOAK, Metric::MemoryGrowth).base, Some(2e6));
}

#[test]
fn memory_growth_needs_equal_calls_and_is_confirmed_by_fresh_soaks() {
    let longer = Fixture::new().with(|r| {
        r.suite.scenarios.last_mut().unwrap().calls = 5_000;
        for s in &mut r.jobs[0].soaks {
            s.scenarios.values_mut().for_each(|s| s.calls = 5_000);
        }
    });
    let j = judged(&Fixture::new().build(), &longer.build());
    let c = row(&j, SOAK, Metric::MemoryGrowth);
    assert_eq!(c.verdict, Verdict::Inconclusive);
    assert!(
        c.reason.contains("1400 calls, this one 5000"),
        "{}",
        c.reason
    );

    let cut_short = Fixture::new().with(|r| {
        r.jobs[0].soaks[1]
            .scenarios
            .values_mut()
            .for_each(|s| s.calls = 300);
    });
    let j = judged(&Fixture::new().build(), &cut_short.build());
    assert_eq!(
        row(&j, SOAK, Metric::MemoryGrowth).reason,
        "needs 3 soaks on each side, had 3 and 2; 1 ended before all their calls"
    );

    for (fresh, expected) in [
        (&[20e3, 21e3, 19e3], Verdict::Regressed),
        (&[2e3, 21e3, 1e3], Verdict::Inconclusive),
    ] {
        let leaking = Fixture::new()
            .growth(&[21e3, 22e3, 23e3])
            .with(|r| add_fresh_soaks(r, fresh));
        let j = judged(
            &Fixture::new().growth(&[1e3, 2e3, 3e3]).build(),
            &leaking.build(),
        );
        let c = row(&j, SOAK, Metric::MemoryGrowth);
        assert_eq!((c.verdict, c.candidate_rounds), (expected, 6));
        assert!(
            c.reason.contains("confirmed by 3 fresh soaks"),
            "{}",
            c.reason
        );
        assert_eq!(
            alarmed_scenarios(&j).contains(SOAK),
            expected == Verdict::Regressed
        );
    }
}

#[test]
fn error_rates_are_judged_with_both_intervals() {
    // 1,000 calls a side.
    for (base, candidate, expected) in [
        (0, 0, Verdict::Pass),
        (0, 1, Verdict::Pass),
        (1, 0, Verdict::Pass),
        (0, 2, Verdict::Pass),
        (0, 3, Verdict::Inconclusive),
        (0, 6, Verdict::Inconclusive),
        (0, 20, Verdict::Regressed),
        (20, 0, Verdict::Improved),
        (50, 52, Verdict::Pass),
        (50, 99, Verdict::Regressed),
    ] {
        let j = judged(
            &Fixture::new().errors(SEQUENTIAL, base).build(),
            &Fixture::new().errors(SEQUENTIAL, candidate).build(),
        );
        let c = row(&j, SEQUENTIAL, Metric::ErrorRate);
        assert_eq!(c.verdict, expected, "{base} {candidate} {c:?}");
        assert_eq!(c.candidate, Some(f64::from(candidate) / 1000.0));
        if candidate > 0 {
            assert!(
                c.reason.contains("; first error: tool-error: disk full"),
                "{}",
                c.reason
            );
        }
    }
    // Errors are not settled by the fresh rounds of the latency's confirmation.
    let j = judged(
        &Fixture::new().build(),
        &Fixture::new().errors(SEQUENTIAL, 50).build(),
    );
    assert!(!alarmed_scenarios(&j).contains(SEQUENTIAL));
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
