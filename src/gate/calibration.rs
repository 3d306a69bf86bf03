//! The null control: from judgements of a server against itself to how often the gate errs.

use std::collections::BTreeMap;

use super::{Comparison, Judgement, Role, SERVER, Verdict};
use crate::{
    results::{CalibratedFigure, CalibratedScenario, Calibration, Control, Results},
    stats::{
        Sample,
        interval::{proportion_lower_bound, proportion_upper_bound},
        location::median,
    },
    suite::GateConfig,
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
        scenarios: scenarios(suites),
        figures: figures(suites),
    }
}

fn scenarios(suites: &[Judged]) -> Vec<CalibratedScenario> {
    let mut scenarios: Vec<CalibratedScenario> = Vec::new();
    for (judgement, _) in suites {
        // What decides, and guards that failed the build all the same.
        let mut seen: Vec<(&str, bool)> = Vec::new();
        for row in judgement.comparisons.iter().filter(|row| is_counted(row)) {
            let is_regressed = row.verdict == Verdict::Regressed;
            match seen.iter_mut().find(|(known, _)| *known == row.scenario) {
                Some((_, any)) => *any |= is_regressed,
                None => seen.push((&row.scenario, is_regressed)),
            }
        }
        for (name, is_regressed) in seen {
            let at = scenarios.iter().position(|known| known.scenario == name);
            let at = at.unwrap_or_else(|| {
                scenarios.push(CalibratedScenario {
                    scenario: name.to_owned(),
                    suites: 0,
                    regressed: 0,
                });
                scenarios.len() - 1
            });
            if let Some(scenario) = scenarios.get_mut(at) {
                scenario.suites += 1;
                scenario.regressed += u32::from(is_regressed);
            }
        }
    }
    scenarios
}

/// Whether a row can fail the build. A guard that did is a false alarm like any other.
fn is_counted(row: &Comparison) -> bool {
    match row.role {
        Role::Gates => row.verdict != Verdict::NotMeasured,
        Role::Guards => row.verdict == Verdict::Regressed,
        Role::Reported => false,
    }
}

fn figures(suites: &[Judged]) -> Vec<CalibratedFigure> {
    let mut rows: Vec<((&str, &str), Vec<&Comparison>)> = Vec::new();
    for (judgement, _) in suites {
        let judged = judgement.comparisons.iter().filter(|row| is_counted(row));
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

/// What is heeded of a calibration.
#[derive(Debug, Default)]
pub(super) struct Heeded {
    /// Scenarios that are reported only, with the reason.
    pub(super) stepped_down: BTreeMap<String, String>,
    /// Why something that would step down does not.
    pub(super) unheeded: Option<String>,
}

/// What the policy's calibration says of these results: nothing unless it is of the same server, suite
/// and kind of machine, since how often a figure errs depends on all of them.
pub(super) fn heeded(policy: &GateConfig, candidate: &Results) -> Heeded {
    let Some(calibration) = &policy.calibration else {
        return Heeded::default();
    };
    let stepped_down = unreliable(calibration);
    let machine = candidate.jobs.last().map(|job| &job.environment);
    let other = if calibration.server.name != candidate.server.name {
        "server"
    } else if calibration.suite_hash != candidate.suite.hash {
        "suite"
    } else if !machine.is_some_and(|machine| calibration.environment.same_hardware(machine)) {
        "kind of machine"
    } else {
        return Heeded {
            stepped_down,
            unheeded: None,
        };
    };
    Heeded {
        stepped_down: BTreeMap::new(),
        unheeded: (!stepped_down.is_empty()).then(|| {
            format!(
                "the calibration of {} is of another {other}, so no scenario steps down by it: calibrate \
                 anew with `mcpgate calibrate`",
                day(calibration)
            )
        }),
    }
}

/// Scenarios, and figures of the server itself, that were called regressed in an unchanged server more often
/// than is promised, beyond doubt, with the reason: these are to be reported only.
#[must_use]
pub fn unreliable(calibration: &Calibration) -> BTreeMap<String, String> {
    let Some(null) = calibration.controls.iter().find(|c| is_null(c)) else {
        return BTreeMap::new();
    };
    let mut reasons = BTreeMap::new();
    for scenario in null.scenarios.iter().filter(|s| s.scenario != SERVER) {
        if rate(scenario.regressed, scenario.suites).low <= PROMISED_RATE {
            continue;
        }
        let figures = null.figures.iter();
        let worst = figures
            .filter(|figure| figure.scenario == scenario.scenario && figure.regressed > 0)
            .max_by_key(|figure| figure.regressed)
            .map_or_else(String::new, |figure| {
                format!(", mostly by its {}", figure.metric)
            });
        let reason = format!(
            "reported only: called regressed in {} of {} comparisons of the server with itself{worst}, calibrated {}",
            scenario.regressed,
            scenario.suites,
            day(calibration)
        );
        reasons.insert(scenario.scenario.clone(), reason);
    }
    // Start-up says nothing of memory: each stands for itself.
    for figure in null.figures.iter().filter(|f| f.scenario == SERVER) {
        if rate(figure.regressed, figure.suites).low <= PROMISED_RATE {
            continue;
        }
        let reason = format!(
            "reported only: its {} was called regressed in {} of {} comparisons of the server with itself, calibrated {}",
            figure.metric,
            figure.regressed,
            figure.suites,
            day(calibration)
        );
        reasons.insert(of_server(&figure.metric), reason);
    }
    reasons
}

/// Under which name a figure of the server itself steps down.
pub(super) fn of_server(metric: &str) -> String {
    format!("{SERVER} · {metric}")
}

fn day(calibration: &Calibration) -> &str {
    calibration.started_at.get(..10).unwrap_or_default()
}

/// Whether nothing was planted.
#[must_use]
pub fn is_null(control: &Control) -> bool {
    (control.factor - 1.0).abs() < 1e-9
}
