//! Any split of the same bytes gives the same events, and what is held is never more than was fed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpgate_fuzz::{
    pieces,
    sse::{Event, SseParser},
};

fn parsed(pieces: &[&[u8]]) -> (Vec<Event>, SseParser) {
    let (mut events, mut parser, mut fed) = (Vec::new(), SseParser::new(), 0);
    for piece in pieces {
        parser.feed(piece, |event| events.push(event));
        fed += piece.len();
        assert!(parser.held_bytes() <= fed);
    }
    (events, parser)
}

fuzz_target!(|bytes: &[u8]| {
    let (pieces, whole) = pieces(bytes);
    let (events, parser) = parsed(&[whole]);
    let (events_of_pieces, parser_of_pieces) = parsed(&pieces);
    assert_eq!(events, events_of_pieces);
    assert_eq!(parser.last_event_id(), parser_of_pieces.last_event_id());
    assert_eq!(parser.retry_ms(), parser_of_pieces.retry_ms());
    assert!(events.iter().all(|event| !event.data.is_empty()));
});
