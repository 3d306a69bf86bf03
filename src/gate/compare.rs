//! The comparisons of one scenario: which metrics, in which roles.

use std::collections::BTreeMap;

use super::{
    Comparison, Interval, Metric, Role, Verdict,
    comparability::Ground,
    errors,
    evidence::{self, Groups, Source},
    growth,
    guard::{self, Surroundings},
    other_machine::{self, Suite},
    overload,
    policy::{Machines, floor_in_words, gross, paired, terms, tolerance},
    rule::{Call, Evidence, ROUNDS_NEEDED, Ruling, Terms, rule},
    sequence::PairErrors,
};
use crate::{
    results::{Results, Sample, ScenarioKind, ScenarioRecord},
    stats::quantile::{P95_NEEDS, P99_NEEDS},
    suite::GateConfig,
};

/// Everything that a comparison may look at.
pub(super) struct Context<'a> {
    pub(super) base: &'a Results,
    pub(super) candidate: &'a Results,
    pub(super) policy: &'a GateConfig,
    pub(super) ground: &'a Ground<'a>,
    /// Rise of outside load from base to candidate, in cores.
    pub(super) load_rise: Option<f64>,
    /// Scenarios that a calibration made reported only, with the reason.
    pub(super) stepped_down: BTreeMap<String, String>,
    /// Where base and candidate were measured in turn.
    pub(super) in_turn: Option<InTurn>,
    /// On another class of machines: what the suite shows of the candidate's.
    pub(super) suite: Option<Suite>,
}

/// How rounds that were measured in turn are judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct InTurn {
    pub(super) errors: PairErrors,
    /// Whether the fresh pairs count, or only the planned ones.
    pub(super) with_fresh: bool,
    /// Whether the planned pairs left something open that further ones could decide.
    pub(super) is_open: bool,
}

impl Context<'_> {
    /// What the base is to a reader.
    pub(super) fn base_name(&self) -> &'static str {
        base_name(self.in_turn.is_some())
    }

    /// Whether an alarm without fresh rounds is no answer.
    pub(super) fn must_confirm(&self) -> bool {
        self.in_turn.is_some_and(|in_turn| in_turn.with_fresh)
    }

    /// Figures from the jobs that are compared, grouped by what has a level of its own.
    pub(super) fn gather(&self, source: Source<'_>, metric: Metric) -> Evidence {
        // Memory is judged as usual, whatever the machine.
        let groups = match self.ground.machines {
            Machines::OtherClass { .. } if metric != Metric::PeakMemory => Groups::MachineClasses,
            _ => Groups::Jobs,
        };
        self.gather_in(source, metric, groups)
    }

    fn gather_in(&self, source: Source<'_>, metric: Metric, groups: Groups) -> Evidence {
        let (base, candidate) = (&self.ground.base_jobs, &self.ground.candidate_jobs);
        let mut evidence = evidence::gather(base, candidate, source, metric, groups);
        if let Some(in_turn) = self.in_turn {
            let mut pairs = evidence::pairs(base, candidate, source, metric);
            if !in_turn.with_fresh {
                pairs.fresh.clear();
                evidence.confirm.iter_mut().for_each(Vec::clear);
            }
            evidence.pairs = Some(pairs);
        }
        evidence
    }

    /// What is asked of the evidence.
    fn terms(&self, metric: Metric) -> Terms {
        let ground = self.ground;
        let stored = terms(metric, self.policy, ground.machines, ground.disturbance_ln);
        match self.in_turn {
            Some(in_turn) => paired(stored, in_turn.errors),
            None => stored,
        }
    }
}

/// What the suite shows of the candidate's machine, where that is of another class.
pub(super) fn suite(base: &Results, candidate: &Results, ground: &Ground<'_>) -> Option<Suite> {
    let is_same_size = ground.base_jobs.iter().all(|base| {
        let mut there = ground.candidate_jobs.iter();
        there.all(|job| job.environment.same_size(&base.environment))
    });
    (is_same_size && matches!(ground.machines, Machines::OtherClass { .. }))
        .then(|| Suite::of(base, candidate, ground))
}

