//! A judgement or results as one page of HTML that needs nothing else: no script, no network, no
//! other file.
//!
//! maud's templates escape all text. What can be foreign goes through [`Line`] besides, which shows
//! what cannot be seen. The page's Content-Security-Policy lets it load nothing at all and apply the
//! one style sheet that it holds, by its hash; so no element has a style of its own.
//!
//! | file | what it holds |
//! |---|---|
//! | `page.css` | all that is seen: colours for light and dark, print, narrow windows |
//! | `plot.rs` | a plot as inline SVG |
//! | `thinning.rs` | which points of a long line are drawn |
//! | `figures.rs` | which plots show what |
//! | `calls.rs` | how single calls are spread |
//! | `scenarios.rs` | each scenario with its plots |
//! | `tables.rs` | tables |
//! | `calibration.rs` | the page of a calibration |
//! | `environment.rs` | where it was measured, and how to do it again |

mod calibration;
mod calls;
mod environment;
mod figures;
mod plot;
mod scenarios;
mod tables;
#[cfg(test)]
mod tests;
mod thinning;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

pub use self::calibration::calibration_html;
use super::{
    Report, base_name,
    details::{BudgetRow, DiagnosisRow, ErrorRow, FindingRow},
    escape,
    figure::count,
    headline::{Block, Step, Tone},
    line::Line,
    markdown::METHOD,
    model::{Section, View},
    run_model::RunView,
};
use crate::{
    gate::{BudgetOutcome, Role, Severity, Verdict},
    results::Results,
};

const STYLE: &str = include_str!("html/page.css");

/// A judgement as a page.
#[must_use]
pub fn html(report: &Report<'_>) -> String {
    let view = View::of(report);
    let head = Head {
        tone: view.headline.tone,
        word: view.headline.word,
        reason: &view.headline.reason,
        also: &view.headline.also,
        next: &view.next,
        drift: view.drift.as_ref(),
        slow_drifts: &view.slow_drifts,
        summary: &view.summary,
    };
    let body = Body {
        changes: changes(report, &view),
        findings: &view.findings,
        errors: &view.errors,
        budgets: &view.budgets,
        diagnoses: &view.diagnoses,
        facts: environment::facts(&view.facts),
    };
    page(report, &head, body)
}

/// What one run measured, as a page; its judgement adds budgets, findings and diagnoses.
#[must_use]
pub fn run_html(report: &Report<'_>) -> String {
    let view = RunView::of(report.candidate, Some(report.judgement));
    let head = Head {
        tone: view.tone,
        word: view.word,
        reason: &view.reason,
        also: &[],
        next: &[],
        drift: None,
        slow_drifts: &[],
        summary: &[],
    };
    let body = Body {
        changes: None,
        findings: &view.findings,
        errors: &view.errors,
        budgets: &view.budgets,
        diagnoses: &view.diagnoses,
        facts: environment::facts(&view.server),
    };
    page(report, &head, body)
}

/// What stands at the top.
struct Head<'v> {
    tone: Tone,
    word: &'static str,
    reason: &'v Line,
    also: &'v [Line],
    next: &'v [Step],
    /// What the committed baseline says, where another server decides.
    drift: Option<&'v Line>,
    /// What the history shows.
    slow_drifts: &'v [Line],
    summary: &'v [Line],
}

/// What differs between a judgement and a run, or is made of their views.
struct Body<'v> {
    /// The comparisons; none of a run.
    changes: Option<Markup>,
    findings: &'v [FindingRow],
    errors: &'v [ErrorRow<'v>],
    budgets: &'v [BudgetRow<'v>],
    diagnoses: &'v [DiagnosisRow],
    facts: Markup,
}

/// A part of the page with a heading of its own.
struct Part {
    anchor: &'static str,
    title: &'static str,
    content: Markup,
}

fn part(anchor: &'static str, title: &'static str, content: Markup) -> Part {
    Part {
        anchor,
        title,
        content,
    }
}

const fn tone_class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Doubtful => "doubt",
        Tone::Bad => "bad",
        Tone::Neutral => "neutral",
    }
}

/// The strokes of a sign, in a square of 24: it says what the colour says.
const fn sign(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "M4 13l5 6L20 5",
        Tone::Doubtful => "M12 3v12M12 20.5h0",
        Tone::Bad => "M5 5l14 14M19 5L5 19",
        Tone::Neutral => "M12 10v11M12 4h0",
    }
}

fn page(report: &Report<'_>, head: &Head<'_>, body: Body<'_>) -> String {
    let server = &report.candidate.server.name;
    let footer = html! {
        "All figures stand in the results file"
        @if let Some(path) = &report.context.results_path { ", " code { (escape::path(path)) } }
        "."
    };
    document(
        head.tone,
        &format!("{} · {}", head.word, escape::name(server)),
        &top(report, head),
        &tiles(report),
        &parts(report, body),
        &footer,
    )
}

