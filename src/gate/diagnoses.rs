//! What the candidate's figures are diagnosed as, whether that is new, and what a new one weighs.

use super::{Diagnosed, Standing, Verdict, rule::ROUNDS_NEEDED};
use crate::{
    diagnosis::{self, Diagnosis, diagnose},
    results::Results,
};

/// Sets of probes that must show the same before it decides.
const SETS_NEEDED: usize = 3;
/// Sets of a stored base that must not have shown a race.
const BASE_SETS_OF_A_RACE: usize = 2;

/// Every diagnosis of the candidate, and those of the base that are gone.
pub(super) fn of(base: Option<&Results>, candidate: &Results) -> Vec<Diagnosed> {
    let found = diagnose(candidate);
    let Some(base) = base else {
        let alone = |diagnosis| Diagnosed {
            diagnosis,
            standing: Standing::Unknown,
            verdict: None,
        };
        return found.into_iter().map(alone).collect();
    };
    let of_base = diagnose(base);
    let mut known = of_base.clone();
    known.extend(diagnosis::nearly_shown(base));
    let standing = |found: &Diagnosis| {
        // What may be something else in the base does not excuse what hardly can be in the candidate.
        let is_known =
            |known: &Diagnosis| known.is_same_as(found) && (known.decides() || !found.decides());
        if known.iter().any(is_known) {
            Standing::Known
        } else if was_asked(base, candidate, found) {
            Standing::New
        } else {
            Standing::Unknown
        }
    };
    let verdict = |diagnosis: &Diagnosis, standing| match standing {
        Standing::New if !diagnosis.decides() => None,
        Standing::New
            if diagnosis::times_shown(candidate, diagnosis) >= SETS_NEEDED
                && diagnosis::times_asked(base, diagnosis) >= base_sets(base, diagnosis) =>
        {
            Some(Verdict::Regressed)
        }
        Standing::New => Some(Verdict::Inconclusive),
        _ => None,
    };
    let mut all: Vec<Diagnosed> = found
        .into_iter()
        .map(|diagnosis| {
            let standing = standing(&diagnosis);
            Diagnosed {
                verdict: verdict(&diagnosis, standing),
                standing,
                diagnosis,
            }
        })
        .collect();
    let shown = diagnosis::nearly_shown(candidate);
    let gone = of_base.into_iter().filter(|known| {
        known.decides()
            && shown.iter().all(|shown| !shown.is_same_as(known))
            && diagnosis::times_asked(candidate, known) > 0
    });
    all.extend(gone.map(|diagnosis| {
        let is_confirmed = diagnosis::times_asked(candidate, &diagnosis) >= SETS_NEEDED
            && diagnosis::times_shown(base, &diagnosis) >= base_sets(base, &diagnosis);
        Diagnosed {
            diagnosis,
            standing: Standing::Gone,
            verdict: is_confirmed.then_some(Verdict::Improved),
        }
    }));
    all
}

/// Whether the probes show something of one server that they do not show of the other, and were not made
/// often enough to decide.
#[must_use]
pub fn must_probe_again(base: &Results, candidate: &Results) -> bool {
    candidate.probe_sets().count() < SETS_NEEDED
        && of(Some(base), candidate).iter().any(|diagnosed| {
            diagnosed.diagnosis.decides()
                && matches!(diagnosed.standing, Standing::New | Standing::Gone)
        })
}

/// Sets of the base that must have been asked: as many as of the candidate, where both are measured in
/// turn.
fn base_sets(base: &Results, diagnosis: &Diagnosis) -> usize {
    if base.jobs.iter().any(|job| job.in_turn.is_some()) {
        SETS_NEEDED
    } else if diagnosis.kind.is_a_race() {
        BASE_SETS_OF_A_RACE
    } else {
        1
    }
}

/// Whether a base that has no such diagnosis was asked the same, often enough to have one.
fn was_asked(base: &Results, candidate: &Results, found: &Diagnosis) -> bool {
    if found.probe.is_some() {
        return diagnosis::times_asked(base, found) > 0;
    }
    let rounds = base.jobs.iter().map(|job| job.rounds.len()).sum::<usize>();
    let Some(name) = &found.scenario else {
        return rounds >= ROUNDS_NEEDED;
    };
    let record = |results: &'_ Results| {
        let records = results.suite.scenarios.iter();
        records
            .filter(|r| r.name == *name)
            .map(|r| r.definition_hash.clone())
            .next()
    };
    let is_same = record(base).is_some_and(|hash| Some(hash) == record(candidate));
    let counts = base.jobs.iter().flat_map(|job| job.counts_of(name));
    // A load runs once, and once is chance: another run may show what this one did not.
    is_same && counts.filter(|counts| counts.successes > 0).count() >= ROUNDS_NEEDED
}
