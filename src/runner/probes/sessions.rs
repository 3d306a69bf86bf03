//! Sessions that come and go, or stay.

use tokio::{
    task::JoinSet,
    time::{Duration, Instant},
};

use super::{holdings, settled};
use crate::{
    mcp::{
        Limits,
        client::{self, Client, Wanted},
    },
    process::MemorySampler,
    results::{Holdings, OpenSessionsProbe, SessionProbe, SessionSeries},
    runner::{
        Plan,
        failure::RunFailure,
        round::{Findings, Started, begin, end},
    },
};

/// Memory readings of one kind of sessions.
const READINGS: u32 = 45;
/// No more sessions of a kind are opened after this.
const TIME: Duration = Duration::from_secs(8);
/// An event stream that takes longer to open is left out.
const STREAM_IS_SLOW: Duration = Duration::from_millis(200);
/// Sessions that are ended at once.
const CLOSED_AT_ONCE: usize = 10;
/// How long a session may take to open while others are.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sessions that are ended, and on another server sessions that are left.
pub(super) async fn come_and_go(
    plan: &Plan,
    count: u32,
    findings: &mut Findings,
) -> Result<SessionProbe, RunFailure> {
    Ok(SessionProbe {
        closed: series(plan, count, true, findings).await?,
        abandoned: series(plan, count, false, findings).await?,
    })
}

async fn series(
    plan: &Plan,
    count: u32,
    are_closed: bool,
    findings: &mut Findings,
) -> Result<SessionSeries, RunFailure> {
    let Started { bench, memory, .. } = begin(plan, findings).await?;
    let root = bench.server.pid();
    let mut held = vec![(0, holdings(root))];
    let mut series = Vec::new();
    let (mut opened, mut failed) = (0, 0);
    let every = count.div_ceil(READINGS).max(1);
    let until = Instant::now() + TIME;
    let mut last_look = Instant::now();
    while opened < count && Instant::now() < until {
        let wanted = Wanted::Exactly(bench.revision);
        match client::open(&bench.server.endpoint, wanted, bench.limits).await {
            Ok(opened) if are_closed => opened.client.close().await,
            Ok(opened) => drop(opened),
            Err(_) => failed += 1,
        }
        opened += 1;
        // Where sessions take long, time is up before they are all opened.
        if opened % every == 0 || last_look.elapsed() >= TIME / READINGS {
            last_look = Instant::now();
            held.push((opened, holdings(root)));
            let reading = memory.as_ref().ok().and_then(MemorySampler::sample_now);
            series.extend(reading.map(|reading| (opened, reading.bytes)));
        }
    }
    let before = held
        .first()
        .map_or_else(Holdings::default, |(_, held)| *held);
    held.push((opened, settled(root, before).await));
    drop(memory);
    end(bench, findings).await;
    Ok(SessionSeries {
        sessions: opened,
        failed,
        memory: series,
        holdings: held,
    })
}

/// Sessions that are opened and kept, until one fails or time is up; then all are ended, and one more is
/// opened.
pub(super) async fn open_at_once(
    plan: &Plan,
    wanted: u32,
    findings: &mut Findings,
) -> Result<OpenSessionsProbe, RunFailure> {
    let Started { bench, .. } = begin(plan, findings).await?;
    let limits = Limits {
        call_timeout: PATIENCE.min(bench.limits.call_timeout),
        ..bench.limits
    };
    let revision = Wanted::Exactly(bench.revision);
    let mut open = Vec::new();
    let mut error = None;
    let mut wanted = wanted;
    let mut have_streams = true;
    let until = Instant::now() + TIME;
    for tried in 0..wanted {
        if Instant::now() >= until {
            wanted = tried;
            break;
        }
        match client::open(&bench.server.endpoint, revision, limits).await {
            Ok(opened) => {
                let mut client = opened.client;
                if have_streams {
                    // With the event stream that the official clients open, where that does not take
                    // all the time: some servers say nothing on it until they have something to tell.
                    let began = Instant::now();
                    let _ = client.make_ready().await;
                    have_streams = began.elapsed() < STREAM_IS_SLOW;
                }
                open.push(client);
            }
            Err(failed) => {
                error = Some(failed.error.kind.name().into_owned());
                break;
            }
        }
    }
    let opened = u32::try_from(open.len()).unwrap_or(u32::MAX);
    // A few at once: each may wait for its answer.
    let mut open = open.into_iter();
    loop {
        let some: JoinSet<()> = open
            .by_ref()
            .take(CLOSED_AT_ONCE)
            .map(Client::close)
            .collect();
        if some.is_empty() {
            break;
        }
        some.join_all().await;
    }
    let again = client::open(&bench.server.endpoint, revision, limits).await;
    let recovers = again.is_ok();
    if let Ok(again) = again {
        again.client.close().await;
    }
    end(bench, findings).await;
    Ok(OpenSessionsProbe {
        wanted,
        opened,
        error,
        recovers,
    })
}
