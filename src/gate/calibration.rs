//! The null control: from judgements of a server against itself to how often the gate errs.

use std::collections::BTreeMap;

use super::{Comparison, Judgement, Role, SERVER, Verdict};
use crate::{
    results::{CalibratedFigure, Calibration, Control},
    stats::{
        Sample,
        interval::{proportion_lower_bound, proportion_upper_bound},
        location::median,
    },
};

/// Share of suites of an unchanged server that may be called regressed.
pub const PROMISED_RATE: f64 = 0.01;
/// Error of each of the two bounds of a rate.
const ALPHA: f64 = 0.025;

/// A judged suite, and how long it took to measure, in seconds.
pub type Judged = (Judgement, f64);

/// Counts what suites of one planted factor were called.
#[must_use]
pub fn control(suites: &[Judged], factor: f64, seed: u64) -> Control {
    let count = |verdict: Verdict| {
        let these = suites.iter().filter(|(j, _)| j.verdict == verdict);
        number(these.count())
    };
    Control {
        factor,
        seed,
        suites: number(suites.len()),
        regressed: count(Verdict::Regressed),
        improved: count(Verdict::Improved),
        inconclusive: count(Verdict::Inconclusive),
        seconds: middle(suites.iter().map(|(_, seconds)| *seconds)).unwrap_or(0.0),
        figures: figures(suites),
    }
}

fn figures(suites: &[Judged]) -> Vec<CalibratedFigure> {
    let mut rows: Vec<((&str, &str), Vec<&Comparison>)> = Vec::new();
    for (judgement, _) in suites {
        // Error rates are exact. A guard that failed the build is a false alarm like any other.
        let judged = judgement.comparisons.iter().filter(|c| match c.role {
            Role::Gates => c.ratio.is_some() && c.verdict != Verdict::NotMeasured,
            Role::Guards => c.verdict == Verdict::Regressed,
            Role::Reported => false,
        });
        for comparison in judged {
            let key = (comparison.scenario.as_str(), comparison.metric.name());
            match rows.iter_mut().find(|(known, _)| *known == key) {
                Some((_, all)) => all.push(comparison),
                None => rows.push((key, vec![comparison])),
            }
        }
    }
    rows.into_iter()
        .map(|((scenario, metric), all)| {
            let count =
                |verdict: Verdict| number(all.iter().filter(|c| c.verdict == verdict).count());
            let pairs = all
                .iter()
                .map(|c| c.base_rounds.min(c.candidate_rounds) as f64);
            CalibratedFigure {
                scenario: scenario.to_owned(),
                metric: metric.to_owned(),
                suites: number(all.len()),
                regressed: count(Verdict::Regressed),
                improved: count(Verdict::Improved),
                inconclusive: count(Verdict::Inconclusive),
                pairs: middle(pairs).unwrap_or(0.0),
                smallest_detectable_ratio: middle(
                    all.iter().filter_map(|c| c.smallest_detectable_ratio),
                ),
            }
        })
        .collect()
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn middle(values: impl Iterator<Item = f64>) -> Option<f64> {
    Sample::new(values).map(|sample| median(&sample))
}

/// A share of suites with its exact 95 % interval (Clopper and Pearson 1934).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Suites of which it is true.
    pub count: u32,
    /// All suites.
    pub of: u32,
    /// Lower bound, as a fraction.
    pub low: f64,
    /// Upper bound, as a fraction.
    pub high: f64,
}

/// `count` of `of`.
#[must_use]
pub fn rate(count: u32, of: u32) -> Rate {
    let (k, n) = (u64::from(count), u64::from(of));
    Rate {
        count,
        of,
        low: proportion_lower_bound(k, n, ALPHA),
        high: proportion_upper_bound(k, n, ALPHA),
    }
}

/// Scenarios that were called regressed in an unchanged server more often than is promised, beyond
/// doubt, with the reason: these are to be reported only.
#[must_use]
pub fn unreliable(calibration: &Calibration) -> BTreeMap<String, String> {
    let Some(null) = calibration.controls.iter().find(|c| is_null(c)) else {
        return BTreeMap::new();
    };
    let day = calibration.started_at.get(..10).unwrap_or_default();
    let mut reasons = BTreeMap::new();
    for figure in &null.figures {
        let is_kept = rate(figure.regressed, figure.suites).low <= PROMISED_RATE;
        if figure.scenario == SERVER || is_kept {
            continue;
        }
        reasons.entry(figure.scenario.clone()).or_insert_with(|| {
            format!(
                "reported only: its {} was called regressed in {} of {} comparisons of the server with itself, calibrated {day}",
                figure.metric, figure.regressed, figure.suites
            )
        });
    }
    reasons
}

/// Whether nothing was planted.
#[must_use]
pub fn is_null(control: &Control) -> bool {
    (control.factor - 1.0).abs() < 1e-9
}
