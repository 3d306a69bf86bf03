//! `mcpgate doctor`: what stands between a project and a sound comparison.

mod place;
mod server;

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    compare,
    files::{self, CONFIG, Loaded},
    measure,
    options::{self, Measuring},
};
use crate::{
    environment,
    error::{Error, exit_code},
    process::{ClientWait, MachineReading},
    report::{self, Check, CheckState},
    results::Results,
    store,
    suite::ServerConfig,
};

/// Days after which a baseline is called old.
const OLD_DAYS: u64 = 90;

/// Check machine, configuration, server, baseline and permissions.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Configuration file; without it, `mcpgate.toml` if there is one.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The baseline; without it, the usual place beside the configuration.
    #[arg(short, long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// URL of the server, in place of the configured one.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Command of the server, after `--`, in place of the configured one.
    #[arg(last = true, value_name = "SERVER COMMAND")]
    command: Vec<String>,
}

const AFTER_HELP: &str = "\
The server is started once and each of its tools called a few times.

Examples:
  mcpgate doctor                         # what mcpgate.toml says
  mcpgate doctor -- node dist/index.js   # another server

Exit codes:
  0  no problem; notes say what could be better
  2  a problem of the configuration, a tool's arguments, the baseline or a place to write to
  3  the server cannot be measured";

/// What was found, by area.
#[derive(Default)]
struct Findings {
    areas: Vec<(&'static str, Vec<Check>)>,
    /// Of the problems, the exit code that comes first.
    cannot_measure: bool,
}

impl Findings {
    fn area(&mut self, name: &'static str, checks: Vec<Check>) {
        self.areas.push((name, checks));
    }

    fn problems(&self) -> usize {
        let checks = self.areas.iter().flat_map(|(_, checks)| checks);
        checks
            .filter(|check| check.state == CheckState::Problem)
            .count()
    }

