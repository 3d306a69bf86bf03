//! A judgement as Markdown: the body of a pull-request comment.

use super::{
    Report, base_name, chart,
    details::{BudgetRow, DiagnosisRow, ErrorRow, FindingRow},
    escape,
    figure::{GAP, count},
    headline::{Block, Tone},
    line::Line,
    load_markdown, load_model,
    markdown_table::{Table, details, list},
    model::{Figures, Row, View, word},
    provenance::Fact,
};
use crate::gate::{BudgetOutcome, Severity, Verdict};

/// Longest Markdown that [`markdown`] and [`run_markdown`](super::run_markdown()) write, in bytes.
/// GitHub refuses a comment above 65,536 characters; the rest is for the marker and links that
/// the publisher adds.
pub const MARKDOWN_LIMIT_BYTES: usize = 60_000;

const CHANGED_ROOM: usize = 24_000;
const FINDINGS_ROOM: usize = 5_000;
const DIAGNOSES_ROOM: usize = 5_000;
const ERRORS_ROOM: usize = 4_000;
const BUDGETS_ROOM: usize = 6_000;
const UNMEASURED_ROOM: usize = 3_000;
const SLOW_DRIFTS_ROOM: usize = 2_500;
const FACTS_ROOM: usize = 8_000;

pub(super) const METHOD: &str = "Every round is a fresh server; a comparison is between rounds, never between \
     single calls. A change is *regressed* when it exceeds its tolerance and the interval in \
     brackets leaves no room for a small one; *inconclusive* when the rounds do not decide. \
     *Adjusted* times are wall times less the time that server and mcpgate waited for a core; \
     *fails at 2x* marks figures that are too noisy to fail on less than twice the time.";

/// An error has a few lines, and a few of what the server said.
const MOST_LINES_OF_A_FAILURE: usize = 30;

/// How many times as long the whole report may be: still under the 1 MiB of a job's summary.
const WHOLE: usize = 15;

/// A judgement as Markdown: on line 1 the verdict and what to do, then the rows that changed,
/// then everything else, collapsed. At most [`MARKDOWN_LIMIT_BYTES`] long.
#[must_use]
pub fn markdown(report: &Report<'_>) -> String {
    markdown_of(report, 1)
}

/// The same for where there is more room: at most 15 times as long.
#[must_use]
pub fn whole_markdown(report: &Report<'_>) -> String {
    markdown_of(report, WHOLE)
}

/// Where nothing was measured: `why`, which may hold foreign text.
#[must_use]
pub fn failure_markdown(why: &str) -> String {
    let line = Line::own(format!("**{} mcpgate: not-measured**", icon(Tone::Bad)))
        .then(" · the server could not be measured, so nothing is proven. **What to do:** see why, below, and mend it.");
    let said: Vec<String> = why
        .lines()
        .filter(|line| !line.trim().is_empty())
        .take(MOST_LINES_OF_A_FAILURE)
        .map(|line| format!("- {}", escape::markdown_prose(line)))
        .collect();
    let text = format!("{}\n\n{}", line.markdown(), said.join("\n"));
    format!("{}\n", escape::disarm_workflow_commands(text.trim_end()))
}

/// `times` as much room everywhere as a comment has.
fn markdown_of(report: &Report<'_>, times: usize) -> String {
    let view = View::of(report);
    let mut out = first_line(report, &view);
    out.push_str("\n\n");
    let also = view.headline.also.iter().map(Line::markdown);
    part(&mut out, &list('-', also, FINDINGS_ROOM * times));
    let base = base_name(report);
    let changed = comparison_table(base, view.changed());
    if changed.len() > 0 {
        part(&mut out, &changed.render(CHANGED_ROOM * times));
    }
    part(
        &mut out,
        &format!("{}{}", findings(&view.findings), errors(&view.errors)),
    );
    part(&mut out, &diagnoses(&view.diagnoses));
    part(&mut out, &pressing_budgets(&view.budgets));
    part(&mut out, &commands(&view));
    let trust: Vec<String> = view.trust.iter().map(Line::markdown).collect();
    part(&mut out, &trust.join(" "));
    if let Some(drift) = &view.drift {
        let line = drift.markdown();
        part(
            &mut out,
            &format!("**Drift**, which does not decide here: {line}"),
        );
    }

    let slow = view.slow_drifts.iter().map(Line::markdown);
    part(&mut out, &list('*', slow, SLOW_DRIFTS_ROOM));

    let mut tail = String::new();
    part(&mut tail, &chart::markdown(report));
    part(&mut tail, &loads(report));
    part(&mut tail, &unmeasured(&view));
    part(&mut tail, &budgets(&view.budgets));
    part(&mut tail, &machine_and_method(&view));
    let unchanged = comparison_table(base, view.unchanged());
    if unchanged.len() > 0 {
        let room = (MARKDOWN_LIMIT_BYTES * times).saturating_sub(out.len() + tail.len() + 500);
        let summary = format!(
            "{} within the tolerance",
            count(unchanged.len(), "comparison")
        );
        part(&mut out, &details(&summary, &unchanged.render(room)));
    }
    out.push_str(&tail);
    let text = escape::disarm_workflow_commands(out.trim_end());
    format!("{text}\n")
}

