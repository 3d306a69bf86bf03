//! What the candidate's figures are diagnosed as, and whether that is new.

use super::{Diagnosed, Standing, rule::ROUNDS_NEEDED};
use crate::{
    diagnosis::{Diagnosis, diagnose},
    results::Results,
};

/// Every diagnosis of the candidate.
pub(super) fn of(base: Option<&Results>, candidate: &Results) -> Vec<Diagnosed> {
    let of_base = base.map(diagnose).unwrap_or_default();
    let standing = |found: &Diagnosis| match base {
        Some(_) if of_base.iter().any(|known| is_same(known, found)) => Standing::Known,
        Some(base) if was_asked(base, candidate, found) => Standing::New,
        Some(_) | None => Standing::Unknown,
    };
    let found = diagnose(candidate).into_iter();
    found
        .map(|diagnosis| Diagnosed {
            standing: standing(&diagnosis),
            diagnosis,
        })
        .collect()
}

fn is_same(one: &Diagnosis, other: &Diagnosis) -> bool {
    one.kind == other.kind && one.scenario == other.scenario
}

/// Whether a base that has no such diagnosis was asked the same, often enough to have one.
fn was_asked(base: &Results, candidate: &Results, found: &Diagnosis) -> bool {
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
