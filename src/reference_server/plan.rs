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
    /// Threads that each burn a nominal millisecond, side by side.
    pub(crate) fan_out: u64,
    /// Threads that do so with one lock.
    pub(crate) lock_fight: u64,
    /// The server stands still for so long; counted from the first such call.
    pub(crate) frozen: Option<Duration>,
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

    /// Threads that burn CPU all the time.
    pub(crate) fn background(&self) -> u64 {
        let of_each = self.faults.iter().map(|fault| match fault {
            Fault::Background { threads } => threads.get(),
            _ => 0,
        });
        of_each.sum()
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
            fan_out: 0,
            lock_fight: 0,
            frozen: None,
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
                Fault::Hiccup {
                    tool,
                    every,
                    lasting,
                } if applies(tool) && of_tool % *every == 0 => plan.delay += *lasting,
                Fault::FanOut { tool, threads } if applies(tool) => plan.fan_out += threads.get(),
                Fault::LockFight { tool, threads } if applies(tool) => {
                    plan.lock_fight += threads.get();
                }
                Fault::Leak { tool, bytes } if applies(tool) => plan.leak_bytes += bytes,
                Fault::StderrFlood { bytes } => plan.stderr_bytes += bytes,
                Fault::HangOnCall { after } if number > *after => answers(Answer::Hang),
                Fault::Freeze { after, lasting } if number > *after => {
                    plan.frozen = Some(*lasting);
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(faults: &[&str]) -> Plan {
        let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        Plan::new(faults, 1)
    }

    fn calls(plan: &Plan, tools: &[Tool]) -> Vec<CallPlan> {
        tools.iter().map(|tool| plan.next_call(*tool)).collect()
    }

    #[test]
    fn without_faults_nothing_happens() {
        let call = plan(&[]).next_call(Tool::Echo);
        assert_eq!(call.answer, Answer::Tool);
        assert_eq!(call.mix, Mix::Own);
        assert!((call.factor - 1.0).abs() < f64::EPSILON);
        assert_eq!(call.delay, Duration::ZERO);
        assert_eq!((call.leak_bytes, call.stderr_bytes), (0, 0));
        assert!(!call.wrong_id && !call.duplicate && !call.truncate);
    }

    #[test]
    fn a_fault_keeps_to_its_tool_and_several_add_up() {
        let plan = plan(&[
            "slow=2",
            "slow=echo:3",
            "delay=5",
            "delay=wait:7",
            "leak=10",
            "leak=echo:5",
            "fan-out=2",
            "lock-fight=wait:3",
            "lock-fight=4",
            "background=1",
        ]);
        assert_eq!(plan.background(), 1);
        let seen: Vec<_> = calls(&plan, &[Tool::Echo, Tool::Wait, Tool::Blob])
            .iter()
            .map(|call| (call.factor, call.delay.as_millis(), call.leak_bytes))
            .collect();
        assert_eq!(seen, [(6.0, 5, 15), (2.0, 12, 10), (2.0, 5, 10)]);
        let threads = calls(&plan, &[Tool::Echo, Tool::Wait]);
        let threads: Vec<_> = threads.iter().map(|c| (c.fan_out, c.lock_fight)).collect();
        assert_eq!(threads, [(2, 4), (2, 7)]);
    }

    #[test]
    fn every_so_many_calls_and_after_so_many_calls() {
        let answers = |fault: &str| -> Vec<bool> {
            calls(&plan(&[fault]), &[Tool::Echo; 6])
                .iter()
                .map(|call| call.answer != Answer::Tool || call.truncate)
                .collect()
        };
        let (n, y) = (false, true);
        assert_eq!(answers("tool-error"), [y; 6]);
        assert_eq!(answers("tool-error=3"), [n, n, y, n, n, y]);
        assert_eq!(answers("rpc-error=2"), [n, y, n, y, n, y]);
        assert_eq!(answers("http-500=6"), [n, n, n, n, n, y]);
        assert_eq!(answers("truncated-body=4"), [n, n, n, y, n, n]);
        assert_eq!(answers("hang-on-call=4"), [n, n, n, n, y, y]);
        assert_eq!(answers("crash-after=0"), [y; 6]);
        assert_eq!(answers("close-mid-call=5"), [n, n, n, n, n, y]);
    }

    #[test]
    fn a_tail_is_as_thick_as_said_and_counts_its_own_tool_only() {
        for (percent, expected) in [
            ("1", 10),
            ("2.5", 25),
            ("5", 50),
            ("50", 500),
            ("100", 1_000),
        ] {
            let plan = plan(&[&format!("tail=echo:{percent}:10")]);
            let mut slow = 0;
            for _ in 0..1_000 {
                assert!(plan.next_call(Tool::Wait).factor < 1.1);
                slow += usize::from(plan.next_call(Tool::Echo).factor > 1.0);
            }
            assert_eq!(slow, expected, "{percent} %");
        }
    }

    #[test]
    fn where_faults_meet_the_graver_wins_whatever_their_order() {
        for faults in [
            ["crash-after=0", "hang-on-call", "tool-error", "huge-answer"],
            ["huge-answer", "tool-error", "hang-on-call", "crash-after=0"],
        ] {
            for left_out in 0..3 {
                let expected = [Answer::Exit(101), Answer::Hang, Answer::ToolError][left_out];
                let graver = ["crash-after=0", "hang-on-call", "tool-error"];
                let rest: Vec<_> = faults
                    .into_iter()
                    .filter(|fault| !graver[..left_out].contains(fault))
                    .collect();
                assert_eq!(
                    plan(&rest).next_call(Tool::Echo).answer,
                    expected,
                    "{rest:?}"
                );
            }
        }
    }

    #[test]
    fn jitter_is_spread_evenly_and_comes_again_with_its_seed() {
        let delays = |seed: u64| -> Vec<u128> {
            let plan = Plan::new(vec!["jitter=1000".parse().unwrap()], seed);
            (0..400)
                .map(|_| plan.next_call(Tool::Echo).delay.as_micros())
                .collect()
        };
        let first = delays(1);
        assert_eq!(first, delays(1));
        assert_ne!(first, delays(2));
        assert!(first.iter().all(|delay| *delay < 1_000_000));
        for quarter in 0..4 {
            let range = quarter * 250_000..(quarter + 1) * 250_000;
            let inside = first.iter().filter(|delay| range.contains(*delay)).count();
            // 100 expected, with a standard deviation of 8.7.
            assert!((65..=135).contains(&inside), "{inside} in {range:?}");
        }
    }

    #[test]
    fn memory_is_kept_from_the_start_and_at_each_call() {
        let plan = plan(&["bloat=1000"]);
        plan.keep(0);
        plan.keep(20);
        plan.keep(30);
        let sizes: Vec<usize> = plan.kept.lock().unwrap().iter().map(Vec::len).collect();
        assert_eq!(sizes, [1_000, 20, 30]);
    }
}
