//! The streamable HTTP transport: one endpoint, `/mcp`, for both protocol eras.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::{Request, body::Incoming};
use serde_json::Value;

use super::{
    Era,
    body::ReplyBody,
    headers::{self, PROTOCOL_VERSION, SESSION_ID},
    listen::{self, Delay, Handler, read},
    message::{Message, Version},
    plan::{Answer, CallPlan},
    protocol::{Call, Step},
    reply::{
        Reply, bare, encode, event, events, json, not_allowed, opening, refuse, refuse_request,
        status,
    },
    rpc::{Refusal, RpcError},
    server::Server,
    sessions::{NoSession, Sessions},
};

/// The path of the endpoint.
pub(crate) const PATH: &str = "/mcp";
/// Serves until the process ends; see [`listen::run`].
pub(crate) async fn run(server: Arc<Server>, port: u16) -> io::Result<()> {
    let delay = if server.lasting.in_two_parts() {
        Delay::Nagle
    } else {
        Delay::None
    };
    listen::run(port, PATH, (handler(server), delay)).await
}

/// What answers the requests of one endpoint.
pub(crate) fn handler(server: Arc<Server>) -> impl Handler {
    let endpoint = Arc::new(Endpoint {
        server,
        sessions: Mutex::default(),
        streams: AtomicU64::new(0),
    });
    move |request| {
        let endpoint = Arc::clone(&endpoint);
        async move { endpoint.handle(request).await }
    }
}

struct Endpoint {
    server: Arc<Server>,
    sessions: Mutex<Sessions>,
    /// Event streams opened so far, for ids that never repeat.
    streams: AtomicU64,
}

