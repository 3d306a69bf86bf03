//! What single calls look like.

use super::{Confidence, Diagnosis, Kind, milliseconds, records, rounds, typical};
use crate::{
    results::{Results, ScenarioKind, ScenarioRecord, Transport},
    stats::{self, location},
};

/// A p95 is so many times the p50…
const SLOW_FACTOR: f64 = 4.0;
/// …and so much longer: below, it is the machine's.
const SLOW_BY_NS: f64 = 5e6;
/// Distances between slow calls below which nothing is said of a rhythm.
const DISTANCES_NEEDED: usize = 8;
/// The share of them that must be about the same.
const MOST_OF_THEM: f64 = 0.8;
/// How much they may differ: numbers of calls, and times.
const SAME_NUMBER: f64 = 0.0;
const SAME_TIME: f64 = 0.1;
/// Slow calls that follow each other closely are one disturbance.
const FEWEST_BETWEEN: f64 = 3.0;

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
    let slow = rounds(results).filter_map(|round| round.scenarios.get(&record.name));
    let slow: Vec<&[(u32, u64)]> = slow.map(|sample| &sample.slow_calls[..]).collect();
    let rhythm = rhythm(&slow);
    let factor = typical(latencies().map(|(p50, p95)| p95 / p50))?;
    (factor >= SLOW_FACTOR && p95 - p50 >= SLOW_BY_NS).then(|| Diagnosis {
        kind: Kind::HighP95LowP50,
        scenario: Some(record.name.clone()),
        confidence: Confidence::Possible,
        evidence: format!(
            "half of the calls take up to {}, one in twenty {} or more{}",
            milliseconds(p50),
            milliseconds(p95),
            rhythm.map_or_else(String::new, |rhythm| format!(", {rhythm}"))
        ),
        advice: match rhythm {
            Some(Rhythm::Calls(_)) => {
                "look for what is done every so many calls: a buffer that is flushed, a log that is \
                 turned, a batch, a connection that is made anew"
            }
            Some(Rhythm::Time(_)) => {
                "look for what is done every so often, whoever calls: a timer, a poll, a lease that is \
                 renewed, a garbage collector"
            }
            None => {
                "look for what only some calls do: synchronous input and output, a cache that misses, \
                 a time-out with a retry, or a garbage collector"
            }
        }
        .to_owned(),
        probe: None,
    })
}

/// What slow calls keep time by.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rhythm {
    /// One in so many calls.
    Calls(u32),
    /// One every so many nanoseconds.
    Time(f64),
}

impl std::fmt::Display for Rhythm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Calls(every) => write!(f, "every {every} calls"),
            Self::Time(ns) => write!(f, "every {}", milliseconds(*ns)),
        }
    }
}

/// The rhythm of the slow calls of some rounds, where most distances between one and the next are the
/// same: by number of calls, else by time. What is slow for reasons of its own has distances of every
/// length.
fn rhythm(rounds: &[&[(u32, u64)]]) -> Option<Rhythm> {
    let pairs = || rounds.iter().flat_map(|slow| slow.windows(2));
    let by_number: Vec<f64> = pairs()
        .filter_map(|pair| Some(f64::from(pair.last()?.0.checked_sub(pair.first()?.0)?)))
        .collect();
    let by_time: Vec<f64> = pairs()
        .filter_map(|pair| Some(pair.last()?.1.checked_sub(pair.first()?.1)? as f64))
        .collect();
    if let Some(every) = regular(&by_number, SAME_NUMBER).filter(|every| *every >= FEWEST_BETWEEN) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the distance of two numbers of calls"
        )]
        return Some(Rhythm::Calls(every.round() as u32));
    }
    regular(&by_time, SAME_TIME).map(Rhythm::Time)
}

/// The middle distance, where most are about as long.
fn regular(distances: &[f64], same: f64) -> Option<f64> {
    let middle = stats::Sample::new(distances.iter().copied())
        .filter(|sample| sample.len() >= DISTANCES_NEEDED)
        .map(|sample| location::median(&sample))?;
    let close = distances
        .iter()
        .filter(|distance| (**distance - middle).abs() <= middle * same)
        .count() as f64;
    (middle > 0.0 && close >= distances.len() as f64 * MOST_OF_THEM).then_some(middle)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rhythm_is_told_from_chance() {
        let calls = |numbers: &[u32], ms: &[u64]| -> Vec<(u32, u64)> {
            let ns = ms.iter().map(|ms| ms * 1_000_000);
            numbers.iter().copied().zip(ns).collect()
        };
        let numbers = |every: u32| (1..=10).map(|n| n * every).collect::<Vec<u32>>();
        let uneven: [u64; 10] = [7, 30, 31, 77, 90, 144, 145, 203, 260, 261];
        let uneven_numbers: Vec<u32> = uneven.iter().map(|n| u32::try_from(*n).unwrap()).collect();
        let times = |every: u64| (1..=10).map(|n| n * every + n % 3).collect::<Vec<u64>>();
        for (slow, expected) in [
            (calls(&numbers(20), &uneven), Some(Rhythm::Calls(20))),
            (
                calls(&uneven_numbers, &times(500)),
                Some(Rhythm::Time(501e6)),
            ),
            (calls(&uneven_numbers, &uneven), None),
            // One disturbance of ten calls.
            (calls(&numbers(1), &uneven), None),
            (calls(&numbers(20)[..5], &uneven[..5]), None),
        ] {
            let found = rhythm(&[&slow]);
            assert_eq!(found, expected, "{slow:?}");
        }
        // Of several rounds, none of which has enough.
        let few = calls(&numbers(20)[..5], &uneven[..5]);
        assert_eq!(rhythm(&[&few, &few]), Some(Rhythm::Calls(20)));
        assert_eq!(rhythm(&[&[(5, 9), (2, 3)][..]; 9]), None);
    }
}
