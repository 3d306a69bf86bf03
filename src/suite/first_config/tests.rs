use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    Build, Entry, Facts, Project, State, cannot_be_written, is_empty_answer, reads_like_refusal,
    text, varying_text, workflow,
};
use crate::suite::{
    Config, config,
    discover::{Guesses, survey},
};

/// A file as the parser of configurations reads it.
fn parsed(text: &str) -> Config {
    config::parse("mcpgate.toml", text, outside())
        .unwrap_or_else(|mistakes| panic!("{}\n{text}", mistakes.render(false)))
}

fn outside() -> config::Outside<'static> {
    config::Outside {
        variable: &|_| Some("a value".to_owned()),
        ..config::Outside::NOTHING
    }
}

/// With every entry switched on.
fn switched_on(text: &str) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// As `mcpgate init` decides, with every call answered.
fn entries(tools: &[Value]) -> Vec<Entry> {
    let (tools, _) = survey(tools, Guesses::default());
    tools
        .into_iter()
        .map(|tool| {
            let call = tool.call.clone();
            let obstacle = tool.obstacle().map(str::to_owned);
            let obstacle = obstacle.or_else(|| cannot_be_written(call.as_ref().ok()?));
            let state = match obstacle {
                Some(reason) => State::Off(reason),
                None => State::Measured {
                    contains: call.ok().and_then(|call| varying_text(&call)),
                    doubt: None,
                },
            };
            Entry { tool, state }
        })
        .collect()
}

fn known(command: &str) -> Build {
    Build::Known(command.to_owned())
}

fn reading(name: &str, schema: &Value) -> Value {
    json!({"name": name, "inputSchema": schema, "annotations": {"readOnlyHint": true}})
}

