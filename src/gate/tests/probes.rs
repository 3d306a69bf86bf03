//! What probes show at both sides of its borders, in all sets or in some, and what that decides.

use super::{
    failure_modes::together,
    probed::{
        MS, aborts, beside, broken_writes, exit, first_call, first_calls, held, idle, large,
        open_sessions, refusals, series, sessions, tokens, writes,
    },
    *,
};
use crate::{
    diagnosis::{Confidence, Diagnosis, Kind, diagnose},
    gate::{
        Standing, accept, acceptance::objections, accepted_by, must_probe_again,
        test_support::Fixture,
    },
    results::{
        AbortProbe, ArmName, Exit, InTurn, ProbeName, Probes, SessionProbe, SessionSeries,
        Transport,
    },
    suite::{AcceptedMetric, AcceptedRegression, FAILURE_MODES},
};

pub(super) fn probed(sets: &[Probes]) -> Results {
    let sets = sets.to_vec();
    let mut results = Fixture::new().build();
    results.jobs[0].probes = sets;
    results
}

fn found(set: &Probes) -> Vec<(Kind, Confidence)> {
    let all = diagnose(&probed(std::slice::from_ref(set)));
    all.iter().map(|d| (d.kind, d.confidence)).collect()
}

#[test]
fn each_failure_mode_at_both_sides_of_its_border_and_without_company() {
    use Confidence::{Likely, Possible};
    let same = [held(12, 5); 3];
    let grows = |descriptors: [u32; 3], threads: [u32; 3]| {
        [0, 1, 2].map(|n: usize| held(descriptors[n], threads[n]))
    };
    let answers = |ms: [u64; 3]| [(64, Ok(ms[0])), (1_000, Ok(ms[1])), (10_000, Ok(ms[2]))];
    let takes_memory = |kb: u64| {
        let mut set = large(&answers([3, 30, 400]), None);
        set.large_answers.as_mut().unwrap().memory_bytes = Some(kb * 1_000);
        set
    };
    let mut hangs_at_once = large(&answers([3, 30, 400]), None);
    hangs_at_once.large_answers.as_mut().unwrap().sizes[2].at_once_hangs = true;
    let stalls = |confidence| Some((Kind::LargeAnswerStall, confidence));
    let cases: Vec<(Probes, Option<(Kind, Confidence)>)> = vec![
        (tokens((0, 0), (0, 0)), None),
        (tokens((1, 0), (0, 0)), Some((Kind::AnswersMixedUp, Likely))),
        (tokens((0, 0), (7, 0)), Some((Kind::AnswersMixedUp, Likely))),
        (
            tokens((0, 3), (0, 0)),
            Some((Kind::AnswersMixedUp, Possible)),
        ),
        (writes((20, 20), (20, 20)), None),
        (writes((20, 20), (20, 1)), Some((Kind::LostUpdates, Likely))),
        // What was refused is not lost.
        (writes((20, 20), (3, 3)), None),
        // A read-back that finds nothing at all proves nothing.
        (writes((20, 0), (20, 0)), None),
        (writes((0, 0), (20, 1)), None),
        (first_calls(8, None), None),
        (
            first_calls(7, None),
            Some((Kind::FirstCallsDeadlock, Likely)),
        ),
        (
            first_calls(7, Some(0.02)),
            Some((Kind::FirstCallsDeadlock, Likely)),
        ),
        // It computes, and may still come to an end.
        (
            first_calls(7, Some(1.9)),
            Some((Kind::FirstCallsDeadlock, Possible)),
        ),
        (
            broken_writes("tool-error"),
            Some((Kind::LostUpdates, Likely)),
        ),
        (
            broken_writes("protocol-error"),
            Some((Kind::LostUpdates, Likely)),
        ),
        // What a server that is gone or hangs kept is not known.
        (broken_writes("closed"), Some((Kind::LostUpdates, Possible))),
        (
            broken_writes("timeout"),
            Some((Kind::LostUpdates, Possible)),
        ),
        (aborts(5, same), None),
        (aborts(4, same), Some((Kind::StuckAfterAborts, Likely))),
        (
            aborts(5, grows([12, 27, 42], [5; 3])),
            Some((Kind::DescriptorLeak, Likely)),
        ),
        (
            aborts(5, grows([12; 3], [5, 13, 21])),
            Some((Kind::ThreadLeak, Likely)),
        ),
        // A pool fills once.
        (aborts(5, grows([12, 27, 28], [5, 20, 20])), None),
        (beside(1.0, 2.0, Some(0.0)), None),
        (beside(1.0, 6.5, Some(0.0)), None),
        (
            beside(1.0, 7.5, Some(0.1)),
            Some((Kind::EventLoopBlocked, Likely)),
        ),
        (
            beside(1.0, 7.5, Some(0.6)),
            Some((Kind::EventLoopBlocked, Possible)),
        ),
        (
            beside(1.0, 7.5, None),
            Some((Kind::EventLoopBlocked, Possible)),
        ),
        (
            beside(1.0, 7.5, Some(0.9)),
            Some((Kind::CpuBoundSerial, Likely)),
        ),
        (sessions(1_000, 1_000), None),
        (sessions(5_000, 0), Some((Kind::SessionLeakClosed, Likely))),
        (
            sessions(5_000, 5_000),
            Some((Kind::SessionLeakClosed, Likely)),
        ),
        (
            sessions(0, 5_000),
            Some((Kind::SessionLeakAbandoned, Possible)),
        ),
        (open_sessions(100, true), None),
        (
            open_sessions(99, true),
            Some((Kind::ConnectionsRefused, Likely)),
        ),
        (exit(Exit::ByItself, 0), None),
        (
            exit(Exit::Terminated, 0),
            Some((Kind::DoesNotExit, Possible)),
        ),
        (exit(Exit::Killed, 0), Some((Kind::DoesNotExit, Likely))),
        (exit(Exit::ByItself, 1), Some((Kind::DoesNotExit, Possible))),
        (idle(0.19), None),
        (idle(0.21), Some((Kind::IdleCpu, Likely))),
        (first_call(590, 100), None),
        (first_call(3_000, 800), None),
        (first_call(610, 100), Some((Kind::FirstCallSlow, Possible))),
        (refusals(1.0, 50.0), None),
        (refusals(60.0, 120.0), None),
        (refusals(1.0, 52.0), Some((Kind::SlowErrors, Possible))),
        (large(&answers([3, 30, 400]), Some((101, true))), None),
        (
            large(&answers([3, 30, 400]), Some((102, true))),
            stalls(Likely),
        ),
        (
            large(&answers([3, 30, 400]), Some((2, false))),
            stalls(Likely),
        ),
        (
            large(&[(64, Ok(3)), (1_000, Err("timeout"))], None),
            stalls(Likely),
        ),
        // The smallest does not come either: that is no matter of size.
        (large(&[(64, Err("timeout"))], None), None),
        (hangs_at_once, stalls(Likely)),
        // 10 times as large: 40 times as long, and half a second.
        (large(&answers([3, 30, 1_199]), None), None),
        (large(&answers([3, 30, 1_200]), None), stalls(Possible)),
        (large(&answers([1, 2, 499]), None), None),
        (takes_memory(44_900), None),
        (
            takes_memory(45_000),
            Some((Kind::AnswersBuffered, Possible)),
        ),
        (takes_memory(9_000), None),
        (takes_memory(8_999), Some((Kind::AnswersStreamed, Possible))),
    ];
    for (set, expected) in cases {
        assert_eq!(found(&set), Vec::from_iter(expected), "{set:#?}");
    }
    // A thread that stays takes memory.
    let mut threads = sessions(9_000, 9_000);
    let closed = &mut threads.sessions.as_mut().unwrap().closed;
    closed.holdings = vec![(0, held(12, 5)), (450, held(12, 455)), (900, held(12, 905))];
    assert_eq!(found(&threads), [(Kind::ThreadLeak, Likely)]);
    // Both are named where sessions that are ended leave less behind.
    let both: Vec<Kind> = found(&sessions(2_000, 9_000)).iter().map(|f| f.0).collect();
    assert_eq!(both, [Kind::SessionLeakClosed, Kind::SessionLeakAbandoned]);
}

