//! Results without a comparison, as text.

use super::{
    TextStyle,
    layout::{self, Align, BOLD, DIM, Page},
    line::Line,
    load_model::{LOAD_LEGEND, LoadRow},
    run_model::{LEGEND, RunRow, RunView},
    text,
};
use crate::{gate::Judgement, results::Results};

/// Headers of [`cells`]; short, so that a row fits in 80 columns. [`LEGEND`] says what they mean.
const COLUMNS: [&str; 9] = [
    "calls", "errors", "p50", "p50 adj", "p95", "p95 adj", "byte 1", "calls/s", "CPU",
];
/// Headers of [`load_cells`].
const LOAD_COLUMNS: [&str; 8] = [
    "calls", "errors", "dropped", "p50", "p95", "p99", "max", "calls/s",
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
    loads(&mut page, &view);
    page.heading(BOLD, "Server");
    for fact in &view.server {
        let label = page.paint(DIM, &format!("{:<11}", fact.label));
        page.sentence(&format!("  {label} "), &fact.text.plain());
    }
    text::budgets(&mut page, &view.budgets, style.verbose);
    text::errors(&mut page, &view.errors);
    text::findings(&mut page, &view.findings, style.verbose);
    skipped(&mut page, &view, style);
    page.finish()
}

fn scenarios(page: &mut Page, view: &RunView<'_>) {
    if view.rows.is_empty() {
        return;
    }
    page.heading(BOLD, "Scenarios");
    let rows: Vec<Row> = view
        .rows
        .iter()
        .map(|row| Row {
            name: Line::of_name(row.scenario).plain(),
            style: BOLD,
            cells: cells(row),
            below: Vec::new(),
        })
        .collect();
    table(page, &COLUMNS, &rows);
    page.aside("  ", LEGEND);
}

fn loads(page: &mut Page, view: &RunView<'_>) {
    if view.loads.is_empty() {
        return;
    }
    page.heading(BOLD, "Loads");
    let mut rows = Vec::new();
    for load in &view.loads {
        let level = match load.whole.level.as_str() {
            "" => String::new(),
            level => format!(" · {level}"),
        };
        rows.push(Row {
            name: Line::of_name(load.name).then(level).plain(),
            style: BOLD,
            cells: load_cells(&load.whole),
            below: Vec::new(),
        });
        rows.extend(load.stages.iter().map(|stage| Row {
            name: format!("  {}", stage.level),
            style: DIM,
            cells: load_cells(stage),
            below: Vec::new(),
        }));
        if let Some(last) = rows.last_mut() {
            last.below = load.remarks.iter().map(Line::plain).collect();
        }
    }
    table(page, &LOAD_COLUMNS, &rows);
    page.aside("  ", LOAD_LEGEND);
}

fn load_cells(row: &LoadRow) -> Vec<String> {
    [
        &row.calls,
        &row.errors,
        &row.dropped,
        &row.p50,
        &row.p95,
        &row.p99,
        &row.max,
        &row.per_second,
    ]
    .map(Clone::clone)
    .to_vec()
}

/// A row of [`table`].
struct Row {
    name: String,
    style: anstyle::Style,
    cells: Vec<String>,
    /// Sentences that stand below it.
    below: Vec<String>,
}

fn table<const N: usize>(page: &mut Page, columns: &[&str; N], rows: &[Row]) {
    let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
    let longest = names
        .iter()
        .map(|name| textwrap::core::display_width(name))
        .max()
        .unwrap_or(0);
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.cells.clone()).collect();
    let lines = layout::columns(&cells, Some(columns), &[Align::Right; N]);
    // A scenario and its figures share a line where they fit.
    let table = lines
        .iter()
        .map(|line| textwrap::core::display_width(line.trim_end()))
        .max();
    let width = u16::try_from(longest + 4 + table.unwrap_or(0)).unwrap_or(u16::MAX);
    let one_line = page.holds(width);
    let indent = if one_line { longest + 4 } else { 4 };
    let mut lines = lines.into_iter();
    let header = lines.next().unwrap_or_default();
    let header = page.paint(DIM, header.trim_end());
    page.raw(&format!("{:indent$}{header}", ""));
    for (row, line) in rows.iter().zip(lines) {
        let name = &row.name;
        let painted = page.paint(row.style, name);
        if one_line {
            let gap = " ".repeat(indent - 2 - textwrap::core::display_width(name));
            page.raw(&format!("  {painted}{gap}{line}"));
        } else {
            page.raw(&format!("  {painted}"));
            page.raw(&format!("    {line}"));
        }
        for sentence in &row.below {
            page.sentence("    ", sentence);
        }
    }
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
