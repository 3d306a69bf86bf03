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

/// The rate that would have been seen is that at which as many calls fail as make an alarm, or more, nine
/// times in ten.
#[test]
fn error_rates_carry_an_interval_and_what_would_have_been_seen() {
    let of = |base: u32, candidate: u32| {
        let j = judged(
            &Fixture::new().errors(SEQUENTIAL, base).build(),
            &Fixture::new().errors(SEQUENTIAL, candidate).build(),
        );
        let found = row(&j, SEQUENTIAL, Metric::ErrorRate);
        (found.verdict, found.difference.unwrap())
    };
    let (_, clean) = of(0, 0);
    assert!(clean.estimate.abs() < 1e-12);
    let visible = clean.smallest_detectable.unwrap();
    let seen = (0..1000)
        .find(|&failed| of(0, failed).0 == Verdict::Regressed)
        .unwrap();
    let probability = {
        use statrs::distribution::{Binomial, DiscreteCDF as _};
        Binomial::new(visible, 1000)
            .unwrap()
            .sf(u64::from(seen) - 1)
    };
    assert!(
        (probability - 0.9).abs() < 1e-6,
        "{visible} {seen} {probability}"
    );
    let (verdict, worse) = of(50, 99);
    assert_eq!(verdict, Verdict::Regressed);
    let interval = worse.interval.unwrap();
    assert!((worse.estimate - 0.049).abs() < 1e-12);
    assert!(0.0 < interval.low && interval.low < 0.049 && 0.049 < interval.high);
    assert!(
        worse.smallest_detectable.unwrap() > visible,
        "a base that fails hides more"
    );
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
