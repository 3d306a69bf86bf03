//! The rounds behind the first cause, as a picture that GitHub draws from Mermaid text. It shows
//! at a glance whether the rounds of the two sides overlap; every figure of it stands elsewhere.

use super::{
    Report, base_name, figure, headline::worst_first, line::Line, markdown_table::details,
};
use crate::gate::{Comparison, Unit, Verdict, round_figures};

/// Bars a side: more than this is no longer a picture on a page as wide as a comment.
const MOST_ROUNDS: usize = 20;
/// Fewer rounds than this show nothing.
const FEWEST_ROUNDS: usize = 3;

/// A collapsed section, or nothing where no figure of a round changed.
pub(super) fn markdown(report: &Report<'_>) -> String {
    let judgement = report.judgement;
    let verdict = judgement.verdict;
    if !matches!(verdict, Verdict::Regressed | Verdict::Improved) {
        return String::new();
    }
    worst_first(&judgement.comparisons, verdict)
        .into_iter()
        .find_map(|comparison| section(report, comparison))
        .unwrap_or_default()
}

fn section(report: &Report<'_>, comparison: &Comparison) -> Option<String> {
    let (size, unit) = match comparison.metric.unit() {
        Unit::Nanoseconds => (1e6, "ms"),
        Unit::Bytes => (1e6, "MB"),
        Unit::BytesPer1000Calls | Unit::CallsPerSecond | Unit::Fraction => return None,
    };
    let sides = [Some(report.candidate), report.base].map(|results| {
        let mut figures = results.map_or_else(Vec::new, |r| round_figures(r, comparison));
        figures.truncate(MOST_ROUNDS);
        figures
    });
    if sides.iter().any(|figures| figures.len() < FEWEST_ROUNDS) {
        return None;
    }
    let [now, base] = sides;
    // Short ones, since thirty of them stand side by side; and each only once, as Mermaid needs.
    let side = |name: &str, figures: &[f64]| -> Vec<String> {
        (1..=figures.len()).map(|n| format!("{name}{n}")).collect()
    };
    let labels = [side("", &base), side("n", &now)].concat().join(", ");
    let values: Vec<f64> = base
        .iter()
        .chain(&now)
        .map(|figure| figure / size)
        .collect();
    let highest = values.iter().copied().fold(0.0, f64::max);
    let values: Vec<String> = values.iter().map(|value| digits(*value, highest)).collect();
    let chart = format!(
        "```mermaid\nxychart-beta\n    x-axis [{labels}]\n    y-axis \"{unit}\" 0 --> {}\n    bar [{}]\n```",
        digits(highest * 1.1, highest),
        values.join(", "),
    );
    let what = Line::of_name(&comparison.scenario).then(format!(
        " · {}: each round of the {} (1 to {}) and of this run (n1 to n{}).",
        figure::label(comparison.metric),
        base_name(report),
        base.len(),
        now.len(),
    ));
    let body = format!("{}\n\n{chart}", what.markdown());
    Some(details("The rounds behind the first figure", &body))
}

/// As a plain number, to a thousandth of the highest or finer.
fn digits(value: f64, highest: f64) -> String {
    let decimals = match highest {
        h if h >= 100.0 => 1,
        h if h >= 1.0 => 3,
        _ => 6,
    };
    format!("{value:.decimals$}")
}
