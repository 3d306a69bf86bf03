//! `--against` and `--base-command`: the server that is measured in turn with this one.

use std::path::{Path, PathBuf};

use super::{
    base_tree::BaseTree,
    files::{self, CONFIG, Loaded},
    measure,
    options::{Measuring, say},
    progress::Progress,
};
use crate::{
    error::Error,
    git::Git,
    runner::hooks::Hooks,
    suite::{Config, Secret, ServerConfig},
};

/// The commit that this work tree's branch left the main branch at.
pub(super) const MERGE_BASE: &str = "merge-base";

/// The same where `[server]` says how another commit is built, else nothing.
pub(super) const AUTO: &str = "auto";

/// What the user wants to be compared with.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// A commit, by the name that the user gave it.
    Commit {
        /// `main`, `merge-base`, a tag, a commit.
        name: String,
        /// Where it is known already.
        sha: Option<String>,
    },
    /// A server that a command starts; this work tree is built before.
    Command(Vec<String>),
    /// This server, by its command, as it stands there.
    Itself(Vec<String>),
}

/// The base, ready to be measured.
pub(super) struct Base {
    /// What the user calls it.
    pub(super) name: String,
    /// Its commit, where it is one.
    pub(super) commit: Option<String>,
    /// How it is started.
    pub(super) server: ServerConfig,
    /// Its configuration, with its folder.
    pub(super) loaded: Loaded,
    /// Tools that its own configuration declares and this one does not.
    pub(super) removed_tools: Vec<String>,
    /// Its files; they go when this does.
    tree: Option<BaseTree>,
}

/// A commit that was found.
pub(super) struct Found {
    pub(super) name: String,
    sha: String,
    git: Git,
    top: PathBuf,
}

/// Reads `--base-command`, a command line with the quotes of a shell.
pub(super) fn command(line: &str) -> Result<Wanted, Error> {
    match shlex::split(line).filter(|words| !words.is_empty()) {
        Some(words) => Ok(Wanted::Command(words)),
        None => Err(Error::Usage(format!(
            "--base-command: `{line}` is no command line: a quote is open, or there is nothing"
        ))),
    }
}

/// Finds the commit that `name` stands for, in the clone that `folder` lies in.
pub(super) async fn find(name: &str, known: Option<String>, folder: &Path) -> Result<Found, Error> {
    let git = Git::new(folder);
    let top = git.top().await.map_err(|problem| {
        Error::Usage(format!(
            "--against needs a git work tree to take another commit's files from: {problem}"
        ))
    })?;
    let sha = if let Some(sha) = known {
        sha
    } else if name == MERGE_BASE {
        let branch = git.default_branch().await.ok_or_else(|| {
            Error::Usage(
                "--against merge-base: the clone has neither origin/HEAD nor a branch main or master: \
                 name the branch, such as --against develop"
                    .to_owned(),
            )
        })?;
        git.merge_base("HEAD", &branch).await.ok_or_else(|| {
            Error::Usage(format!(
                "--against merge-base: the clone does not reach back to where HEAD left {branch}: \
                 fetch its history (actions/checkout: `fetch-depth: 0`), or name a commit"
            ))
        })?
    } else {
        git.commit(name).await.ok_or_else(|| {
            Error::Usage(format!(
                "--against {name}: the clone has no such branch, tag or commit: fetch it first \
                 (`git fetch origin {name}`)"
            ))
        })?
    };
    Ok(Found {
        name: name.to_owned(),
        sha,
        git,
        top,
    })
}

