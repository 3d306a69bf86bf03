//! Servers that are reached over TLS or with a token: by an authority of one's own, by an issuer of
//! tokens, and never by way of a proxy.

use std::{
    io::{self, Read as _, Write as _},
    net::{self, Shutdown, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
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
    harness::{Project, RESULTS},
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

const CLIENT_SECRET: &str = "the-secret-of-the-client";
const TOKEN: &str = "the-token-that-was-issued";

/// Hands each connection, with the first head that came on it, to `serve`, until the tests end.
fn listening(serve: impl Fn(net::TcpStream, String) + Send + Sync + 'static) -> SocketAddr {
    let listener = net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let serve = Arc::clone(&serve);
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut buffer = [0; 4096];
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut buffer) {
                        Ok(0) | Err(_) => return,
                        Ok(count) => head.extend_from_slice(&buffer[..count]),
                    }
                }
                serve(stream, String::from_utf8_lossy(&head).into_owned());
            });
        }
    });
    address
}

fn answer(mut stream: &net::TcpStream, status: &str, body: &str) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

/// Issues the token to who shows the secret; and how often it was asked.
fn issuer() -> (SocketAddr, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&count);
    let address = listening(move |stream, head| {
        asked.fetch_add(1, Ordering::Relaxed);
        // `ci:` and the secret.
        let basic = "authorization: basic Y2k6dGhlLXNlY3JldC1vZi10aGUtY2xpZW50\r\n";
        if head.to_lowercase().contains(&basic.to_lowercase()) {
            let body = format!("{{\"access_token\":\"{TOKEN}\",\"token_type\":\"Bearer\"}}");
            answer(&stream, "200 OK", &body);
        } else {
            let body = r#"{"error":"invalid_client","error_description":"who are you?"}"#;
            answer(&stream, "401 Unauthorized", body);
        }
    });
    (address, count)
}

/// Lets through to a server who shows the token, and says to others what they showed.
fn guard(server: &Started, token: &'static str) -> SocketAddr {
    let (_, rest) = server.url.split_once("://").expect("a URL");
    let (behind, _) = rest.split_once('/').expect("a path");
    let behind: SocketAddr = behind.parse().expect("an address");
    listening(move |outer, head| {
        if !head.contains(&format!("Bearer {token}")) && !head.contains(&format!("bearer {token}"))
        {
            let shown = head.lines().find(|line| line.contains("earer"));
            let body = format!("no entry with: {}", shown.unwrap_or_default());
            return answer(&outer, "403 Forbidden", &body);
        }
        let Ok(mut inner) = net::TcpStream::connect(behind) else {
            return;
        };
        if inner.write_all(head.as_bytes()).is_err() {
            return;
        }
        let (Ok(mut from), Ok(mut to)) = (outer.try_clone(), inner.try_clone()) else {
            return;
        };
        let upwards = thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
        let _ = io::copy(&mut inner, &mut &outer);
        let _ = outer.shutdown(Shutdown::Both);
        let _ = upwards.join();
    })
}

fn with_oauth(guard: SocketAddr, issuer: SocketAddr) -> Project {
    attached()
        .tool(ECHO)
        .config("server.url", format!("http://{guard}/mcp"))
        .config("server.oauth.token-url", format!("http://{issuer}/token"))
        .config("server.oauth.client-id", "ci")
        .config("server.oauth.client-secret", "${CLIENT_SECRET}")
}

#[test]
fn a_token_is_fetched_and_shown_to_nobody_else() {
    let started = Started::new(&[]);
    let (issuer, asked) = issuer();
    let project = with_oauth(guard(&started, TOKEN), issuer).env("CLIENT_SECRET", CLIENT_SECRET);
    let outcome = project.run(&["run"]).code(0).stdout_has("no errors");
    assert_eq!(asked.load(Ordering::Relaxed), 1, "it does not end");
    let written = project.read(RESULTS);
    for secret in [TOKEN, CLIENT_SECRET] {
        let outcome = format!("{outcome}");
        assert!(!outcome.contains(secret) && !written.contains(secret));
    }
}