#[test]
fn over_http_a_server_that_leaves_on_sigterm_leaves_as_it_should() {
    let mut results = probed(&[exit(Exit::Terminated, 0)]);
    results.server.transport = Transport::StreamableHttp;
    assert_eq!(diagnose(&results), []);
}

#[test]
fn a_heap_that_finds_its_size_is_no_leak() {
    // Sessions that were ended, on a server in Node.js (server-everything 2026.8.31), in MB.
    let node = [
        90.42, 117.8, 128.89, 132.71, 133.06, 133.19, 146.99, 159.13, 170.59, 169.83, 169.88,
    ];
    // The same on the official Python SDK 1.29.0, which keeps each of them, and on 1.30.0.
    let python = [
        56.41, 56.8, 57.14, 57.48, 57.79, 58.11, 58.43, 58.79, 59.1, 59.44, 59.78,
    ];
    let mended = [
        56.39, 56.43, 56.46, 56.5, 56.5, 56.51, 56.52, 56.53, 56.54, 56.56, 56.56,
    ];
    for (figures, is_found) in [(node, false), (python, true), (mended, false)] {
        let mut set = sessions(0, 0);
        let closed = &mut set.sessions.as_mut().unwrap().closed;
        let megabytes = |mb: f64| crate::gate::test_support::ns(mb * 1e6);
        closed.memory = (0..figures.len() - 1)
            .flat_map(|n| {
                let (from, to) = (figures[n], figures[n + 1]);
                (0..4).map(move |k: u32| {
                    let n = u32::try_from(n).unwrap();
                    let part = f64::from(k) / 4.0;
                    (20 + 80 * n + 20 * k, megabytes(from + (to - from) * part))
                })
            })
            .collect();
        let kinds: Vec<Kind> = found(&set).iter().map(|f| f.0).collect();
        let expected = is_found.then_some(Kind::SessionLeakClosed);
        assert_eq!(kinds, Vec::from_iter(expected), "{figures:?}");
    }
    let mut set = sessions(0, 0);
    let closed = &mut set.sessions.as_mut().unwrap().closed;
    for (number, bytes) in &mut closed.memory {
        *bytes += 9_000 * u64::from(number.saturating_sub(300).min(200));
    }
    assert_eq!(found(&set), []);
    // Nor is one that was seen over few sessions, or where sessions do not open.
    let change = |change: &dyn Fn(&mut SessionSeries)| {
        let mut set = sessions(9_000, 0);
        change(&mut set.sessions.as_mut().unwrap().closed);
        found(&set)
    };
    assert_eq!(change(&|_| {}).len(), 1);
    assert_eq!(change(&|closed| closed.sessions = 149), []);
    assert_eq!(change(&|closed| closed.failed = 91), []);
    assert_eq!(change(&|closed| closed.memory.clear()), []);
}

