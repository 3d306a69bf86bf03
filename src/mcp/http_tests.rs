use std::sync::{Arc, Mutex};

use bytes::Bytes;
use proptest::prelude::*;
use tokio::time::{Duration, Instant};

use super::{
    Limits,
    http::{HttpAnswer, HttpConnection},
    http_target::HttpTarget,
    outcome::{CallError, ErrorKind, Strays},
    testing::{Asked, END, STREAM, Step, chunk, http, http_server, json_answer, say},
};

const SHORT: Duration = Duration::from_millis(500);
const LIMIT: usize = 100_000;
const RIGHT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;

fn connection(target: &Arc<HttpTarget>) -> HttpConnection {
    let limits = Limits {
        message_bytes: LIMIT,
        ..Limits::default()
    };
    HttpConnection::new(Arc::clone(target), limits)
}

async fn post(connection: &mut HttpConnection) -> Result<HttpAnswer, CallError> {
    let headers = connection.target().headers().clone();
    let message = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"m"}"#);
    connection.post(1, message, &headers, true, SHORT).await
}

/// What one post to a server that says `answer` gives, in words.
async fn outcome(answer: &str) -> String {
    let answer = answer.to_owned();
    let target = http_server(1 << 20, move |_| say(answer.clone()));
    let exchange = match post(&mut connection(&target)).await {
        Ok(answer) => answer.successful(),
        Err(error) => Err(error),
    };
    let checked =
        exchange.and_then(|exchange| super::message::check_tool_answer(&exchange.body, 1, None));
    checked.map_or_else(|error| error.to_string(), |()| "right".to_owned())
}

fn stream(events: &[&str]) -> String {
    let chunks: String = events.iter().map(|event| chunk(event)).collect();
    format!("{STREAM}{chunks}{END}")
}

