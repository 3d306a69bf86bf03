//! The main job on servers that others wrote, against a known truth: unchanged, they pass; with
//! one tool twice as slow and 50 MB more memory, they regress, and both are named.
//!
//! The planted memory is found on any machine. A slow-down can only be told from that of a machine
//! which keeps its pace, and that nothing changed only where figures of one and the same server
//! agree: where the test itself sees them scatter, or the machine change, and only there, an open
//! answer is right too.
//!
//! The servers are installed by `cargo xtask setup`; see `tests/servers/`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;

use crate::harness::{BASELINE, Outcome, Project, RESULTS, repository};

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

/// Calls a round from which on the p95 of one call at a time gates. Two servers have so many; of the
/// others the median, memory and start-up gate, in half the time.
const CALLS_FOR_P95: u32 = 100;

/// Factor on the planted 5 ms that makes a whole call about twice as slow. Over HTTP the servers
/// in Node.js and Python spend 2 to 7 ms of their own.
const TWICE_ON_STDIO: &str = "2";
const TWICE_ON_HTTP: &str = "3";

#[test]
fn server_everything_over_stdio() {
    let program = npm_program("mcp-server-everything");
    let project = node_project(&EVERYTHING_TOOLS, [program.as_str(), "stdio"])
        .config("suite.calls", CALLS_FOR_P95);
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
    let project = python_project("modern", "fastmcp_server.py", &["stdio"])
        .config("suite.calls", CALLS_FOR_P95);
    holds(project, &PYTHON_TOOLS, TWICE_ON_STDIO);
}

#[test]
fn fastmcp_over_http() {
    let project = python_project("modern", "fastmcp_server.py", &["http", "{port}"])
        .config("server.url", "http://127.0.0.1:{port}/mcp");
    holds(project, &PYTHON_TOOLS, TWICE_ON_HTTP);
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
    role: String,
    verdict: String,
    ratio: Option<f64>,
    interval: Option<Value>,
    reason: String,
}

impl Report {
    /// What is not a pass, for a message that is short enough to be read.
    fn decided(&self) -> String {
        let told = self.comparisons.iter().filter(|c| c.verdict != "pass");
        let lines = told.map(|c| {
            let interval = c.interval.as_ref().map(Value::to_string);
            format!(
                "\n  {} {} ({}): {}, x {:.3} {} {}",
                c.scenario,
                c.metric,
                c.role,
                c.verdict,
                c.ratio.unwrap_or(f64::NAN),
                interval.unwrap_or_default(),
                c.reason
            )
        });
        let lines: String = lines.collect();
        format!("{}{lines}", self.verdict)
    }

    fn regressed(&self, matches: impl Fn(&Comparison) -> bool) -> bool {
        self.comparisons
            .iter()
            .any(|comparison| comparison.verdict == "regressed" && matches(comparison))
    }
}

/// Standard deviation of the logarithms of an unchanged figure, from round to round, from which on
/// the tolerance of 20 % may be out of sight: six rounds against twelve then tell a pass from a
/// change about nineteen times in twenty, and less often above.
const SCATTER: f64 = 0.1;

/// Student's t at 95 % on one side, with the fifteen degrees of freedom of six rounds against
/// eleven.
const T: f64 = 1.75;

/// Factor in the time of one and the same work from which on the machine was not the same for both
/// sides: it changed its pace, or came under a neighbour for longer than a side was measured.
const OTHER_SPEED: f64 = 1.15;

/// The same of the work that shows disturbance by others on the host, in the middle round.
const OTHER_DISTURBANCE: f64 = 1.05;

/// Measures, accepts, compares; then plants the slow-down and the memory, and compares again.
#[track_caller]
fn holds(mut project: Project, tools: &Tools, twice: &str) {
    let planted = tool_name(tools.planted);
    let other = tool_name(tools.other);

    project.set_config("server.env.MCPGATE_TEST_SLOW", "1");
    project.set_config("server.env.MCPGATE_TEST_BLOAT_MB", "0");
    project.run(&["run"]).code(0);
    project.run(&["baseline", "update"]).code(0);

    let (unchanged, outcome) = compare(&project);
    let (base, candidate) = (rounds(&project, BASELINE), rounds(&project, RESULTS));
    let is_one_speed = is_one_speed(&base, &candidate);
    let rounds_of_both = [base.clone(), candidate.clone()].concat();
    for open in unchanged
        .comparisons
        .iter()
        .filter(|c| c.verdict == "inconclusive")
    {
        let scatter = scatter(&rounds_of_both, open);
        let reaches = scatter.zip(open.ratio).is_some_and(|(scatter, ratio)| {
            let rounds = 1.0 / base.len() as f64 + 1.0 / candidate.len() as f64;
            ratio.ln().abs() + T * scatter * rounds.sqrt() > 1.2_f64.ln()
        });
        assert!(
            !is_one_speed || reaches || scatter.is_some_and(|scatter| scatter > SCATTER),
            "{open:?} is undecided, and its rounds scatter by {scatter:?}\n{outcome}"
        );
    }
    // What is measured while the machine is better than it was is rightly an improvement.
    let decided: &[&str] = if is_one_speed {
        &["pass", "inconclusive"]
    } else {
        &["pass", "inconclusive", "improved"]
    };
    assert!(
        decided.contains(&unchanged.verdict.as_str()),
        "unchanged, on a machine of one speed: {is_one_speed}: {}\n{outcome}",
        unchanged.decided()
    );

    project.set_config("server.env.MCPGATE_TEST_SLOW", twice);
    project.set_config("server.env.MCPGATE_TEST_BLOAT_MB", "50");
    let (changed, outcome) = compare(&project);
    let decided = changed.decided();
    assert_eq!(
        changed.verdict, "regressed",
        "changed: {decided}\n{outcome}"
    );
    let is_planted =
        |c: &Comparison| c.tool.as_deref() == Some(&planted) && c.metric.starts_with("latency_");
    let is_open = |c: &Comparison| is_planted(c) && c.verdict == "inconclusive";
    let is_one_speed = self::is_one_speed(&base, &rounds(&project, RESULTS));
    assert!(
        changed.regressed(is_planted) || (!is_one_speed && changed.comparisons.iter().any(is_open)),
        "the slower tool is not named: {decided}\n{outcome}"
    );
    assert!(
        changed.regressed(|c| c.scenario == "server" && c.metric == "peak_memory"),
        "the memory is not named: {decided}\n{outcome}"
    );
    assert!(
        !changed.regressed(|c| c.tool.as_deref() == Some(&other)),
        "a tool that did not change is named: {decided}\n{outcome}"
    );
}

