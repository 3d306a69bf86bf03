//! The scripts of the action, step by step, with a stand-in for `mcpgate` that writes down how it was
//! called. `github/action.rs` runs the whole action.
#![expect(clippy::disallowed_methods, reason = "a test: it makes files")]

use std::{fs, path::Path};

use crate::harness::{Outcome, Project, repository};

mod downloads;

const PLATFORM: [(&str, &str); 2] = [("RUNNER_OS", "Linux"), ("RUNNER_ARCH", "X64")];

/// A stand-in on the PATH, in the folder `bin`; `body` is what it does after its notes.
fn stand_in(project: Project, name: &str, body: &str) -> Project {
    let seen = project.path(name).display().to_string();
    let script = format!(
        "#!/bin/sh\n\
         env >'{seen}.environment'\n\
         for word; do printf '%s\\n' \"$word\"; done >'{seen}.arguments'\n\
         {body}\n"
    );
    let path = format!("bin/{name}");
    let project = project.file(&path, &script);
    project.run_other("chmod", &["+x", &path]).code(0);
    project
}

/// A job of a runner; `action` is where the action is.
fn job(action: &Path) -> Project {
    let project = Project::new()
        .file("temp/.keep", "")
        .file("tools/.keep", "")
        .file("outputs", "");
    let path = |name: &str| project.path(name).display().to_string();
    let (bin, temp, tools, outputs) = (path("bin"), path("temp"), path("tools"), path("outputs"));
    let search = std::env::var("PATH").unwrap_or_default();
    let project = project
        .env("PATH", &format!("{bin}:{search}"))
        .env("GITHUB_ACTION_PATH", &action.display().to_string())
        .env("GITHUB_OUTPUT", &outputs)
        .env("RUNNER_TEMP", &temp)
        .env("RUNNER_TOOL_CACHE", &tools);
    environment(project, &PLATFORM)
}

fn environment(project: Project, variables: &[(&str, &str)]) -> Project {
    variables
        .iter()
        .fold(project, |project, (name, value)| project.env(name, value))
}

/// A job whose mcpgate is the stand-in.
fn with_mcpgate(body: &str) -> Project {
    let project = stand_in(job(repository()), "mcpgate", body);
    let program = project.path("bin/mcpgate").display().to_string();
    let directory = project.path("handover").display().to_string();
    environment(
        project.file("handover/prepared.json", "{}"),
        &[
            ("MCPGATE", &program),
            ("MCPGATE_DIR", &directory),
            ("MCPGATE_WORKING_DIRECTORY", "."),
            ("MCPGATE_CONFIG", ""),
            ("MCPGATE_BASELINE", ""),
            ("MCPGATE_AGAINST", ""),
            ("MCPGATE_ARGS", ""),
        ],
    )
}

fn step(project: &Project, name: &str) -> Outcome {
    let script = project_action(project).join(format!("action/{name}.sh"));
    let script = script.display().to_string();
    project.run_other("bash", &["--noprofile", "--norc", &script])
}

/// The action's folder: a copy in the project if it has one.
fn project_action(project: &Project) -> std::path::PathBuf {
    let copy = project.path("action");
    if copy.is_dir() {
        project.path("")
    } else {
        repository().to_path_buf()
    }
}

