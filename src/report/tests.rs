//! Every rendered output, as it is read. The snapshots are files in `snapshots/`; each was read
//! by a person before it was committed.

use super::{
    MARKDOWN_LIMIT_BYTES, TextStyle, calibration_markdown, calibration_text, json, markdown,
    run_markdown, run_text, test_diagnoses,
    test_loads::with_loads,
    test_support::{self as made, Fixture, HOSTILE},
    text,
};
use crate::gate::{Metric, Severity, Standing, Verdict};

const PLAIN: TextStyle = TextStyle {
    color: false,
    width: Some(100),
    ascii: false,
    verbose: false,
};
const NARROW: TextStyle = TextStyle {
    color: false,
    width: Some(80),
    ascii: false,
    verbose: false,
};
const VERBOSE: TextStyle = TextStyle {
    color: false,
    width: None,
    ascii: false,
    verbose: true,
};
const COLOR: TextStyle = TextStyle {
    color: true,
    width: Some(100),
    ascii: false,
    verbose: false,
};

fn hostile() -> Fixture {
    let mut texts: Vec<String> = HOSTILE.iter().map(|&text| text.to_owned()).collect();
    texts.push("x".repeat(300));
    made::hostile(&texts)
}

fn cases() -> Vec<(&'static str, Fixture)> {
    vec![
        ("pass", made::pass()),
        ("improved", made::improved()),
        ("regressed", made::regressed()),
        ("regressed_on_a_pull_request", made::on_a_pull_request()),
        ("inconclusive", made::inconclusive()),
        ("not_measured", made::not_measured()),
        ("first_use", made::first_use()),
        ("other_machine", made::other_machine()),
        ("incomplete", made::incomplete()),
        ("budgets_broken", made::budgets_broken()),
        ("side_by_side", made::side_by_side()),
        ("side_by_side_hostile", made::against(HOSTILE[0])),
        ("diagnosed", test_diagnoses::diagnosed_server()),
        (
            "probed",
            test_diagnoses::probed(Standing::New, Verdict::Regressed, 1),
        ),
        ("hostile", hostile()),
    ]
}

#[test]
fn judgements_as_text() {
    for (name, fixture) in cases() {
        insta::assert_snapshot!(format!("text_{name}"), text(&fixture.report(), PLAIN));
    }
}

#[test]
fn judgements_as_markdown() {
    for (name, fixture) in cases() {
        insta::assert_snapshot!(format!("markdown_{name}"), markdown(&fixture.report()));
    }
}

#[test]
fn calibrations() {
    let mut calibration = made::calibration("search");
    insta::assert_snapshot!("calibration_text", calibration_text(&calibration, NARROW));
    insta::assert_snapshot!("calibration_markdown", calibration_markdown(&calibration));
    calibration.controls.truncate(1);
    for figure in &mut calibration.controls[0].figures {
        figure.scenario = HOSTILE[0].to_owned();
        figure.metric = HOSTILE[1].to_owned();
    }
    for scenario in &mut calibration.controls[0].scenarios {
        scenario.scenario = HOSTILE[0].to_owned();
    }
    insta::assert_snapshot!("calibration_hostile", calibration_markdown(&calibration));
}

#[test]
fn judgement_as_json() {
    insta::assert_snapshot!("json_regressed", json(&made::regressed().report()).unwrap());
    let hostile = json(&hostile().report()).unwrap();
    let back: serde_json::Value = serde_json::from_str(&hostile).unwrap();
    assert_eq!(back["schema_version"], 1);
    assert_eq!(
        back["comparisons"][2]["tool"], HOSTILE[0],
        "names are exact in JSON"
    );
}

#[test]
fn a_judgement_in_other_styles() {
    let fixture = made::regressed();
    let report = fixture.report();
    for (name, width) in [("narrow", 80), ("60_columns", 60), ("40_columns", 40)] {
        let width = Some(width);
        let style = TextStyle { width, ..PLAIN };
        insta::assert_snapshot!(format!("text_regressed_{name}"), text(&report, style));
    }
    let ascii = TextStyle {
        ascii: true,
        ..NARROW
    };
    let shown = text(&report, ascii);
    assert!(shown.is_ascii(), "{shown}");
    insta::assert_snapshot!("text_regressed_ascii", shown);
    assert!(text(&hostile().report(), ascii).is_ascii());
    insta::assert_snapshot!("text_regressed_verbose", text(&report, VERBOSE));
    insta::assert_snapshot!("text_regressed_color", text(&report, COLOR));
}

