//! How load is applied over time, in k6's words.
//!
//! In the closed model (`shared-iterations`, `per-vu-iterations`, `constant-vus`, `ramping-vus`) a
//! virtual user makes its next call when the one before is answered, so a slow server is asked
//! less. In the open model (`constant-arrival-rate`, `ramping-arrival-rate`) calls begin at times
//! that do not depend on the answers, as those of independent agents do; [`Executor::arrivals`]
//! are these times, and latency counts from them (Schroeder, Wierman, Harchol-Balter: Open versus
//! closed, a cautionary tale, NSDI 2006).

#[cfg(test)]
mod tests;

use std::time::Duration;

/// One way of applying load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Executor {
    /// Virtual users share a number of calls; a quick one makes more of them.
    SharedIterations {
        /// Virtual users.
        vus: u32,
        /// Calls, over all of them.
        iterations: u32,
        /// No call begins later.
        max_duration: Duration,
    },
    /// Each virtual user makes the same number of calls.
    PerVuIterations {
        /// Virtual users.
        vus: u32,
        /// Calls of each.
        iterations: u32,
        /// No call begins later.
        max_duration: Duration,
    },
    /// As many calls as virtual users manage.
    ConstantVus {
        /// Virtual users.
        vus: u32,
        /// How long.
        duration: Duration,
    },
    /// The same, with a number of virtual users that changes.
    RampingVus {
        /// Virtual users at the start.
        start_vus: u32,
        /// Targets are virtual users.
        stages: Vec<Stage>,
    },
    /// Calls at even distances.
    ConstantArrivalRate {
        /// Calls in each `time_unit`.
        rate: u32,
        /// What `rate` is counted in.
        time_unit: Duration,
        /// How long.
        duration: Duration,
        /// Most calls in flight; those that would need more are dropped.
        max_vus: u32,
    },
    /// Calls at distances that change.
    RampingArrivalRate {
        /// Calls in each `time_unit`, at the start.
        start_rate: u32,
        /// What rates are counted in.
        time_unit: Duration,
        /// Targets are calls in each `time_unit`.
        stages: Vec<Stage>,
        /// Most calls in flight; those that would need more are dropped.
        max_vus: u32,
    },
}

/// From the target before to this one, evenly; at once where it takes no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// How long.
    pub duration: Duration,
    /// What is reached at its end.
    pub target: u32,
}

/// A stage with what it starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// From the start of the load.
    pub begins: Duration,
    /// From the start of the load.
    pub ends: Duration,
    /// Virtual users, or calls in each time unit.
    pub from: u32,
    /// The same at the end.
    pub to: u32,
}

