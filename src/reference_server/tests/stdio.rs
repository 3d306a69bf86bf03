use std::io;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf},
    task::JoinHandle,
};

use super::{echo, initialize, legacy, modern, options, server, server_with, text};
use crate::reference_server::{Era, Options, message::META_VERSION, stdio::session};

/// The client's end of the pipes.
struct Client {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    output: WriteHalf<DuplexStream>,
    session: JoinHandle<io::Result<()>>,
}

impl Client {
    fn connect(server: std::sync::Arc<super::Server>) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (input, output) = tokio::io::split(theirs);
        let session = tokio::spawn(session(server, input, output));
        let (input, output) = tokio::io::split(ours);
        Self {
            lines: BufReader::new(input).lines(),
            output,
            session,
        }
    }

    /// A client after the handshake of that version.
    async fn open(server: std::sync::Arc<super::Server>, version: &str) -> Self {
        let mut client = Self::connect(server);
        let answer = client.ask(initialize(version)).await;
        assert_eq!(answer["result"]["protocolVersion"], version, "{answer}");
        client
            .send(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
            .await;
        client
    }

    async fn send(&mut self, message: Value) {
        self.send_line(&message.to_string()).await;
    }

    async fn send_line(&mut self, line: &str) {
        self.output.write_all(line.as_bytes()).await.unwrap();
        self.output.write_all(b"\n").await.unwrap();
    }

    async fn line(&mut self) -> String {
        self.lines
            .next_line()
            .await
            .unwrap()
            .expect("the server left")
    }

    async fn receive(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }

    async fn ask(&mut self, message: Value) -> Value {
        self.send(message).await;
        self.receive().await
    }

    /// Closes our end; the lines that were still coming.
    async fn leave(mut self) -> Vec<String> {
        self.output.shutdown().await.unwrap();
        let mut rest = Vec::new();
        while let Some(line) = self.lines.next_line().await.unwrap() {
            rest.push(line);
        }
        self.session.await.unwrap().unwrap();
        rest
    }
}

