//! The parsers of what servers send, and nothing else of mcpgate: they are pure, so a fuzzer of
//! them is built in seconds.
#![allow(dead_code, reason = "a fuzzer calls a part of each parser")]

#[path = "../../src/mcp/elicitation.rs"]
pub mod elicitation;
#[path = "../../src/mcp/http1/framing.rs"]
pub mod framing;
#[path = "../../src/mcp/http1/head.rs"]
pub mod head;
#[path = "../../src/mcp/lines.rs"]
pub mod lines;
#[path = "../../src/mcp/message.rs"]
pub mod message;
#[path = "../../src/mcp/outcome.rs"]
pub mod outcome;
#[path = "../../src/mcp/request.rs"]
pub mod request;
#[path = "../../src/mcp/revision.rs"]
pub mod revision;
#[path = "../../src/mcp/sse.rs"]
pub mod sse;
#[path = "../../src/suite/visible.rs"]
pub mod visible;

pub mod suite {
    //! As these files know it.

    pub use crate::visible;
}

/// Cuts `bytes` into the pieces that it says itself: its first byte is the number of cuts, and so
/// many bytes behind it are the lengths of the pieces; the last piece is what is left.
#[must_use]
pub fn pieces(bytes: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let Some((&cuts, rest)) = bytes.split_first() else {
        return (Vec::new(), bytes);
    };
    let (lengths, whole) = rest.split_at(usize::from(cuts).min(rest.len()));
    let mut left = whole;
    let mut pieces = Vec::new();
    for length in lengths {
        let (piece, behind) = left.split_at(usize::from(*length).min(left.len()));
        pieces.push(piece);
        left = behind;
    }
    pieces.push(left);
    (pieces, whole)
}
