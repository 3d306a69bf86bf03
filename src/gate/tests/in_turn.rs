//! Base and candidate measured in turn: pairs of rounds decide.

use super::*;
use crate::{
    gate::{
        gating_figures, judge_in_turn, judge_so_far,
        sequence::Sequence,
        test_support::{
            CONCURRENT, Fixture, SEQUENTIAL, SOAK, add_fresh_soaks, scale_sample, times,
        },
        turns,
    },
    results::{Measure, Phase, Round},
};

pub(super) fn in_turn(base: Fixture, candidate: Fixture) -> Judgement {
    let (base, candidate) = (base.build(), candidate.build());
    let sequence = Sequence::new(gating_figures(&candidate.suite), 15);
    judge_in_turn(&base, &candidate, &GateConfig::default(), &sequence)
}

pub(super) fn so_far(base: Fixture, candidate: Fixture) -> Judgement {
    let (base, candidate) = (base.build(), candidate.build());
    let sequence = Sequence::new(gating_figures(&candidate.suite), 15);
    judge_so_far(&base, &candidate, &GateConfig::default(), &sequence)
}

/// A machine that becomes slower from round to round, up to three times.
fn drifting(round: &mut Round) {
    let factor = 1.0 + 0.3 * f64::from(round.index);
    for sample in round.scenarios.values_mut() {
        scale_sample(sample, factor);
    }
}

/// Every second round a little slower, so that pairs have a spread.
pub(super) fn uneven(fixture: Fixture) -> Fixture {
    fixture.rounds(|round| {
        let factor = if round.index % 2 == 0 { 1.02 } else { 0.98 };
        for sample in round.scenarios.values_mut() {
            scale_sample(sample, factor);
        }
    })
}

fn adjusted_p50(judgement: &Judgement) -> &Comparison {
    row(judgement, SEQUENTIAL, Metric::LatencyP50Adjusted)
}

#[test]
fn what_shifts_both_rounds_of_a_pair_is_no_noise() {
    let base = Fixture::with_rounds(8).rounds(drifting);
    let candidate = uneven(base.clone());
    let j = in_turn(base.clone(), candidate.clone());
    assert_eq!(j.verdict, Verdict::Pass, "{:#?}", not_passed(&j));
    let found = adjusted_p50(&j);
    let interval = found.interval.unwrap();
    assert!(interval.low > 0.9 && interval.high < 1.1, "{found:?}");
    // Two jobs with the same rounds, judged as such, are too noisy.
    let stored = judged(&base.build(), &candidate.build());
    assert_eq!(adjusted_p50(&stored).verdict, Verdict::Inconclusive);
}

#[test]
fn an_alarm_is_confirmed_by_fresh_pairs_alone() {
    let base = Fixture::with_rounds(8);
    let slow = |factor| uneven(base.clone()).slower(SEQUENTIAL, factor);
    let j = so_far(base.clone(), slow(1.5));
    let found = adjusted_p50(&j);
    assert_eq!(found.verdict, Verdict::Regressed);
    assert_eq!(
        found.reason,
        "worse by more than the tolerance; not confirmed by fresh rounds"
    );
    // To a look that is an alarm; as the last word it is none, nor is a doubling.
    for factor in [1.5, 2.5] {
        let j = in_turn(base.clone(), slow(factor));
        let found = adjusted_p50(&j);
        assert_eq!(found.verdict, Verdict::Inconclusive);
        assert_eq!(
            found.reason,
            "worse by more than the tolerance, but no fresh pairs confirmed it"
        );
        assert_eq!(j.verdict, Verdict::Inconclusive);
        assert_eq!(j.exit_code, crate::error::exit_code::OK);
    }
    let wall = row(
        &in_turn(base.clone(), slow(2.5)),
        SEQUENTIAL,
        Metric::LatencyP50,
    )
    .clone();
    assert_eq!(
        wall.reason,
        "at least doubled, but no fresh pairs confirmed it"
    );
    let fresh = base.clone().confirm(8);
    let confirmed = uneven(fresh.clone()).slower(SEQUENTIAL, 1.5);
    let j = in_turn(fresh.clone(), confirmed);
    assert_eq!(
        adjusted_p50(&j).reason,
        "worse by more than the tolerance, confirmed by 8 fresh rounds"
    );
    assert_eq!(j.verdict, Verdict::Regressed);
    let dismissed = uneven(fresh.clone()).phase(Phase::Measure, |round| {
        scale_sample(round.scenarios.get_mut(SEQUENTIAL).unwrap(), 1.5);
    });
    let j = in_turn(fresh, dismissed);
    let found = adjusted_p50(&j);
    assert_eq!(found.verdict, Verdict::Inconclusive);
    assert_eq!(
        found.reason,
        "the alarm was not confirmed by 8 fresh rounds"
    );
    // A change within the tolerance, and one for the better.
    assert_eq!(in_turn(base.clone(), slow(1.1)).verdict, Verdict::Pass);
    let j = in_turn(base.clone(), slow(0.5));
    assert_eq!(adjusted_p50(&j).verdict, Verdict::Improved);
    assert_eq!(j.verdict, Verdict::Improved, "{:#?}", not_passed(&j));
}