#[test]
fn what_one_of_two_sets_shows_is_chance() {
    let (leaks, holds) = (sessions(5_000, 0), sessions(0, 0));
    let shown = |sets: &[Probes]| diagnose(&probed(sets)).len();
    assert_eq!(shown(&[leaks.clone(), leaks.clone()]), 1);
    assert_eq!(shown(&[leaks.clone(), holds.clone()]), 0);
    assert_eq!(shown(&[holds, leaks.clone()]), 0);
    // A set that did not ask says nothing.
    assert_eq!(shown(&[leaks, Probes::default()]), 1);
}

#[test]
fn a_probe_speaks_alone_of_what_it_was_made_for() {
    // Rounds that say the same of the same tool, by callers at once.
    let mut results = together(1.0, 0.05).build();
    assert_eq!(diagnose(&results)[0].probe, None);
    results.jobs[0].probes = vec![beside(1.0, 11.0, Some(0.02))];
    let found = diagnose(&results);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (found[0].kind, found[0].probe),
        (Kind::EventLoopBlocked, Some(ProbeName::Beside))
    );
    // What it says nothing of stays.
    let mut results = Fixture::new()
        .growth(&[20_000.0, 20_100.0, 20_200.0])
        .build();
    results.jobs[0].probes = vec![sessions(5_000, 0)];
    let kinds: Vec<Kind> = diagnose(&results).iter().map(|d| d.kind).collect();
    assert_eq!(kinds, [Kind::MemoryLeak, Kind::SessionLeakClosed]);
}

