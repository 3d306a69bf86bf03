//! Guards: noisy metrics beside the one that gates. A guard fails alone only at a confirmed
//! doubling, but what it raises is never a plain pass.

use super::{
    Metric, Verdict,
    policy::{gross, suspicion},
    rule::{Call, Evidence, Ruling, Terms, rule},
};

/// Outside load, in cores, that explains longer wall times: quiet rounds lie within ±0.15.
pub(super) const LOAD_THAT_EXPLAINS: f64 = 0.15;

const LOUDER: &str = "worse, but other processes took more of the machine than for the baseline: measure again on a quiet machine";

/// What surrounds a guard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    /// Rise of outside load from base to candidate, in cores, where known.
    pub(super) load_rise: Option<f64>,
    /// Whether a metric that gates the same scenario is `regressed` itself.
    pub(super) gate_regressed: bool,
    /// Whether an alarm without fresh rounds is no answer.
    pub(super) must_confirm: bool,
}

/// What a change of outside load makes of a gating metric's change; `None` where it explains
/// nothing.
///
/// Load explains wall time by the waits that it causes. It also inflates what is left when the
/// waits are taken out, and CPU time itself, since cores share caches and execution units: adjusted
/// start-up of an unchanged server rose by 28 % and its CPU time by 34 % while a compiler ran
/// beside it. It does not double them, so a doubling of an adjusted figure stays `regressed`.
pub(super) fn explained_by_load(
    metric: Metric,
    load_rise: Option<f64>,
    ordinary: Call,
    big: impl FnOnce() -> Call,
) -> Option<(Verdict, String)> {
    let rise = load_rise.filter(|_| metric != Metric::PeakMemory)?;
    match ordinary {
        Call::Regressed { .. } if rise > LOAD_THAT_EXPLAINS => {
            if is_adjusted(metric) && matches!(big(), Call::Regressed { .. }) {
                return None;
            }
            Some((
                Verdict::Inconclusive,
                LOUDER.to_owned(),
            ))
        }
        Call::Improved if -rise > LOAD_THAT_EXPLAINS => Some((
            Verdict::Pass,
            "better, which is explained by other processes: they took less of the machine than for the baseline".to_owned(),
        )),
        _ => None,
    }
}

fn is_adjusted(metric: Metric) -> bool {
    matches!(
        metric,
        Metric::LatencyP50Adjusted | Metric::LatencyP95Adjusted | Metric::StartupAdjusted
    )
}

/// Whether a guard of this metric stands in for a gate that cannot be held (see
/// [`super::compare`]), so that nothing else watches what it watches.
fn stands_in(metric: Metric) -> bool {
    matches!(metric, Metric::LatencyP95Adjusted | Metric::Throughput)
}

/// Verdict, reason and figures of a guard.
///
/// One that stands in for a gate is heard at a weaker suspicion, which fresh rounds then settle,
/// and outside load excuses it no more than it would excuse the gate.
pub(super) fn guard(
    metric: Metric,
    evidence: &Evidence,
    terms: &Terms,
    around: Surroundings,
) -> (Verdict, String, Ruling) {
    let big = rule(evidence, &gross(*terms));
    let stands_in = stands_in(metric);
    let heard = if stands_in { suspicion(*terms) } else { *terms };
    let ordinary = rule(evidence, &heard);
    let is_cpu = metric == Metric::CpuPerCall;
    let explained = |sign: f64| {
        around
            .load_rise
            .is_some_and(|rise| sign * rise > LOAD_THAT_EXPLAINS)
    };
    let is_worse = matches!(
        ordinary.call,
        Call::Regressed { .. }
            | Call::Unconfirmed {
                still_worse: true,
                ..
            }
    );
    let mut shown = big;
    if is_cpu {
        // It cannot be called regressed by any change.
        shown.smallest_detectable = None;
    }
    let (verdict, reason) = match (big.call, ordinary.call) {
        (Call::Regressed { .. }, _)
            if explained(1.0) && !(stands_in && is_adjusted(metric)) =>
        (
            Verdict::Inconclusive,
            "at least doubled, but other processes took more of the machine than for the baseline: measure again on a quiet machine".to_owned(),
        ),
        (Call::Regressed { confirmed_by: None }, _) if !is_cpu && around.must_confirm => (
            Verdict::Inconclusive,
            "at least doubled, but no fresh pairs confirmed it".to_owned(),
        ),
        (Call::Regressed { confirmed_by }, _) if !is_cpu => (
            Verdict::Regressed,
            match confirmed_by {
                Some(n) => format!("at least doubled, confirmed by {n} fresh rounds"),
                None => "at least doubled; not confirmed by fresh rounds".to_owned(),
            },
        ),
        (_, Call::Regressed { .. }) if around.gate_regressed && is_cpu => (
            Verdict::Inconclusive,
            "worse too, but CPU time alone fails no build".to_owned(),
        ),
        (_, Call::Regressed { .. }) if around.gate_regressed => (
            Verdict::Inconclusive,
            "worse too, but as a guard it fails alone only at a confirmed doubling".to_owned(),
        ),
        _ if is_worse && explained(1.0) => {
            if stands_in {
                (Verdict::Inconclusive, LOUDER.to_owned())
            } else {
                (
                    Verdict::Pass,
                    "worse, which is explained by other processes: they took more of the machine than for the baseline".to_owned(),
                )
            }
        }
        (_, Call::Regressed { .. }) => (Verdict::Inconclusive, raised(metric).to_owned()),
        (Call::Improved, _) if explained(-1.0) => (
            Verdict::Pass,
            "better, which is explained by other processes: they took less of the machine than for the baseline".to_owned(),
        ),
        (Call::Improved, _) if !is_cpu => (Verdict::Improved, "at least halved".to_owned()),
        (_, Call::TooFew) => (Verdict::Inconclusive, String::new()),
        (_, Call::Improved) => (Verdict::Pass, "better, as far as a guard can tell".to_owned()),
        (_, Call::Within) => (Verdict::Pass, "within the tolerance".to_owned()),
        (
            _,
            Call::Unconfirmed {
                fresh,
                still_worse: true,
            },
        ) => (
            Verdict::Inconclusive,
            format!("worse over all rounds, though {fresh} fresh ones alone do not show it"),
        ),
        (_, Call::Unconfirmed { fresh, .. }) => (
            Verdict::Pass,
            format!("worse in the planned rounds, not so in {fresh} fresh ones"),
        ),
        (
            _,
            Call::BelowFloor | Call::Coarse | Call::WorseNearFloor | Call::WorseOrNoise | Call::TooNoisy,
        ) => (
            Verdict::Pass,
            "no sure sign of a change; too noisy to gate at the tolerance".to_owned(),
        ),
    };
    (verdict, reason, shown)
}

/// Why a guard that rose alone is no pass.
fn raised(metric: Metric) -> &'static str {
    match metric {
        Metric::CpuPerCall => {
            "the server uses more CPU time for each call, though its latency does not show it"
        }
        Metric::Startup => {
            "wall time rose though start-up less scheduler wait did not, and no outside load explains it"
        }
        Metric::LatencyP50 => {
            "wall time rose though latency less scheduler wait did not, and no outside load explains it"
        }
        Metric::LatencyP95Adjusted | Metric::Throughput => {
            "worse, though too noisy to gate, and the metrics that gate do not show it"
        }
        _ => "rose though the metrics that gate did not, and no outside load explains it",
    }
}
