use proptest::prelude::*;

use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn stage(duration: Duration, target: u32) -> Stage {
    Stage { duration, target }
}

fn constant(rate: u32, time_unit: Duration, duration: Duration) -> Executor {
    Executor::ConstantArrivalRate {
        rate,
        time_unit,
        duration,
        max_vus: 10,
    }
}

fn ramping_rate(start_rate: u32, stages: Vec<Stage>) -> Executor {
    Executor::RampingArrivalRate {
        start_rate,
        time_unit: seconds(1),
        stages,
        max_vus: 10,
    }
}

#[test]
fn a_constant_rate_has_even_distances() {
    let arrivals: Vec<Duration> = constant(200, seconds(1), seconds(10)).arrivals().collect();
    assert_eq!(arrivals.len(), 2_000);
    for (n, at) in (0..).zip(&arrivals) {
        assert_eq!(*at, Duration::from_millis(5) * n);
    }
    let count = |rate, unit, duration| constant(rate, unit, duration).planned_calls();
    let ms = Duration::from_millis;
    for (rate, unit, duration, calls) in [
        (1, seconds(1), ms(1), 1),
        (1, seconds(1), seconds(1), 1),
        (1, seconds(1), ms(1_001), 2),
        (3, seconds(1), seconds(10), 30),
        (7, seconds(60), seconds(60), 7),
        (1, seconds(60), seconds(30), 1),
    ] {
        assert_eq!(
            count(rate, unit, duration),
            Some(calls),
            "{rate} {duration:?}"
        );
    }
}

#[test]
fn a_ramp_follows_the_area_under_its_line() {
    // 0 to 10 a second in 10 s are 50 calls; call n is due when t²/2 = n.
    let arrivals: Vec<f64> = ramping_rate(0, vec![stage(seconds(10), 10)])
        .arrivals()
        .map(|at| at.as_secs_f64())
        .collect();
    assert_eq!(arrivals.len(), 50);
    for (n, at) in arrivals.iter().enumerate() {
        assert!((at - (2.0 * n as f64).sqrt()).abs() < 1e-8, "{n}: {at}");
    }
    // Downwards it is the mirror, from the other end.
    let down: Vec<f64> = ramping_rate(10, vec![stage(seconds(10), 0)])
        .arrivals()
        .map(|at| at.as_secs_f64())
        .collect();
    assert_eq!(down.len(), 50);
    for (n, at) in down.iter().enumerate() {
        let left = 2.0 * (50.0 - n as f64);
        assert!((at - (10.0 - left.sqrt())).abs() < 1e-8, "{n}: {at}");
    }
}

#[test]
fn nothing_arrives_while_the_rate_is_zero() {
    let executor = ramping_rate(
        0,
        vec![
            stage(seconds(5), 0),
            stage(seconds(0), 2),
            stage(seconds(2), 2),
            stage(seconds(0), 0),
            stage(seconds(5), 0),
        ],
    );
    let at: Vec<f64> = executor.arrivals().map(|at| at.as_secs_f64()).collect();
    assert_eq!(at, [5.0, 5.5, 6.0, 6.5]);
    assert_eq!(executor.longest(), seconds(12));
    assert_eq!(
        ramping_rate(0, vec![stage(seconds(5), 0)])
            .arrivals()
            .count(),
        0
    );
}

#[test]
fn virtual_users_come_and_go_one_by_one() {
    let ms = |at, vus| (Duration::from_millis(at), vus);
    for (start_vus, stages, expected) in [
        (
            0,
            vec![stage(seconds(3), 3)],
            vec![ms(0, 0), ms(1_000, 1), ms(2_000, 2), ms(3_000, 3)],
        ),
        (
            2,
            vec![
                stage(seconds(1), 2),
                stage(seconds(0), 5),
                stage(seconds(2), 5),
            ],
            vec![ms(0, 2), ms(1_000, 5)],
        ),
        (
            2,
            vec![stage(seconds(1), 0)],
            vec![ms(0, 2), ms(500, 1), ms(1_000, 0)],
        ),
    ] {
        let executor = Executor::RampingVus { start_vus, stages };
        assert_eq!(executor.vus_over_time(), expected);
    }
}

#[test]
fn what_each_executor_says_of_itself() {
    let ramp = Executor::RampingVus {
        start_vus: 5,
        stages: vec![
            stage(seconds(2), 5),
            stage(seconds(0), 20),
            stage(seconds(2), 20),
            stage(seconds(1), 0),
        ],
    };
    assert_eq!((ramp.most_vus(), ramp.longest()), (20, seconds(5)));
    let spans: Vec<_> = ramp
        .spans()
        .iter()
        .map(|s| (s.begins.as_secs(), s.ends.as_secs(), s.from, s.to))
        .collect();
    assert_eq!(spans, [(0, 2, 5, 5), (2, 4, 20, 20), (4, 5, 20, 0)]);
    let shared = Executor::SharedIterations {
        vus: 4,
        iterations: 10,
        max_duration: seconds(60),
    };
    let per_vu = Executor::PerVuIterations {
        vus: 4,
        iterations: 10,
        max_duration: seconds(60),
    };
    assert_eq!(shared.planned_calls(), Some(10));
    assert_eq!(per_vu.planned_calls(), Some(40));
    assert_eq!(ramp.planned_calls(), None);
    assert!(!shared.is_open() && constant(1, seconds(1), seconds(1)).is_open());
}

proptest! {
    #[test]
    fn arrivals_are_ordered_within_the_load_and_as_many_as_planned(
        start_rate in 0_u32..50,
        stages in prop::collection::vec((0_u64..3_000, 0_u32..50), 1..6),
    ) {
        let stages = stages
            .into_iter()
            .map(|(ms, target)| stage(Duration::from_millis(ms), target))
            .collect();
        let executor = ramping_rate(start_rate, stages);
        let arrivals: Vec<Duration> = executor.arrivals().collect();
        prop_assert_eq!(Some(arrivals.len() as u64), executor.planned_calls());
        prop_assert!(arrivals.is_sorted());
        prop_assert!(arrivals.last().is_none_or(|last| *last <= executor.longest()));
    }

    /// Half-way through the calls, half of the area lies behind.
    #[test]
    fn arrivals_split_the_area(from in 0_u32..100, to in 0_u32..100, ms in 1_000_u64..5_000) {
        let executor = ramping_rate(from, vec![stage(Duration::from_millis(ms), to)]);
        let seconds = ms as f64 / 1e3;
        for (n, at) in executor.arrivals().enumerate() {
            let t = at.as_secs_f64();
            let slope = (f64::from(to) - f64::from(from)) / seconds;
            let area = f64::from(from).mul_add(t, slope * t * t / 2.0);
            prop_assert!((area - n as f64).abs() < 1e-3, "call {} at {}: {}", n, t, area);
        }
    }
}
