//! A calibration as a page.

use maud::{Markup, html};

use super::{Part, document, tables::scrolling, title};
use crate::{
    gate::calibration,
    report::{
        calibration::{COLUMNS, cells, heading, summary},
        escape,
        headline::Tone,
        line::Line,
        provenance::machine,
    },
    results::{Calibration, Control},
};

/// A calibration as one page of HTML that loads nothing.
#[must_use]
pub fn calibration_html(calibration: &Calibration) -> String {
    let name = escape::name(&calibration.server.name);
    let unreliable = calibration::unreliable(calibration);
    let top = html! {
        p.of { "mcpgate calibrate · " code { (name) } " · " (machine(&calibration.environment).html()) }
        (title(
            Tone::Neutral,
            "calibration",
            &html! { "How often comparisons of the server with itself erred, and what they could see" },
        ))
    };
    let lead = html! {
        @for control in &calibration.controls { (of_control(control)) }
    };
    let mut parts = Vec::new();
    if !unreliable.is_empty() {
        parts.push(Part {
            anchor: "steps-down",
            title: "Steps down",
            content: html! {
                ul {
                    @for (scenario, reason) in &unreliable {
                        li { (Line::of_name(scenario).then(": ").prose(reason).html()) }
                    }
                }
            },
        });
    }
    let footer = html! { "All figures stand in the calibration file." };
    document(
        Tone::Neutral,
        &format!("calibration · {name}"),
        &top,
        &lead,
        &parts,
        &footer,
    )
}

fn of_control(control: &Control) -> Markup {
    let table = html! {
        table {
            thead {
                tr {
                    @for (index, column) in COLUMNS.iter().enumerate() {
                        th.r[index > 1] scope="col" { (column) }
                    }
                }
            }
            tbody {
                @for figure in &control.figures {
                    tr {
                        th scope="row" { (Line::of_name(&figure.scenario).html()) }
                        td { (Line::of_prose(&figure.metric).html()) }
                        @for cell in cells(figure, Line::plain).iter().skip(2) { td.r { (cell) } }
                    }
                }
            }
        }
    };
    html! {
        h2 { (heading(control)) }
        @for line in summary(control) { p { (line.html()) } }
        (scrolling("figures of the calibration", &table))
    }
}
