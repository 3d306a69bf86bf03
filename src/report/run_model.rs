//! What a report of a run says: one row a scenario, and the server as a whole. A typical figure
//! is the median over rounds, as in the gate.

use super::{
    details::{self, BudgetRow, DiagnosisRow, ErrorRow, FindingRow},
    figure,
    headline::Tone,
    line::Line,
    load_model::{self, LoadView},
    measured, model,
    provenance::{self, Fact},
};
use crate::{
    gate::{BudgetOutcome, Judgement, Severity, Unit},
    results::{Job, Latency, Measure, Results, Round, Sample, ScenarioKind, Skipped, TreeMemory},
};

/// Processes of a server that are named with their memory.
const LARGEST: usize = 4;

/// The whole report of a run.
#[derive(Debug)]
pub(crate) struct RunView<'a> {
    pub(crate) tone: Tone,
    /// `measured`, `budget broken`, `ended early`, `nothing measured`.
    pub(crate) word: &'static str,
    pub(crate) reason: Line,
    /// Scenarios of the rounds, in suite order.
    pub(crate) rows: Vec<RunRow<'a>>,
    /// Loads of their own, in suite order.
    pub(crate) loads: Vec<LoadView<'a>>,
    /// The server as a whole.
    pub(crate) server: Vec<Fact>,
    pub(crate) errors: Vec<ErrorRow<'a>>,
    pub(crate) budgets: Vec<BudgetRow<'a>>,
    pub(crate) findings: Vec<FindingRow>,
    /// Named failure modes, gravest first.
    pub(crate) diagnoses: Vec<DiagnosisRow>,
    pub(crate) skipped: &'a [Skipped],
}

/// One scenario over all rounds; a missing figure is [`figure::NONE`].
#[derive(Debug)]
pub(crate) struct RunRow<'a> {
    pub(crate) scenario: &'a str,
    pub(crate) calls: String,
    pub(crate) errors: String,
    pub(crate) p50: String,
    pub(crate) p50_adjusted: String,
    pub(crate) p95: String,
    pub(crate) p95_adjusted: String,
    pub(crate) first_byte_p95: String,
    pub(crate) per_second: String,
    pub(crate) cpu: String,
}

/// What the short headers mean.
pub(crate) const LEGEND: &str = "Medians over rounds. p50, p95: wall time; adj: the same less the time that server \
     and mcpgate waited for a core; byte 1: p95 of the time to the answer's first byte; CPU: of the server, per call.";

impl<'a> RunView<'a> {
    pub(crate) fn of(results: &'a Results, judgement: Option<&'a Judgement>) -> Self {
        let budgets = judgement.map_or_else(Vec::new, |j| details::budget_rows(&j.budgets));
        let errors = details::error_rows(results);
        let mut findings = judgement.map_or_else(Vec::new, |j| details::finding_rows(&j.findings));
        let (tone, word, reason) = headline(results, &errors, &budgets, &findings);
        findings.retain(|finding| finding.text != reason);
        Self {
            tone,
            word,
            reason,
            rows: rows(results),
            loads: load_model::loads(results, None),
            server: server(results),
            errors,
            budgets,
            findings,
            diagnoses: judgement.map_or_else(Vec::new, |j| details::diagnosis_rows(&j.diagnoses)),
            skipped: &results.suite.skipped,
        }
    }
}

