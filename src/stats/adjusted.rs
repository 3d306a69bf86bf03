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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn delta(max_server_wait_ns: u64, client_wait_ns: u64, server_cpu_ns: u64) -> SchedulerDelta {
        SchedulerDelta {
            max_server_wait_ns,
            client_wait_ns,
            server_cpu_ns,
        }
    }

    #[test]
    fn waits_beyond_the_dead_band_are_subtracted() {
        for (what, wall, delta, expected) in [
            (
                "nothing known",
                1_000_000,
                SchedulerDelta::default(),
                1_000_000,
            ),
            (
                "hand-over only",
                1_000_000,
                delta(50_000, 50_000, 1),
                1_000_000,
            ),
            ("server waited", 1_000_000, delta(50_001, 0, 1), 949_999),
            ("client waited", 1_000_000, delta(0, 300_000, 1), 700_000),
            (
                "both waited",
                1_000_000,
                delta(200_000, 300_000, 1),
                500_000,
            ),
            (
                "own siblings",
                1_000_000,
                delta(900_000, 0, 800_000),
                800_000,
            ),
            (
                "several threads",
                1_000_000,
                delta(0, 0, 3_000_000),
                1_000_000,
            ),
            (
                "waits beyond wall",
                1_000_000,
                delta(2_000_000, 2_000_000, 400_000),
                400_000,
            ),
        ] {
            assert_eq!(adjusted_latency_ns(wall, delta), expected, "{what}");
        }
    }

    proptest! {
        #[test]
        fn never_above_wall_and_never_below_the_work_done(
            wall: u64, server: u64, client: u64, cpu: u64,
        ) {
            let adjusted = adjusted_latency_ns(wall, delta(server, client, cpu));
            prop_assert!(adjusted <= wall);
            prop_assert!(adjusted >= wall.min(cpu));
        }

        #[test]
        fn more_waiting_never_lengthens_and_more_work_never_shortens(
            wall: u64, server: u64, client: u64, cpu: u64, more: u64,
        ) {
            let adjusted = adjusted_latency_ns(wall, delta(server, client, cpu));
            prop_assert!(adjusted_latency_ns(wall, delta(server.saturating_add(more), client, cpu)) <= adjusted);
            prop_assert!(adjusted_latency_ns(wall, delta(server, client.saturating_add(more), cpu)) <= adjusted);
            prop_assert!(adjusted_latency_ns(wall, delta(server, client, cpu.saturating_add(more))) >= adjusted);
        }

        #[test]
        fn waits_within_the_dead_band_change_nothing(
            wall: u64, server in 0..=DEAD_BAND_NS, client in 0..=DEAD_BAND_NS, cpu: u64,
        ) {
            prop_assert_eq!(adjusted_latency_ns(wall, delta(server, client, cpu)), wall);
        }
    }
}
