//! Results and judgements made by hand, for the tests of the formats.

use std::{collections::BTreeMap, time::Duration};

use super::{AcceptIn, Context, Drift, Report, test_results::results};
use crate::{
    diagnosis::Kind,
    gate::{
        BudgetCheck, BudgetOutcome, Comparison, Difference, Finding, Interval, Judgement, Metric,
        Role, Severity, Standing, Verdict,
    },
    results::{
        Acceptance, CalibratedFigure, CalibratedScenario, Calibration, Control, ErrorSample,
        Measure, Results, ScenarioRecord, Skipped,
    },
};

/// Owns what a [`Report`] borrows.
#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    pub(crate) candidate: Results,
    pub(crate) base: Option<Results>,
    pub(crate) judgement: Judgement,
    pub(crate) drift: Option<(Results, Judgement)>,
    pub(crate) context: Context,
}

impl Fixture {
    pub(crate) fn report(&self) -> Report<'_> {
        Report {
            candidate: &self.candidate,
            base: self.base.as_ref(),
            judgement: &self.judgement,
            drift: self.drift.as_ref().map(|(baseline, judgement)| Drift {
                baseline,
                judgement,
                path: Some("baselines/perf-baseline.json".to_owned()),
            }),
            context: self.context.clone(),
        }
    }

    pub(crate) fn of(verdict: Verdict, exit_code: u8, comparisons: Vec<Comparison>) -> Self {
        Self {
            candidate: results(
                "4f2c9d1e8a7b6c5d",
                "2026-11-04T12:31:07Z",
                &["search"],
                10,
                1,
            ),
            base: Some(results(
                "1a2b3c4d5e6f7a8b",
                "2026-11-01T08:02:11Z",
                &["search"],
                10,
                2,
            )),
            judgement: Judgement {
                verdict,
                comparisons,
                budgets: vec![
                    budget("search/sequential", Metric::LatencyP95, 500e6, Some(4.2e6)),
                    budget("search/sequential", Metric::ErrorRate, 0.01, Some(0.0)),
                ],
                findings: Vec::new(),
                diagnoses: Vec::new(),
                missing: Vec::new(),
                exit_code,
            },
            drift: None,
            context: Context {
                command_to_reproduce: Some("mcpgate compare -- node dist/index.js".to_owned()),
                results_path: Some("mcpgate-results.json".to_owned()),
                baseline_path: Some("baselines/perf-baseline.json".to_owned()),
                duration: Some(Duration::from_secs(192)),
                ..Context::default()
            },
        }
    }
}

/// A comparison of `search/sequential` with the given ratio and an interval of ±10 % around it.
pub(crate) fn comparison(scenario: &str, metric: Metric, base: f64, ratio: f64) -> Comparison {
    let role = match metric {
        Metric::LatencyP50 | Metric::LatencyP95 | Metric::Startup => Role::Guards,
        Metric::CpuPerCall => Role::Reported,
        _ => Role::Gates,
    };
    let better = if metric.more_is_better() {
        1.0 / ratio
    } else {
        ratio
    };
    let by_difference = matches!(metric, Metric::MemoryGrowth | Metric::ErrorRate);
    let (verdict, reason) = match better {
        r if role == Role::Guards && r < 2.0 => (Verdict::Pass, "less than twice"),
        r if r > 1.4 => (Verdict::Regressed, "worse in every confirming round"),
        r if r > 1.15 => (Verdict::Inconclusive, "the rounds disagree"),
        r if r < 0.8 => (Verdict::Improved, "better in every round"),
        _ => (Verdict::Pass, "within the tolerance"),
    };
    Comparison {
        scenario: scenario.to_owned(),
        tool: scenario.split_once('/').map(|(tool, _)| tool.to_owned()),
        metric,
        role,
        verdict,
        base: Some(base),
        candidate: Some(base * ratio),
        ratio: (!by_difference).then_some(ratio),
        interval: (!by_difference).then_some(Interval {
            low: ratio * 0.93,
            high: ratio * 1.09,
        }),
        tolerance: 0.2,
        more_rounds_could_decide: false,
        is_coarse: false,
        smallest_detectable_ratio: (!by_difference).then_some(if metric.more_is_better() {
            0.72
        } else {
            1.27
        }),
        difference: by_difference.then(|| {
            let change = base * (ratio - 1.0);
            Difference {
                estimate: change,
                interval: Some(Interval {
                    low: change * 0.93,
                    high: change * 1.09,
                }),
                smallest_detectable: Some(base * 0.27),
            }
        }),
        base_rounds: 20,
        candidate_rounds: 10,
        reason: reason.to_owned(),
    }
}

