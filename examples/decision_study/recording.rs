//! What was recorded of one server under one load: pairs of rounds of the same server, and soaks.

use std::{collections::BTreeMap, fs, path::Path};

use mcpgate::{
    results::{Results, Round, ScenarioKind, Soak},
    store,
};
use serde::Deserialize;

/// Single latencies of one scenario in one round of one arm.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Calls {
    pub(crate) wall_ns: Vec<u64>,
    pub(crate) adjusted_ns: Vec<u64>,
}

#[derive(Deserialize)]
struct Line {
    arm: String,
    round: Option<u32>,
    scenario: String,
    #[serde(flatten)]
    calls: Calls,
}

/// One round, with every single latency by scenario.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) round: Round,
    pub(crate) calls: BTreeMap<String, Calls>,
}

/// A server compared with itself.
#[derive(Debug)]
pub(crate) struct Recording {
    /// Such as `fastmcp-quiet`.
    pub(crate) name: String,
    /// Results of the base without rounds and soaks, and of the candidate.
    pub(crate) empty: [Results; 2],
    /// In the order in which they were measured, base and candidate.
    pub(crate) pairs: Vec<[Recorded; 2]>,
    pub(crate) soaks: Vec<[Soak; 2]>,
    /// Tools in suite order.
    pub(crate) tools: Vec<String>,
}

impl Recording {
    /// Reads `NAME.json`, `NAME.base.json` and `NAME.samples.jsonl` of a folder.
    pub(crate) fn read(folder: &Path, name: &str) -> Result<Self, String> {
        let read = |end: &str| {
            let path = folder.join(format!("{name}{end}"));
            store::read_results(&path).map_err(|e| e.to_string())
        };
        let both = [read(".base.json")?, read(".json")?];
        let mut calls = samples(&folder.join(format!("{name}.samples.jsonl")))?;
        let mut recorded = both.clone().map(|results| {
            let rounds = results.jobs.into_iter().flat_map(|job| job.rounds);
            rounds
                .map(|round| (round.index, round))
                .collect::<BTreeMap<u32, Round>>()
        });
        let soaks = both.clone().map(|results| {
            let soaks = results.jobs.into_iter().flat_map(|job| job.soaks);
            soaks.collect::<Vec<Soak>>()
        });
        let mut empty = both;
        for results in &mut empty {
            results
                .suite
                .scenarios
                .retain(|s| s.kind != ScenarioKind::Load);
            for job in &mut results.jobs {
                job.rounds.clear();
                job.soaks.clear();
                job.loads.clear();
            }
        }
        let [base, candidate] = &mut recorded;
        let mut pairs = Vec::new();
        for (index, of_base) in std::mem::take(base) {
            let Some(of_candidate) = candidate.remove(&index) else {
                continue;
            };
            let mut with = |arm: &str, round: Round| {
                let calls = calls.remove(&(arm.to_owned(), index)).unwrap_or_default();
                Recorded { round, calls }
            };
            pairs.push([with("base", of_base), with("candidate", of_candidate)]);
        }
        let [base_soaks, candidate_soaks] = soaks;
        let mut tools: Vec<String> = Vec::new();
        for tool in empty[1]
            .suite
            .scenarios
            .iter()
            .filter_map(|s| s.tool.clone())
        {
            if !tools.contains(&tool) {
                tools.push(tool);
            }
        }
        Ok(Self {
            name: name.to_owned(),
            empty,
            pairs,
            soaks: base_soaks
                .into_iter()
                .zip(candidate_soaks)
                .map(Into::into)
                .collect(),
            tools,
        })
    }
}

type ByRound = BTreeMap<(String, u32), BTreeMap<String, Calls>>;

#[expect(clippy::disallowed_methods, reason = "a study reads its recordings")]
fn samples(path: &Path) -> Result<ByRound, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut all = ByRound::new();
    for (number, line) in text.lines().enumerate() {
        let line: Line = serde_json::from_str(line)
            .map_err(|e| format!("{}, line {}: {e}", path.display(), number + 1))?;
        if let Some(round) = line.round {
            let of_round = all.entry((line.arm, round)).or_default();
            of_round.insert(line.scenario, line.calls);
        }
    }
    Ok(all)
}
