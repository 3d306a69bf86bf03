//! Latency less scheduler wait.

/// Waits of at most this long are ignored: handing a shared core over counts as a wait of 15 to
/// 20 µs without any real loss.
pub const DEAD_BAND_NS: u64 = 50_000;

/// What Linux's `schedstat` said around one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SchedulerDelta {
    /// Largest run-queue wait of any server thread during the call.
    pub max_server_wait_ns: u64,
    /// Run-queue wait of mcpgate's calling thread during the call.
    pub client_wait_ns: u64,
    /// CPU time of all server threads during the call.
    pub server_cpu_ns: u64,
}

/// The floored rule: `max(wall - D(server wait) - D(client wait), min(wall, server CPU))` with
/// `D(x) = x` above [`DEAD_BAND_NS`], else 0.
///
/// The floor makes it safe: time that a server thread waits for its own siblings is CPU time of
/// those siblings and cannot be subtracted, so a slow-down that the server causes itself stays.
#[must_use]
pub fn adjusted_latency_ns(wall_ns: u64, delta: SchedulerDelta) -> u64 {
    let beyond = |wait: u64| if wait > DEAD_BAND_NS { wait } else { 0 };
    let less_wait = wall_ns
        .saturating_sub(beyond(delta.max_server_wait_ns))
        .saturating_sub(beyond(delta.client_wait_ns));
    less_wait.max(wall_ns.min(delta.server_cpu_ns))
}
