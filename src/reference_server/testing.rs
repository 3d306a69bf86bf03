//! The server inside a test, for tests of other rooms.

use std::sync::Arc;

use tokio::{
    io::{DuplexStream, split},
    net::TcpListener,
};

use super::{Era, Options, Transport, http, listen, server::Server, sse, stdio};

fn server(transport: Transport, sse: bool) -> Arc<Server> {
    Arc::new(Server::new(&Options {
        transport,
        port: 0,
        fault: Vec::new(),
        era: Era::Both,
        sse,
        page_size: 4,
        store: false,
        seed: 1,
    }))
}

/// Serves one client over pipes, until it leaves.
pub(crate) async fn over_pipes(pipes: DuplexStream) {
    let (input, output) = split(pipes);
    let _ = stdio::session(server(Transport::Stdio, false), input, output).await;
}

/// Serves over HTTP until the test ends; its URL.
pub(crate) async fn over_http(sse: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = listen::url(listener.local_addr().unwrap(), http::PATH);
    let handler = http::handler(server(Transport::Http, sse));
    tokio::spawn(listen::accept(listener, (handler, listen::Delay::None)));
    url
}

/// The same over the older HTTP+SSE.
pub(crate) async fn over_http_sse() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = listen::url(listener.local_addr().unwrap(), sse::PATH);
    let handler = sse::handler(server(Transport::Sse, false));
    tokio::spawn(listen::accept(listener, (handler, listen::Delay::None)));
    url
}
