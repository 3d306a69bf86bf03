//! The history: who adds to it, what a merge makes of it, and what `mcpgate trend` finds in it.

use mcpgate::{
    history::{Entry, entries_of},
    results::Results,
    store::to_stable_text,
};

use crate::{
    harness::{Outcome, Project, RESULTS},
    reference::{Over, WAIT, healthy, scale_times, small},
};

const HISTORY: &str = "baselines/history.jsonl";

/// The commit of the run of a day.
pub(crate) fn commit(day: usize) -> String {
    format!("{day:02}c0ffee{:032}", 0)
}

/// Results of the run of a day in which everything takes so many percent of the time.
pub(crate) fn run_of(day: usize, percent: u64) -> Results {
    let mut results = healthy();
    let job = &mut results.jobs[0];
    job.started_at = format!("2026-{:02}-{:02}T12:00:00Z", 1 + day / 28, 1 + day % 28);
    job.commit = Some(commit(day));
    for sample in job.rounds.iter_mut().flat_map(|r| r.scenarios.values_mut()) {
        scale_times(sample, percent);
    }
    results
}

/// The lines of runs, a day each.
pub(crate) fn lines(percents: impl IntoIterator<Item = u64>) -> String {
    (0..)
        .zip(percents)
        .flat_map(|(day, percent)| entries_of(&run_of(day, percent)))
        .map(|entry| entry.to_line())
        .collect()
}

/// Percents of a level of four runs, then 3 % more at a time over ten.
pub(crate) const DRIFTING: [u64; 14] = [
    100, 100, 100, 100, 103, 106, 109, 113, 116, 119, 123, 127, 130, 134,
];

fn read(project: &Project, path: &str) -> Vec<Entry> {
    let text = project.read(path);
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("lines of JSON")
}

fn trend(project: &Project, more: &[&str]) -> Outcome {
    project.run(&[&["trend"], more].concat())
}

#[test]
fn updates_and_recorded_runs_add_a_line_each() {
    let mut project = small(Project::new(), Over::Stdio, &[]).tool(WAIT);
    for day in 0..2 {
        project = project.file(RESULTS, &to_stable_text(&run_of(day, 100)));
        project
            .run(&["baseline", "update", "--replace", "--force"])
            .code(0)
            .stderr_has("baselines/history.jsonl has one run more: commit it, too");
    }
    // The same results again are no other run.
    project
        .run(&["baseline", "update", "--force"])
        .code(0)
        .stderr_has("baselines/history.jsonl has this run already");
    project = project.file(RESULTS, &to_stable_text(&run_of(2, 100)));
    let update = ["baseline", "update", "--replace", "--force"];
    project
        .run(&[&update[..], &["--no-history"]].concat())
        .code(0);
    assert_eq!(read(&project, HISTORY).len(), 2);
    // A baseline of another name has a history of its own.
    let other = [&update[..], &["--baseline", "baselines/other.json"]].concat();
    project.run(&other).code(0);
    assert_eq!(read(&project, "baselines/other.history.jsonl").len(), 1);

    project
        .run(&["run", "--quiet", "--record"])
        .code(0)
        .stderr_has("baselines/history.jsonl has one run more");
    let entries = read(&project, HISTORY);
    let [first, _, last] = &entries[..] else {
        panic!("{entries:?}");
    };
    assert_eq!(first.commit.as_deref(), Some(commit(0).as_str()));
    let figures = &last.scenarios["wait/sequential"];
    // The tool waits for 5 ms.
    assert!(figures.latency_p50_ns >= Some(5_000_000), "{figures:?}");
    assert!(figures.rounds >= 5, "{figures:?}");
    assert!(last.scenarios["server"].startup_ns > Some(0));
}

/// The file keeps its newest thousand lines.
#[test]
fn a_full_history_forgets_its_oldest_run() {
    let one = lines([100]);
    let at = "2026-01-01T12:00:00Z";
    assert!(one.contains(at), "{one}");
    let full: String = (0..1_000)
        .map(|n| one.replace(at, &format!("2025-01-01T{:02}:{:02}:00Z", n / 60, n % 60)))
        .collect();
    let project = small(Project::new(), Over::Stdio, &[])
        .tool(WAIT)
        .file(HISTORY, &full)
        .file(RESULTS, &to_stable_text(&run_of(1, 100)));
    project.run(&["baseline", "update", "--force"]).code(0);
    let kept = read(&project, HISTORY);
    assert_eq!(kept.len(), 1_000);
    assert_eq!(kept[0].at, "2025-01-01T00:01:00Z");
    assert_eq!(kept[999].commit, Some(commit(1)));
}

