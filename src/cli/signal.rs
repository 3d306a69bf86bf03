//! Ctrl-C and SIGTERM.

use tokio::signal::unix::{SignalKind, signal};

/// Runs `work` until it ends or a signal asks mcpgate to stop; `None` then. The dropped work ends
/// its servers at once.
pub(super) async fn until_interrupted<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = interrupted() => None,
    }
}

async fn interrupted() {
    let mut signals = Vec::new();
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ] {
        if let Ok(signal) = signal(kind) {
            signals.push(signal);
        }
    }
    std::future::poll_fn(|context| {
        if signals
            .iter_mut()
            .any(|signal| signal.poll_recv(context).is_ready())
        {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}
