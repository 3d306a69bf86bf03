//! The protocol as values: a message in, a [`Step`] out. No transport, no clock, no I/O.
//!
//! A request that carries the 2026-07-28 `_meta` is *modern* and needs no state; anything else is
//! *legacy* and needs the version that `initialize` agreed on.

use serde_json::{Map, Value, json};

use super::{
    Era,
    message::{META_VERSION, Request, Version},
    rpc::{Refusal, RpcError},
    tools::{Tool, Work},
};

pub(crate) const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const META_SERVER: &str = "io.modelcontextprotocol/serverInfo";
const SERVER_NAME: &str = "mcpgate-reference-server";
const INSTRUCTIONS: &str = "A server to measure. Its tools do synthetic work.";
/// How long a client may keep the tool list and the discovery: the tools never change.
const TTL_MS: u64 = 3_600_000;
/// What a retried call must bring back. It guards nothing, so it needs no protection.
const REQUEST_STATE: &str = "asked-once";

/// A finished answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    /// The JSON-RPC answer.
    pub(crate) body: Value,
    /// The HTTP status that goes with it.
    pub(crate) http_status: u16,
}

impl Reply {
    /// Whether it refuses.
    pub(crate) fn is_error(&self) -> bool {
        self.body.get("error").is_some()
    }
}

/// What a request leads to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// An answer.
    Reply(Reply),
    /// An answer to `initialize`, and the version that holds from now on.
    Opened { reply: Reply, version: Version },
    /// A tool is to be called.
    Call(Call),
}

/// A tool call whose tool exists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: Value,
    pub(crate) tool: Tool,
    /// The checked arguments, or what is wrong with them, for the caller of the tool.
    pub(crate) work: Result<Work, String>,
    pub(crate) version: Version,
    /// The client can be asked for input.
    pub(crate) may_elicit: bool,
    /// The client has brought back the request state.
    pub(crate) is_retry: bool,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Text(String),
    ToolError(String),
    RpcError(String),
    InputRequired,
}

impl Call {
    /// The answer to this call.
    pub(crate) fn answer(&self, outcome: Outcome) -> Value {
        let content = |text: String, is_error: bool| {
            let mut result = Map::new();
            result.insert("content".into(), json!([{ "type": "text", "text": text }]));
            result.insert("isError".into(), Value::Bool(is_error));
            result
        };
        let result = match outcome {
            Outcome::Text(text) => content(text, false),
            Outcome::ToolError(text) => content(text, true),
            Outcome::RpcError(text) => {
                return Refusal {
                    id: Some(self.id.clone()),
                    error: RpcError::internal(text),
                }
                .into_body();
            }
            Outcome::InputRequired => {
                let mut result = Map::new();
                result.insert("requestState".into(), json!(REQUEST_STATE));
                if self.may_elicit {
                    let asked = json!({ "confirmation": {
                        "method": "elicitation/create",
                        "params": {
                            "mode": "form",
                            "message": "Go on?",
                            "requestedSchema": {
                                "type": "object",
                                "properties": { "go_on": { "type": "boolean" } },
                            },
                        },
                    } });
                    result.insert("inputRequests".into(), asked);
                }
                return respond(&self.id, stamped("input_required", result));
            }
        };
        if self.version.is_modern() {
            respond(&self.id, stamped("complete", result))
        } else {
            respond(&self.id, result)
        }
    }
}

/// How this server speaks.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    era: Era,
    page_size: usize,
    listing: Vec<Value>,
}

impl Rules {
    /// `page_size`: tools on one page of the listing; 0 = all. `has_store`: whether the tools of the
    /// store are offered.
    pub(crate) fn new(era: Era, page_size: usize, has_store: bool) -> Self {
        Self {
            era,
            page_size: if page_size == 0 {
                usize::MAX
            } else {
                page_size
            },
            listing: Tool::ALL
                .into_iter()
                .filter(|tool| has_store || !tool.is_of_store())
                .map(Tool::definition)
                .collect(),
        }
    }

    pub(crate) fn era(&self) -> Era {
        self.era
    }

