//! Ctrl-C, SIGTERM and SIGHUP.

use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask mcpgate to stop. Made once, so that one that comes between two pieces of
/// work ends the next.
pub(super) struct Interrupts(Vec<Signal>);

impl Interrupts {
    /// Listens from now on. To be called inside a tokio runtime.
    pub(super) fn listen() -> Self {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        // A signal that cannot be listened to ends mcpgate as it always does; the guard then ends
        // the servers.
        Self(
            kinds
                .into_iter()
                .filter_map(|kind| signal(kind).ok())
                .collect(),
        )
    }

    /// Runs `work` until it ends or a signal asks mcpgate to stop; `None` then. The dropped work
    /// ends its servers at once.
    pub(super) async fn until<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let interrupted = std::future::poll_fn(|context| {
            let mut signals = self.0.iter_mut();
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
}
