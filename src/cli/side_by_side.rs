//! Two servers measured in turn, pair by pair, until the looks have decided.

use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use tokio::time::{Duration, Instant};

use super::{
    against::{self, Base, Wanted},
    choose::MissingTools,
    files::Loaded,
    measure::{self, Wish},
    options::Measuring,
    session::{Arm, Early, PairEnd, Part, Run},
};
use crate::{
    environment,
    error::Error,
    gate::{
        self, Judgement, Metric, Verdict,
        sequence::{CONFIRMING_PAIRS, Sequence},
        turns,
    },
    results::{ArmName, InTurn, Phase, Results, ScenarioKind, ScenarioRecord},
    suite::{Config, GateConfig, Scenario, ServerConfig, SuiteConfig, SuiteSize},
};

/// Pairs that most comparisons take: by these the suite is made to fit the time.
const USUAL_PAIRS: u32 = 8;

/// Recorded pairs that go with one set of soaks.
const PAIRS_FOR_SOAKS: u32 = 20;

/// Two servers in one run.
pub(super) struct SideBySide {
    pub(super) run: Run,
    pub(super) base: Arm,
    pub(super) candidate: Arm,
    /// What the user calls the base.
    pub(super) against: String,
    sequence: Sequence,
    /// Pairs so far, of any kind: their order alternates.
    pairs: u32,
    /// Whether rounds are measured one after the other, since the two servers cannot run at once.
    is_apart: bool,
    /// The longest pair of rounds so far.
    longest: Duration,
    _tree: Base,
}

/// Why two servers cannot be measured in turn.
pub(super) enum Obstacle {
    /// The base has no files, cannot be built, or does not start.
    Base(Error),
    /// Nothing that another base would change.
    Other(Error),
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<Obstacle> for Error {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::Base(error) | Obstacle::Other(error) => error,
        }
    }
}

/// Whether measuring goes on.
type Flow = ControlFlow<Early>;

/// Where the base's results go, beside the candidate's.
pub(super) fn base_output(output: &Path) -> PathBuf {
    let extension = output.extension().map_or_else(
        || "base".to_owned(),
        |extension| format!("base.{}", extension.to_string_lossy()),
    );
    output.with_extension(extension)
}

/// At most so many pairs before a confirmation.
fn most_pairs(config: &SuiteConfig) -> u32 {
    config.rounds.unwrap_or(match config.size {
        SuiteSize::Quick => 8,
        SuiteSize::Standard => 15,
        SuiteSize::Deep => 30,
    })
}

