//! Calls that go wrong only when others are in flight.

use std::collections::BTreeMap;

use super::{Confidence, Diagnosis, Kind, records, sibling};
use crate::results::{Results, ScenarioKind, ScenarioRecord, StageSample};

/// Calls one at a time that show that a tool works.
const CALLS_NEEDED: u64 = 20;
/// Failed calls below which nothing is said.
const FAILURES_NEEDED: u64 = 3;
/// Share of failed calls below which nothing is said.
const SHARE_NEEDED: f64 = 0.01;
/// A call that got what it did not ask for.
const WRONG: [&str; 2] = ["wrong-answer", "stray-answer"];
/// Statuses that say what is meant.
const TOO_MANY: [&str; 2] = ["http-429", "http-503"];
/// What else a server may answer, or not answer, whose pool is used up.
const REFUSALS: [&str; 4] = ["timeout", "tool-error", "protocol-error", "refused"];
/// Words of such answers; `too many` beside them.
const WORDS: [&str; 7] = [
    "pool",
    "exhausted",
    "limit",
    "capacity",
    "busy",
    "overloaded",
    "unavailable",
];
/// Kinds of failures that are named.
const KINDS_NAMED: usize = 4;

/// Calls of one scenario over all of a run.
#[derive(Default)]
struct Tally<'a> {
    calls: u64,
    successes: u64,
    errors: BTreeMap<&'a str, u64>,
}

impl<'a> Tally<'a> {
    fn of(results: &'a Results, scenario: &'a str) -> Self {
        let mut tally = Self::default();
        for counts in results.jobs.iter().flat_map(|job| job.counts_of(scenario)) {
            tally.calls += u64::from(counts.calls);
            tally.successes += u64::from(counts.successes);
            for (kind, count) in counts.errors {
                *tally.errors.entry(kind).or_default() += u64::from(*count);
            }
        }
        tally
    }

    fn count(&self, wanted: impl Fn(&str) -> bool) -> u64 {
        let those = self.errors.iter().filter(|(kind, _)| wanted(kind));
        those.map(|(_, count)| count).sum()
    }

    fn works(&self) -> bool {
        self.calls >= CALLS_NEEDED && self.successes == self.calls
    }
}

/// Where calls of a tool work one at a time: how many did.
fn alone<'a>(results: &'a Results, record: &'a ScenarioRecord) -> Option<Tally<'a>> {
    let tools: Vec<&ScenarioRecord> = match record.kind {
        // All tools of a load must work.
        ScenarioKind::Load => {
            let mix = record.load.as_ref()?.tools.keys();
            let of_tool = |tool: &String| {
                records(results, ScenarioKind::Sequential).find(|r| r.tool.as_ref() == Some(tool))
            };
            mix.map(of_tool).collect::<Option<_>>()?
        }
        _ => vec![sibling(results, record, ScenarioKind::Sequential)?],
    };
    let mut all = Tally::default();
    for tool in tools {
        let tally = Tally::of(results, &tool.name);
        if !tally.works() {
            return None;
        }
        all.calls += tally.calls;
        all.successes += tally.successes;
    }
    Some(all)
}

fn at_once(results: &Results) -> impl Iterator<Item = (&ScenarioRecord, u32)> {
    let concurrent = records(results, ScenarioKind::Concurrent);
    let concurrent = concurrent.map(|record| (record, record.concurrency));
    let loads = records(results, ScenarioKind::Load).filter_map(|record| {
        let load = record
            .load
            .as_ref()
            .filter(|load| !load.executor.is_open())?;
        Some((
            record,
            load.stages
                .iter()
                .map(|stage| stage.to.max(stage.from))
                .max()?,
        ))
    });
    concurrent.chain(loads)
}

