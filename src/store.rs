//! Reading and atomically writing files.
#![expect(
    clippy::disallowed_methods,
    reason = "the room that reads and writes files"
)]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs::{File, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    error::Error,
    process::output::printable,
    results::{Calibration, Results, SCHEMA_VERSION},
};

mod history;

pub use history::{add_to_history, read_history};

/// Largest results file that is read.
pub const LARGEST_FILE: u64 = 64 << 20;

/// No file has more scenarios, nor more scenarios times rounds: each is looked up in each, so a
/// small file could keep the gate busy for hours. A suite of 300 tools in 10 jobs has a fiftieth.
const MOST_SCENARIOS: usize = 10_000;
const MOST_SCENARIO_ROUNDS: usize = 10_000_000;

/// Lists whose elements are one line each, so that a baseline's diff can be read in review.
const ONE_LINE_EACH: [&str; 4] = ["rounds", "soaks", "stages", "figures"];

/// Reads a results or baseline file.
///
/// # Errors
/// [`Error::ResultsFile`] when it is missing, too large, not JSON, not a results file, or of
/// another schema version; the text says which and what to do.
pub fn read_results(path: &Path) -> Result<Results, Error> {
    let refuse = |problem: String| Error::ResultsFile {
        path: path.to_owned(),
        problem,
    };
    let bytes = read_bounded(path, LARGEST_FILE).map_err(|error| refuse(unreadable(&error)))?;
    parse_results(&bytes).map_err(refuse)
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such file; `mcpgate run` writes results, `mcpgate baseline update` a \
             baseline"
                .to_owned()
        }
        io::ErrorKind::IsADirectory => "this is a directory; name the file in it".to_owned(),
        io::ErrorKind::FileTooLarge => format!(
            "larger than {} MiB: this cannot be a results file",
            LARGEST_FILE >> 20
        ),
        _ => format!("cannot be read: {error}"),
    }
}

/// Reads a calibration; `None` if there is no such file.
///
/// # Errors
/// [`Error::ResultsFile`] as [`read_results`].
pub fn read_calibration(path: &Path) -> Result<Option<Calibration>, Error> {
    let refuse = |problem: String| Error::ResultsFile {
        path: path.to_owned(),
        problem,
    };
    let bytes = match read_bounded(path, LARGEST_FILE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refuse(unreadable(&error))),
    };
    let calibration: Calibration = serde_json::from_slice(&bytes).map_err(|error| {
        refuse(format!(
            "not a calibration that this version can read: {}; `mcpgate calibrate` writes a new one \
             once this is gone",
            printable(&error.to_string())
        ))
    })?;
    if calibration.schema_version != SCHEMA_VERSION {
        return Err(refuse(format!(
            "it is of schema {}, and this is mcpgate {}, schema {SCHEMA_VERSION}",
            calibration.schema_version,
            env!("CARGO_PKG_VERSION")
        )));
    }
    Ok(Some(calibration))
}

/// A calibration as stable text: keys sorted, one figure a line.
#[must_use]
pub fn calibration_text(calibration: &Calibration) -> String {
    stable_text(calibration)
}

/// Writes a calibration, atomically.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_calibration(path: &Path, calibration: &Calibration) -> Result<(), Error> {
    write_atomic(path, calibration_text(calibration).as_bytes())
}

/// Reads a text file; `None` if there is no such file.
///
/// # Errors
/// [`Error::Usage`] when it cannot be read, is larger than [`LARGEST_FILE`], or is not UTF-8.
pub fn read_text(path: &Path) -> Result<Option<String>, Error> {
    let refuse = |problem: String| Error::Usage(format!("{}: {problem}", path.display()));
    match read_bounded(path, LARGEST_FILE) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| refuse("this is not UTF-8 text".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refuse(unreadable(&error))),
    }
}

/// Reads the text of a file of rows, of at most `limit` bytes.
///
/// # Errors
/// Why it cannot be read, in words.
pub fn read_rows(path: &Path, limit: u64) -> Result<String, String> {
    let bytes = read_bounded(path, limit).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => format!("it is larger than {} MiB", limit >> 20),
        io::ErrorKind::NotFound => format!("there is no {}", path.display()),
        _ => error.to_string(),
    })?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// What every version of the schema has.
