//! `mcpgate init` and `mcpgate doctor`, as a new user meets them.

use mcpgate::{
    store::to_stable_text,
    suite::config::{self, Outside},
};

use crate::{
    harness::{BASELINE, Project},
    process_care::Started,
    real_servers::installed,
    reference::{MCPGATE, Over, WAIT, command, small},
};

const SERVER: [&str; 3] = ["--", MCPGATE, "reference-server"];

fn init<'a>(options: &[&'a str], server: &[&'a str]) -> Vec<&'a str> {
    [&["init"], options, server].concat()
}

/// The file that was written, as a run reads it.
fn written(project: &Project) -> mcpgate::suite::Config {
    let text = project.read("mcpgate.toml");
    config::parse("mcpgate.toml", &text, Outside::NOTHING)
        .unwrap_or_else(|mistakes| panic!("{}\n{text}", mistakes.render(false)))
}

#[test]
fn what_init_writes_can_be_run_and_is_not_written_over() {
    let project = Project::new();
    project
        .run(&init(&[], &SERVER))
        .code(0)
        .stdout_has("mcpgate-reference-server")
        .stdout_has("Called once, and will be measured\n  echo ")
        .stdout_has("hello 0\n")
        .stdout_has("note                       says that it changes something")
        .stdout_has(
            "Wrote mcpgate.toml: 5 tools are measured, 1 stands switched off with its reason",
        )
        .stdout_has("  mcpgate run ")
        .stdout_has("  mcpgate baseline update ");
    let text = project.read("mcpgate.toml");
    assert!(text.contains("# Choose better: "), "{text}");
    let config = written(&project);
    let names: Vec<_> = config.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["echo", "compute", "search", "blob", "wait"]);
    let expected = |n: usize| config.tools[n].expect.contains.as_deref();
    assert_eq!(expected(0), Some("hello {{i}}"), "echo answers its message");
    assert_eq!(
        expected(1),
        None,
        "nothing of a call is in the answer of compute"
    );
    let run = [
        "run", "--quiet", "--suite", "quick", "--rounds", "1", "--tool", "echo",
    ];
    project.run(&run).code(0).stdout_has("no errors");

    let before = project.read("mcpgate.toml");
    project
        .run(&init(&[], &["--", "sh", "-c", "touch started"]))
        .code(2)
        .stderr_has("mcpgate.toml: it is there already, and nothing was written; --force");
    assert_eq!(project.read("mcpgate.toml"), before);
    assert!(!project.path("started").exists(), "no server was started");
    project
        .file("mcpgate.toml", "broken")
        .run(&init(&["--force", "--yes"], &SERVER))
        .code(0);
}

/// Published servers that need to be told a path: init finds it on their command line.
#[test]
fn what_init_writes_of_published_servers_can_be_run() {
    let filesystem = installed("npm/node_modules/.bin/mcp-server-filesystem");
    let git = installed("python-modern/bin/mcp-server-git");
    for (program, arguments, tool, least) in [
        (filesystem, &["files"][..], "read_text_file", 8),
        (git, &["--repository", "files"], "git_log", 4),
    ] {
        let project = Project::new().file("files/a.txt", "some text\n");
        project.commit("files", &["a.txt"]);
        let program = program.display().to_string();
        let server = [&["--", program.as_str()], arguments].concat();
        let outcome = project.run(&init(&[], &server)).code(0);
        let tools = written(&project).tools;
        assert!(tools.len() >= least, "{outcome}");
        let run = [
            "run", "--quiet", "--suite", "quick", "--rounds", "1", "--tool", tool,
        ];
        project.run(&run).code(0).stdout_has("no errors");
    }
}

