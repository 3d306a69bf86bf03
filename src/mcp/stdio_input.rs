//! Writing to a server's standard input.

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// The server's standard input. A line whose writer gave up half-way is finished by the next
/// writer, so that none is ever torn.
pub(super) struct Input {
    pipe: Box<dyn AsyncWrite + Send + Unpin>,
    /// What is left of the line that is being written.
    rest: Bytes,
    /// Whether the pipe holds a part of that line.
    is_begun: bool,
}

impl Input {
    pub(super) fn new(pipe: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self {
            pipe: Box::new(pipe),
            rest: Bytes::new(),
            is_begun: false,
        }
    }

    /// Writes a line (with its line end), after the rest of one that was begun.
    pub(super) async fn write(&mut self, line: Bytes) -> std::io::Result<()> {
        if self.is_begun {
            self.finish().await?;
        }
        self.rest = line;
        self.finish().await
    }

    async fn finish(&mut self) -> std::io::Result<()> {
        while self.rest.has_remaining() {
            let written = self.pipe.write(&self.rest).await?;
            if written == 0 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            self.is_begun = true;
            self.rest.advance(written);
        }
        self.is_begun = false;
        self.pipe.flush().await
    }
}
