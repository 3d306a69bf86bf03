//! What is to be run: the configuration file, the scenarios, the templates. Pure.
//!
//! | file | what it does |
//! |---|---|
//! | [`config`] | `mcpgate.toml` → [`Config`], or every mistake in it at once |
//! | [`diagnostics`] | mistakes shown with file, line, caret and help |
//! | [`template`] | `{{i}}`, `{{vu}}`, `{{uuid}}` and the like: filled in for each call |
//! | [`data`] | rows of a CSV or JSON-lines file |
//! | [`discover`] | a server's tool list → tools and arguments, where nothing was configured |
//! | [`first_config`] | a server's tools and the project's files → a first `mcpgate.toml` |
//! | [`executor`] | how load is applied over time: virtual users, arrival rates |
//! | [`load`], [`loads`] | scenarios of their own: what one is, and which a run has |
//! | [`standard`] | tools and what was learnt of the server → a [`Suite`] that fits the time |
//! | [`visible`] | which characters of foreign text are seen |
//! | [`hash`] | short hashes of definitions and tool lists |

mod accepted;
pub mod config;
pub mod data;
pub mod diagnostics;
pub mod discover;
pub mod executor;
pub mod first_config;
pub mod hash;
pub mod load;
pub mod loads;
pub mod probes;
pub mod standard;
pub mod template;
pub mod visible;

pub use accepted::{AcceptedMetric, FAILURE_MODES};

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use crate::results::{Calibration, Sessions};

/// The protocol revisions that `protocol` in `[server]` may fix, oldest first.
pub const PROTOCOL_REVISIONS: &[&str] = &[
    "2024-11-05",
    "2025-03-26",
    "2025-06-18",
    "2025-11-25",
    "2026-07-28",
];

/// Longest tool name that is called, in characters: the limit that the protocol recommends.
pub const LONGEST_TOOL_NAME: usize = 128;

/// A validated `mcpgate.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[server]`; absent where the file has none (the command line may give the target).
    pub server: Option<ServerConfig>,
    /// `[[tool]]`, in file order; empty means: discover.
    pub tools: Vec<ToolCall>,
    /// What is said of some of `[[tool]]`.
    pub marked: MarkedTools,
    /// `[probes]`.
    pub probes: probes::ProbesConfig,
    /// `[[scenario]]`, in file order.
    pub loads: Vec<load::LoadConfig>,
    /// `[suite]`.
    pub suite: SuiteConfig,
    /// `[gate]`.
    pub gate: GateConfig,
    /// `[[accept]]`, in file order.
    pub accept: Vec<AcceptedRegression>,
}

/// `[[accept]]`: a regression that somebody answers for.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceptedRegression {
    /// Scenario name; `server` for start-up and peak memory. For `removed` also a tool's name,
    /// which stands for all of its scenarios. For a failure mode the tool that shows it, or `server`.
    pub scenario: String,
    /// What may be worse, or be there.
    pub metric: AcceptedMetric,
    /// What it may reach: nanoseconds, bytes (growth: per 1,000 calls), or calls per second.
    /// `None` for `removed` and for failure modes.
    pub limit: Option<f64>,
    /// Why it is worth it.
    pub reason: String,
    /// Last day on which it holds, `YYYY-MM-DD`.
    pub until: String,
}

impl Config {
    /// The values that came from `${NAME}`, for masking them in texts from outside. Values
    /// shorter than 4 characters are left out: masking them would blot out ordinary words.
    #[must_use]
    pub fn secrets(&self) -> Vec<&str> {
        const SHORTEST: usize = 4;
        let mut out: Vec<&str> = self
            .server
            .iter()
            .flat_map(|server| {
                let oauth = server.oauth.as_ref();
                let client = oauth.and_then(|oauth| oauth.client_secret.as_ref());
                let given = server.env.values().chain(server.headers.values());
                given.chain(client)
            })
            .flat_map(Secret::from_variables)
            .filter(|value| value.chars().count() >= SHORTEST)
            .collect();
        // Longest first, so that masking one never leaves the rest of a longer one standing.
        out.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        out.dedup();
        out
    }
}

