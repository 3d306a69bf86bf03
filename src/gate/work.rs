//! How much a round of each side does, since memory grows with work.

use std::collections::BTreeMap;

use crate::results::{Results, ScenarioKind};

/// The candidate's round against the base's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// The same scenarios with the same calls.
    Equal,
    /// All of the base's work and more.
    More,
    /// A part of the base's work.
    Less,
    /// Neither holds the other.
    Other,
}

/// Compares the declared repeating scenarios.
pub(super) fn work(base: &Results, candidate: &Results) -> Work {
    let calls = |results: &Results| {
        results
            .suite
            .scenarios
            .iter()
            .filter(|s| s.kind != ScenarioKind::Soak)
            .map(|s| ((s.name.clone(), s.definition_hash.clone()), s.calls))
            .collect::<BTreeMap<_, _>>()
    };
    let (b, c) = (calls(base), calls(candidate));
    let holds = |a: &BTreeMap<_, u32>, b: &BTreeMap<_, u32>| {
        b.iter()
            .all(|(name, calls)| a.get(name).is_some_and(|own| own >= calls))
    };
    match (holds(&c, &b), holds(&b, &c)) {
        (true, true) => Work::Equal,
        (true, false) => Work::More,
        (false, true) => Work::Less,
        (false, false) => Work::Other,
    }
}
