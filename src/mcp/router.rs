//! Calls in flight over one stream of messages, and answers matched to them by id.
//!
//! An answer is stamped by whoever reads the stream, before it is looked at, so neither the
//! parsing nor the hand-over to the waiting caller is in the latency.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    elicitation::Elicitation,
    message::{self, Incoming},
    outcome::{CallError, ErrorKind, Strays, excerpt},
    request,
};

const FIRST_ID: u64 = 1;
/// Replies to the server's own requests that may wait to be written; further ones are dropped, so
/// that a flood of requests costs no memory.
const REPLY_QUEUE: usize = 64;

/// A message as it came.
pub(super) struct Arrival {
    /// The message, not yet looked at.
    pub(super) body: Bytes,
    /// When its first byte was there.
    pub(super) first_byte: Instant,
    /// When its last byte was there.
    pub(super) last_byte: Instant,
}

/// What a caller waits for.
pub(super) type Answered = Result<Arrival, CallError>;

#[derive(Default)]
struct State {
    pending: HashMap<u64, oneshot::Sender<Answered>>,
    /// Asked and not waited for any more, so that a late answer is known for what it is.
    given_up: HashSet<u64>,
    down: Option<CallError>,
    strays: Strays,
}

/// The calls in flight.
pub(super) struct Router {
    state: Mutex<State>,
    next_id: AtomicU64,
    replies: mpsc::Sender<Vec<u8>>,
    elicitation: Elicitation,
}

/// A call until it is answered. Dropped before that, it leaves word that its answer may come late.
pub(super) struct Asked<'a> {
    router: &'a Router,
    id: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut state = self.router.state();
        if state.pending.remove(&self.id).is_some() {
            state.given_up.insert(self.id);
        }
    }
}

impl Router {
    /// A router, and the queue of what it says by itself: answers to the server's own requests.
    pub(super) fn new(elicitation: Elicitation) -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (replies, queue) = mpsc::channel(REPLY_QUEUE);
        let router = Self {
            state: Mutex::default(),
            next_id: AtomicU64::new(FIRST_ID),
            replies,
            elicitation,
        };
        (router, queue)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An id that was never used on this stream.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Why no further call can be made.
    pub(super) fn down(&self) -> Option<CallError> {
        self.state().down.clone()
    }

    /// Answers that nobody asked for, since the last time this was asked.
    pub(super) fn take_strays(&self) -> Strays {
        std::mem::take(&mut self.state().strays)
    }

    /// Registers a call before it is sent. Its answer comes through the receiver, unless the
    /// returned guard is dropped before.
    ///
    /// # Errors
    /// When no further call can be made.
    pub(super) fn ask(
        &self,
        id: u64,
    ) -> Result<(Asked<'_>, oneshot::Receiver<Answered>), CallError> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        if let Some(down) = &state.down {
            return Err(down.clone());
        }
        state.pending.insert(id, sender);
        Ok((Asked { router: self, id }, receiver))
    }

    /// Queues a message of our own; dropped where too many wait.
    pub(super) fn say(&self, message: Vec<u8>) {
        let _ = self.replies.try_send(message);
    }

    /// Says why no further call can be made; what was asked before may still be answered. Returns
    /// the first such reason.
    pub(super) fn set_down(&self, error: CallError) -> CallError {
        self.state().down.get_or_insert(error).clone()
    }

    /// The stream has ended: all who wait are told.
    pub(super) fn fail_all(&self, error: &CallError) {
        let mut state = self.state();
        state.down.get_or_insert_with(|| error.clone());
        for (_, waiting) in state.pending.drain() {
            let _ = waiting.send(Err(error.clone()));
        }
    }

    /// Hands a message to whom it is for. The only call in flight is also given an answer under an
    /// id that was never used.
    ///
    /// # Errors
    /// When it is no JSON-RPC message.
    pub(super) fn route(&self, arrival: Arrival) -> Result<(), serde_json::Error> {
        let body = arrival.body.clone();
        match message::classify(&body)? {
            Incoming::Answer(id) => {
                let mut state = self.state();
                if let Some(waiting) = state.pending.remove(&id) {
                    let _ = waiting.send(Ok(arrival));
                } else if !state.given_up.remove(&id) {
                    let used = FIRST_ID..self.next_id.load(Ordering::Relaxed);
                    if !used.contains(&id) {
                        unknown_id(&mut state, &id.to_string(), arrival);
                    } else {
                        state.strays.add(format!("a second answer under id {id}"));
                    }
                }
            }
            Incoming::ForeignAnswer(id) => {
                unknown_id(&mut self.state(), &excerpt(id), arrival);
            }
            Incoming::Request { id, method, params } => {
                let elicitation = self.elicitation;
                self.say(request::answer_to_server_request(
                    id,
                    &method,
                    params,
                    elicitation,
                ));
            }
            Incoming::Notification => {}
        }
        Ok(())
    }
}

/// The error of a caller whose stream is not read any more.
pub(super) fn reading_ended() -> CallError {
    CallError::new(
        ErrorKind::Closed,
        "the reading of the server's output ended",
    )
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
