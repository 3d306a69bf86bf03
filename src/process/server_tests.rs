//! Real processes that misbehave: whatever they do, nothing is left of them.

use std::{os::unix::process::ExitStatusExt as _, path::Path, time::Duration};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    LaunchSpec, ProcessId, ServerProcess, become_subreaper,
    server::{How, StopLimits},
    testing::{Shell, daemon_script, helper_command, number_in, shell_spec, until, until_async},
    tree::descendants,
};

/// Limits for servers that are expected to use them up.
const SHORT: StopLimits = StopLimits {
    after_stdin: Duration::from_millis(50),
    after_terminate: Duration::from_millis(50),
    for_orphans: Duration::from_millis(50),
};

/// Limits for servers that are expected to keep them, on however busy a machine.
const LONG: StopLimits = StopLimits {
    after_stdin: Duration::from_secs(30),
    after_terminate: Duration::from_secs(30),
    for_orphans: Duration::from_secs(30),
};

fn start(script: &str) -> ServerProcess {
    ServerProcess::start(&shell_spec(script)).unwrap()
}

fn http(script: &str) -> LaunchSpec {
    LaunchSpec {
        stdio_pipes: false,
        ..shell_spec(script)
    }
}

/// The process that a script wrote the id of, waited for.
fn process_in(folder: &Path, name: &str) -> ProcessId {
    ProcessId::of(number_in(&folder.join(name))).unwrap()
}

#[tokio::test]
async fn a_server_that_ends_when_its_input_closes_is_not_signalled() {
    let mut server = start("trap '' TERM; read line; echo \"got $line\"; exit 7");
    let (mut stdin, mut stdout) = server.take_pipes().unwrap();
    assert!(server.take_pipes().is_none());
    assert_eq!(server.try_exit(), None);
    stdin.write_all(b"hello\n").await.unwrap();
    let mut answer = String::new();
    stdout.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "got hello\n");
    drop((stdin, stdout));
    let stopped = server.stop(LONG).await;
    assert_eq!(stopped.how, How::Exited);
    assert_eq!(stopped.status.unwrap().code(), Some(7));
    assert_eq!(stopped.orphans, []);
}

#[tokio::test]
async fn pipes_that_nobody_took_are_closed_before_waiting() {
    let server = start("read line; exit 3");
    let stopped = server.stop(LONG).await;
    assert_eq!(stopped.status.unwrap().code(), Some(3));
    assert_eq!(stopped.how, How::Exited);
}

#[tokio::test]
async fn an_http_server_is_terminated_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let script = format!(
        "trap 'exit 9' TERM; echo $$ > {}; while :; do sleep 0.05; done",
        ready.display()
    );
    let server = ServerProcess::start(&http(&script)).unwrap();
    number_in(&ready);
    let stopped = server.stop(LONG).await;
    assert_eq!(stopped.how, How::Terminated);
    assert_eq!(stopped.status.unwrap().code(), Some(9));
    assert_eq!(stopped.orphans, []);
}

#[tokio::test]
async fn a_server_that_ignores_everything_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let script = format!(
        "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 1; done' & \
         while :; do sleep 1; done",
        ready.display()
    );
    let server = start(&script);
    let root = ProcessId::of(server.pid()).unwrap();
    let child = process_in(folder.path(), "ready");
    let stopped = server.stop(SHORT).await;
    assert_eq!(stopped.how, How::Killed);
    assert_eq!(stopped.status.unwrap().signal(), Some(9));
    assert!(!root.is_running() && !child.is_running());
}

#[tokio::test]
async fn a_grandchild_that_left_group_and_parent_is_found_and_named() {
    become_subreaper();
    let folder = tempfile::tempdir().unwrap();
    let script = daemon_script(&folder.path().join("daemon")) + "wait; read line";
    let server = start(&script);
    let daemon = process_in(folder.path(), "daemon");
    until("the daemon to be adopted by us", || {
        super::table::row(daemon.pid).is_some_and(|row| row.parent == std::process::id())
    });
    // The system's list may omit a child while another one ends.
    until("the daemon to be measured with the server", || {
        descendants(server.pid()).contains(&daemon)
    });
    let stopped = server.stop(SHORT).await;
    assert!(!daemon.is_running());
    let orphan = stopped
        .orphans
        .iter()
        .find(|orphan| orphan.pid == daemon.pid)
        .unwrap();
    assert_eq!(orphan.name, "sleep");
    // Waited for, too: not even a zombie is left.
    until("the daemon to be reaped", || {
        super::table::row(daemon.pid).is_none_or(|row| row.id != daemon)
    });
}

