use serde_json::{Value, json};

use crate::reference_server::{
    Era,
    message::{META_VERSION, Message, Request, Version},
    protocol::{META_CAPABILITIES, Outcome, Rules, Step},
    tools::Tool,
};

fn request(value: Value) -> Request {
    match Message::parse(value) {
        Ok(Message::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

fn asked(method: &str, params: &Value) -> Request {
    request(json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
}

fn with_meta(version: &Value, capabilities: &Value) -> Value {
    json!({ "_meta": { META_VERSION: version, META_CAPABILITIES: capabilities } })
}

/// Error code and HTTP status, or 0 and the status.
fn outcome(step: &Step) -> (i64, u16) {
    match step {
        Step::Reply(reply) => (
            reply.body["error"]["code"].as_i64().unwrap_or(0),
            reply.http_status,
        ),
        Step::Opened { reply, .. } => (0, reply.http_status),
        Step::Call(_) => (0, 200),
    }
}

#[test]
fn modern_requests() {
    let rules = Rules::new(Era::Both, 0, false);
    let right = || with_meta(&json!("2026-07-28"), &json!({}));
    let cases = [
        ("server/discover", right(), (0, 200)),
        ("tools/list", right(), (0, 200)),
        ("tools/list", json!({}), (-32_602, 400)),
        (
            "tools/list",
            with_meta(&json!(1), &json!({})),
            (-32_602, 400),
        ),
        (
            "tools/list",
            with_meta(&json!("2026-07-28"), &json!(null)),
            (-32_602, 400),
        ),
        (
            "tools/list",
            with_meta(&json!("2025-11-25"), &json!({})),
            (-32_022, 400),
        ),
        (
            "tools/list",
            with_meta(&json!("1900-01-01"), &json!({})),
            (-32_022, 400),
        ),
        ("initialize", right(), (-32_601, 404)),
        (
            "initialize",
            json!({ "protocolVersion": "2025-11-25" }),
            (-32_022, 400),
        ),
        ("ping", right(), (-32_601, 404)),
        ("prompts/list", right(), (-32_601, 404)),
        ("tools/call", right(), (-32_602, 200)),
    ];
    for (method, params, expected) in cases {
        let step = rules.modern(asked(method, &params));
        assert_eq!(outcome(&step), expected, "{method} {params}");
    }
}

#[test]
fn legacy_requests() {
    let rules = Rules::new(Era::Both, 0, false);
    let client = json!({ "name": "c", "version": "1" });
    let hello = |version: &str| json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client });
    let open = Some(Version::V2025_06_18);
    let cases = [
        ("initialize", hello("2025-06-18"), None, (0, 200)),
        ("initialize", hello("2025-06-18"), open, (-32_600, 400)),
        ("initialize", json!({}), None, (-32_602, 200)),
        (
            "initialize",
            json!({ "protocolVersion": "2025-06-18", "clientInfo": client }),
            None,
            (-32_602, 200),
        ),
        ("ping", json!({}), None, (0, 200)),
        ("ping", json!({}), open, (0, 200)),
        ("tools/list", json!({}), None, (-32_600, 400)),
        ("tools/list", json!({}), open, (0, 200)),
        (
            "tools/list",
            json!({ "cursor": "nope" }),
            open,
            (-32_602, 200),
        ),
        (
            "tools/call",
            json!({ "name": "echo" }),
            None,
            (-32_600, 400),
        ),
        ("tools/call", json!({ "name": "echo" }), open, (0, 200)),
        (
            "tools/call",
            json!({ "name": "nope" }),
            open,
            (-32_602, 200),
        ),
        ("tools/call", json!({}), open, (-32_602, 200)),
        (
            "tools/call",
            json!({ "name": "echo", "arguments": [] }),
            open,
            (-32_602, 200),
        ),
        ("logging/setLevel", json!({}), open, (-32_601, 200)),
        ("server/discover", json!({}), None, (-32_601, 200)),
    ];
    for (method, params, session, expected) in cases {
        let step = rules.legacy(asked(method, &params), session);
        assert_eq!(outcome(&step), expected, "{method} {params} {session:?}");
    }
}

#[test]
fn a_version_is_agreed_on() {
    for (asked_for, agreed) in [
        ("2024-11-05", Version::V2024_11_05),
        ("2025-03-26", Version::V2025_03_26),
        ("2025-06-18", Version::V2025_06_18),
        ("2025-11-25", Version::V2025_11_25),
        ("2026-07-28", Version::V2025_11_25),
        ("2099-01-01", Version::V2025_11_25),
    ] {
        let params = json!({ "protocolVersion": asked_for, "capabilities": {},
            "clientInfo": { "name": "c", "version": "1" } });
        match Rules::new(Era::Both, 0, false).legacy(asked("initialize", &params), None) {
            Step::Opened { reply, version } => {
                assert_eq!(version, agreed);
                assert_eq!(reply.body["result"]["protocolVersion"], agreed.as_str());
            }
            other => panic!("{asked_for}: {other:?}"),
        }
    }
}

#[test]
fn an_unsupported_version_is_answered_with_others_that_are_served() {
    for (era, asked_for, supported) in [
        (
            Era::Both,
            "1900-01-01",
            vec![
                "2026-07-28",
                "2025-11-25",
                "2025-06-18",
                "2025-03-26",
                "2024-11-05",
            ],
        ),
        (
            Era::Both,
            "2025-11-25",
            vec!["2026-07-28", "2025-06-18", "2025-03-26", "2024-11-05"],
        ),
        (Era::Modern, "2025-11-25", vec!["2026-07-28"]),
    ] {
        let params = with_meta(&json!(asked_for), &json!({}));
        let Step::Reply(reply) = Rules::new(era, 0, false).modern(asked("tools/list", &params))
        else {
            panic!("answered")
        };
        let data = &reply.body["error"]["data"];
        assert_eq!(
            data,
            &json!({ "requested": asked_for, "supported": supported })
        );
    }
}

#[test]
fn pages_hold_every_tool_once() {
    for page_size in [0, 1, 2, 4, 7, 8, 9] {
        let rules = Rules::new(Era::Both, page_size, true);
        let mut names = Vec::new();
        let mut cursor = None;
        let mut pages = 0;
        loop {
            let params = cursor.map_or(json!({}), |cursor: Value| json!({ "cursor": cursor }));
            let step = rules.legacy(asked("tools/list", &params), Some(Version::V2025_11_25));
            let Step::Reply(reply) = step else {
                panic!("no listing")
            };
            let tools = reply.body["result"]["tools"].as_array().unwrap().clone();
            names.extend(
                tools
                    .iter()
                    .map(|tool| tool["name"].as_str().unwrap().to_owned()),
            );
            pages += 1;
            match reply.body["result"].get("nextCursor") {
                Some(next) => cursor = Some(next.clone()),
                None => break,
            }
        }
        assert_eq!(names, Tool::ALL.map(Tool::name));
        assert_eq!(
            pages,
            if page_size == 0 {
                1
            } else {
                Tool::ALL.len().div_ceil(page_size)
            }
        );
    }
}

#[test]
fn the_tools_of_the_store_are_offered_only_where_they_are_asked_for() {
    let names = |has_store| {
        let rules = Rules::new(Era::Both, 0, has_store);
        let step = rules.legacy(asked("tools/list", &json!({})), Some(Version::V2025_11_25));
        let Step::Reply(reply) = step else {
            panic!("no listing")
        };
        reply.body["result"]["tools"].as_array().unwrap().len()
    };
    assert_eq!([names(false), names(true)], [6, 8]);
}

#[test]
fn a_cursor_that_was_never_given_is_refused() {
    let rules = Rules::new(Era::Both, 4, false);
    for (cursor, code) in [
        (json!("4"), 0),
        (json!("0"), 0),
        (json!("1"), -32_602),
        (json!("8"), -32_602),
        (json!("-4"), -32_602),
        (json!("x"), -32_602),
        (json!(4), -32_602),
    ] {
        let params = json!({ "cursor": cursor });
        let step = rules.legacy(asked("tools/list", &params), Some(Version::V2025_11_25));
        assert_eq!(outcome(&step).0, code, "{cursor}");
    }
}

#[test]
fn wrong_arguments_are_for_the_caller_of_the_tool() {
    let params = json!({ "name": "wait", "arguments": { "ms": "soon" } });
    let step = Rules::new(Era::Both, 0, false)
        .legacy(asked("tools/call", &params), Some(Version::V2025_11_25));
    let Step::Call(call) = step else {
        panic!("{step:?}")
    };
    assert!(call.work.is_err());
    let answer = call.answer(Outcome::ToolError("because".to_owned()));
    assert_eq!(answer["result"]["isError"], true);
}

proptest::proptest! {
    #[test]
    fn no_message_makes_it_panic(
        method in "(initialize|ping|tools/list|tools/call|server/discover|[a-z/]{0,9})",
        name in "(echo|blob|.{0,9})",
        number in proptest::num::i64::ANY,
        text in ".{0,30}",
    ) {
        let rules = Rules::new(Era::Both, 4, false);
        for params in [
            json!({ "name": name, "arguments": { "bytes": number, "message": text } }),
            json!({ "cursor": number.to_string() }),
            json!({ "cursor": text }),
            json!({ "protocolVersion": text, "capabilities": {}, "clientInfo": text }),
            with_meta(&json!(text), &json!(number)),
            with_meta(&json!("2026-07-28"), &json!({ text.as_str(): number })),
        ] {
            let request = asked(&method, &params);
            rules.modern(request.clone());
            rules.legacy(request.clone(), None);
            rules.legacy(request, Some(Version::V2025_03_26));
        }
    }
}
