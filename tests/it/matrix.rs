//! MCP servers of every official SDK and a popular one, over every transport that they have: found
//! out, measured without an error, their memory as `ps` sees it, and ended without a trace.
//!
//! `MCPGATE_UPDATE_MATRIX=1` measures them one after another, and longer, and writes the table of
//! `docs/servers.md` anew.
#![expect(
    clippy::disallowed_methods,
    reason = "a test: it reads and writes files, and asks `ps`"
)]

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use mcpgate::results::{Latency, Results};

use crate::{
    harness::{Project, repository},
    machine::Machine,
    real_servers::{example, installed},
    survivors,
};

/// One server, as one of its users would measure it.
pub(crate) struct Row {
    /// As the table names it.
    pub(crate) name: &'static str,
    command: fn() -> Vec<String>,
    /// Path of the URL; none over stdio.
    path: Option<&'static str>,
    /// `protocol`; none to find it out.
    protocol: Option<&'static str>,
    /// What is spoken in the end.
    speaks: &'static str,
    tool: fn() -> String,
    adapted: fn(Project) -> Project,
    /// Whether another row has the same server by another way.
    pub(crate) is_another_way: bool,
}

impl Row {
    /// A project with its `[server]`, and the files that it needs.
    pub(crate) fn started_in(&self, project: Project) -> Project {
        let command: Vec<toml::Value> = (self.command)()
            .into_iter()
            .map(toml::Value::from)
            .collect();
        let mut project = project.config("server.command", command);
        if let Some(path) = self.path {
            project.set_config("server.url", format!("http://127.0.0.1:{{port}}{path}"));
        }
        if let Some(protocol) = self.protocol {
            project.set_config("server.protocol", protocol);
        }
        (self.adapted)(project)
    }
}

const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

const ROW: Row = Row {
    name: "",
    command: Vec::new,
    path: None,
    protocol: None,
    speaks: LEGACY,
    tool: add,
    adapted: |project| project,
    is_another_way: false,
};

fn add() -> String {
    r#"
        name = "add"
        arguments = { a = "{{i}}", b = 1 }
    "#
    .replace("\"{{i}}\"", "2")
}

fn echo() -> String {
    r#"
        name = "echo"
        arguments = { message = "hello {{i}}" }
        expect = { contains = "hello {{i}}" }
    "#
    .to_owned()
}

fn node(program: &str, arguments: &[&str]) -> Vec<String> {
    let program = installed(&format!("npm/node_modules/.bin/{program}"));
    words(program.display().to_string(), arguments)
}

fn python(environment: &str, program: &str, arguments: &[&str]) -> Vec<String> {
    let program = installed(&format!("python-{environment}/bin/{program}"));
    words(program.display().to_string(), arguments)
}

fn script(environment: &str, script: &str, arguments: &[&str]) -> Vec<String> {
    let script = repository().join("tests/servers").join(script);
    let script = script.display().to_string();
    python(
        environment,
        "python",
        &[&[script.as_str()], arguments].concat(),
    )
}

fn words(program: String, arguments: &[&str]) -> Vec<String> {
    let arguments = arguments.iter().map(|word| (*word).to_owned());
    std::iter::once(program).chain(arguments).collect()
}

fn ts2(arguments: &[&str]) -> Vec<String> {
    let script = repository().join("tests/servers/ts2_server.cjs");
    let script = script.display().to_string();
    words("node".to_owned(), &[&[script.as_str()], arguments].concat())
}

/// A repository with one commit.
fn with_repository(project: Project) -> Project {
    let project = project.file("repository/a.txt", "text\n");
    for arguments in [
        &["init", "--quiet"][..],
        &["add", "a.txt"],
        &[
            "-c",
            "user.name=test",
            "-c",
            "user.email=test@localhost",
            "commit",
            "--quiet",
            "-m",
            "The first commit",
        ],
    ] {
        let place = ["-C", "repository"];
        project
            .run_other("git", &[&place, arguments].concat())
            .code(0);
    }
    project
}