#[test]
fn a_new_one_fails_once_it_is_confirmed_and_one_that_is_gone_is_an_improvement() {
    use Standing::{Gone, Known, New, Unknown};
    use Verdict::{Improved, Inconclusive, Pass, Regressed};
    let policy = GateConfig::default();
    let (leaks, holds, unasked) = (sessions(5_000, 0), sessions(0, 0), Probes::default());
    let few = |set: &Probes| {
        let mut set = set.clone();
        set.sessions.as_mut().unwrap().closed.sessions = 149;
        set
    };
    let (mixes, keeps) = (tokens((9, 0), (0, 0)), tokens((0, 0), (0, 0)));
    type Case<'a> = (
        &'a [&'a Probes],
        &'a [&'a Probes],
        Option<Standing>,
        Verdict,
    );
    let cases: [Case<'_>; 15] = [
        (&[&holds], &[&leaks, &leaks, &leaks], Some(New), Regressed),
        (&[&holds], &[&leaks, &leaks], Some(New), Inconclusive),
        (
            &[&holds],
            &[&leaks, &leaks, &unasked],
            Some(New),
            Inconclusive,
        ),
        (&[&leaks], &[&leaks, &leaks, &leaks], Some(Known), Pass),
        // It was there before, if only sometimes.
        (
            &[&holds, &leaks],
            &[&leaks, &leaks, &leaks],
            Some(Known),
            Pass,
        ),
        (&[&unasked], &[&leaks, &leaks, &leaks], Some(Unknown), Pass),
        // A base that was too slow to open enough sessions could not show it.
        (
            &[&few(&holds)],
            &[&leaks, &leaks, &leaks],
            Some(Unknown),
            Pass,
        ),
        (&[&leaks], &[&holds, &holds, &holds], Some(Gone), Improved),
        (&[&leaks], &[&holds, &holds], Some(Gone), Pass),
        (&[&leaks], &[&unasked, &unasked, &unasked], None, Pass),
        (
            &[&leaks],
            &[&few(&holds), &few(&holds), &few(&holds)],
            None,
            Pass,
        ),
        (&[&leaks], &[&holds, &leaks, &holds], None, Pass),
        (&[&holds], &[&holds, &holds, &holds], None, Pass),
        // A race that one set of the base did not show may have been there.
        (
            &[&keeps],
            &[&mixes, &mixes, &mixes],
            Some(New),
            Inconclusive,
        ),
        (
            &[&keeps, &keeps],
            &[&mixes, &mixes, &mixes],
            Some(New),
            Regressed,
        ),
    ];
    let owned = |sets: &[&Probes]| sets.iter().map(|set| (*set).clone()).collect::<Vec<_>>();
    for (base, candidate, standing, verdict) in cases {
        let (base, candidate) = (probed(&owned(base)), probed(&owned(candidate)));
        let judgement = judge(&base, &candidate, &policy);
        let standings: Vec<Standing> = judgement.diagnoses.iter().map(|d| d.standing).collect();
        assert_eq!(standings, Vec::from_iter(standing));
        assert_eq!(judgement.verdict, verdict, "{standing:?}");
        let fails = judgement.exit_code == crate::error::exit_code::REGRESSED;
        assert_eq!(fails, verdict == Regressed);
    }
    // What is only possible explains, and does not decide.
    let judgement = judge(
        &probed(&[first_call(100, 100)]),
        &probed(&[first_call(900, 2), first_call(900, 2), first_call(900, 2)]),
        &policy,
    );
    assert_eq!(judgement.diagnoses[0].standing, New);
    assert_eq!(judgement.verdict, Pass);
}

#[test]
fn of_two_servers_in_turn_both_must_have_been_asked_as_often() {
    let (leaks, holds) = (sessions(5_000, 0), sessions(0, 0));
    for (sets, verdict) in [(2, Verdict::Inconclusive), (3, Verdict::Regressed)] {
        let mut base = probed(&vec![holds.clone(); sets]);
        base.jobs[0].in_turn = Some(InTurn {
            id: "one".to_owned(),
            arm: ArmName::Base,
            against: "main".to_owned(),
            most_pairs: 15,
        });
        let candidate = probed(&vec![leaks.clone(); 3]);
        let judgement = judge(&base, &candidate, &GateConfig::default());
        assert_eq!(judgement.diagnoses[0].verdict, Some(verdict));
    }
}

