//! Bodies of HTTP answers, right and wrong ones.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

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
    /// Whatever comes, until its sender is gone.
    Stream(mpsc::Receiver<Bytes>),
}

impl ReplyBody {
    pub(crate) fn empty() -> Self {
        Self::Whole(None)
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
            Self::Events { opening, rest } => opening.is_none() && rest.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Cut { .. } | Self::Events { .. } | Self::Stream(_) => SizeHint::default(),
        }
    }
}
