//! Writes at once, and what is left of them.

use std::{collections::BTreeSet, sync::Arc};

use tokio::{
    task::JoinSet,
    time::{Duration, Instant, sleep},
};

use super::Writing;
use crate::{
    mcp::{client::Client, message, outcome::ErrorKind},
    results::{Sessions, Transport, WriteCount, WriteProbe},
    runner::{
        Plan,
        call::CompiledCall,
        failure::RunFailure,
        measure::Bench,
        round::{Findings, Started, begin, end},
    },
};

/// How long what was written may take until it can be read.
const PATIENCE: Duration = Duration::from_secs(WriteProbe::PATIENCE_S);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Writes in each half, all of the second at once.
const WRITES: u32 = 20;

/// Writes one after another, and on another server at once; each half is read back. Each set and each
/// half has numbers of its own: a store may outlive its server.
///
/// The halves differ in nothing else. Each write comes in a session of its own, and where what one
/// session wrote is not another's to read, all come in one.
pub(super) async fn run(
    plan: &Plan,
    writing: &Writing,
    (first, set): (u32, u32),
    findings: &mut Findings,
) -> Result<WriteProbe, RunFailure> {
    let first = |half: u32| first.wrapping_add((4 * set + half).wrapping_mul(WRITES));
    let mut sessions = Sessions::Each;
    let mut in_sequence = half(plan, writing, (first(0), false, sessions), findings).await?;
    // Of another session, or a tool that does not write.
    let some_are_missing = in_sequence.found < in_sequence.acknowledged;
    if some_are_missing && plan.target.transport() != Transport::Stdio {
        sessions = Sessions::Shared;
        in_sequence = half(plan, writing, (first(2), false, sessions), findings).await?;
    }
    Ok(WriteProbe {
        tool: writing.write.tool().to_owned(),
        read_back: writing.read_back.tool().to_owned(),
        writes: WRITES,
        in_sequence,
        at_once: half(plan, writing, (first(1), true, sessions), findings).await?,
    })
}

async fn half(
    plan: &Plan,
    writing: &Writing,
    (first, is_at_once, sessions): (u32, bool, Sessions),
    findings: &mut Findings,
) -> Result<WriteCount, RunFailure> {
    let Started { mut bench, .. } = begin(plan, findings).await?;
    let numbers: Vec<u32> = (0..WRITES).map(|n| first.wrapping_add(n)).collect();
    // What another run left behind is none of these.
    // A store that is not there yet cannot be read, and holds none.
    let before = found(&mut bench.client, writing, &numbers).await;
    let before = before.unwrap_or_default();
    let acknowledged = if is_at_once {
        at_once(&mut bench, &writing.write, &numbers, sessions).await
    } else {
        let mut acknowledged = BTreeSet::new();
        for number in &numbers {
            let Ok(mut client) = bench.another_client(sessions).await else {
                break;
            };
            if write(&mut client, &writing.write, *number).await {
                acknowledged.insert(*number);
            }
            client.close().await;
        }
        acknowledged
    };
    let counted = read_back(&mut bench, writing, &(&acknowledged - &before)).await;
    end(bench, findings).await;
    Ok(counted)
}

/// Reads until all is there, or for a while: a store may write later than it answers.
async fn read_back(
    bench: &mut Bench,
    writing: &Writing,
    acknowledged: &BTreeSet<u32>,
) -> WriteCount {
    let numbers: Vec<u32> = acknowledged.iter().copied().collect();
    let until = Instant::now() + PATIENCE;
    loop {
        let read = found(&mut bench.client, writing, &numbers).await;
        let (there, read_error) = match read {
            Ok(there) => (there, None),
            // A store that is being written may be unreadable for a moment, or for good.
            Err(error) => (BTreeSet::new(), Some(error.name().into_owned())),
        };
        if there.len() == numbers.len() || Instant::now() >= until {
            let count = |set: &BTreeSet<u32>| u32::try_from(set.len()).unwrap_or(u32::MAX);
            return WriteCount {
                acknowledged: count(acknowledged),
                found: count(&there),
                read_error,
            };
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn at_once(
    bench: &mut Bench,
    call: &Arc<CompiledCall>,
    numbers: &[u32],
    sessions: Sessions,
) -> BTreeSet<u32> {
    let mut clients = Vec::new();
    for number in numbers {
        if let Ok(client) = bench.another_client(sessions).await {
            clients.push((*number, client));
        }
    }
    let mut writers = JoinSet::new();
    for (number, mut client) in clients {
        let call = Arc::clone(call);
        writers.spawn(async move {
            let is_acknowledged = write(&mut client, &call, number).await;
            client.close().await;
            is_acknowledged.then_some(number)
        });
    }
    writers.join_all().await.into_iter().flatten().collect()
}

/// Whether the write was answered without an error.
async fn write(client: &mut Client, call: &CompiledCall, number: u32) -> bool {
    let (prepared, expected) = call.prepare(client, 0, number);
    if client.make_ready().await.is_err() {
        return false;
    }
    let answered = client.send(&prepared).await;
    answered.is_ok_and(|exchange| {
        message::check_tool_answer(&exchange.body, exchange.id, expected.as_deref()).is_ok()
    })
}

/// Those of the writes that can be read, or why reading failed for another reason than that they are
/// not there.
async fn found(
    client: &mut Client,
    writing: &Writing,
    numbers: &[u32],
) -> Result<BTreeSet<u32>, ErrorKind> {
    let mut found = BTreeSet::new();
    let mut answer = None;
    for number in numbers {
        let (prepared, expected) = writing.read_back.prepare(client, 0, *number);
        let exchange = match answer.take().filter(|_| !writing.is_read_one_by_one) {
            Some(exchange) => exchange,
            None => {
                client.make_ready().await.map_err(|error| error.kind)?;
                client.send(&prepared).await.map_err(|error| error.kind)?
            }
        };
        match message::check_tool_answer(&exchange.body, exchange.id, expected.as_deref()) {
            Ok(()) => {
                found.insert(*number);
            }
            // One that is read by itself may be refused since it is not there.
            Err(error) if error.kind == ErrorKind::WrongAnswer || writing.is_read_one_by_one => {}
            Err(error) => return Err(error.kind),
        }
        answer = Some(exchange);
    }
    Ok(found)
}
