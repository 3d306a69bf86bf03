//! The server inside a test, for tests of other rooms.

use std::sync::Arc;

use tokio::{
    io::{DuplexStream, split},
    net::TcpListener,
};

use super::{Era, Options, Transport, http, server::Server, stdio};

fn server(transport: Transport, sse: bool) -> Arc<Server> {
    Arc::new(Server::new(&Options {
        transport,
        port: 0,
        fault: Vec::new(),
        era: Era::Both,
        sse,
        page_size: 4,
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
    let url = http::url(listener.local_addr().unwrap());
    tokio::spawn(http::accept(server(Transport::Http, sse), listener));
    url
}
