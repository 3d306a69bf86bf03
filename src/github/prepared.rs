//! The folder in which one step hands over to the next: what decides, and what was measured.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    error::Error,
    results::Results,
    store,
    suite::{AcceptedRegression, GateConfig, config},
};

const VERSION: u32 = 1;
const PREPARED: &str = "prepared.json";
const POLICY: &str = "policy.toml";
const BASELINE: &str = "baseline.json";
const CALIBRATION: &str = "calibration.json";
const HISTORY: &str = "history.jsonl";
const HEAD: &str = "head.toml";
const RESULTS: &str = "results.json";
const REPORT: &str = "report.md";
const ERROR: &str = "error.txt";

/// What was found out before measuring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepared {
    version: u32,
    /// The pull request to comment on; `None` where there is none, or nothing may be said.
    pub pull_request: Option<u64>,
    /// Whether its code comes from another repository and has no rights here.
    pub is_fork: bool,
    /// The commit that is measured.
    pub head_sha: String,
    /// The commit that decides.
    pub base_sha: String,
    /// How that one was found, in words.
    pub base_found_by: String,
    /// The run that measures, and its attempt.
    pub run: (u64, u64),
    /// The configuration, from the repository's root.
    pub config_path: String,
    /// The baseline, from the repository's root.
    pub baseline_path: String,
    /// Whether the base has a configuration; else the defaults decide.
    pub has_policy: bool,
    /// Whether the base has a baseline; else this is the first use.
    pub has_baseline: bool,
    /// Whether the base has a calibration beside its baseline.
    pub has_calibration: bool,
    /// Whether the base has a history beside its baseline.
    pub has_history: bool,
    /// What readers must know of all this.
    pub notes: Vec<String>,
}

impl Prepared {
    /// A record of this version, with nothing found yet.
    #[must_use]
    pub fn new(head_sha: &str, base_sha: &str, base_found_by: &str, run: (u64, u64)) -> Self {
        Self {
            version: VERSION,
            pull_request: None,
            is_fork: false,
            head_sha: head_sha.to_owned(),
            base_sha: base_sha.to_owned(),
            base_found_by: base_found_by.to_owned(),
            run,
            config_path: String::new(),
            baseline_path: String::new(),
            has_policy: false,
            has_baseline: false,
            has_calibration: false,
            has_history: false,
            notes: Vec::new(),
        }
    }
}

/// Files of the base and of the head.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// The base's configuration, where it has one.
    pub policy: Option<&'a [u8]>,
    /// The base's baseline, where it has one.
    pub baseline: Option<&'a [u8]>,
    /// The base's calibration, where it has one.
    pub calibration: Option<&'a [u8]>,
    /// The base's history, where it has one.
    pub history: Option<&'a [u8]>,
    /// The head's configuration; empty where it has none.
    pub head: &'a [u8],
}