impl Executor {
    /// The name in the configuration.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SharedIterations { .. } => "shared-iterations",
            Self::PerVuIterations { .. } => "per-vu-iterations",
            Self::ConstantVus { .. } => "constant-vus",
            Self::RampingVus { .. } => "ramping-vus",
            Self::ConstantArrivalRate { .. } => "constant-arrival-rate",
            Self::RampingArrivalRate { .. } => "ramping-arrival-rate",
        }
    }

    /// Whether calls begin at times that do not depend on answers.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(
            self,
            Self::ConstantArrivalRate { .. } | Self::RampingArrivalRate { .. }
        )
    }

    /// No call begins after so long.
    #[must_use]
    pub fn longest(&self) -> Duration {
        match self {
            Self::SharedIterations { max_duration, .. }
            | Self::PerVuIterations { max_duration, .. } => *max_duration,
            Self::ConstantVus { duration, .. } | Self::ConstantArrivalRate { duration, .. } => {
                *duration
            }
            Self::RampingVus { stages, .. } | Self::RampingArrivalRate { stages, .. } => {
                stages.iter().fold(Duration::ZERO, |sum, stage| {
                    sum.saturating_add(stage.duration)
                })
            }
        }
    }

    /// Most virtual users at once.
    #[must_use]
    pub fn most_vus(&self) -> u32 {
        match self {
            Self::SharedIterations { vus, .. }
            | Self::PerVuIterations { vus, .. }
            | Self::ConstantVus { vus, .. } => *vus,
            Self::RampingVus { start_vus, stages } => {
                let targets = stages.iter().map(|stage| stage.target);
                targets.fold(*start_vus, u32::max)
            }
            Self::ConstantArrivalRate { max_vus, .. }
            | Self::RampingArrivalRate { max_vus, .. } => *max_vus,
        }
    }

    /// How many calls there will be at most, where time does not decide it.
    #[must_use]
    pub fn planned_calls(&self) -> Option<u64> {
        match self {
            Self::SharedIterations { iterations, .. } => Some(u64::from(*iterations)),
            Self::PerVuIterations {
                vus, iterations, ..
            } => Some(u64::from(*vus) * u64::from(*iterations)),
            Self::ConstantVus { .. } | Self::RampingVus { .. } => None,
            Self::ConstantArrivalRate { .. } | Self::RampingArrivalRate { .. } => {
                Some(self.arrivals().planned())
            }
        }
    }

    /// The stages one after another, without those that take no time; a single one where the load
    /// does not change.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let (mut from, stages) = match self {
            Self::RampingVus { start_vus, stages } => (*start_vus, stages.as_slice()),
            Self::RampingArrivalRate {
                start_rate, stages, ..
            } => (*start_rate, stages.as_slice()),
            _ => {
                let level = match self {
                    Self::ConstantArrivalRate { rate, .. } => *rate,
                    other => other.most_vus(),
                };
                return vec![Span {
                    begins: Duration::ZERO,
                    ends: self.longest(),
                    from: level,
                    to: level,
                }];
            }
        };
        let mut begins = Duration::ZERO;
        let mut spans = Vec::new();
        for stage in stages {
            let ends = begins.saturating_add(stage.duration);
            if ends > begins {
                spans.push(Span {
                    begins,
                    ends,
                    from,
                    to: stage.target,
                });
            }
            begins = ends;
            from = stage.target;
        }
        spans
    }

    /// When how many virtual users are to make calls: `(from when on, how many)`, in order, from
    /// zero on. In a stage they come or go one by one at even distances, the last at its end.
    #[must_use]
    pub fn vus_over_time(&self) -> Vec<(Duration, u32)> {
        let Self::RampingVus { start_vus, stages } = self else {
            return vec![(Duration::ZERO, self.most_vus())];
        };
        let mut steps = vec![(Duration::ZERO, *start_vus)];
        let mut begins = Duration::ZERO;
        let mut now = *start_vus;
        for stage in stages {
            let difference = now.abs_diff(stage.target);
            if stage.duration.is_zero() && difference > 0 {
                steps.push((begins, stage.target));
            } else {
                for step in 1..=difference {
                    let at = begins.saturating_add(part(stage.duration, step, difference));
                    let vus = if stage.target > now {
                        now + step
                    } else {
                        now - step
                    };
                    steps.push((at, vus));
                }
            }
            begins = begins.saturating_add(stage.duration);
            now = stage.target;
        }
        steps
    }

    /// When calls are to begin; none in the closed model.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        let time_unit = match self {
            Self::ConstantArrivalRate { time_unit, .. }
            | Self::RampingArrivalRate { time_unit, .. } => *time_unit,
            _ => return Arrivals::default(),
        };
        let mut before = 0;
        let pieces = self.spans().into_iter().map(|span| {
            let begins = before;
            let duration_ns = (span.ends - span.begins).as_nanos();
            before += (u128::from(span.from) + u128::from(span.to)) * duration_ns;
            Piece { begins, span }
        });
        Arrivals {
            pieces: pieces.collect(),
            whole: before,
            call: 2 * time_unit.as_nanos(),
            next: 0,
        }
    }
}

/// `of × step / steps`, to the nanosecond.
fn part(of: Duration, step: u32, steps: u32) -> Duration {
    let ns = of.as_nanos() * u128::from(step) / u128::from(steps.max(1));
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}

/// The times at which calls are to begin, from the start of the load.
///
/// Call number `n` (from 0) begins when the area under the rate's curve has reached `n` calls. Areas
/// are whole numbers (of rate times nanosecond, doubled for the triangles), so that how many calls
/// there are never hangs on a rounding: 10 s at 200 a second are 2,000 calls.
#[derive(Debug, Clone, Default)]
pub struct Arrivals {
    pieces: Vec<Piece>,
    /// The whole area.
    whole: u128,
    /// The area of one call.
    call: u128,
    next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    /// The area before it.
    begins: u128,
    span: Span,
}

impl Arrivals {
    fn planned(&self) -> u64 {
        if self.call == 0 {
            return 0;
        }
        u64::try_from(self.whole.div_ceil(self.call)).unwrap_or(u64::MAX)
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.next >= self.planned() {
            return None;
        }
        let area = u128::from(self.next) * self.call;
        self.next += 1;
        // The last one that begins at or before this area has a rate above zero there: those
        // without end where they begin.
        let piece = self
            .pieces
            .iter()
            .rfind(|piece| piece.begins <= area && piece.span.from.max(piece.span.to) > 0)?;
        Some(piece.span.begins + piece.span.time_of((area - piece.begins) as f64))
    }
}

impl Span {
    /// Since it began, when the doubled area under its line has reached `area`.
    ///
    /// The line's height is `from + slope·t`, so that `slope·t² + 2·from·t = area`; written so that
    /// nothing cancels where the slope is small or negative.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between zero and a duration in nanoseconds"
    )]
    fn time_of(&self, area: f64) -> Duration {
        let duration_ns = (self.ends - self.begins).as_nanos() as f64;
        let from = f64::from(self.from);
        let slope = (f64::from(self.to) - from) / duration_ns;
        let height = slope.mul_add(area, from * from).max(0.0).sqrt();
        let ns = if area > 0.0 {
            area / (from + height)
        } else {
            0.0
        };
        Duration::from_nanos(ns.clamp(0.0, duration_ns).round() as u64)
    }
}
