//! What probes show. Each set of them has to show it: what only some do is chance.

use super::{Confidence, Diagnosis, Kind, milliseconds};
use crate::{
    results::{
        AbortProbe, BesideProbe, Exit, Holdings, ProbeName, Probes, Results, SessionProbe,
        SessionSeries, TokenCount, Transport, WriteProbe,
    },
    stats::slope,
};

/// A first call that takes so many times as long as later ones…
const FIRST_CALL_FACTOR: f64 = 5.0;
/// …and so much longer is one that users wait for.
const FIRST_CALL_BY_NS: f64 = 500e6;
/// Cores that an idle server uses, from which on it is said.
const IDLE_CORES: f64 = 0.2;
/// A refusal that takes so many times as long as an answer, and so much longer.
const REFUSAL_FACTOR: f64 = 5.0;
const REFUSAL_BY_NS: f64 = 50e6;
/// A request that arrives at any moment of another's work waits for half of it, if it waits.
const WAITS_FOR_SHARE: f64 = 0.3;
/// Less is the machine's.
const WAITS_BY_NS: f64 = 3e6;
/// Cores below which a server waits, and above which it computes.
const WAITING_CORES: f64 = 0.5;
const COMPUTING_CORES: f64 = 0.8;
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

/// Everything that all of these sets show.
pub(super) fn shown(results: &Results, sets: &[&Probes]) -> Vec<Diagnosis> {
    let is_stdio = results.server.transport == Transport::Stdio;
    let mut found = Vec::new();
    let mut add = |of_each: Vec<Option<Vec<Diagnosis>>>| {
        let asked: Vec<Vec<Diagnosis>> = of_each.into_iter().flatten().collect();
        let Some((last, before)) = asked.split_last() else {
            return;
        };
        for diagnosis in last {
            let others: Option<Vec<Confidence>> = before
                .iter()
                .map(|set| {
                    let mut set = set.iter();
                    set.find(|other| other.is_same_as(diagnosis))
                        .map(|other| other.confidence)
                })
                .collect();
            // As sure as the least sure set.
            found.extend(others.map(|others| Diagnosis {
                confidence: others.into_iter().fold(diagnosis.confidence, Ord::min),
                ..diagnosis.clone()
            }));
        }
    };
    let mut each = |look: &dyn Fn(&Probes) -> Option<Vec<Diagnosis>>| {
        add(sets.iter().map(|set| look(set)).collect());
    };
    each(&|set| Some(tokens(set.tokens.as_ref()?)));
    each(&|set| {
        (!set.writes.is_empty()).then(|| set.writes.iter().filter_map(lost_updates).collect())
    });
    each(&first_calls);
    each(&|set| Some(aborts(set.aborts.as_ref()?)));
    each(&|set| Some(beside(set.beside.as_ref()?).into_iter().collect()));
    each(&|set| Some(sessions(set.sessions.as_ref()?)));
    each(&open_sessions);
    each(&|set| Some(exit(set, is_stdio).into_iter().collect()));
    each(&idle);
    each(&first_call);
    each(&refusals);
    found
}

/// How many sets were asked what this diagnosis is about, so that they could have shown it.
pub(super) fn times_asked(results: &Results, diagnosis: &Diagnosis) -> usize {
    let sets = results.probe_sets();
    sets.filter(|set| could_show(set, diagnosis)).count()
}

fn could_show(set: &Probes, diagnosis: &Diagnosis) -> bool {
    let of_tool = |tool: Option<&String>| tool.is_some() && tool == diagnosis.scenario.as_ref();
    let Some(probe) = diagnosis.probe else {
        return false;
    };
    match probe {
        ProbeName::FirstCall => of_tool(set.first_call.as_ref().map(|p| &p.tool)),
        ProbeName::Idle => set.idle.is_some(),
        ProbeName::Refusals => set.refusals.is_some(),
        ProbeName::Beside => of_tool(set.beside.as_ref().map(|p| &p.tool)),
        ProbeName::Tokens => of_tool(set.tokens.as_ref().map(|p| &p.tool)),
        ProbeName::FirstCalls => set.first_calls.is_some(),
        ProbeName::Aborts => of_tool(set.aborts.as_ref().map(|p| &p.tool)),
        ProbeName::Exit => set.exit.is_some(),
        ProbeName::Sessions => set.sessions.as_ref().is_some_and(|p| match diagnosis.kind {
            Kind::SessionLeakClosed => tells_growth(&p.closed),
            Kind::SessionLeakAbandoned => tells_growth(&p.abandoned),
            _ => [&p.closed, &p.abandoned]
                .iter()
                .all(|series| tells_holdings(series)),
        }),
        ProbeName::OpenSessions => set.open_sessions.is_some(),
        // In sequence the writes were there: else nothing is proven.
        ProbeName::Writes => set.writes.iter().any(|p| {
            let count = p.in_sequence;
            of_tool(Some(&p.tool)) && count.acknowledged > 0 && count.found == count.acknowledged
        }),
    }
}

