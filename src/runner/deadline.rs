//! When the time of a run is used up.

use tokio::time::{Duration, Instant, timeout_at};

/// The end of `max-time`: nothing is begun after it, and what goes on is given up a quarter of
/// that time later, so that a round which takes a little longer than planned is not lost.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    over: Instant,
    last: Instant,
}

impl Deadline {
    /// `max_time` from `began`.
    #[must_use]
    pub fn new(began: Instant, max_time: Duration) -> Self {
        Self {
            over: began + max_time,
            last: began + max_time + max_time / 4,
        }
    }

    /// Whether nothing more is to be begun.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over_in(Duration::ZERO)
    }

    /// Whether what takes so long would end after it.
    #[must_use]
    pub fn is_over_in(&self, time: Duration) -> bool {
        Instant::now() + time >= self.over
    }

    /// Runs `work`; `None` if it goes on for too long. The dropped work ends its servers at once.
    pub async fn cut<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.last, work).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{advance, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_goes_on_is_given_up_after_a_grace() {
        let deadline = Deadline::new(Instant::now(), Duration::from_secs(8));
        assert!(!deadline.is_over());
        assert!(!deadline.is_over_in(Duration::from_secs(7)));
        assert!(deadline.is_over_in(Duration::from_secs(8)));
        advance(Duration::from_secs(8)).await;
        assert!(deadline.is_over());
        let in_grace = sleep(Duration::from_secs(1));
        assert_eq!(deadline.cut(in_grace).await, Some(()));
        let began = Instant::now();
        assert_eq!(deadline.cut(pending::<()>()).await, None);
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }
}
