//! Tables of the page.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::{
    gate::{BudgetOutcome, Comparison, Judgement, Metric, Verdict},
    report::{
        details::{BudgetRow, ErrorRow},
        figure,
        line::Line,
        load_model::{LOAD_LEGEND, LoadRow, LoadView},
        model::{Row, Section, Unmeasured, word},
        run_model::{LEGEND, RunRow},
    },
    results::Results,
};

/// Half the width of a ratio's axis: from 1 / 2.5 to 2.5 times.
const WIDEST_RATIO: f64 = 2.5;
/// Size of the drawing of a ratio in its own units.
const RATIO_WIDTH: f64 = 168.0;

/// A class that colours by verdict.
pub(super) const fn tone_of(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass | Verdict::Improved => "good",
        Verdict::Regressed => "bad",
        Verdict::Inconclusive => "doubt",
        Verdict::NotMeasured => "neutral",
    }
}

pub(super) fn verdict_chip(verdict: Verdict) -> Markup {
    html! { span class=(format!("chip {}", tone_of(verdict))) { (word(verdict)) } }
}

/// A table that scrolls by itself where the page is too narrow for it, also by keyboard.
pub(super) fn scrolling(name: &str, table: &Markup) -> Markup {
    html! { div.scroll role="group" aria-label=(name) tabindex="0" { (table) } }
}

/// What the comparisons of a judgement are looked up by.
pub(super) type Comparisons<'a> = BTreeMap<(&'a str, &'static str), &'a Comparison>;

pub(super) fn by_name(judgement: &Judgement) -> Comparisons<'_> {
    let rows = judgement.comparisons.iter();
    rows.map(|c| ((c.scenario.as_str(), figure::label(c.metric)), c))
        .collect()
}

