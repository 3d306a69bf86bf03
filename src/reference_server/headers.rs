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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in of {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn both_forms_must_be_accepted_by_name() {
        for (values, expected) in [
            (vec!["application/json, text/event-stream"], true),
            (
                vec!["text/event-stream;q=0.5,application/json; charset=utf-8"],
                true,
            ),
            (vec!["Application/JSON", "TEXT/event-stream"], true),
            (vec!["application/json"], false),
            (vec!["text/event-stream"], false),
            (vec!["*/*"], false),
            (vec!["application/json-seq, text/event-stream"], false),
            (vec![], false),
        ] {
            let of: Vec<_> = values.iter().map(|value| ("accept", *value)).collect();
            assert_eq!(accepts_both_forms(&headers(&of)), expected, "{values:?}");
        }
    }

    #[test]
    fn only_pages_of_this_machine_may_send() {
        for (origin, expected) in [
            (None, true),
            (Some("http://localhost"), true),
            (Some("http://localhost:8080"), true),
            (Some("https://127.0.0.1:1"), true),
            (Some("http://[::1]:8080"), true),
            (Some("http://localhost.evil.example"), false),
            (Some("http://evil.example"), false),
            (Some("http://127.0.0.1@evil.example"), false),
            (Some("null"), false),
            (Some("é"), false),
        ] {
            let of: Vec<_> = origin.iter().map(|origin| ("origin", *origin)).collect();
            assert_eq!(
                comes_from_this_machine(&headers(&of)),
                expected,
                "{origin:?}"
            );
        }
    }

    #[test]
    fn encoded_values_are_decoded() {
        for (value, expected) in [
            ("echo", Some("echo")),
            ("=?base64?SGVsbG8sIOS4lueVjA==?=", Some("Hello, 世界")),
            (
                "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=",
                Some("=?base64?literal?="),
            ),
            ("=?BASE64?ZWNobw==?=", Some("=?BASE64?ZWNobw==?=")),
            ("=?base64?not base64?=", None),
            ("=?base64?/w==?=", None),
        ] {
            assert_eq!(decode(value).as_deref(), expected, "{value}");
        }
    }
}