/// What the base is to a reader: a stored one, or one that was measured in turn.
pub(super) fn base_name(is_in_turn: bool) -> &'static str {
    if is_in_turn { "base" } else { "baseline" }
}

/// The comparisons of a scenario that both sides declare alike.
pub(super) fn scenario(ctx: &Context<'_>, record: &ScenarioRecord) -> Vec<Comparison> {
    let mut rows = Vec::new();
    if record.kind == ScenarioKind::Soak {
        rows.push(growth::compare(ctx, record));
    } else {
        let adjusted = record.kind.is_one_at_a_time()
            && evidence::has_adjusted(&ctx.ground.base_jobs, &record.name)
            && evidence::has_adjusted(&ctx.ground.candidate_jobs, &record.name);
        for (metric, role) in plan(record.kind, adjusted) {
            let role = settled(ctx, record, metric, role);
            let row = timed(ctx, record, metric, role, any_regressed(&rows));
            // An adviser that one side lacks advises nothing.
            if metric != Metric::CpuPerCall || row.verdict != Verdict::NotMeasured {
                rows.push(row);
            }
        }
    }
    rows.push(errors::compare(ctx, record));
    let is_shown_only = record.report_only
        || record.kind == ScenarioKind::Load
        || ctx.stepped_down.contains_key(&record.name);
    if is_shown_only {
        for row in &mut rows {
            row.role = Role::Reported;
        }
    }
    rows
}

/// Gating metrics come first, since a guard is judged beside them.
pub(super) fn plan(kind: ScenarioKind, adjusted: bool) -> Vec<(Metric, Role)> {
    match kind {
        ScenarioKind::Handshake | ScenarioKind::ListTools | ScenarioKind::Sequential => {
            if adjusted {
                vec![
                    (Metric::LatencyP50Adjusted, Role::Gates),
                    (Metric::LatencyP95Adjusted, Role::Gates),
                    (Metric::LatencyP50, Role::Guards),
                    (Metric::LatencyP95, Role::Guards),
                    (Metric::CpuPerCall, Role::Guards),
                ]
            } else {
                vec![
                    (Metric::LatencyP50, Role::Gates),
                    (Metric::LatencyP95, Role::Guards),
                    (Metric::CpuPerCall, Role::Guards),
                ]
            }
        }
        ScenarioKind::Concurrent => vec![
            (Metric::LatencyP50, Role::Gates),
            (Metric::Throughput, Role::Gates),
            (Metric::LatencyP95, Role::Guards),
            (Metric::CpuPerCall, Role::Reported),
        ],
        ScenarioKind::Soak => vec![(Metric::MemoryGrowth, Role::Gates)],
        // Once a run: one figure on each side proves nothing.
        ScenarioKind::Load => Vec::new(),
    }
}

/// Rows of a scenario that cannot be compared, with the reason.
pub(super) fn unmeasured(
    ctx: &Context<'_>,
    record: &ScenarioRecord,
    reason: &str,
) -> Vec<Comparison> {
    plan(record.kind, false)
        .into_iter()
        .filter(|(_, role)| *role == Role::Gates)
        .map(|(metric, role)| {
            let mut row = blank(ctx.policy, &record.name, metric, role);
            row.tool.clone_from(&record.tool);
            if metric == Metric::MemoryGrowth {
                growth::show(ctx, record, &mut row);
            } else {
                let evidence = ctx.gather(source(record), metric);
                let terms = ctx.terms(metric);
                show_figures(&mut row, &rule(&evidence, &terms), &evidence);
                show_as_throughput(&mut row, record.concurrency);
            }
            not_compared(&mut row, reason);
            if record.report_only {
                row.role = Role::Reported;
            }
            row
        })
        .collect()
}

