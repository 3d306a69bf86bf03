//! A project folder in which `mcpgate` runs as a person would run it.
//!
//! ```ignore
//! Project::new()
//!     .file("mcpgate.toml", "[sever]\n")
//!     .run(&["run"])
//!     .code(2)
//!     .stderr_has("sever");
//! ```
//!
//! Each run is checked for processes that it left behind.
#![expect(
    clippy::disallowed_methods,
    reason = "a test harness: it makes files, waits, and starts processes"
)]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use mcpgate::results::{ProbeName, Results};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{machine::Machine, survivors};

/// How long a run may take unless the test says otherwise.
const TIMEOUT: Duration = Duration::from_mins(2);

/// The configuration file's name.
const CONFIG: &str = "mcpgate.toml";

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of its own, removed at the end, and an environment that holds nothing but what
/// programs need to be found.
#[derive(Debug)]
pub(crate) struct Project {
    directory: TempDir,
    marker: String,
    environment: Vec<(String, String)>,
    config: toml::Table,
    timeout: Duration,
    /// Held while the project lives; without it, each run shares the machine.
    alone: Option<Machine>,
}

impl Project {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self {
            directory: tempfile::Builder::new()
                .prefix("mcpgate-it-")
                .tempdir()
                .expect("make a folder"),
            marker: format!(
                "{}-{}",
                std::process::id(),
                COUNT.fetch_add(1, Ordering::Relaxed)
            ),
            environment: Vec::new(),
            config: toml::Table::new(),
            timeout: TIMEOUT,
            alone: None,
        }
    }

    /// An empty folder, and the machine to itself until the project is dropped. For tests whose
    /// verdict depends on what is measured. One a test: a second would wait for the first.
    pub(crate) fn measuring() -> Self {
        let mut project = Self::new();
        project.alone = Some(Machine::alone());
        project
    }

    /// Sets one value of `mcpgate.toml`; `path` is `table.key`.
    pub(crate) fn config(mut self, path: &str, value: impl Into<toml::Value>) -> Self {
        self.set_config(path, value);
        self
    }

    /// As [`Self::config`], between runs.
    pub(crate) fn set_config(&mut self, path: &str, value: impl Into<toml::Value>) {
        let (tables, key) = path.rsplit_once('.').expect("a path of the form table.key");
        let mut table = &mut self.config;
        for name in tables.split('.') {
            table = table
                .entry(name)
                .or_insert_with(|| toml::Table::new().into())
                .as_table_mut()
                .expect("a table");
        }
        table.insert(key.to_owned(), value.into());
    }

    /// Adds a `[[tool]]`, as TOML: `name = "echo"` and what else belongs to it.
    pub(crate) fn tool(self, tool: &str) -> Self {
        self.element("tool", tool)
    }

    /// Adds a `[[scenario]]`, as [`Self::tool`].
    pub(crate) fn scenario(self, scenario: &str) -> Self {
        self.element("scenario", scenario)
    }

    fn element(mut self, list: &str, element: &str) -> Self {
        let element: toml::Table = toml::from_str(element).expect("TOML of a table");
        self.config
            .entry(list)
            .or_insert_with(|| toml::Value::Array(Vec::new()))
            .as_array_mut()
            .expect("an array of tables")
            .push(element.into());
        self
    }

    /// Writes a file; its path is relative to the folder.
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        let path = self.path(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("make a folder");
        }
        fs::write(&path, text).expect("write a file");
        self
    }

    /// Sets a variable of the environment that `mcpgate` itself gets.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How long each run may take.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What its processes carry in their environment.
    pub(crate) fn marker(&self) -> &str {
        &self.marker
    }

    /// A path in the folder.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// The text of a file in the folder.
    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> String {
        let path = self.path(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The results that the last run wrote.
    #[track_caller]
    pub(crate) fn results(&self) -> Results {
        serde_json::from_str(&self.read(RESULTS))
            .unwrap_or_else(|error| panic!("{RESULTS}: {error}"))
    }

    /// Runs `mcpgate` to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.start(arguments).wait()
    }

    /// Runs another program in the folder, for what only a shell can do.
    #[track_caller]
    pub(crate) fn run_other(&self, program: &str, arguments: &[&str]) -> Outcome {
        self.start_program(program, arguments).wait()
    }

    /// As [`Self::run_other`], with the machine to itself meanwhile. Not for a project that
    /// [measures](Self::measuring): it would wait for itself.
    #[track_caller]
    pub(crate) fn run_other_alone(&self, program: &str, arguments: &[&str]) -> Outcome {
        assert!(self.alone.is_none(), "the project has the machine");
        self.start_on(Some(Machine::alone()), program, arguments)
            .wait()
    }

    /// Commits files of a folder to its repository, which is made if there is none.
    #[track_caller]
    pub(crate) fn commit(&self, folder: &str, files: &[&str]) {
        let identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
        let commit = ["commit", "--quiet", "--message=All"];
        for arguments in [
            &["init", "--quiet", "--initial-branch=main"][..],
            &[&["add", "--"], files].concat(),
            &[&identity[..], &commit].concat(),
        ] {
            self.run_other("git", &[&["-C", folder], arguments].concat())
                .code(0);
        }
    }

    /// Starts `mcpgate`, to signal it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running<'_> {
        self.start_program(env!("CARGO_BIN_EXE_mcpgate"), arguments)
    }

    fn start_program(&self, program: &str, arguments: &[&str]) -> Running<'_> {
        let machine = match self.alone {
            Some(_) => None,
            None => Some(Machine::shared()),
        };
        self.start_on(machine, program, arguments)
    }

    fn start_on(&self, machine: Option<Machine>, program: &str, arguments: &[&str]) -> Running<'_> {
        if !self.config.is_empty() {
            let text = toml::to_string(&without_probes(self.config.clone())).expect("write TOML");
            fs::write(self.path(CONFIG), text).expect("write the configuration");
        }
        // Into files: a pipe that an orphan holds open would never end.
        let output = |name: &str| File::create(self.path(name)).expect("make an output file");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .envs(inherited())
            .env(survivors::MARKER, &self.marker)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output(STDOUT))
            .stderr(output(STDERR));
        let mut child = command.spawn().expect("start mcpgate");
        let pid = Pid::from_child(&child);
        let (ended, end) = mpsc::channel();
        let waiting = thread::spawn(move || {
            // Nobody listens if the test failed meanwhile.
            let _ = ended.send(child.wait());
        });
        Running {
            project: self,
            arguments: arguments.join(" "),
            pid,
            waiting,
            end,
            _machine: machine,
        }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        survivors::kill(&self.marker);
    }
}

