//! `[[scenario]]`.

use std::{collections::BTreeSet, time::Duration};

use super::{
    reader::{Entry, Table},
    values::{self, Zero},
};
use crate::{
    results::Sessions,
    suite::{
        LONGEST_TOOL_NAME, ToolCall,
        diagnostics::{Diagnostic, shown},
        executor::{Executor, Stage},
        load::{GRACEFUL_STOP, LoadConfig, LoadTerms, ThinkTime},
    },
};

const HELP: &str = "write each load as a [[scenario]] section with a `name`, a `tool` and an \
                    `executor`";

/// Most virtual users, and so connections, of a load.
const MOST_VUS: u32 = 1_000;
/// Most calls in a time unit.
const MOST_RATE: u32 = 100_000;
/// Most calls of a load; each is kept until its end.
const MOST_CALLS: u64 = 1_000_000;
/// Most stages of a load, and tools of a mix.
const MOST_PARTS: usize = 100;

/// In the open model, as many virtual users as calls come in so long at the highest rate: enough
/// for a server that stands still for it.
const ROOM: Duration = Duration::from_secs(2);
/// Bounds of that number.
const ROOM_VUS: (u64, u64) = (10, 500);

/// Every key that belongs to some executors only.
const KEYS: [&str; 10] = [
    "vus",
    "iterations",
    "max-duration",
    "duration",
    "start-vus",
    "stages",
    "rate",
    "start-rate",
    "time-unit",
    "max-vus",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    SharedIterations,
    PerVuIterations,
    ConstantVus,
    RampingVus,
    ConstantArrivalRate,
    RampingArrivalRate,
}

impl Kind {
    const WORDS: [(&'static str, Self); 6] = [
        ("shared-iterations", Self::SharedIterations),
        ("per-vu-iterations", Self::PerVuIterations),
        ("constant-vus", Self::ConstantVus),
        ("ramping-vus", Self::RampingVus),
        ("constant-arrival-rate", Self::ConstantArrivalRate),
        ("ramping-arrival-rate", Self::RampingArrivalRate),
    ];

    fn name(self) -> &'static str {
        let word = Self::WORDS.iter().find(|(_, kind)| *kind == self);
        word.map_or("", |(name, _)| name)
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::SharedIterations | Self::PerVuIterations => {
                &["vus", "iterations", "max-duration"]
            }
            Self::ConstantVus => &["vus", "duration"],
            Self::RampingVus => &["start-vus", "stages"],
            Self::ConstantArrivalRate => &["rate", "time-unit", "duration", "max-vus"],
            Self::RampingArrivalRate => &["start-rate", "time-unit", "stages", "max-vus"],
        }
    }

    fn is_open(self) -> bool {
        matches!(self, Self::ConstantArrivalRate | Self::RampingArrivalRate)
    }
}

/// `tools` are those of the same file; where there are none, they are not known yet.
pub(super) fn read(entry: &Entry<'_, '_>, tools: &[ToolCall]) -> Vec<LoadConfig> {
    if entry.value().as_table().is_some() {
        entry.cx().report(
            Diagnostic::new(
                entry.key_span(),
                "`scenario` must be an array of tables",
                "one table",
            )
            .help("write [[scenario]] with two brackets on each side"),
        );
        return Vec::new();
    }
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut loads = Vec::new();
    for element in entry.elements(HELP).unwrap_or_default() {
        let Some(table) = element.table("[[scenario]]", HELP) else {
            continue;
        };
        let Some((load, name)) = read_load(table, tools) else {
            continue;
        };
        if !seen.insert(load.name.clone()) {
            name.refuse(
                format!("scenario `{}` has more than one entry", load.name),
                "the second entry",
                "give each [[scenario]] a name of its own",
            );
            continue;
        }
        loads.push(load);
    }
    loads
}

