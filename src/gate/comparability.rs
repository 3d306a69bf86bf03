//! What two results files may be compared by: protocol, transport, machine, suite.

use std::collections::BTreeSet;

use super::{Finding, Severity, compare::base_name, policy::Machines};
use crate::results::{Environment, Job, Results, ScenarioKind, ScenarioRecord, Transport};

/// What to do about a baseline that no longer fits.
pub(super) const UPDATE: &str = "run `mcpgate baseline update` to accept these results";

/// How many times as long the work that shows disturbance takes before it means anything.
pub(super) const DISTURBANCE: f64 = 1.05;

/// The common ground of two files.
pub(super) struct Ground<'a> {
    /// Why nothing at all is comparable, in words.
    pub(super) nothing: Option<String>,
    /// How the machines relate.
    pub(super) machines: Machines,
    /// Logarithm of how many times as much the machine was disturbed while the candidate was
    /// measured; 0 where it is too little to tell.
    pub(super) disturbance_ln: f64,
    /// Whether memory figures are comparable.
    pub(super) same_runtime: bool,
    /// Jobs that times are taken from: those on a machine class that both sides have, else all.
    pub(super) base_jobs: Vec<&'a Job>,
    /// The same of the candidate.
    pub(super) candidate_jobs: Vec<&'a Job>,
    /// What a reader must know of all this.
    pub(super) findings: Vec<Finding>,
}

/// The common ground of two files that were measured in turn, on one machine: only what the servers
/// speak can set them apart.
pub(super) fn ground_in_turn<'a>(base: &'a Results, candidate: &'a Results) -> Ground<'a> {
    let nothing = incomparable(base, candidate, base_name(true));
    let mut findings = doubts_of_incomplete(candidate);
    findings.extend(doubts_of_incomplete(base));
    if let Some(why) = &nothing {
        findings.push(about_all(
            Severity::Doubt,
            format!("nothing is comparable: {why}"),
        ));
    }
    Ground {
        nothing,
        machines: Machines::SameClass,
        disturbance_ln: 0.0,
        same_runtime: true,
        base_jobs: base.jobs.iter().collect(),
        candidate_jobs: candidate.jobs.iter().collect(),
        findings,
    }
}

/// Finds the common ground.
pub(super) fn ground<'a>(base: &'a Results, candidate: &'a Results) -> Ground<'a> {
    let mut findings = Vec::new();
    let nothing = incomparable(base, candidate, base_name(false));
    if let Some(why) = &nothing {
        findings.push(about_all(
            Severity::Doubt,
            format!("nothing is comparable: {why}; {UPDATE}"),
        ));
    }
    if candidate.server.attached && base.server.attached {
        findings.push(about_all(
            Severity::Note,
            "the server was started by someone else: all rounds share its process, which is weaker evidence".to_owned(),
        ));
    }
    if base.server.name != candidate.server.name {
        findings.push(about_all(
            Severity::Note,
            format!(
                "the server calls itself {}, in the baseline {}",
                quoted(&candidate.server.name),
                quoted(&base.server.name)
            ),
        ));
    }
    if let Some(accepted) = base.accepted.as_ref().filter(|a| !a.forced_over.is_empty()) {
        findings.push(about_all(
            Severity::Note,
            format!(
                "the baseline was accepted by force over: {}",
                shortened(&accepted.forced_over.join("; "), 300)
            ),
        ));
    }
    incomplete(base, candidate, &mut findings);

    let shared = |a: &'a Results, b: &Results, same: fn(&Job, &Job) -> bool| {
        a.jobs
            .iter()
            .filter(|job| b.jobs.iter().any(|other| same(job, other)))
            .collect::<Vec<_>>()
    };
    let same_class = Job::same_machine_class;
    let mut base_jobs = shared(base, candidate, same_class);
    let mut candidate_jobs = shared(candidate, base, same_class);
    let mut machines = Machines::SameClass;
    if base_jobs.is_empty() {
        let same_hardware = |a: &Job, b: &Job| a.environment.same_hardware(&b.environment);
        base_jobs = shared(base, candidate, same_hardware);
        candidate_jobs = shared(candidate, base, same_hardware);
        if let (Some(b), Some(c)) = (base_jobs.last(), candidate_jobs.last()) {
            machines = Machines::OtherSpeed {
                slowness_ln: slowness_ln(&base_jobs, &candidate_jobs).unwrap_or(0.0),
            };
            findings.push(about_all(
                Severity::Note,
                format!(
                    "the baseline was made on a machine of the same description but another {}: times are judged with room for that",
                    speed(b, c).unwrap_or_default()
                ),
            ));
        }
    }
    if base_jobs.is_empty() {
        base_jobs = base.jobs.iter().collect();
        candidate_jobs = candidate.jobs.iter().collect();
        machines = Machines::OtherClass {
            several: machine_classes(base) >= 3,
            slowness_ln: slowness_ln(&base_jobs, &candidate_jobs).unwrap_or(0.0),
        };
        if let (Some(b), Some(c)) = (base.jobs.last(), candidate.jobs.last()) {
            findings.push(about_all(
                Severity::Note,
                format!(
                    "the baseline was made on another machine class ({}): times can only show gross changes",
                    differences(b, c)
                ),
            ));
        }
    }
    let same_runtime = !shared(base, candidate, |a, b| {
        a.environment.same_runtime_class(&b.environment)
    })
    .is_empty();
    let disturbance_ln = disturbance_ln(&base_jobs, &candidate_jobs);
    findings.extend(about_disturbance(disturbance_ln));
    Ground {
        nothing,
        machines,
        disturbance_ln,
        same_runtime,
        base_jobs,
        candidate_jobs,
        findings,
    }
}