/// The comparisons of one tool and the server, all with the given ratio but memory.
pub(crate) fn comparisons(tool: &str, ratio: f64, memory_ratio: f64) -> Vec<Comparison> {
    let sequential = format!("{tool}/sequential");
    let concurrent = format!("{tool}/concurrent");
    vec![
        comparison("list-tools", Metric::LatencyP50Adjusted, 310e3, 1.01),
        comparison("list-tools", Metric::LatencyP50, 350e3, 1.03),
        comparison(&sequential, Metric::LatencyP50Adjusted, 1.9e6, ratio),
        comparison(&sequential, Metric::LatencyP95Adjusted, 2.6e6, ratio * 0.98),
        comparison(
            &sequential,
            Metric::LatencyP50,
            2.1e6,
            1.0 + (ratio - 1.0) * 0.9,
        ),
        comparison(&sequential, Metric::LatencyP95, 4.2e6, 1.04),
        comparison(&sequential, Metric::CpuPerCall, 1.2e6, 1.02),
        comparison(&concurrent, Metric::LatencyP50, 12.4e6, 1.02),
        comparison(&concurrent, Metric::Throughput, 812.0, 0.97),
        comparison("server", Metric::Startup, 212e6, 1.01),
        comparison("server", Metric::PeakMemory, 84.2e6, memory_ratio),
    ]
}

pub(crate) fn budget(
    scenario: &str,
    metric: Metric,
    limit: f64,
    value: Option<f64>,
) -> BudgetCheck {
    BudgetCheck {
        scenario: scenario.to_owned(),
        metric,
        limit,
        value,
        outcome: match value {
            None => BudgetOutcome::NotMeasured,
            Some(value) if value > limit => BudgetOutcome::Broken,
            Some(_) => BudgetOutcome::Held,
        },
        binding: true,
    }
}

pub(crate) fn finding(severity: Severity, scenario: Option<&str>, text: &str) -> Finding {
    Finding {
        severity,
        scenario: scenario.map(str::to_owned),
        text: text.to_owned(),
    }
}

pub(crate) fn pass() -> Fixture {
    Fixture::of(Verdict::Pass, 0, comparisons("search", 1.03, 0.99))
}

pub(crate) fn improved() -> Fixture {
    Fixture::of(Verdict::Improved, 0, comparisons("search", 0.6, 0.99))
}

pub(crate) fn regressed() -> Fixture {
    let mut comparisons = comparisons("search", 2.01, 1.62);
    let mut growth = comparison("search/soak", Metric::MemoryGrowth, 120e3, 94.0);
    growth.reason = "grows in every soak".to_owned();
    comparisons.push(growth);
    let mut throughput = comparison("search/concurrent", Metric::Throughput, 812.0, 0.82);
    throughput.verdict = Verdict::Inconclusive;
    comparisons.retain(|c| c.metric != Metric::Throughput);
    comparisons.push(throughput);
    Fixture::of(Verdict::Regressed, 1, comparisons)
}

/// Where the baseline of the base decides; and a tool of it vanished.
pub(crate) fn on_a_pull_request() -> Fixture {
    let mut fixture = regressed();
    for round in &mut fixture.candidate.jobs[0].rounds {
        let sample = round.scenarios.get_mut("search/sequential").unwrap();
        let figures = sample.adjusted.as_mut().unwrap();
        figures.p50_ns = 3_700_000 + u64::from(round.index) * 23_000;
    }
    let missing = record("fetch", "fetch/sequential");
    fixture.judgement.findings.push(finding(
        Severity::Failure,
        Some(&missing.name),
        "in the baseline, but not in this run: removed or renamed?",
    ));
    fixture.judgement.missing.push(missing);
    fixture.context.results_path = None;
    fixture.context.accept_in = Some(AcceptIn {
        config_path: "mcpgate.toml".to_owned(),
        until: "2027-01-31".to_owned(),
    });
    fixture
}

