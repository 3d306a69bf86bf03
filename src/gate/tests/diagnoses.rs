//! Diagnoses from rounds and soaks explain; how they stand to the base is said, and the verdict is not
//! theirs.

use super::*;
use crate::{
    diagnosis::Kind,
    gate::{
        Standing,
        test_support::{Fixture, SOAK},
    },
};

fn leaking() -> Fixture {
    Fixture::new().growth(&[20_000.0, 20_100.0, 20_200.0])
}

fn standings(judgement: &Judgement) -> Vec<(Kind, Standing)> {
    let all = judgement.diagnoses.iter();
    all.map(|found| (found.diagnosis.kind, found.standing))
        .collect()
}

#[test]
fn a_diagnosis_is_new_known_or_neither() {
    let policy = GateConfig::default();
    let candidate = leaking().build();
    let against = |base: Fixture| judge(&base.build(), &candidate, &policy);
    let without_soak = Fixture::new().with(|results| {
        results.suite.scenarios.retain(|record| record.name != SOAK);
        results.jobs[0].soaks.clear();
    });
    let asked_otherwise = Fixture::new().with(|results| {
        for record in &mut results.suite.scenarios {
            record.definition_hash = "another".to_owned();
        }
    });
    for (judgement, standing) in [
        (against(Fixture::new()), Standing::New),
        (against(leaking()), Standing::Known),
        (against(without_soak), Standing::Unknown),
        (against(asked_otherwise), Standing::Unknown),
        (judge_alone(&candidate, &policy), Standing::Unknown),
    ] {
        assert_eq!(standings(&judgement), [(Kind::MemoryLeak, standing)]);
    }
    // A base that leaked is no matter of the candidate.
    let mended = judge(&candidate, &Fixture::new().build(), &policy);
    assert_eq!(standings(&mended), []);
}

#[test]
fn a_known_one_does_not_change_the_verdict() {
    let leaking = leaking().build();
    let judgement = judge(&leaking, &leaking, &GateConfig::default());
    assert_eq!(judgement.verdict, Verdict::Pass);
    assert_eq!(judgement.exit_code, crate::error::exit_code::OK);
}
