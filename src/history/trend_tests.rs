use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use super::*;
use crate::{
    history::{
        Figures,
        test_support::{machine, run, runs, with_p50, wobble},
    },
    results::Environment,
    stats::interval::proportion_lower_bound,
};

const P50: Metric = Metric::LatencyP50Adjusted;

fn policy() -> GateConfig {
    GateConfig::default()
}

fn series<'a>(trend: &'a Trend, scenario: &str, metric: Metric) -> Vec<&'a Series> {
    let all = trend.series.iter();
    all.filter(|s| s.scenario == scenario && s.metric == metric)
        .collect()
}

/// The one series of p50 in runs that take these milliseconds.
fn of(p50_ms: &[f64]) -> Series {
    let trend = trend(&runs(p50_ms), &policy());
    series(&trend, "search/sequential", P50)[0].clone()
}

fn noisy(levels: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let levels = levels.into_iter().enumerate();
    levels.map(|(n, ms)| ms * wobble(n)).collect()
}

#[test]
fn a_step_is_found_at_its_commit() {
    let levels = noisy((0..24).map(|n| if n < 15 { 12.0 } else { 16.0 }));
    let found = of(&levels);
    let [change] = &found.changes[..] else {
        panic!("{:?}", found.changes);
    };
    assert_eq!(change.index, 15);
    assert_eq!(change.commit, run(15).commit);
    assert_eq!(change.after, run(14).commit);
    assert!(change.is_worse && !change.is_same_commit);
    assert!(
        (change.ratio.unwrap() - 16.0 / 12.0).abs() < 0.02,
        "{change:?}"
    );
    assert_eq!(found.segments.len(), 2);
    // A step is no drift.
    assert_eq!(found.drift, None);
}

#[test]
fn a_change_between_runs_of_one_commit_is_none_of_the_code() {
    let levels = noisy((0..24).map(|n| if n < 15 { 12.0 } else { 16.0 }));
    let mut entries = runs(&levels);
    entries[15].commit = entries[14].commit.clone();
    let trend = trend(&entries, &policy());
    let change = &series(&trend, "search/sequential", P50)[0].changes[0];
    assert!(change.is_same_commit, "{change:?}");
}

#[test]
fn the_third_run_after_a_change_tells_it_where_enough_came_before() {
    let of = |before: usize, after: usize| {
        let levels = (0..before + after).map(|n| if n < before { 12.0 } else { 24.0 });
        !of(&noisy(levels)).changes.is_empty()
    };
    assert!(of(10, 3) && !of(30, 2));
    // Of few runs too many orders look alike.
    assert!(of(6, 5) && !of(4, 4));
}

#[test]
fn a_small_change_is_not_told() {
    // 3 %, without noise: certain, and nobody would act on it.
    let found = of(&(0..24)
        .map(|n| if n < 12 { 12.0 } else { 12.36 })
        .collect::<Vec<_>>());
    assert_eq!(found.changes, []);
    assert_eq!(found.segments.len(), 1);
}

#[test]
fn another_machine_is_no_change_of_the_code() {
    // Twice as slow from run 12 on, since it runs elsewhere from there on.
    let levels = noisy((0..24).map(|n| if n < 12 { 12.0 } else { 24.0 }));
    let elsewhere: [fn(&mut Machine); 4] = [
        |machine| machine.cpu_model = "Intel Xeon".to_owned(),
        |machine| machine.cores = 4,
        |machine| machine.container_cpu_limit_millicores = Some(1500),
        // One description, another speed.
        |machine| machine.reference_work_ns = Some(10_000_000),
    ];
    for change in elsewhere {
        let mut entries = runs(&levels);
        for entry in &mut entries[12..] {
            change(&mut entry.machine);
            // Memory is compared all the same.
            entry.scenarios.entry("server".to_owned()).or_default();
        }
        for entry in &mut entries {
            let server = entry.scenarios.entry("server".to_owned()).or_default();
            server.peak_memory_bytes = Some(50_000_000);
        }
        let trend = trend(&entries, &policy());
        let parts = series(&trend, "search/sequential", P50);
        assert_eq!(parts.len(), 2, "{:?}", trend.machines);
        assert!(
            parts
                .iter()
                .all(|s| s.changes.is_empty() && s.drift.is_none())
        );
        assert!(!parts[0].is_current && parts[1].is_current);
        let [moved] = &trend.machine_changes[..] else {
            panic!("{:?}", trend.machine_changes);
        };
        assert_eq!((moved.from, moved.to), (0, 1));
        assert_eq!(moved.commit, run(12).commit);
        assert_eq!(series(&trend, "server", Metric::PeakMemory).len(), 1);
    }
}

