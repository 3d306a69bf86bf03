//! A time limit for one call after another.
//!
//! `tokio::time::timeout` enters a timer for every call and takes it out again. A timer that is due
//! sooner than all that ran when the runtime last waited makes it wake itself by a system call; where
//! callers are answered together and nothing else is due, that is each call's. Here the timer of the
//! call before stays where it is, and is moved only when it runs out, which is once in as long as a
//! call may take.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use tokio::{
    task::coop::unconstrained,
    time::{Duration, Instant, Sleep, sleep_until},
};

/// The time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeIsUp;

/// The timer that one caller's calls have in common. A clone has its own.
#[derive(Debug, Default)]
pub(super) struct CallClock {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Clone for CallClock {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl CallClock {
    /// What `work` gives, if it ends before `most` has passed from now.
    pub(super) async fn limit<T>(
        &mut self,
        most: Duration,
        mut work: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, TimeIsUp> {
        let deadline = Instant::now() + most;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(done));
            }
            // What keeps the work busy must not keep its time from being up.
            while Pin::new(&mut unconstrained(timer.as_mut()))
                .poll(context)
                .is_ready()
            {
                if timer.deadline() >= deadline {
                    return Poll::Ready(Err(TimeIsUp));
                }
                timer.as_mut().reset(deadline);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, pin::pin};

    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How long it took, in milliseconds, and whether it came to its end.
    async fn waits(clock: &mut CallClock, most_ms: u64, work_ms: u64) -> (u128, bool) {
        let began = Instant::now();
        let work = pin!(sleep(Duration::from_millis(work_ms)));
        let has_ended = clock
            .limit(Duration::from_millis(most_ms), work)
            .await
            .is_ok();
        (began.elapsed().as_millis(), has_ended)
    }

    #[tokio::test(start_paused = true)]
    async fn each_call_has_its_own_time_whatever_came_before_it() {
        let mut clock = CallClock::default();
        let table = [
            // A limit, how long the work takes, and how long it may.
            (1000, 100, (100, true)),
            // The timer of the call before would run out in the midst of it.
            (1000, 950, (950, true)),
            (1000, 5000, (1000, false)),
            // Shorter than what is left of the one before.
            (10_000, 1, (1, true)),
            (20, 5000, (20, false)),
            (20, 10, (10, true)),
            (1000, 999, (999, true)),
            (0, 10, (0, false)),
        ];
        for (number, (most, work, expected)) in table.into_iter().enumerate() {
            assert_eq!(
                waits(&mut clock, most, work).await,
                expected,
                "call {number}"
            );
        }
        sleep(60 * SECOND).await;
        assert_eq!(waits(&mut clock, 1000, 5000).await, (1000, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_was_given_up_leaves_the_timer_usable() {
        let mut clock = CallClock::default();
        let given_up = async {
            let work = pin!(pending::<()>());
            clock.limit(5 * SECOND, work).await
        };
        tokio::time::timeout(SECOND, given_up).await.unwrap_err();
        assert_eq!(waits(&mut clock, 7000, 9000).await, (7000, false));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_there_at_once_is_given_in_no_time_at_all() {
        let mut clock = CallClock::default();
        let work = pin!(async { 7 });
        assert_eq!(clock.limit(Duration::ZERO, work).await, Ok(7));
    }

    /// Work that is ready again and again uses up what a task may do before it yields.
    #[tokio::test]
    async fn work_that_is_always_busy_runs_out_of_time() {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        sender.send(()).unwrap();
        let work = pin!(async {
            while receiver.recv().await.is_some() {
                sender.send(()).unwrap();
            }
        });
        let mut clock = CallClock::default();
        let most = Duration::from_millis(20);
        assert_eq!(clock.limit(most, work).await, Err(TimeIsUp));
    }
}
