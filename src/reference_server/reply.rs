//! HTTP answers.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use super::{
    body::ReplyBody,
    rpc::{Refusal, RpcError},
};

pub(crate) type Reply = Response<ReplyBody>;

/// Why a request was refused before it became a message.
pub(crate) fn refuse(status: StatusCode, text: &str) -> Reply {
    let refusal = Refusal::without_id(RpcError::invalid_request(text));
    json(status, &refusal.into_body())
}

pub(crate) fn refuse_request(refusal: Refusal) -> Reply {
    let status = status(refusal.error.http_status);
    json(status, &refusal.into_body())
}

pub(crate) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn bare(status: StatusCode) -> Reply {
    let mut reply = Response::new(ReplyBody::empty());
    *reply.status_mut() = status;
    reply
}

pub(crate) fn json(status: StatusCode, body: &Value) -> Reply {
    let mut reply = Response::new(ReplyBody::Whole(Some(encode(body))));
    *reply.status_mut() = status;
    reply.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    reply
}

pub(crate) fn encode(body: &Value) -> Bytes {
    serde_json::to_vec(body).unwrap_or_default().into()
}

pub(crate) fn not_allowed(allowed: &'static str) -> Reply {
    let mut reply = bare(StatusCode::METHOD_NOT_ALLOWED);
    reply
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    reply
}

/// What an event stream opens with: a comment, and where there is an id an event of that id
/// without data, as 2025-11-25 has it.
pub(crate) fn opening(id: Option<u64>) -> Bytes {
    const COMMENT: &str = ": this is a comment\n\n";
    match id {
        Some(id) => format!("{COMMENT}id: {id}\ndata:\n\n").into(),
        None => Bytes::from_static(COMMENT.as_bytes()),
    }
}

pub(crate) fn event(body: &Value) -> Bytes {
    let mut bytes = b"event: message\ndata: ".to_vec();
    bytes.extend_from_slice(&encode(body));
    bytes.extend_from_slice(b"\n\n");
    bytes.into()
}

pub(crate) fn events(opening: Bytes, rest: impl Future<Output = Bytes> + Send + 'static) -> Reply {
    let mut reply = Response::new(ReplyBody::Events {
        opening: Some(opening),
        rest: Some(Box::pin(rest)),
    });
    let headers = reply.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    reply
}
