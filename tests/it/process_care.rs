//! Servers as they come: behind wrappers, started by someone else, in need of hooks and secrets;
//! and mcpgate killed while it measures them. Every run is checked for what it left behind.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use mcpgate::results::Measure;
use rustix::process::Signal;

use crate::{
    harness::{Project, RESULTS, Running},
    interrupts::changed_in_round_2,
    reference::{ECHO, MCPGATE, Over, WAIT, command, reached, shell_line, small},
};

/// A run that goes on until it is ended.
pub(crate) fn endless(over: Over) -> Project {
    small(Project::new(), over, &[]).tool(WAIT)
}

/// Started, and past its first round.
pub(crate) fn measuring(project: &Project) -> Running<'_> {
    let running = project.start(&["run", "--rounds", "200"]);
    let results = project.path(RESULTS);
    running.until("past the first round", || results.is_file());
    running
}

#[test]
fn rounds_are_kept_when_the_time_is_used_up_in_a_later_one() {
    let project = changed_in_round_2(&["--fault", "hang-on-call=15"])
        .config("server.call-timeout", "60s")
        .config("suite.max-time", "4s")
        .tool(ECHO);
    let why = "max-time was used up during round 2, echo/sequential";
    project.run(&["run"]).code(0).stdout_has(&format!(
        "ended early: 4 scenarios in 1 round were kept: {why}"
    ));
    let job = &project.results().jobs[0];
    assert_eq!(job.rounds.len(), 1);
    assert_eq!(job.incomplete.as_deref(), Some(why));
    project
        .run(&["baseline", "update"])
        .code(2)
        .stderr_has(&format!("the run is incomplete: {why}"));
}

#[test]
fn the_guard_ends_the_server_of_a_killed_mcpgate() {
    for over in [Over::Stdio, Over::Http] {
        // The detached child is known by its inherited environment alone.
        for options in [&[][..], &["--fault", "orphan-child=detached"]] {
            let project = small(Project::new(), over, options).tool(WAIT);
            let running = measuring(&project);
            // mcpgate, its guard and the server.
            running.until_processes(3);
            running.signal(Signal::KILL);
            // Waiting checks that all of them are gone.
            assert!(!running.wait().succeeded());
        }
    }
}

#[test]
fn wrapped_servers_are_measured_as_a_tree_and_ended() {
    let stdio = shell_line(&command(Over::Stdio, &[]));
    let http = shell_line(&command(Over::Http, &[]));
    // What the server's tree holds besides the server itself.
    let cases = [
        (Over::Stdio, format!("exec {stdio}"), 0),
        (Over::Stdio, format!("exec 3<&0; {stdio} <&3 & wait"), 1),
        (Over::Stdio, format!("sh -c \"{stdio}; exit 0\"; exit 0"), 2),
        (Over::Http, format!("exec {http}"), 0),
        (Over::Http, format!("{http} & wait"), 1),
        (Over::Http, format!("sh -c \"{http}; exit 0\"; exit 0"), 2),
    ];
    for (over, script, wrappers) in cases {
        let project = small(Project::new(), over, &[])
            .config("server.command", vec!["sh", "-c", &script])
            .tool(ECHO);
        let outcome = project.run(&["run", "--quiet", "--rounds", "2"]).code(0);
        let job = &project.results().jobs[0];
        let method = match &job.memory_measure {
            Measure::By(method) => method.as_str(),
            Measure::NotMeasured(why) => why.as_str(),
        };
        let expected = if wrappers == 0 {
            "high-water mark"
        } else {
            "tree, shared pages once"
        };
        for round in &job.rounds {
            assert_eq!(round.processes, Some(1 + wrappers), "{script}\n{outcome}");
            let end = round.memory_at_end.as_ref();
            let listed = end.map(|end| end.processes.len());
            let several = if wrappers == 0 { 0 } else { 1 + wrappers };
            assert_eq!(listed, Some(several as usize), "{script}\n{outcome}");
            // A shell alone takes two megabytes at most.
            let memory = round.peak_memory_bytes.unwrap_or_default();
            assert!(memory > 4_000_000, "{script}\n{outcome}");
        }
        if cfg!(target_os = "linux") {
            assert_eq!(method, expected, "{script}");
        }
    }
}

