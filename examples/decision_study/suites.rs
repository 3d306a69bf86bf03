//! Suites put together from recorded pairs, and judged as mcpgate judges what it measures.

use mcpgate::{
    gate::{
        self, Judgement, Metric, Verdict, sequence::CONFIRMING_PAIRS, sequence::Sequence, turns,
    },
    results::{Phase, Results, Soak},
    suite::GateConfig,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::{collections::BTreeSet, time::Duration};

use crate::{
    plant::Change,
    recording::{Recorded, Recording},
};

/// Planned pairs at most, as in the standard suite.
pub(crate) const MOST_PAIRS: u32 = 15;
const SOAKS: usize = 3;

/// How pairs are taken from a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Draw {
    /// Any of them, none twice.
    Shuffled,
    /// As they came, one after another.
    InOrder,
}

/// A suite that is drawn from a recording.
pub(crate) struct Suite<'a> {
    recording: &'a Recording,
    /// Of the pairs that it takes, in order: its place, and whether the arms change places.
    pairs: Vec<(usize, bool)>,
    change: Change,
    pub(crate) tool: &'a str,
    rng: ChaCha8Rng,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) judgement: Judgement,
    /// Pairs that were measured, planned and fresh.
    pub(crate) pairs: u32,
    /// Time of the tool's calls until all of it was decided, both arms.
    pub(crate) of_tool: Duration,
}

impl Outcome {
    /// Whether something that can fail the build calls the changed tool, or the server, regressed.
    pub(crate) fn names(&self, tool: &str, change: Change) -> bool {
        self.judgement.comparisons.iter().any(|c| {
            c.verdict == Verdict::Regressed
                && c.role != gate::Role::Reported
                && match change {
                    Change::Memory => c.metric == Metric::PeakMemory,
                    Change::Leak => {
                        c.metric == Metric::MemoryGrowth && c.tool.as_deref() == Some(tool)
                    }
                    Change::None | Change::Slower(_) | Change::Tail => {
                        c.tool.as_deref() == Some(tool)
                    }
                }
        })
    }
}

/// A number from 0 to 1, below 1.
pub(crate) fn below(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

fn under(rng: &mut ChaCha8Rng, limit: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and less than the limit"
    )]
    let chosen = (below(rng) * limit as f64) as usize;
    chosen
}

