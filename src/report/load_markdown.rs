//! Loads as Markdown.

use super::{
    figure::GAP,
    line::Line,
    load_model::{LOAD_LEGEND, LoadRow, LoadView},
    markdown_table::{Table, list},
};

const LOADS_ROOM: usize = 10_000;

/// A table with a row for each load and stage, and what its figures do not say; nothing of none.
pub(super) fn loads(loads: &[LoadView<'_>]) -> String {
    let header = [
        "load", "calls", "errors", "dropped", "p50", "p95", "p99", "max", "calls/s",
    ];
    let mut table = Table::new(
        header,
        [false, true, true, true, true, true, true, true, true],
    );
    let mut push = |name: Line, row: &LoadRow| {
        table.push([
            name.markdown(),
            row.calls.clone(),
            row.errors.clone(),
            row.dropped.clone(),
            row.p50.clone(),
            row.p95.clone(),
            row.p99.clone(),
            row.max.clone(),
            row.per_second.clone(),
        ]);
    };
    let mut remarks = Vec::new();
    for load in loads {
        let level = match load.whole.level.as_str() {
            "" => String::new(),
            level => format!(" · {level}"),
        };
        push(Line::of_name(load.name).then(level), &load.whole);
        for stage in &load.stages {
            push(Line::own(format!("└{GAP}{}", stage.level)), stage);
        }
        let said = load.remarks.iter();
        remarks.extend(said.map(|remark| {
            Line::of_name(load.name)
                .then(": ")
                .join(remark.clone())
                .markdown()
        }));
    }
    if table.len() == 0 {
        return String::new();
    }
    let table = table.render(LOADS_ROOM);
    let table = table.trim_end();
    let remarks = list('-', remarks, LOADS_ROOM);
    format!("{table}\n\n<sub>{LOAD_LEGEND}</sub>\n\n{remarks}")
}
