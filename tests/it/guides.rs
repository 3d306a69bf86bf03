//! The guides in `docs/` are followed here as a reader follows them, with the mcpgate under test.
//!
//! | in a guide | here |
//! |---|---|
//! | ```` ```ts title=src/server.ts ```` | the file is written; those before the first command are committed to `main`, as the project that the reader has |
//! | ```` ```diff title=src/server.ts ```` | the lines with `-` are replaced by those with `+` |
//! | ```` ```toml excerpt=mcpgate.toml ```` | the file has these lines, in this order |
//! | ```` ```console ```` | each line after `$ ` is run by a shell; the lines below it are what it says, but for measured figures and for what a line `…` leaves out |
//! | `<!-- exit: 1 -->` before it | how the last command of the block ends, if not by 0 |
//!
//! Packages are installed and programs built as the guides say. What a guide names and does not
//! show is its lock file: [`Guide::lock_file`]. That of the Rust guide is this repository's, of which
//! cargo takes what it needs; its server is not optimised here, and what is downloaded or compiled
//! once is kept.
#![expect(
    clippy::disallowed_methods,
    reason = "a test: it reads the guides, and passes on where caches are"
)]

use std::{collections::BTreeSet, env, fs, path::Path, time::Duration};

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use crate::{
    harness::{Project, repository},
    reference::MCPGATE,
};

/// A guide, and what its reader has besides.
struct Guide {
    name: &'static str,
    /// The file in the repository, and its name in the reader's project.
    lock_file: (&'static str, &'static str),
}

#[test]
fn the_typescript_guide() {
    follow(&Guide {
        name: "guide-typescript.md",
        lock_file: ("tests/guides/npm/package-lock.json", "package-lock.json"),
    });
}

#[test]
fn the_python_guide() {
    follow(&Guide {
        name: "guide-python.md",
        lock_file: ("tests/servers/python/legacy.txt", "requirements.txt"),
    });
}

#[test]
fn the_rust_guide() {
    follow(&Guide {
        name: "guide-rust.md",
        lock_file: ("Cargo.lock", "Cargo.lock"),
    });
}

#[track_caller]
fn follow(guide: &Guide) {
    let path = repository().join("docs").join(guide.name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let steps = steps(&text).unwrap_or_else(|fault| panic!("{}: {fault}", guide.name));
    let (from, to) = guide.lock_file;
    let lock = fs::read_to_string(repository().join(from)).expect("the lock file");
    let mut project = reader().file(to, &lock);
    let mut owned = BTreeSet::from([to.to_owned()]);
    let mut ran = 0;
    for step in steps {
        let at = |what: &str| format!("{}: {what}", guide.name);
        match step {
            Step::Write { path, text } => {
                project = project.file(&path, &text);
                owned.insert(path);
            }
            Step::Edit { path, old, new } => {
                let text = project.read(&path);
                let found = text.matches(&old).count();
                assert_eq!(found, 1, "{}\n{text}", at(&format!("{path} has\n{old}")));
                project = project.file(&path, &text.replace(&old, &new));
            }
            Step::Excerpt { path, lines } => {
                let text = project.read(&path);
                let missing = first_missing(&lines, text.lines());
                assert_eq!(missing, None, "{}\n{text}", at(&format!("not in {path}")));
            }
            Step::Run {
                command,
                shown,
                code,
            } => {
                if ran == 0 {
                    commit(&project, &owned);
                }
                ran += 1;
                let arguments = ["-c", command.as_str()];
                let outcome = if measures(&command) {
                    project.run_other_alone("sh", &arguments)
                } else {
                    project.run_other("sh", &arguments)
                }
                .code(code);
                let printed = plain(&format!("{}\n{}", outcome.stdout, outcome.stderr));
                if let Some(missing) = first_unsaid(&shown, &printed) {
                    panic!("{}\n{outcome}", at(&format!("not said: {missing}")));
                }
            }
        }
    }
    assert!(ran >= 6, "{} has too few commands: {ran}", guide.name);
}

/// Whether a command's outcome depends on what else the machine does.
fn measures(command: &str) -> bool {
    command.starts_with("mcpgate run") || command.starts_with("mcpgate compare")
}

/// A folder of a reader who has `mcpgate` installed, and caches of their own.
fn reader() -> Project {
    let folder = Path::new(MCPGATE).parent().expect("a folder");
    let inherited = env::var_os("PATH").unwrap_or_default();
    let path = [folder.to_path_buf()]
        .into_iter()
        .chain(env::split_paths(&inherited));
    let path = env::join_paths(path).expect("a PATH");
    let home = env::var("HOME").expect("HOME");
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guides");
    let project = Project::new()
        .timeout(Duration::from_mins(10))
        .env("PATH", path.to_str().expect("UTF-8"))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        // What is downloaded and compiled once is there the next time; programs lie where the guide
        // says.
        .env("PIP_CACHE_DIR", &format!("{home}/.cache/pip"))
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        .env("npm_config_prefer_offline", "true")
        .env("npm_config_audit", "false")
        .env("npm_config_update_notifier", "false")
        .env("CARGO_BUILD_BUILD_DIR", built.to_str().expect("UTF-8"))
        // To optimise takes a minute each time, and shows no other verdict.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("PIP_NO_COMPILE", "1");
    let cache = project.path(".cache");
    let mut project = project.env("XDG_CACHE_HOME", cache.to_str().expect("UTF-8"));
    for who in ["AUTHOR", "COMMITTER"] {
        project = project
            .env(&format!("GIT_{who}_NAME"), "Reader")
            .env(&format!("GIT_{who}_EMAIL"), "reader@localhost");
    }
    project
}

fn commit(project: &Project, files: &BTreeSet<String>) {
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &[&["add", "--"], &files[..]].concat(),
        &["commit", "--quiet", "--message=The server"],
    ] {
        project.run_other("git", arguments).code(0);
    }
}