/// Probes take seconds: a test that is not about them has none.
fn without_probes(mut config: toml::Table) -> toml::Table {
    let probes = config
        .entry("probes")
        .or_insert_with(|| toml::Table::new().into())
        .as_table_mut()
        .expect("a table");
    if probes.is_empty() {
        let off = |name: ProbeName| (name.name().to_owned(), "off".into());
        probes.extend(ProbeName::ALL.map(off));
    }
    config
}

/// Where `mcpgate` writes results unless it is told another place.
pub(crate) const RESULTS: &str = "mcpgate-results.json";
/// Where `mcpgate baseline update` writes, in a project's folder.
pub(crate) const BASELINE: &str = "baselines/perf-baseline.json";

const STDOUT: &str = ".stdout";
const STDERR: &str = ".stderr";

/// What programs need to be found and to run at all; nothing by which a run could depend on the
/// machine that the tests run on.
fn inherited() -> impl Iterator<Item = (&'static str, std::ffi::OsString)> {
    ["PATH", "HOME", "TMPDIR"]
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// A started `mcpgate`.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    project: &'a Project,
    arguments: String,
    pid: Pid,
    waiting: thread::JoinHandle<()>,
    end: mpsc::Receiver<std::io::Result<ExitStatus>>,
    _machine: Option<Machine>,
}

