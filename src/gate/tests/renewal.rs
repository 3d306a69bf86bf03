//! When the baseline of the main branch moves.

use super::*;
use crate::{
    gate::{
        renewal::{Renewal, renewal},
        test_support::{Fixture, SEQUENTIAL},
    },
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
