//! What single calls look like.

use super::{Confidence, Diagnosis, Kind, milliseconds, records, rounds, typical};
use crate::results::{Results, ScenarioKind, ScenarioRecord, Transport};

/// A p95 is so many times the p50…
const SLOW_FACTOR: f64 = 4.0;
/// …and so much longer: below, it is the machine's.
const SLOW_BY_NS: f64 = 5e6;

/// Tools of which few calls take many times as long as most.
pub(super) fn few_slow_ones(results: &Results) -> Vec<Diagnosis> {
    records(results, ScenarioKind::Sequential)
        .filter_map(|record| of_tool(results, record))
        .collect()
}

fn of_tool(results: &Results, record: &ScenarioRecord) -> Option<Diagnosis> {
    // Less what others took of the machine, where that is known.
    let latencies = || {
        rounds(results).filter_map(|round| {
            let sample = round.scenarios.get(&record.name)?;
            let latency = sample.adjusted.or(sample.wall)?;
            Some((latency.p50_ns as f64, latency.p95_ns? as f64))
        })
    };
    let p50 = typical(latencies().map(|(p50, _)| p50))?;
    let p95 = typical(latencies().map(|(_, p95)| p95))?;
    let factor = typical(latencies().map(|(p50, p95)| p95 / p50))?;
    (factor >= SLOW_FACTOR && p95 - p50 >= SLOW_BY_NS).then(|| Diagnosis {
        kind: Kind::HighP95LowP50,
        scenario: Some(record.name.clone()),
        confidence: Confidence::Possible,
        evidence: format!(
            "half of the calls take up to {}, one in twenty {} or more",
            milliseconds(p50),
            milliseconds(p95)
        ),
        advice: "look for what only some calls do: synchronous input and output, a cache that \
                 misses, a time-out with a retry, or a garbage collector"
            .to_owned(),
        probe: None,
    })
}

/// Whether most answers of a server that has nothing to work on came in two parts, the second of
/// them held back by a delayed acknowledgement.
///
/// Only `tools/list` tells: a tool that works for 40 ms behind an open event stream looks the same.
pub(super) fn held_back(results: &Results) -> Option<Diagnosis> {
    if results.server.transport == Transport::Stdio {
        return None;
    }
    records(results, ScenarioKind::ListTools).find_map(|record| {
        let rounds = results.jobs.iter().flat_map(|job| &job.rounds);
        let samples = rounds.filter_map(|round| round.scenarios.get(&record.name));
        let (late, all) = samples.fold((0_u64, 0_u64), |(late, all), sample| {
            (
                late + u64::from(sample.delayed_last_bytes),
                all + u64::from(sample.successes),
            )
        });
        (late * 2 > all).then(|| Diagnosis {
            kind: Kind::NagleStall,
            scenario: Some(record.name.clone()),
            confidence: Confidence::Likely,
            evidence: format!(
                "of {all} answers, {late} had their last byte 40 to 45 ms after their first, and every \
                 latency holds that wait, which hides smaller changes"
            ),
            advice: "the server sends an answer in two parts without TCP_NODELAY (Nagle's algorithm), \
                     and the second waits for a delayed acknowledgement: set TCP_NODELAY, or send an \
                     answer at once"
                .to_owned(),
 probe: None,
})
    })
}