/// Where a page is served on this machine until the tests end.
fn page() -> u16 {
    static PORT: Mutex<Option<u16>> = Mutex::new(None);
    let mut port = PORT.lock().expect("the page's port");
    *port.get_or_insert_with(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                // The whole request comes at once, and what it says does not matter.
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\
                      Connection: close\r\n\r\nthe page\n",
                );
            }
        });
        port
    })
}

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "server-everything, stdio",
        command: || node("mcp-server-everything", &["stdio"]),
        tool: echo,
        ..ROW
    },
    Row {
        name: "server-everything, streamable HTTP",
        command: || node("mcp-server-everything", &["streamableHttp"]),
        path: Some("/mcp"),
        tool: echo,
        adapted: |project| project.config("server.env.PORT", "{port}"),
        ..ROW
    },
    Row {
        name: "server-everything, HTTP+SSE",
        command: || node("mcp-server-everything", &["sse"]),
        path: Some("/sse"),
        tool: echo,
        adapted: |project| project.config("server.env.PORT", "{port}"),
        is_another_way: true,
        ..ROW
    },
    Row {
        name: "server-filesystem",
        command: || node("mcp-server-filesystem", &["files"]),
        tool: || {
            r#"
                name = "read_text_file"
                arguments = { path = "a.txt" }
                expect = { contains = "some text" }
            "#
            .to_owned()
        },
        adapted: |project| project.file("files/a.txt", "some text\n"),
        ..ROW
    },
    Row {
        name: "server-memory",
        command: || node("mcp-server-memory", &[]),
        tool: || r#"name = "read_graph""#.to_owned(),
        adapted: |project| {
            let path = project.path("memory.jsonl").display().to_string();
            project.config("server.env.MEMORY_FILE_PATH", path)
        },
        ..ROW
    },
    Row {
        name: "server-sequential-thinking",
        command: || node("mcp-server-sequential-thinking", &[]),
        tool: || {
            r#"
                name = "sequentialthinking"
                arguments = { thought = "x", nextThoughtNeeded = false, thoughtNumber = 1, totalThoughts = 1 }
            "#
            .to_owned()
        },
        ..ROW
    },
    Row {
        name: "mcp-server-time",
        command: || python("modern", "mcp-server-time", &["--local-timezone", "UTC"]),
        tool: || {
            r#"
                name = "get_current_time"
                arguments = { timezone = "UTC" }
                expect = { contains = "UTC" }
            "#
            .to_owned()
        },
        speaks: MODERN,
        ..ROW
    },
    Row {
        name: "mcp-server-git",
        command: || python("modern", "mcp-server-git", &["--repository", "repository"]),
        tool: || {
            r#"
                name = "git_log"
                arguments = { repo_path = "repository", max_count = 1 }
                expect = { contains = "The first commit" }
            "#
            .to_owned()
        },
        speaks: MODERN,
        adapted: with_repository,
        ..ROW
    },
    Row {
        name: "mcp-server-fetch",
        command: || {
            let arguments = ["--ignore-robots-txt", "--allow-private-ips"];
            python("modern", "mcp-server-fetch", &arguments)
        },
        tool: || {
            format!(
                "name = \"fetch\"\narguments = {{ url = \"http://127.0.0.1:{}/a.txt\" }}\n\
                 expect = {{ contains = \"the page\" }}",
                page()
            )
        },
        speaks: MODERN,
        ..ROW
    },
    Row {
        name: "fastmcp, stdio",
        command: || script("modern", "fastmcp_server.py", &["stdio"]),
        speaks: MODERN,
        ..ROW
    },
    Row {
        name: "fastmcp, streamable HTTP",
        command: || script("modern", "fastmcp_server.py", &["http", "{port}"]),
        path: Some("/mcp"),
        speaks: MODERN,
        ..ROW
    },
    Row {
        name: "fastmcp, streamable HTTP, `initialize` era",
        command: || script("modern", "fastmcp_server.py", &["http", "{port}"]),
        path: Some("/mcp"),
        protocol: Some(LEGACY),
        is_another_way: true,
        ..ROW
    },
    Row {
        name: "fastmcp, HTTP+SSE",
        command: || script("modern", "fastmcp_server.py", &["sse", "{port}"]),
        path: Some("/sse"),
        is_another_way: true,
        ..ROW
    },
    Row {
        name: "mcp 2.x MCPServer, stdio",
        command: || script("modern", "mcp2_server.py", &["stdio"]),
        speaks: MODERN,
        ..ROW
    },
    Row {
        name: "mcp 2.x MCPServer, streamable HTTP",
        command: || script("modern", "mcp2_server.py", &["http", "{port}"]),
        path: Some("/mcp"),
        speaks: MODERN,
        is_another_way: true,
        ..ROW
    },
    Row {
        name: "mcp 1.x FastMCP, stdio",
        command: || script("legacy", "mcp1_server.py", &["stdio"]),
        ..ROW
    },
    Row {
        name: "mcp 1.x FastMCP, streamable HTTP",
        command: || script("legacy", "mcp1_server.py", &["http", "{port}"]),
        path: Some("/mcp"),
        is_another_way: true,
        ..ROW
    },
    Row {
        name: "TypeScript SDK 2.x, stdio",
        command: || ts2(&["stdio"]),
        tool: echo,
        speaks: MODERN,
        ..ROW
    },
    Row {
        name: "TypeScript SDK 2.x, streamable HTTP",
        command: || ts2(&["http", "{port}"]),
        path: Some("/mcp"),
        tool: echo,
        speaks: MODERN,
        is_another_way: true,
        ..ROW
    },
    Row {
        name: "rmcp, stdio",
        command: || words(example("rmcp_server"), &["stdio"]),
        speaks: MODERN,
        ..ROW
    },
    Row {
        name: "rmcp, streamable HTTP with sessions",
        command: || words(example("rmcp_server"), &["http", "{port}"]),
        path: Some("/mcp"),
        protocol: Some(LEGACY),
        is_another_way: true,
        ..ROW
    },
    Row {
        name: "rmcp, stateless streamable HTTP with JSON",
        command: || words(example("rmcp_server"), &["stateless", "{port}"]),
        path: Some("/mcp"),
        speaks: MODERN,
        is_another_way: true,
        ..ROW
    },
];

