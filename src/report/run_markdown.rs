//! Results without a comparison, as Markdown: for a job summary.

use super::{
    escape, figure,
    line::Line,
    markdown::{self, MARKDOWN_LIMIT_BYTES, part},
    markdown_table::{Table, details, list},
    run_model::{COLUMNS, LEGEND, RunView},
};
use crate::{gate::Judgement, results::Results};

const SERVER_ROOM: usize = 10_000;
const SKIPPED_ROOM: usize = 5_000;

/// What one run measured, as Markdown; at most [`MARKDOWN_LIMIT_BYTES`] long.
/// `judgement` adds budgets and findings.
#[must_use]
pub fn run_markdown(results: &Results, judgement: Option<&Judgement>) -> String {
    let view = RunView::of(results, judgement);
    let lead = Line::own(format!(
        "**{} mcpgate: {}** · ",
        markdown::icon(view.tone),
        view.word
    ));
    let mut out = String::new();
    part(
        &mut out,
        &lead.join(view.reason.clone()).then(".").markdown(),
    );
    part(&mut out, &markdown::findings(&view.findings));
    part(&mut out, &markdown::errors(&view.errors));
    part(&mut out, &markdown::pressing_budgets(&view.budgets));

    let mut tail = String::new();
    let server = view.server.iter().map(|fact| {
        let label = if fact.label.is_empty() {
            "and"
        } else {
            fact.label
        };
        Line::own(format!("{label}: "))
            .join(fact.text.clone())
            .markdown()
    });
    part(&mut tail, &list(server, SERVER_ROOM));
    part(&mut tail, &markdown::budgets(&view.budgets));
    part(&mut tail, &skipped(&view));

    let table = scenarios(&view);
    if table.len() > 0 {
        let room = MARKDOWN_LIMIT_BYTES.saturating_sub(out.len() + tail.len() + LEGEND.len() + 500);
        part(&mut out, &table.render(room));
        part(&mut out, &format!("<sub>{LEGEND}</sub>"));
    }
    out.push_str(&tail);
    let text = escape::disarm_workflow_commands(out.trim_end());
    format!("{text}\n")
}

fn scenarios(view: &RunView<'_>) -> Table<{ COLUMNS.len() + 1 }> {
    let mut header = ["scenario"; COLUMNS.len() + 1];
    let mut right = [false; COLUMNS.len() + 1];
    for (index, name) in COLUMNS.into_iter().enumerate() {
        header[index + 1] = name;
        right[index + 1] = true;
    }
    let mut table = Table::new(header, right);
    for row in &view.rows {
        let mut cells = [const { String::new() }; COLUMNS.len() + 1];
        for (cell, figure) in cells.iter_mut().skip(1).zip(&row.cells) {
            cell.clone_from(figure);
        }
        cells[0] = Line::of_name(row.scenario).markdown();
        table.push(cells);
    }
    table
}

fn skipped(view: &RunView<'_>) -> String {
    if view.skipped.is_empty() {
        return String::new();
    }
    let items = view.skipped.iter().map(|skipped| {
        Line::of_name(&skipped.name)
            .then(": ")
            .prose(&skipped.reason)
            .markdown()
    });
    let summary = format!("Left out: {}", figure::count(view.skipped.len(), "entry"));
    details(&summary, &list(items, SKIPPED_ROOM))
}
