//! What a server writes beside the protocol: always read, so that the server never blocks on a
//! full pipe; only the last part is kept; made printable before anyone sees it.

use std::{
    collections::VecDeque,
    fs::File,
    io::Read,
    os::fd::OwnedFd,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use crate::suite::visible::{is_mark, is_seen};

/// Most that is kept of a server's output.
const KEPT_BYTES: usize = 8 << 10;
/// Most that is shown.
const SHOWN_LINES: usize = 20;
/// Most characters of a line that are shown.
const SHOWN_CHARACTERS: usize = 300;
/// Values of at least this length are hidden by the name of their variable.
const SECRET_LENGTH: usize = 8;

/// The last part of what a server wrote.
#[derive(Debug, Clone, Default)]
pub(crate) struct OutputTail(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    /// Something was dropped at the front.
    cut: bool,
    /// Pipes still read.
    open: usize,
}

impl OutputTail {
    /// Reads a pipe to its end on a thread of its own: a server that floods it then costs the
    /// thread that measures nothing, and is read even while that thread is busy.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub(crate) fn drain(&self, pipe: OwnedFd) -> std::io::Result<()> {
        let shared = Arc::clone(&self.0);
        shared.lock().open += 1;
        let reader = std::thread::Builder::new()
            .name("server-output".to_owned())
            .spawn(move || {
                let mut pipe = File::from(pipe);
                let mut buffer = [0; 16 << 10];
                loop {
                    match pipe.read(&mut buffer) {
                        Ok(0) => break,
                        Ok(read) => shared.lock().push(buffer.get(..read).unwrap_or_default()),
                        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                        Err(_) => break,
                    }
                }
                shared.lock().open -= 1;
                shared.ended.notify_all();
            });
        match reader {
            Ok(_) => Ok(()),
            Err(error) => {
                self.0.lock().open -= 1;
                Err(error)
            }
        }
    }

    /// Waits until everything written has been read, or for `limit`. To be called once the server
    /// has ended; an orphan may hold the pipe open for longer.
    pub(crate) fn wait_for_end(&self, limit: Duration) {
        let state = self.0.lock();
        drop(
            self.0
                .ended
                .wait_timeout_while(state, limit, |state| state.open > 0),
        );
    }

    /// The last lines, printable. Values of `environment` that are long enough to be a secret are
    /// replaced by `${NAME}`.
    pub(crate) fn text(&self, environment: &[(String, String)]) -> String {
        let (bytes, cut) = {
            let state = self.0.lock();
            (Vec::from(state.bytes.clone()), state.cut)
        };
        render(&bytes, cut, environment)
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, bytes: &[u8]) {
        let kept = bytes
            .get(bytes.len().saturating_sub(KEPT_BYTES)..)
            .unwrap_or_default();
        let room = KEPT_BYTES - kept.len();
        let surplus = self.bytes.len().saturating_sub(room);
        self.cut |= surplus > 0 || kept.len() < bytes.len();
        self.bytes.drain(..surplus);
        self.bytes.extend(kept);
    }
}

fn render(bytes: &[u8], cut: bool, environment: &[(String, String)]) -> String {
    let plain = anstream::adapter::strip_bytes(bytes).into_vec();
    let mut text = String::from_utf8_lossy(&plain).into_owned();
    for (name, value) in environment {
        if value.len() >= SECRET_LENGTH {
            text = text.replace(value.as_str(), &format!("${{{name}}}"));
        }
    }
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    if cut && lines.len() > 1 {
        // The first line has lost its beginning.
        lines.remove(0);
    }
    lines.retain(|line| !line.is_empty());
    let first = lines.len().saturating_sub(SHOWN_LINES);
    lines
        .into_iter()
        .skip(first)
        .map(|line| {
            let mut shown: String = line.chars().take(SHOWN_CHARACTERS).collect();
            if shown.len() < line.len() {
                shown.push('…');
            }
            printable(&shown)
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Text that cannot steer a terminal or reorder what is around it, nor pass for another: what is neither
/// seen nor a mark on a letter is escaped as `\u{…}`, a tab becomes a space.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => shown.push(' '),
            _ if is_seen(character) || is_mark(character) => shown.push(character),
            _ => shown.extend(character.escape_unicode()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept_and_it_is_the_end() {
        let mut state = State::default();
        for length in [
            1,
            100,
            KEPT_BYTES - 1,
            KEPT_BYTES,
            KEPT_BYTES + 1,
            70_000,
            3,
        ] {
            let chunk: Vec<u8> = (0..length)
                .map(|n| u8::try_from(n % 251).unwrap())
                .collect();
            state.push(&chunk);
            assert!(state.bytes.len() <= KEPT_BYTES);
            let kept = chunk.len().min(KEPT_BYTES);
            let tail: Vec<u8> = state.bytes.iter().rev().take(kept).rev().copied().collect();
            assert_eq!(tail, chunk[chunk.len() - kept..]);
        }
        assert!(state.cut);
        assert_eq!(state.bytes.len(), KEPT_BYTES);
    }

    #[test]
    fn hostile_output_is_printable() {
        let bytes = b"\x1b[31mred\x1b[0m\r\nbell\x07 \xff\n\n\xe2\x80\xaeright to left\ttab\n\x1b]0;title\x07end";
        insta::assert_snapshot!(render(bytes, false, &[]), @r"
        red
        bell
        \u{202e}right to left tab
        end
        ");
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(
            printable("a\u{200b}b\u{202e}c\u{2060}d\u{feff}e\u{e0041}\tf\u{7}é"),
            "a\\u{200b}b\\u{202e}c\\u{2060}d\\u{feff}e\\u{e0041} f\\u{7}é"
        );
    }

    #[test]
    fn secrets_are_named_not_shown() {
        let environment = [
            ("TOKEN".to_owned(), "s3cr3t-value".to_owned()),
            ("PORT".to_owned(), "4000".to_owned()),
        ];
        assert_eq!(
            render(b"no access with s3cr3t-value at 4000", false, &environment),
            "no access with ${TOKEN} at 4000"
        );
    }

    #[test]
    fn the_last_twenty_lines_are_shown_and_a_torn_one_is_not() {
        let many: String = (0..30).map(|n| format!("line {n}\n")).collect();
        let shown = render(many.as_bytes(), false, &[]);
        assert_eq!(shown.lines().count(), SHOWN_LINES);
        assert!(shown.starts_with("line 10\n") && shown.ends_with("line 29"));
        assert_eq!(render(b"orn\nwhole", true, &[]), "whole");
        assert_eq!(render(b"a torn line only", true, &[]), "a torn line only");
        let long = "é".repeat(1000);
        let shown = render(long.as_bytes(), false, &[]);
        assert_eq!(shown.chars().count(), SHOWN_CHARACTERS + 1);
        assert!(shown.ends_with('…'));
    }
}
