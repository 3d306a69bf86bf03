//! Messages from clients, and the versions they may be in. Pure.

use serde_json::{Map, Value, json};

use super::rpc::{Refusal, RpcError};

/// Key in `_meta` of the version of a request.
pub(crate) const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// A protocol revision that this server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

impl Version {
    /// Newest first.
    pub(crate) const ALL: [Self; 5] = [
        Self::V2026_07_28,
        Self::V2025_11_25,
        Self::V2025_06_18,
        Self::V2025_03_26,
        Self::V2024_11_05,
    ];
    pub(crate) const LATEST_LEGACY: Self = Self::V2025_11_25;

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == name)
    }

    pub(crate) fn is_modern(self) -> bool {
        self >= Self::V2026_07_28
    }

    /// Whether several messages may come in one array: 2025-03-26 alone asks for it.
    pub(crate) fn has_batches(self) -> bool {
        self == Self::V2025_03_26
    }

    /// Whether an event stream opens with an event of an id and no data.
    pub(crate) fn has_priming_event(self) -> bool {
        self == Self::V2025_11_25
    }
}

/// A message from a client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    Request(Request),
    Notification {
        method: String,
        params: Map<String, Value>,
    },
    /// An answer to something this server never asks.
    Response,
}

/// A request from a client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    /// A string or a whole number.
    pub(crate) id: Value,
    pub(crate) method: String,
    pub(crate) params: Map<String, Value>,
}

impl Message {
    /// Reads one JSON-RPC message.
    pub(crate) fn parse(message: Value) -> Result<Self, Refusal> {
        let Value::Object(mut message) = message else {
            return Err(Refusal::without_id(RpcError::invalid_request(
                "a message is a JSON object",
            )));
        };
        let id = message.remove("id");
        let usable_id = id.clone().filter(is_id);
        let refuse = |text: &str| Refusal {
            id: usable_id.clone(),
            error: RpcError::invalid_request(text),
        };
        if message.get("jsonrpc") != Some(&json!("2.0")) {
            return Err(refuse("`jsonrpc` must be \"2.0\""));
        }
        let params = match message.remove("params") {
            None => Map::new(),
            Some(Value::Object(params)) => params,
            Some(_) => return Err(refuse("`params` must be an object")),
        };
        match (message.remove("method"), id) {
            (Some(Value::String(method)), None) => Ok(Self::Notification { method, params }),
            (Some(Value::String(method)), Some(id)) if is_id(&id) => {
                Ok(Self::Request(Request { id, method, params }))
            }
            (Some(Value::String(_)), Some(_)) => {
                Err(refuse("`id` must be a string or a whole number"))
            }
            (Some(_), _) => Err(refuse("`method` must be a string")),
            (None, _) if message.contains_key("result") || message.contains_key("error") => {
                Ok(Self::Response)
            }
            (None, _) => Err(refuse("a message needs a `method`")),
        }
    }
}

fn is_id(id: &Value) -> bool {
    id.is_string() || id.is_i64() || id.is_u64()
}

impl Request {
    pub(crate) fn meta(&self, key: &str) -> Option<&Value> {
        self.params.get("_meta")?.get(key)
    }

    /// The version that the `_meta` names.
    pub(crate) fn meta_version(&self) -> Option<&Value> {
        self.meta(META_VERSION)
    }

    /// Whether it can only be meant for the 2026-07-28 protocol.
    pub(crate) fn claims_modern(&self) -> bool {
        self.meta_version().is_some() || self.method == "server/discover"
    }

    /// Whether it is what a client opens with.
    pub(crate) fn opens(&self) -> bool {
        matches!(self.method.as_str(), "initialize" | "server/discover")
    }
}
