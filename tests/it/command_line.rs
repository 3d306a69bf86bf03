//! What the command line promises whatever the server: exit codes, and that nothing stays behind.

use rustix::process::Signal;

use crate::harness::Project;

#[test]
fn it_tells_its_version() {
    Project::new()
        .run(&["--version"])
        .code(0)
        .stdout_has(env!("CARGO_PKG_VERSION"));
}

#[test]
fn an_unknown_option_is_a_usage_error() {
    Project::new()
        .run(&["run", "--no-such-option"])
        .code(2)
        .stderr_has("--no-such-option");
}

#[test]
fn every_mistake_of_the_configuration_is_told_at_once() {
    Project::new()
        .file(
            "mcpgate.toml",
            "[sever]\ncommand = [\"true\"]\n\n[suite]\nrounds = \"six\"\n",
        )
        .run(&["run"])
        .code(2)
        .stderr_has("sever")
        .stderr_has("mcpgate.toml:1")
        .stderr_has("rounds")
        .stderr_has("mcpgate.toml:5");
}

#[test]
fn a_missing_variable_is_named() {
    Project::new()
        .config("server.command", vec!["mcpgate-no-such-program"])
        .config("server.env.TOKEN", "${MCPGATE_IT_TOKEN}")
        .run(&["run"])
        .code(2)
        .stderr_has("MCPGATE_IT_TOKEN");
}

#[test]
fn a_secret_is_never_printed() {
    let outcome = Project::new()
        .env("MCPGATE_IT_TOKEN", "the-secret-value")
        .config(
            "server.command",
            vec!["sh", "-c", "echo the token is $TOKEN >&2; exit 7"],
        )
        .config("server.env.TOKEN", "${MCPGATE_IT_TOKEN}")
        .run(&["run"])
        .code(3)
        // The server's last words are shown, less the secret.
        .stderr_has("the token is");
    assert!(
        !outcome.stderr.contains("the-secret-value"),
        "the secret is on stderr\n{outcome}"
    );
}

#[test]
fn a_server_that_is_not_there_was_not_measured() {
    Project::new()
        .config("server.command", vec!["mcpgate-no-such-program"])
        .run(&["run"])
        .code(3)
        .stderr_has("mcpgate-no-such-program");
}

#[test]
fn a_signal_leaves_nothing_behind() {
    for signal in [Signal::INT, Signal::TERM] {
        // A wrapper and its child, neither of which ever speaks the protocol.
        let project = Project::new().config(
            "server.command",
            vec!["sh", "-c", "sleep 600 & sleep 600; exit 0"],
        );
        let running = project.start(&["run"]);
        running.until_processes(4);
        running.signal(signal);
        // Waiting checks that all of them are gone.
        let outcome = running.wait();
        assert!(!outcome.succeeded(), "{signal:?}\n{outcome}");
    }
}
