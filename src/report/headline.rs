//! The first lines: what happened, by how much, what to do.

use super::{
    Report, USUAL_BASELINE, USUAL_RESULTS, accept_entry,
    figure::{self, GAP},
    line::Line,
    model::{self, weight},
};
use crate::{
    error::exit_code,
    gate::{
        BudgetCheck, BudgetOutcome, Comparison, Diagnosed, Finding, Metric, Role, Severity, Verdict,
    },
};

/// More rounds than these cannot be asked for.
const MOST_ROUNDS: usize = 200;
/// Most causes named at the top; the rest stands in the rows.
const CAUSES: usize = 3;

/// What happened.
#[derive(Debug)]
pub(crate) struct Headline {
    pub(crate) tone: Tone,
    /// `regressed`, `pass`, `budget broken`, `no baseline`.
    pub(crate) word: &'static str,
    /// The reason in one sentence.
    pub(crate) reason: Line,
    /// Further causes, one each.
    pub(crate) also: Vec<Line>,
}

/// How a headline is felt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing to do.
    Good,
    /// Look at it.
    Doubtful,
    /// Fails.
    Bad,
    /// Worth knowing.
    Neutral,
}

/// One thing to do.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) text: Line,
    pub(crate) block: Option<Block>,
}

/// Something to copy.
#[derive(Debug)]
pub(crate) enum Block {
    /// A foreign command line.
    Command(String),
    /// Lines of the configuration, in printable ASCII.
    Toml(String),
}

/// Says what happened; the heaviest fact wins.
pub(crate) fn headline(report: &Report<'_>) -> Headline {
    let judgement = report.judgement;
    let failures: Vec<Line> = findings(report, Severity::Failure);
    let broken: Vec<Line> = broken_budgets(&judgement.budgets)
        .map(budget_line)
        .collect();
    match judgement.verdict {
        Verdict::Regressed => {
            let causes = causes(&judgement.comparisons, Verdict::Regressed);
            let modes = failure_modes(&judgement.diagnoses, Verdict::Regressed);
            bad(
                "regressed",
                [causes, modes, failures, broken].concat(),
                "something got worse",
            )
        }
        _ if failures.is_empty()
            && judgement.exit_code == exit_code::REGRESSED
            && !broken.is_empty() =>
        {
            bad("budget broken", broken, "")
        }
        _ if is_first_use(report) => Headline {
            tone: Tone::Neutral,
            word: "no baseline",
            reason: Line::own("nothing to compare with yet; budgets were judged"),
            also: Vec::new(),
        },
        Verdict::NotMeasured => {
            let lines = [failures, broken].concat();
            let headline = bad(
                "not-measured",
                lines,
                "nothing could be compared, so nothing is proven",
            );
            let fails = judgement.exit_code != exit_code::OK;
            Headline {
                tone: if fails { Tone::Bad } else { Tone::Doubtful },
                ..headline
            }
        }
        Verdict::Inconclusive => inconclusive(report),
        Verdict::Improved => {
            let mut lines = causes(&judgement.comparisons, Verdict::Improved);
            lines.extend(failure_modes(&judgement.diagnoses, Verdict::Improved));
            let reason = if lines.is_empty() {
                Line::own("faster or smaller")
            } else {
                lines.remove(0)
            };
            Headline {
                tone: Tone::Good,
                word: "improved",
                reason,
                also: lines,
            }
        }
        Verdict::Pass => Headline {
            tone: Tone::Good,
            word: "pass",
            reason: Line::own("nothing got worse by more than its tolerance"),
            also: Vec::new(),
        },
    }
}

/// `true` where there was nothing to compare with and nothing failed.
fn is_first_use(report: &Report<'_>) -> bool {
    report.base.is_none()
        && report.judgement.comparisons.is_empty()
        && findings(report, Severity::Failure).is_empty()
}

fn bad(word: &'static str, mut lines: Vec<Line>, otherwise: &'static str) -> Headline {
    let more = lines.len().saturating_sub(CAUSES + 1);
    lines.truncate(CAUSES + 1);
    if more > 0 {
        lines.push(Line::own(format!("and {more} more below")));
    }
    let reason = if lines.is_empty() {
        Line::own(otherwise)
    } else {
        lines.remove(0)
    };
    Headline {
        tone: Tone::Bad,
        word,
        reason,
        also: lines,
    }
}

