//! `mcpgate baseline update`: what it refuses, what `--force` records, what it leaves alone.

use mcpgate::{
    results::{Acceptance, ErrorSample, Phase, Results},
    store::to_stable_text,
};

use crate::{
    harness::{BASELINE, Outcome, Project, RESULTS},
    reference::{ECHO, Over, healthy, scale_times, small},
};

fn with(change: impl Fn(&mut Results)) -> Results {
    let mut results = healthy();
    change(&mut results);
    results
}

/// A good baseline, accepted at a time that no test runs at.
fn good() -> String {
    to_stable_text(&with(|results| {
        results.accepted = Some(Acceptance {
            at: "2026-01-01T00:00:00Z".to_owned(),
            forced_over: Vec::new(),
        });
    }))
}

fn project(results: &Results) -> Project {
    Project::new()
        .file(RESULTS, &to_stable_text(results))
        .file(BASELINE, &good())
}

fn update(project: &Project, more: &[&str]) -> Outcome {
    project.run(&[&["baseline", "update"], more].concat())
}

fn baseline(project: &Project) -> Results {
    serde_json::from_str(&project.read(BASELINE)).expect("a baseline")
}

/// What is refused, and the words of the refusal.
fn bad_results() -> Vec<(Results, &'static str)> {
    let failed = with(|results| {
        let round = &mut results.jobs[0].rounds[2];
        let sample = round.scenarios.get_mut("echo/sequential").expect("echo");
        sample.successes -= 3;
        sample.errors.insert("tool-error".to_owned(), 3);
        let error = ErrorSample {
            kind: "tool-error".to_owned(),
            message: "the disk is full".to_owned(),
        };
        results.jobs[0]
            .error_samples
            .insert("echo/sequential".to_owned(), error);
    });
    let few = with(|results| results.jobs[0].rounds.truncate(4));
    let confirming = with(|results| results.jobs[0].rounds[0].phase = Phase::Confirm);
    let unmeasured = with(|results| {
        for round in &mut results.jobs[0].rounds {
            round.scenarios.remove("wait/concurrent");
        }
    });
    let missing = with(|results| {
        results
            .suite
            .scenarios
            .retain(|s| s.name != "wait/concurrent");
        for round in &mut results.jobs[0].rounds {
            round.scenarios.remove("wait/concurrent");
        }
    });
    let regressed = with(|results| {
        for round in &mut results.jobs[0].rounds {
            for (name, sample) in &mut round.scenarios {
                if name.starts_with("wait/") {
                    scale_times(sample, 300);
                }
            }
        }
    });
    let incomplete = with(|results| results.jobs[0].incomplete = Some("interrupted".to_owned()));
    vec![
        (failed, "echo/sequential: 3 calls failed"),
        (few, "too few rounds: 4, and a baseline needs 5"),
        // Rounds after an alarm are no sample of their own.
        (confirming, "too few rounds: 4, and a baseline needs 5"),
        (unmeasured, "wait/concurrent: declared, but not measured"),
        (missing, "in the baseline, but not in this run"),
        (
            regressed,
            "wait/sequential: latency_p50 regressed against the present baseline",
        ),
        (incomplete, "the run is incomplete: interrupted"),
    ]
}

#[test]
fn bad_results_never_overwrite_a_good_baseline() {
    for (results, why) in bad_results() {
        let project = project(&results);
        update(&project, &[])
            .code(2)
            .stderr_has("error: the baseline was not updated:")
            .stderr_has(why)
            .stderr_has("add --force; what it overrode is written into the baseline");
        assert_eq!(project.read(BASELINE), good(), "{why}");
    }
}

#[test]
fn force_records_what_it_overrode() {
    for (results, why) in bad_results() {
        let project = project(&results);
        update(&project, &["--force"])
            .code(0)
            .stderr_has("accepted by --force: ");
        let accepted = baseline(&project).accepted.expect("accepted");
        assert!(
            accepted.forced_over.iter().any(|o| o.contains(why)),
            "{why}: {accepted:?}"
        );
        // Whoever compares with it later is told.
        project
            .run(&["compare", BASELINE, RESULTS, "--verbose"])
            .stdout_has("the baseline was accepted by force over: ");
    }
    // Where there was nothing to override, nothing is recorded.
    let project = project(&healthy());
    update(&project, &["--force"]).code(0);
    let accepted = baseline(&project).accepted.expect("accepted");
    assert_eq!(accepted.forced_over, [""; 0]);
}

/// A results file may come from anybody, and what is said of it stands in the log of a job, where a
/// line may be a command.
#[test]
fn names_in_a_refusal_neither_steer_a_terminal_nor_command_a_runner() {
    let evil = "x\n::error::\u{1b}[31m\u{202e}";
    let mut results = healthy();
    for scenario in &mut results.suite.scenarios {
        scenario.name = format!("{evil}{}", scenario.name);
    }
    for round in &mut results.jobs[0].rounds {
        let renamed = std::mem::take(&mut round.scenarios).into_iter();
        let mut renamed: Vec<_> = renamed.map(|(n, s)| (format!("{evil}{n}"), s)).collect();
        for (_, sample) in &mut renamed {
            sample.successes = 0;
            sample.wall = None;
        }
        round.scenarios = renamed.into_iter().collect();
    }
    let project = project(&results);
    for (options, code) in [(&[][..], 2), (&["--force"], 0)] {
        let outcome = update(&project, options).code(code);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains("x\\u{a}::error::\\u{1b}"), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said}");
        assert!(!said.lines().any(|line| line.starts_with("::")), "{said}");
    }
}

