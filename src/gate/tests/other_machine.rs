//! On another class of machines: what stands out from all else that was measured.

use super::{simulation::Draw, *};
use crate::{
    gate::{
        alarmed_scenarios,
        other_machine::{Suite, Witness},
        policy::{Machines, terms},
        rule::{Call, Evidence, rule},
        test_support::{
            CONCURRENT, Fixture, SEQUENTIAL, record, scale_latency, scale_sample, times,
        },
    },
    results::{Phase, Round, Sample, ScenarioKind},
};

const WITNESSES: [&str; 2] = ["handshake", "list-tools"];

/// A server that computes, on the machine of the baseline, where fixed work takes a millisecond.
fn here() -> Fixture {
    Fixture::new().rounds(|r| {
        r.reference_work_ns = Some(1_000_000);
        for sample in r.scenarios.values_mut() {
            sample.cpu_per_call_ns = sample.cpu_per_call_ns.map(|ns| times(ns, 1.6));
        }
    })
}

/// On another one, where everything takes `machine` times as long, fixed work `work` times.
fn there(machine: f64, work: f64) -> Fixture {
    here()
        .jobs(|j| j.environment.cpu_model = "Model B".to_owned())
        .rounds(|r| {
            r.reference_work_ns = Some(times(1_000_000, work));
            r.scenarios
                .values_mut()
                .for_each(|s| scale_sample(s, machine));
        })
}

fn median(base: Fixture, candidate: Fixture) -> (Verdict, String) {
    let j = judged(&base.build(), &candidate.build());
    let row = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted);
    (row.verdict, row.reason.clone())
}

#[test]
fn a_tool_that_stands_out_from_all_else_is_told_from_the_machine() {
    use Verdict::{Improved, Inconclusive, Pass, Regressed};
    for (machine, work, tool, expected) in [
        // By itself a doubling would show 1.6 x, which another machine could be.
        (0.8, 0.8, 2.0, Regressed),
        (0.85, 0.85, 2.0, Regressed),
        // By itself it shows no more than the slower machine explains, and it does beside the others.
        (1.5, 1.5, 2.0, Regressed),
        // Nothing stands out.
        (1.0, 1.0, 1.0, Inconclusive),
        (1.7, 1.7, 1.0, Inconclusive),
        (0.6, 0.6, 1.0, Inconclusive),
        (1.0, 1.0, 1.4, Inconclusive),
        // Either witness may explain it.
        (1.0, 1.8, 1.75, Inconclusive),
        (1.8, 1.0, 1.0, Inconclusive),
        // The others got faster, and not the machine.
        (0.5, 1.0, 2.6, Inconclusive),
        // Nothing is better that is so beside the others alone.
        (1.25, 1.25, 0.5, Pass),
        (0.5, 1.0, 1.0, Improved),
        // The others got faster, and so did the machine a little; the tool did not.
        (0.5, 0.9, 2.5, Inconclusive),
    ] {
        let candidate = there(machine, work).slower(SEQUENTIAL, tool);
        let (verdict, reason) = median(here(), candidate);
        assert_eq!(verdict, expected, "{machine} {work} {tool}: {reason}");
    }
}

#[test]
fn the_row_says_what_else_was_measured() {
    let candidate = there(0.8, 0.8).slower(SEQUENTIAL, 2.0);
    assert_eq!(
        median(here(), candidate.clone()).1,
        "worse by more than the tolerance; not confirmed by fresh rounds; the machine explains at most 0.80x of it, by what else was measured"
    );
    assert_eq!(
        median(
            here(),
            candidate
                .clone()
                .confirm(5)
                .phase(Phase::Confirm, |r| slow(r, 0.8 * 2.0))
        )
        .1,
        "worse by more than the tolerance, confirmed by 5 fresh rounds; the machine explains at most 0.80x of it, by what else was measured"
    );
    // Fresh rounds of all scenarios, as after an alarm of the start-up, say nothing new of the machine.
    let (verdict, reason) = median(
        here(),
        candidate.clone().confirm(5).phase(Phase::Confirm, |r| {
            r.scenarios
                .values_mut()
                .for_each(|s| scale_sample(s, 0.8 * 2.0));
        }),
    );
    assert_eq!(verdict, Verdict::Regressed, "{reason}");
    assert!(reason.contains("at most 0.80x of it"), "{reason}");
    let dismissed = candidate.confirm(5).phase(Phase::Confirm, |r| slow(r, 0.8));
    let j = judged(&here().build(), &dismissed.build());
    let c = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted);
    assert_eq!(c.verdict, Verdict::Inconclusive);
    assert!(
        c.reason
            .starts_with("the alarm was not confirmed by 5 fresh rounds"),
        "{}",
        c.reason
    );
}

