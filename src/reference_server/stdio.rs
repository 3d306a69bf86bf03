//! The stdio transport: one JSON-RPC message a line, answers in the order they are ready.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::unix::pipe,
    sync::{Notify, Semaphore},
    task::{AbortHandle, JoinSet},
};

use super::{
    faults::Fault,
    message::{Message, Request, Version},
    protocol::Step,
    rpc::{Refusal, RpcError},
    server::Server,
};

/// Longest message; a longer one is refused and skipped.
const MAX_LINE_BYTES: usize = 16 << 20;
/// Calls that run at the same time; more wait to be read.
const MAX_CALLS_IN_FLIGHT: usize = 1_024;
/// Answers that may wait for a client that does not read; above this, calls wait.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// How long calls in flight may go on after the end of stdin.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves the process's own stdin and stdout until stdin ends.
pub(crate) async fn run(server: Arc<Server>) -> io::Result<()> {
    let result = if server.plan.has(&Fault::GarbageOnly) {
        noise(open_stdin(), open_stdout()).await
    } else {
        session(Arc::clone(&server), open_stdin(), open_stdout()).await
    };
    if server.plan.has(&Fault::IgnoreShutdown) {
        std::future::pending::<()>().await;
    }
    match result {
        // The client closed our stdout: it has left.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Pipes are read by readiness on this runtime, without a helper thread whose wake-up every call
/// would pay. Opened anew by their path, so that the file descriptions that other processes share
/// stay blocking.
fn open_stdin() -> Box<dyn AsyncRead + Send + Unpin> {
    match pipe::OpenOptions::new().open_receiver("/dev/stdin") {
        Ok(pipe) => Box::new(pipe),
        Err(_) => Box::new(tokio::io::stdin()),
    }
}

fn open_stdout() -> Box<dyn AsyncWrite + Send + Unpin> {
    match pipe::OpenOptions::new().open_sender("/dev/stdout") {
        Ok(pipe) => Box::new(pipe),
        Err(_) => Box::new(tokio::io::stdout()),
    }
}

/// Serves one client until `input` ends and the calls in flight are answered.
pub(crate) async fn session<R, W>(server: Arc<Server>, input: R, output: W) -> io::Result<()>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin,
{
    let outbox = Arc::new(Outbox {
        garbage: server.plan.has(&Fault::GarbageLine),
        ..Outbox::default()
    });
    let reading = async {
        let result = Reader::new(server, Arc::clone(&outbox)).read(input).await;
        outbox.close();
        result
    };
    tokio::try_join!(reading, outbox.write_to(output)).map(|((), ())| ())
}

/// Answers every line with noise.
async fn noise<R, W>(input: R, mut output: W) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        output.write_all(b"Starting up, please wait...\n").await?;
        output.flush().await?;
        if matches!(next_line(&mut input, &mut line).await?, Line::End) {
            return Ok(());
        }
    }
}

/// What a read gave.
enum Line {
    Whole,
    TooLong,
    End,
}

/// Reads the next line into `line`, without its end.
async fn next_line<R>(input: &mut BufReader<R>, line: &mut Vec<u8>) -> io::Result<Line>
where
    R: AsyncRead + Unpin,
{
    line.clear();
    let mut too_long = false;
    loop {
        let chunk = input.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(match (too_long, line.is_empty()) {
                (true, _) => Line::TooLong,
                (false, false) => Line::Whole,
                (false, true) => Line::End,
            });
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
        if line.len() + part.len() > MAX_LINE_BYTES {
            too_long = true;
            line.clear();
        }
        if !too_long {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(if too_long { Line::TooLong } else { Line::Whole });
        }
    }
}

/// Reads messages and starts a task for each call.
struct Reader {
    server: Arc<Server>,
    outbox: Arc<Outbox>,
    /// What `initialize` agreed on.
    version: Option<Version>,
    calls: JoinSet<String>,
    /// By the id as JSON: string ids and number ids differ.
    in_flight: HashMap<String, AbortHandle>,
    room: Arc<Semaphore>,
}

impl Reader {
    fn new(server: Arc<Server>, outbox: Arc<Outbox>) -> Self {
        Self {
            server,
            outbox,
            version: None,
            calls: JoinSet::new(),
            in_flight: HashMap::new(),
            room: Arc::new(Semaphore::new(MAX_CALLS_IN_FLIGHT)),
        }
    }

    async fn read<R: AsyncRead + Unpin>(mut self, input: R) -> io::Result<()> {
        let mut input = BufReader::with_capacity(64 << 10, input);
        let mut line = Vec::new();
        loop {
            let read = next_line(&mut input, &mut line).await?;
            while let Some(done) = self.calls.try_join_next() {
                // A cancelled call was taken out when it was cancelled.
                if let Ok(id) = done {
                    self.in_flight.remove(&id);
                }
            }
            match read {
                Line::End => break,
                Line::TooLong => {
                    let error = RpcError::invalid_request(format!(
                        "a message is longer than {MAX_LINE_BYTES} bytes"
                    ));
                    self.refuse(Refusal::without_id(error)).await;
                }
                Line::Whole if line.trim_ascii().is_empty() => {}
                Line::Whole => match serde_json::from_slice(&line) {
                    Ok(value) => self.take(value).await,
                    Err(error) => {
                        let error = RpcError::parse(format!("not JSON: {error}"));
                        self.refuse(Refusal::without_id(error)).await;
                    }
                },
            }
        }
        let rest = async { while self.calls.join_next().await.is_some() {} };
        // Calls that take longer are dropped with the set.
        let _ = tokio::time::timeout(DRAIN, rest).await;
        Ok(())
    }

