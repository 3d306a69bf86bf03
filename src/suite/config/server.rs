//! `[server]`.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use http::Uri;

use super::{
    expand, has_port, oauth,
    reader::{Entry, Table},
    refuse_nul, secrets,
    values::{self, Zero},
};
use crate::suite::{
    PROTOCOL_REVISIONS, Secret, ServerConfig, TransportChoice,
    diagnostics::{Diagnostic, shown},
};

const DEFAULT_LIMIT_BYTES: u64 = 64 << 20;
const LEAST_LIMIT_BYTES: u64 = 64 << 10;
const MOST_LIMIT_BYTES: u64 = 1 << 30;

const NODE_OPTIONS: &str = "NODE_OPTIONS";
const LEAST_HEAP_BYTES: u64 = 16 << 20;
const MOST_HEAP_BYTES: u64 = 64 << 30;

const COMMAND_HELP: &str =
    "write the program and its arguments as an array: command = [\"node\", \"server.js\"]";

pub(super) fn read(mut table: Table<'_, '_>) -> ServerConfig {
    let command = table.get("command");
    let url = table.get("url");
    let transport = table.get("transport");
    let protocol = table.get("protocol");
    let cwd = table.get("cwd");
    let env = table.get("env");
    let heap_cap = table.get("heap-cap");
    let ca_file = table.get("ca-file");
    let headers = table.get("headers");
    let oauth = table.get("oauth");
    let elicitation = table.get("elicitation");
    let message_limit = table.get("message-limit");
    let startup_timeout = table.get("startup-timeout");
    let call_timeout = table.get("call-timeout");
    let setup = table.get("setup");
    let reset = table.get("reset");
    let build = table.get("build");
    table.finish(&[]);

    let config = ServerConfig {
        command: command.as_ref().and_then(read_command),
        url: url.as_ref().and_then(read_url),
        transport: transport.as_ref().and_then(read_transport),
        protocol: protocol.as_ref().and_then(read_protocol),
        cwd: cwd.and_then(|entry| plain(&entry, "write a directory, such as \"server\"")),
        env: capped(
            env.as_ref().map(secrets::read_env).unwrap_or_default(),
            heap_cap.as_ref(),
        ),
        ca_file: ca_file
            .as_ref()
            .and_then(|entry| plain(entry, "write a file, such as \"certs/ca.pem\""))
            .map(PathBuf::from),
        headers: headers
            .as_ref()
            .map(secrets::read_headers)
            .unwrap_or_default(),
        oauth: oauth.as_ref().and_then(oauth::read),
        accepts_defaults: elicitation
            .and_then(|entry| entry.choice(&[("refuse", false), ("accept-defaults", true)]))
            .unwrap_or_default(),
        message_limit_bytes: message_limit
            .and_then(|entry| read_limit(&entry))
            .unwrap_or(DEFAULT_LIMIT_BYTES),
        startup_timeout: startup_timeout
            .and_then(|entry| values::duration(&entry, Zero::Refused))
            .unwrap_or(Duration::from_mins(1)),
        call_timeout: call_timeout
            .and_then(|entry| values::duration(&entry, Zero::Refused))
            .unwrap_or(Duration::from_secs(30)),
        build: build.and_then(|entry| plain(&entry, "write a shell command, or take it out")),
        setup: setup.and_then(|entry| plain(&entry, "write a shell command, or take it out")),
        reset: reset.and_then(|entry| plain(&entry, "write a shell command, or take it out")),
    };
    check_port(command.as_ref(), url.as_ref(), env.as_ref());
    check_transport(transport.as_ref(), url.is_some(), config.transport);
    let is_encrypted = config
        .url
        .as_deref()
        .is_none_or(|url| has_scheme(url, "https"));
    if let (Some(ca_file), false) = (&ca_file, is_encrypted) {
        ca_file.cx().report(
            Diagnostic::new(
                ca_file.key_span(),
                "`ca-file` checks certificates, and plain HTTP has none",
                "never used",
            )
            .help("write the `url` with https://, or take this line out"),
        );
    }
    if let Some(oauth) = &oauth {
        check_oauth(oauth, url.is_some(), headers.as_ref());
    }
    if let (Some(headers), Some(_), None) = (&headers, &command, &url) {
        headers.cx().report(
            Diagnostic::new(
                headers.key_span(),
                "`headers` are sent over HTTP only, and this server is reached over stdio",
                "never sent",
            )
            .help("hand secrets to a stdio server by `env`, or give the `url` where it listens"),
        );
    }
    config
}

