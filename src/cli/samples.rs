//! `--samples`: every single latency in a file of its own.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{error::Error, runner::event::Latencies, store};

/// A samples file: one JSON object a line, of whole rounds only.
pub(super) struct Samples {
    path: PathBuf,
    /// Lines of the round that is being measured.
    lines: Vec<u8>,
    /// Whether the file is this run's already.
    is_begun: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    /// Which of two servers that are measured in turn; absent where there is one.
    #[serde(skip_serializing_if = "str::is_empty")]
    arm: &'a str,
    #[serde(flatten)]
    latencies: &'a Latencies<'a>,
}

impl Samples {
    /// So that a path that cannot be written is known before the run. What an earlier run left
    /// there stays until this one has something to put in its place.
    pub(super) fn create(path: &Path, output: &Path) -> Result<Self, Error> {
        if path == output {
            let path = path.display();
            return Err(Error::Usage(format!(
                "--samples and --output both name {path}: give the samples a file of their own"
            )));
        }
        if path.exists() {
            store::append(path, b"")?;
        } else {
            store::write_atomic(path, b"")?;
        }
        Ok(Self {
            path: path.to_owned(),
            lines: Vec::new(),
            is_begun: false,
        })
    }

    /// Takes a scenario's latencies.
    pub(super) fn add(&mut self, arm: &str, latencies: &Latencies<'_>) {
        let line = Line { arm, latencies };
        let before = self.lines.len();
        // Numbers and names always become JSON, and a vector takes everything.
        if serde_json::to_writer(&mut self.lines, &line).is_err() {
            self.lines.truncate(before);
            return;
        }
        self.lines.push(b'\n');
    }

    /// Writes what was taken if its round is among the results, and forgets it otherwise.
    pub(super) fn keep(&mut self, is_whole: bool) -> Result<(), Error> {
        let lines = std::mem::take(&mut self.lines);
        if !is_whole {
            return Ok(());
        }
        if self.is_begun {
            return store::append(&self.path, &lines);
        }
        self.is_begun = true;
        store::write_atomic(&self.path, &lines)
    }
}