fn inconclusive(report: &Report<'_>) -> Headline {
    let judgement = report.judgement;
    let gating = judgement
        .comparisons
        .iter()
        .filter(|c| c.role != Role::Reported)
        .count();
    let undecided = judgement
        .comparisons
        .iter()
        .filter(|c| c.role != Role::Reported && c.verdict == Verdict::Inconclusive)
        .count();
    let fails = judgement.exit_code == exit_code::INCONCLUSIVE;
    let policy = if fails {
        "this fails the build, as the policy says"
    } else {
        "this does not fail the build"
    };
    let mut doubts = failure_modes(&judgement.diagnoses, Verdict::Inconclusive);
    doubts.extend(findings(report, Severity::Doubt));
    let reason = if undecided > 0 {
        let verb = if undecided == 1 { "is" } else { "are" };
        Line::own(format!(
            "{undecided} of {gating} comparisons {verb} undecided; {policy}"
        ))
    } else {
        Line::own(format!("the evidence does not decide; {policy}"))
    };
    Headline {
        tone: if fails { Tone::Bad } else { Tone::Doubtful },
        word: "inconclusive",
        reason,
        also: doubts.into_iter().take(CAUSES).collect(),
    }
}

fn findings(report: &Report<'_>, severity: Severity) -> Vec<Line> {
    report
        .judgement
        .findings
        .iter()
        .filter(|finding| finding.severity == severity)
        .map(finding_line)
        .collect()
}

/// A line for each failure mode that has this verdict.
fn failure_modes(diagnoses: &[Diagnosed], verdict: Verdict) -> Vec<Line> {
    let those = diagnoses.iter().filter(|d| d.verdict == Some(verdict));
    those
        .map(|Diagnosed { diagnosis, .. }| {
            let place = diagnosis.scenario.as_deref();
            let line = place.map_or_else(Line::default, |place| Line::of_name(place).then(" · "));
            let name = diagnosis.kind.name();
            match verdict {
                Verdict::Improved => line.then(format!("{name} is gone")),
                Verdict::Inconclusive => line.then(format!("{name} is new, and was not confirmed")),
                _ => line
                    .then(format!("{name} is new: "))
                    .prose(&diagnosis.evidence),
            }
        })
        .collect()
}

/// A finding as a sentence.
pub(crate) fn finding_line(finding: &Finding) -> Line {
    match &finding.scenario {
        Some(scenario) => Line::of_name(scenario).then(" · ").prose(&finding.text),
        None => Line::of_prose(&finding.text),
    }
}

impl Headline {
    /// `true` if this sentence stands in the headline already.
    pub(crate) fn says(&self, line: &Line) -> bool {
        self.reason == *line || self.also.contains(line)
    }
}

fn broken_budgets(budgets: &[BudgetCheck]) -> impl Iterator<Item = &BudgetCheck> {
    budgets
        .iter()
        .filter(|b| b.binding && b.outcome == BudgetOutcome::Broken)
}

pub(crate) fn budget_line(check: &BudgetCheck) -> Line {
    let unit = check.metric.unit();
    let value = figure::figure_or_none(check.value, unit);
    let limit = figure::figure(check.limit, unit);
    let metric = figure::label(check.metric);
    Line::of_name(&check.scenario).then(format!(" · {metric} {value}, budget {limit}"))
}

/// What has this verdict and decides. What gates comes before what guards, since its figure is the
/// more exact one.
pub(super) fn worst_first(comparisons: &[Comparison], verdict: Verdict) -> Vec<&Comparison> {
    let mut changed: Vec<&Comparison> = comparisons
        .iter()
        .filter(|c| c.verdict == verdict && c.role != Role::Reported)
        .collect();
    changed.sort_by(|a, b| {
        rank(a.role)
            .cmp(&rank(b.role))
            .then(weight(b).total_cmp(&weight(a)))
    });
    changed
}

