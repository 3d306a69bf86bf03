//! What must be there: a scenario that vanished, never ran or never succeeded is not a pass.

use super::{
    Finding, Severity,
    comparability::{UPDATE, about, about_all, shortened, tool_list_differs},
    errors::{Tally, first_error},
};
use crate::results::{Results, ScenarioRecord, Skipped};

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
    let scenarios = results.suite.scenarios.iter().filter_map(|record| {
        let tally = Tally::of(results, &record.name);
        let finding = |severity, text| Some(about(severity, &record.name, text));
        let error = || first_error(results, &record.name);
        if tally.calls == 0 {
            finding(
                Severity::Failure,
                "declared, but not one call was made".to_owned(),
            )
        } else if tally.all_failed() {
            let severity = if record.report_only {
                Severity::Note
            } else {
                Severity::Failure
            };
            finding(
                severity,
                format!("not one of {} calls succeeded{}", tally.calls, error()),
            )
        } else if tally.failed > 0 {
            finding(
                Severity::Note,
                format!(
                    "{} of {} calls failed{}",
                    tally.failed,
                    tally.calls,
                    error()
                ),
            )
        } else {
            None
        }
    });
    scenarios.chain(notes).collect()
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
                        "in the baseline, but left out of this run: {}",
                        shortened(why, 300)
                    ),
                )
            }
            None => about(
                Severity::Failure,
                &m.record.name,
                format!(
                    "in the baseline, but not in this run; if it was removed on purpose, {UPDATE}"
                ),
            ),
        })
        .collect()
}
