//! The server that is asked: of the command line, or of a configuration that is there already.

use std::{collections::BTreeMap, path::Path};

use super::{Arguments, relative, secrets};
use crate::{
    cli::files,
    environment,
    error::Error,
    store,
    suite::{ServerConfig, config},
};

/// A server, and what is written of it.
pub(super) struct Named {
    pub(super) server: ServerConfig,
    /// As the file is to have them.
    pub(super) headers: BTreeMap<String, String>,
    /// The `[server]` that is kept as it is.
    pub(super) kept: Option<toml::Table>,
}

impl Named {
    /// `None` where nothing names one. `folder` is that of the configuration.
    pub(super) fn of(
        arguments: &Arguments,
        folder: &Path,
        variables: &[(String, String)],
    ) -> Result<Option<Self>, Error> {
        if arguments.command.is_empty() && arguments.url.is_none() {
            return if arguments.force {
                Self::kept(arguments)
            } else {
                Ok(None)
            };
        }
        let words = arguments.command.iter().chain(&arguments.url);
        let words = words.chain(&arguments.headers);
        let words: Vec<&str> = words.map(String::as_str).collect();
        secrets::refuse(&words, variables)?;
        let mut headers = BTreeMap::new();
        for header in &arguments.headers {
            let (name, value) = secrets::header(header)?;
            if headers.insert(name.clone(), value).is_some() {
                return Err(Error::Usage(format!("--header: {name} is given twice")));
            }
        }
        let server = ServerConfig {
            command: Some(relative(arguments.command.clone(), folder))
                .filter(|command| !command.is_empty()),
            url: arguments.url.clone(),
            protocol: arguments.protocol.clone(),
            headers: filled_in(&headers)?,
            ..ServerConfig::default()
        };
        Ok(Some(Self {
            server,
            headers,
            kept: None,
        }))
    }

    /// That of the configuration which is written over, if it has one.
    fn kept(arguments: &Arguments) -> Result<Option<Self>, Error> {
        let path = &arguments.config;
        let Some(text) = store::read_text(path)? else {
            return Ok(None);
        };
        let Some(server) = files::load_config(Some(path))?.config.server else {
            return Ok(None);
        };
        if arguments.protocol.is_some() {
            return Err(Error::Usage(format!(
                "--protocol is for a server that the command line names: write `protocol` into [server] \
                 of {}",
                path.display()
            )));
        }
        let table = text.parse::<toml::Table>().ok();
        let table = table.and_then(|mut file| match file.remove("server") {
            Some(toml::Value::Table(table)) => Some(table),
            _ => None,
        });
        Ok(table.map(|table| Self {
            server,
            headers: BTreeMap::new(),
            kept: Some(table),
        }))
    }

    /// What a server that refuses strangers is to be told.
    pub(super) fn explained(&self, error: Error) -> Error {
        let has_answer = !self.server.headers.is_empty() || self.server.oauth.is_some();
        match error {
            Error::NotMeasured(said)
                if !has_answer
                    && ["http-401", "http-403"]
                        .iter()
                        .any(|kind| said.contains(kind)) =>
            {
                Error::NotMeasured(format!(
                    "{said}\n  this server wants to know who asks: --header 'Authorization: Bearer \
                     ${{MCP_TOKEN}}' sends a token of your environment; for OAuth write a configuration \
                     with [server] and [server.oauth] by hand (docs/servers.md), and `mcpgate init --force` \
                     asks that server and keeps both"
                ))
            }
            other => other,
        }
    }
}

/// What a configuration that is written over has and the new one does not keep, in words.
pub(super) fn lost(path: &Path, keeps_server: bool) -> Option<String> {
    let text = store::read_text(path).ok().flatten()?;
    let file = text.parse::<toml::Table>().ok()?;
    let tables = config::keys::SECTIONS.first()?.keys.iter();
    let heads: Vec<&str> = tables
        .filter(|key| file.contains_key(key.name) && !(keeps_server && key.name == "server"))
        .filter_map(|key| match key.takes {
            config::keys::Takes::Section(head) => Some(head),
            _ => None,
        })
        .collect();
    (!heads.is_empty()).then(|| {
        format!(
            "{} was written over: what stood there in {} is not kept",
            path.display(),
            heads.join(", ")
        )
    })
}

/// The headers as the server gets them, read as a configuration has them.
fn filled_in(
    headers: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, crate::suite::Secret>, Error> {
    if headers.is_empty() {
        return Ok(BTreeMap::new());
    }
    let values = headers
        .clone()
        .into_iter()
        .map(|(name, value)| (name, value.into()));
    let server = toml::Table::from_iter([
        ("url".to_owned(), "https://localhost/".into()),
        ("headers".to_owned(), toml::Value::Table(values.collect())),
    ]);
    let whole = toml::Table::from_iter([("server".to_owned(), server.into())]);
    let outside = config::Outside {
        variable: &environment::variable,
        ..config::Outside::NOTHING
    };
    let read = config::parse("--header, as a configuration", &whole.to_string(), outside);
    let read = read.map_err(|mistakes| Error::Config {
        rendered: mistakes.render(false),
    })?;
    Ok(read.server.unwrap_or_default().headers)
}
