//! Prints the tables of `docs/decision.md`: how often the decision is right, by drawing results at
//! random and judging them as `mcpgate compare` does.
//!
//! `cargo run --release --example decision_rates [RUNS [TABLE]]`; the document's tables are of 5,000 runs. A
//! table is `unchanged`, `changed`, `worlds`, `elsewhere`, `tails`, `growth` or `trimming`; without one, all are printed.

mod plan;
mod world;

use std::io::{self, Write};

use mcpgate::{
    gate::{self, Judgement, Metric, Role, Verdict},
    stats::{
        Sample,
        interval::{Difference, normal_quantile},
        location::{TrimmedMean, trim_count},
    },
};
use plan::{has, shares};
use world::{Draw, QUIET, TOOL, World};

const DEFAULT_RUNS: u32 = 1_000;
const TABLES: [&str; 7] = [
    "unchanged",
    "changed",
    "worlds",
    "elsewhere",
    "tails",
    "growth",
    "trimming",
];

fn yes(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn is_good(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Pass | Verdict::Improved)
}

/// The changed tool is named as regressed; or every row of it is a pass.
fn of_tool(judgement: &Judgement) -> [f64; 2] {
    let of_it = |c: &gate::Comparison| c.tool.as_deref() == Some(TOOL) && c.role != Role::Reported;
    [
        yes(has(judgement, |c| {
            of_it(c) && c.verdict == Verdict::Regressed
        })),
        yes(!has(judgement, |c| of_it(c) && !is_good(c.verdict))),
    ]
}

/// Share of the gating figures with a verdict.
fn share_of_figures(judgement: &Judgement, verdict: Verdict) -> f64 {
    let gating = judgement
        .comparisons
        .iter()
        .filter(|c| c.role == Role::Gates && c.metric != Metric::ErrorRate);
    let (mut all, mut those) = (0.0, 0.0);
    for c in gating {
        all += 1.0;
        those += yes(c.verdict == verdict);
    }
    those / all
}