/// The folder.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`, which may not be there yet.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where the results go.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.0.join(RESULTS)
    }

    /// Where the whole report goes.
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.0.join(REPORT)
    }

    /// Where the baseline of the base is.
    #[must_use]
    pub fn baseline(&self) -> PathBuf {
        self.0.join(BASELINE)
    }

    /// Where the history of the base is, if it has one.
    #[must_use]
    pub fn history(&self, prepared: &Prepared) -> Option<PathBuf> {
        prepared.has_history.then(|| self.0.join(HISTORY))
    }

    /// Keeps why nothing was measured.
    ///
    /// # Errors
    /// [`Error::NotDelivered`].
    pub fn write_error(&self, error: &Error) -> Result<(), Error> {
        store::write_atomic(&self.0.join(ERROR), error.to_string().as_bytes())
    }

    /// Why nothing was measured, if it was kept.
    ///
    /// # Errors
    /// [`Error::Usage`] where it cannot be read.
    pub fn error(&self) -> Result<Option<String>, Error> {
        store::read_text(&self.0.join(ERROR))
    }

    /// Writes what was found out; the record last, so that one which is there is whole.
    ///
    /// # Errors
    /// [`Error::NotDelivered`].
    pub fn write(&self, prepared: &Prepared, files: Files<'_>) -> Result<(), Error> {
        for (name, content) in [
            (POLICY, files.policy),
            (BASELINE, files.baseline),
            (CALIBRATION, files.calibration),
            (HISTORY, files.history),
            (HEAD, Some(files.head)),
        ] {
            if let Some(content) = content {
                store::write_atomic(&self.0.join(name), content)?;
            }
        }
        let record = serde_json::to_vec_pretty(prepared).unwrap_or_default();
        store::write_atomic(&self.0.join(PREPARED), &record)
    }

    /// SHA-256, in hexadecimal, of all that decides. Between preparing and publishing the code of
    /// the pull request runs on the same machine and could write to this folder; the step that
    /// publishes is told the digest by a way that this code cannot reach.
    ///
    /// # Errors
    /// [`Error::Usage`] where a file cannot be read.
    pub fn digest(&self) -> Result<String, Error> {
        let mut digest = Sha256::new();
        for name in [PREPARED, POLICY, BASELINE, CALIBRATION, HISTORY, HEAD] {
            let text = store::read_text(&self.0.join(name))?;
            // Lengths, so that nothing can move from one file into the next.
            let length = text.as_ref().map_or(u64::MAX, |text| text.len() as u64);
            digest.update(length.to_le_bytes());
            digest.update(text.unwrap_or_default());
        }
        use std::fmt::Write as _;
        let mut hex = String::new();
        for byte in digest.finalize() {
            let _ = write!(hex, "{byte:02x}");
        }
        Ok(hex)
    }

    /// What was found out.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is nothing, or of another version.
    pub fn read(&self) -> Result<Prepared, Error> {
        let path = self.0.join(PREPARED);
        let refuse = |problem: &str| {
            Error::Usage(format!(
                "{}: {problem}; `mcpgate github prepare --dir {}` writes it",
                path.display(),
                self.0.display()
            ))
        };
        let text = store::read_text(&path)?.ok_or_else(|| refuse("there is no such file"))?;
        let prepared: Prepared = serde_json::from_str(&text)
            .map_err(|error| refuse(&format!("cannot be read: {error}")))?;
        if prepared.version != VERSION {
            return Err(refuse("it is that of another version of mcpgate"));
        }
        Ok(prepared)
    }

    /// What was found out, if all that decides still has this digest.
    ///
    /// # Errors
    /// [`Error::Usage`] as in [`Folder::read`], and where it has another one.
    pub fn read_unchanged(&self, digest: Option<&str>) -> Result<Prepared, Error> {
        let is_changed = match digest {
            Some(expected) => !self.digest()?.eq_ignore_ascii_case(expected),
            None => false,
        };
        if is_changed {
            return Err(Error::Usage(format!(
                "{} is no longer what `mcpgate github prepare` wrote: something that ran in \
                 between, such as the measured server, has changed what decides",
                self.0.display()
            )));
        }
        self.read()
    }

    /// The policy that decides: the base's, else the defaults.
    ///
    /// # Errors
    /// [`Error::Config`] for one that is wrong, [`Error::Usage`] for one that is missing,
    /// [`Error::ResultsFile`] for a calibration that cannot be read.
    pub fn policy(&self, prepared: &Prepared) -> Result<GateConfig, Error> {
        let mut policy = self.stated_policy(prepared)?;
        if prepared.has_calibration {
            policy.calibration = store::read_calibration(&self.0.join(CALIBRATION))?;
        }
        Ok(policy)
    }

    fn stated_policy(&self, prepared: &Prepared) -> Result<GateConfig, Error> {
        if !prepared.has_policy {
            return Ok(GateConfig::default());
        }
        let path = self.0.join(POLICY);
        let text = store::read_text(&path)?
            .ok_or_else(|| Error::Usage(format!("{}: there is no such file", path.display())))?;
        let name = format!("{} of the base", prepared.config_path);
        config::parse_policy(&name, &text).map_err(|diagnostics| Error::Config {
            rendered: diagnostics.render(false),
        })
    }

    /// The configuration of what is measured; empty where it has none.
    ///
    /// # Errors
    /// [`Error::Usage`] where it cannot be read.
    pub fn head(&self) -> Result<String, Error> {
        store::read_text(&self.0.join(HEAD)).map(Option::unwrap_or_default)
    }

    /// The regressions that what is measured answers for.
    ///
    /// # Errors
    /// [`Error::Config`] where they are written wrong.
    pub fn accepted(&self, prepared: &Prepared) -> Result<Vec<AcceptedRegression>, Error> {
        config::parse_accepted(&prepared.config_path, &self.head()?).map_err(|diagnostics| {
            Error::Config {
                rendered: diagnostics.render(false),
            }
        })
    }

    /// The baseline that decides; `None` on first use.
    ///
    /// # Errors
    /// [`Error::ResultsFile`] for one that cannot be read: that is not the same as none.
    pub fn base(&self, prepared: &Prepared) -> Result<Option<Results>, Error> {
        if prepared.has_baseline {
            store::read_results(&self.baseline()).map(Some)
        } else {
            Ok(None)
        }
    }
}