/// What is known of a comparison before anything is measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Why nothing at all can be compared.
    pub nothing: Option<String>,
    /// What a reader must know of machines and of the baseline.
    pub remarks: Vec<String>,
    /// Scenarios that are not the same in both, each with the reason.
    pub different: Vec<(String, String)>,
    /// Scenarios that only the baseline has: missing ones fail.
    pub vanished: Vec<String>,
    /// Scenarios that the baseline does not have yet.
    pub new: Vec<String>,
    /// Scenarios that can be compared.
    pub same: usize,
}

/// What a comparison with `base` will be told, from results that have no round yet.
#[must_use]
pub fn outlook(base: &Results, candidate: &Results) -> Outlook {
    let ground = ground(base, candidate);
    let find = |results: &'_ Results, name: &str| -> Option<ScenarioRecord> {
        let mut scenarios = results.suite.scenarios.iter();
        scenarios.find(|scenario| scenario.name == name).cloned()
    };
    let mut out = Outlook {
        nothing: ground.nothing,
        ..Outlook::default()
    };
    let remarks = ground.findings.into_iter();
    out.remarks = remarks
        .filter(|finding| finding.severity == Severity::Note)
        .map(|finding| finding.text)
        .collect();
    if tool_list_differs(base, candidate) {
        out.remarks.push(
            "the server lists other tools than the baseline's, so that list-tools is not compared"
                .to_owned(),
        );
    }
    for scenario in &candidate.suite.scenarios {
        let Some(before) = find(base, &scenario.name) else {
            out.new.push(scenario.name.clone());
            continue;
        };
        match scenario_differs(&before, scenario, base_name(false)) {
            Some(why) => out.different.push((scenario.name.clone(), why)),
            None => out.same += 1,
        }
    }
    let before = base.suite.scenarios.iter().map(|scenario| &scenario.name);
    out.vanished = before
        .filter(|name| find(candidate, name).is_none())
        .cloned()
        .collect();
    out
}