/// A fresh round of the tool alone, in which it takes `factor` times as long as on the machine of the
/// baseline.
fn slow(round: &mut Round, factor: f64) {
    round.scenarios.retain(|name, _| name == SEQUENTIAL);
    for sample in round.scenarios.values_mut() {
        scale_sample(sample, factor);
    }
}

#[test]
fn what_others_took_of_the_machine_excuses_such_an_alarm_as_any() {
    let loud = there(0.8, 0.8)
        .slower(SEQUENTIAL, 2.0)
        .rounds(|r| r.outside_load_cores = Some(0.5));
    assert_eq!(
        median(here(), loud),
        (
            Verdict::Inconclusive,
            "worse, but other processes took more of the machine than for the baseline: measure again on a quiet machine".to_owned()
        )
    );
}

#[test]
fn an_alarm_beside_the_others_is_to_be_confirmed() {
    let candidate = there(0.8, 0.8).slower(SEQUENTIAL, 2.0);
    let j = judged(&here().build(), &candidate.build());
    assert!(alarmed_scenarios(&j).contains(SEQUENTIAL));
}

#[test]
fn nothing_is_red_that_is_not_seen_slower() {
    // The machine gives half the time, and the tool takes it all: 1.15 times as long as before.
    let (verdict, reason) = median(here(), there(0.5, 0.5).slower(SEQUENTIAL, 2.3));
    assert_eq!(verdict, Verdict::Inconclusive, "{reason}");
}

#[test]
fn what_says_nothing_of_the_machine_is_no_witness() {
    let found = |base: Fixture, candidate: Fixture| median(base, candidate).0;
    let doubled = || there(0.8, 0.8).slower(SEQUENTIAL, 2.0);
    assert_eq!(found(here(), doubled()), Verdict::Regressed);
    // Where the machines do not tell how fast they are.
    let silent = |f: Fixture| f.rounds(|r| r.reference_work_ns = None);
    assert_eq!(found(silent(here()), doubled()), Verdict::Inconclusive);
    assert_eq!(found(here(), silent(doubled())), Verdict::Inconclusive);
    // Scenarios that wait; that are too short to be judged; that one side lacks.
    for change in [
        |f: Fixture, name: &str| {
            f.samples(name, |s| {
                s.cpu_per_call_ns = s.cpu_per_call_ns.map(|ns| ns / 2);
            })
        },
        |f: Fixture, name: &str| f.slower(name, 0.03),
        |f: Fixture, name: &str| {
            f.rounds(|r| {
                if r.index >= 2 {
                    r.scenarios.remove(name);
                }
            })
        },
        |f: Fixture, name: &str| {
            f.rounds(|r| {
                r.scenarios.remove(name);
            })
        },
    ] {
        let without = |f: Fixture| WITNESSES.into_iter().fold(f, change);
        assert_eq!(
            found(without(here()), without(doubled())),
            Verdict::Inconclusive
        );
    }
    // Scenarios of which something else is asked now, and another list of tools.
    let asked = |f: Fixture, name: &'static str| {
        f.with(move |r| {
            let mut records = r.suite.scenarios.iter_mut();
            let record = records.find(|record| record.name == name).unwrap();
            record.definition_hash = "another".to_owned();
        })
    };
    for name in WITNESSES {
        assert_eq!(found(here(), asked(doubled(), name)), Verdict::Inconclusive);
    }
    let listed = |f: Fixture| f.with(|r| r.server.tool_list_hash = "another".to_owned());
    assert_eq!(found(here(), listed(doubled())), Verdict::Inconclusive);
    // Machines that do not differ by their processor alone, or that the neighbours left alone.
    let larger = |f: Fixture| f.jobs(|j| j.environment.cores = 4);
    assert_eq!(found(here(), larger(doubled())), Verdict::Inconclusive);
    let filling =
        |f: Fixture, factor| f.rounds(|r| r.page_work_ns = Some(times(1_000_000, factor)));
    for (factor, expected) in [(0.8, Verdict::Regressed), (0.7, Verdict::Inconclusive)] {
        assert_eq!(
            found(filling(here(), 1.0), filling(doubled(), factor)),
            expected,
            "memory filled in {factor} times the time"
        );
    }
    // Nor is a tool weighed beside them that waits itself.
    let waits = |f: Fixture| f.samples(SEQUENTIAL, |s| s.cpu_per_call_ns = Some(1_000_000));
    assert_eq!(
        found(waits(here()), waits(doubled())),
        Verdict::Inconclusive
    );
    // Other calls of the same tool.
    let own = |f: Fixture| {
        f.with(|r| {
            for record in &mut r.suite.scenarios {
                record.tool = Some("search".to_owned());
            }
        })
    };
    assert_eq!(found(own(here()), own(doubled())), Verdict::Inconclusive);
}

