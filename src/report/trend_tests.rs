//! The history in its formats, also where every name in it is hostile.

use super::*;
use crate::{
    history::{
        self, Entry, Figures,
        test_support::{run, runs, with_p50, wobble},
    },
    report::test_support::HOSTILE,
    suite::GateConfig,
};

const AT_80: TextStyle = TextStyle {
    color: false,
    width: Some(80),
    verbose: false,
    ascii: false,
};

/// A step, a slow drift, a figure that got better, memory, and a machine that changed.
fn usual() -> Vec<Entry> {
    let mut entries: Vec<Entry> = (0..34)
        .map(|n| {
            let step = if n < 20 { 12.0 } else { 15.7 };
            let drift = 8.0 * 1.03_f64.powi(i32::try_from(n).unwrap().saturating_sub(23).max(0));
            let mut entry = with_p50(run(n), "search/sequential", step * wobble(n));
            entry = with_p50(entry, "fetch/sequential", drift * wobble(n + 3));
            let crowd = Figures {
                definition_hash: Some("d2".to_owned()),
                rounds: 10,
                concurrency: Some(10),
                throughput_per_s: Some(if n < 27 { 880.0 } else { 1210.0 } * wobble(n)),
                ..Figures::default()
            };
            let soak = Figures {
                rounds: 3,
                memory_growth_bytes_per_1000_calls: Some(if n < 15 { 20_000 } else { 9_400_000 }),
                ..Figures::default()
            };
            let server = Figures {
                rounds: 10,
                startup_ns: Some(41_000_000),
                peak_memory_bytes: Some(52_000_000),
                ..Figures::default()
            };
            entry
                .scenarios
                .insert("search/concurrent".to_owned(), crowd);
            entry.scenarios.insert("search/soak".to_owned(), soak);
            entry.scenarios.insert("server".to_owned(), server);
            entry
        })
        .collect();
    for entry in &mut entries[..6] {
        entry.machine.cpu_model = "Intel Xeon 8370C".to_owned();
        for figures in entry.scenarios.values_mut() {
            figures.latency_p50_adjusted_ns = figures.latency_p50_adjusted_ns.map(|ns| ns * 2);
        }
    }
    entries
}

/// A step at a hostile commit, of hostile scenarios, on a hostile machine.
fn hostile() -> Vec<Entry> {
    let mut entries = runs(&[0.0; 24]);
    for (n, entry) in entries.iter_mut().enumerate() {
        entry.scenarios.clear();
        for name in HOSTILE {
            let ms = if n < 12 { 12.0 } else { 24.0 };
            *entry = with_p50(entry.clone(), name, ms * wobble(n));
        }
        entry.commit = Some(HOSTILE[n % 8].to_owned());
        let elsewhere = if n < 2 { 1 } else { 5 };
        entry.machine.cpu_model = HOSTILE[elsewhere].to_owned();
        entry.machine.os = HOSTILE[0].to_owned();
    }
    entries
}

fn report<'a>(trend: &'a history::Trend, path: &str) -> TrendReport<'a> {
    TrendReport {
        trend,
        path: path.to_owned(),
        commits: 24,
        span: (
            "2026-01-01T12:00:00Z".to_owned(),
            "2026-02-06T12:00:00Z".to_owned(),
        ),
        skipped_lines: 2,
        scenario: None,
        metric: None,
        all_metrics: false,
    }
}

fn cases() -> [(&'static str, Vec<Entry>, &'static str); 3] {
    [
        ("usual", usual(), "baselines/history.jsonl"),
        ("hostile", hostile(), HOSTILE[3]),
        ("one_run", runs(&[12.0]), "history.jsonl"),
    ]
}

#[test]
fn histories_in_every_format() {
    for (name, entries, path) in cases() {
        let trend = history::trend(&entries, &GateConfig::default());
        let report = report(&trend, path);
        let text = trend_text(&report, AT_80);
        insta::assert_snapshot!(format!("trend_text_{name}"), text);
        insta::assert_snapshot!(format!("trend_markdown_{name}"), trend_markdown(&report));
        if name != "hostile" {
            let long: Vec<&str> = text.lines().filter(|l| l.chars().count() > 80).collect();
            assert_eq!(long, [""; 0]);
        }
    }
}

