//! The protocol: one client over stdio or streamable HTTP, in both protocol eras.
//!
//! | file | kind | what it holds |
//! |---|---|---|
//! | `revision.rs` | pure | protocol revisions and the two eras |
//! | `request.rs` | pure | requests to bytes |
//! | `message.rs` | pure | bytes to checked answers |
//! | `client_assertion.rs` | pure | a client's signed word in place of a secret |
//! | `elicitation.rs` | pure | what is answered when a server asks the user |
//! | `header_text.rs` | pure | any text as a header value |
//! | `param_headers.rs` | pure | arguments that travel as headers, too |
//! | `outcome.rs` | pure | the kinds of unsuccessful calls |
//! | `sse.rs` | pure | the event stream parser |
//! | `lines.rs` | pure | framing of lines |
//! | `router.rs` | shell | calls in flight, answers matched by id |
//! | `stdio.rs` | shell | a child's pipes |
//! | `stdio_input.rs` | shell | lines written to a child, never torn |
//! | `sse_link.rs` | shell | HTTP+SSE: posts, and answers on one event stream |
//! | `oauth.rs` | shell | access tokens by client credentials |
//! | `listening.rs` | shell | what a server says outside of calls |
//! | `call_clock.rs` | shell | how long a call may take, at no cost to each |
//! | `tls.rs` | shell | encrypted connections |
//! | `http_target.rs` | shell | where a server listens, and connecting to it |
//! | `http.rs` | shell | one kept-alive connection for each virtual user |
//! | `answer.rs` | shell | one HTTP answer: a body or an event stream |
//! | `handshake.rs` | shell | era probe, handshake: from an endpoint to a client |
//! | `client.rs` | shell | one client: requests prepared, sent, answered |
//! | `tool_list.rs` | shell | the whole tool list, page by page |
//!
//! A timed call is prepared before the clock starts and checked after it has stopped:
//! [`client::Client::prepare_call`], [`client::Client::send`], [`message::check_tool_answer`].

mod answer;
mod call_clock;
pub mod client;
pub mod client_assertion;
#[cfg(test)]
mod client_tests;
pub mod elicitation;
#[cfg(test)]
mod elicitation_tests;
pub mod handshake;
mod header_text;
pub mod http;
pub mod http1;
pub mod http_target;
#[cfg(test)]
mod http_tests;
pub mod lines;
mod listening;
#[cfg(test)]
mod listening_tests;
pub mod message;
pub mod oauth;
#[cfg(test)]
mod oracle_tests;
pub mod outcome;
pub mod param_headers;
pub mod request;
pub mod revision;
mod router;
pub mod sse;
mod sse_link;
pub mod stdio;
mod stdio_input;
#[cfg(test)]
mod stdio_tests;
#[cfg(test)]
pub(crate) mod testing;
mod tls;
#[cfg(test)]
mod tls_tests;
mod tool_list;

use std::time::Duration;

use elicitation::Elicitation;

/// What a server may make us wait for, hold, and answer.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// One call, from its start to its answer's last byte.
    pub call_timeout: Duration,
    /// One answer (a line, a body, or an event stream up to the answer).
    pub message_bytes: usize,
    /// What it is answered when it asks the user.
    pub elicitation: Elicitation,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(30),
            message_bytes: 64 << 20,
            elicitation: Elicitation::Refused,
        }
    }
}
