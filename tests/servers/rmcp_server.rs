//! A test server on rmcp, the official Rust SDK (both protocol eras):
//! `rmcp_server stdio | http PORT | stateless PORT`.
//!
//! `MCPGATE_TEST_SLOW` (a factor, 1 when absent) multiplies the wait of the tool `work` alone.
//! `MCPGATE_TEST_BLOAT_MB` (megabytes, none when absent) is kept, touched, from the start on.
#![expect(
    clippy::disallowed_methods,
    reason = "a server of its own, not a room of mcpgate: it reads its environment"
)]

use std::{env, error::Error, hint::black_box, sync::Arc, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use rmcp::{
    ServerHandler, ServiceExt as _,
    handler::server::wrapper::Parameters,
    model::{Implementation, ServerCapabilities, ServerConfig},
    tool, tool_handler, tool_router,
    transport::{
        stdio,
        streamable_http_server::{
            StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
        },
    },
};
use tokio::net::{TcpListener, TcpStream};

/// How long one call of `work` waits. It uses no CPU time: how fast a machine works changes from
/// one second to the next, how long it waits hardly does, and what was planted has to be beyond
/// doubt.
const WAIT: Duration = Duration::from_millis(5);

#[derive(Clone)]
struct TestServer {
    wait: Duration,
    /// Only kept, for the memory that it takes.
    _bloat: Arc<Vec<u8>>,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Pair {
    a: i64,
    b: i64,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Label {
    label: String,
}

#[tool_router]
impl TestServer {
    fn from_environment() -> Result<Self, Box<dyn Error>> {
        let slow: u32 = env::var("MCPGATE_TEST_SLOW").map_or(Ok(1), |text| text.parse())?;
        let bloat_mb: usize =
            env::var("MCPGATE_TEST_BLOAT_MB").map_or(Ok(0), |text| text.parse())?;
        Ok(Self {
            wait: WAIT * slow,
            _bloat: Arc::new(black_box(vec![1; bloat_mb * 1_000_000])),
        })
    }

    /// Adds two numbers.
    #[tool(annotations(read_only_hint = true))]
    fn add(&self, Parameters(Pair { a, b }): Parameters<Pair>) -> String {
        a.saturating_add(b).to_string()
    }

    /// Waits for a fixed time, then says the label back.
    #[tool(annotations(read_only_hint = true))]
    async fn work(&self, Parameters(Label { label }): Parameters<Label>) -> String {
        tokio::time::sleep(self.wait).await;
        format!("worked: {label}")
    }
}

#[tool_handler]
impl ServerHandler for TestServer {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("rmcp-test-server", "1.0.0"))
    }
}

async fn serve_http(
    server: TestServer,
    port: u16,
    config: StreamableHttpServerConfig,
) -> Result<(), Box<dyn Error>> {
    let mcp = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        // Without it, an event stream's second segment waits for the client's delayed
        // acknowledgement: 44 ms a call, in which no change of the server could be seen.
        stream.set_nodelay(true)?;
        tokio::spawn(serve_connection(stream, mcp.clone()));
    }
}

async fn serve_connection(
    stream: TcpStream,
    mcp: StreamableHttpService<TestServer, LocalSessionManager>,
) {
    let connection =
        http1::Builder::new().serve_connection(TokioIo::new(stream), TowerToHyperService::new(mcp));
    // A client that hangs up is no concern of a test server.
    drop(connection.await);
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = TestServer::from_environment()?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["stdio"] => {
            server.serve(stdio()).await?.waiting().await?;
            Ok(())
        }
        ["http", port] => serve_http(server, port.parse()?, Default::default()).await,
        ["stateless", port] => {
            let config = StreamableHttpServerConfig::default()
                .with_legacy_session_mode(false)
                .with_json_response(true);
            serve_http(server, port.parse()?, config).await
        }
        _ => Err("usage: rmcp_server stdio | http PORT | stateless PORT".into()),
    }
}
