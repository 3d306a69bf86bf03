//! Where an HTTP server listens, and connecting to it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use http::{
    HeaderMap, HeaderValue, Uri,
    header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT},
};
use tokio::{
    net::{TcpStream, lookup_host},
    sync::OnceCell,
};

use super::{
    http::reset,
    http1::{Connection, Manner, Stream},
    outcome::{CallError, ErrorKind, excerpt},
    tls::Tls,
};

/// Where a server listens, and what every request to it carries.
#[derive(Debug, Clone)]
pub struct HttpTarget {
    host: String,
    port: u16,
    path: Uri,
    headers: HeaderMap,
    /// Of an `https://` URL.
    tls: Option<Tls>,
    /// Asked for once, so that a handshake's time holds no name look-up.
    addresses: OnceCell<Vec<SocketAddr>>,
    #[cfg(test)]
    in_memory: Option<in_memory::Server>,
}

impl HttpTarget {
    /// Reads an `http://` or `https://` URL. `headers` go with every request. Certificates that are
    /// signed by an authority in `ca_file` (PEM) are good besides those that the system takes.
    ///
    /// # Errors
    /// In words, when the URL or the file is not one that can be used.
    pub fn new(
        url: &str,
        headers: &[(String, String)],
        ca_file: Option<&Path>,
    ) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|e| format!("`{url}` is no URL: {e}"))?;
        let is_encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(format!("`{url}`: a URL starts with http:// or https://")),
        };
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
        let tls = is_encrypted.then(|| Tls::new(&host, ca_file)).transpose()?;
        Ok(Self {
            port: uri
                .port_u16()
                .unwrap_or(if is_encrypted { 443 } else { 80 }),
            path: path.parse().map_err(|e| format!("`{url}`: {e}"))?,
            tls,
            host,
            headers: all,
            addresses: OnceCell::new(),
            #[cfg(test)]
            in_memory: None,
        })
    }

    /// The place that `reference`, told by the server, names: a path, or a URL of this very host
    /// and port, since what goes there may carry secrets.
    ///
    /// # Errors
    /// In words, for anything else.
    pub(super) fn at(&self, reference: &str) -> Result<Self, String> {
        let shown = excerpt(reference);
        let uri: Uri = reference
            .trim()
            .parse()
            .map_err(|e| format!("`{shown}` is no URL ({e})"))?;
        let own = self.headers.get(HOST).and_then(|host| host.to_str().ok());
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let is_own = uri.authority().is_none_or(|authority| {
            uri.scheme_str() == Some(scheme) && own == Some(authority.as_str())
        });
        // Two slashes begin a host, too, where the base's scheme is kept.
        if !is_own || reference.trim().starts_with("//") {
            return Err(format!("`{shown}` is not on the same host and port"));
        }
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            let folder = self.path.path();
            let folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{folder}/{path}")
        };
        Ok(Self {
            path: path.parse().map_err(|e| format!("`{shown}`: {e}"))?,
            ..self.clone()
        })
    }

    /// The address, if the URL's host is this machine.
    #[must_use]
    pub fn loopback_address(&self) -> Option<SocketAddr> {
        loopback(&self.host).map(|ip| SocketAddr::new(ip, self.port))
    }

    /// The headers that every request carries.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The path, with its query.
    pub(super) fn path(&self) -> &Uri {
        &self.path
    }

    /// A new connection, ready for a request.
    pub(super) async fn connect(&self, ending: Ending) -> Result<Box<Connection>, CallError> {
        #[cfg(test)]
        if let Some(server) = &self.in_memory {
            return self.speak(server.connect()?, ending).await;
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
        if ending == Ending::Reset {
            stream.set_zero_linger().map_err(|e| reset(&e))?;
        }
        self.speak(stream, ending).await
    }

    async fn speak(
        &self,
        stream: impl Stream + 'static,
        ending: Ending,
    ) -> Result<Box<Connection>, CallError> {
        let manner = Manner {
            is_encrypted: self.tls.is_some(),
            says_its_end: ending == Ending::Close,
        };
        Ok(match &self.tls {
            Some(tls) => Connection::new(tls.over(stream).await?, manner),
            None => Connection::new(stream, manner),
        })
    }
}