/// Judged by a server that was measured in turn; by the committed baseline it has drifted.
pub(crate) fn side_by_side() -> Fixture {
    let drifted = regressed();
    let mut fixture = pass();
    for job in &mut fixture.candidate.jobs {
        job.commit = Some("1a2b3c4d5e6f7a8b-dirty".to_owned());
    }
    fixture.base = Some(results(
        "1a2b3c4d5e6f7a8b",
        "2026-11-04T12:31:07Z",
        &["search"],
        10,
        1,
    ));
    pair_up(&mut fixture.judgement);
    fixture.drift = drifted.base.map(|baseline| (baseline, drifted.judgement));
    fixture.context.command_to_reproduce = Some("mcpgate compare --against main".to_owned());
    fixture.context.baseline_path = Some("mcpgate-results.base.json".to_owned());
    fixture.context.against = Some("main".to_owned());
    fixture
}

/// As many rounds of the base as of the candidate; of one comparison fewer.
fn pair_up(judgement: &mut Judgement) {
    for comparison in &mut judgement.comparisons {
        comparison.base_rounds = comparison.candidate_rounds;
        if comparison.metric == Metric::PeakMemory {
            comparison.base_rounds = 5;
            comparison.candidate_rounds = 5;
        }
    }
}

/// The same, where the name of the base is hostile.
pub(crate) fn against(name: &str) -> Fixture {
    let mut fixture = side_by_side();
    fixture.judgement = regressed().judgement;
    pair_up(&mut fixture.judgement);
    fixture.context.accept_in = on_a_pull_request().context.accept_in;
    fixture.context.against = Some(name.to_owned());
    fixture
}

fn record(tool: &str, name: &str) -> ScenarioRecord {
    let scenarios = results("0", "2026-11-01T08:02:11Z", &["search"], 1, 1)
        .suite
        .scenarios;
    let of_a_tool = scenarios.into_iter().find(|record| record.tool.is_some());
    ScenarioRecord {
        tool: Some(tool.to_owned()),
        name: name.to_owned(),
        ..of_a_tool.unwrap()
    }
}

pub(crate) fn inconclusive() -> Fixture {
    let mut fixture = Fixture::of(Verdict::Inconclusive, 0, comparisons("search", 1.3, 1.01));
    fixture.judgement.findings = vec![finding(
        Severity::Doubt,
        Some("search/sequential"),
        "wall time rose and adjusted latency did not, without load from outside.",
    )];
    fixture
}

/// A scenario of the baseline vanished, and memory could not be read.
pub(crate) fn not_measured() -> Fixture {
    let mut fixture = Fixture::of(Verdict::NotMeasured, 3, comparisons("search", 1.0, 1.0));
    for (index, comparison) in fixture.judgement.comparisons.iter_mut().enumerate() {
        if comparison.scenario == "search/concurrent" || comparison.metric == Metric::PeakMemory {
            comparison.verdict = Verdict::NotMeasured;
            comparison.candidate = None;
            comparison.ratio = None;
            comparison.interval = None;
            comparison.candidate_rounds = 0;
            comparison.reason = if index == 10 {
                "the server's process is not known".to_owned()
            } else {
                "no call succeeded".to_owned()
            };
        }
    }
    fixture.judgement.findings = vec![
        finding(
            Severity::Failure,
            Some("search/concurrent"),
            "no call succeeded in any round.",
        ),
        finding(
            Severity::Failure,
            Some("fetch/sequential"),
            "is in the baseline but was not run.",
        ),
        finding(
            Severity::Note,
            Some("count/sequential"),
            "is new, so there is nothing to compare.",
        ),
    ];
    let sample = fixture.candidate.jobs[0].rounds[0]
        .scenarios
        .get_mut("search/concurrent");
    let sample = sample.unwrap();
    sample.successes = 0;
    sample.errors = BTreeMap::from([("tool-error".to_owned(), 96), ("timeout".to_owned(), 4)]);
    sample.wall = None;
    fixture.candidate.jobs[0].error_samples.insert(
        "search/concurrent".to_owned(),
        ErrorSample {
            kind: "tool-error".to_owned(),
            message: "connect ECONNREFUSED ::1:5432 (is the database up?)".to_owned(),
        },
    );
    fixture
}

pub(crate) fn first_use() -> Fixture {
    let mut fixture = Fixture::of(Verdict::NotMeasured, 0, Vec::new());
    fixture.base = None;
    fixture
}

pub(crate) fn other_machine() -> Fixture {
    let mut fixture = Fixture::of(Verdict::Inconclusive, 0, comparisons("search", 1.3, 1.01));
    for job in &mut fixture.base.as_mut().unwrap().jobs {
        job.environment.cpu_model = "Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz".to_owned();
        job.environment.runner_image = Some("ubuntu24 20261019.1".to_owned());
        for round in &mut job.rounds {
            round.reference_work_ns = Some(1_600_000);
        }
    }
    fixture.judgement.findings = vec![finding(
        Severity::Doubt,
        None,
        "The baseline was measured on another class of machine: only a gross change of latency can be told.",
    )];
    fixture
}