#[test]
fn what_is_shown_of_another_tool_or_cannot_be_compared_is_not_new() {
    let policy = GateConfig::default();
    let blocked = beside(1.0, 11.0, Some(0.02));
    let mut other = beside(1.0, 1.0, Some(0.02));
    other.beside.as_mut().unwrap().tool = "fetch".into();
    let candidate = probed(&vec![blocked; 3]);
    let of_other = judge(&probed(&[other]), &candidate, &policy);
    assert_eq!(of_other.diagnoses[0].standing, Standing::Unknown);
    let mut over_http = probed(&[beside(1.0, 1.0, Some(0.02))]);
    over_http.server.transport = Transport::StreamableHttp;
    let not_alike = judge(&over_http, &candidate, &policy);
    assert_eq!(not_alike.diagnoses[0].standing, Standing::Unknown);
    assert_ne!(not_alike.verdict, Verdict::Regressed);
}

#[test]
fn a_diagnosis_is_as_sure_as_its_least_sure_set() {
    let sure = beside(1.0, 11.0, Some(0.02));
    let less = beside(1.0, 11.0, Some(0.6));
    for sets in [[sure.clone(), less.clone()], [less, sure]] {
        let found = diagnose(&probed(&sets));
        assert_eq!(found[0].confidence, Confidence::Possible);
    }
}

#[test]
fn only_what_differs_is_asked_again_until_it_was_often_enough() {
    let (leaks, holds) = (sessions(5_000, 0), sessions(0, 0));
    for (base, candidate, expected) in [
        (&holds, vec![leaks.clone()], true),
        (&leaks, vec![holds.clone()], true),
        (&leaks, vec![leaks.clone()], false),
        (&holds, vec![holds.clone()], false),
        (&holds, vec![leaks.clone(); 2], true),
        (&holds, vec![leaks.clone(); 3], false),
        (&Probes::default(), vec![leaks.clone()], false),
        (&first_call(100, 100), vec![first_call(900, 2)], false),
    ] {
        let (base, candidate) = (probed(std::slice::from_ref(base)), probed(&candidate));
        assert_eq!(must_probe_again(&base, &candidate), expected);
    }
}

#[test]
fn figures_that_no_run_could_give_do_not_make_it_panic() {
    let most = u32::MAX;
    let extreme = [held(0, 0), held(most, most), held(most, 0)];
    for set in [
        tokens((most, most), (most, most)),
        writes((most, most), (most, 0)),
        first_calls(most, None),
        aborts(0, extreme),
        beside(0.0, f64::from(most), Some(f64::MAX)),
        open_sessions(0, false),
        exit(Exit::Killed, most),
        first_call(u64::MAX / MS, 0),
        Probes {
            aborts: Some(AbortProbe {
                aborted: [most; 2],
                ..aborts(0, extreme).aborts.unwrap()
            }),
            sessions: Some(SessionProbe {
                closed: SessionSeries {
                    sessions: most,
                    failed: most,
                    memory: vec![(0, 0), (most, u64::MAX), (most, 0)],
                    holdings: vec![(0, extreme[0]), (most, extreme[1])],
                },
                abandoned: series(u64::MAX / 1_000, extreme),
            }),
            ..Probes::default()
        },
    ] {
        let results = probed(&[set.clone(), set]);
        let judgement = judge(&Fixture::new().build(), &results, &GateConfig::default());
        assert!(judgement.diagnoses.len() < 10);
    }
}

