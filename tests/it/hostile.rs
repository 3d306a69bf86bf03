//! Nothing that a server sends can hurt: each row ends by itself, in a counted outcome or a clear
//! error, without much memory and without a process left behind.
//!
//! The servers are those of `tests/servers/hostile.py`, which shake hands as they should.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{
    harness::{Outcome, Project, repository},
    pattern::is_like,
};

/// What one hostile answer comes to.
struct Row {
    /// A function of `hostile.py`.
    how: &'static str,
    code: u8,
    /// A line of what is said on standard error, or of the report where the run succeeds; `…`
    /// stands for anything.
    said: &'static str,
}

/// Of calls that all fail, and of nothing else.
const fn row(how: &'static str, said: &'static str) -> Row {
    Row { how, code: 1, said }
}

const OVER_STDIO: &[Row] = &[
    Row {
        code: 3,
        ..row(
            "endless_line",
            "error: the server was lost during a trial call of echo: the server wrote a line of \
             over 524288 bytes; then it exited with status 1",
        )
    },
    row("endless_notifications", TIMEOUT),
    row("endless_requests", TIMEOUT),
    row("blank_lines", TIMEOUT),
    row(
        "invalid_utf8",
        "…; first error: malformed: not a JSON-RPC answer (invalid unicode…",
    ),
    Row {
        code: 3,
        ..row(
            "deep",
            "…the server wrote a line on its standard output that is no JSON-RPC message: …",
        )
    },
    Row {
        code: 3,
        ..row(
            "nul_bytes",
            "…the server wrote a line on its standard output that is no JSON-RPC message: …",
        )
    },
    Row {
        code: 3,
        ..row(
            "closed_output",
            "error: the server was lost during a trial call of echo: the server closed its output",
        )
    },
    row("late", TIMEOUT),
    row(
        "twice",
        "…; first error: stray-answer: a second answer under id …",
    ),
    row(
        "long_names",
        "…; first error: protocol-error: JSON-RPC error 1: xxx…",
    ),
    Row {
        code: 0,
        ..row(
            "stderr_flood",
            "measured: 3 scenarios in 1 round, no errors",
        )
    },
];

const OVER_HTTP: &[Row] = &[
    row(
        "endless_headers",
        "…; first error: reset: the connection broke (the head of its answer is too large)",
    ),
    row(
        "endless_header",
        "…; first error: reset: the connection broke (the head of its answer is too large)",
    ),
    row("endless_continue", TIMEOUT),
    row("endless_events", TOO_LARGE),
    row("endless_event", TOO_LARGE),
    row("endless_comments", TOO_LARGE),
    row("endless_requests", TOO_LARGE),
    row(
        "endless_resumption",
        "…; first error: reset: the event stream ended before the answer …",
    ),
    row("idle_events", TIMEOUT),
    row("announced", TOO_LARGE),
    row("announced_and_silent", TIMEOUT),
    row("drops", TIMEOUT),
    row(
        "bomb",
        "…; first error: malformed: not a JSON-RPC answer (not an object): \\u{1f}…",
    ),
    row(
        "invalid_utf8",
        "…; first error: malformed: not a JSON-RPC answer (invalid unicode…",
    ),
    row(
        "deep",
        "…; first error: malformed: not a JSON-RPC answer (EOF while parsing…",
    ),
    row(
        "redirect_loop",
        "…; first error: http-307: …redirects are not followed",
    ),
    row(
        "redirect_away",
        "…; first error: http-302: …redirects are not followed",
    ),
    row(
        "two_lengths",
        "…; first error: reset: the connection broke (invalid content-length…",
    ),
    row(
        "no_http",
        "…; first error: reset: the connection broke (the head of its answer is no HTTP: invalid HTTP version…",
    ),
    row(
        "bad_chunks",
        "…; first error: reset: the connection broke (a chunk of its answer…",
    ),
    row(
        "endless_error",
        "…; first error: http-500: HTTP 500 Internal Server Error: xxx…",
    ),
    row(
        "twice",
        "…; first error: stray-answer: a second answer under id …",
    ),
    Row {
        code: 3,
        ..row(
            "endless_pages",
            "…tools/list does not end: over 10000 tools or 1000 pages",
        )
    },
    // No connection is taken: the limit is that of the start.
    Row {
        code: 3,
        ..row(
            "full_queue",
            "error: the server did not get ready within 3s (…",
        )
    },
];

