//! Any split of the same bytes gives the same head, the same body and the same end.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use mcpgate_fuzz::{head::parse, pieces};

/// What was read, in words: each head and its body, and how it went on.
fn read(pieces: &[&[u8]]) -> Vec<String> {
    let (mut input, mut seen) = (BytesMut::new(), 0);
    let mut read = Vec::new();
    let mut answer: Option<(mcpgate_fuzz::framing::Decoder, Vec<u8>)> = None;
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            let Some((decoder, body)) = &mut answer else {
                match parse(&mut input, &mut seen) {
                    Ok(Some(parsed)) => {
                        read.push(format!("{} {:?}", parsed.head.status(), parsed.decoder));
                        answer = Some((parsed.decoder, Vec::new()));
                        continue;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        read.push(error.to_string());
                        return read;
                    }
                }
            };
            match decoder.next(&mut input) {
                Ok(Some(bytes)) => body.extend_from_slice(&bytes),
                Ok(None) if decoder.has_ended() => {
                    read.push(format!("{body:?}"));
                    answer = None;
                }
                Ok(None) => break,
                Err(error) => {
                    read.push(format!("{body:?} {error}"));
                    return read;
                }
            }
        }
    }
    read.push(format!("{answer:?}"));
    read
}

fuzz_target!(|bytes: &[u8]| {
    let (pieces, whole) = pieces(bytes);
    assert_eq!(read(&[whole]), read(&pieces));
});
