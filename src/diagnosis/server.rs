//! What the server does as a whole.

use super::{Confidence, Diagnosis, Kind, milliseconds, records, rounds, typical};
use crate::results::{Phase, Results, ScenarioKind, ScenarioRecord};

/// Growth above which a heap that finds its size is the less likely reason.
const LEAK_BYTES_PER_CALL: f64 = 10_000.0;
/// More than that is no figure.
const MOST_BYTES_PER_CALL: f64 = 1e12;
/// Users of command-line agents wait for it at every start.
const SLOW_START_NS: f64 = 5e9;

/// Tools with each of whose calls memory grows, on every fresh server.
pub(super) fn growing(results: &Results) -> Vec<Diagnosis> {
    records(results, ScenarioKind::Soak)
        .filter_map(|record| of_soak(results, record))
        .collect()
}

fn of_soak(results: &Results, record: &ScenarioRecord) -> Option<Diagnosis> {
    let slopes = || {
        results
            .jobs
            .iter()
            .flat_map(|job| &job.soaks)
            .filter(|soak| soak.phase == Phase::Measure)
            .filter_map(|soak| soak.scenarios.get(&record.name))
            .filter(|sample| sample.calls == record.calls)
            .filter_map(|sample| sample.growth_bytes_per_call)
            .map(|slope| slope.clamp(-MOST_BYTES_PER_CALL, MOST_BYTES_PER_CALL))
    };
    let growth = typical(slopes())?;
    let is_on_each = slopes().all(|slope| slope > LEAK_BYTES_PER_CALL);
    is_on_each.then(|| Diagnosis {
        kind: Kind::MemoryLeak,
        scenario: Some(record.name.clone()),
        confidence: Confidence::Possible,
        evidence: format!(
            "memory grows by {:.0} kB with each of {} calls, after warm-up, on each of {} fresh servers",
            growth / 1_000.0,
            record.calls,
            slopes().count(),
        ),
        advice: "look for what is kept for each call: a list of past requests, a cache without a \
                 bound, listeners that are never taken off, spans that are never exported; a heap that \
                 is still finding its size grows less with more soak-calls, a leak does not"
            .to_owned(),
 probe: None,
})
}

/// A server that takes seconds to get ready.
pub(super) fn slow_start(results: &Results) -> Option<Diagnosis> {
    let starts = || {
        rounds(results).filter_map(|round| {
            let ns = round.startup_adjusted_ns.or(round.startup_ns)?;
            Some(ns as f64)
        })
    };
    let typical = typical(starts())?;
    (typical >= SLOW_START_NS).then(|| Diagnosis {
        kind: Kind::SlowStart,
        scenario: None,
        confidence: Confidence::Likely,
        evidence: format!(
            "it takes {} from starting the process to its first answer",
            milliseconds(typical)
        ),
        advice:
            "look at what is imported, downloaded or connected before the first answer, and do \
                 it at the first call that needs it"
                .to_owned(),
        probe: None,
    })
}
