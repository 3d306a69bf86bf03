//! The probes on servers that have what they look for, and on servers that do not.
//!
//! The faults of the reference server are each found, and nothing else is said; servers that others
//! wrote are compared with their next version, as a pull request would that brings it.

use std::{path::Path, time::Duration};

use mcpgate::results::Probes;
use serde_json::Value;

use crate::{
    harness::{Outcome, Project, repository},
    real_servers::{installed, npm_program},
    reference::{BOTH, MCPGATE, Over, command, reached, shell_line},
};

/// What is switched on, and the diagnoses that must come of it, with where they show.
struct Row {
    faults: &'static [&'static str],
    over: &'static [Over],
    found: &'static [(&'static str, Option<&'static str>)],
}

const HTTP: &[Over] = &[Over::Http];
const STDIO: &[Over] = &[Over::Stdio];

const ROWS: &[Row] = &[
    Row {
        faults: &["delay=search:20"],
        over: BOTH,
        found: &[],
    },
    Row {
        faults: &["one-at-a-time", "delay=search:30"],
        over: BOTH,
        found: &[("event-loop-blocked", Some("search"))],
    },
    Row {
        faults: &["one-at-a-time", "slow=search:10"],
        over: BOTH,
        found: &[("cpu-bound-serial", Some("search"))],
    },
    Row {
        faults: &["mixed-up"],
        over: BOTH,
        found: &[("answers-mixed-up", Some("echo"))],
    },
    Row {
        faults: &["stuck-after-aborts=20", "delay=search:20"],
        over: BOTH,
        found: &[("stuck-after-aborts", Some("search"))],
    },
    Row {
        faults: &["first-call=900"],
        over: BOTH,
        found: &[("first-call-slow", Some("echo"))],
    },
    Row {
        faults: &["first-calls-deadlock"],
        over: BOTH,
        found: &[("first-calls-deadlock", None)],
    },
    Row {
        faults: &["slow-errors=150"],
        over: BOTH,
        found: &[("slow-errors", None)],
    },
    Row {
        faults: &["lost-updates"],
        over: BOTH,
        found: &[("lost-updates", Some("remember"))],
    },
    Row {
        faults: &["background=1"],
        over: BOTH,
        found: &[("idle-cpu", None)],
    },
    Row {
        faults: &["ignore-shutdown"],
        over: BOTH,
        found: &[("does-not-exit", None)],
    },
    Row {
        faults: &["orphan-child"],
        over: STDIO,
        found: &[("does-not-exit", None)],
    },
    Row {
        faults: &["session-limit=30"],
        over: HTTP,
        found: &[("connections-refused", None)],
    },
    Row {
        faults: &["session-leak=8kB"],
        over: HTTP,
        found: &[("session-leak-closed", None)],
    },
    Row {
        faults: &["session-weight=8kB"],
        over: HTTP,
        found: &[("session-leak-abandoned", None)],
    },
    Row {
        faults: &["descriptor-leak"],
        over: HTTP,
        found: &[("descriptor-leak", None)],
    },
    Row {
        faults: &["thread-leak"],
        over: HTTP,
        found: &[("thread-leak", None)],
    },
];

/// A tool that writes to the store of the reference server.
const REMEMBER: &str = r#"
    name = "remember"
    arguments = { item = "item {{i}}" }
    writes = { read-back = "recall", contains = "item {{i}}" }
"#;

/// As little of all else as there can be.
fn probing(project: Project) -> Project {
    project
        .timeout(Duration::from_mins(5))
        .config("suite.rounds", 1)
        .config("suite.calls", 1)
        .config("suite.concurrency", 1)
        .config("suite.soak-calls", 0)
        .config("suite.loads", "none")
        .config("probes.idle", "on")
}

fn faulty(row: &Row, over: Over) -> Project {
    let mut options = vec!["--store", "--era", "legacy"];
    for fault in row.faults {
        options.extend(["--fault", fault]);
    }
    probing(reached(Project::new(), over))
        .config("server.command", command(over, &options))
        .tool("name = \"echo\"\narguments = { message = \"hello {{i}}\" }")
        .tool("name = \"search\"\narguments = { query = \"query {{i}}\" }")
        .tool(REMEMBER)
}

/// The names of what was diagnosed, and where it shows.
fn diagnosed(outcome: &Outcome) -> Vec<(String, Option<String>)> {
    let report: Value = serde_json::from_str(outcome.stdout()).expect("a report as JSON");
    let all = report["diagnoses"].as_array().expect("diagnoses").iter();
    all.map(|found| {
        let kind = found["kind"].as_str().expect("a name").to_owned();
        (kind, found["scenario"].as_str().map(str::to_owned))
    })
    .collect()
}

fn each_fault_is_found_and_nothing_else(over: Over) {
    for row in ROWS.iter().filter(|row| row.over.contains(&over)) {
        let project = faulty(row, over);
        let outcome = project.run(&["run", "--quiet", "--format", "json"]);
        let expected: Vec<(String, Option<String>)> = row
            .found
            .iter()
            .map(|(kind, place)| ((*kind).to_owned(), place.map(str::to_owned)))
            .collect();
        let probes = &project.results().jobs[0].probes;
        assert_eq!(
            diagnosed(&outcome),
            expected,
            "{:?} over {over:?}: {probes:#?}",
            row.faults
        );
        // Each was asked all that it can be asked.
        let set = &probes[0];
        assert_eq!(set.sessions.is_some(), over == Over::Http);
        assert!(set.idle.is_some() && set.exit.is_some() && set.refusals.is_some());
    }
}

#[test]
fn each_fault_is_found_over_stdio_and_nothing_else() {
    each_fault_is_found_and_nothing_else(Over::Stdio);
}

#[test]
fn each_fault_is_found_over_http_and_nothing_else() {
    each_fault_is_found_and_nothing_else(Over::Http);
}
