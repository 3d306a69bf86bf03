//! Whether the server can be measured.

use super::{note, ok, problem};
use crate::{
    cli::{
        choose::MissingTools,
        files::Loaded,
        measure::{self, Probed, Wish},
        options::Measuring,
    },
    error::Error,
    mcp::outcome::excerpt,
    process::How,
    report::Check,
    results::Results,
    runner::probe::Trial,
    suite::ServerConfig,
};

/// What the server's first start showed.
pub(super) struct Met {
    pub(super) checks: Vec<Check>,
    pub(super) cannot_measure: bool,
    /// What a run would write, without a round.
    pub(super) results: Option<Results>,
}

/// Starts the server, calls each tool that would be measured, and plans a run.
pub(super) async fn meet(
    measuring: &Measuring,
    loaded: &Loaded,
    server: &ServerConfig,
    stored: Option<&Results>,
) -> Result<Met, Error> {
    let mut run = measure::begin(measuring, loaded.config.suite.max_time)?;
    let wish = Wish {
        name: "",
        base: stored.map(|stored| &stored.suite),
        probes: None,
        nothing_else: false,
        missing_tools: MissingTools::Refused,
        looks_at_process: true,
        output: &measuring.output,
    };
    let probed = measure::probe_arm(&mut run, measuring, server, loaded, &wish).await;
    run.progress.finish();
    let probed = match probed {
        Ok(probed) => probed,
        // Somebody who presses Ctrl-C wants no report.
        Err(error) if run.was_interrupted => return Err(error),
        Err(error) => {
            let cannot_measure = matches!(error, Error::NotMeasured(_));
            let what = if cannot_measure { "start" } else { "tools" };
            return Ok(Met {
                checks: vec![problem(what, error.to_string(), "")],
                cannot_measure,
                results: None,
            });
        }
    };
    let (mut checks, works) = of_probed(&probed, server);
    let cannot_measure = !works;
    let silent = crate::cli::progress::Progress::new(true);
    let results = match measure::plan_arm(&silent, loaded, &wish, probed) {
        Ok(arm) => {
            let skipped = &arm.results.suite.skipped;
            let configured = |name: &str| {
                let mut tools = loaded.config.tools.iter();
                let mut loads = loaded.config.loads.iter();
                tools.any(|tool| name.starts_with(&tool.name))
                    || loads.any(|load| load.name == name)
            };
            for left_out in skipped.iter().filter(|skipped| configured(&skipped.name)) {
                checks.push(note(
                    "left out",
                    format!("{}: {}", excerpt(&left_out.name), excerpt(&left_out.reason)),
                    "",
                ));
            }
            checks.extend(unknown_accepted(loaded, &arm.results, stored));
            Some(arm.results)
        }
        Err(error) => {
            checks.push(problem("suite", error.to_string(), ""));
            None
        }
    };
    Ok(Met {
        checks,
        cannot_measure,
        results,
    })
}

/// The checks, and whether any tool works.
fn of_probed(probed: &Probed, server: &ServerConfig) -> (Vec<Check>, bool) {
    let mut checks = Vec::new();
    let startup = probed.startup.map(|startup| {
        format!(
            ", {:.0} ms after its start",
            startup.as_secs_f64() * 1_000.0
        )
    });
    checks.push(ok(
        "start",
        format!(
            "{} answers{}",
            probed.server_in_words(),
            startup.unwrap_or_default()
        ),
    ));
    let mut works = false;
    for tool in &probed.tools {
        match probed.trials.get(&tool.name) {
            Some(Trial::Works { .. }) => works = true,
            Some(Trial::Fails { error, .. }) => checks.push(problem(
                &tool.name,
                format!("{}: {}", error.kind, probed.masked(&error.message)),
                "give it arguments that it answers in its [[tool]] entry, or take the entry out",
            )),
            None => {}
        }
    }
    let answering = probed
        .tools
        .iter()
        .filter(|tool| matches!(probed.trials.get(&tool.name), Some(Trial::Works { .. })))
        .count();
    if works {
        checks.push(ok(
            "tools",
            format!("{answering} of {} answer", probed.tools.len()),
        ));
    } else {
        checks.push(problem(
            "tools",
            "none answers",
            "nothing can be measured until one does",
        ));
    }
    if let Some(watched) = &probed.watched {
        let is_attached = server.command.is_none();
        let advice = if is_attached {
            "give the server's command, so that mcpgate starts it, or its process by --pid"
        } else {
            ""
        };
        checks.push(match &watched.memory {
            Ok(bytes) => ok(
                "memory",
                format!("measured: {:.0} MB now", *bytes as f64 / 1e6),
            ),
            Err(why) => note("memory", format!("not measured: {why}"), advice),
        });
        checks.push(match &watched.adjusted {
            Ok(()) => ok("adjusted", "latency less the wait for a core can be had"),
            Err(why) => note("adjusted", format!("latency is wall time: {why}"), ""),
        });
    }
    if let Some(stopped) = &probed.stopped {
        let is_http = server.url.is_some();
        checks.push(match stopped.how {
            How::Exited => ok("stop", "ends by itself"),
            How::Terminated if is_http => ok("stop", "ends by SIGTERM"),
            How::Terminated => note(
                "stop",
                "ends by SIGTERM only",
                "a stdio server ends when its input is closed, as the protocol wants it; each round waits \
                 2 s for that",
            ),
            How::Killed => note(
                "stop",
                "ends by SIGKILL only",
                "each round waits for that; let the server take SIGTERM",
            ),
        });
        if !stopped.orphans.is_empty() {
            checks.push(note(
                "stop",
                format!("{} processes outlived it", stopped.orphans.len()),
                "end what the server starts when it ends",
            ));
        }
    }
    (checks, works)
}

/// `[[accept]]` entries of scenarios that nobody knows.
fn unknown_accepted(loaded: &Loaded, results: &Results, stored: Option<&Results>) -> Vec<Check> {
    let known = |name: &str| {
        let files = std::iter::once(results).chain(stored);
        let mut scenarios = files.flat_map(|results| &results.suite.scenarios);
        name == crate::gate::SERVER
            || scenarios
                .any(|scenario| scenario.name == name || scenario.tool.as_deref() == Some(name))
    };
    let accepted = loaded.config.accept.iter();
    accepted
        .filter(|accepted| !known(&accepted.scenario))
        .map(|accepted| {
            problem(
                "[[accept]]",
                format!("there is no scenario {}", excerpt(&accepted.scenario)),
                "`mcpgate run` shows the names",
            )
        })
        .collect()
}
