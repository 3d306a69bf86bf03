//! How the tools do their work.
//!
//! **CPU work is counted in steps, not in time.** A tool that spins until a clock says so hides
//! what a gate must see: a wait for a core, a slower machine, a slower build. Calibrating the
//! number of steps at start-up would add the error of that calibration to the spread between
//! fresh servers. So one nominal microsecond is a fixed number of dependent integer steps
//! ([`STEPS_PER_MICROSECOND`]), the same on every machine and in every start; it is about one
//! microsecond on a 2020s server core in a release build, and two to three in a debug build.

use std::{
    hint::black_box,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{Semaphore, oneshot},
    task::block_in_place,
};

use super::{WORKERS, tools::Work};

/// Steps of [`burn`] in one nominal microsecond.
const STEPS_PER_MICROSECOND: f64 = 600.0;
/// Documents that `search` makes and ranks: 1 to 2 ms of CPU in a release build.
const SEARCHED_DOCUMENTS: f64 = 6_000.0;
/// What that is taken for, in nominal microseconds.
const SEARCH_US: f64 = 1_500.0;
/// Work above which the other tasks are moved off this worker, in nominal microseconds.
const LONG_WORK_US: f64 = 500.0;
/// Turns of calls with long work: as many at a time as there are workers.
static COMPUTING: Semaphore = Semaphore::const_new(WORKERS);
/// How long an `echo` waits for another one to swap answers with.
const SWAP_WAIT: Duration = Duration::from_millis(5);

/// Service time that `slow` multiplies for the tools that cost nothing by themselves, in nominal
/// microseconds: at factor 2, `echo`, `blob` and `note` each burn this much CPU.
pub(crate) const NOMINAL_US_OF_FREE_TOOLS: u32 = 1_000;

/// What outlives a call.
#[derive(Debug, Default)]
pub(crate) struct Toolbox {
    note: Mutex<String>,
    swap: Mutex<Option<Partner>>,
    previous: Mutex<Option<String>>,
}

/// An `echo` that waits for another one to swap answers with.
#[derive(Debug)]
struct Partner {
    message: String,
    answer: oneshot::Sender<String>,
}

impl Toolbox {
    /// Does the work `factor` times (1 = as it should be) and gives the text of the answer.
    pub(crate) async fn perform(&self, work: Work, factor: f64) -> String {
        match work {
            Work::Echo { message } => {
                burn_extra(factor).await;
                message
            }
            Work::Compute { work_us, token } => {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "at most a minute in microseconds"
                )]
                burn(work_us as f64 * factor).await;
                match token {
                    Some(token) => format!("computed {work_us} us for {token}"),
                    None => format!("computed {work_us} us"),
                }
            }
            Work::Wait { ms } => {
                tokio::time::sleep(Duration::from_millis(ms).mul_f64(factor)).await;
                format!("waited {ms} ms")
            }
            Work::Search { query, limit } => {
                computed(SEARCH_US * factor, || search(&query, limit, factor)).await
            }
            Work::Blob { bytes } => {
                burn_extra(factor).await;
                text_of(bytes)
            }
            // The store is the server's.
            Work::Remember { .. } | Work::Recall => String::new(),
            Work::Note { text } => {
                burn_extra(factor).await;
                let answer = format!("stored a note of {} bytes", text.len());
                *self.note.lock().unwrap_or_else(PoisonError::into_inner) = text;
                answer
            }
        }
    }

    /// The message of another `echo` in flight at the same time, or the own one where there is
    /// none within [`SWAP_WAIT`].
    pub(crate) async fn swapped(&self, message: String) -> String {
        let received = {
            let mut swap = self.swap.lock().unwrap_or_else(PoisonError::into_inner);
            // A partner that has stopped waiting has dropped its receiver.
            if let Some(partner) = swap.take()
                && partner.answer.send(message.clone()).is_ok()
            {
                return partner.message;
            }
            let (answer, received) = oneshot::channel();
            *swap = Some(Partner {
                message: message.clone(),
                answer,
            });
            received
        };
        match tokio::time::timeout(SWAP_WAIT, received).await {
            Ok(Ok(theirs)) => theirs,
            Ok(Err(_)) | Err(_) => message,
        }
    }

    /// The message of the `echo` before this one; the first answers its own.
    pub(crate) fn one_behind(&self, message: String) -> String {
        let mut previous = self.previous.lock().unwrap_or_else(PoisonError::into_inner);
        previous.replace(message.clone()).unwrap_or(message)
    }
}

/// A text of exactly so many bytes.
pub(crate) fn text_of(bytes: u64) -> String {
    const LINE: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-";
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut text = LINE.repeat(bytes.div_ceil(LINE.len()));
    text.truncate(bytes);
    text
}

/// Burns what a slow-down adds to a tool that costs nothing by itself.
async fn burn_extra(factor: f64) {
    burn((factor - 1.0) * f64::from(NOMINAL_US_OF_FREE_TOOLS)).await;
}