fn read_load<'c, 't>(
    mut table: Table<'c, 't>,
    tools: &[ToolCall],
) -> Option<(LoadConfig, Entry<'c, 't>)> {
    let name = table.require("name", "write a name of your own: name = \"search-burst\"");
    let mix = read_tools(&mut table, tools);
    let kind = table
        .require(
            "executor",
            "write how the load is applied: executor = \"constant-vus\"",
        )
        .map(|entry| entry.choice(&Kind::WORDS));
    let executor = read_executor(&mut table, kind.flatten());
    let think_time = table
        .get("think-time")
        .and_then(|entry| read_think_time(&entry, kind.flatten()));
    let graceful_stop = table
        .get("graceful-stop")
        .and_then(|entry| values::duration(&entry, Zero::Allowed));
    let start_time = table
        .get("start-time")
        .and_then(|entry| values::duration(&entry, Zero::Allowed));
    let sessions = table.get("sessions").and_then(|entry| {
        entry.choice(&[
            ("each", Sessions::Each),
            ("shared", Sessions::Shared),
            ("per-call", Sessions::PerCall),
        ])
    });
    table.finish(&[]);
    let entry = name?;
    let name = read_name(&entry)?;
    let terms = LoadTerms {
        executor: executor?,
        start_time,
        think_time: think_time.unwrap_or_default(),
        graceful_stop: graceful_stop.unwrap_or(GRACEFUL_STOP),
        sessions: sessions.unwrap_or_default(),
    };
    Some((
        LoadConfig {
            name,
            mix: mix?,
            terms,
        },
        entry,
    ))
}

/// Names of standard scenarios are never taken: with a tool they hold a `/`, and these are those
/// without one.
const TAKEN: [&str; 3] = ["handshake", "list-tools", "server"];

fn read_name(entry: &Entry<'_, '_>) -> Option<String> {
    let help = "allowed: up to 64 letters, digits, `-`, `_` and `.`";
    let name = entry.filled_string(help)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.len() > 64 || !name.chars().all(is_plain) {
        entry.refuse(
            "`name` cannot be a scenario's name",
            "too long, or with other characters",
            help,
        );
        return None;
    }
    if TAKEN.contains(&name) {
        entry.refuse(
            format!("`{name}` is a name of the standard suite"),
            "taken",
            "give the scenario another name",
        );
        return None;
    }
    Some(name.to_owned())
}

/// `tool = "search"`, or `tools = { search = 3, fetch = 1 }`.
fn read_tools(table: &mut Table<'_, '_>, tools: &[ToolCall]) -> Option<Vec<(String, u32)>> {
    let help = "write tool = \"search\", or tools = { search = 3, fetch = 1 } for a weighted mix";
    let one = table.get("tool");
    let mixed = table.get("tools");
    match (one, mixed) {
        (Some(entry), None) => {
            let name = entry.filled_string(help)?;
            is_tool(&entry, name, tools).then(|| vec![(name.to_owned(), 1)])
        }
        (None, Some(entry)) => {
            let weights = entry.entries(help)?;
            if weights.is_empty() || weights.len() > MOST_PARTS {
                let allowed = format!("allowed: 1 to {MOST_PARTS} tools");
                entry.refuse("`tools` has no tool, or too many", "not so many", allowed);
                return None;
            }
            // Each is looked at, so that every mistake is told.
            let read: Vec<Option<(String, u32)>> = weights
                .iter()
                .map(|entry| {
                    let weight = entry.count(1..=1_000);
                    let is_tool = is_tool(entry, entry.name(), tools);
                    weight
                        .filter(|_| is_tool)
                        .map(|weight| (entry.name().to_owned(), weight))
                })
                .collect();
            read.into_iter().collect()
        }
        (Some(_), Some(entry)) => {
            let problem = "`tool` and `tools` cannot both be given";
            entry.refuse(problem, "beside `tool`", help);
            None
        }
        (None, None) => table.require("tool", help).and(None),
    }
}

fn is_tool(entry: &Entry<'_, '_>, name: &str, tools: &[ToolCall]) -> bool {
    let problem = if name.chars().count() > LONGEST_TOOL_NAME {
        format!("tool names have at most {LONGEST_TOOL_NAME} characters")
    } else if !tools.is_empty() && tools.iter().all(|tool| tool.name != name) {
        format!("there is no [[tool]] named `{}`", shown(name))
    } else {
        return true;
    };
    let known: Vec<String> = tools
        .iter()
        .take(20)
        .map(|tool| shown(&tool.name))
        .collect();
    entry.refuse(
        problem,
        "not a tool of this file",
        format!("add a [[tool]] for it; there are: {}", known.join(", ")),
    );
    false
}

