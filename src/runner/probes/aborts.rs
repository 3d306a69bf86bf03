//! Calls that are given up.

use tokio::time::Duration;

use super::{Probed, holdings, settled};
use crate::{
    mcp::{message, outcome::ErrorKind},
    results::{AbortProbe, Sessions},
    runner::measure::Bench,
};

/// Calls that are given up, in each half.
const ABORTED: u32 = 15;
/// Event streams that are cut off.
const STREAMS: u32 = 2 * ABORTED;
/// Calls that must work afterwards.
const CALLS_AFTER: u32 = 5;
/// How long an event stream is open before it is cut off.
const STREAM_OPEN: Duration = Duration::from_millis(20);
/// How long such a call may take, besides the usual time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Clients that give up calls in the middle and leave; then calls must work. `None` where no call
/// could be given up.
pub(super) async fn run(bench: &mut Bench, probed: &Probed) -> Option<AbortProbe> {
    let root = bench.server.pid();
    let before = holdings(root);
    let first = half(bench, probed, 0).await;
    let between = settled(root, before).await;
    let second = half(bench, probed, ABORTED).await;
    // The second half gives up none where the first has ended the session.
    if first.0 == 0 {
        return None;
    }
    let after = settled(root, between).await;
    // By themselves: a server may notice only when it next writes that nobody reads one any more.
    let mut streams_cut_off = 0;
    for _ in 0..STREAMS {
        let Ok(mut leaver) = bench.another_client(Sessions::Shared).await else {
            break;
        };
        if leaver.cut_stream(STREAM_OPEN).await.is_none() {
            break;
        }
        streams_cut_off += 1;
    }
    let (mut successes_after, mut error) = (0, None);
    let usual = bench.limits.call_timeout;
    // The calls that were given up may all still stand in the way.
    let patience = PATIENCE + probed.typical * (4 * ABORTED + 10);
    bench.client.set_call_timeout(patience);
    for number in 0..CALLS_AFTER {
        let (prepared, _) = probed.call.prepare(&mut bench.client, 2, number);
        let answered =
            match bench.client.make_ready().await {
                Ok(()) => bench.client.send(&prepared).await.and_then(|exchange| {
                    message::check_tool_answer(&exchange.body, exchange.id, None)
                }),
                Err(error) => Err(error),
            };
        if let Err(failed) = answered {
            error = Some(failed.kind.name().into_owned());
            break;
        }
        successes_after += 1;
    }
    bench.client.set_call_timeout(usual);
    Some(AbortProbe {
        tool: probed.call.tool().to_owned(),
        aborted: [first.0, second.0],
        cut_off: [first.1, second.1],
        calls_after: CALLS_AFTER,
        successes_after,
        error,
        holdings: [before, between, after],
        streams_cut_off,
    })
}

/// Gives up calls, and then cuts others off; says how many of each. Not in turn: what a server still
/// does for a call that was given up must meet the next one.
async fn half(bench: &mut Bench, probed: &Probed, first: u32) -> (u32, u32) {
    let (mut aborted, mut cut_off) = (0, 0);
    let half_way = probed.typical / 2;
    for number in first..first + ABORTED {
        // In the one session that there is: what sessions leave behind is another probe's.
        let Ok(mut leaver) = bench.another_client(Sessions::Shared).await else {
            break;
        };
        let (prepared, _) = probed.call.prepare(&mut leaver, 1, number);
        leaver.set_call_timeout(half_way);
        let answered = leaver.send(&prepared).await;
        if answered.is_err_and(|error| error.kind == ErrorKind::Timeout) {
            aborted += 1;
        }
        leaver.set_call_timeout(bench.limits.call_timeout);
        leaver.close().await;
    }
    for number in first..first + ABORTED {
        let Ok(mut leaver) = bench.another_client(Sessions::Shared).await else {
            break;
        };
        let (prepared, _) = probed.call.prepare(&mut leaver, 3, number);
        match leaver.cut_off(&prepared, half_way).await {
            Some(was_cut) => cut_off += u32::from(was_cut),
            None => break,
        }
    }
    (aborted, cut_off)
}
