//! Results without a comparison, as Markdown: for a job summary.

use super::{
    escape,
    figure::{self, GAP},
    line::Line,
    load_markdown,
    markdown::{self, MARKDOWN_LIMIT_BYTES, part},
    markdown_table::{Table, details, list},
    provenance::Fact,
    run_model::{LEGEND, RunView},
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
    let findings = markdown::findings(&view.findings);
    part(
        &mut out,
        &format!("{findings}{}", markdown::errors(&view.errors)),
    );
    part(&mut out, &markdown::diagnoses(&view.diagnoses));
    part(&mut out, &markdown::pressing_budgets(&view.budgets));

    let mut tail = String::new();
    part(&mut tail, &load_markdown::loads(&view.loads));
    let server = view.server.iter().map(Fact::markdown);
    part(&mut tail, &list('-', server, SERVER_ROOM));
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

/// Adjusted figures stand under the wall times that they belong to.
fn scenarios(view: &RunView<'_>) -> Table<8> {
    let header = [
        "scenario", "calls", "errors", "p50", "p95", "byte 1", "calls/s", "CPU",
    ];
    let mut table = Table::new(header, [false, true, true, true, true, true, true, true]);
    let with_adjusted = |wall: &str, adjusted: &str| match adjusted {
        figure::NONE => wall.to_owned(),
        adjusted => format!("{wall}<br><sub>adj{GAP}{adjusted}</sub>"),
    };
    for row in &view.rows {
        table.push([
            Line::of_name(row.scenario).markdown(),
            row.calls.clone(),
            row.errors.clone(),
            with_adjusted(&row.p50, &row.p50_adjusted),
            with_adjusted(&row.p95, &row.p95_adjusted),
            row.first_byte_p95.clone(),
            row.per_second.clone(),
            row.cpu.clone(),
        ]);
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
    let summary = format!("{} left out", view.skipped.len());
    details(&summary, &list('-', items, SKIPPED_ROOM))
}