/// A program called `docker` that starts the server beside it, and tells that server's process as
/// a container's.
#[test]
#[cfg(target_os = "linux")]
#[expect(
    clippy::disallowed_methods,
    reason = "puts a program before all others"
)]
fn a_container_client_is_never_measured_as_the_server() {
    use std::os::unix::fs::PermissionsExt;
    let server = shell_line(&command(Over::Stdio, &[]));
    let id = "0123456789abcdef".repeat(4);
    let client = format!(
        "#!/bin/sh\ncase $1 in\ninspect) echo {id} $(cat pid) ;;\n*) exec 3<&0; {server} <&3 & \
         echo $! > pid; wait ;;\nesac\n"
    );
    let cases = [
        (
            &["run", "-i"][..],
            "with `--name NAME` in its command its own processes are measured, if its engine runs \
             on this machine",
        ),
        (
            &["run", "-i", "--name", "notes"],
            "its engine runs elsewhere: no process here is in its control group",
        ),
    ];
    for (arguments, why) in cases {
        let mut project = small(Project::new(), Over::Stdio, &[])
            .file("bin/docker", &client)
            .tool(ECHO);
        let program = project.path("bin/docker");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let mut words = vec!["docker"];
        words.extend(arguments);
        project.set_config("server.command", words);
        let path = std::env::var("PATH").unwrap();
        let bin = project.path("bin");
        let project = project.env("PATH", &format!("{}:{path}", bin.display()));
        project.run(&["run", "--quiet", "--rounds", "1"]).code(0);
        let job = &project.results().jobs[0];
        let expected = format!(
            "the server runs in a container (docker): what is here is only its client; {why}"
        );
        for measure in [&job.memory_measure, &job.adjusted_measure] {
            assert_eq!(*measure, Measure::NotMeasured(expected.clone()));
        }
        let round = &job.rounds[0];
        assert_eq!(round.peak_memory_bytes, None);
        assert_eq!(round.server_cpu_ns, None);
    }
}

#[test]
fn a_port_is_filled_in_wherever_it_is_asked_for() {
    let server = shell_line(&[MCPGATE.to_owned(), "reference-server".to_owned()]);
    let script = format!("exec {server} --transport http --port $PORT_OF_SERVER");
    reached(Project::new(), Over::Http)
        .config("server.command", vec!["sh", "-c", &script])
        .config("server.env.PORT_OF_SERVER", "{port}")
        .config("suite.calls", 5)
        .tool(ECHO)
        .run(&["run", "--quiet", "--suite", "quick", "--rounds", "1"])
        .code(0)
        .stdout_has("measured: 4 scenarios in 1 round, no errors");
}

/// A server that the test started, as a CI file does.
pub(crate) struct Started {
    server: Child,
    pub(crate) url: String,
}

impl Started {
    pub(crate) fn new(options: &[&str]) -> Self {
        let mut server = Command::new(MCPGATE)
            .args(["reference-server", "--transport", "http"])
            .args(options)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start the reference server");
        let mut line = String::new();
        BufReader::new(server.stderr.take().expect("its standard error"))
            .read_line(&mut line)
            .expect("read where it listens");
        let url = line.trim().strip_prefix("listening on ").expect("a URL");
        Self {
            url: url.to_owned(),
            server,
        }
    }

