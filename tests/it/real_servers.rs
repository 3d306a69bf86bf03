//! The main job on servers that others wrote, against a known truth: unchanged, they pass; with
//! one tool twice as slow and 50 MB more memory, they regress, and both are named.
//!
//! The servers are installed by `cargo xtask setup`; see `tests/servers/`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use crate::harness::{BASELINE, Outcome, Project, repository};

/// The tool whose work is planted and the one that stays as it is, each as a `[[tool]]`.
struct Tools {
    planted: &'static str,
    other: &'static str,
}

const PYTHON_TOOLS: Tools = Tools {
    planted: r#"
        name = "work"
        arguments = { label = "call {{i}}" }
        expect = { contains = "worked: call {{i}}" }
    "#,
    other: r#"
        name = "add"
        arguments = { a = 20, b = 22 }
        expect = { contains = "42" }
    "#,
};

const RMCP_TOOLS: Tools = PYTHON_TOOLS;

const EVERYTHING_TOOLS: Tools = Tools {
    planted: r#"
        name = "echo"
        arguments = { message = "call {{i}}" }
        expect = { contains = "call {{i}}" }
    "#,
    other: r#"
        name = "get-sum"
        arguments = { a = 20, b = 22 }
        expect = { contains = "42" }
    "#,
};

/// This server takes paths as relative to the folder it serves.
const FILESYSTEM_TOOLS: Tools = Tools {
    planted: r#"
        name = "read_text_file"
        arguments = { path = "a.txt" }
        expect = { contains = "some text" }
    "#,
    other: r#"
        name = "list_directory"
        arguments = { path = "." }
        expect = { contains = "a.txt" }
    "#,
};

/// Factor on the planted 3 ms that makes a whole call about twice as slow. Over HTTP the servers
/// in Node.js and Python spend some 2 ms of their own.
const TWICE_ON_STDIO: &str = "2";
const TWICE_ON_HTTP: &str = "3";

#[test]
fn server_everything_over_stdio() {
    let program = npm_program("mcp-server-everything");
    let project = node_project(&EVERYTHING_TOOLS, [program.as_str(), "stdio"]);
    holds(project, &EVERYTHING_TOOLS, TWICE_ON_STDIO);
}

#[test]
fn server_everything_over_http() {
    let program = npm_program("mcp-server-everything");
    let project = node_project(&EVERYTHING_TOOLS, [program.as_str(), "streamableHttp"])
        .config("server.env.PORT", "{port}")
        .config("server.url", "http://127.0.0.1:{port}/mcp");
    holds(project, &EVERYTHING_TOOLS, TWICE_ON_HTTP);
}

#[test]
fn server_filesystem_over_stdio() {
    let program = npm_program("mcp-server-filesystem");
    let project = node_project(&FILESYSTEM_TOOLS, [program.as_str(), "files"])
        .file("files/a.txt", "some text\n");
    holds(project, &FILESYSTEM_TOOLS, TWICE_ON_STDIO);
}

#[test]
fn fastmcp_over_stdio() {
    let project = python_project("modern", "fastmcp_server.py", &["stdio"]);
    holds(project, &PYTHON_TOOLS, TWICE_ON_STDIO);
}

#[test]
fn fastmcp_over_http() {
    let project = python_project("modern", "fastmcp_server.py", &["http", "{port}"])
        .config("server.url", "http://127.0.0.1:{port}/mcp");
    holds(project, &PYTHON_TOOLS, TWICE_ON_HTTP);
}

#[test]
fn mcp_1_over_stdio() {
    let project = python_project("legacy", "mcp1_server.py", &["stdio"]);
    holds(project, &PYTHON_TOOLS, TWICE_ON_STDIO);
}

#[test]
fn mcp_1_over_http() {
    let project = python_project("legacy", "mcp1_server.py", &["http", "{port}"])
        .config("server.url", "http://127.0.0.1:{port}/mcp");
    holds(project, &PYTHON_TOOLS, TWICE_ON_HTTP);
}

#[test]
fn rmcp_over_stdio() {
    let program = rmcp_program();
    let project = project(&RMCP_TOOLS, [program.as_str(), "stdio"]);
    holds(project, &RMCP_TOOLS, TWICE_ON_STDIO);
}

#[test]
fn rmcp_over_http() {
    let program = rmcp_program();
    let project = project(&RMCP_TOOLS, [program.as_str(), "http", "{port}"])
        .config("server.url", "http://127.0.0.1:{port}/mcp");
    holds(project, &RMCP_TOOLS, TWICE_ON_STDIO);
}

/// What `mcpgate compare --format json` says, as far as it is checked here.
#[derive(Debug, Deserialize)]
struct Report {
    verdict: String,
    comparisons: Vec<Comparison>,
}

#[derive(Debug, Deserialize)]
struct Comparison {
    scenario: String,
    tool: Option<String>,
    metric: String,
    verdict: String,
}

impl Report {
    fn regressed(&self, matches: impl Fn(&Comparison) -> bool) -> bool {
        self.comparisons
            .iter()
            .any(|comparison| comparison.verdict == "regressed" && matches(comparison))
    }
}

/// Rounds of each try. Where noise leaves a comparison open mcpgate asks for more of them, which is
/// what the next try has.
const ROUNDS: [u32; 3] = [6, 12, 24];

