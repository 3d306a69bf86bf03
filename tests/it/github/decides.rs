//! Which commit decides, and that failing to read it is an error.

use mcpgate::store::to_stable_text;
use serde_json::{Value, json};

use super::{
    hub::Hub,
    job::{self, CONFIG, DIR, event, git, prepare, pull_request, step, usual},
};
use crate::harness::{BASELINE, Project};

fn prepared(project: &Project) -> Value {
    serde_json::from_str(&project.read(&format!("{DIR}/prepared.json"))).expect("JSON")
}

fn loosened() -> Vec<(&'static str, String)> {
    vec![
        ("mcpgate.toml", CONFIG.replace("20%", "900%")),
        (BASELINE, to_stable_text(&job::slower())),
    ]
}

fn borrowed<'a>(files: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect()
}

#[test]
fn a_pull_request_cannot_choose_what_judges_it() {
    let (usual, loosened) = (usual(), loosened());
    let (project, commits) = pull_request(&borrowed(&usual), &borrowed(&loosened));
    let project = step(project, None, "pull_request", 1, &commits.merge)
        .file("event.json", &event(&commits, "acme/server"));
    prepare(&project)
        .code(0)
        .stderr_has("changes [gate] in mcpgate.toml: it is judged by the one of the base")
        .stderr_has("changes baselines/perf-baseline.json: it is judged by the baseline of the");
    let found = prepared(&project);
    assert_eq!(found["base_sha"], commits.base, "the merge's first parent");
    assert_eq!(found["head_sha"], commits.merge);
    assert_eq!(found["pull_request"], 7);
    assert_eq!(project.read(&format!("{DIR}/policy.toml")), CONFIG);
    assert_eq!(project.read(&format!("{DIR}/baseline.json")), usual[1].1);

    // With the pull request's own commit checked out, where it left main decides.
    git(&project, &["checkout", "--quiet", &commits.head]);
    prepare(&project).code(0);
    let found = prepared(&project);
    assert_eq!(found["base_sha"], git(&project, &["rev-parse", "HEAD^"]));
    assert_eq!(found["head_sha"], commits.head);

    // Something else entirely is no ground for a judgement.
    git(&project, &["checkout", "--quiet", "main"]);
    prepare(&project)
        .code(2)
        .stderr_has("is neither the pull request's newest");
}

#[test]
fn first_use_is_no_error() {
    let (project, commits) = pull_request(&[("a.txt", "a")], &[("mcpgate.toml", CONFIG)]);
    let project = step(project, None, "pull_request", 1, &commits.merge)
        .file("event.json", &event(&commits, "acme/server"));
    prepare(&project)
        .code(0)
        .stderr_has("it has no baseline yet");
    let found = prepared(&project);
    assert_eq!(
        (&found["has_baseline"], &found["has_policy"]),
        (&json!(false), &json!(false))
    );
}

/// A clone with one commit of history, as actions/checkout makes it.
fn shallow(project: &Project, origin: &str) {
    git(project, &["tag", "--force", "merge"]);
    git(
        project,
        &["config", "uploadpack.allowAnySHA1InWant", "true"],
    );
    let from = format!("file://{}", project.path("").display());
    let clone = [
        "clone",
        "--quiet",
        "--depth=1",
        "--branch=merge",
        &from,
        "shallow",
    ];
    git(project, &clone);
    git(
        project,
        &["-C", "shallow", "remote", "set-url", "origin", origin],
    );
}

fn in_shallow(project: &Project) -> crate::harness::Outcome {
    let binary = env!("CARGO_BIN_EXE_mcpgate");
    let line = format!("cd shallow && exec '{binary}' github prepare --dir ../{DIR}");
    project.run_other("sh", &["-c", &line])
}

