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
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Duration, Instant, timeout},
};

use super::{
    client::Exchange,
    lines::LineFramer,
    message::{self, Incoming},
    outcome::{CallError, ErrorKind, Strays, excerpt_bytes},
};

/// Replies to the server's own requests that may wait to be written; further ones are dropped, so
/// that a flood of requests costs no memory.
const REPLY_QUEUE: usize = 64;

type Answered = Result<Arrival, CallError>;

struct Arrival {
    body: Bytes,
    first_byte: Instant,
    last_byte: Instant,
}

#[derive(Default)]
struct State {
    pending: HashMap<u64, oneshot::Sender<Answered>>,
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
    input: tokio::sync::Mutex<Option<Box<dyn AsyncWrite + Send + Unpin>>>,
    state: Mutex<State>,
    next_id: AtomicU64,
    replies: mpsc::Sender<Vec<u8>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        match self.input.lock().await.as_mut() {
            Some(input) => {
                input.write_all(bytes).await?;
                input.flush().await
            }
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// The pipes of one server process. Clones share them.
#[derive(Clone)]
pub struct StdioLink {
    shared: Arc<Shared>,
    _tasks: Arc<Tasks>,
}

struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
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
            input: tokio::sync::Mutex::new(Some(Box::new(input))),
            state: Mutex::default(),
            next_id: AtomicU64::new(1),
            replies,
        });
        let tasks = vec![
            tokio::spawn(read_output(Arc::clone(&shared), output, message_bytes)),
            tokio::spawn(write_replies(Arc::clone(&shared), queue)),
        ];
        Self {
            shared,
            _tasks: Arc::new(Tasks(tasks)),
        }
    }

    /// An id that was never used on these pipes.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.shared.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Why no further call can be made: the server closed its output, or wrote something that is
    /// no protocol message.
    #[must_use]
    pub fn down(&self) -> Option<CallError> {
        self.shared.state().down.clone()
    }

    /// Answers that nobody asked for, since the last time this was asked.
    #[must_use]
    pub fn take_strays(&self) -> Strays {
        std::mem::take(&mut self.shared.state().strays)
    }

    /// Sends a request line (with its line end) and waits for the answer under `id`.
    ///
    /// # Errors
    /// `timeout` after `patience` (the server is told by `notifications/cancelled`), `closed` when the pipes are down, `wrong-answer` when the only
    /// call in flight is answered under an id that was never used.
    pub async fn send(
        &self,
        id: u64,
        line: &[u8],
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
        let sent = Instant::now();
        let answered = timeout(patience, async {
            if let Err(error) = self.shared.write(line).await {
                return Err(CallError::new(
                    ErrorKind::Closed,
                    format!("the server does not read its input any more ({error})"),
                ));
            }
            receiver.await.unwrap_or_else(|_| {
                Err(CallError::new(
                    ErrorKind::Closed,
                    "the reading of the server's output ended",
                ))
            })
        })
        .await;
        match answered {
            Ok(Ok(arrival)) => Ok(Exchange {
                sent,
                first_byte: arrival.first_byte,
                last_byte: arrival.last_byte,
                body: arrival.body,
            }),
            Ok(Err(error)) => {
                self.shared.state().pending.remove(&id);
                Err(error)
            }
            Err(_) => {
                {
                    let mut state = self.shared.state();
                    state.pending.remove(&id);
                    state.given_up.insert(id);
                }
                self.cancel(id);
                Err(CallError::new(
                    ErrorKind::Timeout,
                    format!("no answer within {}", humantime::format_duration(patience)),
                ))
            }
        }
    }

    fn cancel(&self, id: u64) {
        let mut line = message::notification(
            "notifications/cancelled",
            Some(&json!({"requestId": id, "reason": "timed out"})),
        );
        line.push(b'\n');
        let _ = self.shared.replies.try_send(line);
    }

    /// Sends a notification line (with its line end).
    ///
    /// # Errors
    /// `timeout` or `closed`.
    pub async fn notify(&self, line: &[u8], patience: Duration) -> Result<(), CallError> {
        match timeout(patience, self.shared.write(line)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(CallError::new(
                ErrorKind::Closed,
                format!("the server does not read its input any more ({error})"),
            )),
            Err(_) => Err(CallError::new(
                ErrorKind::Timeout,
                "the server does not read its input",
            )),
        }
    }

    /// Closes the server's standard input, which asks it to leave.
    pub async fn close(&self) {
        self.shared.input.lock().await.take();
    }
}

async fn write_replies(shared: Arc<Shared>, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(reply) = queue.recv().await {
        if shared.write(&reply).await.is_err() {
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
                let never_used = id >= shared.next_id.load(Ordering::Relaxed);
                if never_used {
                    unknown_id(&mut state, &id.to_string());
                } else {
                    state.strays.add(format!("a second answer under id {id}"));
                }
            }
        }
        Incoming::ForeignAnswer(id) => {
            unknown_id(&mut shared.state(), &super::outcome::excerpt(id));
        }
        Incoming::Request { id, method } => {
            let mut reply = message::answer_to_server_request(id, &method);
            reply.push(b'\n');
            let _ = shared.replies.try_send(reply);
        }
        Incoming::Notification => {}
    }
    Ok(())
}

