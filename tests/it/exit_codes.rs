//! Exit codes, a documented promise: each one for each of its reasons.
//!
//! Where a verdict is needed it is had from two files, so that no measurement decides the test.

use mcpgate::{results::Results, store::to_stable_text};

use crate::{
    harness::Project,
    reference::{ECHO, Over, WAIT, healthy, scale_times, small},
};

const BASELINE: &str = "baselines/perf-baseline.json";

/// A project with a baseline and results, of which nothing is measured.
fn files(base: &Results, candidate: &Results) -> Project {
    Project::new()
        .file("base.json", &to_stable_text(base))
        .file("candidate.json", &to_stable_text(candidate))
}

const COMPARE: [&str; 3] = ["compare", "base.json", "candidate.json"];

/// The times of the calls of `wait`, so many per cent of what they were.
fn times(percent: u64) -> Results {
    with(|results| {
        for round in &mut results.jobs[0].rounds {
            for (name, sample) in &mut round.scenarios {
                if name.starts_with("wait/") {
                    scale_times(sample, percent);
                }
            }
        }
    })
}

fn with(change: impl Fn(&mut Results)) -> Results {
    let mut results = healthy();
    change(&mut results);
    results
}

fn other_protocol() -> Results {
    with(|results| results.server.protocol_version = "2025-11-25".to_owned())
}

fn incomplete() -> Results {
    with(|results| results.jobs[0].incomplete = Some("interrupted after 5 rounds".to_owned()))
}

#[test]
fn zero_for_pass_and_improved() {
    files(&healthy(), &healthy())
        .run(&COMPARE)
        .code(0)
        .stdout_has("pass: nothing got worse by more than its tolerance");
    files(&healthy(), &times(30))
        .run(&COMPARE)
        .code(0)
        .stdout_has("improved: wait · ");
}

#[test]
fn zero_for_the_first_use_without_a_baseline() {
    let project = small(Project::new(), Over::Stdio, &[]).tool(ECHO);
    project
        .run(&["compare"])
        .code(0)
        .stdout_has("no baseline: nothing to compare with yet; budgets were judged")
        .stdout_has("Make these results the first baseline: `mcpgate baseline update`")
        .stderr_has(&format!("there is no baseline at {BASELINE} yet"));
    // What it advises works.
    project
        .run(&["baseline", "update"])
        .code(0)
        .stdout_has(&format!("{BASELINE} is the new baseline: commit it"));
    assert_eq!(project.read(BASELINE).matches("\"accepted\"").count(), 1);
}

#[test]
fn one_for_a_regression() {
    files(&healthy(), &times(300))
        .run(&COMPARE)
        .code(1)
        .stdout_has("regressed: wait · ");
}

#[test]
fn one_for_a_broken_budget_of_the_user_and_not_for_a_default() {
    // Two hundred milliseconds are over the default budget of a computing tool.
    let slow = times(4000);
    files(&slow, &slow)
        .run(&COMPARE)
        .code(0)
        .stdout_has("broken, default: warns");
    files(&slow, &slow)
        .config("gate.budget.latency_p50", "150ms")
        .run(&COMPARE)
        .code(1)
        .stdout_has("budget broken: wait/sequential · latency_p50 ");
    // Also where nothing is compared.
    small(Project::new(), Over::Stdio, &[])
        .tool(ECHO)
        .config("gate.budget.latency_p50", "1us")
        .run(&["run"])
        .code(1)
        .stdout_has("budget broken: echo/sequential · latency_p50 ");
}

#[test]
fn one_for_a_vanished_scenario_until_it_is_accepted() {
    let without_echo = with(|results| {
        let is_kept = |name: &str| !name.starts_with("echo/");
        results.suite.scenarios.retain(|s| is_kept(&s.name));
        for round in &mut results.jobs[0].rounds {
            round.scenarios.retain(|name, _| is_kept(name));
        }
    });
    let project = files(&healthy(), &without_echo);
    project
        .run(&COMPARE)
        .code(1)
        .stdout_has("not-measured: echo/sequential · in the baseline, but not in this run")
        .stdout_has(
            "Accept it: `mcpgate baseline update candidate.json --force`, then commit the baseline",
        );
    let update = [
        "baseline",
        "update",
        "candidate.json",
        "--baseline",
        "base.json",
    ];
    project
        .run(&update)
        .code(2)
        .stderr_has("in the baseline, but not in this run")
        .stderr_has("add --force");
    project.run(&COMPARE).code(1);
    project.run(&[&update[..], &["--force"]].concat()).code(0);
    project.run(&COMPARE).code(0).stdout_has("pass: ");
}

#[test]
fn a_tool_taken_out_of_the_configuration_fails_when_it_is_measured() {
    let base = to_stable_text(&healthy());
    let project = small(Project::measuring(), Over::Stdio, &[])
        .tool(WAIT)
        .file(BASELINE, &base);
    project
        .run(&["compare", "--quiet"])
        .code(1)
        .stdout_has("echo/sequential · in the baseline, but not in this run")
        .stdout_has("echo/concurrent · in the baseline, but not in this run");
}

#[test]
fn two_for_wrong_use() {
    let project = Project::new();
    let uses: [(&[&str], &str); 5] = [
        (&["run"], "no server was given"),
        (&["run", "--rounds", "0", "--", "true"], "--rounds"),
        (&["compare", "one.json"], "FILE"),
        (
            &["run", "--pid", "1", "--", "true"],
            "--pid is for a server that you started",
        ),
        (
            &["run", "--config", "other.toml"],
            "other.toml: there is no such file",
        ),
    ];
    for (arguments, said) in uses {
        project.run(arguments).code(2).stderr_has(said);
    }
}

