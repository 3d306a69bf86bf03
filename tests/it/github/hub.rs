//! GitHub, as far as a comment is concerned, on the loopback: it keeps comments, and has accidents.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

pub(super) const BOT: &str = "github-actions[bot]";
pub(super) const TOKEN: &str = "token-of-the-test";

/// What happens instead of a plain answer to the next request of a method.
#[derive(Clone)]
pub(super) enum Accident {
    /// Answered without being carried out.
    Answer(ResponseTemplate),
    /// Carried out, and answered with a 502.
    AnswerLost,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) comments: Vec<Value>,
    /// Files by path and commit.
    pub(super) files: Vec<(String, String, Vec<u8>)>,
    pub(super) commits: Vec<String>,
    pub(super) open: Vec<Value>,
    pub(super) accidents: VecDeque<(&'static str, Accident)>,
    /// `METHOD PATH?QUERY` of each request.
    pub(super) asked: Vec<String>,
    problems: Vec<String>,
}

pub(super) struct Hub {
    runtime: Runtime,
    server: MockServer,
    state: Arc<Mutex<State>>,
}

impl Hub {
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = runtime.block_on(async {
            let server = MockServer::start().await;
            let answer = move |request: &Request| answer(&mut lock(&shared), request);
            Mock::given(any()).respond_with(answer).mount(&server).await;
            server
        });
        Self {
            runtime,
            server,
            state,
        }
    }

    pub(super) fn url(&self) -> String {
        self.server.uri()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Puts a comment there.
    pub(super) fn comment(&self, author: &str, body: &str) {
        self.state().add(author, body);
    }

    pub(super) fn next(&self, method: &'static str, accident: Accident) {
        self.state().accidents.push_back((method, accident));
    }

    /// The texts of the bot's comments.
    #[track_caller]
    pub(super) fn ours(&self) -> Vec<String> {
        let state = self.state();
        assert!(state.problems.is_empty(), "{:?}", state.problems);
        state
            .comments
            .iter()
            .filter(|comment| comment["user"]["login"] == BOT)
            .map(|comment| comment["body"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    pub(super) fn count(&self, method: &str) -> usize {
        let state = self.state();
        let asked = state.asked.iter();
        asked.filter(|asked| asked.starts_with(method)).count()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
    }
}

impl State {
    fn add(&mut self, author: &str, body: &str) -> Value {
        let id = self.comments.len() as u64 + 101;
        let comment = json!({
            "id": id, "body": body, "user": { "login": author, "type": "Bot" },
            "html_url": format!("https://github.test/acme/server/pull/7#issuecomment-{id}"),
        });
        self.comments.push(comment.clone());
        comment
    }

    fn comment(&mut self, path: &str) -> Option<&mut Value> {
        let id: u64 = path.rsplit_once('/')?.1.parse().ok()?;
        self.comments.iter_mut().find(|c| c["id"] == id)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no test has panicked with the lock")
}

fn not_found() -> ResponseTemplate {
    ResponseTemplate::new(404).set_body_json(json!({ "message": "Not Found" }))
}

fn answer(state: &mut State, request: &Request) -> ResponseTemplate {
    let method = request.method.as_str();
    let path = request.url.path();
    let query = request.url.query().unwrap_or_default();
    state.asked.push(format!("{method} {path}?{query}"));
    let header = |name: &str| {
        let value = request.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    if header("authorization") != format!("Bearer {TOKEN}")
        || header("x-github-api-version") != "2022-11-28"
        || header("user-agent").is_empty()
    {
        state.problems.push(format!("headers of {method} {path}"));
    }
    let accident = state.accidents.front().filter(|(of, _)| *of == method);
    let accident = accident.cloned().map(|(_, accident)| accident);
    if accident.is_some() {
        state.accidents.pop_front();
    }
    if let Some(Accident::Answer(answer)) = accident {
        return answer;
    }
    let answer = carried_out(state, request, method, path, query);
    match accident {
        Some(Accident::AnswerLost) => ResponseTemplate::new(502),
        _ => answer,
    }
}

fn carried_out(
    state: &mut State,
    request: &Request,
    method: &str,
    path: &str,
    query: &str,
) -> ResponseTemplate {
    let value = |name: &str| {
        let mut pairs = request.url.query_pairs();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let text = body["body"].as_str().unwrap_or_default().to_owned();
    let Some(place) = path.strip_prefix("/repos/acme/server/") else {
        // The token of GitHub Actions has no user.
        let said = json!({ "message": "Resource not accessible by integration" });
        return ResponseTemplate::new(403).set_body_json(said);
    };
    match (method, place) {
        ("GET", "issues/7/comments") => {
            let number = |name: &str| value(name).and_then(|v| v.parse().ok()).unwrap_or(1);
            let (size, page): (usize, usize) = (number("per_page"), number("page"));
            let from = size * (page - 1);
            let page: Vec<_> = state.comments.iter().skip(from).take(size).collect();
            ResponseTemplate::new(200).set_body_json(page)
        }
        ("POST", "issues/7/comments") => {
            ResponseTemplate::new(201).set_body_json(state.add(BOT, &text))
        }
        ("PATCH", _) => match state.comment(path) {
            Some(comment) => {
                comment["body"] = json!(text);
                ResponseTemplate::new(200).set_body_json(comment)
            }
            None => not_found(),
        },
        ("DELETE", _) => match state.comment(path).map(|comment| comment["id"].clone()) {
            Some(id) => {
                state.comments.retain(|comment| comment["id"] != id);
                ResponseTemplate::new(204)
            }
            None => not_found(),
        },
        ("GET", "pulls") => ResponseTemplate::new(200).set_body_json(&state.open),
        ("GET", place) if place.starts_with("git/ref/heads/") => {
            let sha = state.commits.last();
            ResponseTemplate::new(200).set_body_json(json!({ "object": { "sha": sha } }))
        }
        ("GET", place) => {
            if let Some(path) = place.strip_prefix("contents/") {
                let path = path.replace("%2F", "/");
                let at = value("ref").unwrap_or_default();
                let mut files = state.files.iter();
                return match files.find(|(of, sha, _)| *of == path && *sha == at) {
                    Some((_, _, content)) => {
                        ResponseTemplate::new(200).set_body_bytes(content.clone())
                    }
                    None => not_found(),
                };
            }
            let is_known = place
                .strip_prefix("git/commits/")
                .is_some_and(|sha| state.commits.iter().any(|known| known == sha));
            if is_known {
                ResponseTemplate::new(200).set_body_json(json!({}))
            } else {
                not_found()
            }
        }
        _ => {
            state.problems.push(format!("{method} {path}?{query}"));
            ResponseTemplate::new(405)
        }
    }
}
