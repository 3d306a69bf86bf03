//! Where, with what and how it was measured, and how to do it again.

use maud::{Markup, html};

use crate::{
    gate::Unit,
    report::{Report, escape, figure, line::Line, provenance::Fact, run_model::median},
    results::{Job, Measure, Phase, Results, Round},
};

/// Notes of a run that are shown.
const MOST_NOTES: usize = 20;
/// Tools and scenarios left out that are shown.
const MOST_SKIPPED: usize = 100;

/// Facts as a list of terms; one without a label goes on with the fact before it.
pub(super) fn facts(facts: &[Fact]) -> Markup {
    html! {
        div.card {
            dl {
                @for fact in facts {
                    dt { (fact.label) }
                    dd { (fact.text.html()) }
                }
            }
        }
    }
}

/// A row of the table of both runs: what, and how one side has it.
type Row = (&'static str, fn(&Results, &Job) -> Line);

const ROWS: [Row; 20] = [
    ("measured by", |results, _| {
        Line::own("mcpgate ").prose(&results.mcpgate_version)
    }),
    ("started", |_, job| Line::of_prose(&job.started_at)),
    ("commit", |_, job| {
        job.commit.as_deref().map_or_else(none, Line::of_name)
    }),
    ("suite", |results, _| {
        Line::of_prose(&results.suite.name)
            .then(" ")
            .name(&results.suite.hash)
    }),
    ("seed", |_, job| Line::own(job.seed.to_string())),
    ("rounds", |_, job| {
        let of = |phase| {
            job.rounds
                .iter()
                .filter(|round| round.phase == phase)
                .count()
        };
        Line::own(match of(Phase::Confirm) {
            0 => of(Phase::Measure).to_string(),
            fresh => format!("{} and {fresh} fresh ones to confirm", of(Phase::Measure)),
        })
    }),
    ("soaks", |_, job| Line::own(job.soaks.len().to_string())),
    ("protocol", |results, _| {
        Line::of_prose(&results.server.protocol_version)
    }),
    ("tool list", |results, _| {
        Line::of_name(&results.server.tool_list_hash)
    }),
    ("system", |_, job| {
        let environment = &job.environment;
        Line::of_prose(&environment.os)
            .then(" ")
            .prose(&environment.arch)
            .then(", kernel ")
            .prose(&environment.kernel)
    }),
    ("CPU", |_, job| Line::of_prose(&job.environment.cpu_model)),
    ("cores", |_, job| {
        Line::own(job.environment.cores.to_string())
    }),
    ("CPU limit", |_, job| {
        let limit = job.environment.container_cpu_limit_millicores;
        limit.map_or_else(none, |limit| {
            Line::own(format!("{:.2} cores", f64::from(limit) / 1000.0))
        })
    }),
    ("memory", |_, job| {
        Line::own(size(job.environment.memory_bytes))
    }),
    ("memory limit", |_, job| {
        let limit = job.environment.container_memory_limit_bytes;
        limit.map_or_else(none, |limit| Line::own(size(limit)))
    }),
    ("runner image", |_, job| {
        job.environment
            .runner_image
            .as_deref()
            .map_or_else(none, Line::of_name)
    }),
    ("same work took", |_, job| {
        job.reference_work_ns().map_or_else(none, |ns| {
            Line::own(format!(
                "{} of CPU, at best",
                figure::figure(ns as f64, Unit::Nanoseconds)
            ))
        })
    }),
    ("load by others", |_, job| {
        cores(job, |round| round.outside_load_cores)
    }),
    ("stolen by the host", |_, job| {
        cores(job, |round| round.steal_cores)
    }),
    ("adjusted times", |_, job| measure(&job.adjusted_measure)),
];

fn none() -> Line {
    Line::own(figure::NONE)
}

fn size(bytes: u64) -> String {
    figure::figure(bytes as f64, Unit::Bytes)
}

fn cores(job: &Job, of: fn(&Round) -> Option<f64>) -> Line {
    median(job.rounds.iter().filter_map(of)).map_or_else(none, |cores| {
        Line::own(format!("{cores:.2} cores, median over rounds"))
    })
}

fn measure(measure: &Measure) -> Line {
    match measure {
        Measure::By(method) => Line::of_prose(method),
        Measure::NotMeasured(why) => Line::own("not measured: ").prose(why),
    }
}

/// Both runs, row by row; of a baseline of several jobs the latest.
pub(super) fn table(base: Option<&Results>, now: &Results, base_name: &str) -> Markup {
    let sides = [base, Some(now)];
    let cell = |results: &Results, of: fn(&Results, &Job) -> Line| match results.jobs.last() {
        Some(job) => of(results, job),
        None => none(),
    };
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "what" }
                    @if let Some(base) = base {
                        th scope="col" {
                            (base_name)
                            @if base.jobs.len() > 1 { ", the latest of " (base.jobs.len()) " jobs" }
                        }
                    }
                    th scope="col" { "this run" }
                }
            }
            tbody {
                @for (name, of) in ROWS {
                    tr {
                        th scope="row" { (name) }
                        @for results in sides.into_iter().flatten() {
                            td.wrap { (cell(results, of).html()) }
                        }
                    }
                }
                tr {
                    th scope="row" { "memory by" }
                    @for results in sides.into_iter().flatten() {
                        td.wrap { (cell(results, |_, job| measure(&job.memory_measure)).html()) }
                    }
                }
            }
        }
    }
}

