//! A connection over a pipe of a few bytes, with a server that says what it is told to.

use http::{HeaderValue, header::HOST};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

const PLAIN: Manner = Manner {
    is_encrypted: false,
    says_its_end: true,
};

/// Everything that a server reads until it has `bytes` of it, or the end.
async fn read(server: &mut DuplexStream, bytes: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < bytes && server.read_buf(&mut all).await.unwrap() > 0 {}
    all
}

/// What a server reads until a request's head is whole.
async fn read_head(server: &mut DuplexStream) {
    let mut all = Vec::new();
    while !all.ends_with(b"\r\n\r\n") && server.read_buf(&mut all).await.unwrap() > 0 {}
}

async fn ask(open: Box<Connection>, method: &Method, body: Bytes) -> Result<Response, Failed> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("a"));
    let target: Uri = "/mcp?x=1#y".parse().unwrap();
    let request = Request {
        method,
        target: &target,
        headers: &headers,
        body: &body,
    };
    open.ask(request).await
}

/// The whole body, or what went wrong; and whether the connection can be asked again.
async fn whole(mut response: Response) -> (String, bool) {
    let mut all = Vec::new();
    loop {
        match response.body.chunk().await {
            Ok(Some((bytes, _))) => all.extend_from_slice(&bytes),
            Ok(None) => break,
            Err(error) => return (error.to_string(), false),
        }
    }
    let is_kept = response.body.finish().is_some();
    (String::from_utf8(all).unwrap(), is_kept)
}

/// What a server that says `answer` and ends gives.
async fn answered(answer: &str) -> String {
    let (client, mut server) = duplex(7);
    let answer = answer.to_owned();
    let serving = tokio::spawn(async move {
        read_head(&mut server).await;
        // It may have been left by then.
        let _ = server.write_all(answer.as_bytes()).await;
    });
    let asked = ask(Connection::new(client, PLAIN), &Method::GET, Bytes::new()).await;
    let told = match asked {
        Ok(response) => {
            let status = response.status();
            let (body, is_kept) = whole(response).await;
            format!("{status} {body} {is_kept}")
        }
        Err(failed) => format!("{} {}", failed.error, failed.is_unsent),
    };
    serving.await.unwrap();
    told
}

#[tokio::test]
async fn a_request_is_written_as_it_should_be() {
    for (method, body, expected) in [
        (Method::GET, "", "GET /mcp?x=1 HTTP/1.1\r\nhost: a\r\n\r\n"),
        (
            Method::DELETE,
            "",
            "DELETE /mcp?x=1 HTTP/1.1\r\nhost: a\r\n\r\n",
        ),
        (
            Method::POST,
            "{}",
            "POST /mcp?x=1 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}",
        ),
        (
            Method::POST,
            "",
            "POST /mcp?x=1 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
        ),
    ] {
        let (client, mut server) = duplex(5);
        let reading = tokio::spawn(async move { read(&mut server, usize::MAX).await });
        let asking = ask(Connection::new(client, PLAIN), &method, Bytes::from(body));
        tokio::select! {
            biased;
            _ = asking => panic!("nobody answered"),
            () = async { for _ in 0..100 { tokio::task::yield_now().await } } => {}
        }
        let asked = reading.await.unwrap();
        assert_eq!(String::from_utf8(asked).unwrap(), expected);
    }
}

#[tokio::test]
async fn every_end_of_an_answer_is_told() {
    for (answer, expected) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
            "200 OK abc true",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcd",
            "200 OK abc false",
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\nuntil the end",
            "200 OK until the end false",
        ),
        (
            "HTTP/1.0 200 OK\r\n\r\nuntil the end",
            "200 OK until the end false",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", "204 No Content  true"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            "200 OK abcde true",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
            "200 OK the server closed it in the body of its answer false",
        ),
        ("", "the server closed it before its answer false"),
        (
            "HTTP/1.1 200",
            "the server closed it in the head of its answer false",
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\na: b\r\n\r\nHTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n",
            "202 Accepted  true",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "the server switches to another protocol, which was not asked for false",
        ),
    ] {
        assert_eq!(answered(answer).await, expected, "{answer:?}");
    }
}

#[tokio::test]
async fn what_lies_on_an_idle_connection_makes_it_unusable() {
    for (said, expected) in [
        ("", "the server closed it before it was asked"),
        (
            "HTTP/1.1 408 Request Timeout\r\n\r\n",
            "the server said \"HTTP/1.1 408 Request Timeout\" before it was asked",
        ),
    ] {
        let (client, mut server) = duplex(1 << 10);
        let mut open = Connection::new(client, PLAIN);
        assert!(open.is_usable());
        server.write_all(said.as_bytes()).await.unwrap();
        drop(server);
        let failed = ask(open, &Method::GET, Bytes::new()).await.unwrap_err();
        assert_eq!(
            (failed.error.to_string().as_str(), failed.is_unsent),
            (expected, true)
        );
    }
}

/// A server may refuse a long body before it has read it, and another wants the rest all the same.
#[tokio::test]
async fn an_answer_may_come_before_the_request_is_written() {
    const LONG: usize = 100_000;
    let body = || Bytes::from(vec![b'x'; LONG]);
    let refused = "HTTP/1.1 413 Too Much\r\ncontent-length: 2\r\n\r\nno";
    let (client, mut server) = duplex(64);
    let refusing = tokio::spawn(async move {
        read(&mut server, 10).await;
        server.write_all(refused.as_bytes()).await.unwrap();
        server
    });
    let response = ask(Connection::new(client, PLAIN), &Method::POST, body())
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 413);
    assert_eq!(whole(response).await, ("no".to_owned(), false));
    refusing.await.unwrap();

    let (client, mut server) = duplex(64);
    let reading = tokio::spawn(async move {
        read(&mut server, 10).await;
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
        server.write_all(head.as_bytes()).await.unwrap();
        let rest = read(&mut server, LONG - 64).await.len();
        server.write_all(b"ok").await.unwrap();
        rest
    });
    let response = ask(Connection::new(client, PLAIN), &Method::POST, body())
        .await
        .unwrap();
    assert_eq!(whole(response).await, ("ok".to_owned(), false));
    assert!(reading.await.unwrap() >= LONG - 64);
}

#[tokio::test]
async fn a_long_body_is_written_behind_its_head() {
    let body = Bytes::from(vec![b'x'; WRITTEN_WHOLE_BYTES + 1]);
    let (client, mut server) = duplex(100);
    let expected = format!(
        "POST /mcp?x=1 HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let all = expected.len() + body.len();
    let serving = tokio::spawn(async move {
        let asked = read(&mut server, all).await;
        server
            .write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
        (asked, server)
    });
    let response = ask(Connection::new(client, PLAIN), &Method::POST, body.clone())
        .await
        .unwrap();
    assert_eq!(whole(response).await, (String::new(), true));
    let (asked, _server) = serving.await.unwrap();
    assert_eq!(asked, [expected.as_bytes(), &body[..]].concat());
}
