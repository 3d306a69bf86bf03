//! Rounds: from a suite to results.
//!
//! | file | what it holds |
//! |---|---|
//! | `target.rs` | a server under test, how it is started, when it is ready |
//! | `probe.rs` | the first start: tools, identity, trial calls |
//! | `round.rs` | one round |
//! | `pair.rs` | a round of each of two servers, part by part in turn |
//! | `soak.rs` | one soak |
//! | `load.rs` | loads: virtual users, arrival rates |
//! | `probes.rs` | questions that no round asks, each for one failure mode |
//! | `measure.rs` | the scenarios: calls in, samples out |
//! | `observer.rs` | scheduler readings around calls |
//! | `collector.rs` | from calls to a sample |
//! | `metronome.rs` | a timer that wakes within microseconds |
//! | `slowdown.rs` | a known slow-down, planted to see whether it is found |
//! | `hooks.rs` | the user's own commands around server starts |
//! | `deadline.rs` | when the time is used up |
//! | `event.rs` | what a run tells while it goes on |
//! | `failure.rs` | why a server could not be measured |
//!
//! Everything runs on one thread: the scheduler's figures of that thread are mcpgate's own wait.

pub mod call;
pub mod collector;
pub mod deadline;
pub mod event;
pub mod failure;
pub mod hooks;
pub mod load;
pub mod measure;
#[cfg(test)]
mod measure_tests;
mod metronome;
pub mod observer;
pub mod pair;
pub mod probe;
pub mod probes;
pub mod round;
mod slowdown;
pub mod soak;
pub mod target;

use std::{collections::BTreeMap, sync::Arc};

use tokio::time::Instant;

use self::{
    call::CompiledCall,
    deadline::Deadline,
    event::{Event, Listener},
    failure::RunFailure,
    hooks::Hooks,
    load::PlannedLoad,
    probes::PlannedProbes,
    round::{Findings, GivenUp},
    target::Target,
};
use crate::{
    mcp::revision::Revision,
    results::{Job, Measure, Phase, Probes},
    suite::Suite,
};

/// All that is needed to measure rounds of one server.
pub struct Plan {
    /// The server.
    pub target: Target,
    /// The user's own commands.
    pub hooks: Hooks,
    /// What runs.
    pub suite: Suite,
    /// The negotiated protocol revision.
    pub revision: Revision,
    /// By scenario name; see [`round::compile`].
    pub calls: BTreeMap<String, Arc<CompiledCall>>,
    /// By the server that they share; see [`load::compile`].
    pub loads: Vec<Vec<PlannedLoad>>,
    /// See [`probes::compile`]; `None` where there are none.
    pub probes: Option<PlannedProbes>,
    /// By what factor scenarios are made slower, to see whether that is found.
    pub slowed_by: Option<f64>,
    /// The process of an attached server, or why it is not known.
    pub attached_pid: Result<u32, String>,
}

/// Measures one round, number `of.0` of `of.1`, and adds it to `job` when it is whole.
///
/// Begins nothing, and says so in `job.incomplete`, when the time of `deadline` is used up; gives
/// up a round that goes on far beyond it.
///
/// # Errors
/// When the server cannot be started or is lost, or the time does not suffice for the first round;
/// the rounds before stay in `job`, whose `incomplete` then says why.
pub async fn run_round(
    plan: &Plan,
    phase: Phase,
    (number, of): (u32, u32),
    deadline: Deadline,
    job: &mut Job,
    listener: Listener<'_>,
) -> Result<(), RunFailure> {
    let began = Instant::now();
    if deadline.is_over() {
        job.incomplete = Some(format!(
            "max-time was used up after {} of {of} rounds",
            number - 1
        ));
        return Ok(());
    }
    listener(Event::Round { phase, number, of });
    let index = u32::try_from(job.rounds.len()).unwrap_or(u32::MAX);
    let mut findings = Findings::default();
    let given_up = GivenUp::since(&plan.suite, job, phase);
    let work = round::run(plan, phase, index, given_up, &mut findings, listener);
    let outcome = deadline.cut(work).await;
    let part = format!("round {}", index + 1);
    if let Some(round) = conclude((&part, index == 0), outcome, findings, job, listener)? {
        job.rounds.push(round);
        listener(Event::RoundEnded {
            elapsed: began.elapsed(),
        });
    }
    Ok(())
}

/// Measures one soak, number `of.0` of `of.1`, and adds it to `job`; see [`run_round`].
///
/// # Errors
/// As [`run_round`].
pub async fn run_soak(
    plan: &Plan,
    phase: Phase,
    (number, of): (u32, u32),
    deadline: Deadline,
    job: &mut Job,
    listener: Listener<'_>,
) -> Result<(), RunFailure> {
    let began = Instant::now();
    if deadline.is_over() {
        job.incomplete = Some(format!(
            "max-time was used up after {} of {of} soaks",
            number - 1
        ));
        return Ok(());
    }
    listener(Event::Soak { number, of });
    let index = u32::try_from(job.soaks.len()).unwrap_or(u32::MAX);
    let mut findings = Findings::default();
    let given_up = GivenUp::since(&plan.suite, job, phase);
    let work = soak::run(plan, phase, index, given_up, &mut findings, listener);
    let outcome = deadline.cut(work).await;
    let part = format!("soak {}", index + 1);
    if let Some(soak) = conclude((&part, false), outcome, findings, job, listener)? {
        job.soaks.push(soak);
        listener(Event::RoundEnded {
            elapsed: began.elapsed(),
        });
    }
    Ok(())
}

