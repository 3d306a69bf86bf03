use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::{
    Limits,
    client::{self, Endpoint, OpenError, Opened, Wanted},
    elicitation::Elicitation,
    outcome::ErrorKind,
    param_headers::ParamHeaders,
    revision::{REVISIONS, Revision},
    stdio::StdioLink,
    testing::{Asked, END, STREAM, Step, chunk, http, http_server, json_answer, say, stdio_server},
};

const LIMITS: Limits = Limits {
    call_timeout: Duration::from_mins(1),
    message_bytes: 1 << 20,
    elicitation: Elicitation::Refused,
};

/// The revision that a client was opened with, or why it was not.
fn words(opened: Result<Opened, OpenError>) -> String {
    opened.map_or_else(
        |failed| failed.to_string(),
        |opened| opened.client.revision().to_string(),
    )
}

fn answer(message: &Value, member: &str, value: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": message["id"], member: value}).to_string()
}

fn initialized(message: &Value, version: &str) -> String {
    let result = json!({"protocolVersion": version, "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}});
    answer(message, "result", &result)
}

fn discovered(message: &Value, versions: &[&str]) -> String {
    answer(message, "result", &json!({"supportedVersions": versions}))
}

fn refused(message: &Value, code: i64) -> String {
    answer(message, "error", &json!({"code": code, "message": "no"}))
}

/// A stdio server that answers `server/discover` and `initialize` so, and the methods it saw.
fn server(
    discover: impl Fn(&Value) -> Vec<Step> + Send + 'static,
    initialize: impl Fn(&Value) -> String + Send + 'static,
) -> (StdioLink, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let link = stdio_server(1 << 16, move |_, line| {
        let message: Value = serde_json::from_str(line).unwrap();
        let method = message["method"].as_str().unwrap().to_owned();
        log.lock().unwrap().push(method.clone());
        match &*method {
            "server/discover" => discover(&message),
            "initialize" => say(format!("{}\n", initialize(&message))),
            _ => Vec::new(),
        }
    });
    (link, seen)
}

#[tokio::test(start_paused = true)]
async fn a_stdio_server_is_asked_what_it_speaks() {
    type Answer = fn(&Value) -> String;
    let legacy: Answer = |message| initialized(message, "2025-06-18");
    let no: Answer = |message| refused(message, -32601);
    let table: [(&str, Answer, Answer, &str); 10] = [
        (
            "of both eras",
            |m| discovered(m, &["2026-07-28"]),
            legacy,
            "2026-07-28",
        ),
        ("of the older era", no, legacy, "2025-06-18"),
        (
            "with another code",
            |m| refused(m, -32000),
            legacy,
            "2025-06-18",
        ),
        (
            "that cannot read the request",
            |_| r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}"#.to_owned(),
            legacy,
            "2025-06-18",
        ),
        (
            "that answers anything",
            |m| answer(m, "result", &json!({})),
            legacy,
            "2025-06-18",
        ),
        (
            "that lists what it speaks by initialize",
            |m| discovered(m, &["2025-06-18"]),
            legacy,
            "2025-06-18",
        ),
        (
            "of the future",
            |m| discovered(m, &["2031-01-01"]),
            no,
            "server/discover failed: malformed: the server speaks 2031-01-01; mcpgate speaks 2026-07-28 and older",
        ),
        (
            "of the future, which refuses",
            |m| refused(m, -32022),
            no,
            "server/discover failed: protocol-error: JSON-RPC error -32022: no",
        ),
        (
            "of the future and the past",
            |m| refused(m, -32022),
            legacy,
            "2025-06-18",
        ),
        (
            "that finds the request wrong",
            |m| refused(m, -32021),
            legacy,
            "server/discover failed: protocol-error: JSON-RPC error -32021: no",
        ),
    ];
    for (which, discover, initialize, expected) in table {
        let (link, seen) = server(move |m| say(format!("{}\n", discover(m))), initialize);
        let opened = client::open(&Endpoint::Stdio(link), Wanted::Any, LIMITS).await;
        assert_eq!(words(opened), expected, "a server {which}");
        tokio::task::yield_now().await;
        let seen = seen.lock().unwrap();
        let is_legacy = expected == "2025-06-18";
        assert_eq!(
            seen.last().unwrap() == "notifications/initialized",
            is_legacy,
            "a server {which}: {seen:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_at_first_is_asked_in_both_ways() {
    let legacy = |message: &Value| initialized(message, "2025-11-25");
    let began = Instant::now();
    let (link, seen) = server(|_| Vec::new(), legacy);
    let endpoint = Endpoint::Stdio(link.clone());
    let opened = client::open(&endpoint, Wanted::Any, LIMITS).await;
    assert_eq!(words(opened), "2025-11-25");
    assert_eq!(began.elapsed().as_secs(), 10);
    // Nothing else is said to a server that is not initialized yet.
    let methods = ["server/discover", "initialize", "notifications/initialized"];
    tokio::task::yield_now().await;
    assert_eq!(*seen.lock().unwrap(), methods);

    // Slow to start: what it says to the first request counts.
    let slow = |message: &Value| {
        let answer = discovered(message, &["2026-07-28"]);
        vec![Step::Wait(12_000), Step::Say(format!("{answer}\n"))]
    };
    let (link, _) = server(slow, legacy);
    let opened = client::open(&Endpoint::Stdio(link), Wanted::Any, LIMITS).await;
    assert_eq!(words(opened), "2026-07-28");

    // A short patience leaves time for both.
    let short = Limits {
        call_timeout: Duration::from_secs(3),
        ..LIMITS
    };
    let began = Instant::now();
    let (link, _) = server(|_| Vec::new(), legacy);
    let opened = client::open(&Endpoint::Stdio(link), Wanted::Any, short).await;
    assert_eq!(words(opened), "2025-11-25");
    assert_eq!(began.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_leaves_at_the_first_request_is_told_from_one_that_refuses() {
    let (link, _) = server(|_| vec![Step::Close], |m| refused(m, 1));
    let failed = client::open(&Endpoint::Stdio(link), Wanted::Any, LIMITS).await;
    assert_eq!(
        words(failed),
        "server/discover failed: closed: the server closed its output"
    );
}

async fn open_http(
    script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static,
) -> Result<Opened, OpenError> {
    let endpoint = Endpoint::Http(http_server(1 << 16, script));
    client::open(&endpoint, Wanted::Any, LIMITS).await
}

#[tokio::test(start_paused = true)]
async fn an_http_server_is_asked_what_it_speaks() {
    let error = |code: i64| {
        format!(r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{code},"message":"no"}}}}"#)
    };
    let html = "<html>no</html>";
    let table = [
        (http(400, "", &error(-32000)), "2025-11-25"),
        (http(400, "", &error(-32600)), "2025-11-25"),
        (http(404, "", &error(-32601)), "2025-11-25"),
        (http(404, "", html), "2025-11-25"),
        (http(405, "", html), "2025-11-25"),
        (http(406, "", html), "2025-11-25"),
        (http(415, "", html), "2025-11-25"),
        (http(500, "", html), "2025-11-25"),
        (json_answer(html), "2025-11-25"),
        (http(400, "", &error(-32022)), "2025-11-25"),
        (
            http(400, "", &error(-32020)),
            "server/discover failed: http-400: HTTP 400 Bad Request: JSON-RPC error -32020: no",
        ),
        (
            http(401, "", html),
            "server/discover failed: http-401: HTTP 401 Unauthorized: <html>no</html>",
        ),
        (
            http(502, "", html),
            "server/discover failed: http-502: HTTP 502 Bad Gateway: <html>no</html>",
        ),
    ];
    for (to_discover, expected) in table {
        let opened = open_http({
            let to_discover = to_discover.clone();
            move |asked| match asked.method() {
                "server/discover" => say(to_discover.clone()),
                "initialize" => say(json_answer(&initialized(&asked.message, "2025-11-25"))),
                _ => say(http(202, "", "")),
            }
        })
        .await;
        if let Err(failed) = &opened {
            assert_eq!(failed.may_be_starting(), expected.contains("502"));
        }
        assert_eq!(words(opened), expected, "{to_discover}");
    }
    let opened = open_http(|asked| {
        let answer = discovered(&asked.message, &["2026-07-28", "2025-11-25"]);
        say(format!(
            "{STREAM}{}{END}",
            chunk(&format!("data: {answer}\n\n"))
        ))
    })
    .await;
    assert_eq!(words(opened), "2026-07-28");
}

#[tokio::test(start_paused = true)]
async fn an_initialize_that_fails_says_how() {
    type Script = fn(&Asked) -> String;
    let table: [(Script, &str); 4] = [
        (
            |_| http(405, "", ""),
            "initialize failed: http-405: HTTP 405 Method Not Allowed",
        ),
        (
            |asked| match asked.method() {
                "initialize" => json_answer(&initialized(&asked.message, "2025-11-25")),
                _ => http(400, "", ""),
            },
            "initialize failed: http-400: HTTP 400 Bad Request for notifications/initialized",
        ),
        (
            |asked| json_answer(&initialized(&asked.message, "2020-01-01")),
            "initialize failed: malformed: initialize was answered with protocol version \
             \"2020-01-01\", which mcpgate does not speak",
        ),
        (
            |asked| json_answer(&refused(&asked.message, -32602)),
            "initialize failed: protocol-error: JSON-RPC error -32602: no",
        ),
    ];
    for (script, expected) in table {
        let failed = open_http(move |asked| {
            say(match asked.method() {
                "server/discover" => http(404, "", ""),
                _ => script(asked),
            })
        })
        .await;
        assert_eq!(words(failed), expected);
    }
}

/// The headers that belong to the protocol.
fn protocol_headers(asked: &Asked) -> String {
    let names = [
        "mcp-protocol-version",
        "mcp-session-id",
        "mcp-method",
        "mcp-name",
        "mcp-param-region",
    ];
    let headers = names.map(|name| asked.header(name).unwrap_or("-"));
    format!("{} {}", asked.method(), headers.join(" "))
}

#[tokio::test(start_paused = true)]
async fn each_revision_has_its_own_headers() {
    for revision in REVISIONS {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let target = http_server(1 << 16, move |asked| {
            log.lock().unwrap().push(protocol_headers(asked));
            let message = &asked.message;
            say(match asked.method() {
                "initialize" => http(
                    200,
                    "content-type: application/json\r\nmcp-session-id: s-1\r\n",
                    &initialized(message, revision),
                ),
                "server/discover" => json_answer(&discovered(message, &[revision])),
                "" | "notifications/initialized" => http(202, "", ""),
                _ => json_answer(&answer(message, "result", &json!({"content": []}))),
            })
        });
        let wanted = Wanted::Exactly(Revision::parse(revision).unwrap());
        let opened = client::open(&Endpoint::Http(target), wanted, LIMITS)
            .await
            .unwrap();
        let mut client = opened.client;
        let mirrored = ParamHeaders::of(&json!({"inputSchema": {"properties": {
            "region": {"type": "string", "x-mcp-header": "Region"}
        }}}));
        let mirrored = mirrored.unwrap();
        let prepared = client.prepare_call("é", "{\"region\":\"ü\"}".as_bytes(), &mirrored);
        client.send(&prepared).await.unwrap();
        client.close().await;
        let expected: &[&str] = match revision {
            "2026-07-28" => &[
                "server/discover 2026-07-28 - server/discover - -",
                "tools/call 2026-07-28 - tools/call =?base64?w6k=?= =?base64?w7w=?=",
            ],
            "2025-06-18" | "2025-11-25" => &[
                "initialize - - - - -",
                "notifications/initialized VERSION s-1 - - -",
                "tools/call VERSION s-1 - - -",
                " VERSION s-1 - - -",
            ],
            _ => &[
                "initialize - - - - -",
                "notifications/initialized - s-1 - - -",
                "tools/call - s-1 - - -",
                " - s-1 - - -",
            ],
        };
        let expected: Vec<_> = expected
            .iter()
            .map(|e| e.replace("VERSION", revision))
            .collect();
        assert_eq!(*seen.lock().unwrap(), expected, "{revision}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_is_cancelled() {
    for (revision, expected) in [("2025-11-25", vec![json!(2)]), ("2026-07-28", vec![])] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let target = http_server(1 << 16, move |asked| match asked.method() {
            "initialize" => say(json_answer(&initialized(&asked.message, revision))),
            "server/discover" => say(json_answer(&discovered(&asked.message, &[revision]))),
            "tools/call" => vec![Step::Hang],
            "notifications/cancelled" => {
                let id = asked.message["params"]["requestId"].clone();
                log.lock().unwrap().push(id);
                say(http(202, "", ""))
            }
            _ => say(http(202, "", "")),
        });
        let wanted = Wanted::Exactly(Revision::parse(revision).unwrap());
        let opened = client::open(&Endpoint::Http(target), wanted, LIMITS)
            .await
            .unwrap();
        let mut client = opened.client;
        let prepared = client.prepare_call("t", b"{}", &ParamHeaders::default());
        assert_eq!(
            client.send(&prepared).await.unwrap_err().kind,
            ErrorKind::Timeout
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(*seen.lock().unwrap(), expected, "{revision}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_list_without_end_is_given_up() {
    let target = http_server(1 << 16, |asked| match asked.method() {
        "server/discover" => say(json_answer(&discovered(&asked.message, &["2026-07-28"]))),
        _ => {
            let page = json!({"tools": [], "nextCursor": "more"});
            vec![
                Step::Wait(59_000),
                Step::Say(json_answer(&answer(&asked.message, "result", &page))),
            ]
        }
    });
    let endpoint = Endpoint::Http(target);
    let mut client = client::open(&endpoint, Wanted::Any, LIMITS)
        .await
        .unwrap()
        .client;
    let began = Instant::now();
    let error = client.list_tools().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "timeout: the pages of tools/list did not end within 4m"
    );
    assert_eq!(began.elapsed(), Duration::from_mins(4));
}

/// The head of an event stream, and its first events.
fn stream_of(events: &[&str]) -> String {
    let chunks: Vec<String> = events.iter().map(|event| chunk(event)).collect();
    format!("{STREAM}{}", chunks.concat())
}

const TOLD: &str = "event: endpoint\ndata: /messages?session=1\n\n";

#[tokio::test(start_paused = true)]
async fn an_event_stream_that_serves_nobody_says_how() {
    let open = |get: Vec<Step>, post: String| async move {
        let target = http_server(1 << 16, move |asked| match asked.method() {
            "" => get.clone(),
            _ => say(post.clone()),
        });
        let limits = Limits {
            call_timeout: Duration::from_secs(1),
            message_bytes: 1_000,
            ..LIMITS
        };
        words(client::open(&Endpoint::Sse(target), Wanted::Any, limits).await)
    };
    let accepted = || http(202, "", "");
    let lasting = |events: &[&str]| vec![Step::Say(stream_of(events)), Step::Wait(3_600_000)];
    let ending = |events: &[&str]| vec![Step::Say(stream_of(events)), Step::Close];
    let table = [
        (
            say(http(404, "", "")),
            accepted(),
            "http-404: GET of the event stream was answered with HTTP 404 Not Found and no stream",
        ),
        (
            say(json_answer("{}")),
            accepted(),
            "malformed: GET of the event stream was answered with HTTP 200 OK and no stream",
        ),
        (
            lasting(&[": nothing but a comment\n\n"]),
            accepted(),
            "timeout: no `endpoint` event within 1s",
        ),
        (
            lasting(&["event: endpoint\ndata: http://evil.example/\n\n"]),
            accepted(),
            "malformed: the `endpoint` event cannot be followed: `http://evil.example/` is not on \
             the same host and port",
        ),
        (
            ending(&[TOLD]),
            accepted(),
            "reset: the connection broke (the server closed it in the body of its answer)",
        ),
        (
            lasting(&[TOLD]),
            http(500, "", "boom"),
            "http-500: HTTP 500 Internal Server Error for a posted message",
        ),
        (lasting(&[TOLD]), accepted(), "timeout: no answer within 1s"),
        (
            lasting(&[TOLD, "event: message\ndata: hello\n\n"]),
            accepted(),
            "malformed: an event named \"message\" is no JSON-RPC message: \"hello\"",
        ),
        (
            lasting(&[TOLD, &format!("data: {}", "x".repeat(2_000))]),
            accepted(),
            "too-large: the server sent an event of over 1000 bytes",
        ),
    ];
    for (get, post, expected) in table {
        let said = open(get.clone(), post).await;
        let expected = format!("initialize failed: {expected}");
        assert!(said.starts_with(&expected), "{get:?}\n{said}");
    }
}