#[test]
fn a_token_that_is_not_given_or_not_taken_is_told_in_words() {
    let started = Started::new(&[]);
    let (issuer, _) = issuer();
    let guard = guard(&started, "another");
    with_oauth(guard, issuer)
        .env("CLIENT_SECRET", "wrong-one")
        .run(&["run"])
        .code(3)
        .stderr_has("no access token from http://127.0.0.1:")
        .stderr_has("HTTP 401 Unauthorized: invalid_client who are you?; check [server.oauth]")
        .says_nothing_of("wrong-one");
    with_oauth(guard, issuer)
        .env("CLIENT_SECRET", CLIENT_SECRET)
        .run(&["run"])
        .code(3)
        .stderr_has("no entry with: ")
        .stderr_has("earer ***")
        .says_nothing_of(TOKEN);
}

#[test]
fn init_sends_a_header_and_writes_the_name_of_its_secret() {
    let started = Started::new(&[]);
    let url = format!("http://{}/mcp", guard(&started, TOKEN));
    let project = Project::new().env("MCP_TOKEN", TOKEN);
    let init =
        |header: &str| ["init", "--yes", "--url", &url, "--header", header].map(str::to_owned);
    let run = |project: &Project, words: &[String]| {
        project.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    run(&project, &init("Authorization: Bearer ${MCP_TOKEN}"))
        .code(0)
        .says_nothing_of(TOKEN);
    let written = project.read("mcpgate.toml");
    assert!(
        written.contains("headers = { Authorization = \"Bearer ${MCP_TOKEN}\" }\n"),
        "{written}"
    );
    // What was written is what a run needs.
    project
        .run(&["run", "--suite", "quick", "--rounds", "1", "--tool", "echo"])
        .code(0)
        .says_nothing_of(TOKEN);

    let project = Project::new().env("MCP_TOKEN", TOKEN);
    for (header, said) in [
        (
            "Authorization: Bearer the-token",
            "what Authorization sends is a secret",
        ),
        // As where the shell filled the variable in.
        (
            "X-Tenant: the-token-that-was-issued",
            "holds the value of the environment variable MCP_TOKEN",
        ),
        ("Authorization: Bearer ${NO_SUCH_TOKEN}", "NO_SUCH_TOKEN"),
        ("Accept: text/html", "header `Accept` is set by mcpgate"),
        ("nothing", "there is no `:` behind a name"),
    ] {
        run(&project, &init(header))
            .code(2)
            .stderr_has(said)
            .says_nothing_of("the-token");
    }
    // Without one, it is told what to do.
    project
        .run(&["init", "--yes", "--url", &url])
        .code(3)
        .stderr_has("http-403: HTTP 403 Forbidden")
        .stderr_has(
            "this server wants to know who asks: --header 'Authorization: Bearer ${MCP_TOKEN}'",
        )
        .stderr_has("[server.oauth]");
    assert!(!project.path("mcpgate.toml").exists());
}

#[test]
fn init_keeps_a_server_with_oauth_that_is_configured_already() {
    let started = Started::new(&[]);
    let (issuer, _) = issuer();
    let guard = guard(&started, TOKEN);
    let before = format!(
        "[gate]\nbaseline-jobs = 3\n\n[server]\nurl = \"http://{guard}/mcp\"\nprotocol = \"2025-06-18\"\n\n\
         [server.oauth]\ntoken-url = \"http://{issuer}/token\"\nclient-id = \"ci\"\n\
         client-secret = \"${{CLIENT_SECRET}}\"\n"
    );
    let project = Project::new()
        .env("CLIENT_SECRET", CLIENT_SECRET)
        .file("mcpgate.toml", &before);
    project
        .run(&["init", "--yes"])
        .code(2)
        .stderr_has("mcpgate.toml: it is there already");
    let outcome = project
        .run(&["init", "--yes", "--force"])
        .code(0)
        .stdout_has("protocol 2025-06-18")
        .stdout_has("what stood there in [gate] is not kept")
        .says_nothing_of(TOKEN)
        .says_nothing_of(CLIENT_SECRET);
    let written = project.read("mcpgate.toml");
    for kept in [
        "protocol = \"2025-06-18\"\n",
        "[server.oauth]\n",
        "client-secret = \"${CLIENT_SECRET}\"\n",
        "name = \"echo\"",
    ] {
        assert!(written.contains(kept), "{outcome}\n{written}");
    }
    project
        .run(&["run", "--suite", "quick", "--rounds", "1", "--tool", "echo"])
        .code(0);
}
