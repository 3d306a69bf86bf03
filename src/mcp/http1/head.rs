//! The head of an answer: its status, its fields, and how its body is told from what follows.

use std::{io, mem::MaybeUninit};

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderName, HeaderValue, StatusCode, header};
use httparse::{Header, ParserConfig, Status};
use memchr::memchr_iter;

use super::framing::Decoder;

/// Most bytes of a head.
const MOST_HEAD_BYTES: usize = 64 << 10;
/// Most fields of a head.
const MOST_FIELDS: usize = 100;
/// How every head begins: by this what is no HTTP is told at its first bytes.
const START: &[u8] = b"HTTP/1.";

/// Status and fields of an answer.
#[derive(Debug, Clone, Default)]
pub struct Head {
    status: StatusCode,
    is_event_stream: bool,
    /// As it came, from the status line to the empty line.
    text: Bytes,
}

impl Head {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether the body is an event stream.
    #[must_use]
    pub fn is_event_stream(&self) -> bool {
        self.is_event_stream
    }

    /// The value of the first field of a name.
    #[must_use]
    pub fn get(&self, name: &HeaderName) -> Option<HeaderValue> {
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut answer = httparse::Response::new(&mut []);
        ParserConfig::default()
            .parse_response_with_uninit_headers(&mut answer, &self.text, &mut fields)
            .ok()?;
        let mut named = answer.headers.iter();
        let field = named.find(|field| field.name.eq_ignore_ascii_case(name.as_str()))?;
        HeaderValue::from_bytes(field.value).ok()
    }
}

/// A head, and what it says of the rest.
#[derive(Debug)]
pub struct Parsed {
    /// The head.
    pub head: Head,
    /// Takes the body from what follows.
    pub decoder: Decoder,
    /// Whether another request may follow on the connection.
    pub is_reusable: bool,
}

/// Takes a head off `input`; `None` where more is to be read. `seen` holds how far the input was
/// searched for the head's end: it begins as 0, and a head that comes byte by byte is parsed once.
///
/// # Errors
/// In words, what is wrong with it: no HTTP, two lengths, or over 64 KiB or 100 fields.
pub fn parse(input: &mut BytesMut, seen: &mut usize) -> io::Result<Option<Parsed>> {
    pass_over_empty_lines(input, seen);
    let start = input.len().min(START.len());
    if input[..start] != START[..start] && input[..] != b"\r"[..] {
        return Err(no_http(httparse::Error::Version));
    }
    if !has_empty_line(input, *seen) {
        return wait(input, seen);
    }
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut answer = httparse::Response::new(&mut []);
    let status = ParserConfig::default()
        .parse_response_with_uninit_headers(&mut answer, input, &mut fields)
        .map_err(|error| match error {
            httparse::Error::TooManyHeaders => invalid("the head of its answer is too large"),
            error => no_http(error),
        })?;
    let Status::Complete(length) = status else {
        return wait(input, seen);
    };
    if length > MOST_HEAD_BYTES {
        return Err(invalid("the head of its answer is too large"));
    }
    let code = answer
        .code
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| invalid("its answer has no status"))?;
    let is_newer = answer.version == Some(1);
    let rest = Rest::of(answer.headers, code, is_newer)?;
    let is_event_stream = rest.is_event_stream;
    *seen = 0;
    Ok(Some(Parsed {
        head: Head {
            status: code,
            is_event_stream,
            text: input.split_to(length).freeze(),
        },
        decoder: rest.decoder,
        is_reusable: rest.is_reusable,
    }))
}

/// Which may stand before a status line (RFC 9112, section 2.2).
fn pass_over_empty_lines(input: &mut BytesMut, seen: &mut usize) {
    loop {
        let length = match &input[..] {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            _ => return,
        };
        input.advance(length);
        *seen = 0;
    }
}

fn wait(input: &[u8], seen: &mut usize) -> io::Result<Option<Parsed>> {
    *seen = input.len();
    if input.len() > MOST_HEAD_BYTES {
        return Err(invalid("the head of its answer is too large"));
    }
    Ok(None)
}

