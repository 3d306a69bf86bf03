//! What the candidate's figures are diagnosed as, and whether that is new.

use super::{Diagnosed, Standing};
use crate::{
    diagnosis::{Diagnosis, diagnose},
    results::Results,
};

/// Every diagnosis of the candidate.
pub(super) fn of(base: Option<&Results>, candidate: &Results) -> Vec<Diagnosed> {
    let of_base = base.map(diagnose).unwrap_or_default();
    let standing = |found: &Diagnosis| match base {
        Some(_) if of_base.iter().any(|known| is_same(known, found)) => Standing::Known,
        Some(base) if was_asked(base, found) => Standing::New,
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

/// Whether a base that has no such diagnosis could have one.
fn was_asked(base: &Results, found: &Diagnosis) -> bool {
    let Some(scenario) = &found.scenario else {
        return true;
    };
    let mut counts = base.jobs.iter().flat_map(|job| job.counts_of(scenario));
    counts.any(|counts| counts.successes > 0)
}
