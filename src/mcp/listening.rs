//! The stream on which a server says what belongs to no call (streamable HTTP, 2025-11-25 and
//! before): every client of an official SDK opens it after the handshake, and some servers ask
//! their user there, in the middle of a call.
//!
//! It is opened before the clock starts. A server that has none says so, which is right as well.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Duration, sleep, timeout},
};

use super::{
    Limits,
    answer::{ASIDE_PATIENCE, LAST_EVENT_ID, RESUME_AFTER, Resume, drained},
    http::HttpConnection,
    http_target::HttpTarget,
    http1::Body,
    message::{self, Incoming},
    request,
    sse::SseParser,
};

/// How long the first call waits for a stream to be opened: some servers send not even its head
/// before its first event.
const OPENING: Duration = Duration::from_secs(1);
/// How long a server may take with that head.
const HEAD_PATIENCE: Duration = Duration::from_hours(1);
/// How often a stream that ended is opened again.
const MOST_STREAMS: usize = 1_000;

/// An open stream, until it is dropped.
pub(super) struct Listening {
    task: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listening {
    /// Opens the stream of the session that `headers` name, and waits a little for it.
    pub(super) async fn begin(
        target: &Arc<HttpTarget>,
        headers: &HeaderMap,
        limits: Limits,
    ) -> Self {
        let (opened, is_open) = oneshot::channel();
        let listener = Listener {
            stream: HttpConnection::new(Arc::clone(target), limits),
            replies: HttpConnection::new(Arc::clone(target), limits),
            headers: headers.clone(),
            limits,
            opened: Some(opened),
        };
        let task = tokio::spawn(listener.listen());
        // Its sender is dropped where there is no such stream.
        let _ = timeout(OPENING, is_open).await;
        Self { task }
    }
}

struct Listener {
    stream: HttpConnection,
    /// Answers go on a connection of their own, one after another: a server that asks faster than
    /// it is answered waits.
    replies: HttpConnection,
    headers: HeaderMap,
    limits: Limits,
    opened: Option<oneshot::Sender<()>>,
}

impl Listener {
    async fn listen(mut self) {
        let mut headers = self.headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.remove(CONTENT_TYPE);
        for _ in 0..MOST_STREAMS {
            let Ok(response) = self.stream.get(&headers, HEAD_PATIENCE).await else {
                return;
            };
            if !response.status().is_success() || !response.head.is_event_stream() {
                drained(response.body).await;
                return;
            }
            if let Some(opened) = self.opened.take() {
                let _ = opened.send(());
            }
            let mut parser = SseParser::new();
            if !self.read(response.body, &mut parser).await {
                return;
            }
            let pause = match Resume::of(&parser) {
                Some(resume) => {
                    headers.insert(LAST_EVENT_ID, resume.last_event_id);
                    resume.after
                }
                None => RESUME_AFTER,
            };
            sleep(pause).await;
        }
    }

    /// Answers what is asked until the stream ends; whether it is to be opened again.
    async fn read(&mut self, mut body: Body, parser: &mut SseParser) -> bool {
        while let Ok(Some((bytes, _))) = body.chunk().await {
            let mut replies = Vec::new();
            parser.feed(&bytes, |event| {
                if let Ok(Incoming::Request { id, method, params }) = message::classify(&event.data)
                {
                    let elicitation = self.limits.elicitation;
                    replies.push(request::answer_to_server_request(
                        id,
                        &method,
                        params,
                        elicitation,
                    ));
                }
            });
            if parser.held_bytes() > self.limits.message_bytes {
                return false;
            }
            for reply in replies {
                // A server that does not take it fails the call that it asked for.
                let _ = self
                    .replies
                    .status_of(Method::POST, reply.into(), &self.headers, ASIDE_PATIENCE)
                    .await;
            }
        }
        true
    }
}
