//! A known slow-down of every answer, planted to see whether it is found.

use std::time::Duration;

use tokio::time::Instant;

use super::metronome::Metronome;
use crate::mcp::client::Exchange;

/// Holds answers to calls that are made one at a time back, until they have taken a fixed factor of their
/// time: their caller waits, as for a server that is that much slower.
///
/// Not where several are in flight: to hold answers of a server that is busy all the time takes load off it,
/// its queue becomes shorter by as much as was planted, and nothing is left to be found.
pub(super) struct Slowdown(Option<(f64, Metronome)>);

impl Slowdown {
    /// By this factor, of at least 1; `None` holds nothing back. Must be called inside a runtime.
    pub(super) fn by(factor: Option<f64>) -> Self {
        Self(factor.map(|factor| (factor, Metronome::new())))
    }

    /// Waits, from now on, for what is missing where an answer took `worked`, which is its wall time without
    /// what was waited for a core: a busy machine must not make the planted change larger. How long that was.
    pub(super) async fn hold(&self, worked: Duration) -> Duration {
        let Some((factor, metronome)) = &self.0 else {
            return Duration::ZERO;
        };
        let began = Instant::now();
        let missing = worked.mul_f64((factor - 1.0).max(0.0));
        metronome.until(began + missing).await;
        began.elapsed()
    }
}

/// An answer as it would be, had it come so much later.
pub(super) fn delay(exchange: &mut Exchange, held: Duration) {
    exchange.first_byte += held;
    exchange.last_byte += held;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_worked_is_made_longer_by_the_factor_and_without_one_not_at_all() {
        for (factor, held_ms) in [(None, 0), (Some(1.5), 20), (Some(1.0), 0)] {
            let began = Instant::now();
            let held = Slowdown::by(factor).hold(Duration::from_millis(40)).await;
            assert_eq!(held, Duration::from_millis(held_ms), "{factor:?}");
            assert_eq!(began.elapsed(), held, "{factor:?}");
        }
    }
}
