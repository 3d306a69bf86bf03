//! Tests of the judgement as a whole, by subject.

mod accepted;
mod budgets;
mod calibration;
mod changes;
mod comparable;
mod coverage;
mod diagnoses;
mod errors;
mod evidence;
mod failure_modes;
mod guards;
mod in_turn;
mod in_turn_errors;
mod jobs;
mod loads;
mod memory;
mod other_machine;
mod presence;
mod probed;
mod probes;
mod probes_in_words;
mod properties;
mod renewal;
mod sequence;
mod simulation;
mod tails;

use super::{Comparison, Judgement, Metric, Role, Severity, Verdict, judge, judge_alone};
use crate::{results::Results, suite::GateConfig};

/// The row of one scenario and metric.
fn row<'a>(judgement: &'a Judgement, scenario: &str, metric: Metric) -> &'a Comparison {
    judgement
        .comparisons
        .iter()
        .find(|c| c.scenario == scenario && c.metric == metric)
        .unwrap_or_else(|| panic!("no row for {scenario} {metric} in {judgement:#?}"))
}

fn has_row(judgement: &Judgement, scenario: &str, metric: Metric) -> bool {
    judgement
        .comparisons
        .iter()
        .any(|c| c.scenario == scenario && c.metric == metric)
}

/// Judged by the default policy.
fn judged(base: &Results, candidate: &Results) -> Judgement {
    judge(base, candidate, &GateConfig::default())
}

/// The texts of all findings of one weight.
fn findings(judgement: &Judgement, severity: Severity) -> Vec<String> {
    judgement
        .findings
        .iter()
        .filter(|f| f.severity == severity)
        .map(|f| match &f.scenario {
            Some(scenario) => format!("{scenario}: {}", f.text),
            None => f.text.clone(),
        })
        .collect()
}

/// Every row that is not a pass, in words, for messages of assertions.
fn not_passed(judgement: &Judgement) -> Vec<String> {
    judgement
        .comparisons
        .iter()
        .filter(|c| c.role != Role::Reported && c.verdict != Verdict::Pass)
        .map(|c| {
            format!(
                "{} {} {:?} {:?}: {}",
                c.scenario, c.metric, c.role, c.verdict, c.reason
            )
        })
        .collect()
}
