//! `--samples`: every single latency, from which the results' figures can be taken again.

use std::collections::BTreeMap;

use mcpgate::{results::Histogram, stats::summarize};
use rustix::process::Signal;
use serde::Deserialize;

use crate::{
    harness::{Project, RESULTS},
    reference::{ECHO, Over, WAIT, small},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    phase: String,
    round: usize,
    scenario: String,
    wall_ns: Vec<u64>,
    first_byte_ns: Vec<u64>,
    adjusted_ns: Vec<u64>,
}

fn lines(text: &str) -> Vec<Line> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn the_figures_of_the_results_are_those_of_the_samples() {
    let project = small(Project::new(), Over::Http, &[])
        .config("suite.rounds", 2)
        .tool(ECHO)
        .file("samples.jsonl", "of an earlier run");
    project
        .run(&["run", "--quiet", "--samples", "samples.jsonl"])
        .code(0);
    let results = project.results();
    let rounds = &results.jobs[0].rounds;
    let mut seen: BTreeMap<(usize, String), ()> = BTreeMap::new();
    for mut line in lines(&project.read("samples.jsonl")) {
        let sample = &rounds[line.round].scenarios[&line.scenario];
        assert_eq!(line.phase, "measure");
        assert_eq!(line.wall_ns.len(), sample.successes as usize);
        if line.scenario != "handshake" {
            assert_eq!(line.first_byte_ns.len(), line.wall_ns.len());
        }
        let pairs = line.first_byte_ns.iter().zip(&line.wall_ns);
        assert!(pairs.into_iter().all(|(first, last)| first <= last));
        for (single, kept) in [
            (&line.wall_ns, &sample.wall_histogram_ns),
            (&line.adjusted_ns, &sample.adjusted_histogram_ns),
        ] {
            assert_eq!(&Histogram::of(single.iter().copied()), kept);
        }
        assert!(sample.wall_histogram_ns.is_some());
        for (single, kept) in [
            (&mut line.wall_ns, sample.wall),
            (&mut line.first_byte_ns, sample.first_byte),
            (&mut line.adjusted_ns, sample.adjusted),
        ] {
            let again = summarize(single);
            assert_eq!(again.map(|s| s.p50_ns), kept.map(|l| l.p50_ns));
            assert_eq!(again.and_then(|s| s.p95_ns), kept.and_then(|l| l.p95_ns));
            assert_eq!(again.map(|s| s.max_ns), kept.map(|l| l.max_ns));
        }
        seen.insert((line.round, line.scenario), ());
    }
    let measured: usize = rounds.iter().map(|round| round.scenarios.len()).sum();
    assert_eq!(seen.len(), measured);
    assert!(measured >= 8, "{measured}");
}

#[test]
fn a_file_that_cannot_be_written_is_known_before_the_run() {
    let project = small(Project::new(), Over::Stdio, &[])
        .tool(ECHO)
        .file("folder/a.txt", "");
    project
        .run(&["run", "--samples", "folder"])
        .code(5)
        .stderr_has("folder");
    assert!(!project.path(RESULTS).exists());
}

#[test]
fn an_earlier_file_stays_until_there_is_something_to_put_in_its_place() {
    let project = Project::new()
        .config("server.command", vec!["mcpgate-no-such-program"])
        .file("samples.jsonl", "of an earlier run");
    project.run(&["run", "--samples", "samples.jsonl"]).code(3);
    assert_eq!(project.read("samples.jsonl"), "of an earlier run");
    project
        .run(&["run", "--samples", "same.json", "--output", "same.json"])
        .code(2)
        .stderr_has("same.json");
}

#[test]
fn an_interrupted_run_keeps_the_samples_of_whole_rounds() {
    let project = small(Project::new(), Over::Stdio, &[])
        .config("suite.rounds", 200)
        .tool(WAIT);
    let running = project.start(&["run", "--quiet", "--samples", "samples.jsonl"]);
    let path = project.path("samples.jsonl");
    running.until("a round's samples", || {
        std::fs::metadata(&path).is_ok_and(|file| file.len() > 0)
    });
    running.signal(Signal::INT);
    running.wait().code(3).stderr_has("interrupted");
    let rounds = project.results().jobs[0].rounds.len();
    let lines = lines(&project.read("samples.jsonl"));
    assert_eq!(lines.iter().map(|line| line.round).max(), Some(rounds - 1));
}
