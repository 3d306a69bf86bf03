//! JUnit XML: what CI servers (Jenkins, GitLab, Azure DevOps, CircleCI, Buildkite) show as tests.
//!
//! There is no standard. What is written is accepted by the two schemas that files are held against in
//! practice: `jenkins-junit.xsd`, by which JUnit 5 tests its own files, and that of Jenkins' xUnit plugin,
//! the strictest reader known, of which older releases take no more than three digits of a suite's
//! seconds. So that is in milliseconds, and what was skipped says why in its text, not in an attribute.
//! (It is why the crate `quick-junit` is not used: the `skipped` that it writes at the root is refused
//! there.)
//! `tests/formats/junit.xsd` is narrower than both.

use std::{collections::BTreeMap, io};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use super::{
    Report, details,
    escape::whole_name,
    figure,
    headline::{self, finding_line},
    line::Line,
    provenance,
};
use crate::{
    error::exit_code,
    gate::{
        BudgetCheck, BudgetOutcome, Comparison, Diagnosed, Finding, Role, SERVER, Severity, Unit,
        Verdict,
    },
};

/// `classname` of what is about no scenario.
const GATE: &str = "mcpgate";

/// What became of a test.
enum Outcome {
    Passed,
    /// Its kind.
    Failed(&'static str),
    Skipped,
}

/// One test.
struct Case {
    /// The scenario.
    class: String,
    name: String,
    seconds: f64,
    outcome: Outcome,
    /// What happened, in a sentence.
    message: String,
    /// Why, and what to do.
    details: Vec<String>,
}

/// A judgement, or the budgets of a run, as one suite of tests: one for each scenario and metric. One of
/// them fails if and only if the exit code is not 0.
///
/// # Errors
/// Does not fail in practice: it is written into memory. The signature is that of [`std::io`].
pub fn junit(report: &Report<'_>) -> io::Result<String> {
    let cases = cases(report);
    let count = |wanted: fn(&Outcome) -> bool| {
        let those = cases.iter().filter(|case| wanted(&case.outcome));
        those.count().to_string()
    };
    let tests = cases.len().to_string();
    let failures = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped));
    let time = report
        .context
        .duration
        .map_or(0.0, |duration| duration.as_secs_f64());
    let time = format!("{time:.3}");
    let name = match report.context.key.as_deref() {
        Some(key) => format!("{GATE}: {}", whole_name(key)),
        None => GATE.to_owned(),
    };
    let started_at = report
        .candidate
        .jobs
        .last()
        .map(|job| job.started_at.as_str());
    let timestamp = timestamp(started_at.unwrap_or_default());

    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let root = writer.create_element("testsuites").with_attributes([
        ("name", GATE),
        ("tests", &tests),
        ("failures", &failures),
        ("errors", "0"),
        ("time", &time),
    ]);
    root.write_inner_content(|writer| {
        let suite = writer.create_element("testsuite").with_attributes([
            ("name", name.as_str()),
            ("tests", &tests),
            ("failures", &failures),
            ("errors", "0"),
            ("skipped", &skipped),
            ("time", &time),
            ("timestamp", &timestamp),
        ]);
        suite.write_inner_content(|writer| {
            properties(writer, report)?;
            cases.iter().try_for_each(|case| write(writer, case))
        })?;
        Ok(())
    })?;
    let mut bytes = writer.into_inner();
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn cases(report: &Report<'_>) -> Vec<Case> {
    let judgement = report.judgement;
    let doubts_fail = judgement.exit_code == exit_code::INCONCLUSIVE;
    let comparisons = &judgement.comparisons;
    let mut cases: Vec<Case> = comparisons
        .iter()
        .map(|comparison| of_comparison(comparison, comparisons, doubts_fail))
        .collect();
    cases.extend(judgement.budgets.iter().map(of_budget));
    cases.extend(of_findings(&judgement.findings, doubts_fail));
    cases.extend(
        judgement
            .diagnoses
            .iter()
            .filter_map(|d| of_diagnosis(d, doubts_fail)),
    );
    let fails = cases
        .iter()
        .any(|case| matches!(case.outcome, Outcome::Failed(_)));
    if !fails && code(report) != exit_code::OK {
        cases.push(whole(report));
    }
    number_namesakes(&mut cases);
    cases
}

/// The exit code of what is reported on.
fn code(report: &Report<'_>) -> u8 {
    let judged = report.judgement.exit_code;
    report.context.exit_code.unwrap_or(judged)
}