/// Answers that belong to other calls, where each call gets its own when it is alone.
pub(super) fn mixed_up(results: &Results) -> Option<Diagnosis> {
    at_once(results).find_map(|(record, callers)| {
        let alone = alone(results, record)?;
        let tally = Tally::of(results, &record.name);
        let wrong = tally.count(|kind| WRONG.contains(&kind)).min(tally.calls);
        (wrong > 0).then(|| Diagnosis {
            kind: Kind::AnswersMixedUp,
            scenario: Some(record.name.clone()),
            confidence: Confidence::Possible,
            evidence: format!(
                "{wrong} of {} calls with {callers} at once got an answer without what they asked for, or \
                 one that nobody asked for, and none of {} one at a time",
                tally.calls, alone.calls
            ),
            advice: "look for state that calls share: a variable of the module or of the handler \
                     object, a cache without the arguments in its key, request ids that are not kept \
                     apart by session"
                .to_owned(),
 probe: None,
})
    })
}

/// Calls that fail once so many are in flight, though each works alone.
pub(super) fn exhausted(results: &Results) -> Option<Diagnosis> {
    let mut all: Vec<(&ScenarioRecord, u32)> = at_once(results).collect();
    all.sort_by_key(|(_, callers)| *callers);
    all.into_iter()
        .find_map(|(record, callers)| of_scenario(results, record, callers))
}

fn of_scenario(results: &Results, record: &ScenarioRecord, callers: u32) -> Option<Diagnosis> {
    let alone = alone(results, record)?;
    let tally = Tally::of(results, &record.name);
    let is_refusal = |kind: &str| kind.starts_with("http-") || REFUSALS.contains(&kind);
    let failed = tally.count(is_refusal);
    let share = failed as f64 / tally.calls.max(1) as f64;
    if failed < FAILURES_NEEDED || share < SHARE_NEEDED {
        return None;
    }
    let too_many = tally.count(|kind| TOO_MANY.contains(&kind));
    let is_told = too_many * 2 > failed || says_so(results, &record.name);
    let mut kinds: Vec<(&str, u64)> = tally.errors.iter().map(|(kind, n)| (*kind, *n)).collect();
    kinds.retain(|(kind, _)| is_refusal(kind));
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let kinds: Vec<&str> = kinds
        .into_iter()
        .map(|(kind, _)| kind)
        .take(KINDS_NAMED)
        .collect();
    let begins = stage_where_it_begins(results, record).unwrap_or_default();
    Some(Diagnosis {
        kind: Kind::ConnectionPoolExhausted,
        scenario: Some(record.name.clone()),
        confidence: if is_told {
            Confidence::Likely
        } else {
            Confidence::Possible
        },
        evidence: format!(
            "{:.1} % of {} calls with up to {callers} at once failed ({}), and none of {} one at a time\
             {begins}",
            share * 100.0,
            tally.calls,
            kinds.join(", "),
            alone.calls,
        ),
        advice: "look for a pool or a limit of connections, threads, file descriptors or sessions \
                 that is smaller than the number of callers, and let calls wait for it for a \
                 bounded time instead of failing"
            .to_owned(),
        probe: None,
    })
}

fn stage_where_it_begins(results: &Results, record: &ScenarioRecord) -> Option<String> {
    let stages = &record.load.as_ref()?.stages;
    let jobs = results.jobs.iter().rev();
    let sample = jobs.filter_map(|job| job.loads.get(&record.name)).next()?;
    // One stage says no more than the load as a whole.
    if stages.len() < 2 {
        return None;
    }
    let failed = |calls: &StageSample| u64::from(calls.calls.saturating_sub(calls.successes));
    let mut stages = stages.iter().zip(&sample.stages);
    let (stage, _) = stages.find(|(_, calls)| failed(calls) >= FAILURES_NEEDED)?;
    Some(if stage.from == stage.to {
        format!("; they begin at {} callers", stage.to)
    } else {
        format!(
            "; they begin between {} and {} callers",
            stage.from, stage.to
        )
    })
}

/// Whether the first failure's text speaks of a pool or a limit.
fn says_so(results: &Results, scenario: &str) -> bool {
    let samples = results
        .jobs
        .iter()
        .filter_map(|job| job.error_samples.get(scenario));
    samples
        .filter(|sample| !WRONG.contains(&sample.kind.as_str()))
        .any(|sample| {
            let text = sample.message.to_lowercase();
            let mut words = text.split(|letter: char| !letter.is_alphanumeric());
            text.contains("too many")
                || words.any(|word| {
                    // Such as QueuePool.
                    WORDS.contains(&word) || (word.ends_with("pool") && word != "spool")
                })
        })
}
