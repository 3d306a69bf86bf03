//! Histories for the tests of this room and of the reports.

use std::collections::BTreeMap;

use super::entry::{Entry, Figures, Machine, SCHEMA_VERSION};

/// The usual machine.
pub(crate) fn machine() -> Machine {
    Machine {
        os: "linux".to_owned(),
        arch: "x86_64".to_owned(),
        cpu_model: "AMD EPYC".to_owned(),
        cores: 2,
        container_cpu_limit_millicores: None,
        reference_work_ns: Some(5_000_000),
    }
}

/// The run of a day, with no figures.
pub(crate) fn run(day: usize) -> Entry {
    Entry {
        schema_version: SCHEMA_VERSION,
        at: format!("2026-{:02}-{:02}T12:00:00Z", 1 + day / 28, 1 + day % 28),
        commit: Some(format!("{day:02x}c0ffee{:032x}", 0)),
        seed: day as u64,
        mcpgate_version: "0.1.0".to_owned(),
        machine: machine(),
        transport: "stdio".to_owned(),
        protocol_version: "2026-07-28".to_owned(),
        attached: false,
        suite_hash: "5017e".to_owned(),
        memory_measure: Some("high-water mark".to_owned()),
        scenarios: BTreeMap::new(),
    }
}

/// Runs, a day each, of one tool whose p50 takes these milliseconds.
pub(crate) fn runs(p50_ms: &[f64]) -> Vec<Entry> {
    (0..)
        .zip(p50_ms)
        .map(|(day, ms)| with_p50(run(day), "search/sequential", *ms))
        .collect()
}

/// The same run with a p50, adjusted and not.
pub(crate) fn with_p50(mut entry: Entry, scenario: &str, ms: f64) -> Entry {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a test's own figures"
    )]
    let ns = (ms * 1e6) as u64;
    let figures = entry.scenarios.entry(scenario.to_owned());
    let figures = figures.or_insert_with(|| Figures {
        definition_hash: Some("d1".to_owned()),
        rounds: 10,
        ..Figures::default()
    });
    figures.latency_p50_adjusted_ns = Some(ns);
    figures.latency_p50_ns = Some(ns + 50_000);
    entry
}

/// A noise of at most 1 %, the same each time.
pub(crate) fn wobble(n: usize) -> f64 {
    1.0 + [0.0, 0.006, -0.008, 0.003, -0.004, 0.01, -0.002][n % 7]
}
