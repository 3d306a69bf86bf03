//! The files of another commit, built: in a work tree of their own, gone after the run.
//!
//! What was built is kept in the user's cache, by repository, commit and build command, so that the
//! next comparison with the same commit need not build it again.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{
    environment,
    error::Error,
    git::{self, Git},
};

/// Builds that are kept.
const MOST_KEPT: usize = 4;
/// Folder of the cache.
const FOLDER: &str = "mcpgate/base";
/// Beside a tree: it is whole and built.
const BUILT: &str = "built";
const TREE: &str = "tree";
/// A work tree that lends [`TREE`] its link into the clone.
const BESIDE: &str = "beside";

/// A work tree of a commit. Dropping it makes the clone forget it, and removes its files unless they
/// are a finished build.
#[derive(Debug)]
pub(super) struct BaseTree {
    clone: PathBuf,
    /// Holds the tree and what is known of it.
    home: PathBuf,
    /// Whether its build is to be found again.
    is_kept: bool,
    is_registered: bool,
    /// Held as long as the tree is used: no other mcpgate touches it.
    _lock: File,
    _temporary: Option<tempfile::TempDir>,
}

impl BaseTree {
    /// Writes the files of commit `sha` of the clone at `clone`; those of an earlier run if the same was
    /// done to them already. `made_by`: all that a build depends on besides the commit, where there is
    /// one: of two servers in one repository, each has its own.
    ///
    /// # Errors
    /// [`Error::NotMeasured`]: what the system or `git` said.
    pub(super) async fn of(clone: &Path, sha: &str, made_by: Option<&str>) -> Result<Self, Error> {
        let cache = environment::cache_folder().map(|cache| cache.join(FOLDER));
        // Also for what is not kept: here the next run finds what a killed one left.
        let own = cache.and_then(|cache| {
            let home = cache.join(key(clone, sha, made_by.unwrap_or_default()));
            let lock = lock(&home).ok()??;
            make_room(clone, &cache, &home);
            Some((home, lock))
        });
        let mut tree = match own {
            Some((home, lock)) => Self {
                clone: clone.to_owned(),
                home,
                is_kept: made_by.is_some(),
                is_registered: false,
                _lock: lock,
                _temporary: None,
            },
            None => Self::temporary(clone).map_err(|error| {
                Error::NotMeasured(format!("no temporary folder can be made: {error}"))
            })?,
        };
        if tree.is_built() {
            touch(&tree.home.join(BUILT));
            // A server may ask git what it is; one that does not can do without.
            let beside = tree.home.join(BESIDE);
            let _ = git::remove_work_tree(clone, &beside);
            remove(&beside);
            // Also if this is interrupted.
            tree.is_registered = true;
            let git = Git::new(clone);
            let _ = git.take_work_tree(&tree.path(), sha, &beside).await;
            return Ok(tree);
        }
        // What a killed run left.
        let _ = git::remove_work_tree(clone, &tree.path());
        remove(&tree.path());
        tree.is_registered = true;
        Git::new(clone)
            .add_work_tree(&tree.path(), sha)
            .await
            .map_err(|problem| {
                Error::NotMeasured(format!("the files of {sha} cannot be written: {problem}"))
            })?;
        Ok(tree)
    }

    fn temporary(clone: &Path) -> std::io::Result<Self> {
        let temporary = tempfile::Builder::new().prefix("mcpgate-").tempdir()?;
        let home = temporary.path().to_owned();
        let lock = lock(&home)?.ok_or(std::io::ErrorKind::WouldBlock)?;
        Ok(Self {
            clone: clone.to_owned(),
            home,
            is_kept: false,
            is_registered: false,
            _lock: lock,
            _temporary: Some(temporary),
        })
    }

    /// The top of the tree.
    pub(super) fn path(&self) -> PathBuf {
        self.home.join(TREE)
    }

    /// Whether an earlier run built it.
    pub(super) fn is_built(&self) -> bool {
        self.is_kept && self.home.join(BUILT).is_file() && self.path().is_dir()
    }

    /// Says that the build has succeeded.
    pub(super) fn built(&self) {
        if self.is_kept {
            touch(&self.home.join(BUILT));
        }
    }
}

impl Drop for BaseTree {
    fn drop(&mut self) {
        let tree = self.path();
        if !self.is_built() {
            if self.is_registered {
                let _ = git::remove_work_tree(&self.clone, &tree);
            }
            // Also where `git` could not.
            remove(&self.home);
        } else if self.is_registered {
            // Git forgets a work tree whose files are gone, and here they are to stay.
            let beside = self.home.join(BESIDE);
            if beside.exists() {
                let _ = git::remove_work_tree(&self.clone, &beside);
                remove(&beside);
            }
            let aside = self.home.join("aside");
            remove(&aside);
            if rename(&tree, &aside) {
                let _ = git::remove_work_tree(&self.clone, &tree);
                let _ = rename(&aside, &tree);
            }
        }
    }
}

fn key(clone: &Path, sha: &str, build: &str) -> String {
    let mut hash = Sha256::new();
    for part in [clone.as_os_str().as_encoded_bytes(), build.as_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = base16(&hash.finalize());
    let short = |text: &str| text.get(..16).unwrap_or_default().to_owned();
    format!("{}-{}", short(sha), short(&hash))
}

fn base16(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Removes what was used longest ago, but nothing that is in use.
fn make_room(clone: &Path, cache: &Path, but: &Path) {
    let mut homes: Vec<_> = folders(cache)
        .into_iter()
        .filter(|home| home != but)
        .map(|home| (modified(&home.join(BUILT)), home))
        .collect();
    homes.sort();
    // What was never built is no build to keep.
    let unfinished = homes.iter().filter(|(built, _)| built.is_none()).count();
    let excess = homes.len().saturating_sub(MOST_KEPT - 1).max(unfinished);
    for (_, home) in homes.into_iter().take(excess) {
        if let Ok(Some(_lock)) = lock(&home) {
            // Where it is one of this clone; another clone's is told at its own next turn.
            let _ = git::remove_work_tree(clone, &home.join(TREE));
            remove(&home);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the cache of built trees")]
mod files {
    use super::{File, Path, PathBuf, TryLockError};
    use std::{fs, time::SystemTime};

    /// `None` where another process has it.
    pub(super) fn lock(home: &Path) -> std::io::Result<Option<File>> {
        fs::create_dir_all(home)?;
        let file = File::create(home.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn touch(file: &Path) {
        let _ = fs::write(file, b"");
    }

    pub(super) fn remove(dir: &Path) {
        let _ = fs::remove_dir_all(dir);
    }

    pub(super) fn rename(from: &Path, to: &Path) -> bool {
        fs::rename(from, to).is_ok()
    }

    pub(super) fn modified(file: &Path) -> Option<SystemTime> {
        fs::metadata(file).and_then(|file| file.modified()).ok()
    }

    pub(super) fn folders(dir: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
            .collect()
    }
}
use files::{folders, lock, modified, remove, rename, touch};
