//! Error rates.

use super::*;
use crate::gate::{
    alarmed_scenarios,
    test_support::{Fixture, SEQUENTIAL},
};

#[test]
fn error_rates_are_judged_with_both_intervals() {
    // 1,000 calls a side.
    for (base, candidate, expected) in [
        (0, 0, Verdict::Pass),
        (0, 1, Verdict::Pass),
        (1, 0, Verdict::Pass),
        (0, 2, Verdict::Pass),
        (0, 3, Verdict::Inconclusive),
        (0, 6, Verdict::Inconclusive),
        (0, 20, Verdict::Regressed),
        (20, 0, Verdict::Improved),
        (50, 52, Verdict::Pass),
        (50, 99, Verdict::Regressed),
    ] {
        let j = judged(
            &Fixture::new().errors(SEQUENTIAL, base).build(),
            &Fixture::new().errors(SEQUENTIAL, candidate).build(),
        );
        let c = row(&j, SEQUENTIAL, Metric::ErrorRate);
        assert_eq!(c.verdict, expected, "{base} {candidate} {c:?}");
        assert_eq!(c.candidate, Some(f64::from(candidate) / 1000.0));
        if candidate > 0 {
            assert!(
                c.reason.contains("; first error: tool-error: disk full"),
                "{}",
                c.reason
            );
        }
    }
    // Errors are not settled by the fresh rounds of the latency's confirmation.
    let j = judged(
        &Fixture::new().build(),
        &Fixture::new().errors(SEQUENTIAL, 50).build(),
    );
    assert!(!alarmed_scenarios(&j).contains(SEQUENTIAL));
}

#[test]
fn one_error_is_never_a_regression() {
    let many = |calls: u32| {
        Fixture::new().samples(SEQUENTIAL, |s| {
            s.calls = calls;
            s.successes = calls;
        })
    };
    for (failed, expected) in [(1, Verdict::Pass), (2, Verdict::Regressed)] {
        // Against a million clean calls even one failure in 40 is beyond chance.
        let candidate = many(4).errors(SEQUENTIAL, failed).build();
        let j = judged(&many(100_000).build(), &candidate);
        let c = row(&j, SEQUENTIAL, Metric::ErrorRate);
        assert_eq!(c.verdict, expected, "{c:?}");
    }
}
