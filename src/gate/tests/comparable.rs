//! What may be compared with what, and what is said where it may not.

use super::*;
use crate::{
    error::exit_code,
    gate::test_support::{CONCURRENT, Fixture, SEQUENTIAL, environment, scale_sample, times},
    results::{Acceptance, Transport},
    suite::InconclusivePolicy,
};

fn gating_rows(j: &Judgement) -> usize {
    j.comparisons
        .iter()
        .filter(|c| c.role != Role::Reported && c.verdict != Verdict::NotMeasured)
        .count()
}

#[test]
fn another_protocol_transport_or_attachment_leaves_nothing_to_compare() {
    type Change = fn(&mut Results);
    let changes: [(Change, &str); 3] = [
        (
            |r| r.server.protocol_version = "2026-07-28".to_owned(),
            "nothing is comparable: the baseline was made with protocol \"2025-11-25\", this run with \"2026-07-28\"; run `mcpgate baseline update` to accept these results",
        ),
        (
            |r| r.server.transport = Transport::StreamableHttp,
            "nothing is comparable: the baseline was made over stdio, this run over streamable HTTP; run `mcpgate baseline update` to accept these results",
        ),
        (
            |r| r.server.attached = true,
            "nothing is comparable: the baseline was made on fresh servers, this run on a server that someone else started; run `mcpgate baseline update` to accept these results",
        ),
    ];
    for (change, words) in changes {
        let candidate = Fixture::new().slower(SEQUENTIAL, 9.0).with(change).build();
        let j = judged(&Fixture::new().build(), &candidate);
        assert_eq!((j.verdict, j.exit_code), (Verdict::Inconclusive, 0));
        assert_eq!(gating_rows(&j), 0);
        assert_eq!(findings(&j, Severity::Doubt), [words]);
        assert!(
            j.comparisons
                .iter()
                .all(|c| c.reason.starts_with("not comparable: "))
        );
        assert!(
            j.comparisons.iter().any(|c| c.candidate.is_some()),
            "figures are still shown"
        );
        let strict = GateConfig {
            inconclusive: InconclusivePolicy::Fail,
            ..GateConfig::default()
        };
        let j = judge(&Fixture::new().build(), &candidate, &strict);
        assert_eq!(j.exit_code, exit_code::INCONCLUSIVE);
    }
}

#[test]
fn a_changed_scenario_is_not_comparable_but_the_others_are() {
    let changed = |r: &mut Results| {
        let record = r.suite.scenarios.iter_mut().find(|s| s.name == SEQUENTIAL);
        record.unwrap().definition_hash = "other".to_owned();
    };
    let j = judged(
        &Fixture::new().build(),
        &Fixture::new().slower(SEQUENTIAL, 3.0).with(changed).build(),
    );
    assert_eq!(j.verdict, Verdict::Inconclusive);
    assert_eq!(
        findings(&j, Severity::Doubt),
        [
            "search/sequential: not comparable: what is sent or expected differs from the baseline's; run `mcpgate baseline update` to accept these results"
        ]
    );
    assert_eq!(
        row(&j, SEQUENTIAL, Metric::LatencyP50).verdict,
        Verdict::NotMeasured
    );
    assert_eq!(
        row(&j, CONCURRENT, Metric::LatencyP50).verdict,
        Verdict::Pass
    );
    // A regression elsewhere still fails.
    let j = judged(
        &Fixture::new().build(),
        &Fixture::new().slower(CONCURRENT, 3.0).with(changed).build(),
    );
    assert_eq!((j.verdict, j.exit_code), (Verdict::Regressed, 1));
}

#[test]
fn another_tool_list_concerns_listing_alone() {
    let j = judged(
        &Fixture::new().build(),
        &Fixture::new()
            .slower("list-tools", 9.0)
            .with(|r| r.server.tool_list_hash = "other".to_owned())
            .build(),
    );
    assert_eq!(j.verdict, Verdict::Pass, "{:?}", not_passed(&j));
    let c = row(&j, "list-tools", Metric::LatencyP50);
    assert_eq!(
        (c.verdict, c.reason.as_str()),
        (
            Verdict::NotMeasured,
            "not comparable: the server offers another list of tools"
        )
    );
    assert_eq!(
        findings(&j, Severity::Note),
        [
            "list-tools: not comparable: the server offers another list of tools than in the baseline"
        ]
    );
    assert_eq!(
        row(&j, SEQUENTIAL, Metric::LatencyP50).verdict,
        Verdict::Pass
    );
}