#[test]
fn a_file_for_a_server_of_every_kind_of_tool() {
    let string = json!({"type": "string"});
    let tools = [
        reading(
            "search",
            &json!({"type": "object", "required": ["query", "kind", "limit"], "properties": {
            "query": string, "kind": {"enum": ["all", "some"]}, "limit": {"type": "integer", "default": 5},
            "page": {"type": "integer"}, "filter": {"type": "object"}}}),
        ),
        reading(
            "long",
            &json!({"type": "object", "required": ["message", "note"], "properties": {
            "message": {"type": "string", "minLength": 90}, "note": {"const": "it's \"so\"\nover two lines"}}}),
        ),
        reading(
            "read_file",
            &json!({"type": "object", "required": ["path", "limit"], "properties": {
            "path": {"type": "string", "description": "Path of the file"}, "limit": {"type": "integer"}}}),
        ),
        json!({"name": "remember", "annotations": {"readOnlyHint": false}, "inputSchema": {"type": "object",
            "required": ["text"], "properties": {"text": string}}}),
        json!({"name": "fetch", "annotations": {"readOnlyHint": true, "openWorldHint": true}, "inputSchema": {"type": "object"}}),
        reading(
            "nothing",
            &json!({"type": "object", "required": ["x"], "properties": {"x": {"const": null}}}),
        ),
        reading("evil\u{202e}name", &json!({"type": "object"})),
        json!({"name": 5}),
    ];
    let mut entries = entries(&tools);
    entries.push(Entry {
        state: State::Off("the tool refused: no such\n# table {{x}} \u{1b}[31m".to_owned()),
        ..entries[0].clone()
    });
    entries.last_mut().unwrap().tool.call.as_mut().unwrap().name = "refused".to_owned();
    if let State::Measured { doubt, .. } = &mut entries[1].state {
        *doubt = Some("Error: no\nsuch note".to_owned());
    }
    let command: Vec<String> = ["node", "dist/index.js", "--path=${HOME}/it's"]
        .map(str::to_owned)
        .to_vec();
    let file = text(&Facts {
        server: "notes 1.2.0, stdio, protocol 2025-11-25",
        command: &command,
        url: None,
        headers: &BTreeMap::new(),
        protocol: None,
        kept: None,
        build: &known("npm ci && npm run build"),
        tools: &entries,
    });
    insta::assert_snapshot!("every_kind_of_tool", file);
    let config = parsed(&file);
    let server = config.server.unwrap();
    assert_eq!(server.command.as_deref(), Some(&command[..]));
    assert_eq!(server.build.as_deref(), Some("npm ci && npm run build"));
    let names: Vec<&str> = config.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["search", "long", "fetch"]);
    let all = parsed(&switched_on(&file));
    let names: Vec<&str> = all.tools.iter().map(|tool| tool.name.as_str()).collect();
    let expected = [
        "search",
        "long",
        "fetch",
        "read_file",
        "remember",
        "refused",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_file_for_a_server_that_was_started_by_its_user() {
    let file = text(&Facts {
        server: "x, streamable HTTP, protocol 2026-07-28",
        command: &[],
        url: Some("http://127.0.0.1:3000/mcp"),
        headers: &BTreeMap::new(),
        protocol: None,
        kept: None,
        build: &Project {
            files: &BTreeSet::new(),
            read: &|_| None,
        }
        .build(&[]),
        tools: &[],
    });
    insta::assert_snapshot!("started_by_its_user", file);
    assert!(parsed(&file).tools.is_empty());
    parsed(&switched_on(&file));
}

/// What is built, and what is suggested where no command is given.
#[test]
fn projects_are_recognised() {
    let package = r#"{"scripts": {"build": "tsc"}, "dependencies": {"a": "1"}, "bin": {"notes": "./dist/index.js"}}"#;
    let plain = r#"{"dependencies": {"a": "1"}, "main": "server.js"}"#;
    let start = r#"{"scripts": {"start": "tsx src/index.ts", "build": " "}}"#;
    let python = "[project]\nname = \"notes\"\n[project.scripts]\nnotes-server = \"notes:main\"\n[build-system]\nrequires = []\n";
    let poetry = "[tool.poetry]\nname = \"n\"\n[tool.poetry.scripts]\nnotes = \"n:main\"\n";
    let cargo = "[package]\nname = \"notes\"\n";
    let bins = "[package]\nname = \"n\"\n[[bin]]\nname = \"a\"\n[[bin]]\nname = \"b c\"\n";
    let none: &[(&str, &str)] = &[];
    let mut out = String::new();
    for (files, command) in [
        (
            &[("package.json", package), ("package-lock.json", "")][..],
            "node dist/index.js",
        ),
        (
            &[("package.json", package), ("pnpm-lock.yaml", "")],
            "dist/index.js",
        ),
        (
            &[("package.json", package), ("yarn.lock", "")],
            "node dist/index.js",
        ),
        (
            &[
                ("package.json", package),
                ("yarn.lock", ""),
                (".yarnrc.yml", ""),
            ],
            "node x.js",
        ),
        (
            &[("package.json", package), ("bun.lock", "")],
            "bun src/index.ts",
        ),
        (&[("package.json", package)], "node dist/index.js"),
        (
            &[("package.json", plain), ("package-lock.json", "")],
            "node server.js",
        ),
        (
            &[("package.json", plain), ("package-lock.json", "")],
            "npx -y some-server",
        ),
        (
            &[("package.json", start)],
            "node_modules/.bin/tsx src/index.ts",
        ),
        (
            &[("package.json", r#"{"dependencies": {"a": "workspace:*"}}"#)],
            "node x.js",
        ),
        (
            &[("package.json", "{"), ("package-lock.json", "")],
            "node x.js",
        ),
        (
            &[("pyproject.toml", python), ("uv.lock", "")],
            "uv run notes-server",
        ),
        (&[("pyproject.toml", python)], "uv run notes-server"),
        (
            &[("pyproject.toml", python), (".venv/bin/notes-server", "")],
            ".venv/bin/notes-server",
        ),
        (
            &[("pyproject.toml", "[project]\nname = \"n\"\n")],
            "./venv/bin/python -m n",
        ),
        (&[("requirements.txt", "")], ".venv/bin/python server.py"),
        (&[("pyproject.toml", python)], "python3 server.py"),
        (&[("pyproject.toml", poetry)], "poetry run notes"),
        (
            &[
                ("Cargo.toml", cargo),
                ("Cargo.lock", ""),
                ("src/main.rs", ""),
            ],
            "target/release/notes",
        ),
        (&[("Cargo.toml", bins)], "./target/debug/a"),
        (
            &[("Cargo.toml", cargo)],
            "cargo run --release --quiet -- --release",
        ),
        (&[("Cargo.toml", cargo)], "cargo run -- --release"),
        (&[("Cargo.toml", cargo)], "notes"),
        (&[("go.mod", ""), ("main.go", "")], "bin/server"),
        (&[("go.mod", ""), ("cmd/notes", "")], "./bin/notes"),
        (
            &[("go.mod", ""), ("cmd/a", ""), ("cmd/b", "")],
            "./bin/notes",
        ),
        (&[("go.mod", ""), ("main.go", "")], "go run ."),
        (
            &[("package.json", package), ("Cargo.toml", cargo)],
            "./server",
        ),
        (
            &[("package.json", package), ("Cargo.toml", cargo)],
            "target/release/notes",
        ),
        (&[("Cargo.toml", cargo)], "node x.js"),
        (none, "node x.js"),
    ] {
        let contents: BTreeMap<&str, &str> = files.iter().copied().collect();
        let names: BTreeSet<String> = contents.keys().map(|name| (*name).to_owned()).collect();
        let read = |name: &str| contents.get(name).map(|text| (*text).to_owned());
        let project = Project {
            files: &names,
            read: &read,
        };
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let names: Vec<&str> = contents.keys().copied().collect();
        out.push_str(&format!("{} · {command}\n", names.join(" ")));
        match project.build(&words) {
            Build::Known(build) => out.push_str(&format!("    build {build}\n")),
            Build::Unknown { why, perhaps } => {
                out.push_str(&format!("    none: {why}\n"));
                if let Some(perhaps) = perhaps {
                    out.push_str(&format!("    perhaps {perhaps}\n"));
                }
            }
        }
        for suggestion in project.suggestions() {
            out.push_str(&format!(
                "    ? {} ({})\n",
                suggestion.command, suggestion.from
            ));
        }
    }
    insta::assert_snapshot!("projects", out);
}

#[test]
fn what_is_not_what_it_looks_like_is_not_suggested() {
    for odd in [
        "a\u{202e}sj.b",
        "a\u{200b}b",
        "\u{feff}a",
        "a\u{2066}b",
        "a\u{1b}[31mb",
        "a\nb",
    ] {
        let quoted = Value::from(odd).to_string();
        let bin = format!("{{\"bin\": {{\"x\": {quoted}, \"y\": \"plain.js\"}}}}");
        let start = Value::from(format!("node {odd}")).to_string();
        let start = format!("{{\"scripts\": {{\"start\": {start}}}}}");
        let scripts = format!("[project.scripts]\n{quoted} = \"a:b\"\n");
        let crate_name = format!("[[bin]]\nname = {quoted}\n");
        let folder = format!("cmd/{odd}");
        for (file, text) in [
            ("package.json", bin.as_str()),
            ("package.json", &start),
            ("pyproject.toml", &scripts),
            ("Cargo.toml", &crate_name),
            ("go.mod", ""),
        ] {
            let names = BTreeSet::from([file.to_owned(), folder.clone()]);
            let read = |name: &str| (name == file).then(|| text.to_owned());
            let project = Project {
                files: &names,
                read: &read,
            };
            let found = project.suggestions();
            let found: Vec<&str> = found.iter().map(|s| s.command.as_str()).collect();
            let expected: &[&str] = if text == bin { &["node plain.js"] } else { &[] };
            assert_eq!(found, expected, "{odd:?} in {file}");
            let build = format!("{:?}", project.build(&["./bin/server".to_owned()]));
            assert!(!build.contains("cmd/"), "{build}");
        }
    }
}

#[test]
fn refusals_in_disguise_are_told() {
    for (answer, expected) in [
        ("Error: Operation failed", true),
        ("{\"error\": \"no access\"}", true),
        ("File /tmp/x not found", true),
        ("Traceback (most recent call last):", true),
        ("Unknown location", true),
        ("0 errors in 3 files", false),
        ("No results for that query", true),
        ("hello 0", false),
        ("", false),
        ("Summary of failures: none", false),
    ] {
        assert_eq!(reads_like_refusal(answer), expected, "{answer}");
    }
}

#[test]
fn answers_that_hold_nothing_are_told() {
    for (answer, expected) in [
        (" ", true),
        ("(nothing)", true),
        ("(text)", true),
        ("(text, text)", true),
        ("(text, image)", false),
        ("[]", true),
        ("{\"items\": [], \"next\": null}", true),
        ("\"\"", true),
        ("0", false),
        ("{\"items\": [], \"total\": 0}", false),
        ("(image)", false),
        ("ok", false),
    ] {
        assert_eq!(is_empty_answer(answer), expected, "{answer}");
    }
}

#[test]
fn a_workflow_builds_what_it_measures() {
    let example = include_str!("../../../examples/workflows/gate.yml");
    let end = |text: &str| {
        let steps = text.split("    steps:\n").nth(1).unwrap();
        steps
            .lines()
            .skip(4)
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let unknown = Build::Unknown {
        why: String::new(),
        perhaps: None,
    };
    assert_eq!(workflow(example, "", &unknown), example);
    let top = workflow(example, "", &known("npm ci && npm run build"));
    let inside = workflow(example, "servers/it's", &known("cargo build --release"));
    let other = workflow(example, "", &known("uv sync --frozen"));
    insta::assert_snapshot!(
        "workflow_steps",
        [&top, &inside, &other].map(|t| end(t)).join("---\n")
    );
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "x", "query", "a.b", "", " ", "#", "\"", "'", "'''", "\"\"\"", "\\", "a\nb", "\r",
            "]]", "{{i}}", "{{", "${HOME}", "\u{202e}", "\u{0}", "= 1", "[tool]",
        ])
        .prop_map(str::to_owned),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any_text(), inner), 0..4)
                .prop_map(|entries| { Value::Object(entries.into_iter().collect()) }),
        ]
    })
}