fn read_think_time(entry: &Entry<'_, '_>, kind: Option<Kind>) -> Option<ThinkTime> {
    if let Some(kind) = kind.filter(|kind| kind.is_open()) {
        entry.refuse(
            format!("`think-time` is not for `{}`", kind.name()),
            "has no meaning here",
            "take it out: calls begin at their rate, whatever a virtual user thinks",
        );
        return None;
    }
    if entry.value().as_table().is_none() {
        let fixed = values::duration(entry, Zero::Allowed)?;
        return Some(ThinkTime {
            from: fixed,
            to: fixed,
        });
    }
    let help = "write think-time = \"200ms\", or think-time = { from = \"100ms\", to = \"300ms\" }";
    let mut table = entry.table("`think-time`", help)?;
    let mut bound = |key| {
        let entry = table.require(key, help)?;
        values::duration(&entry, Zero::Allowed)
    };
    let (from, to) = (bound("from"), bound("to"));
    table.finish(&[]);
    let (from, to) = (from?, to?);
    if from > to {
        entry.refuse(
            "`think-time` has no time in it",
            "`from` is above `to`",
            help,
        );
        return None;
    }
    Some(ThinkTime { from, to })
}

fn read_executor(table: &mut Table<'_, '_>, kind: Option<Kind>) -> Option<Executor> {
    let Some(kind) = kind else {
        // Which of them belong here is not known, so none is refused.
        for key in KEYS {
            let _ = table.get(key);
        }
        return None;
    };
    for key in KEYS {
        if kind.keys().contains(&key) {
            continue;
        }
        if let Some(entry) = table.get_foreign(key) {
            entry.cx().report(
                Diagnostic::new(
                    entry.key_span(),
                    format!("`{key}` is not for `{}`", kind.name()),
                    "has no meaning here",
                )
                .help(format!(
                    "`{}` takes: {}",
                    kind.name(),
                    kind.keys().join(", ")
                )),
            );
        }
    }
    let executor = match kind {
        Kind::SharedIterations | Kind::PerVuIterations => {
            let vus = vus(table);
            let iterations = table
                .require("iterations", "write how many calls: iterations = 500")
                .and_then(|entry| entry.count(1..=1_000_000));
            let max_duration = table
                .get("max-duration")
                .map_or(Some(Duration::from_mins(10)), |entry| {
                    values::duration(&entry, Zero::Refused)
                });
            let (vus, iterations, max_duration) = (vus?, iterations?, max_duration?);
            if kind == Kind::SharedIterations {
                Executor::SharedIterations {
                    vus,
                    iterations,
                    max_duration,
                }
            } else {
                Executor::PerVuIterations {
                    vus,
                    iterations,
                    max_duration,
                }
            }
        }
        Kind::ConstantVus => {
            let vus = vus(table);
            let duration = duration(table);
            Executor::ConstantVus {
                vus: vus?,
                duration: duration?,
            }
        }
        Kind::RampingVus => {
            let start_vus = table
                .get("start-vus")
                .map_or(Some(1), |entry| entry.count(0..=MOST_VUS));
            let stages = stages(table, MOST_VUS);
            Executor::RampingVus {
                start_vus: start_vus?,
                stages: stages?,
            }
        }
        Kind::ConstantArrivalRate => {
            let rate = table
                .require(
                    "rate",
                    "write how many calls begin in each time unit: rate = 50",
                )
                .and_then(|entry| entry.count(1..=MOST_RATE));
            let time_unit = time_unit(table);
            let duration = duration(table);
            let max_vus = max_vus(table);
            let (rate, time_unit) = (rate?, time_unit?);
            Executor::ConstantArrivalRate {
                rate,
                time_unit,
                duration: duration?,
                max_vus: max_vus?.unwrap_or_else(|| room(rate, time_unit)),
            }
        }
        Kind::RampingArrivalRate => {
            let start_rate = table
                .get("start-rate")
                .map_or(Some(0), |entry| entry.count(0..=MOST_RATE));
            let time_unit = time_unit(table);
            let stages = stages(table, MOST_RATE);
            let max_vus = max_vus(table);
            let (start_rate, time_unit, stages) = (start_rate?, time_unit?, stages?);
            let highest = stages.iter().map(|s| s.target).fold(start_rate, u32::max);
            Executor::RampingArrivalRate {
                start_rate,
                time_unit,
                stages,
                max_vus: max_vus?.unwrap_or_else(|| room(highest, time_unit)),
            }
        }
    };
    within_bounds(table, executor)
}