#[test]
fn a_shallow_clone_is_deepened_or_the_api_is_asked() {
    let hub = Hub::new();
    let usual = usual();
    let (project, commits) = pull_request(&borrowed(&usual), &[("b.txt", "b")]);
    let here = format!("file://{}", project.path("").display());
    shallow(&project, &here);
    let project = step(project, None, "pull_request", 1, &commits.merge)
        .file("event.json", &event(&commits, "acme/server"));
    in_shallow(&project).code(0);
    assert_eq!(prepared(&project)["base_sha"], commits.base);
    assert_eq!(project.read(&format!("{DIR}/baseline.json")), usual[1].1);

    // Nobody to fetch from, and no token: said with what to do.
    std::fs::remove_dir_all(project.path("shallow")).expect("remove the clone");
    shallow(&project, "file:///nowhere");
    in_shallow(&project).code(2).stderr_has("fetch-depth: 2");

    // With a token, the API has the files.
    let project = step(project, Some(&hub), "pull_request", 1, &commits.merge);
    in_shallow(&project)
        .code(2)
        .stderr_has("cannot be read, so nothing can be judged")
        .stderr_has("404");
    hub.state().commits.push(commits.base.clone());
    in_shallow(&project)
        .code(0)
        .stderr_has("it has no baseline yet");
    for (path, text) in &usual {
        let file = (
            (*path).to_owned(),
            commits.base.clone(),
            text.clone().into_bytes(),
        );
        hub.state().files.push(file);
    }
    in_shallow(&project)
        .code(0)
        .stderr_has("its baseline decides");
    assert_eq!(project.read(&format!("{DIR}/baseline.json")), usual[1].1);
}

#[test]
fn the_run_that_ended_leads_to_the_pull_request_that_shows_its_commit() {
    let hub = Hub::new();
    let sha = |digit: &str| digit.repeat(40);
    let run = json!({ "workflow_run": {
        "event": "pull_request", "id": 12, "run_attempt": 1, "head_sha": sha("b"),
        "head_branch": "faster", "head_repository": { "owner": { "login": "mallory" } },
        "pull_requests": [],
    }});
    let project = step(Project::new(), Some(&hub), "workflow_run", 90, &sha("a"))
        .file("event.json", &run.to_string());
    prepare(&project)
        .code(0)
        .stderr_has("there is no open pull request");
    let open = |number: u64, head: &str| {
        json!({ "number": number, "base": { "ref": "main", "sha": sha("0") },
                "head": { "ref": "faster", "sha": head } })
    };
    hub.state().open = vec![open(6, &sha("c")), open(7, &sha("b"))];
    hub.state().commits.extend([sha("b"), sha("d")]);
    hub.state().set_branch("main", &sha("d"));
    prepare(&project).code(0);
    let found = prepared(&project);
    assert_eq!(found["pull_request"], 7);
    assert_eq!(
        (&found["base_sha"], &found["run"]),
        (&json!(sha("d")), &json!([12, 1]))
    );
    let asked = hub.state().asked.join("\n");
    assert!(asked.contains("head=mallory:faster"), "{asked}");
    hub.state().open.push(open(8, &sha("b")));
    prepare(&project)
        .code(2)
        .stderr_has("several open pull requests");
}

#[test]
fn other_events_are_judged_or_refused_by_name() {
    let usual = usual();
    let (project, commits) = pull_request(&borrowed(&usual), &[("b.txt", "b")]);
    let group = json!({ "merge_group": { "base_sha": commits.base, "head_sha": commits.merge } });
    let project = step(project, None, "merge_group", 1, &commits.merge)
        .file("event.json", &group.to_string());
    prepare(&project).code(0);
    assert_eq!(prepared(&project)["base_sha"], commits.base);
    assert_eq!(prepared(&project)["pull_request"], Value::Null);
    let project = project.env("GITHUB_EVENT_NAME", "issue_comment");
    prepare(&project)
        .code(2)
        .stderr_has("the event issue_comment is not supported");
    let project = project.env("GITHUB_EVENT_NAME", "pull_request_target");
    prepare(&project)
        .code(2)
        .stderr_has("pull_request_target is refused");
}