/// One line a tool (or scenario without one) and kind of figure, the worst first: its worst
/// figure, and how many more there are.
fn causes(comparisons: &[Comparison], verdict: Verdict) -> Vec<Line> {
    let mut subjects: Vec<(Subject<'_>, &Comparison, usize)> = Vec::new();
    for comparison in worst_first(comparisons, verdict) {
        let subject = subject(comparison);
        match subjects.iter_mut().find(|(known, _, _)| *known == subject) {
            Some((_, _, more)) => *more += 1,
            None => subjects.push((subject, comparison, 0)),
        }
    }
    subjects
        .into_iter()
        .map(|((name, _), comparison, more)| {
            let line = Line::of_name(name)
                .then(" · ")
                .join(figures(comparison, comparisons));
            if more == 0 {
                line
            } else {
                let more = figure::count(more, "more figure");
                line.then(format!(", and {more} of it below"))
            }
        })
        .collect()
}

/// A tool, or a scenario without one, and what is wrong with it.
type Subject<'a> = (&'a str, &'static str);

fn subject(comparison: &Comparison) -> Subject<'_> {
    let name = comparison.tool.as_deref().unwrap_or(&comparison.scenario);
    let family = match comparison.metric {
        Metric::PeakMemory | Metric::MemoryGrowth => "memory",
        Metric::ErrorRate => "errors",
        Metric::LatencyP50
        | Metric::LatencyP95
        | Metric::LatencyP50Adjusted
        | Metric::LatencyP95Adjusted
        | Metric::Throughput
        | Metric::Startup
        | Metric::StartupAdjusted
        | Metric::CpuPerCall => "time",
    };
    (name, family)
}

/// `latency_p50_adjusted 1.90 ms -> 3.82 ms, +101 % [+88 %, +121 %] (wall 2.10 ms -> 4.01 ms)`.
pub(crate) fn figures(comparison: &Comparison, all: &[Comparison]) -> Line {
    let metric = figure::label(comparison.metric);
    let change = figure::change(comparison);
    let mut text = format!("{metric} {}, {change}", pair(comparison));
    if let Some(interval) = figure::interval(comparison) {
        text = format!("{text} {interval}");
    }
    if let Some(wall) = model::wall_of(comparison, all) {
        text = format!("{text} (wall{GAP}{}, {})", pair(wall), figure::change(wall));
    }
    Line::own(text)
}

fn pair(comparison: &Comparison) -> String {
    let unit = comparison.metric.unit();
    let base = figure::figure_or_none(comparison.base, unit);
    let candidate = figure::figure_or_none(comparison.candidate, unit);
    format!("{base}{GAP}->{GAP}{candidate}")
}

/// What to do about it, in order.
pub(crate) fn next_steps(report: &Report<'_>) -> Vec<Step> {
    let judgement = report.judgement;
    let reproduce = |text: &'static str| {
        report
            .context
            .command_to_reproduce
            .as_ref()
            .map(|command| Step {
                text: Line::own(text),
                block: Some(Block::Command(command.clone())),
            })
    };
    let budget = broken_budgets(&judgement.budgets).next().map(|_| {
        said(
            Line::own("Make the budget hold, or change it in ")
                .code("[gate]")
                .then(" of the configuration."),
        )
    });
    let ended_early = report
        .candidate
        .jobs
        .iter()
        .any(|job| job.incomplete.is_some());
    let steps = match judgement.verdict {
        // Half a run is nothing to accept.
        _ if ended_early && !is_published(report) => {
            vec![reproduce("The run ended early. Measure again:"), budget]
        }
        Verdict::Regressed => vec![
            reproduce(if is_published(report) {
                "Not intended? See it on your machine:"
            } else {
                "Not intended? Mend it, and compare again:"
            }),
            accept_worse(report, "Intended? Accept it:"),
            budget,
        ],
        _ if is_first_use(report) => {
            vec![
                Some(accept(
                    report,
                    "Make these results the first baseline:",
                    Refused::No,
                )),
                budget,
            ]
        }
        Verdict::NotMeasured => vec![
            reproduce(if is_published(report) {
                "See it on your machine:"
            } else {
                "Compare again:"
            }),
            accept_worse(report, "Removed or renamed on purpose? Accept it:"),
            budget,
        ],
        Verdict::Inconclusive => vec![Some(more_rounds(report)), in_turn(report), budget],
        Verdict::Improved
            if report.context.accept_in.is_some() || report.context.against.is_some() =>
        {
            vec![budget]
        }
        Verdict::Improved => {
            vec![
                Some(accept(
                    report,
                    "Keep it, so that losing it again will show:",
                    Refused::No,
                )),
                budget,
            ]
        }
        Verdict::Pass => vec![budget],
    };
    let is_good = matches!(judgement.verdict, Verdict::Pass | Verdict::Improved);
    let baseline = (is_good && lacks_baseline(report)).then(|| {
        said(
            Line::own("There is no baseline yet, by which slow drift would show: the workflow ")
                .code("refresh.yml")
                .then(" proposes one from main."),
        )
    });
    steps.into_iter().flatten().chain(baseline).collect()
}

