//! `cargo xtask fuzz`: the parsers of what servers send, under libFuzzer, for a bounded time.
//!
//! `cargo fuzz` does the same with more sanitizers and without an end; this needs only the
//! project's own toolchain and a C++ compiler, since the parsers hold no unsafe code that an
//! address sanitizer could watch.

use std::{fs, path::Path, process::Command};

use crate::{Failure, prerequisites, shell};

const TARGETS: [&str; 4] = ["sse", "lines", "message", "http1"];

/// What lets libFuzzer see which paths an input takes.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cdebug-assertions=yes -Coverflow-checks=yes";

/// Runs every target for `seconds`, from the stored corpus on.
pub(crate) fn run(root: &Path, seconds: &str) -> Result<(), Failure> {
    let seconds: u32 = seconds
        .parse()
        .map_err(|_| format!("`{seconds}` is no number of seconds"))?;
    prerequisites::check("building the fuzzers", &[prerequisites::CXX])?;
    let fuzz = root.join("fuzz");
    let host = shell::output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let target = root.join("target/fuzz");
    shell::run(
        &fuzz,
        shell::cargo()
            .args(["build", "--release", "--locked", "--bins", "--target"])
            .arg(host.trim())
            .arg("--target-dir")
            .arg(&target)
            // For the target only: a build script that is instrumented does not link.
            .env("RUSTFLAGS", FLAGS),
    )?;
    for name in TARGETS {
        let found = target.join("found").join(name);
        let corpus = target.join("corpus").join(name);
        for folder in [&found, &corpus] {
            fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        }
        let program = target.join(host.trim()).join("release").join(name);
        shell::run(
            &fuzz,
            Command::new(program)
                .arg(format!("-max_total_time={seconds}"))
                .args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=1024"])
                .args(["-print_final_stats=1", "-verbosity=0"])
                .arg(format!("-artifact_prefix={}/", found.display()))
                .arg(&corpus)
                .arg(fuzz.join("corpus").join(name)),
        )
        .map_err(|failure| {
            format!(
                "{failure}\nwhat broke {name} is in {}; make a row of a test of it",
                found.display()
            )
        })?;
    }
    Ok(())
}
