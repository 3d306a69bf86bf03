//! `[server.oauth]`.

use std::path::PathBuf;

use http::Uri;

use super::{
    expand,
    reader::Entry,
    secrets,
    server::{has_scheme, plain, userinfo},
};
use crate::suite::{OAuthConfig, diagnostics::Diagnostic};

const URL_HELP: &str = "write where tokens are given, such as \"https://auth.example.com/token\"";
const PROOF_HELP: &str =
    "add client-secret = \"${NAME}\", or private-key-file = \"client-key.pem\"";

pub(super) fn read(entry: &Entry<'_, '_>) -> Option<OAuthConfig> {
    let mut table = entry.table("[server.oauth]", "write it as [server.oauth]")?;
    let token_url = table.require("token-url", URL_HELP);
    let client_id = table.require("client-id", "write the id that the client is registered by");
    let client_secret = table.get("client-secret");
    let private_key_file = table.get("private-key-file");
    let audience = table.get("audience");
    let scope = table.get("scope");
    let resource = table.get("resource");
    table.finish(&[]);

    let report = |about: &Entry<'_, '_>, message: &str, label: &str, help: &str| {
        let diagnostic = Diagnostic::new(about.key_span(), message, label).help(help);
        entry.cx().report(diagnostic);
    };
    match (&client_secret, &private_key_file) {
        (None, None) => entry.cx().report(
            Diagnostic::new(
                entry.key_span(),
                "`oauth` has neither `client-secret` nor `private-key-file`",
                "nothing shows who asks",
            )
            .help(PROOF_HELP)
            .about_absence(),
        ),
        (Some(secret), Some(_)) => report(
            secret,
            "both `client-secret` and `private-key-file` are given",
            "one of two",
            "keep the one that the client is registered with",
        ),
        _ => {}
    }
    if let (Some(audience), None) = (&audience, &private_key_file) {
        report(
            audience,
            "`audience` is part of what a private key signs, and there is none",
            "never sent",
            "take it out, or add private-key-file",
        );
    }
    let open = |entry: &Entry<'_, '_>, help: &str| {
        let text = plain(entry, help)?;
        expand::open_text(entry, &text, &format!("`{}`", entry.name()))
    };
    let secret = client_secret
        .as_ref()
        .and_then(|entry| secrets::secret_value(entry));
    if let (Some(entry), Some(secret)) = (&client_secret, &secret)
        && secret.expose().is_empty()
    {
        entry.refuse("`client-secret` is empty", "empty", PROOF_HELP);
    }
    let token_url = token_url.as_ref().and_then(read_url);
    let client_id = client_id.and_then(|entry| open(&entry, "write the client's id"));
    let config = OAuthConfig {
        token_url: token_url.unwrap_or_default(),
        client_id: client_id.unwrap_or_default(),
        client_secret: secret,
        private_key_file: private_key_file
            .and_then(|entry| plain(&entry, "write a file, such as \"client-key.pem\""))
            .map(PathBuf::from),
        audience: audience.and_then(|entry| open(&entry, "write a URL, or take it out")),
        scope: scope.and_then(|entry| open(&entry, "write scopes, or take it out")),
        resource: resource.and_then(|entry| {
            let text = entry.string("write a URL, or \"\" to send none")?;
            expand::open_text(&entry, text, "`resource`")
        }),
    };
    // What is missing or wrong was reported, so that nothing is measured with it.
    Some(config)
}

/// The secret goes there, so it must be encrypted, or stay on this machine.
fn read_url(entry: &Entry<'_, '_>) -> Option<String> {
    let text = plain(entry, URL_HELP)?;
    if let Some(part) = userinfo(&text) {
        let span = entry.cx().narrow(&entry.span(), part);
        entry.cx().mask(span.clone());
        entry.cx().report(
            Diagnostic::new(
                span,
                "`token-url` holds a user name or password",
                "would be shown in reports",
            )
            .help("write them as client-id and client-secret"),
        );
        return None;
    }
    let text = expand::open_text(entry, &text, "`token-url`")?;
    let uri = text.parse::<Uri>().ok();
    let host = uri.as_ref().and_then(Uri::host).filter(|h| !h.is_empty());
    let Some(host) = host else {
        entry.refuse("`token-url` is not a URL", "not a URL", URL_HELP);
        return None;
    };
    let is_number = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    let is_here = matches!(host, "localhost" | "[::1]") || (is_number && host.starts_with("127."));
    if has_scheme(&text, "https") || (has_scheme(&text, "http") && is_here) {
        return Some(text);
    }
    entry.refuse(
        "`token-url` must start with `https://`, except on this machine",
        "would send the secret unencrypted",
        URL_HELP,
    );
    None
}
