//! The configuration, results and baseline files of the verbs.

use std::path::{Path, PathBuf};

use crate::{
    error::Error,
    results::Results,
    store,
    suite::{Config, SuiteConfig, config, data},
};

/// Where the configuration is looked for.
pub(super) const CONFIG: &str = "mcpgate.toml";
/// Where the baseline is looked for.
pub(super) const BASELINE: &str = crate::report::USUAL_BASELINE;

/// What belongs to a baseline and lies beside it: to the usual one under its `usual` name, to one with a
/// name of its own under that name and `ending`, so that several in one folder do not share it.
pub(super) fn beside(baseline: &Path, usual: &str, ending: &str) -> PathBuf {
    match baseline.file_stem() {
        Some(stem) if Some(stem) != Path::new(BASELINE).file_stem() => {
            let mut name = stem.to_owned();
            name.push(ending);
            baseline.with_file_name(name)
        }
        _ => baseline.with_file_name(usual),
    }
}

/// A configuration and where it came from.
pub(super) struct Loaded {
    /// What it says; defaults if there is no file.
    pub config: Config,
    /// Its folder: the working directory of the server unless `cwd` says otherwise.
    pub folder: Option<PathBuf>,
}

impl Loaded {
    /// Defaults.
    pub(super) fn without_file() -> Self {
        Self {
            config: Config {
                server: None,
                tools: Vec::new(),
                marked: crate::suite::MarkedTools::default(),
                probes: crate::suite::probes::ProbesConfig::default(),
                loads: Vec::new(),
                suite: SuiteConfig::default(),
                gate: crate::suite::GateConfig::default(),
                accept: Vec::new(),
            },
            folder: None,
        }
    }
}

/// The folder of a file; `None` where that is the working directory.
pub(super) fn folder_of(path: &Path) -> Option<PathBuf> {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map(Path::to_owned)
}

/// Reads the configuration: the file named, else `mcpgate.toml` if there is one, else defaults.
pub(super) fn load_config(named: Option<&Path>) -> Result<Loaded, Error> {
    let path = named.map_or_else(|| PathBuf::from(CONFIG), Path::to_owned);
    let Some(text) = store::read_text(&path)? else {
        if named.is_some() {
            return Err(Error::Usage(format!(
                "{}: there is no such file; `mcpgate init` writes one",
                path.display()
            )));
        }
        return Ok(Loaded::without_file());
    };
    let folder = folder_of(&path);
    let outside = config::Outside {
        variable: &crate::environment::variable,
        file: &|name| {
            let path = folder.as_deref().unwrap_or(Path::new("")).join(name);
            store::read_rows(&path, data::LARGEST_FILE_BYTES)
        },
    };
    let config =
        config::parse(&path.display().to_string(), &text, outside).map_err(|diagnostics| {
            Error::Config {
                rendered: diagnostics.render(colored_stderr()),
            }
        })?;
    Ok(Loaded { config, folder })
}

fn colored_stderr() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// Writes results, atomically.
pub(super) fn save(path: &Path, results: &Results) -> Result<(), Error> {
    store::write_atomic(path, store::to_stable_text(results).as_bytes())
}

/// For the end of an error: that a file of this name holds something older. Empty if there is none.
pub(super) fn still_there(path: &Path) -> String {
    if path.is_file() {
        format!("\n  {} is still that of an earlier run", path.display())
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_baseline_has_its_own_beside_it() {
        for (baseline, expected) in [
            (BASELINE, "baselines/usual.json"),
            ("perf-baseline.json", "usual.json"),
            ("baselines/http.json", "baselines/http.own.json"),
            ("baselines/v1.2.json", "baselines/v1.2.own.json"),
            ("noending", "noending.own.json"),
        ] {
            let found = beside(Path::new(baseline), "usual.json", ".own.json");
            assert_eq!(found, Path::new(expected), "{baseline}");
        }
    }
}