/// A percentage with as many digits as matter.
fn percent(share: f64) -> String {
    match share {
        0.0 => "0 %".to_owned(),
        s if s < 0.1 => format!("{s:.3} %"),
        s if s < 10.0 => format!("{s:.1} %"),
        s => format!("{s:.0} %"),
    }
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

fn unchanged(out: &mut impl Write, runs: u32) -> io::Result<()> {
    head(
        out,
        "Nothing changed: shares of runs of a suite of ten tools (44 figures gate)",
        &[
            "jobs differ by",
            "of one job, figures shift",
            "regressed",
            "pass",
            "inconclusive",
            "one figure regressed",
            "one figure inconclusive",
            "looked again",
            "confirming rounds",
            "regressed without confirming rounds",
        ],
    )?;
    for between in [0.0, 0.04, 0.06, 0.08] {
        for (together, words) in [
            (0.0, "each alone"),
            (0.5, "half together"),
            (1.0, "together"),
        ] {
            if between == 0.0 && together > 0.0 {
                continue;
            }
            let world = World {
                between,
                between_memory: between / 2.0,
                together,
                ..QUIET
            };
            let answers = shares(&world, runs, |r| {
                [
                    yes(r.last.verdict == Verdict::Regressed),
                    yes(is_good(r.last.verdict)),
                    yes(r.last.verdict == Verdict::Inconclusive),
                    share_of_figures(&r.last, Verdict::Regressed),
                    share_of_figures(&r.last, Verdict::Inconclusive),
                    yes(r.looked_again),
                    yes(r.confirmed),
                    yes(r.first.verdict == Verdict::Regressed),
                ]
            });
            let labels = [between.to_string(), words.to_owned()];
            row(out, labels.into_iter().chain(answers.map(percent)))?;
        }
    }
    Ok(())
}

const CHANGES: [f64; 7] = [1.0, 1.1, 1.15, 1.2, 1.3, 1.5, 2.0];

/// Of one changed tool: named as regressed / all its rows pass.
fn changed(
    out: &mut impl Write,
    runs: u32,
    title: &str,
    worlds: &[(String, World)],
) -> io::Result<()> {
    let columns: Vec<String> = CHANGES.iter().map(|c| format!("x {c}")).collect();
    let mut names = vec![""];
    names.extend(columns.iter().map(String::as_str));
    head(out, title, &names)?;
    for (label, world) in worlds {
        let mut cells = vec![label.clone()];
        for change in CHANGES {
            let world = World { change, ..*world };
            let [regressed, pass] = shares(&world, runs, |r| of_tool(&r.last));
            cells.push(format!("{} / {}", percent(regressed), percent(pass)));
        }
        row(out, cells)?;
    }
    Ok(())
}

fn noisy_tails(out: &mut impl Write, runs: u32) -> io::Result<()> {
    head(
        out,
        "A tail (adjusted p95 and throughput) that scatters on both sides, p50 unchanged: regressed / pass; share of runs where p95 gates, and that measure confirming rounds, at x 1",
        &[
            "scatter",
            "x 1",
            "x 1.5",
            "x 2",
            "x 3",
            "p95 gates",
            "confirming rounds at x 1",
        ],
    )?;
    for within_tail in [0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 0.57] {
        let mut cells = vec![within_tail.to_string()];
        let mut at_one = None;
        for tail_change in [1.0, 1.5, 2.0, 3.0] {
            let world = World {
                tools: 1,
                within_tail,
                tail_change,
                ..QUIET
            };
            let [regressed, pass, gates, confirmed] = shares(&world, runs, |r| {
                let p95_gates = has(&r.last, |c| {
                    c.tool.is_some()
                        && c.metric == Metric::LatencyP95Adjusted
                        && c.role == Role::Gates
                });
                let [regressed, pass] = of_tool(&r.last);
                [regressed, pass, yes(p95_gates), yes(r.confirmed)]
            });
            cells.push(format!("{} / {}", percent(regressed), percent(pass)));
            at_one = at_one.or(Some([gates, confirmed]));
        }
        cells.extend(at_one.into_iter().flatten().map(percent));
        row(out, cells)?;
    }
    Ok(())
}

fn growth(out: &mut impl Write, runs: u32) -> io::Result<()> {
    head(
        out,
        "Memory growth, spread 2.4 kB a call, three soaks a side: the tool's growth regressed / pass",
        &["leak per call", "regressed", "pass"],
    )?;
    for leak in [0.0, 5e3, 10e3, 20e3] {
        let world = World {
            tools: 1,
            soaks: 3,
            leak,
            ..QUIET
        };
        let answers = shares(&world, runs, |r| {
            [Verdict::Regressed, Verdict::Pass].map(|verdict| {
                yes(has(&r.last, |c| {
                    c.metric == Metric::MemoryGrowth && c.verdict == verdict
                }))
            })
        });
        row(
            out,
            [format!("{} kB", leak / 1e3)]
                .into_iter()
                .chain(answers.map(percent)),
        )?;
    }
    Ok(())
}

/// Alarms of the rule with another share trimmed at each end, at a true factor of 1.5.
fn trimming(out: &mut impl Write, runs: u32) -> io::Result<()> {
    head(
        out,
        "Trimming: 1.5 x found in an alarm (s = 0.04, spread 6 %)",
        &["rounds a side", "disturbed", "plain mean", "20 % trimmed"],
    )?;
    let found = |rounds: usize, disturbed: f64, trimmed: usize| {
        let mut alarms = 0.0;
        for i in 0..runs {
            let draw = &mut Draw::seeded(u64::from(i));
            let mut side = |level: f64| {
                let logs = (0..rounds).map(|_| {
                    let hit = draw.uniform() < disturbed;
                    level + 0.06 * draw.normal() + if hit { 1.0 } else { 0.0 }
                });
                Sample::new(logs.collect::<Vec<f64>>())
                    .map(|s| TrimmedMean::of(&s, trim_count(rounds, trimmed)))
            };
            let (base, candidate) = (side(0.0), side(1.5_f64.ln()));
            let difference = base
                .zip(candidate)
                .and_then(|(b, c)| Difference::between(&b, &c));
            let is_alarm = difference.is_some_and(|d| {
                let jobs = normal_quantile(0.999) * 0.04 * 2_f64.sqrt();
                d.estimate > 1.2_f64.ln()
                    && d.estimate - d.margin(0.001).hypot(jobs) > 1.05_f64.ln()
            });
            alarms += yes(is_alarm);
        }
        100.0 * alarms / f64::from(runs)
    };
    for (rounds, disturbed) in [(10, 0.0), (10, 0.1), (5, 0.0), (5, 0.1)] {
        row(
            out,
            [
                rounds.to_string(),
                percent(100.0 * disturbed),
                percent(found(rounds, disturbed, 0)),
                percent(found(rounds, disturbed, 20)),
            ],
        )?;
    }
    Ok(())
}

fn worlds(out: &mut impl Write, runs: u32) -> io::Result<()> {
    let five = World { rounds: 5, ..QUIET };
    changed(
        out,
        runs / 5,
        "The same with fewer rounds",
        &[("five rounds a side".to_owned(), five)],
    )
}

/// On another class of machines than the baseline's: how often an unchanged suite is called regressed,
/// and how often a doubled tool is.
fn elsewhere(out: &mut impl Write, runs: u32) -> io::Result<()> {
    let ten = World {
        other_class: true,
        tells_speed: true,
        cpu_share: 0.9,
        between_memory: 0.02,
        ..QUIET
    };
    let tools = |tools| World { tools, ..ten };
    let suites = [
        ("ten tools", ten),
        ("three tools", tools(3)),
        ("one tool", tools(1)),
        (
            "one tool, a handshake of 0.1 ms",
            World {
                handshake: 0.01,
                ..tools(1)
            },
        ),
        (
            "ten tools, the other nine wait",
            World { waiting: 9, ..ten },
        ),
        ("ten tools, all of them wait", World { waiting: 10, ..ten }),
        (
            "ten tools, all of them changed",
            World {
                all_change: true,
                ..ten
            },
        ),
        (
            "ten tools, the fixed work unknown",
            World {
                tells_speed: false,
                ..ten
            },
        ),
    ];
    let worlds = [
        ("equally fast", 0.0, 1.0, 1),
        ("0.15, together", 0.15, 1.0, 1),
        ("mostly together", 0.15, 0.8, 1),
        ("half together", 0.15, 0.5, 1),
        ("each alone", 0.15, 0.0, 1),
        ("three classes, together", 0.15, 1.0, 3),
        ("mostly together", 0.15, 0.8, 3),
    ];
    let mut columns = vec!["the suite"];
    columns.extend(worlds.iter().map(|(name, ..)| *name));
    head(
        out,
        "On another class of machines: unchanged suites that are called regressed / doubled tools that are",
        &columns,
    )?;
    for (suite, world) in suites {
        let mut cells = vec![suite.to_owned()];
        for (_, between, together, base_jobs) in worlds {
            let unchanged = World {
                between,
                together,
                base_jobs,
                ..world
            };
            let doubled = World {
                change: 2.0,
                ..unchanged
            };
            let [wrong] = shares(&unchanged, runs, |r| {
                [yes(r.last.verdict == Verdict::Regressed)]
            });
            let [found, _] = shares(&doubled, runs, |r| of_tool(&r.last));
            cells.push(format!("{} / {}", percent(wrong), percent(found)));
        }
        row(out, cells)?;
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let runs = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(DEFAULT_RUNS);
    let only = std::env::args().nth(2);
    if let Some(only) = &only
        && !TABLES.contains(&only.as_str())
    {
        let problem = format!(
            "there is no table {only:?}: write one of {}",
            TABLES.join(", ")
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    let wants = |table: &str| only.as_deref().is_none_or(|only| only == table);
    let out = &mut io::stdout().lock();
    writeln!(out, "{runs} runs a cell.")?;
    if wants("unchanged") {
        unchanged(out, runs)?;
    }
    if wants("changed") {
        let jobs = [0.0, 0.04, 0.06].map(|between| {
            let label = format!("jobs differ by {between}");
            let world = World {
                between,
                between_memory: between / 2.0,
                ..QUIET
            };
            (label, world)
        });
        changed(
            out,
            runs / 5,
            "One of ten tools slower: it is called regressed / all its figures pass",
            &jobs,
        )?;
    }
    if wants("worlds") {
        worlds(out, runs)?;
    }
    if wants("elsewhere") {
        elsewhere(out, runs / 5)?;
    }
    if wants("tails") {
        noisy_tails(out, runs)?;
    }
    if wants("growth") {
        growth(out, runs)?;
    }
    if wants("trimming") {
        trimming(out, runs)?;
    }
    out.flush()
}
