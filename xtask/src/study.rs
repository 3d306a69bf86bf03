//! `cargo xtask study`: what the decision is worth on real servers.
//!
//! Five servers are compared with themselves, on a quiet machine and on a busy one, and every pair
//! of rounds is recorded with every single latency. `examples/decision_study` then plants changes
//! into what was recorded, and counts what becomes of them. Nothing else may run on the machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{Failure, install, shell};

const PAIRS: &str = "40";
const SUITES: &str = "300";

/// A server with two tools, as a configuration.
struct Server {
    name: &'static str,
    command: Vec<PathBuf>,
    /// Further lines of `[server]`.
    more: String,
    /// The first one is changed.
    tools: &'static str,
}

const PYTHON_TOOLS: &str = r#"
[[tool]]
name = "work"
arguments = { label = "call {{i}}" }
[[tool]]
name = "add"
arguments = { a = 20, b = 22 }
"#;

fn servers(root: &Path) -> Vec<Server> {
    let installed = root.join("tests/servers/.installed");
    let built = root.join("target/release");
    vec![
        Server {
            name: "everything",
            command: vec![
                installed.join("npm/node_modules/.bin/mcp-server-everything"),
                "stdio".into(),
            ],
            // Its tools answer within the floors: one of them waits as if for a database.
            more: format!(
                "env = {{ NODE_OPTIONS = '--require \"{}\"', MCPGATE_TEST_TOOL = \"echo\" }}\n",
                root.join("tests/servers/plant.cjs").display()
            ),
            tools: r#"
[[tool]]
name = "echo"
arguments = { message = "call {{i}}" }
[[tool]]
name = "get-sum"
arguments = { a = 20, b = 22 }
"#,
        },
        Server {
            name: "fastmcp",
            command: vec![
                installed.join("python-modern/bin/python"),
                root.join("tests/servers/fastmcp_server.py"),
                "stdio".into(),
            ],
            more: String::new(),
            tools: PYTHON_TOOLS,
        },
        Server {
            name: "rmcp",
            command: vec![built.join("examples/rmcp_server"), "stdio".into()],
            more: String::new(),
            tools: PYTHON_TOOLS,
        },
        Server {
            name: "reference",
            command: vec![built.join("mcpgate"), "reference-server".into()],
            more: String::new(),
            tools: r#"
[[tool]]
name = "search"
arguments = { query = "query {{i}}" }
[[tool]]
name = "echo"
arguments = { message = "call {{i}}" }
"#,
        },
        Server {
            name: "one-ms",
            command: vec![built.join("mcpgate"), "reference-server".into()],
            more: String::new(),
            tools: r#"
[[tool]]
name = "wait"
arguments = { ms = 1 }
[[tool]]
name = "echo"
arguments = { message = "call {{i}}" }
"#,
        },
    ]
}

/// Records, then counts.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<(), Failure> {
    let pairs = arguments.first().map_or(PAIRS, String::as_str);
    let suites = arguments.get(1).map_or(SUITES, String::as_str);
    for number in [pairs, suites] {
        number
            .parse::<u32>()
            .map_err(|_| format!("`{number}` is no number"))?;
    }
    install::servers(root)?;
    shell::run(
        root,
        shell::cargo().args(["build", "--release", "--locked", "--bins", "--examples"]),
    )?;
    let folder = root.join("target/study");
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for server in servers(root) {
        for load in ["quiet", "busy"] {
            let others = (load == "busy").then(Others::start);
            record(root, &folder, &server, load, pairs)?;
            drop(others);
        }
    }
    let study = root.join("target/release/examples/decision_study");
    shell::run(root, Command::new(study).arg(&folder).arg(suites))
}

fn record(
    root: &Path,
    folder: &Path,
    server: &Server,
    load: &str,
    pairs: &str,
) -> Result<(), Failure> {
    let name = format!("{}-{load}", server.name);
    let results = folder.join(format!("{name}.json"));
    if results.exists() {
        shell::say(&format!(
            "{name} is recorded; remove {} to do so again",
            results.display()
        ));
        return Ok(());
    }
    let words: Vec<String> = server
        .command
        .iter()
        .map(|word| format!("{:?}", word.display().to_string()))
        .collect();
    let config = folder.join(format!("{name}.toml"));
    let text = format!(
        "[server]\ncommand = [{}]\n{}[suite]\nloads = \"none\"\n{}{}",
        words.join(", "),
        server.more,
        // What others do is no matter of how memory grows.
        if load == "busy" {
            "soak-calls = 0\n"
        } else {
            ""
        },
        server.tools
    );
    fs::write(&config, text).map_err(|e| format!("{}: {e}", config.display()))?;
    // Words of a shell: in single quotes, which no path of the project holds.
    let same: Vec<String> = server
        .command
        .iter()
        .map(|word| format!("'{}'", word.display()))
        .collect();
    let unfinished = folder.join(format!("{name}.unfinished.json"));
    let status = Command::new(root.join("target/release/mcpgate"))
        .current_dir(folder)
        .args(["compare", "--quiet", "--record-pairs", pairs])
        .args(["--max-time", "1h"])
        .arg("--config")
        .arg(&config)
        .args(["--base-command", &same.join(" ")])
        .arg("--output")
        .arg(&unfinished)
        .arg("--samples")
        .arg(folder.join(format!("{name}.samples.jsonl")))
        .stdout(fs::File::create(folder.join(format!("{name}.report"))).map_err(|e| e.to_string())?)
        .status()
        .map_err(|e| format!("could not start mcpgate: {e}"))?;
    // Whatever it makes of them, the pairs are there; 3 and above say that they are not.
    match status.code() {
        Some(0 | 1 | 4) => {
            for (from, to) in [
                ("unfinished.base.json", "base.json"),
                ("unfinished.json", "json"),
            ] {
                let [from, to] = [from, to].map(|end| folder.join(format!("{name}.{end}")));
                fs::rename(&from, &to).map_err(|e| format!("{}: {e}", from.display()))?;
            }
            shell::say(&format!("recorded {name}"));
            Ok(())
        }
        _ => Err(format!("{name} could not be recorded ({status})")),
    }
}

/// What others do on a shared machine: on each of two threads, work for up to half a second, then
/// rest for as long at most.
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
