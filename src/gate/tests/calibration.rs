//! The null control, and what it makes of a scenario that cannot keep the promise.

use super::*;
use crate::{
    gate::SERVER,
    gate::calibration::{PROMISED_RATE, control, rate, unreliable},
    gate::test_support::{CONCURRENT, Fixture, SEQUENTIAL},
    results::{CalibratedFigure, CalibratedScenario, Calibration, Control, SCHEMA_VERSION},
};

fn figure(scenario: &str, regressed: u32, suites: u32) -> CalibratedFigure {
    CalibratedFigure {
        scenario: scenario.to_owned(),
        metric: "latency_p50_adjusted".to_owned(),
        suites,
        regressed,
        improved: 0,
        inconclusive: 0,
        pairs: 5.0,
        smallest_detectable_ratio: None,
    }
}

fn calibration(factor: f64, figures: Vec<CalibratedFigure>) -> Calibration {
    let results = Fixture::new().build();
    Calibration {
        schema_version: SCHEMA_VERSION,
        mcpgate_version: "0.1.0".to_owned(),
        server: results.server,
        suite_hash: results.suite.hash,
        environment: results.jobs[0].environment.clone(),
        started_at: "2026-11-28T16:00:00Z".to_owned(),
        controls: vec![Control {
            factor,
            seed: 1,
            suites: 20,
            regressed: 0,
            improved: 0,
            inconclusive: 0,
            seconds: 40.0,
            scenarios: figures
                .iter()
                .map(|figure| CalibratedScenario {
                    scenario: figure.scenario.clone(),
                    suites: figure.suites,
                    regressed: figure.regressed,
                })
                .collect(),
            figures,
        }],
    }
}

/// Bounds of R's `binom.test(x, n)$conf.int`; in closed form 1 - 0.025^(1/n) above none of n and
/// 1 - 0.975^(1/n) below one.
#[test]
fn rates_have_exact_bounds() {
    for (count, of, low, high) in [
        (0, 20, 0.0, 1.0 - 0.025_f64.powf(1.0 / 20.0)),
        (1, 20, 1.0 - 0.975_f64.powf(1.0 / 20.0), 0.248_733),
        (20, 20, 0.025_f64.powf(1.0 / 20.0), 1.0),
        (0, 0, 0.0, 1.0),
    ] {
        let rate = rate(count, of);
        assert!((rate.low - low).abs() < 1e-6, "{rate:?}");
        assert!((rate.high - high).abs() < 1e-6, "{rate:?}");
    }
}

#[test]
fn only_what_is_beyond_doubt_steps_down() {
    // Of a promise of 1 %: two of twenty are too many, one is not.
    assert!((PROMISED_RATE - 0.01).abs() < 1e-12);
    for (regressed, suites, is_unreliable) in [
        (0, 20, false),
        (1, 20, false),
        (2, 20, true),
        (1, 5, false),
        (1, 2, true),
        (3, 300, false),
    ] {
        let found = unreliable(&calibration(
            1.0,
            vec![figure(SEQUENTIAL, regressed, suites)],
        ));
        assert_eq!(!found.is_empty(), is_unreliable, "{regressed} of {suites}");
    }
    // What was planted was to be found.
    assert!(unreliable(&calibration(1.3, vec![figure(SEQUENTIAL, 20, 20)])).is_empty());
}

#[test]
fn a_scenario_that_stepped_down_is_reported_only_and_says_so() {
    let base = Fixture::with_rounds(10);
    let slow = base.clone().slower(SEQUENTIAL, 2.5).build();
    let base = base.build();
    assert_eq!(judged(&base, &slow).verdict, Verdict::Regressed);
    let policy = GateConfig {
        calibration: Some(calibration(1.0, vec![figure(SEQUENTIAL, 4, 20)])),
        ..GateConfig::default()
    };
    let j = judge(&base, &slow, &policy);
    assert_eq!(j.verdict, Verdict::Pass, "{:#?}", not_passed(&j));
    let row = row(&j, SEQUENTIAL, Metric::LatencyP50Adjusted);
    assert_eq!(
        (row.role, row.verdict),
        (Role::Reported, Verdict::Regressed)
    );
    assert_eq!(
        findings(&j, Severity::Note),
        [format!(
            "{SEQUENTIAL}: reported only: called regressed in 4 of 20 comparisons of the server with itself, mostly by its latency_p50_adjusted, calibrated 2026-11-28"
        )]
    );
}

