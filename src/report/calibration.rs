//! A calibration as text and Markdown.

use super::{
    TextStyle, figure,
    layout::{self, Align, BOLD, Page},
    line::Line,
    markdown_table::Table,
};
use crate::{
    gate::calibration::{self, Rate, rate},
    results::{CalibratedFigure, Calibration, Control},
};

/// Room of a table in Markdown, in bytes.
const ROOM: usize = 40_000;

/// A calibration for a terminal or a log.
#[must_use]
pub fn calibration_text(calibration: &Calibration, style: TextStyle) -> String {
    let mut page = Page::new(style);
    for (index, control) in calibration.controls.iter().enumerate() {
        if index > 0 {
            page.blank();
        }
        page.sentence("", &page.paint(BOLD, &heading(control)));
        for line in summary(control) {
            page.sentence("  ", &line.plain());
        }
        page.blank();
        let rows: Vec<Vec<String>> = control
            .figures
            .iter()
            .map(|f| cells(f, Line::plain))
            .collect();
        let mut align = [Align::Right; COLUMNS.len()];
        align[..2].fill(Align::Left);
        for line in layout::columns(&rows, Some(&COLUMNS), &align) {
            page.raw(&format!("  {line}"));
        }
    }
    let unreliable = calibration::unreliable(calibration);
    if !unreliable.is_empty() {
        page.heading(BOLD, "Steps down");
        for (scenario, reason) in &unreliable {
            let line = Line::of_name(scenario).then(": ").prose(reason);
            page.sentence("  ", &line.plain());
        }
    }
    page.finish()
}

/// A calibration as Markdown.
#[must_use]
pub fn calibration_markdown(calibration: &Calibration) -> String {
    let mut parts = Vec::new();
    for control in &calibration.controls {
        let mut right = [true; COLUMNS.len()];
        right[..2].fill(false);
        let mut table = Table::new(COLUMNS, right);
        for figure in &control.figures {
            let cells: Result<[String; COLUMNS.len()], _> =
                cells(figure, Line::markdown).try_into();
            if let Ok(cells) = cells {
                table.push(cells);
            }
        }
        let lines: Vec<String> = summary(control).iter().map(Line::markdown).collect();
        parts.push(format!(
            "**{}**\n\n{}\n\n{}",
            heading(control),
            lines.join(" "),
            table.render(ROOM).trim_end()
        ));
    }
    let steps = calibration::unreliable(calibration).into_iter();
    let steps = steps.map(|(scenario, reason)| {
        let line = Line::own("* ").name(&scenario).then(": ").prose(&reason);
        line.markdown()
    });
    parts.extend(steps);
    format!("{}\n", parts.join("\n\n"))
}

pub(super) const COLUMNS: [&str; 6] = [
    "scenario",
    "metric",
    "regressed",
    "undecided",
    "pairs",
    "smallest visible",
];

pub(super) fn heading(control: &Control) -> String {
    let suites = figure::count(control.suites as usize, "comparison");
    if calibration::is_null(control) {
        format!("The server with itself, {suites}")
    } else {
        let percent = (control.factor - 1.0) * 100.0;
        format!("Answers slowed by {percent:.0} %, {suites}")
    }
}

pub(super) fn summary(control: &Control) -> Vec<Line> {
    let of = |count: u32| share(&rate(count, control.suites));
    let regressed = of(control.regressed);
    let mut lines = if calibration::is_null(control) {
        vec![
            Line::own(format!("False alarms: {regressed}, in 95 % intervals.")),
            Line::own(format!(
                "Inconclusive: {}; improved: {}.",
                of(control.inconclusive),
                control.improved
            )),
        ]
    } else {
        vec![
            Line::own(format!("Found: {regressed}, in 95 % intervals.")),
            Line::own(format!("Inconclusive: {}.", of(control.inconclusive))),
        ]
    };
    lines.push(Line::own(format!(
        "A comparison took {:.0} s.",
        control.seconds
    )));
    lines
}

/// `1 of 20 (0.3 % to 22 %)`.
fn share(rate: &Rate) -> String {
    format!(
        "{} of {} ({} to {})",
        rate.count,
        rate.of,
        percent(rate.low),
        percent(rate.high)
    )
}

fn percent(fraction: f64) -> String {
    match fraction * 100.0 {
        whole if whole >= 10.0 || whole <= 0.0 => format!("{whole:.0} %"),
        part => format!("{part:.1} %"),
    }
}

pub(super) fn cells(figure: &CalibratedFigure, show: fn(&Line) -> String) -> Vec<String> {
    vec![
        show(&Line::of_name(&figure.scenario)),
        show(&Line::of_prose(&figure.metric)),
        format!("{} of {}", figure.regressed, figure.suites),
        figure.inconclusive.to_string(),
        format!("{:.0}", figure.pairs),
        figure
            .smallest_detectable_ratio
            .map_or_else(|| "-".to_owned(), figure::percent_change),
    ]
}
