//! Probes: beside the rounds, questions that are put to a server each for one failure mode.
//!
//! | file | what it asks |
//! |---|---|
//! | `calm.rs` | one request at a time: the first call, none at all, refusals, a cheap request beside a slow tool |
//! | `crowd.rs` | calls at once: the first ones of a server, ones with words of their own |
//! | `aborts.rs` | calls that are given up |
//! | `large.rs` | larger and larger answers |
//! | `sessions.rs` | sessions that come and go, or stay |
//! | `writes.rs` | writes at once, and what is left of them |
//!
//! Those that leave nothing behind share one server; the others have one each. A probe that cannot be
//! made, since a request fails for another reason, finds nothing: failures are for the rounds to find.

mod aborts;
mod calm;
mod crowd;
mod large;
mod sessions;
mod writes;

use std::{collections::BTreeMap, sync::Arc};

use tokio::time::{Duration, Instant, sleep};

use super::{
    Plan,
    call::CompiledCall,
    event::{Event, Listener},
    failure::RunFailure,
    round::{Findings, GivenUp, Started, begin, end_within},
};
use crate::{
    error::Error,
    mcp::param_headers::ParamHeaders,
    process::{How, StopLimits, tree},
    results::{AbortProbe, Exit, ExitProbe, Holdings, Probes},
    suite::{ToolCall, WritingTool, probes::ProbePlan},
};

/// How long a server may take to leave, before that is said of it.
const PATIENT: StopLimits = StopLimits {
    after_stdin: Duration::from_secs(5),
    after_terminate: Duration::from_secs(5),
    for_orphans: Duration::from_secs(3),
};
/// How long a server may take to give back what it holds for those that left.
const SETTLING: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A tool that a probe calls.
#[derive(Debug)]
pub struct Probed {
    /// Its call.
    pub call: Arc<CompiledCall>,
    /// How long one takes.
    pub typical: Duration,
}

/// A tool that writes.
#[derive(Debug)]
pub struct Writing {
    /// The write.
    pub write: Arc<CompiledCall>,
    /// What reads it back, with what must be found of it.
    pub read_back: Arc<CompiledCall>,
    /// Whether each write has a read-back of its own.
    pub is_read_one_by_one: bool,
}

/// A tool whose answers grow with an argument.
#[derive(Debug)]
pub struct Growing {
    tool: ToolCall,
    argument: String,
    seed: u64,
    mirrored: ParamHeaders,
}

/// Probes whose calls are ready to be filled in; see [`ProbePlan`].
#[derive(Debug, Default)]
pub struct PlannedProbes {
    first_call: Option<Arc<CompiledCall>>,
    idle: bool,
    refusals: bool,
    beside: Option<Probed>,
    tokens: Vec<Arc<CompiledCall>>,
    aborts: Option<Probed>,
    exit: bool,
    first_calls: Vec<Arc<CompiledCall>>,
    sessions: u32,
    open_sessions: u32,
    large_answers: Option<Growing>,
    writes: Vec<Writing>,
    /// Number of the first write: another one in each run, so that what a run before left behind is
    /// not taken for this one's.
    first_write: u32,
}

/// Makes the calls of probes ready.
///
/// # Errors
/// For a template that is wrong.
pub fn compile(
    plan: &ProbePlan,
    seed: u64,
    first_write: u32,
    mirrored: &BTreeMap<String, ParamHeaders>,
) -> Result<PlannedProbes, Error> {
    let ready = |call: &ToolCall, name: &str| {
        let headers = mirrored.get(&call.name).cloned().unwrap_or_default();
        let compiled = CompiledCall::new(call, seed, &format!("probe {name}"))?;
        Ok::<_, Error>(Arc::new(compiled.mirroring(headers)))
    };
    let one = |tool: &Option<ToolCall>, name: &str| {
        tool.as_ref().map(|tool| ready(tool, name)).transpose()
    };
    let timed = |tool: &Option<(ToolCall, Duration)>, name: &str| {
        let ready = |(tool, typical): &(ToolCall, Duration)| {
            Ok::<_, Error>(Probed {
                call: ready(tool, name)?,
                typical: *typical,
            })
        };
        tool.as_ref().map(ready).transpose()
    };
    let several = |tools: &[ToolCall], name: &str| {
        let ready = tools.iter().map(|tool| ready(tool, name));
        ready.collect::<Result<Vec<_>, Error>>()
    };
    let writing = |tool: &WritingTool| {
        Ok::<_, Error>(Writing {
            write: ready(&tool.write, "writes")?,
            read_back: ready(&tool.read_back, "writes")?,
            is_read_one_by_one: tool.read_back.has_placeholders(),
        })
    };
    Ok(PlannedProbes {
        first_call: one(&plan.first_call, "first-call")?,
        idle: plan.idle,
        refusals: plan.refusals,
        beside: timed(&plan.beside, "beside")?,
        tokens: several(&plan.tokens, "tokens")?,
        aborts: timed(&plan.aborts, "aborts")?,
        exit: plan.exit,
        first_calls: several(&plan.first_calls, "first-calls")?,
        sessions: plan.sessions,
        open_sessions: plan.open_sessions,
        large_answers: plan.large_answers.as_ref().map(|growing| Growing {
            tool: growing.tool.clone(),
            argument: growing.argument.clone(),
            seed,
            mirrored: mirrored
                .get(&growing.tool.name)
                .cloned()
                .unwrap_or_default(),
        }),
        writes: plan.writes.iter().map(writing).collect::<Result<_, _>>()?,
        first_write,
    })
}

