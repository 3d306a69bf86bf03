//! One kept-alive HTTP/1.1 connection of a client (RFC 9112): one request, one answer, in turn.
//!
//! It is driven by the task that makes the calls, and stamps the time at the very read that brought
//! the bytes. A general client drives its connections in tasks of their own: each call then costs
//! two hand-overs between tasks, is stamped after the second, and has its headers made into maps on
//! both ways.

pub mod framing;
pub mod head;
#[cfg(test)]
mod tests;

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, Uri};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    task::unconstrained,
    time::Instant,
};

use self::{
    framing::Decoder,
    head::{Head, Parsed, parse},
};
use super::outcome::excerpt_bytes;

/// What is read at once, to begin with.
const ROOM_BYTES: usize = 4 << 10;
/// The most that is read at once, of large answers.
const MOST_ROOM_BYTES: usize = 256 << 10;
/// A body up to this size is written together with its head: copying it is cheaper than a second
/// write.
const WRITTEN_WHOLE_BYTES: usize = 16 << 10;

/// What a connection goes over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    /// Of which path and query are sent.
    pub(super) target: &'a Uri,
    /// All but `content-length`.
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a Bytes,
}

impl Request<'_> {
    fn write_head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        let target = self.target.path_and_query();
        out.extend_from_slice(target.map_or("/", |target| target.as_str()).as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        for (name, value) in self.headers {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if !self.body.is_empty() || self.method == Method::POST {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(self.body.len().to_string().as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// A request that got no answer's head.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: io::Error,
    /// Whether not a byte of it was written: the server cannot have seen it.
    pub(super) is_unsent: bool,
}

/// What a connection goes over, and how it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// A write that failed may then have sent a part.
    pub(super) is_encrypted: bool,
    /// Whether the server is told of the end; else the stream is dropped and nothing said.
    pub(super) says_its_end: bool,
}

/// A connection on which nothing is asked at the moment.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    manner: Manner,
    /// What was read and not yet taken.
    input: BytesMut,
    /// How much is read at once.
    room: usize,
    output: Vec<u8>,
    /// When `input` was last added to.
    read_at: Instant,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl Drop for Connection {
    /// Over TLS an end that is not said looks like a connection that was cut.
    fn drop(&mut self) {
        if self.manner.says_its_end {
            let mut context = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut self.stream).poll_shutdown(&mut context);
        }
    }
}

/// What is known of a connection on which nothing is asked, without waiting.
enum Idle {
    Usable,
    Closed,
    /// The server said something that was not asked.
    Spoke,
}

impl Connection {
    pub(super) fn new(stream: impl Stream + 'static, manner: Manner) -> Box<Self> {
        Box::new(Self {
            stream: Box::new(stream),
            manner,
            input: BytesMut::new(),
            room: ROOM_BYTES,
            output: Vec::new(),
            read_at: Instant::now(),
        })
    }

    /// Whether the server has neither closed it nor said anything that was not asked, as far as this
    /// is known without waiting.
    pub(super) fn is_usable(&mut self) -> bool {
        matches!(self.idle(), Idle::Usable)
    }

    fn idle(&mut self) -> Idle {
        let mut context = Context::from_waker(Waker::noop());
        // A task that has done much at once would be told to wait, whatever lies there.
        let look = pin!(unconstrained(poll_fn(|context| self.poll_fill(context))));
        match look.poll(&mut context) {
            Poll::Pending => Idle::Usable,
            Poll::Ready(Ok(0) | Err(_)) => Idle::Closed,
            Poll::Ready(Ok(_)) => Idle::Spoke,
        }
    }

    /// Sends a request and waits for the head of its answer; informational ones (1xx) are passed
    /// over. The connection comes back from the answer's body.
    pub(super) async fn ask(mut self: Box<Self>, request: Request<'_>) -> Result<Response, Failed> {
        let unasked = match self.idle() {
            Idle::Usable => None,
            Idle::Closed => Some(closed("before it was asked")),
            Idle::Spoke => Some(invalid(&format!(
                "the server said \"{}\" before it was asked",
                excerpt_bytes(&self.input)
            ))),
        };
        if let Some(error) = unasked {
            return Err(Failed {
                error,
                is_unsent: true,
            });
        }
        self.room = ROOM_BYTES;
        self.output.clear();
        request.write_head(&mut self.output);
        let mut apart = request.body.clone();
        if apart.len() <= WRITTEN_WHOLE_BYTES {
            self.output.extend_from_slice(&apart);
            apart = Bytes::new();
        }
        let mut asking = Asking {
            apart,
            written: 0,
            is_flushed: false,
            write_error: None,
            first_byte: None,
            seen: 0,
        };
        let sent = Instant::now();
        let answered = poll_fn(|context| self.poll_head(context, &mut asking)).await;
        match answered {
            Ok(parsed) => Ok(Response {
                head: parsed.head,
                sent,
                first_byte: asking.first_byte.unwrap_or(self.read_at),
                body: Body {
                    decoder: parsed.decoder,
                    is_reusable: parsed.is_reusable && asking.is_flushed,
                    asking: (!asking.is_flushed).then(|| Box::new(asking)),
                    connection: self,
                },
            }),
            Err(error) => {
                let may_be_sent = self.manner.is_encrypted && asking.write_error.is_some();
                Err(Failed {
                    error: asking.write_error.unwrap_or(error),
                    is_unsent: asking.written == 0 && asking.first_byte.is_none() && !may_be_sent,
                })
            }
        }
    }

    /// Writes what is to be written and reads meanwhile: a server may refuse a long body by an
    /// answer before it has read it.
    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        asking: &mut Asking,
    ) -> Poll<io::Result<Parsed>> {
        self.poll_write(context, asking);
        loop {
            if ready!(self.poll_fill(context))? == 0 {
                let how_far = if self.input.is_empty() {
                    "before its answer"
                } else {
                    "in the head of its answer"
                };
                return Poll::Ready(Err(closed(how_far)));
            }
            asking.first_byte.get_or_insert(self.read_at);
            while let Some(parsed) = parse(&mut self.input, &mut asking.seen)? {
                if !parsed.head.status().is_informational() {
                    return Poll::Ready(Ok(parsed));
                }
                if parsed.head.status() == StatusCode::SWITCHING_PROTOCOLS {
                    let text = "the server switches to another protocol, which was not asked for";
                    return Poll::Ready(Err(invalid(text)));
                }
                asking.first_byte = (!self.input.is_empty()).then_some(self.read_at);
            }
        }
    }

    /// Writes as much as can be; what goes wrong is kept, since an answer may lie there that says why.
    fn poll_write(&mut self, context: &mut Context<'_>, asking: &mut Asking) {
        while !asking.is_flushed && asking.write_error.is_none() {
            let rest = match self.output.get(asking.written..) {
                Some(rest) if !rest.is_empty() => rest,
                _ => asking
                    .apart
                    .get(asking.written - self.output.len()..)
                    .unwrap_or_default(),
            };
            let stream = Pin::new(&mut self.stream);
            if rest.is_empty() {
                match stream.poll_flush(context) {
                    Poll::Pending => return,
                    Poll::Ready(Ok(())) => asking.is_flushed = true,
                    Poll::Ready(Err(error)) => asking.write_error = Some(error),
                }
                continue;
            }
            match stream.poll_write(context, rest) {
                Poll::Pending => return,
                Poll::Ready(Ok(0)) => {
                    asking.write_error = Some(io::ErrorKind::WriteZero.into());
                }
                Poll::Ready(Ok(written)) => asking.written += written,
                Poll::Ready(Err(error)) => asking.write_error = Some(error),
            }
        }
    }

    /// Reads once; 0 at the end.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let spare = self.input.capacity() - self.input.len();
        if spare < self.room / 2 {
            self.input.reserve(self.room);
        }
        let spare = self.input.capacity() - self.input.len();
        let read = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(context))?;
        if read > 0 {
            self.read_at = Instant::now();
        }
        if read == spare {
            self.room = (self.room * 4).min(MOST_ROOM_BYTES);
        }
        Poll::Ready(Ok(read))
    }
}

