//! A known slow-down of every answer, planted to see whether it is found.

use tokio::time::Instant;

use super::metronome::Metronome;
use crate::mcp::client::Exchange;

/// Holds answers back until they have taken a fixed factor of their time: their caller waits, as for a
/// server that is that much slower, and its next call comes that much later.
pub(super) struct Slowdown(Option<(f64, Metronome)>);

impl Slowdown {
    /// By this factor, of at least 1; `None` holds nothing back. One for each caller. Must be called
    /// inside a runtime.
    pub(super) fn by(factor: Option<f64>) -> Self {
        Self(factor.map(|factor| (factor, Metronome::new())))
    }

    /// Waits until what began then, and ended just now, has taken its time. When that was; `None` at
    /// once if nothing is held back.
    pub(super) async fn hold(&self, began: Instant, ended: Instant) -> Option<Instant> {
        let (factor, metronome) = self.0.as_ref()?;
        metronome
            .until(began + (ended - began).mul_f64(*factor))
            .await;
        Some(Instant::now())
    }

    /// The same for an answer. Its first byte is as far from its last as it was.
    pub(super) async fn hold_answer(&self, exchange: &mut Exchange) {
        if let Some(ended) = self.hold(exchange.sent, exchange.last_byte).await {
            exchange.first_byte = ended - (exchange.last_byte - exchange.first_byte);
            exchange.last_byte = ended;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_held_back_by_the_factor_and_without_one_not_at_all() {
        for (factor, wall_ms, first_ms) in
            [(None, 40, 30), (Some(1.5), 60, 50), (Some(1.0), 40, 30)]
        {
            let sent = Instant::now();
            let mut exchange = Exchange {
                id: 1,
                sent,
                first_byte: sent + Duration::from_millis(30),
                last_byte: sent + Duration::from_millis(40),
                body: Bytes::new(),
            };
            tokio::time::advance(Duration::from_millis(40)).await;
            Slowdown::by(factor).hold_answer(&mut exchange).await;
            assert_eq!(sent.elapsed(), Duration::from_millis(wall_ms), "{factor:?}");
            assert_eq!(
                exchange.wall(),
                Duration::from_millis(wall_ms),
                "{factor:?}"
            );
            let first = exchange.first_byte - sent;
            assert_eq!(first, Duration::from_millis(first_ms), "{factor:?}");
        }
    }
}