/// `[server]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerConfig {
    /// `command`: program and arguments; `{port}` stands for a free port.
    pub command: Option<Vec<String>>,
    /// `url`: with a command, where the started server listens; alone, a server to attach to.
    pub url: Option<String>,
    /// `transport`; guessed when absent: stdio without `url`, streamable HTTP with it.
    pub transport: Option<TransportChoice>,
    /// `protocol`: a fixed revision; probed when absent.
    pub protocol: Option<String>,
    /// `cwd`: working directory of the command, relative to the configuration file.
    pub cwd: Option<String>,
    /// `env`: added to the server's environment; `{port}` is filled in.
    pub env: BTreeMap<String, Secret>,
    /// `ca-file`: authorities (PEM) whose certificates are good besides the system's; relative to the
    /// configuration file.
    pub ca_file: Option<PathBuf>,
    /// `headers`: sent with every HTTP request.
    pub headers: BTreeMap<String, Secret>,
    /// `oauth`: where the bearer token of HTTP requests comes from.
    pub oauth: Option<OAuthConfig>,
    /// `elicitation`: whether forms that the server puts to the user are accepted with their
    /// defaults. Otherwise they are refused.
    pub accepts_defaults: bool,
    /// `message-limit`: most bytes of one answer. Default 64 MiB.
    pub message_limit_bytes: u64,
    /// `startup-timeout`: how long a server may take to answer the protocol. Default 60 s.
    pub startup_timeout: Duration,
    /// `call-timeout`: how long one call may take. Default 30 s.
    pub call_timeout: Duration,
    /// `build`: shell command that builds the server, run in both work trees where another commit's
    /// server is measured in turn with this one.
    pub build: Option<String>,
    /// `setup`: shell command run once before the first server start.
    pub setup: Option<String>,
    /// `reset`: shell command run before each server start.
    pub reset: Option<String>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            command: None,
            url: None,
            transport: None,
            protocol: None,
            cwd: None,
            env: BTreeMap::new(),
            ca_file: None,
            headers: BTreeMap::new(),
            oauth: None,
            accepts_defaults: false,
            message_limit_bytes: 64 << 20,
            startup_timeout: Duration::from_mins(1),
            call_timeout: Duration::from_secs(30),
            build: None,
            setup: None,
            reset: None,
        }
    }
}

/// `[server.oauth]`: OAuth client credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct OAuthConfig {
    /// `token-url`: where tokens are asked for.
    pub token_url: String,
    /// `client-id`.
    pub client_id: String,
    /// `client-secret`; absent where there is a key.
    pub client_secret: Option<Secret>,
    /// `private-key-file` (PEM), in place of a secret; relative to the configuration file.
    pub private_key_file: Option<PathBuf>,
    /// `audience` of what the key signs; the token URL where absent.
    pub audience: Option<String>,
    /// `scope`.
    pub scope: Option<String>,
    /// `resource`: the server's URL where absent; empty to send none.
    pub resource: Option<String>,
}

/// `transport` in `[server]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportChoice {
    /// `"stdio"`.
    Stdio,
    /// `"streamable-http"`.
    StreamableHttp,
    /// `"sse"`, the older HTTP+SSE.
    Sse,
}

/// A value that may hold a secret (it came from `${NAME}`): never shown by `Debug` or `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: String,
    from_variables: Vec<String>,
}

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            from_variables: Vec::new(),
        }
    }

    /// Wraps a value together with the parts of it that came from environment variables.
    #[must_use]
    pub fn from_environment(value: impl Into<String>, from_variables: Vec<String>) -> Self {
        Self {
            value: value.into(),
            from_variables,
        }
    }

    /// With more text behind it.
    #[must_use]
    pub fn followed_by(mut self, text: &str) -> Self {
        self.value.push_str(text);
        self
    }

    /// The parts that came from environment variables.
    pub fn from_variables(&self) -> impl Iterator<Item = &str> {
        self.from_variables.iter().map(String::as_str)
    }

    /// The value itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One tool with the arguments it is called with.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// The tool's name.
    pub name: String,
    /// Template of the arguments: a JSON object whose strings may hold placeholders.
    pub arguments: serde_json::Map<String, serde_json::Value>,
    /// What a right answer must hold.
    pub expect: Expect,
    /// `kind`: chooses default budgets.
    pub kind: ToolKind,
    /// `data`: the rows of `{{data.column}}`.
    pub data: Option<Arc<data::DataRows>>,
}

