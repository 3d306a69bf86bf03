//! JSON-RPC errors of both protocol eras, with the HTTP status that goes with each.

use serde_json::{Map, Value, json};

/// Codes of JSON-RPC 2.0, and those that MCP 2026-07-28 adds.
pub(crate) mod code {
    pub(crate) const PARSE: i64 = -32_700;
    pub(crate) const INVALID_REQUEST: i64 = -32_600;
    pub(crate) const METHOD_NOT_FOUND: i64 = -32_601;
    pub(crate) const INVALID_PARAMS: i64 = -32_602;
    pub(crate) const INTERNAL: i64 = -32_603;
    pub(crate) const HEADER_MISMATCH: i64 = -32_020;
    pub(crate) const UNSUPPORTED_VERSION: i64 = -32_022;
}

/// A JSON-RPC error.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RpcError {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
    /// The HTTP status that goes with it.
    pub(crate) http_status: u16,
}

impl RpcError {
    fn new(code: i64, http_status: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
            http_status,
        }
    }

    pub(crate) fn parse(message: impl Into<String>) -> Self {
        Self::new(code::PARSE, 400, message)
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(code::INVALID_REQUEST, 400, message)
    }

    /// Over HTTP 200 in the sessions, 404 in 2026-07-28.
    pub(crate) fn method_not_found(method: &str) -> Self {
        Self::new(
            code::METHOD_NOT_FOUND,
            200,
            format!("there is no method {method:?}"),
        )
    }

    pub(crate) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(code::INVALID_PARAMS, 200, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(code::INTERNAL, 200, message)
    }

    pub(crate) fn header_mismatch(message: impl Into<String>) -> Self {
        Self::new(code::HEADER_MISMATCH, 400, message)
    }

    pub(crate) fn unsupported_version<'a>(
        supported: impl Iterator<Item = &'a str>,
        requested: &str,
    ) -> Self {
        let supported: Vec<&str> = supported.collect();
        Self {
            data: Some(json!({ "supported": supported, "requested": requested })),
            ..Self::new(
                code::UNSUPPORTED_VERSION,
                400,
                format!(
                    "unsupported protocol version {requested:?}; supported: {}",
                    supported.join(", ")
                ),
            )
        }
    }

    pub(crate) fn with_http_status(self, http_status: u16) -> Self {
        Self {
            http_status,
            ..self
        }
    }
}

/// A JSON-RPC error with the request that it answers, as far as that can be told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) id: Option<Value>,
    pub(crate) error: RpcError,
}

impl Refusal {
    pub(crate) fn without_id(error: RpcError) -> Self {
        Self { id: None, error }
    }

    /// The message as it goes out. MCP leaves an unknown id out; it has no `null` ids.
    pub(crate) fn into_body(self) -> Value {
        let mut error = Map::new();
        error.insert("code".into(), json!(self.error.code));
        error.insert("message".into(), Value::String(self.error.message));
        if let Some(data) = self.error.data {
            error.insert("data".into(), data);
        }
        let mut body = Map::new();
        body.insert("jsonrpc".into(), json!("2.0"));
        if let Some(id) = self.id {
            body.insert("id".into(), id);
        }
        body.insert("error".into(), Value::Object(error));
        Value::Object(body)
    }
}
