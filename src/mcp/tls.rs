//! Encrypted connections, and whose word a server's certificate is taken on.

use std::{fmt, io, path::Path, sync::Arc};

use rustls::{
    ClientConfig,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    http::reset,
    outcome::{CallError, ErrorKind},
};

/// How connections to one host are encrypted.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    host: ServerName<'static>,
    has_own_authorities: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("host", &self.host).finish()
    }
}

impl Tls {
    /// Certificates for `host` are checked as the system checks them; those that are signed by an
    /// authority in `ca_file` (PEM) are good as well.
    ///
    /// # Errors
    /// In words, when the file holds no certificates, or the system has none.
    pub(super) fn new(host: &str, ca_file: Option<&Path>) -> Result<Self, String> {
        let own = ca_file.map_or_else(|| Ok(Vec::new()), authorities)?;
        let has_own_authorities = !own.is_empty();
        let provider = Arc::new(ring::default_provider());
        let bad = |e: rustls::Error| format!("certificates cannot be checked here: {e}");
        let verifier = Verifier::new_with_extra_roots(own, Arc::clone(&provider)).map_err(bad)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(bad)?
            // What rustls calls dangerous is any choice of a verifier: this one is the system's.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("`{host}` is no name that a certificate can hold"))?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            host: name,
            has_own_authorities,
        })
    }

    /// Encrypts a new connection, once the certificate of its other end has been found good.
    ///
    /// # Errors
    /// `tls` or `reset`.
    pub(super) async fn over<S>(&self, stream: S) -> Result<TlsStream<S>, CallError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.connector
            .connect(self.host.clone(), stream)
            .await
            .map_err(|e| self.explain(&e))
    }

    fn explain(&self, error: &io::Error) -> CallError {
        let Some(cause) = cause(error) else {
            return reset(error);
        };
        let host = self.host.to_str();
        let advice = match cause {
            rustls::Error::InvalidCertificate(_) if !self.has_own_authorities => {
                "; if an authority of your own signed it, name its file by `ca-file` in [server]"
            }
            rustls::Error::InvalidMessage(_) => "; does it speak plain HTTP there?",
            _ => "",
        };
        CallError::new(
            ErrorKind::Tls,
            format!("no encrypted connection to {host}: {cause}{advice}"),
        )
    }
}

fn cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = file.display();
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|e| format!("`ca-file` {shown} cannot be read: {e}"))?;
    if found.is_empty() {
        return Err(format!(
            "`ca-file` {shown} holds no certificate: it must be PEM, with -----BEGIN CERTIFICATE-----"
        ));
    }
    Ok(found)
}