    fn exit_code(&self) -> u8 {
        match (self.cannot_measure, self.problems()) {
            (true, _) => exit_code::NOT_MEASURED,
            (false, 0) => exit_code::OK,
            (false, _) => exit_code::USAGE,
        }
    }
}

fn ok(what: &str, found: impl Into<String>) -> Check {
    check(CheckState::Ok, what, found, "")
}

fn note(what: &str, found: impl Into<String>, advice: &str) -> Check {
    check(CheckState::Note, what, found, advice)
}

fn problem(what: &str, found: impl Into<String>, advice: &str) -> Check {
    check(CheckState::Problem, what, found, advice)
}

fn check(state: CheckState, what: &str, found: impl Into<String>, advice: &str) -> Check {
    Check {
        state,
        what: what.to_owned(),
        found: found.into(),
        advice: advice.to_owned(),
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<u8, Error> {
    let mut findings = Findings::default();
    findings.area("Machine", machine());
    let measuring = Measuring {
        config: arguments.config.clone(),
        url: arguments.url.clone(),
        command: arguments.command.clone(),
        ..Measuring::default()
    };
    let (checks, configured) = configuration(&measuring, arguments.baseline.as_deref());
    findings.area("Configuration", checks);
    if let Some(Configured {
        loaded,
        server,
        folder,
        baseline: path,
    }) = configured
    {
        let (mut checks, stored) = baseline(&path);
        let met = server::meet(&measuring, &loaded, &server, stored.as_ref()).await?;
        findings.cannot_measure = met.cannot_measure;
        findings.area("Server", met.checks);
        if let (Some(stored), Some(results)) = (&stored, &met.results) {
            checks.extend(same_suite(stored, results));
        }
        findings.area("Baseline", checks);
        findings.area(
            "Files and git",
            place::files(&folder, &path, stored.is_some(), server.build.is_some()).await,
        );
    }
    findings.area("GitHub Actions", place::github());
    let end = match findings.problems() {
        0 => "No problem was found.".to_owned(),
        1 => "1 problem; the line says what to do.".to_owned(),
        n => format!("{n} problems; each line says what to do."),
    };
    let style = options::style(false);
    options::print(&report::checks(&findings.areas, &end, style))?;
    Ok(findings.exit_code())
}

fn machine() -> Vec<Check> {
    let here = environment::describe();
    let cores = match here.cores {
        1 => "1 core".to_owned(),
        n => format!("{n} cores"),
    };
    let mut model = here.cpu_model.clone();
    if model.is_empty() {
        model.clone_from(&here.arch);
    }
    let described = format!("{} {}, {model}, {cores}", here.os, here.arch);
    let mut checks = Vec::new();
    let is_linux = here.os == "linux";
    checks.push(if is_linux {
        ok("system", described)
    } else {
        note(
            "system",
            described,
            "adjusted latency is measured on Linux only; here wall time gates",
        )
    });
    if here.cores == 1 {
        checks.push(note(
            "cores",
            "one core for the server and for mcpgate",
            "times hold the wait for each other; measure on two cores or more",
        ));
    }
    if let Some(limit) = here.container_cpu_limit_millicores
        && u64::from(limit) < u64::from(here.cores) * 1_000
    {
        checks.push(note(
            "CPU limit",
            format!(
                "the container may use {:.1} of {cores}",
                f64::from(limit) / 1_000.0
            ),
            "when it is used up, every call waits; give it whole cores",
        ));
    }
    if is_linux {
        checks.push(match ClientWait::now() {
            Some(_) => ok(
                "schedstat",
                "readable, so the wait for a core is taken out of latency",
            ),
            None => note(
                "schedstat",
                "not readable, so wall time gates",
                "needs a kernel with scheduler statistics (CONFIG_SCHED_INFO), and /proc mounted as usual",
            ),
        });
        checks.push(if environment::tells_shared_memory() {
            ok("memory", "resident and shared memory (PSS) readable")
        } else {
            note(
                "memory",
                "shared memory (PSS) is not readable",
                "a server of several processes is measured by resident memory alone",
            )
        });
    }
    checks.extend(load(here.cores));
    if let Some(governor) = environment::cpu_governor() {
        checks.push(if governor == "performance" {
            ok("clock speed", "governor performance")
        } else {
            note(
                "clock speed",
                format!("governor {governor}"),
                "`performance` makes times steadier (cpupower frequency-set -g performance)",
            )
        });
    }
    checks
}

/// Load that is no trouble, for each core.
const CALM_LOAD: f64 = 0.5;

fn load(cores: u32) -> Option<Check> {
    let load = MachineReading::now().load_average()?;
    let found = format!("{load:.2} in the last minute");
    Some(if load <= f64::from(cores) * CALM_LOAD {
        ok("load", found)
    } else {
        note(
            "load",
            found,
            "others use the machine; close them, or expect `inconclusive` more often",
        )
    })
}

/// A configuration that can be read.
struct Configured {
    loaded: Loaded,
    server: ServerConfig,
    /// Where its file is, whatever the server's working directory.
    folder: PathBuf,
    /// The baseline named, else the one beside its file.
    baseline: PathBuf,
}

/// The configuration and its server, where it can be read.
fn configuration(
    measuring: &Measuring,
    named_baseline: Option<&Path>,
) -> (Vec<Check>, Option<Configured>) {
    let path = measuring
        .config
        .clone()
        .unwrap_or_else(|| PathBuf::from(CONFIG));
    let name = path.display().to_string();
    let mut loaded = match files::load_config(measuring.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(error) => {
            let found = format!("cannot be used\n{}", error.to_string().trim_end());
            return (vec![problem(&name, found, "")], None);
        }
    };
    let mut checks = Vec::new();
    let is_there = path.exists();
    let tools = loaded.config.tools.len();
    checks.push(match (is_there, tools) {
        (false, _) => note(
            &name,
            "there is none, so mcpgate chooses tools by itself",
            "`mcpgate init -- SERVER COMMAND` writes one",
        ),
        (true, 0) => note(
            &name,
            "names no tool, so mcpgate chooses them by itself",
            "with [[tool]] entries every run measures the same",
        ),
        (true, 1) => ok(&name, "is valid and names 1 tool"),
        (true, n) => ok(&name, format!("is valid and names {n} tools")),
    });
    let today = environment::today();
    for accepted in &loaded.config.accept {
        if accepted.until < today {
            checks.push(note(
                "[[accept]]",
                format!(
                    "{} of {} was accepted until {}",
                    accepted.metric.name(),
                    accepted.scenario,
                    accepted.until
                ),
                "take the entry out, or write a later day",
            ));
        }
    }
    // A command of the command line has its folder from there.
    let folder = loaded.folder.clone().unwrap_or_else(|| PathBuf::from("."));
    let baseline = compare::usual_or_named(named_baseline, &loaded);
    match measure::merge(measuring, &mut loaded) {
        Ok(server) => {
            if server.command.is_some() && server.build.is_none() {
                checks.push(note(
                    "build",
                    "not set in [server]",
                    "`compare --against` then takes the other commit's files as they are, and pull requests \
                     are judged by the baseline alone",
                ));
            }
            let configured = Configured {
                loaded,
                server,
                folder,
                baseline,
            };
            (checks, Some(configured))
        }
        Err(error) => {
            checks.push(problem("server", error.to_string(), ""));
            (checks, None)
        }
    }
}

/// Whether the baseline is there and can be read.
fn baseline(path: &Path) -> (Vec<Check>, Option<Results>) {
    let name = path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    if !path.exists() {
        let check = note(
            "baseline",
            format!("there is no {}", path.display()),
            "`mcpgate run`, then `mcpgate baseline update`, and commit it",
        );
        return (vec![check], None);
    }
    let stored = match store::read_results(path) {
        Ok(stored) => stored,
        Err(error) => {
            let check = problem(
                "baseline",
                error.to_string(),
                "`mcpgate run`, then `mcpgate baseline update --force`",
            );
            return (vec![check], None);
        }
    };
    let rounds: usize = stored.jobs.iter().map(|job| job.rounds.len()).sum();
    let jobs = match stored.jobs.len() {
        1 => "1 job".to_owned(),
        n => format!("{n} jobs"),
    };
    let mut checks = vec![ok(
        "baseline",
        match rounds {
            1 => format!("{name} can be read: 1 round in {jobs}"),
            rounds => format!("{name} can be read: {rounds} rounds in {jobs}"),
        },
    )];
    let newest = stored.jobs.iter().map(|job| job.started_at.as_str()).max();
    if let Some(days) = newest.and_then(environment::days_since) {
        let found = match days {
            0 => "made today".to_owned(),
            1 => "made yesterday".to_owned(),
            n => format!("made {n} days ago"),
        };
        checks.push(if days > OLD_DAYS {
            note(
                "age",
                found,
                "measure anew on the main branch and `mcpgate baseline update`",
            )
        } else {
            ok("age", found)
        });
    }
    (checks, Some(stored))
}

/// Whether this run would measure what the baseline holds.
fn same_suite(stored: &Results, results: &Results) -> Vec<Check> {
    let outlook = crate::gate::outlook(stored, results);
    let mut checks = Vec::new();
    let update = "`mcpgate baseline update` with new results";
    if let Some(why) = &outlook.nothing {
        checks.push(problem("suite", why.clone(), update));
        return checks;
    }
    let list = |names: &[String]| {
        let shown: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
        let more = match names.len().saturating_sub(5) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        format!("{}{more}", shown.join(", "))
    };
    if !outlook.vanished.is_empty() {
        checks.push(problem(
            "suite",
            format!(
                "the baseline has {}, which no run measures any more",
                list(&outlook.vanished)
            ),
            "name the tools again, accept the removal by [[accept]], or `mcpgate baseline update`",
        ));
    }
    if let Some((name, why)) = outlook.different.first() {
        let more = match outlook.different.len() - 1 {
            0 => String::new(),
            n => format!(" (and {n} more)"),
        };
        checks.push(problem(
            "suite",
            format!("{name}{more} is not compared: {why}"),
            update,
        ));
    }
    if !outlook.new.is_empty() {
        checks.push(note(
            "suite",
            format!("the baseline does not have {}", list(&outlook.new)),
            update,
        ));
    }
    if checks.is_empty() {
        let found = format!("the same {} scenarios as in the baseline", outlook.same);
        checks.push(ok("suite", found));
    }
    match outlook.remarks.as_slice() {
        [] => checks.push(ok("machine class", "the baseline's")),
        remarks => checks.extend(
            remarks
                .iter()
                .map(|remark| note("comparison", remark.clone(), "")),
        ),
    }
    checks
}
