//! The action, from the workflow that a user copies to the comment: the jobs of real pull requests,
//! run by `act`, with the reference server as the server.

use mcpgate::store::to_stable_text;
use serde_json::json;

use super::{
    act::{Job, Run, Runner},
    hub::TOKEN,
    job::{Commits, event, git, pull_request_in, scaled},
};
use crate::{
    harness::{BASELINE, Project},
    reference::{ECHO, MCPGATE, WAIT, scale_times},
};

const CONFIG: &str = "mcpgate.toml";

/// The configuration that the baseline was measured with, but for the server's command.
fn config(command: &str) -> String {
    format!(
        "[server]\n\
         command = {command}\n\
         call-timeout = \"1s\"\n\
         startup-timeout = \"10s\"\n\n\
         [suite]\n\
         size = \"quick\"\n\
         calls = 20\n\
         concurrency = 2\n\n\
         [[tool]]{ECHO}\n\
         [[tool]]{WAIT}"
    )
}

fn good() -> String {
    config(&format!("['{MCPGATE}', 'reference-server']"))
}

/// A baseline that no state of the machine makes look good: how it is as the step measures is no
/// matter of these tests. `wait` takes twice as long as when it was measured, and `bad` is slower
/// still. What takes less than a millisecond takes twenty times as long, since it is three or four
/// times as slow under a busy neighbour; so does the start.
fn baseline() -> String {
    let mut results = scaled(200);
    for round in &mut results.jobs[0].rounds {
        let startups = [&mut round.startup_ns, &mut round.startup_adjusted_ns];
        startups.into_iter().flatten().for_each(|ns| *ns *= 20);
        for (name, sample) in &mut round.scenarios {
            if !name.starts_with("wait/") {
                scale_times(sample, 1_000);
            }
        }
    }
    to_stable_text(&results)
}

/// Slower, and curious about its environment.
fn bad() -> String {
    config(&format!(
        "['sh', '-c', \"env >~/environment.txt; exec '{MCPGATE}' reference-server --fault delay=wait:25\"]"
    ))
}

/// A pull request that makes the file `path` what `head` says, from this repository or a fork; its
/// merge commit is checked out. `base` is what the base has.
fn pull_request_to(
    path: &str,
    base: &[(&str, &str)],
    head: &str,
    head_repository: &str,
) -> (Project, Commits) {
    let (project, commits) = pull_request_in(Project::measuring(), base, &[(path, head)]);
    let origin = "https://github.com/acme/server.git";
    git(&project, &["remote", "add", "origin", origin]);
    let event = event(&commits, head_repository);
    (project.file("event.json", &event), commits)
}

fn pull_request(base: &[(&str, &str)], head: &str, head_repository: &str) -> (Project, Commits) {
    pull_request_to(CONFIG, base, head, head_repository)
}

/// The line of the configuration that names a tool, as an annotation says it.
fn line_of(tool: &str, config: &str) -> usize {
    let name = format!("name = \"{tool}\"");
    let line = config.lines().position(|line| line.trim() == name);
    line.expect("the tool") + 1
}

fn run(runner: &Runner, number: u64, project: Project) -> (Project, Job) {
    let run = Run {
        event: "pull_request",
        number,
        workflow: "gate.yml",
        inputs: &[],
        checkout: "",
    };
    runner.run(project, &run)
}

#[test]
fn a_regression_is_red_with_one_comment_that_turns_green_when_mended() {
    let (runner, baseline) = (Runner::new(), baseline());
    let base = good();
    let base = [(CONFIG, base.as_str()), (BASELINE, baseline.as_str())];
    let (project, _) = pull_request(&base, &bad(), "acme/server");
    let (project, job) = run(&runner, 10, project);
    let job = job.red();
    assert_eq!(job.output("verdict"), "regressed");
    assert_eq!(job.output("exit-code"), "1");
    let line = line_of("wait", &bad());
    let annotations = job.annotations();
    let place = format!("error {CONFIG}:{line} ");
    assert!(
        annotations.iter().any(|a| a.starts_with(&place)),
        "{annotations:#?}"
    );
    assert!(job.summary().contains("regressed"), "{}", job.summary());
    let comments = runner.hub.ours();
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert!(
        comments[0]
            .lines()
            .next()
            .is_some_and(|line| line.contains("regressed"))
    );
    assert!(job.output("comment-url").contains("#issuecomment-"));

    // The server knew neither the token nor the runner's files.
    let environment = runner.left_at_home("environment.txt");
    assert!(environment.contains("GITHUB_ACTIONS=true"), "{environment}");
    for hidden in [
        TOKEN,
        "GITHUB_TOKEN=",
        "GITHUB_ENV=",
        "GITHUB_PATH=",
        "GITHUB_OUTPUT=",
    ] {
        assert!(!environment.contains(hidden), "{hidden}: {environment}");
    }
    assert!(!job.log().contains(TOKEN));

    // The author mends it: another commit, another merge.
    let project = project.file(CONFIG, &good());
    git(
        &project,
        &["commit", "--quiet", "--amend", "-m", "merge", "--", CONFIG],
    );
    let (_, job) = run(&runner, 11, project);
    let job = job.green();
    assert_ne!(job.output("verdict"), "regressed");
    let comments = runner.hub.ours();
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert!(
        comments[0]
            .lines()
            .next()
            .is_some_and(|line| !line.contains("regressed"))
    );
    assert!(comments[0].contains("/actions/runs/11"), "{}", comments[0]);
}

