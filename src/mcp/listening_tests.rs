use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use super::{
    Limits,
    client::{self, Client, Endpoint, Wanted},
    revision::Revision,
    testing::{Asked, END, STREAM, Step, chunk, http, http_server, json_answer, say},
};

const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";

/// Opens a session with a server that answers `GET` so, and makes it ready for two calls; all
/// requests that it saw until a minute later, and how long the client waited.
async fn opened(
    revision: Revision,
    get: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static,
) -> (Vec<(String, Value)>, Duration) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let target = http_server(1 << 16, move |asked| {
        log.lock()
            .unwrap()
            .push((asked.head.clone(), asked.message.clone()));
        let id = &asked.message["id"];
        let answer =
            |result: Value| json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
        match asked.method() {
            "initialize" => {
                let result = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
                let headers = "content-type: application/json\r\nmcp-session-id: s1\r\n";
                say(http(200, headers, &answer(result)))
            }
            "server/discover" => say(json_answer(&answer(
                json!({"supportedVersions": ["2026-07-28"]}),
            ))),
            _ if asked.head.starts_with("get ") => get(asked),
            _ => say(ACCEPTED),
        }
    });
    let began = Instant::now();
    let endpoint = Endpoint::Http(target);
    let opened = client::open(&endpoint, Wanted::Exactly(revision), Limits::default()).await;
    let mut client: Client = opened.unwrap().client;
    client.make_ready().await.unwrap();
    client.make_ready().await.unwrap();
    let waited = began.elapsed();
    let _shared = client.share().unwrap().make_ready().await;
    sleep(Duration::from_mins(1)).await;
    let seen = seen.lock().unwrap().clone();
    (seen, waited)
}

fn gets(seen: &[(String, Value)]) -> Vec<&str> {
    let heads = seen.iter().map(|(head, _)| head.as_str());
    heads.filter(|head| head.starts_with("get ")).collect()
}

#[tokio::test(start_paused = true)]
async fn what_a_server_asks_outside_of_calls_is_answered() {
    let ping = r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#;
    let (seen, waited) = opened(Revision::NEWEST_LEGACY, move |_| {
        vec![
            Step::Say(STREAM.to_owned()),
            Step::Wait(10),
            Step::Say(chunk(&format!("data: {ping}\n\n"))),
            Step::Hang,
        ]
    })
    .await;
    let gets = gets(&seen);
    assert_eq!(gets.len(), 1, "once a session: {gets:?}");
    for header in ["accept: text/event-stream\r\n", "mcp-session-id: s1\r\n"] {
        assert!(gets[0].contains(header), "{gets:?}");
    }
    let answer = json!({"jsonrpc": "2.0", "id": "p", "result": {}});
    assert!(
        seen.iter().any(|(_, message)| *message == answer),
        "{seen:?}"
    );
    assert!(waited < Duration::from_millis(10), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_is_opened_again_as_its_server_wants_it() {
    let (seen, _) = opened(Revision::NEWEST_LEGACY, |asked| {
        if asked.header("last-event-id") == Some("7") {
            return vec![Step::Say(STREAM.to_owned()), Step::Hang];
        }
        let event = chunk("id: 7\nretry: 500\ndata:\n\n");
        say(format!("{STREAM}{event}{END}"))
    })
    .await;
    assert_eq!(gets(&seen).len(), 2, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_such_a_stream_is_asked_once() {
    type Get = fn(&Asked) -> Vec<Step>;
    let refused: Get = |_| say(http(405, "", ""));
    let other: Get = |_| say(json_answer("{}"));
    let silent: Get = |_| vec![Step::Hang];
    for (get, waited_ms) in [(refused, 0), (other, 0), (silent, 1000)] {
        let (seen, waited) = opened(Revision::NEWEST_LEGACY, get).await;
        assert_eq!(gets(&seen).len(), 1, "{seen:?}");
        assert_eq!(waited.as_millis(), waited_ms);
    }
    let (seen, _) = opened(Revision::MODERN, |_| say(http(405, "", ""))).await;
    assert_eq!(gets(&seen).len(), 0, "{seen:?}");
}
