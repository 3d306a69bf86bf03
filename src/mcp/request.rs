//! Requests to bytes, before the clock starts. Pure.

use serde_json::{Value, json, value::RawValue};

use super::{
    elicitation::{ELICIT, Elicitation},
    revision::{Era, Revision},
};

/// The method of a tool call.
pub const TOOLS_CALL: &str = "tools/call";

fn client_info() -> Value {
    json!({"name": "mcpgate", "version": env!("CARGO_PKG_VERSION")})
}

/// The `_meta` that every request of the 2026-07-28 revision carries.
#[must_use]
pub fn modern_meta(revision: Revision, elicitation: Elicitation) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": revision.as_str(),
        "io.modelcontextprotocol/clientInfo": client_info(),
        "io.modelcontextprotocol/clientCapabilities": elicitation.capabilities(),
    })
}

/// The parameters of `initialize`. No capability is declared that is not there, so that a server
/// does not ask for one.
#[must_use]
pub fn initialize_params(revision: Revision, elicitation: Elicitation) -> Value {
    json!({
        "protocolVersion": revision.as_str(),
        "capabilities": elicitation.capabilities(),
        "clientInfo": client_info(),
    })
}

/// The members of a JSON object without its braces.
#[must_use]
pub fn members(object: &Value) -> String {
    let text = object.to_string();
    text.strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or_default()
        .to_owned()
}

/// Writes requests for one revision.
#[derive(Debug, Clone)]
pub struct RequestWriter {
    meta: Option<String>,
}

impl RequestWriter {
    /// A writer for `revision`.
    #[must_use]
    pub fn new(revision: Revision, elicitation: Elicitation) -> Self {
        Self {
            meta: match revision.era() {
                Era::Legacy => None,
                Era::Modern => Some(modern_meta(revision, elicitation).to_string()),
            },
        }
    }

    /// Appends a request to `out`. `params` holds the members of the parameters object, without
    /// braces; it may be empty.
    pub fn write(&self, out: &mut Vec<u8>, id: u64, method: &str, params: &[u8]) {
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        out.extend_from_slice(id.to_string().as_bytes());
        out.extend_from_slice(b",\"method\":");
        write_string(out, method);
        out.extend_from_slice(b",\"params\":{");
        out.extend_from_slice(params);
        if let Some(meta) = &self.meta {
            if !params.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(b"\"_meta\":");
            out.extend_from_slice(meta.as_bytes());
        }
        out.extend_from_slice(b"}}");
    }

    /// Appends the members of a tool call's parameters to `out`: `"name":…,"arguments":…`, where
    /// `arguments` is a JSON object already written.
    pub fn write_tool_params(out: &mut Vec<u8>, tool: &str, arguments: &[u8]) {
        out.extend_from_slice(b"\"name\":");
        write_string(out, tool);
        out.extend_from_slice(b",\"arguments\":");
        out.extend_from_slice(arguments);
    }
}

/// A notification, whole.
#[must_use]
pub fn notification(method: &str, params: Option<&Value>) -> Vec<u8> {
    let message = match params {
        Some(params) => json!({"jsonrpc": "2.0", "method": method, "params": params}),
        None => json!({"jsonrpc": "2.0", "method": method}),
    };
    message.to_string().into_bytes()
}

/// Tells the server that the answer under `id` is not waited for any more.
#[must_use]
pub fn cancelled(id: u64) -> Vec<u8> {
    notification(
        "notifications/cancelled",
        Some(&json!({"requestId": id, "reason": "timed out"})),
    )
}

/// The answer to a request that the server sends to us: `ping` is answered, `elicitation/create` as
/// `elicitation` says, and everything else is refused, so that no server waits for ever.
#[must_use]
pub fn answer_to_server_request(
    id: &RawValue,
    method: &str,
    params: Option<&RawValue>,
    elicitation: Elicitation,
) -> Vec<u8> {
    let result = match method {
        "ping" => Some(json!({})),
        ELICIT => elicitation.result(params),
        _ => None,
    };
    let tail = match result {
        Some(result) => format!("\"result\":{result}}}"),
        None => {
            "\"error\":{\"code\":-32601,\"message\":\"mcpgate offers no such method\"}}".to_owned()
        }
    };
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{},{tail}", id.get()).into_bytes()
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    // Writing a `str` into a `Vec` cannot fail.
    let _ = serde_json::to_writer(out, text);
}