fn loads(report: &Report<'_>) -> String {
    let loads = load_model::loads(report.candidate, report.base);
    if loads.is_empty() {
        return String::new();
    }
    let summary = format!("{}, not gated", count(loads.len(), "load"));
    details(&summary, &load_markdown::loads(&loads))
}

/// A paragraph, table or list, and the blank line that ends it.
pub(super) fn part(out: &mut String, text: &str) {
    if !text.is_empty() {
        out.push_str(text.trim_end());
        out.push_str("\n\n");
    }
}

pub(super) fn icon(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "✅",
        Tone::Doubtful => "⚠️",
        Tone::Bad => "❌",
        Tone::Neutral => "ℹ️",
    }
}

fn verdict_icon(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✅",
        Verdict::Improved => "🟢",
        Verdict::Regressed => "❌",
        Verdict::Inconclusive => "⚠️",
        Verdict::NotMeasured => "➖",
    }
}

fn first_line(report: &Report<'_>, view: &View<'_>) -> String {
    let headline = &view.headline;
    let mut line = Line::own(format!(
        "**{} mcpgate: {}**",
        icon(headline.tone),
        headline.word
    ));
    if let Some(key) = &report.context.key {
        line = line.then(" (").name(key).then(")");
    }
    line = line.then(" · ").join(headline.reason.clone());
    let mut text = line.markdown();
    if !text.ends_with('.') {
        text.push('.');
    }
    for (index, step) in view.next.iter().enumerate() {
        let lead = if index == 0 { " **What to do:**" } else { "" };
        let said = step.text.markdown();
        match said.strip_suffix(':') {
            Some(said) if step.block.is_some() => {
                text = format!("{text}{lead} {said} (below).");
            }
            _ => text = format!("{text}{lead} {said}"),
        }
    }
    text
}

fn comparison_table<'a>(
    base: &'static str,
    rows: impl Iterator<Item = (&'a str, &'a Row)>,
) -> Table<6> {
    let mut table = Table::new(
        ["", "scenario · metric", base, "now", "change", "tolerance"],
        [false, false, true, true, true, true],
    );
    for (scenario, row) in rows {
        let figures = &row.figures;
        let wall = row.wall.as_ref();
        let beside = |of: fn(&Figures) -> &str| {
            wall.map_or_else(String::new, |wall| {
                format!("<br><sub>wall{GAP}{}</sub>", of(wall))
            })
        };
        let note = if row.note.is_empty() {
            String::new()
        } else {
            format!("<br><sub>{}</sub>", row.note.markdown())
        };
        table.push([
            match row.is_shown_only {
                true => word(row.verdict).to_owned(),
                false => format!("{}{GAP}{}", verdict_icon(row.verdict), word(row.verdict)),
            },
            format!(
                "{}<br>{}{note}",
                Line::of_name(scenario).markdown(),
                figures.metric
            ),
            format!("{}{}", figures.base, beside(|wall| &wall.base)),
            format!("{}{}", figures.candidate, beside(|wall| &wall.candidate)),
            change(figures, &beside(|wall| &wall.change)),
            figures.tolerance.clone(),
        ]);
    }
    table
}

fn change(figures: &Figures, wall: &str) -> String {
    let interval = if figures.interval.is_empty() {
        String::new()
    } else {
        format!("<br><sub>{}</sub>", figures.interval)
    };
    format!("**{}**{interval}{wall}", figures.change)
}

