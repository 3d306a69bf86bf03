//! The comparisons of the server itself: start-up and peak memory.

use super::{
    Comparison, Metric, Role, SERVER, Verdict,
    compare::{Context, any_regressed, judged, not_compared},
    evidence::Source,
    work::{Work, work},
};
use crate::results::{Measure, Results};

/// Start-up and peak memory.
pub(super) fn compare(ctx: &Context<'_>) -> Vec<Comparison> {
    let mut rows = Vec::new();
    let adjusted = ctx.gather(Source::Server, Metric::StartupAdjusted);
    let has_adjusted = adjusted.base_rounds() > 0 && adjusted.candidate_rounds() > 0;
    if has_adjusted {
        rows.push(judged(
            ctx,
            SERVER,
            Metric::StartupAdjusted,
            Role::Gates,
            &adjusted,
            false,
        ));
    }
    let wall = ctx.gather(Source::Server, Metric::Startup);
    let role = if has_adjusted {
        Role::Guards
    } else {
        Role::Gates
    };
    if wall.base_rounds() > 0 || wall.candidate_rounds() > 0 {
        let gate_regressed = any_regressed(&rows);
        rows.push(judged(
            ctx,
            SERVER,
            Metric::Startup,
            role,
            &wall,
            gate_regressed,
        ));
    }
    rows.push(peak_memory(ctx));
    rows
}

fn peak_memory(ctx: &Context<'_>) -> Comparison {
    let metric = Metric::PeakMemory;
    let evidence = ctx.gather(Source::Server, metric);
    let mut row = judged(ctx, SERVER, metric, Role::Gates, &evidence, false);
    if let Some(why) = memory_not_comparable(ctx) {
        not_compared(&mut row, &why);
        return row;
    }
    // Memory grows with work: more work excuses a rise, less work excuses a fall.
    let work = work(ctx.base, ctx.candidate);
    let unfair = match (row.verdict, work) {
        (Verdict::Regressed, Work::More | Work::Other) => {
            "higher, but a round did more work than in the"
        }
        (Verdict::Pass | Verdict::Improved, Work::Less | Work::Other) => {
            "not higher, but a round did less work than in the"
        }
        _ => return row,
    };
    row.verdict = Verdict::Inconclusive;
    row.more_rounds_could_decide = false;
    row.reason = format!(
        "{unfair} {}: memory is compared at equal calls",
        ctx.base_name()
    );
    row
}

/// Why the memory of the two sides cannot be compared, in words.
pub(super) fn memory_not_comparable(ctx: &Context<'_>) -> Option<String> {
    let measures = |results: &Results| {
        let mut names: Vec<String> = Vec::new();
        let mut missing = None;
        for job in &results.jobs {
            match &job.memory_measure {
                Measure::By(name) if !names.contains(name) => names.push(name.clone()),
                Measure::By(_) => {}
                Measure::NotMeasured(why) => missing = Some(why.clone()),
            }
        }
        names.sort();
        if names.is_empty() {
            Err(missing)
        } else {
            Ok(names)
        }
    };
    let unsaid = || "no reason was recorded".to_owned();
    match (measures(ctx.base), measures(ctx.candidate)) {
        (_, Err(why)) => Some(format!("not measured: {}", why.unwrap_or_else(unsaid))),
        (Err(why), Ok(_)) => Some(format!(
            "not measured in the {}: {}",
            ctx.base_name(),
            why.unwrap_or_else(unsaid)
        )),
        (Ok(b), Ok(c)) if b != c => Some(format!(
            "measured by {} in the {} and by {} here",
            b.join(" and "),
            ctx.base_name(),
            c.join(" and ")
        )),
        _ if !ctx.ground.same_runtime => {
            Some("the baseline was made on another operating system or architecture".to_owned())
        }
        _ => None,
    }
}

/// Start-up and peak memory where nothing is comparable, with the reason.
pub(super) fn unmeasured(ctx: &Context<'_>, reason: &str) -> Vec<Comparison> {
    let mut rows = compare(ctx);
    rows.retain(|r| r.role == Role::Gates);
    for row in &mut rows {
        not_compared(row, reason);
    }
    rows
}
