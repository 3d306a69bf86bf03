//! Where the workflow goes, and whether it is wanted.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

use super::meet::interrupted;
use crate::{
    cli::{options, session::Run},
    error::Error,
    git::Git,
};

/// Where GitHub looks for workflows, from the top of the repository.
const WORKFLOW: &str = ".github/workflows/mcpgate.yml";

/// Where the workflow goes.
pub(super) struct WorkflowPlace {
    /// The file.
    pub(super) path: PathBuf,
    /// Where the project lies in its repository: empty at its top.
    pub(super) prefix: String,
    is_repository: bool,
}

impl WorkflowPlace {
    pub(super) async fn find(folder: &Path) -> Self {
        let git = Git::new(folder);
        // As a person would write it.
        let here = match folder == Path::new(".") {
            true => PathBuf::from(WORKFLOW),
            false => folder.join(WORKFLOW),
        };
        let (top, prefix) = (git.top().await, git.prefix().await);
        match (top, prefix) {
            (Ok(_), Some(prefix)) if prefix.is_empty() => Self {
                path: here,
                prefix,
                is_repository: true,
            },
            (Ok(top), Some(prefix)) => Self {
                path: top.join(WORKFLOW),
                prefix: prefix.trim_end_matches('/').to_owned(),
                is_repository: true,
            },
            _ => Self {
                path: here,
                prefix: String::new(),
                is_repository: false,
            },
        }
    }

    /// Whether it is worth a question: there is a repository without one, and somebody to answer.
    pub(super) fn may_be_offered(&self) -> bool {
        let somebody = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        somebody && self.is_repository && !self.path.exists()
    }
}

/// Asks whether the workflow is to be written.
pub(super) async fn ask(run: &mut Run, path: &Path) -> Result<bool, Error> {
    options::ask(&format!(
        "\nWrite {}, which measures each pull request? [y/N] ",
        path.display()
    ));
    // On a thread of its own, since the signals are taken by now, and Ctrl-C must end the waiting.
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    match run.interrupts.until(line).await {
        Some(Ok(Ok(line))) => Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes")),
        Some(_) => Ok(false),
        None => {
            // Behind the question's line.
            options::say("");
            Err(interrupted())
        }
    }
}