/// A measured row.
struct Measured {
    results: Results,
    /// Most memory of the server's processes together that `ps` saw.
    resident_bytes: u64,
}

#[test]
fn every_server_is_measured_and_leaves_nothing_behind() {
    let is_update = env::var_os("MCPGATE_UPDATE_MATRIX").is_some();
    let side_by_side = if is_update { 1 } else { 2 };
    let next = AtomicUsize::new(0);
    let measured: Vec<Mutex<Option<Measured>>> = ROWS.iter().map(|_| Mutex::default()).collect();
    thread::scope(|scope| {
        for _ in 0..side_by_side {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(row) = ROWS.get(number) else { break };
                    let found = measure(row, is_update);
                    *measured[number].lock().expect("a row") = Some(found);
                }
            });
        }
    });
    let lines: Vec<String> = ROWS
        .iter()
        .zip(measured)
        .map(|(row, measured)| {
            let measured = measured.into_inner().expect("a row");
            line(row, &measured.expect("every row is measured"))
        })
        .collect();
    println!("{}", lines.join("\n"));
    hold_the_table(&lines, is_update);
}

fn measure(row: &Row, is_update: bool) -> Measured {
    let (rounds, calls, concurrency) = if is_update { (3, 100, 10) } else { (1, 20, 2) };
    let project = if is_update {
        Project::measuring()
    } else {
        Project::new()
    };
    let project = row
        .started_in(project.timeout(Duration::from_mins(3)))
        .config("suite.rounds", rounds)
        .config("suite.calls", calls)
        .config("suite.concurrency", concurrency)
        .config("suite.soak-calls", 0)
        .config("suite.loads", "none")
        .tool(&(row.tool)());
    let (most, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let outcome = thread::scope(|scope| {
        let running = project.start(&["run", "--quiet"]);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                most.fetch_max(resident_bytes(project.marker()), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(50));
            }
        });
        let outcome = running.wait();
        is_over.store(true, Ordering::Relaxed);
        outcome
    });
    let outcome = outcome.code(0).stdout_has("no errors");
    let (results, resident_bytes) = (project.results(), most.into_inner());
    let (name, job) = (row.name, &results.jobs[0]);
    assert_eq!(
        results.server.protocol_version, row.speaks,
        "{name}\n{outcome}"
    );
    for (scenario, sample) in job.rounds.iter().flat_map(|round| &round.scenarios) {
        assert_eq!(
            sample.successes, sample.calls,
            "{name}: {scenario}\n{outcome}"
        );
    }
    let unclean = job.notes.iter().find(|note| note.contains("SIGKILL"));
    assert_eq!(unclean, None, "{name} was not ended cleanly\n{outcome}");
    // Shared pages count once for mcpgate and in every process for `ps`, and what a short-lived
    // process takes is seen by chance.
    let peak_bytes = peak_bytes(&results);
    let plausible = resident_bytes * 2 / 5..resident_bytes * 3 / 2 + 16_000_000;
    assert!(
        plausible.contains(&peak_bytes),
        "{name}: mcpgate saw {peak_bytes} bytes, ps {resident_bytes}\n{outcome}"
    );
    Measured {
        results,
        resident_bytes,
    }
}