/// Runs the loads that share a server, number `of.0` of `of.1`, and adds what they gave to `job`;
/// see [`run_round`].
///
/// # Errors
/// As [`run_round`]. A server that is lost under load is in the results, not here.
pub async fn run_loads(
    plan: &Plan,
    (number, of): (u32, u32),
    deadline: Deadline,
    job: &mut Job,
    listener: Listener<'_>,
) -> Result<(), RunFailure> {
    let began = Instant::now();
    let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(group) = plan.loads.get(index) else {
        return Ok(());
    };
    if deadline.is_over() {
        job.incomplete = Some(format!(
            "max-time was used up after {} of {of} loads",
            number - 1
        ));
        return Ok(());
    }
    listener(Event::Load { number, of });
    let mut findings = Findings::default();
    let given_up = GivenUp::so_far(&plan.suite, job);
    let work = load::run(plan, group, &given_up, &mut findings, listener);
    let outcome = deadline.cut(work).await;
    let part = format!("load {number}");
    if let Some(loads) = conclude((&part, false), outcome, findings, job, listener)? {
        job.loads.extend(loads);
        listener(Event::RoundEnded {
            elapsed: began.elapsed(),
        });
    }
    Ok(())
}

/// Makes the probes once more, and adds what they found to `job`. They do not make a run incomplete:
/// where a server does not start, or the time of `deadline` is used up, a note says so.
pub async fn run_probes(plan: &Plan, deadline: Deadline, job: &mut Job, listener: Listener<'_>) {
    let began = Instant::now();
    let Some(probes) = &plan.probes else {
        return;
    };
    let mut findings = Findings::default();
    let mut found = Probes::default();
    let mut outcome = None;
    if !deadline.is_over() {
        listener(Event::Probes);
        let given_up = GivenUp::so_far(&plan.suite, job);
        let set = u32::try_from(job.probes.len()).unwrap_or(u32::MAX);
        let work = probes::run(
            plan,
            probes,
            (set, &given_up),
            &mut found,
            &mut findings,
            listener,
        );
        outcome = deadline.cut(work).await;
    }
    let place = findings.place().to_owned();
    take_findings(job, findings, listener);
    // A whole set counts as asked, whatever it found; of one that ended early, what there is.
    if matches!(outcome, Some(Ok(()))) || found != Probes::default() {
        job.probes.push(found);
    }
    match outcome {
        Some(Ok(())) => {
            listener(Event::RoundEnded {
                elapsed: began.elapsed(),
            });
        }
        Some(Err(failure)) => {
            let text = failure.to_string();
            let why = text.lines().next().unwrap_or_default();
            note(job, format!("no further probes ({place}): {why}"), listener);
        }
        None => {
            let why = "max-time was used up before the end of the probes".to_owned();
            note(job, why, listener);
        }
    }
}

/// Adds a note to a job once, and says it.
fn note(job: &mut Job, note: String, listener: Listener<'_>) {
    if !job.notes.contains(&note) {
        listener(Event::Note(&note));
        job.notes.push(note);
    }
}

/// What a part of the run gave; `None` where the time was used up in it, which is no failure once
/// there is a round. `part`: its name, and whether it is the first round.
fn conclude<T>(
    (part, is_first): (&str, bool),
    outcome: Option<Result<T, RunFailure>>,
    findings: Findings,
    job: &mut Job,
    listener: Listener<'_>,
) -> Result<Option<T>, RunFailure> {
    let place = format!("{part}, {}", findings.place());
    take_findings(job, findings, listener);
    match outcome.unwrap_or(Err(RunFailure::OutOfTime { place })) {
        Ok(given) => Ok(Some(given)),
        Err(failure) if is_first => Err(fail(job, failure)),
        Err(failure @ RunFailure::OutOfTime { .. }) => {
            drop(fail(job, failure));
            Ok(None)
        }
        Err(failure) => Err(fail(job, failure.later(format!("the start of {part}")))),
    }
}

fn fail(job: &mut Job, failure: RunFailure) -> RunFailure {
    let text = failure.to_string();
    job.incomplete = Some(text.lines().next().unwrap_or_default().to_owned());
    failure
}

fn take_findings(job: &mut Job, findings: Findings, listener: Listener<'_>) {
    if let Some(measure) = findings.memory {
        prefer_reason(&mut job.memory_measure, measure);
    }
    if let Some(measure) = findings.adjusted {
        prefer_reason(&mut job.adjusted_measure, measure);
    }
    for (scenario, error) in findings.errors {
        job.error_samples.entry(scenario).or_insert(error);
    }
    for found in findings.notes {
        note(job, found, listener);
    }
}

/// One round without a figure is enough to say why.
fn prefer_reason(kept: &mut Measure, new: Measure) {
    let is_first = *kept == not_yet();
    if is_first || matches!(new, Measure::NotMeasured(_)) {
        *kept = new;
    }
}

/// The measure of a job without rounds.
#[must_use]
pub fn not_yet() -> Measure {
    Measure::NotMeasured("no round was measured".to_owned())
}