fn source(record: &ScenarioRecord) -> Source<'_> {
    Source::Scenario {
        name: &record.name,
        concurrency: record.concurrency,
    }
}

/// Whether a metric that gates regressed.
pub(super) fn any_regressed(rows: &[Comparison]) -> bool {
    rows.iter()
        .any(|r| r.role == Role::Gates && r.verdict == Verdict::Regressed)
}

fn timed(
    ctx: &Context<'_>,
    record: &ScenarioRecord,
    metric: Metric,
    role: Role,
    gate_regressed: bool,
) -> Comparison {
    let evidence = ctx.gather(source(record), metric);
    let mut row = judged(ctx, &record.name, metric, role, &evidence, gate_regressed);
    row.tool.clone_from(&record.tool);
    show_as_throughput(&mut row, record.concurrency);
    overload::excuse(&mut row, &ctx.ground.candidate_jobs, record);
    if matches!(metric, Metric::LatencyP95 | Metric::LatencyP95Adjusted) {
        support(ctx, record, &mut row);
    }
    row
}

/// A tail figure that cannot be resolved at the tolerance guards instead of gating: p95 of few
/// calls, and any tail figure that scatters on *both* sides. A candidate alone cannot talk itself
/// out of the gate by being noisy, or by failing some of its calls, and p50 always gates.
fn settled(ctx: &Context<'_>, record: &ScenarioRecord, metric: Metric, role: Role) -> Role {
    let is_p95 = metric == Metric::LatencyP95Adjusted;
    if role != Role::Gates || !(is_p95 || metric == Metric::Throughput) {
        return role;
    }
    let too_few = is_p95 && typical_count(ctx, record, |s| s.calls) < P99_NEEDS;
    let tolerance = tolerance(metric, ctx.policy);
    if too_few
        || ctx
            .gather_in(source(record), metric, Groups::Jobs)
            .is_unresolvable(tolerance)
    {
        Role::Guards
    } else {
        role
    }
}

/// What most rounds reach at least, of the side that has less.
fn typical_count(ctx: &Context<'_>, record: &ScenarioRecord, of: fn(&Sample) -> u32) -> usize {
    let typical = |jobs| {
        let mut counts: Vec<u32> = evidence::samples(jobs, &record.name)
            .into_iter()
            .map(of)
            .filter(|count| *count > 0)
            .collect();
        counts.sort_unstable();
        let lower_middle = counts.len().saturating_sub(1) / 2;
        counts.get(lower_middle).copied().unwrap_or(0)
    };
    typical(&ctx.ground.base_jobs).min(typical(&ctx.ground.candidate_jobs)) as usize
}

/// A percentile needs samples: says so where there are few, and does not gate without.
fn support(ctx: &Context<'_>, record: &ScenarioRecord, row: &mut Comparison) {
    let answered = typical_count(ctx, record, |s| s.successes);
    if row.base_rounds == 0 || row.candidate_rounds == 0 {
        row.role = Role::Reported;
        row.verdict = Verdict::NotMeasured;
        row.reason = format!("p95 needs {P95_NEEDS} calls a round, had {answered}");
    } else if answered < P99_NEEDS {
        row.reason = format!(
            "{}; with {answered} calls a round p95 rests on few of them",
            row.reason
        );
    }
}

