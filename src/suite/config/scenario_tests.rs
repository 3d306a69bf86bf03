use std::time::Duration;

use super::tests::{good, mistakes};
use crate::{
    results::Sessions,
    suite::{
        executor::{Executor, Stage},
        load::{GRACEFUL_STOP, ThinkTime},
    },
};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn every_executor_is_read_with_its_defaults() {
    let stage = |s, target| Stage {
        duration: seconds(s),
        target,
    };
    let minutes = Duration::from_mins(10);
    let stages = "stages = [{ duration = \"5s\", target = 10 }, { duration = \"0s\", target = 0 }]";
    for (keys, executor) in [
        (
            "executor = \"shared-iterations\"\nvus = 5\niterations = 100".to_owned(),
            Executor::SharedIterations {
                vus: 5,
                iterations: 100,
                max_duration: minutes,
            },
        ),
        (
            "executor = \"per-vu-iterations\"\niterations = 3\nmax-duration = \"1s\"".to_owned(),
            Executor::PerVuIterations {
                vus: 1,
                iterations: 3,
                max_duration: seconds(1),
            },
        ),
        (
            "executor = \"constant-vus\"\nvus = 2\nduration = \"3s\"".to_owned(),
            Executor::ConstantVus {
                vus: 2,
                duration: seconds(3),
            },
        ),
        (
            format!("executor = \"ramping-vus\"\n{stages}"),
            Executor::RampingVus {
                start_vus: 1,
                stages: vec![stage(5, 10), stage(0, 0)],
            },
        ),
        (
            "executor = \"constant-arrival-rate\"\nrate = 60\nduration = \"3s\"".to_owned(),
            Executor::ConstantArrivalRate {
                rate: 60,
                time_unit: seconds(1),
                duration: seconds(3),
                max_vus: 120,
            },
        ),
        (
            format!("executor = \"ramping-arrival-rate\"\ntime-unit = \"1m\"\n{stages}"),
            Executor::RampingArrivalRate {
                start_rate: 0,
                time_unit: seconds(60),
                stages: vec![stage(5, 10), stage(0, 0)],
                max_vus: 10,
            },
        ),
    ] {
        let text = format!("[[scenario]]\nname = \"mine\"\ntool = \"search\"\n{keys}\n");
        let config = good(&text);
        let [load] = &config.loads[..] else {
            panic!("{config:?}");
        };
        assert_eq!(load.terms.executor, executor);
        assert_eq!(load.mix, [("search".to_owned(), 1)]);
        assert_eq!(load.terms.graceful_stop, GRACEFUL_STOP);
        assert_eq!(load.terms.think_time, ThinkTime::default());
        assert_eq!(load.terms.start_time, None);
        assert_eq!(load.terms.sessions, Sessions::Each);
    }
}

#[test]
fn everything_that_a_scenario_may_say_is_read() {
    let config = good(
        r#"
[[tool]]
name = "search"

[[tool]]
name = "fetch it"

[[scenario]]
name = "mine"
tools = { search = 3, "fetch it" = 1 }
executor = "constant-vus"
vus = 2
duration = "3s"
think-time = { from = "100ms", to = "300ms" }
graceful-stop = "1s"
start-time = "0s"
sessions = "per-call"
"#,
    );
    let [load] = &config.loads[..] else {
        panic!("{config:?}");
    };
    let mix = [("fetch it".to_owned(), 1), ("search".to_owned(), 3)];
    assert_eq!(load.mix, mix);
    assert_eq!(load.terms.think_time.from, Duration::from_millis(100));
    assert_eq!(load.terms.think_time.to, Duration::from_millis(300));
    assert_eq!(load.terms.graceful_stop, seconds(1));
    assert_eq!(load.terms.start_time, Some(Duration::ZERO));
    assert_eq!(load.terms.sessions, Sessions::PerCall);
}

#[test]
fn mistakes_in_scenarios() {
    insta::assert_snapshot!(mistakes(
        r#"
[[tool]]
name = "search"

[[scenario]]
name = "handshake"
tool = "serch"
executor = "constant-arrival-rate"
rate = 0
vus = 5
think-time = "1s"

[[scenario]]
name = "a b"
tool = "search"
tools = { search = 1 }
executor = "ramping-vu"
stages = []

[[scenario]]
name = "zero"
tools = { search = 0 }
executor = "ramping-vus"
start-vus = 0
stages = [{ duration = "1s", target = 0 }, { target = 5000, until = 3 }]

[[scenario]]
name = "idle"
tool = "search"
executor = "ramping-arrival-rate"
stages = [{ duration = "1s", target = 0 }]

[[scenario]]
name = "endless"
tool = "search"
executor = "constant-arrival-rate"
rate = 100000
duration = "1h"

[[scenario]]
name = "endless"
tool = "search"
executor = "constant-vus"
duration = "1s"
think-time = { from = "2s", to = "1s" }

[[scenario]]
executor = "per-vu-iterations"
"#
    ));
}
