//! One HTTP answer: a body, or an event stream up to its answer and what follows it.
//!
//! The first byte is the head's; the last one is the last byte of the body, without what ends its
//! chunks, or of the event with the answer.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::time::{Duration, Instant, timeout};

use super::{
    Limits,
    client::Exchange,
    http::{HttpAnswer, HttpConnection, reset},
    http_target::HttpTarget,
    http1::{Body, Connection, Response},
    message::{self, Incoming},
    outcome::{CallError, ErrorKind, Strays, excerpt},
    request,
    sse::SseParser,
};

/// How long the rest of an answer may take to end before its connection is given up.
const DRAIN: Duration = Duration::from_millis(100);
/// How long a server may take to accept what nobody waits for.
pub(super) const ASIDE_PATIENCE: Duration = Duration::from_secs(30);
/// How much of an unsuccessful answer's body is read for its message.
const ERROR_BODY_BYTES: usize = 64 << 10;
/// How much may follow an answer in its event stream before the connection is given up.
const REST_BYTES: usize = 1 << 20;
/// The most room that is made for a body by what its server says of its length.
const MOST_RESERVED_BYTES: usize = 16 << 20;
/// The header by which a broken stream is asked for again.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How long to wait before a broken stream is asked for again, where the server does not say.
pub(super) const RESUME_AFTER: Duration = Duration::from_secs(1);
/// Requests that a server may make of us during one call; further ones are not answered.
const REPLIES_PER_CALL: usize = 16;

/// Reads what is left of a body, and gives its connection, if that can be used again.
pub(super) async fn drained(body: Body) -> Option<Box<Connection>> {
    read_on(body, ERROR_BODY_BYTES, |_| {}).await
}

/// The connection, if the rest of a body came to its end, within bounds.
async fn read_on(
    mut body: Body,
    most: usize,
    mut take: impl FnMut(&[u8]),
) -> Option<Box<Connection>> {
    if body.has_ended() {
        return body.finish();
    }
    let mut left = most;
    let reading = async {
        while let Some((bytes, _)) = body.chunk().await.ok()? {
            left = left.checked_sub(bytes.len())?;
            take(&bytes);
        }
        Some(())
    };
    timeout(DRAIN, reading).await.ok()??;
    body.finish()
}

/// What is left to be read after an answer.
#[derive(Debug)]
pub(super) enum Left {
    /// Nothing: the connection can be used again.
    Connection(Box<Connection>),
    /// Nothing, and the connection has ended or is to be given up.
    Nothing,
    /// The rest of the event stream.
    Stream(Rest),
}

/// What follows the answer in its event stream.
#[derive(Debug)]
pub(super) struct Rest {
    id: u64,
    body: Body,
    parser: SseParser,
    /// Events that came together with the answer.
    events: Vec<Vec<u8>>,
}

impl Rest {
    /// What is left to be read: nothing, where the stream's end came together with the answer, as
    /// most servers send it.
    fn left(mut self) -> Left {
        while let Ok(Some(bytes)) = self.body.at_hand() {
            self.parser
                .feed(&bytes, |event| self.events.push(event.data));
        }
        if self.body.has_ended() && self.events.is_empty() {
            self.body.finish().map_or(Left::Nothing, Left::Connection)
        } else {
            Left::Stream(self)
        }
    }

    /// Reads it to its end, so that the connection can be used again, and counts answers in it:
    /// the one that was asked for has come.
    pub(super) async fn drained(mut self, strays: &mut Strays) -> Option<Box<Connection>> {
        for event in &self.events {
            count_answer(self.id, event, strays);
        }
        read_on(self.body, REST_BYTES, |bytes| {
            self.parser
                .feed(bytes, |event| count_answer(self.id, &event.data, strays));
        })
        .await
    }
}

fn count_answer(asked: u64, event: &[u8], strays: &mut Strays) {
    match message::classify(event) {
        Ok(Incoming::Answer(id)) if id == asked => {
            strays.add(format!("a second answer under id {id}"));
        }
        Ok(Incoming::Answer(id)) => {
            strays.add(format!("an answer under id {id}, which was not asked here"));
        }
        Ok(Incoming::ForeignAnswer(id)) => {
            strays.add(format!(
                "an answer under id {}, which was never used",
                excerpt(id)
            ));
        }
        Ok(Incoming::Request { .. } | Incoming::Notification) | Err(_) => {}
    }
}

/// Reads the answer to one request.
pub(super) struct AnswerReader<'a> {
    /// The request's id.
    pub(super) id: u64,
    /// Where to send answers to the server's own requests.
    pub(super) target: &'a Arc<HttpTarget>,
    /// The session's headers.
    pub(super) headers: &'a HeaderMap,
    /// Most bytes of an answer, and what the server is answered.
    pub(super) limits: Limits,
}

/// What reading gave.
#[expect(
    clippy::large_enum_variant,
    reason = "lives for a moment, and a box would cost each call an allocation"
)]
pub(super) enum Read {
    /// The answer, and what is left to be read after it.
    Whole(HttpAnswer, Left),
    /// The event stream ended before the answer, and may be asked for again, on its connection where
    /// that can be used.
    Broken(Resume, Option<Box<Connection>>),
}

/// How a broken event stream is asked for again (2025-11-25 and before).
#[derive(Debug)]
pub(super) struct Resume {
    /// For `Last-Event-ID`.
    pub(super) last_event_id: HeaderValue,
    /// Not before this has passed since the stream ended.
    pub(super) after: Duration,
}

impl Resume {
    /// Where the stream named its events.
    pub(super) fn of(parser: &SseParser) -> Option<Self> {
        Some(Self {
            last_event_id: HeaderValue::from_str(parser.last_event_id()?).ok()?,
            after: parser
                .retry_ms()
                .map_or(RESUME_AFTER, Duration::from_millis),
        })
    }
}

