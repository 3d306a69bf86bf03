//! A server's pipes: many calls in flight, answers matched by id.
//!
//! One task reads. It stamps each answer with the time at which its first and last byte came
//! before it looks at the answer, so neither the parsing nor the hand-over to the waiting caller
//! is in the latency.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Duration, Instant, timeout},
};

use super::{
    client::Exchange,
    lines::LineFramer,
    message::{self, Incoming},
    outcome::{CallError, ErrorKind, Strays, excerpt, excerpt_bytes},
    request,
    stdio_input::Input,
};

const FIRST_ID: u64 = 1;
/// Replies to the server's own requests that may wait to be written; further ones are dropped, so
/// that a flood of requests costs no memory.
const REPLY_QUEUE: usize = 64;

/// How long the closing of the input waits for a caller that is writing.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

struct Arrival {
    body: Bytes,
    first_byte: Instant,
    last_byte: Instant,
}

type Answered = Result<Arrival, CallError>;

#[derive(Default)]
struct State {
    pending: HashMap<u64, oneshot::Sender<Answered>>,
    /// Asked and not waited for any more, so that a late answer is known for what it is.
    given_up: HashSet<u64>,
    down: Option<CallError>,
    strays: Strays,
}

impl State {
    fn fail_all(&mut self, error: &CallError) {
        self.down.get_or_insert_with(|| error.clone());
        for (_, waiting) in self.pending.drain() {
            let _ = waiting.send(Err(error.clone()));
        }
    }
}

struct Shared {
    input: tokio::sync::Mutex<Option<Input>>,
    state: Mutex<State>,
    next_id: AtomicU64,
    replies: mpsc::Sender<Vec<u8>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(&self, line: Bytes) -> Result<(), CallError> {
        let written = match self.input.lock().await.as_mut() {
            Some(input) => input.write(line).await,
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        written.map_err(|error| {
            let error = CallError::new(
                ErrorKind::Closed,
                format!("the server does not read its input any more ({error})"),
            );
            // What was asked before may still be answered.
            self.state().down.get_or_insert(error).clone()
        })
    }
}

/// A call until it is answered. Dropped before that, it leaves word that its answer may come late.
struct Asked<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.pending.remove(&self.id).is_some() {
            state.given_up.insert(self.id);
        }
    }
}

/// The pipes of one server process. Clones share them.
#[derive(Clone)]
pub struct StdioLink {
    shared: Arc<Shared>,
    tasks: Arc<Tasks>,
}

struct Tasks {
    reader: JoinHandle<()>,
    replier: JoinHandle<()>,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.reader.abort();
        self.replier.abort();
    }
}

impl StdioLink {
    /// Takes over a server's standard input and output. Must be called inside a tokio runtime.
    pub fn new(
        input: impl AsyncWrite + Send + Unpin + 'static,
        output: impl AsyncRead + Send + Unpin + 'static,
        message_bytes: usize,
    ) -> Self {
        let (replies, queue) = mpsc::channel(REPLY_QUEUE);
        let shared = Arc::new(Shared {
            input: tokio::sync::Mutex::new(Some(Input::new(input))),
            state: Mutex::default(),
            next_id: AtomicU64::new(FIRST_ID),
            replies,
        });
        let tasks = Tasks {
            reader: tokio::spawn(read_output(Arc::clone(&shared), output, message_bytes)),
            replier: tokio::spawn(write_replies(Arc::clone(&shared), queue)),
        };
        Self {
            shared,
            tasks: Arc::new(tasks),
        }
    }

    /// An id that was never used on these pipes.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.shared.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Why no further call can be made: the server closed its input or output, or wrote something
    /// that is no protocol message.
    #[must_use]
    pub fn down(&self) -> Option<CallError> {
        self.shared.state().down.clone()
    }

    /// Answers that nobody asked for, since the last time this was asked.
    #[must_use]
    pub fn take_strays(&self) -> Strays {
        std::mem::take(&mut self.shared.state().strays)
    }

