//! Streamable HTTP: one kept-alive connection for each virtual user.
//!
//! Connecting, draining and header building stay outside the timed span; how an answer is read
//! is in `answer.rs`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Uri,
    header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT},
};
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Duration, Instant, timeout},
};

use super::{
    answer::{AnswerReader, drained},
    client::Exchange,
    message,
    outcome::{CallError, ErrorKind, Strays, excerpt_bytes},
};

/// Where a server listens, and what every request to it carries.
#[derive(Debug, Clone)]
pub struct HttpTarget {
    host: String,
    port: u16,
    path: Uri,
    headers: HeaderMap,
}

impl HttpTarget {
    /// Reads an `http://` URL. `headers` go with every request.
    ///
    /// # Errors
    /// In words, when the URL is not one that can be used.
    pub fn new(url: &str, headers: &[(String, String)]) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|e| format!("`{url}` is no URL: {e}"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(format!("`{url}`: https is not supported yet; use http")),
            _ => return Err(format!("`{url}`: a URL starts with http://")),
        }
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| format!("`{url}` names no host"))?
            .trim_matches(['[', ']'])
            .to_owned();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut all = HeaderMap::new();
        let authority = uri.authority().map_or("", |a| a.as_str());
        let bad = |what: &str| format!("`{url}`: {what} cannot be sent as a header");
        all.insert(
            HOST,
            HeaderValue::from_str(authority).map_err(|_| bad("the host"))?,
        );
        all.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("mcpgate/", env!("CARGO_PKG_VERSION"))),
        );
        all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        all.insert(
            ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
        for (name, value) in headers {
            let name: http::HeaderName = name
                .parse()
                .map_err(|_| format!("`{name}` is no header name"))?;
            let mut value =
                HeaderValue::from_str(value).map_err(|_| bad(&format!("the value of {name}")))?;
            value.set_sensitive(true);
            all.insert(name, value);
        }
        Ok(Self {
            port: uri.port_u16().unwrap_or(80),
            path: path.parse().map_err(|e| format!("`{url}`: {e}"))?,
            host,
            headers: all,
        })
    }

    /// The address, if the URL's host is this machine.
    #[must_use]
    pub fn loopback_address(&self) -> Option<SocketAddr> {
        let ip = if self.host == "localhost" {
            IpAddr::from(Ipv4Addr::LOCALHOST)
        } else {
            self.host.parse::<IpAddr>().ok()?
        };
        ip.is_loopback().then_some(SocketAddr::new(ip, self.port))
    }

    /// The headers that every request carries.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, CallError> {
        let addresses: Vec<SocketAddr> = lookup_host((self.host.as_str(), self.port))
            .await
            .map_err(|e| {
                CallError::new(
                    ErrorKind::Refused,
                    format!("{} is not to be found ({e})", self.host),
                )
            })?
            .collect();
        let stream = TcpStream::connect(&addresses[..]).await.map_err(|e| {
            CallError::new(
                ErrorKind::Refused,
                format!("no connection to {}:{} ({e})", self.host, self.port),
            )
        })?;
        stream.set_nodelay(true).map_err(|e| reset(&e))?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|e| reset(&e))?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

pub(super) fn reset(error: &dyn std::error::Error) -> CallError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    CallError::new(ErrorKind::Reset, format!("the connection broke ({text})"))
}

/// An answer as it came, whatever its status.
#[derive(Debug)]
pub struct HttpAnswer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// The answer and its times.
    pub exchange: Exchange,
}

impl HttpAnswer {
    /// The exchange, if the status is 2xx.
    ///
    /// # Errors
    /// `http-STATUS` with what the server said.
    pub fn successful(self) -> Result<Exchange, CallError> {
        if self.status.is_success() {
            return Ok(self.exchange);
        }
        let body = &self.exchange.body;
        let said = message::rpc_error(body).map_or_else(
            || excerpt_bytes(body),
            |error| {
                format!(
                    "JSON-RPC error {}: {}",
                    error.code,
                    super::outcome::excerpt(&error.message)
                )
            },
        );
        Err(CallError::new(
            ErrorKind::Http(self.status.as_u16()),
            if said.is_empty() {
                format!("HTTP {}", self.status)
            } else {
                format!("HTTP {}: {said}", self.status)
            },
        ))
    }
}

/// One virtual user's connection.
#[derive(Debug)]
pub struct HttpConnection {
    target: Arc<HttpTarget>,
    sender: Option<SendRequest<Full<Bytes>>>,
    message_bytes: usize,
    strays: Strays,
}

impl HttpConnection {
    /// A connection that is opened by the first request or by [`Self::ensure_open`].
    #[must_use]
    pub fn new(target: Arc<HttpTarget>, message_bytes: usize) -> Self {
        Self {
            target,
            sender: None,
            message_bytes,
            strays: Strays::default(),
        }
    }

    /// Answers that nobody asked for, since the last time this was asked: those that came in an
    /// event stream after its answer.
    #[must_use]
    pub fn take_strays(&mut self) -> Strays {
        std::mem::take(&mut self.strays)
    }