fn incomparable(base: &Results, candidate: &Results, name: &str) -> Option<String> {
    let (b, c) = (&base.server, &candidate.server);
    let mut reasons = Vec::new();
    if b.protocol_version != c.protocol_version {
        reasons.push(format!(
            "the {name} was made with protocol {}, this run with {}",
            quoted(&b.protocol_version),
            quoted(&c.protocol_version)
        ));
    }
    if b.transport != c.transport {
        reasons.push(format!(
            "the {name} was made over {}, this run over {}",
            transport(b.transport),
            transport(c.transport)
        ));
    }
    if b.attached != c.attached {
        let how = |attached| {
            if attached {
                "on a server that someone else started"
            } else {
                "on fresh servers"
            }
        };
        reasons.push(format!(
            "the {name} was made {}, this run {}",
            how(b.attached),
            how(c.attached)
        ));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Whether the tool list is another one, which concerns `list-tools` alone.
pub(super) fn tool_list_differs(base: &Results, candidate: &Results) -> bool {
    base.server.tool_list_hash != candidate.server.tool_list_hash
}

/// Why one scenario is not comparable, in words.
pub(super) fn scenario_differs(
    base: &ScenarioRecord,
    candidate: &ScenarioRecord,
    name: &str,
) -> Option<String> {
    if base.kind != candidate.kind || base.definition_hash != candidate.definition_hash {
        return Some(format!(
            "what is sent or expected differs from the {name}'s"
        ));
    }
    if candidate.kind == ScenarioKind::Concurrent && base.concurrency != candidate.concurrency {
        return Some(format!(
            "the {name} has {} calls in flight, this run {}",
            base.concurrency, candidate.concurrency
        ));
    }
    None
}

fn incomplete(base: &Results, candidate: &Results, findings: &mut Vec<Finding>) {
    findings.extend(doubts_of_incomplete(candidate));
    if let Some(why) = base.jobs.iter().find_map(|j| j.incomplete.as_deref()) {
        findings.push(about_all(
            Severity::Note,
            format!("a run in the baseline ended early: {}", shortened(why, 300)),
        ));
    }
}

/// A doubt for each run that ended early.
pub(super) fn doubts_of_incomplete(results: &Results) -> Vec<Finding> {
    results
        .jobs
        .iter()
        .filter_map(|j| j.incomplete.as_deref())
        .map(|why| {
            about_all(
                Severity::Doubt,
                format!("the run ended early: {}", shortened(why, 300)),
            )
        })
        .collect()
}

fn machine_classes(results: &Results) -> usize {
    let mut classes: Vec<&Job> = Vec::new();
    for job in &results.jobs {
        if !classes.iter().any(|other| other.same_machine_class(job)) {
            classes.push(job);
        }
    }
    classes.len()
}

/// Logarithm of how many times as long the same fixed work took for the candidate as for the base;
/// `None` where a side does not tell.
pub(super) fn slowness_ln(base: &[&Job], candidate: &[&Job]) -> Option<f64> {
    ratio_ln(base, candidate, Job::reference_work_ns)
}

/// The same of the work that shows disturbance; 0 where it is less than [`DISTURBANCE`].
fn disturbance_ln(base: &[&Job], candidate: &[&Job]) -> f64 {
    let ratio = ratio_ln(base, candidate, Job::page_work_ns).unwrap_or(0.0);
    if ratio.abs() < DISTURBANCE.ln() {
        0.0
    } else {
        ratio
    }
}

fn about_disturbance(disturbance_ln: f64) -> Option<Finding> {
    let (here, there) = match disturbance_ln {
        more if more > 0.0 => ("in this run", "in the baseline's"),
        less if less < 0.0 => ("in the baseline's", "in this run"),
        _ => return None,
    };
    Some(about_all(
        Severity::Note,
        format!(
            "others on the same host disturbed the machine more {here} than {there} (filling memory took {:.2} times as long): times are judged with room for that",
            disturbance_ln.abs().exp()
        ),
    ))
}

/// By the mean over jobs.
fn ratio_ln(base: &[&Job], candidate: &[&Job], figure: fn(&Job) -> Option<u64>) -> Option<f64> {
    let mean = |jobs: &[&Job]| {
        let logs: Vec<f64> = jobs
            .iter()
            .filter_map(|job| figure(job))
            .map(|ns| (ns as f64).ln())
            .collect();
        (!logs.is_empty()).then(|| logs.iter().sum::<f64>() / logs.len() as f64)
    };
    Some(mean(candidate)? - mean(base)?)
}

/// `speed (the same work takes 2.05 times as long here)`, where both sides tell.
fn speed(base: &Job, candidate: &Job) -> Option<String> {
    let factor = candidate.slowness(base)?;
    Some(format!(
        "speed (the same work takes {factor:.2} times as long here)"
    ))
}

fn differences(base_job: &Job, candidate_job: &Job) -> String {
    let (base, candidate) = (&base_job.environment, &candidate_job.environment);
    let cpu_limit = |e: &Environment| {
        e.container_cpu_limit_millicores.map_or_else(
            || "none".to_owned(),
            |m| format!("{m} thousandths of a core"),
        )
    };
    [
        ("system", base.os.clone(), candidate.os.clone()),
        ("architecture", base.arch.clone(), candidate.arch.clone()),
        ("CPU", base.cpu_model.clone(), candidate.cpu_model.clone()),
        ("cores", base.cores.to_string(), candidate.cores.to_string()),
        ("CPU limit", cpu_limit(base), cpu_limit(candidate)),
    ]
    .into_iter()
    .filter(|(_, b, c)| b != c)
    .map(|(what, b, c)| format!("{what}: {} there, {} here", quoted(&b), quoted(&c)))
    .chain(speed(base_job, candidate_job))
    .collect::<BTreeSet<_>>()
    .into_iter()
    .collect::<Vec<_>>()
    .join(", ")
}

fn transport(t: Transport) -> &'static str {
    match t {
        Transport::Stdio => "stdio",
        Transport::StreamableHttp => "streamable HTTP",
        Transport::Sse => "HTTP+SSE",
    }
}

/// A finding about the whole comparison.
pub(super) fn about_all(severity: Severity, text: String) -> Finding {
    Finding {
        severity,
        scenario: None,
        text,
    }
}

/// A finding about one scenario.
pub(super) fn about(severity: Severity, scenario: &str, text: String) -> Finding {
    Finding {
        severity,
        scenario: Some(scenario.to_owned()),
        text,
    }
}

fn quoted(text: &str) -> String {
    if text.is_empty() {
        "(not named)".to_owned()
    } else {
        format!("\"{}\"", shortened(text, 80))
    }
}

/// The first `most` characters, with an ellipsis where something was cut.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text.to_owned(),
    }
}
