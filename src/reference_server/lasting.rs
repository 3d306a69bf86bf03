//! Faults that are about more than one call: who waits for whom, what is kept, what is refused.

use std::{
    fs::File,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::sync::{Mutex as Turn, MutexGuard, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::faults::Fault;

/// How long a first call with the fault `first-calls-deadlock` sets up what all need: long enough for
/// those that come at the same time from a client that has to wait for a core.
const SETTING_UP: Duration = Duration::from_millis(100);
/// How long a `remember` with the fault `lost-updates` works on its copy of the store.
const COPY_IN_WORK: Duration = Duration::from_millis(2);

/// Most times as long as for 1 MB that `quadratic-copy` waits.
const LONGEST_COPY: f64 = 1e4;

/// The faults of a server that are about more than one call.
#[derive(Debug, Default)]
pub(crate) struct Lasting {
    /// `one-at-a-time`.
    turn: Option<Turn<()>>,
    /// `pool`: its places, and how many there are.
    pool: Option<(Arc<Semaphore>, usize)>,
    /// `queue`.
    queue: Option<Arc<Semaphore>>,
    /// `hang-beyond`, in bytes.
    hang_beyond: Option<u64>,
    /// `quadratic-copy`: for 1 MB.
    quadratic_copy: Option<Duration>,
    /// `one-writer`.
    writer: Option<Arc<Turn<()>>>,
    /// `nagle`.
    in_two_parts: bool,
    /// `stuck-after-aborts`.
    slots: Option<Arc<Semaphore>>,
    /// `first-call`.
    first_call: Option<Duration>,
    was_called: AtomicBool,
    /// `first-calls-deadlock`.
    first_calls_deadlock: bool,
    has_answered: AtomicBool,
    hangs: AtomicBool,
    in_flight: AtomicU64,
    /// `slow-errors`.
    slow_errors: Option<Duration>,
    /// `session-limit`.
    session_limit: Option<u64>,
    /// `session-leak`, for good; `session-weight`, until the session is ended.
    session_bytes: (u64, u64),
    /// `descriptor-leak`, `thread-leak`.
    leaks: (bool, bool),
    kept: Mutex<(Vec<Vec<u8>>, Vec<File>)>,
    /// `lost-updates`.
    loses_updates: bool,
    store: Mutex<Vec<String>>,
}

/// A call that goes on.
pub(crate) struct Going<'a> {
    _turn: Option<MutexGuard<'a, ()>>,
    _place: Option<OwnedSemaphorePermit>,
    slot: Option<OwnedSemaphorePermit>,
    count: Option<&'a AtomicU64>,
}

impl Going<'_> {
    /// The call has come to its end: only then is its slot given back.
    pub(crate) fn done(mut self) {
        drop(self.slot.take());
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            slot.forget();
        }
        if let Some(count) = self.count {
            count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Why a call does not go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It is refused, in these words.
    Refused(String),
    /// It is never answered.
    Never,
}

impl Lasting {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let mut all = Self::default();
        let places = |number: u64| usize::try_from(number).unwrap_or(Semaphore::MAX_PERMITS);
        for fault in faults {
            match fault {
                Fault::OneAtATime => all.turn = Some(Turn::new(())),
                Fault::Pool { size } => {
                    let size = places(size.get());
                    all.pool = Some((Arc::new(Semaphore::new(size)), size));
                }
                Fault::Queue { size } => {
                    all.queue = Some(Arc::new(Semaphore::new(places(size.get()))));
                }
                Fault::HangBeyond { bytes } => all.hang_beyond = Some(*bytes),
                Fault::QuadraticCopy { lasting } => all.quadratic_copy = Some(*lasting),
                Fault::OneWriter => all.writer = Some(Arc::new(Turn::new(()))),
                Fault::Nagle => all.in_two_parts = true,
                Fault::StuckAfterAborts { slots } => {
                    all.slots = Some(Arc::new(Semaphore::new(places(slots.get()))));
                }
                Fault::FirstCall { lasting } => all.first_call = Some(*lasting),
                Fault::FirstCallsDeadlock => all.first_calls_deadlock = true,
                Fault::SlowErrors { lasting } => all.slow_errors = Some(*lasting),
                Fault::SessionLimit { sessions } => all.session_limit = Some(*sessions),
                Fault::SessionLeak { bytes } => all.session_bytes.0 += bytes,
                Fault::SessionWeight { bytes } => all.session_bytes.1 += bytes,
                Fault::DescriptorLeak => all.leaks.0 = true,
                Fault::ThreadLeak => all.leaks.1 = true,
                Fault::LostUpdates => all.loses_updates = true,
                _ => {}
            }
        }
        all
    }

    /// Lets a call begin when it may.
    pub(crate) async fn begin(&self) -> Result<Going<'_>, Stop> {
        let mut going = Going {
            _turn: self.turn().await,
            _place: None,
            slot: None,
            count: None,
        };
        if let Some((pool, size)) = &self.pool {
            let place = Arc::clone(pool).try_acquire_owned();
            going._place = Some(place.map_err(|_| {
                Stop::Refused(format!("connection pool exhausted: all {size} are in use"))
            })?);
        }
        if let Some(queue) = &self.queue {
            going._place = Arc::clone(queue).acquire_owned().await.ok();
        }
        if let Some(slots) = &self.slots {
            going.slot = Arc::clone(slots).acquire_owned().await.ok();
        }
        if let Some(lasting) = self.first_call
            && !self.was_called.swap(true, Ordering::SeqCst)
        {
            tokio::time::sleep(lasting).await;
        }
        if self.first_calls_deadlock && !self.has_answered.load(Ordering::SeqCst) {
            if self.in_flight.fetch_add(1, Ordering::SeqCst) > 0 {
                self.hangs.store(true, Ordering::SeqCst);
            }
            going.count = Some(&self.in_flight);
            tokio::time::sleep(SETTING_UP).await;
            if self.hangs.load(Ordering::SeqCst) {
                return Err(Stop::Never);
            }
            self.has_answered.store(true, Ordering::SeqCst);
        }
        Ok(going)
    }

    async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match &self.turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        }
    }

    /// What is waited for before a reply that is no call's.
    pub(crate) async fn before_reply(&self, is_error: bool) {
        drop(self.turn().await);
        if let Some(lasting) = self.slow_errors.filter(|_| is_error) {
            tokio::time::sleep(lasting).await;
        }
    }

    /// Whether one session more is refused.
    pub(crate) fn is_full(&self, open: usize) -> bool {
        self.session_limit.is_some_and(|limit| open as u64 >= limit)
    }

    /// A session opens: what it holds until it is ended.
    pub(crate) fn session_opens(&self) -> Vec<u8> {
        let (leaked, weight) = self.session_bytes;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if leaked > 0 {
            kept.0.push(touched(leaked));
        }
        if self.leaks.0 {
            #[expect(
                clippy::disallowed_methods,
                reason = "a descriptor that is never closed is the fault"
            )]
            kept.1.extend(File::open("/dev/null").ok());
        }
        if self.leaks.1 {
            // Where the system has no further thread, there is nothing more to leak.
            let _ = thread::Builder::new().spawn(|| {
                loop {
                    thread::park();
                }
            });
        }
        touched(weight)
    }

    /// Whether the size of an answer matters.
    pub(crate) fn weighs_answers(&self) -> bool {
        self.hang_beyond.is_some() || self.quadratic_copy.is_some()
    }

    /// Waits as long as an answer of this size has to; `false` where it is never answered.
    pub(crate) async fn before_answer(&self, bytes: usize) -> bool {
        let bytes = bytes as f64;
        if self.hang_beyond.is_some_and(|most| bytes > most as f64) {
            return false;
        }
        if let Some(of_one_mb) = self.quadratic_copy {
            let mb = bytes / 1e6;
            tokio::time::sleep(of_one_mb.mul_f64((mb * mb).min(LONGEST_COPY))).await;
        }
        true
    }

    /// Waits for its turn to write an answer, where only one may.
    pub(crate) async fn writer(&self) -> Option<OwnedMutexGuard<()>> {
        match &self.writer {
            Some(turn) => Some(Arc::clone(turn).lock_owned().await),
            None => None,
        }
    }

    /// Whether answers go out in two parts, the second held back.
    pub(crate) fn in_two_parts(&self) -> bool {
        self.in_two_parts
    }

    /// Adds to the store.
    pub(crate) async fn remember(&self, item: String) {
        let store = || self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if self.loses_updates {
            let mut copy = store().clone();
            tokio::time::sleep(COPY_IN_WORK).await;
            copy.push(item);
            *store() = copy;
        } else {
            store().push(item);
        }
    }

    /// What is in the store.
    pub(crate) fn recall(&self) -> String {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.join("\n")
    }
}