    fn versions(&self) -> impl Iterator<Item = Version> {
        let era = self.era;
        Version::ALL.into_iter().filter(move |version| match era {
            Era::Both => true,
            Era::Modern => version.is_modern(),
            Era::Legacy => !version.is_modern(),
        })
    }

    /// Whether this request is to be answered by [`Rules::modern`].
    pub(crate) fn is_modern(&self, request: &Request) -> bool {
        match self.era {
            Era::Modern => true,
            Era::Legacy => false,
            Era::Both => request.claims_modern(),
        }
    }

    /// Answers a request of 2026-07-28.
    pub(crate) fn modern(&self, request: Request) -> Step {
        match self.modern_version(&request) {
            Ok(version) => match request.method.as_str() {
                "server/discover" => {
                    let mut result = Map::new();
                    let versions: Vec<&str> = self.versions().map(Version::as_str).collect();
                    result.insert("supportedVersions".into(), json!(versions));
                    result.insert("capabilities".into(), json!({ "tools": {} }));
                    result.insert("instructions".into(), json!(INSTRUCTIONS));
                    succeed(&request.id, stamped("complete", cacheable(result)))
                }
                "tools/list" => match self.page(&request.params) {
                    Ok(page) => succeed(&request.id, stamped("complete", cacheable(page))),
                    Err(error) => fails(request, error),
                },
                "tools/call" => call(request, version),
                _ => {
                    let error = RpcError::method_not_found(&request.method).with_http_status(404);
                    fails(request, error)
                }
            },
            Err(error) => fails(request, error),
        }
    }

    fn modern_version(&self, request: &Request) -> Result<Version, RpcError> {
        let asked = match request.meta_version() {
            Some(Value::String(version)) => version.as_str(),
            None if request.method == "initialize" => {
                let asked = request.params.get("protocolVersion");
                let asked = asked.and_then(Value::as_str).unwrap_or_default();
                return Err(self.unsupported(asked));
            }
            Some(_) | None => {
                return Err(RpcError::invalid_params(format!(
                    "`_meta` needs the text {META_VERSION:?}"
                ))
                .with_http_status(400));
            }
        };
        let version = Version::named(asked)
            .filter(|version| version.is_modern())
            .ok_or_else(|| self.unsupported(asked))?;
        if request
            .meta(META_CAPABILITIES)
            .is_some_and(Value::is_object)
        {
            Ok(version)
        } else {
            Err(
                RpcError::invalid_params(format!("`_meta` needs the object {META_CAPABILITIES:?}"))
                    .with_http_status(400),
            )
        }
    }

    fn unsupported(&self, asked: &str) -> RpcError {
        // A version that needs `initialize` must not be offered to who asks for it without.
        let versions = self.versions().map(Version::as_str);
        RpcError::unsupported_version(versions.filter(|version| *version != asked), asked)
    }

    /// Answers a request of a session; `session` is what `initialize` agreed on.
    pub(crate) fn legacy(&self, request: Request, session: Option<Version>) -> Step {
        match (request.method.as_str(), session) {
            ("initialize", None) => initialize(request),
            ("initialize", Some(_)) => fails(
                request,
                RpcError::invalid_request("this session is initialized already"),
            ),
            ("ping", _) => succeed(&request.id, Map::new()),
            ("tools/list", Some(_)) => match self.page(&request.params) {
                Ok(page) => succeed(&request.id, page),
                Err(error) => fails(request, error),
            },
            ("tools/call", Some(version)) => call(request, version),
            ("tools/list" | "tools/call", None) => fails(
                request,
                RpcError::invalid_request(
                    "send `initialize` first, or the 2026-07-28 `_meta` with each request",
                ),
            ),
            (method, _) => {
                let error = RpcError::method_not_found(method);
                fails(request, error)
            }
        }
    }

