//! Why a server could not be started, and what to do about it.

use std::path::{Path, PathBuf};

use super::server::LaunchSpec;

/// A server could not be started: program, place, what the system said, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("could not start `{program}`{}: {source}{hint}", cwd.as_ref().map(|cwd| format!(" in {}", cwd.display())).unwrap_or_default())]
pub struct StartError {
    /// The program that was asked for.
    pub program: String,
    /// Where it was to run, if not in mcpgate's own working directory.
    pub cwd: Option<PathBuf>,
    /// What the system said.
    pub source: std::io::Error,
    /// `; ` and what is likely wrong, or empty.
    hint: String,
}

impl StartError {
    pub(crate) fn explain(spec: &LaunchSpec, source: std::io::Error) -> Self {
        let hint = hint(spec, &source).map_or_else(String::new, |hint| format!("; {hint}"));
        Self {
            program: super::output::printable(&spec.program),
            cwd: spec.cwd.clone(),
            source,
            hint,
        }
    }

    /// The process table is another's: the server could be neither measured nor safely ended.
    pub(crate) fn without_table(spec: &LaunchSpec) -> Self {
        Self {
            hint: "; mount /proc for this PID namespace (`unshare --mount-proc`, `bwrap --proc \
                   /proc`)"
                .to_owned(),
            ..Self::explain(
                spec,
                std::io::Error::other(
                    "/proc is missing or shows the processes of another PID namespace, so the \
                     server could be neither measured nor safely ended",
                ),
            )
        }
    }
}

fn hint(spec: &LaunchSpec, error: &std::io::Error) -> Option<String> {
    use std::io::ErrorKind;
    if let Some(cwd) = &spec.cwd
        && !cwd.is_dir()
    {
        return Some("the working directory does not exist; see `cwd`".to_owned());
    }
    let has_path = spec.program.contains('/');
    let file = spec
        .cwd
        .as_deref()
        .unwrap_or(Path::new("."))
        .join(&spec.program);
    match error.kind() {
        ErrorKind::NotFound if spec.program.contains(' ') && !file.exists() => Some(
            "there is no such program; give program and arguments as separate words".to_owned(),
        ),
        ErrorKind::NotFound if !has_path => Some(
            "no program of that name is in PATH: is it installed, and is it spelt right?"
                .to_owned(),
        ),
        ErrorKind::NotFound if file.exists() => Some(
            "the file is there, so what is missing is the interpreter named in its first line \
             (or that line ends in a carriage return)"
                .to_owned(),
        ),
        ErrorKind::NotFound => {
            Some("there is no such file; relative paths start at the working directory".to_owned())
        }
        ErrorKind::PermissionDenied if file.is_dir() => Some("it is a directory".to_owned()),
        ErrorKind::PermissionDenied => Some("is it executable? try `chmod +x`".to_owned()),
        ErrorKind::ArgumentListTooLong => {
            Some("arguments and environment are too long together".to_owned())
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => Some(
            "it is not a program for this machine; a script needs `#!` in its first line"
                .to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "writes programs that cannot run")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::process::server::ServerProcess;

    fn refused(program: &str, cwd: Option<&Path>) -> String {
        let spec = LaunchSpec {
            program: program.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: cwd.map(Path::to_owned),
            stdio_pipes: true,
        };
        let text = ServerProcess::start(&spec).unwrap_err().to_string();
        cwd.map_or(text.clone(), |cwd| {
            text.replace(&cwd.display().to_string(), "CWD")
        })
    }

    #[tokio::test]
    async fn each_cause_has_its_own_advice() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, mode| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        file("plain", "#!/bin/sh\n", 0o644);
        file("no-interpreter", "#!/nowhere/python\n", 0o755);
        file("garbage", "\u{7f}neither\n", 0o755);
        let cwd = Some(folder.path());
        let texts = [
            refused("mcpgate-no-such-program", None),
            refused("node dist/index.js", None),
            refused("./absent\u{1b}[31m", cwd),
            refused("./plain", cwd),
            refused("./no-interpreter", cwd),
            refused("./garbage", cwd),
            refused("sh", Some(&folder.path().join("gone"))),
            refused("nul\0byte", None),
        ];
        insta::assert_snapshot!(texts.join("\n"), @r"
        could not start `mcpgate-no-such-program`: No such file or directory (os error 2); no program of that name is in PATH: is it installed, and is it spelt right?
        could not start `node dist/index.js`: No such file or directory (os error 2); there is no such program; give program and arguments as separate words
        could not start `./absent\u{1b}[31m` in CWD: No such file or directory (os error 2); there is no such file; relative paths start at the working directory
        could not start `./plain` in CWD: Permission denied (os error 13); is it executable? try `chmod +x`
        could not start `./no-interpreter` in CWD: No such file or directory (os error 2); the file is there, so what is missing is the interpreter named in its first line (or that line ends in a carriage return)
        could not start `./garbage` in CWD: Exec format error (os error 8); it is not a program for this machine; a script needs `#!` in its first line
        could not start `sh` in CWD: No such file or directory (os error 2); the working directory does not exist; see `cwd`
        could not start `nul\u{0}byte`: nul byte found in provided data
        ");
    }
}