impl SideBySide {
    /// Makes both servers ready: the base's files, both builds, a first start of each.
    ///
    /// `stored` gives the amounts of what is measured, where there is one.
    pub(super) async fn prepare(
        measuring: &Measuring,
        wanted: Wanted,
        loaded: &mut Loaded,
        server: &ServerConfig,
        stored: Option<&Results>,
    ) -> Result<Self, Obstacle> {
        if server.command.is_none() {
            return Err(Obstacle::Other(Error::Usage(
                "two servers can be measured in turn only where mcpgate starts both: give the \
                 server's command beside its url"
                    .to_owned(),
            )));
        }
        let most_pairs = most_pairs(&loaded.config.suite);
        loaded.config.suite.rounds = Some(2 * USUAL_PAIRS);
        let max_time = loaded.config.suite.max_time;
        let mut run = measure::begin(measuring, max_time)?;
        let base = ready(&mut run, measuring, wanted, loaded, server).await?;
        // Building is no measuring.
        run.begin_again(max_time);
        let wish = Wish {
            name: "candidate",
            base: stored.map(|stored| &stored.suite),
            probes: None,
            nothing_else: false,
            missing_tools: MissingTools::Refused,
            looks_at_process: false,
            output: &measuring.output,
        };
        let mut candidate =
            measure::prepare_arm(&mut run, measuring, server, loaded, &wish).await?;
        let with_tools = Loaded {
            config: Config {
                tools: candidate.tools.clone(),
                ..base.loaded.config.clone()
            },
            folder: base.loaded.folder.clone(),
        };
        let all_tools = Measuring {
            tools: Vec::new(),
            ..measuring.clone()
        };
        let output = base_output(&measuring.output);
        let wish = Wish {
            name: "base",
            base: Some(&candidate.results.suite),
            probes: Some(&candidate.probes),
            nothing_else: true,
            missing_tools: MissingTools::LeftOut,
            looks_at_process: false,
            output: &output,
        };
        let prepared =
            measure::prepare_arm(&mut run, &all_tools, &base.server, &with_tools, &wish).await;
        let mut base_arm = prepared.map_err(|error| match run.was_interrupted {
            true => Obstacle::Other(error),
            false => Obstacle::Base(error),
        })?;
        let against = base.name.clone();
        let id = environment::nonce();
        for (arm, name) in [
            (&mut base_arm, ArmName::Base),
            (&mut candidate, ArmName::Candidate),
        ] {
            for job in &mut arm.results.jobs {
                job.in_turn = Some(InTurn {
                    id: id.clone(),
                    arm: name,
                    against: against.clone(),
                    most_pairs,
                });
            }
        }
        for job in &mut base_arm.results.jobs {
            job.commit.clone_from(&base.commit);
        }
        let removed = base.removed_tools.iter().map(|tool| removed(tool));
        base_arm.results.suite.scenarios.extend(removed);
        let sequence = Sequence::new(gate::gating_figures(&candidate.results.suite), most_pairs);
        let mut both = Self {
            run,
            base: base_arm,
            candidate,
            against,
            sequence,
            pairs: 0,
            is_apart: false,
            longest: Duration::ZERO,
            _tree: base,
        };
        if has_fixed_address(server) {
            both.part_them("`url` names a port, which only one of them can have; `{port}` in its place gives each its own");
        }
        Ok(both)
    }

    /// Measures until everything is decided, the most pairs are reached, or the time is used up.
    pub(super) async fn measure(&mut self, policy: &GateConfig) -> Result<Early, Error> {
        match self.measure_all(policy).await? {
            ControlFlow::Continue(()) => Ok(None),
            ControlFlow::Break(early) => Ok(early),
        }
    }

    /// Measures so many pairs of every scenario, and soaks in proportion, and decides nothing.
    pub(super) async fn record(&mut self, pairs: u32) -> Result<Early, Error> {
        for number in 1..=pairs {
            let part = Part::Round { number, of: pairs };
            if let ControlFlow::Break(early) = self.pair(Phase::Measure, part).await? {
                return Ok(early);
            }
        }
        for _ in 0..pairs / PAIRS_FOR_SOAKS {
            if let ControlFlow::Break(early) = self.soaks(Phase::Measure).await? {
                return Ok(early);
            }
        }
        Ok(None)
    }

    async fn measure_all(&mut self, policy: &GateConfig) -> Result<Flow, Error> {
        let everything = [&self.base, &self.candidate].map(|arm| arm.plan.suite.scenarios.clone());
        let looks = self.sequence.looks().to_vec();
        let most = looks.last().copied().unwrap_or_default();
        for number in 1..=most {
            // Before the first look there is nothing to be confirmed.
            let is_looked_at = looks.first().is_some_and(|first| number > *first);
            if is_looked_at && self.must_confirm_now() {
                self.run
                    .say("the time is nearly used up: no more planned pairs");
                break;
            }
            let part = Part::Round { number, of: most };
            if let stop @ ControlFlow::Break(_) = self.pair(Phase::Measure, part).await? {
                return Ok(stop);
            }
            if looks.contains(&number) && number < most {
                let judgement = self.so_far(policy);
                match turns::still_open(&judgement, &self.candidate.results.suite) {
                    Some(open) => self.keep_only(&everything, &open),
                    None => break,
                }
            }
        }
        let judgement = self.so_far(policy);
        if let Some(alarmed) = turns::to_confirm(&judgement, &self.candidate.results.suite) {
            self.keep_only(&everything, &alarmed);
            if let stop @ ControlFlow::Break(_) = self.confirm().await? {
                return Ok(stop);
            }
        }
        if let stop @ ControlFlow::Break(_) = self.soaks(Phase::Measure).await? {
            return Ok(stop);
        }
        if self.has_grown(policy)
            && !self.run.is_out_of_time()
            && let stop @ ControlFlow::Break(_) = self.soaks(Phase::Confirm).await?
        {
            return Ok(stop);
        }
        if let stop @ ControlFlow::Break(_) = self.loads().await? {
            return Ok(stop);
        }
        self.probes().await
    }

