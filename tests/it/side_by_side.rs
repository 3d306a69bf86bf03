//! `compare --against` and `--base-command`: two servers measured in turn.

use mcpgate::results::{ArmName, Results};
use rustix::process::Signal;

use crate::{
    harness::{BASELINE, Outcome, Project, RESULTS},
    reference::{ECHO, Over, WAIT, command, shell_line, small},
};

/// Where the base's results go.
const BASE_RESULTS: &str = "mcpgate-results.base.json";

/// What gates where calls go one at a time.
const P50: &str = "latency_p50_adjusted";

fn git(project: &Project, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@t.test"];
    let outcome = project.run_other("git", &[&identity, arguments].concat());
    outcome.code(0).stdout.trim().to_owned()
}

/// A server whose options stand in the file `options` of its work tree.
fn by_file(project: Project) -> Project {
    let server = shell_line(&command(Over::Stdio, &[]));
    let line = format!("exec {server} $(cat options)");
    let command = ["sh", "-c", &line].map(str::to_owned).to_vec();
    small(project, Over::Stdio, &[])
        .config("server.command", command)
        .config("suite.rounds", 5)
}

/// Everything in the folder as one commit of `main`.
fn committed(project: Project, options: &str) -> Project {
    let project = project
        .file("options", options)
        .file(".gitignore", ".*\n*.json\ncache/\nlog\nstarts\n");
    let cache = project.path("cache").display().to_string();
    let project = project.env("XDG_CACHE_HOME", &cache);
    git(&project, &["init", "--quiet", "--initial-branch=main"]);
    commit(&project);
    project
}

fn commit(project: &Project) {
    git(project, &["add", "--all"]);
    git(project, &["commit", "--quiet", "--message=c"]);
}

fn base_results(project: &Project) -> Results {
    serde_json::from_str(&project.read(BASE_RESULTS)).expect("results of the base")
}

/// What the clone and the cache hold of work trees after a run.
#[track_caller]
fn leaves_nothing(project: &Project, kept: usize) {
    let trees = git(project, &["worktree", "list"]);
    assert_eq!(trees.lines().count(), 1, "{trees}");
    let kept_there = project
        .run_other(
            "sh",
            &["-c", "ls -d cache/mcpgate/base/*/tree 2>/dev/null || true"],
        )
        .stdout;
    assert_eq!(kept_there.lines().count(), kept, "{kept_there}");
}

/// What a JSON report says of one figure. The whole verdict would depend on every other figure, on a
/// machine that may be busy.
#[track_caller]
fn verdict_of(outcome: &Outcome, scenario: &str, metric: &str) -> String {
    let report: serde_json::Value = outcome.json();
    let rows = report["comparisons"].as_array().expect("comparisons");
    let row = rows
        .iter()
        .find(|row| row["scenario"] == scenario && row["metric"] == metric)
        .unwrap_or_else(|| panic!("no {scenario} {metric}\n{outcome}"));
    row["verdict"].as_str().expect("a verdict").to_owned()
}

fn against_main(project: &Project, more: &[&str]) -> Outcome {
    project.run(&[&["compare", "--against", "main", "--quiet"], more].concat())
}

#[test]
fn a_slower_work_tree_is_found_confirmed_and_found_again_in_its_files() {
    let project = committed(by_file(Project::measuring()).tool(WAIT), "");
    let project = project.file("options", "--fault delay=wait:15");
    against_main(&project, &[])
        .code(1)
        .stdout_has("regressed: wait")
        .stdout_has("main, measured in turn: commit")
        .stdout_has("both on this one, in turn")
        .stdout_has("mcpgate compare --against main");
    leaves_nothing(&project, 0);
    let (base, candidate) = (base_results(&project), project.results());
    let arms = [(&base, ArmName::Base), (&candidate, ArmName::Candidate)];
    let ids = arms.map(|(results, arm)| {
        let [job] = &results.jobs[..] else {
            panic!("one job");
        };
        let in_turn = job.in_turn.as_ref().expect("measured in turn");
        assert_eq!((in_turn.arm, in_turn.most_pairs), (arm, 5));
        assert_eq!(job.rounds.len(), 13, "five pairs and eight fresh ones");
        // Fresh pairs run what alarmed.
        assert!(job.rounds[12].scenarios.contains_key("wait/sequential"));
        in_turn.id.clone()
    });
    assert_eq!(ids[0], ids[1]);
    let head = git(&project, &["rev-parse", "HEAD"]);
    assert_eq!(base.jobs[0].commit.as_ref(), Some(&head));
    assert_eq!(candidate.jobs[0].commit, Some(format!("{head}-dirty")));
    project
        .run(&["compare", BASE_RESULTS, RESULTS])
        .code(1)
        .stdout_has("regressed: wait")
        .stdout_has("confirmed by 8 fresh rounds");
    let swapped = ["compare", RESULTS, BASE_RESULTS, "--format", "json"];
    let swapped = project.run(&swapped).code(0);
    assert_eq!(verdict_of(&swapped, "wait/sequential", P50), "improved");
}

