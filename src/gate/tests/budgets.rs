//! Absolute limits and the exit code that they amount to.

use std::time::Duration;

use super::*;
use crate::{
    error::exit_code,
    gate::{
        BudgetCheck, BudgetOutcome,
        test_support::{CONCURRENT, Fixture, SEQUENTIAL, SOAK},
    },
    results::Measure,
    suite::{Budgets, InconclusivePolicy},
};

fn policy(budget: Budgets) -> GateConfig {
    GateConfig {
        budget,
        ..GateConfig::default()
    }
}

fn check<'a>(j: &'a Judgement, scenario: &str, metric: Metric) -> &'a BudgetCheck {
    j.budgets
        .iter()
        .find(|b| b.scenario == scenario && b.metric == metric)
        .unwrap_or_else(|| panic!("no budget for {scenario} {metric} in {:#?}", j.budgets))
}

#[test]
fn default_budgets_warn_but_for_the_error_rate() {
    let held = BudgetOutcome::Held;
    let j = judge_alone(&Fixture::new().build(), &GateConfig::default());
    let limits: Vec<(&str, Metric, f64, BudgetOutcome, bool)> = j
        .budgets
        .iter()
        .map(|b| (b.scenario.as_str(), b.metric, b.limit, b.outcome, b.binding))
        .collect();
    assert_eq!(
        limits,
        [
            ("handshake", Metric::ErrorRate, 0.01, held, true),
            ("list-tools", Metric::ErrorRate, 0.01, held, true),
            (SEQUENTIAL, Metric::LatencyP50, 1e8, held, false),
            (SEQUENTIAL, Metric::LatencyP95, 5e8, held, false),
            (SEQUENTIAL, Metric::ErrorRate, 0.01, held, true),
            (CONCURRENT, Metric::ErrorRate, 0.01, held, true),
            (SOAK, Metric::ErrorRate, 0.01, held, true),
            (SOAK, Metric::MemoryGrowth, 1e7, held, false),
        ]
    );
    assert_eq!((j.verdict, j.exit_code), (Verdict::Pass, 0));
    assert!(j.comparisons.is_empty() && j.findings.is_empty());

    let bad = Fixture::new()
        .slower(SEQUENTIAL, 30.0)
        .growth(&[20e3, 21e3, 22e3]);
    let j = judge_alone(&bad.build(), &GateConfig::default());
    for check in &j.budgets {
        let is_broken = check.outcome == BudgetOutcome::Broken;
        assert_eq!(is_broken, check.metric != Metric::ErrorRate, "{check:?}");
    }
    assert_eq!((j.verdict, j.exit_code), (Verdict::Pass, exit_code::OK));

    let failing = Fixture::new().errors(CONCURRENT, 60).build();
    let j = judge_alone(&failing, &GateConfig::default());
    assert_eq!(j.exit_code, exit_code::REGRESSED);
}

#[test]
fn a_tool_that_calls_an_outside_service_has_wider_defaults_that_only_warn() {
    let outside = Fixture::new()
        .slower(SEQUENTIAL, 500.0)
        .with(|r| r.suite.scenarios[2].report_only = true);
    let j = judge_alone(
        &outside.build(),
        &policy(Budgets {
            latency_p50: Some(Duration::from_millis(1)),
            ..Budgets::default()
        }),
    );
    let c = check(&j, SEQUENTIAL, Metric::LatencyP50);
    assert_eq!(
        (c.limit, c.binding, c.outcome),
        (5e8, false, BudgetOutcome::Broken)
    );
    let c = check(&j, SEQUENTIAL, Metric::LatencyP95);
    assert_eq!((c.limit, c.outcome), (2e9, BudgetOutcome::Broken));
    // Held for the tool under load, which gates and has the user's limit.
    assert!(check(&j, CONCURRENT, Metric::LatencyP50).binding);
}

#[test]
fn a_budget_that_the_user_set_fails_when_broken_for_sure() {
    let ms = |v: u64| Some(Duration::from_micros(v * 10));
    // Typical p50 10.2 ms wall; the spread of 4 % over ten rounds leaves about 2 %.
    for (limit, outcome, code) in [
        (2_000, BudgetOutcome::Held, 0),
        (1_025, BudgetOutcome::Held, 0),
        (1_010, BudgetOutcome::Near, 0),
        (950, BudgetOutcome::Broken, 1),
    ] {
        let j = judge_alone(
            &Fixture::new()
                .with(|r| r.suite.scenarios[3].report_only = true)
                .build(),
            &policy(Budgets {
                latency_p50: ms(limit),
                ..Budgets::default()
            }),
        );
        let c = check(&j, SEQUENTIAL, Metric::LatencyP50);
        assert_eq!((c.outcome, c.binding), (outcome, true), "{limit}: {c:?}");
        assert_eq!(j.exit_code, code, "{limit}");
        assert_eq!(j.verdict, Verdict::Pass, "budgets are judged apart");
    }
}

