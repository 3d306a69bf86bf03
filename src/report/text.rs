//! A judgement as text for a terminal or a log.

use super::{
    Report, TextStyle,
    details::{BudgetRow, DiagnosisRow, ErrorRow, FindingRow},
    headline::Block,
    layout::{self, Align, BOLD, DIM, Page},
    line::Line,
    load_model, load_text,
    model::{Figures, Row, Section, View},
    overview::overview,
    overview_text,
};
use crate::gate::{Severity, Verdict};

/// From this width on, a row has its tolerance beside it; else its note has.
const WIDE: u16 = 100;
/// Notes shown when not verbose.
const NOTES: usize = 3;
/// Unmeasured comparisons named for one reason when not verbose.
const UNMEASURED: usize = 3;

/// A judgement as text: verdict, a line for each scenario, what to do, what was compared, a summary.
/// [`TextStyle::verbose`] adds every figure with its interval, all budgets and all notes.
///
/// Holds no control characters but line breaks and, where asked for, our own ANSI colours.
#[must_use]
pub fn text(report: &Report<'_>, style: TextStyle) -> String {
    let view = View::of(report);
    let mut page = Page::new(style);
    headline(&mut page, report, &view);
    overview_text::overview(&mut page, &overview(report));
    next_steps(&mut page, &view);
    facts(&mut page, &view);
    drift(&mut page, &view);
    slow_drifts(&mut page, &view);
    for section in &view.sections {
        match section.verdict {
            Verdict::NotMeasured if !style.verbose => unmeasured(&mut page, &view),
            _ if !style.verbose => {}
            _ => rows(&mut page, section),
        }
    }
    if style.verbose {
        load_text::loads(&mut page, &load_model::loads(report.candidate, report.base));
    }
    budgets(&mut page, &view.budgets, style.verbose);
    errors(&mut page, &view.errors);
    diagnoses(&mut page, &view.diagnoses);
    findings(&mut page, &view.findings, style.verbose);
    page.blank();
    for line in &view.summary {
        page.sentence("", &line.plain());
    }
    page.finish()
}

fn headline(page: &mut Page, report: &Report<'_>, view: &View<'_>) {
    let headline = &view.headline;
    let word = page.paint(layout::tone_style(headline.tone), headline.word);
    let key = report.context.key.as_deref();
    let of = key.map_or_else(String::new, |key| {
        format!(" ({})", Line::of_name(key).plain())
    });
    let indent = " ".repeat(headline.word.chars().count() + 2);
    page.hanging(&format!("{word}{of}: "), &indent, &headline.reason.plain());
    for also in &headline.also {
        page.sentence(&indent, &also.plain());
    }
}

fn next_steps(page: &mut Page, view: &View<'_>) {
    if view.next.is_empty() {
        return;
    }
    page.heading(BOLD, "What to do");
    for step in &view.next {
        page.sentence("  ", &step.text.plain());
        // Not wrapped: it is there to be copied.
        match &step.block {
            Some(Block::Command(command)) => {
                page.raw(&format!("    {}", super::escape::command(command)));
            }
            Some(Block::Toml(lines)) => {
                for line in lines.lines() {
                    page.raw(&format!("    {line}"));
                }
            }
            None => {}
        }
    }
}

fn facts(page: &mut Page, view: &View<'_>) {
    page.heading(BOLD, "Compared");
    for fact in &view.facts {
        let label = page.paint(DIM, &format!("{:<11}", fact.label));
        page.sentence(&format!("  {label} "), &fact.text.plain());
    }
}

/// What the committed baseline says, where another server decides.
fn drift(page: &mut Page, view: &View<'_>) {
    if let Some(drift) = &view.drift {
        page.heading(BOLD, "Drift, which does not decide here");
        page.sentence("  ", &drift.plain());
    }
}

/// What has grown by little at a time.
fn slow_drifts(page: &mut Page, view: &View<'_>) {
    if view.slow_drifts.is_empty() {
        return;
    }
    page.heading(BOLD, "History");
    for line in &view.slow_drifts {
        page.sentence("  ", &line.plain());
    }
}

/// Rows of one verdict under one heading: scenario, then its metrics in columns that are the same
/// for the whole section.
fn rows(page: &mut Page, section: &Section<'_>) {
    let style = layout::verdict_style(section.verdict);
    page.heading(style, heading(section.verdict));
    let wide = page.holds(WIDE);
    let rows = section.groups.iter().flat_map(|group| &group.rows);
    let cells: Vec<Vec<String>> = rows
        .flat_map(|row| {
            [
                Some(cells(&row.figures, wide)),
                row.wall.as_ref().map(wall_cells),
            ]
        })
        .flatten()
        .collect();
    let align = [
        Align::Left,
        Align::Right,
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Left,
        Align::Left,
    ];
    let mut lines = layout::columns(&cells, None, &align).into_iter();
    for group in &section.groups {
        page.raw(&format!(
            "  {}",
            page.paint(BOLD, &Line::of_name(group.scenario).plain())
        ));
        let notes: Vec<String> = group.rows.iter().map(|row| note(row, wide)).collect();
        for (index, row) in group.rows.iter().enumerate() {
            page.raw(&format!("    {}", lines.next().unwrap_or_default()));
            if row.wall.is_some() {
                let wall = lines.next().unwrap_or_default();
                page.raw(&format!("    {}", page.paint(DIM, wall.trim_end())));
            }
            // A note that the next row repeats is said once, below both.
            if let Some(note) = notes.get(index).filter(|note| !note.is_empty())
                && notes.get(index + 1) != Some(note)
            {
                page.aside("      ", note);
            }
        }
    }
}

