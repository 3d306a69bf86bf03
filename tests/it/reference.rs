//! Projects whose server is the bundled one, small enough that a run takes a second.

use mcpgate::results::{Results, Sample};

use crate::harness::Project;

/// The program under test, which is also the reference server.
pub(crate) const MCPGATE: &str = env!("CARGO_BIN_EXE_mcpgate");

/// Where a server that mcpgate starts over HTTP listens.
const URL: &str = "http://127.0.0.1:{port}/mcp";

/// A tool that costs nothing, and whose answers are checked.
pub(crate) const ECHO: &str = r#"
    name = "echo"
    arguments = { message = "call {{i}}" }
    expect = { contains = "call {{i}}" }
"#;

/// A tool that takes its time off the CPU, so that its latency hardly depends on the machine.
pub(crate) const WAIT: &str = r#"
    name = "wait"
    arguments = { ms = 5 }
"#;

/// How the server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Stdio,
    Http,
}

pub(crate) const BOTH: &[Over] = &[Over::Stdio, Over::Http];

/// The command of the reference server.
pub(crate) fn command(over: Over, options: &[&str]) -> Vec<String> {
    let mut command = vec![MCPGATE, "reference-server"];
    if over == Over::Http {
        command.extend(["--transport", "http", "--port", "{port}"]);
    }
    command.extend(options);
    command.into_iter().map(str::to_owned).collect()
}

/// A command as a shell reads it.
pub(crate) fn shell_line(command: &[String]) -> String {
    let quoted: Vec<String> = command.iter().map(|word| format!("'{word}'")).collect();
    quoted.join(" ")
}

/// A project that measures the reference server, as little as a verdict needs.
pub(crate) fn small(project: Project, over: Over, options: &[&str]) -> Project {
    reached(project, over)
        .config("server.command", command(over, options))
        .config("server.call-timeout", "1s")
        .config("server.startup-timeout", "10s")
        .config("suite.size", "quick")
        .config("suite.calls", 20)
        .config("suite.concurrency", 2)
}

/// Says how the server is reached; the command is the caller's.
pub(crate) fn reached(project: Project, over: Over) -> Project {
    match over {
        Over::Stdio => project,
        Over::Http => project.config("server.url", URL),
    }
}

/// Results of a healthy run of two tools, made once for all tests that only read results. Their
/// rounds are made to differ by 2 % at most, so that no test depends on what the machine did
/// meanwhile.
///
/// Not to be asked for by a test that has the machine to itself: the run would wait for that test.
pub(crate) fn healthy() -> Results {
    static HEALTHY: std::sync::OnceLock<Results> = std::sync::OnceLock::new();
    HEALTHY
        .get_or_init(|| {
            let project = small(Project::new(), Over::Stdio, &[])
                .tool(ECHO)
                .tool(WAIT);
            project.run(&["run", "--quiet"]).code(0);
            let mut results = project.results();
            let first = results.jobs[0].rounds[0].clone();
            for (number, round) in results.jobs[0].rounds.iter_mut().enumerate() {
                let index = round.index;
                *round = first.clone();
                round.index = index;
                let percent = [100, 101, 99][number % 3];
                for sample in round.scenarios.values_mut() {
                    scale_times(sample, percent);
                }
            }
            results
        })
        .clone()
}

/// Makes all times of a sample so many per cent of what they are.
pub(crate) fn scale_times(sample: &mut Sample, percent: u64) {
    let scale = |ns: &mut u64| *ns = *ns * percent / 100;
    let latencies = [&mut sample.wall, &mut sample.adjusted];
    for latency in latencies.into_iter().flatten() {
        scale(&mut latency.p50_ns);
        scale(&mut latency.max_ns);
        latency.p95_ns.iter_mut().for_each(scale);
        latency.p99_ns.iter_mut().for_each(scale);
    }
    let histograms = [
        &mut sample.wall_histogram_ns,
        &mut sample.adjusted_histogram_ns,
    ];
    for histogram in histograms.into_iter().flatten() {
        *histogram = histogram.scaled(percent as f64 / 100.0);
    }
    scale(&mut sample.duration_ns);
    sample.cpu_per_call_ns.iter_mut().for_each(scale);
}