#[test]
fn two_for_a_configuration_with_mistakes_all_of_them_told() {
    Project::new()
        .file(
            "mcpgate.toml",
            "[server]\n\
             command = \"node server.js\"\n\
             start-timeout = \"5s\"\n\
             [gate]\n\
             tolerance = { latency_p95 = \"many\" }\n\
             [[tool]]\n\
             arguments = {}\n",
        )
        .run(&["run"])
        .code(2)
        .stderr_has("mcpgate.toml:2")
        .stderr_has("mcpgate.toml:3")
        .stderr_has("startup-timeout")
        .stderr_has("mcpgate.toml:5")
        .stderr_has("mcpgate.toml:6")
        .stderr_has("`name` is missing");
}

#[test]
fn two_for_a_tool_that_the_server_does_not_offer() {
    small(Project::new(), Over::Stdio, &[])
        .tool("name = \"serch\"\narguments = {}")
        .run(&["run"])
        .code(2)
        .stderr_has(
            "the server offers no tool `serch` (did you mean `search`?); it offers: echo, compute",
        );
    small(Project::new(), Over::Stdio, &[])
        .tool(ECHO)
        .run(&["run", "--tool", "ehco"])
        .code(2)
        .stderr_has("--tool ehco: not among the tools to be measured (did you mean `echo`?): echo");
}

#[test]
fn two_for_a_baseline_that_cannot_be_used() {
    let text = to_stable_text(&healthy());
    let newer = text.replace("\"schema_version\": 1", "\"schema_version\": 9");
    assert_ne!(newer, text);
    let cases = [
        ("no json at all", "not JSON"),
        ("", "the file is empty"),
        ("{\"a\": 1}", "not a results file of mcpgate"),
        (newer.as_str(), "update mcpgate"),
    ];
    for (baseline, said) in cases {
        // Told before anything is measured.
        small(Project::new(), Over::Stdio, &["--fault", "exit-at-once"])
            .file(BASELINE, baseline)
            .run(&["compare"])
            .code(2)
            .stderr_has(BASELINE)
            .stderr_has(said);
    }
    small(Project::new(), Over::Stdio, &["--fault", "exit-at-once"])
        .run(&["compare", "--baseline", "other.json"])
        .code(2)
        .stderr_has("other.json: there is no such file");
}

#[test]
fn three_where_nothing_could_be_measured() {
    small(Project::new(), Over::Stdio, &["--fault", "exit-at-once"])
        .run(&["compare"])
        .code(3)
        .stderr_has("the server exited with status 7");
    // A baseline changes nothing about it.
    small(Project::new(), Over::Stdio, &["--fault", "exit-at-once"])
        .file(BASELINE, &to_stable_text(&healthy()))
        .run(&["compare"])
        .code(3)
        .stderr_has("the server exited with status 7");
    let nothing = with(|results| results.jobs[0].rounds.clear());
    files(&healthy(), &nothing)
        .run(&COMPARE)
        .code(3)
        .stdout_has("nothing was measured: not one call was made");
}

#[test]
fn four_for_inconclusive_only_where_the_policy_says_so() {
    let doubtful = [
        (
            other_protocol(),
            "nothing is comparable: the baseline was made with protocol",
        ),
        (
            incomplete(),
            "the run ended early: interrupted after 5 rounds",
        ),
    ];
    for (candidate, why) in &doubtful {
        let expected = [
            ("fail", 4, "this fails the build, as the policy says"),
            ("warn", 0, "this does not fail the build"),
            ("pass", 0, "this does not fail the build"),
        ];
        for (policy, code, said) in expected {
            files(&healthy(), candidate)
                .config("gate.inconclusive", policy)
                .run(&COMPARE)
                .code(code)
                .stdout_has("inconclusive: ")
                .stdout_has(said)
                .stdout_has(why);
        }
        // By default it warns.
        files(&healthy(), candidate).run(&COMPARE).code(0);
    }
}

#[test]
fn one_beats_four() {
    let regressed = {
        let mut results = times(300);
        results.jobs[0].incomplete = Some("interrupted after 5 rounds".to_owned());
        results
    };
    files(&healthy(), &regressed)
        .config("gate.inconclusive", "fail")
        .run(&COMPARE)
        .code(1)
        .stdout_has("regressed: ");
    files(&healthy(), &incomplete())
        .config("gate.inconclusive", "fail")
        .config("gate.budget.latency_p50", "1us")
        .run(&COMPARE)
        .code(1)
        .stdout_has("budget broken: ");
}

#[test]
fn five_where_results_cannot_be_written() {
    let project = small(Project::new(), Over::Stdio, &[])
        .tool(ECHO)
        .file("a-file", "")
        .file("a-folder/a-file", "");
    for output in ["a-file/results.json", "a-folder"] {
        project
            .run(&["run", "--quiet", "--output", output])
            .code(5)
            .stderr_has(&format!("error: {output}: cannot be written: "));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn five_where_a_report_cannot_be_delivered() {
    let script = format!(
        "'{}' compare base.json candidate.json > /dev/full",
        crate::reference::MCPGATE
    );
    let project = files(&healthy(), &healthy());
    let outcome = project.run_other("sh", &["-c", &script]);
    outcome
        .code(5)
        .stderr_has("standard output: cannot be written");
}
