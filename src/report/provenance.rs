//! What was compared with what, on which machine, and how small a change could have been seen.

use super::{
    Report, base_name, figure,
    line::{self, Line},
    model::{rounds, word},
};
use crate::{
    gate::{Comparison, Role, Verdict},
    results::{Environment, Job, Results, ScenarioKind, Sessions, Transport},
};

/// One labelled fact about the comparison.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) label: &'static str,
    pub(crate) text: Line,
}

impl Fact {
    /// `label: text`, as a list item of Markdown.
    pub(crate) fn markdown(&self) -> String {
        let label = if self.label.is_empty() {
            "and"
        } else {
            self.label
        };
        Line::own(format!("{label}: "))
            .join(self.text.clone())
            .markdown()
    }
}

fn fact(label: &'static str, text: Line) -> Fact {
    Fact { label, text }
}

/// Candidate, baseline, machine and server.
pub(crate) fn facts(report: &Report<'_>) -> Vec<Fact> {
    let mut facts = vec![fact("candidate", arm(report.candidate))];
    if let Some(base) = report.base {
        let mut text = Line::default();
        if let Some(against) = &report.context.against {
            text = text.name(against).then(", measured in turn: ");
        }
        text = text.join(arm(base));
        if let Some(path) = &report.context.baseline_path {
            text = text.then(", ").path(path);
        }
        facts.push(fact(base_name(report), text));
        if let Some(accepted) = &base.accepted
            && !accepted.forced_over.is_empty()
        {
            let objections = accepted.forced_over.iter().map(|text| Line::of_prose(text));
            let text = Line::own("accepted by --force over: ");
            facts.push(fact(
                "",
                text.join(line::separated(", ", objections.take(3))),
            ));
        }
    }
    if report.context.against.is_some() {
        let run = report.candidate.jobs.last();
        facts.extend(run.map(|run| {
            let text = machine(&run.environment);
            fact("machine", text.then("; both on this one, in turn"))
        }));
    } else {
        facts.extend(machines(report.candidate, report.base));
    }
    facts.push(fact("server", server(report.candidate)));
    facts
}

/// The server, as it named itself, and how it was reached.
pub(crate) fn server(results: &Results) -> Line {
    let server = &results.server;
    let mut text = Line::default();
    if server.name.is_empty() {
        text = text.then("did not give its name");
    } else {
        text = text.name(&server.name);
    }
    if !server.version.is_empty() {
        text = text.then(" ").name(&server.version);
    }
    text = text.then(match server.transport {
        Transport::Stdio => ", stdio",
        Transport::StreamableHttp => ", streamable HTTP",
        Transport::Sse => ", HTTP+SSE",
    });
    let concurrent = results.suite.scenarios.iter();
    let mut concurrent = concurrent.filter(|s| s.kind == ScenarioKind::Concurrent);
    if let Some(concurrent) = concurrent.next() {
        let users = figure::count(concurrent.concurrency as usize, "concurrent caller");
        text = text.then(match (server.transport, concurrent.sessions) {
            (Transport::Stdio, _) => format!(" ({users} on its one pipe)"),
            (_, Sessions::Each | Sessions::PerCall) => {
                format!(" ({users}, each a client of its own)")
            }
            (_, Sessions::Shared) => format!(" ({users} of one client)"),
        });
    }
    text = text.then(", protocol ").prose(&server.protocol_version);
    if server.attached {
        text = text.then(
            "; started by the user, so rounds share one process: weaker evidence than fresh starts",
        );
    }
    text
}

/// `commit 1a2b3c4, 2026-11-01T08:02:11Z, 20 rounds in 2 jobs`.
pub(crate) fn arm(results: &Results) -> Line {
    let rounds = rounds(results);
    let mut text = Line::default();
    if let Some(job) = results.jobs.last() {
        if let Some(commit) = &job.commit {
            let (sha, changes) = match commit.strip_suffix("-dirty") {
                Some(sha) => (sha, " with changes, "),
                None => (commit.as_str(), ", "),
            };
            let short: String = sha.chars().take(10).collect();
            text = text.then("commit ").name(&short).then(changes);
        }
        text = text.prose(&job.started_at).then(", ");
    }
    text = text.then(figure::count(rounds, "round"));
    if results.jobs.len() > 1 {
        text = text.then(format!(" in {} jobs", results.jobs.len()));
    }
    for reason in results
        .jobs
        .iter()
        .filter_map(|job| job.incomplete.as_ref())
        .take(1)
    {
        text = text.then("; ended early: ").prose(reason);
    }
    text
}

fn machines(candidate: &Results, base: Option<&Results>) -> Vec<Fact> {
    let Some(run) = candidate.jobs.last() else {
        return Vec::new();
    };
    let here = &run.environment;
    let jobs = base.map_or(&[] as &[Job], |base| &base.jobs);
    let Some(other) = jobs
        .iter()
        .find(|job| !here.same_hardware(&job.environment))
    else {
        let other = jobs.iter().find(|job| !run.is_as_fast(job));
        let same = match other {
            _ if jobs.is_empty() => String::new(),
            None => "; the same class for both".to_owned(),
            Some(other) => format!("; the same for both, but{}", slower(other, run)),
        };
        return vec![fact("machine", machine(here).then(same))];
    };
    let there = &other.environment;
    let memory = if here.same_runtime_class(there) {
        "another class of machine: only a large change of latency can be told from it, memory is compared as usual"
    } else {
        "another system: neither latency nor memory can be compared closely"
    };
    vec![
        fact("machine", machine(here)),
        fact(
            "baseline's",
            machine(there).then(match slower(other, run) {
                speed if speed.is_empty() => speed,
                speed => format!(";{speed}"),
            }),
        ),
        fact("", Line::own(memory)),
    ]
}