    /// Sends a request line (with its line end) and waits for the answer under `id`. The only call
    /// in flight is also given an answer under an id that was never used.
    ///
    /// May be cancelled: a line that is half written then is finished before the next one.
    ///
    /// # Errors
    /// `timeout` after `patience` (the server is told by `notifications/cancelled`), `closed` when
    /// the pipes are down.
    pub async fn send(
        &self,
        id: u64,
        line: Bytes,
        patience: Duration,
    ) -> Result<Exchange, CallError> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.shared.state();
            if let Some(down) = &state.down {
                return Err(down.clone());
            }
            state.pending.insert(id, sender);
        }
        let asked = Asked {
            shared: &self.shared,
            id,
        };
        let mut is_written = false;
        let sent = Instant::now();
        let answered = timeout(patience, async {
            self.shared.write(line).await?;
            is_written = true;
            receiver.await.unwrap_or_else(|_| {
                Err(CallError::new(
                    ErrorKind::Closed,
                    "the reading of the server's output ended",
                ))
            })
        })
        .await;
        drop(asked);
        match answered {
            Ok(Ok(arrival)) => Ok(Exchange {
                sent,
                first_byte: arrival.first_byte,
                last_byte: arrival.last_byte,
                body: arrival.body,
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let what = if is_written {
                    self.cancel(id);
                    "no answer"
                } else {
                    "the server did not read its input"
                };
                let patience = humantime::format_duration(patience);
                Err(CallError::new(
                    ErrorKind::Timeout,
                    format!("{what} within {patience}"),
                ))
            }
        }
    }

    fn cancel(&self, id: u64) {
        let mut line = request::cancelled(id);
        line.push(b'\n');
        let _ = self.shared.replies.try_send(line);
    }

    /// Sends a notification line (with its line end).
    ///
    /// # Errors
    /// `timeout` or `closed`.
    pub async fn notify(&self, line: Bytes, patience: Duration) -> Result<(), CallError> {
        timeout(patience, self.shared.write(line))
            .await
            .unwrap_or_else(|_| {
                Err(CallError::new(
                    ErrorKind::Timeout,
                    "the server does not read its input",
                ))
            })
    }

    /// Closes the server's standard input, which asks it to leave. A reply that the server does
    /// not read is dropped for it.
    pub async fn close(&self) {
        self.tasks.replier.abort();
        if let Ok(mut input) = timeout(CLOSE_PATIENCE, self.shared.input.lock()).await {
            input.take();
        }
    }
}

async fn write_replies(shared: Arc<Shared>, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(reply) = queue.recv().await {
        if shared.write(reply.into()).await.is_err() {
            return;
        }
    }
}

async fn read_output(
    shared: Arc<Shared>,
    mut output: impl AsyncRead + Unpin,
    message_bytes: usize,
) {
    let mut framer = LineFramer::new(message_bytes);
    let mut first_byte = Instant::now();
    let end = loop {
        let was_inside = framer.is_inside_line();
        let read = output.read_buf(framer.buffer()).await;
        let now = Instant::now();
        match read {
            Ok(0) => break CallError::new(ErrorKind::Closed, "the server closed its output"),
            Err(error) => {
                break CallError::new(
                    ErrorKind::Closed,
                    format!("the server's output cannot be read ({error})"),
                );
            }
            Ok(_) => {}
        }
        if !was_inside {
            first_byte = now;
        }
        match take_lines(&shared, &mut framer, &mut first_byte, now) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    shared.state().fail_all(&end);
}

fn take_lines(
    shared: &Shared,
    framer: &mut LineFramer,
    first_byte: &mut Instant,
    now: Instant,
) -> Result<(), CallError> {
    loop {
        let line = match framer.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(()),
            Err(too_long) => {
                return Err(CallError::new(
                    ErrorKind::TooLarge,
                    format!("the server wrote a line of over {} bytes", too_long.limit),
                ));
            }
        };
        let arrival = Arrival {
            body: line,
            first_byte: *first_byte,
            last_byte: now,
        };
        *first_byte = now;
        route(shared, arrival)?;
    }
}

fn route(shared: &Shared, arrival: Arrival) -> Result<(), CallError> {
    let body = arrival.body.clone();
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    let incoming = message::classify(&body).map_err(|_| {
        CallError::new(
            ErrorKind::Malformed,
            format!(
                "the server wrote a line on its standard output that is no JSON-RPC message: \"{}\" \
                 (standard output carries the protocol alone; log to standard error)",
                excerpt_bytes(&body)
            ),
        )
    })?;
    match incoming {
        Incoming::Answer(id) => {
            let mut state = shared.state();
            if let Some(waiting) = state.pending.remove(&id) {
                let _ = waiting.send(Ok(arrival));
            } else if !state.given_up.remove(&id) {
                let used = FIRST_ID..shared.next_id.load(Ordering::Relaxed);
                if !used.contains(&id) {
                    unknown_id(&mut state, &id.to_string(), arrival);
                } else {
                    state.strays.add(format!("a second answer under id {id}"));
                }
            }
        }
        Incoming::ForeignAnswer(id) => {
            unknown_id(&mut shared.state(), &excerpt(id), arrival);
        }
        Incoming::Request { id, method } => {
            let mut reply = request::answer_to_server_request(id, &method);
            reply.push(b'\n');
            let _ = shared.replies.try_send(reply);
        }
        Incoming::Notification => {}
    }
    Ok(())
}

/// An answer under an id that was never used. With one call in flight it can only be meant for
/// that one, which then need not wait for its time-out; the reading of its answer says what is
/// wrong.
fn unknown_id(state: &mut State, id: &str, arrival: Arrival) {
    let only = state.pending.keys().next().copied();
    if state.pending.len() == 1
        && let Some(waiting) = only.and_then(|asked| state.pending.remove(&asked))
    {
        let _ = waiting.send(Ok(arrival));
    } else {
        state
            .strays
            .add(format!("an answer under id {id}, which was never used"));
    }
}