/// A test is known by its class and name: several findings of one scenario, or names that are cut, get
/// a number.
fn number_namesakes(cases: &mut [Case]) {
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    for case in cases {
        let times = seen
            .entry((case.class.clone(), case.name.clone()))
            .or_default();
        *times += 1;
        if *times > 1 {
            case.name = format!("{} ({times})", case.name);
        }
    }
}

fn of_comparison(comparison: &Comparison, all: &[Comparison], doubts_fail: bool) -> Case {
    let decides = comparison.role != Role::Reported;
    let outcome = match comparison.verdict {
        Verdict::Regressed if decides => Outcome::Failed("regressed"),
        Verdict::Inconclusive if decides && doubts_fail => Outcome::Failed("inconclusive"),
        Verdict::Inconclusive | Verdict::NotMeasured => Outcome::Skipped,
        Verdict::Regressed | Verdict::Improved | Verdict::Pass => Outcome::Passed,
    };
    let reason = plain(&Line::of_prose(&comparison.reason));
    let figures = plain(&headline::figures(comparison, all));
    let held_to = match comparison.role {
        Role::Gates if comparison.ratio.is_some() => {
            format!(
                "tolerance {}",
                plain(&Line::own(figure::tolerance(comparison.tolerance)))
            )
        }
        Role::Gates => String::new(),
        Role::Guards => figure::guards(comparison.metric).to_owned(),
        Role::Reported => "not gated".to_owned(),
    };
    let word = super::model::word(comparison.verdict);
    let (message, mut details) = match outcome {
        // The reason is what a reader of a skipped test looks for.
        Outcome::Skipped if comparison.candidate.is_none() => {
            (format!("{word}: {reason}"), Vec::new())
        }
        Outcome::Skipped if !reason.is_empty() => (format!("{word}: {reason}"), vec![figures]),
        _ => (format!("{word}: {figures}"), vec![reason]),
    };
    details.push(held_to);
    Case {
        class: whole_name(&comparison.scenario),
        name: comparison.metric.name().to_owned(),
        seconds: match (comparison.metric.unit(), comparison.candidate) {
            (Unit::Nanoseconds, Some(ns)) => ns / 1e9,
            _ => 0.0,
        },
        outcome,
        message,
        details,
    }
}

fn of_budget(check: &BudgetCheck) -> Case {
    let rows = details::budget_rows(std::slice::from_ref(check));
    let word = rows.first().map_or("", |row| row.word);
    let outcome = match check.outcome {
        BudgetOutcome::Broken if check.binding => Outcome::Failed("budget-broken"),
        BudgetOutcome::NotMeasured => Outcome::Skipped,
        BudgetOutcome::Held | BudgetOutcome::Near | BudgetOutcome::Broken => Outcome::Passed,
    };
    let said = plain(&headline::budget_line(check));
    Case {
        class: whole_name(&check.scenario),
        name: format!("{} budget", check.metric.name()),
        seconds: 0.0,
        outcome,
        message: format!("{word}: {said}"),
        details: Vec::new(),
    }
}

/// What failed or is in doubt; a note is no test.
fn of_findings(findings: &[Finding], doubts_fail: bool) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for finding in findings {
        let (name, outcome) = match finding.severity {
            Severity::Failure => ("measured", Outcome::Failed("failed")),
            Severity::Doubt if doubts_fail => ("evidence", Outcome::Failed("inconclusive")),
            Severity::Doubt => ("evidence", Outcome::Skipped),
            Severity::Note => continue,
        };
        let class = whole_name(finding.scenario.as_deref().unwrap_or(GATE));
        cases.push(Case {
            class,
            name: name.to_owned(),
            seconds: 0.0,
            outcome,
            message: plain(&finding_line(finding)),
            details: Vec::new(),
        });
    }
    cases
}

/// A failure mode that enters the verdict.
fn of_diagnosis(diagnosed: &Diagnosed, doubts_fail: bool) -> Option<Case> {
    let outcome = match diagnosed.verdict? {
        Verdict::Regressed => Outcome::Failed("diagnosis"),
        Verdict::Inconclusive if doubts_fail => Outcome::Failed("inconclusive"),
        Verdict::Inconclusive | Verdict::NotMeasured => Outcome::Skipped,
        Verdict::Improved | Verdict::Pass => Outcome::Passed,
    };
    let row = details::diagnosis_rows(std::slice::from_ref(diagnosed)).pop()?;
    let class = diagnosed.diagnosis.scenario.as_deref().unwrap_or(SERVER);
    Some(Case {
        class: whole_name(class),
        name: row.name.to_owned(),
        seconds: 0.0,
        outcome,
        message: format!("{} ({})", row.name, row.about),
        details: vec![plain(&row.evidence), plain(&row.advice)],
    })
}

