//! Loads in virtual time against a server in memory: what they give is exact.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, duplex},
    sync::mpsc,
    time::{advance, sleep, sleep_until},
};

use super::*;
use crate::{
    mcp::{elicitation::Elicitation, revision::Revision, stdio::StdioLink},
    runner::{observer::Observer, target::RunningServer},
    suite::{
        Expect, ToolCall, ToolKind,
        executor::{Executor, Stage},
        load::{GRACEFUL_STOP, LoadTerms, ThinkTime},
    },
};

const LIMITS: Limits = Limits {
    call_timeout: Duration::from_secs(30),
    message_bytes: 1 << 20,
    elicitation: Elicitation::Refused,
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a server was asked, and when, since its start.
struct Asked {
    at: Duration,
    tool: String,
    arguments: Value,
}

type Log = mpsc::UnboundedReceiver<Asked>;

/// A server that answers each call at the moment that `answered(asked)` names, both since its
/// start; `None`: never. Any number of calls are worked on at once.
fn server(answered: impl Fn(Duration) -> Option<Duration> + Send + 'static) -> (StdioLink, Log) {
    let (our_write, their_read) = duplex(1 << 16);
    let (their_write, our_read) = duplex(1 << 16);
    let output = Arc::new(tokio::sync::Mutex::new(their_write));
    let (log, asked) = mpsc::unbounded_channel();
    let began = Instant::now();
    tokio::spawn(async move {
        let mut lines = BufReader::new(their_read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let message: Value = serde_json::from_str(&line).unwrap();
            if message.get("id").is_none() {
                continue;
            }
            let at = began.elapsed();
            let (result, answered) = if message["method"] == "tools/call" {
                let arguments = message["params"]["arguments"].clone();
                let text = arguments["message"].clone();
                let _ = log.send(Asked {
                    at,
                    tool: message["params"]["name"].as_str().unwrap().to_owned(),
                    arguments,
                });
                let result = json!({"content": [{"type": "text", "text": text}]});
                (result, answered(at))
            } else {
                (json!({"supportedVersions": ["2026-07-28"]}), Some(at))
            };
            let line = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
            let output = Arc::clone(&output);
            tokio::spawn(async move {
                let Some(answered) = answered else { return };
                sleep_until(began + answered).await;
                let line = format!("{line}\n");
                let _ = output.lock().await.write_all(line.as_bytes()).await;
            });
        }
    });
    (StdioLink::new(our_write, our_read, LIMITS), asked)
}

fn tool(name: &str) -> ToolCall {
    let arguments = json!({"message": "call {{i}}", "vu": "{{vu}}", "n": "{{random 1 1000}}"});
    ToolCall {
        name: name.to_owned(),
        arguments: arguments.as_object().unwrap().clone(),
        expect: Expect {
            contains: Some("call {{i}}".to_owned()),
        },
        kind: ToolKind::Compute,
        data: None,
    }
}

fn terms(executor: Executor) -> LoadTerms {
    LoadTerms {
        executor,
        start_time: None,
        think_time: ThinkTime::default(),
        graceful_stop: GRACEFUL_STOP,
        sessions: Sessions::Each,
    }
}

fn planned(terms: LoadTerms, mix: &[(&str, u32)], seed: u64) -> PlannedLoad {
    let mix = mix.iter().map(|(name, weight)| (tool(name), *weight));
    let load = Load::new("load", terms, mix.collect());
    let calls = load
        .mix
        .iter()
        .map(|(tool, _)| Arc::new(CompiledCall::new(tool, seed, &tool.name).unwrap()));
    PlannedLoad {
        calls: calls.collect(),
        mix_seed: load.seed(seed),
        load,
    }
}

async fn apply_to(planned: &PlannedLoad, link: StdioLink) -> LoadSample {
    let endpoint = Endpoint::Stdio(link);
    let wanted = Wanted::Exactly(Revision::MODERN);
    let opened = client::open(&endpoint, wanted, LIMITS).await;
    let mut bench = Bench {
        client: opened.unwrap().client,
        server: RunningServer::in_memory(endpoint),
        revision: Revision::MODERN,
        limits: LIMITS,
        observer: Observer::default(),
        slowed_by: None,
    };
    let (calls, mix) = planned.without(&GivenUp::default()).unwrap();
    let load = Arc::new(Running::new(planned, calls, mix, &bench));
    let clients = open_clients(&mut bench, &load).await;
    load.begin(Instant::now());
    let (load, _) = drive(load, clients).await;
    let tally = std::mem::take(&mut *load.tally()).checked();
    load.sample_of(tally).0
}

async fn apply(terms: LoadTerms, link: StdioLink) -> LoadSample {
    apply_to(&planned(terms, &[("work", 1)], 1), link).await
}

fn all(mut log: Log) -> Vec<Asked> {
    std::iter::from_fn(|| log.try_recv().ok()).collect()
}

/// p50, p95, p99 and the largest, in milliseconds, of calls in virtual time.
fn milliseconds(sample: &LoadSample) -> [u64; 4] {
    let wall = sample.whole.wall.unwrap();
    let whole_ms = |ns: u64| (ns + 500_000) / 1_000_000;
    [
        wall.p50_ns,
        wall.p95_ns.unwrap(),
        wall.p99_ns.unwrap(),
        wall.max_ns,
    ]
    .map(whole_ms)
}

/// 10 s at 200 calls a second, and a server that stands still for one of them: 200 calls wait for
/// 5, 10, … 1,000 ms, so of 2,000 the 95th percentile is 500 and the 99th 900. A generator that
/// waits for an answer before it sends the next call would see one slow call in 1,800.
#[tokio::test(start_paused = true)]
async fn the_open_model_hides_no_wait() {
    let (link, log) = server(|asked| {
        let is_frozen = (seconds(5)..seconds(6)).contains(&asked);
        Some(if is_frozen { seconds(6) } else { asked })
    });
    let sample = apply(
        terms(Executor::ConstantArrivalRate {
            rate: 200,
            time_unit: seconds(1),
            duration: seconds(10),
            max_vus: 400,
        }),
        link,
    )
    .await;
    assert_eq!(sample.whole.calls, 2_000);
    assert_eq!(sample.whole.successes, 2_000);
    assert_eq!((sample.dropped, sample.interrupted), (0, 0));
    assert_eq!(milliseconds(&sample), [0, 500, 900, 1_000]);
    let histogram = sample.whole.wall_histogram_ns.as_ref().unwrap();
    assert_eq!(histogram.total(), 2_000);
    let p95 = histogram.quantile_ns(950);
    assert!((500_000_000..516_000_000).contains(&p95), "{p95}");
    // One more is due at the very moment at which the server goes on.
    assert!((200..=201).contains(&sample.most_in_flight));
    assert_eq!(sample.send_lag.unwrap().max_ns, 0);
    for (n, asked) in (0..).zip(all(log)) {
        assert_eq!(asked.at, ms(5) * n);
    }
}

/// The clock jumps by 100 ms, as where the machine gave mcpgate no core: the 20 calls that were due
/// meanwhile are sent late.
#[tokio::test(start_paused = true)]
async fn what_mcpgate_is_late_in_sending_is_in_the_latency_and_beside_it() {
    let (link, _) = server(Some);
    tokio::spawn(async {
        sleep(seconds(1)).await;
        advance(ms(100)).await;
    });
    let sample = apply(
        terms(Executor::ConstantArrivalRate {
            rate: 200,
            time_unit: seconds(1),
            duration: seconds(2),
            max_vus: 100,
        }),
        link,
    )
    .await;
    assert_eq!((sample.whole.successes, sample.dropped), (400, 0));
    // p95 is the largest but 20, p99 the largest but 4.
    let [p50, p95, p99, max] = milliseconds(&sample);
    assert_eq!((p50, p95), (0, 0));
    assert!((75..=80).contains(&p99), "{p99}");
    assert!((95..=100).contains(&max), "{max}");
    let lag = sample.send_lag.unwrap();
    let wall = sample.whole.wall.unwrap();
    assert_eq!((lag.p50_ns, lag.max_ns), (wall.p50_ns, wall.max_ns));
}

#[tokio::test(start_paused = true)]
async fn calls_that_find_every_virtual_user_busy_are_dropped_and_counted() {
    let (link, _) = server(|asked| {
        let is_frozen = (seconds(5)..ms(5_998)).contains(&asked);
        Some(if is_frozen { ms(5_998) } else { asked + ms(1) })
    });
    let sample = apply(
        terms(Executor::ConstantArrivalRate {
            rate: 200,
            time_unit: seconds(1),
            duration: seconds(10),
            max_vus: 50,
        }),
        link,
    )
    .await;
    assert_eq!((sample.whole.calls, sample.dropped), (1_850, 150));
    assert_eq!(sample.most_in_flight, 50);
}

#[tokio::test(start_paused = true)]
async fn a_ramp_of_virtual_users_follows_its_stages() {
    let (link, log) = server(|asked| Some(asked + ms(10)));
    let stage = |ms_, target| Stage {
        duration: ms(ms_),
        target,
    };
    let sample = apply(
        terms(Executor::RampingVus {
            start_vus: 5,
            stages: vec![
                stage(2_000, 5),
                stage(0, 20),
                stage(2_000, 20),
                stage(1_000, 0),
            ],
        }),
        link,
    )
    .await;
    let calls: Vec<u32> = sample.stages.iter().map(|stage| stage.calls).collect();
    // Each virtual user makes a call in 10 ms.
    assert_eq!(calls[..2], [1_000, 4_000]);
    assert!((900..=1_100).contains(&calls[2]), "{calls:?}");
    assert_eq!(sample.most_in_flight, 20);
    assert_eq!(milliseconds(&sample), [10; 4]);
    let seen = all(log);
    for (from, to, callers) in [(0, 1_990, 5), (2_010, 3_990, 20), (4_960, 5_000, 1)] {
        let callers_then = callers_between(&seen, ms(from), ms(to));
        assert_eq!(callers_then.len(), callers, "{from} to {to} ms");
    }
}

/// The virtual users that called in this time.
fn callers_between(log: &[Asked], from: Duration, to: Duration) -> std::collections::BTreeSet<u64> {
    log.iter()
        .filter(|asked| (from..to).contains(&asked.at))
        .map(|asked| asked.arguments["vu"].as_u64().unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn iterations_are_shared_or_each_users_own() {
    for is_shared in [true, false] {
        let (link, log) = server(|asked| Some(asked + ms(10)));
        let (vus, iterations, max_duration) = (4, 40, seconds(60));
        let executor = if is_shared {
            Executor::SharedIterations {
                vus,
                iterations,
                max_duration,
            }
        } else {
            Executor::PerVuIterations {
                vus,
                iterations,
                max_duration,
            }
        };
        let sample = apply(terms(executor), link).await;
        let mut by_user: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for asked in all(log) {
            let i = asked.arguments["message"].as_str().unwrap()[5..]
                .parse()
                .unwrap();
            let vu = asked.arguments["vu"].as_u64().unwrap();
            by_user.entry(vu).or_default().push(i);
        }
        let mut numbers: Vec<u64> = by_user.values().flatten().copied().collect();
        numbers.sort_unstable();
        let calls = if is_shared { 40 } else { 160 };
        assert_eq!(numbers, (0..calls).collect::<Vec<_>>());
        assert_eq!(u64::from(sample.whole.successes), calls);
        if !is_shared {
            for (vu, numbers) in by_user {
                assert_eq!(numbers, (vu * 40..vu * 40 + 40).collect::<Vec<_>>());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_unanswered_after_the_graceful_stop_is_counted_as_interrupted() {
    for is_open in [false, true] {
        let began = Instant::now();
        let (link, _) = server(|asked| (asked < ms(500)).then_some(asked + ms(100)));
        let executor = if is_open {
            Executor::ConstantArrivalRate {
                rate: 10,
                time_unit: seconds(1),
                duration: seconds(1),
                max_vus: 10,
            }
        } else {
            Executor::ConstantVus {
                vus: 5,
                duration: seconds(1),
            }
        };
        let sample = apply(
            LoadTerms {
                graceful_stop: seconds(3),
                ..terms(executor)
            },
            link,
        )
        .await;
        let answered = if is_open { 5 } else { 25 };
        assert_eq!((sample.whole.calls, sample.interrupted), (answered, 5));
        assert_eq!(began.elapsed(), seconds(4));
    }
}

#[tokio::test(start_paused = true)]
async fn a_mix_has_its_shares_and_the_same_seed_asks_the_same() {
    let requests = async |seed| {
        let (link, log) = server(|asked| Some(asked + ms(3)));
        let executor = Executor::SharedIterations {
            vus: 7,
            iterations: 400,
            max_duration: seconds(60),
        };
        let planned = planned(terms(executor), &[("often", 3), ("seldom", 1)], seed);
        apply_to(&planned, link).await;
        let mut asked: Vec<(String, String)> = all(log)
            .into_iter()
            .map(|mut asked| {
                // Who makes a call depends on who is idle first.
                asked.arguments.as_object_mut().unwrap().remove("vu");
                (asked.arguments.to_string(), asked.tool)
            })
            .collect();
        asked.sort_unstable();
        asked
    };
    let first = requests(1).await;
    let seldom = first.iter().filter(|(_, tool)| tool == "seldom").count();
    assert_eq!((first.len(), seldom), (400, 100));
    assert_eq!(requests(1).await, first);
    assert_ne!(requests(2).await, first);
}

#[tokio::test(start_paused = true)]
async fn virtual_users_think_between_calls() {
    let (link, log) = server(|asked| Some(asked + ms(10)));
    let executor = Executor::ConstantVus {
        vus: 1,
        duration: seconds(10),
    };
    let sample = apply(
        LoadTerms {
            think_time: ThinkTime {
                from: ms(90),
                to: ms(90),
            },
            ..terms(executor)
        },
        link,
    )
    .await;
    assert_eq!(sample.whole.calls, 100);
    for (n, asked) in (0..).zip(all(log)) {
        assert_eq!(asked.at, ms(100) * n);
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_begins_at_its_start_time() {
    let (link, log) = server(Some);
    let executor = Executor::SharedIterations {
        vus: 1,
        iterations: 1,
        max_duration: seconds(1),
    };
    let sample = apply(
        LoadTerms {
            start_time: Some(seconds(3)),
            ..terms(executor)
        },
        link,
    )
    .await;
    assert_eq!(sample.whole.calls, 1);
    assert_eq!(all(log)[0].at, seconds(3));
}

#[tokio::test(start_paused = true)]
async fn errors_are_counted_in_the_stage_where_the_call_began() {
    let (link, _) = server(|asked| (asked < seconds(1)).then_some(asked));
    let executor = Executor::RampingArrivalRate {
        start_rate: 10,
        time_unit: seconds(1),
        stages: vec![
            Stage {
                duration: seconds(1),
                target: 10,
            },
            Stage {
                duration: seconds(1),
                target: 10,
            },
        ],
        max_vus: 20,
    };
    let sample = apply(
        LoadTerms {
            graceful_stop: seconds(60),
            ..terms(executor)
        },
        link,
    )
    .await;
    let stages: Vec<_> = sample
        .stages
        .iter()
        .map(|stage| (stage.calls, stage.successes))
        .collect();
    assert_eq!(stages, [(10, 10), (10, 0)]);
    assert_eq!(sample.whole.errors["timeout"], 10);
}