#[tokio::test]
async fn a_child_that_outlives_a_server_which_ended_by_itself_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "sh -c 'echo $$ > {}; exec sleep 600' & sleep 0.01; exit 0",
        folder.path().join("child").display()
    );
    let mut server = start(&script);
    let child = process_in(folder.path(), "child");
    assert!(server.exited().await.success());
    let stopped = server.stop(SHORT).await;
    assert_eq!(stopped.how, How::Exited);
    assert_eq!(stopped.orphans.len(), 1);
    assert!(!child.is_running());
}

#[tokio::test]
async fn a_child_that_ends_soon_after_its_server_is_no_orphan() {
    let server = start("(read line; sleep 0.1) & exec sleep 0");
    let stopped = server.stop(LONG).await;
    assert_eq!(stopped.orphans, []);
}

#[tokio::test]
async fn dropping_a_server_ends_everything_at_once() {
    become_subreaper();
    let folder = tempfile::tempdir().unwrap();
    let script = daemon_script(&folder.path().join("daemon"))
        + &format!(
            "sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 1; done' & \
             trap '' TERM; while :; do sleep 1; done",
            folder.path().join("child").display()
        );
    let server = start(&script);
    let ids = [
        ProcessId::of(server.pid()).unwrap(),
        process_in(folder.path(), "daemon"),
        process_in(folder.path(), "child"),
    ];
    drop(server);
    for id in ids {
        assert!(!id.is_running(), "{id:?}");
    }
}

#[tokio::test]
async fn a_cancelled_stop_ends_everything_too() {
    let server = start("trap '' TERM; while :; do sleep 1; done");
    let root = ProcessId::of(server.pid()).unwrap();
    let stop = server.stop(LONG);
    assert!(
        tokio::time::timeout(Duration::from_millis(50), stop)
            .await
            .is_err()
    );
    assert!(!root.is_running());
}

#[tokio::test]
async fn two_servers_do_not_end_each_other() {
    let one = start("read line");
    let two = start("sleep 600 & read line");
    let other = ProcessId::of(two.pid()).unwrap();
    until("the second one's child", || {
        !descendants(two.pid()).is_empty()
    });
    drop(one);
    assert!(other.is_running());
    assert_eq!(descendants(two.pid()).len(), 1);
}

#[tokio::test]
async fn a_flood_on_standard_error_does_not_block_the_server() {
    let script = "head -c 50000000 /dev/zero | tr '\\0' 'x' >&2; echo >&2; \
                  echo last words >&2; exit 5";
    let mut server = start(script);
    assert_eq!(server.exited().await.code(), Some(5));
    let tail = server.output_tail();
    assert!(tail.ends_with("last words"), "{tail}");
    assert!(tail.len() < 10_000);
}

#[tokio::test]
async fn the_output_of_an_http_server_is_kept_from_both_pipes() {
    let mut spec = http("echo out; echo err $TOKEN >&2; cat; exit 4");
    spec.env = vec![("TOKEN".to_owned(), "very-secret".to_owned())];
    assert!(!format!("{spec:?}").contains("very-secret"));
    let mut server = ServerProcess::start(&spec).unwrap();
    assert!(server.take_pipes().is_none());
    // `cat` ends: standard input is empty.
    assert_eq!(server.exited().await.code(), Some(4));
    assert_eq!(server.exited().await.code(), Some(4));
    let tail = server.output_tail();
    let mut lines: Vec<&str> = tail.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["err ${TOKEN}", "out"]);
}

#[tokio::test]
async fn output_can_be_shown_while_an_orphan_holds_the_pipe() {
    let mut server = start("echo dying >&2; sleep 600 & exit 1");
    server.exited().await;
    assert_eq!(server.output_tail(), "dying");
}

#[tokio::test]
async fn a_child_of_other_code_is_not_waited_for_by_us() {
    become_subreaper();
    let mut other = std::process::Command::new("true").spawn().unwrap();
    until("the other child to end", || {
        super::table::row(other.id()).is_some_and(|row| row.zombie)
    });
    let server = start("read line");
    server.stop(LONG).await;
    assert!(other.wait().unwrap().success());
}

#[tokio::test]
async fn the_guard_ends_the_servers_of_a_killed_mcpgate() {
    let folder = tempfile::tempdir().unwrap();
    let mut mcpgate = Shell::spawn(helper_command("mcpgate").current_dir(folder.path()));
    let server = process_in(folder.path(), "server");
    let daemon = process_in(folder.path(), "daemon");
    assert!(server.is_running() && daemon.is_running());
    mcpgate.kill();
    until_async("the guard to end both", || {
        !server.is_running() && !daemon.is_running()
    })
    .await;
}
