//! What a task needs of the machine, checked before anything is done.

use std::{io::ErrorKind, process::Command};

use crate::Failure;

/// A program that must be there in a certain version.
pub(crate) struct Program {
    name: &'static str,
    /// Prints the version, and what else tells one installation of it from another, when all
    /// parts that we need are there.
    probe: &'static [&'static str],
    minimum: Version,
    how_to_get: &'static str,
}

/// Major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

pub(crate) const NODE: Program = Program {
    name: "Node.js",
    probe: &["node", "--version"],
    minimum: Version(20, 0),
    how_to_get: "install it from nodejs.org or a package manager (`brew install node`, \
                 `apt-get install nodejs npm` where that is new enough)",
};

pub(crate) const NPM: Program = Program {
    name: "npm",
    probe: &["npm", "--version"],
    minimum: Version(9, 0),
    how_to_get: "it comes with Node.js (on Debian as a package of its own: `apt-get install npm`)",
};

pub(crate) const PYTHON: Program = Program {
    name: "Python with venv and pip",
    probe: &[
        "python3",
        "-c",
        "import ensurepip, sys, venv; print('%d.%d.%d' % sys.version_info[:3], sys.base_prefix)",
    ],
    minimum: Version(3, 11),
    how_to_get: "install it from python.org or a package manager (`brew install python`, \
                 `apt-get install python3 python3-venv`)",
};

pub(crate) const BASH: Program = Program {
    name: "bash",
    probe: &["bash", "-c", "echo $BASH_VERSION"],
    minimum: Version(3, 2),
    how_to_get: "install it from a package manager (`apt-get install bash`)",
};

pub(crate) const CURL: Program = Program {
    name: "curl",
    probe: &["curl", "--version"],
    minimum: Version(7, 52),
    how_to_get: "install it from a package manager (`apt-get install curl`)",
};

pub(crate) const CXX: Program = Program {
    name: "a C++ compiler",
    probe: &["c++", "--version"],
    minimum: Version(5, 0),
    how_to_get: "install it from a package manager (`xcode-select --install`, \
                 `apt-get install g++`)",
};

pub(crate) const CHROMIUM: Program = Program {
    name: "Chromium",
    probe: &["chromium", "--version"],
    minimum: Version(120, 0),
    how_to_get: "install it from a package manager (`apt-get install chromium`)",
};

pub(crate) const GIT: Program = Program {
    name: "git",
    probe: &["git", "--version"],
    minimum: Version(2, 31),
    how_to_get: "install it from git-scm.com or a package manager (`apt-get install git`)",
};

/// Versions as found, one line a program; or one message that names everything missing.
pub(crate) fn check(needed_for: &str, programs: &[Program]) -> Result<String, Failure> {
    let mut found = String::new();
    let mut missing = Vec::new();
    for program in programs {
        match judge(program, probe(program.probe)) {
            Ok(version) => {
                found.push_str(program.name);
                found.push(' ');
                found.push_str(&version);
                found.push('\n');
            }
            Err(problem) => missing.push(format!(
                "  - {} {}.{} or later: {problem}\n    {}",
                program.name, program.minimum.0, program.minimum.1, program.how_to_get
            )),
        }
    }
    if missing.is_empty() {
        Ok(found)
    } else {
        Err(format!(
            "{needed_for} needs what this machine does not have; nothing was run.\n{}",
            missing.join("\n")
        ))
    }
}

/// What came of asking a program for its version.
enum Answer {
    Printed(String),
    Failed(String),
    NotFound,
}

fn probe(command: &[&str]) -> Answer {
    let [program, arguments @ ..] = command else {
        return Answer::NotFound;
    };
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => {
            Answer::Printed(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            Answer::Failed(
                stderr
                    .trim()
                    .lines()
                    .last()
                    .unwrap_or("no reason")
                    .to_owned(),
            )
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Answer::NotFound,
        Err(error) => Answer::Failed(error.to_string()),
    }
}

fn judge(program: &Program, answer: Answer) -> Result<String, String> {
    let command = program.probe.first().unwrap_or(&"");
    match answer {
        Answer::NotFound => Err(format!("`{command}` is not on the PATH")),
        Answer::Failed(reason) => Err(format!("`{command}` is there but failed: {reason}")),
        Answer::Printed(text) => match parse_version(&text) {
            Some(version) if version >= program.minimum => Ok(text),
            Some(_) => Err(format!("`{command}` is {text}")),
            None => Err(format!("`{command}` did not tell its version but {text:?}")),
        },
    }
}

/// The first word that is a version: some programs say their name before it.
fn parse_version(text: &str) -> Option<Version> {
    text.split_whitespace().find_map(|word| {
        let mut parts = word.strip_prefix('v').unwrap_or(word).split('.');
        Some(Version(
            parts.next()?.parse().ok()?,
            parts.next()?.parse().ok()?,
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_print_them() {
        for (text, expected) in [
            ("v20.20.2", Some(Version(20, 20))),
            ("11.19.1", Some(Version(11, 19))),
            ("3.11.7 /usr/local", Some(Version(3, 11))),
            ("3.11", Some(Version(3, 11))),
            ("git version 2.39.5 (Apple Git-154)", Some(Version(2, 39))),
            (
                "Chromium 156.0.8078.108 built on Debian GNU/Linux 12",
                Some(Version(156, 0)),
            ),
            ("5.2.15(1)-release", Some(Version(5, 2))),
            (
                "curl 8.5.0 (x86_64-pc-linux-gnu) libcurl/8.5.0",
                Some(Version(8, 5)),
            ),
            ("3", None),
            ("", None),
            ("v.1 of it", None),
        ] {
            assert_eq!(parse_version(text), expected, "{text:?}");
        }
    }

    #[test]
    fn an_older_or_broken_program_counts_as_missing() {
        let printed = |text: &str| judge(&PYTHON, Answer::Printed(text.to_owned()));
        assert_eq!(printed("3.11"), Ok("3.11".to_owned()));
        assert_eq!(printed("3.9"), Err("`python3` is 3.9".to_owned()));
        assert_eq!(printed("4.0"), Ok("4.0".to_owned()));
        assert_eq!(
            judge(&PYTHON, Answer::NotFound),
            Err("`python3` is not on the PATH".to_owned())
        );
        assert_eq!(
            judge(&PYTHON, Answer::Failed("no ensurepip".to_owned())),
            Err("`python3` is there but failed: no ensurepip".to_owned())
        );
    }

    #[test]
    fn the_message_names_everything_missing_at_once() {
        let absent = |name| Program {
            name,
            probe: &["mcpgate-no-such-program"],
            minimum: Version(1, 0),
            how_to_get: "write it",
        };
        let message = check("a test", &[absent("One"), absent("Two")]).unwrap_err();
        assert_eq!(
            message,
            "a test needs what this machine does not have; nothing was run.\n  \
             - One 1.0 or later: `mcpgate-no-such-program` is not on the PATH\n    write it\n  \
             - Two 1.0 or later: `mcpgate-no-such-program` is not on the PATH\n    write it"
        );
    }
}
