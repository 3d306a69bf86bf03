//! A shift that all scenarios share: then one tool is not to blame.

use super::{Comparison, Finding, Metric, Severity, comparability::about_all};

/// Fewer scenarios than this share things by chance.
const FEWEST_SCENARIOS: usize = 3;
/// A smaller shift is not worth a sentence.
const SMALLEST_SHIFT: f64 = 1.1;

/// Says so where the typical latency of every scenario changed by about the same factor: as far as
/// each one's interval tells, it is the same, and most intervals leave no room for none.
pub(super) fn finding(comparisons: &[Comparison], is_in_turn: bool) -> Option<Finding> {
    let mut shifts: Vec<(f64, f64, f64)> = Vec::new();
    let mut scenarios: Vec<&str> = Vec::new();
    for comparison in comparisons {
        // Where adjusted figures exist they come first, and their wall times say the same.
        if !matches!(
            comparison.metric,
            Metric::LatencyP50 | Metric::LatencyP50Adjusted
        ) || scenarios.contains(&comparison.scenario.as_str())
        {
            continue;
        }
        if let (Some(ratio), Some(interval)) = (comparison.ratio, comparison.interval) {
            shifts.push((ratio.ln(), interval.low.ln(), interval.high.ln()));
            scenarios.push(&comparison.scenario);
        }
    }
    if shifts.len() < FEWEST_SCENARIOS {
        return None;
    }
    let mut ratios: Vec<f64> = shifts.iter().map(|(ratio, ..)| *ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let middle = ratios.get(ratios.len() / 2).copied()?;
    let is_shared = middle.abs() > SMALLEST_SHIFT.ln()
        && shifts.iter().all(|(ratio, low, high)| {
            (ratio - middle).abs() <= middle.abs() / 2.0 && (*low..=*high).contains(&middle)
        });
    let certain = shifts
        .iter()
        .filter(|(_, low, high)| *low > 0.0 || *high < 0.0);
    (is_shared && certain.count() * 2 > shifts.len()).then(|| {
        let percent = middle.exp_m1() * 100.0;
        let (size, word) = (percent.abs(), if percent > 0.0 { "slower" } else { "faster" });
        let what = if is_in_turn {
            "look at what they share, such as the runtime, a library, logging or how the server is started, and not at one tool"
        } else {
            "look at what they share, such as the machine, the runtime, a library or logging, and not at one tool"
        };
        about_all(
            Severity::Note,
            format!(
                "all {} scenarios are {word} alike, by about {size:.0} %: {what}",
                shifts.len()
            ),
        )
    })
}
