//! Peak memory, start-up and memory growth.

use super::*;
use crate::{
    gate::{
        alarmed_scenarios,
        test_support::{Fixture, SEQUENTIAL, SOAK, add_fresh_soaks, record, times},
    },
    results::{Measure, Phase, ScenarioKind},
};

#[test]
fn a_fresh_round_that_ran_less_says_nothing_about_memory() {
    let heavier = Fixture::new()
        .rounds(|r| r.peak_memory_bytes = r.peak_memory_bytes.map(|v| times(v, 1.5)))
        .confirm(5)
        .phase(Phase::Confirm, |r| {
            r.scenarios.retain(|name, _| name == SEQUENTIAL);
            r.peak_memory_bytes = r.peak_memory_bytes.map(|v| times(v, 0.5));
        });
    let j = judged(&Fixture::new().build(), &heavier.build());
    let c = row(&j, "server", Metric::PeakMemory);
    assert_eq!(
        (c.verdict, c.candidate_rounds),
        (Verdict::Regressed, 10),
        "{c:?}"
    );
    assert!(c.reason.contains("not confirmed by fresh rounds"));
    assert!(alarmed_scenarios(&j).contains("server"));
}

#[test]
fn start_up_and_memory() {
    let scaled = |startup: f64, memory: f64| {
        Fixture::new()
            .rounds(|r| {
                r.startup_ns = r.startup_ns.map(|v| times(v, startup));
                r.startup_adjusted_ns = r.startup_adjusted_ns.map(|v| times(v, startup));
                r.peak_memory_bytes = r.peak_memory_bytes.map(|v| times(v, memory));
            })
            .build()
    };
    let base = Fixture::new().build();
    for (startup, memory, metric, expected) in [
        (1.0, 1.5, Metric::PeakMemory, Verdict::Regressed),
        (1.0, 1.25, Metric::PeakMemory, Verdict::Regressed),
        (1.0, 1.08, Metric::PeakMemory, Verdict::Pass),
        (1.0, 0.5, Metric::PeakMemory, Verdict::Improved),
        (2.0, 1.0, Metric::StartupAdjusted, Verdict::Regressed),
        (2.5, 1.0, Metric::Startup, Verdict::Regressed),
        (0.5, 1.0, Metric::StartupAdjusted, Verdict::Improved),
    ] {
        let j = judged(&base, &scaled(startup, memory));
        assert_eq!(
            row(&j, "server", metric).verdict,
            expected,
            "{startup} {memory}"
        );
    }
}

#[test]
fn memory_that_was_not_measured_is_said_and_fails_nothing() {
    let why = "the server runs in a container";
    let blind = Fixture::new()
        .rounds(|r| r.peak_memory_bytes = None)
        .jobs(|j| {
            j.memory_measure = Measure::NotMeasured(why.to_owned());
            for s in &mut j.soaks {
                s.scenarios
                    .values_mut()
                    .for_each(|s| s.growth_bytes_per_call = None);
            }
        })
        .build();
    let seen = Fixture::new().build();
    for (base, candidate, words, noted) in [
        (
            &seen,
            &blind,
            "not measured: the server runs in a container",
            true,
        ),
        (
            &blind,
            &seen,
            "not measured in the baseline: the server runs in a container",
            true,
        ),
        (
            &blind,
            &blind,
            "not measured: the server runs in a container",
            false,
        ),
    ] {
        let j = judged(base, candidate);
        for (scenario, metric) in [("server", Metric::PeakMemory), (SOAK, Metric::MemoryGrowth)] {
            let c = row(&j, scenario, metric);
            assert_eq!(
                (c.verdict, c.reason.as_str()),
                (Verdict::NotMeasured, words)
            );
        }
        assert_eq!((j.verdict, j.exit_code), (Verdict::Pass, 0));
        assert_eq!(!findings(&j, Severity::Note).is_empty(), noted);
    }
    let other = Fixture::new()
        .jobs(|j| j.memory_measure = Measure::By("tree".to_owned()))
        .build();
    let j = judged(&seen, &other);
    assert_eq!(
        row(&j, "server", Metric::PeakMemory).reason,
        "measured by high-water mark in the baseline and by tree here"
    );
    // Perhaps just because this one starts more processes.
    assert_eq!(j.verdict, Verdict::Inconclusive);
}