/// What a reader does next.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Write {
        path: String,
        text: String,
    },
    Edit {
        path: String,
        old: String,
        new: String,
    },
    Excerpt {
        path: String,
        lines: Vec<String>,
    },
    Run {
        command: String,
        /// What is to be said in this order, as [`plain`] text.
        shown: Vec<String>,
        code: u8,
    },
}

/// The steps of a guide, or which block is none.
fn steps(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut code = 0;
    let mut block: Option<(String, String)> = None;
    for event in Parser::new(text) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let info = match kind {
                    CodeBlockKind::Fenced(info) => info.into_string(),
                    CodeBlockKind::Indented => return Err("a block without a fence".to_owned()),
                };
                block = Some((info, String::new()));
            }
            Event::Text(text) => {
                if let Some((_, body)) = &mut block {
                    body.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => {
                let (info, body) = block.take().unwrap_or_default();
                steps.extend(of_block(&info, &body, std::mem::take(&mut code))?);
            }
            Event::Html(html) => {
                if let Some(said) = html.trim().strip_prefix("<!-- exit: ") {
                    let said = said.trim_end_matches("-->").trim();
                    code = said.parse().map_err(|e| format!("exit {said}: {e}"))?;
                }
            }
            _ => {}
        }
    }
    Ok(steps)
}

fn of_block(info: &str, body: &str, code: u8) -> Result<Vec<Step>, String> {
    let (language, attribute) = info.split_once(' ').unwrap_or((info, ""));
    let step = match (language, attribute.split_once('=')) {
        ("console", None) => return commands(body, code),
        ("diff", Some(("title", path))) => Step::Edit {
            path: path.to_owned(),
            old: side(body, '-'),
            new: side(body, '+'),
        },
        (_, Some(("title", path))) => Step::Write {
            path: path.to_owned(),
            text: body.to_owned(),
        },
        (_, Some(("excerpt", path))) => Step::Excerpt {
            path: path.to_owned(),
            lines: body.lines().map(str::to_owned).collect(),
        },
        _ => return Err(format!("nobody checks the block `{info}`")),
    };
    Ok(vec![step])
}

/// The lines of a diff that are the same on both sides, and those of one.
fn side(diff: &str, sign: char) -> String {
    diff.lines()
        .filter_map(|line| {
            let kept = line.strip_prefix(sign).or_else(|| line.strip_prefix(' '));
            let blank = line.is_empty().then_some("");
            kept.or(blank).map(|line| format!("{line}\n"))
        })
        .collect()
}

fn commands(body: &str, code: u8) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut outputs: Vec<String> = Vec::new();
    for line in body.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step::Run {
                command: command.to_owned(),
                shown: Vec::new(),
                code: 0,
            });
            outputs.push(String::new());
        } else {
            let output = outputs.last_mut().ok_or("output without a command")?;
            output.push_str(line);
            output.push('\n');
        }
    }
    let last = steps.len().checked_sub(1).ok_or("no command")?;
    for (number, (step, output)) in steps.iter_mut().zip(outputs).enumerate() {
        if let Step::Run { shown, code: c, .. } = step {
            let parts = output.split('…').map(plain);
            *shown = parts.filter(|part| !part.is_empty()).collect();
            *c = if number == last { code } else { 0 };
        }
    }
    Ok(steps)
}

fn first_missing<'a, 'b>(
    wanted: &'a [String],
    mut lines: impl Iterator<Item = &'b str>,
) -> Option<&'a String> {
    wanted
        .iter()
        .filter(|line| !line.is_empty())
        .find(|wanted| !lines.any(|line| line == wanted.as_str()))
}

