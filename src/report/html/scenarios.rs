//! Each scenario with its plots, by what it measures: times, memory growth, loads.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{Part, figures::Sides, part, plot, tables};
use crate::{
    gate::{Comparison, Role, SERVER, Verdict},
    report::{Report, base_name, figure, line::Line, load_model, model, run_model},
    results::{Results, ScenarioKind, ScenarioRecord},
};

/// Bytes of plots that a page may have; scenarios beyond it are shown without, those that need no
/// attention first.
const PLOTS_ROOM: usize = 600_000;

/// Where each scenario stands on the page.
pub(super) fn anchors(results: &Results) -> BTreeMap<&str, String> {
    let names = results
        .suite
        .scenarios
        .iter()
        .map(|scenario| scenario.name.as_str());
    let mut anchors: BTreeMap<&str, String> = names
        .enumerate()
        .map(|(index, name)| (name, format!("s{index}")))
        .collect();
    anchors.insert(SERVER, "server".to_owned());
    anchors
}

/// So many without a verdict stand open; more are folded.
const MOST_OPEN: usize = 10;

/// A scenario, the server or a load with its plots.
struct Drawn<'a> {
    name: &'a str,
    kind: Kind,
    worst: Option<&'a Comparison>,
    /// What stands above the plots.
    lead: Markup,
    plots: Vec<plot::Plot>,
}

/// Under which heading something is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Repeated,
    Soak,
    Load,
}

/// Scenarios, memory growth and loads, with their plots.
pub(super) fn parts(report: &Report<'_>) -> Vec<Part> {
    let now = report.candidate;
    let sides = Sides {
        base: report.base,
        now,
        base_name: base_name(report),
        are_pairs: report.context.against.is_some(),
    };
    let anchors = anchors(now);
    let rows = run_model::rows(now);
    let base_rows = report.base.map_or_else(Vec::new, run_model::rows);
    let loads = load_model::loads(now, report.base);
    let mut drawn = vec![Drawn {
        name: SERVER,
        kind: Kind::Repeated,
        worst: worst(report, SERVER),
        lead: html! {},
        plots: sides.of_server(),
    }];
    for scenario in &now.suite.scenarios {
        drawn.push(match scenario.kind {
            ScenarioKind::Soak => {
                let plot = sides.of_soak(scenario);
                Drawn {
                    lead: html! { @if let Some(plot) = &plot { p { (plot.description.html()) } } },
                    plots: plot.into_iter().collect(),
                    ..bare(report, scenario, Kind::Soak)
                }
            }
            ScenarioKind::Load => {
                let Some(load) = loads.iter().find(|load| load.name == scenario.name) else {
                    continue;
                };
                Drawn {
                    lead: tables::load(load),
                    plots: sides.of_load(scenario),
                    ..bare(report, scenario, Kind::Load)
                }
            }
            _ => Drawn {
                plots: sides.of_scenario(scenario),
                ..bare(report, scenario, Kind::Repeated)
            },
        });
    }
    let plots = rendered(&drawn);
    let of_kind = |kind: Kind| {
        let those = drawn
            .iter()
            .zip(&plots)
            .filter(move |(drawn, _)| drawn.kind == kind);
        let are_few = those.clone().count() <= MOST_OPEN;
        html! {
            @for (drawn, plots) in those { (section(drawn, plots.as_ref(), are_few, &anchors)) }
        }
    };
    let has = |kind: Kind| drawn.iter().any(|drawn| drawn.kind == kind);
    let both: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row,
                base_rows.iter().find(|base| base.scenario == row.scenario),
            )
        })
        .collect();
    let base = base_name(report);
    let table = tables::scenarios(&both, base, &anchors);
    let mut parts = vec![part(
        "scenarios",
        "Scenarios",
        html! {
            (tables::scrolling("figures of each scenario", &table))
            (tables::scenario_legend())
            (legend(report, Some(["wall", "adjusted"])))
            @if let Some(who) = sides.without_histograms() {
                p.quiet {
                    "The results of " (who) " hold no histograms of calls, as an older mcpgate wrote them; where they are missing, the quantiles of each round are drawn instead, and a load has no plot of its calls."
                }
            }
            (of_kind(Kind::Repeated))
        },
    )];
    if has(Kind::Soak) {
        let content = html! { (legend(report, None)) (of_kind(Kind::Soak)) };
        parts.push(part("memory", "Memory growth", content));
    }
    if has(Kind::Load) {
        let content = html! { (tables::load_legend()) (legend(report, Some(["p50, or all calls", "p95"]))) (of_kind(Kind::Load)) };
        parts.push(part("loads", "Loads", content));
    }
    parts
}

