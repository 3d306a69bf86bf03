//! The older HTTP+SSE transport (2024-11-05): messages are posted, answers come on one event
//! stream.
//!
//! Latency runs from the post to the event with the answer, never to the post's own 202. The
//! stream is the session: a lost one is never opened again by itself.

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Duration, Instant, timeout},
};

use super::{
    Limits,
    answer::drained,
    call_clock::{CallClock, TimeIsUp},
    client::Exchange,
    http::{HttpConnection, reset, timed_out},
    http_target::HttpTarget,
    http1::Body,
    outcome::{CallError, ErrorKind, Strays, excerpt, excerpt_bytes},
    request,
    router::{Arrival, Router, reading_ended},
    sse::{Event, SseParser},
};

/// Name of the event that says where to post.
const ENDPOINT: &str = "endpoint";
/// How long a server may take to accept what nobody waits for.
const REPLY_PATIENCE: Duration = Duration::from_secs(30);

/// One client's stream and the connection that it posts on.
pub(super) struct SseLink {
    target: Arc<HttpTarget>,
    limits: Limits,
    router: Arc<Router>,
    /// Taken by the task that sends them.
    replies: Option<mpsc::Receiver<Vec<u8>>>,
    /// Absent until the stream is open.
    post: Option<HttpConnection>,
    clock: CallClock,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for SseLink {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl SseLink {
    /// A link that is opened by [`Self::make_ready`].
    pub(super) fn new(target: Arc<HttpTarget>, limits: Limits) -> Self {
        let (router, replies) = Router::new(limits.elicitation);
        Self {
            target,
            limits,
            router: Arc::new(router),
            replies: Some(replies),
            post: None,
            clock: CallClock::default(),
            tasks: Vec::new(),
        }
    }

    /// Another link with the same stream, which posts on a connection of its own; it ends with
    /// this one. `None` before the stream was opened.
    pub(super) fn share(&self) -> Option<Self> {
        Some(Self {
            target: Arc::clone(&self.target),
            limits: self.limits,
            router: Arc::clone(&self.router),
            replies: None,
            post: Some(self.post.as_ref()?.another()),
            clock: CallClock::default(),
            tasks: Vec::new(),
        })
    }

    /// An id that was never used on this stream.
    pub(super) fn next_id(&self) -> u64 {
        self.router.next_id()
    }

    /// Answers that nobody asked for, since the last time this was asked.
    pub(super) fn take_strays(&self) -> Strays {
        self.router.take_strays()
    }

    /// Opens the stream the first time, and the connection for the next post.
    ///
    /// # Errors
    /// Any of the transport; `malformed` where what is at the URL is no event stream, or tells no
    /// place to post to that may be used.
    pub(super) async fn make_ready(
        &mut self,
        headers: &HeaderMap,
        patience: Duration,
    ) -> Result<(), CallError> {
        if self.post.is_none() {
            timeout(patience, self.open_stream(headers, patience))
                .await
                .unwrap_or_else(|_| Err(timed_out("`endpoint` event", patience)))?;
        }
        match &mut self.post {
            Some(post) => post.ensure_open(patience).await,
            None => Err(reading_ended()),
        }
    }

    async fn open_stream(
        &mut self,
        headers: &HeaderMap,
        patience: Duration,
    ) -> Result<(), CallError> {
        let mut headers = headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.remove(CONTENT_TYPE);
        let mut stream = HttpConnection::new(Arc::clone(&self.target), self.limits);
        let response = stream.get(&headers, patience).await?;
        let status = response.status();
        if !status.is_success() || !response.head.is_event_stream() {
            drained(response.body).await;
            let kind = if status.is_success() {
                ErrorKind::Malformed
            } else {
                ErrorKind::Http(status.as_u16())
            };
            return Err(CallError::new(
                kind,
                format!("GET of the event stream was answered with HTTP {status} and no stream"),
            ));
        }
        let (told, endpoint) = oneshot::channel();
        let reader = Reader {
            router: Arc::clone(&self.router),
            told: Some(told),
            limit: self.limits.message_bytes,
        };
        self.tasks.push(tokio::spawn(reader.read(response.body)));
        let reference = endpoint.await.map_err(|_| {
            self.router
                .down()
                .unwrap_or_else(|| CallError::new(ErrorKind::Closed, "the event stream ended"))
        })?;
        let messages = self.target.at(&reference).map_err(|why| {
            CallError::new(
                ErrorKind::Malformed,
                format!("the `endpoint` event cannot be followed: {why}"),
            )
        })?;
        let messages = Arc::new(messages);
        if let Some(replies) = self.replies.take() {
            let connection = HttpConnection::new(Arc::clone(&messages), self.limits);
            self.tasks
                .push(tokio::spawn(post_replies(connection, replies)));
        }
        self.post = Some(HttpConnection::new(messages, self.limits));
        Ok(())
    }

    /// Posts a request and waits for its answer on the stream.
    ///
    /// # Errors
    /// `http-STATUS` where the post is refused; `closed` where the stream has ended; `timeout`
    /// (the server is told by `notifications/cancelled`), `refused` or `reset`.
    pub(super) async fn send(
        &mut self,
        id: u64,
        body: Bytes,
        headers: &HeaderMap,
        patience: Duration,
    ) -> Result<Exchange, CallError> {
        self.make_ready(headers, patience).await?;
        let router = Arc::clone(&self.router);
        let (asked, receiver) = router.ask(id)?;
        let Some(post) = &mut self.post else {
            return Err(reading_ended());
        };
        let sent = Instant::now();
        let answer = pin!(async {
            accepted(
                post.status_of(Method::POST, body, headers, patience)
                    .await?,
            )?;
            receiver.await.unwrap_or_else(|_| Err(reading_ended()))
        });
        let answered = self.clock.limit(patience, answer).await;
        drop(asked);
        match answered {
            Ok(answered) => answered.map(|arrival| Exchange {
                id,
                sent,
                first_byte: arrival.first_byte,
                last_byte: arrival.last_byte,
                body: arrival.body,
            }),
            Err(TimeIsUp) => {
                self.router.say(request::cancelled(id));
                Err(timed_out("answer", patience))
            }
        }
    }

    /// Posts a notification.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub(super) async fn notify(
        &mut self,
        body: Bytes,
        headers: &HeaderMap,
        patience: Duration,
    ) -> Result<(), CallError> {
        self.make_ready(headers, patience).await?;
        let Some(post) = &mut self.post else {
            return Err(reading_ended());
        };
        accepted(
            post.status_of(Method::POST, body, headers, patience)
                .await?,
        )
    }
}

fn accepted(status: http::StatusCode) -> Result<(), CallError> {
    if status.is_success() {
        return Ok(());
    }
    Err(CallError::new(
        ErrorKind::Http(status.as_u16()),
        format!("HTTP {status} for a posted message"),
    ))
}

async fn post_replies(mut connection: HttpConnection, mut replies: mpsc::Receiver<Vec<u8>>) {
    let headers = connection.target().headers().clone();
    while let Some(reply) = replies.recv().await {
        // A server that does not take it fails the call that it asked for.
        let _ = connection
            .status_of(Method::POST, reply.into(), &headers, REPLY_PATIENCE)
            .await;
    }
}

/// Reads one event stream to its end.
struct Reader {
    router: Arc<Router>,
    /// Told where to post, once.
    told: Option<oneshot::Sender<String>>,
    limit: usize,
}

impl Reader {
    async fn read(mut self, body: Body) {
        let end = self.read_events(body).await;
        self.router.fail_all(&end);
    }

