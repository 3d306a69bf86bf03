//! The comment as a reader sees it: rendered by `cmark-gfm`, which GitHub renders with.

use mcpgate::results::{ErrorSample, Results};
use serde::Deserialize;

use super::{
    hub::Hub,
    job::{measured, publish, slower},
    peers::installed,
};
use crate::harness::{Project, repository};

/// Names that a server or a fork may choose.
const NAMES: [&str; 16] = [
    "a|b`@evil.test`c``d",
    "@everyone",
    "<img src=x onerror=alert(1)>",
    "<!-- mcpgate:default run=99.1 head=abc -->",
    "[click](https://evil.test)",
    "https://evil.test/a",
    "www.evil.test",
    "me@evil.test",
    "turned \u{202e}round",
    "::error::evil",
    "two\n# lines\n- and a list",
    "</details></td></table>",
    "evil/evil#1",
    "\u{1b}[31mevil\u{1b}[0m",
    "&lt;script&gt;",
    "```\nevil",
];

/// What a page holds; see `tests/github/python/render.py`.
#[derive(Debug, Deserialize)]
struct Page {
    elements: Vec<String>,
    attributes: Vec<String>,
    links: Vec<String>,
    comments: Vec<String>,
    code: Vec<String>,
    prose: String,
    unbalanced: Vec<String>,
}

fn render(markdown: &str) -> Page {
    let script = repository().join("tests/github/python/render.py");
    let python = installed("python-renderer/bin/python");
    let project = Project::new().file("comment.md", markdown);
    let [python, script] = [&python, &script].map(|path| path.to_str().expect("UTF-8"));
    let outcome = project.run_other(python, &[script, "comment.md"]).code(0);
    outcome.json()
}

/// Results that are slower everywhere, where everything that has a name has one of these.
fn named(results: &mut Results, name: &str) {
    let suite = &mut results.suite;
    let old: Vec<String> = suite.scenarios.iter().map(|s| s.name.clone()).collect();
    let new = |old: &str| match old.split_once('/') {
        Some((_, kind)) => format!("{name}/{kind}"),
        None => old.to_owned(),
    };
    // One tool is renamed: two of one name would be one.
    let is_renamed = |old: &str| old.starts_with("wait/");
    for record in suite.scenarios.iter_mut().filter(|r| is_renamed(&r.name)) {
        record.name = new(&record.name);
        record.tool = Some(name.to_owned());
    }
    let job = &mut results.jobs[0];
    for old in old.iter().filter(|old| is_renamed(old)) {
        for round in &mut job.rounds {
            if let Some(sample) = round.scenarios.remove(old) {
                round.scenarios.insert(new(old), sample);
            }
        }
        for soak in &mut job.soaks {
            if let Some(sample) = soak.scenarios.remove(old) {
                soak.scenarios.insert(new(old), sample);
            }
        }
        let sample = ErrorSample {
            kind: "tool-error".to_owned(),
            message: format!("{name} said {name}"),
        };
        job.error_samples.insert(new(old), sample);
    }
    for round in &mut job.rounds {
        for sample in round.scenarios.values_mut() {
            sample.successes = sample.successes.saturating_sub(3);
            sample.errors.insert("tool-error".to_owned(), 3);
        }
    }
    results.server.name = name.to_owned();
    results.server.version = name.to_owned();
    job.notes.push(format!("a note about {name}"));
}

#[test]
fn names_of_others_are_only_ever_shown() {
    let own = [
        "a", "br", "code", "details", "em", "li", "p", "pre", "strong",
    ];
    let table = [
        "sub", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul",
    ];
    for name in NAMES {
        let mut results = slower();
        named(&mut results, name);
        let hub = Hub::new();
        publish(&measured(&hub, 10, "acme/server", &results), &[]).code(1);
        let comment = hub.ours().remove(0);
        let page = render(&comment);
        let context = format!("{name:?}\n{page:?}\n{comment}");
        for element in &page.elements {
            let element = element.as_str();
            assert!(
                own.contains(&element) || table.contains(&element),
                "<{element}>: {context}"
            );
        }
        for attribute in &page.attributes {
            let allowed = ["a href", "code class", "pre lang", "td align", "th align"];
            assert!(
                allowed.contains(&attribute.as_str()),
                "{attribute}: {context}"
            );
        }
        assert!(
            page.links
                .iter()
                .all(|link| link.ends_with("/actions/runs/10")),
            "{context}"
        );
        let [marker] = &page.comments[..] else {
            panic!("{context}");
        };
        assert!(marker.contains("run=10."), "{context}");
        assert!(page.unbalanced.is_empty(), "{context}");
        for active in [
            "@",
            "evil.test",
            "evil/evil",
            "#1",
            "::",
            "\u{202e}",
            "\u{1b}",
        ] {
            assert!(!page.prose.contains(active), "{active:?}: {context}");
        }
        let words = name.split(|c: char| !c.is_ascii_alphanumeric());
        let longest = words.max_by_key(|word| word.len()).expect("a word");
        assert!(
            page.code.iter().any(|code| code.contains(longest)),
            "{longest:?} is not shown: {context}"
        );
    }
}