#[test]
fn force_over_a_file_that_is_no_baseline_is_recorded_too() {
    let project = project(&healthy()).file(BASELINE, "<<<<<<< a merge that went wrong");
    update(&project, &[])
        .code(2)
        .stderr_has("a merge left its markers in it");
    assert!(project.read(BASELINE).starts_with("<<<<<<<"));
    update(&project, &["--force"]).code(0);
    let accepted = baseline(&project).accepted.expect("accepted");
    assert!(accepted.forced_over[0].contains("the baseline before could not be read"));
}

#[test]
fn results_that_are_not_there_are_asked_for() {
    Project::new()
        .run(&["baseline", "update"])
        .code(2)
        .stderr_has("mcpgate-results.json: there is no such file; `mcpgate run` writes results");
}

#[test]
fn an_update_that_cannot_be_written_leaves_the_old_file_whole() {
    // A file where the folder would have to be: no user may write below it.
    let project = project(&healthy()).file("in-the-way", "");
    update(&project, &["--baseline", "in-the-way/baseline.json"])
        .code(5)
        .stderr_has("in-the-way/baseline.json: cannot be written: ");
    assert_eq!(project.read("in-the-way"), "");
    assert_eq!(project.read(BASELINE), good());
    let left: Vec<_> = files_in(&project, "baselines");
    assert_eq!(left, ["perf-baseline.json"]);
}

/// Whether a write that dies half-way could leave half a baseline: the new text must come in
/// under another name.
#[cfg(target_os = "linux")]
#[test]
fn a_baseline_is_replaced_and_never_written_over() {
    use std::os::unix::fs::MetadataExt as _;
    let project = project(&healthy());
    let inode = |path: &str| project.path(path).metadata().expect("a file").ino();
    let before = inode(BASELINE);
    update(&project, &[]).code(0);
    assert_ne!(inode(BASELINE), before);
    assert_eq!(
        files_in(&project, "baselines"),
        ["history.jsonl", "perf-baseline.json"]
    );
}

fn files_in(project: &Project, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(project.path(folder)).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn the_same_results_again_change_one_line() {
    let project = project(&healthy());
    update(&project, &[]).code(0);
    let text = project.read(BASELINE);
    let changed = changed_lines(&good(), &text);
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert!(
        changed[0].trim_start().starts_with("\"at\": "),
        "{changed:?}"
    );
}

#[test]
fn other_results_change_a_line_a_round() {
    let faster = with(|results| {
        for round in &mut results.jobs[0].rounds {
            for sample in round.scenarios.values_mut() {
                scale_times(sample, 98);
            }
        }
    });
    let project = project(&faster);
    update(&project, &["--replace"]).code(0);
    let text = project.read(BASELINE);
    let changed = changed_lines(&good(), &text);
    let rounds = changed
        .iter()
        .filter(|line| line.contains("\"phase\": \"measure\""));
    assert_eq!(rounds.count(), 5, "{changed:#?}");
    // And when it was accepted.
    assert_eq!(changed.len(), 6, "{changed:#?}");
}

#[test]
fn results_that_say_the_same_are_a_further_job_and_others_replace_it() {
    let scaled = |percent: u64| {
        with(|results| {
            for round in &mut results.jobs[0].rounds {
                for sample in round.scenarios.values_mut() {
                    scale_times(sample, percent);
                }
            }
        })
    };
    let jobs = |project: &Project| {
        let text = project.read(BASELINE);
        let baseline: Results = serde_json::from_str(&text).expect("a baseline");
        baseline.jobs.len()
    };
    let project = project(&scaled(99));
    update(&project, &[])
        .code(0)
        .stdout_has("is the new baseline, of 2 jobs: commit it");
    assert_eq!(jobs(&project), 2);
    let faster = project.file(RESULTS, &to_stable_text(&scaled(25)));
    update(&faster, &[])
        .code(0)
        .stderr_has("the jobs before are dropped: ")
        .stderr_has("is better than in them");
    assert_eq!(jobs(&faster), 1);
}

/// Lines of `new` that differ from the line at the same place of `old`.
fn changed_lines<'a>(old: &str, new: &'a str) -> Vec<&'a str> {
    assert_eq!(old.lines().count(), new.lines().count());
    old.lines()
        .zip(new.lines())
        .filter(|(old, new)| old != new)
        .map(|(_, new)| new)
        .collect()
}

#[test]
fn a_baseline_is_stable_text() {
    let project = small(Project::new(), Over::Stdio, &[]).tool(ECHO);
    project.run(&["run", "--quiet", "--rounds", "6"]).code(0);
    update(&project, &[]).code(0);
    let text = project.read(BASELINE);
    let rounds = text
        .lines()
        .filter(|line| line.contains("\"index\": "))
        .count();
    assert_eq!(rounds, 6);
    assert!(text.ends_with("}\n") && !text.contains('\r') && !text.contains('\t'));
    // Reading and writing it again changes nothing.
    assert_eq!(to_stable_text(&baseline(&project)), text);
    // What was measured is what was accepted.
    let mut accepted = baseline(&project);
    accepted.accepted = None;
    assert_eq!(accepted, project.results());
}

#[test]
fn a_failing_run_is_refused_as_it_comes() {
    let mut project = small(Project::new(), Over::Stdio, &[]).tool(ECHO);
    project.run(&["run", "--quiet"]).code(0);
    update(&project, &[]).code(0);
    let good = project.read(BASELINE);
    let faulty = crate::reference::command(Over::Stdio, &["--fault", "tool-error=10"]);
    project.set_config("server.command", faulty);
    project.run(&["run", "--quiet"]).code(1);
    update(&project, &[])
        .code(2)
        .stderr_has("echo/sequential: 10 calls failed")
        .stderr_has("  - echo/concurrent: ");
    assert_eq!(project.read(BASELINE), good);
}