/// A whole page.
fn document(
    tone: Tone,
    title: &str,
    top: &Markup,
    lead: &Markup,
    parts: &[Part],
    footer: &Markup,
) -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    // No image but the icon in the head, which keeps a browser from asking a server for one.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"
    );
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="generator" content=(concat!("mcpgate ", env!("CARGO_PKG_VERSION")));
                title { (title) " · mcpgate" }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the report" }
                header class=(format!("top {}", tone_class(tone))) { div { (top) } }
                nav aria-label="Contents" {
                    ul {
                        @for part in parts { li { a href=(format!("#{}", part.anchor)) { (part.title) } } }
                    }
                }
                main id="main" {
                    (lead)
                    @for part in parts {
                        section aria-labelledby=(part.anchor) {
                            h2 id=(part.anchor) { (part.title) }
                            (part.content)
                        }
                    }
                }
                footer {
                    "Made by mcpgate " (env!("CARGO_PKG_VERSION")) ", as one file that loads nothing. "
                    (footer)
                }
            }
        }
    };
    markup.into_string()
}

/// The verdict and why.
fn title(tone: Tone, word: &str, reason: &Markup) -> Markup {
    html! {
        h1 {
            span.word {
                svg.mark viewBox="0 0 24 24" aria-hidden="true" { path d=(sign(tone)) {} }
                (word)
            }
            (reason)
        }
    }
}

fn top(report: &Report<'_>, head: &Head<'_>) -> Markup {
    html! {
        p.of {
            "mcpgate"
            @if let Some(key) = &report.context.key { " · " code { (escape::name(key)) } }
            " · " (provenance_line(report.candidate).html())
        }
        (title(head.tone, head.word, &head.reason.html()))
        @if !head.also.is_empty() {
            ul { @for line in head.also { li { (line.html()) } } }
        }
        @if let Some(drift) = head.drift {
            p { strong { "Drift" } ", which does not decide here: " (drift.html()) }
        }
        @for line in head.slow_drifts { p { (line.html()) } }
        @if !head.next.is_empty() {
            div.steps {
                h2 { "What to do" }
                @for step in head.next {
                    p { (step.text.html()) }
                    @match &step.block {
                        Some(Block::Command(command)) => (environment::command(command)),
                        Some(Block::Toml(lines)) => details {
                            summary { "The entries, to be copied" }
                            pre tabindex="0" { code { (lines) } }
                        },
                        None => {},
                    }
                }
            }
        }
        @if !head.summary.is_empty() {
            p.quiet { @for line in head.summary { (line.html()) " " } }
        }
    }
}

/// The server and what was measured of it.
fn provenance_line(candidate: &Results) -> Line {
    super::provenance::server(candidate)
        .then("; ")
        .join(super::provenance::arm(candidate))
}

/// How many comparisons have which verdict; nothing of a run.
fn tiles(report: &Report<'_>) -> Markup {
    // Of what decides, as in the sentence above.
    let comparisons = report.judgement.comparisons.iter();
    let comparisons: Vec<_> = comparisons.filter(|c| c.role != Role::Reported).collect();
    let verdicts = [
        Verdict::Regressed,
        Verdict::Inconclusive,
        Verdict::Improved,
        Verdict::Pass,
        Verdict::NotMeasured,
    ];
    let counts = verdicts.map(|verdict| {
        let those = comparisons.iter().filter(|c| c.verdict == verdict);
        (verdict, those.count())
    });
    html! {
        @if !comparisons.is_empty() {
            ul.tiles aria-label="Comparisons by verdict" {
                @for (verdict, count) in counts {
                    @if count > 0 {
                        li class=(tables::tone_of(verdict)) { b { (count) } (super::model::word(verdict)) }
                    }
                }
            }
        }
    }
}

/// All parts that have something to say.
fn parts(report: &Report<'_>, body: Body<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    let now = report.candidate;
    let base = base_name(report);
    if let Some(changes) = body.changes {
        parts.push(part("comparisons", "Comparisons", changes));
    }
    if !body.diagnoses.is_empty() {
        parts.push(part("diagnoses", "Diagnoses", diagnoses(body.diagnoses)));
    }
    if !body.findings.is_empty() {
        parts.push(part("findings", "Worth knowing", findings(body.findings)));
    }
    if !body.errors.is_empty() {
        let table = tables::errors(body.errors, now, report.base, base);
        parts.push(part(
            "errors",
            "Errors by kind",
            tables::scrolling("errors by kind", &table),
        ));
    }
    if !body.budgets.is_empty() {
        parts.push(part("budgets", "Budgets", budgets(body.budgets)));
    }
    parts.extend(scenarios::parts(report));
    let table = environment::table(report.base, now, base);
    parts.push(part(
        "environment",
        "Environment",
        html! {
            (body.facts)
            (tables::scrolling("environment of both runs", &table))
            (environment::notes(now))
        },
    ));
    parts.push(part(
        "reproduce",
        "How to reproduce",
        environment::reproduce(report),
    ));
    parts.push(part("method", "How to read this", method()));
    parts
}

