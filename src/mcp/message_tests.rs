//! Answers and requests, as tables and properties.

use super::*;
use crate::mcp::{elicitation::Elicitation, request::*, revision::Revision};
use proptest::prelude::*;
use serde_json::json;

fn outcome(body: &str, expected: Option<&str>) -> String {
    match check_tool_answer(body.as_bytes(), 7, expected) {
        Ok(()) => "ok".to_owned(),
        Err(e) => e.to_string(),
    }
}

#[test]
fn tool_answers_are_checked_whole() {
    let table = [
        (
            r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"hi 3"}]}}"#,
            "ok",
        ),
        (
            r#"{"id":7,"result":{"structuredContent":{"a":"hi 3"}}}"#,
            "ok",
        ),
        (
            r#"{"id":7,"result":{"content":[]}}"#,
            "wrong-answer: expected a text with \"hi 3\", got \"\"",
        ),
        (
            r#"{"id":7,"result":{"content":[{"type":"text","text":"hi 4"}]}}"#,
            "wrong-answer: expected a text with \"hi 3\", got \"hi 4\"",
        ),
        (
            r#"{"id":8,"result":{"content":[]}}"#,
            "wrong-answer: asked under id 7, answered under id 8",
        ),
        (
            r#"{"id":"7","result":{"content":[]}}"#,
            "wrong-answer: asked under id 7, answered under id \"7\"",
        ),
        (
            r#"{"result":{"content":[]}}"#,
            "wrong-answer: asked under id 7, answered under id none",
        ),
        (
            r#"{"id":7,"error":{"code":-32603,"message":"no\npool"}}"#,
            "protocol-error: JSON-RPC error -32603: no pool",
        ),
        (
            r#"{"id":7,"result":{"isError":true,"content":[{"type":"text","text":"too many"}]}}"#,
            "tool-error: the tool refused: too many",
        ),
        (
            r#"{"id":7,"result":{"isError":true}}"#,
            "tool-error: isError without a text",
        ),
        (
            r#"{"id":7,"result":{"resultType":"input_required","inputRequests":[]}}"#,
            "input-required: the tool asks for more input instead of answering; mcpgate has none to give beyond \
             the defaults of forms, with elicitation = \"accept-defaults\" in [server]",
        ),
        (
            r#"{"id":7,"result":{}}"#,
            "malformed: a tool result with neither content nor structuredContent",
        ),
        (
            r#"{"id":7}"#,
            "malformed: an answer without result or error: {\"id\":7}",
        ),
    ];
    for (body, expected) in table {
        assert_eq!(outcome(body, Some("hi 3")), expected, "{body}");
    }
    assert!(outcome("<html>", None).starts_with("malformed: not a JSON-RPC answer"));
}

