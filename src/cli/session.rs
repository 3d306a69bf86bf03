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
    runner::{
        self, Plan,
        deadline::Deadline,
        event::Event,
        pair::{PairFailure, Side, run_pair},
    },
    suite::{ToolCall, probes::ProbePlan},
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
    /// What its probes ask.
    pub probes: ProbePlan,
    /// Samples of tools that failed in every trial call: they stand in the first round.
    pub failed: BTreeMap<String, Sample>,
    /// Where the results go.
    pub output: PathBuf,
    /// Hides secrets in what the server says.
    pub mask: Mask,
}

fn rounds_in_words(rounds: usize) -> String {
    match rounds {
        1 => "1 round".to_owned(),
        rounds => format!("{rounds} rounds"),
    }
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

    /// How much has been measured: rounds, and rounds and loads together.
    fn measured(&self) -> (usize, usize) {
        let job = self.results.jobs.first();
        job.map_or((0, 0), |job| {
            (job.rounds.len(), job.rounds.len() + job.loads.len())
        })
    }

    /// Marks the run as interrupted, and says so.
    fn interrupted(&mut self) -> String {
        let rounds = self.measured().0;
        let said = format!("interrupted after {}", rounds_in_words(rounds));
        for job in &mut self.results.jobs {
            job.incomplete = Some(said.clone());
        }
        said
    }

    /// Writes what there is; says where, for the end of an error.
    fn keep(&mut self) -> Result<String, Error> {
        for job in &mut self.results.jobs {
            if let Some(first) = job.rounds.first_mut() {
                for (name, sample) in &self.failed {
                    first
                        .scenarios
                        .entry(name.clone())
                        .or_insert_with(|| sample.clone());
                }
            }
            self.mask.hide_in_job(job);
        }
        if !self.has_rounds() {
            return Ok(files::still_there(&self.output));
        }
        files::save(&self.output, &self.results)?;
        Ok(format!(
            "\n  {} measured before are kept in {}",
            rounds_in_words(self.measured().0),
            self.output.display()
        ))
    }

    /// An error that ends the run early.
    fn early(&self, problem: &str, kept: &str) -> Error {
        let of = match self.name {
            "" => String::new(),
            name => format!("the {name}: "),
        };
        let error = Error::NotMeasured(format!("{of}{problem}{kept}"));
        self.mask.error(error)
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

    /// Makes the probes, where there are any.
    pub(super) async fn measure_probes(&mut self) -> Result<Early, Error> {
        if self.arm.plan.probes.is_none() || self.arm.is_incomplete() {
            return Ok(None);
        }
        self.run
            .measure(&mut self.arm, Phase::Measure, Part::Probes)
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
        let before = arm.measured();
        let Some(job) = arm.results.jobs.first_mut() else {
            return Ok(None);
        };
        let voice = self.progress.voice();
        let mut display = Display {
            progress: &mut self.progress,
            samples: &mut self.samples,
        };
        let (mask, name) = (&arm.mask, arm.name);
        let mut listener = |event: Event<'_>| display.take(name, mask, &event);
        let work = async {
            match part {
                Part::Probes => {
                    runner::run_probes(&arm.plan, self.deadline, job, &mut listener).await;
                    Ok(())
                }
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
        let asked = || voice.say(&finishing(part.name()));
        let ended = self.interrupts.whole(work, asked).await;
        let problem = match ended {
            Ended::Done(Ok(())) => None,
            Ended::Done(Err(failure)) | Ended::Last(Err(failure)) => Some(failure.to_string()),
            Ended::Last(Ok(())) | Ended::Stopped => Some(arm.interrupted()),
        };
        let kept = arm.keep()?;
        if let Some(samples) = &mut self.samples {
            samples.keep(arm.measured() > before)?;
        }
        Ok(problem.map(|problem| arm.early(&problem, &kept)))
    }

    /// Measures a pair of rounds, part by part in turn; what was measured is in both results files
    /// afterwards. Arm `first` of the two goes first.
    pub(super) async fn measure_pair(
        &mut self,
        mut arms: [&mut Arm; 2],
        first: usize,
        phase: Phase,
        number_of: (u32, u32),
    ) -> Result<PairEnd, Error> {
        let before = arms.each_ref().map(|arm| arm.measured());
        let voice = self.progress.voice();
        let mut display = Display {
            progress: &mut self.progress,
            samples: &mut self.samples,
        };
        let views = arms.each_ref().map(|arm| (arm.name, arm.mask.clone()));
        let mut listener = |which: usize, event: Event<'_>| {
            if let Some((name, mask)) = views.get(which) {
                display.take(name, mask, &event);
            }
        };
        let [one, other] = arms.each_mut();
        let (Some(job), Some(other_job)) =
            (one.results.jobs.first_mut(), other.results.jobs.first_mut())
        else {
            return Ok(PairEnd::Measured(None));
        };
        let sides = [
            Side {
                plan: &one.plan,
                job,
            },
            Side {
                plan: &other.plan,
                job: other_job,
            },
        ];
        let work = run_pair(sides, first, phase, number_of, self.deadline, &mut listener);
        let asked = || voice.say(&finishing("pair of rounds"));
        let ended = self.interrupts.whole(work, asked).await;
        let (which, problem) = match ended {
            Ended::Done(Ok(())) => (first, None),
            Ended::Done(Err(PairFailure::NotTogether(failure))) => {
                return Ok(PairEnd::NotTogether(failure.to_string()));
            }
            Ended::Done(Err(PairFailure::Of(which, failure)))
            | Ended::Last(Err(PairFailure::Of(which, failure))) => {
                (which, Some(failure.to_string()))
            }
            Ended::Last(Ok(()) | Err(PairFailure::NotTogether(_))) | Ended::Stopped => {
                let said = arms.each_mut().map(|arm| arm.interrupted());
                (first, said.into_iter().next())
            }
        };
        let mut kept = String::new();
        for arm in &mut arms {
            kept = arm.keep()?;
        }
        if let Some(samples) = &mut self.samples {
            samples.keep(
                arms.iter()
                    .zip(before)
                    .all(|(arm, before)| arm.measured() > before),
            )?;
        }
        let arm = arms.into_iter().nth(which);
        let early = problem
            .zip(arm)
            .map(|(problem, arm)| arm.early(&problem, &kept));
        Ok(PairEnd::Measured(early))
    }
}

/// How a pair of rounds ended.
pub(super) enum PairEnd {
    /// As a round alone.
    Measured(Early),
    /// The two servers cannot run at the same time: why.
    NotTogether(String),
}

fn finishing(what: &str) -> String {
    format!("interrupted: finishing this {what}; once more stops at once")
}

/// Where events go.
struct Display<'a> {
    progress: &'a mut Progress,
    samples: &'a mut Option<Samples>,
}

impl Display<'_> {
    fn take(&mut self, arm: &'static str, mask: &Mask, event: &Event<'_>) {
        self.progress.of(arm);
        match event {
            Event::Note(text) => self.progress.event(&Event::Note(&mask.text(text))),
            Event::Latencies(latencies) => {
                if let Some(samples) = self.samples {
                    samples.add(arm, latencies);
                }
            }
            other => self.progress.event(other),
        }
    }
}

/// One of several alike, counted from 1.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Round { number: u32, of: u32 },
    Soak { number: u32, of: u32 },
    Load { number: u32, of: u32 },
    Probes,
}

impl Part {
    fn name(&self) -> &'static str {
        match self {
            Self::Round { .. } => "round",
            Self::Soak { .. } => "soak",
            Self::Load { .. } => "load",
            Self::Probes => "set of probes",
        }
    }
}
