//! The judgement over all comparisons, budgets and findings.

use std::collections::BTreeSet;

use super::{
    BudgetCheck, BudgetOutcome, Comparison, Diagnosed, Finding, Judgement, Metric, Role, SERVER,
    Severity, Verdict, budget, calibration, common_shift,
    comparability::{
        self, Ground, UPDATE, about, about_all, doubts_of_incomplete, scenario_differs,
        tool_list_differs,
    },
    compare::{self, Context, InTurn},
    diagnoses,
    errors::{self, Tally},
    evidence, presence,
    rule::ROUNDS_NEEDED,
    sequence::Sequence,
    server, turns,
};
use crate::{
    error::exit_code,
    results::{Measure, Phase, Results, ScenarioKind, ScenarioRecord, SuiteRecord},
    suite::{GateConfig, InconclusivePolicy},
};

/// Judges `candidate` against the stored `base`: comparisons, budgets and findings.
#[must_use]
pub fn judge(base: &Results, candidate: &Results, policy: &GateConfig) -> Judgement {
    let ground = comparability::ground(base, candidate);
    judge_on(base, candidate, policy, &ground, None)
}

/// Judges `candidate` against a `base` that was measured in turn with it: rounds of the same number
/// and phase are pairs, which decide by the errors of `sequence`.
///
/// An alarm that no fresh pairs confirmed is `inconclusive`: the promise about an unchanged suite
/// rests on both stages.
#[must_use]
pub fn judge_in_turn(
    base: &Results,
    candidate: &Results,
    policy: &GateConfig,
    sequence: &Sequence,
) -> Judgement {
    // Who shares the error of the confirmation is settled before it is looked at.
    let planned = judge_so_far(base, candidate, policy, sequence);
    let rows = planned.comparisons.iter();
    let alarmed = rows.filter(|c| is_alarm(c) || errors::is_alarm(c)).count();
    let in_turn = InTurn {
        errors: sequence.errors(u32::try_from(alarmed).unwrap_or(u32::MAX)),
        with_fresh: true,
        is_open: turns::still_open(&planned, &candidate.suite).is_some(),
    };
    let ground = comparability::ground_in_turn(base, candidate);
    judge_on(base, candidate, policy, &ground, Some(in_turn))
}

/// The same by the planned pairs alone, for a look: an alarm is `regressed` here.
#[must_use]
pub fn judge_so_far(
    base: &Results,
    candidate: &Results,
    policy: &GateConfig,
    sequence: &Sequence,
) -> Judgement {
    let in_turn = InTurn {
        errors: sequence.errors(0),
        with_fresh: false,
        is_open: true,
    };
    let ground = comparability::ground_in_turn(base, candidate);
    judge_on(base, candidate, policy, &ground, Some(in_turn))
}

/// How many figures of a suite can fail the build by their pairs: what [`Sequence::new`] asks for.
#[must_use]
pub fn gating_figures(suite: &SuiteRecord) -> u32 {
    // Start-up and peak memory, then two of each scenario at most.
    2 + suite
        .scenarios
        .iter()
        .filter(|record| !record.report_only)
        .map(|record| match record.kind {
            ScenarioKind::Soak | ScenarioKind::Load => 0,
            ScenarioKind::Handshake
            | ScenarioKind::ListTools
            | ScenarioKind::Sequential
            | ScenarioKind::Concurrent => 2,
        })
        .sum::<u32>()
}

