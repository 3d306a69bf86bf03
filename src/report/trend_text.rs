//! The history as text for a terminal or a log.

use textwrap::core::display_width as width;

use super::{
    TextStyle,
    layout::{self, Align, BOLD, DIM, Page},
    line::Line,
    trend::{MachineRows, Note, TrendReport, TrendView, sparkline},
};
use crate::gate::Verdict;

/// Columns of a sparkline on 80 columns, and where there is more room.
const SPARKS: (usize, usize) = (14, 40);
/// A shorter one tells nothing.
const FEWEST_SPARKS: usize = 4;
/// Columns before a row, and between its cells.
const INDENT: usize = 4;
const GAP: usize = 2;
/// From this width on there is more room.
const WIDE: u16 = 110;

/// The history as text: for each machine class a table of its series, with change points and slow
/// drifts below their rows, then where the machine changed.
///
/// Holds no control characters but line breaks and, where asked for, our own ANSI colours.
#[must_use]
pub fn trend_text(report: &TrendReport<'_>, style: TextStyle) -> String {
    let view = TrendView::of(report);
    let mut page = Page::new(style);
    page.sentence("", &view.head.plain());
    if view.machines.is_empty() {
        page.blank();
        page.sentence("", "No series has two runs that can be compared.");
    }
    let sparks = match style.width {
        Some(width) if width >= WIDE => SPARKS.1,
        _ => SPARKS.0,
    };
    for machine in &view.machines {
        rows(&mut page, machine, sparks);
    }
    if !view.machine_changes.is_empty() {
        page.heading(BOLD, "Changes of machine, which are none of the code");
        for line in &view.machine_changes {
            page.sentence("  ", &line.plain());
        }
    }
    if !view.left_out.is_empty() {
        page.heading(DIM, "Not shown");
        for line in &view.left_out {
            page.aside("  ", &line.plain());
        }
    }
    page.finish()
}

fn rows(page: &mut Page, machine: &MachineRows<'_>, sparks: usize) {
    page.heading(BOLD, &machine.machine.plain());
    let all = [
        Align::Left,
        Align::Right,
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Left,
    ];
    // Without the metric from 1 on.
    let table = |from: usize, sparks: usize| -> Vec<String> {
        let rows = machine.rows.iter().map(|row| {
            let values: Vec<f64> = row.series.points.iter().map(|p| p.value).collect();
            let line = match sparks {
                0 => String::new(),
                sparks => sparkline(&values, sparks),
            };
            let cells = [row.metric, &row.first, "->", &row.now, &row.change, &line];
            let cells = cells.into_iter().skip(from).map(str::to_owned);
            cells.collect()
        });
        let rows: Vec<Vec<String>> = rows.collect();
        layout::columns(&rows, None, all.get(from..).unwrap_or_default())
    };
    // What the terminal breaks is no table and no line: figures that do not fit beside their metric go
    // below it, and the sparkline has what they leave.
    let room = |from: usize| -> Option<Option<usize>> {
        let columns = page.columns()?;
        let bare = table(from, 0);
        let taken = bare.iter().map(|line| width(line.trim_end())).max();
        Some(columns.checked_sub(INDENT + GAP * from + taken.unwrap_or_default()))
    };
    let from = usize::from(room(0) == Some(None));
    let sparks = match room(from).map(Option::unwrap_or_default) {
        Some(room) if room < FEWEST_SPARKS + GAP => 0,
        Some(room) => sparks.min(room - GAP),
        None => sparks,
    };
    let mut last = None;
    for (row, line) in machine.rows.iter().zip(table(from, sparks)) {
        if last != Some(row.scenario) {
            let name = Line::of_name(row.scenario).plain();
            page.raw(&format!("  {}", page.paint(BOLD, &name)));
            last = Some(row.scenario);
        }
        if from > 0 {
            page.raw(&format!("{:INDENT$}{}", "", row.metric));
        }
        page.raw(&format!("{:1$}{line}", "", INDENT + GAP * from));
        for note in &row.notes {
            tell(page, note);
        }
    }
}

fn tell(page: &mut Page, note: &Note) {
    let text = note.text.plain();
    let whole = note.line().plain();
    let verdict = match note.is_worse {
        Some(true) => Verdict::Regressed,
        Some(false) => Verdict::Improved,
        None => return page.aside("      ", &whole),
    };
    // The lead alone is coloured, so that the line stays easy to read.
    let lead = page.paint(layout::verdict_style(verdict), &note.lead);
    page.hanging(&format!("      {lead}"), "        ", &text);
}
