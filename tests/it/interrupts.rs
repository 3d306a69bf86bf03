//! What a signal to mcpgate ends, and what it keeps.

use rustix::process::Signal;

use crate::{
    harness::{Project, RESULTS, Running},
    process_care::{endless, measuring},
    reference::{ECHO, Over, command, shell_line, small},
};

#[test]
fn a_signal_ends_a_run_and_keeps_its_rounds() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        for over in [Over::Stdio, Over::Http] {
            let project = endless(over);
            let running = measuring(&project);
            running.signal(signal);
            let outcome = running
                .wait()
                .code(3)
                .stdout_has("ended early: ")
                .stderr_has("error: interrupted after ")
                .stderr_has(&format!("measured before are kept in {RESULTS}"));
            let job = &project.results().jobs[0];
            let rounds = job.rounds.len();
            assert!((1..200).contains(&rounds), "{signal:?}\n{outcome}");
            let said = match rounds {
                1 => "interrupted after 1 round".to_owned(),
                rounds => format!("interrupted after {rounds} rounds"),
            };
            assert_eq!(job.incomplete.as_deref(), Some(said.as_str()));
            outcome.stderr_has(&said);
        }
    }
}

#[test]
fn a_signal_before_the_first_round_says_that_nothing_was_measured() {
    let project = small(
        Project::new(),
        Over::Stdio,
        &["--fault", "hang-on-initialize"],
    );
    let running = project.start(&["run"]);
    running.until_processes(3);
    running.signal(Signal::INT);
    running
        .wait()
        .code(3)
        .stderr_has("error: interrupted before the first round");
    assert!(!project.path(RESULTS).exists());
}

/// Starts are counted in a file; from the third on, that of round 2, the server has these options.
pub(crate) fn changed_in_round_2(options: &[&str]) -> Project {
    let healthy = shell_line(&command(Over::Stdio, &[]));
    let changed = shell_line(&command(Over::Stdio, options));
    let script = format!(
        "echo >> starts; if [ $(wc -l < starts) -lt 3 ]; then exec {healthy}; fi; exec {changed}"
    );
    small(Project::new(), Over::Stdio, &[]).config(
        "server.command",
        vec!["sh".to_owned(), "-c".to_owned(), script],
    )
}

fn until_round_2(running: &Running<'_>, project: &Project) {
    running.until("in round 2", || {
        project.path("starts").is_file() && project.read("starts").lines().count() >= 3
    });
}

#[test]
fn a_first_interrupt_lets_the_round_end() {
    let project = changed_in_round_2(&["--fault", "delay=50"]).tool(ECHO);
    let running = project.start(&["run"]);
    until_round_2(&running, &project);
    running.signal(Signal::INT);
    running
        .wait()
        .code(3)
        .stderr_has("interrupted: finishing this round; once more stops at once")
        .stderr_has("error: interrupted after 2 rounds");
    let job = &project.results().jobs[0];
    assert_eq!(job.rounds.len(), 2);
    assert_eq!(
        job.incomplete.as_deref(),
        Some("interrupted after 2 rounds")
    );
}

#[test]
fn a_second_interrupt_stops_at_once() {
    let project = changed_in_round_2(&["--fault", "hang-on-call=15"])
        .config("server.call-timeout", "60s")
        .tool(ECHO);
    let running = project.start(&["run"]);
    until_round_2(&running, &project);
    running.signal(Signal::INT);
    running.until("told of the first interrupt", || {
        project.read(".stderr").contains("interrupted: finishing")
    });
    running.signal(Signal::INT);
    running
        .wait()
        .code(3)
        .stderr_has("error: interrupted after 1 round");
    assert_eq!(project.results().jobs[0].rounds.len(), 1);
}
