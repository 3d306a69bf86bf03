use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, duplex},
    sync::{Mutex, Semaphore},
    time::{Duration, Instant, sleep},
};

use super::{call::CompiledCall, measure::Bench, observer::Observer, target::RunningServer};
use crate::{
    mcp::{
        Limits,
        client::{self, Endpoint, Wanted},
        elicitation::Elicitation,
        revision::Revision,
        stdio::StdioLink,
        testing::{Asked, Step, http, http_server, json_answer, say},
    },
    results::{Sample, Sessions},
    suite::{Expect, ToolCall, ToolKind},
};

const LIMITS: Limits = Limits {
    call_timeout: Duration::from_secs(30),
    message_bytes: 1 << 20,
    elicitation: Elicitation::Refused,
};
const MS: u64 = 1_000_000;

fn call(message: &str) -> Arc<CompiledCall> {
    let call = ToolCall {
        name: "work".to_owned(),
        arguments: json!({"message": message}).as_object().unwrap().clone(),
        expect: Expect {
            contains: Some(message.to_owned()),
        },
        kind: ToolKind::Compute,
        data: None,
    };
    Arc::new(CompiledCall::new(&call, 1, "scenario").unwrap())
}

fn answer(message: &Value) -> String {
    let result = match message["method"].as_str().unwrap() {
        "server/discover" => json!({"supportedVersions": ["2026-07-28"]}),
        "tools/list" => json!({"tools": []}),
        _ => {
            let said = &message["params"]["arguments"]["message"];
            json!({"content": [{"type": "text", "text": said}]})
        }
    };
    json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string()
}

/// A stdio server that works on `workers` calls at a time. `time(call number)` says how long a call
/// takes; `None`: it is never answered.
fn server(
    workers: usize,
    time: impl Fn(u32) -> Option<Duration> + Send + Sync + 'static,
) -> StdioLink {
    let (our_write, their_read) = duplex(1 << 16);
    let (their_write, our_read) = duplex(1 << 16);
    let workers = Arc::new(Semaphore::new(workers));
    let output = Arc::new(Mutex::new(their_write));
    let (time, number) = (Arc::new(time), AtomicU32::new(0));
    tokio::spawn(async move {
        let mut lines = BufReader::new(their_read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let message: Value = serde_json::from_str(&line).unwrap();
            if message.get("id").is_none() {
                continue;
            }
            let is_call = message["method"] == "tools/call";
            let time = if is_call {
                time(number.fetch_add(1, Ordering::Relaxed))
            } else {
                Some(Duration::ZERO)
            };
            let (output, workers) = (Arc::clone(&output), Arc::clone(&workers));
            tokio::spawn(async move {
                let _permit = workers.acquire_owned().await.unwrap();
                let Some(time) = time else { return };
                sleep(time).await;
                let line = format!("{}\n", answer(&message));
                let _ = output.lock().await.write_all(line.as_bytes()).await;
            });
        }
    });
    StdioLink::new(our_write, our_read, LIMITS)
}

async fn bench(endpoint: Endpoint) -> Bench {
    bench_of(endpoint, Revision::MODERN).await
}

async fn bench_of(endpoint: Endpoint, revision: Revision) -> Bench {
    let opened = client::open(&endpoint, Wanted::Exactly(revision), LIMITS).await;
    Bench {
        client: opened.unwrap().client,
        server: RunningServer::in_memory(endpoint),
        revision,
        limits: LIMITS,
        observer: Observer::default(),
        slowed_by: None,
    }
}

async fn over_stdio(link: StdioLink) -> Bench {
    bench(Endpoint::Stdio(link)).await
}

fn milliseconds(sample: &Sample) -> [u64; 3] {
    let wall = sample.wall.unwrap();
    [
        wall.p50_ns / MS,
        wall.p95_ns.unwrap() / MS,
        wall.max_ns / MS,
    ]
}

#[tokio::test(start_paused = true)]
async fn calls_one_at_a_time_take_what_the_server_takes() {
    let mut bench = over_stdio(server(1, |_| Some(Duration::from_millis(123)))).await;
    let sample = bench
        .sequential(&call("call {{i}}"), 5, 20)
        .await
        .unwrap()
        .into_sample();
    assert_eq!((sample.calls, sample.successes), (20, 20));
    assert_eq!(milliseconds(&sample), [123, 123, 123]);
    assert_eq!(sample.duration_ns, 20 * 123 * MS);
    assert_eq!(sample.first_byte, sample.wall);
}

/// What is planted is in every figure, and the next call waits for it.
#[tokio::test(start_paused = true)]
async fn answers_that_are_held_back_take_longer_by_the_factor() {
    let mut bench = over_stdio(server(1, |_| Some(Duration::from_millis(100)))).await;
    bench.slowed_by = Some(1.3);
    let held = bench.sequential(&call("call {{i}}"), 0, 20).await.unwrap();
    let sample = held.into_sample();
    assert_eq!(milliseconds(&sample), [130; 3]);
    assert_eq!(sample.duration_ns, 20 * 130 * MS);
}