#[test]
fn several_jobs_at_once_lose_nothing() {
    let shared = Project::new();
    let history = shared.path("at/once.jsonl").display().to_string();
    let projects: Vec<Project> = (0..8)
        .map(|day| Project::new().file(RESULTS, &to_stable_text(&run_of(day, 100))))
        .collect();
    let running: Vec<_> = projects
        .iter()
        .map(|project| project.start(&["baseline", "update", "--force", "--history", &history]))
        .collect();
    for one in running {
        one.wait().code(0);
    }
    let mut commits: Vec<String> = read(&shared, "at/once.jsonl")
        .into_iter()
        .filter_map(|entry| entry.commit)
        .collect();
    commits.sort();
    assert_eq!(commits, (0..8).map(commit).collect::<Vec<_>>());
}

#[test]
fn branches_that_both_recorded_a_run_merge_without_a_conflict() {
    let git = |project: &Project, arguments: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@t.test"];
        project
            .run_other("git", &[&identity, arguments].concat())
            .code(0)
    };
    let record = |project: Project, day: usize| {
        let project = project.file(RESULTS, &to_stable_text(&run_of(day, 100)));
        let own = format!("{day}.json");
        let update = [
            "baseline",
            "update",
            "--force",
            "--history",
            HISTORY,
            "--baseline",
            &own,
        ];
        project.run(&update).code(0);
        git(&project, &["add", "baselines", ".gitattributes"]);
        git(&project, &["commit", "--quiet", "-m", "a run"]);
        project
    };
    // As docs/history.md says.
    let attributes = "baselines/history.jsonl merge=union\n";
    let project = Project::new().file(".gitattributes", attributes);
    git(&project, &["init", "--quiet", "--initial-branch=main"]);
    let project = record(project, 0);
    git(&project, &["checkout", "--quiet", "-b", "side"]);
    let project = record(project, 2);
    git(&project, &["checkout", "--quiet", "main"]);
    let project = record(project, 1);
    git(&project, &["merge", "--quiet", "-m", "merge", "side"]);
    assert_eq!(read(&project, HISTORY).len(), 3);
    trend(&project, &["--format", "json"])
        .code(0)
        .stdout_has("\"runs\": 3");
}

#[test]
fn a_planted_step_is_found_at_its_commit() {
    let percents = (0..24_u64).map(|n| if n < 14 { 100 + n % 3 } else { 150 + n % 3 });
    let project = Project::new().file(HISTORY, &lines(percents));
    let text = trend(
        &project,
        &["--scenario", "wait/sequential", "--plot", "plot.svg"],
    )
    .code(0);
    let found = format!("at {} on 2026-01-15", &commit(14)[..10]);
    let text = text.stdout_has("baselines/history.jsonl: 24 runs of 24 commits");
    let text = text.stdout_has("+50 %").stdout_has(&found);
    assert!(!text.stdout.contains("Slow drift"), "{}", text.stdout);
    // A sparkline with a step.
    text.stdout_has("▁▁").stdout_has("██");
    let plot = project.read("plot.svg");
    let parsed = "import sys, xml.etree.ElementTree as E; print(E.parse('plot.svg').getroot().tag)";
    project
        .run_other("python3", &["-c", parsed])
        .code(0)
        .stdout_has("svg");
    assert!(
        plot.starts_with("<svg ") && plot.contains(&commit(14)[..10]),
        "{plot}"
    );

    let json: serde_json::Value = trend(&project, &["--format", "json"]).code(0).json();
    let all = json["series"].as_array().expect("series");
    assert!(all.len() > 3, "{json}");
    for series in all.iter().filter(|s| s["scenario"] == "wait/sequential") {
        assert_eq!(series["changes"][0]["commit"], commit(14), "{series}");
        assert_eq!(series["changes"][0]["index"], 14);
    }
    trend(
        &project,
        &["--format", "markdown", "--metric", "throughput"],
    )
    .code(0)
    .stdout_has("| `wait/concurrent` · throughput |")
    .says_nothing_of("latency");
}

