//! What must be there: a scenario that vanished, never ran or never succeeded is not a pass.

use std::collections::BTreeSet;

use super::{
    Finding, Severity,
    comparability::{about, about_all, shortened, tool_list_differs},
    errors::{Tally, first_error},
    overload,
};
use crate::results::{Results, ScenarioKind, ScenarioRecord, Skipped};

/// Whether no call was made at all.
pub(super) fn nothing_measured(results: &Results) -> bool {
    results
        .suite
        .scenarios
        .iter()
        .all(|s| Tally::of(results, &s.name).calls == 0)
}

/// Findings about the results themselves.
pub(super) fn of_results(results: &Results) -> Vec<Finding> {
    if nothing_measured(results) {
        return vec![about_all(
            Severity::Failure,
            "nothing was measured: not one call was made".to_owned(),
        )];
    }
    let notes = results.jobs.iter().flat_map(|job| &job.notes);
    let notes = notes.map(|note| about_all(Severity::Note, shortened(note, 300)));
    let broken = broken_tools(results);
    let scenarios = results
        .suite
        .scenarios
        .iter()
        .filter_map(|record| of_scenario(results, record, &broken));
    scenarios
        .chain(overload::of_results(results))
        .chain(notes)
        .collect()
}

fn of_scenario(
    results: &Results,
    record: &ScenarioRecord,
    broken: &BTreeSet<&str>,
) -> Option<Finding> {
    let tally = Tally::of(results, &record.name);
    let failure = if record.report_only {
        Severity::Note
    } else {
        Severity::Failure
    };
    let error = || first_error(results, &record.name);
    let (severity, text) = if tally.calls == 0 {
        let is_incomplete = results.jobs.iter().any(|job| job.incomplete.is_some());
        match broken_tool(record, broken) {
            Some(tool) => (
                Severity::Note,
                format!("not called: {} does not work", shortened(tool, 80)),
            ),
            None if record.kind == ScenarioKind::Load && is_incomplete => (
                Severity::Doubt,
                "not one call was made: the run ended before it".to_owned(),
            ),
            None => (
                Severity::Failure,
                "declared, but not one call was made".to_owned(),
            ),
        }
    } else if tally.all_failed() {
        let text = format!("not one of {} calls succeeded{}", tally.calls, error());
        (failure, text)
    } else if record.kind != ScenarioKind::Load && was_given_up(results, record) {
        let text = format!(
            "calls only timed out in the end, so it was given up: {} of {} failed{}",
            tally.failed,
            tally.calls,
            error()
        );
        (failure, text)
    } else if tally.failed > 0 {
        let text = format!(
            "{} of {} calls failed{}",
            tally.failed,
            tally.calls,
            error()
        );
        (Severity::Note, text)
    } else {
        return None;
    };
    Some(about(severity, &record.name, text))
}

/// The tool for which a scenario was not run: its own, or all of a load's.
fn broken_tool<'a>(record: &'a ScenarioRecord, broken: &BTreeSet<&str>) -> Option<&'a str> {
    let mixed = record.load.iter().flat_map(|load| load.tools.keys());
    let mut tools = record.tool.iter().chain(mixed).map(String::as_str);
    let first = tools.next().filter(|tool| broken.contains(tool))?;
    tools.all(|tool| broken.contains(tool)).then_some(first)
}

/// Tools with a scenario that already fails: what else was planned with them was not called.
fn broken_tools(results: &Results) -> BTreeSet<&str> {
    let scenarios = results.suite.scenarios.iter();
    scenarios
        .filter(|s| s.kind != ScenarioKind::Load)
        .filter(|s| Tally::of(results, &s.name).all_failed() || was_given_up(results, s))
        .filter_map(|s| s.tool.as_deref())
        .collect()
}

/// Whether its calls timed out until the run gave it up: see
/// [`crate::results::TIMEOUTS_IN_A_ROW`].
fn was_given_up(results: &Results, record: &ScenarioRecord) -> bool {
    let name = &record.name;
    results.jobs.iter().any(|job| {
        let mut rounds = job
            .rounds
            .iter()
            .filter_map(|round| round.scenarios.get(name));
        let mut soaks = job.soaks.iter().filter_map(|soak| soak.scenarios.get(name));
        // The last one: fresh rounds call it again.
        rounds
            .next_back()
            .is_some_and(|sample| sample.was_given_up(record.calls))
            || soaks.any(|sample| sample.was_given_up(record.calls))
    })
}

/// A scenario of the baseline that this run does not declare.
pub(super) struct Missing<'a> {
    pub(super) record: &'a ScenarioRecord,
    /// Why the run left it out on purpose, where it did.
    pub(super) left_out: Option<&'a str>,
}

/// The baseline's scenarios that this run does not declare.
pub(super) fn missing<'a>(base: &'a Results, candidate: &'a Results) -> Vec<Missing<'a>> {
    base.suite
        .scenarios
        .iter()
        .filter(|b| candidate.suite.scenarios.iter().all(|c| c.name != b.name))
        .map(|record| Missing {
            record,
            left_out: candidate
                .suite
                .skipped
                .iter()
                .find(|s| names(s, record))
                .map(|s| s.reason.as_str()),
        })
        .collect()
}

fn names(skipped: &Skipped, record: &ScenarioRecord) -> bool {
    skipped.name == record.name || record.tool.as_ref() == Some(&skipped.name)
}

/// A failure for each scenario that vanished.
///
/// One that was left out on purpose, with the reason in the results, is noted; it is a doubt where
/// the tool list changed as well, since then the server may have caused it.
pub(super) fn of_missing(
    missing: &[Missing<'_>],
    base: &Results,
    candidate: &Results,
    base_name: &str,
) -> Vec<Finding> {
    missing
        .iter()
        .map(|m| match m.left_out {
            Some(why) => {
                let severity = if tool_list_differs(base, candidate) {
                    Severity::Doubt
                } else {
                    Severity::Note
                };
                about(
                    severity,
                    &m.record.name,
                    format!(
                        "in the {base_name}, but left out of this run: {}",
                        shortened(why, 300)
                    ),
                )
            }
            None => about(
                Severity::Failure,
                &m.record.name,
                format!("in the {base_name}, but not in this run: removed or renamed?"),
            ),
        })
        .collect()
}
