//! Prints what each rule of adjusted latency makes of servers of several shapes, quiet and beside
//! others' load: the tables of "Adjusted latency" in `docs/decision.md`.
//!
//! `cargo run --release --example adjusted_study MCPGATE [ROUNDS]`, where MCPGATE is the program
//! whose reference server is measured. Nothing else may run on the machine.
//!
//! Each shape is measured twice in turn, round by round: as it is, and with a change planted. A rule
//! is good if rounds of one and the same server agree by it, and if it shows the planted change as
//! large as it is on a quiet machine.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use mcpgate::{
    mcp::{Limits, client::Wanted},
    process::{Reading, SchedulerProbe},
    runner::{
        call::CompiledCall,
        target::{self, Launch, Target},
    },
    stats::{Sample, adjusted::SchedulerDelta, location::median, summarize},
    suite::{Expect, ToolCall, ToolKind},
};

const DEFAULT_ROUNDS: usize = 12;
const CALLS: u32 = 150;
const WARM_UP: u32 = 30;

/// A server and the same one slower.
struct Shape {
    name: &'static str,
    /// Options of the reference server, for both.
    faults: &'static [&'static str],
    /// And for the slower one.
    slower: &'static str,
    wrapped: Wrapped,
    is_http: bool,
    /// Between two calls.
    pause: Duration,
}

/// What stands before the server.
#[derive(Clone, Copy, PartialEq)]
enum Wrapped {
    No,
    /// A shell that stays its parent.
    Shell,
    /// Two processes that hand on what goes in and out.
    Pipes,
}

const PLAIN: Shape = Shape {
    name: "plain, its work x 1.3",
    faults: &[],
    slower: "slow=search:1.3",
    wrapped: Wrapped::No,
    is_http: false,
    pause: Duration::ZERO,
};

const SHAPES: &[Shape] = &[
    PLAIN,
    Shape {
        name: "the same over HTTP",
        is_http: true,
        ..PLAIN
    },
    Shape {
        name: "a pause of 2 ms between calls",
        pause: Duration::from_millis(2),
        ..PLAIN
    },
    Shape {
        name: "off the CPU, 1 ms more",
        slower: "delay=search:1",
        ..PLAIN
    },
    Shape {
        name: "three threads a call more",
        faults: &["fan-out=search:1"],
        slower: "fan-out=search:3",
        ..PLAIN
    },
    Shape {
        name: "two threads a call more, which fight for a lock",
        faults: &["lock-fight=search:1"],
        slower: "lock-fight=search:2",
        ..PLAIN
    },
    Shape {
        name: "one busy background thread",
        faults: &["background=1"],
        ..PLAIN
    },
    Shape {
        name: "three busy background threads",
        faults: &["background=3"],
        ..PLAIN
    },
    Shape {
        name: "below a shell",
        wrapped: Wrapped::Shell,
        ..PLAIN
    },
    Shape {
        name: "behind two processes",
        wrapped: Wrapped::Pipes,
        ..PLAIN
    },
];

/// One call.
#[derive(Clone, Copy)]
struct Call {
    wall_ns: u64,
    delta: SchedulerDelta,
}

/// From a call to its latency.
struct Rule {
    name: &'static str,
    of: fn(Call) -> u64,
}

fn less_waits(call: Call, dead_band_ns: u64) -> u64 {
    let beyond = |wait: u64| if wait > dead_band_ns { wait } else { 0 };
    call.wall_ns
        .saturating_sub(beyond(call.delta.max_server_wait_ns))
        .saturating_sub(beyond(call.delta.client_wait_ns))
}

fn floored(call: Call, dead_band_ns: u64) -> u64 {
    less_waits(call, dead_band_ns).max(call.wall_ns.min(call.delta.server_cpu_ns))
}