#[test]
fn a_machine_of_varying_speed_is_one_class() {
    let mut entries = runs(&noisy((0..20).map(|_| 12.0)));
    for (n, entry) in entries.iter_mut().enumerate() {
        // 4 % is how much the best rounds of two runs differ; and some do not tell.
        let ns = 5_000_000 + (n as u64 % 5) * 50_000;
        entry.machine.reference_work_ns = (n % 7 != 3).then_some(ns);
    }
    assert_eq!(trend(&entries, &policy()).machines.len(), 1);
}

#[test]
fn what_is_measured_otherwise_is_another_series() {
    let levels = noisy((0..24).map(|n| if n < 12 { 12.0 } else { 24.0 }));
    let otherwise: [fn(&mut Entry); 4] = [
        |entry| entry.transport = "streamable-http".to_owned(),
        |entry| entry.protocol_version = "2025-11-25".to_owned(),
        |entry| entry.attached = true,
        |entry| {
            for figures in entry.scenarios.values_mut() {
                figures.definition_hash = Some("d2".to_owned());
            }
        },
    ];
    for change in otherwise {
        let mut entries = runs(&levels);
        entries[12..].iter_mut().for_each(change);
        let trend = trend(&entries, &policy());
        let parts = series(&trend, "search/sequential", P50);
        assert_eq!(parts.len(), 2);
        assert!(parts.iter().all(|s| s.changes.is_empty()));
    }
}

#[test]
fn three_per_cent_at_a_time_over_ten_merges_is_found() {
    for flat in [0_usize, 5, 15, 40] {
        let levels =
            noisy((0..=flat + 10).map(|n| 12.0 * 1.03_f64.powf(n.saturating_sub(flat) as f64)));
        let found = of(&levels);
        let drift = found.drift.unwrap_or_else(|| panic!("none after {flat}"));
        assert!(drift.is_worse && drift.are_commits);
        let ratio = drift.ratio.unwrap();
        assert!((1.27..1.41).contains(&ratio), "{flat}: {drift:?}");
        assert!((8..=12).contains(&drift.steps), "{flat}: {drift:?}");
        let step = drift.ratio_of_a_step().unwrap();
        assert!((1.025..1.035).contains(&step), "{flat}: {step}");
    }
}

#[test]
fn a_steeper_drift_is_no_step() {
    let drift = of(&noisy((0..14).map(|n| 12.0 * 1.08_f64.powi(n)))).drift;
    let ratio = drift.expect("a drift").ratio_of_a_step().unwrap();
    assert!((1.07..1.09).contains(&ratio), "{ratio}");
}

#[test]
fn what_is_no_slow_drift_is_not_called_one() {
    let table: [(&str, Vec<f64>); 7] = [
        ("level", noisy((0..30).map(|_| 12.0))),
        (
            "step",
            noisy((0..30).map(|n| if n < 20 { 12.0 } else { 18.0 })),
        ),
        (
            "late step",
            noisy((0..30).map(|n| if n < 27 { 12.0 } else { 18.0 })),
        ),
        (
            "one wild run",
            noisy((0..20).map(|n| if n == 12 { 30.0 } else { 12.0 })),
        ),
        (
            "below the tolerance",
            noisy((0..20).map(|n| 12.0 * 1.008_f64.powi(n))),
        ),
        (
            "below the floor",
            noisy((0..11).map(|n| 0.1 * 1.03_f64.powi(n))),
        ),
        ("few", noisy((0..7).map(|n| 12.0 * 1.06_f64.powi(n)))),
    ];
    for (what, levels) in table {
        assert_eq!(of(&levels).drift, None, "{what}");
    }
}

#[test]
fn a_drift_after_a_step_is_measured_from_the_step() {
    let levels = noisy((0..26).map(|n| match n {
        0..12 => 12.0,
        n => 24.0 * 1.03_f64.powi(n - 12),
    }));
    let drift = of(&levels).drift.expect("a drift");
    assert!((23.0e6..26.0e6).contains(&drift.from), "{drift:?}");
    assert!(drift.ratio.unwrap() < 1.6, "{drift:?}");
}

