//! What a report of a judgement says, worked out once for every format.

use std::collections::BTreeMap;

use super::{
    Report, figure,
    headline::{self, Headline, Step},
    line::Line,
    provenance::{self, Fact},
};
use crate::{
    gate::{BudgetCheck, BudgetOutcome, Comparison, Finding, Metric, Role, Severity, Verdict},
    results::Results,
};

/// The whole report.
#[derive(Debug)]
pub(crate) struct View<'a> {
    /// What happened, in one to a few sentences.
    pub(crate) headline: Headline,
    /// What to do, in order.
    pub(crate) next: Vec<Step>,
    /// What was compared with what.
    pub(crate) facts: Vec<Fact>,
    /// Comparisons by verdict, those that need attention first; `Pass` is the last.
    pub(crate) sections: Vec<Section<'a>>,
    /// What was not measured, by reason.
    pub(crate) unmeasured: Vec<Unmeasured<'a>>,
    /// Absolute limits, broken ones first.
    pub(crate) budgets: Vec<BudgetRow<'a>>,
    /// Heaviest first; without those that the headline says already.
    pub(crate) findings: Vec<FindingRow>,
    /// Scenarios of the candidate with errors.
    pub(crate) errors: Vec<ErrorRow<'a>>,
    /// Counts, and how small a change could have been seen.
    pub(crate) summary: Vec<Line>,
}

/// Comparisons that share a verdict.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    pub(crate) verdict: Verdict,
    /// Worst first; in suite order where nothing changed.
    pub(crate) groups: Vec<Group<'a>>,
}

/// Comparisons that were not measured for the same reason.
#[derive(Debug)]
pub(crate) struct Unmeasured<'a> {
    pub(crate) reason: &'a str,
    /// Scenario and metric.
    pub(crate) what: Vec<(&'a str, &'static str)>,
}

/// Rows of one scenario.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub(crate) scenario: &'a str,
    pub(crate) rows: Vec<Row>,
}

/// One comparison, ready to be laid out. All fields but `note` are our own words and figures.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) verdict: Verdict,
    pub(crate) figures: Figures,
    /// Wall time beside an adjusted figure, unless the same section has it as a row.
    pub(crate) wall: Option<Figures>,
    /// Why, from how many rounds, and what could have been seen.
    pub(crate) note: Line,
}

/// The figures of one comparison.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) metric: &'static str,
    pub(crate) base: String,
    pub(crate) candidate: String,
    pub(crate) change: String,
    /// Empty where there is none.
    pub(crate) interval: String,
    /// What it is held against: `20 %`, `fails at 2x`, `not gated`.
    pub(crate) tolerance: String,
}

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

impl<'a> View<'a> {
    pub(crate) fn of(report: &'a Report<'a>) -> Self {
        let judgement = report.judgement;
        let headline = headline::headline(report);
        let mut findings = finding_rows(&judgement.findings);
        findings.retain(|finding| !headline.says(&finding.text));
        Self {
            headline,
            next: headline::next_steps(report),
            facts: provenance::facts(report),
            sections: sections(&judgement.comparisons),
            unmeasured: unmeasured(&judgement.comparisons),
            budgets: budget_rows(&judgement.budgets),
            findings,
            errors: error_rows(report.candidate),
            summary: provenance::summary(report),
        }
    }

    /// Rows that changed or could not be decided, with their scenarios; worst first.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (&'a str, &Row)> {
        self.rows(|verdict| !matches!(verdict, Verdict::Pass | Verdict::NotMeasured))
    }

    /// Rows without a change, with their scenarios, in suite order.
    pub(crate) fn unchanged(&self) -> impl Iterator<Item = (&'a str, &Row)> {
        self.rows(|verdict| verdict == Verdict::Pass)
    }

    fn rows(&self, wanted: fn(Verdict) -> bool) -> impl Iterator<Item = (&'a str, &Row)> {
        let sections = self
            .sections
            .iter()
            .filter(move |section| wanted(section.verdict));
        sections
            .flat_map(|section| &section.groups)
            .flat_map(|group| group.rows.iter().map(|row| (group.scenario, row)))
    }
}

/// In the order in which they are shown.
const SECTIONS: [Verdict; 5] = [
    Verdict::Regressed,
    Verdict::Inconclusive,
    Verdict::Improved,
    Verdict::NotMeasured,
    Verdict::Pass,
];

/// The word for a verdict; the same as in files.
pub(crate) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Improved => "improved",
        Verdict::Regressed => "regressed",
        Verdict::Inconclusive => "inconclusive",
        Verdict::NotMeasured => "not-measured",
    }
}

/// How much of a change it is, for ordering: the distance of the ratio from 1 on a log scale.
/// A comparison by difference has no ratio, and growth from almost nothing no sensible one; it
/// counts as half as much again.
pub(crate) fn weight(comparison: &Comparison) -> f64 {
    comparison.ratio.unwrap_or(1.5).ln().abs()
}

/// The wall-time comparison that belongs beside an adjusted one.
pub(crate) fn wall_of<'a>(
    adjusted: &Comparison,
    comparisons: &'a [Comparison],
) -> Option<&'a Comparison> {
    let wall = match adjusted.metric {
        Metric::LatencyP50Adjusted => Metric::LatencyP50,
        Metric::LatencyP95Adjusted => Metric::LatencyP95,
        Metric::StartupAdjusted => Metric::Startup,
        Metric::LatencyP50
        | Metric::LatencyP95
        | Metric::Throughput
        | Metric::ErrorRate
        | Metric::Startup
        | Metric::PeakMemory
        | Metric::MemoryGrowth
        | Metric::CpuPerCall => return None,
    };
    comparisons
        .iter()
        .find(|c| c.scenario == adjusted.scenario && c.metric == wall)
}

