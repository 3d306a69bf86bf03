//! How the baseline of the main branch moves: by a branch and a pull request, when there is a reason
//! that lasts.

use mcpgate::{results::Results, store::to_stable_text};
use serde_json::json;

use super::{
    hub::{Accident, Hub},
    job::{DIR, git, prepare, scaled, slower, step, usual},
};
use crate::{
    harness::{BASELINE, Outcome, Project},
    reference::healthy,
};

const BRANCH: &str = "mcpgate/baseline";

/// A push to main that has been measured with these results.
fn pushed(hub: &Hub, run: u64, results: &Results, files: &[(&str, &str)]) -> Project {
    let project = Project::new();
    git(&project, &["init", "--quiet", "--initial-branch=main"]);
    let project = files
        .iter()
        .fold(project, |project, (path, text)| project.file(path, text));
    let run_text = run.to_string();
    let project = project.file("run.txt", &run_text);
    git(&project, &["add", "--all", "--", ":!.stdout", ":!.stderr"]);
    git(&project, &["commit", "--quiet", "-m", "push"]);
    let sha = git(&project, &["rev-parse", "HEAD"]);
    let push = json!({ "ref": "refs/heads/main", "after": sha, "before": "0".repeat(40) });
    hub.state().set_branch("main", &sha);
    let project = step(project, Some(hub), "push", run, &sha).file("event.json", &push.to_string());
    prepare(&project).code(0);
    project.file(&format!("{DIR}/results.json"), &to_stable_text(results))
}

fn refresh(project: &Project) -> Outcome {
    project.run(&["github", "refresh", "--dir", DIR])
}

fn borrowed<'a>(files: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    files.iter().map(|(p, t)| (*p, t.as_str())).collect()
}

/// The baseline that is proposed, if there is one.
fn proposed(hub: &Hub) -> Option<Results> {
    let state = hub.state();
    let content = state.file(BASELINE, BRANCH)?;
    Some(serde_json::from_slice(content).expect("results"))
}

fn pull_requests(hub: &Hub) -> usize {
    hub.state().open.len()
}

#[test]
fn a_first_baseline_is_proposed_once() {
    let hub = Hub::new();
    let project = pushed(&hub, 1, &healthy(), &[("mcpgate.toml", "")]);
    refresh(&project)
        .code(0)
        .stderr_has("a new baseline is proposed: https://github.test/acme/server/pull/20")
        .stderr_has("there was no baseline yet");
    let found = proposed(&hub).expect("a baseline");
    assert!(found.accepted.is_some());
    assert_eq!(found.jobs, healthy().jobs);
    assert!(project.read("outputs").contains("/pull/20"));
    refresh(&project).code(0);
    assert_eq!(pull_requests(&hub), 1);
}

#[test]
fn a_baseline_that_still_holds_stays() {
    let hub = Hub::new();
    let usual = usual();
    let same = pushed(&hub, 1, &healthy(), &borrowed(&usual));
    refresh(&same)
        .code(0)
        .stderr_has("these results say what it says");
    let worse = pushed(&hub, 2, &slower(), &borrowed(&usual));
    refresh(&worse)
        .code(1)
        .stderr_has("regressed against the present baseline");
    let mut early = healthy();
    early.jobs[0].incomplete = Some("interrupted after 3 rounds".to_owned());
    let broken = pushed(&hub, 3, &early, &borrowed(&usual));
    refresh(&broken).code(1).stderr_has("the run is incomplete");
    assert!(proposed(&hub).is_none());
    assert_eq!((pull_requests(&hub), hub.count("PUT")), (0, 0));
}

#[test]
fn an_improvement_has_to_recur() {
    let hub = Hub::new();
    let usual = usual();
    let faster = scaled(25);
    let first = pushed(&hub, 1, &faster, &borrowed(&usual));
    refresh(&first)
        .code(0)
        .stderr_has("an improvement, seen once");
    assert_eq!((pull_requests(&hub), proposed(&hub).is_some()), (0, true));
    let second = pushed(&hub, 2, &faster, &borrowed(&usual));
    refresh(&second)
        .code(0)
        .stderr_has("a new baseline is proposed");
    assert_eq!(pull_requests(&hub), 1);
    let body = hub.state().open[0]["body"].to_string();
    assert!(
        body.contains("/actions/runs/2") && body.contains("sequential"),
        "{body}"
    );
}

#[test]
fn two_merges_within_seconds_and_lost_answers_do_no_harm() {
    let hub = Hub::new();
    let first = pushed(&hub, 1, &healthy(), &[("mcpgate.toml", "")]);
    let second = pushed(&hub, 2, &healthy(), &[("mcpgate.toml", "")]);
    refresh(&first).code(0).stderr_has("main has moved on");
    assert!(proposed(&hub).is_none());
    for method in ["POST", "PUT", "POST"] {
        hub.next(method, Accident::AnswerLost);
    }
    refresh(&second)
        .code(0)
        .stderr_has("a new baseline is proposed");
    assert!(proposed(&hub).is_some());
    assert_eq!(pull_requests(&hub), 1);
}
