//! The server as clients see it: over pipes, over sockets, and by the official client.

mod http;
mod official_client;
mod protocol;
mod stdio;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Era, Options, Transport, message::META_VERSION, server::Server};

/// A server with these faults, each as on the command line.
fn server(faults: &[&str]) -> Arc<Server> {
    server_with(&Options {
        fault: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
        ..options()
    })
}

fn server_with(options: &Options) -> Arc<Server> {
    Arc::new(Server::new(options))
}

fn options() -> Options {
    Options {
        transport: Transport::Stdio,
        port: 0,
        fault: Vec::new(),
        era: Era::Both,
        sse: false,
        page_size: 0,
        store: false,
        seed: 1,
    }
}

fn initialize(version: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": "init", "method": "initialize", "params": {
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    } })
}

/// A request of the sessions.
fn legacy(id: u64, method: &str, params: Value) -> Value {
    let mut request = json!({ "jsonrpc": "2.0", "id": id, "method": method });
    request["params"] = params;
    request
}

/// A request of 2026-07-28.
fn modern(id: u64, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        META_VERSION: "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    legacy(id, method, params)
}

fn echo(message: &str) -> Value {
    json!({ "name": "echo", "arguments": { "message": message } })
}

/// The text of an answer to a call.
fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text in {answer}"))
}

#[test]
fn a_fault_that_could_never_show_is_a_mistake() {
    use Era::{Both, Legacy, Modern};
    use Transport::{Http, Sse, Stdio};
    for (fault, transport, era, right) in [
        ("slow=2", Stdio, Both, true),
        ("slow=2", Http, Both, true),
        ("garbage-line", Stdio, Both, true),
        ("garbage-line", Http, Both, false),
        ("garbage-only", Http, Both, false),
        ("slow=2", Sse, Both, true),
        ("garbage-line", Sse, Both, false),
        ("http-500", Sse, Both, false),
        ("close-mid-call", Http, Both, false),
        ("http-500", Http, Both, true),
        ("http-500", Stdio, Both, false),
        ("http-503", Stdio, Both, false),
        ("truncated-body", Stdio, Both, false),
        ("input-required", Stdio, Modern, true),
        ("input-required", Stdio, Legacy, false),
    ] {
        let options = Options {
            transport,
            era,
            fault: vec![fault.parse().unwrap()],
            ..options()
        };
        assert_eq!(
            options.check().is_ok(),
            right,
            "{fault} {transport:?} {era:?}"
        );
    }
}
