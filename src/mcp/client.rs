//! One client of a server: requests prepared, sent, answered.

mod rough;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::time::{Duration, Instant};

use super::{
    Limits,
    answer::post_aside,
    elicitation::Elicitation,
    header_text::header_text,
    http::{HttpAnswer, HttpConnection},
    http_target::HttpTarget,
    listening::Listening,
    message::{self, Identity},
    outcome::{CallError, ErrorKind, Strays},
    param_headers::ParamHeaders,
    request::{self, RequestWriter, TOOLS_CALL},
    revision::{Era, Revision},
    sse_link::SseLink,
    stdio::StdioLink,
};

pub use super::handshake::{OpenError, Opened, Wanted, open};

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");

/// How long a server may take to end a session. It is told so out of politeness, between rounds
/// that it must not delay.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// How often one call is made again with what its tool asks for.
const MOST_QUESTIONS: u32 = 8;

/// An answered call with its times.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The id that the answer must have.
    pub id: u64,
    /// When the request began to be sent.
    pub sent: Instant,
    /// When the answer's first byte was there.
    pub first_byte: Instant,
    /// When the answer's last byte was there.
    pub last_byte: Instant,
    /// The answer: one JSON-RPC message, not yet looked at.
    pub body: Bytes,
}

impl Exchange {
    /// From the request's start to the answer's last byte.
    #[must_use]
    pub fn wall(&self) -> Duration {
        self.last_byte - self.sent
    }
}

/// A request that is ready to be sent.
#[derive(Debug)]
pub struct Prepared {
    /// The id it is asked under.
    pub id: u64,
    body: Bytes,
    /// For HTTP: the headers of this request, if they are not the session's.
    headers: Option<Arc<HeaderMap>>,
    /// The call that it is, if it may have to be made again.
    call: Option<Box<Call>>,
}

/// A tool call, kept to be made again with what its tool asks for.
#[derive(Debug)]
struct Call {
    tool: String,
    arguments: Vec<u8>,
    mirrored: ParamHeaders,
}

/// The headers of the request that was prepared last, since the next one is most often alike.
struct Named {
    method: String,
    name: Option<String>,
    headers: Arc<HeaderMap>,
}

impl Named {
    /// The headers of a request in the 2026-07-28 revision, whose session's headers never change.
    fn kept(
        last: &mut Option<Self>,
        session: &HeaderMap,
        method: &str,
        name: Option<&str>,
    ) -> Arc<HeaderMap> {
        if let Some(last) = last
            && last.method == method
            && last.name.as_deref() == name
        {
            return Arc::clone(&last.headers);
        }
        let mut headers = session.clone();
        headers.insert(MCP_METHOD, header_text(method));
        if let Some(name) = name {
            headers.insert(MCP_NAME, header_text(name));
        }
        let headers = Arc::new(headers);
        *last = Some(Self {
            method: method.to_owned(),
            name: name.map(str::to_owned),
            headers: Arc::clone(&headers),
        });
        headers
    }
}

/// How a server is reached.
#[derive(Clone)]
pub enum Endpoint {
    /// Through its pipes.
    Stdio(StdioLink),
    /// Over streamable HTTP.
    Http(Arc<HttpTarget>),
    /// Over the older HTTP+SSE.
    Sse(Arc<HttpTarget>),
}

