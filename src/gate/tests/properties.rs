//! What holds for every pair of results.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    gate::{
        alarmed_scenarios, gating_figures, judge_in_turn, judge_so_far,
        sequence::Sequence,
        test_support::{
            CONCURRENT, Fixture, SEQUENTIAL, SOAK, environment, scale_latency, scale_sample, times,
        },
        undecided_scenarios,
    },
    results::{Histogram, Job, Latency, Measure, Phase, Round, Sample, Soak, SoakSample},
    suite::{Floors, InconclusivePolicy},
};

/// Results whose every figure is drawn apart, within a factor of `spread` of the fixture's.
fn scattered(rounds: u32, spread: f64) -> impl Strategy<Value = Results> {
    let draws = prop::collection::vec(-1.0..1.0_f64, 200);
    (draws, -0.5..0.9_f64, -0.5..0.9_f64).prop_map(move |(draws, level, memory)| {
        let mut next = draws.into_iter().cycle();
        let mut factor = |level: f64| (level + spread * next.next().unwrap()).exp();
        Fixture::with_rounds(rounds)
            .rounds(|r| {
                for s in r.scenarios.values_mut() {
                    scale_sample(s, factor(level));
                    if let Some(l) = &mut s.wall {
                        scale_latency(l, factor(0.0));
                    }
                }
                r.startup_ns = r.startup_ns.map(|v| times(v, factor(level)));
                r.startup_adjusted_ns = r.startup_adjusted_ns.map(|v| times(v, factor(level)));
                r.peak_memory_bytes = r.peak_memory_bytes.map(|v| times(v, factor(memory)));
            })
            .jobs(|j| {
                for s in &mut j.soaks {
                    for s in s.scenarios.values_mut() {
                        s.growth_bytes_per_call = Some(20_000.0 * memory + 3_000.0 * factor(0.0));
                    }
                }
            })
            .build()
    })
}

/// Anything that the schema allows.
fn anything() -> impl Strategy<Value = Results> {
    let edge = || {
        prop_oneof![
            Just(0_u64),
            Just(1),
            Just(u64::MAX),
            any::<u64>(),
            1..10_000_000_u64
        ]
    };
    let count = || prop_oneof![Just(0_u32), Just(1), Just(u32::MAX), 0..200_u32];
    let latency =
        (edge(), prop::option::of(edge()), edge()).prop_map(|(p50_ns, p95_ns, max_ns)| Latency {
            p50_ns,
            p95_ns,
            p99_ns: None,
            max_ns,
        });
    let sample = (
        count(),
        count(),
        edge(),
        prop::option::of(latency.clone()),
        prop::option::of(latency),
        prop::option::of(edge()),
    )
        .prop_map(
            |(calls, successes, duration_ns, wall, adjusted, cpu_per_call_ns)| Sample {
                calls,
                successes,
                errors: BTreeMap::new(),
                duration_ns,
                wall,
                adjusted,
                first_byte: None,
                cpu_per_call_ns,
                delayed_last_bytes: successes,
                wall_histogram_ns: Histogram::of([0, duration_ns]),
                adjusted_histogram_ns: None,
                slow_calls: vec![(calls, u64::MAX), (0, 0)],
                client_cpu_ns: cpu_per_call_ns,
            },
        );
    let name = || {
        prop::sample::select(vec![
            "handshake",
            "list-tools",
            SEQUENTIAL,
            CONCURRENT,
            "other",
        ])
    };
    let phase = || prop_oneof![4 => Just(Phase::Measure), 1 => Just(Phase::Confirm)];
    let float = || {
        prop_oneof![
            Just(f64::NAN),
            Just(f64::INFINITY),
            any::<f64>(),
            0.0..2.0_f64
        ]
    };
    let round = (
        phase(),
        prop::option::of(edge()),
        prop::option::of(edge()),
        prop::option::of(edge()),
        prop::option::of(float()),
        prop::collection::btree_map(name(), sample, 0..5),
    )
        .prop_map(
            |(phase, startup_ns, startup_adjusted_ns, peak, load, scenarios)| Round {
                index: 0,
                phase,
                startup_ns,
                startup_adjusted_ns,
                peak_memory_bytes: peak,
                processes: None,
                memory_at_end: None,
                server_cpu_ns: None,
                server_wait_ns: None,
                client_cpu_ns: None,
                outside_load_cores: load,
                steal_cores: None,
                load_average: None,
                reference_work_ns: None,
                page_work_ns: None,
                scenarios: scenarios
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect(),
            },
        );
    let soak = (phase(), prop::option::of(float()), count(), count()).prop_map(
        |(phase, growth_bytes_per_call, calls, successes)| Soak {
            index: 0,
            phase,
            scenarios: BTreeMap::from([(
                SOAK.to_owned(),
                SoakSample {
                    calls: if calls == 1 { 1_400 } else { calls },
                    successes,
                    errors: BTreeMap::new(),
                    growth_bytes_per_call,
                    memory: Vec::new(),
                },
            )]),
        },
    );
    let job = (
        prop::collection::vec(round, 0..12),
        prop::collection::vec(soak, 0..6),
        any::<bool>(),
        0..4_u32,
    )
        .prop_map(|(rounds, soaks, measured, cores)| {
            let mut environment = environment();
            environment.cores = cores;
            Job {
                started_at: String::new(),
                commit: None,
                seed: 0,
                environment,
                memory_measure: if measured {
                    Measure::By("rss".to_owned())
                } else {
                    Measure::NotMeasured("no".to_owned())
                },
                adjusted_measure: Measure::By("schedstat".to_owned()),
                incomplete: None,
                rounds,
                soaks,
                loads: BTreeMap::new(),
                probes: Vec::new(),
                error_samples: BTreeMap::new(),
                notes: Vec::new(),
                in_turn: None,
            }
        });
    (prop::collection::vec(job, 0..5), 0..6_usize).prop_map(|(jobs, declared)| {
        Fixture::new()
            .with(|r| {
                r.jobs = jobs;
                r.suite.scenarios.truncate(declared);
            })
            .build()
    })
}

