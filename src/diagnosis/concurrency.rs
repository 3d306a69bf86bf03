//! What callers at once do to each other.

use super::{
    Confidence, Diagnosis, Kind, milliseconds, records, rounds, sibling, throughput, typical,
};
use crate::results::{Results, ScenarioKind};

/// A call that takes less is mostly the transport's, which is serial over a pipe.
const LEAST_CALL_NS: f64 = 2e6;
/// Callers at once below which nothing can be told.
const LEAST_CALLERS: u32 = 4;
/// Up to so many calls at once are one, as far as the noise of two medians goes.
const ONE_AT_A_TIME: f64 = 1.4;
/// Of a core: from here on it is what calls wait for.
const BUSY_CORES: f64 = 0.7;
/// Of a core for each call in progress, and of a core in all: below both they wait for something else.
const IDLE_CORES: f64 = 0.3;
const IDLE_CORES_IN_ALL: f64 = 0.5;
/// Share of the time for which mcpgate's own thread may have been busy; above, it may be the limit.
const MCPGATE_BUSY: f64 = 0.8;

/// What one tool does with callers at once, the middle of all rounds.
struct Together {
    callers: u32,
    /// One call alone, in the mean: of few slow calls among many fast ones the median knows nothing.
    alone_ns: f64,
    /// Of one at a time, and with all callers.
    rates: [f64; 2],
    /// How many calls must have been in progress at any time for that rate, if each takes as long
    /// as alone (Little 1961).
    in_progress: f64,
    /// Cores that the server used meanwhile, where it is known.
    cores: Option<f64>,
}

/// Calls that wait for each other.
pub(super) fn waiting(results: &Results) -> Vec<Diagnosis> {
    records(results, ScenarioKind::Concurrent)
        .filter(|record| record.concurrency >= LEAST_CALLERS)
        .filter_map(|record| {
            let alone = sibling(results, record, ScenarioKind::Sequential)?;
            let together = together(results, &alone.name, &record.name, record.concurrency)?;
            let (kind, confidence, advice) = named(&together)?;
            if kind == Kind::CpuBoundSerial && !has_two_cores(results) {
                return None;
            }
            Some(Diagnosis {
                kind,
                scenario: Some(record.name.clone()),
                confidence,
                evidence: evidence(&together),
                advice,
                probe: None,
            })
        })
        .collect()
}

/// Whether the machine could have worked on two calls at once.
fn has_two_cores(results: &Results) -> bool {
    results.jobs.iter().all(|job| {
        let limit = job.environment.container_cpu_limit_millicores;
        job.environment.cores >= 2 && limit.is_none_or(|limit| limit >= 2_000)
    })
}

fn together(results: &Results, alone: &str, at_once: &str, callers: u32) -> Option<Together> {
    let both = || {
        rounds(results).filter_map(|round| {
            let (one, all) = (round.scenarios.get(alone)?, round.scenarios.get(at_once)?);
            let mcpgate = all.client_cpu_ns.unwrap_or(0) as f64 / all.duration_ns.max(1) as f64;
            let is_whole = one.successes == one.calls && all.successes == all.calls;
            (is_whole && mcpgate < MCPGATE_BUSY).then_some(())?;
            let (one, at_once) = (throughput(one)?, throughput(all)?);
            Some((1e9 / one, one, at_once, all))
        })
    };
    let alone_ns = typical(both().map(|(mean, ..)| mean))?;
    Some(Together {
        callers,
        alone_ns,
        rates: [
            typical(both().map(|(_, one, ..)| one))?,
            typical(both().map(|(_, _, all, _)| all))?,
        ],
        in_progress: typical(both().map(|(_, one, at_once, _)| at_once / one))?,
        cores: typical(both().filter_map(|(_, _, rate, all)| {
            all.cpu_per_call_ns.map(|cpu| cpu as f64 * rate / 1e9)
        })),
    })
}

