//! Whether the results of the main branch are to become its baseline.

use super::{
    Comparison, Diagnosed, Judgement, Role, SERVER, Standing, Verdict, acceptance,
    accepted::{ACCEPTED, accept},
    judge,
};
use crate::{
    results::Results,
    suite::{AcceptedRegression, GateConfig},
};

/// What is to become of a baseline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// Nothing: the results are no ground for one. Every reason.
    Refused(Vec<String>),
    /// Nothing: they say what it says.
    Unchanged,
    /// An improvement that has been seen once. It moves the baseline when it recurs, since a lucky
    /// run would make every later one look slow.
    Pending(Vec<String>),
    /// Replaced, and why.
    Replaced(Vec<String>),
}

/// Most rows that are named as reasons.
const MOST_REASONS: usize = 10;

/// Decides it. `pending` are results in which an improvement was seen before; `accepted` are the
/// regressions that somebody answers for, and `today` is `YYYY-MM-DD`.
#[must_use]
pub fn renewal(
    baseline: Option<&Results>,
    pending: Option<&Results>,
    results: &Results,
    policy: &GateConfig,
    (accepted, today): (&[AcceptedRegression], &str),
) -> Renewal {
    let objections = acceptance::objections(results, baseline, policy, (accepted, today));
    if !objections.is_empty() {
        return Renewal::Refused(objections);
    }
    let Some(baseline) = baseline else {
        return Renewal::Replaced(vec!["there was no baseline yet".to_owned()]);
    };
    let against = |base: &Results| accept(judge(base, results, policy), accepted, today, policy);
    let judgement = against(baseline);
    let certain = certain_changes(&judgement, baseline, results);
    if !certain.is_empty() {
        return Renewal::Replaced(certain);
    }
    let mut improved = rows(&judgement, |row| {
        row.role == Role::Gates && row.verdict == Verdict::Improved
    });
    improved.extend(modes(&judgement, "is gone", |diagnosed| {
        diagnosed.verdict == Some(Verdict::Improved)
    }));
    if improved.is_empty() {
        return Renewal::Unchanged;
    }
    let recurs = pending.is_some_and(|pending| {
        matches!(against(pending).verdict, Verdict::Pass | Verdict::Improved)
    });
    if recurs {
        Renewal::Replaced(improved)
    } else {
        Renewal::Pending(improved)
    }
}

/// Whether what an earlier run proposed still waits: a baseline that was accepted since, be it this
/// very one, has settled it. Which is later is told by the clocks of the machines that accepted them.
#[must_use]
pub fn still_waits(proposed: &Results, baseline: Option<&Results>) -> bool {
    let Some(baseline) = baseline else {
        return true;
    };
    let at = |of: &Results| Some(of.accepted.as_ref()?.at.clone());
    match (at(proposed), at(baseline)) {
        // Both are RFC 3339 in UTC, to the second.
        (Some(proposed), Some(baseline)) => proposed > baseline,
        _ => proposed != baseline,
    }
}

/// Changes that no second run has to confirm: somebody reviewed them, or the old figures can no
/// longer be compared with.
fn certain_changes(judgement: &Judgement, baseline: &Results, results: &Results) -> Vec<String> {
    let mut reasons = rows(judgement, |row| {
        row.role == Role::Reported && row.reason.starts_with(ACCEPTED)
    });
    reasons.extend(modes(judgement, "is accepted", |diagnosed| {
        diagnosed.standing == Standing::Accepted
    }));
    let names = |of: &Results| -> Vec<(String, String)> {
        let records = of.suite.scenarios.iter();
        records
            .map(|record| (record.name.clone(), record.definition_hash.clone()))
            .collect()
    };
    if names(baseline) != names(results) {
        reasons.push("other scenarios are measured, or others are sent or expected".to_owned());
    }
    let (old, new) = (&baseline.server, &results.server);
    if old.tool_list_hash != new.tool_list_hash {
        reasons.push("the server offers another list of tools".to_owned());
    }
    if (&old.protocol_version, old.transport) != (&new.protocol_version, new.transport) {
        reasons.push("the server is reached in another way".to_owned());
    }
    reasons
}

fn rows(judgement: &Judgement, wanted: impl Fn(&Comparison) -> bool) -> Vec<String> {
    let all: Vec<&Comparison> = judgement
        .comparisons
        .iter()
        .filter(|row| wanted(row))
        .collect();
    let mut reasons: Vec<String> = all
        .iter()
        .take(MOST_REASONS)
        .map(|row| format!("{}: {} {}", row.scenario, row.metric, row.reason))
        .collect();
    if all.len() > MOST_REASONS {
        reasons.push(format!("and {} more", all.len() - MOST_REASONS));
    }
    reasons
}

fn modes(judgement: &Judgement, what: &str, wanted: impl Fn(&Diagnosed) -> bool) -> Vec<String> {
    let all = judgement.diagnoses.iter().filter(|d| wanted(d));
    all.map(|Diagnosed { diagnosis, .. }| {
        let scenario = diagnosis.scenario.as_deref().unwrap_or(SERVER);
        format!("{scenario}: {} {what}", diagnosis.kind.name())
    })
    .collect()
}
