//! Figures with their units: three significant digits, one form everywhere.
//!
//! Changes are always percentages (`+104 %`, never `x 2.04`), so that a change, its interval and
//! its tolerance can be compared at a glance. `bytesize` shows one decimal at any size and no
//! sign, which is why sizes go through [`scaled`] here, as times do.

use crate::gate::{Comparison, Metric, Unit};

/// Stands between a number and its unit, and inside an interval: no line breaks there. A text
/// page shows it as an ordinary space when its lines are broken (see `layout.rs`).
pub(crate) const GAP: char = '\u{a0}';

/// Stands where there is no figure.
pub(crate) const NONE: &str = "-";

const TIMES: [&str; 4] = ["ns", "µs", "ms", "s"];
const SIZES: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];

/// A figure in its unit. Growth per 1,000 calls is shown as a size: the metric's label names the
/// calls (see [`label`]).
pub(crate) fn figure(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Nanoseconds => scaled(value, &TIMES),
        Unit::Bytes | Unit::BytesPer1000Calls => scaled(value, &SIZES),
        Unit::CallsPerSecond => format!("{}/s", rate(value)),
        Unit::Fraction => share(value),
    }
}

/// A figure, or [`NONE`].
pub(crate) fn figure_or_none(value: Option<f64>, unit: Unit) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| figure(value, unit))
}

/// A time in nanoseconds, or [`NONE`].
pub(crate) fn time_or_none(value_ns: Option<f64>) -> String {
    figure_or_none(value_ns, Unit::Nanoseconds)
}

/// The metric as a table names it: its name in files, with the calls where they are the unit.
pub(crate) fn label(metric: Metric) -> &'static str {
    match metric {
        Metric::MemoryGrowth => "memory_growth per 1k calls",
        other => other.name(),
    }
}

/// The metric where there is room for a word or two.
pub(crate) fn short(metric: Metric) -> &'static str {
    match metric {
        Metric::LatencyP50 => "p50",
        Metric::LatencyP95 => "p95",
        Metric::LatencyP50Adjusted => "p50 adj",
        Metric::LatencyP95Adjusted => "p95 adj",
        Metric::Throughput => "calls/s",
        Metric::ErrorRate => "errors",
        Metric::Startup | Metric::StartupAdjusted => "startup",
        Metric::PeakMemory => "memory",
        Metric::MemoryGrowth => "growth",
        Metric::CpuPerCall => "CPU",
    }
}

/// The change of a comparison: in percent where there is a ratio, else the signed difference.
pub(crate) fn change(comparison: &Comparison) -> String {
    if let Some(ratio) = comparison.ratio {
        return percent_change(ratio);
    }
    let (Some(base), Some(candidate)) = (comparison.base, comparison.candidate) else {
        return NONE.to_owned();
    };
    difference(candidate - base, comparison.metric.unit())
}

/// A signed difference, `+0.4 points` or `+1.2 MB`.
fn difference(difference: f64, unit: Unit) -> String {
    match unit {
        Unit::Fraction => format!("{}{GAP}points", signed(difference * 100.0)),
        unit if difference > 0.0 => format!("+{}", figure(difference, unit)),
        unit => figure(difference, unit),
    }
}

/// The smallest change for the worse that would have been found; absent where it is not known.
pub(crate) fn smallest_visible(comparison: &Comparison) -> Option<String> {
    let by_difference = || comparison.difference?.smallest_detectable;
    let by_ratio = comparison.smallest_detectable_ratio.map(percent_change);
    by_ratio.or_else(|| Some(difference(by_difference()?, comparison.metric.unit())))
}

