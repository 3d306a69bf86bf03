//! The house rules that no compiler knows.
#![expect(
    clippy::disallowed_methods,
    reason = "a test: it reads the repository's files"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::repository;

/// What each pure room may import of ours; `src/lib.rs` says it in words. `error` stands for the
/// table of exit codes.
const PURE_ROOMS: &[(&str, &[&str])] = &[
    ("results", &[]),
    ("stats", &[]),
    ("suite", &["results"]),
    ("diagnosis", &["results", "stats"]),
    ("gate", &["diagnosis", "error", "results", "stats", "suite"]),
    ("history", &["gate", "results", "stats", "suite"]),
    (
        "report",
        &["diagnosis", "error", "gate", "history", "results", "suite"],
    ),
];

/// What no pure room may touch: clocks, files, processes, the environment, the network.
const SHELL_ONLY: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io::stderr",
    "std::io::stdin",
    "std::io::stdout",
    "std::net",
    "std::process",
    "std::thread",
    "anstream",
    "hyper",
    "hyper_util",
    "indicatif",
    "procfs",
    "rustix",
    "sysinfo",
    "tempfile",
    "tokio",
];

/// Where a source file becomes too long to be read in one go.
const MOST_LINES: usize = 600;

#[test]
fn pure_rooms_import_only_what_their_row_allows() {
    let mut faults = Vec::new();
    for (room, allowed) in PURE_ROOMS {
        let files = room_files(room);
        assert!(!files.is_empty(), "no room {room} in src/");
        for file in files {
            let source = read(&file);
            for (line, import) in imports_of_ours(&source) {
                if import != *room && !allowed.contains(&import.as_str()) {
                    faults.push(format!("{}:{line}: imports {import}", file.display()));
                }
            }
            for (line, path) in shell_paths(&source) {
                faults.push(format!("{}:{line}: touches {path}", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_map_in_lib_rs_names_every_room() {
    let source = read(Path::new("src/lib.rs"));
    let unmapped: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        // The error type is everyone's.
        .filter(|room| *room != "error" && !source.contains(&format!("//! | [`{room}`]")))
        .collect();
    assert_eq!(unmapped, [""; 0]);
}

#[test]
fn files_are_short_enough_to_read() {
    let long: Vec<String> = tracked()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| (read(&path).lines().count(), path))
        .filter(|(lines, _)| *lines > MOST_LINES)
        .map(|(lines, path)| format!("{} has {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "over {MOST_LINES} lines: {long:#?}");
}

#[test]
fn the_changelog_has_this_version() {
    let heading = format!("## [{}]", env!("CARGO_PKG_VERSION"));
    assert!(
        read(Path::new("CHANGELOG.md"))
            .lines()
            .any(|line| line.starts_with(&heading)),
        "CHANGELOG.md has no heading {heading:?}"
    );
}

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let path = Path::new("src/results.schema.json");
    let schema = schemars::schema_for!(mcpgate::results::Results);
    let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
    if std::env::var_os("MCPGATE_UPDATE_SCHEMA").is_some() {
        fs::write(repository().join(path), &text).expect("write the schema");
    }
    assert!(
        read(path) == text,
        "{} is out of date; write it anew with\n\
         MCPGATE_UPDATE_SCHEMA=1 cargo test --test it schema",
        path.display()
    );
}

#[test]
fn committed_results_follow_the_schema() {
    let schema = serde_json::from_str(&read(Path::new("src/results.schema.json"))).expect("JSON");
    jsonschema::meta::validate(&schema).expect("a valid schema");
    let validator = jsonschema::validator_for(&schema).expect("a usable schema");
    for path in tracked() {
        let is_results =
            path.starts_with("baselines") || path.starts_with("tests/fixtures/results");
        if is_results
            && path
                .extension()
                .is_some_and(|extension| extension == "json")
        {
            let results = serde_json::from_str(&read(&path)).expect("JSON");
            let errors: Vec<String> = validator
                .iter_errors(&results)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
        }
    }
}

#[test]
fn every_fault_has_a_row_in_the_fault_table() {
    let catalogue = read(Path::new("src/reference_server/faults/catalogue.rs"));
    let table = read(Path::new("tests/it/faults.rs")) + &read(Path::new("tests/it/probes.rs"));
    let names: Vec<&str> = catalogue
        .split("    entry(")
        .skip(1)
        .filter_map(|entry| entry.split('"').nth(1))
        .collect();
    assert!(names.len() > 20, "not all faults were found: {names:?}");
    let without: Vec<&str> = names
        .into_iter()
        .filter(|name| {
            ['"', '=']
                .iter()
                .all(|end| !table.contains(&format!("\"{name}{end}")))
        })
        .collect();
    assert_eq!(without, [""; 0]);
}

/// Troubleshooting is by message: each first cell, from ellipsis to ellipsis, is what some source says. What
/// is no message is set in italics.
#[test]
fn every_message_that_is_explained_is_said_somewhere() {
    let page = read(&repository().join("docs/troubleshooting.md"));
    let said: String = tracked()
        .iter()
        .filter(|path| path.starts_with("src") && path.extension().is_some_and(|e| e == "rs"))
        .filter(|path| !path.to_string_lossy().contains("test"))
        .map(|path| plain_words(&read(&repository().join(path))))
        .collect();
    let messages: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .filter(|cell| *cell != "message" && !cell.starts_with(['-', '*']))
        .collect();
    assert!(messages.len() > 30, "{messages:?}");
    let mut faults = Vec::new();
    for message in messages {
        for part in message.split(['…', ';']) {
            let part = part.replace('`', "");
            let part = part.trim_matches([' ', ':', ',', '(', ')']);
            if part.len() > 3 && !said.contains(part) {
                faults.push(format!("{message}: no source says {part:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A source with its texts as they are said: in one line, without code marks; no comments, no tests.
fn plain_words(source: &str) -> String {
    let mut words = String::new();
    let code = source.split("\n#[cfg(test)]\n").next().unwrap_or_default();
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    let mut lines = code.lines().filter(|line| !is_comment(line));
    while let Some(line) = lines.next() {
        let mut line = line.to_owned();
        // A text that goes on in the next line.
        while let Some(head) = line.strip_suffix('\\') {
            line = format!("{head}{}", lines.next().unwrap_or_default().trim_start());
        }
        words.push_str(&line.replace('`', ""));
        words.push('\n');
    }
    words
}

#[test]
fn no_file_names_this_machine_or_a_registry() {
    let home = std::env::var("HOME").unwrap_or_default();
    let here = repository().to_string_lossy().into_owned();
    // Put together here, so that this file does not name them either.
    let mut forbidden: Vec<String> = [
        ("/ro", "ot/"),
        ("/Use", "rs/"),
        ("/wo", "rk/"),
        ("registry.npm", "js"),
        ("npm", "js.com"),
        ("npm", "js.org"),
        ("pyp", "i.org"),
        ("python", "hosted"),
        ("crates", ".io/"),
        ("index.crates", ".io"),
        ("static.crates", ".io"),
        ("deb.deb", "ian"),
    ]
    .map(|(start, end)| format!("{start}{end}"))
    .to_vec();
    forbidden.extend(
        [home, here]
            .into_iter()
            .filter(|path| path.len() > 1)
            .map(|path| path + "/"),
    );

    let mut faults = Vec::new();
    for path in tracked() {
        // What is not text holds no path that a person wrote.
        let Ok(text) = fs::read_to_string(repository().join(&path)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            for name in forbidden.iter().filter(|name| names(line, name)) {
                faults.push(format!("{}:{}: {name}", path.display(), number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether a line holds the name; one that starts with `/` counts only where a path begins.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !(name.starts_with('/')
            && before.is_some_and(|c| c.is_alphanumeric() || "._-})".contains(c)))
    })
}

#[test]
fn lock_files_hold_no_download_address() {
    for tests in ["servers", "github", "browser", "guides"] {
        let path = format!("tests/{tests}/npm/package-lock.json");
        assert!(!read(Path::new(&path)).contains("\"resolved\""), "{path}");
    }
    let index = r#"source = "registry+https://github.com/rust-lang/crates.io-index""#;
    for line in read(Path::new("Cargo.lock")).lines() {
        assert!(!line.starts_with("source = ") || line == index, "{line}");
    }
    for path in tracked() {
        let is_lock = path.starts_with("xtask") && path.extension().is_some_and(|e| e == "txt");
        if is_lock || path.to_string_lossy().contains("/python/") {
            assert!(!read(&path).contains("://"), "{}", path.display());
        }
    }
}

/// Files that git knows, or would add: relative to the repository.
fn tracked() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(repository())
        .output()
        .expect("run git");
    assert!(output.status.success(), "git ls-files failed");
    let paths: Vec<PathBuf> = output
        .stdout
        .split(|byte| *byte == 0)
        .filter_map(|path| std::str::from_utf8(path).ok())
        .filter(|path| !path.is_empty() && repository().join(path).is_file())
        .map(PathBuf::from)
        .collect();
    assert!(!paths.is_empty(), "git knows no file");
    paths
}

fn read(path: &Path) -> String {
    fs::read_to_string(repository().join(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `src/ROOM.rs` and all of `src/ROOM/`.
fn room_files(room: &str) -> Vec<PathBuf> {
    let file = PathBuf::from(format!("src/{room}.rs"));
    let folder = PathBuf::from(format!("src/{room}"));
    tracked()
        .into_iter()
        .filter(|path| *path == file || path.starts_with(&folder))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The rooms that a source names by `crate::`, each with its line, from 1.
fn imports_of_ours(source: &str) -> Vec<(usize, String)> {
    let source = without_comments(source);
    let mut imports = Vec::new();
    for (at, _) in source.match_indices("crate::") {
        let line = source[..at].lines().count().max(1);
        let rest = &source[at + "crate::".len()..];
        let names = match rest.strip_prefix('{') {
            Some(group) => heads_of_group(group),
            None => vec![identifier(rest)],
        };
        imports.extend(names.into_iter().map(|name| (line, name)));
    }
    imports
}

/// `results::Results, stats::{a, b}}` → `results`, `stats`.
fn heads_of_group(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = Vec::new();
    let mut start = 0;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            ',' if depth == 0 => {
                heads.push(identifier(group[start..at].trim_start()));
                start = at + 1;
            }
            '}' if depth == 0 => {
                heads.push(identifier(group[start..at].trim_start()));
                break;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect()
}

/// Paths of [`SHELL_ONLY`] that a source names, also within `use std::{...}`.
fn shell_paths(source: &str) -> Vec<(usize, String)> {
    let source = without_comments(source);
    let mut found = BTreeSet::new();
    for path in SHELL_ONLY {
        for (at, _) in source.match_indices(path) {
            let before = source[..at].chars().next_back();
            let after = source[at + path.len()..].chars().next();
            let whole = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            // A crate counts where a path starts with it; a word of that name does not.
            let is_path = path.contains("::") || source[at + path.len()..].starts_with("::");
            if whole(before) && whole(after) && is_path {
                found.insert((source[..at].lines().count().max(1), (*path).to_owned()));
            }
        }
    }
    for (at, _) in source.match_indices("std::{") {
        let line = source[..at].lines().count().max(1);
        for head in heads_of_group(&source[at + "std::{".len()..]) {
            let path = format!("std::{head}");
            if SHELL_ONLY.contains(&path.as_str()) {
                found.insert((line, path));
            }
        }
    }
    found.into_iter().collect()
}

/// Blanks comments, keeping lines. Texts in quotes stay: a `//` in one hides the rest of its
/// line, which holds no import.
fn without_comments(source: &str) -> String {
    source
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_import_scanner_sees_every_form() {
    let source = "\
//! [`crate::cli`]
use crate::results::Results;
use crate::{
    gate::{Verdict, Metric},
    stats,
};
use std::{collections::BTreeMap, fs, io};
fn f() -> crate::suite::Suite { tokio::spawn(std::env::var()) } // crate::mcp
fn hyper() { my_tokio::x() }
";
    let ours: Vec<(usize, String)> = imports_of_ours(source);
    let expected = [(2, "results"), (3, "gate"), (3, "stats"), (8, "suite")];
    assert_eq!(ours, expected.map(|(line, name)| (line, name.to_owned())));
    let shell = [(7, "std::fs"), (8, "std::env"), (8, "tokio")];
    assert_eq!(
        shell_paths(source),
        shell.map(|(line, path)| (line, path.to_owned()))
    );
}