#[test]
fn a_server_over_http_is_asked_as_well() {
    let project = Project::new();
    let url = "http://127.0.0.1:{port}/mcp";
    let http = command(Over::Http, &[]);
    let http: Vec<&str> = std::iter::once("--")
        .chain(http.iter().map(String::as_str))
        .collect();
    project
        .run(&init(&["--url", url], &http))
        .code(0)
        .stdout_has("streamable HTTP");
    let server = written(&project).server.expect("a server");
    assert_eq!(server.url.as_deref(), Some(url));

    let started = Started::new(&[]);
    let project = Project::new();
    project.run(&init(&["--url", &started.url], &[])).code(0);
    let server = written(&project).server.expect("a server");
    assert_eq!(
        (server.command, server.url),
        (None, Some(started.url.clone()))
    );
}

#[test]
fn refusals_are_told_and_switched_off() {
    for (fault, said) in [
        ("tool-error", "the tool refused"),
        ("rpc-error", "protocol-error: JSON-RPC error -32603"),
        (
            "crash-after=2",
            "the server exited with status 101 during a trial call of",
        ),
    ] {
        let project = Project::new();
        let server = [&SERVER[..], &["--fault", fault]].concat();
        let outcome = project
            .run(&init(&[], &server))
            .code(0)
            .stdout_has("Called once, and switched off\n")
            .stdout_has(said);
        let text = project.read("mcpgate.toml");
        // Prose is wrapped.
        let text = text.replace("\n# ", " ");
        assert!(text.contains(said), "{fault}: {text}\n{outcome}");
        assert!(
            text.contains("\n#[[tool]]\n#name = \"compute\"\n"),
            "{text}"
        );
        written(&project);
    }
}

#[test]
fn a_server_that_does_not_start_leaves_no_file() {
    let project = Project::new();
    project
        .run(&init(
            &[],
            &[&SERVER[..], &["--fault", "exit-at-once"]].concat(),
        ))
        .code(3)
        .stderr_has("before it answered the protocol");
    assert!(!project.path("mcpgate.toml").exists());
}

#[test]
fn values_of_the_environment_are_neither_written_nor_shown() {
    const SECRET: &str = "s3cret-value-of-a-token";
    let project = Project::new().env("NOTES_API_TOKEN", SECRET);
    project
        .run(&init(&[], &[&SERVER[..], &["--token", SECRET]].concat()))
        .code(2)
        .stderr_has("the value of the environment variable NOTES_API_TOKEN")
        .says_nothing_of(SECRET);
    assert!(!project.path("mcpgate.toml").exists());
    // A server that tells its environment: here, in the error that ends it.
    let telling = ["--", "sh", "-c", "echo $NOTES_API_TOKEN >&2; exit 1"];
    project
        .run(&init(&[], &telling))
        .code(3)
        .stderr_has("***")
        .says_nothing_of(SECRET);
}

#[test]
fn a_revision_is_spoken_and_written() {
    let project = Project::new();
    let given = ["--yes", "--protocol", "2025-06-18"];
    project
        .run(&init(&given, &SERVER))
        .code(0)
        .stdout_has("stdio, protocol 2025-06-18");
    let server = written(&project).server.expect("a server");
    assert_eq!(server.protocol.as_deref(), Some("2025-06-18"));
    // Without it, the server is asked.
    project
        .run(&init(&["--yes", "--force"], &SERVER))
        .code(0)
        .stdout_has("stdio, protocol 2026-07-28");
    assert_eq!(written(&project).server.expect("a server").protocol, None);
    project
        .run(&init(&["--protocol", "2025-06-19"], &SERVER))
        .code(2)
        .stderr_has("2025-06-18");
    project
        .run(&init(&["--header", "X-Tenant: a"], &SERVER))
        .code(2)
        .stderr_has("--url");
}