#[test]
fn a_narrow_terminal_breaks_no_line_and_a_plain_one_shows_lines_too() {
    let trend = history::trend(&usual(), &GateConfig::default());
    let report = report(&trend, "baselines/history.jsonl");
    for width in [48, 56, 60, 70, 80] {
        let text = trend_text(
            &report,
            TextStyle {
                width: Some(width),
                ..AT_80
            },
        );
        let is_long = |line: &&str| line.chars().count() > usize::from(width);
        assert_eq!(text.lines().filter(is_long).collect::<Vec<_>>(), [""; 0]);
        assert!(text.contains('\u{2581}'), "{text}");
    }
    let plain = TextStyle {
        ascii: true,
        ..AT_80
    };
    let text = trend_text(&report, plain);
    assert!(text.is_ascii() && text.contains("_______#######"), "{text}");
    assert!(!text.contains("\\u{"), "{text}");
}

#[test]
fn a_report_shows_what_is_asked_for() {
    let trend = history::trend(&usual(), &GateConfig::default());
    let mut report = report(&trend, "history.jsonl");
    report.all_metrics = true;
    assert!(trend_text(&report, AT_80).contains("latency_p50  "));
    report.scenario = Some("search/concurrent".to_owned());
    report.metric = Some("throughput".to_owned());
    let text = trend_json(&report, &[]).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let series = json["series"].as_array().unwrap();
    // On two machines.
    assert_eq!(series.len(), 2, "{text}");
    for one in series {
        assert_eq!(one["scenario"], "search/concurrent");
        assert_eq!(one["metric"], "throughput");
    }
    assert_eq!(series[1]["changes"][0]["commit"], run(27).commit.unwrap());
}

#[test]
fn colours_come_only_where_they_are_asked_for_and_change_no_word() {
    for (_, entries, path) in cases() {
        let trend = history::trend(&entries, &GateConfig::default());
        let report = report(&trend, path);
        let plain = trend_text(&report, AT_80);
        assert!(!plain.contains('\u{1b}'));
        let coloured = TextStyle {
            color: true,
            ..AT_80
        };
        let coloured = trend_text(&report, coloured);
        assert!(coloured.contains('\u{1b}'));
        // Every escape is one of ours, from ESC to `m`.
        let mut parts = coloured.split('\u{1b}');
        let first = parts.next().unwrap_or_default();
        let rest = parts.map(|part| part.split_once('m').expect("a colour").1);
        let stripped: String = std::iter::once(first).chain(rest).collect();
        // Escapes count as columns where lines are broken.
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&stripped), words(&plain));
    }
}

#[test]
fn a_plot_is_one_harmless_picture() {
    for (name, entries, path) in cases() {
        let trend = history::trend(&entries, &GateConfig::default());
        let (svg, left_out) = trend_plot(&report(&trend, path)).unwrap();
        assert_eq!(left_out, 0);
        assert!(
            svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
            "{name}"
        );
        for harm in ["<script", "<img", "</details", "<!--", "\u{1b}", "\u{202e}"] {
            assert!(!svg.contains(harm), "{name}: {harm}");
        }
        if name == "usual" {
            // Its change points stand in it by their commits.
            for n in [20, 27] {
                let commit = run(n).commit.unwrap();
                assert!(svg.contains(&commit[..10]), "{commit}");
            }
        }
    }
    let many: Vec<Entry> = (0..2)
        .map(|day| (0..50).fold(run(day), |entry, n| with_p50(entry, &format!("t{n}"), 3.0)))
        .collect();
    let trend = history::trend(&many, &GateConfig::default());
    let (_, left_out) = trend_plot(&report(&trend, "h")).unwrap();
    assert_eq!(left_out, 50 - MOST_PANELS);
}