/// Both servers are slower while the fresh pairs are measured, as on a machine whose neighbour wakes up.
#[test]
fn a_slower_minute_hides_no_change_that_it_confirms() {
    for minute in [0.6, 1.0, 1.4, 1.69, 2.0] {
        let base = Fixture::with_rounds(8).confirm(8);
        let base = base.phase(Phase::Confirm, |round| {
            for sample in round.scenarios.values_mut() {
                scale_sample(sample, minute);
            }
        });
        let candidate = uneven(base.clone()).slower(SEQUENTIAL, 1.3);
        let found = adjusted_p50(&in_turn(base, candidate)).clone();
        assert_eq!(found.verdict, Verdict::Regressed, "{minute}: {found:?}");
    }
}

#[test]
fn what_cannot_be_compared_keeps_no_look_going() {
    let noisy = |round: &mut Round| {
        let factor = if round.index.is_multiple_of(2) {
            1.4
        } else {
            0.7
        };
        round.peak_memory_bytes = round.peak_memory_bytes.map(|bytes| times(bytes, factor));
    };
    let base = Fixture::with_rounds(5);
    let candidate = uneven(base.clone()).rounds(noisy);
    let open = |candidate: Fixture| {
        let suite = candidate.clone().build().suite;
        turns::still_open(&so_far(base.clone(), candidate), &suite)
    };
    let all = open(candidate.clone()).expect("more pairs may decide on memory");
    assert!(all.len() > 2, "{all:?}");
    let otherwise = candidate.jobs(|job| job.memory_measure = Measure::By("another".into()));
    assert_eq!(open(otherwise), None);
}

/// Fresh pairs that scatter so much that they confirm one alarm, but not one of many.
#[test]
fn those_that_alarmed_share_the_error_of_the_confirmation() {
    let base = Fixture::with_rounds(8).confirm(8);
    let candidate = |others_planned: f64, others_fresh: f64| {
        let mut rounds = 0;
        base.clone().rounds(|round| {
            rounds += 1;
            let uneven: f64 = if rounds % 2 == 0 { 1.0 } else { -1.0 };
            for (name, sample) in &mut round.scenarios {
                let factor = match (name.as_str(), round.phase) {
                    // 3.5 standard errors above nothing.
                    (SEQUENTIAL, Phase::Confirm) => (0.3 + 0.227 * uneven).exp(),
                    (SEQUENTIAL, Phase::Measure) => 1.5 + 0.01 * uneven,
                    (_, Phase::Measure) => others_planned + 0.01 * uneven,
                    (_, Phase::Confirm) => others_fresh + 0.01 * uneven,
                };
                scale_sample(sample, factor);
            }
        })
    };
    let alone = in_turn(base.clone(), candidate(1.0, 1.0));
    assert_eq!(adjusted_p50(&alone).verdict, Verdict::Regressed);
    let among_others = in_turn(base.clone(), candidate(1.5, 1.5));
    assert_eq!(adjusted_p50(&among_others).verdict, Verdict::Inconclusive);
    let other = row(&among_others, CONCURRENT, Metric::LatencyP50);
    assert_eq!(other.verdict, Verdict::Regressed);
    // Alarms that fresh pairs dismissed were alarms.
    let among_dismissed = in_turn(base.clone(), candidate(1.5, 1.0));
    assert_eq!(
        adjusted_p50(&among_dismissed).verdict,
        Verdict::Inconclusive
    );
}