/// The environment with an option for Node.js that keeps the heap of its old generation small: it is
/// collected sooner, so that what is kept shows after fewer calls and sessions.
fn capped(
    mut env: BTreeMap<String, Secret>,
    heap_cap: Option<&Entry<'_, '_>>,
) -> BTreeMap<String, Secret> {
    let Some(entry) = heap_cap else {
        return env;
    };
    let Some(bytes) = values::bytes(entry, Zero::Refused) else {
        return env;
    };
    if !(LEAST_HEAP_BYTES..=MOST_HEAP_BYTES).contains(&bytes) {
        entry.refuse(
            "`heap-cap` is between 16MiB and 64GiB",
            "too small or too large",
            "write what the server needs, such as heap-cap = \"128MiB\"",
        );
        return env;
    }
    let option = format!("--max-old-space-size={}", bytes >> 20);
    // Without a word in `env` the server inherits what is set where mcpgate was started.
    let inherited = || {
        entry
            .cx()
            .variable(NODE_OPTIONS)
            .filter(|it| !it.is_empty())
    };
    let given = env
        .remove(NODE_OPTIONS)
        .or_else(|| inherited().map(Secret::new));
    let options = given.map_or_else(
        || Secret::new(option.clone()),
        |given| given.followed_by(&format!(" {option}")),
    );
    env.insert(NODE_OPTIONS.to_owned(), options);
    env
}

/// A whole tool list must fit, and mcpgate must not be what fills the machine's memory.
fn read_limit(entry: &Entry<'_, '_>) -> Option<u64> {
    let bytes = values::bytes(entry, Zero::Refused)?;
    if (LEAST_LIMIT_BYTES..=MOST_LIMIT_BYTES).contains(&bytes) {
        return Some(bytes);
    }
    entry.refuse(
        "`message-limit` is the most that one answer may hold",
        "out of bounds",
        "write a size from \"64 KiB\" to \"1 GiB\"; the default is \"64 MiB\"",
    );
    None
}

fn check_oauth(oauth: &Entry<'_, '_>, has_url: bool, headers: Option<&Entry<'_, '_>>) {
    let report = |message: &str, label: &str, help: &str| {
        let diagnostic = Diagnostic::new(oauth.key_span(), message, label).help(help);
        oauth.cx().report(diagnostic);
    };
    if !has_url {
        report(
            "`oauth` is for HTTP only, and this server is reached over stdio",
            "never used",
            "hand secrets to a stdio server by `env`, or give the `url` where it listens",
        );
    }
    let has_own = headers.and_then(|entry| entry.value().as_table());
    if has_own.is_some_and(|table| {
        let mut names = table.keys();
        names.any(|name| name.get_ref().eq_ignore_ascii_case("authorization"))
    }) {
        report(
            "both `oauth` and a header `Authorization` are given",
            "sets Authorization, too",
            "keep one of them",
        );
    }
}

pub(super) fn plain(entry: &Entry<'_, '_>, help: &str) -> Option<String> {
    let text = entry.filled_string(help)?;
    (!refuse_nul(entry, text)).then(|| text.to_owned())
}

fn read_command(entry: &Entry<'_, '_>) -> Option<Vec<String>> {
    let elements = entry.elements(COMMAND_HELP)?;
    let Some(program) = elements.first() else {
        entry.refuse("`command` is empty", "nothing to start", COMMAND_HELP);
        return None;
    };
    if program
        .value()
        .as_str()
        .is_some_and(|p| p.trim().is_empty())
    {
        program.refuse("`command` names no program", "empty", COMMAND_HELP);
        return None;
    }
    let words: Vec<Option<String>> = elements
        .iter()
        .map(|element| {
            let text = element.string(COMMAND_HELP)?;
            if refuse_nul(element, text) {
                return None;
            }
            expand::open_text(element, text, "`command`")
        })
        .collect();
    words.into_iter().collect()
}

fn read_url(entry: &Entry<'_, '_>) -> Option<String> {
    let help = "write where the server listens, such as \"http://127.0.0.1:{port}/mcp\"";
    let text = entry.filled_string(help)?;
    let userinfo = userinfo(text).map(|part| entry.cx().narrow(&entry.span(), part));
    if let Some(span) = &userinfo {
        entry.cx().mask(span.clone());
    }
    let text = expand::open_text(entry, text, "`url`")?;
    let refuse = |message: &str, label: &str, help: &str| {
        entry.refuse(message, label, help);
        None
    };
    if let Some(span) = userinfo {
        entry.cx().report(
            Diagnostic::new(
                span,
                "`url` holds a user name or password",
                "would be shown in reports",
            )
            .help("send it as a header instead: headers = { Authorization = \"Basic ${NAME}\" }"),
        );
        return None;
    }
    if !["http", "https"]
        .iter()
        .any(|known| has_scheme(text.as_str(), known))
    {
        return refuse(
            "`url` must start with `http://` or `https://`",
            "not an http URL",
            help,
        );
    }
    // Any port number does to see whether the rest is right.
    let with_port = text.replace("{port}", "1");
    if let Some(placeholder) = braced(&with_port) {
        let span = entry.cx().narrow(&entry.span(), placeholder);
        let message = format!("unknown placeholder `{}` in `url`", shown(placeholder));
        entry
            .cx()
            .report(Diagnostic::new(span, message, "not known").help("allowed: {port}"));
        return None;
    }
    let Ok(uri) = with_port.parse::<Uri>() else {
        return refuse("`url` is not a URL", "not a URL", help);
    };
    if uri.host().is_none_or(str::is_empty) {
        return refuse("`url` names no host", "no host", help);
    }
    if uri.port().is_some_and(|port| port.as_str() == "0") {
        return refuse(
            "`url` names port 0",
            "no server listens there",
            "write {port} for a free port that mcpgate chooses",
        );
    }
    Some(text)
}