#[test]
fn on_another_machine_class_only_gross_changes_of_time_fail() {
    let elsewhere = |factor: f64| {
        Fixture::new()
            .slower(SEQUENTIAL, factor)
            .jobs(|j| j.environment.cpu_model = "Model B".to_owned())
    };
    for (factor, expected) in [
        (1.0, Verdict::Inconclusive),
        (1.3, Verdict::Inconclusive),
        (1.5, Verdict::Inconclusive),
        (2.0, Verdict::Regressed),
        (0.5, Verdict::Improved),
    ] {
        let j = judged(&Fixture::new().build(), &elsewhere(factor).build());
        let c = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted);
        assert_eq!(c.verdict, expected, "x {factor}: {c:?}");
        if expected == Verdict::Inconclusive {
            assert!(
                c.reason
                    .ends_with("with a baseline from another machine class"),
                "{}",
                c.reason
            );
        }
        assert_eq!(
            findings(&j, Severity::Note),
            [
                "the baseline was made on another machine class (CPU: \"Model A\" there, \"Model B\" here): times can only show gross changes"
            ]
        );
    }
    let j = judged(
        &Fixture::new().build(),
        &elsewhere(1.0)
            .rounds(|r| r.peak_memory_bytes = r.peak_memory_bytes.map(|v| times(v, 1.3)))
            .build(),
    );
    assert_eq!(
        row(&j, "server", Metric::PeakMemory).verdict,
        Verdict::Regressed
    );
    let j = judged(
        &Fixture::new().build(),
        &elsewhere(1.0)
            .jobs(|j| j.environment.os = "macos".to_owned())
            .build(),
    );
    assert_eq!(
        row(&j, "server", Metric::PeakMemory).reason,
        "the baseline was made on another operating system or architecture"
    );
}

#[test]
fn a_machine_of_the_same_name_may_have_another_speed() {
    let on = |work_ns: u64, slower: f64| {
        Fixture::new()
            .slower(SEQUENTIAL, slower)
            .jobs(|job| {
                for round in &mut job.rounds {
                    round.reference_work_ns = Some(work_ns);
                }
            })
            .build()
    };
    let base = on(1_250_000, 1.0);
    for (work_ns, slower, verdict, is_close) in [
        (1_250_000, 1.0, Verdict::Pass, true),
        (1_250_000, 1.6, Verdict::Regressed, true),
        // As fast within what one quiet machine shows.
        (1_350_000, 1.6, Verdict::Regressed, true),
        // Twice as slow, as the machine is: nobody can tell whose doing it is.
        (2_500_000, 2.0, Verdict::Inconclusive, false),
        (2_500_000, 2.2, Verdict::Inconclusive, false),
        // As quick as before although the machine is slower.
        (2_500_000, 1.0, Verdict::Pass, false),
        // More than the machine explains.
        (2_500_000, 3.2, Verdict::Regressed, false),
        // A fast machine must not hide that the server became slower.
        (625_000, 1.0, Verdict::Inconclusive, false),
        (625_000, 0.5, Verdict::Pass, false),
        (625_000, 1.6, Verdict::Regressed, false),
    ] {
        let j = judged(&base, &on(work_ns, slower));
        let c = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted);
        assert_eq!(c.verdict, verdict, "{work_ns} ns, {slower} x: {c:?}");
        let said = j
            .findings
            .iter()
            .any(|f| f.text.contains("another speed (the same work takes"));
        assert_eq!(said, !is_close, "{:?}", j.findings);
    }
    // A side that does not tell is taken by its name.
    let j = judged(&Fixture::new().build(), &on(2_500_000, 1.6));
    assert_eq!(
        row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted).verdict,
        Verdict::Regressed
    );
}

#[test]
fn a_machine_that_was_disturbed_more_is_no_slower_server() {
    let disturbed = |work_ns: u64, slower: f64| {
        Fixture::new()
            .slower(SEQUENTIAL, slower)
            .jobs(|job| {
                for round in &mut job.rounds {
                    round.page_work_ns = Some(work_ns);
                }
            })
            .build()
    };
    let base = disturbed(1_300_000, 1.0);
    for (work_ns, slower, verdict, by) in [
        (1_300_000, 1.0, Verdict::Pass, None),
        (1_300_000, 1.6, Verdict::Regressed, None),
        (1_350_000, 1.6, Verdict::Regressed, None),
        // As much slower as the disturbance is more: nobody can tell whose doing it is.
        (2_080_000, 1.6, Verdict::Inconclusive, Some("1.60 times")),
        (2_080_000, 1.0, Verdict::Pass, Some("1.60 times")),
        (2_080_000, 2.6, Verdict::Regressed, Some("1.60 times")),
        // A quiet run must not hide what became slower.
        (812_500, 1.0, Verdict::Inconclusive, Some("1.60 times")),
        (812_500, 0.6, Verdict::Pass, Some("1.60 times")),
        (812_500, 1.6, Verdict::Regressed, Some("1.60 times")),
    ] {
        let j = judged(&base, &disturbed(work_ns, slower));
        let c = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted);
        assert_eq!(c.verdict, verdict, "{work_ns} ns, {slower} x: {c:?}");
        let told = j
            .findings
            .iter()
            .find(|f| f.text.contains("disturbed the machine more"));
        match by {
            None => assert!(told.is_none(), "{told:?}"),
            Some(by) => assert!(told.is_some_and(|f| f.text.contains(by)), "{told:?}"),
        }
        let memory = row(&j, "server", Metric::PeakMemory);
        assert_eq!(memory.verdict, Verdict::Pass);
    }
    // A side that does not tell is taken as it is.
    let j = judged(&Fixture::new().build(), &disturbed(2_080_000, 1.6));
    assert_eq!(
        row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted).verdict,
        Verdict::Regressed
    );
}

