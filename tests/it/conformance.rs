//! The official conformance suite runs its client scenarios against mcpgate's own client.
#![expect(clippy::disallowed_methods, reason = "a test: it reads files")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    harness::{Outcome, Project, repository},
    machine::Machine,
    real_servers::example,
};

/// A release of the suite, by the name that it is installed under.
struct Suite {
    name: &'static str,
    /// What is run: the scenario and the revision it is run in.
    runs: &'static [(&'static str, &'static str)],
}

const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

const SUITES: [Suite; 2] = [
    Suite {
        name: "conformance-latest",
        runs: &[
            ("initialize", "2025-06-18"),
            ("initialize", LEGACY),
            ("tools_call", "2025-06-18"),
            ("tools_call", LEGACY),
            ("elicitation-sep1034-client-defaults", LEGACY),
            ("sse-retry", LEGACY),
            ("auth/client-credentials-basic", LEGACY),
            ("auth/client-credentials-jwt", LEGACY),
        ],
    },
    Suite {
        name: "conformance-next",
        runs: &[
            ("initialize", "2025-06-18"),
            ("initialize", LEGACY),
            ("tools_call", "2025-06-18"),
            ("tools_call", LEGACY),
            ("elicitation-sep1034-client-defaults", LEGACY),
            ("sse-retry", LEGACY),
            ("json-schema-2020-12-preservation", LEGACY),
            ("tools_call", MODERN),
            ("request-metadata", MODERN),
            ("sep-2322-client-request-state", MODERN),
            ("http-standard-headers", MODERN),
            ("http-custom-headers", MODERN),
            ("http-invalid-tool-headers", MODERN),
            ("json-schema-ref-no-deref", MODERN),
            ("json-schema-2020-12-preservation", MODERN),
            ("auth/client-credentials-basic", LEGACY),
            ("auth/client-credentials-jwt", LEGACY),
            ("auth/client-credentials-basic", MODERN),
            ("auth/client-credentials-jwt", MODERN),
        ],
    },
];

/// What is left out, by the beginning of its name, and why.
const LEFT_OUT: [(&str, &str); 15] = [
    ("auth/metadata-", BROWSER),
    ("auth/basic-cimd", BROWSER),
    ("auth/scope-", BROWSER),
    ("auth/token-endpoint-auth-", BROWSER),
    ("auth/pre-registration", BROWSER),
    ("auth/2025-03-26-oauth-", BROWSER),
    ("auth/resource-mismatch", BROWSER),
    ("auth/offline-access-", BROWSER),
    ("auth/authorization-server-migration", BROWSER),
    ("auth/iss-", BROWSER),
    (
        "auth/enterprise-managed-authorization",
        "a user's identity provider signs in",
    ),
    (
        "auth/cross-app-access-",
        "a user's identity provider signs in",
    ),
    (
        "auth/dpop",
        "tokens that are bound to a key are not offered",
    ),
    (
        "auth/wif-jwt-bearer",
        "another grant: the platform's token in place of the client's",
    ),
    (
        "sep-2640-client-",
        "an extension for skills, which are no calls of tools",
    ),
];
const BROWSER: &str = "a user signs in with a browser";

/// One finding of the suite.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    id: String,
    status: String,
    #[serde(default)]
    error_message: Option<String>,
}

/// The Node.js that the suite needs, which is newer than the one that mcpgate's tests need.
fn node() -> PathBuf {
    let modules = repository().join("tests/conformance/.installed/npm/node_modules");
    let installed = ["linux-x64", "linux-arm64", "darwin-x64"]
        .map(|platform| modules.join(format!("node-{platform}/bin/node")));
    installed
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| {
            panic!(
                "no Node.js in {}: run `cargo xtask setup`, or `cargo xtask test` for everything",
                modules.display()
            )
        })
}

fn suite(project: &Project, name: &str, arguments: &[&str]) -> Outcome {
    let package = "tests/conformance/.installed/npm/node_modules";
    let script = repository().join(package).join(name).join("dist/index.js");
    let (node, script) = (node().display().to_string(), script.display().to_string());
    project.run_other(&node, &[&[script.as_str()], arguments].concat())
}

/// All scenarios for clients that the release knows.
fn known(project: &Project, name: &str) -> BTreeSet<String> {
    let listed = suite(project, name, &["list", "--client"]).code(0);
    let lines = listed.stdout.lines();
    let scenarios = lines.filter_map(|line| line.trim().strip_prefix("- "));
    scenarios
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_scenario_for_clients_passes_or_is_left_out_for_a_reason() {
    let _machine = Machine::shared();
    let client = example("conformance_client");
    let mut table = String::new();
    let mut failed = Vec::new();
    for Suite { name, runs } in SUITES {
        let project = Project::new();
        let run: BTreeSet<String> = runs.iter().map(|(name, _)| (*name).to_owned()).collect();
        for scenario in known(&project, name) {
            let reason = LEFT_OUT
                .iter()
                .find(|(start, _)| scenario.starts_with(start));
            assert!(
                run.contains(&scenario) != reason.is_some(),
                "{name}: {scenario} is neither run nor left out, or both"
            );
        }
        for (scenario, revision) in runs {
            let checks = checks(&project, name, &client, scenario, revision);
            let succeeded = checks.iter().filter(|c| c.status == "SUCCESS").count();
            table.push_str(&format!(
                "{name} {revision} {scenario}: {succeeded} checks\n"
            ));
            let bad = checks.into_iter().filter(is_bad);
            failed.extend(bad.map(|check| format!("{name} {revision} {scenario}: {check:?}")));
        }
    }
    println!("{table}");
    assert!(failed.is_empty(), "{failed:#?}");
}

/// A warning is a failure, too, except that a busy machine resumed a stream late.
fn is_bad(check: &Check) -> bool {
    match check.status.as_str() {
        "FAILURE" => true,
        "WARNING" => {
            let late = check.error_message.as_deref().unwrap_or_default();
            check.id != "client-sse-retry-timing" || !late.contains("slightly late")
        }
        _ => false,
    }
}

/// The checks that were written below a folder.
fn left_in(folder: &Path) -> Option<String> {
    let own = fs::read_to_string(folder.join("checks.json")).ok();
    own.or_else(|| {
        let inner = fs::read_dir(folder).ok()?.filter_map(Result::ok);
        inner
            .map(|entry| entry.path())
            .find_map(|path| left_in(&path))
    })
}

fn checks(
    project: &Project,
    name: &str,
    client: &str,
    scenario: &str,
    revision: &str,
) -> Vec<Check> {
    let place = format!("{name}-{revision}-{}", scenario.replace('/', "-"));
    let arguments = [
        "client",
        "--command",
        client,
        "--scenario",
        scenario,
        "-o",
        &place,
    ];
    // The older release, and extensions, know no revision to be run in but their own.
    let by_itself = revision == LEGACY;
    let outcome = if by_itself {
        suite(project, name, &arguments)
    } else {
        let asked = ["--spec-version", revision, "--force"];
        let asked = if name == "conformance-next" {
            &asked[..]
        } else {
            &asked[..2]
        };
        suite(project, name, &[&arguments[..], asked].concat())
    };
    let found = left_in(&project.path(&place))
        .unwrap_or_else(|| panic!("{scenario} left no checks\n{outcome}"));
    let checks: Vec<Check> = serde_json::from_str(&found).expect("checks as JSON");
    let succeeded = checks.iter().any(|check| check.status == "SUCCESS");
    assert!(succeeded, "{scenario} checked nothing\n{outcome}");
    let failed = outcome.stderr.contains("Client exited with code");
    assert!(!failed, "{scenario}\n{outcome}");
    checks
}
