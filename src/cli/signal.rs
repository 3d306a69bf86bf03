//! Ctrl-C, SIGTERM and SIGHUP.

use std::{pin::pin, task::Poll};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask mcpgate to stop. Made once, so that one that comes between two pieces of
/// work ends the next.
pub(super) struct Interrupts {
    /// SIGINT: somebody at a terminal, who may want what is nearly measured.
    interrupt: Option<Signal>,
    /// SIGTERM and SIGHUP: whoever sends them will not wait for long.
    at_once: Vec<Signal>,
}

/// How work ended.
pub(super) enum Ended<T> {
    /// By itself.
    Done(T),
    /// By itself, but nothing more is to be begun.
    Last(T),
    /// At once; its servers with it.
    Stopped,
}

impl Interrupts {
    /// Listens from now on. To be called inside a tokio runtime.
    pub(super) fn listen() -> Self {
        // A signal that cannot be listened to ends mcpgate as it always does; the guard then ends
        // the servers.
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            at_once: [SignalKind::terminate(), SignalKind::hangup()]
                .into_iter()
                .filter_map(|kind| signal(kind).ok())
                .collect(),
        }
    }

    /// Runs `work` until it ends or a signal asks mcpgate to stop; `None` then. The dropped work
    /// ends its servers at once.
    pub(super) async fn until<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let interrupted = std::future::poll_fn(|context| {
            let mut signals = self.interrupt.iter_mut().chain(&mut self.at_once);
            if signals.any(|signal| signal.poll_recv(context).is_ready()) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        tokio::select! {
            biased;
            () = interrupted => None,
            done = work => Some(done),
        }
    }

    /// Runs `work` to its end even if one SIGINT comes, of which `asked` tells; a second one, and
    /// any other signal, stops it. One that came before it began stops it, too.
    pub(super) async fn whole<T>(
        &mut self,
        work: impl Future<Output = T>,
        asked: impl FnOnce(),
    ) -> Ended<T> {
        let mut work = pin!(work);
        let mut asked = Some(asked);
        let mut has_begun = false;
        std::future::poll_fn(|context| {
            let mut at_once = self.at_once.iter_mut();
            if at_once.any(|signal| signal.poll_recv(context).is_ready()) {
                return Poll::Ready(Ended::Stopped);
            }
            while let Some(interrupt) = &mut self.interrupt
                && interrupt.poll_recv(context).is_ready()
            {
                match asked.take() {
                    Some(asked) if has_begun => asked(),
                    _ => return Poll::Ready(Ended::Stopped),
                }
            }
            has_begun = true;
            let is_last = asked.is_none();
            work.as_mut().poll(context).map(|done| match is_last {
                true => Ended::Last(done),
                false => Ended::Done(done),
            })
        })
        .await
    }
}
