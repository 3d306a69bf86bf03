//! Bytes to checked answers. Pure.
//!
//! An answer is checked after the clock has stopped, on borrowed text: its payload is scanned,
//! never copied.

use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

use memchr::memmem::Finder;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, value::RawValue};

use super::{
    outcome::{CallError, ErrorKind, excerpt, excerpt_bytes},
    revision::{Era, Revision},
};

/// Error codes by which a server of the 2026-07-28 revision says that a request of it is not right:
/// HeaderMismatch and MissingRequiredClientCapability.
pub const MALFORMED_CODES: [i64; 2] = [-32020, -32021];

/// The error code by which it says that it speaks other revisions: UnsupportedProtocolVersion.
pub const UNSUPPORTED_VERSION: i64 = -32022;

/// What kind of message came, and under which id: all that routing needs.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// An answer under a number that we may have sent.
    Answer(u64),
    /// An answer under an id that we cannot have sent.
    ForeignAnswer(&'a str),
    /// The server asks for something.
    Request {
        /// To be sent back as it is.
        id: &'a RawValue,
        /// The method.
        method: Cow<'a, str>,
        /// Its parameters.
        params: Option<&'a RawValue>,
    },
    /// The server tells something.
    Notification,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "is_there")]
    result: bool,
    #[serde(default, deserialize_with = "is_there")]
    error: bool,
}

fn is_there<'de, D: serde::Deserializer<'de>>(member: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(member).map(|_| true)
}

/// Finds out what a message is.
///
/// # Errors
/// When it is not a JSON object, or one of something else, such as a line of a structured log.
pub fn classify(message: &[u8]) -> Result<Incoming<'_>, serde_json::Error> {
    let head: Head<'_> = from_object(message)?;
    let id = head.id.filter(|id| id.get() != "null");
    if head.method.is_none() && !head.result && !head.error {
        return Err(serde::de::Error::custom(
            "neither a method nor a result nor an error",
        ));
    }
    Ok(match (id, head.method) {
        (Some(id), Some(method)) => Incoming::Request {
            id,
            method,
            params: head.params,
        },
        (None, Some(_)) => Incoming::Notification,
        (Some(id), None) => id
            .get()
            .parse()
            .map_or_else(|_| Incoming::ForeignAnswer(id.get()), Incoming::Answer),
        (None, None) => Incoming::ForeignAnswer("null"),
    })
}

/// Whether a message may be a request or a notification, by a look that costs a tenth of
/// [`classify`]: where this is false, that gives neither.
#[must_use]
pub fn may_ask(message: &[u8]) -> bool {
    // Made once: each event of a stream is looked at, and making them costs more than the look.
    static METHOD: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"method\""));
    static ESCAPED: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\\u"));
    METHOD.find(message).is_some() || ESCAPED.find(message).is_some()
}

/// Reads a JSON object into a struct; an array, which serde would take for one, is refused. A byte
/// order mark is passed over, as RFC 8259 (8.1) lets a reader do and browsers do.
pub(super) fn from_object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, serde_json::Error> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        serde_json::from_slice(bytes)
    } else {
        Err(serde::de::Error::custom("not an object"))
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<RpcError<'a>>,
}

/// A JSON-RPC error object.
#[derive(Debug, Deserialize)]
pub struct RpcError<'a> {
    /// The code.
    #[serde(default)]
    pub code: i64,
    /// The message.
    #[serde(borrow, default)]
    pub message: Cow<'a, str>,
    /// Further data.
    #[serde(default)]
    pub data: Option<Value>,
}

impl RpcError<'_> {
    /// What it says, on one line.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut words = format!("JSON-RPC error {}: {}", self.code, excerpt(&self.message));
        let versions = self.versions();
        if !versions.is_empty() {
            words = format!("{words}; it speaks {}", excerpt(&versions.join(", ")));
        }
        words
    }

    /// The revisions that a server speaks which refused the one it was asked in.
    #[must_use]
    pub fn versions(&self) -> Vec<String> {
        let named = self.data.as_ref().and_then(|data| data.get("supported"));
        named
            .filter(|_| self.code == UNSUPPORTED_VERSION)
            .and_then(|named| Vec::deserialize(named).ok())
            .unwrap_or_default()
    }
}

/// The `error` of an answer, if the bytes are an answer that has one.
#[must_use]
pub fn rpc_error(body: &[u8]) -> Option<RpcError<'_>> {
    from_object::<Answer<'_>>(body).ok()?.error
}

