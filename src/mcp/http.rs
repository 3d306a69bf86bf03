//! Streamable HTTP: one kept-alive connection for each virtual user.
//!
//! Connecting, draining and header building stay outside the timed span; how an answer is read
//! is in `answer.rs`.

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, LOCATION},
};
use tokio::{
    task::yield_now,
    time::{Duration, sleep, timeout},
};

use super::{
    Limits,
    answer::{
        AnswerReader, LAST_EVENT_ID, Left, Read, Resume, drained, ended_early, too_large, up_to,
    },
    call_clock::{CallClock, TimeIsUp},
    client::Exchange,
    http_target::{Ending, HttpTarget},
    http1::{Connection, Failed, Request, Response, head::Head},
    message::{self, RpcError},
    outcome::{CallError, ErrorKind, Strays, excerpt, excerpt_bytes},
};

pub(super) fn reset(error: &dyn std::error::Error) -> CallError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    CallError::new(ErrorKind::Reset, format!("the connection broke ({text})"))
}

/// How often one answer's stream is asked for again.
const MOST_RESUMPTIONS: u32 = 100;

/// An answer as it came, whatever its status.
#[derive(Debug)]
pub struct HttpAnswer {
    /// Its HTTP status and headers.
    pub head: Head,
    /// The answer and its times.
    pub exchange: Exchange,
}

impl HttpAnswer {
    /// An answer that came without a status and headers of its own.
    pub(super) fn without_http(exchange: Exchange) -> Self {
        Self {
            head: Head::default(),
            exchange,
        }
    }

    /// The exchange, if the status is 2xx.
    ///
    /// # Errors
    /// `http-STATUS` with what the server said.
    pub fn successful(self) -> Result<Exchange, CallError> {
        let status = self.head.status();
        if status.is_success() {
            return Ok(self.exchange);
        }
        if status.is_redirection()
            && let Some(elsewhere) = self.head.get(&LOCATION)
            && let Ok(elsewhere) = elsewhere.to_str()
        {
            return Err(CallError::new(
                ErrorKind::Http(status.as_u16()),
                format!(
                    "HTTP {status}: it redirects to {}; give the URL that it redirects to, since \
                     redirects are not followed",
                    excerpt(elsewhere)
                ),
            ));
        }
        let body = &self.exchange.body;
        let error = message::rpc_error(body);
        let said = error
            .as_ref()
            .map_or_else(|| excerpt_bytes(body), RpcError::in_words);
        let versions = error.map(|error| error.versions()).unwrap_or_default();
        Err(CallError::new(
            ErrorKind::Http(status.as_u16()),
            if said.is_empty() {
                format!("HTTP {status}")
            } else {
                format!("HTTP {status}: {said}")
            },
        )
        .speaking(versions))
    }
}

/// One virtual user's connection.
#[derive(Debug)]
pub struct HttpConnection {
    target: Arc<HttpTarget>,
    /// Absent where it is not open, or an answer on it is not yet read.
    open: Option<Box<Connection>>,
    /// What the last answer left to be read, before the next request and outside its time.
    left: Left,
    limits: Limits,
    clock: CallClock,
    strays: Strays,
    ending: Ending,
}

impl HttpConnection {
    /// A connection that is opened by the first request or by [`Self::ensure_open`].
    #[must_use]
    pub fn new(target: Arc<HttpTarget>, limits: Limits) -> Self {
        Self {
            target,
            open: None,
            left: Left::Nothing,
            limits,
            clock: CallClock::default(),
            strays: Strays::default(),
            ending: Ending::Close,
        }
    }

    /// Another one to the same place, that is cut off where it is given up.
    pub(super) fn another_to_cut(&self) -> Self {
        Self {
            ending: Ending::Reset,
            ..self.another()
        }
    }