#[test]
fn of_the_server_itself_each_figure_steps_down_alone() {
    let base = Fixture::with_rounds(10);
    let slow = base.clone().rounds(|round| {
        let slower = |ns: &mut u64| *ns *= 3;
        round.startup_ns.iter_mut().for_each(slower);
        round.startup_adjusted_ns.iter_mut().for_each(slower);
    });
    let (base, slow) = (base.build(), slow.build());
    assert_eq!(judged(&base, &slow).verdict, Verdict::Regressed);
    let of = |metric: Metric| CalibratedFigure {
        metric: metric.name().to_owned(),
        ..figure(SERVER, 5, 20)
    };
    let figures = vec![of(Metric::StartupAdjusted), of(Metric::Startup)];
    let policy = GateConfig {
        calibration: Some(calibration(1.0, figures)),
        ..GateConfig::default()
    };
    let j = judge(&base, &slow, &policy);
    assert_eq!(j.verdict, Verdict::Pass, "{:#?}", not_passed(&j));
    let roles = [Metric::StartupAdjusted, Metric::PeakMemory];
    let roles = roles.map(|metric| row(&j, SERVER, metric).role);
    assert_eq!(roles, [Role::Reported, Role::Gates]);
    assert_eq!(
        findings(&j, Severity::Note)[0],
        "server: reported only: its startup_adjusted was called regressed in 5 of 20 comparisons of the server with itself, calibrated 2026-11-28"
    );
}

#[test]
fn a_calibration_of_something_else_is_not_heeded_and_the_report_says_so() {
    let base = Fixture::with_rounds(10);
    let slow = base.clone().slower(SEQUENTIAL, 2.5).build();
    let base = base.build();
    let found = |change: &dyn Fn(&mut Calibration), regressed: u32| {
        let mut calibration = calibration(1.0, vec![figure(SEQUENTIAL, regressed, 20)]);
        change(&mut calibration);
        let policy = GateConfig {
            calibration: Some(calibration),
            ..GateConfig::default()
        };
        let j = judge(&base, &slow, &policy);
        (j.verdict, findings(&j, Severity::Note))
    };
    for (other, change) in [
        (
            "server",
            (&|c: &mut Calibration| c.server.name.push('x')) as &dyn Fn(&mut Calibration),
        ),
        ("suite", &|c| c.suite_hash.push('x')),
        ("kind of machine", &|c| c.environment.cores += 1),
    ] {
        let said = format!(
            "the calibration of 2026-11-28 is of another {other}, so no scenario steps down by it: \
             calibrate anew with `mcpgate calibrate`"
        );
        assert_eq!(found(change, 4), (Verdict::Regressed, vec![said]));
        // What would step nothing down is no matter.
        assert_eq!(
            found(change, 0),
            (Verdict::Regressed, Vec::new()),
            "{other}"
        );
    }
    // Its version may differ: a new one of the server is what is to be judged.
    assert_eq!(found(&|c| c.server.version.push('x'), 4).0, Verdict::Pass);
}

#[test]
fn suites_are_counted_by_what_they_were_called() {
    let base = Fixture::with_rounds(10);
    let (same, slow) = (
        base.clone().build(),
        base.clone().slower(CONCURRENT, 2.5).build(),
    );
    let base = base.build();
    let suites: Vec<_> = [(&same, 40.0), (&slow, 90.0), (&same, 50.0)]
        .map(|(candidate, seconds)| (judged(&base, candidate), seconds))
        .into();
    let control = control(&suites, 1.0, 7);
    assert_eq!(
        (
            control.suites,
            control.regressed,
            control.inconclusive,
            control.seed
        ),
        (3, 1, 0, 7)
    );
    assert!((control.seconds - 50.0).abs() < 1e-9);
    let of = |scenario: &str, metric: Metric| {
        let mut these = control.figures.iter();
        these
            .find(|f| f.scenario == scenario && f.metric == metric.name())
            .unwrap()
    };
    let concurrent = of(CONCURRENT, Metric::LatencyP50);
    assert_eq!((concurrent.regressed, concurrent.suites), (1, 3));
    assert!((concurrent.pairs - 10.0).abs() < 1e-9);
    assert!(concurrent.smallest_detectable_ratio.unwrap() > 1.0);
    assert_eq!(of(SEQUENTIAL, Metric::LatencyP50Adjusted).regressed, 0);
    assert_eq!(of(CONCURRENT, Metric::ErrorRate).suites, 3);
    let scenario = control.scenarios.iter().find(|s| s.scenario == CONCURRENT);
    let scenario = scenario.unwrap();
    assert_eq!(
        (scenario.regressed, scenario.suites),
        (1, 3),
        "two of its figures, one suite"
    );
}
