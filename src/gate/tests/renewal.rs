//! When the baseline of the main branch moves.

use super::*;
use crate::{
    gate::{
        renewal::{Renewal, renewal, still_waits},
        test_support::{Fixture, SEQUENTIAL},
    },
    results::Acceptance,
    suite::{AcceptedMetric, AcceptedRegression},
};

fn renewed(
    baseline: Option<&Results>,
    pending: Option<&Results>,
    results: &Results,
    accepted: &[AcceptedRegression],
) -> Renewal {
    let policy = GateConfig::default();
    renewal(
        baseline,
        pending,
        results,
        &policy,
        (accepted, "2026-11-01"),
    )
}

#[test]
fn a_baseline_moves_only_for_a_reason_that_lasts() {
    let base = Fixture::new().build();
    let same = Fixture::new().build();
    let faster = Fixture::new().slower(SEQUENTIAL, 0.5).build();
    let fastest = Fixture::new().slower(SEQUENTIAL, 0.2).build();
    let slower = Fixture::new().slower(SEQUENTIAL, 2.0).build();
    let mut other_tools = same.clone();
    other_tools.server.tool_list_hash = "another".to_owned();
    let mut broken = same.clone();
    broken.jobs[0].incomplete = Some("interrupted".to_owned());

    assert!(matches!(
        renewed(None, None, &same, &[]),
        Renewal::Replaced(_)
    ));
    assert_eq!(renewed(Some(&base), None, &same, &[]), Renewal::Unchanged);
    assert!(matches!(
        renewed(Some(&base), None, &other_tools, &[]),
        Renewal::Replaced(_)
    ));
    for bad in [&slower, &broken] {
        assert!(matches!(
            renewed(Some(&base), None, bad, &[]),
            Renewal::Refused(_)
        ));
    }
    assert!(matches!(
        renewed(None, None, &broken, &[]),
        Renewal::Refused(_)
    ));

    // An improvement has to be seen twice.
    assert!(matches!(
        renewed(Some(&base), None, &faster, &[]),
        Renewal::Pending(_)
    ));
    assert!(matches!(
        renewed(Some(&base), Some(&faster), &faster, &[]),
        Renewal::Replaced(_)
    ));
    // What was seen the first time was luck.
    assert!(matches!(
        renewed(Some(&base), Some(&fastest), &faster, &[]),
        Renewal::Pending(_)
    ));
    assert_eq!(
        renewed(Some(&base), Some(&faster), &same, &[]),
        Renewal::Unchanged
    );
}

#[test]
fn an_accepted_regression_becomes_the_baseline() {
    let base = Fixture::new().build();
    let slower = Fixture::new().slower(SEQUENTIAL, 2.0).build();
    let entry = |metric| AcceptedRegression {
        scenario: SEQUENTIAL.to_owned(),
        metric,
        limit: Some(1e12),
        reason: "exact search".to_owned(),
        until: "2026-12-01".to_owned(),
    };
    let all = [
        AcceptedMetric::LatencyP50,
        AcceptedMetric::LatencyP95,
        AcceptedMetric::CpuPerCall,
    ]
    .map(entry);
    let Renewal::Replaced(reasons) = renewed(Some(&base), None, &slower, &all) else {
        panic!("{:?}", renewed(Some(&base), None, &slower, &all));
    };
    assert!(
        reasons[0].contains("accepted until 2026-12-01: exact search"),
        "{reasons:?}"
    );
    assert!(matches!(
        renewed(Some(&base), None, &slower, &all[..1]),
        Renewal::Refused(_)
    ));
}

#[test]
fn a_proposal_waits_until_a_later_baseline_is_accepted() {
    let accepted = |at: Option<&str>, slower: f64| {
        let mut results = Fixture::new().slower(SEQUENTIAL, slower).build();
        results.accepted = at.map(|at| Acceptance {
            at: at.to_owned(),
            forced_over: Vec::new(),
        });
        results
    };
    let (early, late) = (Some("2026-11-01T10:00:00Z"), Some("2026-11-02T10:00:00Z"));
    let proposed = accepted(late, 0.5);
    assert!(still_waits(&proposed, None));
    for (baseline, waits) in [
        (accepted(early, 1.0), true),
        (accepted(late, 1.0), false),
        (proposed.clone(), false),
        // Of a hand-made baseline it is not known when it was accepted.
        (accepted(None, 1.0), true),
    ] {
        assert_eq!(still_waits(&proposed, Some(&baseline)), waits);
    }
    assert!(!still_waits(
        &accepted(early, 0.5),
        Some(&accepted(late, 1.0))
    ));
}
