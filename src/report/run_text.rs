//! Results without a comparison, as text.

use super::{
    TextStyle,
    layout::{self, BOLD, DIM, Page},
    line::Line,
    load_text::{self, TableRow, table},
    run_model::{LEGEND, RunRow, RunView},
    text,
};
use crate::{gate::Judgement, results::Results};

/// Headers of [`cells`]; short, so that a row fits in 80 columns. [`LEGEND`] says what they mean.
const COLUMNS: [&str; 9] = [
    "calls", "errors", "p50", "p50 adj", "p95", "p95 adj", "byte 1", "calls/s", "CPU",
];
/// Left-out tools named when not verbose.
const SKIPPED: usize = 5;

/// What one run measured, as text: a table of the scenarios, the server as a whole, errors, and
/// what was left out. `judgement` adds budgets and findings.
#[must_use]
pub fn run_text(results: &Results, judgement: Option<&Judgement>, style: TextStyle) -> String {
    let view = RunView::of(results, judgement);
    let mut page = Page::new(style);
    let word = page.paint(layout::tone_style(view.tone), view.word);
    page.sentence(&format!("{word}: "), &view.reason.plain());
    scenarios(&mut page, &view);
    load_text::loads(&mut page, &view.loads);
    page.heading(BOLD, "Server");
    for fact in &view.server {
        let label = page.paint(DIM, &format!("{:<11}", fact.label));
        page.sentence(&format!("  {label} "), &fact.text.plain());
    }
    text::budgets(&mut page, &view.budgets, style.verbose);
    text::errors(&mut page, &view.errors);
    text::diagnoses(&mut page, &view.diagnoses);
    text::findings(&mut page, &view.findings, style.verbose);
    skipped(&mut page, &view, style);
    page.finish()
}

fn scenarios(page: &mut Page, view: &RunView<'_>) {
    if view.rows.is_empty() {
        return;
    }
    page.heading(BOLD, "Scenarios");
    let rows: Vec<TableRow> = view
        .rows
        .iter()
        .map(|row| TableRow {
            name: Line::of_name(row.scenario).plain(),
            style: BOLD,
            cells: cells(row),
            below: Vec::new(),
        })
        .collect();
    table(page, &COLUMNS, &rows);
    page.aside("  ", LEGEND);
}

fn cells(row: &RunRow<'_>) -> Vec<String> {
    [
        &row.calls,
        &row.errors,
        &row.p50,
        &row.p50_adjusted,
        &row.p95,
        &row.p95_adjusted,
        &row.first_byte_p95,
        &row.per_second,
        &row.cpu,
    ]
    .map(Clone::clone)
    .to_vec()
}

fn skipped(page: &mut Page, view: &RunView<'_>, style: TextStyle) {
    if view.skipped.is_empty() {
        return;
    }
    page.heading(BOLD, "Left out");
    let shown = if style.verbose {
        view.skipped.len()
    } else {
        SKIPPED
    };
    for skipped in view.skipped.iter().take(shown) {
        let line = Line::of_name(&skipped.name)
            .then(": ")
            .prose(&skipped.reason);
        page.sentence("  ", &line.plain());
    }
    let more = view.skipped.len().saturating_sub(shown);
    if more > 0 {
        page.sentence("  ", &format!("and {more} more (--verbose)"));
    }
}