/// An answer under an id that was never used. With one call in flight it can only be meant for
/// that one, which then need not wait for its time-out.
fn unknown_id(state: &mut State, id: &str) {
    if state.pending.len() == 1 {
        for (asked, waiting) in state.pending.drain() {
            let _ = waiting.send(Err(CallError::new(
                ErrorKind::WrongAnswer,
                format!("asked under id {asked}, answered under id {id}"),
            )));
        }
    } else {
        state
            .strays
            .add(format!("an answer under id {id}, which was never used"));
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, BufReader, duplex};

    use super::*;

    /// A link whose server answers each line by `script(line number, line)`.
    fn scripted(script: impl Fn(usize, &str) -> String + Send + 'static) -> StdioLink {
        let (ours, theirs) = duplex(1 << 20);
        let (our_read, our_write) = tokio::io::split(ours);
        let (their_read, mut their_write) = tokio::io::split(theirs);
        tokio::spawn(async move {
            let mut lines = BufReader::new(their_read).lines();
            let mut number = 0;
            while let Ok(Some(line)) = lines.next_line().await {
                let answer = script(number, &line);
                number += 1;
                if answer == "close" || their_write.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        StdioLink::new(our_write, our_read, 1000)
    }

    const SHORT: Duration = Duration::from_millis(200);

    #[tokio::test(start_paused = true)]
    async fn answers_are_matched_by_id_out_of_order() {
        let link = scripted(|number, _| {
            match number {
            0 => String::new(),
            _ => "{\"id\":2,\"result\":\"b\"}\n\n{\"method\":\"notifications/x\"}\n{\"id\":1,\"result\":\"a\"}\n".to_owned(),
        }
        });
        let (a, b) = tokio::join!(link.send(1, b"1\n", SHORT), link.send(2, b"2\n", SHORT));
        assert!(a.unwrap().body.ends_with(b"\"a\"}"));
        assert!(b.unwrap().body.ends_with(b"\"b\"}"));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_a_time_out_and_a_late_answer_is_no_stray() {
        let link = scripted(|number, line| match number {
            0 => String::new(),
            _ if line.contains("notifications/cancelled") => String::new(),
            _ => "{\"id\":1,\"result\":0}\n{\"id\":2,\"result\":0}\n".to_owned(),
        });
        assert_eq!(link.next_id(), 1);
        assert_eq!(link.next_id(), 2);
        assert_eq!(
            link.send(1, b"x\n", SHORT).await.unwrap_err().kind,
            ErrorKind::Timeout
        );
        assert!(link.send(2, b"x\n", SHORT).await.is_ok());
        assert_eq!(link.take_strays(), Strays::default());
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_asked_for_is_counted() {
        let link = scripted(|_, _| {
            "{\"id\":1,\"result\":0}\n{\"id\":1,\"result\":0}\n{\"id\":\"a\",\"result\":0}\n"
                .to_owned()
        });
        let id = link.next_id();
        link.send(id, b"x\n", SHORT).await.unwrap();
        assert_eq!(
            link.take_strays(),
            Strays {
                count: 2,
                sample: "a second answer under id 1".to_owned()
            }
        );
    }

    #[tokio::test(start_paused = true)]
    async fn each_way_down_has_its_own_words() {
        let table = [
            ("close", ErrorKind::Closed, "the server closed its output"),
            (
                "hello\n",
                ErrorKind::Malformed,
                "no JSON-RPC message: \"hello\"",
            ),
            (
                "{\"id\":99,\"result\":0}\n",
                ErrorKind::WrongAnswer,
                "answered under id 99",
            ),
        ];
        for (answer, kind, words) in table {
            let link = scripted(move |_, _| answer.to_owned());
            let error = link.send(link.next_id(), b"x\n", SHORT).await.unwrap_err();
            assert_eq!(error.kind, kind, "{answer}");
            assert!(error.message.contains(words), "{}", error.message);
        }
        let long = "x".repeat(2000);
        let link = scripted(move |_, _| long.clone());
        let error = link.send(link.next_id(), b"x\n", SHORT).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooLarge);
        assert_eq!(link.down().unwrap().kind, ErrorKind::TooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_of_the_server_are_answered() {
        let link = scripted(|number, line| match number {
            0 => "{\"id\":\"s\",\"method\":\"ping\"}\n".to_owned(),
            _ => {
                assert_eq!(line, r#"{"jsonrpc":"2.0","id":"s","result":{}}"#);
                "{\"id\":1,\"result\":0}\n".to_owned()
            }
        });
        link.send(link.next_id(), b"x\n", SHORT).await.unwrap();
    }
}