fn judge_on(
    base: &Results,
    candidate: &Results,
    policy: &GateConfig,
    ground: &Ground<'_>,
    in_turn: Option<InTurn>,
) -> Judgement {
    let heeded = calibration::heeded(policy, candidate);
    let ctx = Context {
        base,
        candidate,
        policy,
        ground,
        // What others took of the machine is in the spread of the pairs, for both arms alike.
        load_rise: match in_turn {
            Some(_) => None,
            None => evidence::outside_load_rise(&ground.base_jobs, &ground.candidate_jobs),
        },
        stepped_down: heeded.stepped_down,
        in_turn,
        suite: compare::suite(base, candidate, ground),
    };
    let mut findings = ground.findings.clone();
    findings.extend(heeded.unheeded.map(|why| about_all(Severity::Note, why)));
    let mut comparisons = match &ground.nothing {
        Some(why) => server::unmeasured(&ctx, &format!("not comparable: {why}")),
        None => server::compare(&ctx),
    };
    for row in &mut comparisons {
        let name = calibration::of_server(row.metric.name());
        if let Some(why) = ctx.stepped_down.get(&name) {
            row.role = Role::Reported;
            findings.push(about(Severity::Note, SERVER, why.clone()));
        }
    }
    for record in &candidate.suite.scenarios {
        comparisons.extend(scenario(&ctx, record, &mut findings));
    }
    findings.extend(common_shift::finding(&comparisons, in_turn.is_some()));
    findings.extend(coarse(&comparisons));
    findings.extend(cut_short(&ctx));
    let missing = presence::missing(base, candidate);
    for m in &missing {
        comparisons.extend(compare::unmeasured(&ctx, m.record, "not in this run"));
    }
    findings.extend(presence::of_results(candidate));
    findings.extend(presence::of_missing(
        &missing,
        base,
        candidate,
        ctx.base_name(),
    ));
    if ground.nothing.is_none() {
        findings.extend(lost_measures(&ctx));
    }
    let gated = comparisons
        .iter()
        .any(|c| c.role == Role::Gates && c.verdict != Verdict::NotMeasured);
    let empty = !gated || presence::nothing_measured(base);
    if empty && ground.nothing.is_none() {
        let why = format!(
            "the {} holds nothing that this run could be compared with",
            ctx.base_name()
        );
        findings.push(about_all(Severity::Doubt, with_advice(&ctx, &why)));
    }
    let vanished = missing.iter().filter(|m| m.left_out.is_none());
    Judgement {
        missing: vanished.map(|m| m.record.clone()).collect(),
        ..conclude(
            // What cannot be compared is not new.
            ground.nothing.is_none().then_some(base),
            candidate,
            policy,
            comparisons,
            findings,
        )
    }
}

/// Judges `results` alone: budgets and failures, without a baseline.
#[must_use]
pub fn judge_alone(results: &Results, policy: &GateConfig) -> Judgement {
    let mut findings = presence::of_results(results);
    findings.extend(doubts_of_incomplete(results));
    conclude(None, results, policy, Vec::new(), findings)
}

/// Scenarios with an alarm that fresh rounds can confirm or clear, guards included; `server` when
/// start-up or peak memory alarmed.
///
/// Memory and start-up depend on all that a round does, so for `server` a fresh round must run
/// every scenario; a round that ran fewer is not used for peak memory.
#[must_use]
pub fn alarmed_scenarios(judgement: &Judgement) -> BTreeSet<String> {
    named(judgement, is_alarm)
}

fn is_alarm(c: &Comparison) -> bool {
    let alarm = match c.role {
        Role::Gates => c.verdict == Verdict::Regressed,
        Role::Guards => matches!(c.verdict, Verdict::Regressed | Verdict::Inconclusive),
        Role::Reported => false,
    };
    let enough = c.base_rounds.min(c.candidate_rounds) >= ROUNDS_NEEDED;
    alarm && enough && (c.ratio.is_some() || c.metric == Metric::MemoryGrowth)
}

/// Scenarios that more planned rounds could decide; `server` for start-up and peak memory.
#[must_use]
pub fn undecided_scenarios(judgement: &Judgement) -> BTreeSet<String> {
    named(judgement, |c| {
        c.role == Role::Gates && c.more_rounds_could_decide
    })
}

fn named(judgement: &Judgement, wanted: impl Fn(&Comparison) -> bool) -> BTreeSet<String> {
    judgement
        .comparisons
        .iter()
        .filter(|c| wanted(c))
        .map(|c| c.scenario.clone())
        .collect()
}

