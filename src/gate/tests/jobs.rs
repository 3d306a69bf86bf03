//! Which jobs a baseline keeps.

use super::*;
use crate::gate::{
    jobs::added,
    test_support::{Fixture, SEQUENTIAL},
};

fn job(day: u32) -> Fixture {
    Fixture::with_rounds(10).jobs(move |job| job.started_at = format!("2026-11-{day:02}T00:00:00Z"))
}

fn days(baseline: &Results) -> Vec<&str> {
    let jobs = baseline.jobs.iter();
    jobs.map(|job| &job.started_at[8..10]).collect()
}

#[test]
fn jobs_that_say_the_same_are_kept_and_the_oldest_go() {
    let policy = GateConfig::default();
    let mut baseline = job(1).build();
    for day in 2..=7 {
        let why;
        (baseline, why) = added(Some(&baseline), job(day).build(), &policy);
        assert_eq!(why, None);
    }
    assert_eq!(days(&baseline), ["03", "04", "05", "06", "07"]);
    // The same results again are no further job.
    let (again, _) = added(Some(&baseline), job(7).build(), &policy);
    assert_eq!(again.jobs, baseline.jobs);
    let two = GateConfig {
        baseline_jobs: Some(2),
        ..policy.clone()
    };
    let (fewer, _) = added(Some(&baseline), job(8).build(), &two);
    assert_eq!(days(&fewer), ["07", "08"]);
    let (first, why) = added(None, job(9).build(), &policy);
    assert_eq!((days(&first), why), (vec!["09"], None));
}

#[test]
fn what_no_longer_says_the_same_is_dropped() {
    let old = job(1).build();
    for (new, said) in [
        (
            job(2).slower(SEQUENTIAL, 2.0),
            "search/sequential latency_p50_adjusted is worse than in them",
        ),
        (
            job(2).slower(SEQUENTIAL, 0.5),
            "search/sequential latency_p50_adjusted is better than in them",
        ),
        (
            job(2).with(|r| r.server.tool_list_hash = "other".to_owned()),
            "the server is reached in another way, or offers another list of tools",
        ),
        (
            job(2).with(|r| r.suite.scenarios[0].calls += 1),
            "other scenarios are measured, or others are sent or expected",
        ),
    ] {
        let (baseline, why) = added(Some(&old), new.build(), &GateConfig::default());
        assert_eq!(days(&baseline), ["02"]);
        assert_eq!(why.as_deref(), Some(said));
    }
}
