//! `cargo xtask test`: everything.

use std::path::Path;

use crate::{Failure, install, prerequisites, shell};

/// Sets up what the tests need and runs them all, or those that `arguments` choose.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<(), Failure> {
    prerequisites::check(
        "testing the action",
        &[prerequisites::BASH, prerequisites::CURL, prerequisites::GIT],
    )?;
    install::all(root)?;
    shell::run(
        root,
        shell::cargo()
            .args(["test", "--workspace", "--locked", "--no-fail-fast"])
            .args(arguments),
    )
}
