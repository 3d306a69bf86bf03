//! `[suite]` and `[gate]`.

use std::time::Duration;

use super::{
    reader::Table,
    values::{self, Zero},
};
use crate::{
    results::Sessions,
    suite::{Budgets, Floors, GateConfig, InconclusivePolicy, SuiteConfig, SuiteSize, Tolerances},
};

pub(super) fn read_suite(mut table: Table<'_, '_>) -> SuiteConfig {
    let default = SuiteConfig::default();
    let config = SuiteConfig {
        size: table
            .get("size")
            .and_then(|entry| {
                entry.choice(&[
                    ("quick", SuiteSize::Quick),
                    ("standard", SuiteSize::Standard),
                    ("deep", SuiteSize::Deep),
                ])
            })
            .unwrap_or_default(),
        rounds: table.get("rounds").and_then(|entry| entry.count(1..=200)),
        calls: table
            .get("calls")
            .and_then(|entry| entry.count(1..=100_000)),
        concurrency: table
            .get("concurrency")
            .and_then(|entry| entry.count(1..=1_000))
            .unwrap_or(default.concurrency),
        sessions: table
            .get("sessions")
            .and_then(|entry| {
                entry.choice(&[("each", Sessions::Each), ("shared", Sessions::Shared)])
            })
            .unwrap_or_default(),
        soak_calls: table
            .get("soak-calls")
            .and_then(|entry| entry.count(0..=100_000)),
        loads: table
            .get("loads")
            .and_then(|entry| entry.choice(&[("standard", true), ("none", false)]))
            .unwrap_or(default.loads),
        max_time: table
            .get("max-time")
            .and_then(|entry| values::duration(&entry, Zero::Refused))
            .unwrap_or(default.max_time),
        seed: table
            .get("seed")
            .and_then(|entry| entry.integer(0..=i64::MAX.unsigned_abs()))
            .unwrap_or(default.seed),
    };
    table.finish(&[]);
    config
}

pub(super) fn read_gate(mut table: Table<'_, '_>) -> GateConfig {
    let config = GateConfig {
        calibration: None,
        tolerance: table
            .get("tolerance")
            .and_then(|entry| {
                entry.table(
                    "`tolerance`",
                    "write it as tolerance = { latency_p95 = \"20%\" }",
                )
            })
            .map_or_else(Tolerances::default, read_tolerances),
        floor: table
            .get("floor")
            .and_then(|entry| {
                entry.table("`floor`", "write it as floor = { latency_p95 = \"1ms\" }")
            })
            .map_or_else(Floors::default, read_floors),
        budget: table
            .get("budget")
            .and_then(|entry| {
                entry.table(
                    "`budget`",
                    "write it as budget = { latency_p95 = \"500ms\" }",
                )
            })
            .map_or_else(Budgets::default, read_budgets),
        inconclusive: table
            .get("inconclusive")
            .and_then(|entry| {
                entry.choice(&[
                    ("pass", InconclusivePolicy::Pass),
                    ("warn", InconclusivePolicy::Warn),
                    ("fail", InconclusivePolicy::Fail),
                ])
            })
            .unwrap_or_default(),
        baseline_jobs: table
            .get("baseline-jobs")
            .and_then(|entry| entry.count(1..=50)),
    };
    table.finish(&[]);
    config
}

fn read_tolerances(mut table: Table<'_, '_>) -> Tolerances {
    let default = Tolerances::default();
    let mut tolerance = |key, otherwise| {
        table
            .get(key)
            .and_then(|entry| values::percentage(&entry, 1.0..=1_000.0))
            .unwrap_or(otherwise)
    };
    let config = Tolerances {
        latency_p50: tolerance("latency_p50", default.latency_p50),
        latency_p95: tolerance("latency_p95", default.latency_p95),
        throughput: tolerance("throughput", default.throughput),
        startup: tolerance("startup", default.startup),
        peak_memory: tolerance("peak_memory", default.peak_memory),
    };
    table.finish(&[]);
    config
}

fn read_floors(mut table: Table<'_, '_>) -> Floors {
    let default = Floors::default();
    let time = |table: &mut Table<'_, '_>, key, otherwise| {
        table
            .get(key)
            .and_then(|entry| values::duration(&entry, Zero::Allowed))
            .unwrap_or(otherwise)
    };
    let size = |table: &mut Table<'_, '_>, key, otherwise| {
        table
            .get(key)
            .and_then(|entry| values::bytes(&entry, Zero::Allowed))
            .unwrap_or(otherwise)
    };
    let config = Floors {
        latency_p50: time(&mut table, "latency_p50", default.latency_p50),
        latency_p95: time(&mut table, "latency_p95", default.latency_p95),
        startup: time(&mut table, "startup", default.startup),
        peak_memory_bytes: size(&mut table, "peak_memory", default.peak_memory_bytes),
        memory_growth_per_1000_calls_bytes: size(
            &mut table,
            "memory_growth_per_1000_calls",
            default.memory_growth_per_1000_calls_bytes,
        ),
    };
    table.finish(&[]);
    config
}

fn read_budgets(mut table: Table<'_, '_>) -> Budgets {
    let time = |table: &mut Table<'_, '_>, key| -> Option<Duration> {
        table
            .get(key)
            .and_then(|entry| values::duration(&entry, Zero::Refused))
    };
    let size = |table: &mut Table<'_, '_>, key| {
        table
            .get(key)
            .and_then(|entry| values::bytes(&entry, Zero::Refused))
    };
    let config = Budgets {
        error_rate: table
            .get("error_rate")
            .and_then(|entry| values::percentage(&entry, 0.0..=100.0)),
        latency_p50: time(&mut table, "latency_p50"),
        latency_p95: time(&mut table, "latency_p95"),
        startup: time(&mut table, "startup"),
        peak_memory_bytes: size(&mut table, "peak_memory"),
        memory_growth_per_1000_calls_bytes: size(&mut table, "memory_growth_per_1000_calls"),
    };
    table.finish(&[]);
    config
}
