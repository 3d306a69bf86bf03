//! Scenarios that are new, vanished, never ran or never succeeded.

use super::*;
use crate::{
    error::exit_code,
    gate::test_support::{CONCURRENT, Fixture, SEQUENTIAL, SOAK, record},
    results::{ScenarioKind, Skipped},
    suite::InconclusivePolicy,
};

fn without(scenario: &str) -> Fixture {
    Fixture::new()
        .with(|r| r.suite.scenarios.retain(|s| s.name != scenario))
        .rounds(|r| {
            r.scenarios.remove(scenario);
        })
        .jobs(|j| {
            for soak in &mut j.soaks {
                soak.scenarios.remove(scenario);
            }
        })
}

#[test]
fn a_vanished_scenario_fails_until_accepted() {
    for scenario in ["list-tools", SEQUENTIAL, CONCURRENT, SOAK] {
        let j = judged(&Fixture::new().build(), &without(scenario).build());
        assert_eq!(
            (j.verdict, j.exit_code),
            (Verdict::NotMeasured, exit_code::REGRESSED),
            "{scenario}"
        );
        assert_eq!(
            findings(&j, Severity::Failure),
            [format!(
                "{scenario}: in the baseline, but not in this run: removed or renamed?"
            )]
        );
        assert!(j.comparisons.iter().any(|c| c.scenario == scenario
            && c.verdict == Verdict::NotMeasured
            && c.reason == "not in this run"
            && c.base.is_some()));
    }
}

#[test]
fn what_was_left_out_on_purpose_is_noted_unless_the_tools_changed() {
    for name in [SEQUENTIAL, "search"] {
        let left_out = without(SEQUENTIAL).with(|r| {
            r.suite.skipped.push(Skipped {
                name: name.to_owned(),
                reason: "not chosen by --scenario".to_owned(),
            });
        });
        let j = judged(&Fixture::new().build(), &left_out.clone().build());
        assert_eq!(
            findings(&j, Severity::Note),
            [
                "search/sequential: in the baseline, but left out of this run: not chosen by --scenario"
            ]
        );
        // The round did less, so memory cannot pass.
        assert_eq!((j.verdict, j.exit_code), (Verdict::Inconclusive, 0));
        let changed = left_out.with(|r| r.server.tool_list_hash = "other".to_owned());
        let j = judged(&Fixture::new().build(), &changed.build());
        assert_eq!(findings(&j, Severity::Doubt).len(), 1);
        assert_eq!(j.verdict, Verdict::Inconclusive);
    }
}

#[test]
fn a_new_scenario_never_blocks() {
    let j = judged(&without(SEQUENTIAL).build(), &Fixture::new().build());
    assert_eq!(
        (j.verdict, j.exit_code),
        (Verdict::Pass, 0),
        "{:?}",
        not_passed(&j)
    );
    let c = row(&j, SEQUENTIAL, Metric::LatencyP50);
    assert_eq!(
        (c.verdict, c.reason.as_str(), c.base),
        (Verdict::NotMeasured, "new: no baseline yet", None)
    );
    assert!(c.candidate.is_some());
    assert!(!has_row(&j, SEQUENTIAL, Metric::ErrorRate));
}

#[test]
fn a_declared_scenario_that_never_ran_fails() {
    let declared = |f: Fixture| {
        f.with(|r| {
            r.suite
                .scenarios
                .push(record("extra/sequential", ScenarioKind::Sequential, 100, 1));
        })
    };
    let never_called = declared(Fixture::new()).build();
    for base in [Fixture::new().build(), never_called.clone()] {
        let j = judged(&base, &never_called);
        assert_eq!(
            findings(&j, Severity::Failure),
            ["extra/sequential: declared, but not one call was made"]
        );
        assert_eq!((j.verdict, j.exit_code), (Verdict::NotMeasured, 1));
    }
    let j = judge_alone(&never_called, &GateConfig::default());
    assert_eq!((j.verdict, j.exit_code), (Verdict::NotMeasured, 1));
}