impl ToolCall {
    /// Whether its calls may differ from each other.
    #[must_use]
    pub fn has_placeholders(&self) -> bool {
        fn holds_one(value: &serde_json::Value) -> bool {
            match value {
                serde_json::Value::String(text) => text.contains("{{"),
                serde_json::Value::Array(items) => items.iter().any(holds_one),
                serde_json::Value::Object(map) => map.values().any(holds_one),
                _ => false,
            }
        }
        self.arguments.values().any(holds_one)
    }
}

/// Tools that a probe is made for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MarkedTools {
    /// Those that write; only the probe `writes` calls them.
    pub writing: Vec<WritingTool>,
    /// Those whose answers grow with an argument; they are called as the others are, besides.
    pub growing: Vec<GrowingTool>,
}

/// A tool whose answers are as large as an argument says.
#[derive(Debug, Clone, PartialEq)]
pub struct GrowingTool {
    /// Its usual call.
    pub tool: ToolCall,
    /// Name of the argument, a number in the usual call.
    pub argument: String,
}

/// A tool that writes, and how to see whether it did.
#[derive(Debug, Clone, PartialEq)]
pub struct WritingTool {
    /// The write; each call writes something of its own.
    pub write: ToolCall,
    /// What reads it back: its expectation is what must be found of a write, with the same
    /// placeholders.
    pub read_back: ToolCall,
}

/// What a right answer must hold, besides its id and the absence of errors.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Expect {
    /// Template of a text that one of the answer's text contents (or its structured content, as
    /// JSON) must contain.
    pub contains: Option<String>,
}

/// What a tool does with its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ToolKind {
    /// Computes: p50 under 100 ms, p95 under 500 ms by default.
    #[default]
    Compute,
    /// Calls an outside service: p50 under 500 ms, p95 under 2 s by default; reported, not gated,
    /// and never pressed.
    External,
}

/// `[suite]`: how much is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct SuiteConfig {
    /// `size`: quick, standard, deep.
    pub size: SuiteSize,
    /// `rounds`: fresh servers. Overrides the size's number.
    pub rounds: Option<u32>,
    /// `calls`: measured sequential calls a round. Overrides the size's number.
    pub calls: Option<u32>,
    /// `concurrency`: calls in flight in `concurrent`. Default 10.
    pub concurrency: u32,
    /// `sessions`: whether the callers of `concurrent` have a session each over HTTP.
    pub sessions: Sessions,
    /// `soak-calls`: calls per fresh server of the soak; 0 switches it off. Overrides the size's.
    pub soak_calls: Option<u32>,
    /// `loads`: whether the standard loads run, where the size has them.
    pub loads: bool,
    /// `max-time`: how long the whole run may measure. Default 10 min.
    pub max_time: Duration,
    /// `seed`.
    pub seed: u64,
}

/// Named amounts of measuring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SuiteSize {
    /// 5 rounds, no soak.
    Quick,
    /// 10 rounds of 100 calls, up to 400 of a fast tool, soak of 3 × 1,400 calls.
    #[default]
    Standard,
    /// 20 rounds of 400 calls, soak of 3 × 5,000 calls.
    Deep,
}

/// `[gate]`: the policy.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GateConfig {
    /// `tolerance`: how much worse a metric may get, as a fraction (0.2 = 20 %).
    pub tolerance: Tolerances,
    /// `floor`: absolute change below which nothing is a regression.
    pub floor: Floors,
    /// `budget`: absolute limits. `None` = not set by the user; default budgets then warn.
    pub budget: Budgets,
    /// `inconclusive`.
    pub inconclusive: InconclusivePolicy,
    /// `baseline-jobs`: how many jobs a baseline keeps. Default 5.
    pub baseline_jobs: Option<u32>,
    /// What the null control found; scenarios that raise false alarms are reported only. From the
    /// calibration file, not from the configuration.
    pub calibration: Option<Calibration>,
}