/// Reads an answer's `result`.
///
/// # Errors
/// `malformed`, `wrong-answer` (another id) or `protocol-error`.
pub fn read_result(body: &[u8], id: u64) -> Result<&RawValue, CallError> {
    let answer: Answer<'_> = from_object(body).map_err(|e| {
        CallError::new(
            ErrorKind::Malformed,
            format!("not a JSON-RPC answer ({e}): {}", excerpt_bytes(body)),
        )
    })?;
    if let Some(error) = answer.error {
        let versions = error.versions();
        return Err(CallError::new(ErrorKind::ProtocolError, error.in_words()).speaking(versions));
    }
    let answered = answer.id.map_or("none", RawValue::get);
    if answered.parse() != Ok(id) {
        return Err(CallError::new(
            ErrorKind::WrongAnswer,
            format!(
                "asked under id {id}, answered under id {}",
                excerpt(answered)
            ),
        ));
    }
    answer.result.ok_or_else(|| {
        CallError::new(
            ErrorKind::Malformed,
            format!("an answer without result or error: {}", excerpt_bytes(body)),
        )
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult<'a> {
    #[serde(default)]
    is_error: bool,
    #[serde(borrow, default)]
    result_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    content: Option<Vec<Content<'a>>>,
    #[serde(borrow, default)]
    structured_content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
}

/// Checks a whole answer to `tools/call`: id, `error`, `isError`, `resultType`, shape, and that
/// one of its texts (or its structured content, as JSON) contains `expected`.
///
/// # Errors
/// The first thing that is not right.
pub fn check_tool_answer(body: &[u8], id: u64, expected: Option<&str>) -> Result<(), CallError> {
    let result = read_result(body, id)?;
    let result: ToolResult<'_> = serde_json::from_str(result.get()).map_err(|e| {
        CallError::new(
            ErrorKind::Malformed,
            format!("not a tool result ({e}): {}", excerpt(result.get())),
        )
    })?;
    if result.result_type.as_deref() == Some("input_required") {
        return Err(CallError::new(
            ErrorKind::InputRequired,
            "the tool asks for more input instead of answering; mcpgate has none to give beyond \
             the defaults of forms, with elicitation = \"accept-defaults\" in [server]",
        ));
    }
    let texts = || {
        result
            .content
            .iter()
            .flatten()
            .filter_map(|content| content.text.as_deref())
    };
    if result.is_error {
        return Err(CallError::new(
            ErrorKind::ToolError,
            texts().next().map_or_else(
                || "isError without a text".to_owned(),
                |text| format!("the tool refused: {}", excerpt(text)),
            ),
        ));
    }
    if result.content.is_none() && result.structured_content.is_none() {
        return Err(CallError::new(
            ErrorKind::Malformed,
            "a tool result with neither content nor structuredContent",
        ));
    }
    if let Some(expected) = expected {
        let structured = result.structured_content.map(RawValue::get);
        if !texts()
            .chain(structured)
            .any(|text| text.contains(expected))
        {
            return Err(CallError::new(
                ErrorKind::WrongAnswer,
                format!(
                    "expected a text with \"{}\", got \"{}\"",
                    excerpt(expected),
                    texts()
                        .next()
                        .or(structured)
                        .map_or_else(String::new, excerpt)
                ),
            ));
        }
    }
    Ok(())
}

/// A tool's answer in a line of at most [`super::outcome::EXCERPT_CHARS`] characters: its first text,
/// else its structured content, else what kinds of content it has.
#[must_use]
pub fn answer_in_words(body: &[u8], id: u64) -> String {
    let result: Option<ToolResult<'_>> = read_result(body, id)
        .ok()
        .and_then(|result| serde_json::from_str(result.get()).ok());
    let Some(result) = result else {
        return excerpt_bytes(body);
    };
    let content = result.content.unwrap_or_default();
    let text = content
        .iter()
        .filter_map(|content| content.text.as_deref())
        .find(|text| !text.trim().is_empty());
    if let Some(text) = text.or(result.structured_content.map(RawValue::get)) {
        return excerpt(text);
    }
    let kinds: Vec<&str> = content
        .iter()
        .map(|content| content.kind.as_deref().unwrap_or("content"))
        .take(8)
        .collect();
    match kinds.as_slice() {
        [] => "(nothing)".to_owned(),
        kinds => format!("({})", excerpt(&kinds.join(", "))),
    }
}