pub(crate) fn incomplete() -> Fixture {
    let mut fixture = inconclusive();
    let job = &mut fixture.candidate.jobs[0];
    job.incomplete = Some("interrupted after 3 of 10 rounds".to_owned());
    job.rounds.truncate(3);
    // That of the run, which is not the judgement's.
    fixture.context.exit_code = Some(3);
    fixture.base.as_mut().unwrap().accepted = Some(Acceptance {
        at: "2026-11-01T09:00:00Z".to_owned(),
        forced_over: vec!["2 of 1000 calls of search/sequential failed".to_owned()],
    });
    fixture
}

pub(crate) fn budgets_broken() -> Fixture {
    let mut fixture = Fixture::of(Verdict::Pass, 1, comparisons("search", 1.03, 0.99));
    let mut default = budget("search/sequential", Metric::LatencyP50, 1e6, Some(2.1e6));
    default.binding = false;
    let mut near = budget("server", Metric::PeakMemory, 84e6, Some(84.2e6));
    near.outcome = BudgetOutcome::Near;
    fixture.judgement.budgets.extend([
        default,
        near,
        budget("search/sequential", Metric::LatencyP95, 4e6, Some(4.2e6)),
        budget("search/soak", Metric::MemoryGrowth, 10e6, Some(11.3e6)),
        budget("fetch/soak", Metric::MemoryGrowth, 10e6, None),
    ]);
    fixture
}

/// Texts that try to break out, one for each place.
pub(crate) const HOSTILE: [&str; 8] = [
    "a|b`c`<img src=x onerror=alert(1)>",
    "@torvalds #1 owner/repo#2 GH-3",
    "![x](http://e.vil/p.png) [y](javascript:1) www.e.vil",
    "</details><!-- mcpgate:other --> ##[error]no",
    "line\nbreak\r\n::error::pwned",
    "\u{1b}[31mred\u{1b}[0m\u{7}\u{202e}txet\u{2066}\u{200b}\u{feff}",
    "*bold* _em_ ~~no~~ $x$ \\| \\",
    "",
];

/// Hostile text in every place that can hold foreign text.
pub(crate) fn hostile(texts: &[String]) -> Fixture {
    let mut texts = texts.iter().cycle();
    let mut next = move || texts.next().cloned().unwrap_or_default();
    let mut fixture = regressed();
    let tool = next();
    let names: BTreeMap<String, String> = ["sequential", "concurrent", "soak"]
        .map(|kind| (format!("search/{kind}"), format!("{tool}/{kind}")))
        .into();
    let judgement = &mut fixture.judgement;
    judgement.findings = vec![
        finding(Severity::Failure, Some(&next()), &next()),
        finding(Severity::Doubt, None, &next()),
        finding(Severity::Note, Some(&next()), &next()),
    ];
    for comparison in &mut judgement.comparisons {
        if let Some(name) = names.get(&comparison.scenario) {
            comparison.scenario.clone_from(name);
        }
        comparison.tool = comparison.tool.as_ref().map(|_| tool.clone());
        comparison.reason = next();
    }
    let mut unmeasured = comparison(&next(), Metric::CpuPerCall, 1.0, 1.0);
    unmeasured.verdict = Verdict::NotMeasured;
    unmeasured.reason = next();
    judgement.comparisons.push(unmeasured);
    judgement
        .budgets
        .push(budget(&next(), Metric::LatencyP50, 1e6, Some(2e6)));
    for results in [&mut fixture.candidate, fixture.base.as_mut().unwrap()] {
        results.server.name = next();
        results.server.version = next();
        results.server.protocol_version = next();
        results.suite.skipped = vec![Skipped {
            name: next(),
            reason: next(),
        }];
        results.accepted = Some(Acceptance {
            at: next(),
            forced_over: vec![next(), next()],
        });
        for scenario in &mut results.suite.scenarios {
            if let Some(name) = names.get(&scenario.name) {
                scenario.name.clone_from(name);
            }
        }
        for job in &mut results.jobs {
            job.started_at = next();
            job.commit = Some(next());
            job.incomplete = Some(next());
            job.memory_measure = Measure::By(next());
            job.adjusted_measure = Measure::NotMeasured(next());
            job.environment.cpu_model = next();
            job.environment.os = next();
            job.environment.arch = next();
            job.environment.runner_image = Some(next());
            let name = names["search/sequential"].clone();
            for round in &mut job.rounds {
                if let Some(mut sample) = round.scenarios.remove("search/sequential") {
                    sample.errors = BTreeMap::from([(next(), 3)]);
                    round.scenarios.insert(name.clone(), sample);
                }
            }
            job.error_samples.insert(
                name,
                ErrorSample {
                    kind: next(),
                    message: next(),
                },
            );
        }
    }
    let mut found =
        super::test_diagnoses::diagnosed(Kind::AnswersMixedUp, Some(&next()), Standing::New);
    (found.diagnosis.evidence, found.diagnosis.advice) = (next(), next());
    fixture.judgement.diagnoses = vec![found];
    let (tool, name) = (next(), next());
    fixture.judgement.missing.push(record(&tool, &name));
    fixture.context = Context {
        exit_code: None,
        command_to_reproduce: Some(next()),
        results_path: Some(next()),
        baseline_path: Some(next()),
        against: None,
        slow_drifts: vec![super::slow_drift::made(&next(), &next())],
        duration: Some(Duration::from_secs(5)),
        key: Some(next()),
        accept_in: Some(AcceptIn {
            config_path: next(),
            until: "2027-01-31".to_owned(),
        }),
    };
    fixture
}

