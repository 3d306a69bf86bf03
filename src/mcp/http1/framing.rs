//! Where an answer's body ends: by its length, by chunks, or with the connection.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use httparse::{InvalidChunkSize, Status, parse_chunk_size};
use memchr::memchr;

/// Most bytes of a chunk's size with its extensions, or of one trailing field.
const MOST_LINE_BYTES: usize = 16 << 10;
/// Most bytes of all trailing fields.
const MOST_TRAILER_BYTES: usize = 64 << 10;

/// Takes a body out of what is read, piece by piece: any split of the same bytes gives the same body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoder(State);

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// So many bytes.
    Length {
        left: u64,
    },
    /// All that comes.
    UntilTheEnd,
    /// The line with a chunk's size.
    Size,
    /// The bytes of a chunk.
    Chunk {
        left: u64,
    },
    /// The line end after a chunk.
    AfterChunk,
    /// What may follow the last chunk, up to an empty line.
    Trailer {
        read: usize,
    },
    Ended,
}

impl Decoder {
    /// So many bytes.
    #[must_use]
    pub fn of_length(left: u64) -> Self {
        Self(if left == 0 {
            State::Ended
        } else {
            State::Length { left }
        })
    }

    /// Pieces that each say their length.
    #[must_use]
    pub fn chunked() -> Self {
        Self(State::Size)
    }

    /// All that comes until the connection ends.
    #[must_use]
    pub fn until_the_end() -> Self {
        Self(State::UntilTheEnd)
    }

    /// Whether its end was met.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0 == State::Ended
    }

    /// Whether the connection's end is its end.
    #[must_use]
    pub fn ends_with_the_connection(&self) -> bool {
        self.0 == State::UntilTheEnd
    }

    /// How many bytes are certain to come: of the body where its length is told, else of a chunk.
    #[must_use]
    pub fn bytes_left(&self) -> Option<u64> {
        match self.0 {
            State::Length { left } | State::Chunk { left } => Some(left),
            _ => None,
        }
    }

    /// The next bytes of the body, never none of them; `None` where more is to be read, or it has
    /// ended.
    ///
    /// # Errors
    /// What is wrong with the chunks.
    pub fn next(&mut self, input: &mut BytesMut) -> io::Result<Option<Bytes>> {
        loop {
            match &mut self.0 {
                State::Ended => return Ok(None),
                _ if input.is_empty() => return Ok(None),
                State::UntilTheEnd => return Ok(Some(input.split().freeze())),
                State::Length { left } => {
                    let taken = take(input, left);
                    if *left == 0 {
                        self.0 = State::Ended;
                    }
                    return Ok(Some(taken));
                }
                State::Chunk { left } => {
                    let taken = take(input, left);
                    if *left == 0 {
                        self.0 = State::AfterChunk;
                    }
                    return Ok(Some(taken));
                }
                // No digit at all would pass for a 0.
                State::Size if !input.first().is_some_and(u8::is_ascii_hexdigit) => {
                    return Err(invalid("a chunk of its answer has no valid size"));
                }
                State::Size => match parse_chunk_size(input) {
                    Ok(Status::Complete((length, size))) if length <= MOST_LINE_BYTES => {
                        input.advance(length);
                        self.0 = if size == 0 {
                            State::Trailer { read: 0 }
                        } else {
                            State::Chunk { left: size }
                        };
                    }
                    Ok(Status::Partial) if input.len() < MOST_LINE_BYTES => return Ok(None),
                    Ok(_) | Err(InvalidChunkSize) => {
                        return Err(invalid("a chunk of its answer has no valid size"));
                    }
                },
                State::AfterChunk => match &input[..] {
                    [b'\r', b'\n', ..] => {
                        input.advance(2);
                        self.0 = State::Size;
                    }
                    [b'\r'] => return Ok(None),
                    _ => return Err(invalid("a chunk of its answer is longer than it says")),
                },
                State::Trailer { read } => {
                    let end = memchr(b'\n', input);
                    let line = end.unwrap_or(input.len());
                    if line > MOST_LINE_BYTES || *read + line > MOST_TRAILER_BYTES {
                        return Err(invalid("what follows the body of its answer is too large"));
                    }
                    let Some(end) = end else { return Ok(None) };
                    let is_empty = matches!(&input[..end], [] | [b'\r']);
                    *read += end + 1;
                    input.advance(end + 1);
                    if is_empty {
                        self.0 = State::Ended;
                    }
                }
            }
        }
    }
}

