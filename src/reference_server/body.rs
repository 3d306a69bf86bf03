//! Bodies of HTTP answers, right and wrong ones.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedMutexGuard, mpsc};

/// A part of an answer of which is told when it was read.
const PART_BYTES: usize = 64 << 10;

/// The body of an answer.
pub(crate) enum ReplyBody {
    /// All of it, known beforehand.
    Whole(Option<Bytes>),
    /// Sends this, lets it reach the client, then breaks off.
    Cut { part: Option<Bytes>, sent: bool },
    /// An event stream: its opening at once, the rest when it is ready.
    Events {
        opening: Option<Bytes>,
        rest: Option<Pin<Box<dyn Future<Output = Bytes> + Send>>>,
    },
    /// Parts that each go out before the next is handed over, and what is held until the last is.
    Parts {
        rest: VecDeque<Bytes>,
        is_flushed: bool,
        _turn: Option<OwnedMutexGuard<()>>,
    },
    /// Whatever comes, until its sender is gone.
    Stream(mpsc::Receiver<Bytes>),
}

impl ReplyBody {
    pub(crate) fn empty() -> Self {
        Self::Whole(None)
    }

    /// In two parts, or in as many as show when they were read.
    pub(crate) fn in_parts(
        mut bytes: Bytes,
        in_two: bool,
        turn: Option<OwnedMutexGuard<()>>,
    ) -> Self {
        let part = if in_two { bytes.len() / 2 } else { PART_BYTES };
        let mut rest = VecDeque::new();
        while (rest.is_empty() || !in_two) && bytes.len() > part && part > 0 {
            rest.push_back(bytes.split_to(part));
        }
        rest.push_back(bytes);
        Self::Parts {
            rest,
            is_flushed: true,
            _turn: turn,
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Cut { part, sent } => {
                if let Some(part) = part.take() {
                    return Poll::Ready(Some(Ok(Frame::data(part))));
                }
                if !*sent {
                    // hyper flushes when a body is not ready; an error drops what it holds.
                    *sent = true;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(Some(Err(io::Error::other("cut, as told by a fault"))))
            }
            Self::Parts {
                rest, is_flushed, ..
            } => {
                if !*is_flushed {
                    *is_flushed = true;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                *is_flushed = false;
                Poll::Ready(rest.pop_front().map(|part| Ok(Frame::data(part))))
            }
            Self::Stream(events) => events
                .poll_recv(context)
                .map(|event| event.map(|bytes| Ok(Frame::data(bytes)))),
            Self::Events { opening, rest } => {
                if let Some(bytes) = opening.take() {
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                let Some(future) = rest else {
                    return Poll::Ready(None);
                };
                match future.as_mut().poll(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(bytes) => {
                        *rest = None;
                        Poll::Ready(Some(Ok(Frame::data(bytes))))
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Cut { .. } | Self::Stream(_) => false,
            Self::Parts { rest, .. } => rest.is_empty(),
            Self::Events { opening, rest } => opening.is_none() && rest.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Parts { rest, .. } => {
                SizeHint::with_exact(rest.iter().map(|part| part.len() as u64).sum())
            }
            Self::Cut { .. } | Self::Events { .. } | Self::Stream(_) => SizeHint::default(),
        }
    }
}