/// Little's law: callers = calls per second × time of a call.
#[tokio::test(start_paused = true)]
async fn concurrent_calls_take_what_the_server_takes() {
    for (workers, expected_ms) in [(10, 100), (5, 200), (1, 1000)] {
        let mut bench = over_stdio(server(workers, |_| Some(Duration::from_millis(100)))).await;
        let collector = bench
            .concurrent(&call("{{i}} {{vu}}"), 0, 100, (10, Sessions::Each))
            .await
            .unwrap();
        let sample = collector.into_sample();
        assert_eq!((sample.calls, sample.successes), (100, 100));
        let [p50, p95, max] = milliseconds(&sample);
        assert_eq!([p50, p95, max], [expected_ms; 3], "{workers} workers");
        let in_flight = sample.throughput_per_s() * expected_ms as f64 / 1000.0;
        let fill = 1.0 - 9.0 / 100.0 * (10 / workers - 1) as f64 / 10.0;
        assert!(
            in_flight <= 10.001 && in_flight >= 9.0 * fill,
            "{workers} workers: {in_flight} in flight"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn over_http_each_caller_has_a_connection_of_its_own() {
    let highest = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&highest);
    let target = http_server(1 << 16, move |asked| {
        let connection = u32::try_from(asked.connection).unwrap();
        seen.fetch_max(connection, Ordering::Relaxed);
        let answer = json_answer(&answer(&asked.message));
        match asked.method() {
            "tools/call" => vec![Step::Wait(100), Step::Say(answer)],
            _ => say(answer),
        }
    });
    let mut bench = bench(Endpoint::Http(target)).await;
    let collector = bench
        .concurrent(&call("{{i}} {{vu}}"), 0, 100, (10, Sessions::Each))
        .await
        .unwrap();
    let sample = collector.into_sample();
    assert_eq!(sample.successes, 100);
    assert_eq!(milliseconds(&sample), [100; 3]);
    assert_eq!(sample.duration_ns, 1000 * MS);
    // One of the bench and one of each caller.
    assert_eq!(highest.load(Ordering::Relaxed), 10);
}

/// A server that takes the calls of a session one after another, 100 ms each: many agents do not
/// notice, one agent with parallel calls does.
#[tokio::test(start_paused = true)]
async fn in_one_session_calls_may_wait_for_each_other() {
    for (sessions, expected_sessions, expected_ms) in
        [(Sessions::Each, 6, 100), (Sessions::Shared, 1, 500)]
    {
        let seen = Arc::new(std::sync::Mutex::new(SessionsSeen::default()));
        let server = Arc::clone(&seen);
        let target = http_server(1 << 16, move |asked| server.lock().unwrap().answer(asked));
        let mut bench = bench_of(Endpoint::Http(target), Revision::NEWEST_LEGACY).await;
        let collector = bench.concurrent(&call("x"), 0, 100, (5, sessions)).await;
        let sample = collector.unwrap().into_sample();
        assert_eq!(sample.successes, 100);
        let [p50, _, max] = milliseconds(&sample);
        assert_eq!([p50, max], [expected_ms; 2], "{sessions:?}");
        let seen = seen.lock().unwrap();
        assert_eq!(seen.opened, expected_sessions);
        assert_eq!(seen.ended, expected_sessions - 1, "that of the bench stays");
        assert_eq!(seen.calls.len(), 100, "an id was used twice in a session");
    }
}

#[derive(Default)]
struct SessionsSeen {
    opened: u32,
    ended: u32,
    /// Session and id of each call.
    calls: BTreeSet<(String, u64)>,
    /// When a session has done what it was asked to.
    idle_at: BTreeMap<String, Instant>,
}

impl SessionsSeen {
    fn answer(&mut self, asked: &Asked) -> Vec<Step> {
        let session = asked
            .header("mcp-session-id")
            .unwrap_or_default()
            .to_owned();
        let id = asked.message["id"].as_u64();
        match (asked.method(), id) {
            ("initialize", Some(id)) => {
                self.opened += 1;
                let headers = format!(
                    "content-type: application/json\r\nmcp-session-id: s{}\r\n",
                    self.opened
                );
                let result = json!({
                    "protocolVersion": Revision::NEWEST_LEGACY.as_str(),
                    "capabilities": {},
                    "serverInfo": {"name": "a", "version": "1"},
                });
                let body = json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
                say(http(200, &headers, &body))
            }
            ("tools/call", Some(id)) => {
                self.calls.insert((session.clone(), id));
                let now = Instant::now();
                let idle_at = self.idle_at.entry(session).or_insert(now);
                *idle_at = (*idle_at).max(now) + Duration::from_millis(100);
                let wait = u64::try_from((*idle_at - now).as_millis()).unwrap();
                vec![
                    Step::Wait(wait),
                    Step::Say(json_answer(&answer(&asked.message))),
                ]
            }
            _ => {
                self.ended += u32::from(asked.head.starts_with("delete"));
                say(http(202, "", ""))
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn three_time_outs_in_a_row_end_a_scenario() {
    let hanging = || server(100, |number| (number < 4).then_some(Duration::ZERO));
    let mut bench = over_stdio(hanging()).await;
    let began = Instant::now();
    let collector = bench.sequential(&call("x"), 0, 100).await.unwrap();
    assert!(collector.is_hopeless());
    let sample = collector.into_sample();
    assert_eq!((sample.calls, sample.successes), (7, 4));
    assert_eq!(sample.errors, [("timeout".to_owned(), 3)].into());
    assert_eq!(began.elapsed().as_secs(), 90);

    // All callers wait at the same time.
    let mut bench = over_stdio(hanging()).await;
    let began = Instant::now();
    let sample = bench
        .concurrent(&call("x"), 0, 100, (10, Sessions::Each))
        .await
        .unwrap()
        .into_sample();
    assert_eq!((sample.calls, sample.successes), (34, 4));
    assert_eq!(began.elapsed().as_secs(), 90);
    assert!(sample.was_given_up(100));

    // Now and then one is no reason to give up.
    let flaky = server(100, |number| (number % 3 == 2).then_some(Duration::ZERO));
    let mut bench = over_stdio(flaky).await;
    let sample = bench
        .sequential(&call("x"), 0, 12)
        .await
        .unwrap()
        .into_sample();
    assert_eq!((sample.calls, sample.successes), (12, 4));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_is_lost_and_one_that_drops_a_connection_is_not() {
    // Pipes that close: nothing more can come.
    let (our_write, their_read) = duplex(1 << 16);
    let (their_write, our_read) = duplex(1 << 16);
    tokio::spawn(async move {
        let mut output = their_write;
        let mut lines = BufReader::new(their_read).lines();
        for _ in 0..3 {
            let line = lines.next_line().await.unwrap().unwrap();
            let answer = answer(&serde_json::from_str(&line).unwrap());
            output
                .write_all(format!("{answer}\n").as_bytes())
                .await
                .unwrap();
        }
    });
    let mut bench = over_stdio(StdioLink::new(our_write, our_read, LIMITS)).await;
    let failure = bench.sequential(&call("x"), 0, 10).await.err().unwrap();
    let text = failure.at("round 1, work").to_string();
    assert!(
        text.starts_with("the server was lost during round 1, work: the server "),
        "{text}"
    );

    // A connection that breaks while others are served.
    let target = http_server(1 << 16, |asked| match (asked.method(), asked.connection) {
        ("tools/call", 0) => vec![Step::Close],
        _ => say(json_answer(&answer(&asked.message))),
    });
    let mut bench = self::bench(Endpoint::Http(target)).await;
    let sample = bench
        .sequential(&call("x"), 0, 10)
        .await
        .unwrap()
        .into_sample();
    assert_eq!((sample.calls, sample.successes), (10, 9));
    assert_eq!(sample.errors, [("reset".to_owned(), 1)].into());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_refused_is_counted_and_the_others_go_on() {
    let target = http_server(1 << 16, |asked| match asked.connection {
        3..6 => say(http(503, "", "too many")),
        _ => say(json_answer(&answer(&asked.message))),
    });
    let mut bench = bench(Endpoint::Http(target)).await;
    let sample = bench
        .concurrent(&call("x"), 0, 20, (10, Sessions::Each))
        .await
        .unwrap()
        .into_sample();
    assert_eq!((sample.calls, sample.successes), (23, 20));
    assert_eq!(sample.errors, [("http-503".to_owned(), 3)].into());
}

#[tokio::test(start_paused = true)]
async fn mixed_up_answers_are_found() {
    // Answers each call with what the one before asked for.
    let before = std::sync::Mutex::new(json!("first"));
    let target = http_server(1 << 16, move |asked| {
        let mut message = asked.message.clone();
        if asked.method() == "tools/call" {
            let said = &mut message["params"]["arguments"]["message"];
            std::mem::swap(said, &mut before.lock().unwrap());
        }
        say(json_answer(&answer(&message)))
    });
    let mut bench = bench(Endpoint::Http(target)).await;
    let mut collector = bench.sequential(&call("call {{i}}"), 0, 5).await.unwrap();
    assert_eq!(collector.take_first_error().unwrap().kind, "wrong-answer");
    assert_eq!(collector.into_sample().successes, 0);
}