impl Endpoint {
    async fn handle(&self, request: Request<Incoming>) -> Reply {
        let lasting = &self.server.lasting;
        let mut reply = self.answer(request).await;
        let turn = lasting.writer().await;
        if (turn.is_some() || lasting.in_two_parts())
            && let ReplyBody::Whole(bytes) = reply.body_mut()
            && let Some(bytes) = bytes.take()
        {
            *reply.body_mut() = ReplyBody::in_parts(bytes, lasting.in_two_parts(), turn);
        }
        reply
    }

    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        // Read even where it is refused unread: else the connection closes under the client's
        // hands while it still writes.
        let body = match read(body).await {
            Ok(body) => body,
            Err(reply) => return *reply,
        };
        if head.uri.path() != PATH {
            return refuse(StatusCode::NOT_FOUND, "the endpoint is /mcp");
        }
        if !headers::comes_from_this_machine(&head.headers) {
            return refuse(StatusCode::FORBIDDEN, "this Origin is not allowed");
        }
        let has_sessions = self.server.rules.era() != Era::Modern;
        match head.method {
            Method::POST => self.post(&head.headers, &body).await,
            Method::DELETE if has_sessions => self.delete(&head.headers),
            _ if has_sessions => not_allowed("POST, DELETE"),
            _ => not_allowed("POST"),
        }
    }

    fn delete(&self, headers: &HeaderMap) -> Reply {
        match headers::text(headers, SESSION_ID) {
            None => NoSession::Missing.reply(),
            Some(id) if self.sessions().remove(id) => bare(StatusCode::OK),
            Some(_) => NoSession::Unknown.reply(),
        }
    }

    async fn post(&self, headers: &HeaderMap, body: &[u8]) -> Reply {
        if !headers::sends_json(headers) {
            return refuse(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Content-Type must be application/json",
            );
        }
        if !headers::accepts_both_forms(headers) {
            return refuse(
                StatusCode::NOT_ACCEPTABLE,
                "Accept must name both application/json and text/event-stream",
            );
        }
        match serde_json::from_slice(body) {
            Ok(Value::Array(batch)) => self.batch(headers, batch).await,
            Ok(value) => match Message::parse(value) {
                Ok(message) => self.message(headers, message).await,
                Err(refusal) => refuse_request(refusal),
            },
            Err(error) => refuse_request(Refusal::without_id(RpcError::parse(format!(
                "not JSON: {error}"
            )))),
        }
    }

    /// Whether a message is meant for 2026-07-28: by its body, else by its version header.
    fn is_modern(&self, headers: &HeaderMap, message: &Message) -> bool {
        let named = headers::text(headers, PROTOCOL_VERSION);
        let header_is_legacy = named
            .is_none_or(|name| Version::named(name).is_some_and(|version| !version.is_modern()));
        match (self.server.rules.era(), message) {
            (Era::Modern, _) => true,
            (Era::Legacy, _) => false,
            (Era::Both, Message::Request(request)) => {
                request.claims_modern()
                    || (!header_is_legacy
                        && request.method != "initialize"
                        && !headers.contains_key(SESSION_ID))
            }
            (Era::Both, Message::Notification { .. } | Message::Response) => {
                !header_is_legacy && !headers.contains_key(SESSION_ID)
            }
        }
    }

    async fn message(&self, headers: &HeaderMap, message: Message) -> Reply {
        let modern = self.is_modern(headers, &message);
        let request = match message {
            Message::Request(request) => request,
            Message::Response if modern => {
                return refuse(
                    StatusCode::BAD_REQUEST,
                    "2026-07-28 has no messages from client to server but requests and \
                     notifications",
                );
            }
            Message::Notification { .. } | Message::Response => {
                if !modern && let Err(problem) = self.session(headers) {
                    return problem.reply();
                }
                return bare(StatusCode::ACCEPTED);
            }
        };
        if request.opens() && self.server.hangs_on_opening() {
            return std::future::pending().await;
        }
        if modern {
            // A client of the sessions learns more from the version than from a missing header.
            let is_stray_initialize =
                request.method == "initialize" && request.meta_version().is_none();
            if !is_stray_initialize && let Err(error) = headers::check_modern(headers, &request) {
                return refuse_request(Refusal {
                    id: Some(request.id),
                    error,
                });
            }
            return self.reply(self.server.rules.modern(request), None).await;
        }
        if request.method == "initialize" && !headers.contains_key(SESSION_ID) {
            if self.server.lasting.is_full(self.sessions().count()) {
                return refuse(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "too many sessions are open",
                );
            }
            let step = self.server.rules.legacy(request, None);
            return self.reply(step, None).await;
        }
        match self.session(headers) {
            Ok(version) => {
                let step = self.server.rules.legacy(request, Some(version));
                self.reply(step, Some(version)).await
            }
            Err(problem) => problem.reply(),
        }
    }

    /// 2025-03-26 alone: the answers to a batch come together.
    async fn batch(&self, headers: &HeaderMap, batch: Vec<Value>) -> Reply {
        let version = match self.session(headers) {
            Ok(version) if version.has_batches() && !batch.is_empty() => version,
            Ok(_) => {
                return refuse(
                    StatusCode::BAD_REQUEST,
                    "this protocol version has no batches",
                );
            }
            Err(problem) => return problem.reply(),
        };
        let mut answers = Vec::new();
        for value in batch {
            match Message::parse(value) {
                Ok(Message::Request(request)) => {
                    match self.server.rules.legacy(request, Some(version)) {
                        Step::Reply(reply) | Step::Opened { reply, .. } => answers.push(reply.body),
                        Step::Call(call) => {
                            let plan = self.server.plan.next_call(call.tool);
                            answers.extend(self.server.run(call, &plan).await);
                        }
                    }
                }
                Ok(Message::Notification { .. } | Message::Response) => {}
                Err(refusal) => answers.push(refusal.into_body()),
            }
        }
        if answers.is_empty() {
            return bare(StatusCode::ACCEPTED);
        }
        json(StatusCode::OK, &Value::Array(answers))
    }

    /// What an event stream opens with.
    fn opening(&self, version: Option<Version>) -> Bytes {
        let id = version
            .is_some_and(Version::has_priming_event)
            .then(|| self.streams.fetch_add(1, Ordering::Relaxed) + 1);
        opening(id)
    }

    /// `session`: the version of the session, where there is one.
    async fn reply(&self, step: Step, session: Option<Version>) -> Reply {
        if let Step::Reply(reply) | Step::Opened { reply, .. } = &step {
            self.server.lasting.before_reply(reply.is_error()).await;
        }
        match step {
            Step::Reply(reply) if reply.http_status == 200 && self.server.sse => events(
                self.opening(session),
                std::future::ready(event(&reply.body)),
            ),
            Step::Reply(reply) => json(status(reply.http_status), &reply.body),
            Step::Opened { reply, version } => {
                let mut answer = if self.server.sse {
                    events(
                        self.opening(Some(version)),
                        std::future::ready(event(&reply.body)),
                    )
                } else {
                    json(StatusCode::OK, &reply.body)
                };
                let held = self.server.lasting.session_opens();
                let id = self.sessions().open(version, held);
                if let Ok(id) = HeaderValue::from_str(&id) {
                    answer.headers_mut().insert(SESSION_ID, id);
                }
                answer
            }
            Step::Call(call) => {
                let plan = self.server.plan.next_call(call.tool);
                self.call(call, plan).await
            }
        }
    }

    async fn call(&self, call: Call, plan: CallPlan) -> Reply {
        if let Answer::HttpStatus(code) = plan.answer {
            let mut reply = bare(status(code));
            if code == 503 {
                reply
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            return reply;
        }
        let server = Arc::clone(&self.server);
        if (self.server.sse || plan.duplicate) && !plan.truncate {
            let opening = self.opening(Some(call.version));
            let rest = async move {
                let Some(body) = server.run(call, &plan).await else {
                    return std::future::pending().await;
                };
                let mut bytes = event(&body);
                if plan.duplicate {
                    bytes = [bytes.clone(), bytes].concat().into();
                }
                bytes
            };
            return events(opening, rest);
        }
        let Some(body) = server.run(call, &plan).await else {
            return std::future::pending().await;
        };
        let mut reply = json(StatusCode::OK, &body);
        if plan.truncate {
            let whole = encode(&body);
            reply
                .headers_mut()
                .insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
            *reply.body_mut() = ReplyBody::Cut {
                part: Some(whole.slice(..whole.len() / 2)),
                sent: false,
            };
        }
        reply
    }

    /// The version of the session that a request belongs to.
    fn session(&self, headers: &HeaderMap) -> Result<Version, NoSession> {
        let id = headers::text(headers, SESSION_ID).ok_or(NoSession::Missing)?;
        let version = self.sessions().version(id).ok_or(NoSession::Unknown)?;
        match headers.get(PROTOCOL_VERSION) {
            Some(named) if named.as_bytes() != version.as_str().as_bytes() => {
                Err(NoSession::OtherVersion(version))
            }
            _ => Ok(version),
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
