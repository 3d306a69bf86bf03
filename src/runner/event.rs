//! What a run tells while it goes on: the runner's only link to display.

use std::time::Duration;

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
    /// A scenario begins.
    Scenario {
        /// Its name.
        name: &'a str,
    },
    /// A scenario has ended.
    Measured {
        /// Its name.
        name: &'a str,
        /// What it gave.
        sample: &'a Sample,
    },
    /// A round or soak has ended, its server is gone.
    RoundEnded {
        /// How long it took.
        elapsed: Duration,
    },
    /// Something that the user should know at once.
    Note(&'a str),
}

/// Takes events; must return quickly, since it runs on the measuring thread.
pub type Listener<'a> = &'a mut dyn FnMut(Event<'_>);