#[derive(Deserialize)]
struct Header {
    schema_version: Option<Value>,
    mcpgate_version: Option<Value>,
}

/// Reads results from text, as [`read_results`] does from a file.
///
/// # Errors
/// In words.
pub fn parse_results(bytes: &[u8]) -> Result<Results, String> {
    let Some(first) = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) else {
        return Err("the file is empty".to_owned());
    };
    let mut lines = bytes.split(|byte| *byte == b'\n');
    if lines.any(|line| line.starts_with(b"<<<<<<< ")) {
        return Err(
            "a merge left its markers in it: take one side whole (`git checkout --theirs` or \
             `--ours`), or measure anew: `mcpgate run`, then `mcpgate baseline update --force`"
                .to_owned(),
        );
    }
    let header: Header = match serde_json::from_slice(bytes) {
        Err(error) if !error.is_data() => return Err(format!("not JSON: {error}")),
        // A list can be read as a record, too.
        Ok(header) if *first == b'{' => header,
        Ok(_) | Err(_) => return Err("this is JSON, but not a results file of mcpgate".to_owned()),
    };
    let writer = match &header.mcpgate_version {
        Some(Value::String(version)) => {
            let version: String = version.chars().take(40).collect();
            format!("mcpgate {}", printable(&version))
        }
        _ => "an unknown version of mcpgate".to_owned(),
    };
    let this = format!(
        "this is mcpgate {}, schema {SCHEMA_VERSION}",
        env!("CARGO_PKG_VERSION")
    );
    match header.schema_version.as_ref().map(Value::as_u64) {
        None => {
            return Err(
                "this is JSON, but not a results file of mcpgate: it has no \
                            `schema_version`"
                    .to_owned(),
            );
        }
        Some(Some(version)) if version == u64::from(SCHEMA_VERSION) => {}
        Some(Some(version)) if version > u64::from(SCHEMA_VERSION) => {
            return Err(format!(
                "written by {writer}, schema {version}; {this}: update mcpgate"
            ));
        }
        Some(_) => {
            return Err(format!(
                "its `schema_version` is none that ever was; {this}: write the file again with \
                 `mcpgate run` or `mcpgate baseline update`"
            ));
        }
    }
    let results: Results = serde_json::from_slice(bytes).map_err(|error| {
        let error: String = printable(&error.to_string()).chars().take(400).collect();
        format!("not a results file that this version can read (written by {writer}): {error}")
    })?;
    let scenarios = results.suite.scenarios.len();
    let rounds = results
        .jobs
        .iter()
        .map(|j| j.rounds.len() + j.soaks.len() + j.loads.len());
    let rounds: usize = rounds.sum();
    if scenarios > MOST_SCENARIOS || scenarios.saturating_mul(rounds) > MOST_SCENARIO_ROUNDS {
        return Err(format!(
            "it declares {scenarios} scenarios in {rounds} rounds, soaks and loads, which is more than any \
             suite has: was it made by mcpgate?"
        ));
    }
    Ok(results)
}

/// The results as stable text: keys sorted, one round or soak a line. Equal results give equal
/// text, and reading it gives equal results (numbers that JSON cannot say, which nothing here
/// produces, become absent).
#[must_use]
pub fn to_stable_text(results: &Results) -> String {
    stable_text(results)
}

fn stable_text(file: &impl serde::Serialize) -> String {
    let mut text = String::new();
    // Types whose keys are strings always become a value.
    let value = serde_json::to_value(file).unwrap_or(Value::Null);
    write_value(&mut text, &value, Layout::Lines(0));
    text.push('\n');
    text
}

#[derive(Clone, Copy)]
enum Layout {
    /// One entry a line, at this depth.
    Lines(usize),
    /// Everything on this line.
    OneLine,
}

impl Layout {
    fn deeper(self) -> Self {
        match self {
            Self::Lines(depth) => Self::Lines(depth + 1),
            Self::OneLine => Self::OneLine,
        }
    }

    fn break_line(self, text: &mut String) {
        if let Self::Lines(depth) = self {
            text.push('\n');
            text.extend(std::iter::repeat_n("  ", depth));
        }
    }

    fn after_comma(self) -> &'static str {
        match self {
            Self::Lines(_) => "",
            Self::OneLine => " ",
        }
    }
}

