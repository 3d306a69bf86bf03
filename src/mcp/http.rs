//! Streamable HTTP: one kept-alive connection for each virtual user.
//!
//! Connecting, draining and header building stay outside the timed span. The first byte is the
//! answer's head; the last byte is the frame that completes the body, or the event with the
//! answer.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT},
};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming as IncomingBody,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Duration, Instant, timeout},
};

use super::{
    client::Exchange,
    message::{self, Incoming},
    outcome::{CallError, ErrorKind, excerpt_bytes},
    sse::SseParser,
};

/// How long the rest of an event stream may take to end after its answer before the connection is
/// given up.
const DRAIN: Duration = Duration::from_secs(1);
/// How long a server may take to accept our answer to its own request.
const REPLY_PATIENCE: Duration = Duration::from_secs(30);
/// How much of an unsuccessful answer's body is read for its message.
const ERROR_BODY_BYTES: usize = 64 << 10;
/// Requests that a server may make of us during one call; further ones are not answered.
const REPLIES_PER_CALL: usize = 16;

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

fn reset(error: &dyn std::error::Error) -> CallError {
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
}

impl HttpConnection {
    /// A connection that is opened by the first request or by [`Self::ensure_open`].
    #[must_use]
    pub fn new(target: Arc<HttpTarget>, message_bytes: usize) -> Self {
        Self {
            target,
            sender: None,
            message_bytes,
        }
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
        if let Some(sender) = &mut self.sender
            && sender.ready().await.is_ok()
        {
            return Ok(());
        }
        let connecting = timeout(patience, self.target.connect());
        self.sender = Some(
            connecting
                .await
                .map_err(|_| timed_out("connection", patience))??,
        );
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
                    && !drained(rest).await
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
        let response = timeout(patience, sender.send_request(request))
            .await
            .map_err(|_| timed_out("answer", patience))?
            .map_err(|e| reset(&e))?;
        let status = response.status();
        if !drained(response.into_body()).await {
            self.sender = None;
        }
        Ok(status)
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

/// Reads what is left of a body, so that the connection can be used again.
async fn drained(mut body: IncomingBody) -> bool {
    let mut left = ERROR_BODY_BYTES;
    let draining = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            let size = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(size) else {
                return false;
            };
            left = rest;
        }
        true
    };
    timeout(DRAIN, draining).await.unwrap_or(false)
}

struct AnswerReader<'a> {
    id: u64,
    target: &'a Arc<HttpTarget>,
    headers: &'a HeaderMap,
    limit: usize,
}

impl AnswerReader<'_> {
    async fn read(
        &self,
        response: Response<IncomingBody>,
        sent: Instant,
        first_byte: Instant,
    ) -> Result<(HttpAnswer, Option<IncomingBody>), CallError> {
        let (head, body) = response.into_parts();
        let is_stream = head
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| {
                value
                    .trim_start()
                    .get(..17)
                    .is_some_and(|start| start.eq_ignore_ascii_case("text/event-stream"))
            });
        let (body, last_byte, rest) = if head.status.is_success() && is_stream {
            self.read_stream(body).await?
        } else {
            let limit = if head.status.is_success() {
                self.limit
            } else {
                ERROR_BODY_BYTES
            };
            let (body, last_byte) = whole(body, limit, first_byte).await?;
            (body, last_byte, None)
        };
        Ok((
            HttpAnswer {
                status: head.status,
                headers: head.headers,
                exchange: Exchange {
                    sent,
                    first_byte,
                    last_byte,
                    body,
                },
            },
            rest,
        ))
    }

    async fn read_stream(
        &self,
        mut body: IncomingBody,
    ) -> Result<(Bytes, Instant, Option<IncomingBody>), CallError> {
        let mut parser = SseParser::new();
        let mut received = 0_usize;
        let mut replies = 0;
        while let Some(frame) = body.frame().await {
            let at = Instant::now();
            let frame = frame.map_err(|e| reset(&e))?;
            let Some(bytes) = frame.data_ref() else {
                continue;
            };
            received = received.saturating_add(bytes.len());
            if received > self.limit {
                return Err(too_large(self.limit));
            }
            let mut events = Vec::new();
            parser.feed(bytes, |event| events.push(event.data));
            for data in events {
                match message::classify(&data) {
                    Ok(Incoming::Request { id, method }) => {
                        replies += 1;
                        if replies <= REPLIES_PER_CALL {
                            self.reply(message::answer_to_server_request(id, &method));
                        }
                    }
                    Ok(Incoming::Notification) => {}
                    Ok(Incoming::Answer(_) | Incoming::ForeignAnswer(_)) | Err(_) => {
                        return Ok((Bytes::from(data), at, Some(body)));
                    }
                }
            }
        }
        Err(CallError::new(
            ErrorKind::Reset,
            format!(
                "the event stream ended before the answer under id {}",
                self.id
            ),
        ))
    }

    /// Answers a request that the server made inside the event stream, on a connection of its own.
    fn reply(&self, body: Vec<u8>) {
        let mut connection = HttpConnection::new(Arc::clone(self.target), ERROR_BODY_BYTES);
        let headers = self.headers.clone();
        tokio::spawn(async move {
            // A server that does not take the answer fails the call that it asked for.
            let _ = connection
                .status_of(Method::POST, Bytes::from(body), &headers, REPLY_PATIENCE)
                .await;
        });
    }
}

fn too_large(limit: usize) -> CallError {
    CallError::new(
        ErrorKind::TooLarge,
        format!("the answer is larger than the limit of {limit} bytes"),
    )
}

async fn whole(
    mut body: IncomingBody,
    limit: usize,
    first_byte: Instant,
) -> Result<(Bytes, Instant), CallError> {
    let mut last_byte = first_byte;
    let mut first: Option<Bytes> = None;
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let at = Instant::now();
        let frame = frame.map_err(|e| reset(&e))?;
        let Ok(bytes) = frame.into_data() else {
            continue;
        };
        last_byte = at;
        let held = first.as_ref().map_or(0, Bytes::len) + more.len();
        if held + bytes.len() > limit {
            return Err(too_large(limit));
        }
        if first.is_none() {
            first = Some(bytes);
        } else {
            more.extend_from_slice(&bytes);
        }
    }
    let body = match first {
        None => Bytes::new(),
        Some(first) if more.is_empty() => first,
        Some(first) => {
            let mut all = BytesMut::with_capacity(first.len() + more.len());
            all.extend_from_slice(&first);
            all.extend_from_slice(&more);
            all.freeze()
        }
    };
    Ok((body, last_byte))
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
