//! What probes show. Each set of them has to show it: what only some do is chance.

mod large;
mod leaks;

use self::{
    large::large_answers,
    leaks::{kept, sessions, tells_growth, tells_holdings},
};
use super::{Confidence, Diagnosis, Kind, milliseconds};
use crate::results::{
    AbortProbe, BesideProbe, Exit, ProbeName, Probes, Results, TokenCount, Transport, WriteProbe,
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
/// What a server nearly shows, of the borders of what it has to show: measured again, it may.
const NEARLY: f64 = 0.6;
/// Errors by which a tool says that it cannot read.
const REFUSALS: [&str; 2] = ["tool-error", "protocol-error"];
/// Cores by which another look may say otherwise.
const NEARLY_CORES: f64 = 0.15;
/// How closely the borders are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Look {
    /// As they stand.
    Strict,
    /// What lies near a border is shown as well: for what one server has to lack that another shows.
    Lenient,
}

impl Look {
    fn border(self, strict: f64) -> f64 {
        match self {
            Self::Strict => strict,
            Self::Lenient => strict * NEARLY,
        }
    }

    /// How many times as much it has to be.
    fn factor(self, strict: f64) -> f64 {
        1.0 + self.border(strict - 1.0)
    }

    fn cores(self) -> f64 {
        match self {
            Self::Strict => 0.0,
            Self::Lenient => NEARLY_CORES,
        }
    }
}

/// Everything that all of these sets show.
pub(super) fn shown(results: &Results, sets: &[&Probes], look: Look) -> Vec<Diagnosis> {
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
    let mut each = |read: &dyn Fn(&Probes) -> Option<Vec<Diagnosis>>| {
        add(sets.iter().map(|set| read(set)).collect());
    };
    each(&|set| Some(tokens(set.tokens.as_ref()?)));
    each(&|set| {
        (!set.writes.is_empty()).then(|| set.writes.iter().filter_map(lost_updates).collect())
    });
    each(&first_calls);
    each(&|set| Some(aborts(set.aborts.as_ref()?, look)));
    each(&|set| Some(beside(set.beside.as_ref()?, look)));
    each(&|set| Some(sessions(set.sessions.as_ref()?, look)));
    each(&open_sessions);
    each(&|set| Some(large_answers(set.large_answers.as_ref()?, look)));
    each(&|set| {
        set.exit.as_ref()?;
        Some(exit(set, is_stdio).into_iter().collect())
    });
    each(&|set| idle(set, look));
    each(&|set| first_call(set, look));
    each(&|set| refusals(set, look));
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
        // Only a server that was asked for all sizes can lack what shows at the largest.
        ProbeName::LargeAnswers => set
            .large_answers
            .as_ref()
            .is_some_and(|p| of_tool(Some(&p.tool)) && large::reached_all(p)),
        // In sequence the writes were there: else nothing is proven.
        ProbeName::Writes => set.writes.iter().any(|p| {
            let count = &p.in_sequence;
            of_tool(Some(&p.tool)) && count.acknowledged > 0 && count.found == count.acknowledged
        }),
    }
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
    let (alone, at_once) = (&probe.in_sequence, &probe.at_once);
    let works_alone = alone.acknowledged > 0 && alone.found == alone.acknowledged;
    (works_alone && at_once.found < at_once.acknowledged).then(|| {
        let failed = at_once.read_error.as_ref().map(|kind| {
            format!(
                " (reading failed: {kind}, also {} s later)",
                WriteProbe::PATIENCE_S
            )
        });
        let found = likely(
            Kind::LostUpdates,
            ProbeName::Writes,
            Some(&probe.tool),
            format!(
                "of {} writes at once that were answered without an error, {} could be read back with \
                 `{}`{}, and all of {} in sequence",
                at_once.acknowledged,
                at_once.found,
                probe.read_back,
                failed.unwrap_or_default(),
                alone.acknowledged
            ),
            "the tool reads its state, changes it and writes it back while another call does the same: \
             let one call at a time do so, by a lock or a queue, or let the store do it in one step",
        );
        // What a tool refuses to read is no longer what was written; a server that is gone or hangs
        // may have kept it.
        let is_sure = at_once
            .read_error
            .as_deref()
            .is_none_or(|kind| REFUSALS.contains(&kind));
        match is_sure {
            true => found,
            false => Diagnosis {
                confidence: Confidence::Possible,
                ..found
            },
        }
    })
}

fn first_calls(set: &Probes) -> Option<Vec<Diagnosis>> {
    let probe = set.first_calls.as_ref()?;
    let hang = (probe.answered < probe.calls).then(|| {
        let said = |evidence: String, advice| {
            likely(
                Kind::FirstCallsDeadlock,
                ProbeName::FirstCalls,
                None,
                evidence,
                advice,
            )
        };
        let seen = format!(
            "of the first {} calls of a fresh server, all at once, {} had no answer after {}",
            probe.calls,
            probe.calls - probe.answered,
            milliseconds(probe.patience_ns as f64)
        );
        match probe.server_cores.filter(|cores| *cores >= WAITING_CORES) {
            // It may still come to an end.
            Some(cores) => Diagnosis {
                confidence: Confidence::Possible,
                ..said(
                    format!("{seen}; the server computes all the while ({cores:.1} cores used or waited for)"),
                    "look at what the first call sets up, such as a model or a cache: calls at once may \
                     each do so, or wait for each other without rest",
                )
            },
            None => said(
                seen,
                "look at what the first call sets up, such as a connection, a model or a cache: two \
                 calls that do so at once wait for each other",
            ),
        }
    });
    Some(hang.into_iter().collect())
}