fn touched(bytes: u64) -> Vec<u8> {
    vec![0xA5; usize::try_from(bytes).unwrap_or(usize::MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lasting(faults: &[&str]) -> Lasting {
        let faults: Vec<Fault> = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        Lasting::new(&faults)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_dropped_keeps_its_slot_and_one_that_ends_gives_it_back() {
        let all = lasting(&["stuck-after-aborts=2"]);
        for _ in 0..5 {
            all.begin().await.unwrap_or_else(|_| panic!()).done();
        }
        drop(all.begin().await);
        drop(all.begin().await);
        let third = tokio::time::timeout(Duration::from_secs(60), all.begin()).await;
        assert!(third.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_pool_refuses_in_words() {
        let all = lasting(&["pool=1"]);
        let first = all.begin().await.unwrap_or_else(|_| panic!());
        let Err(Stop::Refused(words)) = all.begin().await else {
            panic!("it was let in");
        };
        assert!(words.contains("pool exhausted"));
        first.done();
        assert!(all.begin().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn first_calls_hang_if_they_come_at_once_and_not_after_one_alone() {
        let all = lasting(&["first-calls-deadlock"]);
        let both = tokio::join!(all.begin(), all.begin());
        assert!(both.0.is_err() && both.1.is_err());
        drop(both);
        let all = lasting(&["first-calls-deadlock"]);
        all.begin().await.unwrap_or_else(|_| panic!()).done();
        let both = tokio::join!(all.begin(), all.begin());
        assert!(both.0.is_ok() && both.1.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn writes_at_once_are_lost_only_where_told_so() {
        for (faults, lines) in [(&[][..], 3), (&["lost-updates"][..], 1)] {
            let all = lasting(faults);
            tokio::join!(
                all.remember("a".to_owned()),
                all.remember("b".to_owned()),
                all.remember("c".to_owned())
            );
            assert_eq!(all.recall().lines().count(), lines);
        }
    }
}
