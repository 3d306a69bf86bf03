//! What sessions and aborted calls leave behind: memory, descriptors, threads.

use super::{Confidence, Diagnosis, Kind, Look, likely};
use crate::{
    results::{Holdings, ProbeName, SessionProbe, SessionSeries},
    stats::slope,
};

/// Descriptors or threads a session or call, from which on they are kept.
const KEPT_EACH: f64 = 0.5;
/// Memory a session, from which on it is kept. An entry in a table is less.
const SESSION_BYTES: f64 = 1_500.0;
/// Parts of a series that must all grow, and how straight the line must be (1 = quite).
const PARTS: usize = 4;
const STRAIGHT: f64 = 0.97;
/// Sessions below which a slope says nothing.
const SESSIONS_NEEDED: u32 = 150;
/// Readings of memory below which its parts say nothing: three in each.
const READINGS_NEEDED: usize = 3 * PARTS;
/// Where sessions that are ended leave this share of what abandoned ones do, it is the same fault.
const SAME_FAULT: f64 = 0.5;

/// By what was held before, in the middle, and at the end.
fn kept_by_sessions(series: &SessionSeries, look: Look) -> Vec<Diagnosis> {
    if !tells_holdings(series) {
        return Vec::new();
    }
    let middle = series
        .holdings
        .iter()
        .min_by_key(|(sessions, _)| sessions.abs_diff(series.sessions / 2));
    let (Some((_, first)), Some((half, middle)), Some((_, last))) =
        (series.holdings.first(), middle, series.holdings.last())
    else {
        return Vec::new();
    };
    kept(
        [*first, *middle, *last],
        [*half, series.sessions.saturating_sub(*half)],
        (&format!("{} sessions", series.sessions), "each"),
        (ProbeName::Sessions, None),
        look,
    )
}

pub(super) fn sessions(probe: &SessionProbe, look: Look) -> Vec<Diagnosis> {
    let mut found: Vec<Diagnosis> = Vec::new();
    for (series, is_sure) in [(&probe.closed, true), (&probe.abandoned, false)] {
        for mut diagnosis in kept_by_sessions(series, look) {
            // A server may end those that were left later than a probe can wait.
            if !is_sure {
                diagnosis.confidence = Confidence::Possible;
            }
            if found.iter().all(|known| known.kind != diagnosis.kind) {
                found.push(diagnosis);
            }
        }
    }
    // What is open takes memory: that is the same fault.
    if !found.is_empty() && look == Look::Strict {
        return found;
    }
    let closed = growth(&probe.closed, look);
    if let Some(bytes) = closed {
        found.push(likely(
            Kind::SessionLeakClosed,
            ProbeName::Sessions,
            None,
            format!(
                "memory grows by {:.1} kB with each of {} sessions that their clients ended (DELETE)",
                bytes / 1e3,
                probe.closed.sessions
            ),
            "look for what is registered when a session opens and never taken out when it ends: an \
             entry in a table of sessions, a transport, a task that waits for the next message",
        ));
    }
    let abandoned = growth(&probe.abandoned, look).filter(|bytes| {
        look == Look::Lenient || closed.is_none_or(|closed| closed < bytes * SAME_FAULT)
    });
    if let Some(bytes) = abandoned {
        // A server may end them later than a probe can wait.
        found.push(Diagnosis {
            confidence: Confidence::Possible,
            ..likely(
                Kind::SessionLeakAbandoned,
                ProbeName::Sessions,
                None,
                format!(
                    "memory grows by {:.1} kB with each of {} sessions that their clients left without \
                     a word, as agents do that are closed, and is not given back while the probe lasts",
                    bytes / 1e3,
                    probe.abandoned.sessions
                ),
                "make sure that a session ends which was not used for a while: without a limit of time \
                 or number, they stay as long as the server runs",
            )
        });
    }
    found
}

/// Bytes that each session leaves behind after a warm-up, if it does so all along.
///
/// A heap that finds its size grows by steps, and stands still between them: what each session keeps
/// grows in every part of the series, and in a straight line.
fn growth(series: &SessionSeries, look: Look) -> Option<f64> {
    if !tells_growth(series) {
        return None;
    }
    let points = after_warm_up(series);
    let mut parts = points.chunks(points.len().div_ceil(PARTS).max(1));
    let grows = |bytes: Option<f64>| bytes.is_some_and(|bytes| bytes >= look.border(SESSION_BYTES));
    let is_everywhere = parts.all(|part| grows(slope::theil_sen(part)));
    let is_straight = slope::straightness(&points).is_some_and(|it| it >= STRAIGHT);
    slope::theil_sen(&points).filter(|bytes| is_everywhere && is_straight && grows(Some(*bytes)))
}

/// What grows by something with each of so many, in both halves: a pool fills in the first alone.
pub(super) fn kept(
    [before, middle, after]: [Holdings; 3],
    [first, second]: [u32; 2],
    (over, each): (&str, &str),
    (probe, tool): (ProbeName, Option<&str>),
    look: Look,
) -> Vec<Diagnosis> {
    let a_kind = |kind, name: &str, held: fn(&Holdings) -> u32, advice: &str| {
        let [before, middle, after] = [before, middle, after].map(|h| f64::from(held(&h)));
        let in_first = (middle - before) / f64::from(first.max(1));
        let in_second = (after - middle) / f64::from(second.max(1));
        let is_kept = first > 0 && second > 0 && in_first.min(in_second) >= look.border(KEPT_EACH);
        is_kept.then(|| {
            likely(
                kind,
                probe,
                tool,
                format!(
                    "open {name} grew from {before:.0} to {middle:.0} to {after:.0} over {over}: \
                     {in_second:.1} with {each}"
                ),
                advice,
            )
        })
    };
    [
        a_kind(
            Kind::DescriptorLeak,
            "descriptors",
            |h| h.descriptors,
            "look for sockets, files and pipes that are opened for a session or a call and closed only \
             if it ends as planned; a server that runs for days reaches its limit",
        ),
        a_kind(
            Kind::ThreadLeak,
            "threads",
            |h| h.threads,
            "look for a thread, a worker or a child process that is started for a session or a call and \
             waits for something that never comes once the client has left",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether memory was read often enough over enough sessions.
pub(super) fn tells_growth(series: &SessionSeries) -> bool {
    series.sessions >= SESSIONS_NEEDED
        && series.failed.saturating_mul(10) <= series.sessions
        && after_warm_up(series).len() >= READINGS_NEEDED
}

pub(super) fn tells_holdings(series: &SessionSeries) -> bool {
    let last = series.holdings.last().map(|(_, held)| held.descriptors);
    series.sessions >= SESSIONS_NEEDED && last.is_some_and(|descriptors| descriptors > 0)
}

fn after_warm_up(series: &SessionSeries) -> Vec<(f64, f64)> {
    let readings = series.memory.iter();
    readings
        .filter(|(sessions, _)| *sessions > series.sessions / 3)
        .map(|(sessions, bytes)| (f64::from(*sessions), *bytes as f64))
        .collect()
}