#[test]
fn memory_growth_is_compared_with_the_bases() {
    // Bytes per call; the floor is 5 MB per 1,000 calls, which is 5 kB per call.
    let cases: [(&[f64], &[f64], Verdict, &str); 10] = [
        (
            &[1e3, 2e3, 3e3],
            &[1e3, 2e3, 3e3],
            Verdict::Pass,
            "does not grow faster",
        ),
        (
            &[1e3, 2e3, 3e3],
            &[21e3, 22e3, 23e3],
            Verdict::Regressed,
            "not confirmed by fresh soaks",
        ),
        (
            &[21e3, 22e3, 23e3],
            &[1e3, 2e3, 3e3],
            Verdict::Improved,
            "grows slower",
        ),
        (
            &[30e3, 31e3, 29e3],
            &[32e3, 30e3, 33e3],
            Verdict::Pass,
            "does not grow faster",
        ),
        (
            &[1e3, 2e3, 3e3],
            &[4e3, 5e3, 6e3],
            Verdict::Pass,
            "does not grow faster",
        ),
        (
            &[1e3, 2e3, 9e3],
            &[8e3, 12e3, 13e3],
            Verdict::Inconclusive,
            "overlap",
        ),
        (
            &[1e3, 2e3],
            &[1e3, 2e3, 3e3],
            Verdict::NotMeasured,
            "needs 3 soaks on each side, had 2 and 3",
        ),
        (
            &[1e3, 2e3, 3e3],
            &[],
            Verdict::Inconclusive,
            "needs 3 soaks on each side, had 3 and 0",
        ),
        (
            &[-5e3, 0.0, 1e3],
            &[20e3, 21e3, 25e3],
            Verdict::Regressed,
            "grows faster",
        ),
        // One wild soak among six does not hide what the other five say.
        (
            &[1e3, 2e3, 3e3, 2e3, 1e3, 25e3],
            &[21e3, 22e3, 23e3, 24e3, 22e3, 26e3],
            Verdict::Regressed,
            "grows faster",
        ),
    ];
    for (base, candidate, expected, words) in cases {
        let j = judged(
            &Fixture::new().growth(base).build(),
            &Fixture::new().growth(candidate).build(),
        );
        let c = row(&j, SOAK, Metric::MemoryGrowth);
        assert_eq!(c.verdict, expected, "{base:?} {candidate:?} {c:?}");
        assert!(c.reason.contains(words), "{}", c.reason);
        assert_eq!((c.ratio, c.interval), (None, None));
    }
    let c = judged(
        &Fixture::new().growth(&[1e3, 2e3, 3e3]).build(),
        &Fixture::new().build(),
    );
    assert_eq!(row(&c, SOAK, Metric::MemoryGrowth).base, Some(2e6));
}

#[test]
fn memory_growth_needs_equal_calls_and_is_confirmed_by_fresh_soaks() {
    let longer = Fixture::new().with(|r| {
        r.suite.scenarios.last_mut().unwrap().calls = 5_000;
        for s in &mut r.jobs[0].soaks {
            s.scenarios.values_mut().for_each(|s| s.calls = 5_000);
        }
    });
    let j = judged(&Fixture::new().build(), &longer.build());
    let c = row(&j, SOAK, Metric::MemoryGrowth);
    assert_eq!(c.verdict, Verdict::Inconclusive);
    assert!(
        c.reason.contains("1400 calls, this one 5000"),
        "{}",
        c.reason
    );

    let cut_short = Fixture::new().with(|r| {
        r.jobs[0].soaks[1]
            .scenarios
            .values_mut()
            .for_each(|s| s.calls = 300);
    });
    let j = judged(&Fixture::new().build(), &cut_short.build());
    assert_eq!(
        row(&j, SOAK, Metric::MemoryGrowth).reason,
        "needs 3 soaks on each side, had 3 and 2; 1 ended before all their calls"
    );

    for (fresh, expected) in [
        (&[20e3, 21e3, 19e3], Verdict::Regressed),
        (&[2e3, 21e3, 1e3], Verdict::Inconclusive),
        (&[2e3, 21e3, 22e3], Verdict::Inconclusive),
    ] {
        let leaking = Fixture::new()
            .growth(&[21e3, 22e3, 23e3])
            .with(|r| add_fresh_soaks(r, fresh));
        let j = judged(
            &Fixture::new().growth(&[1e3, 2e3, 3e3]).build(),
            &leaking.build(),
        );
        let c = row(&j, SOAK, Metric::MemoryGrowth);
        assert_eq!((c.verdict, c.candidate_rounds), (expected, 6));
        assert!(
            c.reason.contains("confirmed by 3 fresh soaks"),
            "{}",
            c.reason
        );
        assert_eq!(
            alarmed_scenarios(&j).contains(SOAK),
            expected == Verdict::Regressed
        );
    }
}