/// Resident memory of all processes of a test but mcpgate's own, as `ps` tells it.
fn resident_bytes(marker: &str) -> u64 {
    let own = env!("CARGO_BIN_EXE_mcpgate");
    let processes = survivors::now(marker);
    let is_own = |command: &str| command.starts_with(own) || command.starts_with("mcpgate __guard");
    let servers = processes.iter().filter(|p| !is_own(&p.command));
    let pids: Vec<String> = servers.map(|process| process.pid.to_string()).collect();
    if pids.is_empty() {
        return 0;
    }
    let mut ps = Command::new("ps");
    let told = ps.args(["-o", "rss=", "-p", &pids.join(",")]).output();
    let told = told.expect("`ps` tells resident memory").stdout;
    let told = String::from_utf8_lossy(&told).into_owned();
    let kib: u64 = told
        .split_whitespace()
        .filter_map(|kib| kib.parse::<u64>().ok())
        .sum();
    kib << 10
}

fn peak_bytes(results: &Results) -> u64 {
    let rounds = &results.jobs[0].rounds;
    let peaks = rounds.iter().filter_map(|round| round.peak_memory_bytes);
    peaks.max().expect("memory was measured")
}

fn middle(mut figures: Vec<u64>) -> u64 {
    figures.sort_unstable();
    figures[figures.len() / 2]
}

/// A line of the table in `docs/servers.md`.
fn line(row: &Row, measured: &Measured) -> String {
    let rounds = &measured.results.jobs[0].rounds;
    let of = |kind: &str, figure: fn(&Latency) -> u64| {
        let samples = rounds.iter().flat_map(|round| &round.scenarios);
        let samples = samples.filter(|(name, _)| name.ends_with(kind));
        let walls = samples.filter_map(|(_, sample)| sample.wall.as_ref());
        middle(walls.map(figure).collect())
    };
    let p50 = |wall: &Latency| wall.p50_ns;
    let p95 = |wall: &Latency| wall.p95_ns.expect("twenty calls");
    let ms = |ns: u64| format!("{:.2}", ns as f64 / 1e6);
    let mb = |bytes: u64| format!("{:.0}", bytes as f64 / 1e6);
    let startup = middle(rounds.iter().filter_map(|round| round.startup_ns).collect());
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        row.name,
        measured.results.server.protocol_version,
        ms(startup),
        ms(of("/sequential", p50)),
        ms(of("/sequential", p95)),
        ms(of("/concurrent", p50)),
        ms(of("/concurrent", p95)),
        mb(peak_bytes(&measured.results)),
        mb(measured.resident_bytes),
    )
}

const BEGIN: &str = "<!-- matrix -->\n";
const END: &str = "<!-- /matrix -->\n";
const HEAD: &str = "| server | protocol | start-up, ms | one caller: p50, ms | p95, ms | ten callers: p50, ms | p95, ms | peak memory, MB | `ps`, MB |\n\
                    |---|---|---:|---:|---:|---:|---:|---:|---:|\n";

/// The table has a line for each server that is measured here, and no other.
fn hold_the_table(lines: &[String], is_update: bool) {
    let _machine = (!is_update).then(Machine::shared);
    let path = repository().join("docs/servers.md");
    let page = fs::read_to_string(&path).expect("docs/servers.md");
    let (before, rest) = page.split_once(BEGIN).expect("where the table begins");
    let (table, after) = rest.split_once(END).expect("where the table ends");
    if is_update {
        let table = format!("{HEAD}{}\n", lines.join("\n"));
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).expect("write the table");
        return;
    }
    let named = table.strip_prefix(HEAD).expect("the table's head");
    let name = |line: &str| line.split(" | ").next().map(str::to_owned);
    let documented: Vec<_> = named.lines().map(name).collect();
    let measured: Vec<_> = lines.iter().map(|line| name(line)).collect();
    assert_eq!(documented, measured, "run it with MCPGATE_UPDATE_MATRIX=1");
}
