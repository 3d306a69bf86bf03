//! Requests and payloads are those of GitHub: its own description of the API, and examples of its
//! own events.
#![expect(clippy::disallowed_methods, reason = "a test: it reads files")]

use base64::{Engine as _, prelude::BASE64_STANDARD};
use mcpgate::{
    github::event::{self, Event},
    results::Results,
    store::to_stable_text,
};
use serde_json::{Value, json};

use super::{
    hub::TOKEN,
    job::{CONFIG, DIR, prepare, publish, scaled, slower, usual},
    peers::{Peers, installed},
};
use crate::{
    harness::{BASELINE, Project},
    reference::healthy,
};

/// Comments of others: more than a page of them where nobody asks for a larger page.
const OTHERS: usize = 35;

/// Commits a file to a branch.
fn put(peers: &Peers, branch: &str, path: &str, text: &str) {
    let place = format!("contents/{}", path.replace('/', "%2F"));
    let old = peers.ask("GET", &format!("{place}?ref={branch}"), None);
    let mut body =
        json!({ "message": path, "branch": branch, "content": BASE64_STANDARD.encode(text) });
    if old["sha"].is_string() {
        body["sha"] = old["sha"].clone();
    }
    let answer = peers.ask("PUT", &place, Some(&body));
    assert!(answer["commit"]["sha"].is_string(), "{answer}");
}

fn tip(peers: &Peers, branch: &str) -> String {
    let answer = peers.ask("GET", &format!("git/ref/heads/{branch}"), None);
    answer["object"]["sha"]
        .as_str()
        .expect("a commit")
        .to_owned()
}

/// A step, all of whose requests go through the proxy. There is no clone: the API is asked.
fn step(peers: &Peers, event: &str, payload: &Value, run: u64, sha: &str) -> Project {
    let project = Project::new();
    let path = |name: &str| project.path(name).display().to_string();
    let (event_path, summary, output) = (path("event.json"), path("summary.md"), path("outputs"));
    project
        .env("GITHUB_EVENT_NAME", event)
        .env("GITHUB_EVENT_PATH", &event_path)
        .env("GITHUB_REPOSITORY", "acme/server")
        .env("GITHUB_SHA", sha)
        .env("GITHUB_API_URL", peers.url())
        .env("GITHUB_RUN_ID", &run.to_string())
        .env("GITHUB_STEP_SUMMARY", &summary)
        .env("GITHUB_OUTPUT", &output)
        .env("GITHUB_TOKEN", TOKEN)
        .env("NO_PROXY", "127.0.0.1")
        .file("event.json", &payload.to_string())
}

fn with_results(project: Project, results: &Results) -> Project {
    project.file(&format!("{DIR}/results.json"), &to_stable_text(results))
}

