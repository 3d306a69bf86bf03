//! Writes at once, and what is left of them.

use std::{collections::BTreeSet, sync::Arc};

use tokio::task::JoinSet;

use super::Writing;
use crate::{
    mcp::{client::Client, message},
    results::{Sessions, WriteCount, WriteProbe},
    runner::{
        Plan,
        call::CompiledCall,
        failure::RunFailure,
        measure::Bench,
        round::{Findings, Started, begin, end},
    },
};

/// Writes in each half, all of the second at once.
const WRITES: u32 = 20;

/// Writes one after another, and on another server at once; each half is read back.
pub(super) async fn run(
    plan: &Plan,
    writing: &Writing,
    first: u32,
    findings: &mut Findings,
) -> Result<WriteProbe, RunFailure> {
    Ok(WriteProbe {
        tool: writing.write.tool().to_owned(),
        read_back: writing.read_back.tool().to_owned(),
        writes: WRITES,
        in_sequence: half(plan, writing, (first, false), findings).await?,
        at_once: half(plan, writing, (first.wrapping_add(WRITES), true), findings).await?,
    })
}

async fn half(
    plan: &Plan,
    writing: &Writing,
    (first, is_at_once): (u32, bool),
    findings: &mut Findings,
) -> Result<WriteCount, RunFailure> {
    let Started { mut bench, .. } = begin(plan, findings).await?;
    let numbers: Vec<u32> = (0..WRITES).map(|n| first.wrapping_add(n)).collect();
    // What another run left behind is none of these.
    let there_before = found(&mut bench.client, writing, &numbers).await;
    let acknowledged = if is_at_once {
        at_once(&mut bench, &writing.write, &numbers).await
    } else {
        let mut acknowledged = BTreeSet::new();
        for number in &numbers {
            if write(&mut bench.client, &writing.write, *number).await {
                acknowledged.insert(*number);
            }
        }
        acknowledged
    };
    let acknowledged: BTreeSet<u32> = &acknowledged - &there_before;
    let there = found(&mut bench.client, writing, &numbers).await;
    end(bench, findings).await;
    let count = |set: &BTreeSet<u32>| u32::try_from(set.len()).unwrap_or(u32::MAX);
    Ok(WriteCount {
        acknowledged: count(&acknowledged),
        found: count(&(&acknowledged & &there)),
    })
}

async fn at_once(bench: &mut Bench, call: &Arc<CompiledCall>, numbers: &[u32]) -> BTreeSet<u32> {
    let mut clients = Vec::new();
    for number in numbers {
        if let Ok(client) = bench.another_client(Sessions::Each).await {
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

/// Those of the writes that can be read.
async fn found(client: &mut Client, writing: &Writing, numbers: &[u32]) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut answer = None;
    for number in numbers {
        let (prepared, expected) = writing.read_back.prepare(client, 0, *number);
        if answer.is_none() || writing.is_read_one_by_one {
            if client.make_ready().await.is_err() {
                return found;
            }
            answer = client.send(&prepared).await.ok();
        }
        let is_there = answer.as_ref().is_some_and(|exchange| {
            message::check_tool_answer(&exchange.body, exchange.id, expected.as_deref()).is_ok()
        });
        if is_there {
            found.insert(*number);
        }
    }
    found
}