/// Whether memory was read often enough over enough sessions.
fn tells_growth(series: &SessionSeries) -> bool {
    series.sessions >= SESSIONS_NEEDED
        && series.failed.saturating_mul(10) <= series.sessions
        && after_warm_up(series).len() >= READINGS_NEEDED
}

fn tells_holdings(series: &SessionSeries) -> bool {
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

fn likely(
    kind: Kind,
    probe: ProbeName,
    tool: Option<&str>,
    evidence: String,
    advice: &str,
) -> Diagnosis {
    Diagnosis {
        kind,
        scenario: tool.map(str::to_owned),
        confidence: Confidence::Likely,
        evidence,
        advice: advice.to_owned(),
        probe: Some(probe),
    }
}

fn tokens(probe: &crate::results::TokenProbe) -> Vec<Diagnosis> {
    let places = [
        (Some(probe.one_session), "in one session"),
        (probe.own_sessions, "in sessions of their own"),
    ];
    let seen = || {
        let places = places.iter();
        places.filter_map(|(count, place)| Some(((*count)?, *place)))
    };
    let is_foreign = seen().any(|(count, _)| count.foreign > 0);
    let wrong = |count: &TokenCount| {
        if is_foreign {
            count.foreign
        } else {
            count.wordless
        }
    };
    let in_words: Vec<String> = seen()
        .filter(|(count, _)| wrong(count) > 0)
        .map(|(count, place)| format!("{} of {} answers {place}", wrong(&count), count.answers))
        .collect();
    if in_words.is_empty() {
        return Vec::new();
    }
    let what = if is_foreign {
        "what another call had asked for"
    } else {
        "nothing that any call had asked for"
    };
    let mut diagnosis = likely(
        Kind::AnswersMixedUp,
        ProbeName::Tokens,
        Some(&probe.tool),
        format!(
            "with {} callers at once, {} held {what}, and none of {} one at a time",
            probe.callers,
            in_words.join(" and "),
            probe.alone.answers
        ),
        "look for state that calls share: a variable of the module or of the handler object, a cache \
         without the arguments in its key, request ids that are not kept apart by session",
    );
    if !is_foreign {
        diagnosis.confidence = Confidence::Possible;
    }
    vec![diagnosis]
}

fn lost_updates(probe: &WriteProbe) -> Option<Diagnosis> {
    let (alone, at_once) = (probe.in_sequence, probe.at_once);
    let works_alone = alone.acknowledged > 0 && alone.found == alone.acknowledged;
    (works_alone && at_once.found < at_once.acknowledged).then(|| {
        likely(
            Kind::LostUpdates,
            ProbeName::Writes,
            Some(&probe.tool),
            format!(
                "of {} writes at once that were answered without an error, {} could be read back with \
                 `{}`, and all of {} in sequence",
                at_once.acknowledged, at_once.found, probe.read_back, alone.acknowledged
            ),
            "the tool reads its state, changes it and writes it back while another call does the same: \
             let one call at a time do so, by a lock or a queue, or let the store do it in one step",
        )
    })
}

fn first_calls(set: &Probes) -> Option<Vec<Diagnosis>> {
    let probe = set.first_calls.as_ref()?;
    let hang = (probe.answered < probe.calls).then(|| {
        likely(
            Kind::FirstCallsDeadlock,
            ProbeName::FirstCalls,
            None,
            format!(
                "of the first {} calls of a fresh server, all at once, {} had no answer after {}",
                probe.calls,
                probe.calls - probe.answered,
                milliseconds(probe.patience_ns as f64)
            ),
            "look at what the first call sets up, such as a connection, a model or a cache: two calls \
             that do so at once wait for each other",
        )
    });
    Some(hang.into_iter().collect())
}

fn aborts(probe: &AbortProbe) -> Vec<Diagnosis> {
    let stuck = (probe.successes_after < probe.calls_after).then(|| {
        likely(
            Kind::StuckAfterAborts,
            ProbeName::Aborts,
            Some(&probe.tool),
            format!(
                "after {} calls whose clients gave up half-way, {} of {} calls that followed were \
                 answered{}",
                probe.aborted.saturating_mul(2),
                probe.successes_after,
                probe.calls_after,
                probe
                    .error
                    .as_ref()
                    .map_or_else(String::new, |kind| format!(", and the next one failed ({kind})"))
            ),
            "look for what a call holds and gives back only at its end (a lock, a place in a pool, a \
             connection), and for what a cancelled call still answers: it has to leave the session as \
             it was",
        )
    });
    let kept = kept(
        probe.holdings,
        [probe.aborted, probe.aborted],
        "aborted call",
        (ProbeName::Aborts, Some(&probe.tool)),
    );
    stuck.into_iter().chain(kept).collect()
}

/// What grows by something with each of so many, in both halves: a pool fills in the first alone.
fn kept(
    [before, middle, after]: [Holdings; 3],
    [first, second]: [u32; 2],
    of_what: &str,
    (probe, tool): (ProbeName, Option<&str>),
) -> Vec<Diagnosis> {
    let a_kind = |kind, name: &str, held: fn(&Holdings) -> u32, advice: &str| {
        let [before, middle, after] = [before, middle, after].map(|h| f64::from(held(&h)));
        let in_first = (middle - before) / f64::from(first.max(1));
        let in_second = (after - middle) / f64::from(second.max(1));
        let is_kept = first > 0 && second > 0 && in_first.min(in_second) >= KEPT_EACH;
        is_kept.then(|| {
            likely(
                kind,
                probe,
                tool,
                format!(
                    "open {name} grew from {before:.0} to {middle:.0} to {after:.0} over {} {of_what}s: \
                     {in_second:.1} with each",
                    first.saturating_add(second)
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

fn beside(probe: &BesideProbe) -> Option<Diagnosis> {
    let (tool, alone, beside) = (
        probe.tool_p50_ns as f64,
        probe.alone.p50_ns as f64,
        probe.beside.p50_ns as f64,
    );
    let waits = beside - alone;
    if waits < (tool * WAITS_FOR_SHARE).max(WAITS_BY_NS) {
        return None;
    }
    let seen = format!(
        "`tools/list` takes {} alone and {} while `{}` works, which takes {}",
        milliseconds(alone),
        milliseconds(beside),
        probe.tool,
        milliseconds(tool)
    );
    match probe.server_cores {
        Some(cores) if cores >= COMPUTING_CORES => Some(likely(
            Kind::CpuBoundSerial,
            ProbeName::Beside,
            Some(&probe.tool),
            format!(
                "{seen}; the server computes all the while ({cores:.1} cores used or waited for)"
            ),
            "one core does all the work, so that everyone waits for each call: run the work in threads \
             or processes of their own, or make it less",
        )),
        cores => {
            let mut diagnosis = likely(
                Kind::EventLoopBlocked,
                ProbeName::Beside,
                Some(&probe.tool),
                match cores {
                    Some(cores) => format!(
                        "{seen}; the server's CPU is idle meanwhile ({cores:.2} cores used or waited \
                         for): the tool waits, and lets everyone wait with it"
                    ),
                    None => seen,
                },
                "the tool waits in a synchronous call on the thread that serves everyone (a database \
                 driver, a file, an HTTP library, a sleep): use the asynchronous form, or run it in a \
                 thread",
            );
            if cores.is_none_or(|cores| cores > WAITING_CORES) {
                diagnosis.confidence = Confidence::Possible;
            }
            Some(diagnosis)
        }
    }
}

/// By what was held before, in the middle, and at the end.
fn kept_by_sessions(series: &SessionSeries) -> Vec<Diagnosis> {
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
        "session",
        (ProbeName::Sessions, None),
    )
}

fn sessions(probe: &SessionProbe) -> Vec<Diagnosis> {
    let mut found: Vec<Diagnosis> = Vec::new();
    for (series, is_sure) in [(&probe.closed, true), (&probe.abandoned, false)] {
        for mut diagnosis in kept_by_sessions(series) {
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
    if !found.is_empty() {
        return found;
    }
    let closed = growth(&probe.closed);
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
    let abandoned = growth(&probe.abandoned)
        .filter(|bytes| closed.is_none_or(|closed| closed < bytes * SAME_FAULT));
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
fn growth(series: &SessionSeries) -> Option<f64> {
    if !tells_growth(series) {
        return None;
    }
    let points = after_warm_up(series);
    let mut parts = points.chunks(points.len().div_ceil(PARTS).max(1));
    let grows = |bytes: Option<f64>| bytes.is_some_and(|bytes| bytes >= SESSION_BYTES);
    let is_everywhere = parts.all(|part| grows(slope::theil_sen(part)));
    let is_straight = slope::straightness(&points).is_some_and(|it| it >= STRAIGHT);
    slope::theil_sen(&points).filter(|bytes| is_everywhere && is_straight && grows(Some(*bytes)))
}

fn open_sessions(set: &Probes) -> Option<Vec<Diagnosis>> {
    let probe = set.open_sessions.as_ref()?;
    let refused = (probe.opened < probe.wanted).then(|| {
        let recovery = if probe.recovers {
            "a new one opens once they are ended"
        } else {
            "none opens even after all were ended"
        };
        likely(
            Kind::ConnectionsRefused,
            ProbeName::OpenSessions,
            None,
            format!(
                "with {} sessions open the next one failed ({}); {recovery}",
                probe.opened,
                probe.error.as_deref().unwrap_or("no answer")
            ),
            "look for a limit of connections, sessions, threads or open files, in the server or before \
             it; if it is meant, refuse with a status that says so (429 or 503) and at once",
        )
    });
    Some(refused.into_iter().collect())
}

fn exit(set: &Probes, is_stdio: bool) -> Option<Diagnosis> {
    let probe = set.exit.as_ref()?;
    let asked = if is_stdio {
        "when its input was closed"
    } else {
        "on SIGTERM"
    };
    let orphans = match probe.orphans {
        0 => String::new(),
        1 => "; it left 1 process behind".to_owned(),
        more => format!("; it left {more} processes behind"),
    };
    let how = match probe.how {
        Exit::Killed if is_stdio => {
            format!("the server did not leave {asked}, nor on SIGTERM, and had to be killed")
        }
        Exit::Killed => format!("the server did not leave {asked}, and had to be killed"),
        Exit::Terminated if is_stdio => {
            format!("the server did not leave {asked}, only on SIGTERM")
        }
        Exit::Terminated | Exit::ByItself if probe.orphans > 0 => {
            format!("the server left {asked}")
        }
        Exit::Terminated | Exit::ByItself => return None,
    };
    let mut diagnosis = likely(
        Kind::DoesNotExit,
        ProbeName::Exit,
        None,
        format!("{how}{orphans}"),
        "end when the input ends and when SIGTERM comes: close what keeps the event loop alive (timers, \
         watchers, pools), and end the processes that were started",
    );
    if probe.how != Exit::Killed {
        diagnosis.confidence = Confidence::Possible;
    }
    Some(diagnosis)
}

fn idle(set: &Probes) -> Option<Vec<Diagnosis>> {
    let probe = set.idle.as_ref()?;
    let cores = probe.server_cpu_ns as f64 / probe.duration_ns.max(1) as f64;
    let busy = (cores >= IDLE_CORES).then(|| {
        likely(
            Kind::IdleCpu,
            ProbeName::Idle,
            None,
            format!(
                "{:.0} % of a core is used while a client is connected and asks nothing",
                cores * 100.0
            ),
            "look for a loop that asks again and again instead of waiting: a poll without a pause, a \
             timer of a few milliseconds, a file watcher over a large tree",
        )
    });
    Some(busy.into_iter().collect())
}

fn first_call(set: &Probes) -> Option<Vec<Diagnosis>> {
    let probe = set.first_call.as_ref()?;
    let (first, later) = (probe.first_ns as f64, probe.later_ns as f64);
    let is_slow = first >= later * FIRST_CALL_FACTOR && first - later >= FIRST_CALL_BY_NS;
    let slow = is_slow.then(|| Diagnosis {
        confidence: Confidence::Possible,
        ..likely(
            Kind::FirstCallSlow,
            ProbeName::FirstCall,
            Some(&probe.tool),
            format!(
                "the first call of a fresh server takes {}, later ones {}",
                milliseconds(first),
                milliseconds(later)
            ),
            "look at what the first call imports, loads or connects: do it while the server starts, \
             before it says that it is ready",
        )
    });
    Some(slow.into_iter().collect())
}

fn refusals(set: &Probes) -> Option<Vec<Diagnosis>> {
    let probe = set.refusals.as_ref()?;
    let (refusal, answer) = (probe.refusals.p50_ns as f64, probe.answers.p50_ns as f64);
    let is_slow = refusal >= answer * REFUSAL_FACTOR && refusal - answer >= REFUSAL_BY_NS;
    let slow = is_slow.then(|| Diagnosis {
        confidence: Confidence::Possible,
        ..likely(
            Kind::SlowErrors,
            ProbeName::Refusals,
            None,
            format!(
                "a call of a tool that does not exist is refused after {}, `tools/list` is answered \
                 after {}",
                milliseconds(refusal),
                milliseconds(answer)
            ),
            "look at what happens on the way to an error: a retry, a time-out, a trace that is collected \
             or sent before the answer",
        )
    });
    Some(slow.into_iter().collect())
}
