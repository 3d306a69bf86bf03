use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::time::Duration;

use super::{
    Limits,
    client::{self, Client, Endpoint, Wanted},
    elicitation::{ELICIT, Elicitation},
    message::check_tool_answer,
    param_headers::ParamHeaders,
    revision::Revision,
    testing::{END, STREAM, Step, chunk, http_server, json_answer, say, stdio_server_within},
};

const ACCEPTING: Limits = Limits {
    call_timeout: Duration::from_mins(1),
    message_bytes: 1 << 20,
    elicitation: Elicitation::Defaults,
};

fn form() -> Value {
    json!({"message": "Sure?", "requestedSchema": {"type": "object",
           "properties": {"sure": {"type": "boolean", "default": true}}}})
}

fn result(id: &Value, result: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()
}

fn done() -> Value {
    json!({"content": [{"type": "text", "text": "done"}]})
}

fn initialized() -> Value {
    json!({"protocolVersion": "2025-11-25", "capabilities": {}})
}

async fn open(endpoint: &Endpoint, revision: Revision, limits: Limits) -> Client {
    let opened = client::open(endpoint, Wanted::Exactly(revision), limits).await;
    opened.unwrap().client
}

/// A call of `ask`, and how long it took in milliseconds.
async fn call(client: &mut Client) -> (Result<(), String>, u128) {
    let prepared = client.prepare_call("ask", b"{\"n\":1}", &ParamHeaders::default());
    client.make_ready().await.unwrap();
    let exchange = client.send(&prepared).await.unwrap();
    let checked = check_tool_answer(&exchange.body, exchange.id, Some("done"));
    let took_ms = exchange.wall().as_millis();
    (checked.map_err(|error| error.to_string()), took_ms)
}

/// Asks so often, 10 ms each, before it answers; and what it was called with.
fn asking(times: u32) -> (Endpoint, Arc<Mutex<Vec<Value>>>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&calls);
    let target = http_server(1 << 16, move |asked| {
        let (id, params) = (&asked.message["id"], &asked.message["params"]);
        if asked.method() == "server/discover" {
            let found = json!({"supportedVersions": ["2026-07-28"]});
            return say(json_answer(&result(id, &found)));
        }
        let mut log = log.lock().unwrap();
        log.push(asked.message.clone());
        let count = params["requestState"].as_u64().unwrap_or(0) + 1;
        let answer = if count > u64::from(times) {
            done()
        } else {
            let question = json!({"method": ELICIT, "params": form()});
            json!({"resultType": "input_required", "requestState": count,
                   "inputRequests": {"q": question}})
        };
        vec![Step::Wait(10), Step::Say(json_answer(&result(id, &answer)))]
    });
    (Endpoint::Http(target), calls)
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_asks_is_answered_and_all_its_requests_are_timed() {
    let (endpoint, calls) = asking(2);
    let mut client = open(&endpoint, Revision::MODERN, ACCEPTING).await;
    assert_eq!(call(&mut client).await, (Ok(()), 30));
    let calls = calls.lock().unwrap().clone();
    let mut ids: Vec<u64> = calls.iter().map(|c| c["id"].as_u64().unwrap()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3, "each request has an id of its own");
    for (call, state) in calls.iter().zip([json!(null), json!(1), json!(2)]) {
        let params = &call["params"];
        assert_eq!(params["arguments"], json!({"n": 1}));
        assert_eq!(params["requestState"], state);
        let given = &params["inputResponses"]["q"]["content"]["sure"];
        assert_eq!(given.is_null(), state.is_null());
        let declared = &params["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        assert_eq!(declared, &json!({"elicitation": {}}));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_asks_without_end_or_in_vain_is_an_outcome_of_its_own() {
    for (limits, asks) in [(ACCEPTING, 9), (Limits::default(), 1)] {
        let (endpoint, calls) = asking(100);
        let mut client = open(&endpoint, Revision::MODERN, limits).await;
        let (checked, took_ms) = call(&mut client).await;
        assert!(checked.unwrap_err().starts_with("input-required: "));
        assert_eq!(took_ms, 10 * asks);
        assert_eq!(calls.lock().unwrap().len() as u128, asks);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_during_a_call_is_answered_over_every_transport() {
    let asks = json!({"jsonrpc": "2.0", "id": "q", "method": ELICIT, "params": form()});
    for limits in [ACCEPTING, Limits::default()] {
        let answered = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&answered);
        let question = asks.clone();
        // Answers the call as soon as it is answered itself.
        let link = stdio_server_within(limits, 1 << 16, move |_, line| {
            let message: Value = serde_json::from_str(line).unwrap();
            match message["method"].as_str() {
                Some("initialize") => say(format!("{}\n", result(&message["id"], &initialized()))),
                Some("tools/call") => say(format!("{question}\n")),
                Some(_) => Vec::new(),
                None => {
                    log.lock().unwrap().push(message);
                    say(format!("{}\n", result(&json!(2), &done())))
                }
            }
        });
        let log = Arc::clone(&answered);
        let question = asks.clone();
        let target = http_server(1 << 16, move |asked| {
            let id = &asked.message["id"];
            match asked.method() {
                "initialize" => say(json_answer(&result(id, &initialized()))),
                "tools/call" => {
                    let answer = result(id, &done());
                    let part = |text: &str| Step::Say(chunk(&format!("data: {text}\n\n")));
                    vec![
                        Step::Say(STREAM.to_owned()),
                        part(&question.to_string()),
                        Step::Wait(50),
                        part(&answer),
                        Step::Say(END.to_owned()),
                    ]
                }
                _ => {
                    if asked.message["method"].is_null() {
                        log.lock().unwrap().push(asked.message.clone());
                    }
                    say("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
                }
            }
        });
        for endpoint in [Endpoint::Stdio(link), Endpoint::Http(target)] {
            let mut client = open(&endpoint, Revision::NEWEST_LEGACY, limits).await;
            assert_eq!(call(&mut client).await.0, Ok(()));
            let answer = answered.lock().unwrap().pop().unwrap();
            assert_eq!(answer["id"], "q");
            if limits.elicitation == Elicitation::Defaults {
                let accepted = json!({"action": "accept", "content": {"sure": true}});
                assert_eq!(answer["result"], accepted);
            } else {
                assert_eq!(answer["error"]["code"], -32601);
            }
        }
    }
}
