//! Base and candidate measured in turn: pairs of rounds decide.

use super::*;
use crate::{
    gate::{
        gating_figures, judge_in_turn,
        sequence::Sequence,
        test_support::{CONCURRENT, Fixture, SEQUENTIAL, scale_sample},
    },
    results::{Phase, Round},
};

fn in_turn(base: Fixture, candidate: Fixture) -> Judgement {
    let (base, candidate) = (base.build(), candidate.build());
    let sequence = Sequence::new(gating_figures(&candidate.suite), 15);
    judge_in_turn(&base, &candidate, &GateConfig::default(), &sequence)
}

/// A machine that becomes slower from round to round, up to three times.
fn drifting(round: &mut Round) {
    let factor = 1.0 + 0.3 * f64::from(round.index);
    for sample in round.scenarios.values_mut() {
        scale_sample(sample, factor);
    }
}

/// Every second round a little slower, so that pairs have a spread.
fn uneven(fixture: Fixture) -> Fixture {
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
    let j = in_turn(base.clone(), slow(1.5));
    let found = adjusted_p50(&j);
    assert_eq!(found.verdict, Verdict::Regressed);
    assert_eq!(
        found.reason,
        "worse by more than the tolerance; not confirmed by fresh rounds"
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