/// The same server with a further tool, which takes as long as its list of tools.
fn with_a_further_tool(fixture: Fixture) -> Fixture {
    fixture
        .with(|results| {
            let mut further = record("fetch/sequential", ScenarioKind::Sequential, 100, 1);
            further.tool = Some("fetch".to_owned());
            results.suite.scenarios.push(further);
        })
        .rounds(|round| {
            let sample = round.scenarios.get("list-tools").cloned();
            round
                .scenarios
                .extend(sample.map(|sample| ("fetch/sequential".to_owned(), sample)));
        })
}

#[test]
fn the_servers_own_calls_are_better_witnesses_than_the_fixed_work() {
    use Verdict::{Inconclusive, Regressed};
    for (machine, work, tool, expected) in [
        // All that the server does got faster, and the fixed work did not show it.
        (0.85, Some(1.0), 2.0, Regressed),
        (0.8, Some(0.9), 2.0, Regressed),
        // It allows a machine that is a little faster, and no more: a change can make all else faster.
        (0.5, Some(1.0), 2.6, Inconclusive),
        (0.5, Some(0.6), 2.6, Regressed),
        // It may explain what is slower.
        (0.8, Some(1.3), 2.0, Inconclusive),
        // Where it is unknown, a change that makes all else faster is no faster machine.
        (0.8, None, 2.0, Inconclusive),
        (1.3, None, 2.0, Regressed),
    ] {
        let told = |f: Fixture, ns: Option<f64>| {
            with_a_further_tool(f).rounds(|r| {
                r.reference_work_ns = ns.map(|factor| times(1_000_000, factor));
            })
        };
        let base = told(here(), work.map(|_| 1.0));
        let candidate = told(there(machine, 1.0), work).slower(SEQUENTIAL, tool);
        let (verdict, reason) = median(base, candidate);
        assert_eq!(verdict, expected, "{machine} {work:?} {tool}: {reason}");
    }
}

#[test]
fn witnesses_that_are_apart_say_so() {
    // What is 1.6 times as slow and faster beside each other leaves room for anything.
    let candidate = there(0.8, 0.8)
        .slower("handshake", 1.6)
        .slower("list-tools", 0.6)
        .slower(SEQUENTIAL, 2.0);
    assert_eq!(median(here(), candidate).0, Verdict::Inconclusive);
}

#[test]
fn between_classes_many_jobs_of_one_class_tell_no_more_than_one() {
    let bounds = |base: &Results| {
        let j = judged(base, &there(1.0, 1.0).build());
        row(&j, SEQUENTIAL, Metric::LatencyP95Adjusted)
            .interval
            .unwrap()
    };
    let one = here().build();
    let five = |differ: bool| {
        let mut all = one.clone();
        for number in 0..4 {
            let mut job = one.jobs[0].clone();
            if differ {
                job.environment.cpu_model = format!("Model {number}");
            }
            all.jobs.push(job);
        }
        all
    };
    let width = |base: &Results| (bounds(base).high / bounds(base).low).ln();
    assert!(
        width(&five(false)) > 0.95 * width(&one),
        "{} {}",
        width(&five(false)),
        width(&one)
    );
    assert!(width(&five(true)) < 0.8 * width(&one));
}

#[test]
fn jobs_that_differ_are_no_scatter_of_rounds_on_another_class_either() {
    // Three jobs of one class whose tails differ by far; the rounds of each hardly scatter.
    let mut base = here().build();
    for factor in [0.4, 2.5] {
        let tail = |s: &mut Sample| scale_latency(s.adjusted.as_mut().unwrap(), factor);
        let other = here().samples(SEQUENTIAL, tail).build();
        base.jobs.extend(other.jobs);
    }
    let mut number = 0;
    let noisy = there(1.0, 1.0).samples(SEQUENTIAL, |s| {
        number += 1;
        let factor = if number % 2 == 0 { 0.6 } else { 1.7 };
        scale_latency(s.adjusted.as_mut().unwrap(), factor);
    });
    let j = judged(&base, &noisy.build());
    assert_eq!(
        row(&j, SEQUENTIAL, Metric::LatencyP95Adjusted).role,
        Role::Gates
    );
}

#[test]
fn what_could_have_been_seen_is_what_either_would_have_shown() {
    let smallest = |base: Fixture| {
        let j = judged(&base.build(), &there(1.0, 1.0).build());
        row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted)
            .smallest_detectable_ratio
            .unwrap()
    };
    let alone = smallest(here().rounds(|r| r.reference_work_ns = None));
    let beside_others = smallest(here());
    assert!(
        1.8 < beside_others && beside_others < alone,
        "{beside_others} {alone}"
    );
}