    fn end(&mut self) {
        self.server.kill().expect("end the reference server");
        self.server.wait().expect("wait for the reference server");
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // A test may have ended it before.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

pub(crate) fn attached() -> Project {
    Project::new()
        .config("suite.size", "quick")
        .config("suite.calls", 20)
        .config("suite.concurrency", 2)
        .config("server.call-timeout", "1s")
}

#[test]
fn a_server_that_the_user_started_is_found_by_its_port_and_left_running() {
    let mut started = Started::new(&[]);
    let project = attached().tool(ECHO);
    let outcome = project
        .run(&["run", "--quiet", "--url", &started.url])
        .code(0)
        .stdout_has("measured: 4 scenarios in 5 rounds, no errors")
        .stdout_has("started by the user, so rounds share one process: weaker evidence");
    assert!(started.server.try_wait().expect("look at it").is_none());
    let results = project.results();
    assert!(results.server.attached);
    for round in &results.jobs[0].rounds {
        assert_eq!(round.startup_ns, None);
        if cfg!(target_os = "linux") {
            assert!(round.peak_memory_bytes > Some(4_000_000), "{outcome}");
            let echo = &round.scenarios["echo/sequential"];
            assert!(echo.adjusted.is_some(), "{outcome}");
        }
    }
    // Compared with itself it is still said to be weak.
    project
        .run(&["compare", "--verbose", RESULTS, RESULTS])
        .code(0)
        .stdout_has("all rounds share its process, which is weaker evidence");
}

#[test]
fn the_process_may_be_named() {
    let started = Started::new(&[]);
    let project = attached().tool(ECHO);
    let run = |pid: &str| {
        let options = ["run", "--quiet", "--rounds", "1", "--url", &started.url];
        project.run(&[&options[..], &["--pid", pid]].concat())
    };
    run(&started.server.id().to_string()).code(0);
    let peak = project.results().jobs[0].rounds[0].peak_memory_bytes;
    assert!(peak > Some(4_000_000));
    // No process has this id: the largest that Linux gives is four million.
    run("4000001")
        .code(0)
        .stdout_has("peak memory not measured: process 4000001 cannot be seen");
}

#[test]
fn a_url_where_nobody_listens_is_no_measurement() {
    let mut started = Started::new(&[]);
    started.end();
    let url = started.url.clone();
    attached()
        .run(&["run", "--url", &url])
        .code(3)
        .stderr_has(&format!(
            "error: no server answers at {url}: no connection to "
        ))
        .stderr_has("start it first, or give its command so that mcpgate starts it");
}

#[test]
fn a_url_with_a_wrong_path_is_no_measurement() {
    let started = Started::new(&[]);
    let url = started.url.replace("/mcp", "/no-such-path");
    attached()
        .run(&["run", "--url", &url])
        .code(3)
        .stderr_has(&format!("error: nothing speaks MCP at {url} (HTTP 404 "))
        .stderr_has("check the path of the URL");
}

#[test]
fn a_started_server_that_goes_away_is_lost_and_its_rounds_are_kept() {
    let mut started = Started::new(&[]);
    let project = attached().tool(WAIT);
    let running = project.start(&["run", "--rounds", "200", "--url", &started.url]);
    let results = project.path(RESULTS);
    running.until("past the first round", || results.is_file());
    started.end();
    running
        .wait()
        .code(3)
        .stdout_has("ended early: ")
        .stderr_has("error: the server was lost during ")
        .stderr_has("you started it: its own output may say why")
        .stderr_has(&format!("measured before are kept in {RESULTS}"));
    let job = &project.results().jobs[0];
    assert!(!job.rounds.is_empty());
    let why = job.incomplete.as_deref().unwrap_or_default();
    assert!(why.starts_with("the server was lost during "), "{why}");
    // No call of the rounds that were kept is one that the loss failed.
    let failed: u32 = job
        .rounds
        .iter()
        .flat_map(|round| round.scenarios.values())
        .map(|sample| sample.calls - sample.successes)
        .sum();
    assert_eq!(failed, 0);
}

#[test]
fn hooks_run_in_order() {
    let server = shell_line(&command(Over::Stdio, &[]));
    let script = format!("echo start $SEEN >> log; exec {server}");
    let project = small(Project::new(), Over::Stdio, &[])
        .config("server.command", vec!["sh", "-c", &script])
        .config("server.setup", "echo setup $SEEN >> log")
        .config("server.reset", "echo reset $SEEN >> log")
        .config("server.env.SEEN", "by all")
        .tool(ECHO);
    project.run(&["run", "--quiet", "--rounds", "2"]).code(0);
    let lines = project.read("log");
    let lines: Vec<&str> = lines.lines().collect();
    // The probe and two rounds.
    let starts = ["reset by all", "start by all"].repeat(3);
    assert_eq!(lines, [&["setup by all"], &starts[..]].concat());
}

#[test]
fn what_a_hook_leaves_in_the_background_lives_as_long_as_it_is_needed() {
    let server = shell_line(&command(Over::Stdio, &[]));
    let script =
        format!("kill -0 $(cat setup) && kill -0 $(cat reset) && echo both >> log; exec {server}");
    let project = small(Project::new(), Over::Stdio, &[])
        .config("server.command", vec!["sh", "-c", &script])
        .config("server.setup", "sleep 600 & echo $! > setup")
        .config(
            "server.reset",
            "sleep 600 & echo $! > reset; echo $! >> resets",
        )
        .tool(ECHO);
    // Nothing of it outlives the run.
    project.run(&["run", "--quiet", "--rounds", "2"]).code(0);
    assert_eq!(project.read("log"), "both\n".repeat(3));
    let resets = project.read("resets");
    let last_but_one = resets.lines().nth(1).expect("three resets");
    assert_ne!(project.read("reset").trim(), last_but_one);
}

#[test]
fn a_failing_hook_is_named_with_what_it_said() {
    let hooked = |name: &str, script: &str| {
        small(Project::new(), Over::Stdio, &[])
            .config(&format!("server.{name}"), script)
            .tool(ECHO)
    };
    for name in ["setup", "reset"] {
        hooked(name, "echo the database is gone >&2; exit 9")
            .run(&["run", "--quiet"])
            .code(3)
            .stderr_has(&format!(
                "error: the {name} hook failed: `echo the database"
            ))
            .stderr_has("` exited with status 9\n")
            .stderr_has("  | the database is gone");
    }
    // The probe and one round, then not any more.
    let third = "echo reset >> resets; [ $(wc -l < resets) -lt 3 ]";
    let project = hooked("reset", third);
    project
        .run(&["run", "--quiet"])
        .code(3)
        .stderr_has("error: the start of round 2: the reset hook failed: ")
        .stderr_has(&format!("1 round measured before are kept in {RESULTS}"));
    assert_eq!(project.results().jobs[0].rounds.len(), 1);
}

/// A server that tells its secret wherever it can: in its name, in its answers, in its log.
const TELLTALE: &str = r#"
echo "started with $TOKEN" >&2
id_of() { printf '%s' "$1" | sed 's/.*"id":\([0-9]*\).*/\1/'; }
while read -r line; do
  case $line in
  *'"method":"initialize"'*)
    body='"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"server of '$TOKEN'","version":"'$TOKEN'"}}' ;;
  *'"method":"tools/list"'*)
    body='"result":{"tools":[{"name":"whoami","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}]}' ;;
  *'"method":"tools/call"'*)
    calls=$((calls + 1))
    [ "$calls" -gt "$LAST_CALL" ] && { echo "leaving $TOKEN" >&2; exit 5; }
    is_error=false; [ "$calls" -gt "$LAST_GOOD" ] && is_error=true
    body='"result":{"isError":'$is_error',"content":[{"type":"text","text":"you are '$TOKEN'"}]}' ;;
  *'"id":'*) body='"error":{"code":-32601,"message":"no such method"}' ;;
  *) continue ;;
  esac
  printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$(id_of "$line")" "$body"
