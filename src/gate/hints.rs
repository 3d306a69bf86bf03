//! What the figures say about the server beside how fast it is.

use super::{Finding, Severity, comparability::about_all};
use crate::results::{Results, Sample, ScenarioKind, Transport};

/// Whether most answers of a server that has nothing to work on came in two parts, the second of
/// them held back by a delayed acknowledgement.
///
/// Only `tools/list` tells: a tool that works for 40 ms behind an open event stream looks the same.
fn waits_for_acknowledgements(results: &Results) -> bool {
    let list_tools = results
        .suite
        .scenarios
        .iter()
        .filter(|record| record.kind == ScenarioKind::ListTools);
    let jobs = || results.jobs.iter();
    list_tools.into_iter().any(|record| {
        let rounds = jobs().flat_map(|job| &job.rounds);
        let samples = rounds.filter_map(|round| round.scenarios.get(&record.name));
        let (late, all) = samples.fold((0_u64, 0_u64), |(late, all), sample: &Sample| {
            (
                late + u64::from(sample.delayed_last_bytes),
                all + u64::from(sample.successes),
            )
        });
        late * 2 > all
    })
}

/// Hints, as notes.
pub(super) fn of_results(results: &Results) -> Vec<Finding> {
    if results.server.transport == Transport::Stdio || !waits_for_acknowledgements(results) {
        return Vec::new();
    }
    vec![about_all(
        Severity::Note,
        "the last byte of most answers comes 40 to 45 ms after the first: the server sends an \
         answer in two parts without TCP_NODELAY (Nagle's algorithm), and the second waits for a \
         delayed acknowledgement; every latency holds that wait, which hides smaller changes"
            .to_owned(),
    )]
}