#[test]
fn without_a_command_the_projects_files_suggest_one() {
    let package = r#"{"bin": {"notes": "./dist/index.js"}}"#;
    Project::new()
        .run(&["init"])
        .code(2)
        .stderr_has("write its command behind `--`, or its url with --url, such as:");
    Project::new()
        .file("package.json", package)
        .run(&["init"])
        .code(2)
        .stderr_has("mcpgate init -- node dist/index.js    (`bin` in package.json)");
    // Nothing that cannot be seen reaches the screen.
    let outcome = Project::new()
        .file("package.json", "{\"bin\": \"a\u{202e}sj.b\u{200b}\"}")
        .run(&["init"])
        .code(2);
    assert!(
        outcome.stderr.contains("such as:") && !outcome.stderr.contains(['\u{202e}', '\u{200b}']),
        "{outcome}"
    );
}

/// A program that is the reference server by another name.
fn with_server(project: Project, path: &str) -> Project {
    let script = format!("#!/bin/sh\nexec '{MCPGATE}' reference-server \"$@\"\n");
    let project = project.file(path, &script);
    project.run_other("chmod", &["+x", path]).code(0);
    project
}

#[test]
fn a_project_of_each_kind_is_built_as_it_is() {
    for (files, server, build) in [
        (
            &[
                (
                    "package.json",
                    r#"{"scripts": {"build": "tsc"}, "dependencies": {"x": "1"}}"#,
                ),
                ("package-lock.json", "{}"),
            ][..],
            "bin/server",
            "npm ci && npm run build",
        ),
        (
            &[
                ("package.json", r#"{"dependencies": {"x": "1"}}"#),
                ("package-lock.json", "{}"),
            ],
            "bin/server",
            "npm ci",
        ),
        (
            &[("pyproject.toml", "[build-system]\nrequires = []\n")],
            ".venv/bin/server",
            "python3 -m venv .venv && .venv/bin/pip install -e .",
        ),
        (
            &[
                ("Cargo.toml", "[package]\nname = \"x\"\n"),
                ("Cargo.lock", ""),
            ],
            "target/release/server",
            "cargo build --release --locked",
        ),
        (
            &[("go.mod", "module x\n"), ("cmd/server/main.go", "")],
            "bin/server",
            "go build -o bin/server ./cmd/server",
        ),
    ] {
        let mut project = with_server(Project::new(), server);
        for (name, text) in files {
            project = project.file(name, text);
        }
        // By its whole path, which another clone does not have.
        let whole = project.path(server).display().to_string();
        project.run(&init(&["--yes"], &["--", &whole])).code(0);
        let read = written(&project).server.expect("a server");
        assert_eq!(read.build.as_deref(), Some(build), "{files:?}");
        assert_eq!(read.command.as_deref(), Some(&[server.to_owned()][..]));
    }
}

#[test]
fn the_workflow_goes_to_the_top_of_the_repository() {
    const WORKFLOW: &str = ".github/workflows/mcpgate.yml";
    let project = with_server(Project::new(), "servers/a/target/release/server")
        .file("servers/a/Cargo.toml", "[package]\nname = \"x\"\n");
    project.run_other("git", &["init", "--quiet"]).code(0);
    let arguments = ["--config", "servers/a/mcpgate.toml"];
    let server = ["--", "target/release/server"];
    project.run(&init(&arguments, &server)).code(0);
    assert!(!project.path(WORKFLOW).exists(), "nobody asked for it");
    // Later, to the configuration that is there by now, and was changed.
    let changed = format!("# mine\n{}", project.read("servers/a/mcpgate.toml"));
    let project = project.file("servers/a/mcpgate.toml", &changed);
    let with_workflow = [&["init"], &arguments[..], &["--workflow"]].concat();
    project
        .run(&with_workflow)
        .code(0)
        .stdout_has(WORKFLOW)
        .stdout_has("servers/a/mcpgate.toml is there already, and is kept");
    assert_eq!(project.read("servers/a/mcpgate.toml"), changed);
    project
        .run(&with_workflow)
        .code(2)
        .stderr_has("mcpgate.yml: it is there already");
    let alone = project.read(WORKFLOW);
    let with_workflow = [&arguments[..], &["--workflow", "--force"]].concat();
    project
        .run(&init(&with_workflow, &server))
        .code(0)
        .stdout_has(WORKFLOW);
    let workflow = project.read(WORKFLOW);
    assert_eq!(workflow, alone);
    let run = "      - run: \"cargo build --release\"\n        working-directory: \"servers/a\"\n";
    assert!(workflow.contains(run), "{workflow}");
    assert!(
        workflow.ends_with("          working-directory: \"servers/a\"\n"),
        "{workflow}"
    );
    let again = ["--config", "b.toml", "--workflow"];
    project
        .run(&init(&again, &server))
        .code(2)
        .stderr_has("mcpgate.yml: it is there already");
    assert!(!project.path("b.toml").exists());
}

/// A project as it should be: configured, with a baseline, committed.
fn good(options: &[&str]) -> Project {
    let project = small(Project::new(), Over::Stdio, options)
        .config("suite.rounds", 5)
        .config("suite.loads", "none")
        .config("server.build", "true")
        .tool(WAIT);
    project.run(&["run", "--quiet"]).code(0);
    project.run(&["baseline", "update"]).code(0);
    project.commit(".", &["mcpgate.toml", BASELINE]);
    project
}

#[test]
fn a_good_project_has_no_problem_and_each_planted_one_is_named() {
    let project = good(&[]);
    let outcome = project
        .run(&["doctor"])
        .code(0)
        .stdout_has("Machine\n  ok      system           linux ")
        .stdout_has("  ok      mcpgate.toml     is valid and names 1 tool\n")
        .stdout_has("  ok      tools            1 of 1 answer\n")
        .stdout_has("  ok      stop             ends by itself\n")
        .stdout_has("  ok      suite            the same 4 scenarios as in the baseline\n")
        .stdout_has("  ok      machine class    ")
        .stdout_has("  ok      merge base       ")
        .stdout_has("\nNo problem was found.\n");
    assert!(!outcome.stdout.contains("\n  problem "), "{outcome}");

    // A baseline of another year is worth a word.
    let stored = project.read(BASELINE);
    let mut old: mcpgate::results::Results = serde_json::from_str(&stored).expect("results");
    for job in &mut old.jobs {
        job.started_at = "2025-01-02T03:04:05Z".to_owned();
    }
    let project_of_old = project.file(BASELINE, &to_stable_text(&old));
    project_of_old
        .run(&["doctor"])
        .code(0)
        .stdout_has("  note    age ");
    let mut project = project_of_old.file(BASELINE, &stored);

    // What is called is not what the baseline holds.
    project.set_config("suite.concurrency", 3);
    project
        .run(&["doctor"])
        .code(2)
        .stdout_has("  problem suite            wait/concurrent is not compared: what is sent or expected differs from the baseline's; `mcpgate baseline update`");
    project.set_config("suite.concurrency", 2);

    let accepted = format!(
        "{}\n[[accept]]\nscenario = \"gone/sequential\"\nmetric = \"latency_p50\"\nlimit = \"1s\"\n\
         reason = \"known\"\nuntil = 2999-01-01\n",
        project.read("mcpgate.toml")
    );
    let project = project
        .file("accept.toml", &accepted)
        .file("ignored/.gitignore", "*\n")
        .file("broken.json", "{")
        .file("plain", "")
        .file("wrong.toml", "[server]\ncomand = [\"x\"]\n")
        .file("missing.toml", &format!("[server]\ncommand = [\"{MCPGATE}\", \"reference-server\"]\n[[tool]]\nname = \"nothing\"\n"));
    for (arguments, code, said) in [
        (
            &["--baseline", "broken.json"][..],
            2,
            "  problem baseline         broken.json: not JSON",
        ),
        (
            &["--baseline", "plain/b.json"],
            2,
            "  problem baseline         plain/b.json cannot be made: ",
        ),
        (
            &["--baseline", "ignored/b.json"],
            2,
            "  problem baseline         git ignores ignored/b.json",
        ),
        (
            &["--config", "wrong.toml"],
            2,
            "unknown key `comand` in [server]",
        ),
        (
            &["--config", "missing.toml"],
            2,
            "  problem tools            the server offers no tool `nothing`",
        ),
        (
            &["--config", "accept.toml"],
            2,
            "  problem [[accept]]       there is no scenario gone/sequential",
        ),
        (
            &["--", MCPGATE, "reference-server", "--fault", "exit-at-once"],
            3,
            "  problem start            the server exited with status 7",
        ),
        (
            &["--", "no-such-program"],
            3,
            "  problem start            could not start `no-such-program`",
        ),
        (
            &["--", MCPGATE, "reference-server", "--fault", "tool-error"],
            3,
            "  problem wait             tool-error: the tool refused",
        ),
    ] {
        project
            .run(&[&["doctor"], arguments].concat())
            .code(code)
            .stdout_has(said)
            .stdout_has("line says what to do.");
    }

    // A clone that does not reach back to the main branch.
    for words in [
        &["checkout", "--quiet", "--orphan", "other"][..],
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@localhost",
            "commit",
            "--quiet",
            "-m",
            "Other",
        ],
    ] {
        project.run_other("git", words).code(0);
    }
    project
        .run(&["doctor"])
        .code(2)
        .stdout_has("  problem merge base       the clone does not reach back to where HEAD left main; `git fetch --unshallow`");
}

