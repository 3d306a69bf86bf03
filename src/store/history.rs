//! The history file, to which several jobs may add at once.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, Instant},
};

use super::{follow_links, write_file};
use crate::{
    error::Error,
    history::{self, Added, Entry, History, MOST_BYTES},
};

/// How long another process may keep the file: it holds it for the time of one write.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Between two looks whether it is free.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Reads a history; `None` if there is no such file.
///
/// # Errors
/// [`Error::Usage`] when it cannot be read, is no plain file, or is larger than [`MOST_BYTES`].
/// Lines that say nothing are no error: see [`History::faults`].
pub fn read_history(path: &Path) -> Result<Option<History>, Error> {
    let read = || {
        let mut file = File::open(path)?;
        plain(&file)?;
        bytes_of(&mut file)
    };
    match read() {
        Ok(bytes) => Ok(Some(history::read(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::Usage(format!("{}: {error}", path.display()))),
    }
}

/// Adds runs to a history, making it where there is none, and tells how many were new. Processes
/// that do so at once wait for each other, and a reader sees whole runs: a line is written at once
/// and flushed to the disk, a file that is full is replaced.
///
/// # Errors
/// [`Error::NotDelivered`].
pub fn add_to_history(path: &Path, entries: &[Entry]) -> Result<usize, Error> {
    let mut new = 0;
    for entry in entries {
        let is_new = add(path, entry).map_err(|source| Error::NotDelivered {
            path: path.to_owned(),
            source,
        })?;
        new += usize::from(is_new);
    }
    Ok(new)
}

fn add(path: &Path, entry: &Entry) -> io::Result<bool> {
    // A lock is that of the file itself, and not of the link that leads to it.
    let target = follow_links(path)?;
    let until = Instant::now() + LONGEST_WAIT;
    let mut file = locked(&target, until)?;
    let existing = bytes_of(&mut file)?;
    match history::added(&existing, entry) {
        Added::Nothing => return Ok(false),
        Added::Behind(bytes) => {
            file.write_all(&bytes)?;
            file.sync_all()?;
        }
        Added::Instead(bytes) => write_file(&target, &bytes)?,
    }
    // Closing the file frees it.
    Ok(true)
}

/// The file at `path`, held by this process alone.
fn locked(path: &Path, until: Instant) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    loop {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        plain(&file)?;
        match file.try_lock() {
            // Who held it before may have put another file in its place.
            Ok(()) if is_still_there(&file, path)? => return Ok(file),
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if Instant::now() >= until {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!(
                    "another process has held it for {} s",
                    LONGEST_WAIT.as_secs()
                ),
            ));
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

fn is_still_there(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((held.dev(), held.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn plain(file: &File) -> io::Result<()> {
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if meta.is_file() {
        Ok(())
    } else {
        Err(io::Error::other("this is no plain file"))
    }
}

fn bytes_of(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MOST_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!(
                "larger than {} MiB: this cannot be a history",
                MOST_BYTES >> 20
            ),
        ));
    }
    Ok(bytes)
}