/// Judges one metric in its role.
pub(super) fn judged(
    ctx: &Context<'_>,
    scenario: &str,
    metric: Metric,
    role: Role,
    evidence: &Evidence,
    gate_regressed: bool,
) -> Comparison {
    let terms = ctx.terms(metric);
    let mut row = blank(ctx.policy, scenario, metric, role);
    let (base_rounds, candidate_rounds) = (evidence.base_rounds(), evidence.candidate_rounds());
    let ruling = if role == Role::Guards {
        let around = Surroundings {
            load_rise: ctx.load_rise,
            gate_regressed,
            must_confirm: ctx.must_confirm(),
        };
        let (verdict, reason, ruling) = guard::guard(metric, evidence, &terms, around);
        row.verdict = verdict;
        row.reason = reason;
        ruling
    } else {
        let (ruling, terms, among_others) = weighed(ctx, scenario, metric, evidence, terms);
        (row.verdict, row.reason) =
            guard::explained_by_load(metric, ctx.load_rise, ruling.call, || {
                rule(evidence, &gross(terms)).call
            })
            .unwrap_or_else(|| {
                let (verdict, mut reason) = answer(ctx, metric, ruling.call);
                reason.extend(among_others);
                (verdict, reason)
            });
        ruling
    };
    show_figures(&mut row, &ruling, evidence);
    row.is_coarse = ruling.call == Call::Coarse && role == Role::Gates;
    row.more_rounds_could_decide =
        row.verdict == Verdict::Inconclusive && candidate_rounds > 0 && ruling.more_could_decide;
    if base_rounds == 0 || candidate_rounds == 0 {
        // What gated and lost its figures without a word is no pass.
        let is_lost = role == Role::Gates && base_rounds > 0;
        row.verdict = if is_lost {
            Verdict::Inconclusive
        } else {
            Verdict::NotMeasured
        };
        row.reason = match (base_rounds, candidate_rounds) {
            (0, 0) => "no figures on either side".to_owned(),
            (0, _) => format!("no figures in the {}", ctx.base_name()),
            _ => "no figures in this run".to_owned(),
        };
    } else if ruling.call == Call::TooFew {
        row.reason = format!(
            "needs at least {ROUNDS_NEEDED} rounds on each side, had {base_rounds} and {candidate_rounds}"
        );
    }
    row
}

/// The ruling on a metric that gates, its terms, and what is to be said of them. On another class of
/// machines the median of a scenario is weighed beside the others' as well as by itself.
fn weighed(
    ctx: &Context<'_>,
    scenario: &str,
    metric: Metric,
    evidence: &Evidence,
    terms: Terms,
) -> (Ruling, Terms, Option<String>) {
    let mut ruling = rule(evidence, &terms);
    let is_median = matches!(metric, Metric::LatencyP50 | Metric::LatencyP50Adjusted);
    let suite = ctx.suite.as_ref().filter(|_| is_median);
    let Some(effect) = suite.and_then(|suite| suite.effect_on(scenario)) else {
        return (ruling, terms, None);
    };
    let terms_among_others = effect.terms(terms);
    let among_others = rule(evidence, &terms_among_others);
    if other_machine::is_heard(ruling.call, among_others.call) {
        let said = format!(
            "; the machine explains at most {:.2}x of it, by what else was measured",
            effect.on_machine()
        );
        return (among_others, terms_among_others, Some(said));
    }
    ruling.more_could_decide |= among_others.more_could_alarm;
    // Either would be heard.
    ruling.smallest_detectable = [ruling, among_others]
        .iter()
        .filter_map(|ruling| ruling.smallest_detectable)
        .reduce(f64::min);
    (ruling, terms, None)
}

