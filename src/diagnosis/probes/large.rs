//! Answers that do not come, or hold up others, once they are large.

use super::{Confidence, Diagnosis, Kind, Look, likely, milliseconds};
use crate::results::{LargeAnswer, LargeAnswersProbe, ProbeName, UnreadAnswer};

/// Time may grow so many times as much as the size does: buffers that are made anew cost some.
const TIME_PER_SIZE: f64 = 4.0;
/// An answer that takes less is not waited for.
const WAITED_FOR_NS: f64 = 500e6;
/// What others wait while an answer is not read: so many times as long as before, and so much longer.
const OTHERS_FACTOR: f64 = 10.0;
const OTHERS_BY_NS: f64 = 100e6;
/// Memory of answers at once, as a share of their size: held whole more than once, and not held whole.
const BUFFERED: f64 = 1.5;
const STREAMED: f64 = 0.3;
/// Smaller answers are lost in what a heap does anyway.
const TELLING_BYTES: u64 = 5_000_000;

pub(super) fn large_answers(probe: &LargeAnswersProbe, look: Look) -> Vec<Diagnosis> {
    let said = |evidence, advice: &str| {
        likely(
            Kind::LargeAnswerStall,
            ProbeName::LargeAnswers,
            Some(&probe.tool),
            evidence,
            advice,
        )
    };
    let pairs = || {
        probe
            .sizes
            .windows(2)
            .filter_map(|pair| pair.first().zip(pair.last()))
    };
    let broken = pairs().find_map(|(smaller, larger)| {
        let error = larger.error.as_ref()?;
        let took = smaller.last_byte_ns?;
        Some(said(
            format!(
                "an answer of {} did not come ({error}), one of {} comes in {}",
                size(larger.bytes),
                size(smaller.bytes),
                milliseconds(took as f64)
            ),
            "look for a pipe or a buffer that is filled and not emptied while the server waits, and for \
             a limit of length on the way",
        ))
    });
    let at_once = probe.sizes.iter().find(|answer| answer.at_once_hangs);
    let at_once = at_once.and_then(|answer| {
        let alone = answer.last_byte_ns?;
        Some(said(
            format!(
                "of {} answers of {} at once one did not come within 10 s; one alone comes in {}",
                LargeAnswersProbe::CALLERS,
                size(answer.bytes),
                milliseconds(alone as f64)
            ),
            "look for a lock, a pipe or a buffer that answers on their way share",
        ))
    });
    let unread = probe.sizes.iter().find_map(|answer| {
        let unread = answer.unread?;
        let evidence = held_up(&unread, answer, look)?;
        Some(said(
            evidence,
            "look for what one slow client can hold: a lock while an answer is written, a write that \
             blocks the thread which serves everyone, a buffer that all share",
        ))
    });
    let overlong = pairs().find_map(|(smaller, larger)| {
        let evidence = overlong(smaller, larger, look)?;
        // A collector that has more to do costs time as well.
        Some(Diagnosis {
            confidence: Confidence::Possible,
            ..said(
                evidence,
                "time grows much faster than the answer: look for text that is put together piece by \
                 piece, copied or parsed again with each piece",
            )
        })
    });
    let stall = broken.or(at_once).or(unread).or(overlong);
    stall.into_iter().chain(memory(probe)).collect()
}

/// What several answers at once take of memory, where they were all had.
fn memory(probe: &LargeAnswersProbe) -> Option<Diagnosis> {
    let largest = probe
        .sizes
        .last()
        .filter(|answer| answer.at_once_ns.is_some())?;
    let in_flight = largest.bytes as f64 * f64::from(LargeAnswersProbe::CALLERS);
    let rise = probe.memory_bytes? as f64;
    if largest.bytes < TELLING_BYTES {
        return None;
    }
    let times = rise / in_flight;
    let (kind, advice) = if times >= BUFFERED {
        (
            Kind::AnswersBuffered,
            "each answer is held whole, more than once: as text, as an object, as bytes to be sent. For \
             larger ones answer a part at a time, or a link to a resource",
        )
    } else if times < STREAMED {
        (
            Kind::AnswersStreamed,
            "they are sent as they are made, so that callers at once do not add up",
        )
    } else {
        return None;
    };
    Some(Diagnosis {
        confidence: Confidence::Possible,
        ..likely(
            kind,
            ProbeName::LargeAnswers,
            Some(&probe.tool),
            format!(
                "memory rose by {} for {} answers of {} at once, {times:.1} times their size",
                size(probe.memory_bytes?),
                LargeAnswersProbe::CALLERS,
                size(largest.bytes)
            ),
            advice,
        )
    })
}

/// Whether everything was asked, or what stalls was found on the way.
pub(super) fn reached_all(probe: &LargeAnswersProbe) -> bool {
    probe
        .sizes
        .last()
        .is_some_and(|last| last.unread.is_some() || last.error.is_some() || last.at_once_hangs)
}

fn held_up(unread: &UnreadAnswer, answer: &LargeAnswer, look: Look) -> Option<String> {
    if !unread.is_whole {
        return Some(format!(
            "an answer of {} that its client reads a second late does not come whole",
            size(answer.bytes)
        ));
    }
    let (others, alone) = (unread.others_ns? as f64, unread.alone_ns as f64);
    let waits =
        others >= alone * look.factor(OTHERS_FACTOR) && others - alone >= look.border(OTHERS_BY_NS);
    waits.then(|| {
        format!(
            "while one client does not read an answer of {}, `tools/list` of another takes {}, and {} \
             otherwise",
            size(answer.bytes),
            milliseconds(others),
            milliseconds(alone)
        )
    })
}

fn overlong(smaller: &LargeAnswer, larger: &LargeAnswer, look: Look) -> Option<String> {
    let (short, long) = (smaller.last_byte_ns? as f64, larger.last_byte_ns? as f64);
    let times_larger = larger.bytes as f64 / smaller.bytes.max(1) as f64;
    let times_longer = long / short.max(1.0);
    let is_so = long >= look.border(WAITED_FOR_NS)
        && times_longer >= times_larger * look.factor(TIME_PER_SIZE);
    is_so.then(|| {
        format!(
            "an answer of {} takes {}, {times_longer:.0} times as long as one of {}",
            size(larger.bytes),
            milliseconds(long),
            size(smaller.bytes)
        )
    })
}

fn size(bytes: u64) -> String {
    let kb = bytes as f64 / 1e3;
    if kb >= 999.5 {
        format!("{:.1} MB", kb / 1e3)
    } else {
        format!("{kb:.0} kB")
    }
}