#[test]
fn what_nearly_shows_in_one_server_is_neither_new_nor_gone_in_the_other() {
    use Standing::{Gone, Known, New, Unknown};
    let policy = GateConfig::default();
    let three = |set: &Probes| probed(&vec![set.clone(); 3]);
    type Case = (Probes, Probes, Option<Standing>);
    let (kept, nearly, few) = ([10, 30, 50], [10, 15, 20], [10, 13, 16]);
    let descriptors = |[a, b, c]: [u32; 3]| aborts(5, [held(a, 5), held(b, 5), held(c, 5)]);
    let cases: [Case; 11] = [
        (sessions(1_000, 0), sessions(2_000, 0), Some(Known)),
        (sessions(800, 0), sessions(2_000, 0), Some(New)),
        (sessions(2_000, 0), sessions(1_000, 0), None),
        (sessions(2_000, 0), sessions(800, 0), Some(Gone)),
        (idle(0.13), idle(0.3), Some(Known)),
        (idle(0.1), idle(0.3), Some(New)),
        (descriptors(nearly), descriptors(kept), Some(Known)),
        (descriptors(few), descriptors(kept), Some(New)),
        // What is only possible excuses nothing that is likely.
        (exit(Exit::Terminated, 0), exit(Exit::Killed, 0), Some(New)),
        // A base that never got to the largest answer was not asked what it does to others.
        (
            large(&[(64, Ok(3)), (1_000, Ok(30))], None),
            large(&[(64, Ok(3)), (10_000, Ok(90))], Some((980, true))),
            Some(Unknown),
        ),
        // Near the border between waiting and computing.
        (
            beside(2.0, 15.0, Some(0.7)),
            beside(2.0, 15.0, Some(0.9)),
            Some(Known),
        ),
    ];
    for (base, candidate, expected) in cases {
        let judgement = judge(&three(&base), &three(&candidate), &policy);
        let standings: Vec<Standing> = judgement.diagnoses.iter().map(|d| d.standing).collect();
        assert_eq!(
            standings,
            Vec::from_iter(expected),
            "{base:?} {candidate:?}"
        );
    }
}

#[test]
fn a_failure_mode_that_somebody_answers_for_fails_nothing_until_its_day() {
    let policy = GateConfig::default();
    let three = |set: &Probes| probed(&vec![set.clone(); 3]);
    let (holds, leaks) = (three(&sessions(0, 0)), three(&sessions(5_000, 0)));
    let judgement = judge(&holds, &leaks, &policy);
    assert_eq!(
        accepted_by(&judgement.diagnoses[0]),
        Some(("server", AcceptedMetric::FailureMode("session-leak-closed")))
    );
    let entry = |scenario: &str, name| AcceptedRegression {
        scenario: scenario.to_owned(),
        metric: AcceptedMetric::FailureMode(name),
        limit: None,
        reason: "fixed upstream".to_owned(),
        until: "2027-01-31".to_owned(),
    };
    let right = entry("server", "session-leak-closed");
    let others = [
        entry("search", "session-leak-closed"),
        entry("server", "idle-cpu"),
    ];
    for (entries, today, verdict) in [
        (std::slice::from_ref(&right), "2027-01-31", Verdict::Pass),
        (
            std::slice::from_ref(&right),
            "2027-02-01",
            Verdict::Regressed,
        ),
        (&others, "2027-01-31", Verdict::Regressed),
    ] {
        let judgement = accept(judgement.clone(), entries, today, &policy);
        assert_eq!(judgement.verdict, verdict, "{entries:?} {today}");
        let objections = objections(&leaks, Some(&holds), &policy, (entries, today));
        assert_eq!(
            objections.is_empty(),
            verdict == Verdict::Pass,
            "{objections:?}"
        );
    }
}

#[test]
fn what_decides_can_be_accepted_by_name() {
    let names: Vec<&str> = [
        tokens((9, 0), (0, 0)),
        writes((20, 20), (20, 1)),
        first_calls(6, None),
        aborts(3, [held(10, 5); 3]),
        aborts(5, [held(10, 5), held(30, 25), held(50, 45)]),
        beside(2.0, 15.0, Some(0.1)),
        beside(2.0, 15.0, Some(1.0)),
        open_sessions(30, true),
        sessions(5_000, 0),
        exit(Exit::Killed, 0),
        idle(0.5),
        large(&[(64, Ok(3)), (1_000, Err("timeout"))], None),
    ]
    .iter()
    .flat_map(|set| diagnose(&probed(std::slice::from_ref(set))))
    .filter(Diagnosis::decides)
    .map(|diagnosis| diagnosis.kind.name())
    .collect();
    assert_eq!(names.len(), 13, "{names:?}");
    let strange: Vec<_> = names
        .iter()
        .filter(|name| !FAILURE_MODES.contains(name))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}
