//! Two programs that others wrote stand in for GitHub: `emulate` keeps repositories, pull requests
//! and comments; before it, Prism holds every request against GitHub's own description of its API.
#![expect(clippy::disallowed_methods, reason = "a test: it waits for programs")]

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::hub::TOKEN;
use crate::harness::repository;

/// How long a peer may take to start, and a request to be seen in its log.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) struct Peers {
    github: Peer,
    prism: Peer,
}

/// A program of ours that ends with us, and its log.
struct Peer {
    child: Child,
    log: Receiver<String>,
    url: String,
}

impl Peers {
    pub(super) fn start() -> Self {
        let seed = repository().join("tests/github/seed.yaml");
        let loopback = repository().join("tests/github/loopback.cjs");
        let port = free_port();
        let mut emulate = Command::new("node");
        emulate
            .arg("--require")
            .arg(loopback)
            .arg(installed("npm/node_modules/.bin/emulate"))
            .args(["start", "--service", "github", "--port", &port])
            .arg("--seed")
            .arg(seed);
        let mut github = Peer::start(emulate, &port);
        github.until("its tokens", |line| line.contains(TOKEN));

        let port = free_port();
        let mut prism = Command::new("node");
        prism
            .arg(installed("npm/node_modules/.bin/prism"))
            .args(["proxy", "--host", "127.0.0.1", "--port", &port])
            .arg(installed(
                "npm/node_modules/@octokit/openapi/generated/api.github.com.json",
            ))
            .arg(&github.url);
        let mut prism = Peer::start(prism, &port);
        prism.until("listening", |line| line.contains("Prism is listening"));
        Self { github, prism }
    }

    /// Where requests are held against the description, and then answered.
    pub(super) fn url(&self) -> &str {
        &self.prism.url
    }

    /// Asks GitHub itself, for what a test needs there and what it finds there.
    #[track_caller]
    pub(super) fn ask(&self, method: &str, place: &str, body: Option<&Value>) -> Value {
        let url = format!("{}/repos/acme/server/{place}", self.github.url);
        request(method, &url, body)
    }

    /// What the requests since the last call did that GitHub does not describe.
    #[track_caller]
    pub(super) fn violations(&mut self) -> Vec<String> {
        // A mistake made on purpose: when it is in the log, so is all that came before it, and the
        // proxy is known to look.
        let mistake = "Request query parameter per_page must be integer";
        let url = format!("{}/repos/acme/server/commits?per_page=mistake", self.url());
        request("GET", &url, None);
        let before = self.prism.until(mistake, |line| line.contains(mistake));
        before
            .into_iter()
            .filter(|line| line.contains("Violation: request"))
            .filter(|line| !line.contains(mistake))
            .collect()
    }
}

impl Peer {
    fn start(mut command: Command, port: &str) -> Self {
        let mut child = command
            .current_dir(installed("npm"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start node");
        let output = child.stdout.take().expect("standard output");
        let (line, log) = mpsc::channel();
        std::thread::spawn(move || {
            for read in BufReader::new(output).lines().map_while(Result::ok) {
                if line.send(read).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            log,
            url: format!("http://127.0.0.1:{port}"),
        }
    }

    /// The lines of the log up to one that fits.
    #[track_caller]
    fn until(&mut self, what: &str, fits: impl Fn(&str) -> bool) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        let mut lines = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.log.recv_timeout(left) {
                Ok(line) => lines.push(line),
                Err(error) => panic!("waiting for {what}: {error}\n{}", lines.join("\n")),
            }
            if lines.last().is_some_and(|line| fits(line)) {
                return lines;
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only where it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn request(method: &str, url: &str, body: Option<&Value>) -> Value {
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = http::Request::builder()
        .method(method)
        .uri(url)
        .header("authorization", format!("token {TOKEN}"))
        .header("content-type", "application/json")
        .body(body)
        .expect("a request");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let mut answer = agent
        .run(request)
        .unwrap_or_else(|error| panic!("{method} {url}: {error}"));
    let text = answer.body_mut().read_to_string().expect("text");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error}: {text}"))
}

/// A port that is free now. The programs want to be told one.
fn free_port() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener
        .local_addr()
        .expect("its address")
        .port()
        .to_string()
}

/// Something that `cargo xtask setup` installs.
pub(super) fn installed(path: &str) -> PathBuf {
    let path = repository().join("tests/github/.installed").join(path);
    assert!(
        path.exists(),
        "{} is missing: run `cargo xtask setup`, or `cargo xtask test` for everything",
        path.display()
    );
    path
}
