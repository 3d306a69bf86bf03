//! Which tools are measured: the configured ones, or those found; without those that do not work.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    mask::Mask,
    options::{self, Measuring},
    progress::Progress,
};
use crate::{
    error::Error,
    mcp::outcome::excerpt,
    results::{ErrorSample, Sample, ScenarioKind, Skipped},
    runner::probe::{Probe, Trial},
    suite::{
        Config, Suite, ToolCall,
        discover::{Discovery, discover},
    },
};

/// Tools that are chosen where none is configured.
const MOST_DISCOVERED: usize = 8;

/// What becomes of a configured tool that the server does not offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MissingTools {
    /// It is a mistake.
    Refused,
    /// It is new since this server, and is left out.
    LeftOut,
}

/// The configured tools, or those that were found.
pub(super) fn choose_tools(
    config: &Config,
    measuring: &Measuring,
    probe: &Probe,
    missing: MissingTools,
    progress: &Progress,
) -> Result<(Vec<ToolCall>, Vec<Skipped>), Error> {
    let offered: Vec<&str> = probe
        .tools
        .iter()
        .filter_map(|tool| tool.get("name").and_then(Value::as_str))
        .collect();
    let list = || excerpt(&offered.join(", "));
    let (mut tools, left_out) = if config.tools.is_empty() {
        let Discovery { chosen, left_out } = discover(&probe.tools, MOST_DISCOVERED);
        for tool in &chosen {
            progress.say(&format!(
                "chosen: {}: {}",
                excerpt(&tool.call.name),
                excerpt(&tool.why)
            ));
        }
        let tools: Vec<_> = chosen.into_iter().map(|tool| tool.call).collect();
        if tools.is_empty() {
            let reasons: Vec<_> = left_out
                .iter()
                .take(20)
                .map(|s| format!("\n  {}: {}", excerpt(&s.name), excerpt(&s.reason)))
                .collect();
            return Err(Error::NotMeasured(format!(
                "none of the server's {} tools can be called without being told how; write a \
                 [[tool]] with its name and arguments into mcpgate.toml{}",
                offered.len(),
                reasons.concat()
            )));
        }
        (tools, left_out)
    } else {
        let is_offered = |tool: &ToolCall| offered.contains(&tool.name.as_str());
        for tool in &config.tools {
            if !is_offered(tool) && missing == MissingTools::Refused {
                return Err(Error::Usage(format!(
                    "the server offers no tool `{}`{}; it offers: {}",
                    tool.name,
                    meant(&tool.name, &offered),
                    list()
                )));
            }
        }
        let mut tools = config.tools.clone();
        tools.retain(is_offered);
        (tools, Vec::new())
    };
    if !measuring.tools.is_empty() {
        for name in &measuring.tools {
            if !tools.iter().any(|tool| tool.name == *name) {
                let known: Vec<_> = tools.iter().map(|tool| tool.name.as_str()).collect();
                return Err(Error::Usage(format!(
                    "--tool {name}: not among the tools to be measured{}: {}",
                    meant(name, &known),
                    excerpt(&known.join(", "))
                )));
            }
        }
        tools.retain(|tool| measuring.tools.contains(&tool.name));
    }
    Ok((tools, left_out))
}

/// `(did you mean search?)`, or nothing.
fn meant(name: &str, known: &[&str]) -> String {
    let near = options::nearest(name, known.iter().copied());
    near.map_or_else(String::new, |near| {
        format!(" (did you mean `{}`?)", excerpt(near))
    })
}

/// A tool that failed in every trial call is not called again in each round: its trial calls stand
/// for its sequential scenario, and the others are not measured.
pub(super) fn leave_out_failing(
    suite: &mut Suite,
    trials: &BTreeMap<String, Trial>,
    mask: &Mask,
    progress: &Progress,
) -> (BTreeMap<String, Sample>, BTreeMap<String, ErrorSample>) {
    let mut samples = BTreeMap::new();
    let mut errors = BTreeMap::new();
    let failing = |tool: &Option<String>| {
        tool.as_ref()
            .and_then(|tool| trials.get(tool))
            .and_then(|trial| match trial {
                Trial::Fails { sample, error } => Some((sample, error)),
                Trial::Works { .. } => None,
            })
    };
    for scenario in &suite.scenarios {
        let Some((sample, error)) = failing(&scenario.record.tool) else {
            continue;
        };
        if scenario.record.kind != ScenarioKind::Sequential {
            continue;
        }
        let name = &scenario.record.name;
        let mut error = error.clone();
        mask.hide(&mut error.message);
        progress.say(&format!(
            "{}: every trial call failed: {}: {}",
            excerpt(name),
            error.kind,
            error.message
        ));
        samples.insert(name.clone(), Sample::clone(sample));
        errors.insert(name.clone(), error);
    }
    suite
        .scenarios
        .retain(|scenario| failing(&scenario.record.tool).is_none());
    suite
        .soaks
        .retain(|scenario| failing(&scenario.record.tool).is_none());
    (samples, errors)
}
