//! The lines of a history file.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use serde::Deserialize;

use super::entry::{Entry, Machine, SCHEMA_VERSION};

/// Lines that a file keeps: the newest ones.
pub const MOST_LINES: usize = 1_000;
/// Bytes that a file may have; of more lines than fit, the newest are kept.
pub const MOST_BYTES: usize = 32 << 20;
/// Longest line: a suite of 300 tools has a third of it.
const MOST_LINE_BYTES: usize = 512 << 10;
/// Figures of more scenarios than this are none of a suite.
const MOST_SCENARIOS: usize = 10_000;

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The runs, oldest first, each once.
    pub entries: Vec<Entry>,
    /// Lines that say nothing, in order.
    pub faults: Vec<Fault>,
}

/// A line that was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Counts from 1.
    pub line: usize,
    /// Why, in words.
    pub problem: String,
}

/// Reads the bytes of a file. The order of its lines does not matter, nor whether a run stands
/// there twice, as after a merge.
#[must_use]
pub fn read(bytes: &[u8]) -> History {
    let mut faults = Vec::new();
    let mut timed: Vec<(Duration, Entry)> = Vec::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        match parse(line) {
            Ok(None) => {}
            Ok(Some(entry)) => timed.push(entry),
            Err(problem) => faults.push(Fault {
                line: index + 1,
                problem,
            }),
        }
    }
    timed.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut entries: Vec<Entry> = Vec::new();
    for (_, entry) in timed {
        // Sorted by all that tells runs apart, those of one run stand together.
        match entries.last_mut() {
            Some(last) if last.is_same_run(&entry) => *last = entry,
            _ => entries.push(entry),
        }
    }
    History { entries, faults }
}

/// All that tells runs apart, the time first.
fn key((at, entry): &(Duration, Entry)) -> (Duration, Option<&str>, u64, &Machine) {
    (*at, entry.commit.as_deref(), entry.seed, &entry.machine)
}

/// `None` for an empty line.
fn parse(line: &[u8]) -> Result<Option<(Duration, Entry)>, String> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    for marker in ["<<<<<<<", "|||||||", "=======", ">>>>>>>"] {
        if line.starts_with(marker.as_bytes()) {
            return Err(format!(
                "`{marker}` is left of a merge; with `history.jsonl merge=union` in .gitattributes no \
                 merge of it conflicts"
            ));
        }
    }
    if line.len() > MOST_LINE_BYTES {
        return Err(format!(
            "longer than {} KiB: no run of mcpgate",
            MOST_LINE_BYTES >> 10
        ));
    }
    if line.first() != Some(&b'{') {
        return Err("not the JSON of a run".to_owned());
    }
    #[derive(Deserialize)]
    struct Header {
        schema_version: u32,
    }
    let in_words = |error: &serde_json::Error| match error.classify() {
        serde_json::error::Category::Eof => {
            "it ends in the middle: a run was being written when something stopped it".to_owned()
        }
        _ => format!("not a run that this version can read: {error}"),
    };
    let header: Header = serde_json::from_slice(line).map_err(|error| in_words(&error))?;
    if header.schema_version != SCHEMA_VERSION {
        return Err(format!(
            "of schema {}, and this is mcpgate {}, schema {SCHEMA_VERSION}",
            header.schema_version,
            env!("CARGO_PKG_VERSION")
        ));
    }
    let entry: Entry = serde_json::from_slice(line).map_err(|error| in_words(&error))?;
    if entry.scenarios.len() > MOST_SCENARIOS {
        return Err(format!(
            "it has {} scenarios, which is more than any suite has",
            entry.scenarios.len()
        ));
    }
    let at = humantime::parse_rfc3339(&entry.at)
        .ok()
        .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok())
        .ok_or("its `at` is no time such as 2026-11-29T06:00:00Z")?;
    Ok(Some((at, entry)))
}

/// What is to be done to a file so that it has one more run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// Nothing: the run is there already.
    Nothing,
    /// These bytes go behind the last one.
    Behind(Vec<u8>),
    /// The file is full: these bytes take its place.
    Instead(Vec<u8>),
}

/// How `existing` comes to hold `entry`. Lines that are there stay as they are; once there are too
/// many, the oldest go, and with them those that say nothing.
#[must_use]
pub fn added(existing: &[u8], entry: &Entry) -> Added {
    all_added(existing, std::slice::from_ref(entry))
}

/// The same of several runs, oldest first, each of which may be there already.
#[must_use]
pub fn all_added(existing: &[u8], entries: &[Entry]) -> Added {
    let history = read(existing);
    let mut new: Vec<&Entry> = Vec::new();
    for entry in entries {
        let mut known = history.entries.iter().chain(new.iter().copied());
        if !known.any(|known| known.is_same_run(entry)) {
            new.push(entry);
        }
    }
    if new.is_empty() {
        return Added::Nothing;
    }
    let lines: String = new.iter().map(|entry| entry.to_line()).collect();
    let count = existing
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .count();
    if count + new.len() <= MOST_LINES && existing.len() + lines.len() < MOST_BYTES {
        // A last line without its break was cut off, and must not take this one with it.
        let lead = match existing.last() {
            None | Some(b'\n') => "",
            Some(_) => "\n",
        };
        return Added::Behind(format!("{lead}{lines}").into_bytes());
    }
    let joined = [existing, b"\n", lines.as_bytes()].concat();
    let mut kept: Vec<String> = Vec::new();
    let mut room = MOST_BYTES.saturating_sub(1);
    for line in read(&joined)
        .entries
        .iter()
        .rev()
        .map(Entry::to_line)
        .take(MOST_LINES)
    {
        let Some(left) = room.checked_sub(line.len()) else {
            break;
        };
        room = left;
        kept.push(line);
    }
    kept.reverse();
    Added::Instead(kept.concat().into_bytes())
}

impl History {
    /// The commits of its runs, without repetition.
    #[must_use]
    pub fn commits(&self) -> usize {
        let commits = self.entries.iter().filter_map(|e| e.commit.as_deref());
        commits.collect::<BTreeSet<_>>().len()
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