/// Comparisons by scenario; `anchors` has where each scenario stands on the page.
pub(super) fn comparisons(
    base: &str,
    sections: &[&Section<'_>],
    by_name: &Comparisons<'_>,
    anchors: &BTreeMap<&str, String>,
) -> Markup {
    html! {
        table.changes {
            thead {
                tr {
                    th scope="col" { "scenario and metric" }
                    th.r scope="col" { (base) " → now" }
                    th.r scope="col" { "change, with its interval" }
                    th scope="col" { (ratio_axis()) }
                    th.r scope="col" { "tolerance" }
                }
            }
            @for section in sections {
                @for group in &section.groups {
                    tbody {
                        tr {
                            th.group scope="rowgroup" colspan="5" {
                                @match anchors.get(group.scenario) {
                                    Some(anchor) => a href=(format!("#{anchor}")) {
                                        (Line::of_name(group.scenario).html())
                                    },
                                    None => (Line::of_name(group.scenario).html()),
                                }
                            }
                        }
                        @for row in &group.rows {
                            (comparison(row, by_name.get(&(group.scenario, row.figures.metric)).copied()))
                        }
                    }
                }
            }
        }
    }
}

fn comparison(row: &Row, of: Option<&Comparison>) -> Markup {
    let figures = &row.figures;
    html! {
        tr {
            th scope="row" {
                span.metric { (figures.metric) }
                @if row.verdict != Verdict::Pass && !row.is_shown_only {
                    " " (verdict_chip(row.verdict))
                }
                @if !row.note.is_empty() { " " span.note { (row.note.html()) } }
            }
            td.r {
                (figures.base) " → " strong { (figures.candidate) }
                @if let Some(wall) = &row.wall {
                    small { "wall " (wall.base) " → " (wall.candidate) }
                }
            }
            td.r {
                strong { (figures.change) }
                @if !figures.interval.is_empty() { small { (figures.interval) } }
                @if let Some(wall) = &row.wall { small { "wall " (wall.change) } }
            }
            td { @if let Some(of) = of { (ratio(of)) } }
            td.r {
                @if figures.tolerance.ends_with('%') { span.narrow { "tolerance " } }
                (figures.tolerance)
            }
        }
    }
}

/// Where a ratio stands in the drawing, on a scale of equal factors, and whether it is within it.
fn place(ratio: f64) -> f64 {
    let share = (ratio.max(f64::MIN_POSITIVE).ln() / WIDEST_RATIO.ln()).clamp(-1.0, 1.0);
    (RATIO_WIDTH / 2.0) * (1.0 + share * 0.97)
}

/// The head of the column of ratios.
fn ratio_axis() -> Markup {
    html! {
        svg.ratio viewBox="0 0 168 22" role="img" aria-label="the change as a picture" {
            @for (ratio, label) in [(0.5, "-50 %"), (1.0, "0"), (2.0, "+100 %")] {
                text x=(format!("{:.1}", place(ratio))) y="18" { (label) }
            }
        }
    }
}

/// The change with its interval as a picture; the cells beside it have the same in figures.
fn ratio(comparison: &Comparison) -> Markup {
    let Some(ratio) = comparison.ratio.filter(|ratio| ratio.is_finite()) else {
        return html! {};
    };
    let tolerated = 1.0 + comparison.tolerance.max(0.0);
    let (low, high) = (place(1.0 / tolerated), place(tolerated));
    let at = place(ratio);
    let span = match comparison.interval {
        Some(interval) => {
            let (low, high) = (place(interval.low), place(interval.high));
            // An end beyond the scale is open.
            let cap = |at: f64, ratio: f64| match ratio {
                ratio if ratio > WIDEST_RATIO => "M159 6L165 11L159 16".to_owned(),
                ratio if ratio < 1.0 / WIDEST_RATIO => "M9 6L3 11L9 16".to_owned(),
                _ => format!("M{at:.1} 7v8"),
            };
            let (left, right) = (cap(low, interval.low), cap(high, interval.high));
            format!("M{low:.1} 11H{high:.1}{left}{right}")
        }
        None => String::new(),
    };
    html! {
        svg class=(format!("ratio {}", tone_of(comparison.verdict))) viewBox="0 0 168 22" aria-hidden="true" {
            rect.zone x=(format!("{low:.1}")) width=(format!("{:.1}", high - low)) y="2" height="18" rx="3" {}
            path.zero d="M84 1V21" {}
            path.reach d=(format!("M84 11H{at:.1}")) {}
            path.span d=(span) {}
            // Beyond the end of the scale it points there.
            @if ratio > WIDEST_RATIO {
                path.at d="M159 5L168 11L159 17Z" {}
            } @else if ratio < 1.0 / WIDEST_RATIO {
                path.at d="M9 5L0 11L9 17Z" {}
            } @else {
                circle.at cx=(format!("{at:.1}")) cy="11" r="4.5" {}
            }
        }
    }
}

pub(super) fn unmeasured(rows: &[Unmeasured<'_>]) -> Markup {
    html! {
        ul {
            @for row in rows { li { (row.line(20).html()) } }
        }
    }
}

pub(super) fn budgets(rows: &[&BudgetRow<'_>]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "scenario and metric" }
                    th.r scope="col" { "figure" }
                    th.r scope="col" { "limit" }
                    th scope="col" { "outcome" }
                }
            }
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" { (Line::of_name(row.scenario).html()) " " (row.metric) }
                        td.r { (row.value) }
                        td.r { (row.limit) }
                        td { span class=(format!("chip {}", budget_tone(row))) { (row.word) } }
                    }
                }
            }
        }
    }
}

const fn budget_tone(row: &BudgetRow<'_>) -> &'static str {
    match row.outcome {
        BudgetOutcome::Held => "good",
        BudgetOutcome::Broken if row.fails => "bad",
        BudgetOutcome::Broken | BudgetOutcome::Near => "doubt",
        BudgetOutcome::NotMeasured => "neutral",
    }
}

/// A column of [`scenarios`]: its head, and its figure of a scenario.
type Column = (&'static str, for<'r> fn(&'r RunRow<'_>) -> &'r str);

const COLUMNS: [Column; 7] = [
    ("calls", |row| &row.calls),
    ("errors", |row| &row.errors),
    ("p50", |row| &row.p50),
    ("p95", |row| &row.p95),
    ("byte 1", |row| &row.first_byte_p95),
    ("calls/s", |row| &row.per_second),
    ("CPU", |row| &row.cpu),
];

/// What each scenario gave, and under it what it gave in the base.
pub(super) fn scenarios(
    rows: &[(&RunRow<'_>, Option<&RunRow<'_>>)],
    base: &str,
    anchors: &BTreeMap<&str, String>,
) -> Markup {
    let cells = |row: &RunRow<'_>| {
        html! {
            @for (name, of) in COLUMNS {
                td.r {
                    (of(row))
                    @let adjusted = match name { "p50" => &row.p50_adjusted, "p95" => &row.p95_adjusted, _ => figure::NONE };
                    @if adjusted != figure::NONE { small { "adj " (adjusted) } }
                }
            }
        }
    };
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "scenario" }
                    @for (name, _) in COLUMNS { th.r scope="col" { (name) } }
                }
            }
            tbody {
                @for (now, before) in rows {
                    tr {
                        th scope="row" {
                            @match anchors.get(now.scenario) {
                                Some(anchor) => a href=(format!("#{anchor}")) { (Line::of_name(now.scenario).html()) },
                                None => (Line::of_name(now.scenario).html()),
                            }
                        }
                        (cells(now))
                    }
                    @if let Some(before) = before {
                        tr.part { th scope="row" { (base) } (cells(before)) }
                    }
                }
            }
        }
    }
}