/// The stream on which a server says what belongs to no call.
enum Listens {
    /// None is to be opened: another era, or another client's.
    No,
    /// To be opened before the next call.
    Wanted,
    /// Open, or not to be had.
    Opened(#[expect(dead_code, reason = "held for the stream")] Listening),
}

enum Link {
    Stdio(StdioLink),
    Http {
        connection: Box<HttpConnection>,
        /// Of all clients of this session.
        next_id: Arc<AtomicU64>,
        /// Of every request of this session.
        headers: HeaderMap,
        /// Whether this client opened a session, which it then ends.
        has_session: bool,
        /// Of the session's first client.
        listening: Listens,
    },
    Sse {
        link: Box<SseLink>,
        /// Of every request of this session.
        headers: HeaderMap,
    },
}

/// One virtual user's client.
pub struct Client {
    link: Link,
    writer: RequestWriter,
    revision: Revision,
    pub(super) limits: Limits,
    params: Vec<u8>,
    named: Option<Named>,
}

impl Client {
    pub(super) fn new(endpoint: &Endpoint, revision: Revision, limits: Limits) -> Self {
        let link = match endpoint {
            Endpoint::Stdio(link) => Link::Stdio(link.clone()),
            Endpoint::Http(target) => {
                let mut headers = target.headers().clone();
                if revision.era() == Era::Modern {
                    headers.insert(
                        PROTOCOL_VERSION,
                        HeaderValue::from_static(revision.as_str()),
                    );
                }
                Link::Http {
                    connection: Box::new(HttpConnection::new(Arc::clone(target), limits)),
                    next_id: Arc::new(AtomicU64::new(1)),
                    headers,
                    has_session: false,
                    listening: Listens::No,
                }
            }
            Endpoint::Sse(target) => Link::Sse {
                headers: target.headers().clone(),
                link: Box::new(SseLink::new(Arc::clone(target), limits)),
            },
        };
        Self {
            link,
            writer: RequestWriter::new(revision, limits.elicitation),
            revision,
            limits,
            params: Vec::new(),
            named: None,
        }
    }

    /// The negotiated revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Changes how long one call may take: a handshake of a starting server may take longer.
    pub fn set_call_timeout(&mut self, call_timeout: Duration) {
        self.limits.call_timeout = call_timeout;
    }

    /// Another client of the same session: on the same pipes, or over HTTP on a connection of its
    /// own. `None` where an event stream that they would share was never opened.
    #[must_use]
    pub fn share(&self) -> Option<Self> {
        let link = match &self.link {
            Link::Stdio(link) => Link::Stdio(link.clone()),
            Link::Http {
                connection,
                next_id,
                headers,
                ..
            } => Link::Http {
                connection: Box::new(connection.another()),
                next_id: Arc::clone(next_id),
                headers: headers.clone(),
                has_session: false,
                listening: Listens::No,
            },
            Link::Sse { link, headers } => Link::Sse {
                link: Box::new(link.share()?),
                headers: headers.clone(),
            },
        };
        Some(Self {
            link,
            writer: self.writer.clone(),
            revision: self.revision,
            limits: self.limits,
            params: Vec::new(),
            named: None,
        })
    }

    /// Writes a request. `params` holds the members of the parameters object, without braces.
    #[must_use]
    pub fn prepare(&mut self, method: &str, params: &[u8]) -> Prepared {
        self.prepare_named(method, None, params)
    }

    /// Writes a tool call. `arguments` is a JSON object; those that the tool wants in headers are
    /// sent there as well, where the revision has such headers.
    #[must_use]
    pub fn prepare_call(
        &mut self,
        tool: &str,
        arguments: &[u8],
        mirrored: &ParamHeaders,
    ) -> Prepared {
        let mut prepared = self.prepare_call_with(tool, arguments, mirrored, "");
        let may_ask = self.revision.era() == Era::Modern;
        if may_ask && self.limits.elicitation != Elicitation::Refused {
            prepared.call = Some(Box::new(Call {
                tool: tool.to_owned(),
                arguments: arguments.to_owned(),
                mirrored: mirrored.clone(),
            }));
        }
        prepared
    }

    /// `more` holds further members of the parameters object, after a comma.
    fn prepare_call_with(
        &mut self,
        tool: &str,
        arguments: &[u8],
        mirrored: &ParamHeaders,
        more: &str,
    ) -> Prepared {
        let mut params = std::mem::take(&mut self.params);
        params.clear();
        RequestWriter::write_tool_params(&mut params, tool, arguments);
        params.extend_from_slice(more.as_bytes());
        let mut prepared = self.prepare_named(TOOLS_CALL, Some(tool), &params);
        if let Some(headers) = &mut prepared.headers
            && !mirrored.is_empty()
        {
            mirrored.add_to(Arc::make_mut(headers), arguments);
        }
        self.params = params;
        prepared
    }