fn answer(ctx: &Context<'_>, metric: Metric, call: Call) -> (Verdict, String) {
    let floor = || floor_in_words(metric, ctx.policy);
    let elsewhere = match ctx.ground.machines {
        Machines::OtherClass { .. } if metric != Metric::PeakMemory => {
            ", with a baseline from another machine class"
        }
        Machines::OtherSpeed { .. } if metric != Metric::PeakMemory => {
            ", with a baseline from a machine of another speed"
        }
        _ if metric != Metric::PeakMemory && ctx.ground.disturbance_ln != 0.0 => {
            ", with a machine that was not disturbed alike"
        }
        _ => "",
    };
    match call {
        Call::Regressed {
            confirmed_by: Some(n),
        } => (
            Verdict::Regressed,
            format!("worse by more than the tolerance, confirmed by {n} fresh rounds"),
        ),
        Call::Regressed { confirmed_by: None } if ctx.must_confirm() => (
            Verdict::Inconclusive,
            "worse by more than the tolerance, but no fresh pairs confirmed it".to_owned(),
        ),
        Call::Regressed { confirmed_by: None } => (
            Verdict::Regressed,
            "worse by more than the tolerance; not confirmed by fresh rounds".to_owned(),
        ),
        Call::Improved => (
            Verdict::Improved,
            "better by more than the tolerance".to_owned(),
        ),
        Call::Within => (Verdict::Pass, "within the tolerance".to_owned()),
        Call::BelowFloor => (
            Verdict::Pass,
            format!("any change is below the floor of {}", floor()),
        ),
        Call::Coarse => (
            Verdict::Pass,
            "too noisy here to tell the tolerance, which the estimate keeps; a gross change is ruled out"
                .to_owned(),
        ),
        Call::Unconfirmed { fresh, .. } => (
            Verdict::Inconclusive,
            format!("the alarm was not confirmed by {fresh} fresh rounds"),
        ),
        Call::WorseOrNoise => (
            Verdict::Inconclusive,
            format!(
                "looks worse by more than the tolerance, but noise could explain it{elsewhere}"
            ),
        ),
        Call::WorseNearFloor => (
            Verdict::Inconclusive,
            format!(
                "worse by more than the tolerance, but perhaps by less than the floor of {}",
                floor()
            ),
        ),
        Call::TooNoisy => (
            Verdict::Inconclusive,
            format!("too noisy to rule out a change of the tolerance{elsewhere}"),
        ),
        Call::TooFew => (Verdict::Inconclusive, String::new()),
    }
}

/// Keeps the figures of each side and drops what compares them.
pub(super) fn not_compared(row: &mut Comparison, reason: &str) {
    row.verdict = Verdict::NotMeasured;
    row.ratio = None;
    row.interval = None;
    row.smallest_detectable_ratio = None;
    row.difference = None;
    row.is_coarse = false;
    // Nor would they be comparable after more rounds.
    row.more_rounds_could_decide = false;
    reason.clone_into(&mut row.reason);
}

/// A comparison without figures.
pub(super) fn blank(policy: &GateConfig, scenario: &str, metric: Metric, role: Role) -> Comparison {
    Comparison {
        scenario: scenario.to_owned(),
        tool: None,
        metric,
        role,
        verdict: Verdict::NotMeasured,
        base: None,
        candidate: None,
        ratio: None,
        interval: None,
        tolerance: tolerance(metric, policy),
        smallest_detectable_ratio: None,
        difference: None,
        more_rounds_could_decide: false,
        is_coarse: false,
        base_rounds: 0,
        candidate_rounds: 0,
        reason: String::new(),
    }
}

fn show_figures(row: &mut Comparison, ruling: &Ruling, evidence: &Evidence) {
    row.base = ruling.base;
    row.candidate = ruling.candidate;
    row.ratio = ruling.ratio;
    row.interval = ruling.bounds.map(|(low, high)| Interval { low, high });
    row.smallest_detectable_ratio = ruling.smallest_detectable;
    row.base_rounds = evidence.base_rounds();
    row.candidate_rounds = evidence.candidate_rounds();
}

/// The rule saw time per call; the reader sees calls per second.
fn show_as_throughput(row: &mut Comparison, concurrency: u32) {
    if row.metric != Metric::Throughput {
        return;
    }
    let per_second = |ns: f64| f64::from(concurrency.max(1)) * 1e9 / ns;
    row.base = row.base.map(per_second);
    row.candidate = row.candidate.map(per_second);
    row.ratio = row.ratio.map(f64::recip);
    row.interval = row.interval.map(|i| Interval {
        low: i.high.recip(),
        high: i.low.recip(),
    });
    row.smallest_detectable_ratio = row.smallest_detectable_ratio.map(f64::recip);
}