/// At a look, of two that were measured in turn.
fn so_far(base: &Results, candidate: &Results) -> Judgement {
    let sequence = Sequence::new(gating_figures(&candidate.suite), 15);
    judge_so_far(base, candidate, &GateConfig::default(), &sequence)
}

fn mirrored(v: Verdict) -> Verdict {
    match v {
        Verdict::Regressed => Verdict::Improved,
        Verdict::Improved => Verdict::Regressed,
        other => other,
    }
}

fn check_mirror(there: &Judgement, back: &Judgement) -> Result<(), TestCaseError> {
    prop_assert_eq!(there.comparisons.len(), back.comparisons.len());
    for (t, k) in there.comparisons.iter().zip(&back.comparisons) {
        prop_assert_eq!(
            (&t.scenario, t.metric, t.role),
            (&k.scenario, k.metric, k.role)
        );
        let decided = |v| matches!(v, Verdict::Regressed | Verdict::Improved);
        if decided(t.verdict) || decided(k.verdict) {
            prop_assert_eq!(t.verdict, mirrored(k.verdict), "{:?} {:?}", t, k);
        }
        if let (Some(x), Some(y)) = (t.ratio, k.ratio) {
            prop_assert!((x * y - 1.0).abs() < 1e-9);
        }
    }
    Ok(())
}

