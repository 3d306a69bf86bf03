//! `--samples`: every single latency in a file of its own.

use std::path::{Path, PathBuf};

use crate::{error::Error, runner::event::Latencies, store};

/// A samples file: one JSON object a line, of whole rounds only.
pub(super) struct Samples {
    path: PathBuf,
    /// Lines of the round that is being measured.
    lines: Vec<u8>,
}

impl Samples {
    /// Begins an empty file, so that a path that cannot be written is known before the run.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        store::write_atomic(path, b"")?;
        Ok(Self {
            path: path.to_owned(),
            lines: Vec::new(),
        })
    }

    /// Takes a scenario's latencies.
    pub(super) fn add(&mut self, latencies: &Latencies<'_>) {
        let before = self.lines.len();
        // Numbers and names always become JSON, and a vector takes everything.
        if serde_json::to_writer(&mut self.lines, latencies).is_err() {
            self.lines.truncate(before);
            return;
        }
        self.lines.push(b'\n');
    }

    /// Writes what was taken if its round is among the results, and forgets it otherwise.
    pub(super) fn keep(&mut self, is_whole: bool) -> Result<(), Error> {
        let lines = std::mem::take(&mut self.lines);
        if is_whole {
            store::append(&self.path, &lines)?;
        }
        Ok(())
    }
}
