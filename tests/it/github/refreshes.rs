//! How the baseline of the main branch moves: by a branch and a pull request, when there is a reason
//! that lasts.

use mcpgate::{
    history::{Entry, entries_of, read},
    results::Results,
    store::to_stable_text,
};
use serde_json::json;
use wiremock::ResponseTemplate;

use super::{
    hub::{Accident, Hub},
    job::{DIR, git, prepare, scaled, slower, step, usual},
};
use crate::{
    harness::{BASELINE, Outcome, Project},
    history::run_of,
    reference::healthy,
};

const BRANCH: &str = "mcpgate/baseline";
const HISTORY: &str = "baselines/history.jsonl";

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
    for (path, text) in files {
        let file = ((*path).to_owned(), sha.clone(), text.as_bytes().to_vec());
        hub.state().files.push(file);
    }
    hub.state().commits.push(sha.clone());
    hub.state().set_branch("main", &sha);
    let project = step(project, Some(hub), "push", run, &sha).file("event.json", &push.to_string());
    prepare(&project).code(0);
    project.file(&format!("{DIR}/results.json"), &to_stable_text(results))
}

fn refresh(project: &Project) -> Outcome {
    project.run(&["github", "refresh", "--dir", DIR])
}

fn refresh_with(project: &Project, option: &str) -> Outcome {
    project.run(&["github", "refresh", "--dir", DIR, option])
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

/// The runs of the history on the branch.
#[track_caller]
fn recorded(hub: &Hub) -> Vec<Entry> {
    let state = hub.state();
    let file = state.file(HISTORY, BRANCH).map_or(&[][..], Vec::as_slice);
    let history = read(file);
    assert_eq!(history.faults, vec![]);
    history.entries
}

#[track_caller]
fn lines_of(results: &[&Results]) -> Vec<Entry> {
    results.iter().flat_map(|of| entries_of(of)).collect()
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
    assert_eq!(recorded(&hub), lines_of(&[&healthy()]));
    refresh(&project).code(0);
    assert_eq!(pull_requests(&hub), 1);
    assert_eq!(recorded(&hub).len(), 1);
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
    assert_eq!(pull_requests(&hub), 0);
    // Nothing but the line of a whole run is on the branch.
    assert_eq!(
        proposed(&hub).expect("main's").jobs,
        healthy().jobs,
        "the branch begins at the measured commit"
    );
}

#[test]
fn runs_that_leave_the_baseline_are_in_the_history_and_wait_for_the_next_one() {
    let hub = Hub::new();
    let mut files = usual();
    files.push((HISTORY, lines_of(&[&run_of(1, 100)])[0].to_line()));
    let files = borrowed(&files);
    let (same, worse) = (run_of(2, 101), run_of(3, 300));
    for (run, results, code) in [(2, &same, 0), (3, &worse, 1)] {
        let project = pushed(&hub, run, results, &files);
        refresh(&project)
            .code(code)
            .stderr_has("the baseline stays")
            .stderr_has(
                "its line for baselines/history.jsonl waits on mcpgate/baseline for the next baseline",
            );
        // A second attempt of the job says nothing that is new.
        let before = hub.count("PATCH") + hub.count("POST");
        refresh(&project).code(code);
        assert_eq!(hub.count("PATCH") + hub.count("POST"), before);
    }
    assert_eq!(recorded(&hub), lines_of(&[&run_of(1, 100), &same, &worse]));
    assert_eq!(pull_requests(&hub), 0);

    // The next baseline brings them along, and none is there twice.
    let (faster, again) = (run_of(4, 25), run_of(5, 25));
    for (run, results) in [(4, &faster), (5, &again)] {
        refresh(&pushed(&hub, run, results, &files)).code(0);
    }
    let all = lines_of(&[&run_of(1, 100), &same, &worse, &faster, &again]);
    assert_eq!(recorded(&hub), all);
    assert_eq!(pull_requests(&hub), 1);
    let body = hub.state().open[0]["body"].to_string();
    assert!(body.contains("the lines of 4 runs"), "{body}");

    // While it is not merged, a further run joins it, and takes nothing of it away.
    refresh(&pushed(&hub, 6, &run_of(6, 100), &files)).code(0);
    assert_eq!(recorded(&hub).len(), 6);
    assert_eq!(proposed(&hub).expect("a baseline").jobs, again.jobs);

    refresh_with(&pushed(&hub, 7, &run_of(7, 100), &files), "--no-history").code(0);
    assert_eq!(recorded(&hub).len(), 6);
    // Nor does one that moves the baseline.
    let moves = pushed(&hub, 8, &run_of(8, 25), &files);
    refresh_with(&moves, "--no-history")
        .code(0)
        .stderr_has("a new baseline is proposed");
    assert_eq!(recorded(&hub).len(), 6);
}

#[test]
fn a_history_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    let hub = Hub::new();
    let mut files = usual();
    files.push((HISTORY, lines_of(&[&run_of(1, 100)])[0].to_line()));
    let project = pushed(&hub, 2, &run_of(2, 25), &borrowed(&files));
    let refused = ResponseTemplate::new(403).set_body_json(json!({ "message": "no" }));
    hub.next(
        "GET contents/baselines%2Fhistory.jsonl",
        Accident::Answer(refused),
    );
    refresh(&project).code(5);
    assert!(proposed(&hub).is_none());
    refresh(&project).code(0);
    assert_eq!(recorded(&hub).len(), 2);
}