fn scenario(
    ctx: &Context<'_>,
    record: &ScenarioRecord,
    findings: &mut Vec<Finding>,
) -> Vec<Comparison> {
    let Some(before) = ctx
        .base
        .suite
        .scenarios
        .iter()
        .find(|s| s.name == record.name)
    else {
        let new = match ctx.in_turn {
            Some(_) => "new: the base does not have it",
            None => "new: no baseline yet",
        };
        return compare::unmeasured(ctx, record, new);
    };
    if let Some(why) = &ctx.ground.nothing {
        return compare::unmeasured(ctx, record, &format!("not comparable: {why}"));
    }
    if let Some(why) = scenario_differs(before, record, ctx.base_name()) {
        findings.push(about(
            Severity::Doubt,
            &record.name,
            with_advice(ctx, &format!("not comparable: {why}")),
        ));
        return compare::unmeasured(ctx, record, &format!("not comparable: {why}"));
    }
    if Tally::of(ctx.base, &record.name).calls == 0 {
        let why = &format!("the {} declares it but holds no figures", ctx.base_name());
        // Of a baseline that holds nothing at all, one sentence is enough.
        if !presence::nothing_measured(ctx.base) {
            findings.push(about(Severity::Doubt, &record.name, with_advice(ctx, why)));
        }
        return compare::unmeasured(ctx, record, why);
    }
    if record.kind == ScenarioKind::ListTools && tool_list_differs(ctx.base, ctx.candidate) {
        let why = "the server offers another list of tools";
        findings.push(about(
            Severity::Note,
            &record.name,
            format!("not comparable: {why} than in the {}", ctx.base_name()),
        ));
        return compare::unmeasured(ctx, record, &format!("not comparable: {why}"));
    }
    if before.calls != record.calls && record.kind != ScenarioKind::Soak {
        findings.push(about(
            Severity::Note,
            &record.name,
            format!(
                "{} calls a round, in the {} {}",
                record.calls,
                ctx.base_name(),
                before.calls
            ),
        ));
    }
    if record.report_only && !before.report_only {
        findings.push(about(
            Severity::Note,
            &record.name,
            "reported only, though it gated when the baseline was made".to_owned(),
        ));
    }
    if let Some(why) = ctx.stepped_down.get(&record.name) {
        findings.push(about(Severity::Note, &record.name, why.clone()));
    }
    let mut rows = compare::scenario(ctx, record);
    // At a look the times count: should fresh pairs dismiss the errors, they are to be confirmed as well.
    if ctx.in_turn.is_some_and(|in_turn| in_turn.with_fresh)
        && let Some(why) = unequal_work(&rows)
    {
        findings.push(about(
            Severity::Doubt,
            &record.name,
            format!("not comparable: {why}"),
        ));
        for row in rows.iter_mut().filter(|r| r.metric != Metric::ErrorRate) {
            compare::not_compared(row, &format!("not comparable: {why}"));
        }
    }
    rows
}

/// Says how many figures pass with less certainty than was asked for.
fn coarse(comparisons: &[Comparison]) -> Option<Finding> {
    let gates = || comparisons.iter().filter(|c| c.role == Role::Gates);
    let coarse = gates().filter(|c| c.is_coarse).count();
    (coarse > 0).then(|| {
        about_all(
            Severity::Note,
            format!(
                "{coarse} of {} gating figures are too noisy here to tell their tolerance: their estimates \
                 keep it, and no more than a gross change (2x, or four floors) is ruled out; their rows say \
                 what could have been seen",
                gates().count()
            ),
        )
    })
}

