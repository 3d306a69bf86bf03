//! The official client as the judge of ours: the same requests to the same server by both.

use std::sync::Arc;

use rmcp::{
    model::{CallToolRequestParams, ProtocolVersion},
    service::{ClientLifecycleMode, ClientServiceExt as _, RoleClient, RunningService},
};
use serde_json::{Value, json};
use tokio::io::{DuplexStream, duplex, split};

use super::{
    Limits,
    client::{self, Client, Endpoint, Wanted},
    http_target::HttpTarget,
    message,
    param_headers::ParamHeaders,
    revision::{Era, Revision},
    stdio::StdioLink,
};
use crate::reference_server::testing;

fn calls() -> Vec<(&'static str, Value)> {
    vec![
        ("echo", json!({"message": "grüße \u{1f980}\n\"'\\ \u{7f}"})),
        ("search", json!({"query": "apples", "limit": 3})),
        ("blob", json!({"bytes": 100_000})),
        ("compute", json!({"work_us": 10, "token": "t"})),
        ("echo", json!({})),
        ("nope", json!({})),
        ("n\u{f6}pe", json!({})),
    ]
}

/// What a call gave: the result, or the code of the error.
async fn by_ours(client: &mut Client, tool: &str, arguments: &Value) -> Value {
    let prepared = client.prepare_call(
        tool,
        arguments.to_string().as_bytes(),
        &ParamHeaders::default(),
    );
    let body = match client.send(&prepared).await {
        Ok(exchange) => exchange.body,
        Err(error) => return json!({"error": code_in(&error.message)}),
    };
    if let Some(error) = message::rpc_error(&body) {
        return json!({"error": error.code});
    }
    let result = message::read_result(&body, prepared.id).unwrap();
    serde_json::from_str(result.get()).unwrap()
}

/// The code in `HTTP …: JSON-RPC error CODE: …`.
fn code_in(text: &str) -> i64 {
    let (_, code) = text.split_once("JSON-RPC error ").expect(text);
    code.split_once(':').expect(text).0.parse().unwrap()
}

async fn by_theirs(
    client: &RunningService<RoleClient, ()>,
    tool: &'static str,
    arguments: &Value,
) -> Value {
    let call =
        CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone());
    match client.peer().call_tool(call).await {
        Ok(result) => serde_json::to_value(result).unwrap(),
        Err(rmcp::ServiceError::McpError(error)) => json!({"error": error.code.0}),
        Err(other) => panic!("{tool}: {other}"),
    }
}

async fn theirs(pipes: DuplexStream, revision: Revision) -> RunningService<RoleClient, ()> {
    let lifecycle = match revision.era() {
        Era::Legacy => ClientLifecycleMode::Initialize,
        Era::Modern => ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        },
    };
    ().serve_with_lifecycle(split(pipes), lifecycle)
        .await
        .unwrap()
}

/// Without what may differ between two right clients: the server's notes about an exchange, and
/// members that say what their absence says.
fn bare(mut result: Value) -> Value {
    if let Some(result) = result.as_object_mut() {
        result.remove("_meta");
        result.retain(|name, value| {
            !(value.is_null()
                || (name == "isError" && *value == false)
                || (name == "resultType" && *value == "complete"))
        });
    }
    result
}

async fn agree(mut ours: Client, theirs: &RunningService<RoleClient, ()>) {
    let mut listed = ours.list_tools().await.unwrap();
    let expected = theirs.list_all_tools().await.unwrap();
    let expected = serde_json::to_value(expected).unwrap();
    // What the official client does not know of a tool, it leaves out.
    for tool in &mut listed {
        tool.as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
    }
    assert_eq!(Value::from(listed), expected);
    for (tool, arguments) in calls() {
        let our = bare(by_ours(&mut ours, tool, &arguments).await);
        let their = bare(by_theirs(theirs, tool, &arguments).await);
        assert_eq!(our, their, "{tool} {arguments}");
    }
}

#[tokio::test]
async fn over_pipes_both_clients_see_the_same() {
    for revision in [Revision::NEWEST_LEGACY, Revision::MODERN] {
        let pipes = || {
            let (ours, theirs) = duplex(64 << 10);
            tokio::spawn(testing::over_pipes(theirs));
            ours
        };
        let (read, write) = split(pipes());
        let endpoint = Endpoint::Stdio(StdioLink::new(write, read, Limits::default()));
        let wanted = Wanted::Exactly(revision);
        let opened = client::open(&endpoint, wanted, Limits::default())
            .await
            .unwrap();
        agree(opened.client, &theirs(pipes(), revision).await).await;
    }
}

#[tokio::test]
async fn over_http_our_client_sees_what_theirs_sees_over_pipes() {
    for sse in [false, true] {
        let url = testing::over_http(sse).await;
        let endpoint = Endpoint::Http(Arc::new(HttpTarget::new(&url, &[], None).unwrap()));
        for revision in [Revision::NEWEST_LEGACY, Revision::MODERN] {
            let (mine, theirs_end) = duplex(64 << 10);
            tokio::spawn(testing::over_pipes(theirs_end));
            let wanted = Wanted::Exactly(revision);
            let opened = client::open(&endpoint, wanted, Limits::default())
                .await
                .unwrap();
            agree(opened.client, &theirs(mine, revision).await).await;
        }
    }
}

#[tokio::test]
async fn over_http_sse_our_client_sees_what_theirs_sees_over_pipes() {
    let url = testing::over_http_sse().await;
    let target = Arc::new(HttpTarget::new(&url, &[], None).unwrap());
    // Asked for by its name, and found where streamable HTTP is refused.
    for endpoint in [
        Endpoint::Sse(Arc::clone(&target)),
        Endpoint::Http(Arc::clone(&target)),
    ] {
        let revision = Revision::NEWEST_LEGACY;
        let (mine, theirs_end) = duplex(64 << 10);
        tokio::spawn(testing::over_pipes(theirs_end));
        let opened = client::open(&endpoint, Wanted::Any, Limits::default())
            .await
            .unwrap();
        assert!(matches!(opened.endpoint, Endpoint::Sse(_)));
        assert_eq!(opened.client.revision(), revision);
        agree(opened.client, &theirs(mine, revision).await).await;
    }
}
