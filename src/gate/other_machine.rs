//! What another class of machine does to this server's times, as the suite itself shows it.
//!
//! How far two classes of machines are apart is unknown before it is measured, and one stored job cannot
//! show it. But the machine moved all of the suite's tools, and a change of one tool moved that one. So
//! the other scenarios are witnesses of the machine: a tool is worse that stands out from all of them. How
//! far unchanged tools stand out is stated, and more where the witnesses are further apart.

use super::{
    Metric,
    comparability::{DISTURBANCE, Ground, scenario_differs, slowness_ln, tool_list_differs},
    evidence::{self, Groups, Source},
    rule::{BetweenJobs, ByMachine, Call, ROUNDS_NEEDED, Terms, centre, centre_of, shares_squared},
};
use crate::{
    results::{Job, Results, ScenarioKind, ScenarioRecord, are_as_fast},
    stats::{Sample, interval::student_t_quantile},
};

/// Fewer witnesses than this tell nothing of how far they are apart. Where one is missing, the fixed work
/// stands in: it is less akin to a server than the server's own calls are.
const FEWEST_WITNESSES: usize = 3;
/// A scenario is a witness if at least this share of its time is CPU time: what waits for something
/// else says nothing of the machine.
const LEAST_CPU_SHARE: f64 = 0.5;
/// Nor is what takes less than this, on either machine: such calls are the time of waking up. It is the
/// default floor of p50, and a lower one that somebody sets does not change what such calls are.
const SHORTEST_NS: f64 = 250_000.0;
/// Stated standard deviation between machine classes of the logarithm of what is one tool's own: two
/// thirds of what a time has in all.
const OWN_SPREAD: f64 = 0.10;
/// Weight of [`OWN_SPREAD`] against what the witnesses show, in degrees of freedom.
const PRIOR_FREEDOM: f64 = 4.0;
/// One-sided error of all alarms of a suite: each scenario brings its own chance, so they share it.
const SUITE_ALPHA: f64 = 0.01;

/// One scenario's testimony.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    pub(super) scenario: String,
    pub(super) tool: Option<String>,
    /// Share of its time that is CPU time, in the base: [`LEAST_CPU_SHARE`] to 1.
    pub(super) cpu_share: f64,
    /// Logarithm of candidate / base of a time that is CPU time alone.
    pub(super) shift_ln: f64,
    /// `√(1/k + 1/m)` of the machine classes on both sides.
    pub(super) of_classes: f64,
}

/// All that a suite shows of the candidate's machine.
#[derive(Debug, Clone)]
pub(super) struct Suite {
    pub(super) witnesses: Vec<Witness>,
    /// Logarithm of how many times as long the fixed work takes for the candidate, where that is known.
    pub(super) slowness_ln: Option<f64>,
    /// Logarithm of how many times as much the candidate's machine was disturbed.
    pub(super) disturbance_ln: f64,
}

/// What the machine does to the times of one scenario, as the others show it: logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Effect {
    machine: ByMachine,
    /// Standard deviation of what is the scenario's own.
    spread: f64,
    /// Degrees of freedom of `spread`.
    freedom: f64,
    /// One-sided error of an alarm.
    alpha: f64,
}

impl Suite {
    /// Of the scenarios that both sides have measured alike.
    pub(super) fn of(base: &Results, candidate: &Results, ground: &Ground<'_>) -> Self {
        let lists_differ = tool_list_differs(base, candidate);
        let alike = base.suite.scenarios.iter().filter(|record| {
            let mut there = candidate.suite.scenarios.iter();
            let same = there.find(|other| other.name == record.name);
            same.is_some_and(|other| scenario_differs(record, other, "").is_none())
                && !(lists_differ && record.kind == ScenarioKind::ListTools)
        });
        Self {
            witnesses: alike
                .filter_map(|record| Witness::of(ground, record))
                .collect(),
            slowness_ln: slowness_ln(&ground.base_jobs, &ground.candidate_jobs),
            disturbance_ln: ground.disturbance_ln,
        }
    }

    /// What the machine does to `scenario`, as what else was measured shows it. `None` where that is too
    /// little, and for what would be no witness itself.
    pub(super) fn effect_on(&self, scenario: &str) -> Option<Effect> {
        let concerned = self.witnesses.iter().find(|w| w.scenario == scenario)?;
        let others = self.witnesses.iter().filter(|witness| {
            witness.scenario != concerned.scenario
                && (witness.tool.is_none() || witness.tool != concerned.tool)
        });
        let mut shifts: Vec<f64> = others.map(|witness| witness.shift_ln).collect();
        if shifts.len() < FEWEST_WITNESSES {
            shifts.extend(self.slowness_ln);
        }
        let count = shifts.len();
        if count < FEWEST_WITNESSES {
            return None;
        }
        let shifts = Sample::new(shifts)?;
        // Trimmed from eight on: some of the witnesses may have changed themselves.
        let middle = centre(&shifts);
        let shown = middle.kept.saturating_sub(1) as f64;
        let freedom = PRIOR_FREEDOM + shown;
        let own = OWN_SPREAD * concerned.of_classes;
        let of_one = count as f64 * middle.squared_error;
        let learnt = (PRIOR_FREEDOM * own.powi(2) + shown * of_one) / freedom;
        let of_mean = (1.0 + 1.0 / count as f64).sqrt();
        let (stated, learnt) = (own * of_mean, learnt.sqrt() * of_mean);
        let alpha = SUITE_ALPHA / self.witnesses.len() as f64;
        let margin = |spread: f64, freedom| spread * student_t_quantile(1.0 - alpha, freedom);
        // Witnesses that are alike say nothing of a tool that is unlike them all.
        let (spread, freedom) = if margin(learnt, freedom) > margin(stated, f64::INFINITY) {
            (learnt, freedom)
        } else {
            (stated, f64::INFINITY)
        };
        let towards = |sign: f64| self.at_most(sign, middle.value, own, concerned.cpu_share);
        Some(Effect {
            machine: ByMachine {
                worse_ln: towards(1.0),
                better_ln: towards(-1.0),
            },
            spread,
            freedom,
            alpha,
        })
    }