impl<'a> Suite<'a> {
    /// The suite of this number. The same number takes the same pairs for every change.
    pub(crate) fn drawn(
        recording: &'a Recording,
        number: usize,
        how: Draw,
        change: Change,
    ) -> Option<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
        let wanted = (MOST_PAIRS + CONFIRMING_PAIRS) as usize;
        let all = recording.pairs.len();
        let places: Vec<usize> = match how {
            Draw::Shuffled => shuffled(all, &mut rng),
            // Each start once as it was, and once with its arms in each other's place.
            Draw::InOrder => {
                let first = number / 2;
                (first + wanted <= all).then(|| (first..first + wanted).collect())?
            }
        };
        if places.len() < wanted {
            return None;
        }
        // Shuffled pairs know no order, so each of them may change its arms; in a row all do.
        let all_swapped = number % 2 == 1;
        let mut swap = |place: usize| match how {
            Draw::Shuffled => (place, rng.next_u64() & 1 == 0),
            Draw::InOrder => (place, all_swapped),
        };
        Some(Self {
            recording,
            pairs: places.into_iter().take(wanted).map(&mut swap).collect(),
            change,
            tool: recording.tools.first()?,
            rng,
        })
    }

    /// The first pair alone, with the change planted: what a gate of single runs sees.
    pub(crate) fn first_pair(&mut self) -> Option<[Recorded; 2]> {
        self.pair(0)
    }

    /// Rounds of the base that come before, for a rule that knows a history.
    pub(crate) fn history(&mut self, count: usize) -> Vec<Recorded> {
        let mut base = |at| self.unchanged(at).map(|[base, _]| base);
        (1..=count).filter_map(&mut base).collect()
    }

    fn unchanged(&self, at: usize) -> Option<[Recorded; 2]> {
        let (place, is_swapped) = *self.pairs.get(at)?;
        let [one, other] = self.recording.pairs.get(place)?.clone();
        Some(if is_swapped {
            [other, one]
        } else {
            [one, other]
        })
    }

    fn pair(&mut self, at: usize) -> Option<[Recorded; 2]> {
        let [base, mut candidate] = self.unchanged(at)?;
        self.change
            .into_round(&mut candidate, self.tool, &mut self.rng);
        Some([base, candidate])
    }

    /// Judges it look by look, as `compare --against` does.
    pub(crate) fn judged(mut self, policy: &GateConfig) -> Outcome {
        let mut both = self.recording.empty.clone();
        for job in both.iter_mut().flat_map(|results| &mut results.jobs) {
            if let Some(in_turn) = &mut job.in_turn {
                in_turn.most_pairs = MOST_PAIRS;
            }
        }
        let figures = gate::gating_figures(&both[1].suite);
        let sequence = Sequence::new(figures, MOST_PAIRS);
        let so_far = |[base, candidate]: &[Results; 2]| {
            gate::judge_so_far(base, candidate, policy, &sequence)
        };
        let mut open: Option<BTreeSet<String>> = None;
        let mut taken = 0;
        let mut of_tool = Duration::ZERO;
        for number in 1..=MOST_PAIRS {
            of_tool += self.take(&mut both, &mut taken, Phase::Measure, open.as_ref());
            if sequence.looks().contains(&number) && number < MOST_PAIRS {
                match turns::still_open(&so_far(&both), &both[1].suite) {
                    Some(still) => open = Some(still),
                    None => break,
                }
            }
        }
        if let Some(alarmed) = turns::to_confirm(&so_far(&both), &both[1].suite) {
            for _ in 0..CONFIRMING_PAIRS {
                of_tool += self.take(&mut both, &mut taken, Phase::Confirm, Some(&alarmed));
            }
        }
        self.soak(&mut both, Phase::Measure);
        let has_grown = so_far(&both)
            .comparisons
            .iter()
            .any(|c| c.metric == Metric::MemoryGrowth && c.verdict == Verdict::Regressed);
        if has_grown {
            self.soak(&mut both, Phase::Confirm);
        }
        let [base, candidate] = &both;
        Outcome {
            judgement: gate::judge_in_turn(base, candidate, policy, &sequence),
            pairs: taken,
            of_tool,
        }
    }

    /// Adds the next pair with these scenarios; how long the tool's calls took in it.
    fn take(
        &mut self,
        both: &mut [Results; 2],
        taken: &mut u32,
        phase: Phase,
        only: Option<&BTreeSet<String>>,
    ) -> Duration {
        let Some(pair) = self.pair(*taken as usize) else {
            return Duration::ZERO;
        };
        let mut of_tool = 0;
        for (results, Recorded { mut round, .. }) in both.iter_mut().zip(pair) {
            round.index = *taken;
            round.phase = phase;
            round
                .scenarios
                .retain(|name, _| only.is_none_or(|only| only.contains(name)));
            of_tool += round
                .scenarios
                .iter()
                .filter(|(name, _)| name.starts_with(&format!("{}/", self.tool)))
                .map(|(_, sample)| sample.duration_ns)
                .sum::<u64>();
            if let Some(job) = results.jobs.first_mut() {
                job.rounds.push(round);
            }
        }
        *taken += 1;
        Duration::from_nanos(of_tool)
    }

    /// Soaks of the same server, drawn with replacement: of any recorded ones, whatever their arm.
    fn soak(&mut self, both: &mut [Results; 2], phase: Phase) {
        let pool: Vec<&Soak> = self.recording.soaks.iter().flatten().collect();
        for _ in 0..SOAKS {
            for (results, is_candidate) in both.iter_mut().zip([false, true]) {
                let drawn = pool.get(under(&mut self.rng, pool.len()));
                let (Some(job), Some(drawn)) = (results.jobs.first_mut(), drawn) else {
                    continue;
                };
                let mut soak = (*drawn).clone();
                soak.index = u32::try_from(job.soaks.len()).unwrap_or(u32::MAX);
                soak.phase = phase;
                if is_candidate {
                    self.change.into_soak(&mut soak, self.tool);
                }
                job.soaks.push(soak);
            }
        }
    }
}

