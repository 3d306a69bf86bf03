//! Requests to GitHub's API: what is asked, how long is waited, and what to do when it fails.

use std::{fmt, sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::{
    Agent, http,
    tls::{RootCerts, TlsConfig},
};

use super::{comment::Found, runner::Runner, sticky::Comments};
use crate::{process::output::printable, suite::Secret};

/// Version of the API that is spoken.
const API_VERSION: &str = "2022-11-28";
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait that GitHub may ask for between two tries: a job must not stand still for an hour.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Tries after the first, of requests that may be repeated.
const MORE_TRIES: usize = 3;
/// Largest answer that is read: a file of the repository.
const LARGEST_ANSWER: u64 = crate::store::LARGEST_FILE;
/// Comments on a page, and most pages that are looked through.
const PAGE: usize = 100;
const MOST_PAGES: usize = 50;

const JSON: &str = "application/vnd.github+json";
const RAW: &str = "application/vnd.github.raw+json";

/// Why a request did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// There is no such thing, or the token may not see it.
    NotFound(String),
    /// GitHub refused; what to change is in the text.
    Refused(String),
    /// GitHub wants less haste.
    Limited {
        /// What it said.
        said: String,
        /// How long it wants one to wait.
        wait: Option<Duration>,
    },
    /// No answer, or one that does not tell whether the request was carried out.
    Unclear(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(said) | Self::Refused(said) | Self::Unclear(said) => f.write_str(said),
            Self::Limited { said, wait } => match wait {
                Some(wait) => write!(f, "{said}; it wants {} s of waiting", wait.as_secs()),
                None => f.write_str(said),
            },
        }
    }
}

impl Failure {
    fn is_temporary(&self) -> bool {
        matches!(self, Self::Limited { .. } | Self::Unclear(_))
    }
}

/// A pull request as the API lists it.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Listed {
    /// Its number.
    pub number: u64,
    /// The branch that it is to be merged into.
    pub base: Tip,
    /// Its own branch.
    pub head: Tip,
}

/// A branch and its commit.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Tip {
    /// The branch.
    #[serde(rename = "ref")]
    pub name: String,
    /// The commit.
    pub sha: String,
}

/// GitHub, as one repository's workflow sees it.
#[derive(Debug)]
pub struct Api {
    agent: Agent,
    base: String,
    repository: String,
    token: Option<Secret>,
}

