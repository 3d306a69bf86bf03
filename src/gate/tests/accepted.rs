//! Regressions that somebody answers for.

use super::*;
use crate::{
    gate::{
        Finding, accept,
        test_support::{Fixture, SEQUENTIAL},
    },
    suite::{AcceptedMetric, AcceptedRegression},
};

fn entry(metric: AcceptedMetric, limit: f64) -> AcceptedRegression {
    AcceptedRegression {
        scenario: SEQUENTIAL.to_owned(),
        metric,
        limit: Some(limit),
        reason: "exact search needs it".to_owned(),
        until: "2027-01-31".to_owned(),
    }
}

/// Everything about the tool's sequential calls, up to these limits.
fn entries(limit_ns: f64) -> Vec<AcceptedRegression> {
    [
        AcceptedMetric::LatencyP50,
        AcceptedMetric::LatencyP95,
        AcceptedMetric::CpuPerCall,
    ]
    .map(|metric| entry(metric, limit_ns))
    .to_vec()
}

#[test]
fn only_what_was_accepted_no_longer_fails() {
    let base = Fixture::new().build();
    let slower = Fixture::new().slower(SEQUENTIAL, 2.0).build();
    let plain = judged(&base, &slower);
    assert_eq!((plain.verdict, plain.exit_code), (Verdict::Regressed, 1));
    let of = |entries: &[AcceptedRegression], today: &str| {
        accept(plain.clone(), entries, today, &GateConfig::default())
    };
    let says = |judgement: &Judgement, text: &str| {
        judgement.findings.iter().any(|f| f.text.contains(text))
    };
    let wide = 1e12;

    let taken = of(&entries(wide), "2027-01-31");
    assert_ne!(taken.verdict, Verdict::Regressed);
    assert_eq!(taken.exit_code, 0);
    assert!(says(
        &taken,
        "accepted until 2027-01-31: exact search needs it"
    ));
    let row = row(&taken, SEQUENTIAL, Metric::LatencyP50Adjusted);
    assert_eq!(
        (row.verdict, row.role),
        (Verdict::Regressed, Role::Reported)
    );

    let over = of(&entries(wide), "2027-02-01");
    assert_eq!((over.verdict, over.exit_code), (Verdict::Regressed, 1));
    assert!(says(&over, "was accepted, until 2027-01-31"));

    let beyond = of(&entries(1.0), "2027-01-01");
    assert_eq!(beyond.exit_code, 1);
    assert!(says(&beyond, "beyond the limit"));

    let another_metric = of(&[entry(AcceptedMetric::LatencyP95, wide)], "2027-01-01");
    assert_eq!(another_metric.exit_code, 1, "p50 was not accepted");

    let mut gone = entry(AcceptedMetric::LatencyP50, wide);
    gone.scenario = "gone/sequential".to_owned();
    let gone = of(&[gone], "2027-01-01");
    assert_eq!(gone.exit_code, 1);
    assert!(says(
        &gone,
        "names a scenario that there is not: gone/sequential"
    ));
    assert_eq!(of(&[], "2027-01-01"), plain);
}

#[test]
fn what_was_removed_on_purpose_no_longer_fails() {
    let base = Fixture::new().build();
    let without = Fixture::new()
        .with(|r| r.suite.scenarios.retain(|s| s.tool.is_none()))
        .build();
    let plain = judged(&base, &without);
    assert_eq!((plain.verdict, plain.exit_code), (Verdict::NotMeasured, 1));
    let of = |scenario: &str, today: &str| {
        let entry = AcceptedRegression {
            scenario: scenario.to_owned(),
            limit: None,
            ..entry(AcceptedMetric::Removed, 0.0)
        };
        accept(plain.clone(), &[entry], today, &GateConfig::default())
    };
    let failures = |judgement: &Judgement| -> Vec<String> {
        let failures = judgement.findings.iter();
        failures
            .filter(|finding| finding.severity == Severity::Failure)
            .filter_map(|finding| finding.scenario.clone())
            .collect()
    };

    let tool = of("search", "2027-01-31");
    assert_eq!((tool.exit_code, failures(&tool).len()), (0, 0));
    assert!(tool.missing.is_empty());
    let is_said = |f: &Finding| {
        f.text
            .contains("accepted until 2027-01-31: exact search needs it")
    };
    assert!(tool.findings.iter().any(is_said));

    let all = failures(&plain);
    let one = of(SEQUENTIAL, "2027-01-31");
    assert_eq!(one.exit_code, 1, "the others are missing still");
    assert_eq!(failures(&one).len(), all.len() - 1);

    assert_eq!(failures(&of("search", "2027-02-01")), all);
    assert_eq!(failures(&of("sear", "2027-01-31")), all);
}
