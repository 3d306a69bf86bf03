//! The era probe and the handshake: from an endpoint to a client.

use std::sync::Arc;

use tokio::time::{Duration, timeout};

use super::{
    Limits,
    client::{Client, Endpoint},
    message::{self, Identity, MALFORMED_CODES, UNSUPPORTED_VERSION},
    outcome::{CallError, ErrorKind, excerpt},
    request,
    revision::{Era, MODERN, Revision},
};

/// How long a server may leave the era probe unanswered before it is asked by `initialize` too.
const PROBE_SILENCE: Duration = Duration::from_secs(10);

/// A handshake that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{step} failed: {error}")]
pub struct OpenError {
    /// The request that failed: `server/discover` or `initialize`.
    pub step: &'static str,
    /// How.
    pub error: CallError,
}

impl OpenError {
    /// Whether a server that is still starting may answer like this.
    #[must_use]
    pub fn may_be_starting(&self) -> bool {
        matches!(
            self.error.kind,
            ErrorKind::Refused | ErrorKind::Reset | ErrorKind::Http(404 | 502 | 503 | 504)
        )
    }
}

/// A client after its handshake.
pub struct Opened {
    /// How it reached the server.
    pub endpoint: Endpoint,
    /// Ready for calls.
    pub client: Client,
    /// Who answered.
    pub identity: Identity,
}

/// Which protocol revision a client is opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The newest that the server speaks; its era is probed.
    Any,
    /// The newest with `initialize` that the server speaks.
    AnyLegacy,
    /// This one and no other.
    Exactly(Revision),
}

/// Opens a client. What refuses streamable HTTP is asked over the older HTTP+SSE.
///
/// Over stdio in the `initialize` era a process has one session: there a second client is had by
/// [`Client::share`].
///
/// # Errors
/// [`OpenError`] names the step.
pub async fn open(
    endpoint: &Endpoint,
    wanted: Wanted,
    limits: Limits,
) -> Result<Opened, OpenError> {
    match open_on(endpoint, wanted, limits).await {
        Ok(opened) => Ok(opened),
        Err(failed) => open_over_sse(endpoint, &failed, wanted, limits)
            .await
            .ok_or(failed),
    }
}

async fn open_on(endpoint: &Endpoint, wanted: Wanted, limits: Limits) -> Result<Opened, OpenError> {
    match (wanted, endpoint) {
        (Wanted::Exactly(revision), _) => open_exactly(endpoint, revision, limits).await,
        // HTTP+SSE is older than the other era, so that one need not be asked for.
        (Wanted::AnyLegacy, _) | (Wanted::Any, Endpoint::Sse(_)) => {
            initialize(endpoint, Revision::NEWEST_LEGACY, limits).await
        }
        (Wanted::Any, _) => open_newest(endpoint, limits).await,
    }
}

/// Opens a client over the older HTTP+SSE where what was asked over streamable HTTP was refused
/// as such a server refuses it; `None` where it was not, or speaks neither.
async fn open_over_sse(
    endpoint: &Endpoint,
    refused: &OpenError,
    wanted: Wanted,
    limits: Limits,
) -> Option<Opened> {
    let Endpoint::Http(target) = endpoint else {
        return None;
    };
    if !matches!(refused.error.kind, ErrorKind::Http(400 | 404 | 405)) {
        return None;
    }
    open_on(&Endpoint::Sse(Arc::clone(target)), wanted, limits)
        .await
        .ok()
}

/// Asks by `server/discover`; whatever is not the answer of a server of this revision leads to
/// `initialize`, which says more than the list of versions: some servers list none of those that
/// they speak by `initialize`.
async fn open_newest(endpoint: &Endpoint, limits: Limits) -> Result<Opened, OpenError> {
    let newest = async {
        let (opened, versions) = discover(endpoint, Revision::MODERN, limits)
            .await
            .map_err(|failed| (has_other_versions(&failed.error), failed))?;
        speaks(&versions, Revision::MODERN).map_err(|failed| (true, failed))?;
        Ok(opened)
    };
    let mut newest = std::pin::pin!(newest);
    let silence = PROBE_SILENCE.min(limits.call_timeout / 3);
    let probed = timeout(silence, &mut newest).await;
    let mut older = std::pin::pin!(initialize(endpoint, Revision::NEWEST_LEGACY, limits));
    match probed {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err((_, failed))) if is_final(&failed) => Err(failed),
        Ok(Err((is_telling, failed))) => older
            .await
            .map_err(|older| if is_telling { failed } else { older }),
        // Silent since it knows no such method, or since it is still starting: a server that
        // starts slowly must not be taken for one of the other era.
        Err(_) => tokio::select! {
            biased;
            Ok(opened) = &mut newest => Ok(opened),
            opened = &mut older => opened,
        },
    }
}