fn any_tool() -> impl Strategy<Value = Value> {
    let property = (any_text(), any_text(), any_value(), any::<bool>());
    (
        any_text(),
        prop::collection::vec(property, 0..4),
        any::<Option<bool>>(),
        any::<bool>(),
    )
        .prop_map(|(name, properties, read_only, open_world)| {
            let names: Vec<&String> = properties.iter().map(|(name, ..)| name).collect();
            let schemas: serde_json::Map<String, Value> = properties
                .iter()
                .map(|(name, description, value, is_stated)| {
                    let schema = match is_stated {
                        true => json!({"const": value, "description": description}),
                        false => json!({"type": "string", "description": description}),
                    };
                    (name.clone(), schema)
                })
                .collect();
            json!({
                "name": name,
                "annotations": {"readOnlyHint": read_only, "openWorldHint": open_world},
                "inputSchema": {"type": "object", "properties": schemas, "required": names},
            })
        })
}

proptest! {
    #[test]
    fn whatever_is_listed_the_file_is_read_and_says_the_same(
        tools in prop::collection::vec(any_tool(), 0..6),
        words in prop::collection::vec("[^\u{0}]{1,12}", 1..4),
        server in any_text(),
        build in any_text(),
        reason in any_text(),
    ) {
        let mut entries = entries(&tools);
        for entry in &mut entries {
            if let State::Off(old) = &mut entry.state {
                old.push_str(&reason);
            }
        }
        let command: Vec<String> = words;
        prop_assume!(!command[0].trim().is_empty() && !command.concat().contains("{port}"));
        let is_sound = !build.trim().is_empty() && !build.contains('\0');
        let build = match is_sound {
            true => known(&build),
            false => Build::Unknown { why: build.clone(), perhaps: Some("x".to_owned()) },
        };
        let facts = Facts { server: &server, command: &command, url: None, headers: &BTreeMap::new(), protocol: None, kept: None, build: &build, tools: &entries };
        let file = text(&facts);
        let config = match config::parse("mcpgate.toml", &file, outside()) {
            Ok(config) => config,
            Err(mistakes) => return Err(TestCaseError::fail(format!("{}\n{file}", mistakes.render(false)))),
        };
        let read = config.server.unwrap_or_default();
        prop_assert_eq!(read.command, Some(command));
        if let Build::Known(build) = build {
            prop_assert_eq!(read.build, Some(build));
        }
        let measured: Vec<_> = entries
            .iter()
            .filter(|entry| matches!(entry.state, State::Measured { .. }))
            .filter_map(|entry| entry.tool.call.as_ref().ok())
            .collect();
        prop_assert_eq!(config.tools.len(), measured.len());
        for (read, call) in config.tools.iter().zip(measured) {
            prop_assert_eq!(&read.name, &call.name);
            prop_assert_eq!(&read.arguments, &call.arguments);
            prop_assert_eq!(read.kind, call.kind);
            prop_assert_eq!(&read.expect.contains, &varying_text(call));
        }
        let on = switched_on(&file);
        if let Err(mistakes) = config::parse("mcpgate.toml", &on, outside()) {
            return Err(TestCaseError::fail(format!("{}\n{on}", mistakes.render(false))));
        }
    }
}
