//! From the faults to what happens to one call. Deterministic: the number of the call and the
//! seed decide, never a clock.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::{faults::Fault, tools::Tool};

/// What happens to one call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CallPlan {
    /// Multiplies the work.
    pub(crate) factor: f64,
    /// Waited off the CPU before the work.
    pub(crate) delay: Duration,
    /// Kept for good.
    pub(crate) leak_bytes: u64,
    /// Written to stderr.
    pub(crate) stderr_bytes: u64,
    /// What is answered.
    pub(crate) answer: Answer,
    /// Whose message `echo` answers.
    pub(crate) mix: Mix,
    /// The answer carries another id.
    pub(crate) wrong_id: bool,
    /// The answer is sent twice.
    pub(crate) duplicate: bool,
    /// HTTP: the body is shorter than announced.
    pub(crate) truncate: bool,
}

/// What is answered. Where several faults meet in one call, the later variant wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// The tool's own.
    Tool,
    /// A text of so many bytes.
    Huge(u64),
    /// `resultType: "input_required"`.
    InputRequired,
    /// `isError: true`.
    ToolError,
    /// A JSON-RPC error.
    RpcError,
    /// HTTP: this status, no JSON-RPC.
    HttpStatus(u16),
    /// None, ever.
    Hang,
    /// The process leaves with this exit code.
    Exit(u8),
}

/// Whose message `echo` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Its own.
    Own,
    /// That of a call in flight at the same time.
    InFlight,
    /// That of the call before.
    Previous,
}

/// The faults that were switched on, and the calls counted so far.
#[derive(Debug)]
pub(crate) struct Plan {
    faults: Vec<Fault>,
    seed: u64,
    calls: AtomicU64,
    calls_of: [AtomicU64; Tool::ALL.len()],
    kept: Mutex<Vec<Vec<u8>>>,
}

impl Plan {
    pub(crate) fn new(faults: Vec<Fault>, seed: u64) -> Self {
        let kept = faults
            .iter()
            .filter_map(|fault| match fault {
                Fault::Bloat { bytes } => Some(touched(*bytes)),
                _ => None,
            })
            .collect();
        Self {
            faults,
            seed,
            calls: AtomicU64::new(0),
            calls_of: Default::default(),
            kept: Mutex::new(kept),
        }
    }

    /// Whether this fault was switched on.
    pub(crate) fn has(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }

    /// Counts a call and says what happens to it.
    pub(crate) fn next_call(&self, tool: Tool) -> CallPlan {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let of_tool = self
            .calls_of
            .get(tool.index())
            .map_or(number, |calls| calls.fetch_add(1, Ordering::Relaxed) + 1);
        let applies = |scope: &Option<Tool>| scope.is_none_or(|only| only == tool);
        let mut plan = CallPlan {
            factor: 1.0,
            delay: Duration::ZERO,
            leak_bytes: 0,
            stderr_bytes: 0,
            answer: Answer::Tool,
            mix: Mix::Own,
            wrong_id: false,
            duplicate: false,
            truncate: false,
        };
        let mut answers = |answer: Answer| plan.answer = plan.answer.max(answer);
        for fault in &self.faults {
            match fault {
                Fault::Slow { tool, factor } if applies(tool) => plan.factor *= factor,
                Fault::Delay { tool, delay } if applies(tool) => plan.delay += *delay,
                Fault::Jitter { tool, most } if applies(tool) => {
                    plan.delay += most.mul_f64(self.fraction(number));
                }
                Fault::Tail {
                    tool,
                    percent,
                    factor,
                } if applies(tool) && falls_on(of_tool, *percent) => plan.factor *= factor,
                Fault::Leak { tool, bytes } if applies(tool) => plan.leak_bytes += bytes,
                Fault::StderrFlood { bytes } => plan.stderr_bytes += bytes,
                Fault::HangOnCall { after } if number > *after => answers(Answer::Hang),
                Fault::WrongId => plan.wrong_id = true,
                Fault::DuplicateAnswer => plan.duplicate = true,
                Fault::MixedUp { always: true } => plan.mix = Mix::Previous,
                Fault::MixedUp { always: false } => plan.mix = Mix::InFlight,
                Fault::ToolError { every } if number % *every == 0 => answers(Answer::ToolError),
                Fault::RpcError { every } if number % *every == 0 => answers(Answer::RpcError),
                Fault::Http500 { every } if number % *every == 0 => {
                    answers(Answer::HttpStatus(500));
                }
                Fault::Http503 { every } if number % *every == 0 => {
                    answers(Answer::HttpStatus(503));
                }
                Fault::TruncatedBody { every } if number % *every == 0 => plan.truncate = true,
                Fault::CloseMidCall { after } if number > *after => answers(Answer::Exit(1)),
                Fault::CrashAfter { calls } if number > *calls => answers(Answer::Exit(101)),
                Fault::HugeAnswer { bytes } => answers(Answer::Huge(*bytes)),
                Fault::InputRequired => answers(Answer::InputRequired),
                // Another tool's or another call's, or not about calls at all.
                _ => {}
            }
        }
        plan
    }

    /// Keeps touched memory for good.
    pub(crate) fn keep(&self, bytes: u64) {
        if bytes > 0 {
            let memory = touched(bytes);
            self.kept
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(memory);
        }
    }

    /// A number in 0..1 for this call: the same for the same seed.
    fn fraction(&self, call: u64) -> f64 {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(call);
        f64::from(random.next_u32()) / 4_294_967_296.0
    }
}

/// Memory whose every page was written, with a content that compresses badly enough not to be
/// merged with a page of zeros.
fn touched(bytes: u64) -> Vec<u8> {
    vec![0xA5; usize::try_from(bytes).unwrap_or(usize::MAX)]
}

/// `true` for so many per cent of the numbers 1, 2, 3, …, evenly spread.
fn falls_on(number: u64, percent: f64) -> bool {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of calls stays far below 2^52"
    )]
    let number = number as f64;
    (number * percent / 100.0).floor() > ((number - 1.0) * percent / 100.0).floor()
}