/// Says that more of the planned pairs would have been measured, had there been time.
fn cut_short(ctx: &Context<'_>) -> Option<Finding> {
    let in_turn = ctx
        .in_turn
        .filter(|in_turn| in_turn.with_fresh && in_turn.is_open)?;
    // One that was interrupted says so itself.
    let is_incomplete = |results: &Results| results.jobs.iter().any(|j| j.incomplete.is_some());
    if is_incomplete(ctx.base) || is_incomplete(ctx.candidate) {
        return None;
    }
    let pairs = [ctx.base, ctx.candidate].map(|results| {
        let rounds = results.jobs.iter().flat_map(|job| &job.rounds);
        rounds.filter(|round| round.phase == Phase::Measure).count()
    });
    let [base, candidate] = pairs;
    let (pairs, most) = (base.min(candidate), in_turn.errors.most_pairs);
    u32::try_from(pairs).is_ok_and(|pairs| pairs < most).then(|| {
        about_all(
            Severity::Doubt,
            format!(
                "the time was used up after {pairs} of {most} pairs: `--max-time` gives more, and fewer tools \
                 take less"
            ),
        )
    })
}

/// A stored base that no longer fits is to be replaced; one measured in turn is what it is.
fn with_advice(ctx: &Context<'_>, why: &str) -> String {
    match ctx.in_turn {
        Some(_) => why.to_owned(),
        None => format!("{why}; {UPDATE}"),
    }
}

/// Why times and memory of two arms are not to be compared: other calls succeeded in one than in
/// the other, beyond the noise of both. In words.
fn unequal_work(rows: &[Comparison]) -> Option<String> {
    let row = rows.iter().find(|row| row.metric == Metric::ErrorRate)?;
    let is_unequal = matches!(row.verdict, Verdict::Regressed | Verdict::Improved);
    let (base, candidate) = (row.base?, row.candidate?);
    is_unequal.then(|| {
        format!(
            "{:.1} % of the calls failed in the base, {:.1} % in this run, so the two did not do the same work",
            base * 100.0,
            candidate * 100.0
        )
    })
}