/// Measures, accepts, compares; then plants the slow-down and the memory, and compares again.
///
/// On a machine that something else keeps busy the honest answer is `inconclusive`, and mcpgate
/// asks to measure again: so does this. Any other answer than the right one fails at once.
#[track_caller]
fn holds(mut project: Project, tools: &Tools, twice: &str) {
    let mut open = None;
    for rounds in ROUNDS {
        project.set_config("suite.rounds", i64::from(rounds));
        match told(&mut project, tools, twice) {
            Ok(()) => return,
            Err(Undecided(outcome)) => open = Some(outcome),
        }
    }
    if let Some(outcome) = open {
        panic!("still inconclusive with {ROUNDS:?} rounds: the machine is too busy\n{outcome}");
    }
}

/// A comparison that was inconclusive.
struct Undecided(Outcome);

/// Both comparisons; they are right where they are decided.
#[track_caller]
fn told(project: &mut Project, tools: &Tools, twice: &str) -> Result<(), Undecided> {
    let planted = tool_name(tools.planted);
    let other = tool_name(tools.other);

    // A baseline of an earlier try would be compared with.
    let _ = std::fs::remove_file(project.path(BASELINE));
    project.set_config("server.env.MCPGATE_TEST_SLOW", "1");
    project.set_config("server.env.MCPGATE_TEST_BLOAT_MB", "0");
    project.run(&["run"]).code(0);
    project.run(&["baseline", "update"]).code(0);

    let (unchanged, outcome) = compare(project);
    if unchanged.verdict == "inconclusive" {
        return Err(Undecided(outcome));
    }
    assert_eq!(unchanged.verdict, "pass", "unchanged\n{outcome}");

    project.set_config("server.env.MCPGATE_TEST_SLOW", twice);
    project.set_config("server.env.MCPGATE_TEST_BLOAT_MB", "50");
    let (changed, outcome) = compare(project);
    if changed.verdict == "inconclusive" {
        return Err(Undecided(outcome));
    }
    assert_eq!(changed.verdict, "regressed", "changed\n{outcome}");
    let latency = |metric: &str| metric.starts_with("latency_");
    let is_planted = |c: &Comparison| c.tool.as_deref() == Some(&planted) && latency(&c.metric);
    let is_open = |c: &Comparison| is_planted(c) && c.verdict == "inconclusive";
    if !changed.regressed(is_planted) && changed.comparisons.iter().any(is_open) {
        return Err(Undecided(outcome));
    }
    assert!(
        changed.regressed(is_planted),
        "the slower tool is not named\n{outcome}"
    );
    assert!(
        changed.regressed(|c| c.scenario == "server" && c.metric == "peak_memory"),
        "the memory is not named\n{outcome}"
    );
    assert!(
        !changed.regressed(|c| c.tool.as_deref() == Some(&other)),
        "a tool that did not change is named\n{outcome}"
    );
    Ok(())
}

#[track_caller]
fn compare(project: &Project) -> (Report, Outcome) {
    let outcome = project.run(&["compare", "--format", "json"]);
    let report: Report = outcome.json();
    let code = u8::from(report.verdict == "regressed");
    (report, outcome.code(code))
}

fn tool_name(tool: &str) -> String {
    let tool: toml::Table = toml::from_str(tool).expect("TOML of a tool");
    tool["name"].as_str().expect("a name").to_owned()
}

/// A little of everything in a bounded time, with the machine to itself.
fn project<'a>(tools: &Tools, command: impl IntoIterator<Item = &'a str>) -> Project {
    let command: Vec<toml::Value> = command.into_iter().map(toml::Value::from).collect();
    Project::measuring()
        .timeout(Duration::from_mins(10))
        .config("server.command", command)
        .config("suite.calls", 100)
        .config("suite.soak-calls", 0)
        .tool(tools.planted)
        .tool(tools.other)
}

/// A server in Node.js as it is, with work planted in one tool from outside.
fn node_project<'a>(tools: &Tools, command: impl IntoIterator<Item = &'a str>) -> Project {
    let plant = repository().join("tests/servers/plant.cjs");
    project(tools, command)
        .config(
            "server.env.NODE_OPTIONS",
            format!("--require \"{}\"", plant.display()),
        )
        .config("server.env.MCPGATE_TEST_TOOL", tool_name(tools.planted))
}

fn python_project(environment: &str, script: &str, arguments: &[&str]) -> Project {
    let python = installed(&format!("python-{environment}/bin/python"));
    let script = repository().join("tests/servers").join(script);
    let command = [text(&python), text(&script)];
    project(
        &PYTHON_TOOLS,
        command
            .iter()
            .map(String::as_str)
            .chain(arguments.iter().copied()),
    )
}

fn npm_program(name: &str) -> String {
    text(&installed(&format!("npm/node_modules/.bin/{name}")))
}

/// Something that `cargo xtask setup` installs.
fn installed(path: &str) -> PathBuf {
    let path = repository().join("tests/servers/.installed").join(path);
    assert!(
        path.exists(),
        "{} is missing: run `cargo xtask setup`, or `cargo xtask test` for everything",
        path.display()
    );
    path
}

/// The example `rmcp_server`, which cargo builds with the tests: `target/*/deps/it-*` runs,
/// `target/*/examples/rmcp_server` lies beside.
fn rmcp_program() -> String {
    let test = std::env::current_exe().expect("the path of this program");
    let profile = test
        .ancestors()
        .find(|path| path.join("examples").is_dir())
        .unwrap_or(Path::new(""));
    let path = profile.join("examples/rmcp_server");
    assert!(
        path.exists(),
        "{} is missing: run `cargo build --example rmcp_server`",
        path.display()
    );
    text(&path)
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}