#[test]
fn rounds_without_a_counterpart_are_left_out() {
    // The base lost its third round: the pairs are still of the same number.
    let base = Fixture::with_rounds(8).rounds(drifting).jobs(|job| {
        job.rounds.remove(2);
    });
    let candidate = uneven(Fixture::with_rounds(8).rounds(drifting));
    let j = in_turn(base, candidate.clone());
    assert_eq!(adjusted_p50(&j).verdict, Verdict::Pass);
    // Two pairs tell nothing.
    let j = in_turn(Fixture::with_rounds(2).rounds(drifting), candidate);
    let found = adjusted_p50(&j);
    assert_eq!(found.verdict, Verdict::Inconclusive, "{found:?}");
}

#[test]
fn servers_that_speak_otherwise_are_not_compared() {
    let base =
        Fixture::with_rounds(8).with(|r| r.server.protocol_version = "2026-07-28".to_owned());
    let j = in_turn(base, uneven(Fixture::with_rounds(8)));
    let found = row(&j, SEQUENTIAL, Metric::LatencyP50);
    assert_eq!(found.verdict, Verdict::NotMeasured);
    assert_eq!(j.verdict, Verdict::Inconclusive);
    let doubts = findings(&j, Severity::Doubt);
    assert!(
        doubts[0].starts_with("nothing is comparable: "),
        "{doubts:?}"
    );
}

#[test]
fn what_can_fail_is_counted() {
    let suite = Fixture::new().build().suite;
    assert_eq!(gating_figures(&suite), 10);
    let reported = Fixture::new().with(|r| {
        for record in &mut r.suite.scenarios {
            record.report_only = true;
        }
    });
    assert_eq!(gating_figures(&reported.build().suite), 2);
}

#[test]
fn orders_are_balanced_and_the_seed_decides_them() {
    let orders = |seed: u64| -> Vec<bool> {
        (0..64)
            .map(|pair| turns::base_goes_first(seed, pair))
            .collect()
    };
    let mut of_blocks = std::collections::BTreeSet::new();
    for seed in [0, 1, 2, 42, u64::MAX] {
        let order = orders(seed);
        assert_eq!(order, orders(seed));
        for block in order.chunks(2) {
            assert_ne!(block[0], block[1], "each block has both orders");
        }
        let first = order.chunks(2).filter(|block| block[0]).count();
        assert!((6..=26).contains(&first), "of 32 blocks {first}");
        of_blocks.insert(order);
    }
    assert_eq!(of_blocks.len(), 5, "each seed has an order of its own");
}

/// Every second round of one scenario so much slower that nothing can be said of it.
fn noisy(fixture: Fixture, scenario: &str) -> Fixture {
    fixture.rounds(|round| {
        let factor = if round.index % 2 == 0 { 1.6 } else { 1.0 };
        scale_sample(round.scenarios.get_mut(scenario).unwrap(), factor);
    })
}