/// Fisher and Yates.
fn shuffled(count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        places.swap(at, under(rng, at + 1));
    }
    places
}

/// Rounds against stored ones of the same recording: the baseline from its first half, the run
/// from its second.
pub(crate) fn judged_stored(
    recording: &Recording,
    number: usize,
    change: Change,
    policy: &GateConfig,
) -> Option<(Judgement, String)> {
    const ROUNDS: usize = 10;
    const CONFIRMING: usize = 5;
    let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
    let tool = recording.tools.first()?.clone();
    let half = recording.pairs.len() / 2;
    let which = under(&mut rng, 2);
    let of_base = under(&mut rng, half.checked_sub(ROUNDS)? + 1);
    let wanted = 2 * ROUNDS + CONFIRMING;
    // Both arms are the same server: the run's rounds are those of one arm, then of the other.
    let late: Vec<&Recorded> = [which, 1 - which]
        .into_iter()
        .flat_map(|arm| {
            recording
                .pairs
                .iter()
                .skip(half)
                .filter_map(move |pair| pair.get(arm))
        })
        .collect();
    let of_candidate = under(&mut rng, late.len().checked_sub(wanted)? + 1);
    let mut base = recording.empty[0].clone();
    let mut candidate = recording.empty[1].clone();
    for job in base.jobs.iter_mut().chain(&mut candidate.jobs) {
        job.in_turn = None;
    }
    let early = recording.pairs.iter().skip(of_base).take(ROUNDS);
    add(
        &mut base,
        early.filter_map(|pair| pair.get(which)).cloned(),
        Phase::Measure,
    );
    let mut changed = late
        .into_iter()
        .skip(of_candidate)
        .take(wanted)
        .cloned()
        .map(|mut round| {
            change.into_round(&mut round, &tool, &mut rng);
            round
        });
    add(
        &mut candidate,
        changed.by_ref().take(ROUNDS),
        Phase::Measure,
    );
    let soaks = recording.soaks.len() / 2;
    for (at, [one, other]) in recording.soaks.iter().enumerate() {
        let (results, mut soak, within) = if at < soaks {
            (&mut base, one.clone(), at)
        } else {
            let mut soak = other.clone();
            change.into_soak(&mut soak, &tool);
            (&mut candidate, soak, at - soaks)
        };
        if within < SOAKS
            && let Some(job) = results.jobs.first_mut()
        {
            soak.phase = Phase::Measure;
            job.soaks.push(soak);
        }
    }
    let mut judgement = gate::judge(&base, &candidate, policy);
    if gate::alarmed_scenarios(&judgement).is_empty()
        && !gate::undecided_scenarios(&judgement).is_empty()
    {
        add(
            &mut candidate,
            changed.by_ref().take(ROUNDS),
            Phase::Measure,
        );
        judgement = gate::judge(&base, &candidate, policy);
    }
    if !gate::alarmed_scenarios(&judgement).is_empty() {
        add(
            &mut candidate,
            changed.by_ref().take(CONFIRMING),
            Phase::Confirm,
        );
        judgement = gate::judge(&base, &candidate, policy);
    }
    Some((judgement, tool))
}

fn add(results: &mut Results, rounds: impl Iterator<Item = Recorded>, phase: Phase) {
    let Some(job) = results.jobs.first_mut() else {
        return;
    };
    for Recorded { mut round, .. } in rounds {
        round.index = u32::try_from(job.rounds.len()).unwrap_or(u32::MAX);
        round.phase = phase;
        job.rounds.push(round);
    }
}
