//! `env` and `headers` in `[server]`: free names, values that may hold secrets.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};

use super::{expand, reader::Entry, refuse_nul};
use crate::suite::{
    Secret,
    diagnostics::{Diagnostic, shown},
};

/// Headers that mcpgate sets itself, by the protocol or by HTTP.
const OWN_HEADERS: &[&str] = &[
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "transfer-encoding",
];

pub(super) fn read_env(entry: &Entry<'_, '_>) -> BTreeMap<String, Secret> {
    let help = "write it as env = { NAME = \"value\" }";
    let mut out = BTreeMap::new();
    for entry in entry.entries(help).unwrap_or_default() {
        let name = entry.name().to_owned();
        if name.is_empty() || name.contains(['=', '\0']) {
            entry.cx().report(
                Diagnostic::new(
                    entry.key_span(),
                    format!("`{}` cannot name an environment variable", shown(&name)),
                    "not a name",
                )
                .help("a name is not empty and holds no `=`"),
            );
        }
        if let Some(value) = secret_value(&entry) {
            out.insert(name, value);
        }
    }
    out
}

pub(super) fn read_headers(entry: &Entry<'_, '_>) -> BTreeMap<String, Secret> {
    let help = "write it as headers = { Authorization = \"Bearer ${NAME}\" }";
    let mut out = BTreeMap::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for entry in entry.entries(help).unwrap_or_default() {
        let name = entry.name().to_owned();
        let value = secret_value(&entry);
        if !is_header_name_usable(&entry, &name, &mut seen) {
            continue;
        }
        let Some(value) = value else { continue };
        if HeaderValue::from_str(value.expose()).is_err() {
            // The value itself is not shown: it may hold a secret.
            entry.refuse(
                format!("the value of header `{}` cannot be sent", shown(&name)),
                "not a header value",
                "a header value is one line of printable ASCII; a variable read from a file often ends in a line break",
            );
            continue;
        }
        out.insert(name, value);
    }
    out
}

fn is_header_name_usable(
    entry: &Entry<'_, '_>,
    name: &str,
    seen: &mut BTreeMap<String, String>,
) -> bool {
    let report = |message: String, label: &str, help: String| {
        entry
            .cx()
            .report(Diagnostic::new(entry.key_span(), message, label).help(help));
        false
    };
    let Ok(header) = name.parse::<HeaderName>() else {
        return report(
            format!("`{}` is not a header name", shown(name)),
            "not a header name",
            "a header name holds letters, digits and `-`".to_owned(),
        );
    };
    if OWN_HEADERS.contains(&header.as_str()) {
        return report(
            format!("header `{}` is set by mcpgate", shown(name)),
            "cannot be set here",
            "take it out; the protocol fixes its value".to_owned(),
        );
    }
    if let Some(earlier) = seen.insert(header.as_str().to_owned(), name.to_owned()) {
        return report(
            format!("header `{}` is there twice", shown(name)),
            "the same header",
            format!(
                "keep one of `{}` and `{}`: case does not count",
                shown(&earlier),
                shown(name)
            ),
        );
    }
    true
}

/// A value of `env` or `headers`, filled in. Values that look like secrets written out are kept
/// out of everything that is shown.
pub(super) fn secret_value(entry: &Entry<'_, '_>) -> Option<Secret> {
    let text = entry.string("write the value as a string, in quotes")?;
    if names_a_secret(entry.name()) && !text.contains("${") {
        entry.cx().mask(entry.span());
    }
    if refuse_nul(entry, text) {
        return None;
    }
    expand::secret(entry, text)
}

fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "auth",
        "cookie",
        "credential",
        "key",
        "passw",
        "secret",
        "token",
    ]
    .iter()
    .any(|word| name.contains(word))
}
