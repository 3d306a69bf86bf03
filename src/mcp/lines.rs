//! Framing of lines: any split of the same bytes gives the same lines.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

/// Cuts a byte stream into lines, holding at most one unfinished line of bounded length.
#[derive(Debug)]
pub struct LineFramer {
    buffer: BytesMut,
    /// Bytes at the front that hold no newline, so that none is scanned twice.
    scanned: usize,
    limit: usize,
}

/// A line grew beyond the limit before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineTooLong {
    /// The limit in bytes.
    pub limit: usize,
}

impl LineFramer {
    /// A framer for lines of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::with_capacity(64 << 10),
            scanned: 0,
            limit,
        }
    }

    /// Where the next bytes are to be read into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        self.buffer.reserve(16 << 10);
        &mut self.buffer
    }

    /// Whether a line has begun that has not ended.
    #[must_use]
    pub fn is_inside_line(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next whole line without its end (`\n` or `\r\n`).
    ///
    /// # Errors
    /// When the unfinished line is longer than the limit; the stream cannot be followed then.
    pub fn next_line(&mut self) -> Result<Option<Bytes>, LineTooLong> {
        let too_long = LineTooLong { limit: self.limit };
        let Some(offset) = memchr(b'\n', &self.buffer[self.scanned..]) else {
            self.scanned = self.buffer.len();
            return if self.scanned > self.limit {
                Err(too_long)
            } else {
                Ok(None)
            };
        };
        let end = self.scanned + offset;
        if end > self.limit {
            return Err(too_long);
        }
        let mut line = self.buffer.split_to(end);
        self.buffer.advance(1);
        self.scanned = 0;
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        Ok(Some(line.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines_of(chunks: &[&[u8]], limit: usize) -> Result<Vec<Vec<u8>>, LineTooLong> {
        let mut framer = LineFramer::new(limit);
        let mut lines = Vec::new();
        for chunk in chunks {
            framer.buffer().extend_from_slice(chunk);
            while let Some(line) = framer.next_line()? {
                lines.push(line.to_vec());
            }
        }
        Ok(lines)
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(0usize..200, 0..8),
        ) {
            let whole = lines_of(&[&bytes], 1000);
            let mut cuts: Vec<_> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.push(0);
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(whole, lines_of(&chunks, 1000));
        }
    }

    #[test]
    fn a_line_longer_than_the_limit_is_refused_before_it_ends() {
        assert_eq!(lines_of(&[b"12345"], 4), Err(LineTooLong { limit: 4 }));
        assert_eq!(lines_of(&[b"1234\n5"], 4), Ok(vec![b"1234".to_vec()]));
        assert_eq!(lines_of(&[b"12345\n"], 4), Err(LineTooLong { limit: 4 }));
    }
}
