//! A job as a runner runs it: a workflow of `examples/workflows` and this repository's action, by
//! `act`, on this machine.
//!
//! What stands in for GitHub: its API is [`Hub`]; for `actions/checkout` act copies the project;
//! artifacts go to a folder by two actions of our own.
#![expect(clippy::disallowed_methods, reason = "a test harness: it makes files")]

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use super::hub::{Hub, TOKEN};
use crate::{
    harness::{Outcome, Project, repository},
    reference::MCPGATE,
};

/// The program, as `cargo xtask setup` installs it.
const ACT: &str = "target/tools/workflow-tools/bin/act";
/// How the examples name the action.
const ACTION: &str = "OWNER/mcpgate@v1";

const UPLOAD: &str = "\
name: upload
inputs:
  name: { default: '' }
  path: { default: '' }
  if-no-files-found: { default: '' }
  retention-days: { default: '' }
runs:
  using: composite
  steps:
    - shell: bash
      env: { FROM: '${{ inputs.path }}', NAME: '${{ inputs.name }}' }
      run: mkdir -p \"$ARTIFACTS/$NAME\" && echo \"$FROM\" | while IFS= read -r path; do test -z \"$path\" || cp \"$path\" \"$ARTIFACTS/$NAME/\"; done
";

const DOWNLOAD: &str = "\
name: download
inputs:
  name: { default: '' }
  path: { default: '' }
  run-id: { default: '' }
  github-token: { default: '' }
runs:
  using: composite
  steps:
    - shell: bash
      env: { TO: '${{ inputs.path }}', NAME: '${{ inputs.name }}' }
      run: mkdir -p \"$TO\" && cp \"$ARTIFACTS/$NAME/\"* \"$TO/\"
";

/// A workflow as users copy it, but for where mcpgate comes from: it is the one under test.
fn example(name: &str, inputs: &[(&str, &str)]) -> String {
    let path = repository().join("examples/workflows").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut lines = text.lines().peekable();
    let mut changed = String::new();
    let mut found = 0;
    while let Some(line) = lines.next() {
        changed.push_str(line);
        changed.push('\n');
        let Some(before) = line.strip_suffix(&format!("uses: {ACTION}")) else {
            continue;
        };
        found += 1;
        let indent = " ".repeat(before.len());
        let _ = lines.next_if(|next| next.trim() == "with:");
        changed.push_str(&format!("{indent}with:\n{indent}  install: path\n"));
        for (name, value) in inputs {
            changed.push_str(&format!("{indent}  {name}: {value}\n"));
        }
    }
    assert_eq!(found, 1, "{name} uses {ACTION}");
    changed
}

/// The actions that a workflow uses besides mcpgate: `OWNER/NAME@SHA`.
fn used(workflow: &str) -> impl Iterator<Item = &str> {
    workflow
        .lines()
        .filter_map(|line| line.split_once("uses: "))
        .filter_map(|(_, action)| action.split_whitespace().next())
}

/// The action alone: act copies the whole of what it is given, and the work tree may hold gigabytes
/// of build output.
fn copy_action(to: &Path) {
    let from = repository();
    fs::create_dir_all(to.join("action")).expect("make a folder");
    for file in ["action.yml", "Cargo.toml"] {
        fs::copy(from.join(file), to.join(file)).expect("copy a file of the action");
    }
    for script in fs::read_dir(from.join("action")).expect("list the scripts") {
        let name = script.expect("a script").file_name();
        let path = Path::new("action").join(name);
        fs::copy(from.join(&path), to.join(&path)).expect("copy a script");
    }
}

/// The machine of a repository's jobs, and the GitHub that it asks.
pub(super) struct Runner {
    pub(super) hub: Hub,
    /// Beside the checkout, which is copied for each run.
    folder: TempDir,
}

/// What a run is told.
pub(super) struct Run<'a> {
    /// Name of the event; its payload is the project's `event.json`.
    pub(super) event: &'a str,
    /// Number of the run.
    pub(super) number: u64,
    /// A file of `examples/workflows`.
    pub(super) workflow: &'a str,
    /// Inputs of the action besides those of the workflow.
    pub(super) inputs: &'a [(&'a str, &'a str)],
    /// The folder of the checkout, in the project.
    pub(super) checkout: &'a str,
}

/// What came of a run.
#[derive(Debug)]
pub(super) struct Job {
    outcome: Outcome,
    lines: Vec<Value>,
}