/// The verdict itself, where no test above says why the build fails.
fn whole(report: &Report<'_>) -> Case {
    let headline = headline::headline(report);
    Case {
        class: GATE.to_owned(),
        name: "verdict".to_owned(),
        seconds: 0.0,
        outcome: Outcome::Failed("failed"),
        message: if code(report) == report.judgement.exit_code {
            format!("{}: {}", headline.word, plain(&headline.reason))
        } else {
            format!(
                "the run ended early, with exit code {}; so far {}",
                code(report),
                headline.word
            )
        },
        details: headline.also.iter().map(plain).collect(),
    }
}

/// What was compared with what, and where.
fn properties(writer: &mut Writer<Vec<u8>>, report: &Report<'_>) -> io::Result<()> {
    let headline = headline::headline(report);
    let mut list = vec![
        (
            "mcpgate version".to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
        ("verdict".to_owned(), headline.word.to_owned()),
        ("exit code".to_owned(), code(report).to_string()),
    ];
    for fact in provenance::facts(report) {
        let text = plain(&fact.text);
        // A fact without a label goes on with the one before.
        match list.last_mut().filter(|_| fact.label.is_empty()) {
            Some((_, before)) => *before = format!("{before}; {text}"),
            None => list.push((fact.label.to_owned(), text)),
        }
    }
    writer
        .create_element("properties")
        .write_inner_content(|writer| {
            for (name, value) in &list {
                writer
                    .create_element("property")
                    .with_attributes([("name", name.as_str()), ("value", value.as_str())])
                    .write_empty()?;
            }
            Ok(())
        })?;
    Ok(())
}

fn write(writer: &mut Writer<Vec<u8>>, case: &Case) -> io::Result<()> {
    let time = seconds(case.seconds);
    let element = writer.create_element("testcase").with_attributes([
        ("classname", case.class.as_str()),
        ("name", &case.name),
        ("time", &time),
    ]);
    let mut details = case.details.clone();
    details.retain(|line| !line.is_empty());
    element.write_inner_content(|writer| {
        let (tag, kind) = match case.outcome {
            Outcome::Passed => {
                details.insert(0, case.message.clone());
                let text = details.join("\n");
                writer
                    .create_element("system-out")
                    .write_text_content(BytesText::new(&text))?;
                return Ok(());
            }
            Outcome::Failed(kind) => ("failure", Some(kind)),
            Outcome::Skipped => ("skipped", None),
        };
        let mut element = writer.create_element(tag);
        if let Some(kind) = kind {
            element = element.with_attributes([("message", case.message.as_str()), ("type", kind)]);
        }
        // With the message, which some viewers do not show.
        details.insert(0, case.message.clone());
        element.write_text_content(BytesText::new(&details.join("\n")))?;
        Ok(())
    })?;
    Ok(())
}

/// Without control characters, of which XML 1.0 forbids most: all foreign text in a [`Line`] is shown
/// with its invisible characters escaped.
fn plain(line: &Line) -> String {
    line.plain().replace(figure::GAP, " ")
}

/// A decimal number; the schemas know no exponent.
fn seconds(value: f64) -> String {
    let value = if value.is_finite() {
        value.max(0.0)
    } else {
        0.0
    };
    format!("{value:.9}")
}

/// `YYYY-MM-DDThh:mm:ss`, of RFC 3339 in UTC; the beginning of time where it is not that.
fn timestamp(rfc3339: &str) -> String {
    let shape = "0000-00-00T00:00:00";
    let is_shape = rfc3339.len() >= shape.len()
        && rfc3339.bytes().zip(shape.bytes()).all(|(c, of)| match of {
            b'0' => c.is_ascii_digit(),
            of => c == of,
        });
    match rfc3339.get(..shape.len()).filter(|_| is_shape) {
        Some(whole) => whole.to_owned(),
        None => "1970-01-01T00:00:00".to_owned(),
    }
}