pub(super) fn has_scheme(url: &str, scheme: &str) -> bool {
    url.split_once("://")
        .is_some_and(|(written, _)| written.eq_ignore_ascii_case(scheme))
}

/// What stands before `@` in the authority of a URL.
pub(super) fn userinfo(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit_once('@').map(|(userinfo, _)| userinfo)
}

fn read_transport(entry: &Entry<'_, '_>) -> Option<TransportChoice> {
    entry.choice(&[
        ("stdio", TransportChoice::Stdio),
        ("streamable-http", TransportChoice::StreamableHttp),
        ("sse", TransportChoice::Sse),
    ])
}

fn read_protocol(entry: &Entry<'_, '_>) -> Option<String> {
    let words: Vec<(&'static str, &'static str)> =
        PROTOCOL_REVISIONS.iter().map(|&r| (r, r)).collect();
    entry.choice(&words).map(str::to_owned)
}

/// `{port}` is chosen for the URL; without it there, nothing would be reached at that port.
fn check_port(
    command: Option<&Entry<'_, '_>>,
    url: Option<&Entry<'_, '_>>,
    env: Option<&Entry<'_, '_>>,
) {
    let url_text = url.and_then(|entry| entry.value().as_str());
    let in_url = url_text.is_some_and(has_port);
    if let (Some(url), true, None) = (url, in_url, command) {
        url.cx().report(
            Diagnostic::new(
                url.cx().narrow(&url.span(), "{port}"),
                "`{port}` in `url` needs a `command`",
                "a port that mcpgate chooses",
            )
            .help("give the `command` that starts the server on {port}, or write the port of the running server"),
        );
    }
    if in_url || (url.is_some() && url_text.is_none()) {
        return;
    }
    let users = command
        .and_then(|entry| entry.value().as_array().map(|array| (entry, array)))
        .into_iter()
        .flat_map(|(entry, array)| {
            array
                .iter()
                .map(move |value| (entry, value.span(), value.get_ref().as_str()))
        })
        .chain(
            env.and_then(|entry| entry.value().as_table().map(|table| (entry, table)))
                .into_iter()
                .flat_map(|(entry, table)| {
                    table
                        .values()
                        .map(move |value| (entry, value.span(), value.get_ref().as_str()))
                }),
        );
    for (entry, span, text) in users {
        if text.is_some_and(has_port) {
            entry.cx().report(
                Diagnostic::new(
                    entry.cx().narrow(&span, "{port}"),
                    "`{port}` is used, but no `url` says where the server then listens",
                    "a port that mcpgate chooses",
                )
                .help("add url = \"http://127.0.0.1:{port}/mcp\", with the server's path")
                .about_absence(),
            );
            return;
        }
    }
}

/// The first `{…}` of a text.
fn braced(text: &str) -> Option<&str> {
    let start = text.find('{')?;
    let end = text[start..].find('}')?;
    text.get(start..=start + end)
}

fn check_transport(entry: Option<&Entry<'_, '_>>, has_url: bool, choice: Option<TransportChoice>) {
    let (Some(entry), Some(choice)) = (entry, choice) else {
        return;
    };
    let problem = match (choice, has_url) {
        (TransportChoice::Stdio, true) => Diagnostic::new(
            entry.span(),
            "`transport` is \"stdio\", but a `url` is given",
            "contradicts `url`",
        )
        .help("take out `url` for a stdio server, or write \"streamable-http\""),
        (TransportChoice::StreamableHttp, false) => Diagnostic::new(
            entry.span(),
            "`transport` is \"streamable-http\", but no `url` is given",
            "needs a `url`",
        )
        .help("add url = \"http://127.0.0.1:{port}/mcp\", with the server's path")
        .about_absence(),
        (TransportChoice::Sse, false) => Diagnostic::new(
            entry.span(),
            "`transport` is \"sse\", but no `url` is given",
            "needs a `url`",
        )
        .help("add url = \"http://127.0.0.1:{port}/sse\", with the server's path")
        .about_absence(),
        (TransportChoice::Stdio, false)
        | (TransportChoice::StreamableHttp | TransportChoice::Sse, true) => return,
    };
    entry.cx().report(problem);
}