fn write_value(text: &mut String, value: &Value, layout: Layout) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            let mut sorted: Vec<(&String, &Value)> = entries.iter().collect();
            sorted.sort_unstable_by_key(|(key, _)| *key);
            write_list(text, ('{', '}'), layout, sorted, |text, (key, value)| {
                write_scalar(text, &Value::String(key.clone()));
                text.push_str(": ");
                match value {
                    Value::Array(elements) if ONE_LINE_EACH.contains(&key.as_str()) => {
                        write_list(
                            text,
                            ('[', ']'),
                            layout.deeper(),
                            elements,
                            |text, element| {
                                write_value(text, element, Layout::OneLine);
                            },
                        );
                    }
                    _ => write_value(text, value, layout.deeper()),
                }
            });
        }
        Value::Array(elements) if !elements.is_empty() => {
            write_list(text, ('[', ']'), layout, elements, |text, element| {
                write_value(text, element, layout.deeper());
            });
        }
        _ => write_scalar(text, value),
    }
}

fn write_list<T>(
    text: &mut String,
    (open, close): (char, char),
    layout: Layout,
    entries: impl IntoIterator<Item = T>,
    mut write_entry: impl FnMut(&mut String, T),
) {
    text.push(open);
    let mut is_empty = true;
    for entry in entries {
        if !is_empty {
            text.push(',');
            text.push_str(layout.after_comma());
        }
        is_empty = false;
        layout.deeper().break_line(text);
        write_entry(text, entry);
    }
    if !is_empty {
        layout.break_line(text);
    }
    text.push(close);
}

fn write_scalar(text: &mut String, value: &Value) {
    // Writing to a string does not fail.
    let _ = write!(text, "{value}");
}

/// Writes a file so that a reader sees the old text or the new one, never a part: into a temporary
/// file beside it, flushed to the disk, then renamed. Makes missing folders, keeps the file's
/// permissions, and writes to where a symbolic link leads. What is not a plain file (`/dev/stdout`,
/// a pipe) is written directly.
///
/// # Errors
/// [`Error::NotDelivered`] with the file and what the system said.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_file(path, bytes).map_err(|source| Error::NotDelivered {
        path: path.to_owned(),
        source,
    })
}

/// Appends to a file, making it where there is none.
///
/// # Errors
/// [`Error::NotDelivered`].
pub fn append(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|source| Error::NotDelivered {
            path: path.to_owned(),
            source,
        })
}

/// Why a file cannot be written, as far as that can be told without writing it.
///
/// # Errors
/// In words that follow the file's name.
pub fn may_write(path: &Path) -> Result<(), String> {
    if path.is_dir() {
        return Err("is a folder".to_owned());
    }
    let absolute = std::path::absolute(path).map_err(|error| error.to_string())?;
    // Files are renamed into their folder, which is made if it is not there.
    let there = absolute.ancestors().skip(1).find(|above| above.exists());
    let Some(folder) = there else {
        return Err("lies nowhere".to_owned());
    };
    if !folder.is_dir() {
        return Err(format!("cannot be made: {} is no folder", folder.display()));
    }
    rustix::fs::access(
        folder,
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
    )
    .map_err(|error| format!("cannot be made in {}: {error}", folder.display()))
}

/// Names of what lies in a folder, those that are Unicode, at most a thousand; none if there is no
/// such folder.
#[must_use]
pub fn names(folder: &Path) -> BTreeSet<String> {
    const MOST: usize = 1_000;
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .take(MOST)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// How large a file is; 0 if there is none.
#[must_use]
pub fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let existing = match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(meta) if !meta.is_file() => {
            return std::fs::OpenOptions::new()
                .write(true)
                .open(path)?
                .write_all(bytes);
        }
        Ok(meta) => Some(meta.permissions()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let target = follow_links(path)?;
    let folder = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".mcpgate-")
        .suffix(".tmp")
        // As any new file: what the process's mask allows.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    if let Some(permissions) = existing {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(&target).map_err(|error| error.error)?;
    // Some file systems cannot flush a folder; the file itself is safe by now.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Where a symbolic link leads in the end, whether or not anything is there yet.
fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..40 {
        match std::fs::read_link(&target) {
            // A relative link starts at the folder that holds it.
            Ok(next) => target = target.parent().unwrap_or(Path::new("")).join(next),
            Err(_) => return Ok(target),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
