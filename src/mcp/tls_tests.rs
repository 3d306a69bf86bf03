//! Certificates that are good, and that are not.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;

use super::{
    Limits,
    client::{Endpoint, OpenError, Opened, Wanted, open},
    http_target::{HttpTarget, in_memory},
    outcome::ErrorKind,
    revision::Revision,
    testing::{Asked, http, json_answer, say, serve},
};

/// A server with a certificate for `name`, and the file that vouches for it.
fn server(name: &str) -> (TlsAcceptor, NamedTempFile) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let file = NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file.as_file(), cert.pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), file)
}

fn answer(asked: &Asked) -> String {
    assert_eq!(asked.header("authorization"), Some("bearer s3cret"));
    assert_eq!(asked.header("host"), Some("server.test"));
    let id = asked.message["id"].as_u64();
    match (asked.method(), id) {
        ("initialize", Some(id)) => json_answer(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"protocolVersion":"2025-11-25","capabilities":{{}},"serverInfo":{{"name":"a","version":"1"}}}}}}"#
        )),
        _ => http(202, "", ""),
    }
}

/// What comes of a handshake with `https://server.test`; and how many requests arrived.
async fn shake(
    acceptor: Option<TlsAcceptor>,
    ca_file: Option<&NamedTempFile>,
) -> (Result<Opened, OpenError>, usize) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let headers = [("Authorization".to_owned(), "Bearer s3cret".to_owned())];
    let target = HttpTarget::new(
        "https://server.test/mcp",
        &headers,
        ca_file.map(NamedTempFile::path),
    );
    let target = in_memory::behind(target.unwrap(), move || {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
        tokio::spawn(async move {
            let script = move |asked: &Asked| {
                counted.fetch_add(1, Ordering::Relaxed);
                say(answer(asked))
            };
            match acceptor {
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(theirs).await {
                        serve(0, stream, &script).await;
                    }
                }
                // What a server of plain HTTP makes of such a beginning.
                None => {
                    let mut theirs = theirs;
                    let answer = http(400, "", "");
                    let _ = theirs.write_all(answer.as_bytes()).await;
                    std::future::pending::<()>().await;
                }
            }
        });
        Some(ours)
    });
    let wanted = Wanted::Exactly(Revision::NEWEST_LEGACY);
    let endpoint = Endpoint::Http(Arc::new(target));
    let outcome = open(&endpoint, wanted, Limits::default()).await;
    (outcome, requests.load(Ordering::Relaxed))
}

#[tokio::test]
async fn a_certificate_of_an_own_authority_is_good_where_it_is_named() {
    let (acceptor, file) = server("server.test");
    let (outcome, requests) = shake(Some(acceptor), Some(&file)).await;
    assert!(outcome.is_ok());
    assert_eq!(requests, 2, "initialize and initialized");
}

#[tokio::test]
async fn without_a_good_certificate_nothing_is_sent() {
    let (unknown, _) = server("server.test");
    let (elsewhere, file) = server("other.test");
    for (what, acceptor, ca_file, words) in [
        ("unknown", Some(unknown), None, "name its file by `ca-file`"),
        (
            "another name",
            Some(elsewhere),
            Some(&file),
            "not valid for name",
        ),
        ("plain HTTP", None, None, "does it speak plain HTTP there?"),
    ] {
        let (outcome, requests) = shake(acceptor, ca_file).await;
        let Err(failed) = outcome else {
            panic!("{what} was taken");
        };
        assert_eq!((failed.error.kind, requests), (ErrorKind::Tls, 0), "{what}");
        let said = &failed.error.message;
        assert!(said.contains(words), "{what}: {said}");
    }
}

#[test]
fn a_file_without_certificates_is_refused_in_words() {
    let empty = NamedTempFile::new().unwrap();
    let of = |file| HttpTarget::new("https://server.test/", &[], Some(file)).unwrap_err();
    assert!(of(empty.path()).contains("holds no certificate"));
    let missing = empty.path().with_extension("missing");
    assert!(of(&missing).contains("cannot be read"));
}