#[test]
fn what_is_decided_is_not_run_on() {
    let base = Fixture::with_rounds(5);
    let suite = base.clone().build().suite;
    let open = |candidate: Fixture| turns::still_open(&so_far(base.clone(), candidate), &suite);
    assert_eq!(open(uneven(base.clone())), None);
    let one = open(noisy(base.clone(), SEQUENTIAL)).unwrap();
    assert_eq!(one.into_iter().collect::<Vec<_>>(), [SEQUENTIAL]);
    // An alarm is for fresh pairs to settle.
    let slow = uneven(base.clone()).slower(SEQUENTIAL, 1.5);
    assert_eq!(open(slow.clone()), None);
    let both = open(noisy(slow, CONCURRENT)).unwrap();
    assert_eq!(both.into_iter().collect::<Vec<_>>(), [CONCURRENT]);
    // Start-up needs no scenario, memory all of them.
    let startup = uneven(base.clone()).rounds(|round| {
        let percent = if round.index % 2 == 0 { 160 } else { 100 };
        let scaled = |ns: u64| ns * percent / 100;
        round.startup_ns = round.startup_ns.map(scaled);
        round.startup_adjusted_ns = round.startup_adjusted_ns.map(scaled);
    });
    assert_eq!(open(startup).unwrap().len(), 0);
    let memory = uneven(base.clone()).rounds(|round| {
        let percent = if round.index % 2 == 0 { 160 } else { 100 };
        round.peak_memory_bytes = round.peak_memory_bytes.map(|b| b * percent / 100);
    });
    assert_eq!(open(memory).unwrap().len(), suite.scenarios.len());
}

#[test]
fn only_what_alarmed_is_run_again() {
    let base = Fixture::with_rounds(5);
    let suite = base.clone().build().suite;
    let again = |candidate: Fixture| turns::to_confirm(&so_far(base.clone(), candidate), &suite);
    assert_eq!(again(uneven(base.clone())), None);
    let slow = uneven(base.clone()).slower(SEQUENTIAL, 1.5);
    let names = again(slow).unwrap();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), [SEQUENTIAL]);
    // Growth is settled by soaks.
    let growing = uneven(base.clone()).jobs(|job| {
        let soaks = job.soaks.iter_mut();
        for sample in soaks.flat_map(|soak| soak.scenarios.values_mut()) {
            sample.growth_bytes_per_call = Some(1e6);
        }
    });
    assert_eq!(
        so_far(base.clone(), growing.clone()).verdict,
        Verdict::Regressed
    );
    assert_eq!(again(growing), None);
    let memory = uneven(base.clone()).rounds(|round| {
        round.peak_memory_bytes = round
            .peak_memory_bytes
            .map(|b| b * 2 + u64::from(round.index));
    });
    assert_eq!(again(memory).unwrap().len(), suite.scenarios.len());
}

/// Rounds without what was decided have less to remember: their memory is no evidence.
#[test]
fn memory_is_taken_from_whole_rounds() {
    let leave = |fixture: Fixture| {
        fixture.rounds(|round| {
            if round.index >= 5 {
                round.scenarios.retain(|name, _| name == SEQUENTIAL);
                round.peak_memory_bytes = round.peak_memory_bytes.map(|b| b / 2);
            }
        })
    };
    let base = leave(Fixture::with_rounds(15));
    let j = in_turn(base.clone(), uneven(base));
    let memory = row(&j, "server", Metric::PeakMemory);
    let startup = row(&j, "server", Metric::Startup);
    assert_eq!(memory.verdict, Verdict::Pass);
    assert_eq!((memory.base_rounds, startup.base_rounds), (5, 15));
    let bounds = memory.interval.unwrap();
    assert!(bounds.low > 0.9 && bounds.high < 1.1, "{memory:?}");
}

