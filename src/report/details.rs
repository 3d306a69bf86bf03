//! Rows beside the comparisons: budgets, findings, errors. The same for a judgement and a run.

use std::collections::BTreeMap;

use super::{
    figure, headline,
    line::{self, Line},
};
use crate::{
    diagnosis::Confidence,
    gate::{BudgetCheck, BudgetOutcome, Diagnosed, Finding, Severity, Standing, Verdict},
    results::Results,
};

/// One absolute limit.
#[derive(Debug)]
pub(crate) struct BudgetRow<'a> {
    pub(crate) scenario: &'a str,
    pub(crate) metric: &'static str,
    pub(crate) value: String,
    pub(crate) limit: String,
    pub(crate) outcome: BudgetOutcome,
    /// The outcome and what it does to the build.
    pub(crate) word: &'static str,
    /// `true` where a reader must see it.
    pub(crate) pressing: bool,
    /// `true` where it fails the build.
    pub(crate) fails: bool,
}

/// Something about the whole that a reader must know.
#[derive(Debug)]
pub(crate) struct FindingRow {
    pub(crate) severity: Severity,
    pub(crate) text: Line,
}

/// Errors of one scenario over all rounds.
#[derive(Debug)]
pub(crate) struct ErrorRow<'a> {
    pub(crate) scenario: &'a str,
    /// `12 of 1000 calls failed: tool-error 10, timeout 2`.
    pub(crate) counts: Line,
    /// The first answer that was counted as an error.
    pub(crate) sample: Option<Line>,
}

pub(crate) fn budget_rows(checks: &[BudgetCheck]) -> Vec<BudgetRow<'_>> {
    let mut rows: Vec<BudgetRow<'_>> = checks.iter().map(budget_row).collect();
    rows.sort_by_key(|row| match row.outcome {
        BudgetOutcome::Broken => 0,
        BudgetOutcome::Near => 1,
        BudgetOutcome::NotMeasured => 2,
        BudgetOutcome::Held => 3,
    });
    rows
}

fn budget_row(check: &BudgetCheck) -> BudgetRow<'_> {
    let unit = check.metric.unit();
    let word = match (check.outcome, check.binding) {
        (BudgetOutcome::Held, _) => "held",
        (BudgetOutcome::Broken, true) => "broken, fails the build",
        (BudgetOutcome::Broken, false) => "broken, default: warns",
        (BudgetOutcome::Near, _) => "over, within noise",
        (BudgetOutcome::NotMeasured, _) => "not measured",
    };
    BudgetRow {
        scenario: &check.scenario,
        metric: figure::label(check.metric),
        value: figure::figure_or_none(check.value, unit),
        limit: figure::figure(check.limit, unit),
        outcome: check.outcome,
        word,
        pressing: match check.outcome {
            BudgetOutcome::Broken | BudgetOutcome::Near => true,
            BudgetOutcome::NotMeasured => check.binding,
            BudgetOutcome::Held => false,
        },
        fails: check.binding && check.outcome == BudgetOutcome::Broken,
    }
}

/// A diagnosis, ready to be laid out.
#[derive(Debug)]
pub(crate) struct DiagnosisRow {
    /// Its name, and how sure it is and how it stands to the base.
    pub(crate) name: &'static str,
    pub(crate) about: String,
    /// Whether it is a failure mode, and here.
    pub(crate) is_fault: bool,
    /// Whether it makes the verdict `regressed`.
    pub(crate) fails: bool,
    /// Where it shows; empty where it is about the server.
    pub(crate) place: Line,
    pub(crate) evidence: Line,
    pub(crate) advice: Line,
}

pub(crate) fn diagnosis_rows(diagnoses: &[Diagnosed]) -> Vec<DiagnosisRow> {
    diagnoses
        .iter()
        .map(
            |Diagnosed {
                 diagnosis,
                 standing,
                 verdict,
             }| {
                let confidence = match diagnosis.confidence {
                    Confidence::Possible => "possible",
                    Confidence::Likely => "likely",
                };
                let standing_words = match standing {
                    Standing::New => ", not in the base",
                    Standing::Known => ", in the base as well",
                    Standing::Gone => ", in the base and here no more",
                    Standing::Accepted => ", not in the base, accepted",
                    Standing::Unknown => "",
                };
                // What is no fault for itself fails where a change brings it.
                let weight = if diagnosis.kind.is_information() && verdict.is_none() {
                    ", no fault"
                } else {
                    ""
                };
                let place = diagnosis.scenario.as_deref();
                DiagnosisRow {
                    name: diagnosis.kind.name(),
                    about: format!("{confidence}{weight}{standing_words}"),
                    fails: *verdict == Some(Verdict::Regressed),
                    is_fault: !diagnosis.kind.is_information() && *standing != Standing::Gone,
                    place: place.map(Line::of_name).unwrap_or_default(),
                    evidence: Line::of_prose(&sentence(&diagnosis.evidence)),
                    advice: Line::of_prose(&sentence(&diagnosis.advice)),
                }
            },
        )
        .collect()
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), letters.as_str())
    })
}

pub(crate) fn finding_rows(findings: &[Finding]) -> Vec<FindingRow> {
    findings
        .iter()
        .map(|finding| FindingRow {
            severity: finding.severity,
            text: headline::finding_line(finding),
        })
        .collect()
}

/// Errors by scenario, in suite order.
pub(crate) fn error_rows(results: &Results) -> Vec<ErrorRow<'_>> {
    results
        .suite
        .scenarios
        .iter()
        .filter_map(|scenario| {
            let mut calls = 0_u64;
            let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
            for (made, errors) in samples(results, &scenario.name) {
                calls += u64::from(made);
                for (kind, count) in errors {
                    *kinds.entry(kind).or_default() += u64::from(*count);
                }
            }
            let failed: u64 = kinds.values().sum();
            let mut most_first: Vec<(&str, u64)> = kinds.into_iter().collect();
            most_first.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
            let kinds = most_first
                .iter()
                .take(4)
                .map(|(kind, count)| Line::of_prose(kind).then(format!(" {count}")));
            let kinds = line::separated(", ", kinds);
            (failed > 0).then(|| ErrorRow {
                scenario: &scenario.name,
                counts: Line::own(format!("{failed} of {calls} calls failed: ")).join(kinds),
                sample: results
                    .jobs
                    .iter()
                    .rev()
                    .find_map(|job| job.error_samples.get(&scenario.name))
                    .map(|sample| Line::own("first error: ").prose(&sample.message)),
            })
        })
        .collect()
}

fn samples<'a>(
    results: &'a Results,
    scenario: &'a str,
) -> impl Iterator<Item = (u32, &'a BTreeMap<String, u32>)> {
    let counts = results
        .jobs
        .iter()
        .flat_map(move |job| job.counts_of(scenario));
    counts.map(|counts| (counts.calls, counts.errors))
}