#[test]
fn the_same_commit_is_no_regression_and_the_baseline_shows_the_drift() {
    let project = by_file(Project::measuring()).tool(WAIT);
    let project = committed(project, "--fault delay=wait:15");
    project.run(&["run", "--quiet"]).code(0);
    project.run(&["baseline", "update"]).code(0);
    let project = project.file("options", "--fault delay=wait:60");
    commit(&project);
    // What decides is the step: the baseline has drifted long since.
    let outcome = against_main(&project, &[]).code(0);
    outcome
        .stdout_has("Drift, which does not decide here")
        .stdout_has(&format!("{BASELINE}): regressed: wait"));
}

#[test]
fn a_base_is_built_once() {
    let mut project = by_file(Project::new())
        .tool(ECHO)
        .config("server.build", "pwd >> \"$LOG\" && cp options built");
    let log = project.path("log").display().to_string();
    project.set_config(
        "server.env",
        toml::Table::from_iter([("LOG".to_owned(), log.into())]),
    );
    // A server may ask git what it is; there is nothing to be said of `options` where all is well.
    let line = format!(
        "{{ git rev-parse HEAD && git status --porcelain options; }} >> \"$LOG.git\" 2>&1; \
         exec {} $(cat built)",
        shell_line(&command(Over::Stdio, &[]))
    );
    let by_built = ["sh", "-c", &line].map(str::to_owned).to_vec();
    project.set_config("server.command", by_built);
    let project = committed(project, "");
    for _ in 0..2 {
        against_main(&project, &[]).code(0);
        leaves_nothing(&project, 1);
    }
    let built = project.read("log");
    let here = project.path("").canonicalize().expect("a folder");
    let (mine, base): (Vec<&str>, Vec<&str>) = built
        .lines()
        .partition(|dir| std::path::Path::new(dir) == here);
    assert_eq!((mine.len(), base.len()), (2, 1), "{built}");
    let head = git(&project, &["rev-parse", "HEAD"]);
    let said = project.read("log.git");
    assert!(
        said.lines().count() >= 20 && said.lines().all(|line| line == head),
        "{said}"
    );
}

#[test]
fn a_base_that_cannot_be_built_is_named_and_leaves_nothing() {
    let project = by_file(Project::new())
        .tool(ECHO)
        .config("server.build", "echo the compiler is missing >&2; exit 7");
    let project = committed(project, "");
    against_main(&project, &[])
        .code(3)
        .stderr_has("error: the base: the build hook failed:")
        .stderr_has("exited with status 7")
        .stderr_has("| the compiler is missing");
    leaves_nothing(&project, 0);
}

#[test]
fn a_base_that_does_not_start_is_named() {
    let project = committed(by_file(Project::new()).tool(ECHO), "--nonsense");
    let project = project.file("options", "");
    against_main(&project, &[])
        .code(3)
        .stderr_has("error: the base: the server exited with status 2");
    leaves_nothing(&project, 0);
}

