//! The history beside the baseline.

use std::path::{Path, PathBuf};

use super::{files, options};
use crate::{
    error::Error,
    gate::SERVER,
    history::{self, SlowDrift},
    results::Results,
    store,
    suite::GateConfig,
};

/// The usual history; of a baseline with a name of its own, a history with that name.
pub(super) fn beside(baseline: &Path) -> PathBuf {
    files::beside(baseline, "history.jsonl", ".history.jsonl")
}

/// Adds the runs of `results` to the history, and says so.
pub(super) fn record(path: &Path, results: &Results) -> Result<(), Error> {
    let entries = history::entries_of(results);
    let new = store::add_to_history(path, &entries)?;
    let path = path.display();
    options::say(&match (entries.len(), new) {
        (0, _) => format!(
            "nothing goes into {path}: the run is incomplete, or measured nothing but loads"
        ),
        (_, 0) => format!("{path} has this run already"),
        (_, 1) => format!("{path} has one run more: commit it, too"),
        (_, new) => format!("{path} has {new} runs more: commit it, too"),
    });
    Ok(())
}

/// What drifts slowly up to `results`; nothing where there is no history, or it cannot be read, which
/// is said: no verdict depends on it.
pub(super) fn slow_drifts(path: &Path, results: &Results, policy: &GateConfig) -> Vec<SlowDrift> {
    let history = match store::read_history(path) {
        Ok(Some(history)) => history,
        Ok(None) => return Vec::new(),
        Err(error) => {
            options::say(&format!("note: the history is left out: {error}"));
            return Vec::new();
        }
    };
    let mut now = history::entries_of(results);
    // A run that was cut short, or in which nothing of the server was told, is no point.
    now.retain(|entry| entry.scenarios.keys().any(|name| name != SERVER));
    match now.last() {
        Some(now) => history::slow_drifts(&history.entries, now, policy),
        None => Vec::new(),
    }
}
