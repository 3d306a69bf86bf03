//! What the history shows to have grown by little at a time, so that no comparison with the run
//! before said so.

use super::{
    figure::{self, GAP},
    line::Line,
};
use crate::history::SlowDrift;

/// Lines that name a drift; of more, only how many there are.
const MOST: usize = 5;

/// One sentence each, the largest first.
pub(crate) fn lines(drifts: &[SlowDrift]) -> Vec<Line> {
    let mut lines: Vec<Line> = drifts
        .iter()
        .take(MOST)
        .map(|drift| Line::own("Slow drift: ").join(sentence(drift)))
        .collect();
    if drifts.len() > MOST {
        let more = figure::count(drifts.len() - MOST, "figure");
        lines.push(
            Line::own(format!("Slow drift: {more} more, which "))
                .code("mcpgate trend")
                .then(" shows"),
        );
    }
    lines
}

/// `search/sequential latency_p95 grew by 31 % over the last 10 commits (since abc1234), 2.7 % at a
/// time: 12.1 ms -> 15.9 ms`.
fn sentence(drift: &SlowDrift) -> Line {
    Line::of_name(&drift.scenario)
        .then(format!(" {} ", figure::label(drift.metric)))
        .join(how(drift))
}

/// The same from `grew` on.
pub(crate) fn how(drift: &SlowDrift) -> Line {
    let unit = drift.metric.unit();
    let verb = if drift.to > drift.from {
        "grew"
    } else {
        "fell"
    };
    let by = match drift.ratio {
        Some(ratio) => figure::percent_change(ratio),
        None => figure::figure((drift.to - drift.from).abs(), unit),
    };
    let noun = if drift.are_commits { "commit" } else { "run" };
    let since = match &drift.since {
        Some(commit) => Line::own("since ").join(commit_name(commit)),
        None => Line::own("since the run of ").name(&drift.since_at),
    };
    let line = Line::own(format!(
        "{verb} by {} over the last {} (",
        by.trim_start_matches(['+', '-']),
        figure::count(drift.steps, noun),
    ))
    .join(since)
    .then(")");
    let line = match drift.ratio_of_a_step() {
        Some(step) => {
            let step = figure::percent_change(step);
            line.then(format!(
                ", {} at a time",
                step.trim_start_matches(['+', '-'])
            ))
        }
        None => line,
    };
    line.then(format!(
        ": {}{GAP}->{GAP}{}",
        figure::figure(drift.from, unit),
        figure::figure(drift.to, unit)
    ))
}

/// A commit's first ten digits, and what stands behind all forty.
pub(crate) fn commit_name(commit: &str) -> Line {
    let (sha, rest) = match commit.split_at_checked(40) {
        Some((sha, rest)) if sha.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            (sha.get(..10).unwrap_or(sha), rest)
        }
        _ => (commit, ""),
    };
    Line::of_name(&format!("{sha}{rest}"))
}

/// For the tests: p95 of `scenario` grew from 12.1 to 15.9 ms over ten commits since `commit`.
#[cfg(test)]
pub(crate) fn made(scenario: &str, commit: &str) -> SlowDrift {
    SlowDrift {
        scenario: scenario.to_owned(),
        metric: crate::gate::Metric::LatencyP95Adjusted,
        from: 12.1e6,
        to: 15.9e6,
        ratio: Some(15.9 / 12.1),
        steps: 10,
        are_commits: true,
        since: Some(commit.to_owned()),
        since_at: "2026-11-01T12:00:00Z".to_owned(),
        since_index: 4,
        is_worse: true,
        p_value: 1e-5,
    }
}