fn headline(
    results: &Results,
    errors: &[ErrorRow<'_>],
    budgets: &[BudgetRow<'_>],
    findings: &[FindingRow],
) -> (Tone, &'static str, Line) {
    let rounds = model::rounds(results);
    let scenarios = figure::count(results.suite.scenarios.len(), "scenario");
    let amount = format!("{scenarios} in {}", figure::count(rounds, "round"));
    let broken = budgets
        .iter()
        .find(|b| b.outcome == BudgetOutcome::Broken && b.fails);
    let ended = results.jobs.iter().find_map(|job| job.incomplete.as_ref());
    if rounds == 0 {
        let reason = Line::own("no round was completed");
        let reason = ended.map_or(reason.clone(), |why| reason.then(": ").prose(why));
        return (Tone::Bad, "nothing measured", reason);
    }
    // A tool that does not work breaks the budget of errors, too: this says more.
    let failure = findings.iter().find(|f| f.severity == Severity::Failure);
    if let Some(failure) = failure {
        return (Tone::Bad, "failed", failure.text.clone());
    }
    if let Some(budget) = broken {
        let text = format!(
            " · {} {}, budget {}",
            budget.metric, budget.value, budget.limit
        );
        return (
            Tone::Bad,
            "budget broken",
            Line::of_name(budget.scenario).then(text),
        );
    }
    if let Some(why) = ended {
        let reason = Line::own(format!("{amount} were kept: ")).prose(why);
        return (Tone::Doubtful, "ended early", reason);
    }
    if errors.is_empty() {
        (
            Tone::Good,
            "measured",
            Line::own(format!("{amount}, no errors")),
        )
    } else {
        let failing = figure::count(errors.len(), "scenario");
        let reason = Line::own(format!("{amount}; {failing} with errors, see below"));
        (Tone::Doubtful, "measured", reason)
    }
}

pub(crate) fn rows(results: &Results) -> Vec<RunRow<'_>> {
    let rounds: Vec<&Round> = results.jobs.iter().flat_map(|job| &job.rounds).collect();
    let scenarios = results.suite.scenarios.iter();
    scenarios
        .filter(|scenario| !matches!(scenario.kind, ScenarioKind::Soak | ScenarioKind::Load))
        .map(|scenario| {
            let samples = rounds
                .iter()
                .filter_map(|round| round.scenarios.get(&scenario.name));
            row(&scenario.name, &samples.collect::<Vec<_>>())
        })
        .collect()
}

fn row<'a>(scenario: &'a str, samples: &[&Sample]) -> RunRow<'a> {
    let total = |of: &dyn Fn(&Sample) -> u64| match samples {
        [] => figure::NONE.to_owned(),
        samples => samples
            .iter()
            .map(|sample| of(sample))
            .sum::<u64>()
            .to_string(),
    };
    let time = |of: &dyn Fn(&Sample) -> Option<u64>| {
        figure::time_or_none(median(
            samples.iter().filter_map(|sample| of(sample)).map(ns),
        ))
    };
    let p50 = |latency: Option<Latency>| latency.map(|l| l.p50_ns);
    let p95 = |latency: Option<Latency>| latency.and_then(|l| l.p95_ns);
    let per_second = median(samples.iter().map(|sample| sample.throughput_per_s()));
    RunRow {
        scenario,
        calls: total(&|sample| u64::from(sample.calls)),
        errors: total(&|sample| sample.errors.values().map(|&n| u64::from(n)).sum()),
        p50: time(&|sample| p50(sample.wall)),
        p50_adjusted: time(&|sample| p50(sample.adjusted)),
        p95: time(&|sample| p95(sample.wall)),
        p95_adjusted: time(&|sample| p95(sample.adjusted)),
        first_byte_p95: time(&|sample| p95(sample.first_byte)),
        per_second: figure::figure_or_none(per_second, Unit::CallsPerSecond),
        cpu: time(&|sample| sample.cpu_per_call_ns),
    }
}

