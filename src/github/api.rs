//! Requests to GitHub's API: what is asked, how long is waited, and what to do when it fails.

use std::{fmt, sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable as _};
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::{
    Agent, http,
    tls::{RootCerts, TlsConfig},
};

use super::runner::Runner;
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
pub(super) const JSON: &str = "application/vnd.github+json";
pub(super) const RAW: &str = "application/vnd.github.raw+json";

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

    /// A request that must not be repeated by itself.
    pub(super) fn once(&self, method: &str, place: &str, body: &Value) -> Result<Vec<u8>, Failure> {
        self.send(method, &self.in_repository(place), JSON, Some(body))
    }

    /// `OWNER/NAME`.
    pub(super) fn repository(&self) -> &str {
        &self.repository
    }

    pub(super) fn in_repository(&self, place: &str) -> String {
        format!("/repos/{}/{place}", self.repository)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, place: &str) -> Result<T, Failure> {
        let bytes = self.get_raw(place, JSON).await?;
        parsed(&bytes)
    }

    pub(super) async fn get_raw(&self, place: &str, accept: &str) -> Result<Vec<u8>, Failure> {
        self.repeatedly(|| self.send("GET", place, accept, None))
            .await
    }

    /// Repeats what may be repeated without doing anything twice.
    pub(super) async fn repeatedly(
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

    pub(super) fn send(
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

pub(super) fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes)
        .map_err(|error| Failure::Unclear(format!("GitHub's answer cannot be read: {error}")))
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