fn arguments(project: &Project) -> Vec<String> {
    let text = project.read("mcpgate.arguments");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn every_step_runs_a_script_that_is_there() {
    let action = fs::read_to_string(repository().join("action.yml")).expect("action.yml");
    let runs: Vec<&str> = action
        .lines()
        .filter_map(|line| line.trim().strip_prefix("run: "))
        .collect();
    assert_eq!(runs.len(), 5, "{runs:?}");
    for run in runs {
        let path = run
            .strip_prefix("bash --noprofile --norc \"$GITHUB_ACTION_PATH/")
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or_else(|| panic!("{run}"));
        assert!(repository().join(path).is_file(), "{path}");
    }
}

#[test]
fn arguments_are_split_and_never_expanded() {
    let given = "--suite quick\n  'one word $(touch expanded)' \"it's\" a\\ b * $HOME `id` ; ";
    let project = with_mcpgate("").env("MCPGATE_ARGS", given);
    step(&project, "measure").code(0);
    let directory = project.path("handover").display().to_string();
    assert_eq!(
        arguments(&project),
        [
            "compare",
            "--prepared",
            &directory,
            "--suite",
            "quick",
            "one word $(touch expanded)",
            "it's",
            "a b",
            "*",
            "$HOME",
            "`id`",
            ";",
        ]
    );
    assert!(!project.path("expanded").exists());

    let project = with_mcpgate("").env("MCPGATE_ARGS", "--suite 'quick");
    step(&project, "measure")
        .code(2)
        .stdout_has("::error title=mcpgate::args: a quote is not closed");
    assert!(!project.path("mcpgate.arguments").exists());

    let project = with_mcpgate("").env("MCPGATE_ARGS", " \n ");
    step(&project, "measure").code(0);
    assert_eq!(arguments(&project).len(), 3);

    let project = with_mcpgate("").env("MCPGATE_AGAINST", "$(id) a");
    step(&project, "measure").code(0);
    assert_eq!(arguments(&project)[3..], ["--against", "$(id) a"]);
}

#[test]
fn what_is_measured_gets_no_token_and_cannot_command_the_runner() {
    let secrets = [
        ("GITHUB_TOKEN", "secret-1"),
        ("GH_TOKEN", "secret-2"),
        ("ACTIONS_RUNTIME_TOKEN", "secret-3"),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret-4"),
    ];
    let files = [
        ("GITHUB_ENV", "file-1"),
        ("GITHUB_PATH", "file-2"),
        ("GITHUB_STATE", "file-3"),
        ("GITHUB_STEP_SUMMARY", "file-4"),
    ];
    let project = with_mcpgate("printf '::error::forged'; echo; printf '::set-output'; exit 3");
    let project = environment(environment(project, &secrets), &files).env("KEPT", "for-the-server");
    let outcome = step(&project, "measure").code(0);
    let environment = project.read("mcpgate.environment");
    for (name, value) in secrets.iter().chain(&files) {
        assert!(
            !environment.contains(name) && !environment.contains(value),
            "{name}"
        );
    }
    assert!(!environment.contains("GITHUB_OUTPUT="));
    assert!(environment.contains("KEPT=for-the-server"));

    // All that it prints stands between the two lines that a runner heeds.
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    let [first, middle @ .., last] = &lines[..] else {
        panic!("{outcome}");
    };
    let token = first.strip_prefix("::stop-commands::").expect("a stop");
    assert_eq!(*last, format!("::{token}::"));
    assert_eq!(token.len(), 32, "{token}");
    assert!(middle.contains(&"::error::forged") && middle.contains(&"::set-output"));
    assert!(!environment.contains(token));
    assert_eq!(project.read("outputs"), "exit-code=3\n");
}

#[test]
fn preparing_hands_over_a_folder_and_ends_as_mcpgate_does() {
    let project = with_mcpgate("exit 2")
        .env("GITHUB_TOKEN", "secret")
        .env("MCPGATE_CONFIG", "a b.toml")
        .file("server/.keep", "")
        .env("MCPGATE_WORKING_DIRECTORY", "server");
    step(&project, "prepare").code(2);
    let outputs = project.read("outputs");
    let folder = outputs.trim_end().strip_prefix("dir=").expect("an output");
    assert!(Path::new(folder).is_dir(), "{folder}");
    assert_eq!(
        arguments(&project),
        ["github", "prepare", "--dir", folder, "--config", "a b.toml"]
    );
    assert!(
        project
            .read("mcpgate.environment")
            .contains("GITHUB_TOKEN=secret")
    );

    let project = with_mcpgate("").env("MCPGATE_WORKING_DIRECTORY", "-nowhere");
    step(&project, "prepare")
        .code(2)
        .stdout_has("working-directory: there is no folder '-nowhere' in the checkout");
}

/// Inputs of the publishing step, and what it makes of them.
type Publishing = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

#[test]
fn each_mode_publishes_in_its_way() {
    let rows: [Publishing; 6] = [
        (
            &[
                ("MCPGATE_MODE", "gate"),
                ("MCPGATE_MEASURED_EXIT_CODE", "1"),
            ],
            &[
                "--comment",
                "auto",
                "--fail-on",
                "regression",
                "--measured-exit-code",
                "1",
            ],
        ),
        (
            // The measuring step itself broke.
            &[
                ("MCPGATE_MODE", "gate"),
                ("MCPGATE_FAIL_ON", "inconclusive"),
            ],
            &[
                "--comment",
                "auto",
                "--fail-on",
                "inconclusive",
                "--measured-exit-code",
                "3",
            ],
        ),
        (
            &[
                ("MCPGATE_MODE", "measure"),
                ("MCPGATE_MEASURED_EXIT_CODE", "0"),
            ],
            &[
                "--comment",
                "never",
                "--fail-on",
                "regression",
                "--measured-exit-code",
                "0",
            ],
        ),
        (
            &[
                ("MCPGATE_MODE", "publish"),
                ("MCPGATE_RESULTS", "mcpgate.toml"),
            ],
            &[
                "--results",
                "mcpgate.toml",
                "--comment",
                "auto",
                "--fail-on",
                "never",
            ],
        ),
        (
            &[
                ("MCPGATE_MODE", "publish"),
                ("MCPGATE_RESULTS", "absent.json"),
            ],
            &[
                "--results",
                "absent.json",
                "--comment",
                "auto",
                "--fail-on",
                "never",
                "--measured-exit-code",
                "3",
            ],
        ),
        (
            &[
                ("MCPGATE_MODE", "gate"),
                ("MCPGATE_MEASURED_EXIT_CODE", "0"),
                ("MCPGATE_COMMENT_KEY", "api"),
                ("MCPGATE_COMMENT_AUTHOR", "app[bot]"),
            ],
            &[
                "--comment",
                "auto",
                "--fail-on",
                "regression",
                "--measured-exit-code",
                "0",
                "--comment-key",
                "api",
                "--comment-author",
                "app[bot]",
            ],
        ),
    ];
    for (inputs, expected) in rows {
        let project = with_mcpgate("exit 4").file("mcpgate.toml", "");
        let defaults = [
            ("MCPGATE_MEASURED_EXIT_CODE", ""),
            ("MCPGATE_COMMENT", "auto"),
            ("MCPGATE_COMMENT_KEY", ""),
            ("MCPGATE_COMMENT_AUTHOR", ""),
            ("MCPGATE_FAIL_ON", ""),
            ("MCPGATE_RESULTS", ""),
        ];
        let project = environment(environment(project, &defaults), inputs);
        step(&project, "publish").code(4);
        assert_eq!(arguments(&project)[4..], *expected, "{inputs:?}");
    }
}

#[test]
fn a_pull_request_that_moved_on_gets_no_verdict() {
    let project = with_mcpgate("exit 1");
    fs::remove_file(project.path("handover/prepared.json")).expect("remove a file");
    step(&project, "publish")
        .code(0)
        .stdout_has("::notice title=mcpgate::there is nothing to publish");
    assert!(!project.path("mcpgate.arguments").exists());
}