    async fn read_events(&mut self, mut body: Body) -> CallError {
        let mut parser = SseParser::new();
        let mut first_byte = None;
        loop {
            let (bytes, now) = match body.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => return reset(&error),
            };
            let mut events = Vec::new();
            parser.feed(&bytes, |event| events.push(event));
            for event in events {
                let first_byte = first_byte.take().unwrap_or(now);
                if let Err(error) = self.take(event, first_byte, now) {
                    return error;
                }
            }
            if parser.held_bytes() > self.limit {
                return CallError::new(
                    ErrorKind::TooLarge,
                    format!("the server sent an event of over {} bytes", self.limit),
                );
            }
            if parser.held_bytes() > 0 {
                first_byte.get_or_insert(now);
            }
        }
        CallError::new(ErrorKind::Closed, "the server ended the event stream")
    }

    fn take(
        &mut self,
        event: Event,
        first_byte: Instant,
        last_byte: Instant,
    ) -> Result<(), CallError> {
        if event.name == ENDPOINT {
            if let Some(told) = self.told.take() {
                let _ = told.send(String::from_utf8_lossy(&event.data).into_owned());
            }
            return Ok(());
        }
        let name = match event.name.as_str() {
            "" => "message",
            name => name,
        };
        let body = Bytes::from(event.data);
        let arrival = Arrival {
            body: body.clone(),
            first_byte,
            last_byte,
        };
        self.router.route(arrival).map_err(|_| {
            CallError::new(
                ErrorKind::Malformed,
                format!(
                    "an event named \"{}\" is no JSON-RPC message: \"{}\"",
                    excerpt(name),
                    excerpt_bytes(&body)
                ),
            )
        })
    }
}
