use ::http::{HeaderMap, Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::{echo, initialize, legacy, modern, options, server, server_with, text};
use crate::reference_server::{
    Era, Options, http,
    listen::{Delay, accept, prepare},
};

/// One connection to a server of this test.
struct Client {
    sender: SendRequest<Full<Bytes>>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// As far as it came.
    body: Bytes,
    broke_off: bool,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> Value {
        self.json()["error"]["code"].clone()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

type Headers<'h> = &'h [(&'h str, &'h str)];

impl Client {
    async fn connect(server: std::sync::Arc<super::Server>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, (http::handler(server), Delay::None)));
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        body: &str,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.to_owned())).unwrap();
        self.sender.ready().await.unwrap();
        let (head, mut body) = self
            .sender
            .send_request(request)
            .await
            .unwrap()
            .into_parts();
        let mut read = Vec::new();
        let mut broke_off = false;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => read.extend_from_slice(frame.data_ref().unwrap()),
                Err(_) => {
                    broke_off = true;
                    break;
                }
            }
        }
        Answer {
            status: head.status,
            headers: head.headers,
            body: read.into(),
            broke_off,
        }
    }

    /// A POST as a right client sends it, with more headers.
    async fn post(&mut self, headers: Headers<'_>, body: &Value) -> Answer {
        let mut all = vec![
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        all.extend_from_slice(headers);
        self.send(Method::POST, "/mcp", &all, &body.to_string())
            .await
    }

    /// A session of that version; its id.
    async fn open(&mut self, version: &str) -> String {
        let answer = self.post(&[], &initialize(version)).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.headers["mcp-session-id"]
            .to_str()
            .unwrap()
            .to_owned()
    }

    /// A right 2026-07-28 call of `echo`.
    async fn echo(&mut self, message: &str) -> Answer {
        let body = modern(1, "tools/call", echo(message));
        self.post(CALL_ECHO, &body).await
    }
}

const CALL_ECHO: Headers<'static> = &[
    ("mcp-protocol-version", "2026-07-28"),
    ("mcp-method", "tools/call"),
    ("mcp-name", "echo"),
];

#[tokio::test]
async fn a_session_lives_from_initialize_to_delete() {
    let mut client = Client::connect(server(&[])).await;
    let id = client.open("2025-11-25").await;
    let headers: Headers<'_> = &[
        ("mcp-session-id", &id),
        ("mcp-protocol-version", "2025-11-25"),
    ];
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let answer = client.post(headers, &ready).await;
    assert_eq!(
        (answer.status, answer.body.len()),
        (StatusCode::ACCEPTED, 0)
    );
    let ping = legacy(1, "ping", json!({}));
    assert_eq!(
        client.post(headers, &ping).await.json()["result"],
        json!({})
    );
    let call = legacy(2, "tools/call", echo("hi"));
    assert_eq!(text(&client.post(headers, &call).await.json()), "hi");

    let other = [
        ("mcp-session-id", id.as_str()),
        ("mcp-protocol-version", "2025-06-18"),
    ];
    assert_eq!(
        client.post(&other, &call).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        client.post(&[], &call).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        client.post(&[], &ready).await.status,
        StatusCode::BAD_REQUEST
    );
    let stranger = [("mcp-session-id", "00000000-0000-4000-8000-000000000000")];
    assert_eq!(
        client.post(&stranger, &call).await.status,
        StatusCode::NOT_FOUND
    );

    let get = client.send(Method::GET, "/mcp", headers, "").await;
    assert_eq!(get.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(get.headers[header::ALLOW], "POST, DELETE");
    let delete = client.send(Method::DELETE, "/mcp", headers, "").await;
    assert_eq!(delete.status, StatusCode::OK);
    assert_eq!(
        client.post(headers, &call).await.status,
        StatusCode::NOT_FOUND
    );
    let again = client.send(Method::DELETE, "/mcp", headers, "").await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_modern_version_does_not_move_a_session_to_the_other_era() {
    let mut client = Client::connect(server(&[])).await;
    let id = client.open("2025-11-25").await;
    let headers = [
        ("mcp-session-id", id.as_str()),
        ("mcp-protocol-version", "2026-07-28"),
    ];
    for message in [
        legacy(1, "ping", json!({})),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
    ] {
        let answer = client.post(&headers, &message).await;
        let seen = (answer.status.as_u16(), answer.code());
        assert_eq!(seen, (400, json!(-32_600)), "{message}");
    }
}

#[tokio::test]
async fn small_segments_are_not_held_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (stream, _) = accepted.unwrap();
    assert!(!stream.nodelay().unwrap());
    prepare(&stream);
    assert!(stream.nodelay().unwrap());
}

