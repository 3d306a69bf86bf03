//! Large answers: alone, several at once, and to a client that does not read.

use tokio::{
    task::JoinSet,
    time::{Duration, Instant, sleep},
};

use serde_json::{Number, Value};

use super::Growing;
use crate::{
    mcp::{
        client::{Client, Exchange},
        message,
        outcome::{CallError, ErrorKind},
    },
    process::MemorySampler,
    results::{LargeAnswer, LargeAnswersProbe, Sessions, UnreadAnswer},
    runner::{
        Plan,
        call::CompiledCall,
        collector::nanoseconds,
        failure::RunFailure,
        measure::Bench,
        round::{Findings, Started, begin, end},
    },
};

/// Sizes that are asked for, in bytes.
const SIZES: [f64; 3] = [64e3, 1e6, 10e6];
/// An answer counts as of a size that is within this factor of it.
const ABOUT: f64 = 2.0;
/// Calls of each size, one after another.
const CALLS_ALONE: u32 = 3;
/// Callers at once, of one call each.
const CALLERS: u32 = LargeAnswersProbe::CALLERS;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// No larger answers are asked for once one took this long: one ten times as large would have no time.
const SLOW: Duration = Duration::from_secs(1);
/// How long an answer is left unread.
const UNREAD: Duration = Duration::from_secs(1);
/// Cheap requests of another client meanwhile.
const REQUESTS: u32 = 10;

/// Asks for larger and larger answers. `None` where the tool's answers do not grow with the argument.
pub(super) async fn run(
    plan: &Plan,
    growing: &Growing,
    findings: &mut Findings,
) -> Result<Option<LargeAnswersProbe>, RunFailure> {
    let Started {
        mut bench, memory, ..
    } = begin(plan, findings).await?;
    let usual = bench.limits.call_timeout;
    bench.client.set_call_timeout(PATIENCE);
    let before = memory.as_ref().ok().and_then(MemorySampler::sample_now);
    let mut sizes = Vec::new();
    if let Some(line) = line(&mut bench.client, growing).await {
        // Known to come: without it a server that hangs at the first size would tell nothing.
        sizes.push(line.larger.clone());
        for size in SIZES {
            let Some(call) = growing.with(line.value_for(size)) else {
                break;
            };
            let found = of_size(&mut bench, &call, size).await;
            let goes_on = found.as_ref().is_some_and(|found| {
                let took = found.last_byte_ns.filter(|_| found.error.is_none());
                took.is_some_and(|ns| Duration::from_nanos(ns) < SLOW) && !found.at_once_hangs
            });
            sizes.extend(found);
            if !goes_on {
                break;
            }
        }
    }
    bench.client.set_call_timeout(usual);
    // The high-water mark holds what came and went between two looks.
    let peak = memory.ok().and_then(|memory| memory.finish().peak_bytes);
    end(bench, findings).await;
    Ok((sizes.len() > 1).then(|| LargeAnswersProbe {
        tool: growing.tool.name.clone(),
        sizes,
        memory_bytes: peak
            .zip(before)
            .map(|(peak, before)| peak.saturating_sub(before.bytes)),
    }))
}

/// How an answer's size follows from the argument.
struct Line {
    larger: LargeAnswer,
    at: (f64, f64),
    bytes_each: f64,
}

impl Line {
    fn value_for(&self, bytes: f64) -> f64 {
        let (value, there) = self.at;
        (value + (bytes - there) / self.bytes_each).round().max(1.0)
    }
}

/// From the answers to the configured value and to one that is larger.
async fn line(client: &mut Client, growing: &Growing) -> Option<Line> {
    let first = growing.configured()?;
    let small = answer_with(client, growing, first).await?.bytes as f64;
    let second = (first * 10.0).max(first + 100.0);
    let larger = answer_with(client, growing, second).await?;
    let bytes_each = (larger.bytes as f64 - small) / (second - first);
    (bytes_each > 0.0).then_some(Line {
        at: (second, larger.bytes as f64),
        larger,
        bytes_each,
    })
}

async fn answer_with(client: &mut Client, growing: &Growing, value: f64) -> Option<LargeAnswer> {
    let exchange = ask(client, &growing.with(value)?, 0).await.ok()?;
    Some(LargeAnswer {
        bytes: bytes(exchange.body.len() as f64),
        answers: 1,
        first_byte_ns: Some(nanoseconds(exchange.first_byte - exchange.sent)),
        last_byte_ns: Some(nanoseconds(exchange.wall())),
        ..LargeAnswer::default()
    })
}

impl Growing {
    fn configured(&self) -> Option<f64> {
        self.tool.arguments.get(&self.argument)?.as_f64()
    }

    /// The call with this value.
    fn with(&self, value: f64) -> Option<CompiledCall> {
        /// Whole numbers up to here are exact.
        const MOST: f64 = 9e15;
        if !(1.0..MOST).contains(&value) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and what is exact"
        )]
        let number = Number::from(value as u64);
        let mut tool = self.tool.clone();
        tool.arguments
            .insert(self.argument.clone(), Value::Number(number));
        // What the answer of a small one must contain need not be in a large one.
        tool.expect.contains = None;
        let call = CompiledCall::new(&tool, self.seed, "probe large-answers").ok()?;
        Some(call.mirroring(self.mirrored.clone()))
    }
}

async fn ask(client: &mut Client, call: &CompiledCall, number: u32) -> Result<Exchange, CallError> {
    let (prepared, _) = call.prepare(client, 4, number);
    client.make_ready().await?;
    let exchange = client.send(&prepared).await?;
    message::check_tool_answer(&exchange.body, exchange.id, None)?;
    Ok(exchange)
}