#[test]
fn messages_are_routed_by_what_they_are() {
    let kind = |message: &str| match classify(message.as_bytes()) {
        Ok(Incoming::Answer(id)) => format!("answer {id}"),
        Ok(Incoming::ForeignAnswer(id)) => format!("foreign {id}"),
        Ok(Incoming::Request { id, method, .. }) => format!("request {} {method}", id.get()),
        Ok(Incoming::Notification) => "notification".to_owned(),
        Err(_) => "error".to_owned(),
    };
    let table = [
        (
            r#"{"jsonrpc":"2.0","id":12,"result":{"id":3,"method":"x"}}"#,
            "answer 12",
        ),
        (r#"{"id":"a","result":{}}"#, "foreign \"a\""),
        (r#"{"id":null,"error":{}}"#, "foreign null"),
        (
            r#"{"id":"s-1","method":"roots/list"}"#,
            "request \"s-1\" roots/list",
        ),
        (
            r#"{"method":"notifications/progress","params":{}}"#,
            "notification",
        ),
        ("\u{feff}{\"id\":1,\"result\":null} \r", "answer 1"),
        (r#"{"level":30,"msg":"started"}"#, "error"),
        (r#"{"level":30,"id":1,"msg":"started"}"#, "error"),
        ("Server running on stdio", "error"),
        ("[]", "error"),
    ];
    for (message, expected) in table {
        assert_eq!(kind(message), expected, "{message}");
    }
}

#[test]
fn requests_are_valid_json_in_both_eras() {
    let mut params = Vec::new();
    RequestWriter::write_tool_params(&mut params, "a\"b", br#"{"x":1}"#);
    for (revision, meta) in [(Revision::NEWEST_LEGACY, false), (Revision::MODERN, true)] {
        for params in [&params[..], b""] {
            let mut out = Vec::new();
            RequestWriter::new(revision, Elicitation::Refused)
                .write(&mut out, 5, TOOLS_CALL, params);
            let value: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(value["id"], 5);
            assert_eq!(value["method"], TOOLS_CALL);
            assert_eq!(value["params"].get("_meta").is_some(), meta);
            if !params.is_empty() {
                assert_eq!(value["params"]["name"], "a\"b");
                assert_eq!(value["params"]["arguments"]["x"], 1);
            }
        }
    }
}

#[test]
fn server_requests_are_answered_or_refused_under_their_own_id() {
    let id = RawValue::from_string("\"s-1\"".to_owned()).unwrap();
    let answer = |method| {
        let answer = answer_to_server_request(&id, method, None, Elicitation::Refused);
        serde_json::from_slice::<Value>(&answer).unwrap()
    };
    let ping = answer("ping");
    assert_eq!(ping, json!({"jsonrpc": "2.0", "id": "s-1", "result": {}}));
    for method in [
        "roots/list",
        "sampling/createMessage",
        "elicitation/create",
        "",
    ] {
        assert_eq!(answer(method)["error"]["code"], -32601, "{method}");
    }
}

proptest! {
    #[test]
    fn the_cheap_look_misses_nothing_that_asks(
        members in proptest::collection::vec(prop_oneof![
            Just(r#""id":7"#), Just(r#""method":"ping""#), Just("\"method\"\n : \"ping\""),
            Just(r#""\u006dethod":"ping""#), Just(r#""result":{}"#), Just(r#""params":{"a":"\\u"}"#),
        ], 0..4),
    ) {
        let message = format!("{{{}}}", members.join(",")).into_bytes();
        let asks = matches!(
            classify(&message),
            Ok(Incoming::Request { .. } | Incoming::Notification)
        );
        prop_assert!(may_ask(&message) || !asks);
    }

    #[test]
    fn no_bytes_make_the_readers_panic(body in proptest::collection::vec(any::<u8>(), 0..300), id in any::<u64>()) {
        let _ = classify(&body);
        let _ = check_tool_answer(&body, id, Some("x"));
        let _ = read_tool_page(&body, id);
        let _ = read_initialize(&body, id);
        let _ = read_discover(&body, id);
        let _ = rpc_error(&body);
    }
}

#[test]
fn the_cheap_look_passes_over_answers() {
    for (message, may) in [
        (
            r#"{"id":7,"result":{"content":[{"type":"text","text":"method\n"}]}}"#,
            false,
        ),
        (
            r#"{"id":7,"result":{"content":[{"type":"text","text":"\"method\""}]}}"#,
            false,
        ),
        (r#"{"id":7,"result":{"method":"x"}}"#, true),
    ] {
        assert_eq!(may_ask(message.as_bytes()), may, "{message}");
    }
}

#[test]
fn an_answer_is_told_in_a_line() {
    let long = "x".repeat(1_000);
    for (result, expected) in [
        (
            json!({"content": [{"type": "text", "text": " a\nb "}]}),
            "a b".to_owned(),
        ),
        (
            json!({"content": [{"type": "text", "text": " "}, {"type": "text", "text": "\u{1b}[31m"}]}),
            "\\u{1b}[31m".to_owned(),
        ),
        (
            json!({"content": [{"type": "image", "data": ""}, {"x": 1}]}),
            "(image, content)".to_owned(),
        ),
        (
            json!({"content": [{"type": "image"}], "structuredContent": {"a": 1}}),
            "{\"a\":1}".to_owned(),
        ),
        (json!({"content": []}), "(nothing)".to_owned()),
        (
            json!({"content": [{"type": "text", "text": long}]}),
            format!("{}…", "x".repeat(300)),
        ),
    ] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string();
        assert_eq!(answer_in_words(body.as_bytes(), 1), expected, "{body}");
    }
}
