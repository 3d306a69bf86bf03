use std::{collections::BTreeMap, path::Path, time::Duration};

use serde_json::json;

use super::{Outside, parse, parse_accepted, parse_policy};
use crate::{
    results::Sessions,
    suite::{
        AcceptedMetric, Config, InconclusivePolicy, SuiteConfig, SuiteSize, ToolKind,
        TransportChoice,
    },
};

pub(super) const SECRET: &str = "s3cr3t-token";

fn env(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some(SECRET.to_owned()),
        "SHORT" => Some("abc".to_owned()),
        "EMPTY" => Some(String::new()),
        "TWO_LINES" => Some(format!("{SECRET}\nline")),
        _ => None,
    }
}

fn file(name: &str) -> Result<String, String> {
    match name {
        "rows.csv" => Ok("query,limit\nfirst,1\nsecond,2\n".to_owned()),
        "rows.jsonl" => Ok("{\"query\": \"first\", \"limit\": 1}\n".to_owned()),
        "torn.jsonl" => Ok("{\"query\": \"first\"}\n{\"que".to_owned()),
        "empty.csv" => Ok("query\n".to_owned()),
        _ => Err(format!("there is no {name}")),
    }
}

pub(super) fn outside() -> Outside<'static> {
    Outside {
        variable: &env,
        file: &file,
    }
}

pub(super) fn mistakes(text: &str) -> String {
    match parse("mcpgate.toml", text, outside()) {
        Ok(config) => panic!("no mistake found, but read {config:#?}"),
        Err(diagnostics) => diagnostics.render(false),
    }
}

