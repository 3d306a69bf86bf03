//! The clone that is worked in: commits, merge bases, files at a commit, work trees.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Command,
    time::timeout,
};

use crate::process::output::printable;

/// How long a command that only reads the clone may take.
const LOCAL: Duration = Duration::from_secs(20);
/// How long fetching may take.
const FETCH: Duration = Duration::from_secs(120);
/// How long writing all files of a commit may take.
const CHECK_OUT: Duration = Duration::from_mins(5);
/// How long removing them may take.
const REMOVAL: Duration = Duration::from_mins(1);
/// Largest file that is read.
const LARGEST_FILE: u64 = crate::store::LARGEST_FILE;

/// Whether `text` can be the name of a commit: 40 or 64 hexadecimal digits.
#[must_use]
pub fn is_sha(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A work tree with its clone.
#[derive(Debug, Clone)]
pub struct Git {
    dir: PathBuf,
}

impl Git {
    /// The clone that `dir` lies in.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// The checked-out commit and its parents, which a shallow clone names as well, though it does
    /// not have them. `None` where there is no clone, or no commit.
    pub async fn head(&self) -> Option<(String, Vec<String>)> {
        let sha = self.sha(&["rev-parse", "--verify", "HEAD"]).await?;
        let commit = self.run(&["cat-file", "commit", &sha], LOCAL).await.ok()?;
        let parents = String::from_utf8_lossy(&commit)
            .lines()
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.strip_prefix("parent "))
            .filter(|parent| is_sha(parent))
            .map(str::to_owned)
            .collect();
        Some((sha, parents))
    }

    /// The commit that is checked out, with `-dirty` behind it where tracked files differ from it.
    /// `None` where there is no repository, no commit, or no `git`.
    pub async fn checked_out(&self) -> Option<String> {
        let head = self.sha(&["rev-parse", "--verify", "HEAD"]).await?;
        let diff = ["diff", "--quiet", "--no-ext-diff", "HEAD", "--"];
        let is_clean = self.run(&diff, LOCAL).await.is_ok();
        let dirty = if is_clean { "" } else { "-dirty" };
        Some(format!("{head}{dirty}"))
    }

    /// Whether the clone has this commit.
    pub async fn has(&self, sha: &str) -> bool {
        let commit = format!("{sha}^{{commit}}");
        self.run(&["cat-file", "-e", &commit], LOCAL).await.is_ok()
    }

    /// Gets a commit without its history.
    ///
    /// # Errors
    /// What `git` said.
    pub async fn fetch(&self, sha: &str) -> Result<(), String> {
        let fetch = ["fetch", "--quiet", "--no-tags", "--depth=1", "origin", sha];
        self.run(&fetch, FETCH).await.map(|_| ())
    }

    /// The newest commit that both have behind them, if the clone reaches back to it.
    pub async fn merge_base(&self, a: &str, b: &str) -> Option<String> {
        self.sha(&["merge-base", a, b]).await
    }

    /// A file of the work tree as it was at a commit; `None` if that commit has none there.
    ///
    /// # Errors
    /// In words: a path outside the repository, something that is no plain file, one too large.
    pub async fn file(&self, sha: &str, path: &str) -> Result<Option<Vec<u8>>, String> {
        let entry = self
            .run(&["ls-tree", "-z", sha, "--", path], LOCAL)
            .await
            .map_err(|problem| format!("{} at {sha}: {problem}", printable(path)))?;
        let entry = String::from_utf8_lossy(&entry);
        if entry.is_empty() {
            return Ok(None);
        }
        let mut fields = entry.split([' ', '\t']);
        match (fields.next(), fields.next(), fields.next()) {
            (Some("100644" | "100755"), Some("blob"), Some(blob)) if is_sha(blob) => {
                self.run(&["cat-file", "blob", blob], LOCAL).await.map(Some)
            }
            _ => Err(format!("{} is no plain file at {sha}", printable(path))),
        }
    }

    /// Where the working directory lies in the repository: empty, or ending in a slash.
    pub async fn prefix(&self) -> Option<String> {
        let prefix = self
            .run(&["rev-parse", "--show-prefix"], LOCAL)
            .await
            .ok()?;
        Some(
            String::from_utf8_lossy(&prefix)
                .trim_end_matches('\n')
                .to_owned(),
        )
    }

    /// The top of the work tree.
    ///
    /// # Errors
    /// What `git` said: there is no work tree, or no `git`.
    pub async fn top(&self) -> Result<PathBuf, String> {
        let said = self.run(&["rev-parse", "--show-toplevel"], LOCAL).await?;
        let path = String::from_utf8_lossy(&said);
        Ok(PathBuf::from(path.trim_end_matches('\n')))
    }

    /// The commit that a name stands for: a branch, a tag, a commit, also one that only `origin`
    /// has as a branch.
    pub async fn commit(&self, name: &str) -> Option<String> {
        for name in [name.to_owned(), format!("refs/remotes/origin/{name}")] {
            let commit = format!("{name}^{{commit}}");
            let words = ["rev-parse", "--verify", "--end-of-options", &commit];
            if let Some(sha) = self.sha(&words).await {
                return Some(sha);
            }
        }
        None
    }

    /// Whether `.gitignore` keeps a file of the work tree out of commits.
    pub async fn ignores(&self, path: &str) -> bool {
        let words = ["check-ignore", "--quiet", "--", path];
        self.run(&words, LOCAL).await.is_ok()
    }

    /// Whether a file of the work tree is under version control.
    pub async fn tracks(&self, path: &str) -> bool {
        let words = ["ls-files", "--error-unmatch", "--", path];
        self.run(&words, LOCAL).await.is_ok()
    }

    /// The branch that `origin` shows first, as a name that this clone knows.
    pub async fn default_branch(&self) -> Option<String> {
        for name in [
            "refs/remotes/origin/HEAD",
            "refs/remotes/origin/main",
            "refs/remotes/origin/master",
            "refs/heads/main",
            "refs/heads/master",
        ] {
            if self.has(name).await {
                return Some(name.to_owned());
            }
        }
        None
    }

    /// Writes all files of a commit into `dir`, as a work tree of this clone.
    ///
    /// # Errors
    /// What `git` said.
    pub async fn add_work_tree(&self, dir: &Path, sha: &str) -> Result<(), String> {
        let dir = dir.display().to_string();
        let add = [
            "worktree", "add", "--quiet", "--detach", "--force", &dir, sha,
        ];
        self.run(&add, CHECK_OUT).await.map(|_| ())
    }

    /// Makes the files in `dir`, which are those of commit `sha`, a work tree of this clone again, after
    /// it was forgotten. `beside`: a folder that is made and gone again.
    ///
    /// # Errors
    /// What `git` or the system said; the files are there as they were.
    pub async fn take_work_tree(&self, dir: &Path, sha: &str, beside: &Path) -> Result<(), String> {
        let [dir_text, beside_text] = [dir, beside].map(|path| path.display().to_string());
        // It may be one still, after a run that was killed.
        let here = Self::new(dir);
        if here.top().await.is_ok_and(|top| is_same(&top, dir)) {
            return Ok(());
        }
        // Twice: what a killed `add` left is locked.
        let add = [
            "worktree",
            "add",
            "--quiet",
            "--detach",
            "--force",
            "--force",
            "--no-checkout",
            &beside_text,
            sha,
        ];
        self.run(&add, CHECK_OUT).await?;
        let moved = move_link(beside, dir);
        moved.map_err(|error| format!("{dir_text}: {error}"))?;
        self.run(&["worktree", "repair", &dir_text], LOCAL).await?;
        // Its index is empty as yet.
        here.run(&["reset", "--quiet"], CHECK_OUT).await.map(|_| ())
    }

    async fn sha(&self, arguments: &[&str]) -> Option<String> {
        let said = self.run(arguments, LOCAL).await.ok()?;
        let sha = String::from_utf8_lossy(&said).trim().to_owned();
        is_sha(&sha).then_some(sha)
    }

    async fn run(&self, arguments: &[&str], patience: Duration) -> Result<Vec<u8>, String> {
        let name = arguments.first().copied().unwrap_or_default();
        let mut child = Command::new("git")
            .args(["-c", "core.quotepath=off", "--no-optional-locks"])
            .args(arguments)
            .current_dir(&self.dir)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            // The rights of a token are for requests of our own.
            .env_remove("GITHUB_TOKEN")
            // A hook is told by these which clone it belongs to; what is meant here is that of the folder.
            .env_remove("GIT_DIR")
            .env_remove("GIT_COMMON_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_INDEX_FILE")
            .env_remove("GIT_OBJECT_DIRECTORY")
            .env_remove("GIT_PREFIX")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("git cannot be run: {error}"))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let (output, said) =
                tokio::join!(bounded(stdout, LARGEST_FILE), bounded(stderr, 64 << 10));
            (child.wait().await, output, said)
        };
        let (status, output, said) = timeout(patience, work)
            .await
            .map_err(|_| format!("git {name} took longer than {} s", patience.as_secs()))?;
        match status {
            Ok(status) if status.success() => output
                .ok_or_else(|| format!("git {name} gave more than {} MiB", LARGEST_FILE >> 20)),
            Ok(_) | Err(_) => {
                let said = said.unwrap_or_default();
                let said: String = String::from_utf8_lossy(&said).chars().take(300).collect();
                Err(format!("git {name}: {}", printable(said.trim())))
            }
        }
    }
}