/// What the server of a stream that ends too early was asked, and the outcome.
async fn resumed(is_resumable: bool, post: Vec<Step>, get: String) -> (String, Vec<String>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let began = Instant::now();
    let target = http_server(1 << 20, move |request| {
        let method = request.head.split(' ').next().unwrap_or_default();
        let id = request.header("last-event-id").unwrap_or("-");
        let accept = request.header("accept").unwrap_or("-");
        let at = began.elapsed().as_millis();
        log.lock().unwrap().push(format!(
            "{method} {id} {accept} at {at} ms on connection {}",
            request.connection
        ));
        if method == "post" {
            post.clone()
        } else {
            say(get.clone())
        }
    });
    let mut connection = connection(&target);
    let headers = target.headers().clone();
    let message = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"m"}"#);
    let outcome = connection
        .post(1, message, &headers, is_resumable, SHORT)
        .await
        .map_or_else(|error| error.to_string(), |_| "answered".to_owned());
    let asked = asked.lock().unwrap().clone();
    (outcome, asked)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_too_early_is_asked_for_again_as_its_server_wants_it() {
    let opening = "id: a-7\nretry: 40\ndata:\n\n";
    let answer = stream(&[&format!("id: a-8\ndata: {RIGHT}\n\n")]);
    let posted = "post - application/json, text/event-stream at 0 ms on connection 0";
    let resumed_at = "get a-7 text/event-stream at 40 ms on connection";
    let broken = vec![
        Step::Say(format!("{STREAM}{}", chunk(opening))),
        Step::Close,
    ];
    // A stream that ends in order leaves its connection, on which to connect anew would be in the
    // call's time.
    for (post, connection) in [(say(stream(&[opening])), 0), (broken.clone(), 1)] {
        let (outcome, asked) = resumed(true, post, answer.clone()).await;
        assert_eq!(outcome, "answered");
        assert_eq!(asked, [posted, &format!("{resumed_at} {connection}")]);
    }
    let ended = "reset: the event stream ended before the answer under id 1";
    let (outcome, asked) = resumed(true, say(stream(&[opening])), http(405, "", "")).await;
    assert_eq!(
        outcome,
        format!(
            "{ended}; asked for the rest by Last-Event-ID, the server answered HTTP 405 Method \
             Not Allowed"
        )
    );
    assert_eq!(asked.len(), 2);
    // The other era has no such thing.
    let (outcome, asked) = resumed(false, say(stream(&[opening])), answer).await;
    assert_eq!((outcome.as_str(), asked.len()), (ended, 1));
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_answer_has_its_own_words() {
    let html = |status| http(status, "content-type: text/html\r\n", "<h1>no</h1>");
    let huge = format!("<pre>{}", "x".repeat(200_000));
    let rpc_error = r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Session not found"}}"#;
    let event = format!("data: {RIGHT}\n\n");
    let table = [
        (json_answer(RIGHT), "right"),
        (json_answer(&format!("\u{feff}{RIGHT}\r\n ")), "right"),
        (
            format!("HTTP/1.1 103 Early Hints\r\n\r\n{}", json_answer(RIGHT)),
            "right",
        ),
        (
            http(
                200,
                "Content-Type: Application/JSON; charset=utf-8\r\n",
                RIGHT,
            ),
            "right",
        ),
        (http(202, "", RIGHT), "right"),
        (stream(&[&event]), "right"),
        (
            stream(&["id: 1\nretry: 10\ndata:\n\n", ": still here\n\n", &event]),
            "right",
        ),
        (
            stream(&["data: {\"method\":\"notifications/progress\"}\n\n", &event]),
            "right",
        ),
        (
            stream(&[": only a comment\n\n"]),
            "reset: the event stream ended before the answer under id 1",
        ),
        // It is asked for again and again, and says the same each time.
        (
            stream(&["id: 1\nretry: 1\ndata:\n\n"]),
            "reset: the event stream ended before the answer under id 1",
        ),
        (
            stream(&["data: oops\n\n"]),
            "malformed: not a JSON-RPC answer (not an object): oops",
        ),
        (
            stream(&["data: {\"id\":7,\"result\":{}}\n\n"]),
            "wrong-answer: asked under id 1, answered under id 7",
        ),
        (
            http(202, "", ""),
            "malformed: not a JSON-RPC answer (not an object): ",
        ),
        (
            html(200),
            "malformed: not a JSON-RPC answer (not an object): <h1>no</h1>",
        ),
        (
            http(307, "location: http://127.0.0.1/mcp/\r\n", ""),
            "http-307: HTTP 307 Temporary Redirect: it redirects to http://127.0.0.1/mcp/; give \
             the URL that it redirects to, since redirects are not followed",
        ),
        (html(401), "http-401: HTTP 401 Unauthorized: <h1>no</h1>"),
        (
            http(404, "", rpc_error),
            "http-404: HTTP 404 Not Found: JSON-RPC error -32600: Session not found",
        ),
        (http(413, "", ""), "http-413: HTTP 413 Payload Too Large"),
        (
            json_answer(&huge),
            "too-large: the answer is larger than the limit of 100000 bytes",
        ),
        (
            stream(&[&format!("data: {huge}")]),
            "too-large: the answer is larger than the limit of 100000 bytes",
        ),
    ];
    for (answer, expected) in table {
        let outcome = outcome(&answer).await;
        assert_eq!(outcome, expected, "{}", &answer[..answer.len().min(300)]);
    }
    let stack_trace = outcome(&http(500, "", &huge)).await;
    assert!(
        stack_trace.starts_with("http-500: HTTP 500 Internal Server Error: <pre>xxx"),
        "{stack_trace}"
    );
    assert!(stack_trace.len() < 500);
    let cut = outcome("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{").await;
    assert!(
        cut.starts_with("timeout: no whole answer within 500ms"),
        "{cut}"
    );
}

#[tokio::test(start_paused = true)]
async fn stamps_are_those_of_the_bytes_and_patience_covers_the_whole_call() {
    let wait = |ms| Step::Wait(ms);
    let target = http_server(1 << 20, move |asked| match asked.connection {
        0 => vec![
            wait(20),
            Step::Say(STREAM.to_owned()),
            wait(30),
            Step::Say(chunk(&format!("data: {RIGHT}\n\n"))),
            wait(40),
            Step::Say(END.to_owned()),
        ],
        _ => vec![
            wait(400),
            Step::Say(STREAM.to_owned()),
            wait(200),
            Step::Say(chunk(&format!("data: {RIGHT}\n\n"))),
        ],
    });
    let mut kept = connection(&target);
    let began = Instant::now();
    let exchange = post(&mut kept).await.unwrap().exchange;
    let stamps = [exchange.sent, exchange.first_byte, exchange.last_byte];
    assert_eq!(stamps.map(|at| (at - began).as_millis()), [0, 20, 50]);
    // What follows the answer is read outside its time, before the next call.
    assert_eq!(began.elapsed().as_millis(), 50);
    kept.ensure_open(SHORT).await.unwrap();
    assert_eq!(began.elapsed().as_millis(), 90);

    let mut slow = connection(&target);
    let began = Instant::now();
    assert_eq!(post(&mut slow).await.unwrap_err().kind, ErrorKind::Timeout);
    assert_eq!(began.elapsed(), SHORT);
}

/// The connections that three posts were made on.
async fn connections_of_three(
    steps: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static,
) -> (Vec<usize>, Vec<String>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let target = http_server(1 << 20, move |asked| {
        log.lock().unwrap().push(asked.connection);
        steps(asked)
    });
    let mut kept = connection(&target);
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        kept.ensure_open(SHORT).await.unwrap();
        outcomes.push(match post(&mut kept).await {
            Ok(answer) => answer.head.status().to_string(),
            Err(error) => error.kind.to_string(),
        });
    }
    let seen = seen.lock().unwrap().clone();
    (seen, outcomes)
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_until_the_server_closes_it() {
    let right = || vec![Step::Say(json_answer(RIGHT))];
    let ok = ["200 OK"; 3];
    let (connections, outcomes) = connections_of_three(move |_| right()).await;
    assert_eq!(
        (connections, &outcomes[..]),
        (vec![0, 0, 0], &ok.map(str::to_owned)[..])
    );

    // Closed after the answer, without a word about it: seen before the next request.
    let (connections, outcomes) =
        connections_of_three(move |_| [right(), vec![Step::Close]].concat()).await;
    assert_eq!(
        (connections, &outcomes[..]),
        (vec![0, 1, 2], &ok.map(str::to_owned)[..])
    );

    // Closed after the request: it may have been acted on, so it is not sent again.
    let (connections, outcomes) = connections_of_three(move |asked| match asked.connection {
        0 => vec![Step::Close],
        _ => right(),
    })
    .await;
    assert_eq!(connections, [0, 1, 1]);
    assert_eq!(outcomes, ["reset", "200 OK", "200 OK"]);

    // Too much to read after an unsuccessful answer.
    let (connections, outcomes) =
        connections_of_three(|_| say(http(500, "", &"x".repeat(1_000_000)))).await;
    assert_eq!(connections, [0, 1, 2]);
    assert_eq!(outcomes, ["500 Internal Server Error"; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_never_written_is_sent_once_more() {
    let target = http_server(1 << 20, |asked| match asked.connection {
        0 => vec![Step::Say(json_answer(RIGHT)), Step::Wait(10), Step::Close],
        _ => say(json_answer(RIGHT)),
    });
    let mut kept = connection(&target);
    post(&mut kept).await.unwrap();
    // Past the moment of closing without a look at the connection, as when it closes between the
    // look and the request.
    tokio::time::sleep(Duration::from_millis(11)).await;
    let began = Instant::now();
    let exchange = post(&mut kept).await.unwrap().exchange;
    assert_eq!(exchange.sent, began);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stays_open_costs_the_connection_and_a_moment() {
    let began = Instant::now();
    let (connections, outcomes) = connections_of_three(|_| {
        let answer = chunk(&format!("data: {RIGHT}\n\n"));
        vec![Step::Say(format!("{STREAM}{answer}")), Step::Hang]
    })
    .await;
    assert_eq!(connections, [0, 1, 2]);
    assert_eq!(outcomes, ["200 OK"; 3]);
    assert!(began.elapsed() <= Duration::from_millis(210));
}

#[tokio::test(start_paused = true)]
async fn answers_after_the_answer_are_counted() {
    let event = |id: &str| chunk(&format!("data: {{\"id\":{id},\"result\":{{}}}}\n\n"));
    let together = format!(
        "{STREAM}{}",
        chunk("data: {\"id\":1,\"result\":{}}\n\ndata: {\"id\":1,\"result\":{}}\n\n")
    );
    let target = http_server(1 << 20, move |_| {
        say(format!("{together}{}{}{END}", event("5"), event("\"x\"")))
    });
    let mut kept = connection(&target);
    post(&mut kept).await.unwrap();
    let expected = Strays {
        count: 3,
        sample: "a second answer under id 1".to_owned(),
    };
    assert_eq!(kept.take_strays().await, expected);
    assert_eq!(kept.take_strays().await, Strays::default());
}

#[tokio::test(start_paused = true)]
async fn requests_of_the_server_inside_a_stream_are_answered() {
    let replies = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&replies);
    let target = http_server(1 << 20, move |asked| {
        if asked.method() == "m" {
            return vec![
                Step::Say(format!(
                    "{STREAM}{}",
                    chunk(
                        "data: {\"id\":\"s\",\"method\":\"ping\"}\n\ndata: {\"id\":2,\"method\":\"roots/list\"}\n\n"
                    )
                )),
                Step::Wait(50),
                Step::Say(format!("{}{END}", chunk(&format!("data: {RIGHT}\n\n")))),
            ];
        }
        log.lock().unwrap().push(asked.message.to_string());
        say(http(202, "", ""))
    });
    post(&mut connection(&target)).await.unwrap();
    let mut replies = replies.lock().unwrap().clone();
    replies.sort();
    assert_eq!(
        replies,
        [
            r#"{"error":{"code":-32601,"message":"mcpgate offers no such method"},"id":2,"jsonrpc":"2.0"}"#,
            r#"{"id":"s","jsonrpc":"2.0","result":{}}"#,
        ]
    );
}

/// Runs on a paused clock of its own.
fn paused<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// However an answer is cut into chunks, and however the chunks are cut on their way.
    #[test]
    fn any_chunking_gives_the_same_answer(
        text in "[a-z\\\\n\u{e9}]{0,60}",
        before in prop::collection::vec(prop_oneof![
            Just(": comment\n\n"), Just("data:\n\n"), Just("event: message\r\ndata: {\"method\":\"n\"}\r\n\r\n"),
        ], 0..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        pipe_bytes in 1_usize..200,
        is_stream: bool,
    ) {
        let text = text.replace('\\', "");
        let answer = serde_json::json!({"id": 1, "result": {"content": [{"type": "text", "text": text}]}}).to_string();
        let whole = if is_stream {
            format!("{}data: {answer}\n\n", before.concat())
        } else {
            answer.clone()
        };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).filter(|cut| whole.is_char_boundary(*cut)).collect();
        cuts.extend([0, whole.len()]);
        cuts.sort_unstable();
        cuts.dedup();
        let chunks: String = cuts.windows(2).map(|w| chunk(&whole[w[0]..w[1]])).collect();
        let head = if is_stream { STREAM.to_owned() } else { STREAM.replace("text/event-stream", "application/json") };
        let target = http_server(pipe_bytes, move |_| say(format!("{head}{chunks}{END}")));
        let (body, strays) = paused(async move {
            let mut kept = connection(&target);
            let answered = post(&mut kept).await.unwrap();
            (answered.exchange.body, kept.take_strays().await)
        });
        prop_assert_eq!(String::from_utf8_lossy(&body), answer);
        prop_assert_eq!(strays, Strays::default());
    }

    /// Whatever comes, a call ends in time and so does what follows it.
    #[test]
    fn no_bytes_make_a_call_last(
        pieces in prop::collection::vec(prop_oneof![
            Just("HTTP/1.1 200 OK\r\n".to_owned()), Just("\r\n".to_owned()),
            Just("content-length: 9\r\n".to_owned()), Just("content-length: 18446744073709551615\r\n".to_owned()),
            Just("transfer-encoding: chunked\r\n".to_owned()), Just("content-type: text/event-stream\r\n\r\n".to_owned()),
            Just("ffffffffffffffff\r\n".to_owned()), Just("5\r\ndata:\r\n".to_owned()), Just("0\r\n\r\n".to_owned()),
            Just("HTTP/1.1 100 Continue\r\n\r\n".to_owned()), Just("data: {\"id\":1,\"result\":0}\n\n".to_owned()), ".{0,9}",
        ], 0..12),
        pipe_bytes in 1_usize..100,
        closes: bool,
    ) {
        let end = if closes { Step::Close } else { Step::Hang };
        let target = http_server(pipe_bytes, move |_| vec![Step::Say(pieces.concat()), end.clone()]);
        let lasted = paused(async move {
            let began = Instant::now();
            let mut kept = connection(&target);
            let _ = post(&mut kept).await;
            let _ = kept.take_strays().await;
            began.elapsed()
        });
        prop_assert!(lasted <= SHORT * 2, "{lasted:?}");
    }
}