    /// Where it leads.
    #[must_use]
    pub fn target(&self) -> &Arc<HttpTarget> {
        &self.target
    }

    /// Opens the connection if it is not open: to be called before the clock starts.
    ///
    /// # Errors
    /// `refused`, `reset` or `timeout`.
    pub async fn ensure_open(&mut self, patience: Duration) -> Result<(), CallError> {
        let kept = self.sender.take();
        let opening = async {
            if let Some(mut sender) = kept
                && sender.ready().await.is_ok()
            {
                return Ok(sender);
            }
            self.target.connect().await
        };
        let opened = timeout(patience, opening)
            .await
            .map_err(|_| timed_out("connection", patience))??;
        self.sender = Some(opened);
        Ok(())
    }

    /// Posts a message and waits for the answer under `id`.
    ///
    /// # Errors
    /// `refused`, `reset`, `timeout` or `too-large`; an answer of any status is no error here. The
    /// connection is given up on every error: for the 2026-07-28 revision that is the
    /// cancellation.
    pub async fn post(
        &mut self,
        id: u64,
        body: Bytes,
        headers: &HeaderMap,
        patience: Duration,
    ) -> Result<HttpAnswer, CallError> {
        self.ensure_open(patience).await?;
        let request = self.request(Method::POST, body, headers);
        let Some(sender) = self.sender.as_mut() else {
            return Err(CallError::new(
                ErrorKind::Closed,
                "the connection is not open",
            ));
        };
        let reader = AnswerReader {
            id,
            target: &self.target,
            headers,
            limit: self.message_bytes,
        };
        let sent = Instant::now();
        let answer = timeout(patience, async {
            let response = sender.send_request(request).await.map_err(|e| reset(&e))?;
            let first_byte = Instant::now();
            reader.read(response, sent, first_byte).await
        })
        .await
        .unwrap_or_else(|_| Err(timed_out("answer", patience)));
        match answer {
            Ok((answer, rest)) => {
                if let Some(rest) = rest
                    && !rest.drained(&mut self.strays).await
                {
                    self.sender = None;
                }
                Ok(answer)
            }
            Err(error) => {
                self.sender = None;
                Err(error)
            }
        }
    }

    /// Sends a request of which only the status matters (a notification, or `DELETE`).
    ///
    /// # Errors
    /// `refused`, `reset` or `timeout`.
    pub async fn status_of(
        &mut self,
        method: Method,
        body: Bytes,
        headers: &HeaderMap,
        patience: Duration,
    ) -> Result<StatusCode, CallError> {
        self.ensure_open(patience).await?;
        let request = self.request(method, body, headers);
        let Some(sender) = self.sender.as_mut() else {
            return Err(CallError::new(
                ErrorKind::Closed,
                "the connection is not open",
            ));
        };
        let answered = timeout(patience, sender.send_request(request))
            .await
            .map_err(|_| timed_out("answer", patience))
            .and_then(|answered| answered.map_err(|e| reset(&e)));
        match answered {
            Ok(response) => {
                let status = response.status();
                if !drained(response.into_body()).await {
                    self.sender = None;
                }
                Ok(status)
            }
            Err(error) => {
                self.sender = None;
                Err(error)
            }
        }
    }

    fn request(&self, method: Method, body: Bytes, headers: &HeaderMap) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.target.path.clone();
        *request.headers_mut() = headers.clone();
        request
    }
}

fn timed_out(what: &str, patience: Duration) -> CallError {
    CallError::new(
        ErrorKind::Timeout,
        format!("no {what} within {}", humantime::format_duration(patience)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_or_refused_in_words() {
        let target = HttpTarget::new("http://127.0.0.1:8080/mcp?x=1", &[]).unwrap();
        assert_eq!(target.path.to_string(), "/mcp?x=1");
        for (url, address) in [
            ("http://127.0.0.1:8080/mcp", Some("127.0.0.1:8080")),
            ("http://localhost/", Some("127.0.0.1:80")),
            ("http://[::1]:9/", Some("[::1]:9")),
            ("http://example.com/", None),
        ] {
            let target = HttpTarget::new(url, &[]).unwrap();
            let expected = address.map(|address| address.parse().unwrap());
            assert_eq!(target.loopback_address(), expected, "{url}");
        }
        for (url, words) in [
            ("https://a/", "https is not supported yet"),
            ("ftp://a/", "starts with http://"),
            ("nonsense", "starts with http://"),
            ("http://", "is no URL"),
        ] {
            let error = HttpTarget::new(url, &[]).unwrap_err();
            assert!(error.contains(words), "{url}: {error}");
        }
    }

    #[test]
    fn header_values_are_not_shown() {
        let headers = [("Authorization".to_owned(), "Bearer s3cret".to_owned())];
        let target = HttpTarget::new("http://a/", &headers).unwrap();
        assert!(!format!("{target:?}").contains("s3cret"));
        let bad = [("Authorization".to_owned(), "s3cret\n".to_owned())];
        assert!(
            !HttpTarget::new("http://a/", &bad)
                .unwrap_err()
                .contains("s3cret")
        );
    }
}