    /// [`Self::prepare`] of a request about one thing, whose name travels as a header, too, where
    /// the revision has such headers.
    #[must_use]
    pub fn prepare_named(&mut self, method: &str, name: Option<&str>, params: &[u8]) -> Prepared {
        let mut body = Vec::with_capacity(params.len() + 320);
        match &mut self.link {
            Link::Stdio(link) => {
                let id = link.next_id();
                self.writer.write(&mut body, id, method, params);
                body.push(b'\n');
                Prepared {
                    id,
                    body: body.into(),
                    headers: None,
                    call: None,
                }
            }
            Link::Http {
                next_id, headers, ..
            } => {
                let id = next_id.fetch_add(1, Ordering::Relaxed);
                self.writer.write(&mut body, id, method, params);
                let own = (self.revision.era() == Era::Modern)
                    .then(|| Named::kept(&mut self.named, headers, method, name));
                Prepared {
                    id,
                    body: body.into(),
                    headers: own,
                    call: None,
                }
            }
            Link::Sse { link, .. } => {
                let id = link.next_id();
                self.writer.write(&mut body, id, method, params);
                Prepared {
                    id,
                    body: body.into(),
                    headers: None,
                    call: None,
                }
            }
        }
    }

    /// Does what may be done before the clock starts: opens the connection, and in the
    /// `initialize` era the stream on which the server says what belongs to no call.
    ///
    /// # Errors
    /// `refused`, `reset` or `timeout`.
    pub async fn make_ready(&mut self) -> Result<(), CallError> {
        match &mut self.link {
            Link::Stdio(_) => Ok(()),
            Link::Http {
                connection,
                headers,
                listening,
                ..
            } => {
                if matches!(listening, Listens::Wanted) {
                    let target = connection.target();
                    *listening =
                        Listens::Opened(Listening::begin(target, headers, self.limits).await);
                }
                connection.ensure_open(self.limits.call_timeout).await
            }
            Link::Sse { link, headers } => link.make_ready(headers, self.limits.call_timeout).await,
        }
    }

    /// [`Self::make_ready`] right after a call: over HTTP without a look at the network, if the
    /// connection is as that call left it. One that the server closed just then is opened again
    /// all the same, unless the next request was already written.
    ///
    /// # Errors
    /// As [`Self::make_ready`].
    pub async fn stay_ready(&mut self) -> Result<(), CallError> {
        if let Link::Http {
            connection,
            listening: Listens::No | Listens::Opened(_),
            ..
        } = &mut self.link
            && connection.stays_open().await
        {
            return Ok(());
        }
        Box::pin(self.make_ready()).await
    }

    /// Sends a prepared request and waits for its whole answer, which is not looked at.
    ///
    /// A call that times out is cancelled, so that the server need not go on with it at the cost
    /// of the next. Where a tool asks for input that can be given (2026-07-28), it is given, and
    /// the times are those of all requests together, without what lies between them.
    ///
    /// # Errors
    /// Any [`ErrorKind`] of the transport.
    pub async fn send(&mut self, prepared: &Prepared) -> Result<Exchange, CallError> {
        let mut exchange = self.send_once(prepared).await?;
        let Some(call) = &prepared.call else {
            return Ok(exchange);
        };
        for _ in 0..MOST_QUESTIONS {
            let asked = message::read_input_required(&exchange.body, exchange.id);
            let Some(given) = asked.and_then(|asked| self.limits.elicitation.given(&asked)) else {
                break;
            };
            let again = self.prepare_call_with(&call.tool, &call.arguments, &call.mirrored, &given);
            self.make_ready().await?;
            let before = exchange.wall();
            exchange = self.send_once(&again).await?;
            exchange.sent -= before;
        }
        Ok(exchange)
    }

    async fn send_once(&mut self, prepared: &Prepared) -> Result<Exchange, CallError> {
        let answer = self.answer_to(prepared).await;
        if let Err(error) = &answer
            && error.kind == ErrorKind::Timeout
        {
            self.cancel(prepared.id);
        }
        answer?.successful()
    }

    /// In the `initialize` era a broken connection cancels nothing, so it is said; in the other the
    /// closed connection is the cancellation. The pipes see to it themselves.
    fn cancel(&self, id: u64) {
        if let Link::Http {
            connection,
            headers,
            ..
        } = &self.link
            && self.revision.era() == Era::Legacy
        {
            post_aside(connection.target(), headers, request::cancelled(id));
        }
    }

