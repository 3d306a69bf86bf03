//! Progress on standard error: a bar on a terminal, one line a scenario elsewhere.

use std::{fmt::Write, io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::options::say;
use crate::{report, results::Phase, runner::event::Event};

/// Shows a run's events.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    is_quiet: bool,
    /// Which of two servers is being measured; empty where there is one.
    arm: &'static str,
    current: String,
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

impl Progress {
    /// Shows nothing if `is_quiet`.
    pub(super) fn new(is_quiet: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = (is_terminal && !is_quiet).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4));
            let template = "{prefix} {bar:20} {pos}/{len}{left}  {wide_msg}";
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .with_key("left", |state: &ProgressState, text: &mut dyn Write| {
                    let _ = text.write_str(&time_left(state));
                });
            bar.set_style(style);
            bar
        });
        Self {
            bar,
            is_quiet,
            arm: "",
            current: String::new(),
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
        let what = &match self.arm {
            "" => what.to_owned(),
            arm => format!("{arm} {what}"),
        };
        self.current = format!("{what} {number}/{of}");
        self.scenario.clear();
        if let Some(bar) = &self.bar {
            if number == 1 {
                // Rounds tell nothing of how long soaks take.
                bar.reset();
            }
            bar.set_prefix(what.to_owned());
            bar.set_length(u64::from(of));
            bar.set_position(u64::from(number.saturating_sub(1)));
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
fn time_left(state: &ProgressState) -> String {
    if state.pos() == 0 {
        return String::new();
    }
    let left = Duration::from_secs(state.eta().as_secs());
    format!(", {} left", humantime::format_duration(left))
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
