//! Servers that work at first: what was measured before they failed, and what their failure costs.

use crate::{
    harness::Project,
    pattern::is_like,
    reference::{BOTH, ECHO, Over, WAIT, command, shell_line, small},
};

#[test]
fn a_tool_that_begins_to_hang_is_waited_for_three_times_only() {
    for over in BOTH {
        // Within the sequential calls of the first round, of five.
        let options = ["--fault", "hang-on-call=20"];
        let project = small(Project::new(), *over, &options).tool(ECHO).tool(WAIT);
        let outcome = project.run(&["run", "--quiet"]).code(1);
        let results = project.results();
        let timeouts: u32 = results.jobs[0]
            .rounds
            .iter()
            .flat_map(|round| round.scenarios.values())
            .filter_map(|sample| sample.errors.get("timeout"))
            .sum();
        // Three of each tool.
        assert_eq!(timeouts, 6, "{outcome}");
        let outcome = outcome.stdout_has(
            "failed: echo/sequential · calls only timed out in the end, so it was given up: 3 of \
             13 failed; first error: timeout: no answer within 1s",
        );
        outcome.stdout_has("echo/concurrent · not called: echo does not work");
        assert_eq!(results.jobs[0].rounds.len(), 5);
    }
}

/// A server that is healthy for a number of starts, and then has a fault.
fn later_faulty(over: Over, healthy_starts: u32, fault: &str) -> Project {
    let healthy = shell_line(&command(over, &[]));
    let faulty = shell_line(&command(over, &["--fault", fault]));
    let script = format!(
        "echo start >> starts\n\
         if [ $(wc -l < starts) -gt {healthy_starts} ]; then exec {faulty}; fi\n\
         exec {healthy}\n"
    );
    small(Project::new(), over, &[])
        .config("server.command", vec!["sh", "-c", &script])
        .tool(ECHO)
}

#[test]
fn rounds_before_a_loss_are_kept_and_said_to_be_incomplete() {
    let cases = [
        (
            "crash-after=15",
            "the server exited with status 101 during round 3, echo/sequential",
        ),
        (
            "exit-at-once",
            "the start of round 3: the server exited with status 7 before it answered the \
             protocol, … ms after its start",
        ),
    ];
    for over in BOTH {
        for (fault, why) in cases {
            // The probe and two rounds.
            let project = later_faulty(*over, 3, fault);
            let outcome = project
                .run(&["run", "--quiet"])
                .code(3)
                .stderr_has("2 rounds measured before are kept in mcpgate-results.json");
            let first = outcome.stderr.lines().next().unwrap_or_default();
            assert!(is_like(&format!("error: {why}"), first), "{outcome}");
            let report = outcome.stdout.lines().next().unwrap_or_default();
            let expected = format!("ended early: 4 scenarios in 2 rounds were kept: {why}");
            assert!(is_like(&expected, report), "{outcome}");
            let results = project.results();
            assert_eq!(results.jobs[0].rounds.len(), 2);
            let incomplete = results.jobs[0].incomplete.as_deref().unwrap_or_default();
            assert!(is_like(why, incomplete), "{incomplete}");
            let refused = project.run(&["baseline", "update"]).code(2);
            refused
                .stderr_has("the run is incomplete: ")
                .stderr_has("too few rounds: 2, and a baseline needs 5");
        }
    }
}

#[test]
fn a_run_that_measured_nothing_leaves_old_results_and_says_so() {
    let mut project = small(Project::new(), Over::Stdio, &[]).tool(ECHO);
    project.run(&["run", "--quiet", "--rounds", "1"]).code(0);
    let before = project.read("mcpgate-results.json");
    for fault in ["exit-at-once", "crash-after=15"] {
        let faulty = command(Over::Stdio, &["--fault", fault]);
        project.set_config("server.command", faulty);
        project
            .run(&["run", "--quiet"])
            .code(3)
            .stderr_has("  mcpgate-results.json is still that of an earlier run");
        assert_eq!(project.read("mcpgate-results.json"), before);
    }
}

#[test]
fn a_server_in_the_background_is_told_to_stay() {
    // Its parent leaves before the round is over.
    let server = shell_line(&command(Over::Http, &[]));
    let script = format!("{server} & sleep 0.5");
    let project = small(Project::new(), Over::Http, &[])
        .config("server.command", vec!["sh", "-c", &script])
        .config("suite.calls", 200)
        .tool(WAIT);
    project
        .run(&["run", "--quiet"])
        .code(3)
        .stderr_has("exited with status 0")
        .stderr_has("keep it in the foreground");
}