/// At most `left` bytes of `input`; of both they are taken off.
fn take(input: &mut BytesMut, left: &mut u64) -> Bytes {
    let most = usize::try_from(*left).unwrap_or(usize::MAX);
    let taken = input.split_to(input.len().min(most));
    *left -= u64::try_from(taken.len()).unwrap_or(*left);
    taken.freeze()
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The body that pieces give, what of them is left, and where they end or what is wrong.
    fn decoded(decoder: &Decoder, pieces: &[&[u8]]) -> (Vec<u8>, Vec<u8>, Result<bool, String>) {
        let mut decoder = decoder.clone();
        let (mut body, mut input) = (Vec::new(), BytesMut::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            loop {
                match decoder.next(&mut input) {
                    Ok(Some(bytes)) => {
                        assert!(!bytes.is_empty());
                        body.extend_from_slice(&bytes);
                    }
                    Ok(None) => break,
                    Err(error) => return (body, Vec::new(), Err(error.to_string())),
                }
            }
        }
        (body, input.to_vec(), Ok(decoder.has_ended()))
    }

    type Row = (
        Decoder,
        &'static str,
        &'static str,
        &'static str,
        Result<bool, &'static str>,
    );

    #[test]
    fn bodies_end_where_they_should() {
        let size = "a chunk of its answer has no valid size";
        let long = "a chunk of its answer is longer than it says";
        let table: [Row; 17] = [
            (Decoder::of_length(0), "next", "", "next", Ok(true)),
            (Decoder::of_length(3), "abcnext", "abc", "next", Ok(true)),
            (Decoder::of_length(9), "abc", "abc", "", Ok(false)),
            (Decoder::of_length(u64::MAX), "abc", "abc", "", Ok(false)),
            (Decoder::until_the_end(), "abc", "abc", "", Ok(false)),
            (
                Decoder::chunked(),
                "3\r\nabc\r\n0\r\n\r\nnext",
                "abc",
                "next",
                Ok(true),
            ),
            (
                Decoder::chunked(),
                "A;x=\"y\"\r\n0123456789\r\n00\r\n\r\n",
                "0123456789",
                "",
                Ok(true),
            ),
            (
                Decoder::chunked(),
                "1\r\na\r\n1\r\nb\r\n0\r\nt: v\r\nu: w\r\n\r\n",
                "ab",
                "",
                Ok(true),
            ),
            (Decoder::chunked(), "3\r\nab", "ab", "", Ok(false)),
            (Decoder::chunked(), "3\r\nabc\r", "abc", "\r", Ok(false)),
            (
                Decoder::chunked(),
                "3\r\nabc\r\n0\r\n",
                "abc",
                "",
                Ok(false),
            ),
            (Decoder::chunked(), "\r\n", "", "", Err(size)),
            (Decoder::chunked(), "x\r\n", "", "", Err(size)),
            (Decoder::chunked(), "-1\r\n", "", "", Err(size)),
            (
                Decoder::chunked(),
                "fffffffffffffffff\r\n",
                "",
                "",
                Err(size),
            ),
            (
                Decoder::chunked(),
                "ffffffffffffffff\r\nabc",
                "abc",
                "",
                Ok(false),
            ),
            (Decoder::chunked(), "3\r\nabcd\r\n", "abc", "", Err(long)),
        ];
        for (decoder, text, body, left, ended) in table {
            let expected = (body.into(), left.into(), ended.map_err(str::to_owned));
            assert_eq!(decoded(&decoder, &[text.as_bytes()]), expected, "{text:?}");
        }
    }

    #[test]
    fn what_belongs_to_no_body_is_bounded() {
        let endless = |start: &str| format!("{start}{}", "x".repeat(MOST_LINE_BYTES + 1));
        let lines = format!("0\r\n{}", "t: v\r\n".repeat(MOST_TRAILER_BYTES / 6 + 1));
        for (text, words) in [
            (endless("3;"), "a chunk of its answer has no valid size"),
            (
                endless("0\r\n"),
                "what follows the body of its answer is too large",
            ),
            (lines, "what follows the body of its answer is too large"),
        ] {
            let (_, _, ended) = decoded(&Decoder::chunked(), &[text.as_bytes()]);
            assert_eq!(ended, Err(words.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_body(
            pieces in proptest::collection::vec(prop_oneof![
                Just("3\r\nabc\r\n".to_owned()), Just("0\r\n".to_owned()), Just("\r\n".to_owned()),
                Just("1;e\r\nx\r\n".to_owned()), Just("t: v\r\n".to_owned()), ".{0,4}",
            ], 0..12),
            cuts in proptest::collection::vec(0usize..80, 0..8),
            length in 0u64..40,
        ) {
            let bytes = pieces.concat().into_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let split: Vec<&[u8]> = cuts.windows(2).map(|two| &bytes[two[0]..two[1]]).collect();
            for decoder in [Decoder::chunked(), Decoder::of_length(length), Decoder::until_the_end()] {
                prop_assert_eq!(decoded(&decoder, &[&bytes]), decoded(&decoder, &split));
            }
        }

        #[test]
        fn what_is_sent_in_chunks_arrives(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6),
        ) {
            let mut sent = Vec::new();
            for chunk in &chunks {
                sent.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                sent.extend_from_slice(chunk);
                sent.extend_from_slice(b"\r\n");
            }
            sent.extend_from_slice(b"0\r\n\r\nrest");
            let expected = (chunks.concat(), b"rest".to_vec(), Ok(true));
            prop_assert_eq!(decoded(&Decoder::chunked(), &[&sent]), expected);
        }
    }
}