    /// One page of the listing. A cursor is the number of tools before it.
    fn page(&self, params: &Map<String, Value>) -> Result<Map<String, Value>, RpcError> {
        let start = match params.get("cursor") {
            None => 0,
            Some(cursor) => cursor
                .as_str()
                .and_then(|cursor| cursor.parse::<usize>().ok())
                .filter(|start| *start < self.listing.len() && start.is_multiple_of(self.page_size))
                .ok_or_else(|| RpcError::invalid_params("unknown `cursor`"))?,
        };
        let end = start.saturating_add(self.page_size).min(self.listing.len());
        let mut page = Map::new();
        let tools = self.listing.get(start..end).unwrap_or_default();
        page.insert("tools".into(), Value::Array(tools.to_vec()));
        if end < self.listing.len() {
            page.insert("nextCursor".into(), json!(end.to_string()));
        }
        Ok(page)
    }
}

fn initialize(request: Request) -> Step {
    let asked = request
        .params
        .get("protocolVersion")
        .and_then(Value::as_str);
    let client = request.params.get("clientInfo");
    let client_is_named = client.is_some_and(|client| {
        client.get("name").is_some_and(Value::is_string)
            && client.get("version").is_some_and(Value::is_string)
    });
    let has_capabilities = request
        .params
        .get("capabilities")
        .is_some_and(Value::is_object);
    let Some(asked) = asked.filter(|_| client_is_named && has_capabilities) else {
        return fails(
            request,
            RpcError::invalid_params(
                "`initialize` needs `protocolVersion`, `capabilities`, and `clientInfo` with `name` \
             and `version`",
            ),
        );
    };
    let version = Version::named(asked)
        .filter(|version| !version.is_modern())
        .unwrap_or(Version::LATEST_LEGACY);
    let result = json!({
        "protocolVersion": version.as_str(),
        "capabilities": { "tools": {} },
        "serverInfo": server_info(),
        "instructions": INSTRUCTIONS,
    });
    Step::Opened {
        reply: Reply {
            body: json!({ "jsonrpc": "2.0", "id": request.id, "result": result }),
            http_status: 200,
        },
        version,
    }
}

fn call(mut request: Request, version: Version) -> Step {
    let Some(Value::String(name)) = request.params.get("name") else {
        return fails(request, RpcError::invalid_params("`name` must be a text"));
    };
    let Some(tool) = Tool::named(name) else {
        let error = RpcError::invalid_params(format!("Unknown tool: {name}"));
        return fails(request, error);
    };
    let may_elicit = request
        .meta(META_CAPABILITIES)
        .is_some_and(|capabilities| capabilities.get("elicitation").is_some());
    let is_retry = request.params.get("requestState") == Some(&json!(REQUEST_STATE));
    let arguments = match request.params.remove("arguments") {
        None => Map::new(),
        Some(Value::Object(arguments)) => arguments,
        Some(_) => {
            return fails(
                request,
                RpcError::invalid_params("`arguments` must be an object"),
            );
        }
    };
    Step::Call(Call {
        id: request.id,
        tool,
        work: Work::parse(tool, arguments),
        version,
        may_elicit,
        is_retry,
    })
}

fn server_info() -> Value {
    json!({ "name": SERVER_NAME, "version": env!("CARGO_PKG_VERSION") })
}

/// Adds what every result of 2026-07-28 carries.
fn stamped(result_type: &str, mut result: Map<String, Value>) -> Map<String, Value> {
    result.insert("resultType".into(), json!(result_type));
    result.insert("_meta".into(), json!({ META_SERVER: server_info() }));
    result
}

fn cacheable(mut result: Map<String, Value>) -> Map<String, Value> {
    result.insert("ttlMs".into(), json!(TTL_MS));
    result.insert("cacheScope".into(), json!("public"));
    result
}

fn respond(id: &Value, result: Map<String, Value>) -> Value {
    let mut body = Map::new();
    body.insert("jsonrpc".into(), json!("2.0"));
    body.insert("id".into(), id.clone());
    body.insert("result".into(), Value::Object(result));
    Value::Object(body)
}

fn succeed(id: &Value, result: Map<String, Value>) -> Step {
    Step::Reply(Reply {
        body: respond(id, result),
        http_status: 200,
    })
}

fn fails(request: Request, error: RpcError) -> Step {
    Step::Reply(Reply {
        http_status: error.http_status,
        body: Refusal {
            id: Some(request.id),
            error,
        }
        .into_body(),
    })
}