/// What else a reader must know, the heaviest first.
pub(super) fn findings(findings: &[FindingRow]) -> String {
    list(
        '*',
        findings.iter().map(|finding| {
            let lead = match finding.severity {
                Severity::Failure => "❌ ",
                Severity::Doubt => "⚠️ ",
                Severity::Note => "Note: ",
            };
            Line::own(lead).join(finding.text.clone()).markdown()
        }),
        FINDINGS_ROOM,
    )
}

/// Named failure modes, with their evidence and what to look at.
pub(super) fn diagnoses(rows: &[DiagnosisRow]) -> String {
    let items = rows.iter().map(|row| {
        let place = match row.place.is_empty() {
            true => Line::default(),
            false => Line::own(" · ").join(row.place.clone()),
        };
        Line::own(format!("**{}**", row.name))
            .join(place)
            .then(format!(" ({}): ", row.about))
            .join(row.evidence.clone())
            .then(" ")
            .join(row.advice.clone())
            .markdown()
    });
    list('-', items, DIAGNOSES_ROOM)
}

pub(super) fn errors(rows: &[ErrorRow<'_>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let items = rows.iter().map(|row| {
        let line = Line::own("Errors in ")
            .name(row.scenario)
            .then(": ")
            .join(row.counts.clone());
        let line = match &row.sample {
            Some(sample) => line.then("; ").join(sample.clone()),
            None => line,
        };
        line.markdown()
    });
    list('*', items, ERRORS_ROOM)
}

/// Budgets that a reader must see.
pub(super) fn pressing_budgets(rows: &[BudgetRow<'_>]) -> String {
    let pressing: Vec<&BudgetRow<'_>> = rows.iter().filter(|row| row.pressing).collect();
    if pressing.is_empty() {
        String::new()
    } else {
        budget_table(&pressing).render(BUDGETS_ROOM)
    }
}

/// Budgets that need no attention.
pub(super) fn budgets(rows: &[BudgetRow<'_>]) -> String {
    let rest: Vec<&BudgetRow<'_>> = rows.iter().filter(|row| !row.pressing).collect();
    if rest.is_empty() {
        return String::new();
    }
    let summary = match rest
        .iter()
        .filter(|row| row.outcome != BudgetOutcome::Held)
        .count()
    {
        0 => format!("{} held", count(rest.len(), "budget")),
        open => format!("{}, {open} not measured", count(rest.len(), "budget")),
    };
    details(&summary, &budget_table(&rest).render(BUDGETS_ROOM))
}

fn budget_table(rows: &[&BudgetRow<'_>]) -> Table<4> {
    let header = ["budget", "scenario · metric", "figure", "limit"];
    let mut table = Table::new(header, [false, false, true, true]);
    for row in rows {
        let icon = match row.outcome {
            BudgetOutcome::Held => "✅",
            BudgetOutcome::Broken if row.fails => "❌",
            BudgetOutcome::Broken | BudgetOutcome::Near => "⚠️",
            BudgetOutcome::NotMeasured => "➖",
        };
        table.push([
            format!("{icon} {}", row.word),
            format!(
                "{} · {}",
                Line::of_name(row.scenario).markdown(),
                row.metric
            ),
            row.value.clone(),
            row.limit.clone(),
        ]);
    }
    table
}

/// Command lines get blocks of their own, which can be copied.
fn commands(view: &View<'_>) -> String {
    let blocks = view.next.iter().filter_map(|step| {
        let block = match step.block.as_ref()? {
            Block::Command(command) => escape::markdown_block(command),
            Block::Toml(lines) => details(
                "The entries, to be copied",
                &format!("```toml\n{lines}\n```"),
            ),
        };
        Some(format!("{}\n{}", step.text.markdown(), block.trim_end()))
    });
    blocks.collect::<Vec<_>>().join("\n\n")
}

fn unmeasured(view: &View<'_>) -> String {
    if view.unmeasured.is_empty() {
        return String::new();
    }
    let total: usize = view
        .unmeasured
        .iter()
        .map(|unmeasured| unmeasured.what.len())
        .sum();
    let items = view.unmeasured.iter().map(|u| u.line(5).markdown());
    details(
        &format!("{} not measured", count(total, "comparison")),
        &list('-', items, UNMEASURED_ROOM),
    )
}

fn machine_and_method(view: &View<'_>) -> String {
    let facts = view.facts.iter().map(Fact::markdown);
    let summary = view.summary.iter().map(Line::markdown);
    let facts = list('-', facts.chain(summary), FACTS_ROOM);
    details("Machine and method", &format!("{facts}\n{METHOD}"))
}