#[test]
fn bytes_of_the_history_that_are_no_text_stay() {
    let hub = Hub::new();
    let project = pushed(&hub, 2, &run_of(2, 25), &borrowed(&usual()));
    let sha = git(&project, &["rev-parse", "HEAD"]);
    let odd = b"\xff\xfe\n".to_vec();
    let file = (HISTORY.to_owned(), sha, odd.clone());
    hub.state().files.push(file);
    refresh(&project).code(0);
    let state = hub.state();
    let written = state.file(HISTORY, BRANCH).expect("a history");
    assert!(written.starts_with(&odd), "{written:?}");
}

#[test]
fn a_smaller_improvement_leaves_the_proposal_that_is_open() {
    let hub = Hub::new();
    let usual = usual();
    let files = borrowed(&usual);
    let faster = [run_of(1, 25), run_of(2, 25)];
    for (run, results) in (1..).zip(&faster) {
        refresh(&pushed(&hub, run, results, &files)).code(0);
    }
    assert_eq!(pull_requests(&hub), 1);
    refresh(&pushed(&hub, 3, &run_of(3, 50), &files))
        .code(0)
        .stderr_has("a smaller one than what is proposed already")
        .stderr_has("/pull/20 stays");
    assert_eq!(proposed(&hub).expect("a baseline").jobs, faster[1].jobs);
    assert_eq!(recorded(&hub).len(), 3);
}

#[test]
fn a_history_that_cannot_be_kept_changes_no_exit_code() {
    let hub = Hub::new();
    let usual = usual();
    for (run, results, code) in [(1, healthy(), 0), (2, slower(), 1)] {
        let project = pushed(&hub, run, &results, &borrowed(&usual));
        let refused = ResponseTemplate::new(403).set_body_json(json!({ "message": "no" }));
        hub.next("POST git/blobs", Accident::Answer(refused));
        refresh(&project)
            .code(code)
            .stderr_has("note: baselines/history.jsonl gets no line of this run: ");
    }
}

#[test]
fn what_was_merged_since_is_no_improvement_seen_before() {
    let hub = Hub::new();
    let faster = scaled(25);
    let files = usual();
    for run in [1, 2] {
        refresh(&pushed(&hub, run, &faster, &borrowed(&files))).code(0);
    }
    // It is merged, and its branch stays; then something else becomes faster.
    let merged = to_stable_text(&proposed(&hub).expect("a baseline"));
    let files = [(files[0].0, files[0].1.clone()), (BASELINE, merged)];
    assert_eq!(files[0].0, "mcpgate.toml");
    refresh(&pushed(&hub, 3, &scaled(5), &borrowed(&files)))
        .code(0)
        .stderr_has("an improvement, seen once");
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
    for request in [
        "POST git/blobs",
        "POST git/trees",
        "POST git/commits",
        "POST git/refs",
        "POST pulls",
    ] {
        hub.next(request, Accident::AnswerLost);
    }
    refresh(&second)
        .code(0)
        .stderr_has("a new baseline is proposed");
    assert!(proposed(&hub).is_some());
    assert_eq!(pull_requests(&hub), 1);
}