/// The first part that does not stand behind the parts before it.
fn first_unsaid<'a>(shown: &'a [String], printed: &str) -> Option<&'a String> {
    let mut rest = printed;
    shown.iter().find(|part| match rest.find(part.as_str()) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            false
        }
        None => true,
    })
}

/// A text in one line in which measured figures in a row are `#`, with their signs, brackets and units,
/// and without the bars beside them. Versions, dates and counts of what does not vary stay.
fn plain(text: &str) -> String {
    const UNITS: [&str; 9] = ["ns", "µs", "ms", "s", "B", "kB", "MB", "%", "/s"];
    const COUNTED: [&str; 7] = [
        "tool",
        "tools",
        "stands",
        "scenarios",
        "rounds",
        "fresh",
        "callers",
    ];
    let mut words: Vec<&str> = Vec::new();
    let mut all = text.split_whitespace().peekable();
    while let Some(word) = all.next() {
        let inner = word.trim_matches(|c: char| "[](),:;".contains(c));
        let is_bar = word.chars().all(|c| "┈│┊├┤●┼╂─◀▶".contains(c));
        let is_unit = words.last() == Some(&"#") && UNITS.contains(&inner);
        let digits = inner.trim_start_matches(['+', '-']);
        if is_bar || is_unit {
            continue;
        }
        let next = all
            .peek()
            .map(|next| next.trim_end_matches([',', ':', '.']));
        let is_of = |separator| {
            let parts: Vec<&str> = inner.split(separator).collect();
            parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok())
        };
        let is_count = inner.parse::<u32>().is_ok() && next.is_some_and(|n| COUNTED.contains(&n));
        let is_figure = digits.starts_with(|c: char| c.is_ascii_digit())
            && !(is_count || is_of('.') || is_of('-'));
        match is_figure {
            true if words.last() == Some(&"#") => {}
            true => words.push("#"),
            false => words.push(word),
        }
    }
    words.join(" ")
}

#[test]
fn figures_are_the_same_and_words_are_not() {
    let same = |a: &str, b: &str| first_unsaid(&[plain(a)], &plain(b)).is_none();
    let row = "search/sequential p50 adj 6.17 ms -> 12.1 ms  +96 % ┈┈│┊┈├●─┤┈ regressed\n    worse";
    let other = "x\nsearch/sequential p50 adj 617 µs -> 1.21 ms\n +9.6 % [+1 %, +3 %] ┈│├●▶ regressed worse";
    assert_eq!(
        plain(row),
        "search/sequential p50 adj # -> # regressed worse"
    );
    assert!(same(row, other));
    assert!(!same(row, &row.replace("regressed", "pass")));
    assert!(!same(row, &row.replace("p50", "p95")));
    let met = "shop 1.0.0, protocol 2025-11-25: 2 tools, 46 calls in 5 rounds, 12 ms";
    assert_eq!(
        plain(met),
        "shop 1.0.0, protocol 2025-11-25: 2 tools, # calls in 5 rounds, #"
    );
}

#[test]
fn a_guide_is_read_as_its_reader_reads_it() {
    let guide = "Text.\n\n```ts title=src/a.ts\nlet a = 1;\n\nlet b = 2;\n```\n\n\
        ```diff title=src/a.ts\n let a = 1;\n-\n-let b = 2;\n+let b = 3;\n```\n\n\
        <!-- exit: 3 -->\n\n```console\n$ one\n$ two\nsome …\nmore 5 ms\n```\n\n\
        ```toml excerpt=x.toml\na = 1\n```\n";
    let run = |command: &str, shown: &[&str], code| Step::Run {
        command: command.to_owned(),
        shown: shown.iter().map(|part| (*part).to_owned()).collect(),
        code,
    };
    assert_eq!(
        steps(guide),
        Ok(vec![
            Step::Write {
                path: "src/a.ts".to_owned(),
                text: "let a = 1;\n\nlet b = 2;\n".to_owned()
            },
            Step::Edit {
                path: "src/a.ts".to_owned(),
                old: "let a = 1;\n\nlet b = 2;\n".to_owned(),
                new: "let a = 1;\nlet b = 3;\n".to_owned()
            },
            run("one", &[], 0),
            run("two", &["some", "more #"], 3),
            Step::Excerpt {
                path: "x.toml".to_owned(),
                lines: vec!["a = 1".to_owned()]
            },
        ])
    );
    for fault in [
        "```text\nnobody checks this\n```\n",
        "```console\nno command\n```\n",
    ] {
        assert!(steps(fault).is_err(), "{fault}");
    }
}
