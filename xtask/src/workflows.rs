//! Linting of the action, the workflows and the shell scripts; without the network.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Failure, shell};

/// Workflows that run here, and those that users copy.
const WORKFLOWS: &[&str] = &[".github/workflows", "examples/workflows"];

/// Checks all of them; `tools` is where the linters are. Stops at the first that fails.
pub(crate) fn lint(root: &Path, tools: &Path) -> Result<(), Failure> {
    let mut workflows = Vec::new();
    for folder in WORKFLOWS {
        workflows.extend(files(root, folder, "yml")?);
    }
    let mut scripts = files(root, "action", "sh")?;
    scripts.push(".ci/run".into());

    // actionlint runs shellcheck on each `run` if it finds it.
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(
        [tools.to_path_buf()]
            .into_iter()
            .chain(env::split_paths(&path)),
    )
    .map_err(|error| format!("{}: {error}", tools.display()))?;
    let tool = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(tools.join(name));
        command.args(arguments).env("PATH", &path);
        command
    };
    shell::run(
        root,
        tool("shellcheck", &["--external-sources"]).args(&scripts),
    )?;
    shell::run(root, tool("actionlint", &[]).args(&workflows))?;
    shell::run(
        root,
        &mut tool(
            "check-jsonschema",
            &["--builtin-schema", "vendor.github-actions", "action.yml"],
        ),
    )?;
    shell::run(
        root,
        tool(
            "check-jsonschema",
            &["--builtin-schema", "vendor.github-workflows"],
        )
        .args(&workflows),
    )?;
    // Without strict collection a file that cannot be read is a warning.
    shell::run(
        root,
        tool(
            "zizmor",
            &[
                "--offline",
                "--no-progress",
                "--strict-collection",
                "--config",
                ".github/zizmor.yml",
                "action.yml",
            ],
        )
        .args(&workflows),
    )
}

/// Files of a folder with an extension, in order, relative to the root. None is a mistake.
fn files(root: &Path, folder: &str, extension: &str) -> Result<Vec<PathBuf>, Failure> {
    let told = |error: std::io::Error| format!("{folder}: {error}");
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(folder)).map_err(told)? {
        let path = Path::new(folder).join(entry.map_err(told)?.file_name());
        if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(format!("{folder}: no *.{extension} in it"));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_extension_in_order() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        for name in ["c.yml", "b.yml", "d.md", "yml"] {
            fs::write(root.path().join("a").join(name), "").unwrap();
        }
        let found = files(root.path(), "a", "yml").unwrap();
        assert_eq!(found, [Path::new("a/b.yml"), Path::new("a/c.yml")]);
        let message = files(root.path(), "a", "sh").unwrap_err();
        assert_eq!(message, "a: no *.sh in it");
        assert!(
            files(root.path(), "b", "sh")
                .unwrap_err()
                .starts_with("b: ")
        );
    }
}