/// Writes the files of a commit, and reads how its server is started: by its own configuration, by
/// this one where it has none, and by the command line before both.
pub(super) async fn check_out(
    found: Found,
    measuring: &Measuring,
    here: &Loaded,
    server: &ServerConfig,
) -> Result<Base, Error> {
    let prefix = found.git.prefix().await.unwrap_or_default();
    let file = measuring.config.as_deref().unwrap_or(Path::new(CONFIG));
    let made_by = server.build.as_ref().map(|build| {
        // What comes from outside may be secret, and is not even hashed.
        let plain = |value: &Secret| match value.from_variables().next() {
            Some(_) => String::new(),
            None => value.expose().to_owned(),
        };
        let env = server.env.iter().map(|(name, value)| (name, plain(value)));
        let env: Vec<_> = env.collect();
        format!(
            "{build}\n{:?}",
            (&prefix, file.file_name(), &server.cwd, env)
        )
    });
    let tree = BaseTree::of(&found.top, &found.sha, made_by.as_deref()).await?;
    let there = tree.path().join(&prefix);
    let own = match file.file_name() {
        Some(name) if measuring.command.is_empty() => own_config(&there.join(name)),
        _ => None,
    };
    let removed_tools = own.as_ref().map(|own| {
        let is_here = |name: &str| here.config.tools.iter().any(|tool| tool.name == name);
        let names = own.tools.iter().map(|tool| tool.name.clone());
        names.filter(|name| !is_here(name)).collect()
    });
    let mut loaded = Loaded {
        config: Config {
            server: own
                .and_then(|own| own.server)
                .or(here.config.server.clone()),
            ..here.config.clone()
        },
        folder: Some(there.clone()),
    };
    let server = if measuring.command.is_empty() {
        measure::merge(measuring, &mut loaded)?
    } else {
        server.clone()
    };
    let root = std::path::absolute(&found.top).unwrap_or(found.top);
    let physical = root.canonicalize().unwrap_or_else(|_| root.clone());
    let of_this_tree = |word: &&String| {
        let path = Path::new(word);
        let is_there = |path: &Path| path.starts_with(&root) || path.starts_with(&physical);
        // By a link to it as well, and within a word: `--import=/…`, `sh -c "node /…"`.
        let by_link = path.is_absolute() && path.canonicalize().is_ok_and(|path| is_there(&path));
        let inside = [&root, &physical].map(|root| format!("{}/", root.display()));
        by_link || is_there(path) || inside.iter().any(|root| word.contains(root))
    };
    let words = server.command.iter().flatten();
    if let Some(word) = words.clone().find(of_this_tree) {
        return Err(Error::Usage(format!(
            "the server's command names {word}, a file of this work tree, by its whole path: the \
             base would run it too. Write it relative to the folder of the configuration"
        )));
    }
    Ok(Base {
        name: found.name,
        commit: Some(found.sha),
        server,
        loaded,
        removed_tools: removed_tools.unwrap_or_default(),
        tree: Some(tree),
    })
}

/// The configuration of the base's own tree; `None` where there is none that can be read.
fn own_config(path: &Path) -> Option<Config> {
    if !path.is_file() {
        return None;
    }
    match files::load_config(Some(path)) {
        Ok(loaded) => Some(loaded.config),
        Err(_) => {
            say(
                "note: the base's configuration cannot be read by this mcpgate: its server is started as this one is",
            );
            None
        }
    }
}

/// The base that `command` starts, otherwise as this one.
pub(super) fn started_by(command: Vec<String>, here: &Loaded, server: &ServerConfig) -> Base {
    Base {
        name: "--base-command".to_owned(),
        commit: None,
        server: ServerConfig {
            command: Some(command),
            ..server.clone()
        },
        loaded: Loaded {
            config: here.config.clone(),
            folder: here.folder.clone(),
        },
        removed_tools: Vec::new(),
        tree: None,
    }
}

impl Found {
    /// `main, commit 1a2b3c4d5e`.
    pub(super) fn in_words(&self) -> String {
        format!(
            "{}, commit {}",
            self.name,
            self.sha.get(..10).unwrap_or(&self.sha)
        )
    }
}

impl Base {
    /// Builds its files, unless an earlier run did.
    pub(super) async fn build(&self, progress: &Progress) -> Result<(), Error> {
        let Some(tree) = &self.tree else {
            return Ok(());
        };
        if tree.is_built() {
            progress.say("the base was built by an earlier run");
            return Ok(());
        }
        build(
            &self.server,
            self.loaded.folder.as_deref(),
            "the base",
            progress,
        )
        .await?;
        tree.built();
        Ok(())
    }
}

/// Runs the `build` of a server, if it has one, in its working directory.
pub(super) async fn build(
    server: &ServerConfig,
    folder: Option<&Path>,
    whose: &str,
    progress: &Progress,
) -> Result<(), Error> {
    let Some(command) = &server.build else {
        return Ok(());
    };
    progress.say(&format!("building {whose}: {command}"));
    let hooks = Hooks {
        cwd: measure::working_directory(server, folder),
        env: measure::pairs(&server.env),
        ..Hooks::default()
    };
    hooks
        .build(command)
        .await
        .map_err(|failure| Error::NotMeasured(format!("{whose}: {failure}")))
}
