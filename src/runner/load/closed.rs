//! The closed model: virtual users that each make one call after another.

use std::sync::Arc;

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{Flow, Running, Seat};
use crate::{mcp::client::Client, results::TIMEOUTS_IN_A_ROW};

/// Applies the load, and gives back the clients of virtual users that ended by themselves.
pub(super) async fn run(load: &Arc<Running>, seats: Vec<Seat>) -> Vec<Client> {
    let (active, watching) = watch::channel(0);
    let mut users = JoinSet::new();
    for (vu, seat) in (0..).zip(seats) {
        users.spawn(virtual_user(Arc::clone(load), seat, vu, watching.clone()));
    }
    drop(watching);
    let mut clients = Vec::new();
    let until_stopped = async {
        for (at, vus) in load.terms.executor.vus_over_time() {
            sleep_until(load.began() + at).await;
            active.send_replace(vus);
        }
        sleep_until(load.ends()).await;
        // Those that wait for their turn end here.
        drop(active);
        sleep_until(load.ends() + load.terms.graceful_stop).await;
    };
    let until_ended = async {
        while let Some(ended) = users.join_next().await {
            clients.extend(ended.ok().flatten());
        }
    };
    tokio::select! {
        biased;
        () = until_ended => {}
        () = until_stopped => {}
    }
    // What is still in flight is given up with its virtual user.
    users.shutdown().await;
    clients
}

async fn virtual_user(
    load: Arc<Running>,
    mut seat: Seat,
    vu: u32,
    mut active: watch::Receiver<u32>,
) -> Seat {
    let mut own = 0;
    let mut timeouts_in_a_row = 0;
    while has_turn(vu, &mut active).await && Instant::now() < load.ends() {
        let Some(i) = load.take(vu, own) else {
            break;
        };
        own += 1;
        match load.call(&mut seat, vu, i, None).await {
            Flow::GoesOn => timeouts_in_a_row = 0,
            Flow::TimedOut => timeouts_in_a_row += 1,
            Flow::IsOver => break,
        }
        if timeouts_in_a_row >= TIMEOUTS_IN_A_ROW {
            break;
        }
        let pause = load.terms.think_time.before(load.think_seed, i);
        if !pause.is_zero() {
            sleep_until((Instant::now() + pause).min(load.ends())).await;
        }
    }
    seat
}

/// Waits until this virtual user is one of those that make calls; `false` once none is any more.
async fn has_turn(vu: u32, active: &mut watch::Receiver<u32>) -> bool {
    active.wait_for(|active| vu < *active).await.is_ok()
}