/// The call's own limit is what ends it.
const TIMEOUT: &str = "failed: …; first error: timeout: no …answer within 1s";
const TOO_LARGE: &str =
    "…; first error: too-large: the answer is larger than the limit of 524288 bytes";

/// The limit on an answer in these tests, and what mcpgate may take besides.
const MESSAGE_LIMIT: &str = "512 KiB";
const MOST_BYTES: u64 = (512 << 10) + 100_000_000;

/// Rows at a time: they mostly wait.
const SIDE_BY_SIDE: usize = 4;

#[test]
fn no_answer_over_a_pipe_can_hurt() {
    hold(OVER_STDIO, &|how| project(&["stdio", how]));
}

#[test]
fn no_answer_over_http_can_hurt() {
    hold(OVER_HTTP, &|how| {
        project(&["http", how, "{port}"]).config("server.url", "http://127.0.0.1:{port}/mcp")
    });
}

fn project(arguments: &[&str]) -> Project {
    let script = repository().join("tests/servers/hostile.py");
    let script = script.to_str().expect("UTF-8");
    let command: Vec<toml::Value> = [&["python3", script], arguments]
        .concat()
        .into_iter()
        .map(toml::Value::from)
        .collect();
    Project::new()
        .config("server.command", command)
        .config("server.startup-timeout", "3s")
        .config("server.call-timeout", "1s")
        .config("server.message-limit", MESSAGE_LIMIT)
        .config("suite.rounds", 1)
        .config("suite.calls", 20)
        .config("suite.concurrency", 2)
        .config("suite.soak-calls", 0)
        // What such a server does to 50 callers at once is no matter of these rows.
        .config("suite.loads", "none")
}

#[test]
fn a_load_on_a_server_that_floods_stays_within_bounds() {
    let project = project(&["stdio", "stderr_flood"])
        .config("server.call-timeout", "30s")
        .tool("name = \"echo\"")
        .scenario(
            r#"
                name = "flooded"
                tool = "echo"
                executor = "shared-iterations"
                vus = 5
                iterations = 20
            "#,
        );
    let (outcome, peak_bytes) = project.start(&["run", "--quiet"]).wait_with_peak();
    let outcome = outcome.code(0);
    let load = &project.results().jobs[0].loads["flooded"];
    assert_eq!(load.whole.successes, 20, "{outcome}");
    assert!(
        peak_bytes > 0 && peak_bytes < MOST_BYTES,
        "{peak_bytes} bytes\n{outcome}"
    );
}

fn hold(rows: &[Row], made: &(dyn Fn(&str) -> Project + Sync)) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    holds(row, &made(row.how));
                }
            });
        }
    });
}

fn holds(row: &Row, project: &Project) {
    let Row { how, code, said } = row;
    let (outcome, peak_bytes) = project.start(&["run", "--quiet"]).wait_with_peak();
    let outcome = outcome.code(*code);
    let is_said = |outcome: &Outcome| {
        let text = if *code != 3 {
            &outcome.stdout
        } else {
            &outcome.stderr
        };
        text.lines().any(|line| is_like(said, line.trim()))
    };
    assert!(is_said(&outcome), "{how}: not said: {said}\n{outcome}");
    assert!(
        outcome.stderr.len() + outcome.stdout.len() < 20_000,
        "{how} floods the terminal"
    );
    assert!(
        peak_bytes > 0 && peak_bytes < MOST_BYTES,
        "{how}: mcpgate took {peak_bytes} bytes\n{outcome}"
    );
}