#[test]
fn a_signal_while_the_base_is_built_or_measured_leaves_no_work_tree() {
    for (build, signal) in [
        (
            Some("echo > \"$OLDPWD/starts\" 2>/dev/null; touch \"$STARTS\"; sleep 60"),
            Signal::INT,
        ),
        (Some("touch \"$STARTS\"; sleep 60"), Signal::TERM),
        (None, Signal::TERM),
    ] {
        let mut project = by_file(Project::new())
            .tool(ECHO)
            .config("suite.rounds", 200);
        let starts = project.path("starts").display().to_string();
        project.set_config(
            "server.env",
            toml::Table::from_iter([("STARTS".to_owned(), starts.into())]),
        );
        if let Some(build) = build {
            project.set_config("server.build", build);
        }
        let project = committed(project, "");
        let running = project.start(&["compare", "--against", "main"]);
        running.until("building or measuring", || match build {
            Some(_) => project.path("starts").exists(),
            None => project.path(RESULTS).exists(),
        });
        running.signal(signal);
        let outcome = running.wait().code(3);
        outcome.stderr_has("interrupted ");
        leaves_nothing(&project, 0);
    }
}

/// Without a build nothing is kept, and what is left is found all the same, from another commit, too.
#[test]
fn what_a_killed_run_left_of_another_commit_is_put_away() {
    let mut project = committed(
        by_file(Project::new())
            .tool(ECHO)
            .config("suite.rounds", 200),
        "",
    );
    let running = project.start(&["compare", "--against", "main"]);
    running.until("measuring", || project.path(RESULTS).exists());
    running.signal(Signal::KILL);
    running.wait();
    let trees = git(&project, &["worktree", "list"]);
    assert_eq!(trees.lines().count(), 2, "{trees}");
    project.set_config("suite.rounds", 5);
    commit(&project);
    against_main(&project, &[]).code(0);
    leaves_nothing(&project, 0);
}

/// Nothing can be put away after SIGKILL: the next run does it.
#[test]
fn what_a_killed_run_left_is_no_obstacle() {
    let mut project = by_file(Project::new()).tool(ECHO);
    project.set_config(
        "server.build",
        "test -e \"$GO\" || { touch \"$STARTS\"; sleep 60; }",
    );
    let (go, starts) = (project.path("go"), project.path("starts"));
    let paths = [("GO", go), ("STARTS", starts)]
        .map(|(name, path)| (name.to_owned(), path.display().to_string().into()));
    project.set_config("server.env", toml::Table::from_iter(paths));
    let project = committed(project, "");
    let running = project.start(&["compare", "--against", "main"]);
    running.until("building", || project.path("starts").exists());
    running.signal(Signal::KILL);
    running.wait();
    let trees = git(&project, &["worktree", "list"]);
    assert_eq!(trees.lines().count(), 2, "{trees}");
    let project = project.file("go", "");
    against_main(&project, &[]).code(0);
    leaves_nothing(&project, 1);
}

#[test]
fn each_commit_is_started_as_its_own_configuration_says() {
    let mut project = small(
        Project::measuring(),
        Over::Stdio,
        &["--fault", "delay=wait:15"],
    )
    .tool(WAIT)
    .config("suite.rounds", 5);
    project = committed(project, "");
    project.set_config("server.command", command(Over::Stdio, &[]));
    let own = against_main(&project, &["--format", "json"]).code(0);
    assert_eq!(verdict_of(&own, "wait/sequential", P50), "improved");
    // The command line is for both.
    let both = shell_line(&command(Over::Stdio, &[]));
    let outcome = against_main(&project, &["--format", "json", "--", "sh", "-c", &both]).code(0);
    assert_ne!(verdict_of(&outcome, "wait/sequential", P50), "improved");
}

#[test]
fn a_tool_that_only_the_base_has_is_missed_and_a_new_one_is_no_fault() {
    let text_with = |tool: &str| {
        let project = by_file(Project::new()).tool(ECHO).tool(tool);
        project.run_other("true", &[]).code(0);
        project.read("mcpgate.toml")
    };
    let search = "name = \"search\"\narguments = { query = \"q\" }";
    let project = committed(Project::new().file("mcpgate.toml", &text_with(WAIT)), "");
    let project = project.file("mcpgate.toml", &text_with(search));
    let outcome = against_main(&project, &["--verbose"]).code(1);
    outcome
        .stdout_has("wait/sequential · in the base, but not in this run: removed or renamed?")
        .says_nothing_of("search/sequential · in the base");
    // The new tool runs on both servers, since both offer it.
    let ran = |results: &Results| {
        results.jobs[0].rounds[0]
            .scenarios
            .contains_key("search/sequential")
    };
    assert!(ran(&base_results(&project)) && ran(&project.results()));
}