impl Running<'_> {
    /// Sends a signal, to `mcpgate` alone.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("signal mcpgate");
    }

    /// Asked of the process itself: its environment, by which survivors are known, is empty for a
    /// moment after its start, until the kernel has laid it out.
    fn is_running(&self) -> bool {
        !self.waiting.is_finished()
    }

    /// Waits until `mcpgate` and its servers are so many processes.
    #[track_caller]
    pub(crate) fn until_processes(&self, count: usize) {
        let deadline = Instant::now() + self.project.timeout;
        loop {
            let processes = survivors::now(&self.project.marker);
            if processes.len() >= count {
                return;
            }
            assert!(
                self.is_running() && Instant::now() < deadline,
                "`mcpgate {}` never was {count} processes but {processes:?}\n{}",
                self.arguments,
                self.project.read(STDERR)
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a condition holds while `mcpgate` runs.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + self.project.timeout;
        while !holds() {
            assert!(
                self.is_running() && Instant::now() < deadline,
                "`mcpgate {}`: not {what}\n{}",
                self.arguments,
                self.project.read(STDERR)
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// As [`Self::wait`], with the most memory that `mcpgate` itself held at once, in bytes.
    #[track_caller]
    pub(crate) fn wait_with_peak(self) -> (Outcome, u64) {
        let status = format!("/proc/{}/status", self.pid.as_raw_nonzero());
        let watching = thread::spawn(move || {
            let mut peak_kib = 0;
            // Only a process that has not ended has memory.
            while let Some(kib) = fs::read_to_string(&status)
                .ok()
                .and_then(|s| high_water(&s))
            {
                peak_kib = kib;
                thread::sleep(Duration::from_millis(5));
            }
            peak_kib << 10
        });
        let outcome = self.wait();
        (outcome, watching.join().expect("watch the memory"))
    }

    /// Waits for the end, and checks that nothing is left behind.
    #[track_caller]
    pub(crate) fn wait(self) -> Outcome {
        let status = self.end.recv_timeout(self.project.timeout);
        let marker = &self.project.marker;
        if status.is_err() {
            survivors::kill(marker);
        }
        let survivors = survivors::after_grace(marker);
        let outcome = Outcome {
            arguments: self.arguments,
            status: status.ok().map(|status| status.expect("wait for mcpgate")),
            stdout: self.project.read(STDOUT),
            stderr: self.project.read(STDERR),
        };
        assert!(
            outcome.status.is_some(),
            "took longer than {:?}\n{outcome}",
            self.project.timeout
        );
        assert!(survivors.is_empty(), "left behind {survivors:?}\n{outcome}");
        outcome
    }
}

/// `VmHWM`, in KiB.
fn high_water(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// How a run ended and what it said.
#[derive(Debug)]
pub(crate) struct Outcome {
    arguments: String,
    status: Option<ExitStatus>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Exit code 0.
    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Demands an exit code.
    #[track_caller]
    pub(crate) fn code(self, expected: u8) -> Self {
        let code = self.status.and_then(|status| status.code());
        assert_eq!(code, Some(i32::from(expected)), "exit code\n{self}");
        self
    }

    /// Demands that it was measured and judged, whatever came of it.
    #[track_caller]
    pub(crate) fn measured(self) -> Self {
        let code = self.status.and_then(|status| status.code());
        assert!(
            matches!(code, Some(0 | 1 | 4)),
            "exit code {code:?}\n{self}"
        );
        self
    }

    /// Demands a text on standard output.
    #[track_caller]
    pub(crate) fn stdout_has(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "no {text:?} on stdout\n{self}");
        self
    }

    /// Demands a text on standard error.
    #[track_caller]
    pub(crate) fn stderr_has(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} on stderr\n{self}");
        self
    }

    /// Demands a text that is nowhere in what was printed.
    #[track_caller]
    pub(crate) fn says_nothing_of(self, text: &str) -> Self {
        let printed = [&self.stdout, &self.stderr];
        assert!(
            !printed.iter().any(|t| t.contains(text)),
            "{text:?}\n{self}"
        );
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not the expected JSON: {error}\n{self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            arguments,
            status,
            stdout,
            stderr,
        } = self;
        writeln!(f, "$ mcpgate {arguments}")?;
        match status {
            Some(status) => writeln!(f, "{status}")?,
            None => writeln!(f, "killed")?,
        }
        write!(f, "--- stdout\n{stdout}--- stderr\n{stderr}---")
    }
}
