//! What `mcpgate init` writes for real servers, run as it was written.
use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use mcpgate::suite::config::{self, Outside};

use crate::{
    harness::Project,
    matrix::{ROWS, Row},
};

/// Written by init from a `[server]` that it keeps.
const WRITTEN: &str = "first.toml";

#[test]
fn what_init_writes_of_each_server_runs_without_a_change_or_says_why_not() {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| !row.is_another_way).collect();
    assert_eq!(rows.len(), 14);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    written_and_run(row);
                }
            });
        }
    });
}

fn written_and_run(row: &Row) {
    let name = row.name;
    let project = row.started_in(Project::new().timeout(Duration::from_mins(3)));
    // The harness writes the configuration whenever it starts mcpgate.
    project.run(&["schema"]).code(0);
    let before = project.path("mcpgate.toml");
    fs::copy(&before, project.path(WRITTEN)).expect("copy the configuration");
    let init = ["init", "--config", WRITTEN, "--force", "--yes"];
    project.run(&init).code(0);
    let text = project.read(WRITTEN);
    let config = config::parse(WRITTEN, &text, Outside::NOTHING)
        .unwrap_or_else(|mistakes| panic!("{name}: {}\n{text}", mistakes.render(false)));
    if config.tools.is_empty() {
        assert!(text.contains("No tool is measured yet"), "{name}: {text}");
        assert!(text.contains("\n#[[tool]]\n"), "{name}: {text}");
        return;
    }
    let run = [
        "run", "--config", WRITTEN, "--quiet", "--suite", "quick", "--rounds", "1",
    ];
    let outcome = project.run(&run).code(0).stdout_has("no errors");
    let rounds = &project.results().jobs[0].rounds;
    for tool in &config.tools {
        let is_run = rounds[0]
            .scenarios
            .keys()
            .any(|scenario| scenario.starts_with(&format!("{}/", tool.name)));
        assert!(is_run, "{name}: {} was not called\n{outcome}", tool.name);
    }
}