done
"#;

#[test]
fn secrets_are_nowhere_to_be_seen() {
    const SECRET: &str = "s3cret-of-the-test";
    // More calls than are made.
    const ALL: &str = "1000000";
    let telltale = |last_good: &str, last_call: &str, expected: &str| {
        Project::new()
            .env("MCPGATE_IT_TOKEN", SECRET)
            .file("telltale.sh", TELLTALE)
            .config("server.command", vec!["sh", "telltale.sh"])
            .config("server.env.TOKEN", "${MCPGATE_IT_TOKEN}")
            .config("server.env.LAST_GOOD", last_good)
            .config("server.env.LAST_CALL", last_call)
            .config("suite.size", "quick")
            .config("suite.rounds", 5)
            .config("suite.calls", 5)
            .config("suite.concurrency", 1)
            .tool(&format!(
                "name = \"whoami\"\narguments = {{}}\nexpect = {{ contains = \"{expected}\" }}"
            ))
    };
    let formats = ["text", "json", "markdown"];

    // In what it answers, rightly.
    let project = telltale(ALL, ALL, "you are");
    for format in formats {
        project
            .run(&["run", "--verbose", "--format", format])
            .code(0)
            .stdout_has("server of ***")
            .says_nothing_of(SECRET);
    }
    project.run(&["baseline", "update"]).code(0);
    for file in [RESULTS, "baselines/perf-baseline.json"] {
        let text = project.read(file);
        assert!(text.contains("\"name\": \"server of ***\""), "{text}");
        assert!(!text.contains(SECRET), "{text}");
    }

    // In its refusals and in answers that are not those expected: of trial calls, and of calls in
    // a round (six are made on trial).
    for (last_good, expected, said) in [
        ("0", "you are", "the tool refused: you are ***"),
        ("8", "you are", "the tool refused: you are ***"),
        (ALL, "somebody else", "got \"you are ***\""),
    ] {
        let project = telltale(last_good, ALL, expected);
        for format in formats {
            project
                .run(&["run", "--verbose", "--format", format])
                .code(1)
                .says_nothing_of(SECRET);
        }
        project
            .run(&["run"])
            .code(1)
            .stdout_has(said)
            .says_nothing_of(SECRET);
        project
            .run(&["baseline", "update", "--force"])
            .code(0)
            .says_nothing_of(SECRET);
        for file in [RESULTS, "baselines/perf-baseline.json"] {
            let text = project.read(file);
            assert!(text.contains("you are ***"), "{text}");
            assert!(!text.contains(SECRET), "{text}");
        }
    }

    // In its last words: in a trial call, and in a round.
    for last_call in ["3", "7"] {
        let project = telltale(ALL, last_call, "you are");
        project
            .run(&["run"])
            .code(3)
            .stderr_has("the server exited with status 5 during ")
            .stderr_has("  | leaving ")
            .says_nothing_of(SECRET);
    }
}

#[test]
fn a_secret_in_a_header_is_hidden_in_what_the_server_logs() {
    const SECRET: &str = "s3cret-of-the-header";
    // A server that is sent the header and does not speak the protocol, but logs what it is sent.
    let server = r#"
import http.server, sys

class Logging(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.headers, file=sys.stderr, flush=True)
        self.send_error(401)

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Logging).serve_forever()
"#;
    reached(Project::new(), Over::Http)
        .env("MCPGATE_IT_TOKEN", SECRET)
        .file("server.py", server)
        .config("server.command", vec!["python3", "server.py", "{port}"])
        .config("server.headers.Authorization", "Bearer ${MCPGATE_IT_TOKEN}")
        .run(&["run"])
        .code(3)
        .stderr_has("HTTP 401 Unauthorized")
        .stderr_has("uthorization: Bearer ***")
        .says_nothing_of(SECRET);
}