#[test]
fn the_comment_hears_of_what_gets_worse_and_decides_on_this_machine() {
    let ramp = |n: usize| 12.0 * 1.03_f64.powf(n as f64) * wobble(n);
    let mut entries: Vec<Entry> = (0..12)
        .map(|n| {
            let mut entry = with_p50(run(n), "search/sequential", ramp(n));
            entry = with_p50(entry, "faster/sequential", 400.0 / ramp(n));
            entry = with_p50(entry, "outside/sequential", ramp(n));
            let figures = entry.scenarios.get_mut("outside/sequential").unwrap();
            figures.report_only = true;
            entry
        })
        .collect();
    let now = entries.pop().unwrap();
    let found = slow_drifts(&entries, &now, &policy());
    let named: Vec<(&str, Metric)> = found
        .iter()
        .map(|d| (d.scenario.as_str(), d.metric))
        .collect();
    // The wall p50 beside it drifts as well, and does not decide.
    assert_eq!(named, [("search/sequential", P50)]);
    // A run that is in the history already is not counted twice.
    let mut with_now = entries.clone();
    with_now.push(now.clone());
    assert_eq!(slow_drifts(&with_now, &now, &policy()), found);
    let mut elsewhere = now;
    elsewhere.machine.cpu_model = "Intel Xeon".to_owned();
    assert_eq!(slow_drifts(&entries, &elsewhere, &policy()), []);
}

#[test]
fn memory_and_throughput_drift_in_their_own_ways() {
    let entries: Vec<Entry> = (0..14)
        .zip(0_i64..)
        .map(|(n, grown)| {
            let mut entry = run(n);
            let step = n as f64;
            let soak = Figures {
                memory_growth_bytes_per_1000_calls: Some(1_000 + 700_000 * grown),
                ..Figures::default()
            };
            let crowd = Figures {
                concurrency: Some(10),
                throughput_per_s: Some(900.0 * 0.97_f64.powf(step)),
                ..Figures::default()
            };
            entry.scenarios.insert("search/soak".to_owned(), soak);
            entry
                .scenarios
                .insert("search/concurrent".to_owned(), crowd);
            entry
        })
        .collect();
    let (now, before) = entries.split_last().unwrap();
    let found = slow_drifts(before, now, &policy());
    let named: Vec<(&str, bool, bool)> = found
        .iter()
        .map(|d| (d.scenario.as_str(), d.to > d.from, d.ratio.is_some()))
        .collect();
    assert_eq!(
        named,
        [
            ("search/concurrent", false, true),
            ("search/soak", true, false)
        ]
    );
}

#[test]
fn a_machine_keeps_what_tells_classes_apart() {
    let usual = Environment {
        os: "linux".to_owned(),
        arch: "x86_64".to_owned(),
        cpu_model: "AMD EPYC".to_owned(),
        cores: 2,
        memory_bytes: 8 << 30,
        kernel: "6.1".to_owned(),
        runner_image: None,
        container_memory_limit_bytes: None,
        container_cpu_limit_millicores: None,
    };
    let changes: [fn(&mut Environment); 9] = [
        |e| e.os = "macos".to_owned(),
        |e| e.arch = "aarch64".to_owned(),
        |e| e.cpu_model = "other".to_owned(),
        |e| e.cores = 3,
        |e| e.memory_bytes = 1,
        |e| e.kernel = "7".to_owned(),
        |e| e.runner_image = Some("ubuntu".to_owned()),
        |e| e.container_memory_limit_bytes = Some(1),
        |e| e.container_cpu_limit_millicores = Some(1),
    ];
    for change in changes {
        let mut other = usual.clone();
        change(&mut other);
        assert_eq!(
            Machine::of(&usual, Some(1)).same_hardware(&Machine::of(&other, None)),
            usual.same_hardware(&other),
            "{other:?}"
        );
    }
    assert!(machine().same_hardware(&machine()));
}