#[test]
fn the_bounds_hold_what_is_seen() {
    for (machine, tool) in [(0.6, 2.0), (0.6, 1.3), (1.6, 0.5), (1.0, 1.0)] {
        let j = judged(
            &here().build(),
            &there(machine, machine).slower(SEQUENTIAL, tool).build(),
        );
        for row in &j.comparisons {
            if let (Some(ratio), Some(bounds)) = (row.ratio, row.interval) {
                assert!((bounds.low..=bounds.high).contains(&ratio), "{row:?}");
            }
        }
    }
}

#[test]
fn machines_of_one_class_and_concurrent_calls_are_judged_by_themselves() {
    let same = here()
        .rounds(|r| {
            for s in r.scenarios.values_mut() {
                scale_sample(s, 0.8);
            }
        })
        .slower(SEQUENTIAL, 2.0);
    let j = judged(&here().build(), &same.build());
    assert!(!format!("{j:?}").contains("what else was measured"));
    let j = judged(
        &here().build(),
        &there(0.8, 0.8).slower(CONCURRENT, 2.0).build(),
    );
    assert_eq!(
        row(&j, CONCURRENT, Metric::LatencyP50).verdict,
        Verdict::Inconclusive
    );
}

/// Share of suites of `scenarios` unchanged tools of which one stands out, where two machines differ by
/// `common` in all of them and by `own` in each: standard deviations of the logarithm. The baseline is of
/// `classes` of machines.
fn stand_out(scenarios: usize, common: f64, own: f64, classes: u32, tells_speed: bool) -> f64 {
    const DRAWS: u32 = 2_000;
    let mut draw = Draw::seeded(11);
    let asked = Machines::OtherClass {
        several: false,
        slowness_ln: 0.0,
    };
    let asked = terms(Metric::LatencyP50, &GateConfig::default(), asked, 0.0);
    let apart = (1.0 + 1.0 / f64::from(classes)).sqrt();
    let mut wrong = 0_u32;
    for _ in 0..DRAWS {
        let machine = common * apart * draw.normal();
        let mut shift = || machine + own * apart * draw.normal();
        let suite = Suite {
            slowness_ln: tells_speed.then(&mut shift),
            disturbance_ln: 0.0,
            witnesses: (0..scenarios)
                .map(|i| Witness {
                    scenario: i.to_string(),
                    tool: Some(i.to_string()),
                    cpu_share: 1.0,
                    shift_ln: shift(),
                    of_classes: apart,
                })
                .collect(),
        };
        // What is not seen to be worse by the tolerance is not judged worse, and takes long to judge.
        let mut seen = suite
            .witnesses
            .iter()
            .filter(|witness| witness.shift_ln > asked.tolerance.ln_1p());
        wrong += u32::from(seen.any(|witness| {
            let terms = suite.effect_on(&witness.scenario).unwrap().terms(asked);
            // Rounds without any spread leave the margin to the machines.
            let evidence = Evidence {
                base: vec![vec![1e7; 10]],
                measure: vec![vec![1e7 * witness.shift_ln.exp(); 10]],
                confirm: vec![Vec::new()],
                pairs: None,
            };
            matches!(rule(&evidence, &terms).call, Call::Regressed { .. })
        }));
    }
    f64::from(wrong) / f64::from(DRAWS)
}

#[test]
fn an_unchanged_suite_stands_out_no_oftener_than_is_said() {
    // The error of a suite is 1 %: within its binomial error over the draws.
    let most = 0.01 + 3.0 * (0.01 * 0.99 / 2_000_f64).sqrt();
    for scenarios in [3, 5, 12] {
        for (common, own) in [
            (0.15, 0.0),
            (0.15, 0.05),
            (0.1, 0.1),
            (0.4, 0.1),
            (0.0, 0.15),
        ] {
            for (classes, tells_speed) in [(1, true), (1, false), (5, true)] {
                // Two others do without the fixed work.
                if scenarios == 3 && !tells_speed {
                    continue;
                }
                let share = stand_out(scenarios, common, own, classes, tells_speed);
                assert!(
                    share <= most,
                    "{scenarios} {common} {own} {classes} {tells_speed}: {share}"
                );
            }
        }
    }
    // Three times what is stated is learnt only by many.
    assert!(stand_out(12, 0.0, 0.3, 1, true) <= 2.0 * most);
    // Nor is the error so small that nothing could be seen.
    assert!(stand_out(3, 0.0, 0.3, 1, true) > most);
}