#[test]
fn loads_stand_beside_those_of_the_baseline() {
    let mut fixture = made::pass();
    fixture.candidate = with_loads(fixture.candidate, "search-burst");
    let base = fixture.base.map(|base| with_loads(base, "search-burst"));
    let mut base = base.unwrap();
    // What was defined otherwise is no comparison.
    for record in &mut base.suite.scenarios {
        if record.name == "quick-server" {
            record.definition_hash = "another".to_owned();
        }
    }
    for job in &mut base.jobs {
        let ramp = job.loads.get_mut("ramp").unwrap();
        ramp.whole.wall.as_mut().unwrap().p95_ns = Some(18_000_000);
    }
    fixture.base = Some(base);
    insta::assert_snapshot!("markdown_loads", markdown(&fixture.report()));
    insta::assert_snapshot!("text_loads_verbose", text(&fixture.report(), VERBOSE));
    let plain = text(&fixture.report(), PLAIN);
    assert!(!plain.contains("Loads"), "{plain}");
}

#[test]
fn runs() {
    let clean = made::pass();
    let errors = made::not_measured();
    let hostile = hostile();
    let loads = with_loads(clean.candidate.clone(), "search-burst");
    let hostile_load = with_loads(clean.candidate.clone(), HOSTILE[0]);
    for (name, results, judgement) in [
        ("clean", &clean.candidate, None),
        ("loads", &loads, None),
        ("hostile_load", &hostile_load, None),
        ("errors", &errors.candidate, None),
        (
            "budgets",
            &clean.candidate,
            Some(made::budgets_broken().judgement),
        ),
        ("incomplete", &made::incomplete().candidate, None),
        (
            "hostile",
            &hostile.candidate,
            Some(hostile.judgement.clone()),
        ),
    ] {
        let plain = run_text(results, judgement.as_ref(), PLAIN);
        insta::assert_snapshot!(format!("run_text_{name}"), plain);
        let markdown = run_markdown(results, judgement.as_ref());
        insta::assert_snapshot!(format!("run_markdown_{name}"), markdown);
    }
    let wide = TextStyle {
        width: None,
        ..PLAIN
    };
    insta::assert_snapshot!("run_text_wide", run_text(&clean.candidate, None, wide));
    insta::assert_snapshot!("run_text_narrow", run_text(&clean.candidate, None, NARROW));
    let narrowest = TextStyle {
        width: Some(40),
        ..PLAIN
    };
    insta::assert_snapshot!("run_text_40_columns", run_text(&loads, None, narrowest));
}

#[test]
fn narrow_lines_fit_where_no_foreign_word_is_longer() {
    for width in [40, 60, 80, 120] {
        let style = TextStyle {
            width: Some(width),
            ..PLAIN
        };
        for (name, fixture) in cases()
            .into_iter()
            .filter(|(name, _)| !name.contains("hostile"))
        {
            let run = run_text(&with_loads(fixture.candidate.clone(), "burst"), None, style);
            for line in text(&fixture.report(), style).lines().chain(run.lines()) {
                let columns = textwrap::core::display_width(line);
                // What is there to be copied is not broken, nor is a word.
                let is_copied = line.starts_with("    ") && line.contains("mcpgate compare");
                let indent = line.len() - line.trim_start().len();
                let words = line.split_whitespace().map(textwrap::core::display_width);
                let longest = indent + words.max().unwrap_or(0);
                let fits = columns <= usize::from(width).max(longest);
                assert!(
                    fits || is_copied,
                    "{name}: {columns} columns of {width}: {line}"
                );
            }
        }
    }
}

