//! Both eras of the protocol, over both transports: what is spoken is what the results say.

use mcpgate::{
    results::{Results, Transport},
    store::to_stable_text,
};

use crate::{
    harness::Project,
    reference::{ECHO, MCPGATE, Over, small},
};

/// Two tools a page, so that the list has three of them.
const PAGES: [&str; 2] = ["--page-size", "2"];

const MODERN: &str = "2026-07-28";
const NEWEST_LEGACY: &str = "2025-11-25";

fn project(over: Over, options: &[&str]) -> Project {
    small(Project::new(), over, &[options, &PAGES].concat()).tool(ECHO)
}

/// Runs without an error, in this revision.
fn speaks(project: &Project, revision: &str) -> Results {
    let outcome = project
        .run(&["run", "--quiet", "--rounds", "1"])
        .code(0)
        .stdout_has(", no errors")
        .stdout_has(&format!(", protocol {revision}"));
    let results = project.results();
    assert_eq!(results.server.protocol_version, revision, "{outcome}");
    results
}

#[test]
fn the_older_http_transport_is_found_or_named() {
    let server = ["--transport", "sse", "--port", "{port}"];
    let command: Vec<&str> = [MCPGATE, "reference-server"]
        .into_iter()
        .chain(server)
        .collect();
    for named in [false, true] {
        let mut project = small(Project::new(), Over::Stdio, &[])
            .config("server.command", command.clone())
            .config("server.url", "http://127.0.0.1:{port}/sse")
            .tool(ECHO);
        if named {
            project.set_config("server.transport", "sse");
        }
        let results = speaks(&project, NEWEST_LEGACY);
        assert_eq!(results.server.transport, Transport::Sse);
        let round = &results.jobs[0].rounds[0];
        for scenario in ["handshake", "echo/sequential", "echo/concurrent"] {
            let sample = &round.scenarios[scenario];
            assert_eq!(sample.successes, sample.calls, "{scenario}");
        }
        assert!(round.peak_memory_bytes.is_some());
    }
}

#[test]
fn the_newest_revision_that_the_server_speaks_is_spoken() {
    let cases: [(Over, &[&str], &str); 10] = [
        (Over::Stdio, &["--era", "both"], MODERN),
        (Over::Stdio, &["--era", "modern"], MODERN),
        (Over::Stdio, &["--era", "legacy"], NEWEST_LEGACY),
        (Over::Http, &["--era", "both"], MODERN),
        (Over::Http, &["--era", "both", "--sse"], MODERN),
        (Over::Http, &["--era", "modern"], MODERN),
        (Over::Http, &["--era", "modern", "--sse"], MODERN),
        (Over::Http, &["--era", "legacy"], NEWEST_LEGACY),
        (Over::Http, &["--era", "legacy", "--sse"], NEWEST_LEGACY),
        (Over::Stdio, &[], MODERN),
    ];
    let mut lists = Vec::new();
    for (over, options, revision) in cases {
        let results = speaks(&project(over, options), revision);
        let names: Vec<&str> = results
            .suite
            .scenarios
            .iter()
            .map(|s| s.name.as_str())
            .collect();
        // A process on pipes has one session in the older era.
        let sessions = over == Over::Http || revision == MODERN;
        assert_eq!(
            names.contains(&"handshake"),
            sessions,
            "{over:?} {options:?}"
        );
        lists.push(results.server.tool_list_hash);
    }
    // All pages were read, whatever the transport and the era.
    lists.dedup();
    assert_eq!(lists.len(), 1, "{lists:?}");
}

#[test]
fn a_list_in_pages_is_read_to_its_end() {
    // `blob` is on the third page.
    let blob = "name = \"blob\"\narguments = { bytes = 10 }";
    for over in [Over::Stdio, Over::Http] {
        let project = small(Project::new(), over, &PAGES).tool(blob);
        speaks(&project, MODERN);
    }
}

