//! The history as Markdown.

use super::{
    escape,
    line::Line,
    markdown::part,
    markdown_table::{Table, list},
    trend::{TrendReport, TrendView, sparkline},
};

const TABLE_ROOM: usize = 40_000;
const NOTES_ROOM: usize = 12_000;
const LISTS_ROOM: usize = 3_000;
const SPARKS: usize = 20;

/// The history as Markdown: for each machine class a table of its series and a list of what changed.
#[must_use]
pub fn trend_markdown(report: &TrendReport<'_>) -> String {
    let view = TrendView::of(report);
    let mut out = String::new();
    part(&mut out, &format!("**History** · {}", view.head.markdown()));
    if view.machines.is_empty() {
        part(&mut out, "No series has two runs that can be compared.");
    }
    // Room is shared, so that one class cannot take that of the others.
    let share = view.machines.len().max(1);
    for machine in &view.machines {
        part(&mut out, &format!("On {}:", machine.machine.markdown()));
        let mut table = Table::new(
            [
                "scenario · metric",
                "first",
                "now",
                "change",
                "runs",
                "trend",
            ],
            [false, true, true, true, true, false],
        );
        for row in &machine.rows {
            let values: Vec<f64> = row.series.points.iter().map(|p| p.value).collect();
            table.push([
                format!(
                    "{} · {}",
                    Line::of_name(row.scenario).markdown(),
                    row.metric
                ),
                row.first.clone(),
                row.now.clone(),
                row.change.clone(),
                values.len().to_string(),
                sparkline(&values, SPARKS),
            ]);
        }
        part(&mut out, &table.render(TABLE_ROOM / share));
        let notes = machine.rows.iter().flat_map(|row| {
            row.notes.iter().map(|note| {
                Line::of_name(row.scenario)
                    .then(format!(" · {}: ", row.metric))
                    .join(note.line())
                    .markdown()
            })
        });
        part(&mut out, &list('*', notes, NOTES_ROOM / share));
    }
    if !view.machine_changes.is_empty() {
        part(&mut out, "Changes of machine, which are none of the code:");
        let lines = view.machine_changes.iter().map(Line::markdown);
        part(&mut out, &list('-', lines, LISTS_ROOM));
    }
    let left_out: Vec<String> = view.left_out.iter().map(Line::markdown).collect();
    if !left_out.is_empty() {
        part(&mut out, &format!("Not shown: {}.", left_out.join("; ")));
    }
    let text = escape::disarm_workflow_commands(out.trim_end());
    format!("{text}\n")
}
