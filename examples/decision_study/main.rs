//! Prints the tables of "The study" in `docs/decision.md`, and draws its plot: how often the decision
//! is right on pairs of rounds of real servers, beside the rules of other gates on the same rounds.
//!
//! `cargo xtask study` records the rounds, and then runs this. Alone, on a folder of recordings:
//! `cargo run --release --example decision_study FOLDER [SUITES]`.

mod others;
mod plant;
mod plot;
mod recording;
mod suites;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use mcpgate::{
    gate::{Metric, Role, Verdict},
    stats::interval::{proportion_lower_bound, proportion_upper_bound},
    suite::{Floors, GateConfig},
};
use plant::Change;
use recording::Recording;
use suites::{Draw, Suite};

const DEFAULT_SUITES: usize = 300;

const CHANGES: [Change; 9] = [
    Change::None,
    Change::Slower(1.1),
    Change::Slower(1.2),
    Change::Slower(1.3),
    Change::Slower(1.5),
    Change::Slower(2.0),
    Change::Tail,
    Change::Memory,
    Change::Leak,
];

/// How many of how many.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Share {
    those: u64,
    all: u64,
}

impl Share {
    fn count(&mut self, is_one: bool) {
        self.those += u64::from(is_one);
        self.all += 1;
    }

    fn and(self, other: Self) -> Self {
        Self {
            those: self.those + other.those,
            all: self.all + other.all,
        }
    }

    pub(crate) fn percent(self) -> f64 {
        self.those as f64 * 100.0 / self.all.max(1) as f64
    }

    /// With its Clopper-Pearson interval at 95 %.
    fn words(self) -> String {
        let low = proportion_lower_bound(self.those, self.all, 0.025) * 100.0;
        let high = proportion_upper_bound(self.those, self.all, 0.025) * 100.0;
        format!("{:.1} % ({low:.1}–{high:.1})", self.percent())
    }
}

/// What one recording and one change gave.
#[derive(Debug, Clone, Default)]
struct Cell {
    /// The changed tool, or the server, is named; of an unchanged suite, anything is.
    named: Share,
    regressed: Share,
    inconclusive: Share,
    improved: Share,
    memory_regressed: Share,
    growth_regressed: Share,
    others: [Share; 5],
    /// The same, of the changed tool alone.
    others_of_tool: [Share; 5],
    /// Suites with a figure that passes as not worse by 2x.
    coarse: Share,
    pairs: Vec<f64>,
    of_tool: Vec<f64>,
    alarms: Vec<String>,
    /// Figures that stayed open, and in how many suites.
    open: BTreeMap<String, u64>,
}

impl Cell {
    fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.named = self.named.and(other.named);
        both.regressed = self.regressed.and(other.regressed);
        both.inconclusive = self.inconclusive.and(other.inconclusive);
        both.improved = self.improved.and(other.improved);
        both.memory_regressed = self.memory_regressed.and(other.memory_regressed);
        both.growth_regressed = self.growth_regressed.and(other.growth_regressed);
        for (mine, other) in both.others.iter_mut().zip(other.others) {
            *mine = mine.and(other);
        }
        for (mine, other) in both.others_of_tool.iter_mut().zip(other.others_of_tool) {
            *mine = mine.and(other);
        }
        both.coarse = self.coarse.and(other.coarse);
        both.pairs.extend(&other.pairs);
        both.of_tool.extend(&other.of_tool);
        for (name, count) in &other.open {
            *both.open.entry(name.clone()).or_default() += count;
        }
        both
    }
}

/// What users get unless they set it otherwise.
fn usual() -> GateConfig {
    GateConfig::default()
}

/// The same where a microsecond counts: for what answers within the usual floors.
fn without_floors() -> GateConfig {
    GateConfig {
        floor: Floors {
            latency_p50: Duration::ZERO,
            latency_p95: Duration::ZERO,
            ..Floors::default()
        },
        ..GateConfig::default()
    }
}