/// A request that is being sent, and its answer's beginning.
#[derive(Debug)]
struct Asking {
    /// What is written after [`Connection::output`].
    apart: Bytes,
    written: usize,
    is_flushed: bool,
    write_error: Option<io::Error>,
    /// When the answer's first byte was there.
    first_byte: Option<Instant>,
    /// Bytes of the head that were searched for its end.
    seen: usize,
}

/// An answer whose head is there.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) head: Head,
    /// When the request began to be sent.
    pub(super) sent: Instant,
    /// When the answer's first byte was there.
    pub(super) first_byte: Instant,
    pub(super) body: Body,
}

impl Response {
    pub(super) fn status(&self) -> StatusCode {
        self.head.status()
    }
}

/// An answer's body. Where it is dropped before its end, its connection is closed.
#[derive(Debug)]
pub(super) struct Body {
    connection: Box<Connection>,
    decoder: Decoder,
    is_reusable: bool,
    /// A request that is answered before it is written whole: a server may want the rest all the
    /// same.
    asking: Option<Box<Asking>>,
}

impl Body {
    /// The next bytes, and when they were there; `None` at the end.
    pub(super) async fn chunk(&mut self) -> io::Result<Option<(Bytes, Instant)>> {
        loop {
            if let Some(bytes) = self.decoder.next(&mut self.connection.input)? {
                return Ok(Some((bytes, self.connection.read_at)));
            }
            if self.decoder.has_ended() {
                return Ok(None);
            }
            if let Some(left) = self.decoder.bytes_left() {
                let left = usize::try_from(left).unwrap_or(MOST_ROOM_BYTES);
                self.connection.room = left.clamp(ROOM_BYTES, MOST_ROOM_BYTES);
            }
            let read = poll_fn(|context| {
                if let Some(asking) = &mut self.asking {
                    self.connection.poll_write(context, asking);
                }
                self.connection.poll_fill(context)
            })
            .await?;
            if read == 0 {
                return if self.decoder.ends_with_the_connection() {
                    Ok(None)
                } else {
                    Err(closed("in the body of its answer"))
                };
            }
        }
    }

    /// How many bytes are certain to follow.
    pub(super) fn bytes_left(&self) -> Option<u64> {
        self.decoder.bytes_left()
    }

    /// The connection, if this came to its end and it can be asked again.
    pub(super) fn finish(mut self) -> Option<Box<Connection>> {
        if self.connection.room > ROOM_BYTES && self.connection.input.is_empty() {
            self.connection.input = BytesMut::new();
        }
        let is_over = self.decoder.has_ended() && self.connection.input.is_empty();
        (is_over && self.is_reusable).then_some(self.connection)
    }

    /// What was read already and not yet taken; `None` if that is nothing.
    pub(super) fn at_hand(&mut self) -> io::Result<Option<Bytes>> {
        self.decoder.next(&mut self.connection.input)
    }

    /// Whether its end was read.
    pub(super) fn has_ended(&self) -> bool {
        self.decoder.has_ended()
    }
}

fn closed(how_far: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the server closed it {how_far}"),
    )
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
