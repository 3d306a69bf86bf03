//! `mcpgate github prepare`.

use std::path::{Component, Path, PathBuf};

use clap::Args;

use crate::{
    cli::{calibrate, files, history, options},
    environment,
    error::{Error, exit_code},
    git::Git,
    github::{
        api::Api,
        base::{self, Base},
        command,
        event::{self, Event},
        prepared::{Files, Folder, Prepared},
    },
    store,
    suite::{GateConfig, config},
};

/// What is judged by what.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mcpgate github prepare --dir \"$RUNNER_TEMP/mcpgate\"")]
pub(super) struct Arguments {
    /// Folder for what is found out, and later for the results.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Configuration file, from the working directory.
    #[arg(short, long, value_name = "FILE", default_value = files::CONFIG)]
    config: String,
    /// Baseline, from the working directory; without it, the usual place beside the configuration.
    #[arg(short, long, value_name = "FILE")]
    baseline: Option<String>,
}

pub(super) async fn run(arguments: &Arguments) -> Result<u8, Error> {
    let runner = super::runner()?;
    let payload = store::read_text(&runner.event_path)?.unwrap_or_default();
    let event = event::parse(&runner.event_name, payload.as_bytes()).map_err(Error::Usage)?;
    let git = Git::new(Path::new("."));
    let api = Api::new(&runner);
    let Some((mut prepared, base)) = base::find(&event, &runner, &git, &api).await? else {
        options::say(
            "there is no open pull request that shows the measured commit: it was closed, or has \
             newer commits by now; nothing is to be said",
        );
        return Ok(exit_code::OK);
    };
    let prefix = git.prefix().await.unwrap_or_default();
    let baseline_path = arguments.baseline.clone().unwrap_or_else(|| {
        let folder = Path::new(&arguments.config).parent();
        let usual = folder.unwrap_or(Path::new("")).join(files::BASELINE);
        usual.display().to_string()
    });
    prepared.config_path = full_path(&prefix, &arguments.config)?;
    prepared.baseline_path = full_path(&prefix, &baseline_path)?;
    let head = base
        .head_file(&prepared, &arguments.config, &prepared.config_path)
        .await?
        .unwrap_or_default();
    let is_change = matches!(event, Event::PullRequest(_) | Event::WorkflowRun(_));
    let policy = base.file(&arguments.config, &prepared.config_path).await?;
    prepared.has_policy = policy.is_some();
    check(&mut prepared, policy.as_deref(), &head, is_change)?;
    let baseline = base.file(&baseline_path, &prepared.baseline_path).await?;
    prepared.has_baseline = baseline.is_some();
    if is_change && baseline.is_some() {
        let now = base
            .head_file(&prepared, &baseline_path, &prepared.baseline_path)
            .await?;
        if now != baseline {
            prepared.notes.push(format!(
                "this pull request changes {}: it is judged by the baseline of the base",
                prepared.baseline_path
            ));
        }
    }
    let beside = |path: &str| calibrate::beside(Path::new(path)).display().to_string();
    let calibration = base
        .file(&beside(&baseline_path), &beside(&prepared.baseline_path))
        .await?;
    prepared.has_calibration = calibration.is_some();
    let history = history_of(&base, &mut prepared, &baseline_path).await;
    let files = Files {
        policy: policy.as_deref(),
        baseline: baseline.as_deref(),
        calibration: calibration.as_deref(),
        history: history.as_deref(),
        head: &head,
    };
    let folder = Folder::at(&arguments.dir);
    folder.write(&prepared, files)?;
    if let Some(output) = &runner.output {
        let digest = command::output("digest", &folder.digest()?, &environment::nonce());
        store::append(output, digest.as_bytes())?;
    }
    say(&prepared);
    Ok(exit_code::OK)
}

/// The base's history. No verdict depends on it, so one that cannot be read is only said.
async fn history_of(base: &Base<'_>, prepared: &mut Prepared, path: &str) -> Option<Vec<u8>> {
    let beside = |path: &str| history::beside(Path::new(path)).display().to_string();
    let found = base
        .file(&beside(path), &beside(&prepared.baseline_path))
        .await;
    let history = match found {
        Ok(history) => history,
        Err(error) => {
            options::say(&format!("note: the history is left out: {error}"));
            None
        }
    };
    // What is handed on must be text.
    let history = history.map(|bytes| String::from_utf8_lossy(&bytes).into_owned().into_bytes());
    prepared.has_history = history.is_some();
    history
}

fn say(prepared: &Prepared) {
    let baseline = if prepared.has_baseline {
        "its baseline decides"
    } else {
        "it has no baseline yet"
    };
    options::say(&format!(
        "base: {} ({}); {baseline}",
        prepared.base_sha, prepared.base_found_by
    ));
    for note in &prepared.notes {
        options::say(note);
    }
}

/// Checks that the policy can be read, and says where the pull request has another one.
fn check(
    prepared: &mut Prepared,
    policy: Option<&[u8]>,
    head: &[u8],
    is_change: bool,
) -> Result<(), Error> {
    let path = &prepared.config_path;
    let of = |text: &[u8], whose: &str| -> Result<GateConfig, Error> {
        let name = format!("{path}{whose}");
        let text = std::str::from_utf8(text)
            .map_err(|_| Error::Usage(format!("{name}: this is not UTF-8 text")))?;
        config::parse_policy(&name, text).map_err(|diagnostics| Error::Config {
            rendered: diagnostics.render(false),
        })
    };
    let decides = match policy {
        Some(text) => of(text, " of the base")?,
        None => GateConfig::default(),
    };
    if is_change && of(head, "")? != decides {
        let whose = if policy.is_some() {
            "the one of the base"
        } else {
            "the defaults, since the base has none"
        };
        prepared.notes.push(format!(
            "this pull request changes [gate] in {path}: it is judged by {whose}"
        ));
    }
    Ok(())
}

/// `path` from the repository's root. Without anything that leads out of it, since the base may
/// be read by the API.
fn full_path(prefix: &str, path: &str) -> Result<String, Error> {
    let mut full = PathBuf::new();
    for part in Path::new(prefix).join(path).components() {
        let is_inside = match part {
            Component::CurDir => true,
            Component::ParentDir => full.pop(),
            Component::Normal(name) => {
                full.push(name);
                true
            }
            Component::RootDir | Component::Prefix(_) => false,
        };
        if !is_inside {
            return Err(Error::Usage(format!(
                "{path} lies outside the repository, so the base cannot have it: name it from the \
                 working directory"
            )));
        }
    }
    Ok(full.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_repository() {
        for (prefix, path, full) in [
            ("", "mcpgate.toml", Some("mcpgate.toml")),
            (
                "servers/a/",
                "./mcpgate.toml",
                Some("servers/a/mcpgate.toml"),
            ),
            ("servers/a/", "../b/m.toml", Some("servers/b/m.toml")),
            ("servers/", "../../m.toml", None),
            ("", "/etc/passwd", None),
        ] {
            assert_eq!(
                full_path(prefix, path).ok().as_deref(),
                full,
                "{prefix} {path}"
            );
        }
    }
}