fn named(together: &Together) -> Option<(Kind, Confidence, String)> {
    let Together {
        callers,
        alone_ns,
        in_progress,
        cores,
        ..
    } = *together;
    if alone_ns < LEAST_CALL_NS || in_progress > f64::from(callers) / 2.0 {
        return None;
    }
    let cores = cores?;
    let is_one = in_progress <= ONE_AT_A_TIME;
    if is_one && cores >= BUSY_CORES {
        return Some((
            Kind::CpuBoundSerial,
            Confidence::Possible,
            "more callers only wait longer: give the work to worker threads or processes, or make \
             it cheaper"
                .to_owned(),
        ));
    }
    if cores > IDLE_CORES * in_progress || cores > IDLE_CORES_IN_ALL {
        return None;
    }
    Some(if is_one {
        (
            Kind::EventLoopBlocked,
            Confidence::Possible,
            "look for a wait that blocks the event loop (a synchronous client, a sleep, a file), a \
             lock that is held while waiting, or a pool of one connection"
                .to_owned(),
        )
    } else {
        (
            Kind::ConnectionPoolExhausted,
            Confidence::Possible,
            format!(
                "look for a pool of about {in_progress:.0} connections, threads or permits that every \
                 call needs"
            ),
        )
    })
}

fn evidence(together: &Together) -> String {
    let [one, all] = together.rates;
    let cores = together.cores.map_or_else(String::new, |cores| {
        format!(
            ", and the server used {:.0} % of a core meanwhile",
            cores * 100.0
        )
    });
    format!(
        "{} callers at once got {all:.0} calls done in a second, one alone {one:.0}, though a call \
         takes {}: about {:.1} are in progress at a time{cores}",
        together.callers,
        milliseconds(together.alone_ns),
        together.in_progress,
    )
}

/// Callers grow by this between two stages that are compared.
const MORE_CALLERS: f64 = 1.9;
/// Throughput that grows by less stays…
const SAME_RATE: f64 = 1.1;
/// …and where it falls below this, it collapses, which is another thing.
const LEAST_RATE: f64 = 0.7;
/// Latency that grows by less might be noise.
const LONGER: f64 = 1.6;

/// Loads whose later stages get no more done than the earlier ones.
pub(super) fn saturated(results: &Results) -> Vec<Diagnosis> {
    records(results, ScenarioKind::Load)
        .filter_map(|record| of_load(results, &record.name))
        .collect()
}

/// A level of load that stays the same for a while.
struct Level {
    callers: f64,
    rate: f64,
    p50_ns: f64,
}

fn of_load(results: &Results, name: &str) -> Option<Diagnosis> {
    let record = results
        .suite
        .scenarios
        .iter()
        .find(|record| record.name == name)?;
    let load = record
        .load
        .as_ref()
        .filter(|load| !load.executor.is_open())?;
    let sample = results
        .jobs
        .iter()
        .rev()
        .find_map(|job| job.loads.get(name))?;
    let mcpgate = sample.whole.client_cpu_ns.unwrap_or(0) as f64;
    if mcpgate >= MCPGATE_BUSY * sample.whole.duration_ns as f64 {
        return None;
    }
    let levels: Vec<Level> = load
        .stages
        .iter()
        .zip(&sample.stages)
        .filter(|(stage, _)| stage.from == stage.to && stage.duration_ns > 0)
        .filter_map(|(stage, calls)| {
            Some(Level {
                callers: f64::from(stage.to),
                rate: f64::from(calls.successes) * 1e9 / stage.duration_ns as f64,
                p50_ns: calls.wall?.p50_ns as f64,
            })
        })
        .collect();
    let (few, many) = levels
        .iter()
        .zip(levels.iter().skip(1))
        .find(|(few, many)| {
            many.callers >= MORE_CALLERS * few.callers
                && (LEAST_RATE * few.rate..SAME_RATE * few.rate).contains(&many.rate)
                && many.p50_ns > LONGER * few.p50_ns
        })?;
    Some(Diagnosis {
        kind: Kind::Overloaded,
        scenario: Some(name.to_owned()),
        confidence: Confidence::Likely,
        evidence: format!(
            "from {:.0} to {:.0} callers the calls done in a second went from {:.0} to {:.0}, and the \
             time of one from {} to {}",
            few.callers,
            many.callers,
            few.rate,
            many.rate,
            milliseconds(few.p50_ns),
            milliseconds(many.p50_ns),
        ),
        advice: format!(
            "by Little's law that is saturation and no fault: the server is full with {:.0} callers",
            few.callers
        ),
        probe: None,
    })
}
