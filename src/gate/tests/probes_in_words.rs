//! What probes show, as a reader reads it.

use super::{
    probed::{
        aborts, beside, broken_writes, exit, first_call, first_calls, held, idle, large,
        open_sessions, refusals, sessions, tokens, writes,
    },
    probes::probed,
};
use crate::{
    diagnosis::{Diagnosis, diagnose},
    results::{Exit, Probes},
};

/// With as many connections cut off.
fn cut_off(mut set: Probes) -> Probes {
    if let Some(probe) = &mut set.aborts {
        probe.cut_off = probe.aborted;
    }
    set
}

#[test]
fn what_some_calls_of_a_kind_keep_is_seen_and_less_is_not() {
    for (half, expected) in [(8, 1), (7, 0)] {
        let grows = [held(12, 5), held(12 + half, 5), held(12 + 2 * half, 5)];
        let found = diagnose(&probed(&[cut_off(aborts(5, grows))]));
        assert_eq!(found.len(), expected, "{half}");
    }
}

#[test]
fn the_evidence_in_words() {
    let words = |set: Probes| {
        let all: Vec<Diagnosis> = diagnose(&probed(&[set]));
        let lines = all.iter().map(|d| {
            let place = d.scenario.as_deref().unwrap_or("the server");
            format!(
                "{} · {place}: {}\n  {}\n",
                d.kind.name(),
                d.evidence,
                d.advice
            )
        });
        lines.collect::<String>()
    };
    let mut all = String::new();
    let grows = [held(12, 5), held(27, 5), held(42, 5)];
    for set in [
        tokens((2, 0), (7, 0)),
        tokens((0, 1), (0, 0)),
        writes((20, 20), (20, 1)),
        broken_writes("tool-error"),
        first_calls(2, None),
        first_calls(2, Some(1.9)),
        aborts(0, grows),
        cut_off(aborts(5, grows)),
        beside(1.0, 11.0, Some(0.02)),
        beside(1.0, 11.0, Some(0.97)),
        sessions(4_600, 9_900),
        open_sessions(30, true),
        open_sessions(30, false),
        exit(Exit::Killed, 2),
        exit(Exit::ByItself, 1),
        exit(Exit::Terminated, 0),
        idle(0.98),
        first_call(900, 2),
        refusals(0.9, 121.0),
        large(&[(64, Ok(3)), (1_000, Err("timeout"))], None),
        large(&[(64, Ok(3)), (1_000, Ok(900))], None),
        large(&[(64, Ok(3)), (10_000, Ok(90))], Some((980, true))),
        large(&[(64, Ok(3)), (10_000, Ok(90))], Some((2, false))),
    ] {
        all.push_str(&words(set));
    }
    insta::assert_snapshot!(all);
}