fn study(
    recording: &Recording,
    change: Change,
    suites: usize,
    how: Draw,
    policy: &GateConfig,
) -> Cell {
    let mut cell = Cell::default();
    for number in 0..suites {
        let Some(mut suite) = Suite::drawn(recording, number, how, change) else {
            break;
        };
        let tool = suite.tool.to_owned();
        if let Some(pair) = suite.first_pair() {
            let history = suite.history(others::HISTORY);
            let of_tool = |name: &str| name.starts_with(&format!("{tool}/"));
            let flags = others::flags(&pair, &history, of_tool);
            for (share, flag) in cell.others_of_tool.iter_mut().zip(flags) {
                share.count(flag);
            }
            // Of an unchanged suite, any figure that is called worse is a false alarm.
            let flags = match change {
                Change::None => others::flags(&pair, &history, |_| true),
                _ => flags,
            };
            for (share, flag) in cell.others.iter_mut().zip(flags) {
                share.count(flag);
            }
        }
        let outcome = suite.judged(policy);
        let judgement = &outcome.judgement;
        let is = |verdict| judgement.verdict == verdict;
        cell.regressed.count(is(Verdict::Regressed));
        cell.inconclusive.count(is(Verdict::Inconclusive));
        cell.improved.count(is(Verdict::Improved));
        cell.coarse
            .count(judgement.comparisons.iter().any(|c| c.is_coarse));
        let regressed: Vec<String> = judgement
            .comparisons
            .iter()
            .filter(|c| c.verdict == Verdict::Regressed)
            .map(|c| format!("{} {}", c.scenario, c.metric))
            .collect();
        cell.memory_regressed.count(
            regressed
                .iter()
                .any(|name| name.ends_with(Metric::PeakMemory.name())),
        );
        cell.growth_regressed.count(
            regressed
                .iter()
                .any(|name| name.ends_with(Metric::MemoryGrowth.name())),
        );
        for c in &judgement.comparisons {
            if c.verdict == Verdict::Inconclusive && c.role != Role::Reported {
                *cell
                    .open
                    .entry(format!("{} {}", c.scenario, c.metric))
                    .or_default() += 1;
            }
        }
        let is_named = match change {
            Change::None => is(Verdict::Regressed),
            _ => outcome.names(&tool, change),
        };
        cell.named.count(is_named);
        if change == Change::None && is(Verdict::Regressed) {
            cell.alarms.push(format!(
                "{} suite {number}: {}",
                recording.name,
                regressed.join(", ")
            ));
        }
        cell.pairs.push(f64::from(outcome.pairs));
        cell.of_tool.push(outcome.of_tool.as_secs_f64());
    }
    cell
}

fn stored(recording: &Recording, change: Change, suites: usize) -> Cell {
    let policy = usual();
    let mut cell = Cell::default();
    for number in 0..suites {
        let judged = suites::judged_stored(recording, number, change, &policy);
        let Some((judgement, tool)) = judged else {
            break;
        };
        let is = |verdict| judgement.verdict == verdict;
        cell.regressed.count(is(Verdict::Regressed));
        cell.inconclusive.count(is(Verdict::Inconclusive));
        let is_named = judgement.comparisons.iter().any(|c| {
            c.verdict == Verdict::Regressed
                && (change == Change::None || c.tool.as_deref() == Some(tool.as_str()))
        });
        cell.named.count(is_named);
    }
    cell
}

/// The value below which this share of them lies.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

fn row(out: &mut impl Write, cells: impl IntoIterator<Item = String>) -> io::Result<()> {
    let cells: Vec<String> = cells.into_iter().collect();
    writeln!(out, "| {} |", cells.join(" | "))
}

fn head(out: &mut impl Write, title: &str, columns: &[&str]) -> io::Result<()> {
    writeln!(out, "\n{title}\n")?;
    row(out, columns.iter().map(|c| (*c).to_owned()))?;
    row(out, columns.iter().map(|_| "---".to_owned()))
}

fn unchanged(
    out: &mut impl Write,
    all: &[Recording],
    suites: usize,
    (title, how, policy): (&str, Draw, &GateConfig),
) -> io::Result<()> {
    head(
        out,
        title,
        &[
            "recording",
            "regressed",
            "inconclusive",
            "improved",
            "with a coarse pass",
            "pairs (median, 95 %)",
            "one tool's calls until decided (median, 95 %)",
        ],
    )?;
    let mut notes = Vec::new();
    let mut total: Option<Cell> = None;
    let line = |out: &mut dyn Write, name: &str, cell: &Cell| {
        let both = |values: &[f64], unit: &str| {
            format!(
                "{:.0}, {:.0}{unit}",
                quantile(values, 0.5),
                quantile(values, 0.95)
            )
        };
        let cells = [
            name.to_owned(),
            cell.regressed.words(),
            cell.inconclusive.words(),
            cell.improved.words(),
            format!("{:.0} %", cell.coarse.percent()),
            both(&cell.pairs, ""),
            both(&cell.of_tool, " s"),
        ];
        writeln!(out, "| {} |", cells.join(" | "))
    };
    for recording in all {
        let cell = study(recording, Change::None, suites, how, policy);
        line(out, &recording.name, &cell)?;
        notes.extend(cell.alarms.clone());
        let mut open: Vec<(&String, &u64)> = cell.open.iter().collect();
        open.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (name, count) in open.into_iter().take(6) {
            notes.push(format!("{} open in {count}: {name}", recording.name));
        }
        total = Some(total.map_or_else(|| cell.clone(), |total| total.and(&cell)));
    }
    if let Some(total) = total {
        line(out, "all", &total)?;
    }
    for note in notes {
        writeln!(out, "- {note}")?;
    }
    Ok(())
}

