//! The comparisons at a glance: a line for each scenario, and one for each figure of it that changed.

use std::collections::BTreeMap;

use super::{
    Report,
    bar::Bar,
    model::{Row, row_of, weight},
};
use crate::gate::{Comparison, Metric, Role, SERVER, Verdict};

/// One line.
#[derive(Debug)]
pub(crate) struct Glance {
    pub(crate) row: Row,
    /// The metric in a word or two; the row has its name in files.
    pub(crate) short: &'static str,
    /// `None` where there is no ratio.
    pub(crate) bar: Option<Bar>,
    /// The verdict, or that it does not count.
    pub(crate) word: &'static str,
}

/// The lines of one scenario.
#[derive(Debug)]
pub(crate) struct GlanceGroup<'a> {
    pub(crate) scenario: &'a str,
    pub(crate) lines: Vec<Glance>,
}

impl GlanceGroup<'_> {
    /// `true` where nothing of it needs a look.
    pub(crate) fn is_calm(&self) -> bool {
        let mut lines = self.lines.iter();
        lines.all(|line| line.row.verdict == Verdict::Pass)
    }
}

/// What needs a look comes first, then what is as it was, in suite order.
pub(crate) fn overview<'a>(report: &Report<'a>) -> Vec<GlanceGroup<'a>> {
    let all = &report.judgement.comparisons;
    let mut order: Vec<&str> = Vec::new();
    let mut by_scenario: BTreeMap<&str, Vec<&Comparison>> = BTreeMap::new();
    for comparison in all {
        let members = by_scenario.entry(&comparison.scenario).or_default();
        if members.is_empty() {
            order.push(&comparison.scenario);
        }
        members.push(comparison);
    }
    let mut groups: Vec<(u8, GlanceGroup<'a>)> = order
        .into_iter()
        .filter_map(|scenario| {
            let shown = shown(by_scenario.get(scenario)?);
            let rank = shown.iter().map(|c| rank(c.verdict)).min()?;
            let lines = shown.into_iter().map(|comparison| Glance {
                row: row_of(report, comparison),
                short: super::figure::short(comparison.metric),
                bar: bar(comparison),
                word: match comparison.role {
                    Role::Reported => "not gated",
                    Role::Gates | Role::Guards => super::model::word(comparison.verdict),
                },
            });
            let lines = lines.collect();
            Some((rank, GlanceGroup { scenario, lines }))
        })
        .collect();
    groups.sort_by_key(|(rank, _)| *rank);
    groups.into_iter().map(|(_, group)| group).collect()
}

/// In the order in which they are shown.
fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Regressed => 0,
        Verdict::Inconclusive => 1,
        Verdict::Improved => 2,
        Verdict::NotMeasured => 3,
        Verdict::Pass => 4,
    }
}

/// What changed of a scenario. A noisy figure that only looks changed is left out beside one that
/// decides. Where nothing changed, the first that decides stands for all.
fn shown<'a>(members: &[&'a Comparison]) -> Vec<&'a Comparison> {
    let changed = |role: Role| {
        let mut those: Vec<&Comparison> = members
            .iter()
            .copied()
            .filter(|c| {
                c.role == role && !matches!(c.verdict, Verdict::Pass | Verdict::NotMeasured)
            })
            .collect();
        those.sort_by(|a, b| {
            let by_weight = || weight(b).total_cmp(&weight(a));
            rank(a.verdict).cmp(&rank(b.verdict)).then_with(by_weight)
        });
        those
    };
    let gating = changed(Role::Gates);
    let mut guarding = changed(Role::Guards);
    if !gating.is_empty() {
        guarding.retain(|c| c.verdict == Verdict::Regressed);
    }
    let changed = [gating, guarding].concat();
    if !changed.is_empty() {
        return changed;
    }
    let of = |role: Role| {
        let mut those = members.iter().copied().filter(|c| c.role == role);
        let first = those.clone().find(|c| c.verdict == Verdict::Pass);
        first.or_else(|| those.next())
    };
    let first = of(Role::Gates)
        .or_else(|| of(Role::Guards))
        .or_else(|| of(Role::Reported));
    // Start-up and memory have nothing to do with each other.
    let memory = members
        .iter()
        .copied()
        .filter(|c| c.scenario == SERVER && c.metric == Metric::PeakMemory);
    let memory = memory.filter(|c| first.is_none_or(|first| first.metric != c.metric));
    first.into_iter().chain(memory).collect()
}

fn bar(comparison: &Comparison) -> Option<Bar> {
    let ratio = comparison.ratio.filter(|ratio| !ratio.is_nan())?;
    let tolerated = 1.0 + comparison.tolerance;
    Some(Bar {
        ratio,
        interval: comparison
            .interval
            .map(|interval| (interval.low, interval.high)),
        limit: match comparison.role {
            Role::Gates if comparison.metric.more_is_better() => Some(1.0 / tolerated),
            Role::Gates => Some(tolerated),
            Role::Guards if comparison.metric == Metric::CpuPerCall => None,
            Role::Guards if comparison.metric.more_is_better() => Some(0.5),
            Role::Guards => Some(2.0),
            Role::Reported => None,
        },
    })
}