    /// Another one to the same place.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::new(Arc::clone(&self.target), self.limits)
    }

    /// Answers that nobody asked for, since the last time this was asked: those that came in an
    /// event stream after its answer.
    pub async fn take_strays(&mut self) -> Strays {
        self.settle().await;
        std::mem::take(&mut self.strays)
    }

    /// Where it leads.
    #[must_use]
    pub fn target(&self) -> &Arc<HttpTarget> {
        &self.target
    }

    /// Reads what the last answer left, or gives the connection up.
    async fn settle(&mut self) {
        if let Left::Stream(rest) = std::mem::replace(&mut self.left, Left::Nothing) {
            self.open = rest.drained(&mut self.strays).await;
        }
    }

    /// Opens the connection if it is not open: to be called before the clock starts. One that the
    /// server has closed meanwhile is opened again, as every client does.
    ///
    /// # Errors
    /// `refused`, `reset` or `timeout`.
    pub async fn ensure_open(&mut self, patience: Duration) -> Result<(), CallError> {
        self.settle().await;
        if let Some(open) = &mut self.open {
            // Lets the runtime see whether the server has closed it.
            yield_now().await;
            if open.is_usable() {
                return Ok(());
            }
            self.open = None;
        }
        let opening = self.target.connect(self.ending);
        let opened = timeout(patience, opening)
            .await
            .map_err(|_| timed_out("connection", patience))??;
        self.open = Some(opened);
        Ok(())
    }

    /// Reads what the last answer left; whether the connection can then be used as it is.
    pub(super) async fn stays_open(&mut self) -> bool {
        self.settle().await;
        self.open.is_some()
    }

    /// The open connection, without a look at the network if it was made ready before.
    async fn taken(&mut self, patience: Duration) -> Result<Box<Connection>, CallError> {
        if self.open.is_none() || !matches!(self.left, Left::Nothing) {
            // Seldom, so it takes no room in the future of every call.
            Box::pin(self.ensure_open(patience)).await?;
        }
        self.open
            .take()
            .ok_or_else(|| CallError::new(ErrorKind::Closed, "the connection is not open"))
    }

    /// Posts a message and waits for the answer under `id`. Where `is_resumable` (2025-11-25 and
    /// before), an event stream that ends before the answer is asked for again as its server
    /// wants it; that is in the call's time.
    ///
    /// # Errors
    /// `refused`, `reset`, `timeout` or `too-large`; an answer of any status is no error here. The
    /// connection is given up on every error: for the 2026-07-28 revision that is the
    /// cancellation.
    pub async fn post(
        &mut self,
        id: u64,
        body: Bytes,
        headers: &HeaderMap,
        is_resumable: bool,
        patience: Duration,
    ) -> Result<HttpAnswer, CallError> {
        let target = Arc::clone(&self.target);
        let reader = AnswerReader {
            id,
            target: &target,
            headers,
            limits: self.limits,
        };
        let mut has_begun = false;
        let mut clock = std::mem::take(&mut self.clock);
        let read = {
            // One time limit for all of it, since each costs every call.
            let exchange = pin!(async {
                let request = (&Method::POST, &body, headers);
                let mut response = self.head(request, patience).await?;
                let times = (response.sent, response.first_byte);
                has_begun = true;
                for _ in 0..=MOST_RESUMPTIONS {
                    let resume = match reader.read(response, times).await? {
                        Read::Whole(answer, left) => return Ok((answer, left)),
                        Read::Broken(resume, open) if is_resumable => {
                            self.open = open;
                            resume
                        }
                        Read::Broken(..) => break,
                    };
                    response = Box::pin(self.resume(id, resume, headers, patience)).await?;
                }
                Err(ended_early(id))
            });
            clock.limit(patience, exchange).await
        };
        self.clock = clock;
        let what = if has_begun { "whole answer" } else { "answer" };
        let (answer, left) = read.unwrap_or_else(|_| Err(timed_out(what, patience)))?;
        match left {
            Left::Connection(open) => self.open = Some(open),
            left => self.left = left,
        }
        Ok(answer)
    }

    /// Asks for the rest of a stream that ended before the answer under `id`.
    async fn resume(
        &mut self,
        id: u64,
        resume: Resume,
        headers: &HeaderMap,
        patience: Duration,
    ) -> Result<Response, CallError> {
        sleep(resume.after).await;
        let mut headers = headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.remove(CONTENT_TYPE);
        headers.insert(LAST_EVENT_ID, resume.last_event_id);
        let response = self.get(&headers, patience).await?;
        let status = response.status();
        if status.is_success() && response.head.is_event_stream() {
            return Ok(response);
        }
        let error = ended_early(id);
        Err(CallError::new(
            error.kind,
            format!(
                "{}; asked for the rest by Last-Event-ID, the server answered HTTP {status}",
                error.message
            ),
        ))
    }

    /// Sends a request of which only the status matters (a notification, or `DELETE`).
    ///
    /// # Errors
    /// `refused`, `reset` or `timeout`.
    pub async fn status_of(
        &mut self,
        method: Method,
        body: Bytes,
        headers: &HeaderMap,
        patience: Duration,
    ) -> Result<StatusCode, CallError> {
        let response = self.begin((&method, &body, headers), patience).await?;
        let status = response.status();
        self.open = drained(response.body).await;
        Ok(status)
    }

    /// Posts a message, and reads what comes only after `meanwhile`; whether the answer under `id` is
    /// then whole and of a good status.
    pub(super) async fn post_and_read_late<T>(
        &mut self,
        (id, body): (u64, Bytes),
        headers: &HeaderMap,
        (patience, meanwhile): (Duration, impl Future<Output = T>),
    ) -> (T, bool) {
        let begun = self.begin((&Method::POST, &body, headers), patience).await;
        let done = meanwhile.await;
        let Ok(response) = begun else {
            return (done, false);
        };
        let target = Arc::clone(&self.target);
        let reader = AnswerReader {
            id,
            target: &target,
            headers,
            limits: self.limits,
        };
        let times = (response.sent, response.first_byte);
        let read = timeout(patience, reader.read(response, times)).await;
        let is_whole = match read {
            Ok(Ok(Read::Whole(answer, _))) => answer.successful().is_ok(),
            _ => false,
        };
        (done, is_whole)
    }

    /// Sends a request and waits for its whole answer, of any status.
    ///
    /// # Errors
    /// `refused`, `reset`, `timeout` or `too-large`.
    pub(super) async fn whole(
        &mut self,
        method: Method,
        body: Bytes,
        headers: &HeaderMap,
        patience: Duration,
    ) -> Result<(StatusCode, Bytes), CallError> {
        let limit = self.limits.message_bytes;
        let exchange = async {
            let mut response = self.begin((&method, &body, headers), patience).await?;
            let status = response.status();
            match up_to(&mut response.body, limit, response.first_byte).await? {
                (read, _, true) => {
                    self.open = response.body.finish();
                    Ok((status, read))
                }
                (_, _, false) => Err(too_large(limit)),
            }
        };
        timeout(patience, exchange)
            .await
            .unwrap_or_else(|_| Err(timed_out("whole answer", patience)))
    }

    /// Asks for what is at the target, and waits for its head.
    ///
    /// # Errors
    /// `refused`, `reset` or `timeout`.
    pub(super) async fn get(
        &mut self,
        headers: &HeaderMap,
        patience: Duration,
    ) -> Result<Response, CallError> {
        self.begin((&Method::GET, &Bytes::new(), headers), patience)
            .await
    }

    /// Sends a request and waits for the head of what comes.
    ///
    /// A request of which no byte was written, since the server had closed the kept connection, is
    /// sent once more on a new one, by a new clock: the server never saw it. One that was written
    /// is not: it may have been acted on, and is counted as `reset`.
    async fn begin(
        &mut self,
        request: Asked<'_>,
        patience: Duration,
    ) -> Result<Response, CallError> {
        let mut clock = std::mem::take(&mut self.clock);
        let begun = {
            let head = pin!(self.head(request, patience));
            clock.limit(patience, head).await
        };
        self.clock = clock;
        begun.unwrap_or_else(|TimeIsUp| Err(timed_out("answer", patience)))
    }

    /// [`Self::begin`] without a bound on the waiting for the head.
    async fn head(
        &mut self,
        (method, body, headers): Asked<'_>,
        patience: Duration,
    ) -> Result<Response, CallError> {
        let target = Arc::clone(&self.target);
        let request = Request {
            method,
            target: target.path(),
            headers,
            body,
        };
        let mut is_repeated = false;
        loop {
            let open = self.taken(patience).await?;
            match open.ask(request).await {
                Ok(response) => return Ok(response),
                Err(Failed { is_unsent, .. }) if is_unsent && !is_repeated => is_repeated = true,
                Err(Failed { error, .. }) => return Err(reset(&error)),
            }
        }
    }
}

/// Method, body and headers of a request.
type Asked<'a> = (&'a Method, &'a Bytes, &'a HeaderMap);

pub(super) fn timed_out(what: &str, patience: Duration) -> CallError {
    CallError::new(
        ErrorKind::Timeout,
        format!("no {what} within {}", humantime::format_duration(patience)),
    )
}
