//! What `docs/reference.md` says besides the configuration: the commands as the parser has them, the
//! files and the variables. A test makes the page, and finds a variable that is not here.

use clap::CommandFactory as _;

use super::files::{BASELINE, CONFIG};

/// The whole command line.
#[must_use]
pub fn command() -> clap::Command {
    super::Cli::command()
}

/// A file, and who reads and writes it.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Its usual name.
    pub name: &'static str,
    /// What reads it.
    pub read_by: &'static str,
    /// What writes it.
    pub written_by: &'static str,
    /// What it is.
    pub about: &'static str,
}

/// The files, those that are committed first.
pub const FILES: [File; 13] = [
    File {
        name: CONFIG,
        read_by: "all that measures, `baseline`, `trend`, `report`, `doctor`, `init --force`, `github prepare`",
        written_by: "`init`",
        about: "The configuration. `--config` names another; what it names is looked for from its folder.",
    },
    File {
        name: BASELINE,
        read_by: "`compare`, `report`, `baseline update`, `doctor`, `github`",
        written_by: "`baseline update`; `github refresh`, on a branch",
        about: "The baseline, beside the configuration: a results file that was accepted. `--baseline` names another.",
    },
    File {
        name: "baselines/history.jsonl",
        read_by: "`trend`, `compare`, `github`",
        written_by: "`baseline update`, `run --record`; `github refresh`, on a branch",
        about: "The history, beside the baseline; of a baseline `NAME.json` it is `NAME.history.jsonl`. `--history` names another.",
    },
    File {
        name: "baselines/perf-calibration.json",
        read_by: "`compare`, `report`, `calibrate`, `github`",
        written_by: "`calibrate`",
        about: "The calibration, beside the baseline: which scenarios step down. Of a baseline `NAME.json` it is `NAME.calibration.json`.",
    },
    File {
        name: ".github/workflows/mcpgate.yml",
        read_by: "GitHub",
        written_by: "`init --workflow`",
        about: "The workflow, at the top of the repository.",
    },
    File {
        name: "mcpgate-results.json",
        read_by: "`baseline update`, `compare`, `report`",
        written_by: "`run`, `compare`; `calibrate --output`",
        about: "The results; its schema is what `mcpgate schema` prints. `--output` names another.",
    },
    File {
        name: "mcpgate-results.base.json",
        read_by: "`compare`, `report`",
        written_by: "`compare --against`, `compare --base-command`; `calibrate --output`",
        about: "The results of the base, beside the others.",
    },
    File {
        name: "`--samples FILE`",
        read_by: "",
        written_by: "`run`, `compare`, `calibrate`",
        about: "Each single latency, as lines of JSON.",
    },
    File {
        name: "`--report FILE`",
        read_by: "",
        written_by: "`run`, `compare`, `report`",
        about: "A report, in the format of its ending.",
    },
    File {
        name: "`--plot FILE`",
        read_by: "",
        written_by: "`trend`",
        about: "The history as SVG.",
    },
    File {
        name: "`data`, `ca-file`, `private-key-file`",
        read_by: "all that measures",
        written_by: "",
        about: "What the configuration names, from its folder.",
    },
    File {
        name: "`package.json`, `pyproject.toml`, `requirements.txt`, `Cargo.toml`, `go.mod` and lock files",
        read_by: "`init`",
        written_by: "",
        about: "How the project is built and started.",
    },
    File {
        name: "`mcpgate/` in the cache folder",
        read_by: "`compare --against`",
        written_by: "`compare --against`",
        about: "Work trees of other commits and what was built there; may be deleted when nothing is measured. The cache folder is `$XDG_CACHE_HOME`, else `~/.cache`, on macOS `~/Library/Caches`.",
    },
];

/// Variables of the environment, and what they are read for.
pub const VARIABLES: [(&[&str], &str); 14] = [
    (
        &["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"],
        "Colours with `--color auto`.",
    ),
    (
        &["TERM"],
        "`dumb`: neither colours nor more than ASCII on a terminal.",
    ),
    (
        &["LC_ALL", "LC_CTYPE", "LANG"],
        "The first that is set says whether a terminal shows UTF-8.",
    ),
    (
        &["XDG_CACHE_HOME", "HOME"],
        "Where work trees of other commits are kept.",
    ),
    (
        &["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"],
        "Proxies for the API of GitHub. A server is never measured through one: where one is set for its host, nothing is measured.",
    ),
    (
        &["SSL_CERT_FILE", "SSL_CERT_DIR"],
        "On Linux, authorities for `https` in place of the system's.",
    ),
    (
        &["NODE_OPTIONS"],
        "With `heap-cap`, its option is added to what is there, for the server.",
    ),
    (
        &["MCPGATE_SERVER"],
        "Set by mcpgate for each server that it starts: it marks the processes that are ended with it.",
    ),
    (
        &["GITHUB_ACTIONS"],
        "`true`: `doctor` checks what a workflow needs.",
    ),
    (
        &["ImageOS", "ImageVersion"],
        "The image of GitHub's runner, for the results file.",
    ),
    (
        &[
            "GITHUB_EVENT_NAME",
            "GITHUB_EVENT_PATH",
            "GITHUB_REPOSITORY",
            "GITHUB_SHA",
        ],
        "`mcpgate github`: what a workflow is about.",
    ),
    (
        &[
            "GITHUB_API_URL",
            "GITHUB_SERVER_URL",
            "GITHUB_RUN_ID",
            "GITHUB_RUN_ATTEMPT",
        ],
        "`mcpgate github`: where GitHub is, and which run this is.",
    ),
    (
        &["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"],
        "`mcpgate github`: files for the summary and the outputs of the step.",
    ),
    (
        &["GITHUB_TOKEN"],
        "`mcpgate github`: the token for the API; no server gets it in the action.",
    ),
];
