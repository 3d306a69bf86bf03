//! One request at a time.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    task::JoinSet,
    time::{Duration, Instant, sleep},
};

use super::Probed;
use crate::{
    mcp::{
        client::{Client, Prepared},
        message,
        outcome::ErrorKind,
        param_headers::ParamHeaders,
    },
    process::Delta,
    results::{BesideProbe, FirstCallProbe, IdleProbe, Latency, RefusalProbe, Sessions},
    runner::{
        call::CompiledCall,
        collector::{nanoseconds, quantiles},
        measure::Bench,
    },
    stats::summarize,
};

/// How long nothing is asked.
const IDLE: Duration = Duration::from_secs(1);
/// A server that uses one part in so many of a core is at rest.
const SETTLED: u64 = 50;
/// How long what goes on after a start may last: reading files, building an index.
const STARTING: Duration = Duration::from_secs(10);
/// Calls after the first.
const LATER_CALLS: u32 = 10;
/// Cheap requests that are timed, alone and beside a tool.
const REQUESTS: u32 = 30;
/// Refusals that are timed, beside as many answers.
const REFUSALS: u32 = 10;
/// A tool that no server has.
const NO_TOOL: &str = "mcpgate-asks-for-a-tool-that-does-not-exist";
/// The golden ratio's fractional part: its multiples spread evenly, and follow no rhythm of a server.
const SPREAD: f64 = 0.618_033_988_749_894_9;

/// `None` where a call fails.
async fn timed(client: &mut Client, prepared: &Prepared) -> Option<u64> {
    client.make_ready().await.ok()?;
    let exchange = client.send(prepared).await.ok()?;
    Some(nanoseconds(exchange.wall()))
}

fn latency(mut ns: Vec<u64>) -> Option<Latency> {
    summarize(&mut ns).map(quantiles)
}

/// The first call of a server that has just started, and some more.
pub(super) async fn first_call(
    bench: &mut Bench,
    call: &Arc<CompiledCall>,
) -> Option<FirstCallProbe> {
    let mut all_ns = Vec::new();
    for number in 0..=LATER_CALLS {
        let (prepared, _) = call.prepare(&mut bench.client, 0, number);
        all_ns.push(timed(&mut bench.client, &prepared).await?);
    }
    let first_ns = all_ns.remove(0);
    Some(FirstCallProbe {
        tool: call.tool().to_owned(),
        first_ns,
        later_ns: latency(all_ns)?.p50_ns,
        later_calls: LATER_CALLS,
    })
}

/// A connected server that is asked nothing.
pub(super) async fn idle(bench: &mut Bench) -> Option<IdleProbe> {
    let until = Instant::now() + STARTING;
    loop {
        let last = quiet_time(bench).await?;
        // What a runtime or a server still does after its start is over some time.
        if last.server_cpu_ns <= last.duration_ns / SETTLED || Instant::now() >= until {
            return Some(last);
        }
    }
}

async fn quiet_time(bench: &mut Bench) -> Option<IdleProbe> {
    let before = bench.observer.cpu_ns()?;
    let began = Instant::now();
    sleep(IDLE).await;
    let duration_ns = nanoseconds(began.elapsed());
    let after = bench.observer.cpu_ns()?;
    Some(IdleProbe {
        duration_ns,
        server_cpu_ns: after.saturating_sub(before),
    })
}

/// Calls of a tool that does not exist, in turn with `tools/list`.
pub(super) async fn refusals(bench: &mut Bench) -> Option<RefusalProbe> {
    let client = &mut bench.client;
    let (mut answers, mut refusals) = (Vec::new(), Vec::new());
    for _ in 0..REFUSALS {
        let prepared = client.prepare_tool_page(None);
        answers.push(timed(client, &prepared).await?);
        let prepared = client.prepare_call(NO_TOOL, b"{}", &ParamHeaders::default());
        client.make_ready().await.ok()?;
        let began = Instant::now();
        let answered = client.send(&prepared).await;
        let ns = nanoseconds(began.elapsed());
        let refused = match answered {
            Ok(exchange) => message::check_tool_answer(&exchange.body, exchange.id, None),
            Err(error) => Err(error),
        };
        match refused {
            Err(error)
                if matches!(
                    error.kind,
                    ErrorKind::ToolError | ErrorKind::ProtocolError | ErrorKind::Http(_)
                ) =>
            {
                refusals.push(ns);
            }
            // A server that takes any name, or hangs, tells nothing of how it refuses.
            _ => return None,
        }
    }
    Some(RefusalProbe {
        requests: REFUSALS,
        answers: latency(answers)?,
        refusals: latency(refusals)?,
    })
}

