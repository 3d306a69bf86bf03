//! The threads that faults start: for a call, or beside all of them.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::work::spin;

/// What each thread of a call burns, in nominal microseconds.
const WORK_US: f64 = 1_000.0;
/// In so many parts, where it needs a lock for each.
const PARTS: u32 = 20;

/// Threads that burn CPU until this is dropped.
#[derive(Debug)]
pub(crate) struct Background {
    is_over: Arc<AtomicBool>,
}

impl Background {
    pub(crate) fn start(threads: u64) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        for _ in 0..threads {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    spin(WORK_US);
                }
            });
        }
        Self { is_over }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Lets so many threads do their work side by side, and waits for all.
pub(crate) async fn fan_out(threads: u64) {
    together(threads, || spin(WORK_US)).await;
}

/// Lets so many threads do their work by parts, of which only one is done at a time.
pub(crate) async fn lock_fight(threads: u64) {
    let lock = Mutex::new(());
    together(threads, move || {
        for _ in 0..PARTS {
            let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
            spin(WORK_US / f64::from(PARTS));
        }
    })
    .await;
}

async fn together(threads: u64, work: impl Fn() + Send + Sync + 'static) {
    if threads == 0 {
        return;
    }
    let all = tokio::task::spawn_blocking(move || {
        thread::scope(|scope| {
            for _ in 0..threads {
                // Where the system has no further thread, the work is done all the same.
                if thread::Builder::new().spawn_scoped(scope, &work).is_err() {
                    work();
                }
            }
        });
    });
    // It neither panics nor is cancelled.
    let _ = all.await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[tokio::test]
    async fn all_threads_have_worked_when_it_ends() {
        let done = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&done);
        together(5, move || {
            count.fetch_add(1, Ordering::Relaxed);
        })
        .await;
        assert_eq!(done.load(Ordering::Relaxed), 5);
        fan_out(2).await;
        lock_fight(2).await;
    }
}
