//! Failed calls of servers that are measured in turn.

use super::{
    in_turn::{in_turn, so_far, uneven},
    *,
};
use crate::{
    gate::{
        test_support::{Fixture, SEQUENTIAL},
        turns,
    },
    results::Phase,
};

/// Errors come in bursts: one minute in which a server's database is away is no change of the server.
#[test]
fn more_errors_are_an_alarm_that_fresh_pairs_confirm_or_dismiss() {
    let base = Fixture::with_rounds(8);
    let failing = |fixture: Fixture, phases: &[Phase]| {
        fixture.rounds(|round| {
            if phases.contains(&round.phase) {
                let sample = round.scenarios.get_mut(SEQUENTIAL).unwrap();
                sample.errors.insert("tool-error".to_owned(), 5);
                sample.successes -= 5;
            }
        })
    };
    let said = |j: &Judgement| {
        let found = row(j, SEQUENTIAL, Metric::ErrorRate);
        (found.verdict, found.reason.clone())
    };
    let beyond = "more calls fail, beyond the noise of both sides";
    let planned = failing(uneven(base.clone()), &[Phase::Measure]);
    let look = so_far(base.clone(), planned.clone());
    let alarm = format!("{beyond}; not confirmed by fresh rounds");
    assert_eq!(said(&look), (Verdict::Regressed, alarm));
    let suite = base.clone().build().suite;
    let again = turns::to_confirm(&look, &suite).expect("an alarm");
    assert!(again.contains(SEQUENTIAL) && again.len() == 1, "{again:?}");
    let alone = format!("{beyond}, but no fresh pairs confirmed it");
    let j = in_turn(base.clone(), planned);
    assert_eq!(said(&j), (Verdict::Inconclusive, alone));
    assert_eq!(j.verdict, Verdict::Inconclusive);

    let base = base.confirm(8);
    let burst = failing(uneven(base.clone()), &[Phase::Measure]);
    let dismissed = "more calls failed, but not in 8 fresh rounds".to_owned();
    assert_eq!(
        said(&in_turn(base.clone(), burst)),
        (Verdict::Inconclusive, dismissed)
    );
    let both = failing(uneven(base.clone()), &[Phase::Measure, Phase::Confirm]);
    let confirmed = format!("{beyond}, confirmed by 8 fresh rounds");
    assert_eq!(
        said(&in_turn(base.clone(), both)),
        (Verdict::Regressed, confirmed)
    );
}

/// Two minutes of the same kind, one among the planned rounds and one among the fresh ones, are two bursts: of
/// calls there are enough to be beyond the noise, of rounds there are two in sixteen.
#[test]
fn bursts_of_errors_are_no_evidence_however_many_calls_they_take() {
    let base = Fixture::with_rounds(8).confirm(8);
    let burst = |fixture: Fixture, indices: [u32; 2]| {
        fixture.rounds(move |round| {
            if indices.contains(&round.index) {
                let sample = round.scenarios.get_mut(SEQUENTIAL).unwrap();
                sample.errors.insert("tool-error".to_owned(), 60);
                sample.successes -= 60;
            }
        })
    };
    let j = in_turn(base.clone(), burst(uneven(base.clone()), [2, 11]));
    let found = row(&j, SEQUENTIAL, Metric::ErrorRate);
    assert_eq!(found.verdict, Verdict::Inconclusive, "{found:?}");
    assert_eq!(j.verdict, Verdict::Inconclusive, "{:#?}", not_passed(&j));
    // A burst of the base is no improvement, and hides no slower tool.
    let j = in_turn(
        burst(base.clone(), [2, 11]),
        uneven(base.clone()).slower(SEQUENTIAL, 2.0),
    );
    assert_eq!(
        row(&j, SEQUENTIAL, Metric::ErrorRate).verdict,
        Verdict::Pass
    );
    assert_eq!(j.verdict, Verdict::Regressed, "{:#?}", not_passed(&j));
}

/// A tool whose planned calls all failed, and which answers again when it is asked once more, was away.
#[test]
fn a_tool_that_was_away_for_a_while_is_asked_again() {
    let base = Fixture::with_rounds(8).confirm(8);
    let away = |fixture: Fixture| {
        fixture.rounds(|round| {
            if round.phase == Phase::Measure && round.index > 0 {
                round.scenarios.remove(SEQUENTIAL);
            } else if round.index == 0 {
                let sample = round.scenarios.get_mut(SEQUENTIAL).unwrap();
                (sample.calls, sample.successes) = (3, 0);
                sample.errors = [("timeout".to_owned(), 3)].into();
                (sample.wall, sample.adjusted) = (None, None);
            }
        })
    };
    let planned = Fixture::with_rounds(8);
    let look = so_far(planned.clone(), away(planned.clone()));
    assert_eq!(
        row(&look, SEQUENTIAL, Metric::ErrorRate).verdict,
        Verdict::Regressed
    );
    let suite = planned.build().suite;
    let again = turns::to_confirm(&look, &suite).expect("an alarm");
    assert!(again.contains(SEQUENTIAL), "{again:?}");
    let j = in_turn(base.clone(), away(uneven(base)));
    let found = row(&j, SEQUENTIAL, Metric::ErrorRate);
    assert_eq!(found.verdict, Verdict::Inconclusive, "{found:?}");
    assert_eq!(
        j.exit_code,
        crate::error::exit_code::OK,
        "{:#?}",
        j.findings
    );
}