    /// Once; and again where one server shows what the other does not.
    async fn probes(&mut self) -> Result<Flow, Error> {
        if self.candidate.plan.probes.is_none() || self.base.plan.probes.is_none() {
            return Ok(Flow::Continue(()));
        }
        loop {
            let before = self.probe_sets();
            if let stop @ ControlFlow::Break(_) = self.pair(Phase::Measure, Part::Probes).await? {
                return Ok(stop);
            }
            let is_open = gate::must_probe_again(&self.base.results, &self.candidate.results);
            // One that could not be made would not be made the next time either.
            if !is_open || self.run.is_out_of_time() || self.probe_sets() == before {
                return Ok(Flow::Continue(()));
            }
            self.run
                .say("probing again, to confirm or dismiss what differs");
        }
    }

    /// Alarms are settled before anything else takes their time.
    async fn confirm(&mut self) -> Result<Flow, Error> {
        self.run
            .say("alarm: measuring fresh pairs that confirm or dismiss it");
        for number in 1..=CONFIRMING_PAIRS {
            if self.run.is_out_of_time() {
                self.run.say("the time is used up: no more fresh pairs");
                break;
            }
            let of = CONFIRMING_PAIRS;
            let part = Part::Round { number, of };
            if let stop @ ControlFlow::Break(_) = self.pair(Phase::Confirm, part).await? {
                return Ok(stop);
            }
        }
        Ok(Flow::Continue(()))
    }

    fn probe_sets(&self) -> [usize; 2] {
        [&self.base, &self.candidate].map(|arm| arm.results.probe_sets().count())
    }

    fn has_grown(&self, policy: &GateConfig) -> bool {
        let judgement = self.so_far(policy);
        let mut rows = judgement.comparisons.iter();
        rows.any(|c| c.metric == Metric::MemoryGrowth && c.verdict == Verdict::Regressed)
    }

    async fn loads(&mut self) -> Result<Flow, Error> {
        let of = self.candidate.loads().min(self.base.loads());
        for number in 1..=of {
            let part = Part::Load { number, of };
            if let stop @ ControlFlow::Break(_) = self.pair(Phase::Measure, part).await? {
                return Ok(stop);
            }
        }
        Ok(Flow::Continue(()))
    }

    async fn soaks(&mut self, phase: Phase) -> Result<Flow, Error> {
        let of = self.candidate.soaks().min(self.base.soaks());
        for number in 1..=of {
            let part = Part::Soak { number, of };
            if let stop @ ControlFlow::Break(_) = self.pair(phase, part).await? {
                return Ok(stop);
            }
        }
        Ok(Flow::Continue(()))
    }

    /// One part of each arm: rounds part by part in turn, where both servers can run, and else one
    /// after the other.
    async fn pair(&mut self, phase: Phase, part: Part) -> Result<Flow, Error> {
        let began = Instant::now();
        let seed = self.candidate.plan.suite.seed;
        let base_first = turns::base_goes_first(seed, self.pairs);
        if let (Part::Round { number, of }, false) = (part, self.is_apart) {
            let arms = [&mut self.base, &mut self.candidate];
            let first = usize::from(!base_first);
            let ended = self
                .run
                .measure_pair(arms, first, phase, (number, of))
                .await?;
            match ended {
                PairEnd::Measured(early) => {
                    if early.is_some()
                        || self.base.is_incomplete()
                        || self.candidate.is_incomplete()
                    {
                        return Ok(Flow::Break(early));
                    }
                    self.pairs += 1;
                    self.longest = self.longest.max(began.elapsed());
                    return Ok(Flow::Continue(()));
                }
                PairEnd::NotTogether(why) => self.part_them(&why),
            }
        }
        for is_base in [base_first, !base_first] {
            let arm = if is_base {
                &mut self.base
            } else {
                &mut self.candidate
            };
            self.run.progress.of(arm.name);
            let early = self.run.measure(arm, phase, part).await?;
            if early.is_some() || arm.is_incomplete() {
                return Ok(Flow::Break(early));
            }
        }
        self.pairs += 1;
        if matches!(part, Part::Round { .. }) {
            self.longest = self.longest.max(began.elapsed());
        }
        Ok(Flow::Continue(()))
    }

