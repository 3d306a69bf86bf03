//! The open model: calls that begin when they are due, whatever the answers do.

use std::{collections::VecDeque, sync::Arc};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{super::metronome::Metronome, Flow, Running, Seat};
use crate::mcp::client::Client;

struct Caller {
    vu: u32,
    seat: Seat,
    flow: Flow,
}

/// Applies the load, and gives back the clients of virtual users that were not given up.
///
/// The virtual user that has been idle for longest makes the next call. A call that finds none idle
/// is dropped: waiting for one would be a queue of mcpgate's own in front of the server's.
pub(super) async fn run(load: &Arc<Running>, seats: Vec<Seat>) -> Vec<Client> {
    let metronome = Metronome::new();
    let mut idle: VecDeque<(u32, Seat)> = (0..).zip(seats).collect();
    let mut calls: JoinSet<Caller> = JoinSet::new();
    for (i, at) in (0..).zip(load.terms.executor.arrivals()) {
        let intended = load.began() + at;
        metronome.until(intended).await;
        let mut is_over = false;
        while let Some(ended) = calls.try_join_next() {
            if let Ok(caller) = ended {
                is_over |= caller.flow == Flow::IsOver && caller.seat.is_some();
                idle.push_back((caller.vu, caller.seat));
            }
        }
        if is_over {
            break;
        }
        match idle.pop_front() {
            Some((vu, mut seat)) => {
                let load = Arc::clone(load);
                calls.spawn(async move {
                    let flow = load.call(&mut seat, vu, i, Some(intended)).await;
                    Caller { vu, seat, flow }
                });
            }
            None => load.tally().dropped(at),
        }
    }
    let mut clients: Vec<Client> = idle.into_iter().filter_map(|(_, seat)| seat).collect();
    let last = load.ends().max(Instant::now()) + load.terms.graceful_stop;
    while let Ok(Some(ended)) = timeout_at(last, calls.join_next()).await {
        clients.extend(ended.ok().and_then(|caller| caller.seat));
    }
    // What is still in flight is given up with its virtual user.
    calls.shutdown().await;
    clients
}