#[test]
fn every_kind_of_budget() {
    let bad = Fixture::new()
        .growth(&[20e3, 21e3, 22e3])
        .errors(SEQUENTIAL, 100)
        .build();
    let small = Budgets {
        error_rate: Some(0.01),
        latency_p50: None,
        latency_p95: Some(Duration::from_millis(5)),
        startup: Some(Duration::from_millis(100)),
        peak_memory_bytes: Some(50_000_000),
        memory_growth_per_1000_calls_bytes: Some(5_000_000),
    };
    let j = judge_alone(&bad, &policy(small));
    for (scenario, metric) in [
        ("server", Metric::Startup),
        ("server", Metric::PeakMemory),
        (SEQUENTIAL, Metric::LatencyP95),
        (SEQUENTIAL, Metric::ErrorRate),
        (CONCURRENT, Metric::LatencyP95),
        (SOAK, Metric::MemoryGrowth),
    ] {
        let c = check(&j, scenario, metric);
        assert_eq!(
            (c.outcome, c.binding),
            (BudgetOutcome::Broken, true),
            "{c:?}"
        );
    }
    assert_eq!(
        check(&j, CONCURRENT, Metric::ErrorRate).outcome,
        BudgetOutcome::Held
    );
    assert_eq!(j.exit_code, exit_code::REGRESSED);
}

#[test]
fn one_error_in_a_hundred_does_not_break_one_percent() {
    for (calls, failed, outcome) in [
        (100, 0, BudgetOutcome::Held),
        (100, 1, BudgetOutcome::Held),
        (100, 2, BudgetOutcome::Near),
        (100, 8, BudgetOutcome::Broken),
        (10, 1, BudgetOutcome::Near),
    ] {
        let results = Fixture::with_rounds(1)
            .samples(CONCURRENT, |s| {
                s.calls = calls;
                s.successes = calls;
            })
            .errors(CONCURRENT, failed)
            .build();
        let j = judge_alone(
            &results,
            &policy(Budgets {
                error_rate: Some(0.01),
                ..Budgets::default()
            }),
        );
        let c = check(&j, CONCURRENT, Metric::ErrorRate);
        assert_eq!(c.outcome, outcome, "{failed} of {calls}: {c:?}");
    }
}

#[test]
fn a_single_round_must_be_far_over() {
    for (limit_ms, outcome) in [(9, BudgetOutcome::Near), (4, BudgetOutcome::Broken)] {
        let j = judge_alone(
            &Fixture::with_rounds(1).build(),
            &policy(Budgets {
                latency_p50: Some(Duration::from_millis(limit_ms)),
                ..Budgets::default()
            }),
        );
        assert_eq!(check(&j, SEQUENTIAL, Metric::LatencyP50).outcome, outcome);
    }
}

#[test]
fn a_budget_that_could_not_be_checked_is_a_doubt() {
    let blind = Fixture::new()
        .rounds(|r| r.peak_memory_bytes = None)
        .jobs(|j| {
            j.memory_measure = Measure::NotMeasured("attached".to_owned());
        });
    let mut policy = policy(Budgets {
        peak_memory_bytes: Some(1),
        ..Budgets::default()
    });
    let results = blind.build();
    let j = judge_alone(&results, &policy);
    assert_eq!(
        check(&j, "server", Metric::PeakMemory).outcome,
        BudgetOutcome::NotMeasured
    );
    assert_eq!(
        findings(&j, Severity::Doubt),
        ["the budget of peak_memory could not be checked, there is no figure: server"]
    );
    assert_eq!((j.verdict, j.exit_code), (Verdict::Inconclusive, 0));
    policy.inconclusive = InconclusivePolicy::Fail;
    assert_eq!(
        judge_alone(&results, &policy).exit_code,
        exit_code::INCONCLUSIVE
    );
}

#[test]
fn exit_code_one_beats_four() {
    let strict = |budget| GateConfig {
        inconclusive: InconclusivePolicy::Fail,
        ..policy(budget)
    };
    let undecided = Fixture::new().slower(SEQUENTIAL, 1.2).build();
    let base = Fixture::new().build();
    let broken = Budgets {
        startup: Some(Duration::from_millis(1)),
        ..Budgets::default()
    };
    for (candidate, policy, code) in [
        (&undecided, strict(Budgets::default()), 4),
        (&undecided, strict(broken.clone()), 1),
        (&undecided, GateConfig::default(), 0),
        (
            &undecided,
            GateConfig {
                inconclusive: InconclusivePolicy::Pass,
                ..GateConfig::default()
            },
            0,
        ),
        (&base, strict(Budgets::default()), 0),
        (&base, policy(broken), 1),
    ] {
        assert_eq!(judge(&base, candidate, &policy).exit_code, code);
    }
}