/// `None` where the tool refuses so much, or answers something of another size.
async fn of_size(bench: &mut Bench, call: &CompiledCall, wanted: f64) -> Option<LargeAnswer> {
    let mut found = LargeAnswer {
        bytes: bytes(wanted),
        ..LargeAnswer::default()
    };
    let (mut first_ns, mut last_ns) = (Vec::new(), Vec::new());
    for number in 0..CALLS_ALONE {
        match ask(&mut bench.client, call, number).await {
            Ok(exchange) => {
                if !is_about(exchange.body.len(), wanted) {
                    return None;
                }
                found.bytes = bytes(exchange.body.len() as f64);
                found.answers += 1;
                first_ns.push(nanoseconds(exchange.first_byte - exchange.sent));
                last_ns.push(nanoseconds(exchange.wall()));
            }
            // A server may refuse so much, and a client, too.
            Err(error) if is_refusal(&error) => return None,
            Err(error) => {
                found.error = Some(error.kind.name().into_owned());
                break;
            }
        }
    }
    found.first_byte_ns = middle(first_ns);
    found.last_byte_ns = middle(last_ns);
    if found.error.is_some() {
        return Some(found);
    }
    // Answers that a server makes one after another, each as slowly as alone, are to be in time.
    let alone = Duration::from_nanos(found.last_byte_ns.unwrap_or_default());
    if alone * CALLERS * 2 > PATIENCE {
        return Some(found);
    }
    match at_once(bench, call, wanted).await {
        AtOnce::Answered(ns) => found.at_once_ns = Some(ns),
        AtOnce::Hangs => {
            found.at_once_hangs = true;
            return Some(found);
        }
        AtOnce::Refused => {}
    }
    if wanted >= SIZES.last().copied().unwrap_or_default() {
        found.unread = unread(bench, call).await;
    }
    Some(found)
}

fn is_refusal(error: &CallError) -> bool {
    matches!(
        error.kind,
        ErrorKind::ToolError
            | ErrorKind::ProtocolError
            | ErrorKind::Http(_)
            | ErrorKind::TooLarge
            | ErrorKind::InputRequired
    )
}

fn middle(mut ns: Vec<u64>) -> Option<u64> {
    ns.sort_unstable();
    ns.get(ns.len() / 2).copied()
}

fn bytes(size: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a size, of at most a few times 10 MB"
    )]
    let whole = size.max(0.0) as u64;
    whole
}

/// What became of several calls at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum AtOnce {
    /// All were answered as one alone is; the last after so many nanoseconds.
    Answered(u64),
    /// One was refused, or answered otherwise.
    Refused,
    /// One had no answer in time.
    Hangs,
}

async fn at_once(bench: &mut Bench, call: &CompiledCall, wanted: f64) -> AtOnce {
    let mut users = JoinSet::new();
    for number in 0..CALLERS {
        let Ok(mut client) = bench.another_client(Sessions::Each).await else {
            return AtOnce::Refused;
        };
        client.set_call_timeout(PATIENCE);
        let (prepared, _) = call.prepare(&mut client, 5, number);
        users.spawn(async move {
            let answered = client.send(&prepared).await;
            client.close().await;
            match answered {
                Ok(exchange)
                    if message::check_tool_answer(&exchange.body, exchange.id, None).is_ok()
                        && is_about(exchange.body.len(), wanted) =>
                {
                    AtOnce::Answered(nanoseconds(exchange.wall()))
                }
                Err(error) if error.kind == ErrorKind::Timeout => AtOnce::Hangs,
                Ok(_) | Err(_) => AtOnce::Refused,
            }
        });
    }
    let worst = users.join_all().await.into_iter().max();
    worst.unwrap_or(AtOnce::Refused)
}

fn is_about(bytes: usize, wanted: f64) -> bool {
    (wanted / ABOUT..wanted * ABOUT).contains(&(bytes as f64))
}

/// One client does not read its answer for a while, and another makes cheap requests meanwhile (over
/// stdio nobody can). `None` where it cannot be told.
async fn unread(bench: &mut Bench, call: &CompiledCall) -> Option<UnreadAnswer> {
    let mut lazy = bench.another_client(Sessions::Each).await.ok()?;
    lazy.set_call_timeout(PATIENCE);
    let (prepared, _) = call.prepare(&mut lazy, 6, 0);
    let alone_ns = middle(cheap(&mut bench.client, Duration::ZERO).await?);
    let others = async {
        if lazy_reads_for_all(bench) {
            sleep(UNREAD).await;
            return None;
        }
        let began = Instant::now();
        let ns = cheap(&mut bench.client, UNREAD / REQUESTS / 2).await;
        sleep(UNREAD.saturating_sub(began.elapsed())).await;
        Some(ns)
    };
    let (others, is_whole) = lazy.read_late(&prepared, others).await;
    lazy.close().await;
    Some(UnreadAnswer {
        alone_ns: alone_ns?,
        // Requests that failed waited for ever.
        others_ns: others.map(|ns| ns.and_then(middle).unwrap_or(nanoseconds(PATIENCE))),
        is_whole,
    })
}

/// Whether a client that does not read keeps everyone from reading: all are on the same pipes.
fn lazy_reads_for_all(bench: &Bench) -> bool {
    bench.has_one_session_only()
}

/// `None` where one fails.
async fn cheap(client: &mut Client, pause: Duration) -> Option<Vec<u64>> {
    let mut ns = Vec::new();
    for _ in 0..REQUESTS {
        sleep(pause).await;
        let prepared = client.prepare_tool_page(None);
        client.make_ready().await.ok()?;
        let exchange = client.send(&prepared).await.ok()?;
        ns.push(nanoseconds(exchange.wall()));
    }
    Some(ns)
}
