use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::*;
use crate::process::{
    server::ServerProcess,
    testing::{Shell, helper_spec, shell_spec, until},
};

const MS: u64 = 1_000_000;

/// Answers each line after some work.
const WORKER: &str = "echo ready; while read line; do \
     i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; done";

struct Caller {
    server: ServerProcess,
    stdin: tokio::process::ChildStdin,
    stdout: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Caller {
    async fn start(spec: &crate::process::LaunchSpec) -> Self {
        let mut server = ServerProcess::start(spec).unwrap();
        let (stdin, stdout) = server.take_pipes().unwrap();
        let stdout = BufReader::new(stdout).lines();
        let mut caller = Self {
            server,
            stdin,
            stdout,
        };
        caller.answer("ready").await;
        caller
    }

    async fn call(&mut self, line: &str) {
        self.stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
        self.answer("done").await;
    }

    async fn answer(&mut self, wanted: &str) {
        while self.stdout.next_line().await.unwrap().unwrap() != wanted {}
    }
}

/// What the kernel says of all living threads, once they sleep and it is exact.
fn schedstat_sum(pid: u32) -> u64 {
    let process = procfs::process::Process::new(pid.cast_signed()).unwrap();
    process
        .tasks()
        .unwrap()
        .map(|task| task.unwrap().schedstat().unwrap().sum_exec_runtime)
        .sum()
}

#[tokio::test]
async fn a_busy_call_uses_cpu_time_and_an_idle_spell_does_not() {
    let mut caller = Caller::start(&shell_spec(WORKER)).await;
    let pid = caller.server.pid();
    let mut probe = SchedulerProbe::attach(pid).unwrap();
    assert_eq!(probe.threads(), 1);
    let birth = probe.read();
    let before_sum = schedstat_sum(pid);
    let mut before = Reading::default();
    probe.read_into(&mut before);
    caller.call("work").await;
    let after = probe.read();
    let mut next = Reading::default();
    until("the shell to sleep, so that its counters are exact", || {
        probe.read_into(&mut next);
        let exact = schedstat_sum(pid) - before_sum;
        let cpu_ns = Reading::call(&before, &after, &next).server_cpu_ns;
        cpu_ns > 5 * MS && cpu_ns.abs_diff(exact) < MS / 2
    });
    until("an idle spell", || {
        let last = std::mem::take(&mut next);
        probe.read_into(&mut next);
        next.since(&last).server_cpu_ns == 0
    });
    let call = Reading::call(&before, &after, &next);
    assert!(call.max_server_wait_ns <= after.since(&before).server_wait_total_ns);
    assert!(next.since_birth(ClientWait::now().unwrap()).server_cpu_ns >= call.server_cpu_ns);
    assert!(birth.since(&birth) == Delta::default());
    assert_eq!(probe.problem(), None);
}

#[tokio::test]
async fn cpu_time_of_a_thread_that_lived_between_two_readings_counts() {
    let mut caller = Caller::start(&helper_spec("threads")).await;
    let mut probe = SchedulerProbe::attach(caller.server.pid()).unwrap();
    let threads = probe.threads();
    let before = probe.read();
    caller.call("once").await;
    probe.refresh_if_changed();
    let after = probe.read();
    assert_eq!(probe.threads(), threads);
    let cpu_ns = after.since(&before).server_cpu_ns;
    assert!(cpu_ns >= 20 * MS, "{cpu_ns}");
}

#[tokio::test]
async fn threads_that_are_born_are_read_without_another_walk() {
    let mut caller = Caller::start(&helper_spec("threads")).await;
    let mut probe = SchedulerProbe::attach(caller.server.pid()).unwrap();
    let threads = probe.threads();
    let before = probe.read();
    caller.call("keep").await;
    caller.call("keep").await;
    probe.refresh_if_changed();
    assert_eq!(probe.threads(), threads + 2);
    let after = probe.read();
    assert_eq!(after.waits.len(), before.waits.len() + 2);
    assert!(after.since(&before).server_wait_total_ns >= after.since(&before).max_server_wait_ns);
}

#[tokio::test]
async fn processes_that_are_born_are_read_after_a_walk_and_may_die() {
    let script = "echo ready; while read line; do \
                  if [ $line = fork ]; then sleep 600 & else wait; fi; echo done; done";
    let mut caller = Caller::start(&shell_spec(script)).await;
    let root = caller.server.pid();
    let mut probe = SchedulerProbe::attach(root).unwrap();
    caller.call("fork").await;
    until("the child to be a process of its own", || {
        probe.refresh();
        probe.threads() == 2
    });
    let child = tree::descendants(root)[0];
    let mut before = Reading::default();
    until("the child's CPU time, which comes late", || {
        probe.read_into(&mut before);
        let processes = &probe.processes;
        processes.iter().any(|p| p.id == child && p.cpu_ns > 0)
    });
    assert!(child.signal(rustix::process::Signal::KILL));
    caller.call("reap").await;
    let _ = probe.read();
    probe.refresh_if_changed();
    assert_eq!((probe.threads(), probe.processes.len()), (1, 1));
    let after = probe.read();
    assert_eq!(after.waits.len(), 1);
    assert!(probe.past_cpu_ns > 0);
    // What it had used and waited for is not taken back.
    assert!(after.server_cpu_ns >= before.server_cpu_ns);
    assert!(after.server_wait_ns >= before.server_wait_ns);
}

#[tokio::test]
async fn children_that_ended_unseen_are_reported() {
    let script = "echo ready; while read line; do [ $line = run ] && sh -c 'exit 0'; \
                  echo done; done";
    let mut caller = Caller::start(&shell_spec(script)).await;
    let mut probe = SchedulerProbe::attach(caller.server.pid()).unwrap();
    let before = probe.ended_children();
    caller.call("rest").await;
    assert_eq!(probe.ended_children(), before);
    caller.call("run").await;
    assert!(probe.ended_children().page_faults > before.page_faults);
}

#[tokio::test]
async fn waiting_for_a_core_that_others_use_is_seen() {
    let mut caller = Caller::start(&shell_spec(WORKER)).await;
    let hogs = [(); 2].map(|()| Shell::start("while :; do :; done"));
    let mut allowed = sched_getaffinity(None).unwrap();
    let first = (0..CpuSet::MAX_CPU)
        .find(|&cpu| allowed.is_set(cpu))
        .unwrap();
    allowed.clear();
    allowed.set(first);
    for pid in hogs.iter().map(Shell::pid).chain([caller.server.pid()]) {
        sched_setaffinity(super::super::table::raw(pid), &allowed).unwrap();
    }
    let mut probe = SchedulerProbe::attach(caller.server.pid()).unwrap();
    let mut waited = 0;
    // Two hogs on its only core leave it a third, so a wait is certain within a few calls.
    for _ in 0..200 {
        let before = probe.read();
        caller.call("work").await;
        waited += probe.read().since(&before).max_server_wait_ns;
        if waited > 5 * MS {
            return;
        }
    }
    panic!("a wait of {waited} ns only");
}

#[test]
fn a_reading_after_the_end_is_the_last_one() {
    let mut shell = Shell::start("exec sleep 600");
    let mut probe = SchedulerProbe::attach(shell.pid()).unwrap();
    let before = probe.read();
    shell.kill();
    for _ in 0..3 {
        probe.refresh_if_changed();
        probe.refresh();
        let delta = probe.read().since(&before);
        assert_eq!(delta.max_server_wait_ns, 0);
        let _ = probe.ended_children();
    }
    assert_eq!(probe.threads(), 0);
    assert_eq!(probe.read().server_wait_ns, before.server_wait_ns);
}

#[test]
fn what_cannot_be_read_is_said() {
    let mut shell = Shell::start("exec sleep 600");
    let pid = shell.pid();
    shell.kill();
    let why = SchedulerProbe::attach(pid).unwrap_err();
    assert!(why.contains("is gone or cannot be seen"), "{why}");
    let folder = tempfile::tempdir().unwrap();
    let fake = folder.path().join("docker");
    std::os::unix::fs::symlink("/bin/sleep", &fake).unwrap();
    let client = Shell::spawn(std::process::Command::new(fake).arg("600"));
    let why = SchedulerProbe::attach(client.pid()).unwrap_err();
    assert!(why.starts_with("the server runs in a container"), "{why}");
}

#[test]
fn deltas_match_threads_by_key() {
    let reading = |waits: &[(u64, u64)], client_wait_ns, server_cpu_ns, server_wait_ns| Reading {
        client_wait_ns,
        server_cpu_ns,
        server_wait_ns,
        waits: waits.to_vec(),
    };
    let before = reading(&[(0, 100), (2, 700), (5, 10)], 40, 1000, 810);
    // Thread 0 ended, 7 and 8 were born.
    let after = reading(&[(2, 705), (5, 40), (7, 25), (8, 0)], 47, 1500, 870);
    assert_eq!(
        after.since(&before),
        Delta {
            max_server_wait_ns: 30,
            client_wait_ns: 7,
            server_cpu_ns: 500,
            server_wait_total_ns: 60,
        }
    );
    // Counters that stood still, or a reading from before: never negative.
    assert_eq!(before.since(&before), Delta::default());
    assert_eq!(before.since(&after).client_wait_ns, 0);
    assert_eq!(
        after.since_birth(ClientWait(45)),
        Delta {
            max_server_wait_ns: 705,
            client_wait_ns: 2,
            server_cpu_ns: 1500,
            server_wait_total_ns: 870,
        }
    );
    let next = reading(&[(2, 9000)], 9000, 1700, 9000);
    let call = Reading::call(&before, &after, &next);
    assert_eq!(
        call,
        SchedulerDelta {
            max_server_wait_ns: 30,
            client_wait_ns: 7,
            server_cpu_ns: 700,
        }
    );
}

#[test]
fn only_three_numbers_are_a_schedstat() {
    for (text, expected) in [
        (&b"1 2 3\n"[..], Some([1, 2, 3])),
        (b"18446744073709551615 0 0", Some([u64::MAX, 0, 0])),
        (b"18446744073709551616 0 0", None),
        (b"1 2", None),
        (b"1  2 3", None),
        (b"-1 2 3", None),
        (b"", None),
    ] {
        assert_eq!(
            numbers(text),
            expected,
            "{:?}",
            String::from_utf8_lossy(text)
        );
    }
}
