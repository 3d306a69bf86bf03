//! Running commands in the open: each is printed before it runs.

use std::{path::Path, process::Command};

use crate::Failure;

/// Prints one line of progress.
pub(crate) fn say(line: &str) {
    eprintln!("xtask: {line}");
}

/// Prints and runs a command in `directory`; its output goes where ours goes.
pub(crate) fn run(directory: &Path, command: &mut Command) -> Result<(), Failure> {
    let line = display(command);
    say(&format!("$ {line}"));
    let status = command
        .current_dir(directory)
        .status()
        .map_err(|error| format!("could not start `{line}`: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{line}` failed ({status})"))
    }
}

/// What a command prints.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let line = display(command);
    let output = command
        .output()
        .map_err(|error| format!("could not start `{line}`: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("`{line}` failed ({})", output.status))
    }
}

/// The cargo that started us.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn display(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(std::ffi::OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}