impl Api {
    /// Connects to nothing yet. Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`).
    #[must_use]
    pub fn new(runner: &Runner) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(PATIENCE))
            // A renamed repository answers with a redirect; the token goes to the same host only.
            .max_redirects(3)
            .redirect_auth_headers(ureq::config::RedirectAuthHeaders::SameHost)
            .tls_config(
                TlsConfig::builder()
                    .unversioned_rustls_crypto_provider(Arc::new(
                        rustls::crypto::ring::default_provider(),
                    ))
                    .root_certs(RootCerts::PlatformVerifier)
                    .build(),
            )
            .user_agent(concat!("mcpgate/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Self {
            agent,
            base: runner.api_url.clone(),
            repository: runner.repository.clone(),
            token: runner.token.clone(),
        }
    }

    /// A file at a commit; `None` if the commit has none there.
    ///
    /// # Errors
    /// Any failure, also where the commit itself cannot be seen: that is not the same as a file
    /// that is not there.
    pub async fn file(&self, sha: &str, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        let place = format!("contents/{}?ref={sha}", escaped(path));
        match self.get_raw(&self.in_repository(&place), RAW).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Failure::NotFound(_)) => {
                let commit = self.in_repository(&format!("git/commits/{sha}"));
                self.get_raw(&commit, JSON).await.map(|_| None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// The newest commit of a branch.
    ///
    /// # Errors
    /// Any failure.
    pub async fn tip(&self, branch: &str) -> Result<String, Failure> {
        let place = self.in_repository(&format!("git/ref/heads/{}", escaped(branch)));
        let found: Value = self.get(&place).await?;
        sha_at(&found, "/object/sha")
    }

    /// The newest commit that both have behind them.
    ///
    /// # Errors
    /// Any failure.
    pub async fn merge_base(&self, base: &str, head: &str) -> Result<String, Failure> {
        let place = format!("compare/{}...{}?per_page=1", escaped(base), escaped(head));
        let found: Value = self.get(&self.in_repository(&place)).await?;
        sha_at(&found, "/merge_base_commit/sha")
    }

    /// Open pull requests from a branch of `owner`'s repository.
    ///
    /// # Errors
    /// Any failure.
    pub async fn open_pull_requests(
        &self,
        owner: &str,
        branch: &str,
    ) -> Result<Vec<Listed>, Failure> {
        let place = format!(
            "pulls?state=open&per_page={PAGE}&head={}:{}",
            escaped(owner),
            escaped(branch)
        );
        self.get(&self.in_repository(&place)).await
    }

    /// Whose token it is; `None` for a token of GitHub Actions or of an app, which has no user.
    ///
    /// # Errors
    /// Any failure but that of having no user.
    pub async fn login(&self) -> Result<Option<String>, Failure> {
        match self.get::<Value>("/user").await {
            Ok(user) => Ok(user
                .pointer("/login")
                .and_then(Value::as_str)
                .map(str::to_owned)),
            Err(Failure::Refused(_) | Failure::NotFound(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn in_repository(&self, place: &str) -> String {
        format!("/repos/{}/{place}", self.repository)
    }

    async fn get<T: DeserializeOwned>(&self, place: &str) -> Result<T, Failure> {
        let bytes = self.get_raw(place, JSON).await?;
        parsed(&bytes)
    }

    async fn get_raw(&self, place: &str, accept: &str) -> Result<Vec<u8>, Failure> {
        self.repeatedly(|| self.send("GET", place, accept, None))
            .await
    }

    /// Repeats what may be repeated without doing anything twice.
    async fn repeatedly(
        &self,
        request: impl Fn() -> Result<Vec<u8>, Failure>,
    ) -> Result<Vec<u8>, Failure> {
        (|| async { request() })
            .retry(
                ExponentialBuilder::default()
                    .with_min_delay(Duration::from_millis(500))
                    .with_max_times(MORE_TRIES),
            )
            .when(Failure::is_temporary)
            .adjust(|failure, usual| match failure {
                Failure::Limited { wait, .. } => {
                    let wait = wait.unwrap_or(LONGEST_WAIT);
                    usual
                        .filter(|_| wait <= LONGEST_WAIT)
                        .map(|usual| usual.max(wait))
                }
                Failure::NotFound(_) | Failure::Refused(_) | Failure::Unclear(_) => usual,
            })
            .await
    }

    fn send(
        &self,
        method: &str,
        place: &str,
        accept: &str,
        body: Option<&Value>,
    ) -> Result<Vec<u8>, Failure> {
        let asked = format!("{method} {place}");
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{place}", self.base))
            .header("accept", accept)
            .header("x-github-api-version", API_VERSION);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {}", token.expose()));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let text = body.map_or_else(String::new, Value::to_string);
        let unclear = |error: &dyn fmt::Display| {
            let said: String = error.to_string().chars().take(300).collect();
            Failure::Unclear(format!("{asked}: {}", printable(&said)))
        };
        let answer = if body.is_some() {
            let request = request.body(text).map_err(|error| unclear(&error))?;
            self.agent.run(request)
        } else {
            let request = request.body(()).map_err(|error| unclear(&error))?;
            self.agent.run(request)
        };
        let mut answer = answer.map_err(|error| unclear(&error))?;
        let status = answer.status();
        let wait = wanted_wait(answer.headers());
        let is_limited = answer
            .headers()
            .get("x-ratelimit-remaining")
            .is_some_and(|left| left.as_bytes() == b"0");
        let bytes = answer
            .body_mut()
            .with_config()
            .limit(LARGEST_ANSWER)
            .read_to_vec();
        if status.is_success() {
            return bytes.map_err(|error| unclear(&error));
        }
        Err(failure(
            &asked,
            status.as_u16(),
            &bytes.unwrap_or_default(),
            wait,
            is_limited,
        ))
    }
}

impl Comments for Api {
    async fn list(&self, number: u64) -> Result<Vec<Found>, Failure> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let place = format!("issues/{number}/comments?per_page={PAGE}&page={page}");
            let found: Vec<Comment> = self.get(&self.in_repository(&place)).await?;
            let is_last = found.len() < PAGE;
            all.extend(found.into_iter().map(Found::from));
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    async fn create(&self, number: u64, body: &str) -> Result<Found, Failure> {
        let place = self.in_repository(&format!("issues/{number}/comments"));
        let body = serde_json::json!({ "body": body });
        let made = self.send("POST", &place, JSON, Some(&body))?;
        parsed::<Comment>(&made).map(Found::from)
    }

    async fn update(&self, id: u64, body: &str) -> Result<Found, Failure> {
        let place = self.in_repository(&format!("issues/comments/{id}"));
        let body = serde_json::json!({ "body": body });
        let made = self
            .repeatedly(|| self.send("PATCH", &place, JSON, Some(&body)))
            .await?;
        parsed::<Comment>(&made).map(Found::from)
    }

    async fn delete(&self, id: u64) -> Result<(), Failure> {
        let place = self.in_repository(&format!("issues/comments/{id}"));
        let done = self
            .repeatedly(|| self.send("DELETE", &place, JSON, None))
            .await;
        match done {
            Ok(_) | Err(Failure::NotFound(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

#[derive(serde::Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    html_url: Option<String>,
    #[serde(default)]
    user: Option<Author>,
}

#[derive(serde::Deserialize)]
struct Author {
    login: String,
}

impl From<Comment> for Found {
    fn from(comment: Comment) -> Self {
        Self {
            id: comment.id,
            author: comment.user.map(|user| user.login).unwrap_or_default(),
            body: comment.body.unwrap_or_default(),
            url: comment.html_url.unwrap_or_default(),
        }
    }
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes)
        .map_err(|error| Failure::Unclear(format!("GitHub's answer cannot be read: {error}")))
}

fn sha_at(answer: &Value, pointer: &str) -> Result<String, Failure> {
    answer
        .pointer(pointer)
        .and_then(Value::as_str)
        .filter(|sha| super::event::is_sha(sha))
        .map(str::to_owned)
        .ok_or_else(|| Failure::Unclear("GitHub's answer names no commit".to_owned()))
}

/// `retry-after` in seconds.
fn wanted_wait(headers: &http::HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.trim().parse();
    seconds.ok().map(Duration::from_secs)
}

fn failure(
    asked: &str,
    status: u16,
    body: &[u8],
    wait: Option<Duration>,
    is_limited: bool,
) -> Failure {
    let message = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|answer| Some(answer.get("message")?.as_str()?.to_owned()))
        .unwrap_or_default();
    let message: String = message.chars().take(300).collect();
    let said = format!("{asked}: {status} {}", printable(&message));
    match status {
        429 => Failure::Limited { said, wait },
        403 if is_limited || wait.is_some() || message.contains("rate limit") => {
            Failure::Limited { said, wait }
        }
        404 | 410 => Failure::NotFound(said),
        401 => Failure::Refused(format!("{said}; is the token still valid?")),
        403 => Failure::Refused(format!(
            "{said}; the job's `permissions:` must have `pull-requests: write` for a comment and \
             `contents: read` for the baseline, which pull requests from forks never get"
        )),
        500.. => Failure::Unclear(said),
        _ => Failure::Refused(said),
    }
}

/// Percent-encoded, slashes too: one segment of a path, or one value of a query.
fn escaped(text: &str) -> PercentEncode<'_> {
    /// All but RFC 3986's unreserved characters.
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    utf8_percent_encode(text, RESERVED)
}