/// The measured rounds of a file of results, as JSON.
pub(crate) fn rounds(project: &Project, path: &str) -> Vec<Value> {
    let results: Value = serde_json::from_str(&project.read(path)).expect("results as JSON");
    let jobs = results["jobs"].as_array().expect("jobs");
    jobs.iter()
        .flat_map(|job| job["rounds"].as_array().expect("rounds").clone())
        .collect()
}

/// Whether the machine's own work, which no server changes, took the two sides as long: only then
/// can a call that takes twice as long be told from a machine that does.
pub(crate) fn is_one_speed(base: &[Value], candidate: &[Value]) -> bool {
    let quickest = |rounds: &[Value]| {
        let figures = rounds
            .iter()
            .map(|round| round["reference_work_ns"].as_f64().expect("a figure"));
        figures.fold(f64::INFINITY, f64::min)
    };
    let middle = |rounds: &[Value]| {
        let mut figures: Vec<f64> = rounds
            .iter()
            .map(|round| round["page_work_ns"].as_f64().expect("a figure"))
            .collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let is_within = |a: f64, b: f64, most: f64| (a / b).max(b / a) <= most;
    is_within(quickest(base), quickest(candidate), OTHER_SPEED)
        && is_within(middle(base), middle(candidate), OTHER_DISTURBANCE)
}

/// Standard deviation of the logarithms of the figure that was compared; `None` where no round
/// has it.
fn scatter(rounds: &[Value], comparison: &Comparison) -> Option<f64> {
    let Comparison {
        scenario, metric, ..
    } = comparison;
    let figure = |round: &Value| {
        let measured = &round["scenarios"][scenario];
        match metric.as_str() {
            "startup" => round["startup_ns"].as_f64(),
            "startup_adjusted" => round["startup_adjusted_ns"].as_f64(),
            "peak_memory" => round["peak_memory_bytes"].as_f64(),
            "latency_p50" => measured["wall"]["p50_ns"].as_f64(),
            "latency_p95" => measured["wall"]["p95_ns"].as_f64(),
            "latency_p50_adjusted" => measured["adjusted"]["p50_ns"].as_f64(),
            "latency_p95_adjusted" => measured["adjusted"]["p95_ns"].as_f64(),
            "cpu_per_call" => measured["cpu_per_call_ns"].as_f64(),
            "throughput" => measured["duration_ns"].as_f64(),
            _ => None,
        }
    };
    let logarithms: Vec<f64> = rounds.iter().filter_map(figure).map(f64::ln).collect();
    let n = logarithms.len() as f64;
    let mean = logarithms.iter().sum::<f64>() / n;
    let squares: f64 = logarithms.iter().map(|x| (x - mean).powi(2)).sum();
    (n > 1.0).then(|| (squares / (n - 1.0)).sqrt())
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
        .config("suite.rounds", 6)
        .config("server.command", command)
        .config("suite.calls", 50)
        .config("suite.soak-calls", 0)
        .config("suite.loads", "none")
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

pub(crate) fn npm_program(name: &str) -> String {
    text(&installed(&format!("npm/node_modules/.bin/{name}")))
}

/// Something that `cargo xtask setup` installs.
pub(crate) fn installed(path: &str) -> PathBuf {
    let path = repository().join("tests/servers/.installed").join(path);
    assert!(
        path.exists(),
        "{} is missing: run `cargo xtask setup`, or `cargo xtask test` for everything",
        path.display()
    );
    path
}

fn rmcp_program() -> String {
    example("rmcp_server")
}

/// The program of an example, which cargo builds with the tests: `target/*/deps/it-*` runs,
/// `target/*/examples/` lies beside.
pub(crate) fn example(name: &str) -> String {
    let test = std::env::current_exe().expect("the path of this program");
    let profile = test
        .ancestors()
        .find(|path| path.join("examples").is_dir())
        .unwrap_or(Path::new(""));
    let path = profile.join("examples").join(name);
    assert!(
        path.exists(),
        "{} is missing: run `cargo build --examples`",
        path.display()
    );
    text(&path)
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}