/// What the short heads of [`scenarios`] mean.
pub(super) fn scenario_legend() -> Markup {
    html! { p.note { (LEGEND) } }
}

pub(super) fn load(load: &LoadView<'_>) -> Markup {
    let head = [
        "load", "calls", "errors", "dropped", "p50", "p95", "p99", "max", "calls/s",
    ];
    let cells = |row: &LoadRow| {
        let figures = [
            &row.calls,
            &row.errors,
            &row.dropped,
            &row.p50,
            &row.p95,
            &row.p99,
            &row.max,
            &row.per_second,
        ];
        html! { @for figure in figures { td.r { (figure) } } }
    };
    let whole = match load.whole.level.as_str() {
        "" => "whole",
        level => level,
    };
    let table = html! {
        table {
            thead {
                tr {
                    th scope="col" { (head[0]) }
                    @for name in &head[1..] { th.r scope="col" { (name) } }
                }
            }
            tbody {
                tr { th scope="row" { (whole) } (cells(&load.whole)) }
                @for stage in &load.stages {
                    tr.part { th scope="row" { (stage.level) } (cells(stage)) }
                }
            }
        }
    };
    html! {
        (scrolling("figures of the load", &table))
        @if !load.remarks.is_empty() {
            ul { @for remark in &load.remarks { li { (remark.html()) } } }
        }
    }
}

/// What the short heads of [`load`] mean.
pub(super) fn load_legend() -> Markup {
    html! { p.note { (LOAD_LEGEND) } }
}

/// Errors of one side by kind, and how many calls were made.
#[derive(Debug, Default)]
struct Errors<'a> {
    calls: u64,
    kinds: BTreeMap<&'a str, u64>,
}

fn errors_of<'a>(results: &'a Results, scenario: &'a str) -> Errors<'a> {
    let mut errors = Errors::default();
    for counts in results.jobs.iter().flat_map(|job| job.counts_of(scenario)) {
        errors.calls += u64::from(counts.calls);
        for (kind, count) in counts.errors {
            *errors.kinds.entry(kind).or_default() += u64::from(*count);
        }
    }
    errors
}

/// Errors by scenario and kind, with the first of each scenario.
pub(super) fn errors(
    rows: &[ErrorRow<'_>],
    now: &Results,
    base: Option<&Results>,
    base_name: &str,
) -> Markup {
    let of = |errors: &Errors<'_>, kind: &str| {
        let count = errors.kinds.get(kind).copied().unwrap_or(0);
        let share = figure::figure(
            count as f64 / (errors.calls.max(1)) as f64,
            Metric::ErrorRate.unit(),
        );
        match errors.calls {
            0 => html! { (figure::NONE) },
            calls => html! { (count) small { (share) " of " (calls) } },
        }
    };
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "scenario" }
                    th scope="col" { "kind" }
                    th.r scope="col" { "calls that failed" }
                    @if base.is_some() { th.r scope="col" { "in the " (base_name) } }
                    th scope="col" { "what was said" }
                }
            }
            @for row in rows {
                @let here = errors_of(now, row.scenario);
                @let before = base.map(|base| errors_of(base, row.scenario));
                tbody {
                    @for (index, kind) in here.kinds.keys().enumerate() {
                        tr {
                            @if index == 0 {
                                th scope="rowgroup" rowspan=(here.kinds.len()) { (Line::of_name(row.scenario).html()) }
                            }
                            td { (Line::of_name(kind).html()) }
                            td.r { (of(&here, kind)) }
                            @if let Some(before) = &before { td.r { (of(before, kind)) } }
                            @if index == 0 {
                                td.wrap rowspan=(here.kinds.len()) {
                                    @if let Some(sample) = &row.sample { (sample.html()) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
