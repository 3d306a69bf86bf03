//! A run while it goes on: rounds and soaks, kept as they come, until a signal or a failure.

use std::{collections::BTreeMap, path::PathBuf};

use tokio::time::{Duration, Instant};

use super::{
    files,
    mask::Mask,
    progress::Progress,
    samples::Samples,
    signal::{Ended, Interrupts},
};
use crate::{
    error::Error,
    process::Guard,
    results::{Phase, Results, Sample},
    runner::{self, Plan, deadline::Deadline, event::Event},
};

/// A server that is being measured, and what has been measured.
pub(super) struct Session {
    /// What is to be measured.
    pub plan: Plan,
    /// What has been measured so far; one job.
    pub results: Results,
    /// Samples of tools that failed in every trial call: they stand in the first round.
    pub failed: BTreeMap<String, Sample>,
    /// When the run began.
    pub began: Instant,
    /// When the time is used up.
    pub deadline: Deadline,
    /// Where the results go.
    pub output: PathBuf,
    /// Where every single latency goes.
    pub samples: Option<Samples>,
    /// How the run is shown.
    pub progress: Progress,
    /// Hides secrets in what the server says.
    pub mask: Mask,
    /// What may end the run.
    pub interrupts: Interrupts,
    /// Ends the servers if mcpgate is killed.
    pub _guard: Option<Guard>,
}

/// What may end measuring early: the rounds before it are kept.
pub(super) type Early = Option<Error>;

impl Session {
    /// Planned rounds.
    pub(super) fn rounds(&self) -> u32 {
        self.plan.suite.rounds
    }

    /// Since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether the time budget is used up.
    pub(super) fn is_out_of_time(&self) -> bool {
        self.deadline.is_over()
    }

    /// Says something that stays, beside the progress.
    pub(super) fn say(&self, text: &str) {
        self.progress.say(text);
    }

    /// Measures `count` rounds; what was measured is written to the results file as it comes.
    pub(super) async fn measure_rounds(
        &mut self,
        phase: Phase,
        count: u32,
    ) -> Result<Early, Error> {
        for number in 1..=count {
            let early = self
                .measure(phase, Part::Round { number, of: count })
                .await?;
            if early.is_some() || self.is_incomplete() {
                return Ok(early);
            }
        }
        Ok(None)
    }

    /// Measures the soaks of the suite.
    pub(super) async fn measure_soaks(&mut self, phase: Phase) -> Result<Early, Error> {
        let of = match self.plan.suite.soaks.len() {
            0 => 0,
            _ => self.plan.suite.soak_rounds,
        };
        for number in 1..=of {
            if self.is_incomplete() {
                break;
            }
            let early = self.measure(phase, Part::Soak { number, of }).await?;
            if early.is_some() {
                return Ok(early);
            }
        }
        Ok(None)
    }

    /// Applies the loads of the suite, each group once.
    pub(super) async fn measure_loads(&mut self) -> Result<Early, Error> {
        let of = u32::try_from(self.plan.loads.len()).unwrap_or(u32::MAX);
        for number in 1..=of {
            if self.is_incomplete() {
                break;
            }
            let early = self
                .measure(Phase::Measure, Part::Load { number, of })
                .await?;
            if early.is_some() {
                return Ok(early);
            }
        }
        Ok(None)
    }

    fn is_incomplete(&self) -> bool {
        self.results.jobs.iter().any(|job| job.incomplete.is_some())
    }

    async fn measure(&mut self, phase: Phase, part: Part) -> Result<Early, Error> {
        let Some(job) = self.results.jobs.first_mut() else {
            return Ok(None);
        };
        let parts_before = job.rounds.len() + job.loads.len();
        let voice = self.progress.voice();
        let progress = &mut self.progress;
        let mask = &self.mask;
        let samples = &mut self.samples;
        let mut listener = |event: Event<'_>| match event {
            Event::Note(text) => progress.event(&Event::Note(&mask.text(text))),
            Event::Latencies(latencies) => {
                if let Some(samples) = samples {
                    samples.add(latencies);
                }
            }
            other => progress.event(&other),
        };
        let work = async {
            match part {
                Part::Round { number, of } => {
                    runner::run_round(
                        &self.plan,
                        phase,
                        (number, of),
                        self.deadline,
                        job,
                        &mut listener,
                    )
                    .await
                }
                Part::Soak { number, of } => {
                    runner::run_soak(
                        &self.plan,
                        phase,
                        (number, of),
                        self.deadline,
                        job,
                        &mut listener,
                    )
                    .await
                }
                Part::Load { number, of } => {
                    runner::run_loads(&self.plan, (number, of), self.deadline, job, &mut listener)
                        .await
                }
            }
        };
        let what = part.name();
        let asked = || {
            voice.say(&format!(
                "interrupted: finishing this {what}; once more stops at once"
            ));
        };
        let ended = self.interrupts.whole(work, asked).await;
        if let Some(first) = job.rounds.first_mut() {
            for (name, sample) in &self.failed {
                first
                    .scenarios
                    .entry(name.clone())
                    .or_insert_with(|| sample.clone());
            }
        }
        let rounds = match job.rounds.len() {
            1 => "1 round".to_owned(),
            rounds => format!("{rounds} rounds"),
        };
        let problem = match ended {
            Ended::Done(Ok(())) => None,
            Ended::Done(Err(failure)) | Ended::Last(Err(failure)) => Some(failure.to_string()),
            Ended::Last(Ok(())) | Ended::Stopped => {
                job.incomplete = Some(format!("interrupted after {rounds}"));
                Some(format!("interrupted after {rounds}"))
            }
        };
        self.mask.hide_in_job(job);
        let has_more = job.rounds.len() + job.loads.len() > parts_before;
        let kept = if job.rounds.is_empty() {
            files::still_there(&self.output)
        } else {
            files::save(&self.output, &self.results)?;
            format!(
                "\n  {rounds} measured before are kept in {}",
                self.output.display()
            )
        };
        if let Some(samples) = &mut self.samples {
            samples.keep(has_more)?;
        }
        Ok(problem.map(|problem| {
            self.mask
                .error(Error::NotMeasured(format!("{problem}{kept}")))
        }))
    }

    /// Takes the progress away, so that a report can be printed.
    pub(super) fn end_progress(&self) {
        self.progress.finish();
    }
}

enum Part {
    Round { number: u32, of: u32 },
    Soak { number: u32, of: u32 },
    Load { number: u32, of: u32 },
}

impl Part {
    fn name(&self) -> &'static str {
        match self {
            Self::Round { .. } => "round",
            Self::Soak { .. } => "soak",
            Self::Load { .. } => "load",
        }
    }
}