#[test]
fn the_folder_of_the_configuration_is_the_projects_whatever_the_command() {
    let project = good(&[]);
    let configuration = project.read("mcpgate.toml");
    let baseline = project.read(BASELINE);
    // The project is a clone of its own in a folder, and mcpgate is asked from above it.
    let project = Project::new()
        .file("sub/gate.toml", &configuration)
        .file("sub/baselines/perf-baseline.json", &baseline);
    project.commit("sub", &["."]);
    for server in [&[][..], &SERVER] {
        let outcome = project
            .run(&[&["doctor", "--config", "sub/gate.toml"], server].concat())
            .code(0)
            .stdout_has("perf-baseline.json can be read")
            .stdout_has("sub/baselines/perf-baseline.json can be written")
            .stdout_has("  ok      git              at commit ");
        assert!(!outcome.stdout.contains("git does not know"), "{outcome}");
    }
    // Also where the baseline is named from the folder of the caller.
    let named = ["doctor", "--config", "sub/gate.toml", "--baseline"];
    let here = project.path("sub/baselines/../baselines/perf-baseline.json");
    let here = here.display().to_string();
    let outcome = project
        .run(&[&named[..], &[here.as_str()]].concat())
        .code(0);
    assert!(!outcome.stdout.contains("git does not know"), "{outcome}");
}

#[test]
fn what_a_clone_and_a_workflow_lack_is_told() {
    let project = Project::new()
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_NAME", "pull_request")
        .env("GITHUB_EVENT_PATH", "event.json")
        .env("GITHUB_REPOSITORY", "owner/name")
        .env("GITHUB_SHA", &"a".repeat(40))
        .file(
            "event.json",
            &serde_json::json!({
                "pull_request": {
                    "number": 7,
                    "head": {"sha": "b".repeat(40), "repo": {"full_name": "other/name"}},
                    "base": {"ref": "main", "sha": "c".repeat(40), "repo": {"full_name": "owner/name"}},
                },
                "repository": {"full_name": "owner/name"},
            })
            .to_string(),
        );
    project
        .run(&[&["doctor"], &SERVER[..]].concat())
        .code(0)
        .stdout_has("  note    mcpgate.toml     there is none")
        .stdout_has(
            "  note    baseline         there is no baselines/perf-baseline.json; `mcpgate run`",
        )
        .stdout_has("  note    git              no work tree of git")
        .stdout_has(
            "  note    event            pull request 7 from a fork, whose token may not comment",
        )
        .stdout_has("  note    token            no GITHUB_TOKEN in this step");
}