/// Whether an empty line ends after the first `seen` bytes, of which none did.
fn has_empty_line(input: &[u8], seen: usize) -> bool {
    let news = input.get(seen.saturating_sub(3)..).unwrap_or_default();
    memchr_iter(b'\n', news).any(|end| matches!(&news[end + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

struct Rest {
    decoder: Decoder,
    is_reusable: bool,
    is_event_stream: bool,
}

impl Rest {
    /// By RFC 9112, section 6.3: `Transfer-Encoding` goes before `Content-Length`, which may be said
    /// more than once but not differently.
    fn of(fields: &[Header<'_>], status: StatusCode, is_newer: bool) -> io::Result<Self> {
        let mut length: Option<u64> = None;
        let mut encoding: Option<&[u8]> = None;
        let mut is_event_stream = None;
        let mut says_close = false;
        let mut says_keep = false;
        for field in fields {
            let is = |name: &HeaderName| field.name.eq_ignore_ascii_case(name.as_str());
            if is(&header::CONTENT_LENGTH) {
                for value in field.value.split(|byte| *byte == b',') {
                    let said = std::str::from_utf8(value.trim_ascii())
                        .ok()
                        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
                        .and_then(|text| text.parse().ok());
                    if said.is_none() || length.is_some_and(|length| Some(length) != said) {
                        return Err(invalid("invalid content-length in its answer"));
                    }
                    length = said;
                }
            } else if is(&header::TRANSFER_ENCODING) {
                encoding = Some(field.value);
            } else if is(&header::CONTENT_TYPE) {
                is_event_stream.get_or_insert_with(|| names_event_stream(field.value));
            } else if is(&header::CONNECTION) {
                let mut words = field
                    .value
                    .split(|byte| *byte == b',')
                    .map(<[u8]>::trim_ascii);
                says_close |= words
                    .clone()
                    .any(|word| word.eq_ignore_ascii_case(b"close"));
                says_keep |= words.any(|word| word.eq_ignore_ascii_case(b"keep-alive"));
            }
        }
        let has_no_body = status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        let is_chunked = |value: &[u8]| {
            let last = value
                .rsplit(|byte| *byte == b',')
                .next()
                .unwrap_or_default();
            last.trim_ascii().eq_ignore_ascii_case(b"chunked")
        };
        let decoder = match (encoding, length) {
            _ if has_no_body => Decoder::of_length(0),
            (Some(value), _) if is_chunked(value) => Decoder::chunked(),
            (Some(_), _) | (None, None) => Decoder::until_the_end(),
            (None, Some(length)) => Decoder::of_length(length),
        };
        Ok(Self {
            // Both at once, or an encoding of HTTP/1.0, is an attempt to smuggle or a defect: nothing
            // more is asked there.
            is_reusable: !says_close
                && (is_newer || says_keep && encoding.is_none())
                && !(encoding.is_some() && length.is_some()),
            decoder,
            is_event_stream: is_event_stream.unwrap_or(false),
        })
    }
}

fn names_event_stream(value: &[u8]) -> bool {
    value
        .trim_ascii_start()
        .get(..17)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream"))
}

fn no_http(error: httparse::Error) -> io::Error {
    invalid(&format!("the head of its answer is no HTTP: {error}"))
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_TYPE, LOCATION};
    use proptest::prelude::*;

    use super::*;

    /// What pieces of an answer give: in words, and what of them is left.
    fn parsed(pieces: &[&[u8]]) -> (String, Vec<u8>) {
        let (mut input, mut seen) = (BytesMut::new(), 0);
        for (index, piece) in pieces.iter().enumerate() {
            input.extend_from_slice(piece);
            match parse(&mut input, &mut seen) {
                Ok(None) => {}
                Ok(Some(parsed)) => {
                    let rest: Vec<u8> = pieces[index + 1..].concat();
                    let kind = parsed.head.get(&CONTENT_TYPE);
                    let words = format!(
                        "{} {:?} {} {} {kind:?}",
                        parsed.head.status().as_u16(),
                        parsed.decoder,
                        if parsed.is_reusable { "kept" } else { "closed" },
                        if parsed.head.is_event_stream() {
                            "stream"
                        } else {
                            "body"
                        },
                    );
                    return (words, [&input[..], &rest].concat());
                }
                Err(error) => return (error.to_string(), Vec::new()),
            }
        }
        ("more".to_owned(), input.to_vec())
    }

    #[test]
    fn heads_say_where_their_bodies_end() {
        let length = "invalid content-length in its answer";
        for (head, expected) in [
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n",
                "200 Decoder(Length { left: 5 }) kept body None",
            ),
            (
                "HTTP/1.1 200\r\nContent-Length: 5\r\ncontent-length: 5\r\n",
                "200 Decoder(Length { left: 5 }) kept body None",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
                "200 Decoder(Ended) kept body None",
            ),
            (
                "HTTP/1.1 200 OK\r\n",
                "200 Decoder(UntilTheEnd) kept body None",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n",
                "200 Decoder(Size) kept body None",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n",
                "200 Decoder(UntilTheEnd) kept body None",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n",
                "200 Decoder(Size) closed body None",
            ),
            (
                "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nConnection: x, Close\r\n",
                "202 Decoder(Ended) closed body None",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n",
                "200 Decoder(Length { left: 5 }) kept body None",
            ),
            (
                "\r\n\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n",
                "200 Decoder(Ended) kept body None",
            ),
            (
                "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n",
                "200 Decoder(Size) closed body None",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-type: a/b\r\ncontent-type: text/event-stream\r\n",
                "200 Decoder(Ended) kept body Some(\"a/b\")",
            ),
            (
                "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n",
                "200 Decoder(Ended) closed body None",
            ),
            (
                "HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: Keep-Alive\r\n",
                "200 Decoder(Ended) kept body None",
            ),
            (
                "HTTP/1.1 204 No Content\r\n",
                "204 Decoder(Ended) kept body None",
            ),
            (
                "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n",
                "304 Decoder(Ended) kept body None",
            ),
            (
                "HTTP/1.1 100 Continue\r\n",
                "100 Decoder(Ended) kept body None",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream; charset=utf-8\r\ncontent-length: 1\r\n",
                "200 Decoder(Length { left: 1 }) kept stream Some(\"Text/Event-Stream; charset=utf-8\")",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-type: text/event\r\ncontent-length: 1\r\n",
                "200 Decoder(Length { left: 1 }) kept body Some(\"text/event\")",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n",
                length,
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n", length),
            ("HTTP/1.1 200 OK\r\ncontent-length: +5\r\n", length),
            ("HTTP/1.1 200 OK\r\ncontent-length: \r\n", length),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n",
                length,
            ),
            (
                "HTTP/1.1 99 No\r\n",
                "the head of its answer is no HTTP: invalid response status",
            ),
        ] {
            let text = format!("{head}\r\nafter");
            let (words, left) = parsed(&[text.as_bytes()]);
            assert_eq!(words, expected, "{head:?}");
            assert!(left.is_empty() || left == b"after", "{head:?}");
            assert_eq!(parsed(&[head.as_bytes()]).0, "more", "{head:?}");
        }
    }

    #[test]
    fn what_is_no_http_is_told_at_its_first_bytes() {
        for bytes in [
            &b"HTTP/2"[..],
            b"h",
            b"\n\nHTX",
            b"\x15\x03\x01\x00\x02",
            b"-ERR\r\n",
            b"\rH",
        ] {
            let expected = "the head of its answer is no HTTP: invalid HTTP version";
            assert_eq!(parsed(&[bytes]).0, expected, "{bytes:?}");
        }
        for bytes in [&b""[..], b"\r", b"\r\n\r", b"HTTP/1", b"\nH"] {
            assert_eq!(parsed(&[bytes]).0, "more", "{bytes:?}");
        }
    }

    #[test]
    fn the_first_field_of_a_name_is_found() {
        let text = b"HTTP/1.1 307 Elsewhere\r\nLOCATION: /a\r\nlocation: /b\r\n\r\n";
        let head = parse(&mut BytesMut::from(&text[..]), &mut 0)
            .unwrap()
            .unwrap()
            .head;
        assert_eq!(head.get(&LOCATION).unwrap(), "/a");
        assert_eq!(head.get(&CONTENT_TYPE), None);
        assert_eq!(Head::default().get(&LOCATION), None);
    }

    #[test]
    fn a_head_is_bounded() {
        let too_large = "the head of its answer is too large";
        for text in [
            format!("HTTP/1.1 200 {}", "x".repeat(MOST_HEAD_BYTES)),
            format!(
                "HTTP/1.1 200 OK\r\na: {}\r\n\r\n",
                "x".repeat(MOST_HEAD_BYTES)
            ),
        ] {
            assert_eq!(parsed(&[text.as_bytes()]).0, too_large);
        }
        let fields = format!(
            "HTTP/1.1 200 OK\r\n{}\r\n",
            "a: b\r\n".repeat(MOST_FIELDS + 1)
        );
        assert_eq!(parsed(&[fields.as_bytes()]).0, too_large);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_head(
            start in prop_oneof![
                Just("HTTP/1.1 200 OK\r\n"), Just("\n\r\nHTTP/1.1 200 OK\r\n"), Just("\n\nHTX"), Just("\r"),
            ],
            lines in proptest::collection::vec(prop_oneof![
                Just("content-length: 5\r\n".to_owned()), Just("\r\n".to_owned()), Just("\n".to_owned()),
                Just("transfer-encoding: chunked\r\n".to_owned()), "[ -~]{0,12}", ".{0,3}",
            ], 0..8),
            cuts in proptest::collection::vec(0usize..120, 0..8),
        ) {
            let bytes = format!("{start}{}", lines.concat()).into_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let split: Vec<&[u8]> = cuts.windows(2).map(|two| &bytes[two[0]..two[1]]).collect();
            prop_assert_eq!(parsed(&[&bytes]), parsed(&split));
        }
    }
}