fn sum([first, second]: [u32; 2]) -> u32 {
    first.saturating_add(second)
}

fn aborts(probe: &AbortProbe, look: Look) -> Vec<Diagnosis> {
    let stuck = (probe.successes_after < probe.calls_after).then(|| {
        likely(
            Kind::StuckAfterAborts,
            ProbeName::Aborts,
            Some(&probe.tool),
            format!(
                "after {} calls whose clients gave up half-way{}, {} of {} calls that followed were \
                 answered{}",
                sum(probe.aborted),
                match sum(probe.cut_off) {
                    0 => String::new(),
                    cut => format!(" and {cut} whose connections were cut off"),
                },
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
    // Either kind may be the one that leaves something behind.
    let ([given_up, then_given_up], [cut_off, then_cut_off]) = (probe.aborted, probe.cut_off);
    let of_a_kind = [given_up.max(cut_off), then_given_up.max(then_cut_off)];
    let mut over = format!("{} calls that were given up", sum(probe.aborted));
    let each = match sum(probe.cut_off) {
        0 => "each",
        cut => {
            over = format!("{over} and {cut} that were cut off");
            "each of a kind"
        }
    };
    let kept = kept(
        probe.holdings,
        of_a_kind,
        (&over, each),
        (ProbeName::Aborts, Some(&probe.tool)),
        look,
    );
    stuck.into_iter().chain(kept).collect()
}

fn beside(probe: &BesideProbe, look: Look) -> Vec<Diagnosis> {
    let (tool, alone, beside) = (
        probe.tool_p50_ns as f64,
        probe.alone.p50_ns as f64,
        probe.beside.p50_ns as f64,
    );
    let waits = beside - alone;
    if waits < look.border((tool * WAITS_FOR_SHARE).max(WAITS_BY_NS)) {
        return Vec::new();
    }
    let seen = format!(
        "`tools/list` takes {} alone and {} while `{}` works, which takes {}",
        milliseconds(alone),
        milliseconds(beside),
        probe.tool,
        milliseconds(tool)
    );
    let said = |kind, evidence, advice| {
        likely(kind, ProbeName::Beside, Some(&probe.tool), evidence, advice)
    };
    let cores = probe.server_cores;
    let computes = cores
        .filter(|cores| *cores >= COMPUTING_CORES - look.cores())
        .map(|cores| {
            said(
                Kind::CpuBoundSerial,
                format!(
                    "{seen}; the server computes all the while ({cores:.1} cores used or waited for)"
                ),
                "one core does all the work, so that everyone waits for each call: run the work in \
                 threads or processes of their own, or make it less",
            )
        });
    let waits = cores
        .is_none_or(|cores| cores < COMPUTING_CORES + look.cores())
        .then(|| {
            let mut diagnosis = said(
                Kind::EventLoopBlocked,
                match cores {
                    Some(cores) => format!(
                        "{seen}; the server's CPU is idle meanwhile ({cores:.2} cores used or waited \
                         for): the tool waits, and lets everyone wait with it"
                    ),
                    None => seen.clone(),
                },
                "the tool waits in a synchronous call on the thread that serves everyone (a database \
                 driver, a file, an HTTP library, a sleep): use the asynchronous form, or run it in a \
                 thread",
            );
            if cores.is_none_or(|cores| cores > WAITING_CORES + look.cores()) {
                diagnosis.confidence = Confidence::Possible;
            }
            diagnosis
        });
    computes.into_iter().chain(waits).collect()
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

fn idle(set: &Probes, look: Look) -> Option<Vec<Diagnosis>> {
    let probe = set.idle.as_ref()?;
    let cores = probe.server_cpu_ns as f64 / probe.duration_ns.max(1) as f64;
    let busy = (cores >= look.border(IDLE_CORES)).then(|| {
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

fn first_call(set: &Probes, look: Look) -> Option<Vec<Diagnosis>> {
    let probe = set.first_call.as_ref()?;
    let (first, later) = (probe.first_ns as f64, probe.later_ns as f64);
    let is_slow = first >= later * look.factor(FIRST_CALL_FACTOR)
        && first - later >= look.border(FIRST_CALL_BY_NS);
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

fn refusals(set: &Probes, look: Look) -> Option<Vec<Diagnosis>> {
    let probe = set.refusals.as_ref()?;
    let (refusal, answer) = (probe.refusals.p50_ns as f64, probe.answers.p50_ns as f64);
    let is_slow = refusal >= answer * look.factor(REFUSAL_FACTOR)
        && refusal - answer >= look.border(REFUSAL_BY_NS);
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