/// Relative tolerances as fractions.
#[derive(Debug, Clone, PartialEq)]
pub struct Tolerances {
    /// `latency_p50`, adjusted or wall, whichever gates. Default 0.2.
    pub latency_p50: f64,
    /// `latency_p95`, adjusted or wall, whichever gates. Default 0.2.
    pub latency_p95: f64,
    /// `throughput`. Default 0.2.
    pub throughput: f64,
    /// `startup`. Default 0.2.
    pub startup: f64,
    /// `peak_memory`. Default 0.2.
    pub peak_memory: f64,
}

/// Absolute floors.
#[derive(Debug, Clone, PartialEq)]
pub struct Floors {
    /// `latency_p50`. Default 250 µs.
    pub latency_p50: Duration,
    /// `latency_p95`. Default 1 ms.
    pub latency_p95: Duration,
    /// `startup`. Default 50 ms.
    pub startup: Duration,
    /// `peak_memory`, bytes. Default 1 MB.
    pub peak_memory_bytes: u64,
    /// `memory_growth_per_1000_calls`, bytes: how much faster than the base memory may grow.
    /// Default 5 MB.
    pub memory_growth_per_1000_calls_bytes: u64,
}

/// Absolute limits that the user set; `None` where not set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Budgets {
    /// `error_rate`, a fraction.
    pub error_rate: Option<f64>,
    /// `latency_p50`.
    pub latency_p50: Option<Duration>,
    /// `latency_p95`.
    pub latency_p95: Option<Duration>,
    /// `startup`.
    pub startup: Option<Duration>,
    /// `peak_memory`, bytes.
    pub peak_memory_bytes: Option<u64>,
    /// `memory_growth_per_1000_calls`, bytes.
    pub memory_growth_per_1000_calls_bytes: Option<u64>,
}

/// What an inconclusive judgement does to the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InconclusivePolicy {
    /// Exit 0, said quietly.
    Pass,
    /// Exit 0, said loudly.
    #[default]
    Warn,
    /// Exit 4.
    Fail,
}

impl Default for SuiteConfig {
    fn default() -> Self {
        Self {
            size: SuiteSize::default(),
            rounds: None,
            calls: None,
            concurrency: 10,
            sessions: Sessions::default(),
            soak_calls: None,
            loads: true,
            max_time: Duration::from_mins(10),
            seed: 1,
        }
    }
}

impl Default for Tolerances {
    fn default() -> Self {
        Self {
            latency_p50: 0.2,
            latency_p95: 0.2,
            throughput: 0.2,
            startup: 0.2,
            peak_memory: 0.2,
        }
    }
}

impl Default for Floors {
    fn default() -> Self {
        Self {
            latency_p50: Duration::from_micros(250),
            latency_p95: Duration::from_millis(1),
            startup: Duration::from_millis(50),
            peak_memory_bytes: 1_000_000,
            memory_growth_per_1000_calls_bytes: 5_000_000,
        }
    }
}

/// What runs: every scenario, in order, with the amounts decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Suite {
    /// Where it came from.
    pub size: SuiteSize,
    /// Fresh servers.
    pub rounds: u32,
    /// Fresh servers of the soak; 0 = no soak.
    pub soak_rounds: u32,
    /// Scenarios of a round, in order.
    pub scenarios: Vec<Scenario>,
    /// Scenarios of a soak, in order.
    pub soaks: Vec<Scenario>,
    /// Loads of their own, in order.
    pub loads: Vec<load::Load>,
    /// What was left out, with the reason.
    pub skipped: Vec<crate::results::Skipped>,
    /// Seed of everything random.
    pub seed: u64,
}

/// One workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// As declared in the results file.
    pub record: crate::results::ScenarioRecord,
    /// Calls before measuring.
    pub warm_up: u32,
    /// What is called; `None` for `handshake` and `list-tools`.
    pub call: Option<ToolCall>,
}
