use std::collections::BTreeSet;

use super::*;
use crate::suite::{
    Config,
    config::{Outside, asked, parse},
};

const OUTSIDE: Outside<'static> = Outside {
    variable: &|_| Some("a value".to_owned()),
    file: &|_| Ok("query\nfirst\n".to_owned()),
};

/// Every table of the file, and every executor.
const WHOLE: &str = r#"
[server]
oauth = {}
[[tool]]
expect = {}
writes = {}
[probes]
[suite]
[gate]
tolerance = {}
floor = {}
budget = {}
[[accept]]
[[scenario]]
executor = "shared-iterations"
think-time = {}
[[scenario]]
executor = "constant-vus"
[[scenario]]
executor = "ramping-vus"
stages = [{}]
[[scenario]]
executor = "constant-arrival-rate"
[[scenario]]
executor = "ramping-arrival-rate"
"#;

#[test]
fn every_key_that_is_read_is_described_and_no_other() {
    let described: BTreeSet<(&str, &str)> = SECTIONS
        .iter()
        .flat_map(|section| section.keys.iter().map(|key| (section.place, key.name)))
        .collect();
    let mut read = asked(WHOLE, OUTSIDE);
    // Its description has them.
    read.retain(|(place, _)| *place != "`think-time`");
    assert_eq!(read, described);
}