/// All that comes, or `None` if that is more than `limit` bytes; what is more is read and dropped,
/// so that the writer ends.
async fn bounded(source: Option<impl AsyncRead + Unpin>, limit: u64) -> Option<Vec<u8>> {
    let mut source = source?;
    let mut kept = Vec::new();
    (&mut source)
        .take(limit + 1)
        .read_to_end(&mut kept)
        .await
        .ok()?;
    tokio::io::copy(&mut source, &mut tokio::io::sink())
        .await
        .ok()?;
    (kept.len() as u64 <= limit).then_some(kept)
}

fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    whole(one).is_some_and(|one| Some(one) == whole(other))
}

/// What makes a folder a work tree is a file in it, which leads into the clone.
fn move_link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::rename(from.join(".git"), to.join(".git"))?;
    std::fs::remove_dir_all(from)
}

/// Forgets a work tree of the clone at `clone`, and removes its files if they are there. Blocks, for a
/// minute at most: it is for the end of a run, also one that is interrupted.
///
/// # Errors
/// What `git` said.
pub fn remove_work_tree(clone: &Path, dir: &Path) -> Result<(), String> {
    let git = Git::new(clone);
    let dir = dir.display().to_string();
    let forget = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("git cannot be run: {error}"))?;
        let remove = ["worktree", "remove", "--force", "--force", &dir];
        runtime.block_on(git.run(&remove, REMOVAL)).map(|_| ())
    };
    // On a thread of its own: one runtime cannot wait within another.
    std::thread::spawn(forget)
        .join()
        .unwrap_or_else(|_| Err("git worktree remove: it broke off".to_owned()))
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test: it changes files that git is asked of"
)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_commit_is_named_and_changes_are_said() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let clone = Git::new(dir);
        let git = |arguments: &[&str]| {
            let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
            let status = std::process::Command::new("git")
                .args(identity)
                .args([
                    "-c",
                    "commit.gpgsign=false",
                    "-c",
                    "core.hooksPath=/dev/null",
                ])
                .args(arguments)
                .current_dir(dir)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .env("GIT_CEILING_DIRECTORIES", dir)
                .status()
                .unwrap();
            assert!(status.success(), "{arguments:?}");
        };
        assert_eq!(clone.checked_out().await, None, "no repository");
        git(&["init", "--quiet"]);
        assert_eq!(clone.checked_out().await, None, "no commit");
        std::fs::write(dir.join("file"), "one").unwrap();
        git(&["add", "file"]);
        git(&["commit", "--quiet", "-m", "one"]);
        let clean = clone.checked_out().await.unwrap();
        assert!(clean.len() >= 40 && clean.bytes().all(|byte| byte.is_ascii_hexdigit()));
        std::fs::write(dir.join("untracked"), "results").unwrap();
        assert_eq!(clone.checked_out().await.as_ref(), Some(&clean));
        std::fs::write(dir.join("file"), "two").unwrap();
        assert_eq!(clone.checked_out().await, Some(format!("{clean}-dirty")));
        let gone = Git::new(&dir.join("gone"));
        assert_eq!(gone.checked_out().await, None);
    }
}