/// Of each change, what all recordings under one load gave.
fn changed(
    out: &mut impl Write,
    all: &[Recording],
    suites: usize,
    load: &str,
) -> io::Result<Vec<(Change, Cell)>> {
    let mut columns = vec![
        "change of one tool",
        "named by mcpgate",
        "of each server",
        "inconclusive",
    ];
    columns.extend(others::NAMES);
    head(out, &format!("Changes, {load}"), &columns)?;
    let mut rows = Vec::new();
    for change in CHANGES {
        let cells: Vec<Cell> = all
            .iter()
            .filter(|recording| recording.name.ends_with(load) && !is_within_floors(recording))
            .filter(|recording| change != Change::Leak || !recording.soaks.is_empty())
            .map(|recording| study(recording, change, suites, Draw::Shuffled, &usual()))
            .collect();
        let Some(total) = cells
            .iter()
            .skip(1)
            .fold(cells.first().cloned(), |total, cell| {
                total.map(|t| t.and(cell))
            })
        else {
            continue;
        };
        let of_each: Vec<String> = cells
            .iter()
            .map(|cell| format!("{:.0}", cell.named.percent()))
            .collect();
        let of_calls = !matches!(change, Change::Memory | Change::Leak);
        let mut line = vec![
            change.name(),
            total.named.words(),
            of_each.join(", "),
            total.inconclusive.words(),
        ];
        line.extend(total.others.iter().map(|share| match of_calls {
            true => share.words(),
            false => "–".to_owned(),
        }));
        row(out, line)?;
        rows.push((change, total));
    }
    Ok(rows)
}

fn with_stored(out: &mut impl Write, all: &[Recording], suites: usize) -> io::Result<()> {
    head(
        out,
        "Against rounds of the same recording, stored before",
        &["change of one tool", "load", "named", "inconclusive"],
    )?;
    for change in [
        Change::None,
        Change::Slower(1.3),
        Change::Slower(1.5),
        Change::Slower(2.0),
    ] {
        for load in LOADS {
            let cells = all
                .iter()
                .filter(|recording| recording.name.ends_with(load) && !is_within_floors(recording))
                .map(|recording| stored(recording, change, suites));
            if let Some(total) = cells.reduce(|a, b| a.and(&b)) {
                row(
                    out,
                    [
                        change.name(),
                        load.to_owned(),
                        total.named.words(),
                        total.inconclusive.words(),
                    ],
                )?;
            }
        }
    }
    Ok(())
}

const LOADS: [&str; 2] = ["quiet", "busy"];

/// A tool of a millisecond shows how long an unchanged one takes to be decided. A third more of it is about
/// its floor, so what is found there tells of the floor.
fn is_within_floors(recording: &Recording) -> bool {
    recording.name.starts_with("one-ms")
}

fn print(folder: &Path, suites: usize) -> Result<(), String> {
    let all = read_all(folder)?;
    let mut out = io::stdout().lock();
    let told = |e: io::Error| e.to_string();
    let pairs: Vec<String> = all
        .iter()
        .map(|r| format!("{} {}", r.name, r.pairs.len()))
        .collect();
    writeln!(
        out,
        "Pairs: {}; {suites} suites of each recording.",
        pairs.join(", ")
    )
    .map_err(told)?;
    for (title, how, policy) in [
        (
            "Nothing changed, pairs drawn at random",
            Draw::Shuffled,
            usual(),
        ),
        (
            "Nothing changed, pairs as they came",
            Draw::InOrder,
            usual(),
        ),
        (
            "Nothing changed, no floor for latencies",
            Draw::Shuffled,
            without_floors(),
        ),
    ] {
        unchanged(&mut out, &all, suites, (title, how, &policy)).map_err(told)?;
    }
    for load in LOADS {
        let rows = changed(&mut out, &all, suites, load).map_err(told)?;
        let drawn: Vec<plot::Point> = rows
            .iter()
            .filter_map(|(change, cell)| {
                let factor = match change {
                    Change::None => 1.0,
                    Change::Slower(factor) => *factor,
                    _ => return None,
                };
                let mut shares = vec![cell.named];
                shares.extend(cell.others_of_tool);
                Some(plot::Point { factor, shares })
            })
            .collect();
        if !drawn.is_empty() {
            plot::draw(&folder.join(format!("found-{load}.svg")), load, &drawn)?;
        }
    }
    with_stored(&mut out, &all, suites).map_err(told)
}

fn read_all(folder: &Path) -> Result<Vec<Recording>, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_suffix(".samples.jsonl").map(str::to_owned)
        })
        .collect();
    names.sort();
    names
        .iter()
        .map(|name| Recording::read(folder, name))
        .collect()
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map(PathBuf::from);
    let suites = match arguments.next().map(|text| text.parse()) {
        None => Ok(DEFAULT_SUITES),
        Some(parsed) => parsed,
    };
    let done = match (folder, suites) {
        (Some(folder), Ok(suites)) => print(&folder, suites),
        _ => Err("usage: decision_study FOLDER [SUITES]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {failure}");
            ExitCode::FAILURE
        }
    }
}