    async fn refuse(&self, refusal: Refusal) {
        self.outbox.send(&refusal.into_body()).await;
    }

    async fn take(&mut self, value: Value) {
        if let Value::Array(batch) = value {
            return self.take_batch(batch).await;
        }
        match Message::parse(value) {
            Ok(Message::Request(request)) => self.answer(request).await,
            Ok(Message::Notification { method, params }) => {
                if method == "notifications/cancelled"
                    && let Some(id) = params.get("requestId")
                    && let Some(call) = self.in_flight.remove(&id.to_string())
                {
                    call.abort();
                }
            }
            Ok(Message::Response) => {}
            Err(refusal) => self.refuse(refusal).await,
        }
    }

    fn step(&self, request: Request) -> Option<Step> {
        if request.opens() && self.server.hangs_on_opening() {
            return None;
        }
        let rules = &self.server.rules;
        Some(if rules.is_modern(&request) {
            rules.modern(request)
        } else {
            rules.legacy(request, self.version)
        })
    }

    async fn answer(&mut self, request: Request) {
        let step = self.step(request);
        if let Some(Step::Reply(reply) | Step::Opened { reply, .. }) = &step {
            self.server.lasting.before_reply(reply.is_error()).await;
        }
        match step {
            None => {}
            Some(Step::Reply(reply)) => self.outbox.send(&reply.body).await,
            Some(Step::Opened { reply, version }) => {
                self.version = Some(version);
                self.outbox.send(&reply.body).await;
            }
            Some(Step::Call(call)) => {
                let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else {
                    return;
                };
                let id = call.id.to_string();
                let plan = self.server.plan.next_call(call.tool);
                let server = Arc::clone(&self.server);
                let outbox = Arc::clone(&self.outbox);
                let key = id.clone();
                let handle = self.calls.spawn(async move {
                    if let Some(body) = server.run(call, &plan).await {
                        outbox.send(&body).await;
                        if plan.duplicate {
                            outbox.send(&body).await;
                        }
                    }
                    drop(permit);
                    key
                });
                self.in_flight.insert(id, handle);
            }
        }
    }

    /// 2025-03-26 alone: the answers to a batch come together.
    async fn take_batch(&mut self, batch: Vec<Value>) {
        if batch.is_empty() || !self.version.is_some_and(Version::has_batches) {
            let error = RpcError::invalid_request("this protocol version has no batches");
            return self.refuse(Refusal::without_id(error)).await;
        }
        let mut answers = Vec::new();
        for value in batch {
            match Message::parse(value) {
                Ok(Message::Request(request)) => match self.step(request) {
                    Some(Step::Reply(reply) | Step::Opened { reply, .. }) => {
                        answers.push(reply.body);
                    }
                    Some(Step::Call(call)) => {
                        let plan = self.server.plan.next_call(call.tool);
                        answers.extend(self.server.run(call, &plan).await);
                    }
                    None => {}
                },
                Ok(Message::Notification { .. } | Message::Response) => {}
                Err(refusal) => answers.push(refusal.into_body()),
            }
        }
        if !answers.is_empty() {
            self.outbox.send(&Value::Array(answers)).await;
        }
    }
}

/// Answers on their way out: whatever is ready goes out in one write.
#[derive(Debug, Default)]
struct Outbox {
    waiting: Mutex<Waiting>,
    filled: Notify,
    emptied: Notify,
    /// A line that is not JSON goes before each answer.
    garbage: bool,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    closed: bool,
}

impl Outbox {
    async fn send(&self, message: &Value) {
        let mut line = if self.garbage {
            b"DEBUG about to answer a request\n".to_vec()
        } else {
            Vec::new()
        };
        if serde_json::to_writer(&mut line, message).is_err() {
            // Only a writer that fails or keys that are no strings can get here.
            return;
        }
        line.push(b'\n');
        loop {
            let emptied = self.emptied.notified();
            {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if waiting.bytes.len() < MAX_WAITING_BYTES {
                    if waiting.bytes.is_empty() {
                        waiting.bytes = line;
                    } else {
                        waiting.bytes.extend_from_slice(&line);
                    }
                    break;
                }
            }
            emptied.await;
        }
        self.filled.notify_one();
    }

    fn close(&self) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed = true;
        self.filled.notify_one();
    }

    async fn write_to<W: AsyncWrite + Unpin>(&self, mut output: W) -> io::Result<()> {
        loop {
            let (bytes, closed) = {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                (std::mem::take(&mut waiting.bytes), waiting.closed)
            };
            if bytes.is_empty() {
                if closed {
                    return Ok(());
                }
                self.filled.notified().await;
            } else {
                self.emptied.notify_waiters();
                output.write_all(&bytes).await?;
                output.flush().await?;
            }
        }
    }
}