impl AnswerReader<'_> {
    /// Reads up to the end of the answer; of an event stream there may be a rest. Of what comes
    /// with an unsuccessful status the start is enough.
    pub(super) async fn read(
        &self,
        mut response: Response,
        (sent, first_byte): (Instant, Instant),
    ) -> Result<Read, CallError> {
        let is_success = response.status().is_success();
        let (body, last_byte, left) = if is_success && response.head.is_event_stream() {
            match self.read_stream(response.body).await? {
                Streamed::Answer(body, last_byte, left) => (body, last_byte, left),
                Streamed::Broken(resume, open) => return Ok(Read::Broken(resume, open)),
            }
        } else {
            let limit = if is_success {
                self.limits.message_bytes
            } else {
                ERROR_BODY_BYTES
            };
            let (body, last_byte, is_whole) = up_to(&mut response.body, limit, first_byte).await?;
            if !is_whole && is_success {
                return Err(too_large(limit));
            }
            let open = response.body.finish();
            (
                body,
                last_byte,
                open.map_or(Left::Nothing, Left::Connection),
            )
        };
        Ok(Read::Whole(
            HttpAnswer {
                head: response.head,
                exchange: Exchange {
                    id: self.id,
                    sent,
                    first_byte,
                    last_byte,
                    body,
                },
            },
            left,
        ))
    }

    async fn read_stream(&self, mut body: Body) -> Result<Streamed, CallError> {
        let mut parser = SseParser::new();
        let mut received = 0_usize;
        let mut replies = 0;
        loop {
            let (bytes, at) = match body.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => {
                    let resume = Resume::of(&parser).ok_or_else(|| reset(&error))?;
                    return Ok(Streamed::Broken(resume, None));
                }
            };
            received = received.saturating_add(bytes.len());
            if received > self.limits.message_bytes {
                return Err(too_large(self.limits.message_bytes));
            }
            // There is one, as a rule, and a list of one would have to be allocated.
            let (mut first, mut more) = (None, Vec::new());
            parser.feed(&bytes, |event| match first {
                None => first = Some(event.data),
                Some(_) => more.push(event.data),
            });
            let mut events = first.into_iter().chain(more);
            while let Some(data) = events.next() {
                let asked = if message::may_ask(&data) {
                    message::classify(&data).ok()
                } else {
                    None
                };
                match asked {
                    Some(Incoming::Request { id, method, params }) => {
                        replies += 1;
                        if replies <= REPLIES_PER_CALL {
                            let elicitation = self.limits.elicitation;
                            self.reply(request::answer_to_server_request(
                                id,
                                &method,
                                params,
                                elicitation,
                            ));
                        }
                    }
                    Some(Incoming::Notification) => {}
                    Some(Incoming::Answer(_) | Incoming::ForeignAnswer(_)) | None => {
                        let rest = Rest {
                            id: self.id,
                            body,
                            parser,
                            events: events.collect(),
                        };
                        return Ok(Streamed::Answer(Bytes::from(data), at, rest.left()));
                    }
                }
            }
        }
        let resume = Resume::of(&parser).ok_or_else(|| ended_early(self.id))?;
        Ok(Streamed::Broken(resume, body.finish()))
    }

    /// Answers a request that the server made inside the event stream. A server that does not take
    /// the answer fails the call that it asked for.
    fn reply(&self, body: Vec<u8>) {
        post_aside(self.target, self.headers, body);
    }
}

/// What an event stream gave.
enum Streamed {
    Answer(Bytes, Instant, Left),
    Broken(Resume, Option<Box<Connection>>),
}

/// The error of a stream that ended, and cannot be asked for again.
pub(super) fn ended_early(id: u64) -> CallError {
    CallError::new(
        ErrorKind::Reset,
        format!("the event stream ended before the answer under id {id}"),
    )
}

/// Posts a message on a connection of its own, while another request may be in flight. Nobody
/// waits for it.
pub(super) fn post_aside(target: &Arc<HttpTarget>, headers: &HeaderMap, body: Vec<u8>) {
    let mut connection = HttpConnection::new(Arc::clone(target), Limits::default());
    let headers = headers.clone();
    tokio::spawn(async move {
        let _ = connection
            .status_of(Method::POST, Bytes::from(body), &headers, ASIDE_PATIENCE)
            .await;
    });
}

pub(super) fn too_large(limit: usize) -> CallError {
    CallError::new(
        ErrorKind::TooLarge,
        format!("the answer is larger than the limit of {limit} bytes"),
    )
}

/// A body, cut at `limit`; when its last byte came; and whether it is whole.
pub(super) async fn up_to(
    body: &mut Body,
    limit: usize,
    first_byte: Instant,
) -> Result<(Bytes, Instant, bool), CallError> {
    let mut last_byte = first_byte;
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some((mut bytes, at)) = body.chunk().await.map_err(|e| reset(&e))? {
        last_byte = at;
        let held = first.len().max(all.len());
        let is_too_much = bytes.len() > limit - held;
        if is_too_much {
            bytes.truncate(limit - held);
        }
        if held == 0 {
            first = bytes;
        } else {
            if all.is_empty() {
                let left = body
                    .bytes_left()
                    .and_then(|left| usize::try_from(left).ok());
                let room = held + bytes.len() + left.unwrap_or(held);
                all.reserve(room.min(limit).min(MOST_RESERVED_BYTES));
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&bytes);
        }
        if is_too_much {
            let body = if all.is_empty() { first } else { all.freeze() };
            return Ok((body, last_byte, false));
        }
    }
    let body = if all.is_empty() { first } else { all.freeze() };
    Ok((body, last_byte, true))
}
