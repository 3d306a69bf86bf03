//! Any split of the same bytes gives the same lines, and no line is longer than its limit.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mcpgate_fuzz::{lines::LineFramer, pieces};

const LIMIT: usize = 40;

/// The lines, and whether one was too long.
fn framed(pieces: &[&[u8]]) -> (Vec<Bytes>, bool) {
    let (mut lines, mut framer) = (Vec::new(), LineFramer::new(LIMIT));
    for piece in pieces {
        framer.buffer().extend_from_slice(piece);
        loop {
            match framer.next_line() {
                Ok(Some(line)) => {
                    assert!(line.len() <= LIMIT && !line.contains(&b'\n'));
                    lines.push(line);
                }
                Ok(None) => break,
                Err(_) => return (lines, true),
            }
        }
    }
    (lines, false)
}

fuzz_target!(|bytes: &[u8]| {
    let (pieces, whole) = pieces(bytes);
    assert_eq!(framed(&[whole]), framed(&pieces));
});
