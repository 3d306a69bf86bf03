//! What a user adds to the configuration so that what got worse on purpose no longer fails.

use std::fmt::Write as _;

use super::{AcceptIn, Report};
use crate::{
    gate::{Comparison, Metric, Role, Unit, Verdict, accepted_as, accepted_by},
    suite::AcceptedMetric,
};

/// Most entries that are written out.
const MOST: usize = 6;
/// Room for the noise of the next run, beyond what was measured.
const ROOM: f64 = 1.2;

/// One `[[accept]]`, before it has a reason.
struct Entry<'a> {
    scenario: &'a str,
    metric: AcceptedMetric,
    limit: Option<String>,
}

/// The entries as TOML, to be copied; `None` where nothing can be accepted.
pub(super) fn toml(report: &Report<'_>, to: &AcceptIn) -> Option<String> {
    let entries = entries(report);
    let mut text = String::new();
    for entry in entries.iter().take(MOST) {
        let Entry {
            scenario,
            metric,
            limit,
        } = entry;
        let limit = limit
            .as_ref()
            .map(|limit| format!("limit = {limit}\n"))
            .unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "[[accept]]\nscenario = {}\nmetric = \"{}\"\n{limit}reason = \"\"\nuntil = {}\n\n",
            quoted(scenario),
            metric.name(),
            to.until
        );
    }
    if entries.len() > MOST {
        let _ = writeln!(text, "# and {} more, written alike", entries.len() - MOST);
    }
    (!text.is_empty()).then(|| text.trim_end().to_owned())
}

fn entries<'a>(report: &Report<'a>) -> Vec<Entry<'a>> {
    let mut found: Vec<Entry<'a>> = Vec::new();
    let judgement = report.judgement;
    for record in &judgement.missing {
        let scenario = record.tool.as_deref().unwrap_or(&record.name);
        if found.iter().all(|entry| entry.scenario != scenario) {
            found.push(Entry {
                scenario,
                metric: AcceptedMetric::Removed,
                limit: None,
            });
        }
    }
    let modes = judgement.diagnoses.iter().filter_map(accepted_by);
    found.extend(modes.map(|(scenario, metric)| Entry {
        scenario,
        metric,
        limit: None,
    }));
    let rows: Vec<&Comparison> = judgement
        .comparisons
        .iter()
        .filter(|row| row.verdict == Verdict::Regressed && row.role != Role::Reported)
        .collect();
    for row in &rows {
        let Some(metric) = accepted_as(row.metric) else {
            continue;
        };
        let is_there =
            |entry: &Entry<'_>| (entry.scenario, entry.metric) == (&row.scenario, metric);
        if found.iter().any(is_there) {
            continue;
        }
        let of_both = rows
            .iter()
            .filter(|other| other.scenario == row.scenario)
            .filter(|other| accepted_as(other.metric) == Some(metric));
        let worst = of_both
            .filter_map(|row| row.candidate)
            .max_by(f64::total_cmp);
        found.extend(worst.map(|worst| Entry {
            scenario: &row.scenario,
            metric,
            limit: Some(limit(worst, row.metric)),
        }));
    }
    found
}

/// As the configuration reads it, with room, in few digits.
fn limit(worst: f64, metric: Metric) -> String {
    let units: &[(f64, &str)] = match metric.unit() {
        Unit::CallsPerSecond => {
            return format!("{:.0}", (worst / ROOM).floor().max(1.0));
        }
        Unit::Nanoseconds => &[(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")],
        Unit::Bytes | Unit::BytesPer1000Calls => {
            &[(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")]
        }
        Unit::Fraction => &[(1.0, "")],
    };
    let most = (worst * ROOM).max(1.0);
    let smallest = units.last().copied().unwrap_or((1.0, ""));
    let (size, unit) = units
        .iter()
        .copied()
        .find(|(size, _)| most >= 10.0 * size)
        .unwrap_or(smallest);
    format!("\"{:.0}{unit}\"", (most / size).ceil())
}

/// A TOML string of printable ASCII that means `text`, so that nothing in it can hide, turn around
/// or end the block that it stands in.
fn quoted(text: &str) -> String {
    let inner = text.chars().fold(String::new(), |mut out, c| {
        let is_plain = (' '..='~').contains(&c) && !matches!(c, '"' | '\\' | '<' | '`');
        // Writing to a string cannot fail.
        let _ = match c {
            _ if is_plain => write!(out, "{c}"),
            '"' | '\\' => write!(out, "\\{c}"),
            _ => write!(out, "\\U{:08X}", u32::from(c)),
        };
        out
    });
    format!("\"{inner}\"")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits_leave_room_and_are_read_by_the_configuration() {
        for (worst, metric, expected) in [
            (3.82e6, Metric::LatencyP50Adjusted, "\"4584us\""),
            (33.2e6, Metric::LatencyP50, "\"40ms\""),
            (136e6, Metric::PeakMemory, "\"164MB\""),
            (11.3e6, Metric::MemoryGrowth, "\"14MB\""),
            (3.0, Metric::MemoryGrowth, "\"4B\""),
            (665.8, Metric::Throughput, "554"),
            (0.5, Metric::Throughput, "1"),
        ] {
            assert_eq!(limit(worst, metric), expected, "{worst} {metric}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_name_is_read_as_it_was(name in ".{0,60}") {
            let line = format!("name = {}", quoted(&name));
            prop_assert!(line.chars().all(|c| (' '..='~').contains(&c)));
            let table: toml::Table = toml::from_str(&line).unwrap();
            prop_assert_eq!(table["name"].as_str(), Some(name.as_str()));
        }
    }
}
