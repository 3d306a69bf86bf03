//! Scripted servers without processes or sockets, so that tests run under a paused clock.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
        BufReader, duplex, split,
    },
    time::{Duration, sleep},
};

use super::{
    Limits,
    http_target::{HttpTarget, in_memory},
    stdio::StdioLink,
};

/// What a scripted server does next.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Writes.
    Say(String),
    /// Waits so many milliseconds.
    Wait(u64),
    /// Closes the connection, or its standard output.
    Close,
    /// Reads nothing and says nothing any more.
    Hang,
}

/// Writes at once.
pub(crate) fn say(text: impl Into<String>) -> Vec<Step> {
    vec![Step::Say(text.into())]
}

/// Does the steps; whether the server goes on.
async fn perform(steps: Vec<Step>, output: &mut (impl AsyncWrite + Unpin)) -> bool {
    for step in steps {
        match step {
            Step::Say(text) => {
                if output.write_all(text.as_bytes()).await.is_err() {
                    return false;
                }
            }
            Step::Wait(ms) => sleep(Duration::from_millis(ms)).await,
            Step::Close => return false,
            Step::Hang => std::future::pending().await,
        }
    }
    true
}

/// A link of pipes that hold `pipe_bytes`. Its server does, for each line in turn, what
/// `script(line number, line)` says.
pub(crate) fn stdio_server(
    pipe_bytes: usize,
    script: impl Fn(usize, &str) -> Vec<Step> + Send + 'static,
) -> StdioLink {
    let limits = Limits {
        message_bytes: 1000,
        ..Limits::default()
    };
    stdio_server_within(limits, pipe_bytes, script)
}

/// The same with a client that has these limits.
pub(crate) fn stdio_server_within(
    limits: Limits,
    pipe_bytes: usize,
    script: impl Fn(usize, &str) -> Vec<Step> + Send + 'static,
) -> StdioLink {
    let (our_write, their_read) = duplex(pipe_bytes);
    let (mut their_write, our_read) = duplex(pipe_bytes);
    tokio::spawn(async move {
        let mut lines = BufReader::new(their_read).lines();
        let mut number = 0;
        while let Ok(Some(line)) = lines.next_line().await {
            let steps = script(number, &line);
            number += 1;
            if !perform(steps, &mut their_write).await {
                return;
            }
        }
    });
    StdioLink::new(our_write, our_read, limits)
}

/// A request as a scripted HTTP server sees it.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Counts connections from 0.
    pub(crate) connection: usize,
    /// Request line and headers, in lower case.
    pub(crate) head: String,
    /// The message; null without one.
    pub(crate) message: Value,
}

impl Asked {
    /// The JSON-RPC method, or the empty text.
    pub(crate) fn method(&self) -> &str {
        self.message["method"].as_str().unwrap_or_default()
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A target whose connections hold `pipe_bytes` on their way. Its server does, for each request,
/// what `script` says.
pub(crate) fn http_server(
    pipe_bytes: usize,
    script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static,
) -> Arc<HttpTarget> {
    let script = Arc::new(script);
    let connections = AtomicUsize::new(0);
    Arc::new(in_memory::target(move || {
        let connection = connections.fetch_add(1, Ordering::Relaxed);
        let (ours, theirs) = duplex(pipe_bytes);
        let script = Arc::clone(&script);
        tokio::spawn(async move { serve(connection, theirs, &*script).await });
        Some(ours)
    }))
}

pub(crate) async fn serve(
    connection: usize,
    stream: impl AsyncRead + AsyncWrite,
    script: &(dyn Fn(&Asked) -> Vec<Step> + Sync + Send),
) {
    let (read, mut write) = split(stream);
    let mut read = BufReader::new(read);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if read.read_line(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let mut asked = Asked {
            connection,
            head: head.to_lowercase(),
            message: Value::Null,
        };
        let length = asked
            .header("content-length")
            .map_or(0, |l| l.parse().unwrap());
        let mut body = vec![0; length];
        read.read_exact(&mut body).await.unwrap();
        if length > 0 {
            asked.message = serde_json::from_slice(&body).unwrap();
        }
        if !perform(script(&asked), &mut write).await {
            return;
        }
    }
}

/// An HTTP answer with a length.
pub(crate) fn http(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} Words\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// A JSON answer.
pub(crate) fn json_answer(body: &str) -> String {
    http(200, "content-type: application/json\r\n", body)
}

/// The head of an event stream in chunks.
pub(crate) const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
                                 transfer-encoding: chunked\r\n\r\n";
/// The end of one.
pub(crate) const END: &str = "0\r\n\r\n";

/// One chunk.
pub(crate) fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}