/// `tools` tools, every figure of which regressed, with names and reasons of full length.
pub(crate) fn large(tools: usize) -> Fixture {
    let names: Vec<String> = (0..tools)
        .map(|i| format!("tool-{i:03}-{}", "<`|@é".repeat(60)))
        .collect();
    let mut fixture = Fixture::of(
        Verdict::Regressed,
        1,
        names
            .iter()
            .flat_map(|tool| comparisons(tool, 2.5, 1.6))
            .collect(),
    );
    for comparison in &mut fixture.judgement.comparisons {
        comparison.reason = "<`|@é \u{202e}".repeat(100);
    }
    for name in &names {
        let scenario = format!("{name}/sequential");
        fixture
            .judgement
            .budgets
            .push(budget(&scenario, Metric::LatencyP95, 1e6, Some(2e6)));
        fixture
            .judgement
            .budgets
            .push(budget(&scenario, Metric::LatencyP50, 1e6, None));
        fixture.judgement.findings.push(finding(
            Severity::Failure,
            Some(&scenario),
            &"<x> ".repeat(100),
        ));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    fixture.candidate = results("4f2c9d1", "2026-11-04T12:31:07Z", &names, 2, 1);
    let rounds = fixture.candidate.jobs[0].rounds.iter_mut();
    for sample in rounds.flat_map(|round| round.scenarios.values_mut()) {
        sample.errors = BTreeMap::from([("tool-error".to_owned(), 1)]);
    }
    fixture.context.command_to_reproduce = Some("<`|@é".repeat(1000));
    fixture
}

/// A null control with a scenario that steps down, and one with a planted change.
pub(crate) fn calibration(tool: &str) -> Calibration {
    let results = results("4f2c9d1e8a7b6c5d", "2026-11-04T12:31:07Z", &[tool], 10, 1);
    let figure = |scenario: &str, metric: Metric, regressed: u32, ratio: f64| CalibratedFigure {
        scenario: scenario.to_owned(),
        metric: metric.name().to_owned(),
        suites: 20,
        regressed,
        improved: 0,
        inconclusive: 1,
        pairs: 8.0,
        smallest_detectable_ratio: Some(ratio),
    };
    let control = |factor: f64, regressed: u32| Control {
        factor,
        seed: 1,
        suites: 20,
        regressed,
        improved: 0,
        inconclusive: 1,
        seconds: 41.4,
        scenarios: vec![CalibratedScenario {
            scenario: format!("{tool}/sequential"),
            suites: 20,
            regressed,
        }],
        figures: vec![
            figure("server", Metric::PeakMemory, 0, 1.22),
            figure(
                &format!("{tool}/sequential"),
                Metric::LatencyP50Adjusted,
                regressed,
                1.27,
            ),
            figure(&format!("{tool}/concurrent"), Metric::Throughput, 0, 0.74),
        ],
    };
    Calibration {
        schema_version: 1,
        mcpgate_version: "0.1.0".to_owned(),
        server: results.server,
        suite_hash: results.suite.hash,
        environment: results.jobs[0].environment.clone(),
        started_at: "2026-11-04T12:31:07Z".to_owned(),
        controls: vec![control(1.0, 3), control(1.3, 19)],
    }
}