fn sections(comparisons: &[Comparison]) -> Vec<Section<'_>> {
    SECTIONS
        .iter()
        .map(|&verdict| {
            let mut members: Vec<&Comparison> = comparisons
                .iter()
                .filter(|c| c.verdict == verdict)
                .collect();
            if matches!(
                verdict,
                Verdict::Regressed | Verdict::Inconclusive | Verdict::Improved
            ) {
                members.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
            }
            Section {
                verdict,
                groups: groups(&members, comparisons),
            }
        })
        .filter(|section| !section.groups.is_empty())
        .collect()
}

fn groups<'a>(members: &[&'a Comparison], all: &[Comparison]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut place: BTreeMap<&str, usize> = BTreeMap::new();
    for comparison in members {
        let index = *place.entry(&comparison.scenario).or_insert(groups.len());
        if index == groups.len() {
            groups.push(Group {
                scenario: &comparison.scenario,
                rows: Vec::new(),
            });
        }
        if let Some(group) = groups.get_mut(index) {
            group.rows.push(row(comparison, all));
        }
    }
    groups
}

/// Reasons repeat over scenarios, so they are said once.
fn unmeasured(comparisons: &[Comparison]) -> Vec<Unmeasured<'_>> {
    let mut reasons: Vec<Unmeasured<'_>> = Vec::new();
    for comparison in comparisons
        .iter()
        .filter(|c| c.verdict == Verdict::NotMeasured)
    {
        let what = (
            comparison.scenario.as_str(),
            figure::label(comparison.metric),
        );
        match reasons
            .iter_mut()
            .find(|known| known.reason == comparison.reason)
        {
            Some(known) => known.what.push(what),
            None => reasons.push(Unmeasured {
                reason: &comparison.reason,
                what: vec![what],
            }),
        }
    }
    reasons
}

impl Unmeasured<'_> {
    /// `server memory cannot be read: server peak_memory, a/soak memory_growth and 3 more`.
    pub(crate) fn line(&self, most: usize) -> Line {
        let reason = if self.reason.is_empty() {
            Line::own("no reason was given")
        } else {
            Line::of_prose(self.reason)
        };
        let named = self.what.iter().take(most);
        let named =
            named.map(|(scenario, metric)| Line::of_name(scenario).then(format!(" {metric}")));
        let line = reason.then(": ").join(super::line::comma_separated(named));
        match self.what.len().saturating_sub(most) {
            0 => line,
            more => line.then(format!(" and {more} more")),
        }
    }
}

fn row(comparison: &Comparison, all: &[Comparison]) -> Row {
    let wall = wall_of(comparison, all).filter(|wall| wall.verdict != comparison.verdict);
    Row {
        verdict: comparison.verdict,
        figures: figures(comparison),
        wall: wall.map(figures),
        note: note(comparison),
    }
}

fn figures(comparison: &Comparison) -> Figures {
    let unit = comparison.metric.unit();
    Figures {
        metric: figure::label(comparison.metric),
        base: figure::figure_or_none(comparison.base, unit),
        candidate: figure::figure_or_none(comparison.candidate, unit),
        change: figure::change(comparison),
        interval: figure::interval(comparison).unwrap_or_default(),
        tolerance: match comparison.role {
            Role::Gates if comparison.ratio.is_some() => figure::tolerance(comparison.tolerance),
            Role::Gates => String::new(),
            Role::Guards => "fails at 2x".to_owned(),
            Role::Reported => "not gated".to_owned(),
        },
    }
}

fn note(comparison: &Comparison) -> Line {
    let mut note = Line::default();
    if !comparison.reason.is_empty() {
        note = note.prose(&comparison.reason);
    }
    let rounds = (comparison.candidate_rounds, comparison.base_rounds);
    if rounds.0 > 0 && rounds.1 > 0 {
        let lead = if note.is_empty() { "" } else { "; " };
        let candidate = figure::count(rounds.0, "round");
        note = note.then(format!("{lead}{candidate} against {}", rounds.1));
    }
    if comparison.verdict == Verdict::Inconclusive
        && let Some(ratio) = comparison.smallest_detectable_ratio
    {
        let change = figure::percent_change(ratio);
        note = note.then(format!("; smallest change it could have seen: {change}"));
    }
    note
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
    let word = match (check.outcome, check.set_by_user) {
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
            BudgetOutcome::NotMeasured => check.set_by_user,
            BudgetOutcome::Held => false,
        },
        fails: check.set_by_user && check.outcome == BudgetOutcome::Broken,
    }
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
            let kinds = super::line::comma_separated(kinds);
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
    scenario: &str,
) -> impl Iterator<Item = (u32, &'a BTreeMap<String, u32>)> {
    results.jobs.iter().flat_map(move |job| {
        let rounds = job.rounds.iter().filter_map(move |round| {
            round
                .scenarios
                .get(scenario)
                .map(|sample| (sample.calls, &sample.errors))
        });
        let soaks = job.soaks.iter().filter_map(move |soak| {
            soak.scenarios
                .get(scenario)
                .map(|sample| (sample.calls, &sample.errors))
        });
        rounds.chain(soaks)
    })
}
