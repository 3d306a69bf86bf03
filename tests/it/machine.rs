//! Who has the machine: tests that measure must not run beside anything else.
#![expect(
    clippy::disallowed_methods,
    reason = "a test harness: a lock file keeps processes apart as well as threads"
)]

use std::{fs::File, path::Path};

/// Holds the machine, alone or shared, until it is dropped.
#[derive(Debug)]
pub(crate) struct Machine(#[expect(dead_code, reason = "held for its lock")] File);

impl Machine {
    /// Waits until nothing else of the test suite runs, and keeps it so.
    pub(crate) fn alone() -> Self {
        let file = lock_file();
        file.lock().expect("lock the machine");
        Self(file)
    }

    /// Waits until no test measures; others may run beside this one.
    pub(crate) fn shared() -> Self {
        let file = lock_file();
        file.lock_shared().expect("lock the machine");
        Self(file)
    }
}

/// Locks belong to an open file, so each holder opens its own.
fn lock_file() -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("machine.lock");
    File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn alone_means_alone() {
    let alone = Machine::alone();
    assert!(lock_file().try_lock_shared().is_err());
    drop(alone);
}
