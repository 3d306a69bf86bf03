//! The official SDK's client as a load generator over stdio, for `benches/peers.py`.
//!
//! `sdk_client CALLS CALLERS COMMAND…` starts a server, makes so many calls of its tool `echo`, so
//! many of them in flight at once, checks each answer, and prints as JSON what that took.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for a benchmark: it measures time, and prints"
)]

use std::{
    error::Error,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use rmcp::{
    model::{CallToolRequestParams, ProtocolVersion},
    service::{ClientLifecycleMode, ClientServiceExt as _, Peer, RoleClient},
};
use serde_json::json;
use tokio::process::Command;

const MESSAGE: &str = "hello from a caller";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = || -> Result<u32, Box<dyn Error>> {
        Ok(arguments.next().ok_or("a number is missing")?.parse()?)
    };
    let (calls, callers) = (number()?, number()?);
    let mut server = Command::new(arguments.next().ok_or("the command is missing")?)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let output = server.stdout.take().ok_or("no standard output")?;
    let input = server.stdin.take().ok_or("no standard input")?;
    let lifecycle = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    let client = ().serve_with_lifecycle((output, input), lifecycle).await?;

    let next = Arc::new(AtomicU32::new(0));
    let began = Instant::now();
    let cpu_before = cpu();
    let mut users = tokio::task::JoinSet::new();
    for _ in 0..callers {
        users.spawn(caller(client.peer().clone(), Arc::clone(&next), calls));
    }
    let mut walls = Vec::new();
    while let Some(ended) = users.join_next().await {
        walls.append(&mut ended?.map_err(|error| error.to_string())?);
    }
    let cpu_s = (cpu() - cpu_before).as_secs_f64();
    let seconds = began.elapsed().as_secs_f64();
    walls.sort_unstable();
    let p50_us = walls.get(walls.len() / 2).map(Duration::as_micros);
    let told = json!({
        "calls": walls.len(), "cpu_s": cpu_s, "seconds": seconds,
        "p50_us": p50_us.and_then(|us| u64::try_from(us).ok()),
    });
    println!("{told}");
    client.cancel().await?;
    Ok(())
}

async fn caller(
    peer: Peer<RoleClient>,
    next: Arc<AtomicU32>,
    calls: u32,
) -> Result<Vec<Duration>, Box<dyn Error + Send + Sync>> {
    let arguments = json!({"message": MESSAGE});
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let mut walls = Vec::new();
    while next.fetch_add(1, Ordering::Relaxed) < calls {
        let call = CallToolRequestParams::new("echo").with_arguments(arguments.clone());
        let began = Instant::now();
        let answer = peer.call_tool(call).await?;
        walls.push(began.elapsed());
        let text = answer.content.first().and_then(|content| content.as_text());
        if text.is_none_or(|text| text.text != MESSAGE) || answer.is_error == Some(true) {
            return Err("a wrong answer".into());
        }
    }
    Ok(walls)
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
