//! The older HTTP+SSE transport: what the stdio transport does, its lines carried by HTTP.
//!
//! `GET /sse` opens a stream of events and a session, `POST /messages?session=ID` sends a message
//! to it.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use hyper::{Request, body::Incoming};
use serde_json::Value;
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, WriteHalf, duplex, split,
    },
    sync::mpsc,
};

use super::{
    body::ReplyBody,
    headers,
    listen::{self, Delay, Handler, read},
    reply::{Reply, bare, not_allowed, refuse},
    server::Server,
    stdio,
};

/// Where the stream is.
pub(crate) const PATH: &str = "/sse";
/// Where messages are posted.
const MESSAGES: &str = "/messages";
/// Bytes on their way between HTTP and a session.
const PIPE_BYTES: usize = 64 << 10;
/// Events that may wait for a client that does not read.
const WAITING_EVENTS: usize = 64;

/// Serves until the process ends; see [`listen::run`].
pub(crate) async fn run(server: Arc<Server>, port: u16) -> io::Result<()> {
    listen::run(port, PATH, (handler(server), Delay::None)).await
}

/// What answers the requests.
pub(crate) fn handler(server: Arc<Server>) -> impl Handler {
    let streams = Arc::new(Streams {
        server,
        open: Mutex::default(),
    });
    move |request| {
        let streams = Arc::clone(&streams);
        async move { handle(&streams, request).await }
    }
}

type Input = Arc<tokio::sync::Mutex<WriteHalf<DuplexStream>>>;

struct Streams {
    server: Arc<Server>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    inputs: HashMap<u64, Input>,
    opened: u64,
}

impl Streams {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn handle(streams: &Arc<Streams>, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(reply) => return *reply,
    };
    if !headers::comes_from_this_machine(&head.headers) {
        return refuse(StatusCode::FORBIDDEN, "this Origin is not allowed");
    }
    match (head.uri.path(), head.method) {
        (PATH, Method::GET) => open_stream(streams),
        (PATH, _) => not_allowed("GET"),
        (MESSAGES, Method::POST) => take(streams, &head.uri, &body).await,
        (MESSAGES, _) => not_allowed("POST"),
        _ => refuse(StatusCode::NOT_FOUND, "the stream is at /sse"),
    }
}

fn open_stream(streams: &Arc<Streams>) -> Reply {
    let (ours, theirs) = duplex(PIPE_BYTES);
    let (output, input) = split(ours);
    let id = {
        let mut open = streams.open();
        open.opened += 1;
        let id = open.opened;
        open.inputs
            .insert(id, Arc::new(tokio::sync::Mutex::new(input)));
        id
    };
    let (events, waiting) = mpsc::channel(WAITING_EVENTS);
    let server = Arc::clone(&streams.server);
    tokio::spawn(async move {
        let (read, write) = split(theirs);
        let _ = stdio::session(server, read, write).await;
    });
    let streams = Arc::clone(streams);
    tokio::spawn(async move {
        let first = format!("event: endpoint\ndata: {MESSAGES}?session={id}\n\n");
        let mut lines = BufReader::new(output).lines();
        let mut event = first;
        // Until the session or the client is gone.
        while events.send(Bytes::from(event)).await.is_ok() {
            let line = tokio::select! {
                line = lines.next_line() => line,
                () = events.closed() => break,
            };
            match line {
                Ok(Some(line)) => event = format!("event: message\ndata: {line}\n\n"),
                _ => break,
            }
        }
        streams.open().inputs.remove(&id);
    });
    let mut reply = Response::new(ReplyBody::Stream(waiting));
    let headers = reply.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

async fn take(streams: &Streams, uri: &Uri, body: &[u8]) -> Reply {
    let input = uri
        .query()
        .and_then(|query| query.strip_prefix("session="))
        .and_then(|id| id.parse().ok())
        .and_then(|id: u64| streams.open().inputs.get(&id).cloned());
    let Some(input) = input else {
        return refuse(StatusCode::NOT_FOUND, "there is no such session");
    };
    // On one line, as the session reads it.
    let Ok(message) = serde_json::from_slice::<Value>(body) else {
        return refuse(StatusCode::BAD_REQUEST, "not JSON");
    };
    let line = format!("{message}\n");
    let written = input.lock().await.write_all(line.as_bytes()).await;
    bare(if written.is_ok() {
        StatusCode::ACCEPTED
    } else {
        StatusCode::NOT_FOUND
    })
}
