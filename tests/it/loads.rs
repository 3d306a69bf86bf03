//! Loads of their own, on the real program and real servers.

use mcpgate::results::{LoadSample, Results, Sessions};

use crate::{
    harness::{Project, RESULTS},
    real_servers::installed,
    reference::{BOTH, ECHO, Over, WAIT, small},
};

/// A project that measures as little as can be beside one load.
fn with_scenario(over: Over, options: &[&str], scenario: &str) -> Project {
    small(Project::new(), over, options)
        .config("suite.rounds", 1)
        .tool(ECHO)
        .scenario(scenario)
}

fn load<'a>(results: &'a Results, name: &str) -> &'a LoadSample {
    &results.jobs[0].loads[name]
}

/// 2 s at 200 calls a second, of which the server stands still for half a second: what was due
/// meanwhile waited for it. That the figures are exact is shown in virtual time; here, that they
/// are what a real server, connection and timer give.
#[test]
fn a_server_that_stands_still_shows_in_every_call_that_was_due() {
    for over in BOTH {
        let project = with_scenario(
            *over,
            &["--fault", "freeze=221:500"],
            r#"
                name = "steady"
                tool = "echo"
                executor = "constant-arrival-rate"
                rate = 200
                duration = "2s"
            "#,
        );
        let arguments = ["run", "--samples", "samples.jsonl"];
        let outcome = project.run(&arguments).code(0);
        let results = project.results();
        let load = load(&results, "steady");
        let samples = project.read("samples.jsonl");
        let line = samples.lines().find(|line| line.contains("\"steady\""));
        let line: serde_json::Value = serde_json::from_str(line.expect("a line")).unwrap();
        assert_eq!(line["wall_ns"].as_array().unwrap().len(), 400);
        assert_eq!(line["round"], serde_json::Value::Null);
        assert_eq!(load.whole.calls, 400, "{outcome}");
        assert_eq!((load.whole.successes, load.dropped), (400, 0), "{outcome}");
        let wall = load.whole.wall.expect("latencies");
        // 100 of 400 wait, evenly spread up to 500 ms: so do half of them for 250 ms and more, and
        // p95 is the 80th of them. Only a server that answers late can make that more.
        assert!(wall.p50_ns < 250_000_000, "{outcome}");
        assert!(wall.p95_ns >= Some(390_000_000), "{outcome}");
        assert!(wall.max_ns >= 490_000_000, "{outcome}");
        assert!(
            load.send_lag.is_some() && load.most_in_flight >= 90,
            "{outcome}"
        );
        outcome
            .stdout_has("Loads")
            .stdout_has("steady · 200 calls/s");
    }
}

#[test]
fn the_standard_loads_run_once_and_say_what_they_are() {
    let project = small(Project::new(), Over::Http, &[])
        .config("suite.size", "standard")
        .config("suite.rounds", 1)
        .config("suite.soak-calls", 0)
        .tool(ECHO)
        .tool(WAIT);
    let outcome = project.run(&["run"]).code(0);
    let results = project.results();
    let loads: Vec<&String> = results.jobs[0].loads.keys().collect();
    assert_eq!(
        loads,
        ["pool-pressure", "ramp", "session-churn"],
        "{outcome}"
    );
    let ramp = load(&results, "ramp");
    assert_eq!(ramp.stages.len(), 4);
    assert_eq!((ramp.most_in_flight, ramp.interrupted), (20, 0));
    assert!(
        ramp.stages
            .iter()
            .all(|stage| stage.successes == stage.calls)
    );
    let churn = load(&results, "session-churn");
    assert_eq!(churn.whole.successes, 200);
    let record = |name: &str| results.suite.scenarios.iter().find(|s| s.name == name);
    let record = record("session-churn").unwrap();
    assert_eq!(record.sessions, Sessions::PerCall);
    let tools: Vec<&String> = record.load.as_ref().unwrap().tools.keys().collect();
    assert_eq!(tools, ["echo", "wait"]);
    assert_eq!(load(&results, "pool-pressure").most_in_flight, 50);
    for load in results.jobs[0].loads.values() {
        let calls = |point: Option<&(u64, u64)>| point.map(|point| point.0);
        let (first, last) = (calls(load.memory.first()), calls(load.memory.last()));
        assert_eq!((first, last), (Some(0), Some(u64::from(load.whole.calls))));
        assert!(load.memory.iter().all(|(_, bytes)| *bytes > 1_000_000));
    }
    // The results can be read again, accepted, and compared with.
    project.run(&["baseline", "update", "--force"]).code(0);
    outcome.stdout_has("5 VUs").stdout_has("20 → 0 VUs");
}

/// A server that others wrote, with sessions: each virtual user has one, or each call.
#[test]
fn the_standard_loads_run_on_a_server_with_sessions() {
    let program = installed("npm/node_modules/.bin/mcp-server-everything");
    let command = vec![program.to_str().unwrap(), "streamableHttp"];
    let project = Project::new()
        .config("server.command", command)
        .config("server.env.PORT", "{port}")
        .config("server.url", "http://127.0.0.1:{port}/mcp")
        .config("suite.rounds", 1)
        .config("suite.calls", 5)
        .config("suite.soak-calls", 0)
        .tool(ECHO);
    let outcome = project.run(&["run"]).code(0);
    let results = project.results();
    let loads = &results.jobs[0].loads;
    assert_eq!(loads.len(), 3, "{outcome}");
    for (name, load) in loads {
        assert_eq!(load.whole.calls, load.whole.successes, "{name}\n{outcome}");
        assert!(load.connecting.is_some(), "{name}\n{outcome}");
    }
    assert_eq!(loads["session-churn"].whole.calls, 200);
    // One for each virtual user; for each call where it has its own.
    assert_eq!(loads["pool-pressure"].most_in_flight, 50);
}

#[test]
fn a_server_that_dies_under_load_is_a_finding_and_not_a_lost_run() {
    for over in BOTH {
        let project = with_scenario(
            *over,
            &["--fault", "crash-after=600"],
            r#"
                name = "crowd"
                tool = "echo"
                executor = "shared-iterations"
                vus = 5
                iterations = 1000
            "#,
        );
        let outcome = project.run(&["run"]);
        let results = project.results();
        let load = load(&results, "crowd");
        assert!(load.whole.successes >= 500, "{outcome}");
        assert!(load.whole.calls > load.whole.successes, "{outcome}");
        assert_eq!(results.jobs[0].incomplete, None);
        outcome.code(0).stdout_has("exited with status 101");
    }
}

#[test]
fn an_interrupt_ends_a_load_and_keeps_the_rounds() {
    let project = with_scenario(
        Over::Stdio,
        &[],
        r#"
            name = "long"
            tool = "echo"
            executor = "constant-arrival-rate"
            rate = 10
            duration = "10m"
        "#,
    );
    let running = project.start(&["run"]);
    running.until("past the round", || project.path(RESULTS).is_file());
    running.signal(rustix::process::Signal::TERM);
    running
        .wait()
        .code(3)
        .stderr_has("error: interrupted after 1 round")
        .stderr_has(&format!("measured before are kept in {RESULTS}"));
    assert_eq!(project.results().jobs[0].rounds.len(), 1);
}
