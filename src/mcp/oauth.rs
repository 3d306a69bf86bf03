//! Access tokens by OAuth client credentials (RFC 6749, 4.4), as MCP's extension for machines has
//! them: asked for between servers' rounds, never inside a timed span.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Duration, Instant};

use super::{
    Limits, client_assertion::SigningKey, http::HttpConnection, http_target::HttpTarget,
    message::from_object, outcome::excerpt,
};
use crate::environment;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Most bytes of an answer to a token request.
const ANSWER_BYTES: usize = 64 << 10;

/// How long before its end a token is asked for anew: a round must not outlive it. Of a token that
/// lives for less than twice as long, half its life.
const AHEAD: Duration = Duration::from_mins(2);

/// Who asks for a token, and for what.
pub struct ClientCredentials {
    /// Where tokens are asked for.
    pub token_url: String,
    /// The client.
    pub client_id: String,
    /// How it shows that it is this client.
    pub proof: Proof,
    /// `scope` of the request.
    pub scope: Option<String>,
    /// `resource` of the request (RFC 8707): the server that the token is for.
    pub resource: Option<String>,
    /// Whom an assertion is for; the token URL where absent.
    pub audience: Option<String>,
}

/// How a client shows who it is.
pub enum Proof {
    /// A secret, sent by HTTP Basic.
    Secret(String),
    /// An assertion, signed anew for each request.
    Key(Box<SigningKey>),
}

/// Asks for tokens and keeps the last one.
pub struct TokenSource {
    credentials: ClientCredentials,
    target: Arc<HttpTarget>,
    patience: Duration,
    last: tokio::sync::Mutex<Option<Token>>,
    issued: Mutex<Vec<String>>,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource")
            .field("token_url", &self.credentials.token_url)
            .finish_non_exhaustive()
    }
}

struct Token {
    text: String,
    /// Not to be used for a new round after this.
    until: Option<Instant>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<Value>,
}

#[derive(Deserialize)]
struct Denied {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl TokenSource {
    /// Certificates of the token URL are checked as those of the server. `patience` is for one
    /// request.
    ///
    /// # Errors
    /// In words, when the URL or the file is not one that can be used.
    pub fn new(
        credentials: ClientCredentials,
        ca_file: Option<&Path>,
        patience: Duration,
    ) -> Result<Self, String> {
        let target = HttpTarget::new(&credentials.token_url, &[], ca_file)?;
        Ok(Self {
            credentials,
            target: Arc::new(target),
            patience,
            last: tokio::sync::Mutex::default(),
            issued: Mutex::default(),
        })
    }

    /// All tokens so far, to be kept out of what is shown.
    #[must_use]
    pub fn issued(&self) -> Vec<String> {
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.clone()
    }

    /// A token that is good for at least the next two minutes, or half its life.
    ///
    /// # Errors
    /// In words, when none is given.
    pub async fn token(&self) -> Result<String, String> {
        let mut last = self.last.lock().await;
        if let Some(token) = &*last
            && token.until.is_none_or(|until| Instant::now() < until)
        {
            return Ok(token.text.clone());
        }
        let token = self.ask().await.map_err(|why| {
            let url = excerpt(&self.credentials.token_url);
            format!("no access token from {url}: {why}")
        })?;
        let text = token.text.clone();
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.push(text.clone());
        *last = Some(token);
        Ok(text)
    }

    async fn ask(&self) -> Result<Token, String> {
        let (form, headers) = self.request()?;
        let limits = Limits {
            message_bytes: ANSWER_BYTES,
            ..Limits::default()
        };
        let mut connection = HttpConnection::new(Arc::clone(&self.target), limits);
        let asked = Instant::now();
        let (status, body) = connection
            .whole(Method::POST, form.into(), &headers, self.patience)
            .await
            .map_err(|error| error.message)?;
        read(status, &body, asked)
    }

