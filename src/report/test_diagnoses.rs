//! Diagnoses made by hand, for the tests of the formats.

use super::test_support::{Fixture, comparisons, pass};
use crate::{
    diagnosis::{Confidence, Diagnosis, Kind},
    gate::{Diagnosed, Standing, Verdict},
    results::ProbeName,
};

pub(crate) fn diagnosed(kind: Kind, scenario: Option<&str>, standing: Standing) -> Diagnosed {
    Diagnosed {
        diagnosis: Diagnosis {
            kind,
            scenario: scenario.map(str::to_owned),
            confidence: Confidence::Likely,
            evidence: "10 callers at once got 98 calls done in a second, one alone 101".into(),
            advice: "look for a wait that blocks the event loop".into(),
            probe: None,
        },
        standing,
        verdict: None,
    }
}

pub(crate) fn diagnosed_server() -> Fixture {
    let mut fixture = pass();
    let concurrent = Some("search/concurrent");
    fixture.judgement.diagnoses.extend([
        diagnosed(Kind::EventLoopBlocked, concurrent, Standing::New),
        diagnosed(Kind::SlowStart, None, Standing::Unknown),
        diagnosed(Kind::Overloaded, Some("ramp"), Standing::Known),
    ]);
    fixture
}

/// What a probe showed twice of one of the two servers, and nothing else.
pub(crate) fn probed(standing: Standing, verdict: Verdict, exit_code: u8) -> Fixture {
    let mut fixture = Fixture::of(verdict, exit_code, comparisons("search", 1.03, 0.99));
    let mut found = diagnosed(Kind::SessionLeakClosed, None, standing);
    found.verdict = Some(verdict);
    found.diagnosis = Diagnosis {
        evidence: "memory grows by 4.1 kB with each of 900 sessions that their clients ended \
                   (DELETE)"
            .into(),
        advice: "look for what is registered when a session opens and never taken out when it ends"
            .into(),
        probe: Some(ProbeName::Sessions),
        ..found.diagnosis
    };
    fixture.judgement.diagnoses.push(found);
    fixture
}