/// Calls of the tool go on one after another; meanwhile a cheap request is made at moments that are
/// spread evenly over a call.
pub(super) async fn beside(bench: &mut Bench, probed: &Probed) -> Option<BesideProbe> {
    let alone = ask(bench, Duration::ZERO).await?;
    let worker = bench.another_client(Sessions::Each).await.ok()?;
    let is_over = Arc::new(AtomicBool::new(false));
    let cpu_before = bench.observer.cpu_ns();
    let before = bench.observer.read();
    let began = Instant::now();
    let mut work = JoinSet::new();
    work.spawn(call_until(
        worker,
        Arc::clone(&probed.call),
        Arc::clone(&is_over),
    ));
    let beside = ask(bench, probed.typical).await;
    is_over.store(true, Ordering::Relaxed);
    let calls_ns: Vec<u64> = work.join_all().await.into_iter().flatten().collect();
    let server_cores = bench.cores_since((cpu_before, before, began));
    Some(BesideProbe {
        tool: probed.call.tool().to_owned(),
        tool_calls: u32::try_from(calls_ns.len()).unwrap_or(u32::MAX),
        tool_p50_ns: latency(calls_ns)?.p50_ns,
        requests: REQUESTS,
        alone,
        beside: beside?,
        server_cores,
    })
}

/// Cheap requests, each after a part of `period` that is another one every time. What a thread of the
/// server, or mcpgate's own, waited for a core is taken off: on a machine whose cores are all busy a thread
/// that wakes waits for a time slice, which is no wait in the server.
async fn ask(bench: &mut Bench, period: Duration) -> Option<Latency> {
    let mut ns = Vec::new();
    for number in 0..REQUESTS {
        sleep(period.mul_f64((f64::from(number) * SPREAD).fract())).await;
        let prepared = bench.client.prepare_tool_page(None);
        bench.observer.refresh();
        let before = bench.observer.read();
        let wall_ns = timed(&mut bench.client, &prepared).await?;
        let waited = bench.observer.since(before.as_ref());
        ns.push(less_waits(wall_ns, waited.as_ref()));
    }
    latency(ns)
}

fn less_waits(wall_ns: u64, waited: Option<&Delta>) -> u64 {
    let waited_ns = waited.map_or(0, |waited| {
        waited
            .max_server_wait_ns
            .saturating_add(waited.client_wait_ns)
    });
    wall_ns.saturating_sub(waited_ns)
}

async fn call_until(
    mut client: Client,
    call: Arc<CompiledCall>,
    is_over: Arc<AtomicBool>,
) -> Vec<u64> {
    let mut ns = Vec::new();
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let (prepared, _) = call.prepare(&mut client, 1, number);
        match timed(&mut client, &prepared).await {
            Some(one) => ns.push(one),
            None => break,
        }
    }
    client.close().await;
    ns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_waited_for_a_core_is_no_wait_in_the_server() {
        let waited = |server, client| Delta {
            max_server_wait_ns: server,
            client_wait_ns: client,
            server_cpu_ns: 9_000_000,
            server_wait_total_ns: 7_000_000,
        };
        for (waited, expected_ns) in [
            (None, 3_600_000),
            (Some(waited(0, 0)), 3_600_000),
            (Some(waited(2_900_000, 200_000)), 500_000),
            (Some(waited(3_000_000, u64::MAX)), 0),
        ] {
            assert_eq!(
                less_waits(3_600_000, waited.as_ref()),
                expected_ns,
                "{waited:?}"
            );
        }
    }
}