#[test]
fn jobs_of_the_same_machine_class_are_preferred() {
    // A baseline of a slow job here and a fast job elsewhere.
    let mixed = Fixture::new().slower(SEQUENTIAL, 2.0).with(|r| {
        let mut other = Fixture::new().build().jobs.remove(0);
        other.environment.cores = 64;
        r.jobs.push(other);
    });
    let j = judged(
        &mixed.build(),
        &Fixture::new().slower(SEQUENTIAL, 2.0).build(),
    );
    let c = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted);
    assert_eq!((c.verdict, c.base_rounds), (Verdict::Pass, 10));
    assert!(j.findings.is_empty(), "{:?}", j.findings);
    assert!(environment().same_hardware(&environment()));
}

#[test]
fn three_machine_classes_teach_their_spread() {
    let of_machines = |shifts: [f64; 3]| {
        Fixture::new()
            .with(|r| {
                let job = r.jobs[0].clone();
                r.jobs = shifts
                    .iter()
                    .zip(["B", "C", "D"])
                    .map(|(shift, model)| {
                        let mut job = job.clone();
                        model.clone_into(&mut job.environment.cpu_model);
                        for s in job.rounds.iter_mut().flat_map(|r| r.scenarios.values_mut()) {
                            scale_sample(s, *shift);
                        }
                        job
                    })
                    .collect();
            })
            .build()
    };
    let upper = |shifts| {
        let j = judged(&of_machines(shifts), &Fixture::new().build());
        row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted)
            .interval
            .unwrap()
            .high
    };
    assert!(upper([0.6, 1.0, 1.6]) > 1.1 * upper([1.0, 1.0, 1.0]));

    // Jobs of one class teach nothing about how classes differ.
    let of_one_machine = |shifts| {
        let mut base = of_machines(shifts);
        for job in &mut base.jobs {
            "B".clone_into(&mut job.environment.cpu_model);
        }
        let j = judged(&base, &Fixture::new().build());
        let c = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted).clone();
        c.interval.unwrap().high / c.ratio.unwrap()
    };
    let (alike, apart) = (of_one_machine([1.0; 3]), of_one_machine([0.99, 1.0, 1.01]));
    assert!((alike / apart - 1.0).abs() < 0.01, "{alike} {apart}");
    let (alike, taught) = (alike, {
        let j = judged(&of_machines([1.0; 3]), &Fixture::new().build());
        let c = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted).clone();
        c.interval.unwrap().high / c.ratio.unwrap()
    });
    assert!(taught < 0.97 * alike, "{taught} {alike}");
}

#[test]
fn what_is_worth_knowing_is_noted() {
    let base = Fixture::new()
        .with(|r| {
            r.server.attached = true;
            r.server.name = String::new();
            r.suite.scenarios[2].calls = 400;
            r.accepted = Some(Acceptance {
                at: "2026-01-02T03:04:05Z".to_owned(),
                forced_over: vec!["3 errors".to_owned()],
            });
        })
        .jobs(|j| j.incomplete = Some("time was up".to_owned()))
        .build();
    let candidate = Fixture::new()
        .with(|r| {
            r.server.attached = true;
            r.suite.scenarios[3].report_only = true;
        })
        .build();
    let j = judged(&base, &candidate);
    assert_eq!(
        findings(&j, Severity::Note),
        [
            "the server was started by someone else: all rounds share its process, which is weaker evidence",
            "the server calls itself \"fixture\", in the baseline (not named)",
            "the baseline was accepted by force over: 3 errors",
            "a run in the baseline ended early: time was up",
            "search/sequential: 100 calls a round, in the baseline 400",
            "search/concurrent: reported only, though it gated when the baseline was made",
        ]
    );
    // 100 calls against 400: less work, so memory that did not rise proves nothing.
    assert_eq!(
        row(&j, "server", Metric::PeakMemory).reason,
        "not higher, but a round did less work than in the baseline: memory is compared at equal calls"
    );
}

#[test]
fn an_incomplete_run_is_never_a_pass() {
    let j = judged(
        &Fixture::new().build(),
        &Fixture::new()
            .jobs(|j| j.incomplete = Some("stopped by Ctrl-C".to_owned()))
            .build(),
    );
    assert_eq!(j.verdict, Verdict::Inconclusive);
    assert_eq!(
        findings(&j, Severity::Doubt),
        ["the run ended early: stopped by Ctrl-C"]
    );
}