fn server(results: &Results) -> Vec<Fact> {
    let rounds: Vec<&Round> = results.jobs.iter().flat_map(|job| &job.rounds).collect();
    let fact = |label, text| Fact { label, text };
    let mut facts = vec![fact("server", provenance::server(results))];
    let of = |figure: &dyn Fn(&Round) -> Option<u64>| {
        median(rounds.iter().filter_map(|round| figure(round)).map(ns))
    };
    let startup = of(&|round| round.startup_ns);
    let adjusted = of(&|round| round.startup_adjusted_ns);
    facts.push(fact(
        "start-up",
        match (startup, adjusted) {
            (None, _) => Line::own("not measured"),
            (Some(wall), None) => Line::own(figure::figure(wall, Unit::Nanoseconds)),
            (Some(wall), Some(adjusted)) => Line::own(format!(
                "{}, adjusted {}",
                figure::figure(wall, Unit::Nanoseconds),
                figure::figure(adjusted, Unit::Nanoseconds)
            )),
        },
    ));
    facts.push(fact(
        "peak memory",
        peak_memory(results, of(&|round| round.peak_memory_bytes)),
    ));
    if let Some(processes) = rounds.iter().filter_map(|round| round.processes).max() {
        let memory = rounds.iter().rev().find_map(|r| r.memory_at_end.as_ref());
        facts.push(fact("processes", tree(processes, memory)));
    }
    facts.extend(growth(results));
    if let Some(Measure::NotMeasured(why)) = results.jobs.last().map(|job| &job.adjusted_measure) {
        facts.push(fact("adjusted", Line::own("not measured: ").prose(why)));
    }
    facts.push(fact("run", provenance::arm(results)));
    if let Some(job) = results.jobs.last() {
        facts.push(fact("machine", provenance::machine(&job.environment)));
    }
    let load = median(rounds.iter().filter_map(|round| round.outside_load_cores));
    if let Some(load) = load {
        let text = format!("{load:.2} cores used by other processes, median over rounds");
        facts.push(fact("other load", Line::own(text)));
    }
    facts
}

fn peak_memory(results: &Results, bytes: Option<f64>) -> Line {
    let measure = results.jobs.last().map(|job| &job.memory_measure);
    match (bytes, measure) {
        (Some(bytes), Some(Measure::By(method))) => {
            Line::own(format!("{} (", figure::figure(bytes, Unit::Bytes)))
                .prose(method)
                .then(")")
        }
        (Some(bytes), _) => Line::own(figure::figure(bytes, Unit::Bytes)),
        (None, Some(Measure::NotMeasured(why))) => Line::own("not measured: ").prose(why),
        (None, _) => Line::own("not measured"),
    }
}

/// The processes of a server, and what the largest of them hold.
fn tree(processes: u32, memory: Option<&TreeMemory>) -> Line {
    if processes == 1 {
        return Line::own("1");
    }
    let mut line = Line::own(format!("{processes} in the server's tree"));
    let listed = memory.map_or(&[][..], |memory| &memory.processes);
    for (n, process) in listed.iter().take(LARGEST).enumerate() {
        let size = figure::figure(process.resident_bytes as f64, Unit::Bytes);
        let sign = if n == 0 { ": " } else { ", " };
        line = line.then(sign).name(&process.name).then(format!(" {size}"));
    }
    if listed.len() > LARGEST {
        line = line.then(", ...");
    }
    line
}

/// Memory growth of each soak, per 1,000 calls.
fn growth(results: &Results) -> Vec<Fact> {
    let soaks: Vec<_> = results
        .jobs
        .iter()
        .flat_map(|job: &Job| &job.soaks)
        .collect();
    let mut facts = Vec::new();
    for scenario in &results.suite.scenarios {
        if scenario.kind != ScenarioKind::Soak {
            continue;
        }
        let slope = median(
            soaks
                .iter()
                .filter_map(|soak| soak.scenarios.get(&scenario.name)?.growth_bytes_per_call),
        );
        let label = if facts.is_empty() { "growth" } else { "" };
        let text = Line::of_name(&scenario.name);
        let text = match slope {
            Some(slope) => {
                let growth = figure::figure(slope * 1000.0, Unit::BytesPer1000Calls);
                text.then(format!(": {growth} per 1,000 calls"))
            }
            None => text.then(": not measured"),
        };
        facts.push(Fact { label, text });
    }
    facts
}

fn ns(value: u64) -> f64 {
    value as f64
}

/// The middle value, or the mean of the two in the middle; `None` of nothing.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    measured::middle(&values)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn median_is_the_middle() {
        let table: [(&[f64], Option<f64>); 5] = [
            (&[], None),
            (&[3.0], Some(3.0)),
            (&[4.0, 1.0], Some(2.5)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
            (&[f64::NAN, 1.0], Some(1.0)),
        ];
        for (values, expected) in table {
            assert_eq!(median(values.iter().copied()), expected);
        }
    }
}