fn findings(rows: &[FindingRow]) -> Markup {
    let severities = [
        (Severity::Failure, "bad", "failure"),
        (Severity::Doubt, "doubt", "doubt"),
        (Severity::Note, "neutral", "note"),
    ];
    html! {
        @for (severity, tone, word) in severities {
            @let those: Vec<&FindingRow> = rows.iter().filter(|row| row.severity == severity).collect();
            @if !those.is_empty() {
                div class=(format!("card tone {tone}")) {
                    h3 { span.chip { (count(those.len(), word)) } }
                    ul { @for row in those { li { (row.text.html()) } } }
                }
            }
        }
    }
}

fn diagnoses(rows: &[DiagnosisRow]) -> Markup {
    html! {
        @for row in rows {
            @let tone = match (row.fails, row.is_fault) {
                (true, _) => "bad",
                (false, true) => "doubt",
                (false, false) => "neutral",
            };
            article class=(format!("card tone {tone}")) {
                h3 {
                    (row.name)
                    @if !row.place.is_empty() { " · " (row.place.html()) }
                    " " span.chip { (row.about) }
                }
                p { (row.evidence.html()) }
                p.quiet { (row.advice.html()) }
            }
        }
    }
}

fn budgets(rows: &[BudgetRow<'_>]) -> Markup {
    let (pressing, rest): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.pressing);
    let open = rest
        .iter()
        .filter(|row| row.outcome != BudgetOutcome::Held)
        .count();
    html! {
        @if !pressing.is_empty() {
            (tables::scrolling("budgets that need attention", &tables::budgets(&pressing)))
        }
        @if !rest.is_empty() {
            details {
                summary {
                    (count(rest.len(), "budget"))
                    @if open == 0 { " held" } @else { ", " (open) " not measured" }
                }
                (tables::scrolling("other budgets", &tables::budgets(&rest)))
            }
        }
    }
}

/// The comparisons, those that need no attention folded.
fn changes(report: &Report<'_>, view: &View<'_>) -> Option<Markup> {
    if report.judgement.comparisons.is_empty() {
        return None;
    }
    let base = base_name(report);
    let by_name = tables::by_name(report.judgement);
    let anchors = scenarios::anchors(report.candidate);
    let of = |wanted: fn(Verdict) -> bool| {
        let sections = view.sections.iter();
        sections
            .filter(|section| wanted(section.verdict))
            .collect::<Vec<&Section<'_>>>()
    };
    let changed = of(|verdict| !matches!(verdict, Verdict::Pass | Verdict::NotMeasured));
    let unchanged = of(|verdict| verdict == Verdict::Pass);
    let table = |sections: &[&Section<'_>]| tables::comparisons(base, sections, &by_name, &anchors);
    let missing: usize = view.unmeasured.iter().map(|u| u.what.len()).sum();
    Some(html! {
        @if changed.is_empty() {
            p { "Nothing changed by more than its tolerance, and nothing was left undecided." }
        } @else {
            (tables::scrolling("comparisons that changed or were not decided", &table(&changed)))
        }
        @if !unchanged.is_empty() {
            details {
                summary { (count(view.unchanged().count(), "comparison")) " within the tolerance" }
                (tables::scrolling("comparisons within the tolerance", &table(&unchanged)))
            }
        }
        @if missing > 0 {
            details {
                summary { (count(missing, "comparison")) " not measured" }
                div.body { (tables::unmeasured(&view.unmeasured)) }
            }
        }
    })
}

fn method() -> Markup {
    html! {
        div.card {
            // Its emphasis is Markdown's.
            p {
                @for (index, text) in METHOD.split('*').enumerate() {
                    @if index % 2 == 0 { (text) } @else { em { (text) } }
                }
            }
            p {
                "The curves of p50 and p95 show distributions over rounds, which are what is compared: how many of them had at most that figure. Where the two do not overlap, the difference is plain; where they cross, it is not. The curves of calls show all calls of those rounds, from histograms whose buckets are 1.6 to 3.1 % wide; they decide nothing. "
                code { "--samples FILE" } " keeps each call."
            }
        }
    }
}
