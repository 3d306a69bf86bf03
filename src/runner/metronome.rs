//! A timer that wakes within microseconds: the runtime's own counts in whole milliseconds, which
//! would show as latency where it counts from when a call was due.

use tokio::time::Instant;

/// Waits for moments.
pub(super) struct Metronome {
    #[cfg(target_os = "linux")]
    timer: Option<tokio::io::unix::AsyncFd<rustix::fd::OwnedFd>>,
}

impl Metronome {
    /// Must be called inside a runtime. Where the system gives no such timer, the runtime's is used,
    /// and what it is late shows as send lag; so it is in tests, whose time is not the system's.
    pub(super) fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            timer: if cfg!(test) { None } else { linux::timer() },
        }
    }

    /// Waits until `at`. If that is past, others get their turn first all the same.
    pub(super) async fn until(&self, at: Instant) {
        if at <= Instant::now() {
            tokio::task::yield_now().await;
            return;
        }
        #[cfg(target_os = "linux")]
        if let Some(timer) = &self.timer
            && linux::wait(timer, at).await.is_some()
        {
            return;
        }
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_timer_wakes_when_it_is_time_and_not_before() {
        let timer = linux::timer().expect("a timer of the system");
        let metronome = Metronome { timer: Some(timer) };
        let began = Instant::now();
        for us in [300, 700, 2_500, 2_400, 0] {
            let at = began + std::time::Duration::from_micros(us);
            metronome.until(at).await;
            assert!(Instant::now() >= at, "{us} us");
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::{
        fd::OwnedFd,
        io::Errno,
        time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
            timerfd_settime,
        },
    };
    use tokio::{io::unix::AsyncFd, time::Instant};

    #[expect(
        deprecated,
        reason = "its successor is unsafe: it asks that the descriptor stays the same, as that of an \
                  OwnedFd does"
    )]
    pub(super) fn timer() -> Option<AsyncFd<OwnedFd>> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).ok()?;
        AsyncFd::new(timer).ok()
    }

    /// `None` if the timer does not work.
    pub(super) async fn wait(timer: &AsyncFd<OwnedFd>, at: Instant) -> Option<()> {
        loop {
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(());
            }
            let once = Itimerspec {
                it_interval: Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                },
                it_value: Timespec::try_from(left).ok()?,
            };
            timerfd_settime(timer, TimerfdTimerFlags::empty(), &once).ok()?;
            let mut ready = timer.readable().await.ok()?;
            let read = rustix::io::read(timer, &mut [0_u8; 8]);
            ready.clear_ready();
            if read.is_err_and(|error| error != Errno::AGAIN) {
                return None;
            }
        }
    }
}