impl Runner {
    pub(super) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("mcpgate-runner-")
            .tempdir()
            .expect("make a folder");
        for (name, text) in [("upload", UPLOAD), ("download", DOWNLOAD)] {
            fs::create_dir(folder.path().join(name)).expect("make a folder");
            fs::write(folder.path().join(name).join("action.yml"), text).expect("write an action");
        }
        fs::create_dir(folder.path().join("home")).expect("make a folder");
        copy_action(&folder.path().join("mcpgate"));
        Self {
            hub: Hub::new(),
            folder,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A file that a job left in its home.
    #[track_caller]
    pub(super) fn left_at_home(&self, name: &str) -> String {
        let path = self.path(&format!("home/{name}"));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Takes away what jobs have uploaded.
    pub(super) fn lose_artifacts(&self) {
        fs::remove_dir_all(self.path("artifacts")).expect("remove the artifacts");
    }

    /// Runs a workflow to its end.
    #[track_caller]
    pub(super) fn run(&self, project: Project, run: &Run<'_>) -> (Project, Job) {
        let workflow = example(run.workflow, run.inputs);
        let workflow_path = self.path("workflow.yml");
        fs::write(&workflow_path, &workflow).expect("write the workflow");
        let bin = Path::new(MCPGATE).parent().expect("the binary's folder");
        let search = std::env::var("PATH").unwrap_or_default();
        let home = self.path("home");
        let project = project
            .env("PATH", &format!("{}:{search}", bin.display()))
            .env("HOME", &home)
            .env("XDG_CACHE_HOME", &self.path("cache"))
            .env("XDG_CONFIG_HOME", &self.path("config"));
        let mut words = vec![
            run.event.to_owned(),
            "--json".to_owned(),
            "--no-cache-server".to_owned(),
            "--platform=ubuntu-latest=-self-hosted".to_owned(),
            format!("--directory={}", project.path(run.checkout).display()),
            format!("--workflows={workflow_path}"),
            format!("--eventpath={}", project.path("event.json").display()),
            format!("--secret=GITHUB_TOKEN={TOKEN}"),
            format!("--env=GITHUB_API_URL={}", self.hub.url()),
            format!("--env=GITHUB_RUN_ID={}", run.number),
            format!("--env=ARTIFACTS={}", self.path("artifacts")),
            "--env=NO_PROXY=127.0.0.1".to_owned(),
            format!("--local-repository={ACTION}={}", self.path("mcpgate")),
        ];
        for action in used(&workflow) {
            for name in ["upload", "download"] {
                if action.starts_with(&format!("actions/{name}-artifact@")) {
                    words.push(format!("--local-repository={action}={}", self.path(name)));
                }
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let act = repository().join(ACT).display().to_string();
        let outcome = project.run_other(&act, &words);
        let lines = outcome
            .stdout
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        (project, Job { outcome, lines })
    }
}

impl Job {
    /// Demands that the job was green.
    #[track_caller]
    pub(super) fn green(self) -> Self {
        Self {
            outcome: self.outcome.code(0),
            ..self
        }
    }

    /// Demands that the job was red.
    #[track_caller]
    pub(super) fn red(self) -> Self {
        Self {
            outcome: self.outcome.code(1),
            ..self
        }
    }

    /// Workflow commands of a kind that the runner heeded.
    fn commands(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.lines
            .iter()
            .filter(move |line| line["command"] == kind)
    }

    /// An output of the publishing step.
    #[track_caller]
    pub(super) fn output(&self, name: &str) -> String {
        let found = self
            .commands("set-output")
            .filter(|line| line["name"] == name);
        let Some(line) = found.last() else {
            panic!("no output {name}\n{}", self.outcome);
        };
        line["arg"].as_str().unwrap_or_default().to_owned()
    }

    /// Annotations with their places: `LEVEL FILE:LINE TITLE: MESSAGE`.
    pub(super) fn annotations(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        ["error", "warning", "notice"]
            .into_iter()
            .flat_map(|level| self.commands(level).map(move |line| (level, line)))
            .map(|(level, line)| {
                let pairs = &line["kvPairs"];
                let place = format!("{}:{}", text(&pairs["file"]), text(&pairs["line"]));
                format!(
                    "{level} {place} {}: {}",
                    text(&pairs["title"]),
                    text(&line["arg"])
                )
            })
            .collect()
    }

    /// The job's summary.
    pub(super) fn summary(&self) -> String {
        self.commands("summary")
            .filter_map(|line| line["content"].as_str())
            .collect()
    }

    /// Whether there was a workflow command that begins so and that the runner did not heed.
    pub(super) fn ignored(&self, text: &str) -> bool {
        self.commands("ignored")
            .filter_map(|line| line["raw"].as_str())
            .any(|raw| raw.starts_with(text))
    }

    /// The log.
    pub(super) fn log(&self) -> &str {
        &self.outcome.stdout
    }
}
