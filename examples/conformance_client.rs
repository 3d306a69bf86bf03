//! What the official conformance suite runs as the client under test: mcpgate's own client behind
//! the suite's calling convention.
//!
//! The suite starts a server for each scenario, names the scenario in the environment, and gives
//! the server's URL as the last argument. What a scenario wants to see is done here by the same
//! calls that a measurement makes.
#![expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program of its own, not a room of mcpgate: it reads its environment"
)]

use std::{env, process::ExitCode, time::Duration};

use mcpgate::mcp::{
    Limits,
    client::{self, Client, Endpoint, Wanted},
    client_assertion::SigningKey,
    elicitation::Elicitation,
    http_target::HttpTarget,
    message,
    oauth::{ClientCredentials, Proof, TokenSource},
    param_headers::ParamHeaders,
    revision::Revision,
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Map, Value, json};

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let url = env::args().next_back().ok_or("no URL")?;
    let scenario = env::var("MCP_CONFORMANCE_SCENARIO")?;
    let context: Value = env::var("MCP_CONFORMANCE_CONTEXT")
        .ok()
        .map(|text| serde_json::from_str(&text))
        .transpose()?
        .unwrap_or_default();
    // A release of the suite that does not say knows only this one.
    let revision = env::var("MCP_CONFORMANCE_PROTOCOL_VERSION");
    let revision = revision
        .as_deref()
        .unwrap_or(Revision::NEWEST_LEGACY.as_str());
    let revision = Revision::parse(revision).ok_or("a revision that mcpgate does not speak")?;

    let mut headers = Vec::new();
    if scenario.starts_with("auth/client-credentials") {
        let token = token(&url, &context).await?;
        headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
    }
    let target = HttpTarget::new(&url, &headers, None)?;
    let limits = Limits {
        call_timeout: Duration::from_secs(10),
        elicitation: Elicitation::Defaults,
        ..Limits::default()
    };
    let wanted = if revision == Revision::NEWEST_LEGACY {
        // As `mcpgate run` without `protocol`; a scenario's server may choose an older one.
        Wanted::Any
    } else {
        Wanted::Exactly(revision)
    };
    let mut opened = client::open(&Endpoint::Http(target.into()), wanted, limits).await?;
    let client = &mut opened.client;
    let tools = client.list_tools().await?;
    for (tool, arguments) in calls(&scenario, &context, &tools) {
        call(client, &tools, &tool, &arguments).await?;
    }
    if scenario == "http-standard-headers" {
        resources_and_prompts(client).await?;
    }
    opened.client.close().await;
    Ok(())
}

/// The calls that a scenario waits for: those of its context, or one of every tool that may be
/// called.
fn calls(scenario: &str, context: &Value, tools: &[Value]) -> Vec<(String, Value)> {
    if let Some(named) = context["toolCalls"].as_array() {
        let of = |call: &Value| {
            let name = call["name"].as_str().unwrap_or_default();
            (name.to_owned(), call["arguments"].clone())
        };
        return named.iter().map(of).collect();
    }
    let name = |tool: &Value| tool["name"].as_str().unwrap_or_default().to_owned();
    if scenario == "json-schema-2020-12-preservation" {
        let described = tools
            .iter()
            .find(|tool| name(tool) == "json_schema_2020_12_tool");
        let schema = described.map(|tool| tool["inputSchema"].clone());
        return vec![("json_schema_echo".to_owned(), json!({ "schema": schema }))];
    }
    if scenario == "json-schema-ref-no-deref" {
        // Its server only lists.
        return Vec::new();
    }
    let usable = tools.iter().filter(|tool| ParamHeaders::of(tool).is_ok());
    usable.map(|tool| (name(tool), filled_in(tool))).collect()
}

/// Arguments that fit a tool's schema as far as the scenarios' tools need it.
fn filled_in(tool: &Value) -> Value {
    let properties = tool["inputSchema"]["properties"].as_object();
    let filled: Map<String, Value> = properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            let value = match schema["type"].as_str() {
                Some("number" | "integer") => json!(1),
                Some("boolean") => json!(true),
                Some("object") => json!({}),
                Some("array") => json!([]),
                _ => json!("text"),
            };
            (name.clone(), value)
        })
        .collect();
    filled.into()
}

async fn call(
    client: &mut Client,
    tools: &[Value],
    tool: &str,
    arguments: &Value,
) -> Result<(), Failure> {
    let described = tools.iter().find(|described| described["name"] == tool);
    let described = described.ok_or_else(|| format!("no tool {tool}"))?;
    let mirrored = ParamHeaders::of(described)?;
    let arguments = serde_json::to_vec(arguments)?;
    let prepared = client.prepare_call(tool, &arguments, &mirrored);
    client.make_ready().await?;
    let exchange = client.send(&prepared).await?;
    message::check_tool_answer(&exchange.body, exchange.id, None)?;
    Ok(())
}

async fn resources_and_prompts(client: &mut Client) -> Result<(), Failure> {
    for (list, of, get, by) in [
        ("resources/list", "resources", "resources/read", "uri"),
        ("prompts/list", "prompts", "prompts/get", "name"),
    ] {
        let prepared = client.prepare(list, b"");
        let exchange = client.send(&prepared).await?;
        let listed: Value = serde_json::from_slice(&exchange.body)?;
        let first = &listed["result"][of][0][by];
        let name = first.as_str().ok_or_else(|| format!("{list}: none"))?;
        let params = format!("{}:{}", json!(by), json!(name));
        let prepared = client.prepare_named(get, Some(name), params.as_bytes());
        client.send(&prepared).await?;
    }
    Ok(())
}

/// What a user writes into `[server.oauth]`, found out as the extension for machines has it: where
/// tokens are given is told by the server's metadata, and who the client is by the scenario.
async fn token(url: &str, context: &Value) -> Result<String, Failure> {
    let text = |of: &Value, key: &str| {
        let found = of[key].as_str().map(str::to_owned);
        found.ok_or_else(|| format!("no `{key}` in {of}"))
    };
    let uri: http::Uri = url.parse()?;
    let authority = uri.authority().ok_or("no host")?;
    let path = uri.path();
    let resource = fetched(&format!(
        "http://{authority}/.well-known/oauth-protected-resource{path}"
    ))?;
    let issuer = text(
        &json!({"issuer": resource["authorization_servers"][0]}),
        "issuer",
    )?;
    let issuer = issuer.trim_end_matches('/').to_owned();
    let server = fetched(&format!("{issuer}/.well-known/oauth-authorization-server"))?;
    let proof = match context["private_key_pem"].as_str() {
        Some(pem) => {
            let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())?;
            Proof::Key(Box::new(SigningKey::new(&key)?))
        }
        None => Proof::Secret(text(context, "client_secret")?),
    };
    let credentials = ClientCredentials {
        token_url: text(&server, "token_endpoint")?,
        client_id: text(context, "client_id")?,
        proof,
        scope: None,
        resource: resource["resource"].as_str().map(str::to_owned),
        audience: Some(text(&server, "issuer").unwrap_or(issuer)),
    };
    let source = TokenSource::new(credentials, None, Duration::from_secs(10))?;
    Ok(source.token().await?)
}

fn fetched(url: &str) -> Result<Value, Failure> {
    let body = ureq::get(url).call()?.into_body().read_to_string()?;
    Ok(serde_json::from_str(&body)?)
}