fn within_bounds(table: &Table<'_, '_>, executor: Executor) -> Option<Executor> {
    let problem = if executor
        .planned_calls()
        .is_some_and(|calls| calls > MOST_CALLS)
    {
        format!("this scenario has more than {MOST_CALLS} calls")
    } else if executor.planned_calls() == Some(0) || executor.most_vus() == 0 {
        "this scenario makes no call: its load is zero throughout".to_owned()
    } else {
        return Some(executor);
    };
    let help = "change its rate, its stages or how long it takes";
    table.report(problem, "this scenario", help);
    None
}

fn vus(table: &mut Table<'_, '_>) -> Option<u32> {
    table
        .get("vus")
        .map_or(Some(1), |entry| entry.count(1..=MOST_VUS))
}

fn duration(table: &mut Table<'_, '_>) -> Option<Duration> {
    table
        .require("duration", "write how long it takes: duration = \"30s\"")
        .and_then(|entry| values::duration(&entry, Zero::Refused))
}

fn time_unit(table: &mut Table<'_, '_>) -> Option<Duration> {
    table
        .get("time-unit")
        .map_or(Some(Duration::from_secs(1)), |entry| {
            values::duration(&entry, Zero::Refused)
        })
}

/// `Some(None)` where nothing is said.
fn max_vus(table: &mut Table<'_, '_>) -> Option<Option<u32>> {
    match table.get("max-vus") {
        Some(entry) => entry.count(1..=MOST_VUS).map(Some),
        None => Some(None),
    }
}

fn room(rate: u32, time_unit: Duration) -> u32 {
    let calls = u128::from(rate) * ROOM.as_nanos() / time_unit.as_nanos().max(1);
    let (low, high) = ROOM_VUS;
    let vus = u64::try_from(calls).unwrap_or(u64::MAX).clamp(low, high);
    u32::try_from(vus).unwrap_or(u32::MAX)
}

fn stages(table: &mut Table<'_, '_>, most: u32) -> Option<Vec<Stage>> {
    let help =
        "write stages = [{ duration = \"30s\", target = 5 }, { duration = \"1m\", target = 10 }]";
    let entry = table.require("stages", help)?;
    let elements = entry.elements(help)?;
    if elements.is_empty() || elements.len() > MOST_PARTS {
        let allowed = format!("allowed: 1 to {MOST_PARTS} stages");
        entry.refuse("`stages` has no stage, or too many", "not so many", allowed);
        return None;
    }
    // Each is looked at, so that every mistake is told.
    let read: Vec<Option<Stage>> = elements
        .iter()
        .map(|element| {
            let mut table = element.table("a stage", help)?;
            let duration = table
                .require("duration", help)
                .and_then(|entry| values::duration(&entry, Zero::Allowed));
            let target = table
                .require("target", help)
                .and_then(|entry| entry.count(0..=most));
            table.finish(&[]);
            Some(Stage {
                duration: duration?,
                target: target?,
            })
        })
        .collect();
    let stages: Vec<Stage> = read.into_iter().collect::<Option<_>>()?;
    if stages.iter().all(|stage| stage.duration.is_zero()) {
        entry.refuse("`stages` take no time", "all of them \"0s\"", help);
        return None;
    }
    Some(stages)
}