    fn request(&self) -> Result<(String, HeaderMap), String> {
        let ClientCredentials {
            token_url,
            client_id,
            proof,
            scope,
            resource,
            audience,
        } = &self.credentials;
        let mut headers = self.target.headers().clone();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in [("scope", scope), ("resource", resource)] {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        match proof {
            Proof::Secret(secret) => {
                let encoded = |text: &str| {
                    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
                };
                let pair = format!("{}:{}", encoded(client_id), encoded(secret));
                let basic = format!("Basic {}", BASE64_STANDARD.encode(pair));
                let mut basic = HeaderValue::try_from(basic).map_err(|e| e.to_string())?;
                basic.set_sensitive(true);
                headers.insert(AUTHORIZATION, basic);
            }
            Proof::Key(key) => {
                let audience = audience.as_ref().unwrap_or(token_url);
                let now_s = environment::unix_time_s();
                let assertion = key.assertion(client_id, audience, now_s, &environment::nonce())?;
                form.append_pair("client_id", client_id);
                form.append_pair("client_assertion_type", ASSERTION_TYPE);
                form.append_pair("client_assertion", &assertion);
            }
        }
        Ok((form.finish(), headers))
    }
}

/// Nothing of an answer is shown that may be a token.
fn read(status: StatusCode, body: &Bytes, asked: Instant) -> Result<Token, String> {
    if !status.is_success() {
        let denied = serde_json::from_slice::<Denied>(body).map_or_else(
            |_| String::new(),
            |denied| {
                let text = format!(": {} {}", denied.error, denied.error_description);
                excerpt(text.trim_end())
            },
        );
        let advice = match status.as_u16() {
            300..=399 => "; redirects are not followed, so give the URL that it leads to",
            400..=499 => "; check [server.oauth]",
            _ => "",
        };
        return Err(format!("HTTP {status}{denied}{advice}"));
    }
    let granted: Granted = from_object(body).map_err(|e| {
        let place = format!("line {}, column {}", e.line(), e.column());
        format!("its answer holds no `access_token` as RFC 6749 (5.1) has it ({place})")
    })?;
    let kind = granted.token_type.as_deref().unwrap_or("bearer");
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(format!(
            "it gave a token of type \"{}\", and mcpgate sends bearer tokens only",
            excerpt(kind)
        ));
    }
    let is_sendable =
        !granted.access_token.is_empty() && HeaderValue::from_str(&granted.access_token).is_ok();
    if !is_sendable {
        return Err("it gave a token that cannot be sent as a header".to_owned());
    }
    let seconds = granted.expires_in.as_ref().and_then(|given| match given {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    });
    let life = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(Token {
        text: granted.access_token,
        until: life.and_then(|life| asked.checked_add(life - AHEAD.min(life / 2))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(secret: &str) -> TokenSource {
        let credentials = ClientCredentials {
            token_url: "https://auth.test/token".to_owned(),
            client_id: "c:i".to_owned(),
            proof: Proof::Secret(secret.to_owned()),
            scope: Some("a b".to_owned()),
            resource: Some("https://mcp.test/mcp".to_owned()),
            audience: None,
        };
        TokenSource::new(credentials, None, Duration::from_secs(1)).unwrap()
    }

    #[test]
    fn the_secret_goes_by_basic_with_what_could_break_it_encoded() {
        let (form, headers) = source("p&:%s").request().unwrap();
        assert_eq!(
            form,
            "grant_type=client_credentials&scope=a+b&resource=https%3A%2F%2Fmcp.test%2Fmcp"
        );
        let basic = headers[AUTHORIZATION].to_str().unwrap();
        let pair = BASE64_STANDARD.decode(basic.strip_prefix("Basic ").unwrap());
        assert_eq!(pair.unwrap(), b"c%3Ai:p%26%3A%25s");
        let shown = format!("{:?} {headers:?}", source("p&:%s"));
        assert!(
            !shown.contains("p&:%s") && !shown.contains(basic),
            "{shown}"
        );
    }

    #[test]
    fn answers_are_read_or_refused_without_showing_a_token() {
        let asked = Instant::now();
        let life = |text: &str| {
            let token = read(StatusCode::OK, &Bytes::from(text.to_owned()), asked).unwrap();
            assert_eq!(token.text, "s3cret");
            token.until.map(|until| (until - asked).as_secs())
        };
        for (answer, until) in [
            (
                r#"{"access_token":"s3cret","token_type":"Bearer","expires_in":3600}"#,
                Some(3480),
            ),
            (r#"{"access_token":"s3cret","expires_in":"100"}"#, Some(50)),
            (r#"{"access_token":"s3cret","expires_in":-1}"#, None),
            (r#"{"access_token":"s3cret","expires_in":1e300}"#, None),
            (r#"{"access_token":"s3cret","token_type":"bearer"}"#, None),
        ] {
            assert_eq!(life(answer), until, "{answer}");
        }
        for (status, answer, words) in [
            (
                200,
                r#"{"access_token":"s3cret","token_type":"mac"}"#,
                "type \"mac\"",
            ),
            (200, r#"{"access_token":"s3cret\n"}"#, "cannot be sent"),
            (200, r#"{"access_token":""}"#, "cannot be sent"),
            (200, r#"{"token":"s3cret"}"#, "no `access_token`"),
            (200, r#"["s3cret"]"#, "no `access_token`"),
            (
                401,
                r#"{"error":"invalid_client","error_description":"no"}"#,
                "invalid_client no; check",
            ),
            (302, "", "redirects are not followed"),
            (500, "s3cret", "HTTP 500"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let Err(error) = read(status, &Bytes::from(answer), asked) else {
                panic!("{answer}");
            };
            assert!(error.contains(words), "{answer}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
