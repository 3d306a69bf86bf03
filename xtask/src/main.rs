//! Project tasks: `cargo xtask help` lists them.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a task runner: it prints what it does and touches files and the environment"
)]

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

mod fuzz;
mod install;
mod lint;
mod prerequisites;
mod shell;
mod study;
mod test;
mod workflows;

/// Why a task ended early: one message for a person.
type Failure = String;

const HELP: &str = "\
Tasks of the mcpgate project:

  cargo xtask test [ARGS]   set up everything that is needed, then run every test
                            (ARGS go to `cargo test`)
  cargo xtask setup         only install what the end-to-end tests measure and run
  cargo xtask fuzz SECONDS  build the fuzzers of the parsers, and run each for so long
  cargo xtask study [PAIRS [SUITES]]
                            record pairs of rounds of four servers, quiet and busy, and print how
                            often the decision is right on them (takes about an hour)
  cargo xtask lint          formatting, clippy, rustdoc, dependencies (cargo-deny), the action and
                            the workflows
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (task, rest) = arguments
        .split_first()
        .map_or(("help", [].as_slice()), |(task, rest)| {
            (task.as_str(), rest)
        });
    let outcome = match (task, rest) {
        ("test", _) => test::run(&root(), rest),
        ("fuzz", [seconds]) => fuzz::run(&root(), seconds),
        ("study", _) => study::run(&root(), rest),
        ("setup", []) => install::all(&root()),
        ("lint", []) => lint::run(&root()),
        ("help" | "--help" | "-h", []) => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(format!(
            "unknown task or arguments: {}\n\n{HELP}",
            arguments.join(" ")
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's root.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
