//! What the history of the base says on a pull request.

use mcpgate::store::to_stable_text;

use super::{
    hub::Hub,
    job::{CONFIG, DIR, event, prepare, publish, pull_request, step},
};
use crate::{
    harness::{BASELINE, Project},
    history::{DRIFTING, commit, lines, run_of},
    reference::healthy,
};

const HISTORY: &str = "baselines/history.jsonl";

/// A job of a pull request whose base has a history that drifts, and whose own run goes on with it.
fn job(hub: &Hub, elsewhere: bool, head_files: &[(&str, &str)]) -> Project {
    let (last, before) = DRIFTING.split_last().expect("runs");
    let mut baseline = healthy();
    // Raised with each merge, as a team does that accepts 3 % at a time.
    baseline
        .jobs
        .clone_from(&run_of(20, *last * 100 / 103).jobs);
    let (history, baseline) = (lines(before.iter().copied()), to_stable_text(&baseline));
    let base = [
        ("mcpgate.toml", CONFIG),
        (BASELINE, &baseline),
        (HISTORY, &history),
    ];
    let (project, commits) = pull_request(&base, head_files);
    let project = step(project, Some(hub), "pull_request", 10, &commits.merge)
        .file("event.json", &event(&commits, "acme/server"));
    prepare(&project).code(0);
    let mut results = run_of(21, *last);
    if elsewhere {
        results.jobs[0].environment.cpu_model = "Other 9000".to_owned();
    }
    project.file(&format!("{DIR}/results.json"), &to_stable_text(&results))
}

#[track_caller]
fn comment(hub: &Hub) -> String {
    let [comment] = &hub.ours()[..] else {
        panic!("{:?}", hub.ours());
    };
    comment.clone()
}

#[test]
fn three_per_cent_at_a_time_over_ten_merges_is_said_in_the_comment() {
    let hub = Hub::new();
    // What the pull request makes of the history does not count.
    let project = job(&hub, false, &[(HISTORY, "{}\n")]);
    publish(&project, &[]).code(0);
    let text = comment(&hub);
    // No comparison with the run before it says so.
    assert!(!text.contains("regressed**"), "{text}");
    let line = text
        .lines()
        .find(|line| line.starts_with("* Slow drift: `wait/sequential` latency_p50"))
        .unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains(" grew by 3"), "{line}");
    assert!(line.contains(" over the last 10 commits (since "), "{line}");
    assert!(line.contains(&format!("`{}`", &commit(3)[..10])), "{line}");
    assert!(line.contains("% at a time: "), "{line}");
}

#[test]
fn on_another_machine_the_history_says_nothing() {
    let hub = Hub::new();
    let project = job(&hub, true, &[("server.txt", "new")]);
    publish(&project, &[]);
    let text = comment(&hub);
    assert!(!text.contains("Slow drift"), "{text}");
}

#[test]
fn a_history_that_is_changed_in_between_is_refused() {
    let hub = Hub::new();
    let project = job(&hub, false, &[("server.txt", "new")]);
    let outputs = project.read("outputs");
    let digest = outputs
        .lines()
        .find(|line| line.len() == 64 && line.bytes().all(|b| b.is_ascii_hexdigit()))
        .unwrap_or_else(|| panic!("{outputs}"))
        .to_owned();
    let project = project.file(&format!("{DIR}/history.jsonl"), "{}\n");
    publish(&project, &["--digest", &digest])
        .code(2)
        .stderr_has("has changed what decides");
}
