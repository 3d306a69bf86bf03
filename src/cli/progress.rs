//! Progress on standard error: a bar on a terminal, one line a scenario elsewhere.

use std::{
    fmt::Write,
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{
    ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, style::ProgressTracker,
};

use super::options::say;
use crate::{report, results::Phase, runner::event::Event};

/// Shows a run's events.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    is_quiet: bool,
    /// Which of two servers is being measured; empty where there is one.
    arm: &'static str,
    current: String,
    /// What is counted, and the number of the last of it.
    counted: (String, u32),
    scenario: String,
    /// What the scenario before gave.
    before: String,
    /// Unsuccessful calls so far.
    errors: u64,
}

/// Says something beside the events.
pub(super) struct Voice {
    bar: Option<ProgressBar>,
    is_quiet: bool,
}

impl Voice {
    /// Says something that stays.
    pub(super) fn say(&self, text: &str) {
        if self.is_quiet {
            return;
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }
}

/// What can be counted.
const COUNTED: &str = "{prefix} {bar:20} {pos}/{len}{left}  {wide_msg}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("left", TimeLeft::default())
}

impl Progress {
    /// Shows nothing if `is_quiet`.
    pub(super) fn new(is_quiet: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = (is_terminal && !is_quiet).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4));
            bar.set_style(style("{prefix} {wide_msg}"));
            bar
        });
        Self {
            bar,
            is_quiet,
            arm: "",
            current: String::new(),
            counted: (String::new(), 0),
            scenario: String::new(),
            before: String::new(),
            errors: 0,
        }
    }

    /// Says something that stays.
    pub(super) fn say(&self, text: &str) {
        self.voice().say(text);
    }

    /// What can say something while the events go on.
    pub(super) fn voice(&self) -> Voice {
        Voice {
            bar: self.bar.clone(),
            is_quiet: self.is_quiet,
        }
    }

    /// What comes next is of this one of two servers.
    pub(super) fn of(&mut self, arm: &'static str) {
        self.arm = arm;
    }

    fn begin(&mut self, what: &str, number: u32, of: u32) {
        // Rounds tell nothing of how long soaks take; and of two servers both have a first round.
        let (before, last) = &self.counted;
        let begins_anew = before != what || (number == 1 && *last > 1);
        self.counted = (what.to_owned(), number);
        let is_alone = self.arm.is_empty();
        let what = &match self.arm {
            "" => what.to_owned(),
            arm => format!("{arm} {what}"),
        };
        self.current = format!("{what} {number}/{of}");
        self.scenario.clear();
        if let Some(bar) = &self.bar {
            if begins_anew {
                bar.set_style(style(COUNTED));
                bar.reset();
            }
            bar.set_prefix(what.to_owned());
            if is_alone {
                bar.set_length(u64::from(of));
                bar.set_position(u64::from(number.saturating_sub(1)));
            } else {
                bar.set_length(2 * u64::from(of));
            }
        }
        self.show();
    }

    /// Takes an event.
    pub(super) fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Probing => {
                if let Some(bar) = &self.bar {
                    bar.set_prefix("probing");
                }
            }
            Event::Round { phase, number, of } => {
                let what = match phase {
                    Phase::Measure => "round",
                    Phase::Confirm => "confirming round",
                };
                self.begin(what, *number, *of);
            }
            Event::Soak { number, of } => self.begin("soak", *number, *of),
            Event::Load { number, of } => self.begin("load", *number, *of),
            Event::Probes => self.begin("probes", 1, 1),
            Event::Scenario { name } => {
                self.scenario = crate::mcp::outcome::excerpt(name);
                self.show();
            }
            Event::Latencies(_) => {}
            Event::Measured { sample, .. } => {
                let errors: u64 = sample.errors.values().map(|n| u64::from(*n)).sum();
                self.errors += errors;
                let given = report::sample_in_words(sample);
                if self.bar.is_none() {
                    let errors = errors_in_words(errors);
                    self.say(&format!(
                        "{}  {}  {given}{errors}",
                        self.current, self.scenario
                    ));
                }
                self.before = format!("  ({}: {given})", self.scenario);
                self.show();
            }
            Event::RoundEnded { elapsed } => match &self.bar {
                Some(bar) => bar.inc(1),
                None => self.say(&format!("{}  {:.1} s", self.current, elapsed.as_secs_f64())),
            },
            Event::Note(text) => self.say(&format!("note: {text}")),
        }
    }

    fn show(&self) {
        if let Some(bar) = &self.bar {
            let errors = errors_in_words(self.errors);
            let now = if self.scenario.is_empty() {
                "starting"
            } else {
                &self.scenario
            };
            bar.set_message(format!("{now}{}{errors}", self.before));
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Nothing where there are none.
fn errors_in_words(errors: u64) -> String {
    match errors {
        0 => String::new(),
        1 => ", 1 error".to_owned(),
        errors => format!(", {errors} errors"),
    }
}

/// By the rounds before; nothing in the first.
#[derive(Debug, Clone, Default)]
struct TimeLeft {
    ended: u64,
    /// When the last of these did.
    at: Duration,
}

impl TimeLeft {
    fn of(&self, all: u64, elapsed: Duration) -> Option<Duration> {
        let ended = u32::try_from(self.ended).ok().filter(|ended| *ended > 0)?;
        let to_come = u32::try_from(all.saturating_sub(self.ended)).ok()?;
        let since = elapsed.saturating_sub(self.at);
        let left = (self.at / ended)
            .saturating_mul(to_come)
            .saturating_sub(since);
        Some(Duration::from_secs(left.as_secs()))
    }
}

impl ProgressTracker for TimeLeft {
    fn clone_box(&self) -> Box<dyn ProgressTracker> {
        Box::new(self.clone())
    }

    fn tick(&mut self, state: &ProgressState, _: Instant) {
        if state.pos() != self.ended {
            self.ended = state.pos();
            self.at = state.elapsed();
        }
    }

    fn reset(&mut self, _: &ProgressState, _: Instant) {
        *self = Self::default();
    }

    fn write(&self, state: &ProgressState, text: &mut dyn Write) {
        if let Some(left) = self.of(state.len().unwrap_or_default(), state.elapsed()) {
            let _ = write!(text, ", {} left", humantime::format_duration(left));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_falls_while_a_round_goes_on() {
        let seconds = Duration::from_secs;
        let left = |ended, at, elapsed| {
            let so_far = TimeLeft {
                ended,
                at: seconds(at),
            };
            so_far.of(5, seconds(elapsed)).map(|left| left.as_secs())
        };
        assert_eq!(left(0, 0, 7), None, "nothing is known in the first");
        assert_eq!(left(1, 10, 10), Some(40));
        assert_eq!(left(1, 10, 16), Some(34));
        // A round that takes longer than those before.
        assert_eq!(left(4, 40, 55), Some(0));
        assert_eq!(left(5, 50, 50), Some(0));
        assert_eq!(left(6, 60, 60), Some(0));
    }
}