#[test]
fn a_scenario_where_nothing_succeeds_fails_and_says_why() {
    let broken = Fixture::new().all_fail(SEQUENTIAL).build();
    let j = judged(&Fixture::new().build(), &broken);
    assert_eq!((j.verdict, j.exit_code), (Verdict::Regressed, 1));
    assert_eq!(
        findings(&j, Severity::Failure),
        ["search/sequential: not one of 1000 calls succeeded; first error: tool-error: disk full"]
    );
    let c = row(&j, SEQUENTIAL, Metric::ErrorRate);
    assert_eq!(
        (c.verdict, c.reason.as_str(), c.candidate),
        (
            Verdict::Regressed,
            "no call succeeded; first error: tool-error: disk full",
            Some(1.0)
        )
    );
    // Broken before as well: still a failure, though no worse than before.
    let j = judged(&broken, &broken);
    assert_eq!((j.verdict, j.exit_code), (Verdict::NotMeasured, 1));
    assert_eq!(
        row(&j, SEQUENTIAL, Metric::ErrorRate).verdict,
        Verdict::NotMeasured
    );
    // Repaired.
    let j = judged(&broken, &Fixture::new().build());
    assert_eq!(
        row(&j, SEQUENTIAL, Metric::ErrorRate).verdict,
        Verdict::Improved
    );
    assert_eq!(j.exit_code, 0);
    let j = judge_alone(&broken, &GateConfig::default());
    assert_eq!((j.verdict, j.exit_code), (Verdict::NotMeasured, 1));
}

#[test]
fn a_tool_that_calls_an_outside_service_is_reported_only() {
    let outside = |f: Fixture| {
        f.with(|r| {
            let record = r.suite.scenarios.iter_mut().find(|s| s.name == SEQUENTIAL);
            record.unwrap().report_only = true;
        })
    };
    let slow = outside(Fixture::new().slower(SEQUENTIAL, 5.0)).build();
    let j = judged(&outside(Fixture::new()).build(), &slow);
    assert_eq!(
        (j.verdict, j.exit_code),
        (Verdict::Pass, 0),
        "{:?}",
        not_passed(&j)
    );
    let c = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted);
    assert_eq!((c.role, c.verdict), (Role::Reported, Verdict::Regressed));
    let down = outside(Fixture::new().all_fail(SEQUENTIAL)).build();
    let j = judged(&outside(Fixture::new()).build(), &down);
    assert_eq!((j.verdict, j.exit_code), (Verdict::Pass, 0));
    assert_eq!(findings(&j, Severity::Note).len(), 1);
}

#[test]
fn nothing_measured_is_its_own_exit_code() {
    let empty = [
        Fixture::new().with(|r| r.jobs.clear()).build(),
        Fixture::with_rounds(0).jobs(|j| j.soaks.clear()).build(),
        Fixture::new()
            .rounds(|r| r.scenarios.clear())
            .jobs(|j| j.soaks.clear())
            .build(),
        Fixture::new().with(|r| r.suite.scenarios.clear()).build(),
    ];
    for results in empty {
        let strict = GateConfig {
            inconclusive: InconclusivePolicy::Fail,
            ..GateConfig::default()
        };
        for j in [
            judged(&Fixture::new().build(), &results),
            judge_alone(&results, &strict),
            judge(&results, &results, &strict),
        ] {
            assert_eq!(
                (j.verdict, j.exit_code),
                (Verdict::NotMeasured, exit_code::NOT_MEASURED)
            );
            assert!(
                findings(&j, Severity::Failure)
                    .contains(&"nothing was measured: not one call was made".to_owned())
            );
        }
    }
}

#[test]
fn an_empty_baseline_is_inconclusive_and_says_what_to_do() {
    let empty = Fixture::new().with(|r| r.jobs.clear()).build();
    let j = judged(&empty, &Fixture::new().build());
    assert_eq!((j.verdict, j.exit_code), (Verdict::Inconclusive, 0));
    assert_eq!(
        findings(&j, Severity::Doubt),
        [
            "the baseline holds nothing that this run could be compared with; run `mcpgate baseline update` to accept these results"
        ]
    );
}

#[test]
fn a_scenario_without_figures_in_the_baseline_is_a_doubt() {
    let base = Fixture::new().rounds(|r| {
        r.scenarios.remove(SEQUENTIAL);
    });
    let j = judged(&base.build(), &Fixture::new().build());
    assert_eq!(j.verdict, Verdict::Inconclusive);
    assert_eq!(
        findings(&j, Severity::Doubt),
        [
            "search/sequential: the baseline declares it but holds no figures; run `mcpgate baseline update` to accept these results"
        ]
    );
}

#[test]
fn findings_come_heaviest_first() {
    let candidate = without(CONCURRENT)
        .errors(SEQUENTIAL, 1)
        .jobs(|j| j.incomplete = Some("time was up".to_owned()));
    let j = judged(&Fixture::new().build(), &candidate.build());
    let weights: Vec<Severity> = j.findings.iter().map(|f| f.severity).collect();
    assert_eq!(
        weights,
        [Severity::Failure, Severity::Doubt, Severity::Note]
    );
}