const RULES: &[Rule] = &[
    Rule {
        name: "wall",
        of: |call| call.wall_ns,
    },
    Rule {
        name: "floored, 0",
        of: |call| floored(call, 0),
    },
    Rule {
        name: "floored, 20 µs",
        of: |call| floored(call, 20_000),
    },
    Rule {
        name: "floored, 50 µs",
        of: |call| floored(call, 50_000),
    },
    Rule {
        name: "floored, 100 µs",
        of: |call| floored(call, 100_000),
    },
    Rule {
        name: "floored, 200 µs",
        of: |call| floored(call, 200_000),
    },
    Rule {
        name: "no floor, 50 µs",
        of: |call| less_waits(call, 50_000),
    },
    Rule {
        name: "client's wait only",
        of: |call| call.wall_ns.saturating_sub(call.delta.client_wait_ns),
    },
];

fn target(mcpgate: &str, shape: &Shape, faults: &[&str]) -> Target {
    let mut server = vec![mcpgate.to_owned(), "reference-server".to_owned()];
    if shape.is_http {
        server.extend(["--transport", "http", "--port", "{port}"].map(str::to_owned));
    }
    for fault in faults {
        server.extend(["--fault".to_owned(), (*fault).to_owned()]);
    }
    let command = match shape.wrapped {
        Wrapped::No => server,
        Wrapped::Shell => shell(&format!("{}; exit $?", server.join(" "))),
        Wrapped::Pipes => shell(&format!("cat | {} | cat", server.join(" "))),
    };
    Target {
        launch: Some(Launch {
            command,
            env: Vec::new(),
            cwd: None,
        }),
        url: shape
            .is_http
            .then(|| "http://127.0.0.1:{port}/mcp".to_owned()),
        is_sse: false,
        ca_file: None,
        headers: Vec::new(),
        tokens: None,
        pid: None,
        startup_timeout: Duration::from_secs(10),
        limits: Limits::default(),
    }
}

fn shell(line: &str) -> Vec<String> {
    ["sh", "-c", line].map(str::to_owned).to_vec()
}