    /// What the machine may have added towards worse (`sign` 1) or better (`sign` -1), where the
    /// witnesses stand at `middle_ln`; negative where it took away.
    fn at_most(&self, sign: f64, middle_ln: f64, own: f64, cpu_share: f64) -> f64 {
        let explains = [
            self.slowness_ln.filter(|ln| !are_as_fast(ln.exp())),
            Some(self.disturbance_ln),
        ];
        let most = explains
            .into_iter()
            .flatten()
            .fold(0.0_f64, |most, ln| most.max(sign * ln));
        let shown = sign * middle_ln;
        if shown >= 0.0 || most > 0.0 {
            return shown.max(most);
        }
        // A change that made all others faster looks like a faster machine: no more is owed than a
        // server may gain beyond the fixed work, and nothing where that is unknown. Nor where memory is
        // filled faster than the processor explains: calmer neighbours help each tool as they please.
        let Some(slowness_ln) = self.slowness_ln else {
            return 0.0;
        };
        let of_processor = (-sign * slowness_ln).max(0.0);
        let is_calmer = -sign * self.disturbance_ln > of_processor + DISTURBANCE.ln();
        let gain = if is_calmer {
            0.0
        } else {
            (-shown).min(of_processor + own)
        };
        // Waiting does not get shorter.
        (1.0 - cpu_share + cpu_share * (-gain).exp()).ln()
    }
}

impl Witness {
    /// `None` for what says nothing of the machine.
    fn of(ground: &Ground<'_>, record: &ScenarioRecord) -> Option<Self> {
        if !record.kind.is_one_at_a_time() {
            return None;
        }
        let source = Source::Scenario {
            name: &record.name,
            concurrency: record.concurrency,
        };
        let figures = |jobs: &[&Job], metric| {
            evidence::gather(jobs, &[], source, metric, Groups::MachineClasses).base
        };
        let (base, candidate) = (&ground.base_jobs, &ground.candidate_jobs);
        let is_adjusted = [base, candidate]
            .iter()
            .all(|jobs| evidence::has_adjusted(jobs, &record.name));
        let metric = if is_adjusted {
            Metric::LatencyP50Adjusted
        } else {
            Metric::LatencyP50
        };
        // Rounds after an alarm are of the alarmed scenarios alone, and must not change what was asked.
        let planned =
            evidence::gather(&[], candidate, source, metric, Groups::MachineClasses).measure;
        let (before, now) = (figures(base, metric), planned);
        let is_little = [&before, &now]
            .into_iter()
            .any(|side| side.iter().map(Vec::len).sum::<usize>() < ROUNDS_NEEDED);
        let of_classes = (shares_squared(&before) + shares_squared(&now)).sqrt();
        let (before, now) = (centre_of(&before)?, centre_of(&now)?);
        let cpu = centre_of(&figures(base, Metric::CpuPerCall))?;
        let cpu_share = (cpu - before).exp().min(1.0);
        let testifies =
            !is_little && cpu_share >= LEAST_CPU_SHARE && before.min(now).exp() >= SHORTEST_NS;
        testifies.then(|| Self {
            scenario: record.name.clone(),
            tool: record.tool.clone(),
            cpu_share,
            shift_ln: (now - before) / cpu_share,
            of_classes,
        })
    }
}

impl Effect {
    /// How many times as long the scenario takes for the machine's sake, at most.
    pub(super) fn on_machine(&self) -> f64 {
        self.machine.worse_ln.exp()
    }

    /// The terms on which the scenario stands out: what the machine did to the others and how far they
    /// are apart, in place of all that two machines may differ by.
    pub(super) fn terms(&self, terms: Terms) -> Terms {
        Terms {
            alpha: self.alpha,
            between_jobs: BetweenJobs::OfDifference {
                spread: self.spread,
                freedom: self.freedom,
            },
            machine: self.machine,
            ..terms
        }
    }
}

/// Whether a scenario that stands out from the others gets another answer than by itself. Asked of what
/// is worse only: what is better fails nothing, and a new baseline is not to rest on it.
pub(super) fn is_heard(alone: Call, among_others: Call) -> bool {
    let is_alarm = matches!(
        among_others,
        Call::Regressed { .. } | Call::Unconfirmed { .. }
    );
    is_alarm && !matches!(alone, Call::Regressed { .. })
}
