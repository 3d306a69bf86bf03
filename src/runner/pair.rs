//! Two rounds at once: two servers run, and one of them is called at a time.
//!
//! What disturbs a machine lasts: on a shared one, minutes pass at half the pace. So the two arms of
//! a pair are not measured one whole round after the other, which are seconds apart, but scenario by
//! scenario and part by part, which are a fraction of a second apart.

use tokio::time::Instant;

use super::{
    Plan,
    deadline::Deadline,
    event::Event,
    fail,
    failure::RunFailure,
    round::{Findings, GivenUp, OpenRound, Part},
    take_findings,
};
use crate::{
    results::{Job, Phase, Round, ScenarioKind},
    suite::Scenario,
};

/// Parts of a scenario whose calls go one at a time: base, candidate, candidate, base, and so on. More
/// of them would let the first call of a part, which finds cold caches, be one in twenty.
const PARTS: u32 = 4;
/// Parts of one with several calls in flight: more would let its beginning and end, with fewer in
/// flight, weigh more.
const CONCURRENT_PARTS: u32 = 2;

/// A part has at least so many calls, or the first one of each would weigh too much.
const FEWEST_CALLS: u32 = 5;

/// One of the two.
pub struct Side<'a> {
    /// What is measured.
    pub plan: &'a Plan,
    /// Where the round goes.
    pub job: &'a mut Job,
}

/// Which of the two an event or a failure is of: 0 or 1.
pub type Which = usize;

/// Takes events; see [`super::event::Listener`].
pub type Listener<'a> = &'a mut dyn FnMut(Which, Event<'_>);

/// Why a pair could not be measured.
#[derive(Debug)]
pub enum PairFailure {
    /// One of the two, as in a round alone.
    Of(Which, RunFailure),
    /// The second server did not start while the first ran.
    NotTogether(RunFailure),
}

/// Measures one round of each side, number `of.0` of `of.1`, and adds each to its job when both are
/// whole. Side `first` goes first.
///
/// Begins nothing when the time of `deadline` is used up; see [`super::run_round`].
///
/// # Errors
/// When a server cannot be started or is lost; the rounds before stay in the jobs.
pub async fn run_pair(
    sides: [Side<'_>; 2],
    first: Which,
    phase: Phase,
    (number, of): (u32, u32),
    deadline: Deadline,
    listener: Listener<'_>,
) -> Result<(), PairFailure> {
    let began = Instant::now();
    let mut sides = sides.map(|side| InPair {
        index: u32::try_from(side.job.rounds.len()).unwrap_or(u32::MAX),
        given_up: GivenUp::since(&side.plan.suite, side.job, phase),
        findings: Findings::default(),
        plan: side.plan,
        job: side.job,
    });
    if deadline.is_over() {
        for side in sides {
            side.job.incomplete = Some(format!(
                "max-time was used up after {} of {of} rounds",
                number - 1
            ));
        }
        return Ok(());
    }
    listener(first, Event::Round { phase, number, of });
    let outcome = deadline.cut(both(&mut sides, first, phase, listener)).await;
    let is_first = sides.iter().any(|side| side.index == 0);
    let place = sides.iter().find_map(|side| side.findings.scenario.clone());
    for (which, side) in sides.iter_mut().enumerate() {
        let findings = std::mem::take(&mut side.findings);
        take_findings(side.job, findings, &mut |event| listener(which, event));
    }
    match outcome {
        Some(Ok(rounds)) => {
            for ((which, side), round) in sides.into_iter().enumerate().zip(rounds) {
                side.job.rounds.push(round);
                let elapsed = began.elapsed();
                listener(which, Event::RoundEnded { elapsed });
            }
            Ok(())
        }
        Some(Err(PairFailure::Of(which, failure))) => {
            let failure = match sides.into_iter().nth(which) {
                Some(side) if side.index > 0 => {
                    let start = format!("the start of round {}", side.index + 1);
                    fail(side.job, failure.later(start))
                }
                Some(side) => fail(side.job, failure),
                None => failure,
            };
            Err(PairFailure::Of(which, failure))
        }
        Some(Err(apart @ PairFailure::NotTogether(_))) => Err(apart),
        None => {
            let place = place.unwrap_or_else(|| "before its first call".to_owned());
            for side in sides {
                let place = format!("round {}, {place}", side.index + 1);
                let late = fail(side.job, RunFailure::OutOfTime { place });
                if is_first {
                    return Err(PairFailure::Of(first, late));
                }
            }
            Ok(())
        }
    }
}

/// A side while its pair is measured.
struct InPair<'a> {
    index: u32,
    given_up: GivenUp,
    findings: Findings,
    plan: &'a Plan,
    job: &'a mut Job,
}

/// A side whose server runs.
struct Running<'a> {
    which: Which,
    round: OpenRound<'a>,
    findings: &'a mut Findings,
}

