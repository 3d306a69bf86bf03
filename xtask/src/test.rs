//! `cargo xtask test`: everything.

use std::path::Path;

use crate::{Failure, install, shell};

/// Sets up what the tests need and runs them all, or those that `arguments` choose.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<(), Failure> {
    install::servers(root)?;
    shell::run(
        root,
        shell::cargo()
            .args(["test", "--workspace", "--locked", "--no-fail-fast"])
            .args(arguments),
    )
}