    async fn answer_to(&mut self, prepared: &Prepared) -> Result<HttpAnswer, CallError> {
        match &mut self.link {
            Link::Stdio(link) => link
                .send(prepared.id, prepared.body.clone(), self.limits.call_timeout)
                .await
                .map(HttpAnswer::without_http),
            Link::Sse { link, headers } => link
                .send(
                    prepared.id,
                    prepared.body.clone(),
                    headers,
                    self.limits.call_timeout,
                )
                .await
                .map(HttpAnswer::without_http),
            Link::Http {
                connection,
                headers,
                ..
            } => {
                let headers = prepared.headers.as_deref().unwrap_or(headers);
                connection
                    .post(
                        prepared.id,
                        prepared.body.clone(),
                        headers,
                        self.revision.era() == Era::Legacy,
                        self.limits.call_timeout,
                    )
                    .await
            }
        }
    }

    pub(super) async fn finish_initialize(
        &mut self,
        prepared: &Prepared,
    ) -> Result<Identity, CallError> {
        let answer = self.answer_to(prepared).await?;
        let session = answer.head.get(&SESSION_ID);
        let exchange = answer.successful()?;
        let (identity, revision) = message::read_initialize(&exchange.body, prepared.id)?;
        self.revision = revision;
        self.writer = RequestWriter::new(revision, self.limits.elicitation);
        if let Link::Http {
            headers,
            has_session,
            listening,
            ..
        } = &mut self.link
        {
            *listening = Listens::Wanted;
            if let Some(mut session) = session {
                session.set_sensitive(true);
                headers.insert(SESSION_ID, session);
                *has_session = true;
            }
            if revision.has_version_header() {
                headers.insert(
                    PROTOCOL_VERSION,
                    HeaderValue::from_static(revision.as_str()),
                );
            }
        }
        self.notify("notifications/initialized").await?;
        Ok(identity)
    }

    async fn notify(&mut self, method: &str) -> Result<(), CallError> {
        let mut body = request::notification(method, None);
        match &mut self.link {
            Link::Stdio(link) => {
                body.push(b'\n');
                link.notify(body.into(), self.limits.call_timeout).await
            }
            Link::Sse { link, headers } => {
                link.notify(body.into(), headers, self.limits.call_timeout)
                    .await
            }
            Link::Http {
                connection,
                headers,
                ..
            } => {
                let status = connection
                    .status_of(Method::POST, body.into(), headers, self.limits.call_timeout)
                    .await?;
                if status.is_success() {
                    Ok(())
                } else {
                    Err(CallError::new(
                        ErrorKind::Http(status.as_u16()),
                        format!("HTTP {status} for {method}"),
                    ))
                }
            }
        }
    }

    /// Why no further call can be made over the server's pipes.
    #[must_use]
    pub fn down(&self) -> Option<CallError> {
        match &self.link {
            Link::Stdio(link) => link.down(),
            Link::Http { .. } | Link::Sse { .. } => None,
        }
    }

    /// Answers that nobody asked for, since the last time this was asked. Over stdio they are
    /// those of all clients on the same pipes.
    pub async fn take_strays(&mut self) -> Strays {
        match &mut self.link {
            Link::Stdio(link) => link.take_strays(),
            Link::Sse { link, .. } => link.take_strays(),
            Link::Http { connection, .. } => connection.take_strays().await,
        }
    }

    /// Whether the server gave this client a session (`Mcp-Session-Id`) that it can end.
    #[must_use]
    pub fn has_session(&self) -> bool {
        matches!(self.link, Link::Http { has_session, .. } if has_session)
    }

    /// Ends the session where there is one (`DELETE`); what the server says to it does not matter.
    pub async fn close(mut self) {
        if let Link::Http {
            connection,
            headers,
            has_session: true,
            ..
        } = &mut self.link
        {
            let patience = self.limits.call_timeout.min(CLOSE_PATIENCE);
            let _ = connection
                .status_of(Method::DELETE, Bytes::new(), headers, patience)
                .await;
        }
    }
}