/// What must stand around a key so that it is looked at: lines before its table, and lines within it.
fn around(section: &Section, key: &str) -> (&'static str, &'static [&'static str]) {
    const STAGES: &str = "stages = [{ duration = \"1s\", target = 1 }]";
    match (section.head, key) {
        ("[server]", _) => ("", &["command = [\"a\"]"]),
        ("[server.oauth]", _) => (
            "[server]\nurl = \"https://a/\"",
            &[
                "token-url = \"https://a/\"",
                "client-id = \"a\"",
                "client-secret = \"a\"",
            ],
        ),
        ("[[tool]]", _) => ("", &["name = \"a\""]),
        ("[tool.expect]", _) => ("[[tool]]\nname = \"a\"", &[]),
        ("[tool.writes]", _) => (
            "[[tool]]\nname = \"a\"",
            &["read-back = \"b\"", "contains = \"{{i}}\""],
        ),
        ("[[accept]]", _) => (
            "",
            &[
                "scenario = \"a\"",
                "metric = \"latency_p50\"",
                "limit = \"1ms\"",
                "reason = \"a\"",
                "until = 2027-01-31",
            ],
        ),
        ("[[scenario]]", "vus" | "iterations" | "max-duration") => (
            "",
            &[
                "name = \"a\"",
                "tool = \"a\"",
                "executor = \"shared-iterations\"",
                "iterations = 9",
            ],
        ),
        ("[[scenario]]", "start-vus" | "stages") => (
            "",
            &[
                "name = \"a\"",
                "tool = \"a\"",
                "executor = \"ramping-vus\"",
                STAGES,
            ],
        ),
        ("[[scenario]]", "rate" | "time-unit" | "max-vus") => (
            "",
            &[
                "name = \"a\"",
                "tool = \"a\"",
                "executor = \"constant-arrival-rate\"",
                "rate = 1",
                "duration = \"1s\"",
            ],
        ),
        ("[[scenario]]", "start-rate") => (
            "",
            &[
                "name = \"a\"",
                "tool = \"a\"",
                "executor = \"ramping-arrival-rate\"",
                STAGES,
            ],
        ),
        ("[[scenario]]", _) => (
            "",
            &[
                "name = \"a\"",
                "tool = \"a\"",
                "executor = \"constant-vus\"",
                "duration = \"1s\"",
            ],
        ),
        ("[[scenario.stages]]", _) => (
            "[[scenario]]\nname = \"a\"\ntool = \"a\"\nexecutor = \"ramping-vus\"",
            &["duration = \"1s\"", "target = 1"],
        ),
        _ => ("", &[]),
    }
}

/// A file with this value of the key, or without the key.
fn file(section: &Section, key: &str, value: Option<&str>) -> String {
    let (before, within) = around(section, key);
    let mut text = format!("{before}\n{}\n", section.head);
    let is_key = |line: &&&str| line.split(" = ").next() == Some(key);
    for line in within.iter().filter(|line| !is_key(line)) {
        // The other way to name tools.
        if key != "tools" || !line.starts_with("tool =") {
            text += &format!("{line}\n");
        }
    }
    if let Some(value) = value {
        text += &format!("{key} = {value}\n");
    }
    text
}

fn read(text: &str) -> Result<Config, String> {
    parse("a.toml", text, OUTSIDE).map_err(|mistakes| mistakes.render(false))
}

/// Whether the value itself is refused; that it does not go with others is another matter.
fn is_refused(section: &Section, key: &Key, value: &str) -> bool {
    let said = read(&file(section, key.name, Some(value)))
        .err()
        .unwrap_or_default();
    let name = key.name;
    assert!(!said.contains("unknown key"), "{said}");
    [
        format!("`{name}` must be "),
        format!("`{name}` cannot be "),
        format!("`{name}` is out of range"),
        format!("`{name}` is between "),
        format!("`{name}` is the most "),
        "is not filled in".to_owned(),
    ]
    .iter()
    .any(|refusal| said.contains(refusal))
}

#[test]
fn every_key_takes_what_its_description_says() {
    for section in &SECTIONS {
        for key in section.keys {
            let quoted = |word: &str| format!("\"{word}\"");
            let (good, bad): (Vec<String>, Vec<String>) = match key.takes {
                Text | Other(_) => (vec![], vec!["true".to_owned()]),
                OpenText => (
                    vec![quoted("https://a/"), quoted("$${A}")],
                    vec![quoted("${A}"), "5".to_owned()],
                ),
                Secret => (vec![quoted("${A}")], vec!["5".to_owned()]),
                Words => (vec!["[\"a\"]".to_owned()], vec![quoted("a")]),
                Choice(words) => (
                    words.iter().map(|word| quoted(word)).collect(),
                    vec![quoted("another"), "5".to_owned()],
                ),
                Count(least, most) => (
                    vec![least.to_string(), most.to_string()],
                    [
                        least.checked_sub(1).map(|n| n.to_string()),
                        i64::try_from(most + 1).ok().map(|n| n.to_string()),
                        Some(quoted("5")),
                    ]
                    .into_iter()
                    .flatten()
                    .collect(),
                ),
                Duration => (vec![quoted("90s")], vec![quoted("0s"), "5".to_owned()]),
                DurationOrZero => (vec![quoted("0s")], vec!["5".to_owned()]),
                Size => (vec![quoted("10MB")], vec![quoted("0B"), "5".to_owned()]),
                SizeOrZero => (vec![quoted("0B")], vec!["5".to_owned()]),
                SizeWithin(least, most) => (
                    vec![quoted(least), quoted(most)],
                    vec![quoted("1kB"), quoted("900GB")],
                ),
                Percent(least, most) => (
                    vec![format!("\"{least}%\""), format!("\"{most}%\"")],
                    vec![format!("\"{}%\"", most + 1)],
                ),
                Date => (vec!["2027-01-31".to_owned()], vec![quoted("2027-01-31")]),
                Takes::Section(head) => {
                    assert!(SECTIONS.iter().any(|other| other.head == head), "{head}");
                    (vec![], vec!["5".to_owned()])
                }
            };
            for value in good {
                assert!(!is_refused(section, key, &value), "{} {value}", key.name);
            }
            for value in bad {
                assert!(
                    is_refused(section, key, &value),
                    "{} {} {value}",
                    section.head,
                    key.name
                );
            }
        }
    }
}

#[test]
fn every_default_is_that_of_its_description() {
    for section in &SECTIONS {
        for key in section.keys {
            let without = read(&file(section, key.name, None));
            match key.default {
                Required => {
                    let said = without.expect_err(key.name);
                    let missing = format!("`{}` is missing in {}", key.name, section.place);
                    assert!(said.contains(&missing), "{said}");
                }
                Is(value) => {
                    let with = read(&file(section, key.name, Some(value)));
                    let without = without.unwrap_or_else(|said| panic!("{}: {said}", key.name));
                    assert_eq!(with, Ok(without), "{} {}", section.head, key.name);
                }
                Means(_) | Nothing => {}
            }
        }
    }
}
