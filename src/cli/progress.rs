//! Progress on standard error: a bar on a terminal, one line a round elsewhere.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::options::say;
use crate::{results::Phase, runner::event::Event};

/// Shows a run's events.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    is_quiet: bool,
    current: String,
}

impl Progress {
    /// Shows nothing if `is_quiet`.
    pub(super) fn new(is_quiet: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = (is_terminal && !is_quiet).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4));
            let style = ProgressStyle::with_template("{prefix} {bar:20} {pos}/{len}  {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style);
            bar
        });
        Self {
            bar,
            is_quiet,
            current: String::new(),
        }
    }

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

    fn begin(&mut self, what: &str, number: u32, of: u32) {
        self.current = format!("{what} {number}/{of}");
        if let Some(bar) = &self.bar {
            bar.set_prefix(what.to_owned());
            bar.set_length(u64::from(of));
            bar.set_position(u64::from(number.saturating_sub(1)));
        }
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
            Event::Scenario { name } => {
                if let Some(bar) = &self.bar {
                    bar.set_message(crate::mcp::outcome::excerpt(name));
                }
            }
            Event::Measured { .. } => {}
            Event::RoundEnded { elapsed } => match &self.bar {
                Some(bar) => bar.inc(1),
                None => self.say(&format!("{}  {:.1} s", self.current, elapsed.as_secs_f64())),
            },
            Event::Note(text) => self.say(&format!("note: {text}")),
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
