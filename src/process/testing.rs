//! What this room's tests share: processes that end by themselves, and waiting for a condition.
#![expect(
    clippy::disallowed_methods,
    reason = "polls for a condition, with an end"
)]

use std::{
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use super::server::LaunchSpec;

/// How long a condition may take on a machine that is very busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a condition. For several seconds of a busy machine, not for a time.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The same without blocking the runtime.
pub(crate) async fn until_async(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A process that is not a server of ours: it is ended, with its group, when dropped.
pub(crate) struct Shell(std::process::Child);

impl Shell {
    /// Runs `sh -c SCRIPT` in a process group of its own.
    pub(crate) fn start(script: &str) -> Self {
        Self::spawn(std::process::Command::new("sh").args(["-c", script]))
    }

    /// Runs a program in a process group of its own.
    pub(crate) fn spawn(command: &mut std::process::Command) -> Self {
        use std::os::unix::process::CommandExt as _;
        Self(
            command
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Ends this process alone, the hard way.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|status| status.is_none()) {
            let group = super::table::raw(self.0.id()).unwrap();
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            drop(self.0.wait());
        }
    }
}

/// A server that is a shell script.
pub(crate) fn shell_spec(script: &str) -> LaunchSpec {
    LaunchSpec {
        program: "sh".to_owned(),
        args: vec!["-c".to_owned(), script.to_owned()],
        env: Vec::new(),
        cwd: None,
        stdio_pipes: true,
    }
}

/// The number that a script wrote into a file, once it is there.
pub(crate) fn pid_in(path: &PathBuf) -> u32 {
    let mut pid = None;
    until("a process id in a file", || {
        pid = std::fs::read_to_string(path)
            .ok()
            .filter(|text| text.ends_with('\n'))
            .and_then(|text| text.trim().parse().ok());
        pid.is_some()
    });
    pid.unwrap()
}

/// Runs one `#[ignore]`d-by-environment test of this test binary as a process of its own.
pub(crate) fn helper_command(test: &str, role: &str) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("MCPGATE_TEST_ROLE", role);
    command
}

/// The role that [`helper_command`] gave to this process, if any.
pub(crate) fn role() -> Option<String> {
    std::env::var("MCPGATE_TEST_ROLE").ok()
}