#[tokio::test(start_paused = true)]
async fn both_eras_are_served_on_the_same_pipes() {
    let mut client = Client::connect(server(&[]));
    let discovered = client.ask(modern(1, "server/discover", json!({}))).await;
    assert_eq!(discovered["result"]["supportedVersions"][0], "2026-07-28");
    let answer = client.ask(modern(2, "tools/call", echo("new"))).await;
    assert_eq!(text(&answer), "new");
    assert_eq!(answer["result"]["resultType"], "complete");

    client.ask(initialize("2024-11-05")).await;
    let answer = client.ask(legacy(3, "tools/call", echo("old"))).await;
    assert_eq!(text(&answer), "old");
    assert!(answer["result"].get("resultType").is_none(), "{answer}");
    assert!(client.leave().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn answers_come_as_they_are_ready_and_waits_run_side_by_side() {
    let mut client = Client::open(server(&[]), "2025-11-25").await;
    let started = tokio::time::Instant::now();
    for id in 0..50 {
        let wait = json!({ "name": "wait", "arguments": { "ms": 10_000 - id } });
        client.send(legacy(id, "tools/call", wait)).await;
    }
    client.send(legacy(99, "tools/call", echo("first"))).await;
    let mut ids = Vec::new();
    for _ in 0..51 {
        ids.push(client.receive().await["id"].as_u64().unwrap());
    }
    let expected: Vec<u64> = std::iter::once(99).chain((0..50).rev()).collect();
    assert_eq!(ids, expected);
    // On the paused clock: one after another would take 50 times as long.
    assert!(started.elapsed().as_millis() < 11_000);
    client.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_does_not_block_the_server() {
    let mut client = Client::open(server(&[]), "2025-06-18").await;
    let message = "x".repeat(1_000);
    // Both directions together are far more than the pipes hold.
    for id in 0..900 {
        client.send(legacy(id, "tools/call", echo(&message))).await;
    }
    for _ in 0..900 {
        assert_eq!(text(&client.receive().await), message);
    }
    client.leave().await;
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_are_answered_after_the_end_of_stdin_but_not_for_ever() {
    let mut client = Client::open(server(&[]), "2025-11-25").await;
    for (id, ms) in [(1, 100), (2, 60_000)] {
        let wait = json!({ "name": "wait", "arguments": { "ms": ms } });
        client.send(legacy(id, "tools/call", wait)).await;
    }
    let rest = client.leave().await;
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert!(rest[0].contains("waited 100 ms"), "{rest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_is_not_answered() {
    let mut client = Client::open(server(&[]), "2025-11-25").await;
    for id in [json!(7), json!("7")] {
        let wait = json!({ "name": "wait", "arguments": { "ms": 1_000 } });
        let mut request = legacy(0, "tools/call", wait);
        request["id"] = id;
        client.send(request).await;
    }
    client
        .send(
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": { "requestId": "7" } }),
        )
        .await;
    // The number 7 is another call than the text "7".
    let rest = client.leave().await;
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert!(rest[0].contains("\"id\":7"), "{rest:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_is_refused_and_the_next_one_is_answered() {
    let mut client = Client::open(server(&[]), "2025-11-25").await;
    let long = legacy(1, "ping", json!({ "much": "x".repeat(17 << 20) })).to_string();
    let cases = [
        ("nonsense", -32_700),
        ("[]", -32_600),
        (
            "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]",
            -32_600,
        ),
        ("1", -32_600),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}",
            -32_600,
        ),
        (
            "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}",
            -32_600,
        ),
        (long.as_str(), -32_600),
    ];
    for (line, code) in cases {
        client.send_line(line).await;
        let answer = client.receive().await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    client.send_line("").await;
    client.send_line("  ").await;
    let answer = client.ask(legacy(1, "ping", json!({}))).await;
    assert_eq!(answer["result"], json!({}));
    client.leave().await;
}

#[tokio::test(start_paused = true)]
async fn only_2025_03_26_has_batches() {
    let mut client = Client::open(server(&[]), "2025-03-26").await;
    client
        .send(json!([
            legacy(1, "tools/call", echo("one")),
            { "jsonrpc": "2.0", "method": "notifications/initialized" },
            legacy(2, "ping", json!({})),
        ]))
        .await;
    let answers = client.receive().await;
    assert_eq!(answers.as_array().unwrap().len(), 2, "{answers}");
    assert_eq!(text(&answers[0]), "one");
    assert_eq!(answers[1]["id"], 2);
    client.leave().await;
}

#[tokio::test(start_paused = true)]
async fn an_era_that_is_off_is_refused_so_that_a_client_can_fall_back() {
    let legacy_only = Options {
        era: Era::Legacy,
        ..options()
    };
    let mut client = Client::connect(server_with(&legacy_only));
    let answer = client.ask(modern(1, "server/discover", json!({}))).await;
    assert_eq!(answer["error"]["code"], -32_601);
    let answer = client.ask(initialize("2026-07-28")).await;
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");

    let modern_only = Options {
        era: Era::Modern,
        ..options()
    };
    let mut client = Client::connect(server_with(&modern_only));
    let answer = client.ask(initialize("2025-11-25")).await;
    assert_eq!(answer["error"]["code"], -32_022);
    assert_eq!(answer["error"]["data"]["supported"], json!(["2026-07-28"]));
}

#[tokio::test(start_paused = true)]
async fn each_fault_of_an_answer_shows() {
    // What two calls in a row lead to, line by line: "id text", or the raw line.
    let cases: [(&str, &[&str]); 10] = [
        ("wrong-id", &["1000001 a", "1000002 b"]),
        ("duplicate-answer", &["1 a", "1 a", "2 b", "2 b"]),
        (
            "garbage-line",
            &[
                "DEBUG about to answer a request",
                "1 a",
                "DEBUG about to answer a request",
                "2 b",
            ],
        ),
        ("mixed-up=always", &["1 a", "2 a"]),
        ("mixed-up", &["1 a", "2 b"]),
        ("tool-error=2", &["1 a", "2 failed, as told by a fault!"]),
        ("rpc-error=2", &["1 a", "2 error -32603"]),
        ("hang-on-call=1", &["1 a"]),
        ("huge-answer=3B", &["1 012", "2 012"]),
        ("input-required", &["1 input_required", "2 input_required"]),
    ];
    for (fault, expected) in cases {
        let mut client = Client::connect(server(&[fault]));
        let mut lines = Vec::new();
        for (id, message) in [(1, "a"), (2, "b")] {
            client.send(modern(id, "tools/call", echo(message))).await;
            // The clock is paused: it moves on when nothing else can, so by then the call has
            // come to its end, and the listing stands behind all that it led to.
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            client.send(modern(9, "tools/list", json!({}))).await;
            loop {
                let line = client.line().await;
                if line.contains("\"tools\"") {
                    break;
                }
                lines.push(summary(&line));
            }
        }
        if fault == "garbage-line" {
            // The listing has its own garbage line.
            lines.remove(2);
            lines.pop();
        }
        assert_eq!(lines, expected, "{fault}");
        client.leave().await;
    }
}

fn summary(line: &str) -> String {
    let Ok(answer) = serde_json::from_str::<Value>(line) else {
        return line.to_owned();
    };
    let id = &answer["id"];
    if let Some(code) = answer["error"].get("code") {
        return format!("{id} error {code}");
    }
    if answer["result"]["resultType"] != "complete" {
        return format!("{id} {}", answer["result"]["resultType"].as_str().unwrap());
    }
    let mark = if answer["result"]["isError"] == true {
        "!"
    } else {
        ""
    };
    format!("{id} {}{mark}", text(&answer))
}

#[tokio::test(start_paused = true)]
async fn echoes_in_flight_together_are_mixed_up() {
    let mut client = Client::open(server(&["mixed-up"]), "2025-11-25").await;
    client.send(legacy(1, "tools/call", echo("one"))).await;
    client.send(legacy(2, "tools/call", echo("two"))).await;
    let mut answers = [client.receive().await, client.receive().await];
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!((text(&answers[0]), text(&answers[1])), ("two", "one"));
    client.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_with_the_state_gets_the_answer_and_who_can_be_asked_is_asked() {
    let mut client = Client::connect(server(&["input-required"]));
    let mut request = modern(1, "tools/call", echo("hi"));
    let answer = client.ask(request.clone()).await;
    assert!(answer["result"].get("inputRequests").is_none(), "{answer}");
    let state = answer["result"]["requestState"].clone();

    request["params"]["_meta"] = json!({
        META_VERSION: "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} },
    });
    let answer = client.ask(request.clone()).await;
    assert!(answer["result"]["inputRequests"].is_object(), "{answer}");

    request["params"]["requestState"] = state;
    assert_eq!(text(&client.ask(request).await), "hi");
    client.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_on_opening_answers_neither_era() {
    let mut client = Client::connect(server(&["hang-on-initialize"]));
    client.send(initialize("2025-11-25")).await;
    client.send(modern(1, "server/discover", json!({}))).await;
    assert!(client.leave().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_crash_comes_after_so_many_calls_and_carries_its_code() {
    for (fault, code) in [("crash-after=2", 101), ("close-mid-call=2", 1)] {
        let server = server(&[fault]);
        let mut client = Client::open(std::sync::Arc::clone(&server), "2025-11-25").await;
        for id in [1, 2] {
            let answer = client
                .ask(legacy(id, "tools/call", echo("still here")))
                .await;
            assert_eq!(text(&answer), "still here");
        }
        client.send(legacy(3, "tools/call", echo("gone"))).await;
        assert_eq!(server.exit_code().await, code, "{fault}");
    }
}
