//! What a report of a judgement says, worked out once for every format.

use std::collections::BTreeMap;

use super::{
    Context, Report,
    details::{self, BudgetRow, DiagnosisRow, ErrorRow, FindingRow},
    figure,
    headline::{self, Headline, Step},
    line::{self, Line},
    provenance::{self, Fact},
    slow_drift,
};
use crate::{
    gate::{Comparison, Metric, Role, Verdict},
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
    /// Named failure modes, gravest first.
    pub(crate) diagnoses: Vec<DiagnosisRow>,
    /// Scenarios of the candidate with errors.
    pub(crate) errors: Vec<ErrorRow<'a>>,
    /// What the committed baseline says, where another server decides.
    pub(crate) drift: Option<Line>,
    /// What has grown by little at a time, largest first.
    pub(crate) slow_drifts: Vec<Line>,
    /// What was compared with, and how small a change could have been seen; for who reads no more.
    pub(crate) trust: Vec<Line>,
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

/// How many rounds there are of each side.
#[derive(Debug, Clone, Copy)]
struct AllRounds {
    candidate: usize,
    base: usize,
    /// Whether each of one side belongs to one of the other.
    are_pairs: bool,
}

impl AllRounds {
    fn of(report: &Report<'_>) -> Self {
        Self {
            candidate: rounds(report.candidate),
            base: report.base.map_or(0, rounds),
            are_pairs: report.context.against.is_some(),
        }
    }
}

/// One comparison, ready to be laid out. All fields but `note` are our own words and figures.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) verdict: Verdict,
    /// It decides nothing.
    pub(crate) is_shown_only: bool,
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
    /// What it is held against: `20 %`, `fails at 2x`, `only warns`, `not gated`.
    pub(crate) tolerance: String,
}

impl<'a> View<'a> {
    pub(crate) fn of(report: &'a Report<'a>) -> Self {
        let judgement = report.judgement;
        let headline = headline::headline(report);
        let mut findings = details::finding_rows(&judgement.findings);
        let all_rounds = AllRounds::of(report);
        findings.retain(|finding| !headline.says(&finding.text));
        Self {
            headline,
            next: headline::next_steps(report),
            facts: provenance::facts(report),
            sections: sections(&judgement.comparisons, all_rounds),
            unmeasured: unmeasured(&judgement.comparisons),
            budgets: details::budget_rows(&judgement.budgets),
            findings,
            diagnoses: details::diagnosis_rows(&judgement.diagnoses),
            errors: details::error_rows(report.candidate),
            drift: drift(report),
            slow_drifts: slow_drift::lines(&report.context.slow_drifts),
            trust: provenance::trust(report),
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

/// The verdict on the committed baseline with its causes, and what that is worth.
fn drift(report: &Report<'_>) -> Option<Line> {
    let drift = report.drift.as_ref()?;
    let headline = headline::headline(&Report {
        candidate: report.candidate,
        base: Some(drift.baseline),
        judgement: drift.judgement,
        drift: None,
        context: Context::default(),
    });
    let mut first = Line::own("since the baseline (").join(provenance::arm(drift.baseline));
    if let Some(path) = &drift.path {
        first = first.then(", ").path(path);
    }
    let first = first
        .then(format!("): {}: ", headline.word))
        .join(headline.reason);
    headline
        .also
        .into_iter()
        .fold(first, |line, also| line.then("; ").join(also))
        .into()
}

/// Rounds over all jobs.
pub(crate) fn rounds(results: &Results) -> usize {
    results.jobs.iter().map(|job| job.rounds.len()).sum()
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

fn sections(comparisons: &[Comparison], all_rounds: AllRounds) -> Vec<Section<'_>> {
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
                members.sort_by(|a, b| {
                    let by_role = headline::rank(a.role).cmp(&headline::rank(b.role));
                    by_role.then(weight(b).total_cmp(&weight(a)))
                });
            }
            Section {
                verdict,
                groups: groups(&members, comparisons, all_rounds),
            }
        })
        .filter(|section| !section.groups.is_empty())
        .collect()
}

fn groups<'a>(
    members: &[&'a Comparison],
    all: &[Comparison],
    all_rounds: AllRounds,
) -> Vec<Group<'a>> {
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
            group.rows.push(row(comparison, all, all_rounds));
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
        let line = reason.then(": ").join(line::separated(", ", named));
        match self.what.len().saturating_sub(most) {
            0 => line,
            more => line.then(format!(" and {more} more")),
        }
    }
}

/// One comparison of `report`.
pub(crate) fn row_of(report: &Report<'_>, comparison: &Comparison) -> Row {
    row(
        comparison,
        &report.judgement.comparisons,
        AllRounds::of(report),
    )
}

fn row(comparison: &Comparison, all: &[Comparison], all_rounds: AllRounds) -> Row {
    let wall = wall_of(comparison, all).filter(|wall| wall.verdict != comparison.verdict);
    Row {
        verdict: comparison.verdict,
        is_shown_only: comparison.role == Role::Reported,
        figures: figures(comparison),
        wall: wall.map(figures),
        note: note(comparison, all_rounds),
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
            Role::Guards => figure::guards(comparison.metric).to_owned(),
            Role::Reported => "not gated".to_owned(),
        },
    }
}

/// Why, and what could have been seen; the rounds only where they are not all the rounds there
/// are, which the facts name.
fn note(comparison: &Comparison, all_rounds: AllRounds) -> Line {
    let mut parts = Vec::new();
    // That a small change is within the tolerance goes without saying.
    let obvious = comparison.verdict == Verdict::Pass && !looks_worse(comparison);
    if !comparison.reason.is_empty() && !obvious {
        parts.push(Line::of_prose(&comparison.reason));
    }
    let rounds = (comparison.candidate_rounds, comparison.base_rounds);
    if rounds != (all_rounds.candidate, all_rounds.base) && rounds.0 > 0 && rounds.1 > 0 {
        parts.push(Line::own(if all_rounds.are_pairs {
            figure::count(rounds.0.min(rounds.1), "pair")
        } else {
            let candidate = figure::count(rounds.0, "round");
            format!("{candidate} against {}", rounds.1)
        }));
    }
    if comparison.verdict == Verdict::Inconclusive
        && let Some(change) = figure::smallest_visible(comparison)
    {
        parts.push(Line::own(format!("smallest visible change {change}")));
    }
    line::separated("; ", parts)
}

/// `true` where the figure alone exceeds the tolerance.
fn looks_worse(comparison: &Comparison) -> bool {
    let tolerated = 1.0 + comparison.tolerance;
    comparison.ratio.is_none_or(|ratio| {
        if comparison.metric.more_is_better() {
            ratio * tolerated < 1.0
        } else {
            ratio > tolerated
        }
    })
}