#[tokio::test]
async fn two_sessions_have_two_ids() {
    let mut client = Client::connect(server(&[])).await;
    assert_ne!(
        client.open("2025-11-25").await,
        client.open("2025-11-25").await
    );
}

#[tokio::test]
async fn headers_that_no_client_may_send_are_refused_and_the_connection_lives_on() {
    let mut client = Client::connect(server(&[])).await;
    let body = initialize("2025-11-25").to_string();
    let json = ("content-type", "application/json");
    let both = ("accept", "application/json, text/event-stream");
    let cases: [(&str, Headers<'_>, StatusCode); 8] = [
        ("/mcp", &[json, both], StatusCode::OK),
        ("/other", &[json, both], StatusCode::NOT_FOUND),
        ("/mcp", &[json], StatusCode::NOT_ACCEPTABLE),
        (
            "/mcp",
            &[json, ("accept", "application/json")],
            StatusCode::NOT_ACCEPTABLE,
        ),
        (
            "/mcp",
            &[json, ("accept", "*/*")],
            StatusCode::NOT_ACCEPTABLE,
        ),
        (
            "/mcp",
            &[("content-type", "text/plain"), both],
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            "/mcp",
            &[json, both, ("origin", "http://evil.example")],
            StatusCode::FORBIDDEN,
        ),
        (
            "/mcp",
            &[json, both, ("origin", "http://localhost:3000")],
            StatusCode::OK,
        ),
    ];
    for (path, headers, status) in cases {
        let answer = client.send(Method::POST, path, headers, &body).await;
        assert_eq!(answer.status, status, "{path} {headers:?}");
    }
    let broken = client
        .send(Method::POST, "/mcp", &[json, both], "{nope")
        .await;
    assert_eq!(
        (broken.status, broken.code()),
        (StatusCode::BAD_REQUEST, json!(-32_700))
    );
}

#[tokio::test]
async fn a_modern_request_needs_headers_that_agree_with_its_body() {
    let mut client = Client::connect(server(&[])).await;
    let answer = client.echo("hi").await;
    assert_eq!(
        (answer.status, text(&answer.json())),
        (StatusCode::OK, "hi")
    );
    assert!(!answer.headers.contains_key("mcp-session-id"));

    let version = ("mcp-protocol-version", "2026-07-28");
    let method = ("mcp-method", "tools/call");
    let name = ("mcp-name", "echo");
    let cases: [(Headers<'_>, u16, i64); 8] = [
        (&[method, name], 400, -32_020),
        (&[version, name], 400, -32_020),
        (&[version, method], 400, -32_020),
        (&[version, method, name, name], 400, -32_020),
        (
            &[("mcp-protocol-version", "2025-11-25"), method, name],
            400,
            -32_020,
        ),
        (&[version, ("mcp-method", "tools/list"), name], 400, -32_020),
        (&[version, method, ("mcp-name", "blob")], 400, -32_020),
        (
            &[version, method, ("mcp-name", "=?base64?!?=")],
            400,
            -32_020,
        ),
    ];
    let body = modern(1, "tools/call", echo("hi"));
    for (headers, status, code) in cases {
        let answer = client.post(headers, &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (status, json!(code)),
            "{headers:?}"
        );
        assert_eq!(answer.json()["id"], 1);
    }
    // "echo" in the form of values that a header cannot hold.
    let encoded = [version, method, ("mcp-name", "=?base64?ZWNobw==?=")];
    assert_eq!(client.post(&encoded, &body).await.status, StatusCode::OK);

    let unknown = [version, ("mcp-method", "ping")];
    let answer = client.post(&unknown, &modern(2, "ping", json!({}))).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (404, json!(-32_601))
    );
    let bare = client
        .post(
            &[version, ("mcp-method", "tools/list")],
            &legacy(3, "tools/list", json!({})),
        )
        .await;
    assert_eq!((bare.status.as_u16(), bare.code()), (400, json!(-32_602)));
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled" });
    assert_eq!(
        client.post(&[version], &note).await.status,
        StatusCode::ACCEPTED
    );
    let response = json!({ "jsonrpc": "2.0", "id": 1, "result": {} });
    assert_eq!(
        client.post(&[version], &response).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn an_era_that_is_off_is_refused_so_that_a_client_can_fall_back() {
    let discover = modern(1, "server/discover", json!({}));
    let headers: Headers<'_> = &[
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "server/discover"),
    ];
    let old = Options {
        era: Era::Legacy,
        ..options()
    };
    let mut client = Client::connect(server_with(&old)).await;
    let answer = client.post(headers, &discover).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (400, json!(-32_600))
    );
    client.open("2025-06-18").await;

    let new = Options {
        era: Era::Modern,
        ..options()
    };
    let mut client = Client::connect(server_with(&new)).await;
    assert_eq!(client.post(headers, &discover).await.status, StatusCode::OK);
    let answer = client.post(&[], &initialize("2025-11-25")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (400, json!(-32_022))
    );
    let delete = client.send(Method::DELETE, "/mcp", &[], "").await;
    assert_eq!(delete.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn event_streams_open_with_a_comment_and_in_2025_11_25_with_an_empty_event() {
    let sse = Options {
        sse: true,
        ..options()
    };
    let mut client = Client::connect(server_with(&sse)).await;
    let answer = client.echo("hi").await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/event-stream");
    let body = answer.text();
    assert!(
        body.starts_with(": this is a comment\n\nevent: message\ndata: {"),
        "{body}"
    );
    assert!(body.ends_with("}\n\n"), "{body}");

    for (version, primed) in [("2025-11-25", true), ("2025-06-18", false)] {
        let id = client.open(version).await;
        let headers = [("mcp-session-id", id.as_str())];
        let mut seen = Vec::new();
        for request in [
            legacy(1, "tools/call", echo("hi")),
            legacy(2, "tools/list", json!({})),
        ] {
            let answer = client.post(&headers, &request).await;
            let body = answer.text().to_owned();
            assert_eq!(body.contains("id: "), primed, "{version}: {body}");
            assert_eq!(body.contains("\ndata:\n\n"), primed, "{version}: {body}");
            seen.push(
                body.lines()
                    .find(|line| line.starts_with("id: "))
                    .map(str::to_owned),
            );
        }
        assert!(!primed || seen[0] != seen[1], "event ids repeat: {seen:?}");
    }
}

#[tokio::test]
async fn each_fault_of_http_shows() {
    let mut client = Client::connect(server(&["http-500=2"])).await;
    assert_eq!(client.echo("a").await.status, StatusCode::OK);
    assert_eq!(
        client.echo("b").await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );

    let mut client = Client::connect(server(&["http-503"])).await;
    let answer = client.echo("a").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");

    let mut client = Client::connect(server(&["truncated-body"])).await;
    let answer = client.echo("a").await;
    assert_eq!(answer.status, StatusCode::OK);
    let announced: usize = answer.headers[header::CONTENT_LENGTH]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(answer.broke_off && !answer.body.is_empty() && answer.body.len() < announced);

    let mut client = Client::connect(server(&["duplicate-answer"])).await;
    let answer = client.echo("a").await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(answer.text().matches("event: message\n").count(), 2);
}

#[tokio::test]
async fn only_2025_03_26_has_batches() {
    let mut client = Client::connect(server(&[])).await;
    let batch = json!([
        legacy(1, "tools/call", echo("one")),
        legacy(2, "ping", json!({}))
    ]);
    for (version, status) in [
        ("2025-03-26", StatusCode::OK),
        ("2025-06-18", StatusCode::BAD_REQUEST),
    ] {
        let id = client.open(version).await;
        let answer = client
            .post(&[("mcp-session-id", id.as_str())], &batch)
            .await;
        assert_eq!(answer.status, status, "{version}");
        if status == StatusCode::OK {
            assert_eq!(text(&answer.json()[0]), "one");
            assert_eq!(answer.json()[1]["id"], 2);
        }
    }
}
