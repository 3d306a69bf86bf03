//! What a run tells while it goes on: the runner's only link to display.

use std::time::Duration;

use serde::Serialize;

use crate::results::{Phase, Sample};

/// Something happened.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// A server is being started to find out what it offers.
    Probing,
    /// A round begins.
    Round {
        /// Why it is measured.
        phase: Phase,
        /// Counts from 1.
        number: u32,
        /// How many are planned in this phase.
        of: u32,
    },
    /// A soak begins.
    Soak {
        /// Counts from 1.
        number: u32,
        /// How many are planned.
        of: u32,
    },
    /// Loads begin that share a server.
    Load {
        /// Counts from 1.
        number: u32,
        /// How many such groups are planned.
        of: u32,
    },
    /// The probes begin.
    Probes,
    /// A scenario or a probe begins.
    Scenario {
        /// Its name.
        name: &'a str,
    },
    /// What a scenario's figures are taken from, before they are.
    Latencies(&'a Latencies<'a>),
    /// A scenario has ended.
    Measured {
        /// Its name.
        name: &'a str,
        /// What it gave.
        sample: &'a Sample,
    },
    /// A round, soak, load or set of probes has ended, its server is gone.
    RoundEnded {
        /// How long it took.
        elapsed: Duration,
    },
    /// Something that the user should know at once.
    Note(&'a str),
}

/// The single latencies of one scenario in one round: a line of a samples file.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latencies<'a> {
    /// Why the round was measured.
    pub phase: Phase,
    /// The round's index in the results; absent for a load, which is in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// The scenario's name.
    pub scenario: &'a str,
    /// Wall time of each successful call: in order, where calls go one after another; caller
    /// after caller, where several are in flight; of a load in the order of their answers, stage
    /// after stage.
    pub wall_ns: &'a [u64],
    /// Of the same calls, from the request's start to the answer's first byte; none for handshakes.
    pub first_byte_ns: &'a [u64],
    /// Of the same calls, wall time less scheduler wait; none where it is not known.
    pub adjusted_ns: &'a [u64],
}

/// Takes events; must return quickly, since it runs on the measuring thread.
pub type Listener<'a> = &'a mut dyn FnMut(Event<'_>);
