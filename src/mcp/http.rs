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
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, CONTENT_TYPE, HOST, LOCATION, USER_AGENT},
};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    sync::OnceCell,
    task::yield_now,
    time::{Duration, Instant, timeout, timeout_at},
};

use super::{
    answer::{AnswerReader, Left, drained},
    client::Exchange,
    message,
    outcome::{CallError, ErrorKind, Strays, excerpt, excerpt_bytes},
};

/// Where a server listens, and what every request to it carries.
#[derive(Debug, Clone)]
pub struct HttpTarget {
    host: String,
    port: u16,
    path: Uri,
    headers: HeaderMap,
    /// Asked for once, so that a handshake's time holds no name look-up.
    addresses: OnceCell<Vec<SocketAddr>>,
    #[cfg(test)]
    in_memory: Option<in_memory::Server>,
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
            addresses: OnceCell::new(),
            #[cfg(test)]
            in_memory: None,
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
        #[cfg(test)]
        if let Some(server) = &self.in_memory {
            return speak(server.connect()?).await;
        }
        let addresses = self
            .addresses
            .get_or_try_init(|| async {
                let found = lookup_host((self.host.as_str(), self.port)).await;
                found.map(Iterator::collect).map_err(|e| {
                    CallError::new(
                        ErrorKind::Refused,
                        format!("{} is not to be found ({e})", self.host),
                    )
                })
            })
            .await?;
        let stream = TcpStream::connect(&addresses[..]).await.map_err(|e| {
            CallError::new(
                ErrorKind::Refused,
                format!("no connection to {}:{} ({e})", self.host, self.port),
            )
        })?;
        stream.set_nodelay(true).map_err(|e| reset(&e))?;
        speak(stream).await
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>, CallError> {
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|e| reset(&e))?;
    tokio::spawn(connection);
    Ok(sender)
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
        let elsewhere = self.headers.get(LOCATION).and_then(|l| l.to_str().ok());
        if let Some(elsewhere) = elsewhere
            && self.status.is_redirection()
        {
            return Err(CallError::new(
                ErrorKind::Http(self.status.as_u16()),
                format!(
                    "HTTP {}: it redirects to {}; give the URL that it redirects to, since \
                     redirects are not followed",
                    self.status,
                    excerpt(elsewhere)
                ),
            ));
        }
        let body = &self.exchange.body;
        let said = message::rpc_error(body).map_or_else(
            || excerpt_bytes(body),
            |error| format!("JSON-RPC error {}: {}", error.code, excerpt(&error.message)),
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
    /// What the last answer left to be read, before the next request and outside its time.
    left: Left,
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
            left: Left::Nothing,
            message_bytes,
            strays: Strays::default(),
        }
    }

    /// Answers that nobody asked for, since the last time this was asked: those that came in an
    /// event stream after its answer.
    pub async fn take_strays(&mut self) -> Strays {
        self.settle().await;
        std::mem::take(&mut self.strays)
    }

    /// Where it leads.
    #[must_use]
    pub fn target(&self) -> &Arc<HttpTarget> {
        &self.target
    }

    /// Reads what the last answer left, or gives the connection up.
    async fn settle(&mut self) {
        let is_settled = match std::mem::replace(&mut self.left, Left::Nothing) {
            Left::Nothing => true,
            Left::Stream(rest) => rest.drained(&mut self.strays).await,
            Left::TooMuch => false,
        };
        if !is_settled {
            self.sender = None;
        }
    }

    /// Opens the connection if it is not open: to be called before the clock starts. One that the
    /// server has closed meanwhile is opened again, as every client does.
    ///
    /// # Errors
    /// `refused`, `reset` or `timeout`.
    pub async fn ensure_open(&mut self, patience: Duration) -> Result<(), CallError> {
        self.settle().await;
        let kept = self.sender.take();
        let opening = async {
            if let Some(mut sender) = kept {
                // Lets the runtime see whether the server has closed it.
                yield_now().await;
                if sender.ready().await.is_ok() {
                    return Ok(sender);
                }
            }
            self.target.connect().await
        };
        let opened = timeout(patience, opening)
            .await
            .map_err(|_| timed_out("connection", patience))??;
        self.sender = Some(opened);
        Ok(())
    }

    /// The open connection, without a look at the network if it was made ready before.
    async fn open(
        &mut self,
        patience: Duration,
    ) -> Result<&mut SendRequest<Full<Bytes>>, CallError> {
        let is_ready = self.sender.as_ref().is_some_and(SendRequest::is_ready)
            && matches!(self.left, Left::Nothing);
        if !is_ready {
            self.ensure_open(patience).await?;
        }
        self.sender
            .as_mut()
            .ok_or_else(|| CallError::new(ErrorKind::Closed, "the connection is not open"))
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
        let request = self.request(Method::POST, body, headers);
        let (response, sent) = self.begin(request, patience).await?;
        let first_byte = Instant::now();
        let reader = AnswerReader {
            id,
            target: &self.target,
            headers,
            limit: self.message_bytes,
        };
        let reading = reader.read(response, sent, first_byte);
        let read = timeout_at(sent + patience, reading)
            .await
            .unwrap_or_else(|_| Err(timed_out("whole answer", patience)));
        match read {
            Ok((answer, left)) => {
                self.left = left;
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
        let request = self.request(method, body, headers);
        let (response, _) = self.begin(request, patience).await?;
        let status = response.status();
        if !drained(response.into_body()).await {
            self.sender = None;
        }
        Ok(status)
    }

    /// Sends a request and waits for the head of what comes; and when the request was handed over.
    ///
    /// A request of which no byte was written, since the server had closed the kept connection, is
    /// sent once more on a new one, by a new clock: the server never saw it. One that was written
    /// is not: it may have been acted on, and is counted as `reset`.
    async fn begin(
        &mut self,
        mut request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<(Response<Incoming>, Instant), CallError> {
        let mut is_repeated = false;
        loop {
            let sender = self.open(patience).await?;
            let sent = Instant::now();
            let (error, unsent) = match timeout(patience, sender.try_send_request(request)).await {
                Ok(Ok(response)) => return Ok((response, sent)),
                Ok(Err(mut failed)) => (reset(failed.error()), failed.take_message()),
                Err(_) => (timed_out("answer", patience), None),
            };
            self.sender = None;
            match unsent {
                Some(again) if !is_repeated => request = again,
                _ => return Err(error),
            }
            is_repeated = true;
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

/// Servers without a socket, for tests under a paused clock.
#[cfg(test)]
pub(super) mod in_memory {
    use std::{fmt, sync::Arc};

    use tokio::io::DuplexStream;

    use super::{CallError, ErrorKind, HttpTarget};

    type Accept = dyn Fn() -> Option<DuplexStream> + Send + Sync;

    #[derive(Clone)]
    pub(super) struct Server(Arc<Accept>);

    impl fmt::Debug for Server {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Server")
        }
    }

    impl Server {
        pub(super) fn connect(&self) -> Result<DuplexStream, CallError> {
            self.0().ok_or_else(|| CallError::new(ErrorKind::Refused, "no connection"))
        }
    }

    /// A target whose connections `accept` makes; `None` refuses one.
    pub(crate) fn target(
        accept: impl Fn() -> Option<DuplexStream> + Send + Sync + 'static,
    ) -> HttpTarget {
        HttpTarget {
            in_memory: Some(Server(Arc::new(accept))),
            ..HttpTarget::new("http://in-memory/mcp", &[]).unwrap()
        }
    }
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
