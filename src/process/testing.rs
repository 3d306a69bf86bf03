//! What this room's tests share: processes that end by themselves, and waiting for a condition.
#![expect(
    clippy::disallowed_methods,
    reason = "polls for a condition, with an end"
)]

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use super::{
    guard,
    server::{LaunchSpec, ServerProcess},
};

const ROLE_VARIABLE: &str = "MCPGATE_TEST_ROLE";
const HELPER_ARGUMENTS: [&str; 3] = ["--exact", "process::testing::helper_process", "--nocapture"];

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

    /// Ends it and its group, the hard way.
    pub(crate) fn kill(&mut self) {
        // Not waited for, so the group's number is still its own.
        if self.0.try_wait().is_ok_and(|status| status.is_none()) {
            let group = super::table::raw(self.0.id()).unwrap();
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            self.0.wait().unwrap();
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.kill();
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

/// The number that a process wrote into a file, once it is there.
pub(crate) fn number_in(path: &Path) -> u32 {
    let mut pid = None;
    until("a number in a file", || {
        pid = std::fs::read_to_string(path)
            .ok()
            .filter(|text| text.ends_with('\n'))
            .and_then(|text| text.trim().parse().ok());
        pid.is_some()
    });
    pid.unwrap()
}

/// This test binary in another role, as a process of its own.
pub(crate) fn helper_command(role: &str) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(HELPER_ARGUMENTS).env(ROLE_VARIABLE, role);
    command
}

/// The same as a server.
#[cfg(target_os = "linux")]
pub(crate) fn helper_spec(role: &str) -> LaunchSpec {
    LaunchSpec {
        program: std::env::current_exe().unwrap().display().to_string(),
        args: HELPER_ARGUMENTS.map(str::to_owned).to_vec(),
        env: vec![(ROLE_VARIABLE.to_owned(), role.to_owned())],
        cwd: None,
        stdio_pipes: true,
    }
}

/// Not a test: what a process started by [`helper_command`] or [`helper_spec`] does.
#[tokio::test]
async fn helper_process() {
    match std::env::var(ROLE_VARIABLE).as_deref() {
        Ok("guard") => {
            let _ = guard::run();
        }
        Ok("mcpgate") => mcpgate().await,
        Ok("threads") => threads(),
        Ok("listen") => listen(1, false),
        Ok("listen by children") => listen(2, true),
        _ => {}
    }
}

/// A mcpgate with a guard and a server, that never ends by itself.
async fn mcpgate() {
    let _guard = guard::Guard::start_with(helper_command("guard"));
    let folder = std::env::current_dir().unwrap();
    let script = daemon_script(&folder.join("daemon"))
        + &format!(
            "echo $$ > {}; while :; do sleep 1; done",
            folder.join("server").display()
        );
    let _server = ServerProcess::start(&shell_spec(&script)).unwrap();
    std::future::pending::<()>().await;
}

/// A server that, for each line, uses 20 ms of CPU time on a thread that then ends, and (for `keep`) leaves a
/// sleeping thread behind.
fn threads() {
    println!("\nready");
    for line in std::io::stdin().lines() {
        let busy = std::thread::spawn(|| {
            let clock = rustix::time::ClockId::ThreadCPUTime;
            while rustix::time::clock_gettime(clock).tv_nsec < 20_000_000 {
                std::hint::spin_loop();
            }
        });
        busy.join().unwrap();
        if line.unwrap() == "keep" {
            std::thread::spawn(|| std::thread::sleep(Duration::from_mins(10)));
        }
        println!("done");
    }
}

/// Listens on a port, whose number it writes into the file `port`, lets children inherit the
/// socket, and may leave it to them alone.
fn listen(children: usize, leave: bool) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).unwrap();
    let port = listener.local_addr().unwrap().port();
    // In this process's group, so that they end with it.
    let mut children: Vec<std::process::Child> = (0..children)
        .map(|_| {
            let mut sleep = std::process::Command::new("sleep");
            sleep.arg("600").spawn().unwrap()
        })
        .collect();
    let kept = (!leave).then_some(listener);
    std::fs::write("port", format!("{port}\n")).unwrap();
    for child in &mut children {
        child.wait().unwrap();
    }
    drop(kept);
}

/// A script whose grandchild leaves group, session and parent behind, and writes its id.
pub(crate) fn daemon_script(file: &Path) -> String {
    format!(
        "setsid sh -c 'setsid sh -c \"echo \\$\\$ > {}; exec sleep 600\" & exit' & ",
        file.display()
    )
}
