//! Servers that are reached over TLS: by an authority of one's own, and never by way of a proxy.

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    runtime,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    process_care::{Started, attached},
    reference::ECHO,
};

/// Ends TLS before a started server, as its proxy does in production, until the test ends.
struct Front {
    address: SocketAddr,
    authority: String,
}

impl Front {
    fn before(server: &Started) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("its key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("a certificate and its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (_, rest) = server.url.split_once("://").expect("a URL");
        let (behind, _) = rest.split_once('/').expect("a path");
        let behind: SocketAddr = behind.parse().expect("an address");
        let (says, address) = mpsc::channel();
        // Ends with the process of the tests: it only waits.
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                says.send(listener.local_addr().expect("its address"))
                    .expect("the test waits");
                while let Ok((stream, _)) = listener.accept().await {
                    let acceptor = acceptor.clone();
                    tokio::spawn(async move {
                        let mut inner = TcpStream::connect(behind).await?;
                        let mut outer = acceptor.accept(stream).await?;
                        copy_bidirectional(&mut outer, &mut inner).await
                    });
                }
            });
        });
        Self {
            address: address.recv().expect("where it listens"),
            authority: cert.pem(),
        }
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/mcp", self.address.port())
    }
}

#[test]
fn a_server_behind_tls_is_measured_as_any_other() {
    let started = Started::new(&[]);
    let front = Front::before(&started);
    let project = attached()
        .tool(ECHO)
        .file("certs/ca.pem", &front.authority)
        .config("server.url", front.url("localhost"))
        .config("server.ca-file", "certs/ca.pem")
        // What is on this machine is never reached by way of a proxy.
        .env("HTTPS_PROXY", "http://127.0.0.1:9");
    project
        .run(&["run", "--quiet"])
        .code(0)
        .stdout_has("measured: 4 scenarios in 5 rounds, no errors");
    let job = &project.results().jobs[0];
    assert!(job.rounds.iter().all(|round| {
        let sample = &round.scenarios["echo/sequential"];
        sample.successes == 20 && sample.wall.is_some()
    }));
}

#[test]
fn a_certificate_that_is_not_good_is_no_measurement() {
    let started = Started::new(&[]);
    let front = Front::before(&started);
    let project = attached().file("ca.pem", &front.authority);
    project
        .run(&["run", "--url", &front.url("localhost")])
        .code(3)
        .stderr_has("tls: no encrypted connection to localhost: invalid peer certificate")
        .stderr_has("name its file by `ca-file` in [server]");
    project
        .config("server.ca-file", "ca.pem")
        .run(&["run", "--url", &front.url("127.0.0.1")])
        .code(3)
        .stderr_has("not valid for name");
}

#[test]
fn a_proxy_is_refused_in_words() {
    attached()
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .run(&["run", "--url", "https://server.test/mcp"])
        .code(2)
        .stderr_has("the environment sets a proxy for server.test")
        .stderr_has("add server.test to NO_PROXY");
}