/// Notes where one side lacks a measure that the other has, since a gate is weaker then.
fn lost_measures(ctx: &Context<'_>) -> Vec<Finding> {
    let why = |results: &Results, of: fn(&crate::results::Job) -> &Measure| {
        let measured = results.jobs.iter().any(|j| matches!(of(j), Measure::By(_)));
        let words = results.jobs.iter().find_map(|j| match of(j) {
            Measure::NotMeasured(why) => Some(comparability::shortened(why, 300)),
            Measure::By(_) => None,
        });
        if measured { None } else { words }
    };
    let pair = |what: &str, gates: &str, of: fn(&crate::results::Job) -> &Measure| {
        let text = match (why(ctx.base, of), why(ctx.candidate, of)) {
            (Some(why), None) => {
                format!(
                    "{what} was not measured in the {} ({why}): {gates}",
                    ctx.base_name()
                )
            }
            (None, Some(why)) => format!("{what} was not measured in this run ({why}): {gates}"),
            _ => return None,
        };
        Some(about_all(Severity::Note, text))
    };
    [
        pair(
            "latency less scheduler wait",
            "wall time gates instead",
            |j| &j.adjusted_measure,
        ),
        pair("memory", "it is not gated", |j| &j.memory_measure),
        memory_measured_otherwise(ctx),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Memory that each side measured by another means, as where only one of them starts further processes:
/// the change itself may be what keeps it from being compared, so that the whole is no pass.
fn memory_measured_otherwise(ctx: &Context<'_>) -> Option<Finding> {
    let is_known = |results: &Results| {
        let mut jobs = results.jobs.iter();
        jobs.any(|job| matches!(job.memory_measure, Measure::By(_)))
    };
    let why = server::memory_not_comparable(ctx)
        .filter(|_| is_known(ctx.base) && is_known(ctx.candidate) && ctx.ground.same_runtime)?;
    Some(about_all(
        Severity::Doubt,
        format!("memory cannot be compared: {why}; look at the figures of both sides"),
    ))
}

fn conclude(
    base: Option<&Results>,
    results: &Results,
    policy: &GateConfig,
    comparisons: Vec<Comparison>,
    mut findings: Vec<Finding>,
) -> Judgement {
    let budgets = budget::check(results, policy);
    findings.extend(unchecked_budgets(&budgets));
    // Stable: within one weight the order in which they were found stays.
    findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
    let diagnoses = diagnoses::of(base, results);
    let nothing = presence::nothing_measured(results);
    let verdict = verdict(nothing, &comparisons, &findings, &diagnoses);
    let exit_code = exit(nothing, verdict, &budgets, &findings, policy);
    Judgement {
        verdict,
        comparisons,
        budgets,
        findings,
        diagnoses,
        missing: Vec::new(),
        exit_code,
    }
}

/// The same judgement with the verdict and the exit code that its rows now amount to.
pub(super) fn conclude_again(judgement: Judgement, policy: &GateConfig) -> Judgement {
    let nothing = judgement.exit_code == exit_code::NOT_MEASURED;
    let verdict = verdict(
        nothing,
        &judgement.comparisons,
        &judgement.findings,
        &judgement.diagnoses,
    );
    Judgement {
        verdict,
        exit_code: exit(
            nothing,
            verdict,
            &judgement.budgets,
            &judgement.findings,
            policy,
        ),
        ..judgement
    }
}

/// A limit that the user set and that could not be checked is a doubt, one for each metric.
fn unchecked_budgets(budgets: &[BudgetCheck]) -> Vec<Finding> {
    let mut findings: Vec<(Metric, Vec<&str>)> = Vec::new();
    for check in budgets {
        // Without an error rate there was no call at all, which is told as that.
        if !check.binding
            || check.outcome != BudgetOutcome::NotMeasured
            || check.metric == Metric::ErrorRate
        {
            continue;
        }
        match findings.iter_mut().find(|(m, _)| *m == check.metric) {
            Some((_, scenarios)) => scenarios.push(&check.scenario),
            None => findings.push((check.metric, vec![&check.scenario])),
        }
    }
    findings
        .into_iter()
        .map(|(metric, scenarios)| {
            about_all(
                Severity::Doubt,
                format!(
                    "the budget of {metric} could not be checked, there is no figure: {}",
                    comparability::shortened(&scenarios.join(", "), 300)
                ),
            )
        })
        .collect()
}

fn verdict(
    nothing: bool,
    comparisons: &[Comparison],
    findings: &[Finding],
    diagnoses: &[Diagnosed],
) -> Verdict {
    let diagnosed = |verdict| diagnoses.iter().any(|d| d.verdict == Some(verdict));
    let counts = |verdict: Verdict| {
        let mut rows = comparisons.iter();
        rows.any(|c| c.role != Role::Reported && c.verdict == verdict) || diagnosed(verdict)
    };
    let found = |severity: Severity| findings.iter().any(|f| f.severity == severity);
    // A guard's improvement is too noisy to boast of.
    let improved = comparisons
        .iter()
        .any(|c| c.role == Role::Gates && c.verdict == Verdict::Improved)
        || diagnosed(Verdict::Improved);
    if nothing {
        Verdict::NotMeasured
    } else if counts(Verdict::Regressed) {
        Verdict::Regressed
    } else if found(Severity::Failure) {
        Verdict::NotMeasured
    } else if found(Severity::Doubt) || counts(Verdict::Inconclusive) {
        Verdict::Inconclusive
    } else if improved {
        Verdict::Improved
    } else {
        Verdict::Pass
    }
}

fn exit(
    nothing: bool,
    verdict: Verdict,
    budgets: &[BudgetCheck],
    findings: &[Finding],
    policy: &GateConfig,
) -> u8 {
    let broken = budgets
        .iter()
        .any(|b| b.binding && b.outcome == BudgetOutcome::Broken);
    let failed = findings.iter().any(|f| f.severity == Severity::Failure);
    if nothing {
        exit_code::NOT_MEASURED
    } else if verdict == Verdict::Regressed || broken || failed {
        exit_code::REGRESSED
    } else if verdict == Verdict::Inconclusive && policy.inconclusive == InconclusivePolicy::Fail {
        exit_code::INCONCLUSIVE
    } else {
        exit_code::OK
    }
}