#[test]
fn memory_is_compared_at_equal_work() {
    let base = Fixture::new().build();
    let with_calls = |calls: u32, memory: f64| {
        Fixture::new()
            .with(|r| r.suite.scenarios[2].calls = calls)
            .rounds(|r| r.peak_memory_bytes = r.peak_memory_bytes.map(|v| times(v, memory)))
            .build()
    };
    for (calls, memory, expected) in [
        (100, 1.5, Verdict::Regressed),
        (400, 1.5, Verdict::Inconclusive),
        (400, 1.0, Verdict::Pass),
        (400, 0.5, Verdict::Improved),
        (50, 1.5, Verdict::Regressed),
        (50, 1.0, Verdict::Inconclusive),
        (50, 0.5, Verdict::Inconclusive),
    ] {
        let j = judged(&base, &with_calls(calls, memory));
        let c = row(&j, "server", Metric::PeakMemory);
        assert_eq!(c.verdict, expected, "{calls} calls, x {memory}: {c:?}");
    }
}

#[test]
fn a_tool_that_never_worked_does_not_hide_the_memory() {
    // Its trial calls stand in the first round alone.
    let with_failing_tool = |factor: f64| {
        Fixture::new()
            .rounds(|r| {
                r.peak_memory_bytes = r.peak_memory_bytes.map(|v| times(v, factor));
                if r.index == 0 {
                    let mut sample = r.scenarios[SEQUENTIAL].clone();
                    sample.successes = 0;
                    r.scenarios.insert("web/sequential".to_owned(), sample);
                }
            })
            .with(|r| {
                let mut web = record("web/sequential", ScenarioKind::Sequential, 10, 1);
                web.report_only = true;
                r.suite.scenarios.push(web);
            })
            .build()
    };
    for (factor, expected) in [(1.0, Verdict::Pass), (1.5, Verdict::Regressed)] {
        let j = judged(&with_failing_tool(1.0), &with_failing_tool(factor));
        let c = row(&j, "server", Metric::PeakMemory);
        assert_eq!(
            (c.verdict, c.base_rounds, c.candidate_rounds),
            (expected, 10, 10),
            "{c:?}"
        );
    }
}

#[test]
fn memory_that_vanished_without_a_word_is_no_pass() {
    let lost = Fixture::new()
        .rounds(|r| r.peak_memory_bytes = None)
        .build();
    let j = judged(&Fixture::new().build(), &lost);
    let c = row(&j, "server", Metric::PeakMemory);
    assert_eq!(
        (c.verdict, c.reason.as_str()),
        (Verdict::Inconclusive, "no figures in this run")
    );
    assert_eq!(j.verdict, Verdict::Inconclusive);
    // What the baseline never had cannot be lost.
    let j = judged(&lost, &Fixture::new().build());
    assert_eq!(
        row(&j, "server", Metric::PeakMemory).verdict,
        Verdict::NotMeasured
    );
    assert_eq!(j.verdict, Verdict::Pass);
}

/// Three against three: the interval reaches over all differences, and what is seen has to separate them and
/// exceed the floor.
#[test]
fn growth_carries_an_interval_and_what_would_have_been_seen() {
    let of = |slopes: &[f64]| {
        let base = Fixture::new().growth(&[1_000.0, 2_000.0, 3_000.0]).build();
        let j = judged(&base, &Fixture::new().growth(slopes).build());
        row(&j, SOAK, Metric::MemoryGrowth).difference
    };
    let found = of(&[9_000.0, 10_000.0, 11_000.0]).unwrap();
    let interval = found.interval.unwrap();
    // Bytes per 1,000 calls.
    assert_eq!(
        (interval.low, found.estimate, interval.high),
        (6e6, 8e6, 10e6)
    );
    // Both sides scatter by 1 MB: three standard deviations or so.
    let visible = found.smallest_detectable.unwrap();
    assert!((5e6 + 1.3e6..5e6 + 1.4e6).contains(&visible), "{visible}");
    // Where they scatter more, it is the separation that asks for more.
    let wide = of(&[0.0, 20_000.0, 40_000.0]).unwrap().smallest_detectable;
    assert!(wide.unwrap() > 3.0 * 14e6, "{wide:?}");
    assert_eq!(of(&[9_000.0, 10_000.0]).unwrap().smallest_detectable, None);
}