fn note(row: &Row, wide: bool) -> String {
    let note = row.note.plain();
    match (wide, tolerance(&row.figures).as_str()) {
        (true, _) | (_, "") => note,
        (false, tolerance) if note.is_empty() => tolerance.to_owned(),
        (false, tolerance) => format!("{tolerance}; {note}"),
    }
}

fn heading(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "Unchanged within the tolerance",
        Verdict::Improved => "Improved",
        Verdict::Regressed => "Regressed",
        Verdict::Inconclusive => "Inconclusive",
        Verdict::NotMeasured => "Not measured",
    }
}

fn cells(figures: &Figures, wide: bool) -> Vec<String> {
    let last = if wide {
        tolerance(figures)
    } else {
        String::new()
    };
    cells_with(figures.metric.to_owned(), figures, last)
}

/// Set back, since it belongs to the adjusted row above it.
fn wall_cells(figures: &Figures) -> Vec<String> {
    cells_with(format!("  wall {}", figures.metric), figures, String::new())
}

fn cells_with(first: String, figures: &Figures, last: String) -> Vec<String> {
    vec![
        first,
        figures.base.clone(),
        "->".to_owned(),
        figures.candidate.clone(),
        figures.change.clone(),
        figures.interval.clone(),
        last,
    ]
}

fn tolerance(figures: &Figures) -> String {
    match figures.tolerance.as_str() {
        own if own.ends_with('%') => format!("tolerance {own}"),
        own => own.to_owned(),
    }
}

/// What was not measured, in words.
fn unmeasured(page: &mut Page, view: &View<'_>) {
    page.heading(
        layout::verdict_style(Verdict::NotMeasured),
        heading(Verdict::NotMeasured),
    );
    for unmeasured in &view.unmeasured {
        page.sentence("  ", &unmeasured.line(UNMEASURED).plain());
    }
}

/// Budgets that a reader must see; all of them when verbose.
pub(super) fn budgets(page: &mut Page, rows: &[BudgetRow<'_>], verbose: bool) {
    let shown: Vec<&BudgetRow<'_>> = rows.iter().filter(|row| verbose || row.pressing).collect();
    if shown.is_empty() {
        return;
    }
    page.heading(BOLD, "Budgets");
    let cells: Vec<Vec<String>> = shown
        .iter()
        .map(|row| {
            let limit = format!("limit {}", row.limit);
            vec![
                row.metric.to_owned(),
                row.value.clone(),
                limit,
                row.word.to_owned(),
            ]
        })
        .collect();
    let align = [
        Align::Left,
        Align::Right,
        Align::Left,
        Align::Left,
        Align::Left,
    ];
    let lines = layout::columns(&cells, None, &align);
    let fits = |line: &String| {
        page.columns()
            .is_none_or(|columns| line.trim_end().len() + 4 <= columns)
    };
    let is_table = lines.iter().all(fits);
    let mut last = None;
    for (row, line) in shown.iter().zip(lines) {
        if last != Some(row.scenario) {
            page.raw(&format!(
                "  {}",
                page.paint(BOLD, &Line::of_name(row.scenario).plain())
            ));
            last = Some(row.scenario);
        }
        if is_table {
            page.raw(&format!("    {line}"));
        } else {
            let said = format!(
                "{} {}, limit {}: {}",
                row.metric, row.value, row.limit, row.word
            );
            page.sentence("    ", &said);
        }
    }
}

/// Errors of the candidate.
pub(super) fn errors(page: &mut Page, rows: &[ErrorRow<'_>]) {
    if rows.is_empty() {
        return;
    }
    page.heading(BOLD, "Errors");
    for row in rows {
        let counts = Line::of_name(row.scenario)
            .then(": ")
            .join(row.counts.clone());
        page.sentence("  ", &counts.plain());
        if let Some(sample) = &row.sample {
            page.sentence("    ", &sample.plain());
        }
    }
}

/// Named failure modes, with their evidence and what to look at.
pub(super) fn diagnoses(page: &mut Page, rows: &[DiagnosisRow]) {
    if rows.is_empty() {
        return;
    }
    page.heading(BOLD, "Diagnoses");
    for row in rows {
        let name = page.paint(BOLD, row.name);
        let place = match row.place.is_empty() {
            true => String::new(),
            false => format!(" · {}", row.place.plain()),
        };
        page.sentence(&format!("  {name}"), &format!("{place} ({})", row.about));
        page.sentence("    ", &row.evidence.plain());
        page.sentence("    ", &row.advice.plain());
    }
}

/// What else a reader must know; of the notes only the first when not verbose.
pub(super) fn findings(page: &mut Page, findings: &[FindingRow], verbose: bool) {
    if findings.is_empty() {
        return;
    }
    page.heading(BOLD, "Findings");
    let mut notes = 0;
    for finding in findings {
        let (word, style) = match finding.severity {
            Severity::Failure => ("failure", layout::verdict_style(Verdict::Regressed)),
            Severity::Doubt => ("doubt  ", layout::verdict_style(Verdict::Inconclusive)),
            Severity::Note => ("note   ", DIM),
        };
        if finding.severity == Severity::Note {
            notes += 1;
            if notes > NOTES && !verbose {
                continue;
            }
        }
        let lead = format!("  {}  ", page.paint(style, word));
        page.sentence(&lead, &finding.text.plain());
    }
    if notes > NOTES && !verbose {
        page.sentence(
            "  ",
            &format!("and {} more notes (--verbose)", notes - NOTES),
        );
    }
}