#[test]
fn a_fixed_revision_is_the_one_that_is_spoken() {
    let revisions = [
        "2024-11-05",
        "2025-03-26",
        "2025-06-18",
        NEWEST_LEGACY,
        MODERN,
    ];
    for over in [Over::Stdio, Over::Http] {
        for revision in revisions {
            let project = project(over, &[]).config("server.protocol", revision);
            speaks(&project, revision);
        }
    }
}

#[test]
fn a_fixed_revision_that_the_server_does_not_speak_is_said_in_words() {
    for over in [Over::Stdio, Over::Http] {
        for (era, fixed) in [
            ("legacy", MODERN),
            ("modern", NEWEST_LEGACY),
            ("modern", "2024-11-05"),
        ] {
            project(over, &["--era", era])
                .config("server.protocol", fixed)
                .run(&["run"])
                .code(3)
                .stderr_has("error: the server answered, but the handshake failed: ")
                .stderr_has(&format!(
                    "`protocol` in [server] fixes {fixed}: take it out, and mcpgate asks the \
                     server what it speaks"
                ));
        }
    }
}

/// A server of the older era may answer a revision that it does not speak with one that it does.
#[test]
fn another_revision_than_the_fixed_one_is_refused() {
    let server = r#"
while read -r line; do
  case $line in
  *'"method":"initialize"'*)
    printf '%s\n' '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2024-11-05","capabilities":{},"serverInfo":{"name":"old","version":"1"}}}' ;;
  esac
done
"#;
    Project::new()
        .file("server.sh", server)
        .config("server.command", vec!["sh", "server.sh"])
        .config("server.protocol", "2025-06-18")
        .run(&["run"])
        .code(3)
        .stderr_has("asked for protocol 2025-06-18, answered with 2024-11-05")
        .stderr_has("`protocol` in [server] fixes 2025-06-18: take it out");
}

#[test]
fn results_of_two_eras_are_not_comparable() {
    let both = |over| {
        let legacy = speaks(&project(over, &["--era", "legacy"]), NEWEST_LEGACY);
        let modern = speaks(&project(over, &["--era", "modern"]), MODERN);
        (legacy, modern)
    };
    for over in [Over::Stdio, Over::Http] {
        let (legacy, modern) = both(over);
        Project::new()
            .file("legacy.json", &to_stable_text(&legacy))
            .file("modern.json", &to_stable_text(&modern))
            .run(&["compare", "legacy.json", "modern.json"])
            .code(0)
            .stdout_has("inconclusive: the evidence does not decide; this does not fail the build")
            .stdout_has(&format!(
                "nothing is comparable: the baseline was made with protocol \"{NEWEST_LEGACY}\", \
                 this run with \"{MODERN}\"; run `mcpgate baseline update`"
            ));
    }
}

#[test]
fn a_server_that_changed_its_era_is_measured_and_not_compared() {
    let mut project = small(Project::new(), Over::Http, &["--era", "legacy"]).tool(ECHO);
    project.run(&["run", "--quiet"]).code(0);
    project.run(&["baseline", "update"]).code(0);
    let modern = crate::reference::command(Over::Http, &["--era", "modern"]);
    project.set_config("server.command", modern);
    project
        .run(&["compare", "--quiet"])
        .code(0)
        .stdout_has("inconclusive: ")
        .stdout_has("nothing is comparable: the baseline was made with protocol");
    // And the advice is right.
    project.run(&["baseline", "update"]).code(0);
    let files = ["baselines/perf-baseline.json", "mcpgate-results.json"];
    project
        .run(&[&["compare"], &files[..]].concat())
        .code(0)
        .says_nothing_of("nothing is comparable");
}

#[test]
fn a_tool_that_asks_its_user_is_answered_where_that_is_wanted() {
    for over in [Over::Stdio, Over::Http] {
        let project = small(Project::new(), over, &["--fault", "input-required"])
            .config("server.elicitation", "accept-defaults")
            .tool(ECHO);
        let results = speaks(&project, MODERN);
        let sample = &results.jobs[0].rounds[0].scenarios["echo/concurrent"];
        assert_eq!(sample.successes, sample.calls);
    }
}