#[test]
fn a_fork_keeps_its_verdict_without_a_comment_also_in_a_subfolder() {
    let (runner, baseline) = (Runner::new(), baseline());
    let (path, baseline_path) = (format!("server/{CONFIG}"), format!("server/{BASELINE}"));
    let base = good();
    let base = [(&*path, &*base), (&*baseline_path, &*baseline)];
    let (project, _) = pull_request_to(&path, &base, &bad(), "mallory/server");
    let run = Run {
        event: "pull_request",
        number: 10,
        workflow: "gate.yml",
        inputs: &[("working-directory", "server")],
        checkout: "",
    };
    let (_, job) = runner.run(project, &run);
    let job = job.red();
    assert_eq!(job.output("verdict"), "regressed");
    assert_eq!(job.output("comment-url"), "");
    let place = format!("error {path}:{} ", line_of("wait", &bad()));
    let annotations = job.annotations();
    assert!(
        annotations.iter().any(|a| a.starts_with(&place)),
        "{annotations:#?}"
    );
    assert!(job.summary().contains("regressed"), "{}", job.summary());
    assert!(runner.hub.ours().is_empty());
    assert_eq!(runner.hub.count("POST"), 0);
}

#[test]
fn a_server_that_does_not_start_is_red_and_commands_nothing() {
    let runner = Runner::new();
    let base = good();
    let forged = "::error title=forged::x\\n::set-output name=verdict::pass\\n::add-mask::e";
    // On its own standard error, and on the runner's log behind mcpgate's back.
    let head = config(&format!(
        "['sh', '-c', \"printf '{forged}\\n' | tee /proc/$PPID/fd/1 >&2; exit 7\"]"
    ));
    let (project, _) = pull_request(&[(CONFIG, &base)], &head, "acme/server");
    let (_, job) = run(&runner, 10, project);
    let job = job.red();
    assert_eq!(job.output("verdict"), "not-measured");
    assert_eq!(job.output("exit-code"), "3");
    let annotations = job.annotations();
    let said = |text: &str| annotations.iter().any(|a| a.contains(text));
    assert!(said("the server exited with status 7"), "{annotations:#?}");
    assert!(
        !annotations.iter().any(|a| a.contains(" forged: ")),
        "{annotations:#?}"
    );
    assert!(
        job.ignored("::error title=forged"),
        "it never came to the log"
    );
    assert!(!job.log().contains("***"), "a mask was added");
    let comments = runner.hub.ours();
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert!(comments[0].contains("not-measured"), "{}", comments[0]);
}

#[test]
fn a_merge_group_is_judged_without_a_comment() {
    let (runner, baseline) = (Runner::new(), baseline());
    let base = good();
    let base = [(CONFIG, base.as_str()), (BASELINE, baseline.as_str())];
    let (project, commits) = pull_request(&base, &good(), "acme/server");
    let group = json!({
        "action": "checks_requested",
        "merge_group": {
            "base_sha": commits.base, "base_ref": "refs/heads/main",
            "head_sha": commits.merge,
            "head_ref": format!("refs/heads/gh-readonly-queue/main/pr-7-{}", commits.base),
        },
        "repository": { "full_name": "acme/server" },
    });
    let run = Run {
        event: "merge_group",
        number: 10,
        workflow: "gate.yml",
        inputs: &[],
        checkout: "",
    };
    let (_, job) = runner.run(project.file("event.json", &group.to_string()), &run);
    let job = job.green();
    assert_ne!(job.output("verdict"), "regressed");
    assert!(job.summary().contains("mcpgate"), "{}", job.summary());
    assert!(runner.hub.ours().is_empty());
}