/// What a tool asks for before it answers (2026-07-28).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InputRequired<'a> {
    #[serde(borrow, default)]
    result_type: Option<Cow<'a, str>>,
    /// The questions, by the names that their answers are given under.
    #[serde(borrow, default)]
    pub input_requests: BTreeMap<String, InputRequest<'a>>,
    /// To be sent back as it is, if it is there.
    #[serde(borrow, default)]
    pub request_state: Option<&'a RawValue>,
}

/// One such question.
#[derive(Debug, Deserialize)]
pub struct InputRequest<'a> {
    /// What is asked for, such as `elicitation/create`.
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    /// Its parameters.
    #[serde(borrow, default)]
    pub params: Option<&'a RawValue>,
}

/// Reads what a tool asks for, where that is its answer.
#[must_use]
pub fn read_input_required(body: &[u8], id: u64) -> Option<InputRequired<'_>> {
    let result = read_result(body, id).ok()?;
    let asked: InputRequired<'_> = serde_json::from_str(result.get()).ok()?;
    (asked.result_type.as_deref() == Some("input_required")).then_some(asked)
}

/// One page of `tools/list`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolPage {
    /// The tools as the server describes them.
    pub tools: Vec<Value>,
    /// Where the next page starts.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// Checks a whole answer to `tools/list`.
///
/// # Errors
/// The first thing that is not right.
pub fn read_tool_page(body: &[u8], id: u64) -> Result<ToolPage, CallError> {
    let result = read_result(body, id)?;
    serde_json::from_str(result.get()).map_err(|e| {
        CallError::new(
            ErrorKind::Malformed,
            format!("not a tool list ({e}): {}", excerpt(result.get())),
        )
    })
}

/// Who the server says it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// `serverInfo.name`; empty if not said.
    pub name: String,
    /// `serverInfo.version`; empty if not said.
    pub version: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ServerInfo {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
}

impl From<ServerInfo> for Identity {
    fn from(info: ServerInfo) -> Self {
        Self {
            name: excerpt(&info.name),
            version: excerpt(&info.version),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitializeResult {
    protocol_version: String,
    #[serde(default)]
    server_info: ServerInfo,
}

/// Reads the result of `initialize`: who answers, and the revision it chose.
///
/// # Errors
/// The first thing that is not right; `malformed` for a revision that mcpgate does not speak.
pub fn read_initialize(body: &[u8], id: u64) -> Result<(Identity, Revision), CallError> {
    let result = read_result(body, id)?;
    let parsed: InitializeResult = serde_json::from_str(result.get()).map_err(|e| {
        CallError::new(
            ErrorKind::Malformed,
            format!(
                "not a result of initialize ({e}): {}",
                excerpt(result.get())
            ),
        )
    })?;
    let revision = Revision::parse(&parsed.protocol_version)
        .filter(|revision| revision.era() == Era::Legacy)
        .ok_or_else(|| {
            CallError::new(
                ErrorKind::Malformed,
                format!(
                    "initialize was answered with protocol version \"{}\", which mcpgate does not speak",
                    excerpt(&parsed.protocol_version)
                ),
            )
        })?;
    Ok((parsed.server_info.into(), revision))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DiscoverResult {
    supported_versions: Vec<String>,
    #[serde(default)]
    server_info: Option<ServerInfo>,
    #[serde(default, rename = "_meta")]
    meta: Option<Value>,
}

/// Reads the result of `server/discover`: who answers, and the revisions it names.
///
/// # Errors
/// The first thing that is not right.
pub fn read_discover(body: &[u8], id: u64) -> Result<(Identity, Vec<String>), CallError> {
    let result = read_result(body, id)?;
    let parsed: DiscoverResult = serde_json::from_str(result.get()).map_err(|e| {
        CallError::new(
            ErrorKind::Malformed,
            format!(
                "not a result of server/discover ({e}): {}",
                excerpt(result.get())
            ),
        )
    })?;
    let info = parsed.server_info.or_else(|| {
        let in_meta = parsed
            .meta?
            .get("io.modelcontextprotocol/serverInfo")?
            .clone();
        serde_json::from_value(in_meta).ok()
    });
    Ok((
        info.map(Identity::from).unwrap_or_default(),
        parsed.supported_versions,
    ))
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
