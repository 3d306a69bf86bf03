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
    suite::ToolCall,
};

/// What servers share that are measured in one run.
pub(super) struct Run {
    /// When the run began.
    pub began: Instant,
    /// When the time is used up.
    pub deadline: Deadline,
    /// Where every single latency goes.
    pub samples: Option<Samples>,
    /// How the run is shown.
    pub progress: Progress,
    /// What may end the run.
    pub interrupts: Interrupts,
    /// Whether something did before the first round.
    pub was_interrupted: bool,
    /// Ends the servers if mcpgate is killed.
    pub _guard: Option<Guard>,
}

/// A server that is being measured, and what has been measured of it.
pub(super) struct Arm {
    /// What it is to the reader where two are measured in turn, such as `base`; else empty.
    pub name: &'static str,
    /// What is to be measured.
    pub plan: Plan,
    /// The tools that are called.
    pub tools: Vec<ToolCall>,
    /// What has been measured so far; one job.
    pub results: Results,
    /// Samples of tools that failed in every trial call: they stand in the first round.
    pub failed: BTreeMap<String, Sample>,
    /// Where the results go.
    pub output: PathBuf,
    /// Hides secrets in what the server says.
    pub mask: Mask,
}

/// One server that is measured alone.
pub(super) struct Session {
    pub run: Run,
    pub arm: Arm,
}

/// What may end measuring early: the rounds before it are kept.
pub(super) type Early = Option<Error>;

impl Arm {
    /// Whether its run ended early.
    pub(super) fn is_incomplete(&self) -> bool {
        self.results.jobs.iter().any(|job| job.incomplete.is_some())
    }

    /// How many soaks are to be measured.
    pub(super) fn soaks(&self) -> u32 {
        match self.plan.suite.soaks.len() {
            0 => 0,
            _ => self.plan.suite.soak_rounds,
        }
    }

    /// How many groups of loads are to be applied.
    pub(super) fn loads(&self) -> u32 {
        u32::try_from(self.plan.loads.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is a round.
    pub(super) fn has_rounds(&self) -> bool {
        self.results.jobs.iter().any(|job| !job.rounds.is_empty())
    }
}

impl Session {
    /// Planned rounds.
    pub(super) fn rounds(&self) -> u32 {
        self.arm.plan.suite.rounds
    }

    /// Measures `count` rounds; what was measured is written to the results file as it comes.
    pub(super) async fn measure_rounds(
        &mut self,
        phase: Phase,
        count: u32,
    ) -> Result<Early, Error> {
        self.measure_parts(phase, count, |number| Part::Round { number, of: count })
            .await
    }

    /// Measures the soaks of the suite.
    pub(super) async fn measure_soaks(&mut self, phase: Phase) -> Result<Early, Error> {
        let of = self.arm.soaks();
        self.measure_parts(phase, of, |number| Part::Soak { number, of })
            .await
    }

    /// Applies the loads of the suite, each group once.
    pub(super) async fn measure_loads(&mut self) -> Result<Early, Error> {
        let of = self.arm.loads();
        self.measure_parts(Phase::Measure, of, |number| Part::Load { number, of })
            .await
    }

    async fn measure_parts(
        &mut self,
        phase: Phase,
        count: u32,
        part: impl Fn(u32) -> Part,
    ) -> Result<Early, Error> {
        for number in 1..=count {
            if self.arm.is_incomplete() {
                break;
            }
            let early = self.run.measure(&mut self.arm, phase, part(number)).await?;
            if early.is_some() {
                return Ok(early);
            }
        }
        Ok(None)
    }
}

impl Run {
    /// Since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Lets the time begin now.
    pub(super) fn begin_again(&mut self, max_time: Duration) {
        self.began = Instant::now();
        self.deadline = Deadline::new(self.began, max_time);
    }

    /// Whether the time budget is used up.
    pub(super) fn is_out_of_time(&self) -> bool {
        self.deadline.is_over()
    }

    /// Says something that stays, beside the progress.
    pub(super) fn say(&self, text: &str) {
        self.progress.say(text);
    }

    /// Measures one part of an arm; what was measured is in its results file afterwards.
    pub(super) async fn measure(
        &mut self,
        arm: &mut Arm,
        phase: Phase,
        part: Part,
    ) -> Result<Early, Error> {
        let Some(job) = arm.results.jobs.first_mut() else {
            return Ok(None);
        };
        let parts_before = job.rounds.len() + job.loads.len();
        let voice = self.progress.voice();
        let progress = &mut self.progress;
        let mask = &arm.mask;
        let samples = &mut self.samples;
        let mut listener = |event: Event<'_>| match event {
            Event::Note(text) => progress.event(&Event::Note(&mask.text(text))),
            Event::Latencies(latencies) => {
                if let Some(samples) = samples {
                    samples.add(arm.name, latencies);
                }
            }
            other => progress.event(&other),
        };
        let work = async {
            match part {
                Part::Round { number, of } => {
                    runner::run_round(
                        &arm.plan,
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
                        &arm.plan,
                        phase,
                        (number, of),
                        self.deadline,
                        job,
                        &mut listener,
                    )
                    .await
                }
                Part::Load { number, of } => {
                    runner::run_loads(&arm.plan, (number, of), self.deadline, job, &mut listener)
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
            for (name, sample) in &arm.failed {
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
        arm.mask.hide_in_job(job);
        let has_more = job.rounds.len() + job.loads.len() > parts_before;
        let kept = if job.rounds.is_empty() {
            files::still_there(&arm.output)
        } else {
            files::save(&arm.output, &arm.results)?;
            format!(
                "\n  {rounds} measured before are kept in {}",
                arm.output.display()
            )
        };
        if let Some(samples) = &mut self.samples {
            samples.keep(has_more)?;
        }
        Ok(problem.map(|problem| {
            let of = match arm.name {
                "" => String::new(),
                name => format!("the {name}: "),
            };
            arm.mask
                .error(Error::NotMeasured(format!("{of}{problem}{kept}")))
        }))
    }
}

/// One of several alike, counted from 1.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
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