#[test]
fn other_work_in_one_arm_is_not_compared() {
    let base = Fixture::with_rounds(8);
    let failing = |fixture: Fixture| {
        fixture.rounds(|round| {
            let sample = round.scenarios.get_mut(SEQUENTIAL).unwrap();
            sample.errors.insert("tool-error".to_owned(), 40);
            sample.successes -= 40;
        })
    };
    let j = in_turn(failing(base.clone()), uneven(base.clone()));
    let found = adjusted_p50(&j);
    assert_eq!(found.verdict, Verdict::NotMeasured, "{found:?}");
    assert!(
        found.reason.contains("did not do the same work"),
        "{found:?}"
    );
    assert_eq!(j.verdict, Verdict::Inconclusive);
    let doubts = findings(&j, Severity::Doubt);
    assert!(doubts[0].contains("40.0 % of the calls failed in the base, 0.0 % in this run"));
    assert_eq!(
        row(&j, CONCURRENT, Metric::LatencyP50).verdict,
        Verdict::Pass
    );
    let fresh = base.confirm(8);
    let j = in_turn(fresh.clone(), failing(uneven(fresh)));
    assert_eq!(j.verdict, Verdict::Regressed);
}

/// What is undecided with pairs to come was cut short, and what all pairs did not decide was not.
#[test]
fn that_the_time_was_used_up_is_said_where_it_matters() {
    let scattered = |rounds: u32| {
        let base = Fixture::with_rounds(rounds);
        let candidate = scattering(base.clone(), 0.6, 1.15);
        let j = in_turn(base, candidate);
        assert_eq!(j.verdict, Verdict::Inconclusive, "{:#?}", not_passed(&j));
        findings(&j, Severity::Doubt)
    };
    let said = "the time was used up after 8 of 15 pairs: `--max-time` gives more, and fewer tools take less";
    assert_eq!(scattered(8), [said]);
    assert_eq!(scattered(15), [""; 0]);
    let base = Fixture::with_rounds(8);
    let j = in_turn(base.clone(), uneven(base));
    assert_eq!(findings(&j, Severity::Doubt), [""; 0]);
}

#[test]
fn files_of_one_comparison_know_each_other() {
    use crate::results::{ArmName, InTurn};
    let of = |id: &str, arm: ArmName| {
        Fixture::with_rounds(5)
            .jobs(|job| {
                job.in_turn = Some(InTurn {
                    id: id.to_owned(),
                    arm,
                    against: "main".to_owned(),
                    most_pairs: 21,
                });
            })
            .build()
    };
    let (base, candidate) = (of("a", ArmName::Base), of("a", ArmName::Candidate));
    let (sequence, name) = turns::measured_in_turn(&base, &candidate).unwrap();
    assert_eq!(
        sequence,
        Sequence::new(gating_figures(&candidate.suite), 21)
    );
    assert_eq!(name, "main");
    for (base, candidate) in [
        (&base, &of("b", ArmName::Candidate)),
        (&base, &base),
        (&base, &Fixture::new().build()),
    ] {
        assert!(turns::measured_in_turn(base, candidate).is_none());
    }
}

#[test]
fn a_shift_that_all_share_is_named_as_such() {
    let base = Fixture::with_rounds(8);
    let all = uneven(base.clone()).rounds(|round| {
        for sample in round.scenarios.values_mut() {
            scale_sample(sample, 1.4);
        }
    });
    let said = |j: &Judgement| findings(j, Severity::Note).join(" ");
    let j = so_far(base.clone(), all.clone());
    assert!(
        said(&j)
            .contains("all 4 scenarios are slower alike, by about 40 %: look at what they share"),
        "{}",
        said(&j)
    );
    assert!(said(&so_far(all, base.clone())).contains("faster alike, by about 29 %"));
    // One tool, or nothing, is no shift of all.
    let one = uneven(base.clone()).slower(SEQUENTIAL, 1.4);
    assert!(!said(&so_far(base.clone(), one)).contains("alike"));
    assert!(!said(&so_far(base.clone(), uneven(base))).contains("alike"));
}

/// Pairs whose figures of the sequential scenario scatter by so much (a logarithm) around a change.
fn scattering(fixture: Fixture, scatter: f64, change: f64) -> Fixture {
    fixture.rounds(move |round| {
        let sign = if round.index % 2 == 0 { 1.0 } else { -1.0 };
        let sample = round.scenarios.get_mut(SEQUENTIAL).unwrap();
        scale_sample(sample, change * (sign * scatter).exp());
    })
}

