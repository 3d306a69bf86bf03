//! `cargo xtask lint`: everything that is checked without running the product.

use std::{path::Path, process::Command};

use crate::{Failure, install, shell, workflows};

/// Formatting, the action and the workflows, clippy, rustdoc, cargo-deny; stops at the first that
/// fails. What is missing on the machine is told before any of them.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let cargo_deny = install::cargo_deny(root)?;
    let workflow_tools = install::workflow_tools(root)?;
    let cargo = |arguments: &str| {
        let mut command = shell::cargo();
        command.args(arguments.split(' '));
        command
    };
    shell::run(root, &mut cargo("fmt --all --check"))?;
    shell::run(&root.join("fuzz"), &mut cargo("fmt --check"))?;
    workflows::lint(root, &workflow_tools)?;
    shell::run(
        root,
        &mut cargo("clippy --workspace --all-targets --locked -- -D warnings"),
    )?;
    shell::run(
        root,
        cargo("doc --workspace --no-deps --document-private-items --locked")
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    // cargo-deny reads the crates' manifests, also those of other systems, and must not ask for
    // them itself: it runs without the network.
    shell::run(root, &mut cargo("fetch --locked"))?;
    shell::run(
        root,
        Command::new(cargo_deny).args(["--offline", "check", "bans", "licenses", "sources"]),
    )?;
    shell::say(
        "security advisories are not checked here: they need their database, a Git repository; \
         `cargo deny check advisories` reads it where the network allows",
    );
    Ok(())
}