    /// From now on one round after the other.
    fn part_them(&mut self, why: &str) {
        self.is_apart = true;
        let why = why.lines().next().unwrap_or_default();
        let note = format!(
            "the two servers cannot run at the same time, so whole rounds were measured in turn, which \
             sees less: {why}"
        );
        self.run.say(&format!("note: {note}"));
        for job in &mut self.candidate.results.jobs {
            job.notes.push(self.candidate.mask.text(&note));
        }
    }

    fn so_far(&self, policy: &GateConfig) -> Judgement {
        let (base, candidate) = (&self.base.results, &self.candidate.results);
        gate::judge_so_far(base, candidate, policy, &self.sequence)
    }

    /// An alarm that cannot be confirmed is no answer: its time is kept for it.
    fn must_confirm_now(&self) -> bool {
        self.run
            .deadline
            .is_over_in(self.longest * CONFIRMING_PAIRS)
    }

    fn keep_only(&mut self, everything: &[Vec<Scenario>; 2], open: &BTreeSet<String>) {
        for (arm, all) in [&mut self.base, &mut self.candidate]
            .into_iter()
            .zip(everything)
        {
            let wanted = all.iter().filter(|s| open.contains(&s.record.name));
            arm.plan.suite.scenarios = wanted.cloned().collect();
        }
    }
}

/// The base's files and both builds.
async fn ready(
    run: &mut Run,
    measuring: &Measuring,
    wanted: Wanted,
    loaded: &Loaded,
    server: &ServerConfig,
) -> Result<Base, Obstacle> {
    let folder = measure::folder_of(loaded);
    let progress = &run.progress;
    let work = async {
        let base = match wanted {
            Wanted::Command(command) => {
                against::build(server, loaded.folder.as_deref(), "this work tree", progress)
                    .await?;
                against::started_by(command, loaded, server)
            }
            Wanted::Itself(command) => against::started_by(command, loaded, server),
            Wanted::Commit { name, sha } => {
                let base = async {
                    let found = against::find(&name, sha, &folder).await?;
                    progress.say(&format!("against {}", found.in_words()));
                    let base = against::check_out(found, measuring, loaded, server).await?;
                    base.build(progress).await?;
                    Ok(base)
                };
                let base = base.await.map_err(Obstacle::Base)?;
                against::build(server, loaded.folder.as_deref(), "this work tree", progress)
                    .await?;
                base
            }
        };
        Ok(base)
    };
    match run.interrupts.until(work).await {
        Some(ready) => ready,
        None => Err(Obstacle::Other(Error::NotMeasured(
            "interrupted before the first round".to_owned(),
        ))),
    }
}

/// Whether a server listens where a second one could not.
fn has_fixed_address(server: &ServerConfig) -> bool {
    let url = server.url.as_deref();
    url.is_some_and(|url| !url.contains("{port}"))
}

/// What the base has and the candidate has not, as a scenario that only the base declares.
fn removed(tool: &str) -> ScenarioRecord {
    ScenarioRecord {
        name: format!("{tool}/sequential"),
        kind: ScenarioKind::Sequential,
        tool: Some(tool.to_owned()),
        calls: 0,
        concurrency: 1,
        definition_hash: String::new(),
        report_only: false,
        sessions: crate::results::Sessions::Each,
        load: None,
    }
}