/// Asks; `set` is the number of the set, from 0. What was found stands in `found`, also where the
/// rest could not be asked any more.
///
/// # Errors
/// When a server cannot be started.
pub(super) async fn run(
    plan: &Plan,
    probes: &PlannedProbes,
    (set, given_up): (u32, &GivenUp),
    found: &mut Probes,
    findings: &mut Findings,
    listener: Listener<'_>,
) -> Result<(), RunFailure> {
    let works = |call: &&Arc<CompiledCall>| !given_up.has_tool(call.tool());
    let works_timed = |probed: &&Probed| !given_up.has_tool(probed.call.tool());
    let mut begins = |name: &'static str, findings: &mut Findings| {
        listener(Event::Scenario { name });
        findings.scenario = Some(name.to_owned());
    };

    begins("first-call", findings);
    let Started { mut bench, .. } = begin(plan, findings).await?;
    if let Some(call) = probes.first_call.as_ref().filter(works) {
        found.first_call = calm::first_call(&mut bench, call).await;
    }
    if probes.idle {
        begins("idle", findings);
        found.idle = calm::idle(&mut bench).await;
    }
    if probes.refusals {
        begins("refusals", findings);
        found.refusals = calm::refusals(&mut bench).await;
    }
    if let Some(probed) = probes.beside.as_ref().filter(works_timed) {
        begins("beside", findings);
        found.beside = calm::beside(&mut bench, probed).await;
    }
    if !probes.tokens.is_empty() {
        begins("tokens", findings);
        for call in probes.tokens.iter().filter(works) {
            found.tokens = crowd::tokens(&mut bench, call).await;
            if found.tokens.is_some() {
                break;
            }
        }
    }
    if let Some(probed) = probes.aborts.as_ref().filter(works_timed) {
        begins("aborts", findings);
        found.aborts = aborts::run(&mut bench, probed).await;
    }
    let ended = end_within(bench, PATIENT, findings).await;
    // Calls that hang keep a server from leaving: that is said of them already.
    let is_stuck = |aborts: &AbortProbe| aborts.successes_after < aborts.calls_after;
    if probes.exit && !found.aborts.as_ref().is_some_and(is_stuck) {
        found.exit = ended.map(|(how, orphans)| ExitProbe {
            how: match how {
                How::Exited => Exit::ByItself,
                How::Terminated => Exit::Terminated,
                How::Killed => Exit::Killed,
            },
            orphans,
        });
    }

    let first: Vec<_> = probes.first_calls.iter().filter(works).collect();
    if !first.is_empty() {
        begins("first-calls", findings);
        found.first_calls = crowd::first_calls(plan, &first, findings).await?;
    }
    if probes.sessions > 0 {
        begins("sessions", findings);
        found.sessions = Some(sessions::come_and_go(plan, probes.sessions, findings).await?);
    }
    if probes.open_sessions > 0 {
        begins("open-sessions", findings);
        let wanted = probes.open_sessions;
        found.open_sessions = Some(sessions::open_at_once(plan, wanted, findings).await?);
    }
    let large = probes.large_answers.as_ref();
    if let Some(growing) = large.filter(|growing| !given_up.has_tool(&growing.tool.name)) {
        begins("large-answers", findings);
        found.large_answers = large::run(plan, growing, findings).await?;
    }
    for writing in &probes.writes {
        begins("writes", findings);
        found
            .writes
            .push(writes::run(plan, writing, (probes.first_write, set), findings).await?);
    }
    Ok(())
}

/// What is held once it is no more than before, or a while later.
async fn settled(root: Option<u32>, before: Holdings) -> Holdings {
    let until = Instant::now() + SETTLING;
    loop {
        let now = holdings(root);
        let is_settled = now.descriptors <= before.descriptors && now.threads <= before.threads;
        if is_settled || Instant::now() >= until {
            return now;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What the server's process tree holds; nothing where it has no process here.
fn holdings(root: Option<u32>) -> Holdings {
    let (descriptors, threads) = root.map(tree::holdings).unwrap_or_default();
    Holdings {
        descriptors,
        threads,
    }
}