#[test]
fn the_first_line_names_tool_metric_and_size() {
    let fixture = made::regressed();
    let plain = text(&fixture.report(), TextStyle::default());
    let first = plain.lines().next().unwrap();
    assert!(
        first.starts_with(
            "regressed: search · latency_p50_adjusted 1.90 ms -> 3.82 ms, +101 % [+87 %, +119 %] (wall "
        ),
        "{first}"
    );
    let marked = markdown(&fixture.report());
    let first = marked.lines().next().unwrap();
    for part in [
        "regressed",
        "`search`",
        "latency_p50_adjusted",
        "+101\u{a0}%",
        "baseline update",
    ] {
        assert!(first.contains(part), "{part} in {first}");
    }
}

#[test]
fn five_hundred_scenarios_fit_in_a_comment() {
    let fixture = made::large(500);
    let report = fixture.report();
    let comment = markdown(&report);
    assert!(
        comment.len() <= MARKDOWN_LIMIT_BYTES,
        "{} bytes",
        comment.len()
    );
    assert!(comment.contains("more rows, see the results file."));
    let run = run_markdown(&fixture.candidate, Some(&fixture.judgement));
    assert!(run.len() <= MARKDOWN_LIMIT_BYTES, "{} bytes", run.len());
    assert_eq!(
        comment.matches("<details>").count(),
        comment.matches("</details>").count()
    );
}

/// The first words of the text report.
fn opening(fixture: &Fixture) -> String {
    let plain = text(&fixture.report(), TextStyle::default());
    plain.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn the_heaviest_fact_opens_the_report() {
    let failure = || {
        vec![made::finding(
            Severity::Failure,
            Some("fetch/sequential"),
            "was not run.",
        )]
    };
    let with = |mut fixture: Fixture, change: fn(&mut Fixture)| {
        change(&mut fixture);
        fixture
    };
    let mut first_use_broken = made::first_use();
    first_use_broken.judgement.budgets = made::budgets_broken().judgement.budgets;
    first_use_broken.judgement.exit_code = 1;
    let mut failed_budget = made::budgets_broken();
    failed_budget.judgement.verdict = Verdict::NotMeasured;
    failed_budget.judgement.findings = failure();
    let mut first_use_failed = made::first_use();
    first_use_failed.judgement.findings = failure();
    let table = [
        (made::pass(), "pass: nothing got worse"),
        (
            test_diagnoses::probed(Standing::New, Verdict::Regressed, 1),
            "regressed: session-leak-closed is new: memory grows by 4.1 kB",
        ),
        (
            test_diagnoses::probed(Standing::New, Verdict::Inconclusive, 0),
            "inconclusive: the evidence does not decide",
        ),
        (
            test_diagnoses::probed(Standing::Gone, Verdict::Improved, 0),
            "improved: session-leak-closed is gone",
        ),
        (
            with(made::first_use(), |f| f.judgement.verdict = Verdict::Pass),
            "no baseline: ",
        ),
        (
            first_use_broken,
            "budget broken: search/sequential · latency_p95 4.20 ms, budget 4.00 ms",
        ),
        (
            first_use_failed,
            "not-measured: fetch/sequential · was not run.",
        ),
        (
            failed_budget,
            "not-measured: fetch/sequential · was not run.",
        ),
        (
            with(made::inconclusive(), |f| f.judgement.exit_code = 4),
            "inconclusive: 2 of 10 comparisons are undecided; this fails the build",
        ),
        (
            with(made::regressed(), |f| f.context.key = Some("api".into())),
            "regressed (api): search · ",
        ),
    ];
    for (fixture, expected) in table {
        let opening = opening(&fixture);
        assert!(
            opening.starts_with(expected),
            "{opening}\nshould open with\n{expected}"
        );
    }
}

#[test]
fn what_gates_is_named_before_a_larger_figure_that_guards() {
    let mut fixture = made::regressed();
    let mut guard = made::comparison("search/sequential", Metric::LatencyP95, 4.2e6, 3.0);
    guard.verdict = Verdict::Regressed;
    fixture.judgement.comparisons.insert(0, guard);
    assert!(opening(&fixture).starts_with("regressed: search · latency_p50_adjusted"));
}