/// Whether the base alone decided on a pull request, without a committed baseline beside it.
fn lacks_baseline(report: &Report<'_>) -> bool {
    let context = &report.context;
    context.accept_in.is_some() && context.against.is_some() && report.drift.is_none()
}

fn said(text: Line) -> Step {
    Step { text, block: None }
}

/// How what got worse is accepted: by a new baseline, or where another commit's baseline decides,
/// by an entry that is reviewed with the change.
fn accept_worse(report: &Report<'_>, lead: &'static str) -> Option<Step> {
    let Some(to) = &report.context.accept_in else {
        // No new baseline changes what another commit's server does.
        let is_stored = report.context.against.is_none();
        return is_stored.then(|| accept(report, lead, Refused::Yes));
    };
    let entries = accept_entry::toml(report, to)?;
    Some(Step {
        text: Line::own(lead)
            .then(" add to ")
            .path(&to.config_path)
            .then(", each with your reason:"),
        block: Some(Block::Toml(entries)),
    })
}

/// Whether the results are such that a baseline is not made of them without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    No,
    Yes,
}

/// Where the stored baseline is, which is not what was measured in turn.
fn stored_baseline<'a>(report: &'a Report<'_>) -> Option<&'a str> {
    match report.context.against {
        Some(_) => report.drift.as_ref()?.path.as_deref(),
        None => report.context.baseline_path.as_deref(),
    }
}

/// The stored baseline where it is a project's by its name, and not any file that was compared with.
fn project_baseline<'a>(report: &'a Report<'_>) -> Option<&'a str> {
    let name = |path: &&str| path.rsplit(['/', '\\']).next() == USUAL_BASELINE.rsplit('/').next();
    stored_baseline(report).filter(name)
}

/// The command that makes a baseline of these very results.
fn update(report: &Report<'_>, refused: Refused) -> String {
    let mut words = vec!["mcpgate", "baseline", "update"];
    let results = report.context.results_path.as_deref();
    words.extend(results.filter(|path| *path != USUAL_RESULTS));
    let baseline = project_baseline(report).filter(|path| *path != USUAL_BASELINE);
    words.extend(baseline.into_iter().flat_map(|path| ["--baseline", path]));
    words.extend((refused == Refused::Yes).then_some("--force"));
    // Only a zero byte cannot be quoted, and no path has one.
    shlex::try_join(words.iter().copied()).unwrap_or_else(|_| words.join(" "))
}

fn accept(report: &Report<'_>, lead: &'static str, refused: Refused) -> Step {
    let line = Line::own(lead)
        .then(" ")
        .code(update(report, refused))
        .then(", then commit ");
    let path = project_baseline(report);
    said(
        path.map_or_else(
            || line.clone().then("the baseline"),
            |path| line.clone().path(path),
        )
        .then("."),
    )
}

fn more_rounds(report: &Report<'_>) -> Step {
    let rounds: usize = report
        .candidate
        .jobs
        .iter()
        .map(|job| job.rounds.len())
        .sum();
    let rounds = format!("--rounds {}", (rounds * 2).clamp(10, MOST_ROUNDS));
    let text = Line::own("Measure again where little else is running, with ").code(rounds);
    let command = report.context.command_to_reproduce.clone();
    let end = if command.is_some() { " added:" } else { "." };
    Step {
        text: text.then(end),
        block: command.map(Block::Command),
    }
}

/// On a machine of one's own both servers can be measured, which decides more than a stored baseline.
fn in_turn(report: &Report<'_>) -> Option<Step> {
    let context = &report.context;
    let is_stored = context.against.is_none() && context.command_to_reproduce.is_some();
    (is_stored && !is_published(report)).then(|| {
        said(
            Line::own("Or measure the base as well, in turn with this, which sees more: ")
                .code("mcpgate compare --against main")
                .then("."),
        )
    })
}

/// Whether the report is for a pull request's readers and not for whoever ran this.
fn is_published(report: &Report<'_>) -> bool {
    report.context.accept_in.is_some()
}

pub(super) fn rank(role: Role) -> u8 {
    match role {
        Role::Gates => 0,
        Role::Guards => 1,
        Role::Reported => 2,
    }
}