/// Every number that leaves the gate.
fn numbers(j: &Judgement) -> Vec<f64> {
    let rows = j.comparisons.iter().flat_map(|c| {
        [
            c.base,
            c.candidate,
            c.ratio,
            c.interval.map(|i| i.low),
            c.interval.map(|i| i.high),
            c.smallest_detectable_ratio,
            c.difference.map(|d| d.estimate),
            c.difference.and_then(|d| d.interval).map(|i| i.low),
            c.difference.and_then(|d| d.interval).map(|i| i.high),
            c.difference.and_then(|d| d.smallest_detectable),
            Some(c.tolerance),
        ]
    });
    let budgets = j.budgets.iter().flat_map(|b| [b.value, Some(b.limit)]);
    rows.chain(budgets).flatten().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn swapping_the_sides_mirrors_every_verdict(
        a in scattered(10, 0.1), b in scattered(10, 0.1),
    ) {
        check_mirror(&judged(&a, &b), &judged(&b, &a))?;
    }

    #[test]
    fn a_faster_machine_changes_no_verdict(
        a in scattered(8, 0.2), b in scattered(8, 0.2), k in 0_u32..4,
    ) {
        // Powers of two, so that whole nanoseconds stay exact.
        let factor = f64::from(1_u32 << k);
        let scaled = |r: &Results| {
            let mut r = r.clone();
            for round in r.jobs.iter_mut().flat_map(|j| j.rounds.iter_mut()) {
                round.scenarios.values_mut().for_each(|s| scale_sample(s, factor));
                round.startup_ns = round.startup_ns.map(|v| times(v, factor));
                round.startup_adjusted_ns = round.startup_adjusted_ns.map(|v| times(v, factor));
            }
            r
        };
        let plain = GateConfig::default();
        let longer = |d: Duration| d * (1 << k);
        let policy = GateConfig {
            floor: Floors {
                latency_p50: longer(plain.floor.latency_p50),
                latency_p95: longer(plain.floor.latency_p95),
                startup: longer(plain.floor.startup),
                ..plain.floor.clone()
            },
            ..plain.clone()
        };
        let (one, other) = (judge(&a, &b, &plain), judge(&scaled(&a), &scaled(&b), &policy));
        prop_assert_eq!(one.verdict, other.verdict);
        for (x, y) in one.comparisons.iter().zip(&other.comparisons) {
            prop_assert_eq!(x.verdict, y.verdict, "{:?} {:?}", x, y);
        }
    }

    #[test]
    fn swapping_arms_in_turn_mirrors_every_verdict(
        a in scattered(8, 0.1), b in scattered(8, 0.1),
    ) {
        check_mirror(&so_far(&a, &b), &so_far(&b, &a))?;
    }

    /// In the end, fresh pairs must confirm what is worse and need not confirm what is better, and the
    /// error of that is shared by the alarms of the one direction. So a regression is never anything bad
    /// when seen from the other side, and a gain never anything good.
    #[test]
    fn with_fresh_pairs_no_change_is_bad_or_good_both_ways(
        a in scattered(13, 0.1), b in scattered(13, 0.1),
    ) {
        let with_fresh = |r: &Results| {
            let mut r = r.clone();
            for round in r.jobs.iter_mut().flat_map(|job| job.rounds.iter_mut().skip(8)) {
                round.phase = Phase::Confirm;
            }
            r
        };
        let (a, b) = (with_fresh(&a), with_fresh(&b));
        let sequence = Sequence::new(gating_figures(&a.suite), 15);
        let judged = |base, candidate| judge_in_turn(base, candidate, &GateConfig::default(), &sequence);
        let (there, back) = (judged(&a, &b), judged(&b, &a));
        for (x, y) in there.comparisons.iter().zip(&back.comparisons) {
            prop_assert_eq!((&x.scenario, x.metric), (&y.scenario, y.metric));
            for (one, other) in [(x, y), (y, x)] {
                match one.verdict {
                    Verdict::Regressed => {
                        prop_assert!(matches!(other.verdict, Verdict::Improved | Verdict::Pass), "{:?} {:?}", x, y);
                    }
                    Verdict::Improved => {
                        prop_assert!(matches!(other.verdict, Verdict::Regressed | Verdict::Inconclusive), "{:?} {:?}", x, y);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Every pair a second time.
    #[test]
    fn more_of_the_same_pairs_never_make_a_pass_a_regression(
        a in scattered(8, 0.3), b in scattered(8, 0.3),
    ) {
        let twice = |r: &Results| {
            let mut r = r.clone();
            for job in &mut r.jobs {
                let again = job.rounds.clone();
                job.rounds.extend(again);
                for (index, round) in (0..).zip(&mut job.rounds) {
                    round.index = index;
                }
            }
            r
        };
        let (once, more) = (so_far(&a, &b), so_far(&twice(&a), &twice(&b)));
        for (x, y) in once.comparisons.iter().zip(&more.comparisons) {
            prop_assert_eq!((&x.scenario, x.metric), (&y.scenario, y.metric));
            // The pass of a guard may be that it knows nothing.
            if x.verdict == Verdict::Pass && x.role == Role::Gates && y.role == Role::Gates {
                prop_assert_ne!(y.verdict, Verdict::Regressed, "{:?} {:?}", x, y);
            }
        }
    }

    #[test]
    fn pairs_know_no_unit_of_time(a in scattered(8, 0.2), b in scattered(8, 0.2), k in 0_u32..4) {
        let factor = f64::from(1_u32 << k);
        let scaled = |r: &Results| {
            let mut r = r.clone();
            for round in r.jobs.iter_mut().flat_map(|j| j.rounds.iter_mut()) {
                round.scenarios.values_mut().for_each(|s| scale_sample(s, factor));
            }
            r
        };
        let (one, other) = (so_far(&a, &b), so_far(&scaled(&a), &scaled(&b)));
        for (x, y) in one.comparisons.iter().zip(&other.comparisons) {
            if let (Some(x), Some(y)) = (x.ratio, y.ratio) {
                prop_assert!((x / y - 1.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn slower_is_never_judged_better(a in scattered(6, 0.1), more in 0.0..2.0_f64) {
        let rank = |v: Verdict| match v {
            Verdict::Improved => 0,
            Verdict::Pass => 1,
            Verdict::Inconclusive => 2,
            Verdict::Regressed => 3,
            Verdict::NotMeasured => 4,
        };
        let base = Fixture::new().build();
        let slower = {
            let mut r = a.clone();
            for s in r.jobs.iter_mut().flat_map(|j| j.rounds.iter_mut()).flat_map(|r| r.scenarios.values_mut()) {
                scale_sample(s, more.exp());
            }
            r
        };
        let (j, k) = (judged(&base, &a), judged(&base, &slower));
        for metric in [Metric::LatencyP50Adjusted, Metric::LatencyP95Adjusted] {
            prop_assert!(
                rank(row(&j, SEQUENTIAL, metric).verdict) <= rank(row(&k, SEQUENTIAL, metric).verdict)
            );
        }
    }

    #[test]
    fn sides_that_lie_wholly_apart_are_never_a_pass(
        a in scattered(10, 0.6), b in scattered(10, 0.6), apart in 1.25..4.0_f64,
    ) {
        // The candidate's best round is worse than the base's worst by more than any tolerance.
        let figures = |r: &Results, of: fn(&Latency) -> u64| {
            let rounds = r.jobs[0].rounds.iter();
            rounds.map(|r| of(&r.scenarios[SEQUENTIAL].adjusted.unwrap())).collect::<Vec<_>>()
        };
        let overlap = [|l: &Latency| l.p50_ns, |l: &Latency| l.p95_ns.unwrap()]
            .map(|of| {
                let (base, candidate) = (figures(&a, of), figures(&b, of));
                *base.iter().max().unwrap() as f64 / *candidate.iter().min().unwrap() as f64
            })
            .into_iter()
            .fold(0.0, f64::max);
        let factor = overlap * apart;
        let mut worse = b.clone();
        for round in &mut worse.jobs[0].rounds {
            scale_sample(round.scenarios.get_mut(SEQUENTIAL).unwrap(), factor);
        }
        let j = judged(&a, &worse);
        for metric in [Metric::LatencyP50Adjusted, Metric::LatencyP95Adjusted] {
            let c = row(&j, SEQUENTIAL, metric);
            prop_assert!(matches!(c.verdict, Verdict::Regressed | Verdict::Inconclusive), "{:?}", c);
        }
        prop_assert!(matches!(j.verdict, Verdict::Regressed | Verdict::Inconclusive));
    }

    #[test]
    fn nothing_panics_and_every_number_is_finite(
        a in anything(), b in anything(),
        tolerance in prop_oneof![Just(0.0), Just(f64::NAN), Just(-1.0), Just(f64::INFINITY), 0.0..5.0_f64],
        limit in prop::option::of(0.0..1.0_f64),
    ) {
        let mut policy = GateConfig::default();
        policy.tolerance.latency_p50 = tolerance;
        policy.budget.error_rate = limit;
        policy.budget.latency_p95 = limit.map(Duration::from_secs_f64);
        policy.inconclusive = InconclusivePolicy::Fail;
        let sequence = Sequence::new(gating_figures(&b.suite), 15);
        for j in [
            judge(&a, &b, &policy),
            judge_alone(&b, &policy),
            judge_in_turn(&a, &b, &policy, &sequence),
        ] {
            for n in numbers(&j) {
                prop_assert!(n.is_finite(), "{} in {:#?}", n, j);
            }
            for c in &j.comparisons {
                prop_assert!(!c.reason.is_empty(), "{:?}", c);
                if let (Some(r), Some(i)) = (c.ratio, c.interval) {
                    prop_assert!(i.low <= r && r <= i.high, "{:?}", c);
                }
            }
            prop_assert!(matches!(j.exit_code, 0 | 1 | 3 | 4));
            // Exit 0 is for a pass, an improvement, or nothing but broken defaults.
            prop_assert!(j.exit_code != 0 || matches!(j.verdict, Verdict::Pass | Verdict::Improved));
            let _ = (alarmed_scenarios(&j), undecided_scenarios(&j));
        }
    }

    #[test]
    fn the_same_input_gives_the_same_judgement(a in anything(), b in anything()) {
        // Debug text, since figures that are not numbers never leave the gate.
        prop_assert_eq!(
            format!("{:?}", judged(&a, &b)),
            format!("{:?}", judged(&a, &b))
        );
    }

    #[test]
    fn histograms_decide_nothing(
        a in scattered(8, 0.2), b in scattered(8, 0.2), calls in prop::collection::vec(any::<u64>(), 0..20),
    ) {
        let with = |results: &Results| {
            let mut results = results.clone();
            for round in results.jobs.iter_mut().flat_map(|job| &mut job.rounds) {
                for sample in round.scenarios.values_mut() {
                    sample.wall_histogram_ns = Histogram::of(calls.iter().copied());
                    sample.adjusted_histogram_ns = Histogram::of(calls.iter().map(|ns| ns / 2));
                }
            }
            results
        };
        let without = judged(&a, &b);
        prop_assert_eq!(&judged(&with(&a), &with(&b)), &without);
        prop_assert_eq!(&judged(&a, &with(&b)), &without);
        prop_assert_eq!(so_far(&with(&a), &with(&b)), so_far(&a, &b));
    }

    #[test]
    fn results_never_regress_against_themselves(a in scattered(10, 0.4)) {
        let j = judged(&a, &a);
        prop_assert!(matches!(j.verdict, Verdict::Pass | Verdict::Inconclusive));
        prop_assert_eq!(j.exit_code, 0);
    }
}