/// The interval of the change, `[+88 %, +121 %]` or `[-1.2 MB, +3.4 MB]`; absent where there is none.
pub(crate) fn interval(comparison: &Comparison) -> Option<String> {
    if let Some(interval) = comparison.difference.and_then(|change| change.interval) {
        let bound = |bound| difference(bound, comparison.metric.unit());
        return Some(format!(
            "[{},{GAP}{}]",
            bound(interval.low),
            bound(interval.high)
        ));
    }
    let interval = comparison.interval?;
    Some(format!(
        "[{},{GAP}{}]",
        percent_change(interval.low),
        percent_change(interval.high)
    ))
}

/// What a guard does: CPU time alone never fails a build.
pub(crate) fn guards(metric: Metric) -> &'static str {
    match metric {
        Metric::CpuPerCall => "only warns",
        _ => "fails at 2x",
    }
}

/// A ratio as a signed change: 2.04 is `+104 %`, 0.5 is `-50 %`, 1.0004 is `0.0 %`.
pub(crate) fn percent_change(ratio: f64) -> String {
    format!("{}{GAP}%", signed((ratio - 1.0) * 100.0))
}

/// A fraction as an unsigned limit: 0.2 is `20 %`.
pub(crate) fn tolerance(fraction: f64) -> String {
    share(fraction)
}

/// A count with its noun, `1 round` or `5 rounds`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// How a value is shown that would not fit in a cell, or is none: `?`, `+∞`, `1.00e12`.
fn odd(value: f64) -> Option<String> {
    if value.is_nan() {
        Some("?".to_owned())
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+∞" } else { "-∞" }.to_owned())
    } else if value.abs() >= 1e7 {
        Some(format!("{value:.2e}"))
    } else {
        None
    }
}

/// One decimal below ten, none from ten on; a sign unless it rounds to nought.
fn signed(value: f64) -> String {
    if let Some(odd) = odd(value) {
        return odd;
    }
    if value.abs() < 0.05 {
        "0.0".to_owned()
    } else if value.abs() < 9.95 {
        format!("{value:+.1}")
    } else {
        format!("{value:+.0}")
    }
}

/// A fraction in percent, without trailing noughts.
fn share(fraction: f64) -> String {
    let percent = fraction * 100.0;
    if let Some(odd) = odd(percent) {
        return format!("{odd}{GAP}%");
    }
    let digits = if percent.abs() < 1.0 { 2 } else { 1 };
    let text = format!("{percent:.digits$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if percent > 0.0 && text == "0" {
        // A share that is not nought must not read as nought: one error in a million calls.
        return format!("under{GAP}0.01{GAP}%");
    }
    format!("{}{GAP}%", if text == "-0" { "0" } else { text })
}

fn rate(per_second: f64) -> String {
    if let Some(odd) = odd(per_second) {
        odd
    } else if per_second.abs() < 999.95 {
        format!("{per_second:.1}")
    } else {
        format!("{per_second:.0}")
    }
}

