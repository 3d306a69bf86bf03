//! The official Rust client as a judge of what this server says.

use rmcp::{
    ServiceExt,
    model::{CallToolRequestParams, ProtocolVersion},
    service::{ClientLifecycleMode, ClientServiceExt, RoleClient, RunningService},
};
use serde_json::json;

use super::{options, server_with};
use crate::reference_server::{Options, stdio::session};

fn pipes() -> tokio::io::DuplexStream {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let paged = Options {
        page_size: 4,
        store: false,
        ..options()
    };
    let (input, output) = tokio::io::split(theirs);
    tokio::spawn(session(server_with(&paged), input, output));
    ours
}

async fn use_all(client: RunningService<RoleClient, ()>) {
    let tools = client.list_all_tools().await.unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool.name.to_string()).collect();
    assert_eq!(names, ["echo", "compute", "wait", "search", "blob", "note"]);
    let arguments = json!({ "query": "apples", "limit": 3 });
    let call =
        CallToolRequestParams::new("search").with_arguments(arguments.as_object().unwrap().clone());
    let answer = client.call_tool(call).await.unwrap();
    let text = &answer.content[0].as_text().unwrap().text;
    assert_eq!(text.matches("apples").count(), 3, "{text}");
    assert!(
        client
            .call_tool(CallToolRequestParams::new("nope"))
            .await
            .is_err()
    );
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn it_uses_the_sessions() {
    let client = ().serve(tokio::io::split(pipes())).await.unwrap();
    assert_eq!(
        client.peer_info().unwrap().protocol_version,
        ProtocolVersion::V_2025_11_25
    );
    use_all(client).await;
}

#[tokio::test]
async fn it_uses_2026_07_28() {
    let lifecycle = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    let client = ().serve_with_lifecycle(tokio::io::split(pipes()), lifecycle).await.unwrap();
    use_all(client).await;
}