#[test]
fn an_unchanged_server_seldom_drifts() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut uniform = || (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let draws = 100;
    // Spread of a run (one sd of the logarithm), and how much of it the next run inherits, as on a
    // machine whose neighbours come and go. Both are more than any figure that decides has.
    for (spread, inherited) in [(0.15, 0.0), (0.10, 0.5)] {
        let (mut drifts, mut changes) = (0_u64, 0_u64);
        for _ in 0..draws {
            let mut state = 0.0;
            let levels: Vec<f64> = (0..25)
                .map(|_| {
                    let (u, v) = (1.0 - uniform(), uniform());
                    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
                    let fresh: f64 = 1.0 - inherited * inherited;
                    state = inherited * state + fresh.sqrt() * normal;
                    12.0 * (spread * state).exp()
                })
                .collect();
            let found = of(&levels);
            drifts += u64::from(found.drift.is_some());
            changes += u64::from(!found.changes.is_empty());
        }
        let says = format!("{spread}, {inherited}: {drifts} drifts, {changes} changes");
        assert!(
            proportion_lower_bound(drifts, draws, 0.001) <= 0.01,
            "{says}"
        );
        // What the permutations take for granted does not hold where runs inherit.
        if inherited == 0.0 {
            assert!(
                proportion_lower_bound(changes, draws, 0.001) <= 0.01,
                "{says}"
            );
        }
    }
}

#[test]
fn hostile_figures_are_no_panic() {
    for value in [0, 1, u64::MAX] {
        let entries: Vec<Entry> = (0..20)
            .map(|n| {
                let mut entry = run(n);
                let figures = Figures {
                    latency_p50_ns: Some(if n % 2 == 0 { value } else { 1 }),
                    throughput_per_s: Some(if n > 9 { 0.0 } else { f64::MAX }),
                    memory_growth_bytes_per_1000_calls: Some(if n > 9 {
                        i64::MIN
                    } else {
                        i64::MAX
                    }),
                    ..Figures::default()
                };
                entry.scenarios.insert(String::new(), figures);
                entry
            })
            .collect();
        let found = trend(&entries, &policy());
        assert_eq!(found.series.len(), 3);
    }
    assert_eq!(trend(&[], &policy()), Trend::default());
}

#[test]
fn the_series_of_a_family_that_are_tested_share_the_error() {
    // Eight runs that rise: a p of 0.0008, below 5 % alone, and above 5 % shared by 81.
    let rising: Vec<f64> = (0..8).map(|n| 12.0 * 1.06_f64.powi(n)).collect();
    let flat = |entry: Entry, are_shown_only: bool| {
        let mut entry = (0..80).fold(entry, |entry, n| with_p50(entry, &format!("flat{n}"), 5.0));
        for (name, figures) in &mut entry.scenarios {
            figures.report_only = are_shown_only && name.starts_with("flat");
        }
        entry
    };
    for (what, since, are_shown_only, is_told) in [
        ("nothing beside", 8, false, true),
        ("80 that decide", 0, false, false),
        ("80 that are shown only", 0, true, true),
        ("80 that are too short to be tested", 1, false, true),
    ] {
        let entries: Vec<Entry> = (0..)
            .zip(runs(&rising))
            .map(|(n, entry)| match n >= since {
                true => flat(entry, are_shown_only),
                false => entry,
            })
            .collect();
        let trend = trend(&entries, &policy());
        let found = series(&trend, "search/sequential", P50)[0].drift.clone();
        assert_eq!(found.is_some(), is_told, "{what}");
        // A comparison says the same.
        let (now, before) = entries.split_last().unwrap();
        let drifts = slow_drifts(before, now, &policy());
        assert_eq!(drifts, found.into_iter().collect::<Vec<_>>(), "{what}");
    }
    // What is shown only is tested as well, and shares the error with its kind.
    let shown: Vec<Entry> = runs(&rising)
        .into_iter()
        .map(|mut entry| {
            let name = "search/sequential";
            entry.scenarios.get_mut(name).unwrap().report_only = true;
            entry
        })
        .collect();
    let is_told = |entries: &[Entry]| {
        let trend = trend(entries, &policy());
        series(&trend, "search/sequential", P50)[0].drift.is_some()
    };
    assert!(is_told(&shown));
    let among: Vec<Entry> = shown
        .into_iter()
        .map(|entry| {
            let mut entry = flat(entry, true);
            entry
                .scenarios
                .get_mut("search/sequential")
                .unwrap()
                .report_only = true;
            entry
        })
        .collect();
    assert!(!is_told(&among));
}
