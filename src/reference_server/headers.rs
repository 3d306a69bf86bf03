//! What the HTTP headers of a request must say. Pure.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use serde_json::Value;

use super::{message::Request, rpc::RpcError};

pub(crate) const PROTOCOL_VERSION: &str = "mcp-protocol-version";
pub(crate) const SESSION_ID: &str = "mcp-session-id";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";

/// A header as text; `None` where it is absent or not text.
pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Whether the body is said to be JSON.
pub(crate) fn sends_json(headers: &HeaderMap) -> bool {
    text(headers, header::CONTENT_TYPE.as_str())
        .is_some_and(|value| names(value, "application/json"))
}

/// Whether both forms of an answer are accepted by name, as MCP asks of clients.
pub(crate) fn accepts_both_forms(headers: &HeaderMap) -> bool {
    let accepts = |form: &str| {
        headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|range| names(range, form))
    };
    accepts("application/json") && accepts("text/event-stream")
}

/// Whether `value`, less its parameters, is this media type.
fn names(value: &str, media_type: &str) -> bool {
    let bare = value.split(';').next().unwrap_or_default();
    bare.trim().eq_ignore_ascii_case(media_type)
}

/// Whether the page that sent the request, where a browser did, is of this machine: anything else
/// may be a DNS rebinding attack.
pub(crate) fn comes_from_this_machine(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let Some(uri) = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.parse::<http::Uri>().ok())
    else {
        return false;
    };
    matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// Checks the headers that 2026-07-28 asks for against the body.
pub(crate) fn check_modern(headers: &HeaderMap, request: &Request) -> Result<(), RpcError> {
    let version = request.meta_version().and_then(Value::as_str);
    equal(
        headers,
        "MCP-Protocol-Version",
        PROTOCOL_VERSION,
        version,
        false,
    )?;
    equal(headers, "Mcp-Method", METHOD, Some(&request.method), false)?;
    let source = match request.method.as_str() {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return Ok(()),
    };
    let name = request.params.get(source).and_then(Value::as_str);
    equal(headers, "Mcp-Name", NAME, name, true)
}

/// A body that lacks the value is refused for that by the protocol, not here.
fn equal(
    headers: &HeaderMap,
    shown: &str,
    name: &str,
    expected: Option<&str>,
    may_be_encoded: bool,
) -> Result<(), RpcError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Err(RpcError::header_mismatch(format!(
            "the header {shown} is missing"
        )));
    };
    if values.next().is_some() {
        return Err(RpcError::header_mismatch(format!(
            "the header {shown} is there twice"
        )));
    }
    let unreadable =
        || RpcError::header_mismatch(format!("the header {shown} holds what no text may hold"));
    let value = value.to_str().map_err(|_| unreadable())?;
    let value = if may_be_encoded {
        decode(value).ok_or_else(unreadable)?
    } else {
        Cow::Borrowed(value)
    };
    match expected {
        Some(expected) if value != expected => Err(RpcError::header_mismatch(format!(
            "the header {shown} says {value:?}, the body {expected:?}"
        ))),
        _ => Ok(()),
    }
}

/// Undoes `=?base64?…?=`, the form of values that a header cannot hold.
fn decode(value: &str) -> Option<Cow<'_, str>> {
    let Some(encoded) = value
        .strip_prefix("=?base64?")
        .and_then(|value| value.strip_suffix("?="))
    else {
        return Some(Cow::Borrowed(value));
    };
    let bytes = STANDARD.decode(encoded).ok()?;
    String::from_utf8(bytes).ok().map(Cow::Owned)
}