/// What the run noticed, and what it left out.
pub(super) fn notes(now: &Results) -> Markup {
    let notes: Vec<&String> = now.jobs.iter().flat_map(|job| &job.notes).collect();
    let skipped = &now.suite.skipped;
    html! {
        @if !notes.is_empty() {
            h3 { "Noticed during the run" }
            ul {
                @for note in notes.iter().take(MOST_NOTES) { li { (Line::of_prose(note).html()) } }
                @if notes.len() > MOST_NOTES { li { "and " (notes.len() - MOST_NOTES) " more" } }
            }
        }
        @if !skipped.is_empty() {
            h3 { "Left out" }
            ul {
                @for it in skipped.iter().take(MOST_SKIPPED) {
                    li { (Line::of_name(&it.name).then(": ").prose(&it.reason).html()) }
                }
                @if skipped.len() > MOST_SKIPPED { li { "and " (skipped.len() - MOST_SKIPPED) " more" } }
            }
        }
    }
}

/// A command line in a block of its own.
pub(super) fn command(text: &str) -> Markup {
    html! { pre tabindex="0" { code { (escape::command(text)) } } }
}

/// Command lines that measure the same, and that judge the same files.
pub(super) fn reproduce(report: &Report<'_>) -> Markup {
    let job = report.candidate.jobs.last();
    let commit = job.and_then(|job| job.commit.as_deref());
    let context = &report.context;
    let measure = context.command_to_reproduce.clone().or_else(|| {
        let is_stored = report.base.is_none();
        is_stored.then(|| run_again(report.candidate))
    });
    let files = context
        .baseline_path
        .as_deref()
        .zip(context.results_path.as_deref());
    let files = files.filter(|_| report.base.is_some());
    html! {
        div.card {
            @if let Some(commit) = commit {
                p {
                    "Measured was commit "
                    (Line::of_name(commit.strip_suffix("-dirty").unwrap_or(commit)).html())
                    @if commit.ends_with("-dirty") { " with changes that no commit has" }
                    "."
                }
            }
            @if let Some(measure) = measure {
                p { "To measure it again:" }
                (command(&measure))
            }
            @if let Some((base, now)) = files {
                p { "To judge the same two files again, without running anything:" }
                (command(&format!("mcpgate compare {} {}", quoted(base), quoted(now))))
            }
            @if let Some(job) = job {
                p {
                    "What is random in a call depends on the seed (" (job.seed)
                    ") and on the number of the call alone: with the same seed the same calls are made. Times are never the same twice; what is compared are their distributions over rounds."
                }
            }
        }
    }
}

/// The command of a plain run, as far as its results tell: not the server's own, which may hold what
/// the shell filled in.
fn run_again(results: &Results) -> String {
    let seed = results.jobs.last().map_or(0, |job| job.seed);
    let suite = quoted(&results.suite.name);
    format!("mcpgate run --suite {suite} --seed {seed} -- YOUR SERVER COMMAND")
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    // It refuses the zero byte alone, which no path holds.
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}