/// How a connection ends that is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is closed.
    Close,
    /// It is cut off (RST) and nothing is said before, as by the end of a client's machine or by a
    /// proxy.
    Reset,
}

/// The address of this machine that `host`, of a URL, names; `None` for another machine.
#[must_use]
pub fn loopback(host: &str) -> Option<IpAddr> {
    let ip = if host == "localhost" {
        IpAddr::from(Ipv4Addr::LOCALHOST)
    } else {
        host.trim_matches(['[', ']']).parse::<IpAddr>().ok()?
    };
    ip.is_loopback().then_some(ip)
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
        behind(
            HttpTarget::new("http://in-memory/mcp", &[], None).unwrap(),
            accept,
        )
    }

    /// The same for a target of any URL.
    pub(crate) fn behind(
        target: HttpTarget,
        accept: impl Fn() -> Option<DuplexStream> + Send + Sync + 'static,
    ) -> HttpTarget {
        HttpTarget {
            in_memory: Some(Server(Arc::new(accept))),
            ..target
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_or_refused_in_words() {
        let target = HttpTarget::new("http://127.0.0.1:8080/mcp?x=1", &[], None).unwrap();
        assert_eq!(target.path.to_string(), "/mcp?x=1");
        for (url, address) in [
            ("http://127.0.0.1:8080/mcp", Some("127.0.0.1:8080")),
            ("http://localhost/", Some("127.0.0.1:80")),
            ("http://[::1]:9/", Some("[::1]:9")),
            ("http://example.com/", None),
            ("https://localhost/", Some("127.0.0.1:443")),
            ("https://[::1]:9/", Some("[::1]:9")),
        ] {
            let target = HttpTarget::new(url, &[], None).unwrap();
            let expected = address.map(|address| address.parse().unwrap());
            assert_eq!(target.loopback_address(), expected, "{url}");
        }
        for (url, words) in [
            ("ftp://a/", "starts with http:// or https://"),
            ("nonsense", "starts with http:// or https://"),
            ("https://a..b/", "no name that a certificate can hold"),
            ("http://", "is no URL"),
        ] {
            let error = HttpTarget::new(url, &[], None).unwrap_err();
            assert!(error.contains(words), "{url}: {error}");
        }
    }

    #[test]
    fn a_place_told_by_the_server_stays_on_its_host() {
        let target = HttpTarget::new("http://127.0.0.1:8080/mcp/sse", &[], None).unwrap();
        for (reference, path) in [
            ("/messages/?session_id=1", "/messages/?session_id=1"),
            ("http://127.0.0.1:8080/message?s=1", "/message?s=1"),
            ("http://127.0.0.1:8080", "/"),
        ] {
            let there = target.at(reference).unwrap();
            assert_eq!(there.path.to_string(), path);
            assert_eq!(there.loopback_address(), target.loopback_address());
        }
        let encrypted = HttpTarget::new("https://127.0.0.1:8080/sse", &[], None).unwrap();
        assert!(encrypted.at("https://127.0.0.1:8080/m").is_ok());
        assert!(encrypted.at("http://127.0.0.1:8080/m").is_err());
        for reference in [
            "http://127.0.0.1:8081/message",
            "https://127.0.0.1:8080/message",
            "http://evil.example/message",
            "//evil.example/message",
            "http://evil.example@127.0.0.1:8080/",
            "a b",
        ] {
            let outcome = target.at(reference).map(|there| there.path);
            assert!(outcome.is_err(), "{reference}: {outcome:?}");
        }
    }

    #[test]
    fn header_values_are_not_shown() {
        let headers = [("Authorization".to_owned(), "Bearer s3cret".to_owned())];
        let target = HttpTarget::new("http://a/", &headers, None).unwrap();
        assert!(!format!("{target:?}").contains("s3cret"));
        let bad = [("Authorization".to_owned(), "s3cret\n".to_owned())];
        assert!(
            !HttpTarget::new("http://a/", &bad, None)
                .unwrap_err()
                .contains("s3cret")
        );
    }
}