async fn open_exactly(
    endpoint: &Endpoint,
    revision: Revision,
    limits: Limits,
) -> Result<Opened, OpenError> {
    if revision.era() == Era::Modern {
        let (opened, versions) = discover(endpoint, revision, limits).await?;
        speaks(&versions, revision)?;
        return Ok(opened);
    }
    let opened = initialize(endpoint, revision, limits).await?;
    let answered = opened.client.revision();
    if answered == revision {
        return Ok(opened);
    }
    // A server that does not speak what is offered answers with what it does speak.
    Err(OpenError {
        step: "initialize",
        error: CallError::new(
            ErrorKind::Malformed,
            format!("asked for protocol {revision}, answered with {answered}"),
        ),
    })
}

fn speaks(versions: &[String], revision: Revision) -> Result<(), OpenError> {
    if versions.iter().any(|version| version == revision.as_str()) {
        return Ok(());
    }
    Err(OpenError {
        step: "server/discover",
        error: CallError::new(
            ErrorKind::Malformed,
            format!(
                "the server speaks {}; mcpgate speaks {MODERN} and older",
                excerpt(&versions.join(", "))
            ),
        ),
    })
}

/// Whether a failed probe says more than that the server is of the `initialize` era.
fn is_final(failed: &OpenError) -> bool {
    matches!(
        failed.error.kind,
        ErrorKind::Refused
            | ErrorKind::Reset
            | ErrorKind::Closed
            | ErrorKind::Http(401 | 403 | 502..=504)
    ) || MALFORMED_CODES
        .iter()
        .any(|code| says(&failed.error, *code))
        || (failed.error.kind == ErrorKind::Malformed
            && failed.error.message.contains("standard output"))
}

/// Whether a server of a stateless revision refused the revision that it was asked in.
fn has_other_versions(error: &CallError) -> bool {
    says(error, UNSUPPORTED_VERSION)
}

fn says(error: &CallError, code: i64) -> bool {
    error.message.contains(&format!("JSON-RPC error {code}:"))
}

/// Asked again where the server says that it speaks the revision after all, as the specification
/// wants it of a client that is told a version it knows.
async fn discover(
    endpoint: &Endpoint,
    revision: Revision,
    limits: Limits,
) -> Result<(Opened, Vec<String>), OpenError> {
    let speaks_it = |failed: &OpenError| {
        let mut versions = failed.error.versions.iter();
        versions.any(|version| version == revision.as_str())
    };
    match discover_once(endpoint, revision, limits).await {
        Err(failed) if speaks_it(&failed) => discover_once(endpoint, revision, limits).await,
        outcome => outcome,
    }
}

async fn discover_once(
    endpoint: &Endpoint,
    revision: Revision,
    limits: Limits,
) -> Result<(Opened, Vec<String>), OpenError> {
    let failed = |error| OpenError {
        step: "server/discover",
        error,
    };
    let mut client = Client::new(endpoint, revision, limits);
    let prepared = client.prepare("server/discover", b"");
    let answer = client.send(&prepared).await.map_err(failed)?;
    let (identity, versions) = message::read_discover(&answer.body, prepared.id).map_err(failed)?;
    let endpoint = endpoint.clone();
    Ok((
        Opened {
            endpoint,
            client,
            identity,
        },
        versions,
    ))
}

async fn initialize(
    endpoint: &Endpoint,
    offered: Revision,
    limits: Limits,
) -> Result<Opened, OpenError> {
    let failed = |error| OpenError {
        step: "initialize",
        error,
    };
    let mut client = Client::new(endpoint, offered, limits);
    let params = request::members(&request::initialize_params(offered, limits.elicitation));
    let prepared = client.prepare("initialize", params.as_bytes());
    let identity = client.finish_initialize(&prepared).await.map_err(failed)?;
    Ok(Opened {
        endpoint: endpoint.clone(),
        client,
        identity,
    })
}
