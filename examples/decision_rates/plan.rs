//! The plan of `mcpgate compare`, followed on drawn results.

use std::thread;

use mcpgate::{
    gate::{self, Judgement, Metric, Verdict},
    results::{Phase, Results},
    suite::GateConfig,
};

use crate::world::{Draw, Machine, World};

/// Fresh rounds after an alarm, as `mcpgate compare` measures them.
const CONFIRMING_ROUNDS: u32 = 5;

/// What became of one run of `mcpgate compare`.
pub(crate) struct Run {
    /// Judged after the planned rounds alone.
    pub(crate) first: Judgement,
    /// Judged in the end.
    pub(crate) last: Judgement,
    pub(crate) looked_again: bool,
    pub(crate) confirmed: bool,
}

/// A stored baseline.
fn baseline(world: &World, draw: &mut Draw) -> Results {
    let mut jobs = (0..world.base_jobs).map(|number| {
        let machine = Machine::new(world, false, draw);
        let mut results = machine.results();
        for job in &mut results.jobs {
            job.environment.cpu_model = format!("A{number}");
        }
        machine.rounds(&mut results, Phase::Measure, world.rounds, draw);
        machine.soaks(&mut results, Phase::Measure, draw);
        results
    });
    let Some(mut base) = jobs.next() else {
        unreachable!("a baseline holds a job");
    };
    base.jobs.extend(jobs.flat_map(|results| results.jobs));
    base
}

/// One stored job, and a run against it by the plan of `mcpgate compare`: the planned rounds; as
/// many again if these do not decide; fresh ones after an alarm.
fn run(world: &World, seed: u64) -> Run {
    let draw = &mut Draw::seeded(seed);
    let policy = GateConfig::default();
    let base = baseline(world, draw);
    let here = Machine::new(world, true, draw);
    let mut candidate = here.results();
    here.rounds(&mut candidate, Phase::Measure, world.rounds, draw);
    here.soaks(&mut candidate, Phase::Measure, draw);

    let first = gate::judge(&base, &candidate, &policy);
    let is_alarmed = |j: &Judgement| !gate::alarmed_scenarios(j).is_empty();
    let looked_again = !is_alarmed(&first) && !gate::undecided_scenarios(&first).is_empty();
    let mut last = first.clone();
    if looked_again {
        here.rounds(&mut candidate, Phase::Measure, world.rounds, draw);
        last = gate::judge(&base, &candidate, &policy);
    }
    let confirmed = is_alarmed(&last);
    if confirmed {
        here.rounds(&mut candidate, Phase::Confirm, CONFIRMING_ROUNDS, draw);
        if has(&last, |c| {
            c.metric == Metric::MemoryGrowth && c.verdict == Verdict::Regressed
        }) {
            here.soaks(&mut candidate, Phase::Confirm, draw);
        }
        last = gate::judge(&base, &candidate, &policy);
    }
    Run {
        first,
        last,
        looked_again,
        confirmed,
    }
}

pub(crate) fn has(judgement: &Judgement, wanted: impl Fn(&gate::Comparison) -> bool) -> bool {
    judgement.comparisons.iter().any(wanted)
}

/// Shares of `runs` runs, in percent, of which each of `questions` is true.
pub(crate) fn shares<const N: usize>(
    world: &World,
    runs: u32,
    questions: impl Fn(&Run) -> [f64; N] + Sync,
) -> [f64; N] {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let threads = u32::try_from(threads).unwrap_or(1);
    let questions = &questions;
    let sums = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|t| {
                scope.spawn(move || {
                    let mut sums = [0.0; N];
                    for i in (t..runs).step_by(threads as usize) {
                        let answers = questions(&run(world, u64::from(i)));
                        for (sum, answer) in sums.iter_mut().zip(answers) {
                            *sum += answer;
                        }
                    }
                    sums
                })
            })
            .collect();
        workers
            .into_iter()
            .filter_map(|worker| worker.join().ok())
            .fold([0.0; N], |mut all, sums| {
                for (sum, more) in all.iter_mut().zip(sums) {
                    *sum += more;
                }
                all
            })
    });
    sums.map(|sum| 100.0 * sum / f64::from(runs))
}