#[test]
fn every_request_is_one_that_github_describes() {
    // Prism needs ten seconds of a core to start, which other tests would measure.
    let alone = Project::measuring();
    let mut peers = Peers::start();
    drop(alone);

    // main has a baseline; the pull request makes it a slower one, and the tolerance a wider one.
    for (path, text) in usual() {
        put(&peers, "main", path, &text);
    }
    let base = tip(&peers, "main");
    let branch = json!({ "ref": "refs/heads/faster", "sha": base });
    peers.ask("POST", "git/refs", Some(&branch));
    put(&peers, "faster", BASELINE, &to_stable_text(&slower()));
    put(
        &peers,
        "faster",
        "mcpgate.toml",
        &CONFIG.replace("20%", "900%"),
    );
    let pull = json!({ "title": "Faster", "head": "faster", "base": "main" });
    let number = peers.ask("POST", "pulls", Some(&pull))["number"].clone();
    let comments = format!("issues/{number}/comments");
    for i in 0..OTHERS {
        let body = json!({ "body": format!("comment {i}") });
        peers.ask("POST", &comments, Some(&body));
    }

    // The fork's run ended, and the job that has rights judges what it measured.
    let ended = |run: u64| {
        json!({ "workflow_run": {
            "event": "pull_request", "id": run, "run_attempt": 1,
            "head_sha": tip(&peers, "faster"), "head_branch": "faster",
            "head_repository": { "owner": { "login": "acme" } }, "pull_requests": [],
        }})
    };
    for (run, results, code, verdict, said) in [
        (11, slower(), 1, "regressed", "commented: "),
        (12, healthy(), 0, "pass", "updated the comment: "),
    ] {
        let project = step(&peers, "workflow_run", &ended(run), 90 + run, &base);
        prepare(&project).code(0).stderr_has("its baseline decides");
        assert_eq!(project.read(&format!("{DIR}/policy.toml")), CONFIG);
        let project = with_results(project, &results);
        publish(&project, &[]).code(code).stderr_has(said);
        let found = peers.ask("GET", &format!("{comments}?per_page=100"), None);
        let found = found.as_array().expect("comments");
        assert_eq!(found.len(), OTHERS + 1, "one comment of ours");
        let ours = found[OTHERS]["body"].as_str().expect("text");
        assert!(
            ours.lines()
                .next()
                .is_some_and(|line| line.contains(verdict)),
            "{ours}"
        );
    }

    // A push to main proposes a baseline when an improvement recurs.
    for run in [21, 22] {
        let push = json!({ "ref": "refs/heads/main", "after": base, "before": "0".repeat(40) });
        let project = step(&peers, "push", &push, run, &base);
        prepare(&project).code(0);
        let project = with_results(project, &scaled(25));
        project.run(&["github", "refresh", "--dir", DIR]).code(0);
    }
    let open = peers.ask("GET", "pulls?state=open", None);
    let heads: Vec<_> = open
        .as_array()
        .expect("pull requests")
        .iter()
        .map(|pull| pull["head"]["ref"].as_str().unwrap_or_default())
        .collect();
    assert!(
        heads.contains(&"mcpgate/baseline") && heads.len() == 2,
        "{heads:?}"
    );

    assert_eq!(peers.violations(), [""; 0]);
}

/// Every example of an event that GitHub publishes.
fn examples() -> Vec<(String, Vec<Value>)> {
    let path = "npm/node_modules/@octokit/webhooks-examples/api.github.com/index.json";
    let text = std::fs::read_to_string(installed(path)).expect("the examples");
    let events: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let of = |event: &Value| {
        let name = event["name"].as_str().expect("a name").to_owned();
        (
            name,
            event["examples"].as_array().expect("examples").clone(),
        )
    };
    events.iter().map(of).collect()
}

#[test]
fn payloads_of_github_are_read_and_other_events_refused_by_name() {
    let mut read = std::collections::BTreeMap::<String, usize>::new();
    for (name, examples) in examples() {
        for example in examples {
            let context = format!("{name}: {example}");
            let parsed = event::parse(&name, example.to_string().as_bytes());
            match (name.as_str(), parsed) {
                ("pull_request", Ok(Event::PullRequest(request))) => {
                    assert_eq!(request.number, example["number"], "{context}");
                    assert_eq!(request.head_sha, example["pull_request"]["head"]["sha"]);
                }
                ("merge_group", Ok(Event::MergeGroup { head_sha, .. })) => {
                    assert_eq!(head_sha, example["merge_group"]["head_sha"]);
                }
                ("push", Ok(Event::Push { after, .. })) => assert_eq!(after, example["after"]),
                ("push", Err(said)) => {
                    assert_eq!(example["deleted"], true, "{context}");
                    assert!(said.contains("deleted"), "{said}");
                }
                // No example is of a run that a pull request started: made one, it is read.
                ("workflow_run", Err(said)) => {
                    let cause = example["workflow_run"]["event"].as_str().expect("a cause");
                    assert!(said.contains(cause), "{said}");
                    let mut started = example.clone();
                    started["workflow_run"]["event"] = "pull_request".into();
                    let parsed = event::parse(&name, started.to_string().as_bytes());
                    let Ok(Event::WorkflowRun(run)) = parsed else {
                        panic!("{parsed:?}: {context}");
                    };
                    assert_eq!(run.head_sha, example["workflow_run"]["head_sha"]);
                }
                (_, Err(said)) => assert!(
                    said.contains(&format!("the event {name} is not supported")),
                    "{said}"
                ),
                (_, Ok(parsed)) => panic!("{parsed:?}: {context}"),
            }
            *read.entry(name.clone()).or_default() += 1;
        }
    }
    for name in ["pull_request", "merge_group", "push", "workflow_run"] {
        assert!(read.contains_key(name), "no example of {name}");
    }
}