pub(super) fn good(text: &str) -> Config {
    parse("mcpgate.toml", text, outside()).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

pub(super) const WHOLE: &str = r#"
[server]
command = ["node", "dist/index.js", "--port", "{port}"]
url = "https://127.0.0.1:{port}/mcp"
ca-file = "certs/ca.pem"
transport = "streamable-http"
protocol = "2025-11-25"
cwd = "server"
env = { PORT = "{port}", KEY = "${TOKEN}", LITERAL = "$${TOKEN}", SHORT = "${SHORT}" }
headers = { Authorization = "Bearer ${TOKEN}", X-Trace = "on" }
elicitation = "accept-defaults"
message-limit = "1 MiB"
startup-timeout = "10s"
call-timeout = "1m 30s"
setup = "createdb ${NAME}"
reset = "psql < seed.sql"

[[tool]]
name = "search"
arguments = { query = "query {{i}}", limit = 5, since = 2026-01-02, deep = { at = [1.5, true, "{{uuid}}"] }, mask = 0xff }
expect = { contains = "query {{i}}" }
kind = "external"

[[tool]]
name = "ping"

[suite]
size = "deep"
rounds = 200
calls = 1
concurrency = 7
sessions = "shared"
soak-calls = 0
loads = "none"
max-time = "5m"
seed = 42

[gate]
tolerance = { latency_p50 = "10%", latency_p95 = "12.5%", throughput = "1%", startup = "1000%", peak_memory = "20 %" }
floor = { latency_p50 = "0s", latency_p95 = "2ms", startup = "100ms", peak_memory = "1 MiB", memory_growth_per_1000_calls = "500kB" }
budget = { error_rate = "0%", latency_p50 = "100ms", latency_p95 = "500ms", startup = "5s", peak_memory = "1GB", memory_growth_per_1000_calls = "10MB" }
inconclusive = "fail"
"#;

#[test]
fn empty_file_is_all_defaults() {
    let config = good("");
    assert_eq!(config.server, None);
    assert!(config.tools.is_empty());
    assert_eq!(config.suite, SuiteConfig::default());
    assert_eq!(config.gate, crate::suite::GateConfig::default());
}

#[test]
fn every_key_is_read() {
    let config = good(WHOLE);
    let server = config.server.as_ref().unwrap();
    assert_eq!(
        server.command.as_deref().unwrap(),
        ["node", "dist/index.js", "--port", "{port}"]
    );
    assert_eq!(server.url.as_deref(), Some("https://127.0.0.1:{port}/mcp"));
    assert_eq!(server.transport, Some(TransportChoice::StreamableHttp));
    assert_eq!(server.protocol.as_deref(), Some("2025-11-25"));
    assert_eq!(server.cwd.as_deref(), Some("server"));
    let exposed = |map: &BTreeMap<String, crate::suite::Secret>| -> Vec<(String, String)> {
        map.iter()
            .map(|(name, value)| (name.clone(), value.expose().to_owned()))
            .collect()
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        exposed(&server.env),
        [
            pair("KEY", SECRET),
            pair("LITERAL", "${TOKEN}"),
            pair("PORT", "{port}"),
            pair("SHORT", "abc"),
        ]
    );
    assert_eq!(
        exposed(&server.headers),
        [
            pair("Authorization", "Bearer s3cr3t-token"),
            pair("X-Trace", "on")
        ]
    );
    assert_eq!(server.ca_file.as_deref(), Some(Path::new("certs/ca.pem")));
    assert!(server.accepts_defaults);
    assert_eq!(server.message_limit_bytes, 1 << 20);
    assert_eq!(server.startup_timeout, Duration::from_secs(10));
    assert_eq!(server.call_timeout, Duration::from_secs(90));
    // Shell commands keep their own `${…}`.
    assert_eq!(server.setup.as_deref(), Some("createdb ${NAME}"));
    assert_eq!(server.reset.as_deref(), Some("psql < seed.sql"));

    let [search, ping] = &config.tools[..] else {
        panic!("two tools, not {:?}", config.tools);
    };
    assert_eq!(
        serde_json::Value::Object(search.arguments.clone()),
        json!({
            "query": "query {{i}}", "limit": 5, "since": "2026-01-02",
            "deep": {"at": [1.5, true, "{{uuid}}"]}, "mask": 255
        })
    );
    assert_eq!(search.expect.contains.as_deref(), Some("query {{i}}"));
    assert_eq!(search.kind, ToolKind::External);
    assert_eq!((ping.name.as_str(), ping.kind), ("ping", ToolKind::Compute));
    assert!(ping.arguments.is_empty());

    assert_eq!(
        config.suite,
        SuiteConfig {
            size: SuiteSize::Deep,
            rounds: Some(200),
            calls: Some(1),
            concurrency: 7,
            sessions: Sessions::Shared,
            soak_calls: Some(0),
            loads: false,
            max_time: Duration::from_secs(300),
            seed: 42,
        }
    );
    let gate = &config.gate;
    let tolerance = &gate.tolerance;
    for (is, expected) in [
        (tolerance.latency_p50, 0.1),
        (tolerance.latency_p95, 0.125),
        (tolerance.throughput, 0.01),
        (tolerance.startup, 10.0),
        (tolerance.peak_memory, 0.2),
    ] {
        assert!((is - expected).abs() < 1e-12, "{is} is not {expected}");
    }
    assert_eq!(gate.floor.latency_p50, Duration::ZERO);
    assert_eq!(gate.floor.latency_p95, Duration::from_millis(2));
    assert_eq!(gate.floor.startup, Duration::from_millis(100));
    assert_eq!(gate.floor.peak_memory_bytes, 1 << 20);
    assert_eq!(gate.floor.memory_growth_per_1000_calls_bytes, 500_000);
    assert_eq!(gate.budget.error_rate, Some(0.0));
    assert_eq!(gate.budget.latency_p50, Some(Duration::from_millis(100)));
    assert_eq!(gate.budget.latency_p95, Some(Duration::from_millis(500)));
    assert_eq!(gate.budget.startup, Some(Duration::from_secs(5)));
    assert_eq!(gate.budget.peak_memory_bytes, Some(1_000_000_000));
    assert_eq!(
        gate.budget.memory_growth_per_1000_calls_bytes,
        Some(10_000_000)
    );
    assert_eq!(gate.inconclusive, InconclusivePolicy::Fail);
}

#[test]
fn secrets_are_those_long_enough_to_mask_and_debug_hides_all() {
    let config = good(WHOLE);
    assert_eq!(config.secrets(), [SECRET]);
    let debug = format!("{config:?}");
    assert!(!debug.contains(SECRET), "{debug}");
}

#[test]
fn dollar_braces_reach_a_shell_in_a_command() {
    let config = good(r#"server.command = ["sh", "-c", "exec $${PROGRAM} $HOME"]"#);
    assert_eq!(
        config.server.unwrap().command.unwrap(),
        ["sh", "-c", "exec ${PROGRAM} $HOME"]
    );
}

#[test]
fn missing_key() {
    insta::assert_snapshot!(mistakes("[[tool]]\narguments = {}\n"));
}

#[test]
fn unknown_keys_with_suggestions() {
    insta::assert_snapshot!(mistakes(
        "[server]\ncomand = [\"node\"]\n\n[suite]\nsoak_calls = 3\n\n[gate]\ntolerance = { latency-p95 = \"20%\" }\n\n[servr]\n"
    ));
}

#[test]
fn accepted_regressions_are_read() {
    let text = |metric: &str, limit: &str| {
        format!(
            "[[accept]]\nscenario = \"search/sequential\"\nmetric = \"{metric}\"\n\
             limit = {limit}\nreason = \"exact\"\nuntil = 2027-01-31\n"
        )
    };
    for (metric, limit, value) in [
        ("latency_p50", "\"12ms\"", 12e6),
        ("latency_p95", "\"1s\"", 1e9),
        ("startup", "\"2s\"", 2e9),
        ("cpu_per_call", "\"5us\"", 5e3),
        ("peak_memory", "\"80MB\"", 80e6),
        ("memory_growth", "\"1kB\"", 1e3),
        ("throughput", "250", 250.0),
    ] {
        let config = good(&text(metric, limit));
        let [entry] = &config.accept[..] else {
            panic!("{config:?}");
        };
        assert_eq!((entry.metric.name(), entry.limit), (metric, Some(value)));
        assert_eq!(
            (entry.until.as_str(), entry.reason.as_str()),
            ("2027-01-31", "exact")
        );
        let alone = parse_accepted("mcpgate.toml", &text(metric, limit)).unwrap();
        assert_eq!(alone, config.accept);
    }
}

#[test]
fn what_is_removed_has_no_limit() {
    let text = "[[accept]]\nscenario = \"search\"\nmetric = \"removed\"\n\
                reason = \"unused\"\nuntil = 2027-01-31\n";
    let config = good(text);
    assert_eq!(config.accept[0].metric, AcceptedMetric::Removed);
    assert_eq!(config.accept[0].limit, None);
    insta::assert_snapshot!(mistakes(&format!("{text}limit = \"12ms\"\n")));
}

#[test]
fn a_failure_mode_is_accepted_by_its_name_and_has_no_limit() {
    let text = "[[accept]]\nscenario = \"server\"\nmetric = \"session-leak-closed\"\n\
                reason = \"fixed upstream in 2.0\"\nuntil = 2027-01-31\n";
    let config = good(text);
    assert_eq!(
        config.accept[0].metric,
        AcceptedMetric::FailureMode("session-leak-closed")
    );
    insta::assert_snapshot!(mistakes(&format!("{text}limit = \"12ms\"\n")));
}

#[test]
fn a_cap_on_the_heap_is_an_option_of_node_beside_those_that_are_set() {
    for (env, expected) in [
        ("", "--max-old-space-size=128"),
        (
            "env = { NODE_OPTIONS = \"--no-warnings\" }\n",
            "--no-warnings --max-old-space-size=128",
        ),
    ] {
        let text = format!("[server]\ncommand = [\"node\"]\nheap-cap = \"128MiB\"\n{env}");
        let server = good(&text).server.unwrap();
        assert_eq!(server.env["NODE_OPTIONS"].expose(), expected);
    }
    insta::assert_snapshot!(mistakes(
        "[server]\ncommand = [\"node\"]\nheap-cap = \"1MB\"\n"
    ));
}

#[test]
fn a_tool_whose_answers_grow_says_with_what() {
    let text = "[[tool]]\nname = \"blob\"\narguments = { bytes = 100, deep = { n = 1 } }\n";
    let config = good(&format!("{text}grows-with = \"bytes\"\n"));
    assert_eq!(config.marked.growing[0].argument, "bytes");
    assert_eq!(config.tools, [config.marked.growing[0].tool.clone()]);
    let writes = "writes = { read-back = \"r\", contains = \"{{i}}\" }\n";
    let wrong = ["\"byte\"", "\"deep\"", "\"bytes\"\n", "3"].map(|value| {
        let writes = if value.ends_with('\n') { writes } else { "" };
        mistakes(&format!("{text}grows-with = {value}\n{writes}"))
    });
    insta::assert_snapshot!(wrong.join("\n"));
}

#[test]
fn mistakes_in_accepted_regressions() {
    insta::assert_snapshot!(mistakes(
        "[[accept]]\nscenario = \"\"\nmetric = \"latency_p96\"\nlimit = \"12ms\"\n\
         until = \"2027-01-31\"\n\n[[accept]]\nscenario = \"s\"\nmetric = \"throughput\"\n\
         limit = \"12ms\"\nreason = \"r\"\nuntil = 2027-01-31T00:00:00\nmore = 1\n"
    ));
}

#[test]
fn a_part_is_read_from_a_file_that_cannot_be_read_whole() {
    let text = "[server]\nenv = { A = \"${NOT_SET}\" }\n[new-section]\n\
                [gate.tolerance]\nlatency_p50 = \"30%\"\n";
    assert!(parse("mcpgate.toml", text, outside()).is_err());
    let policy = parse_policy("mcpgate.toml", text).unwrap();
    assert!((policy.tolerance.latency_p50 - 0.3).abs() < 1e-9);
    assert_eq!(parse_accepted("mcpgate.toml", text).unwrap(), []);
    for broken in ["[gate]\ntolerance = 1\n", "[gate\n"] {
        assert!(parse_policy("mcpgate.toml", broken).is_err(), "{broken}");
    }
}

#[test]
fn two_mistakes_at_once() {
    insta::assert_snapshot!(mistakes(
        "[server]\ncommand = [\"node\"]\n\n[[tool]]\nname = \"search\"\nkind = \"extern\"\n\n[suite]\nmax-time = 600\n"
    ));
}

#[test]
fn five_mistakes_at_once() {
    insta::assert_snapshot!(mistakes(
        r#"[server]
command = []
url = "ftp://example.com/mcp"
transport = "stdio"

[[tool]]
name = "search"
arguments = { query = "{{n}}" }

[gate]
tolerance = { latency_p95 = 0.07 }
"#
    ));
}

#[test]
fn broken_syntax_with_another_mistake() {
    insta::assert_snapshot!(mistakes(
        "[server\ncommand = [\"a\"]\n\n[suite]\nrounds = 0\ncalls =\nmax-time = \"x\n\n[gate]\ninconclusive = \"wran\"\n"
    ));
}

#[test]
fn an_open_array_is_one_mistake() {
    insta::assert_snapshot!(mistakes(
        "[server]\ncommand = [\"a\", \"b\"\n\n[suite]\nrounds = 0\n"
    ));
}

#[test]
fn an_open_array_in_a_section_of_many_is_one_mistake() {
    insta::assert_snapshot!(mistakes(
        "[[tool]]\nname = \"a\"\narguments = { ids = [1, 2\n\n[[tool]]\nname = \"b\"\n"
    ));
}

#[test]
fn what_broken_syntax_may_hide_is_not_called_missing() {
    let diagnostics = parse("mcpgate.toml", "[[tool]]\nna me = \"a\"\n", outside()).unwrap_err();
    let [problem] = diagnostics.problems() else {
        panic!("one mistake is wanted, not:\n{diagnostics}");
    };
    assert!(
        problem.message.starts_with("not valid TOML"),
        "{diagnostics}"
    );
}

#[test]
fn variables_that_cannot_be_filled() {
    insta::assert_snapshot!(mistakes(
        r#"[server]
command = ["server", "--key", "${TOKEN}"]
url = "http://127.0.0.1:8000/${TOKEN}"
env = { KEY = "${NO_SUCH} and ${ALSO_NOT}", OTHER = "${EMPTY}", THIRD = "${TOKEN:-x}" }
headers = { Authorization = "Bearer ${TWO_LINES}" }
"#
    ));
}

#[test]
fn secrets_written_out_are_masked() {
    insta::assert_snapshot!(mistakes(
        r#"[server]
url = "http://me:pa55word@127.0.0.1:8000/mcp"
headers = { Authorization = "Bearer abcdef", X-Api-Key = "12345", Host = "a", X = "ü" }
env = { API_TOKEN = "very-s3cret", "A=B" = "b" }
"#
    ));
}

#[test]
fn headers_that_cannot_be_sent() {
    insta::assert_snapshot!(mistakes(
        "[server]\ncommand = [\"a\"]\n[server.headers]\n\"a b\" = \"c\"\nX-One = \"1\"\nx-one = \"2\"\nMcp-Session-Id = \"3\"\n"
    ));
}

#[test]
fn hostile_names_are_shown_harmless() {
    let text = format!(
        "\"\\u001b[31m\\u202e`|@all<b>\" = 1\n{} = 2\n",
        "k".repeat(300)
    );
    insta::assert_snapshot!(mistakes(&text));
}

#[test]
fn too_large_a_file() {
    insta::assert_snapshot!(mistakes(&" ".repeat((1 << 20) + 1)), @"
    error: the file is larger than 1 MiB
     --> mcpgate.toml:1:1
      |
    1 |
      | ^
      |
      = help: is this the right file? `--config FILE` names another

    mcpgate.toml: 1 mistake; nothing was run
    ");
}

#[test]
fn more_mistakes_than_anyone_reads() {
    let text: String = (0..60).map(|n| format!("key{n} = 1\n")).collect();
    let rendered = mistakes(&text);
    assert_eq!(rendered.matches("unknown key").count(), 40);
    assert!(
        rendered.ends_with("… and 20 more\nmcpgate.toml: 60 mistakes; nothing was run"),
        "{rendered}"
    );
}

/// One mistake each: the place (as the text under the carets), the message, the help.
#[test]
fn single_mistakes() {
    let cases = [
        "server = 3",
        "[server]\ncommand = \"node server.js\"",
        "[server]\ncommand = [\" \", \"x\"]",
        "[server]\ncommand = [\"x\", 1]",
        "[server]\ncommand = [\"x\\u0000\"]",
        "[server]\ncommand = [\"x\", \"{port}\"]",
        "[server]\nenv = { PORT = \"{port}\" }\ncommand = [\"x\"]",
        "[server]\nenv = { PORT = 3000 }",
        "[server]\nenv = \"A=b\"",
        "[server]\nurl = \"127.0.0.1:8000\"",
        "[server]\nurl = \"ftp://127.0.0.1/\"",
        "[server]\nurl = \"http://\"",
        "[server]\nurl = \"http://h:0/\"",
        "[server]\nurl = \"http://h/a b\"",
        "[server]\nurl = \"http://h:{port}/\"",
        "[server]\nurl = \"http://h:{prot}/\"\ncommand = [\"x\"]",
        "[server]\ncommand = [\"x\"]\ntransport = \"sse\"",
        "[server]\ntransport = \"http\"",
        "[server]\ncommand = [\"x\"]\ntransport = \"streamable-http\"",
        "[server]\nurl = \"http://h/\"\ntransport = \"stdio\"",
        "[server]\ncommand = [\"x\"]\nheaders = { A = \"b\" }",
        "[server]\nurl = \"http://h/\"\nca-file = \"ca.pem\"",
        "[server]\nurl = \"https://h/\"\nca-file = \"\"",
        "[server]\nelicitation = \"yes\"",
        "[server]\nmessage-limit = \"1 kB\"",
        "[server]\nmessage-limit = \"2 GiB\"",
        "[server]\nurl = \"http://h/\"\noauth = \"x\"",
        "[server]\nurl = \"http://h/\"\n[server.oauth]\ntoken-url = \"https://a/t\"\nclient-id = \"c\"\n",
        "[server]\nurl = \"http://h/\"\n[server.oauth]\ntoken-url = \"https://a/t\"\nclient-id = \"c\"\nclient-secret = \"${TOKEN}\"\nprivate-key-file = \"k.pem\"",
        "[server]\nurl = \"http://h/\"\n[server.oauth]\ntoken-url = \"https://a/t\"\nclient-id = \"c\"\nclient-secret = \"${TOKEN}\"\naudience = \"a\"",
        "[server]\nurl = \"http://h/\"\n[server.oauth]\ntoken-url = \"https://a/t\"\nclient-id = \"c\"\nclient-secret = \"${EMPTY}\"",
        "[server]\nurl = \"http://h/\"\n[server.oauth]\ntoken-url = \"https://a/t\"\nclient-id = \"c\"\nclient-secret = \"${TOKEN}\"\nscopes = \"a\"",
        "[server]\nurl = \"http://h/\"\n[server.oauth]\ntoken-url = \"http://a/t\"\nclient-id = \"c\"\nclient-secret = \"x\"",
        "[server]\nurl = \"http://h/\"\n[server.oauth]\ntoken-url = \"https://u:p@a/t\"\nclient-id = \"c\"\nclient-secret = \"x\"",
        "[server]\nurl = \"http://h/\"\n[server.oauth]\ntoken-url = \"a b\"\nclient-id = \"c\"\nclient-secret = \"x\"",
        "[server]\ncommand = [\"x\"]\n[server.oauth]\ntoken-url = \"https://a/t\"\nclient-id = \"c\"\nclient-secret = \"x\"",
        "[server]\nurl = \"http://h/\"\nheaders = { authorization = \"x\" }\n[server.oauth]\ntoken-url = \"https://a/t\"\nclient-id = \"c\"\nclient-secret = \"x\"",
        "[server]\nurl = \"http://h/\"\n[server.oauth]\ntoken-url = \"https://a/t\"\nclient-id = \"\"\nclient-secret = \"x\"",
        "[server]\nurl = \"http://h/\"\n[server.oauth]\ntoken-url = \"http://127.evil.test/t\"\nclient-id = \"c\"\nclient-secret = \"x\"",
        "[server]\nprotocol = \"2025-11-26\"",
        "[server]\ncwd = \"\"",
        "[server]\nbuild = \"\"",
        "[server]\nstartup-timeout = \"0s\"",
        "[server]\ncall-timeout = \"25h\"",
        "[server]\ncall-timeout = \"soon\"",
        "[tool]\nname = \"a\"",
        "tool = [1]",
        "[[tool]]\nname = \"\"",
        "[[tool]]\nname = \"a\\nb\"",
        "[[tool]]\nname = \"a\"\n[[tool]]\nname = \"a\"",
        "[[tool]]\nname = \"a\"\narguments = \"x\"",
        "[[tool]]\nname = \"a\"\narguments = { x = inf }",
        "[[tool]]\nname = \"a\"\narguments = { x = 99999999999999999999 }",
        "[[tool]]\nname = \"a\"\narguments = { x = [{ y = \"{{i\" }] }",
        "[[tool]]\nname = \"a\"\narguments = { x = \"{{pick words.txt}}\" }",
        "[[tool]]\nname = \"a\"\nexpect = { contains = \"\" }",
        "[[tool]]\nname = \"a\"\nexpect = { contain = \"x\" }",
        "[scenario]\nname = \"a\"",
        "[[scenario]]\nname = \"a\"\ntool = \"t\"\nexecutor = \"constant-vus\"\nduration = 5",
        "[[scenario]]\nname = \"a\"\ntool = \"t\"\nexecutor = \"constant-vus\"\nduration = \"5s\"\n\
         [[scenario]]\nname = \"a\"\ntool = \"t\"\nexecutor = \"constant-vus\"\nduration = \"5s\"",
        "[suite]\nloads = true",
        "[suite]\nrounds = 201",
        "[suite]\nrounds = \"3\"",
        "[suite]\nconcurrency = -1",
        "[suite]\nsessions = \"one\"",
        "[suite]\nseed = -1",
        "[suite]\nmax-time = 60",
        "[gate]\ntolerance = \"20%\"",
        "[gate]\ntolerance = { latency_p95 = 20 }",
        "[gate]\ntolerance = { latency_p95 = \"0.2\" }",
        "[gate]\ntolerance = { latency_p95 = \"x%\" }",
        "[gate]\ntolerance = { latency_p95 = \"nan%\" }",
        "[gate]\ntolerance = { latency_p95 = \"0.5%\" }",
        "[gate]\nfloor = { peak_memory = 2000000 }",
        "[gate]\nfloor = { peak_memory = \"2000000\" }",
        "[gate]\nfloor = { peak_memory = \"2 apples\" }",
        "[gate]\nbudget = { peak_memory = \"2TB\" }",
        "[gate]\nbudget = { error_rate = \"101%\" }",
    ];
    let mut out = String::new();
    for text in cases {
        let diagnostics = parse("mcpgate.toml", text, outside()).expect_err(text);
        let [problem] = diagnostics.problems() else {
            panic!("one mistake is wanted in {text:?}, not:\n{diagnostics}");
        };
        out.push_str(&format!(
            "{}\n    at {}: {}\n",
            text.replace('\n', " ⏎ "),
            &text[problem.span.clone()],
            problem.message
        ));
        for help in &problem.help {
            out.push_str(&format!("    help: {help}\n"));
        }
    }
    insta::assert_snapshot!(out);
}

#[test]
fn color_changes_only_the_look() {
    let diagnostics = parse("mcpgate.toml", "a = 1", outside()).unwrap_err();
    let colored = diagnostics.render(true);
    assert!(colored.contains("\u{1b}["), "{colored:?}");
    assert!(!diagnostics.render(false).contains('\u{1b}'));
}

#[test]
fn tokens_come_from_where_oauth_says() {
    let config = good(
        "[server]\nurl = \"https://mcp.test/mcp\"\n[server.oauth]\n\
         token-url = \"http://127.0.0.1:8080/token\"\nclient-id = \"ci\"\n\
         client-secret = \"${TOKEN}\"\nscope = \"a b\"\nresource = \"\"",
    );
    assert_eq!(config.secrets(), [SECRET]);
    let oauth = config.server.unwrap().oauth.unwrap();
    assert_eq!(oauth.token_url, "http://127.0.0.1:8080/token");
    assert_eq!(oauth.client_id, "ci");
    assert_eq!(oauth.client_secret.unwrap().expose(), SECRET);
    assert_eq!(oauth.scope.as_deref(), Some("a b"));
    assert_eq!(oauth.resource.as_deref(), Some(""));
    assert_eq!(oauth.audience, None);
}