async fn both(
    sides: &mut [InPair<'_>; 2],
    first: Which,
    phase: Phase,
    listener: Listener<'_>,
) -> Result<[Round; 2], PairFailure> {
    let scenarios = scenarios(sides.each_ref().map(|side| side.plan));
    let mut running: Vec<Running<'_>> = Vec::new();
    let mut in_order: Vec<(Which, &mut InPair<'_>)> = sides.iter_mut().enumerate().collect();
    if first != 0 {
        in_order.reverse();
    }
    for (which, side) in in_order {
        let given_up = side.given_up.clone();
        let begun = OpenRound::begin(side.plan, (phase, side.index), given_up, &mut side.findings);
        match begun.await {
            Ok(round) => running.push(Running {
                which,
                round,
                findings: &mut side.findings,
            }),
            Err(failure) if running.is_empty() => return Err(PairFailure::Of(which, failure)),
            Err(failure) => {
                // In good order, so that it gives back what the other one may have wanted.
                for side in running {
                    side.round.give_up(side.findings).await;
                }
                return Err(PairFailure::NotTogether(failure));
            }
        }
    }
    for scenario in scenarios {
        one_scenario(&mut running, &scenario, listener).await?;
    }
    let own = |side: &mut Running<'_>| side.round.server_cpu_ns();
    let measured: Vec<Option<u64>> = match &mut running[..] {
        // The second one was started while the first one's time ran.
        [one, other] => vec![
            sum(own(one), other.round.whole_cpu_ns()),
            sum(own(one), own(other)),
        ],
        _ => Vec::new(),
    };
    let mut rounds = Vec::new();
    for (side, measured_cpu_ns) in running.into_iter().zip(measured) {
        let finished = side.round.finish(measured_cpu_ns, side.findings).await;
        let round = finished.map_err(|failure| PairFailure::Of(side.which, failure))?;
        rounds.push((side.which, round));
    }
    rounds.sort_by_key(|(which, _)| *which);
    let rounds: Vec<Round> = rounds.into_iter().map(|(_, round)| round).collect();
    <[Round; 2]>::try_from(rounds).map_err(|_| {
        let problem = "a pair without two rounds; this is a defect of mcpgate".to_owned();
        PairFailure::Of(first, RunFailure::Target(problem))
    })
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.zip(b).map(|(a, b)| a.saturating_add(b))
}

/// A scenario as each side has it, where it does.
type OfEach<'a> = [Option<&'a Scenario>; 2];

/// In the order of the second side, which is the candidate; then what only the first has.
fn scenarios<'a>(plans: [&'a Plan; 2]) -> Vec<OfEach<'a>> {
    let [one, other] = plans.map(|plan| &plan.suite.scenarios);
    let find =
        |scenarios: &'a [Scenario], name: &str| scenarios.iter().find(|s| s.record.name == name);
    let of_other = other
        .iter()
        .map(|scenario| [find(one, &scenario.record.name), Some(scenario)]);
    let only_one = one
        .iter()
        .filter(|scenario| find(other, &scenario.record.name).is_none())
        .map(|scenario| [Some(scenario), None]);
    of_other.chain(only_one).collect()
}

async fn one_scenario(
    running: &mut [Running<'_>],
    of_each: &OfEach<'_>,
    listener: Listener<'_>,
) -> Result<(), PairFailure> {
    let parts = of_each
        .iter()
        .flatten()
        .map(|s| parts(s))
        .max()
        .unwrap_or(1);
    let wanted = |side: &Running<'_>| {
        let scenario = of_each.get(side.which).copied().flatten();
        scenario.filter(|scenario| !side.round.has_given_up(&scenario.record))
    };
    for number in 0..parts {
        let part = Part { number, of: parts };
        let mut in_order: Vec<&mut Running<'_>> = running.iter_mut().collect();
        if !number.is_multiple_of(2) {
            in_order.reverse();
        }
        for side in in_order {
            let Some(scenario) = wanted(side) else {
                continue;
            };
            let which = side.which;
            let mut told = |event: Event<'_>| listener(which, event);
            side.round
                .part(scenario, part, side.findings, &mut told)
                .await
                .map_err(|failure| PairFailure::Of(which, failure))?;
        }
    }
    for side in running {
        if let Some(scenario) = wanted(side) {
            let which = side.which;
            let mut told = |event: Event<'_>| listener(which, event);
            side.round
                .conclude(&scenario.record, side.findings, &mut told);
        }
    }
    Ok(())
}

fn parts(scenario: &Scenario) -> u32 {
    let most = match scenario.record.kind {
        ScenarioKind::Concurrent => CONCURRENT_PARTS,
        ScenarioKind::Handshake | ScenarioKind::ListTools | ScenarioKind::Sequential => PARTS,
        ScenarioKind::Soak | ScenarioKind::Load => 1,
    };
    most.min(scenario.record.calls / FEWEST_CALLS).max(1)
}