/// The calls of one fresh server.
async fn round(target: &Target, pause: Duration) -> Result<Vec<Call>, String> {
    let told = |e: &dyn std::fmt::Display| e.to_string();
    let ready = target::start(target, Wanted::Any)
        .await
        .map_err(|e| told(&e))?;
    let (server, mut client) = (ready.server, ready.opened.client);
    let pid = server.pid().ok_or("the server has no process")?;
    let mut probe = SchedulerProbe::attach(pid)?;
    let search = ToolCall {
        name: "search".to_owned(),
        arguments: serde_json::Map::from_iter([("query".to_owned(), "query {{i}}".into())]),
        expect: Expect::default(),
        kind: ToolKind::Compute,
        data: None,
    };
    let compiled = CompiledCall::new(&search, 1, "search").map_err(|e| told(&e))?;
    let mut calls = Vec::new();
    let mut last: Option<(u64, Reading, Reading)> = None;
    for number in 0..WARM_UP + CALLS {
        let (prepared, _) = compiled.prepare(&mut client, 0, number);
        client.make_ready().await.map_err(|e| told(&e))?;
        probe.refresh_if_changed();
        let before = probe.read();
        if let Some((wall_ns, earlier, after)) = last.take() {
            let delta = Reading::call(&earlier, &after, &before);
            calls.push(Call { wall_ns, delta });
        }
        let exchange = client.send(&prepared).await.map_err(|e| told(&e))?;
        let after = probe.read();
        let wall_ns = u64::try_from(exchange.wall().as_nanos()).unwrap_or(u64::MAX);
        last = Some((wall_ns, before, after));
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    client.close().await;
    server.stop().await;
    Ok(calls.split_off(WARM_UP as usize))
}

/// Median and 95th percentile of a round, in nanoseconds.
fn quantiles(calls: &[Call], rule: &Rule) -> (f64, f64) {
    let mut ns: Vec<u64> = calls.iter().map(|call| (rule.of)(*call)).collect();
    summarize(&mut ns).map_or((f64::NAN, f64::NAN), |summary| {
        (
            summary.p50_ns as f64,
            summary.p95_ns.unwrap_or_default() as f64,
        )
    })
}

fn spread(values: &[f64]) -> f64 {
    let logs: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
    (squares / (logs.len() as f64 - 1.0)).sqrt()
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    Sample::new(values).map_or(f64::NAN, |sample| median(&sample))
}

/// Of one rule: spread of p95 between unchanged rounds, and the change that p50 and p95 show.
fn cell(pairs: &[[Vec<Call>; 2]], rule: &Rule) -> String {
    let both: Vec<[(f64, f64); 2]> = pairs
        .iter()
        .map(|pair| pair.each_ref().map(|calls| quantiles(calls, rule)))
        .collect();
    let unchanged: Vec<f64> = both.iter().map(|[(_, p95), _]| *p95).collect();
    let p50 = middle(both.iter().map(|[base, slow]| slow.0 / base.0));
    let p95 = middle(both.iter().map(|[base, slow]| slow.1 / base.1));
    format!("{:.0} % · {p50:.2} · {p95:.2}", spread(&unchanged) * 100.0)
}

async fn study(mcpgate: &str, rounds: usize) -> Result<(), String> {
    let mut out = io::stdout().lock();
    let told = |e: io::Error| e.to_string();
    for load in ["quiet", "busy"] {
        let others = (load == "busy").then(Others::start);
        let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        writeln!(out, "\n{load}\n\n| server | {} |", names.join(" | ")).map_err(told)?;
        writeln!(out, "|{}", " --- |".repeat(RULES.len() + 1)).map_err(told)?;
        for shape in SHAPES {
            let base = target(mcpgate, shape, shape.faults);
            let slower: Vec<&str> = shape.faults.iter().copied().chain([shape.slower]).collect();
            let slow = target(mcpgate, shape, &slower);
            let mut pairs = Vec::new();
            for number in 0..rounds {
                let pair = if number % 2 == 0 {
                    let base = round(&base, shape.pause).await?;
                    [base, round(&slow, shape.pause).await?]
                } else {
                    let slow = round(&slow, shape.pause).await?;
                    [round(&base, shape.pause).await?, slow]
                };
                pairs.push(pair);
            }
            let cells: Vec<String> = RULES.iter().map(|rule| cell(&pairs, rule)).collect();
            writeln!(out, "| {} | {} |", shape.name, cells.join(" | ")).map_err(told)?;
        }
        drop(others);
    }
    Ok(())
}

/// What others do on a shared machine: two threads that work for up to half a second, then rest for
/// as long at most.
struct Others {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Others {
    fn start() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let threads = (1..=2)
            .map(|seed| {
                let is_over = Arc::clone(&is_over);
                thread::spawn(move || work_and_rest(seed, &is_over))
            })
            .collect();
        Self { is_over, threads }
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "others work and rest by the clock"
)]
fn work_and_rest(seed: u64, is_over: &AtomicBool) {
    // Marsaglia's xorshift (2003): only the lengths have to differ.
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut milliseconds = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Duration::from_millis(state % 500)
    };
    while !is_over.load(Ordering::Relaxed) {
        let until = Instant::now() + milliseconds();
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        thread::sleep(milliseconds());
    }
}

fn main() -> ExitCode {
    mcpgate::process::become_subreaper();
    let mut arguments = std::env::args().skip(1);
    let mcpgate = arguments.next();
    let rounds = match arguments.next().map(|text| text.parse()) {
        None => Ok(DEFAULT_ROUNDS),
        Some(parsed) => parsed,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = match (mcpgate, rounds, runtime) {
        (Some(mcpgate), Ok(rounds), Ok(runtime)) => runtime.block_on(study(&mcpgate, rounds)),
        _ => Err("usage: adjusted_study MCPGATE [ROUNDS]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {failure}");
            ExitCode::FAILURE
        }
    }
}
