//! `[[accept]]`.

use toml::de::DeValue;

use super::{
    reader::{Entry, Table},
    values::{self, Zero},
};
use crate::suite::{AcceptedMetric, AcceptedRegression, diagnostics::Diagnostic};

const HELP: &str = "write each accepted regression as an [[accept]] section with `scenario`, \
                    `metric`, `limit`, `reason` and `until`";
const UNTIL_HELP: &str = "write a date without quotes, such as until = 2027-01-31";

pub(super) fn read(entry: &Entry<'_, '_>) -> Vec<AcceptedRegression> {
    if entry.value().as_table().is_some() {
        entry.cx().report(
            Diagnostic::new(
                entry.key_span(),
                "`accept` must be an array of tables",
                "one table",
            )
            .help("write [[accept]] with two brackets on each side"),
        );
        return Vec::new();
    }
    entry
        .elements(HELP)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|element| read_one(element.table("[[accept]]", HELP)?))
        .collect()
}

fn read_one(mut table: Table<'_, '_>) -> Option<AcceptedRegression> {
    let scenario = table.require(
        "scenario",
        "name it as the report does: scenario = \"search/sequential\", or \"server\"",
    );
    let metric = table.require("metric", "such as metric = \"latency_p95\"");
    let words = AcceptedMetric::EVERY.map(|metric| (metric.name(), metric));
    let metric = metric.and_then(|entry| entry.choice(&words));
    let unlimited = metric.and_then(|metric| match metric {
        AcceptedMetric::Removed => Some("what is removed has no limit"),
        AcceptedMetric::FailureMode(_) => Some("a failure mode has no limit"),
        _ => None,
    });
    let limit = if let Some(why) = unlimited {
        if let Some(limit) = table.get("limit") {
            limit.refuse(why, "not with this `metric`", "leave this line out");
        }
        Some(None)
    } else {
        let limit = table.require(
            "limit",
            "what the metric may reach until then, such as limit = \"12ms\"",
        );
        metric
            .zip(limit)
            .and_then(|(metric, entry)| read_limit(metric, &entry))
            .map(Some)
    };
    let reason = table.require(
        "reason",
        "why it is worth it: whoever reads the report sees it",
    );
    let until = table.require("until", UNTIL_HELP);
    table.finish(&[]);

    let scenario = scenario.and_then(|e| e.filled_string("name a scenario").map(str::to_owned));
    let reason = reason.and_then(|e| e.filled_string("say why in a sentence").map(str::to_owned));
    let until = until.and_then(|entry| read_until(&entry));
    Some(AcceptedRegression {
        scenario: scenario?,
        metric: metric?,
        limit: limit?,
        reason: reason?,
        until: until?,
    })
}

fn read_limit(metric: AcceptedMetric, entry: &Entry<'_, '_>) -> Option<f64> {
    match metric {
        AcceptedMetric::LatencyP50
        | AcceptedMetric::LatencyP95
        | AcceptedMetric::Startup
        | AcceptedMetric::CpuPerCall => {
            values::duration(entry, Zero::Refused).map(|limit| limit.as_nanos() as f64)
        }
        AcceptedMetric::PeakMemory | AcceptedMetric::MemoryGrowth => {
            values::bytes(entry, Zero::Refused).map(|limit| limit as f64)
        }
        AcceptedMetric::Throughput => entry
            .integer(1..=100_000_000)
            .map(|calls_per_second| calls_per_second as f64),
        AcceptedMetric::Removed | AcceptedMetric::FailureMode(_) => None,
    }
}

fn read_until(entry: &Entry<'_, '_>) -> Option<String> {
    let date = match entry.value() {
        DeValue::Datetime(when) if when.time.is_none() => when.date,
        _ => None,
    };
    if date.is_none() {
        entry.wrong_type("a date", UNTIL_HELP);
    }
    date.map(|date| date.to_string())
}