fn bare<'a>(report: &'a Report<'_>, scenario: &'a ScenarioRecord, kind: Kind) -> Drawn<'a> {
    Drawn {
        name: &scenario.name,
        kind,
        worst: worst(report, &scenario.name),
        lead: html! {},
        plots: Vec::new(),
    }
}

/// How much a verdict wants to be looked at; the least wants most.
const fn urgency(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Regressed => 0,
        Verdict::Inconclusive => 1,
        Verdict::Improved => 2,
        Verdict::Pass => 3,
        Verdict::NotMeasured => 4,
    }
}

/// The comparison of a scenario that wants most to be looked at, of those that can decide.
fn worst<'a>(report: &'a Report<'_>, scenario: &str) -> Option<&'a Comparison> {
    let comparisons = report.judgement.comparisons.iter();
    let those = comparisons.filter(|c| c.scenario == scenario && c.role != Role::Reported);
    let weight = |c: &Comparison| c.ratio.map_or(0.0, |_| model::weight(c));
    those.min_by(|a, b| {
        urgency(a.verdict)
            .cmp(&urgency(b.verdict))
            .then((a.role == Role::Guards).cmp(&(b.role == Role::Guards)))
            .then(weight(b).total_cmp(&weight(a)))
    })
}

/// The plots of each, as far as there is room: first of what wants to be looked at.
fn rendered(drawn: &[Drawn<'_>]) -> Vec<Option<Markup>> {
    let mut order: Vec<usize> = (0..drawn.len()).collect();
    order.sort_by_key(|&index| {
        let worst = drawn.get(index).and_then(|drawn| drawn.worst);
        worst.map_or(u8::MAX, |worst| urgency(worst.verdict))
    });
    let mut plots: Vec<Option<Markup>> = vec![None; drawn.len()];
    let mut room = PLOTS_ROOM;
    let mut id = 0;
    for index in order {
        let (Some(drawn), Some(place)) = (drawn.get(index), plots.get_mut(index)) else {
            continue;
        };
        let markup = html! {
            div.plots {
                @for plot in &drawn.plots {
                    ({ id += 1; plot.markup(id) })
                }
            }
        };
        if let Some(left) = room.checked_sub(markup.0.len()) {
            room = left;
            *place = Some(markup);
        }
    }
    plots
}

/// `is_one_of_few`: whether there are so few of its kind that all may stand open.
fn section(
    drawn: &Drawn<'_>,
    plots: Option<&Markup>,
    is_one_of_few: bool,
    anchors: &BTreeMap<&str, String>,
) -> Markup {
    // What has no verdict has nothing else to show.
    let is_open = drawn.worst.map_or(is_one_of_few, |worst| {
        !matches!(worst.verdict, Verdict::Pass | Verdict::NotMeasured)
    });
    html! {
        details open[is_open] {
            summary {
                h3 { (Line::of_name(drawn.name).html()) }
                @if let Some(worst) = drawn.worst {
                    (tables::verdict_chip(worst.verdict))
                    span.quiet { (figure::label(worst.metric)) " " (figure::change(worst)) }
                }
            }
            div.body id=[anchors.get(drawn.name)] {
                (drawn.lead)
                @match plots {
                    Some(_) if drawn.plots.is_empty() => {
                        @if drawn.kind != Kind::Load { p.quiet { "Nothing was measured that could be drawn." } }
                    },
                    Some(plots) => (plots),
                    None => p.quiet { "Not drawn, to keep the page small; the results file has the figures." },
                }
            }
        }
    }
}

/// What marks mean, and where there are two kinds of lines what each is.
fn legend(report: &Report<'_>, lines: Option<[&str; 2]>) -> Markup {
    let base = base_name(report);
    html! {
        ul.legend {
            @if report.base.is_some() {
                li {
                    svg viewBox="0 0 34 12" aria-hidden="true" {
                        path.line.b d="M0 6H34" {} path.dot.b d="M17 6h0" {} path.hole d="M17 6h0" {}
                    }
                    (base)
                }
            }
            li {
                svg viewBox="0 0 34 12" aria-hidden="true" {
                    path.line.n d="M0 6H34" {} path.dot.n d="M17 6h0" {}
                }
                "this run"
            }
            @if let Some([solid, dashed]) = lines {
                li { svg viewBox="0 0 34 12" aria-hidden="true" { path.line.plain d="M0 6H34" {} } (solid) }
                li { svg viewBox="0 0 34 12" aria-hidden="true" { path.line.plain.a d="M0 6H34" {} } (dashed) }
            }
        }
    }
}