/// ` the same work takes 2.05 times as long there`, of `there` against `here`.
fn slower(there: &Job, here: &Job) -> String {
    there.slowness(here).map_or_else(String::new, |factor| {
        format!(" the same work takes {factor:.2} times as long there")
    })
}

/// `AMD EPYC 7763, 2 cores, 7.80 GB, linux x86_64`.
pub(crate) fn machine(environment: &Environment) -> Line {
    let mut text = if environment.cpu_model.is_empty() {
        Line::own("CPU of unknown model")
    } else {
        Line::of_name(&environment.cpu_model)
    };
    let cores = usize::try_from(environment.cores).unwrap_or(usize::MAX);
    text = text.then(format!(", {}, ", figure::count(cores, "core")));
    text = text
        .prose(&environment.os)
        .then(" ")
        .prose(&environment.arch);
    if let Some(image) = &environment.runner_image {
        text = text.then(", image ").name(image);
    }
    text
}

/// The baseline and how closely it can be compared, and the smallest visible change.
pub(crate) fn trust(report: &Report<'_>) -> Vec<Line> {
    let Some(base) = report.base else {
        return Vec::new();
    };
    if let Some(against) = &report.context.against {
        let line = Line::own("Compared with ")
            .name(against)
            .then(", measured in turn on this machine: ")
            .join(arm(base))
            .then(".");
        return std::iter::once(line)
            .chain(smallest_detectable(&report.judgement.comparisons))
            .collect();
    }
    let here = report.candidate.jobs.last();
    let all = |same: fn(&Job, &Job) -> bool| {
        here.is_some_and(|here| base.jobs.iter().all(|job| same(here, job)))
    };
    let class = if all(Job::same_machine_class) {
        ", the same class of machine."
    } else if all(|a, b| a.environment.same_hardware(&b.environment)) {
        ", the same kind of machine at **another speed**."
    } else {
        ", **another class of machine**."
    };
    let against = Line::own("Compared with ").join(arm(base)).then(class);
    std::iter::once(against)
        .chain(smallest_detectable(&report.judgement.comparisons))
        .collect()
}

/// Counts by verdict, the smallest visible change, and where everything is.
pub(crate) fn summary(report: &Report<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    lines.extend(counts(&report.judgement.comparisons));
    lines.extend(smallest_detectable(&report.judgement.comparisons));
    let mut last = Line::own(format!(
        "Exit code {}.",
        report
            .context
            .exit_code
            .unwrap_or(report.judgement.exit_code)
    ));
    if let Some(duration) = report.context.duration {
        let whole_seconds = std::time::Duration::from_secs(duration.as_secs().max(1));
        last = last.then(format!(
            " Measured in {}.",
            humantime::format_duration(whole_seconds)
        ));
    }
    if let Some(path) = &report.context.results_path {
        last = last.then(" All figures: ").path(path).then(".");
    }
    lines.push(last);
    lines
}

/// Of what decides, as at the top; the rest is counted apart.
fn counts(comparisons: &[Comparison]) -> Option<Line> {
    let (deciding, shown): (Vec<_>, Vec<_>) =
        comparisons.iter().partition(|c| c.role != Role::Reported);
    let order = [
        Verdict::Regressed,
        Verdict::Inconclusive,
        Verdict::Improved,
        Verdict::NotMeasured,
        Verdict::Pass,
    ];
    let counts: Vec<String> = order
        .iter()
        .map(|&verdict| {
            (
                word(verdict),
                deciding.iter().filter(|c| c.verdict == verdict).count(),
            )
        })
        .filter(|&(_, count)| count > 0)
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    let total = figure::count(deciding.len(), "comparison");
    let more = match shown.len() {
        0 => String::new(),
        1 => "; 1 more decides nothing".to_owned(),
        more => format!("; {more} more decide nothing"),
    };
    (!deciding.is_empty()).then(|| Line::own(format!("{total}: {}{more}.", counts.join(", "))))
}

/// Over what gates: the best and the worst placed comparison.
fn smallest_detectable(comparisons: &[Comparison]) -> Option<Line> {
    let mut gating: Vec<(&Comparison, f64)> = comparisons
        .iter()
        .filter(|c| c.role == Role::Gates)
        .filter_map(|c| Some((c, c.smallest_detectable_ratio?)))
        .filter(|(_, ratio)| ratio.is_finite() && *ratio > 0.0)
        .collect();
    gating.sort_by(|(_, a), (_, b)| a.ln().abs().total_cmp(&b.ln().abs()));
    let (best, worst) = (gating.first()?, gating.last()?);
    let place = |(comparison, ratio): &(&Comparison, f64)| {
        Line::own(format!("{} (", figure::percent_change(*ratio)))
            .name(&comparison.scenario)
            .then(format!(" · {})", comparison.metric.name()))
    };
    let lead = Line::own("Smallest visible change, nine times in ten: ");
    let line = lead.join(place(best));
    Some(if gating.len() > 1 {
        line.then(" to ").join(place(worst)).then(".")
    } else {
        line.then(".")
    })
}