#[test]
fn a_push_to_main_proposes_the_first_baseline() {
    let runner = Runner::new();
    let (project, commits) = pull_request(&[(CONFIG, &good())], &good(), "acme/server");
    let push = json!({ "ref": "refs/heads/main", "after": commits.merge,
                       "repository": { "full_name": "acme/server" } });
    let project = project.file("event.json", &push.to_string());
    runner.hub.state().set_branch("main", &commits.merge);
    let run = Run {
        event: "push",
        number: 10,
        workflow: "refresh.yml",
        inputs: &[],
        checkout: "",
    };
    let (_, job) = runner.run(project, &run);
    let job = job.green();
    let state = runner.hub.state();
    assert_eq!(state.open.len(), 1, "{:?}", state.open);
    assert!(state.file(BASELINE, "mcpgate/baseline").is_some());
    assert!(
        job.log().contains("a new baseline is proposed"),
        "{}",
        job.log()
    );
}

#[test]
fn the_first_use_is_green_and_says_how_to_make_a_baseline() {
    let runner = Runner::new();
    let (project, _) = pull_request(&[("server.js", "")], &good(), "acme/server");
    let (_, job) = run(&runner, 10, project);
    let job = job.green();
    let comments = runner.hub.ours();
    assert_eq!(comments.len(), 1, "{comments:?}");
    for said in [&comments[0], &job.summary()] {
        assert!(said.contains("no baseline"), "{said}");
        assert!(said.contains("mcpgate baseline update"), "{said}");
    }
}

#[test]
fn the_pair_for_forks_measures_without_rights_and_comments_without_the_code() {
    let (runner, baseline) = (Runner::new(), baseline());
    let base = good();
    let base = [(CONFIG, base.as_str()), (BASELINE, baseline.as_str())];
    let (project, commits) = pull_request(&base, &bad(), "mallory/server");
    let measure = Run {
        event: "pull_request",
        number: 12,
        workflow: "fork-measure.yml",
        inputs: &[],
        checkout: "",
    };
    let (project, job) = runner.run(project, &measure);
    assert_eq!(job.red().output("verdict"), "regressed");
    let asked = runner.hub.state().asked.clone();
    assert!(asked.is_empty(), "{asked:?}");

    // The other job has no checkout of anything; what decides comes by the API.
    for (path, text) in base {
        let file = (
            path.to_owned(),
            commits.base.clone(),
            text.as_bytes().to_vec(),
        );
        runner.hub.state().files.push(file);
    }
    let head = (CONFIG.to_owned(), commits.head.clone(), bad().into_bytes());
    runner.hub.state().files.push(head);
    let known = [commits.head.clone(), commits.base.clone()];
    runner.hub.state().commits.extend(known);
    runner.hub.state().set_branch("main", &commits.base);
    runner.hub.state().open.push(json!({
        "number": 7,
        "base": { "ref": "main", "sha": commits.base },
        "head": { "ref": "faster", "sha": commits.head },
    }));
    let ended = |run: u64| {
        let head_repository = json!({ "owner": { "login": "mallory" } });
        json!({
            "action": "completed",
            "workflow_run": {
                "event": "pull_request", "conclusion": "failure", "id": run, "run_attempt": 1,
                "head_sha": commits.head, "head_branch": "faster",
                "head_repository": head_repository, "pull_requests": [],
            },
            "repository": { "full_name": "acme/server" },
        })
        .to_string()
    };
    let project = project
        .file("event.json", &ended(12))
        .file("elsewhere/README.md", "");
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "--all"],
        &["commit", "--quiet", "-m", "default branch"],
        &[
            "remote",
            "add",
            "origin",
            "https://github.com/acme/server.git",
        ],
    ] {
        git(&project, &[&["-C", "elsewhere"], arguments].concat());
    }
    let publish = Run {
        event: "workflow_run",
        number: 90,
        workflow: "fork-publish.yml",
        checkout: "elsewhere",
        ..measure
    };
    let (project, job) = runner.run(project, &publish);
    let job = job.green();
    assert_eq!(job.output("verdict"), "regressed");
    let comments = runner.hub.ours();
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert!(comments[0].contains("regressed"), "{}", comments[0]);
    // The link is to the run that measured.
    assert!(comments[0].contains("/actions/runs/12"), "{}", comments[0]);

    // A later run that could not measure left no results; no old verdict stays.
    runner.lose_artifacts();
    let (_, job) = runner.run(project.file("event.json", &ended(13)), &publish);
    assert_eq!(job.green().output("verdict"), "not-measured");
    let comments = runner.hub.ours();
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert!(comments[0].contains("not-measured"), "{}", comments[0]);
}
