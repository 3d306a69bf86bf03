//! A server's pipes: many calls in flight, answers matched by id.
//!
//! One task reads. It stamps each answer with the time at which its first and last byte came
//! before it looks at the answer, so neither the parsing nor the hand-over to the waiting caller
//! is in the latency.

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    sync::{OwnedMutexGuard, mpsc},
    task::JoinHandle,
    time::{Duration, Instant, timeout},
};

use super::{
    Limits,
    call_clock::{CallClock, TimeIsUp},
    client::Exchange,
    lines::LineFramer,
    outcome::{CallError, ErrorKind, Strays, excerpt_bytes},
    request,
    router::{Arrival, Router, reading_ended},
    stdio_input::Input,
};

/// How long the closing of the input waits for a caller that is writing.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

struct Shared {
    input: tokio::sync::Mutex<Option<Input>>,
    router: Router,
    /// Held by whoever keeps the output from being read.
    reading: Arc<tokio::sync::Mutex<()>>,
}

impl Shared {
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
            self.router.set_down(error)
        })
    }
}

/// The pipes of one server process. Clones share them.
#[derive(Clone)]
pub struct StdioLink {
    shared: Arc<Shared>,
    tasks: Arc<Tasks>,
    clock: CallClock,
}

impl StdioLink {
    /// Keeps the server's output from being read until what is returned is dropped.
    pub(super) async fn unread(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.shared.reading).lock_owned().await
    }
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
        limits: Limits,
    ) -> Self {
        let (router, queue) = Router::new(limits.elicitation);
        let shared = Arc::new(Shared {
            input: tokio::sync::Mutex::new(Some(Input::new(input))),
            reading: Arc::default(),
            router,
        });
        let tasks = Tasks {
            reader: tokio::spawn(read_output(
                Arc::clone(&shared),
                output,
                limits.message_bytes,
            )),
            replier: tokio::spawn(write_replies(Arc::clone(&shared), queue)),
        };
        Self {
            shared,
            tasks: Arc::new(tasks),
            clock: CallClock::default(),
        }
    }

    /// An id that was never used on these pipes.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.shared.router.next_id()
    }

    /// Why no further call can be made: the server closed its input or output, or wrote something
    /// that is no protocol message.
    #[must_use]
    pub fn down(&self) -> Option<CallError> {
        self.shared.router.down()
    }

    /// Answers that nobody asked for, since the last time this was asked.
    #[must_use]
    pub fn take_strays(&self) -> Strays {
        self.shared.router.take_strays()
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
        &mut self,
        id: u64,
        line: Bytes,
        patience: Duration,
    ) -> Result<Exchange, CallError> {
        let (asked, receiver) = self.shared.router.ask(id)?;
        let mut is_written = false;
        let sent = Instant::now();
        let answered = {
            let answer = pin!(async {
                self.shared.write(line).await?;
                is_written = true;
                receiver.await.unwrap_or_else(|_| Err(reading_ended()))
            });
            self.clock.limit(patience, answer).await
        };
        drop(asked);
        match answered {
            Ok(Ok(arrival)) => Ok(Exchange {
                id,
                sent,
                first_byte: arrival.first_byte,
                last_byte: arrival.last_byte,
                body: arrival.body,
            }),
            Ok(Err(error)) => Err(error),
            Err(TimeIsUp) => {
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
        self.shared.router.say(request::cancelled(id));
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
    while let Some(mut reply) = queue.recv().await {
        reply.push(b'\n');
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
        drop(shared.reading.lock().await);
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
    shared.router.fail_all(&end);
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
        if arrival.body.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let body = arrival.body.clone();
        shared
            .router
            .route(arrival)
            .map_err(|_| no_message(&body))?;
    }
}

fn no_message(line: &[u8]) -> CallError {
    CallError::new(
        ErrorKind::Malformed,
        format!(
            "the server wrote a line on its standard output that is no JSON-RPC message: \"{}\" \
             (standard output carries the protocol alone; log to standard error)",
            excerpt_bytes(line)
        ),
    )
}
