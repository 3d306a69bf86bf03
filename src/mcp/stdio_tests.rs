use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    task::yield_now,
    time::{Duration, Instant, timeout},
};

use super::{
    Limits, message,
    outcome::{ErrorKind, Strays},
    stdio::StdioLink,
    testing::{Step, say, stdio_server},
};

/// A link whose server answers each line by `script(line number, line)`.
fn scripted(script: impl Fn(usize, &str) -> String + Send + 'static) -> StdioLink {
    stdio_server(1 << 20, move |number, line| match script(number, line) {
        close if close == "close" => vec![Step::Close],
        answer => say(answer),
    })
}

fn line() -> Bytes {
    Bytes::from_static(b"x\n")
}

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test(start_paused = true)]
async fn answers_are_matched_by_id_out_of_order() {
    let link = scripted(|number, _| {
        match number {
        0 => String::new(),
        _ => "{\"id\":2,\"result\":\"b\"}\n\n{\"method\":\"notifications/x\"}\n{\"id\":1,\"result\":\"a\"}\n".to_owned(),
    }
    });
    let (mut one, mut two) = (link.clone(), link);
    let (a, b) = tokio::join!(one.send(1, line(), SHORT), two.send(2, line(), SHORT));
    assert!(a.unwrap().body.ends_with(b"\"a\"}"));
    assert!(b.unwrap().body.ends_with(b"\"b\"}"));
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_time_out_and_a_late_answer_is_no_stray() {
    let mut link = scripted(|number, line| match number {
        0 => String::new(),
        _ if line.contains("notifications/cancelled") => String::new(),
        _ => "{\"id\":1,\"result\":0}\n{\"id\":2,\"result\":0}\n".to_owned(),
    });
    assert_eq!(link.next_id(), 1);
    assert_eq!(link.next_id(), 2);
    assert_eq!(
        link.send(1, line(), SHORT).await.unwrap_err().kind,
        ErrorKind::Timeout
    );
    assert!(link.send(2, line(), SHORT).await.is_ok());
    assert_eq!(link.take_strays(), Strays::default());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asked_for_is_counted() {
    let mut link = scripted(|_, _| {
        "{\"id\":1,\"result\":0}\n{\"id\":1,\"result\":0}\n{\"id\":\"a\",\"result\":0}\n".to_owned()
    });
    let id = link.next_id();
    link.send(id, line(), SHORT).await.unwrap();
    assert_eq!(
        link.take_strays(),
        Strays {
            count: 2,
            sample: "a second answer under id 1".to_owned()
        }
    );
}

#[tokio::test(start_paused = true)]
async fn each_way_down_has_its_own_words() {
    let table = [
        ("close", ErrorKind::Closed, "the server closed its output"),
        (
            "hello\n",
            ErrorKind::Malformed,
            "no JSON-RPC message: \"hello\"",
        ),
        (
            "{\"level\":30,\"msg\":\"hello\"}\n",
            ErrorKind::Malformed,
            "no JSON-RPC message: \"{\"level\"",
        ),
    ];
    for (answer, kind, words) in table {
        let mut link = scripted(move |_, _| answer.to_owned());
        let error = link.send(link.next_id(), line(), SHORT).await.unwrap_err();
        assert_eq!(error.kind, kind, "{answer}");
        assert!(error.message.contains(words), "{}", error.message);
    }
    let long = "x".repeat(2000);
    let mut link = scripted(move |_, _| long.clone());
    let error = link.send(link.next_id(), line(), SHORT).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert_eq!(link.down().unwrap().kind, ErrorKind::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn requests_of_the_server_are_answered() {
    let mut link = scripted(|number, line| match number {
        0 => "{\"id\":\"s\",\"method\":\"ping\"}\n".to_owned(),
        _ => {
            assert_eq!(line, r#"{"jsonrpc":"2.0","id":"s","result":{}}"#);
            "{\"id\":1,\"result\":0}\n".to_owned()
        }
    });
    link.send(link.next_id(), line(), SHORT).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_only_caller_gets_an_answer_under_an_id_that_was_never_used() {
    let table = [
        (
            r#"{"id":99,"result":0}"#,
            "wrong-answer: asked under id 1, answered under id 99",
        ),
        (
            r#"{"id":0,"result":0}"#,
            "wrong-answer: asked under id 1, answered under id 0",
        ),
        (
            r#"{"id":null,"error":{"code":-32700,"message":"what?"}}"#,
            "protocol-error: JSON-RPC error -32700: what?",
        ),
    ];
    for (answer, expected) in table {
        let mut link = scripted(move |_, _| format!("{answer}\n"));
        let id = link.next_id();
        let exchange = link.send(id, line(), SHORT).await.unwrap();
        let error = message::read_result(&exchange.body, id).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_is_no_longer_the_only_one() {
    let mut link = scripted(|number, _| match number {
        0 => String::new(),
        _ => "{\"id\":1,\"result\":0}\n{\"id\":99,\"result\":0}\n".to_owned(),
    });
    let mut leaver = link.clone();
    let dropped = leaver.send(link.next_id(), line(), SHORT);
    timeout(SHORT / 2, dropped).await.unwrap_err();
    let answered = link.send(link.next_id(), line(), SHORT).await.unwrap();
    assert_eq!(answered.body, "{\"id\":99,\"result\":0}");
    assert_eq!(link.take_strays(), Strays::default());
}

#[tokio::test(start_paused = true)]
async fn stamps_are_those_of_the_bytes() {
    let wait = |ms| Step::Wait(ms);
    let link = stdio_server(1 << 20, move |number, _| match number {
        0 => Vec::new(),
        _ => vec![
            wait(10),
            Step::Say("{\"id\":1,".to_owned()),
            wait(20),
            Step::Say("\"result\":0}\r\n{\"id\":2,\"result\":0}\n{\"id\":3,".to_owned()),
            wait(30),
            Step::Say("\"result\":0}\n".to_owned()),
        ],
    });
    let began = Instant::now();
    let ids = [link.next_id(), link.next_id(), link.next_id()];
    let [mut one, mut two, mut three] = [link.clone(), link.clone(), link];
    let (a, b, c) = tokio::join!(
        one.send(ids[0], line(), SHORT),
        two.send(ids[1], line(), SHORT),
        three.send(ids[2], line(), SHORT),
    );
    let stamps = [a, b, c].map(|exchange| {
        let exchange = exchange.unwrap();
        [exchange.sent, exchange.first_byte, exchange.last_byte].map(|at| (at - began).as_millis())
    });
    assert_eq!(stamps, [[0, 10, 30], [0, 30, 30], [0, 30, 60]]);
}

/// A link of pipes that hold `pipe_bytes`, and the server's ends: input, output. Two pipes, as a
/// process has them, so that each can be closed.
fn piped(pipe_bytes: usize) -> (StdioLink, DuplexStream, DuplexStream) {
    let (our_write, their_read) = duplex(pipe_bytes);
    let (their_write, our_read) = duplex(pipe_bytes);
    let limits = Limits {
        message_bytes: 1000,
        ..Limits::default()
    };
    let link = StdioLink::new(our_write, our_read, limits);
    (link, their_read, their_write)
}

#[tokio::test(start_paused = true)]
async fn a_line_that_was_half_written_is_finished_before_the_next() {
    let (mut link, mut input, _output) = piped(10);
    let half = Bytes::from_static(b"a line longer than the pipe\n");
    let error = link.send(link.next_id(), half, SHORT).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "timeout: the server did not read its input within 200ms"
    );
    // Of this one not a byte is written.
    let error = link.send(link.next_id(), line(), SHORT).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout);
    let mut seen = String::new();
    let (read, ()) = tokio::join!(input.read_to_string(&mut seen), async {
        let last = Bytes::from_static(b"last\n");
        link.notify(last, SHORT).await.unwrap();
        link.close().await;
    });
    read.unwrap();
    assert_eq!(seen, "a line longer than the pipe\nlast\n");
}

#[tokio::test(start_paused = true)]
async fn the_input_of_a_server_that_never_reads_can_be_closed() {
    let (link, mut input, mut output) = piped(10);
    output
        .write_all(b"{\"id\":1,\"method\":\"ping\"}\n")
        .await
        .unwrap();
    for _ in 0..10 {
        yield_now().await;
    }
    // The reply is stuck in the pipe now.
    timeout(Duration::from_mins(1), link.close()).await.unwrap();
    let mut stuck = String::new();
    timeout(SHORT, input.read_to_string(&mut stuck))
        .await
        .expect("the input is closed")
        .unwrap();
    assert_eq!(stuck, "{\"jsonrpc\"");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closed_its_input_is_lost() {
    let (mut link, input, mut output) = piped(1 << 10);
    let id = link.next_id();
    let asked = link.send(id, line(), SHORT);
    let (answered, ()) = tokio::join!(asked, async {
        drop(input);
        // What was asked before is still answered.
        output
            .write_all(b"{\"id\":1,\"result\":0}\n")
            .await
            .unwrap();
    });
    answered.unwrap();
    let error = link.send(link.next_id(), line(), SHORT).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Closed);
    assert_eq!(link.down(), Some(error));
}
