//! Base and candidate in turn: which goes first, what goes on after a look, and which files belong
//! together.

use std::collections::BTreeSet;

use super::{
    Judgement, Metric, Role, SERVER, Verdict, alarmed_scenarios, errors, sequence::Sequence,
};
use crate::results::{InTurn, Results, ScenarioKind, SuiteRecord};

/// Whether the base goes first in a pair, counted from 0.
///
/// Two pairs one after the other have opposite orders (ABBA), so that neither a machine that drifts
/// nor what a round leaves in caches favours an arm; which comes first in them, the seed says.
#[must_use]
pub fn base_goes_first(seed: u64, pair: u32) -> bool {
    let block = u64::from(pair / 2);
    // The mixing of splitmix64 (Steele, Lea and Flood 2014), for one bit of each block.
    let mut mixed = seed.wrapping_add(block.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let is_base = (mixed ^ (mixed >> 31)) & 1 == 0;
    is_base == pair.is_multiple_of(2)
}

/// The scenarios that the next pairs run after a look with this judgement; `None` where no more
/// planned pairs are needed.
///
/// A scenario is decided once nothing of it is undecided, or once it raised an alarm, which only
/// fresh pairs settle. Start-up needs no scenario, peak memory all of them.
#[must_use]
pub fn still_open(judgement: &Judgement, suite: &SuiteRecord) -> Option<BTreeSet<String>> {
    let undecided = || {
        let rows = judgement.comparisons.iter();
        rows.filter(|c| c.role == Role::Gates && c.more_rounds_could_decide)
    };
    let is_alarmed = |scenario: &str| {
        judgement.comparisons.iter().any(|c| {
            c.scenario == scenario && c.role == Role::Gates && c.verdict == Verdict::Regressed
        })
    };
    if undecided().any(|c| c.scenario == SERVER && c.metric == Metric::PeakMemory) {
        return Some(suite.scenarios.iter().map(|s| s.name.clone()).collect());
    }
    let open: Vec<&str> = undecided()
        .map(|c| c.scenario.as_str())
        .filter(|scenario| !is_alarmed(scenario))
        .collect();
    (!open.is_empty()).then(|| {
        let names = open.iter().filter(|name| **name != SERVER);
        names.map(|name| (*name).to_owned()).collect()
    })
}

/// The scenarios that fresh pairs run to confirm or dismiss the alarms of a judgement; `None`
/// without an alarm.
#[must_use]
pub fn to_confirm(judgement: &Judgement, suite: &SuiteRecord) -> Option<BTreeSet<String>> {
    let mut alarmed = alarmed_scenarios(judgement);
    let rows = judgement.comparisons.iter();
    alarmed.extend(
        rows.filter(|c| errors::is_alarm(c))
            .map(|c| c.scenario.clone()),
    );
    // Soaks and loads are no part of a round.
    let is_repeated = |name: &String| {
        suite.scenarios.iter().all(|scenario| {
            scenario.name != *name
                || !matches!(scenario.kind, ScenarioKind::Soak | ScenarioKind::Load)
        })
    };
    alarmed.retain(is_repeated);
    if alarmed.is_empty() {
        return None;
    }
    let memory = judgement.comparisons.iter().any(|c| {
        c.scenario == SERVER && c.metric == Metric::PeakMemory && c.verdict == Verdict::Regressed
    });
    Some(if memory {
        suite.scenarios.iter().map(|s| s.name.clone()).collect()
    } else {
        alarmed.into_iter().filter(|name| name != SERVER).collect()
    })
}

/// The plan of looks by which two files are judged, where their newest jobs were measured in turn,
/// and what the base is called; `None` where they were not.
#[must_use]
pub fn measured_in_turn<'a>(
    base: &'a Results,
    candidate: &'a Results,
) -> Option<(Sequence, &'a str)> {
    let of = |results: &'a Results| match &results.jobs[..] {
        [job] => job.in_turn.as_ref(),
        _ => None,
    };
    let (base, of_candidate): (&InTurn, &InTurn) = (of(base)?, of(candidate)?);
    let is_pair = base.id == of_candidate.id && base.arm != of_candidate.arm;
    is_pair.then(|| {
        let figures = super::gating_figures(&candidate.suite);
        let sequence = Sequence::new(figures, of_candidate.most_pairs);
        (sequence, base.against.as_str())
    })
}
