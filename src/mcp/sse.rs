//! The event stream parser of `text/event-stream`: any split of the same bytes gives the same
//! events.
//!
//! Follows the HTML standard's event stream interpretation: lines end with LF, CR or CRLF; a
//! comment starts with a colon; several `data` lines are joined by LF; an event without data is
//! not dispatched (which is how priming events with an empty `data` are skipped).

use memchr::memchr2;

/// What one event carried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The `event` field; empty for `message`, which it is without one.
    pub name: String,
    /// The `data` fields, joined by line feeds; never empty.
    pub data: Vec<u8>,
}

/// An incremental parser. It holds the unfinished event only; the caller bounds the stream.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    after_cr: bool,
    at_start: bool,
    started: bool,
    name: String,
    data: Vec<u8>,
    has_data: bool,
    /// The last `id` field seen, for resumption.
    last_event_id: Option<String>,
    /// The last valid `retry` field seen, in milliseconds.
    retry_ms: Option<u64>,
}

impl SseParser {
    /// A parser at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes held for the unfinished event.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.line.len() + self.data.len()
    }

    /// The last `id` field seen.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// The last `retry` field seen, in milliseconds.
    #[must_use]
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Takes the next bytes and hands each event that they complete to `dispatch`.
    pub fn feed(&mut self, bytes: &[u8], mut dispatch: impl FnMut(Event)) {
        if !self.started && !bytes.is_empty() {
            self.started = true;
            self.at_start = true;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = memchr2(b'\n', b'\r', rest) else {
                self.line.extend_from_slice(rest);
                return;
            };
            self.after_cr = rest[end] == b'\r';
            let (last, behind) = (&rest[..end], &rest[end + 1..]);
            rest = behind;
            if self.line.is_empty() {
                self.take_line(last, &mut dispatch);
                continue;
            }
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(last);
            self.take_line(&line, &mut dispatch);
            self.line = line;
            self.line.clear();
        }
    }

    fn take_line(&mut self, line: &[u8], dispatch: &mut impl FnMut(Event)) {
        let line = if std::mem::take(&mut self.at_start) {
            line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
        } else {
            line
        };
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            let data = std::mem::take(&mut self.data);
            if std::mem::take(&mut self.has_data) && !data.is_empty() {
                dispatch(Event { name, data });
            }
            return;
        }
        let (field, value) = match line.iter().position(|b| *b == b':') {
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        match field {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"event" if value == b"message" => self.name.clear(),
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            b"id" if !value.contains(&0) => {
                self.last_event_id = Some(String::from_utf8_lossy(value).into_owned());
            }
            b"retry" => {
                if let Some(ms) = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok()) {
                    self.retry_ms = Some(ms);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events_of(chunks: &[&[u8]]) -> Vec<Event> {
        let mut parser = SseParser::new();
        let mut events = Vec::new();
        for chunk in chunks {
            parser.feed(chunk, |event| events.push(event));
        }
        events
    }

    fn data_of(stream: &str) -> Vec<String> {
        events_of(&[stream.as_bytes()])
            .into_iter()
            .map(|e| String::from_utf8(e.data).unwrap())
            .collect()
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        let table: [(&str, &[&str]); 10] = [
            ("data: a\n\n", &["a"]),
            ("data:a\r\n\r\n", &["a"]),
            ("data: a\r\rdata: b\r\r", &["a", "b"]),
            ("data: a\ndata: b\n\n", &["a\nb"]),
            (": comment\n\ndata: a\n\n", &["a"]),
            ("id: 1\ndata:\n\ndata: a\n\n", &["a"]),
            ("data: unfinished\n", &[]),
            ("\u{feff}data: a\n\n", &["a"]),
            (
                "event: message\ndata: {\"x\": 1}\nid: 7\nretry: 500\n\n",
                &["{\"x\": 1}"],
            ),
            ("data:  two spaces\n\n", &[" two spaces"]),
        ];
        for (stream, expected) in table {
            assert_eq!(data_of(stream), expected, "{stream:?}");
        }
    }

    #[test]
    fn a_name_is_that_of_its_event_and_a_message_has_none() {
        let stream =
            b"event: endpoint\ndata: a\n\nevent: endpoint\nevent: message\ndata: b\n\ndata: c\n\n";
        let events = events_of(&[stream]);
        let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!(names, ["endpoint", "", ""]);
    }

    #[test]
    fn id_and_retry_are_kept_for_resumption() {
        let mut parser = SseParser::new();
        parser.feed(b"id: abc\nretry: 250\ndata:\n\n", |_| {});
        assert_eq!(parser.last_event_id(), Some("abc"));
        assert_eq!(parser.retry_ms(), Some(250));
        parser.feed(b"retry: soon\n\n", |_| {});
        assert_eq!(parser.retry_ms(), Some(250));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(
            pieces in proptest::collection::vec(prop_oneof![
                Just("data: x\n".to_owned()), Just("\n".to_owned()), Just("\r\n".to_owned()),
                Just("\r".to_owned()), Just(": c\n".to_owned()), Just("id:1\n".to_owned()), ".{0,8}",
            ], 0..30),
            cuts in proptest::collection::vec(0usize..400, 0..8),
        ) {
            let bytes = pieces.concat().into_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.push(0);
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(events_of(&[&bytes]), events_of(&chunks));
        }
    }
}