/// Burns CPU work of so many nominal microseconds; nothing where negative.
async fn burn(microseconds: f64) {
    if microseconds > 0.0 {
        computed(microseconds, || spin(microseconds)).await;
    }
}

/// Does CPU work of about so many nominal microseconds.
async fn computed<T>(microseconds: f64, work: impl FnOnce() -> T) -> T {
    let has_workers =
        Handle::try_current().is_ok_and(|it| it.runtime_flavor() == RuntimeFlavor::MultiThread);
    if microseconds <= LONG_WORK_US || !has_workers {
        return work();
    }
    // Fails where it is closed, which it never is.
    let _turn = COMPUTING.acquire().await;
    // The worker that computes may be the one that watches the network and the pipes. Another one that
    // is asleep does not take that over from it: new calls and signals would not be seen until this work
    // is done. (Calls of one batch are of one task with their reader, which waits for them all the same.)
    block_in_place(work)
}

/// Burns CPU work of so many nominal microseconds on this thread.
pub(super) fn spin(microseconds: f64) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and a float-to-integer cast saturates"
    )]
    let steps = (microseconds * STEPS_PER_MICROSECOND) as u64;
    // Each step needs the one before (Marsaglia's xorshift, 2003), so the time does not depend on
    // how wide the core is.
    let mut state = black_box(0x9E37_79B9_7F4A_7C15_u64);
    for _ in 0..steps {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
}

/// Makes documents, ranks them against the query, and lists the best. A slower search finds the
/// same: it does all of it again, and a part of it for what is left of the factor.
fn search(query: &str, limit: u64, factor: f64) -> String {
    let mut again = factor.max(0.0) - 1.0;
    while again > 0.0 {
        black_box(ranked(query, SEARCHED_DOCUMENTS * again.min(1.0)));
        again -= 1.0;
    }
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    ranked(query, SEARCHED_DOCUMENTS)
        .iter()
        .take(shown)
        .enumerate()
        .map(|(place, (_, title))| format!("{}. {title}\n", place + 1))
        .collect()
}

/// So many documents, by their score.
fn ranked(query: &str, documents: f64) -> Vec<(u64, String)> {
    const SUBJECTS: [&str; 8] = [
        "latency",
        "memory",
        "baseline",
        "round",
        "verdict",
        "budget",
        "session",
        "transport",
    ];
    let mut ranked: Vec<(u64, String)> = Vec::new();
    let mut number = 0.0_f64;
    let mut state = 0xCBF2_9CE4_8422_2325_u64;
    for subject in SUBJECTS.iter().cycle() {
        if number >= documents {
            break;
        }
        let title = format!("{query}: notes on {subject}, part {number}");
        for byte in title.bytes() {
            // FNV-1a (Fowler, Noll, Vo), as a stand-in for a relevance score.
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        ranked.push((state, title));
        number += 1.0;
    }
    ranked.sort_unstable();
    ranked
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use super::*;

    #[test]
    fn a_slower_search_finds_the_same() {
        let right = search("apples", 5, 1.0);
        assert_eq!(right.lines().count(), 5);
        assert!(
            right.lines().all(|line| line.contains("apples: notes on ")),
            "{right}"
        );
        assert_eq!(search("apples", 5, 2.5), right);
        assert_ne!(search("pears", 5, 1.0), right);
    }

    /// On the only worker: what it would have to do meanwhile is done by another one.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn the_rest_of_the_server_goes_on_while_a_call_computes() {
        let (sender, told) = std::sync::mpsc::channel();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            sender.send(()).unwrap();
        });
        let work = computed(2.0 * LONG_WORK_US, move || {
            told.recv_timeout(Duration::from_secs(20)).is_ok()
        });
        assert!(tokio::spawn(work).await.unwrap());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_more_calls_compute_at_a_time_than_there_are_workers() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let calls = (0..4 * WORKERS).map(|_| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            computed(2.0 * LONG_WORK_US, move || {
                most.fetch_max(running.fetch_add(1, Relaxed) + 1, Relaxed);
                spin(20_000.0);
                running.fetch_sub(1, Relaxed);
            })
        });
        calls.collect::<tokio::task::JoinSet<_>>().join_all().await;
        let most = most.load(Relaxed);
        assert!((1..=WORKERS).contains(&most), "{most} at a time");
    }

    #[test]
    fn a_text_has_its_size() {
        for bytes in [0, 1, 62, 63, 64, 1_000] {
            assert_eq!(text_of(bytes).len() as u64, bytes);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_echoes_in_flight_swap_and_one_alone_does_not() {
        let tools = Toolbox::default();
        let (first, second) = tokio::join!(
            tools.swapped("one".to_owned()),
            tools.swapped("two".to_owned())
        );
        assert_eq!((first.as_str(), second.as_str()), ("two", "one"));
        assert_eq!(tools.swapped("three".to_owned()).await, "three");
        assert_eq!(tools.swapped("four".to_owned()).await, "four");
        assert_eq!(tools.one_behind("a".to_owned()), "a");
        assert_eq!(tools.one_behind("b".to_owned()), "a");
    }
}