#[test]
fn another_machine_is_told_as_such() {
    let mut entries: Vec<Entry> = (0..20)
        .flat_map(|day| entries_of(&run_of(day, if day < 10 { 100 } else { 220 })))
        .collect();
    for entry in &mut entries[10..] {
        entry.machine.cpu_model = "Other 9000".to_owned();
    }
    let text: String = entries.iter().map(Entry::to_line).collect();
    let project = Project::new().file(HISTORY, &text);
    let json: serde_json::Value = trend(&project, &["--format", "json", "-v"]).code(0).json();
    for series in json["series"].as_array().expect("series") {
        assert_eq!(
            series["changes"].as_array().map(Vec::len),
            Some(0),
            "{series}"
        );
        assert!(series["drift"].is_null(), "{series}");
    }
    assert_eq!(json["machine_changes"][0]["commit"], commit(10));
    trend(&project, &[])
        .code(0)
        .stdout_has("Changes of machine, which are none of the code\n  2026-01-11: ");
}

#[test]
fn lines_that_say_nothing_are_named() {
    let good = lines([100, 101]);
    let (first, second) = good.split_once('\n').expect("two lines");
    let half = &first[..first.len() / 2];
    let text = format!("<<<<<<< ours\n{first}\n{half}\n\u{1b}[2J\n{second}");
    let project = Project::new().file(HISTORY, &text);
    let told = trend(&project, &[]).code(0);
    let told = told
        .stdout_has("history.jsonl: 2 runs of 2 commits")
        .stderr_has("history.jsonl:1: skipped: `<<<<<<<` is left of a merge")
        .stderr_has("merge=union")
        .stderr_has("history.jsonl:3: skipped: it ends in the middle")
        .stderr_has("history.jsonl:4: skipped: not the JSON of a run");
    assert!(!told.stderr.contains('\u{1b}'), "{:?}", told.stderr);
    // They are left where they are, and the next run is added behind them.
    let project = project.file(RESULTS, &to_stable_text(&run_of(5, 100)));
    project.run(&["baseline", "update", "--force"]).code(0);
    assert!(project.read(HISTORY).starts_with(&text));
    trend(&project, &[])
        .code(0)
        .stdout_has(": 3 runs of 3 commits");
}

#[test]
fn what_is_not_there_is_said() {
    let project = Project::new();
    trend(&project, &[])
        .code(2)
        .stderr_has("baselines/history.jsonl: there is no such file; `mcpgate baseline update`");
    let project = project.file(HISTORY, "\n");
    trend(&project, &[])
        .code(2)
        .stderr_has("no run stands there");
    let project = project.file(HISTORY, &lines([100, 100]));
    trend(&project, &["--scenario", "wait/sequentail"])
        .code(2)
        .stderr_has("no scenario `wait/sequentail`; did you mean `wait/sequential`?");
    trend(&project, &["--metric", "latency_p51"])
        .code(2)
        .stderr_has("latency_p50");
    trend(&project, &["--history", "."])
        .code(2)
        .stderr_has("error:");
    let project = project.file(RESULTS, &to_stable_text(&run_of(5, 100)));
    let into = ["baseline", "update", "--history", "/dev/null"];
    project
        .run(&into)
        .code(5)
        .stderr_has("this is no plain file");
}

#[test]
fn a_comparison_says_what_drifts_slowly() {
    // So steep that what is measured here goes on with it, whatever the machine does meanwhile.
    let percents = [5, 6, 8, 10, 13, 16, 20, 26, 33, 42, 53, 67, 84];
    let mut entries: Vec<Entry> = (0..)
        .zip(percents)
        .flat_map(|(day, percent)| entries_of(&run_of(day, percent)))
        .collect();
    for entry in &mut entries {
        entry.machine.reference_work_ns = None;
        // No more lines than are shown: which are the largest is chance.
        entry.scenarios.retain(|name, _| name == "wait/sequential");
    }
    let text: String = entries.iter().map(Entry::to_line).collect();
    let project = small(Project::new(), Over::Stdio, &[])
        .tool(WAIT)
        .file(HISTORY, &text);
    project
        .run(&["compare", "--quiet"])
        .code(0)
        .stdout_has("\nHistory\n  Slow drift: wait/")
        .stdout_has("\n  Slow drift: wait/sequential latency_p50")
        .stdout_has("% at a time: ");
    // A comparison is no run of the history.
    assert_eq!(project.read(HISTORY), text);
}
