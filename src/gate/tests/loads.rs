//! Loads, which are reported, and what the figures say of mcpgate and of the server beside.

use super::*;
use crate::{
    error::exit_code,
    gate::{
        BudgetOutcome,
        test_support::{CONCURRENT, Fixture, record},
    },
    results::{LoadSample, Sample, ScenarioKind},
    suite::Budgets,
};

const LOAD: &str = "ramp";

/// With a load in which so many of 1,000 calls failed.
fn with_load(failed: u32) -> Fixture {
    Fixture::new()
        .with(|r| {
            let record = record(LOAD, ScenarioKind::Load, 0, 20);
            r.suite.scenarios.push(record);
        })
        .jobs(move |job| {
            let whole = Sample {
                calls: 1_000,
                successes: 1_000 - failed,
                errors: [("timeout".to_owned(), failed)].into(),
                duration_ns: 1_000_000_000,
                wall: None,
                adjusted: None,
                first_byte: None,
                cpu_per_call_ns: None,
                delayed_last_bytes: 0,
                wall_histogram_ns: None,
                adjusted_histogram_ns: None,
                slow_calls: Vec::new(),
                client_cpu_ns: None,
            };
            let load = LoadSample {
                whole,
                dropped: 0,
                interrupted: 0,
                most_in_flight: 20,
                connecting: None,
                send_lag: None,
                peak_memory_bytes: None,
                memory: Vec::new(),
                outside_load_cores: None,
                steal_cores: None,
                stages: Vec::new(),
            };
            job.loads.insert(LOAD.to_owned(), load);
        })
}

#[test]
fn errors_under_a_load_warn_unless_a_budget_is_set() {
    let base = with_load(0).build();
    let candidate = with_load(300).build();
    let j = judged(&base, &candidate);
    assert_eq!((j.verdict, j.exit_code), (Verdict::Pass, exit_code::OK));
    let error_rate = row(&j, LOAD, Metric::ErrorRate);
    assert_eq!(error_rate.role, Role::Reported);
    assert_eq!(error_rate.verdict, Verdict::Regressed);
    let budget = |j: &Judgement| {
        let mut budgets = j.budgets.iter();
        budgets.find(|b| b.scenario == LOAD).cloned().unwrap()
    };
    let default = budget(&j);
    assert_eq!(
        (default.outcome, default.binding),
        (BudgetOutcome::Broken, false)
    );
    let policy = GateConfig {
        budget: Budgets {
            error_rate: Some(0.05),
            ..Budgets::default()
        },
        ..GateConfig::default()
    };
    let j = judge(&base, &candidate, &policy);
    assert!(budget(&j).binding);
    assert_eq!(j.exit_code, exit_code::REGRESSED);
}

#[test]
fn a_load_in_which_nothing_worked_or_that_never_ran_is_no_pass() {
    let j = judge_alone(&with_load(1_000).build(), &GateConfig::default());
    assert_eq!(j.exit_code, exit_code::REGRESSED);
    assert_eq!(
        findings(&j, Severity::Failure),
        ["ramp: not one of 1000 calls succeeded"]
    );
    let never_ran = with_load(0).jobs(|job| job.loads.clear());
    let j = judge_alone(&never_ran.clone().build(), &GateConfig::default());
    assert_eq!(j.exit_code, exit_code::REGRESSED);
    // A run that was cut short says so, and does not blame the load.
    let cut = never_ran.jobs(|job| job.incomplete = Some("max-time was used up".to_owned()));
    let j = judge_alone(&cut.build(), &GateConfig::default());
    assert_eq!(findings(&j, Severity::Failure), [""; 0]);
    let doubts = findings(&j, Severity::Doubt);
    assert!(
        doubts.contains(&"ramp: not one call was made: the run ended before it".to_owned()),
        "{doubts:?}"
    );
}

#[test]
fn what_mcpgate_itself_could_not_keep_up_with_is_no_regression() {
    let base = Fixture::new().build();
    let slower = |client_percent: u64| {
        let slower = Fixture::new().slower(CONCURRENT, 2.0).confirm(5);
        let slower = slower.phase(crate::results::Phase::Confirm, |round| {
            let sample = round.scenarios.get_mut(CONCURRENT).unwrap();
            crate::gate::test_support::scale_sample(sample, 2.0);
        });
        slower.samples(CONCURRENT, move |sample| {
            sample.client_cpu_ns = Some(sample.duration_ns * client_percent / 100);
        })
    };
    let j = judged(&base, &slower(89).build());
    assert_eq!(
        row(&j, CONCURRENT, Metric::LatencyP50).verdict,
        Verdict::Regressed
    );
    assert_eq!(findings(&j, Severity::Note), [""; 0]);
    let j = judged(&base, &slower(97).build());
    for metric in [Metric::LatencyP50, Metric::Throughput, Metric::LatencyP95] {
        let row = row(&j, CONCURRENT, metric);
        assert_eq!(row.verdict, Verdict::Inconclusive, "{metric:?}");
    }
    let reason = &row(&j, CONCURRENT, Metric::LatencyP50).reason;
    assert!(
        reason.starts_with("mcpgate itself was busy for 97 % of the time"),
        "{reason}"
    );
    assert_eq!(
        findings(&j, Severity::Note),
        [format!(
            "{CONCURRENT}: mcpgate itself was busy for 97 % of the time, so this is its limit and \
             not the server's"
        )]
    );
}
