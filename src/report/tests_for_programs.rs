//! The formats that programs read. `tests/it/formats.rs` reads them with parsers that are not ours.

use proptest::{collection::vec, prelude::*};
use quick_xml::{Reader, events::Event};

use super::{
    benchmark, csv, junit,
    properties::foreign,
    test_diagnoses,
    test_loads::with_loads,
    test_support::{self as made, Fixture, HOSTILE},
};
use crate::gate::{Severity, Standing, Verdict};

fn hostile() -> Fixture {
    let mut texts: Vec<String> = HOSTILE.iter().map(|&text| text.to_owned()).collect();
    texts.push("\u{0}]]>\u{fffe}\u{85}&amp;\u{b}".to_owned());
    texts.push("=HYPERLINK(\"http://e.vil\")".to_owned());
    made::hostile(&texts)
}

/// A run without a baseline, with a load.
fn run() -> Fixture {
    let mut fixture = made::budgets_broken();
    fixture.base = None;
    fixture.judgement.comparisons.clear();
    fixture.judgement.verdict = Verdict::NotMeasured;
    fixture.candidate = with_loads(fixture.candidate, "search-burst");
    fixture
}

fn doubts_that_fail() -> Fixture {
    let mut fixture = made::inconclusive();
    fixture.judgement.exit_code = 4;
    fixture
}

fn cases() -> Vec<(&'static str, Fixture)> {
    vec![
        ("pass", made::pass()),
        ("regressed", made::regressed()),
        ("inconclusive", made::inconclusive()),
        ("doubts_that_fail", doubts_that_fail()),
        ("not_measured", made::not_measured()),
        ("first_use", made::first_use()),
        ("budgets_broken", made::budgets_broken()),
        ("side_by_side", made::side_by_side()),
        (
            "probed",
            test_diagnoses::probed(Standing::New, Verdict::Regressed, 1),
        ),
        ("run", run()),
        ("hostile", hostile()),
    ]
}

#[test]
fn as_junit() {
    for (name, fixture) in cases() {
        let xml = junit(&fixture.report()).unwrap();
        if !["pass", "side_by_side"].contains(&name) {
            insta::assert_snapshot!(format!("junit_{name}"), xml);
        }
    }
}

#[test]
fn as_csv() {
    for name in ["regressed", "not_measured", "run", "hostile"] {
        let (_, fixture) = cases().into_iter().find(|(of, _)| *of == name).unwrap();
        insta::assert_snapshot!(format!("csv_{name}"), csv(&fixture.report()).unwrap());
    }
}

#[test]
fn as_benchmark() {
    insta::assert_snapshot!("benchmark_run", benchmark(&run().report()).unwrap());
    insta::assert_snapshot!("benchmark_hostile", benchmark(&hostile().report()).unwrap());
}

/// Names and outcomes of the tests in a report.
fn tests_of(xml: &str) -> Vec<(String, Option<String>)> {
    let mut reader = Reader::from_str(xml);
    let mut tests: Vec<(String, Option<String>)> = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return tests,
            Event::Start(tag) if tag.name().as_ref() == b"testcase" => {
                let of = |name: &str| {
                    let attribute = tag.try_get_attribute(name).unwrap().unwrap();
                    String::from_utf8(attribute.value.into_owned()).unwrap()
                };
                tests.push((format!("{} {}", of("classname"), of("name")), None));
            }
            Event::Start(tag) => {
                let name = String::from_utf8(tag.name().as_ref().to_owned()).unwrap();
                if name == "failure" || name == "skipped" {
                    tests.last_mut().unwrap().1 = Some(name);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn a_test_fails_if_and_only_if_the_build_does() {
    let mut unsaid = made::pass();
    unsaid.judgement.exit_code = 3;
    let mut reported = made::regressed();
    for comparison in &mut reported.judgement.comparisons {
        comparison.role = crate::gate::Role::Reported;
    }
    reported.judgement.exit_code = 0;
    let more = [("unsaid", unsaid), ("reported", reported)];
    for (name, fixture) in cases().into_iter().chain(more) {
        let tests = tests_of(&junit(&fixture.report()).unwrap());
        let failures = tests
            .iter()
            .filter(|(_, outcome)| outcome.as_deref() == Some("failure"))
            .count();
        let code = fixture.judgement.exit_code;
        assert_eq!(
            failures > 0,
            code != 0,
            "{name}: {failures} with exit code {code}"
        );
    }
}

#[test]
fn tests_of_one_report_have_different_names() {
    let mut fixture = made::not_measured();
    for _ in 0..3 {
        let text = "no call succeeded in any round.";
        let finding = made::finding(Severity::Failure, Some("search/concurrent"), text);
        fixture.judgement.findings.push(finding);
    }
    let mut names: Vec<String> = tests_of(&junit(&fixture.report()).unwrap())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let all = names.len();
    assert!(
        names.contains(&"search/concurrent measured (4)".to_owned()),
        "{names:?}"
    );
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

/// What XML 1.0 allows (production 2), of which we write no control character but line breaks.
fn is_xml(c: char) -> bool {
    c == '\n' || (c >= ' ' && !matches!(c, '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}'))
}

proptest! {
    #[test]
    fn whatever_a_server_says_the_formats_hold(texts in vec(foreign(), 1..40)) {
        let fixture = made::hostile(&texts);
        let report = fixture.report();
        let xml = junit(&report).unwrap();
        prop_assert!(xml.chars().all(is_xml));
        let mut names: Vec<String> = tests_of(&xml).into_iter().map(|(name, _)| name).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), all);

        let table = csv(&report).unwrap();
        let mut reader = ::csv::Reader::from_reader(table.as_bytes());
        let mut rows = 0;
        for row in reader.records() {
            for cell in &row.unwrap() {
                let is_number = cell.parse::<f64>().is_ok();
                let begins_formula = cell.trim_start().starts_with(['=', '+', '-', '@']);
                prop_assert!(is_number || !begins_formula, "{}", cell);
                prop_assert!(!cell.chars().any(char::is_control), "{:?}", cell);
            }
            rows += 1;
        }
        prop_assert_eq!(rows, fixture.judgement.comparisons.len());

        let figures: serde_json::Value = serde_json::from_str(&benchmark(&report).unwrap()).unwrap();
        for figure in figures.as_array().unwrap() {
            let name = figure["name"].as_str().unwrap();
            prop_assert!(!name.contains(['`', '|', '<', '\n']), "{}", name);
            prop_assert!(figure["value"].as_f64().is_some_and(|value| value >= 0.0));
        }
    }
}
