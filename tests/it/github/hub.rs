//! GitHub, as far as a comment is concerned, on the loopback: it keeps comments, and has accidents.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

pub(super) const BOT: &str = "github-actions[bot]";
pub(super) const TOKEN: &str = "token-of-the-test";
/// In place of a path, for the content of a blob.
const BLOB: &str = "";

/// What happens instead of a plain answer to a request.
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
    /// Branches and their commits.
    pub(super) branches: BTreeMap<String, String>,
    pub(super) accidents: VecDeque<(&'static str, Accident)>,
    /// `METHOD PATH?QUERY` of each request.
    pub(super) asked: Vec<String>,
    /// Blobs, trees and commits that were made.
    objects: u64,
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

    /// Of the next request that begins so: its method, or method and place.
    pub(super) fn next(&self, request: &'static str, accident: Accident) {
        self.state().accidents.push_back((request, accident));
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

    pub(super) fn file(&self, path: &str, at: &str) -> Option<&Vec<u8>> {
        let found = self
            .files
            .iter()
            .find(|(of, sha, _)| of == path && sha == at);
        found.map(|(_, _, content)| content)
    }

    /// Sets a branch to a commit, and so its files to those of the commit.
    pub(super) fn set_branch(&mut self, name: &str, sha: &str) {
        self.branches.insert(name.to_owned(), sha.to_owned());
        self.files.retain(|(_, at, _)| at != name);
        let of_commit = self.files.iter().filter(|(_, at, _)| at == sha);
        let copies: Vec<_> = of_commit
            .map(|(path, _, content)| (path.clone(), name.to_owned(), content.clone()))
            .collect();
        self.files.extend(copies);
    }

    fn comment(&mut self, path: &str) -> Option<&mut Value> {
        let id: u64 = path.rsplit_once('/')?.1.parse().ok()?;
        self.comments.iter_mut().find(|c| c["id"] == id)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no test has panicked with the lock")
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    let value = request.headers.get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// The branch of `refs/heads/NAME` or of an address that ends so.
fn branch(place: &str) -> String {
    let place = place.replace("%2F", "/");
    let (_, name) = place.split_once("heads/").unwrap_or_default();
    name.to_owned()
}

/// Makes an object of git: a blob's content, and a tree's and a commit's files, go by its name.
fn make_object(state: &mut State, kind: &str, body: &Value) -> ResponseTemplate {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    state.objects += 1;
    let name = format!("{:040x}", 0xb10b_0000 + state.objects);
    let copy_of = |state: &State, from: &str| -> Vec<_> {
        let files = state.files.iter().filter(|(_, at, _)| at == from);
        files
            .map(|(path, _, content)| (path.clone(), name.clone(), content.clone()))
            .collect()
    };
    match kind {
        "blobs" => {
            assert_eq!(body["encoding"], "base64");
            let content = BASE64_STANDARD
                .decode(text(&body["content"]))
                .expect("base64");
            state.files.push((BLOB.to_owned(), name.clone(), content));
        }
        "trees" => {
            let mut files = copy_of(state, &text(&body["base_tree"]));
            for entry in body["tree"].as_array().expect("entries") {
                let path = text(&entry["path"]);
                let content = state.file(BLOB, &text(&entry["sha"])).expect("a blob");
                files.retain(|(of, _, _)| *of != path);
                files.push((path, name.clone(), content.clone()));
            }
            state.files.extend(files);
        }
        _ => {
            let files = copy_of(state, &text(&body["tree"]));
            state.files.extend(files);
            state.commits.push(name.clone());
        }
    }
    ResponseTemplate::new(201).set_body_json(json!({ "sha": name }))
}

fn not_found() -> ResponseTemplate {
    ResponseTemplate::new(404).set_body_json(json!({ "message": "Not Found" }))
}

fn answer(state: &mut State, request: &Request) -> ResponseTemplate {
    let method = request.method.as_str();
    let path = request.url.path();
    let query = request.url.query().unwrap_or_default();
    state.asked.push(format!("{method} {path}?{query}"));
    let header = |name: &str| header(request, name);
    if header("authorization") != format!("Bearer {TOKEN}")
        || header("x-github-api-version") != "2022-11-28"
        || header("user-agent").is_empty()
    {
        state.problems.push(format!("headers of {method} {path}"));
    }
    let place = path.trim_start_matches("/repos/acme/server/");
    let asked = format!("{method} {place}");
    let accident = state.accidents.front();
    let accident = accident.filter(|(of, _)| asked.starts_with(of));
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
        ("PATCH", place) if place.starts_with("git/refs/heads%2F") => {
            state.set_branch(&branch(place), body["sha"].as_str().unwrap_or_default());
            ResponseTemplate::new(200).set_body_json(json!({}))
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
        ("GET", "pulls") => {
            let head = value("head").unwrap_or_default();
            let is_wanted = |open: &&Value| {
                let name = open["head"]["ref"].as_str().unwrap_or_default();
                head.split_once(':')
                    .is_some_and(|(_, wanted)| wanted == name)
            };
            let open: Vec<&Value> = state.open.iter().filter(is_wanted).collect();
            ResponseTemplate::new(200).set_body_json(open)
        }
        ("GET", place) if place.starts_with("git/ref/heads%2F") => {
            match state.branches.get(&branch(place)) {
                Some(sha) => {
                    ResponseTemplate::new(200).set_body_json(json!({ "object": { "sha": sha } }))
                }
                None => not_found(),
            }
        }
        ("POST", "git/refs") => {
            let name = branch(body["ref"].as_str().unwrap_or_default());
            state.set_branch(&name, body["sha"].as_str().unwrap_or_default());
            ResponseTemplate::new(201).set_body_json(json!({}))
        }
        ("POST", "git/blobs" | "git/trees" | "git/commits") => {
            make_object(state, place.trim_start_matches("git/"), &body)
        }
        ("POST", "pulls") => {
            let number = state.open.len() + 20;
            let page = format!("https://github.test/acme/server/pull/{number}");
            let tip = |name: &Value| json!({ "ref": name, "sha": "0".repeat(40) });
            let made = json!({ "number": number, "html_url": page, "body": body["body"],
                               "base": tip(&body["base"]), "head": tip(&body["head"]) });
            state.open.push(made.clone());
            ResponseTemplate::new(201).set_body_json(made)
        }
        ("GET", place) => {
            if let Some(path) = place.strip_prefix("contents/") {
                let path = path.replace("%2F", "/");
                let at = value("ref").unwrap_or_default();
                return match state.file(&path, &at) {
                    Some(content) => ResponseTemplate::new(200).set_body_bytes(content.clone()),
                    None => not_found(),
                };
            }
            if let Some(sha) = place.strip_prefix("git/commits/") {
                // Its files go by its own name.
                return ResponseTemplate::new(200).set_body_json(json!({ "tree": { "sha": sha } }));
            }
            let is_known = place.strip_prefix("commits/").is_some_and(|sha| {
                let is_branch = state.branches.contains_key(&sha.replace("%2F", "/"));
                let is_tip = state.branches.values().any(|tip| tip == sha);
                is_branch || is_tip || state.commits.iter().any(|known| known == sha)
            });
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
