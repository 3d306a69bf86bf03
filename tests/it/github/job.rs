//! A job of a workflow: a clone with a pull request in it, and the environment of a step.

use mcpgate::{results::Results, store::to_stable_text};
use serde_json::json;

use super::hub::{Hub, TOKEN};
use crate::{
    harness::{BASELINE, Outcome, Project},
    reference::{healthy, scale_times},
};

pub(super) const CONFIG: &str = "[gate.tolerance]\nlatency_p50 = \"20%\"\n";

/// Where the steps hand over to each other.
pub(super) const DIR: &str = "handover";

/// The commits of the pull request.
#[derive(Debug, Clone)]
pub(super) struct Commits {
    pub(super) base: String,
    pub(super) head: String,
    pub(super) merge: String,
}

pub(super) fn git(project: &Project, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@t.test"];
    let outcome = project
        .run_other("git", &[&identity, arguments].concat())
        .code(0);
    outcome.stdout.trim().to_owned()
}

/// A clone with a base, a pull request that makes the files what `head_files` says, and its merge
/// checked out. `main` has moved on since the pull request left it.
pub(super) fn pull_request(
    base_files: &[(&str, &str)],
    head_files: &[(&str, &str)],
) -> (Project, Commits) {
    pull_request_in(Project::new(), base_files, head_files)
}

/// As [`pull_request`], in an empty project.
pub(super) fn pull_request_in(
    mut project: Project,
    base_files: &[(&str, &str)],
    head_files: &[(&str, &str)],
) -> (Project, Commits) {
    git(&project, &["init", "--quiet", "--initial-branch=main"]);
    let commit = |project: Project, files: &[(&str, &str)], message: &str| {
        let project = files
            .iter()
            .fold(project, |project, (path, text)| project.file(path, text));
        git(&project, &["add", "--all", "--", ":!.stdout", ":!.stderr"]);
        git(
            &project,
            &["commit", "--quiet", "--allow-empty", "-m", message],
        );
        let sha = git(&project, &["rev-parse", "HEAD"]);
        (project, sha)
    };
    let left;
    (project, left) = commit(project, base_files, "base");
    git(&project, &["checkout", "--quiet", "-b", "faster"]);
    let head;
    (project, head) = commit(project, head_files, "change");
    git(&project, &["checkout", "--quiet", "main"]);
    let base;
    (project, base) = commit(project, &[("other.txt", "meanwhile")], "meanwhile");
    assert_ne!(left, base);
    git(&project, &["checkout", "--quiet", "--detach"]);
    git(
        &project,
        &["merge", "--quiet", "--no-ff", "-m", "merge", "faster"],
    );
    let merge = git(&project, &["rev-parse", "HEAD"]);
    (project, Commits { base, head, merge })
}

/// The files of a base that has all it needs.
pub(super) fn usual() -> Vec<(&'static str, String)> {
    vec![
        ("mcpgate.toml", CONFIG.to_owned()),
        (BASELINE, to_stable_text(&healthy())),
    ]
}

/// Results in which everything takes so many percent of the time.
pub(super) fn scaled(percent: u64) -> Results {
    let mut results = healthy();
    for round in &mut results.jobs[0].rounds {
        for sample in round.scenarios.values_mut() {
            scale_times(sample, percent);
        }
    }
    results
}

/// Results in which everything takes four times as long.
pub(super) fn slower() -> Results {
    scaled(400)
}

/// The environment of a step of a run with this number.
pub(super) fn step(
    project: Project,
    hub: Option<&Hub>,
    name: &str,
    run: u64,
    sha: &str,
) -> Project {
    let path = |name: &str| project.path(name).display().to_string();
    let (event, summary, output) = (path("event.json"), path("summary.md"), path("outputs"));
    let url = hub.map_or_else(|| "http://127.0.0.1:9".to_owned(), Hub::url);
    let project = project
        .env("GITHUB_EVENT_NAME", name)
        .env("GITHUB_EVENT_PATH", &event)
        .env("GITHUB_REPOSITORY", "acme/server")
        .env("GITHUB_SHA", sha)
        .env("GITHUB_API_URL", &url)
        .env("GITHUB_RUN_ID", &run.to_string())
        .env("GITHUB_STEP_SUMMARY", &summary)
        .env("GITHUB_OUTPUT", &output)
        .env("NO_PROXY", "127.0.0.1");
    if hub.is_some() {
        project.env("GITHUB_TOKEN", TOKEN)
    } else {
        project
    }
}

/// The event of the pull request, from this repository or a fork.
pub(super) fn event(commits: &Commits, head_repository: &str) -> String {
    json!({
        "number": 7,
        "pull_request": {
            "number": 7,
            "base": { "ref": "main", "sha": commits.base },
            "head": { "ref": "faster", "sha": commits.head,
                      "repo": { "full_name": head_repository } },
        },
        "repository": { "full_name": "acme/server" },
    })
    .to_string()
}

pub(super) fn prepare(project: &Project) -> Outcome {
    project.run(&["github", "prepare", "--dir", DIR])
}

pub(super) fn publish(project: &Project, more: &[&str]) -> Outcome {
    project.run(&[&["github", "publish", "--dir", DIR], more].concat())
}

/// A job that has prepared and measured these results.
pub(super) fn measured(hub: &Hub, run: u64, head_repository: &str, results: &Results) -> Project {
    measured_with(hub, run, head_repository, &[("server.txt", "new")], results)
}

/// As [`measured`], of a pull request that changes these files.
pub(super) fn measured_with(
    hub: &Hub,
    run: u64,
    head_repository: &str,
    head_files: &[(&str, &str)],
    results: &Results,
) -> Project {
    let usual = usual();
    let files: Vec<_> = usual.iter().map(|(p, t)| (*p, t.as_str())).collect();
    let (project, commits) = pull_request(&files, head_files);
    let project = step(project, Some(hub), "pull_request", run, &commits.merge)
        .file("event.json", &event(&commits, head_repository));
    prepare(&project).code(0);
    project.file(&format!("{DIR}/results.json"), &to_stable_text(results))
}
