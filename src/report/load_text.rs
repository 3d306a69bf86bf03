//! Loads as text, and the table of rows that the scenarios of a run share with them.

use super::{
    figure,
    layout::{self, Align, BOLD, DIM, Page},
    line::Line,
    load_model::{LOAD_LEGEND, LoadRow, LoadView},
};

/// Headers of [`load_cells`].
const LOAD_COLUMNS: [&str; 8] = [
    "calls", "errors", "dropped", "p50", "p95", "p99", "max", "calls/s",
];

/// A table with a row for each load and stage; nothing of none.
pub(super) fn loads(page: &mut Page, loads: &[LoadView<'_>]) {
    if loads.is_empty() {
        return;
    }
    page.heading(BOLD, "Loads");
    let mut rows = Vec::new();
    for load in loads {
        let level = match load.whole.level.as_str() {
            "" => String::new(),
            level => format!(" · {level}"),
        };
        rows.push(TableRow {
            name: Line::of_name(load.name).then(level).plain(),
            style: BOLD,
            cells: load_cells(&load.whole),
            below: Vec::new(),
        });
        rows.extend(load.stages.iter().map(|stage| TableRow {
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
pub(super) struct TableRow {
    pub(super) name: String,
    pub(super) style: anstyle::Style,
    pub(super) cells: Vec<String>,
    /// Sentences that stand below it.
    pub(super) below: Vec<String>,
}

/// Rows in words, where no table fits: what there is of each.
fn sentences<const N: usize>(page: &mut Page, columns: &[&str; N], rows: &[TableRow]) {
    for row in rows {
        let name = page.paint(row.style, &row.name);
        page.raw(&format!("  {name}"));
        let cells = columns.iter().zip(&row.cells);
        let said: Vec<String> = cells
            .filter(|(_, cell)| *cell != figure::NONE)
            .map(|(column, cell)| format!("{column} {cell}").replace(' ', &figure::GAP.to_string()))
            .collect();
        page.sentence("    ", &said.join(", "));
        for sentence in &row.below {
            page.sentence("    ", sentence);
        }
    }
}

/// Rows under headers: name and figures on one line where they fit, else on two, else in words.
pub(super) fn table<const N: usize>(page: &mut Page, columns: &[&str; N], rows: &[TableRow]) {
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
    let is_table = page.holds(u16::try_from(4 + table.unwrap_or(0)).unwrap_or(u16::MAX));
    if !is_table {
        return sentences(page, columns, rows);
    }
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
