//! What failed, one remark a tool: for annotations beside the code.

use super::{Report, escape, figure, headline::finding_line};
use crate::gate::{BudgetOutcome, Comparison, Role, SERVER, Severity, Verdict};

/// Something that failed, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The tool it is about, as the server calls it; `None` for the server as a whole.
    pub tool: Option<String>,
    /// Whether it fails the build.
    pub fails: bool,
    /// One short line of plain text.
    pub title: String,
    /// Plain text, a line a figure.
    pub message: String,
}

/// Regressions by tool, broken budgets and failures, heaviest first. Foreign text in them is made
/// visible, not escaped for any syntax.
#[must_use]
pub fn remarks(report: &Report<'_>) -> Vec<Remark> {
    let judgement = report.judgement;
    let mut remarks: Vec<Remark> = Vec::new();
    for comparison in judgement
        .comparisons
        .iter()
        .filter(|c| c.verdict == Verdict::Regressed && c.role != Role::Reported)
    {
        add(
            &mut remarks,
            &subject(comparison.tool.as_deref(), &comparison.scenario),
            comparison.tool.clone(),
            "regressed",
            &row(comparison),
        );
    }
    let tool_of = |scenario: &str| {
        let declared = &report.candidate.suite.scenarios;
        declared
            .iter()
            .find(|record| record.name == scenario)
            .and_then(|record| record.tool.clone())
    };
    for budget in judgement
        .budgets
        .iter()
        .filter(|budget| budget.binding && budget.outcome == BudgetOutcome::Broken)
    {
        let tool = tool_of(&budget.scenario);
        let unit = budget.metric.unit();
        let text = format!(
            "{} {} {}, budget {}",
            escape::name(&budget.scenario),
            figure::label(budget.metric),
            figure::figure_or_none(budget.value, unit),
            figure::figure(budget.limit, unit)
        );
        let of = subject(tool.as_deref(), &budget.scenario);
        add(&mut remarks, &of, tool, "breaks its budget", &text);
    }
    for finding in judgement
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Failure)
    {
        let scenario = finding.scenario.as_deref().unwrap_or(SERVER);
        let tool = tool_of(scenario);
        let of = subject(tool.as_deref(), scenario);
        let text = finding_line(finding).plain();
        add(&mut remarks, &of, tool, "was not measured", &text);
    }
    remarks
}

fn add(remarks: &mut Vec<Remark>, of: &str, tool: Option<String>, what: &str, text: &str) {
    let title = format!("mcpgate: {of} {what}");
    match remarks.iter_mut().find(|remark| remark.title == title) {
        Some(remark) => {
            remark.message.push('\n');
            remark.message.push_str(text);
        }
        None => remarks.push(Remark {
            tool,
            fails: true,
            title,
            message: text.to_owned(),
        }),
    }
}

fn subject(tool: Option<&str>, scenario: &str) -> String {
    match (tool, scenario) {
        (Some(tool), _) => escape::name(tool),
        (None, SERVER) => "the server".to_owned(),
        (None, scenario) => escape::name(scenario),
    }
}

fn row(comparison: &Comparison) -> String {
    let unit = comparison.metric.unit();
    let interval = figure::interval(comparison).map_or_else(String::new, |i| format!(" {i}"));
    format!(
        "{} {} {} -> {}, {}{interval}, tolerance {}",
        escape::name(&comparison.scenario),
        figure::label(comparison.metric),
        figure::figure_or_none(comparison.base, unit),
        figure::figure_or_none(comparison.candidate, unit),
        figure::change(comparison),
        figure::tolerance(comparison.tolerance)
    )
}
