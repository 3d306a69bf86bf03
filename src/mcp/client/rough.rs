//! Clients that leave in the middle.

use http::{
    HeaderValue,
    header::{ACCEPT, CONTENT_TYPE},
};
use tokio::time::{Duration, timeout};

use super::{Client, Link, Prepared};
use crate::mcp::revision::Era;

impl Client {
    /// Sends a request and reads its answer only after `meanwhile`. What that gives, and whether the
    /// answer then comes whole.
    pub async fn read_late<T>(
        &mut self,
        prepared: &Prepared,
        meanwhile: impl Future<Output = T>,
    ) -> (T, bool) {
        let patience = self.limits.call_timeout;
        match &mut self.link {
            Link::Http {
                connection,
                headers,
                ..
            } => {
                let headers = prepared.headers.as_deref().unwrap_or(headers);
                let late = (patience, meanwhile);
                let message = (prepared.id, prepared.body.clone());
                connection.post_and_read_late(message, headers, late).await
            }
            Link::Stdio(link) => {
                let held = link.unread().await;
                let answer = link.send(prepared.id, prepared.body.clone(), patience);
                let later = async {
                    let done = meanwhile.await;
                    drop(held);
                    done
                };
                let (answer, done) = tokio::join!(answer, later);
                (done, answer.is_ok())
            }
            // Its answers come on a stream that all requests share, and that is read for all.
            Link::Sse { .. } => (meanwhile.await, true),
        }
    }

    /// Sends a request and cuts its connection off after a while, if no answer has come: nothing is
    /// said to the server, as where a client's machine or a proxy fails. Whether that was so; `None`
    /// where calls have no connections of their own.
    pub async fn cut_off(&mut self, prepared: &Prepared, after: Duration) -> Option<bool> {
        let Link::Http {
            connection,
            headers,
            ..
        } = &self.link
        else {
            return None;
        };
        let mut own = connection.another_to_cut();
        if own.ensure_open(self.limits.call_timeout).await.is_err() {
            return Some(false);
        }
        let headers = prepared.headers.as_deref().unwrap_or(headers);
        let body = prepared.body.clone();
        let answer = own.post(prepared.id, body, headers, false, self.limits.call_timeout);
        Some(timeout(after, answer).await.is_err())
    }

    /// Opens the event stream of the session and cuts it off after a while. `None` where there is no
    /// such thing.
    pub async fn cut_stream(&mut self, after: Duration) -> Option<()> {
        let Link::Http {
            connection,
            headers,
            ..
        } = &self.link
        else {
            return None;
        };
        if self.revision.era() != Era::Legacy {
            return None;
        }
        let mut own = connection.another_to_cut();
        own.ensure_open(self.limits.call_timeout).await.ok()?;
        let mut headers = headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.remove(CONTENT_TYPE);
        // Held until then; some servers send not even the head before the first event.
        let _ = timeout(after, async {
            let _held = own.get(&headers, self.limits.call_timeout).await;
            std::future::pending::<()>().await;
        })
        .await;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::{
        io::{AsyncReadExt, ErrorKind},
        net::TcpListener,
    };

    use super::*;
    use crate::mcp::{Limits, client::Endpoint, http_target::HttpTarget, revision::Revision};

    #[tokio::test]
    async fn a_call_that_is_cut_off_is_a_reset_to_its_server() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut all = Vec::new();
            let ended = stream.read_to_end(&mut all).await;
            (String::from_utf8(all).unwrap(), ended.map_err(|e| e.kind()))
        });
        let target = Arc::new(HttpTarget::new(&url, &[], None).unwrap());
        let revision = Revision::NEWEST_LEGACY;
        let mut client = Client::new(&Endpoint::Http(target), revision, Limits::default());
        let prepared = client.prepare("tools/list", b"");
        let cut = client.cut_off(&prepared, Duration::from_millis(50)).await;
        assert_eq!(cut, Some(true));
        let (request, ended) = server.await.unwrap();
        assert!(request.starts_with("POST /mcp HTTP/1.1"), "{request}");
        assert_eq!(ended, Err(ErrorKind::ConnectionReset));
    }
}