#[test]
fn another_command_can_be_the_base() {
    let project = small(Project::new(), Over::Stdio, &[])
        .tool(ECHO)
        .config("server.build", "echo built >> built")
        .config("suite.rounds", 5);
    let base = shell_line(&command(Over::Stdio, &["--fault", "bloat=200MB"]));
    let arguments = [
        "compare",
        "--base-command",
        &base,
        "--quiet",
        "--format",
        "json",
    ];
    let outcome = project.run(&arguments).code(0);
    assert_eq!(verdict_of(&outcome, "server", "peak_memory"), "improved");
    let report: serde_json::Value = outcome.json();
    assert_eq!(report["against"], "--base-command");
    let before = base_results(&project);
    assert_eq!(before.jobs[0].commit, None);
    let memory = |results: &Results| results.jobs[0].rounds[0].peak_memory_bytes;
    assert!(memory(&before) > memory(&project.results()).map(|bytes| bytes + 150_000_000));
    // The base is what its command starts; only this one has files to be built from.
    assert_eq!(project.read("built"), "built\n");
}

#[test]
fn mistakes_say_what_to_do() {
    let plain = small(Project::new(), Over::Stdio, &[]).tool(ECHO);
    plain
        .run(&["compare", "--against", "main"])
        .code(2)
        .stderr_has("--against needs a git work tree");
    for (line, said) in [("'node", "a quote is open"), (" ", "there is nothing")] {
        plain
            .run(&["compare", "--base-command", line])
            .code(2)
            .stderr_has(said);
    }
    plain
        .run(&["compare", "--against", "main", "--base-command", "x"])
        .code(2)
        .stderr_has("cannot be used with");
    let project = committed(by_file(Project::new()).tool(ECHO), "");
    for (name, said) in [
        ("nonsense", "no such branch, tag or commit"),
        ("HEAD:options", "no such branch, tag or commit"),
        ("--upload-pack=x", "no such branch, tag or commit"),
    ] {
        let option = format!("--against={name}");
        project
            .run(&["compare", &option])
            .code(2)
            .stderr_has(&format!("--against {name}: the clone has {said}"));
    }
    leaves_nothing(&project, 0);
    git(&project, &["checkout", "--quiet", "-b", "other"]);
    git(&project, &["branch", "--delete", "--force", "main"]);
    project
        .run(&["compare", "--against", "merge-base"])
        .code(2)
        .stderr_has("name the branch, such as --against develop");
}

/// It would be measured against itself.
#[test]
fn a_file_of_this_work_tree_by_its_whole_path_is_refused() {
    let mut project = committed(by_file(Project::new()).tool(ECHO), "");
    let top = project.path("").canonicalize().expect("a folder");
    let own = top.join("server.sh").display().to_string();
    project.set_config("server.command", vec![own.clone()]);
    let project = project.file("server.sh", "exit 0");
    commit(&project);
    against_main(&project, &[])
        .code(2)
        .stderr_has(&format!(
            "the server's command names {own}, a file of this work tree"
        ))
        .stderr_has("Write it relative to the folder of the configuration");
    // By a link to it, and within a word.
    let link = project.path(".link");
    std::os::unix::fs::symlink(&top, &link).expect("a link");
    let by_link = link.join("server.sh").display().to_string();
    for words in [
        &[by_link.as_str()][..],
        &["sh", "-c", &format!("exec {own}")],
    ] {
        against_main(&project, &[&["--"], words].concat())
            .code(2)
            .stderr_has("a file of this work tree, by its whole path");
    }
    leaves_nothing(&project, 0);
}

