//! The user's own commands around server starts: `build` and `setup` once, `reset` before each start.
//!
//! What a hook leaves in the background (a database, say) lives as long as it is needed: what
//! `setup` started to the end of the run, what `reset` started to the next `reset`.

use std::{cell::RefCell, collections::BTreeMap, path::PathBuf};

use tokio::time::{Duration, timeout};

use super::failure::{self, RunFailure};
use crate::process::{LaunchSpec, ServerProcess, StopLimits};

/// How long a hook may take.
const HOOK_TIMEOUT: Duration = Duration::from_mins(5);
/// How long building a server may take.
const BUILD_TIMEOUT: Duration = Duration::from_mins(30);

/// Shell commands of `[server]`.
#[derive(Debug, Default)]
pub struct Hooks {
    /// Run once, before the first server start.
    pub setup: Option<String>,
    /// Run before each server start.
    pub reset: Option<String>,
    /// Where they run.
    pub cwd: Option<PathBuf>,
    /// Added to their environment: the same as the server's, without `{port}`.
    pub env: Vec<(String, crate::suite::Secret)>,
    /// Hooks that left something in the background; dropping them ends it.
    pub left: RefCell<BTreeMap<&'static str, ServerProcess>>,
}

impl Hooks {
    /// Builds the server by `command`; what that leaves in the background is ended.
    ///
    /// # Errors
    /// When it cannot be started, fails, or does not end in time.
    pub async fn build(&self, command: &str) -> Result<(), RunFailure> {
        let built = self.run("build", Some(command), BUILD_TIMEOUT).await;
        drop(self.left.borrow_mut().remove("build"));
        built
    }

    /// Runs `setup`.
    ///
    /// # Errors
    /// When it cannot be started, fails, or does not end in time.
    pub async fn setup(&self) -> Result<(), RunFailure> {
        self.run("setup", self.setup.as_deref(), HOOK_TIMEOUT).await
    }

    /// Runs `reset`.
    ///
    /// # Errors
    /// When it cannot be started, fails, or does not end in time.
    pub async fn reset(&self) -> Result<(), RunFailure> {
        self.run("reset", self.reset.as_deref(), HOOK_TIMEOUT).await
    }

    async fn run(
        &self,
        name: &'static str,
        command: Option<&str>,
        patience: Duration,
    ) -> Result<(), RunFailure> {
        let Some(command) = command else {
            return Ok(());
        };
        let spec = LaunchSpec {
            program: "sh".to_owned(),
            args: vec!["-c".to_owned(), command.to_owned()],
            env: self
                .env
                .iter()
                .map(|(name, value)| (name.clone(), value.expose().to_owned()))
                .collect(),
            cwd: self.cwd.clone(),
            stdio_pipes: false,
        };
        drop(self.left.borrow_mut().remove(name));
        let mut process = ServerProcess::start(&spec).map_err(RunFailure::Start)?;
        let ended = timeout(patience, process.exited()).await;
        let problem = match ended {
            Ok(status) if status.success() => {
                if process.leaves_something() {
                    self.left.borrow_mut().insert(name, process);
                }
                return Ok(());
            }
            Ok(status) => format!("`{command}` {}", failure::ended(status)),
            Err(_) => format!(
                "`{command}` did not end within {}",
                humantime::format_duration(patience)
            ),
        };
        let tail = process.output_tail();
        process.stop(StopLimits::default()).await;
        Err(RunFailure::Hook {
            name,
            problem,
            tail,
        })
    }
}
