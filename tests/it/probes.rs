//! The probes on servers that have what they look for, and on servers that do not.
//!
//! The faults of the reference server are each found, and nothing else is said; servers that others
//! wrote are compared with their next version, as a pull request would that brings it.

use std::time::Duration;

use serde_json::Value;

use crate::{
    harness::{Outcome, Project, RESULTS, repository},
    real_servers::{installed, npm_program},
    reference::{BOTH, Over, command, reached, shell_line, small},
};

/// What is switched on, and the diagnoses that must come of it, with where they show.
struct Row {
    faults: &'static [&'static str],
    over: &'static [Over],
    found: &'static [(&'static str, Option<&'static str>)],
}

const HTTP: &[Over] = &[Over::Http];
const STDIO: &[Over] = &[Over::Stdio];

/// What happens in the tools alone is tried over one transport.
const ROWS: &[Row] = &[
    Row {
        faults: &["delay=search:20"],
        over: BOTH,
        found: &[],
    },
    Row {
        faults: &["session-weight=1"],
        over: HTTP,
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
        faults: &["stuck-after-aborts=10", "delay=search:20"],
        over: BOTH,
        found: &[("stuck-after-aborts", Some("search"))],
    },
    Row {
        faults: &["first-call=900"],
        over: STDIO,
        found: &[("first-call-slow", Some("echo"))],
    },
    Row {
        faults: &["first-calls-deadlock"],
        over: BOTH,
        found: &[("first-calls-deadlock", None)],
    },
    Row {
        faults: &["slow-errors=150"],
        over: STDIO,
        found: &[("slow-errors", None)],
    },
    Row {
        faults: &["lost-updates"],
        over: BOTH,
        found: &[("lost-updates", Some("remember"))],
    },
    Row {
        faults: &["background=1"],
        over: STDIO,
        found: &[("idle-cpu", None)],
    },
    Row {
        faults: &["ignore-shutdown"],
        over: STDIO,
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
        faults: &["hang-beyond=500kB"],
        over: STDIO,
        found: &[("large-answer-stall", Some("blob"))],
    },
    Row {
        faults: &["quadratic-copy=1100"],
        over: STDIO,
        found: &[("large-answer-stall", Some("blob"))],
    },
    Row {
        faults: &["one-writer"],
        over: HTTP,
        found: &[("large-answer-stall", Some("blob"))],
    },
    Row {
        faults: &["slow=blob:2"],
        over: BOTH,
        found: &[],
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

/// A tool whose answers are as large as it is asked for.
const BLOB: &str = r#"
    name = "blob"
    arguments = { bytes = 100 }
    grows-with = "bytes"
"#;

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

fn faulty(project: Project, row: &Row, over: Over) -> Project {
    let mut options = vec!["--store", "--era", "legacy"];
    for fault in row.faults {
        options.extend(["--fault", fault]);
    }
    let project = if has_to_do_with_large_answers(row) {
        reached(project, over).tool(BLOB)
    } else {
        reached(project, over)
    };
    probing(project)
        .config("server.command", command(over, &options))
        .tool("name = \"echo\"\narguments = { message = \"hello {{i}}\" }")
        .tool("name = \"search\"\narguments = { query = \"query {{i}}\" }")
        .tool(REMEMBER)
        .config(
            "probes.sessions",
            if has_to_do_with_sessions(row) {
                "on"
            } else {
                "off"
            },
        )
}

/// Sessions take the most time: only what could be about them has to be silent about the others.
fn has_to_do_with_sessions(row: &Row) -> bool {
    let mut faults = row.faults.iter();
    faults.any(|fault| fault.contains("session") || fault.contains("leak"))
}

fn has_to_do_with_large_answers(row: &Row) -> bool {
    let mut faults = row.faults.iter();
    faults.any(|fault| {
        let name = fault.split('=').next().unwrap_or_default();
        ["hang-beyond", "quadratic-copy", "one-writer"].contains(&name) || fault.contains("blob")
    })
}

/// The names of what was diagnosed, and where it shows.
fn diagnosed(outcome: &Outcome) -> Vec<(String, Option<String>)> {
    let report: Value = outcome.json();
    let all = report["diagnoses"].as_array().expect("diagnoses").iter();
    // How much of large answers is in memory at once depends on when each is sent.
    let is_about_memory =
        |found: &&Value| found["kind"] == "answers-buffered" || found["kind"] == "answers-streamed";
    all.filter(|found| !is_about_memory(found))
        .map(|found| {
            let kind = found["kind"].as_str().expect("a name").to_owned();
            (kind, found["scenario"].as_str().map(str::to_owned))
        })
        .collect()
}

fn each_fault_is_found_and_nothing_else(over: Over) {
    for row in ROWS.iter().filter(|row| row.over.contains(&over)) {
        // Chromium or a compiler beside it takes the very times that probes tell faults by.
        let project = faulty(Project::measuring(), row, over);
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
            "{:?} over {over:?}: {probes:?}",
            row.faults
        );
        // Each was asked all that it can be asked.
        let set = &probes[0];
        let has_sessions = over == Over::Http && has_to_do_with_sessions(row);
        assert_eq!(set.sessions.is_some(), has_sessions);
        assert_eq!(set.open_sessions.is_some(), over == Over::Http);
        assert_eq!(
            set.large_answers.is_some(),
            has_to_do_with_large_answers(row)
        );
        if let Some(large) = &set.large_answers
            && large
                .sizes
                .last()
                .is_some_and(|answer| answer.bytes > 5_000_000)
        {
            assert!(large.memory_bytes > Some(10_000_000), "{large:?}");
        }
        assert!(set.idle.is_some() && set.refusals.is_some() && set.first_call.is_some());
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

/// Its wait is told from others by its length, to which a busy machine would add.
#[test]
fn nagle_s_algorithm_is_told_by_the_length_of_its_wait() {
    let row = Row {
        faults: &["nagle"],
        over: HTTP,
        found: &[("nagle-stall", Some("list-tools"))],
    };
    let outcome =
        faulty(Project::measuring(), &row, Over::Http).run(&["run", "--quiet", "--format", "json"]);
    let expected = row.found.iter();
    let expected: Vec<_> = expected
        .map(|(kind, place)| ((*kind).to_owned(), place.map(str::to_owned)))
        .collect();
    assert_eq!(diagnosed(&outcome), expected);
}

/// Ten callers, then twenty.
const RUSH: &str = r#"
    name = "rush"
    tool = "wait"
    executor = "ramping-vus"
    start-vus = 10
    stages = [
        { duration = "1s", target = 10 },
        { duration = "1ms", target = 20 },
        { duration = "1s", target = 20 },
    ]
"#;

/// What needs callers at once, or several rounds, to be seen.
#[test]
fn faults_that_rounds_show() {
    for (fault, rounds, expected) in [
        (
            "pool=4",
            1,
            ("connection-pool-exhausted", Some("wait/concurrent")),
        ),
        ("slow-start=5200", 3, ("slow-start", None)),
        (
            "hiccup=wait:8:60",
            3,
            ("high-p95-low-p50", Some("wait/sequential")),
        ),
        ("queue=8", 1, ("overloaded", Some("rush"))),
    ] {
        let project = small(Project::new(), Over::Stdio, &["--fault", fault])
            .config("suite.rounds", rounds)
            .config("suite.concurrency", 10)
            .tool("name = \"wait\"\narguments = { ms = 5 }");
        let project = match fault {
            "queue=8" => project.scenario(RUSH),
            _ => project.config("suite.calls", 40),
        };
        let outcome = project.run(&["run", "--quiet", "--format", "json"]);
        let (kind, place) = expected;
        let expected = (kind.to_owned(), place.map(str::to_owned));
        assert_eq!(diagnosed(&outcome), [expected], "{fault}");
        if fault.starts_with("hiccup") {
            let report: Value = outcome.json();
            let evidence = report["diagnoses"][0]["evidence"].to_string();
            assert!(evidence.contains("every 8 calls"), "{evidence}");
        }
    }
}

/// Nor do rounds show anything of a server that has no fault, beside every probe.
#[test]
fn a_clean_server_shows_nothing_in_its_rounds() {
    let row = Row {
        faults: &["delay=search:20"],
        over: BOTH,
        found: &[],
    };
    for over in BOTH {
        let project = faulty(Project::measuring(), &row, *over)
            .config("suite.rounds", 3)
            .config("suite.calls", 100)
            .config("suite.concurrency", 10);
        let outcome = project.run(&["run", "--quiet", "--format", "json"]);
        let none: [(String, Option<String>); 0] = [];
        assert_eq!(diagnosed(&outcome), none, "{over:?}");
    }
}

/// A server on the official Python SDK of one of the environments.
fn python(environment: &str, script: &str, arguments: &[&str]) -> Vec<String> {
    let python = installed(&format!("python-{environment}/bin/python"));
    let script = repository().join("tests/servers").join(script);
    let mut command = vec![python.display().to_string(), script.display().to_string()];
    command.extend(arguments.iter().map(|word| (*word).to_owned()));
    command
}

/// With this probe alone.
fn only(project: Project, probe: &str) -> Project {
    let project = probing(project).config("probes.idle", "off");
    let mut off = project;
    for name in mcpgate::results::ProbeName::ALL {
        off = off.config(&format!("probes.{}", name.name()), "off");
    }
    off.config(&format!("probes.{probe}"), "on")
}

const WORK: &str = r#"
    name = "work"
    arguments = { label = "call {{i}}" }
"#;

/// Standing and verdict of the diagnosis of a kind, where there is one.
fn stands(report: &Value, kind: &str) -> Option<(String, Option<String>)> {
    let mut all = report["diagnoses"].as_array().expect("diagnoses").iter();
    let found = all.find(|found| found["kind"] == kind)?;
    let text = |key: &str| found[key].as_str().map(str::to_owned);
    Some((text("standing").expect("a standing"), text("verdict")))
}

/// PyPI `mcp` 1.29.0 keeps each session that a client has ended; 1.30.0 does not (python-sdk issue 3300).
#[test]
fn sessions_that_mcp_1_29_keeps_are_a_regression_and_their_end_is_an_improvement() {
    let server = |environment| python(environment, "mcp1_server.py", &["http", "{port}"]);
    let project = only(Project::new(), "sessions")
        .config("server.url", "http://127.0.0.1:{port}/mcp")
        .config("server.command", server("older"))
        .tool("name = \"add\"\narguments = { a = 20, b = 22 }");
    let base = shell_line(&server("legacy"));
    let outcome = project
        .run(&[
            "compare",
            "--quiet",
            "--format",
            "json",
            "--base-command",
            &base,
        ])
        .code(1);
    let report: Value = outcome.json();
    assert_eq!(report["verdict"], "regressed");
    let regressed = Some(("new".to_owned(), Some("regressed".to_owned())));
    assert_eq!(
        stands(&report, "session-leak-closed"),
        regressed,
        "{report:#}"
    );
    // Sessions that are left are kept by both (python-sdk issue 2455).
    let known = Some(("known".to_owned(), None));
    assert_eq!(
        stands(&report, "session-leak-abandoned"),
        known,
        "{report:#}"
    );

    let files = [RESULTS, "mcpgate-results.base.json"];
    let report: Value = project
        .run(&["compare", files[0], files[1], "--format", "json"])
        .json();
    let improved = Some(("gone".to_owned(), Some("improved".to_owned())));
    assert_eq!(
        stands(&report, "session-leak-closed"),
        improved,
        "{report:#}"
    );
}

/// PyPI `mcp` 1.x calls a synchronous tool on the event loop, 2.x in a thread (python-sdk issue 1646).
#[test]
fn a_synchronous_tool_blocks_mcp_1_and_not_mcp_2() {
    let server = |environment, script| python(environment, script, &["stdio"]);
    let project = only(Project::new(), "beside")
        .config("server.command", server("legacy", "mcp1_server.py"))
        .config("server.env.MCPGATE_TEST_SLOW", "10")
        .config("server.protocol", "2025-11-25")
        .tool(WORK);
    let base = shell_line(&server("modern", "mcp2_server.py"));
    let outcome = project
        .run(&[
            "compare",
            "--quiet",
            "--format",
            "json",
            "--base-command",
            &base,
        ])
        .code(1);
    let report: Value = outcome.json();
    let regressed = Some(("new".to_owned(), Some("regressed".to_owned())));
    assert_eq!(
        stands(&report, "event-loop-blocked"),
        regressed,
        "{report:#}"
    );
    assert_eq!(report["verdict"], "regressed");
}

/// PyPI `mcp` 1.30.0 ends the whole session when a synchronous tool ends after its call was cancelled
/// (python-sdk issue 2416); 2.3.0 does not.
#[test]
fn a_session_of_mcp_1_ends_with_its_cancelled_calls_and_one_of_mcp_2_does_not() {
    for (environment, script, expected) in [
        ("legacy", "mcp1_server.py", Some("stuck-after-aborts")),
        ("modern", "mcp2_server.py", None),
    ] {
        let project = only(Project::new(), "aborts")
            .config(
                "server.command",
                python(environment, script, &["http", "{port}"]),
            )
            .config("server.url", "http://127.0.0.1:{port}/mcp")
            .config("server.env.MCPGATE_TEST_SLOW", "10")
            .config("server.protocol", "2025-11-25")
            .tool(WORK);
        let outcome = project.run(&["run", "--quiet", "--format", "json"]);
        let expected = expected.map(|kind| (kind.to_owned(), Some("work".to_owned())));
        assert_eq!(
            diagnosed(&outcome),
            Vec::from_iter(expected),
            "{environment}: {:?}",
            project.results().jobs[0].probes
        );
    }
}

/// npm `@modelcontextprotocol/sdk` up to 1.25.3 keeps requests of all clients in one table, by the ids
/// that each of them counts from the same number, where one transport serves them all
/// (CVE-2026-25536); a transport for each request does not.
#[test]
fn clients_of_one_transport_of_the_typescript_sdk_get_each_others_answers() {
    let script = repository().join("tests/servers/ts1_server.cjs");
    for (way, expected) in [("shared", Some("answers-mixed-up")), ("each", None)] {
        let command = ["node", &script.display().to_string(), way, "{port}"].map(str::to_owned);
        let project = only(Project::new(), "tokens")
            .config("server.command", command.to_vec())
            .config("server.url", "http://127.0.0.1:{port}/mcp")
            .tool("name = \"echo\"\narguments = { message = \"hello {{i}}\" }");
        let outcome = project.run(&["run", "--quiet", "--format", "json"]);
        let expected = expected.map(|kind| (kind.to_owned(), Some("echo".to_owned())));
        let probes = &project.results().jobs[0].probes;
        assert_eq!(
            diagnosed(&outcome),
            Vec::from_iter(expected),
            "{way}: {probes:?}"
        );
        // It is the ids that meet: in one session no two are the same.
        let tokens = probes[0].tokens.as_ref().expect("asked");
        assert_eq!(tokens.one_session.foreign, 0, "{tokens:?}");
    }
}

/// Over HTTP, with sessions that have a server each; `way` as `ts1_server.cjs` has it.
fn typescript_with_a_store(way: &str) -> Project {
    let script = repository().join("tests/servers/ts1_server.cjs");
    let command = ["node", &script.display().to_string(), way, "{port}"].map(str::to_owned);
    let project = only(Project::new(), "writes");
    let store = project.path("store.json").display().to_string();
    project
        .config("server.command", command.to_vec())
        .config("server.env.STORE", store)
        .config("server.url", "http://127.0.0.1:{port}/mcp")
        .tool("name = \"echo\"\narguments = { message = \"hello {{i}}\" }")
        .tool(
            r#"
            name = "remember"
            arguments = { message = "item {{i}}" }
            writes = { read-back = "recall", contains = "item {{i}}" }
            "#,
        )
}

/// What one session keeps for itself is not lost to the others.
#[test]
fn a_store_of_each_session_loses_nothing() {
    let project = typescript_with_a_store("notes");
    let outcome = project.run(&["run", "--quiet", "--format", "json"]);
    let probes = &project.results().jobs[0].probes;
    assert_eq!(diagnosed(&outcome), [], "{probes:?}");
    let writes = &probes[0].writes[0];
    for count in [&writes.in_sequence, &writes.at_once] {
        assert_eq!((count.acknowledged, count.found), (20, 20), "{writes:?}");
    }
}

/// The worst that writes at once can leave: a file that nobody can read any more.
#[test]
fn a_store_that_writes_at_once_break_has_lost_them() {
    let project = typescript_with_a_store("file");
    let outcome = project.run(&["run", "--quiet", "--format", "json"]);
    let expected = ("lost-updates".to_owned(), Some("remember".to_owned()));
    let probes = &project.results().jobs[0].probes;
    assert_eq!(diagnosed(&outcome), [expected], "{probes:?}");
    let report: Value = outcome.json();
    let evidence = report["diagnoses"][0]["evidence"].to_string();
    assert!(
        evidence.contains("reading failed: tool-error"),
        "{evidence}"
    );
    assert_eq!(report["diagnoses"][0]["confidence"], "likely");
}

/// npm `@modelcontextprotocol/server-memory` reads its file, adds to it and writes it back, and says
/// that all is well.
#[test]
fn server_memory_loses_writes_at_once() {
    let project = only(Project::new(), "writes");
    let file = project.path("memory.jsonl").display().to_string();
    let project = project
        .config("server.command", vec![npm_program("mcp-server-memory")])
        .config("server.env.MEMORY_FILE_PATH", file)
        .tool("name = \"search_nodes\"\narguments = { query = \"nothing {{i}}\" }")
        .tool(
            r#"
            name = "create_entities"
            arguments = { entities = [{ name = "entity {{i}}", entityType = "test", observations = [] }] }
            writes = { read-back = "read_graph", contains = "entity {{i}}" }
            "#,
        );
    let outcome = project.run(&["run", "--quiet", "--format", "json"]);
    let expected = (
        "lost-updates".to_owned(),
        Some("create_entities".to_owned()),
    );
    assert_eq!(diagnosed(&outcome), [expected]);
    let write = &project.results().jobs[0].probes[0].writes[0];
    assert_eq!(write.in_sequence.found, write.in_sequence.acknowledged);
    assert!(
        write.at_once.found < write.at_once.acknowledged,
        "{write:?}"
    );
}
