//! Connections, whatever is spoken over them.

use std::{
    convert::Infallible,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use super::{
    reply::{Reply, refuse},
    server::complain,
};

/// Largest request body.
const MAX_BODY_BYTES: usize = 16 << 20;
/// How long a request body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections at the same time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 4_096;
/// How long accepting waits after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Answers requests.
pub(crate) trait Handler: Clone + Send + Sync + 'static {
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Reply> + Send;
}

impl<F, A> Handler for F
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Reply> + Send,
{
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Reply> + Send {
        self(request)
    }
}

/// Binds to the loopback, says where on stderr, and serves until the process ends.
pub(crate) async fn run(port: u16, path: &str, handler: (impl Handler, Delay)) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot listen on 127.0.0.1:{port}: {error}; choose another --port, or 0"),
            )
        })?;
    let _ = writeln!(
        io::stderr().lock(),
        "listening on {}",
        url(listener.local_addr()?, path)
    );
    accept(listener, handler).await
}

/// The URL of the endpoint.
pub(crate) fn url(address: SocketAddr, path: &str) -> String {
    format!("http://{address}{path}")
}

/// Serves every connection of `listener`; returns only on an error of the listener itself.
pub(crate) async fn accept(
    listener: TcpListener,
    (handler, delay): (impl Handler, Delay),
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return Ok(());
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let handler = handler.clone();
                tokio::spawn(async move {
                    connection(handler, stream, delay).await;
                    drop(permit);
                });
            }
            Err(error) => {
                complain(&format!("cannot accept a connection: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What holds back small segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delay {
    /// Nothing.
    None,
    /// Nagle's algorithm: each waits until the one before is acknowledged.
    Nagle,
}

/// Without `TCP_NODELAY`, an event stream's second segment waits 40 ms for the client's delayed
/// acknowledgement of the first.
pub(crate) fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        complain(&format!("cannot set TCP_NODELAY: {error}"));
    }
}

async fn connection(handler: impl Handler, stream: TcpStream, delay: Delay) {
    if delay == Delay::None {
        prepare(&stream);
    }
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(handler.handle(request).await) }
    });
    // A connection that breaks is the client's to notice.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The whole body of a request.
pub(crate) async fn read(body: Incoming) -> Result<Bytes, Box<Reply>> {
    let body = Limited::new(body, MAX_BODY_BYTES).collect();
    let (status, problem) = match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => return Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
        }
        Ok(Err(_)) => (StatusCode::BAD_REQUEST, "the body broke off"),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the body took too long"),
    };
    Err(Box::new(refuse(status, problem)))
}