#[test]
fn figures_too_noisy_for_their_tolerance_pass_coarsely_or_not_at_all() {
    let found = |pairs: u32, scatter: f64, change: f64| {
        let base = Fixture::with_rounds(pairs);
        let j = in_turn(base.clone(), scattering(base, scatter, change));
        let row = adjusted_p50(&j).clone();
        (row.verdict, row.is_coarse, row.more_rounds_could_decide)
    };
    for (pairs, scatter, change, expected) in [
        // It can be told.
        (8, 0.05, 1.0, (Verdict::Pass, false, false)),
        // More pairs might tell it.
        (8, 0.15, 1.05, (Verdict::Inconclusive, false, true)),
        // None that are planned would.
        (8, 0.3, 1.0, (Verdict::Pass, true, false)),
        (8, 0.3, 1.15, (Verdict::Pass, true, false)),
        // Of five pairs the spread is not known well enough to say so.
        (5, 0.3, 1.0, (Verdict::Inconclusive, false, true)),
        // What looks like a change is no pass.
        (8, 0.3, 1.3, (Verdict::Inconclusive, false, true)),
        // Nor is what might be a doubling.
        (8, 0.7, 1.0, (Verdict::Inconclusive, false, true)),
    ] {
        assert_eq!(
            found(pairs, scatter, change),
            expected,
            "{pairs} {scatter} {change}"
        );
    }
    // At the last look what is open stays so, unless a gross change is ruled out.
    assert_eq!(found(15, 0.3, 1.05), (Verdict::Pass, true, false));
    // Near the floor a doubling is nothing gross.
    let tiny = |scatter: f64| {
        let base = Fixture::with_rounds(8).samples(SEQUENTIAL, |s| scale_sample(s, 0.03));
        let j = in_turn(base.clone(), scattering(base, scatter, 1.1));
        (adjusted_p50(&j).verdict, adjusted_p50(&j).is_coarse)
    };
    assert_eq!(tiny(1.0), (Verdict::Pass, true));
    assert_eq!(tiny(3.0), (Verdict::Inconclusive, false));
}

#[test]
fn coarse_passes_are_counted_in_a_note() {
    let base = Fixture::with_rounds(8);
    let j = in_turn(base.clone(), scattering(base, 0.3, 1.0));
    let notes: Vec<&str> = j.findings.iter().map(|f| f.text.as_str()).collect();
    assert!(
        notes
            .iter()
            .any(|note| note.contains("too noisy here to tell their tolerance")),
        "{notes:?}"
    );
    // Against a stored baseline there are no pairs, and nothing of the kind.
    let base = Fixture::new();
    let stored = judged(&base.clone().build(), &scattering(base, 0.3, 1.0).build());
    assert_eq!(adjusted_p50(&stored).verdict, Verdict::Inconclusive);
}

#[test]
fn growth_that_no_fresh_soaks_confirmed_is_no_regression_in_turn() {
    let base = Fixture::with_rounds(8);
    let leaking = uneven(base.clone()).growth(&[20_000.0, 21_000.0, 22_000.0]);
    let growth = |j: &Judgement| row(j, SOAK, Metric::MemoryGrowth).clone();
    assert_eq!(
        growth(&so_far(base.clone(), leaking.clone())).verdict,
        Verdict::Regressed
    );
    let unconfirmed = growth(&in_turn(base.clone(), leaking.clone()));
    assert_eq!(unconfirmed.verdict, Verdict::Inconclusive);
    assert!(unconfirmed.reason.ends_with("no fresh soaks confirmed it"));
    let confirmed = leaking.with(|results| add_fresh_soaks(results, &[20_500.0; 3]));
    assert_eq!(
        growth(&in_turn(base, confirmed)).verdict,
        Verdict::Regressed
    );
}