/// Of servers that cannot run at once, whole rounds are measured in turn.
#[test]
fn servers_that_exclude_each_other_are_measured_apart() {
    let project = Project::new();
    let lock = project.path("lock").display().to_string();
    let server = shell_line(&command(Over::Stdio, &[]));
    let line = format!(
        "mkdir '{lock}' || {{ echo the database is locked >&2; exit 9; }}; {server}; rmdir '{lock}'"
    );
    let project = small(project, Over::Stdio, &[])
        .config(
            "server.command",
            ["sh", "-c", &line].map(str::to_owned).to_vec(),
        )
        .config("suite.rounds", 5)
        .tool(ECHO);
    let same = format!("sh -c {}", shell_line(&[line.replace('\'', "'\\''")]));
    project
        .run(&["compare", "--base-command", &same])
        .code(0)
        .stderr_has("note: the two servers cannot run at the same time")
        .stderr_has("candidate round 5/5");
    let rounds = |results: &Results| results.jobs[0].rounds.len();
    assert_eq!(
        (rounds(&base_results(&project)), rounds(&project.results())),
        (5, 5)
    );
    let notes = &project.results().jobs[0].notes;
    assert!(notes[0].contains("which sees less"), "{notes:?}");
}

/// Of servers that listen where the configuration says, too.
#[test]
fn servers_with_a_port_of_their_own_are_measured_apart_and_that_is_said() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let fixed = |word: String| word.replace("{port}", &port.to_string());
    let server: Vec<String> = command(Over::Http, &[]).into_iter().map(fixed).collect();
    let same = shell_line(&server);
    let project = small(Project::new(), Over::Http, &[])
        .config("server.command", server)
        .config("server.url", format!("http://127.0.0.1:{port}/mcp"))
        .config("suite.rounds", 5)
        .tool(ECHO);
    project
        .run(&["compare", "--base-command", &same])
        .code(0)
        .stderr_has("note: the two servers cannot run at the same time")
        .stderr_has("`url` names a port");
}

/// A soak fits the time of the fast server and not that of the slow one.
#[test]
fn both_arms_do_the_same_and_nothing_else() {
    let project = small(Project::new(), Over::Stdio, &["--fault", "delay=echo:20"])
        .tool(ECHO)
        .config("suite.rounds", 5)
        .config("suite.soak-calls", 1400)
        .config("suite.max-time", "40s");
    let base = shell_line(&command(Over::Stdio, &[]));
    project
        .run(&["compare", "--base-command", &base, "--quiet"])
        .code(1)
        .stdout_has("regressed: echo");
    let names = |results: Results| -> Vec<String> {
        let scenarios = results.suite.scenarios.into_iter();
        scenarios.map(|scenario| scenario.name).collect()
    };
    let (base, candidate) = (base_results(&project), project.results());
    assert!(
        candidate
            .suite
            .skipped
            .iter()
            .any(|s| s.name == "echo/soak")
    );
    assert!(base.jobs[0].soaks.is_empty());
    assert_eq!(names(base), names(candidate));
}

/// Each has a folder and a build of its own, and what was built for one is not the other's.
#[test]
fn two_servers_of_one_repository_are_both_built() {
    let server = shell_line(&command(Over::Stdio, &[]));
    let mut configuration = toml::toml! {
        [suite]
        size = "quick"
        rounds = 5
        [[tool]]
        name = "echo"
        arguments = { message = "hello" }
    };
    let line = format!("test -e built && exec {server}");
    let start = ["sh", "-c", &line].map(toml::Value::from).to_vec();
    let server = [
        ("build".to_owned(), "touch built".into()),
        ("command".to_owned(), start.into()),
    ];
    configuration.insert("server".to_owned(), toml::Table::from_iter(server).into());
    let text = toml::to_string(&configuration).expect("TOML");
    let project = Project::new()
        .file("a/mcpgate.toml", &text)
        .file("b/mcpgate.toml", &text);
    let project = committed(project, "");
    for file in ["a/mcpgate.toml", "b/mcpgate.toml", "b/mcpgate.toml"] {
        let arguments = ["compare", "--against", "main", "--config", file, "--quiet"];
        project.run(&arguments).code(0);
    }
    leaves_nothing(&project, 2);
}