/// Three significant digits in the unit that leaves one to three digits before the point.
fn scaled(value: f64, units: &[&'static str]) -> String {
    let last = units.len().saturating_sub(1);
    let mut magnitude = value.abs();
    let mut index = 0;
    // 999.5 rounds to 1000, which belongs to the next unit.
    while magnitude >= 999.5 && index < last {
        magnitude /= 1000.0;
        index += 1;
    }
    if let Some(odd) = odd(magnitude.copysign(value)) {
        return format!(
            "{odd}{GAP}{}",
            units.get(index).copied().unwrap_or_default()
        );
    }
    let whole = index == 0 && magnitude.fract().abs() < 1e-9;
    let digits = if whole || magnitude >= 99.95 {
        0
    } else if magnitude >= 9.995 {
        1
    } else {
        2
    };
    let text = format!("{magnitude:.digits$}");
    let nought = text.chars().all(|c| matches!(c, '0' | '.'));
    let sign = if value < 0.0 && !nought { "-" } else { "" };
    let text = if nought { "0" } else { text.as_str() };
    format!(
        "{sign}{text}{GAP}{}",
        units.get(index).copied().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn figure(value: f64, unit: Unit) -> String {
        super::figure(value, unit).replace(GAP, " ")
    }

    fn percent_change(ratio: f64) -> String {
        super::percent_change(ratio).replace(GAP, " ")
    }

    #[test]
    fn times_have_three_significant_digits() {
        let table = [
            (0.0, "0 ns"),
            (0.004, "0 ns"),
            (850.0, "850 ns"),
            (1_230.0, "1.23 µs"),
            (999_499.0, "999 µs"),
            (999_500.0, "1.00 ms"),
            (1_900_000.0, "1.90 ms"),
            (9_996_000.0, "10.0 ms"),
            (12_340_000.0, "12.3 ms"),
            (99_960_000.0, "100 ms"),
            (3_200_000_000.0, "3.20 s"),
            (4_500_000_000_000.0, "4500 s"),
            (f64::NAN, "? ns"),
            (1e300, "1.00e291 s"),
        ];
        for (value, expected) in table {
            assert_eq!(figure(value, Unit::Nanoseconds), expected, "{value}");
        }
    }

    #[test]
    fn sizes_are_decimal_and_may_be_negative() {
        let table = [
            (512.0, "512 B"),
            (1_000.0, "1.00 kB"),
            (84_200_000.0, "84.2 MB"),
            (-1_500_000.0, "-1.50 MB"),
            (-0.001, "0 B"),
            (12.5, "12.5 B"),
        ];
        for (value, expected) in table {
            assert_eq!(figure(value, Unit::Bytes), expected, "{value}");
        }
    }

    #[test]
    fn changes_are_signed_percentages() {
        let table = [
            (2.04, "+104 %"),
            (1.0, "0.0 %"),
            (0.9996, "0.0 %"),
            (1.043, "+4.3 %"),
            (1.0996, "+10 %"),
            (0.5, "-50 %"),
            (11.0, "+1000 %"),
            (f64::INFINITY, "+∞ %"),
            (1e9, "1.00e11 %"),
        ];
        for (ratio, expected) in table {
            assert_eq!(percent_change(ratio), expected, "{ratio}");
        }
    }

    #[test]
    fn shares_and_rates() {
        assert_eq!(figure(0.0, Unit::Fraction), "0 %");
        assert_eq!(figure(0.2, Unit::Fraction), "20 %");
        assert_eq!(figure(0.125, Unit::Fraction), "12.5 %");
        assert_eq!(figure(0.0005, Unit::Fraction), "0.05 %");
        assert_eq!(figure(0.000_001, Unit::Fraction), "under 0.01 %");
        assert_eq!(figure(412.56, Unit::CallsPerSecond), "412.6/s");
        assert_eq!(figure(57_518.2, Unit::CallsPerSecond), "57518/s");
        assert_eq!(count(1, "round"), "1 round");
        assert_eq!(count(0, "round"), "0 rounds");
    }

    proptest! {
        /// Read back, a shown figure is within the rounding of three digits.
        #[test]
        fn a_shown_time_is_the_time(value in 1.0_f64..1e12) {
            let shown = figure(value, Unit::Nanoseconds);
            let (number, unit) = shown.split_once(' ').unwrap();
            let scale = match unit { "ns" => 1.0, "µs" => 1e3, "ms" => 1e6, _ => 1e9 };
            let back = number.parse::<f64>().unwrap() * scale;
            prop_assert!((back / value - 1.0).abs() < 0.0051, "{value} shown as {shown}");
        }

        #[test]
        fn no_figure_panics_or_grows_beyond_a_cell(value in any::<f64>()) {
            for unit in [Unit::Nanoseconds, Unit::Bytes, Unit::CallsPerSecond, Unit::Fraction] {
                let shown = figure(value, unit);
                prop_assert!(shown.chars().count() <= 14, "{shown}");
            }
            let shown = percent_change(value);
            prop_assert!(shown.chars().count() <= 14, "{shown}");
        }
    }
}
