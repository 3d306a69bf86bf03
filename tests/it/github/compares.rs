//! The pull request's server and that of its base, measured in turn.

use mcpgate::{
    results::{ArmName, InTurn, Phase, Results},
    store::to_stable_text,
};

use super::{
    hub::Hub,
    job::{DIR, event, measured_with, prepare, publish, pull_request_in, scaled, step},
};
use crate::{
    harness::{Outcome, Project},
    reference::{Over, WAIT, command, healthy, shell_line},
};

/// Results of one of two arms: five pairs and the rest fresh ones.
fn arm(mut results: Results, arm: ArmName) -> Results {
    for job in &mut results.jobs {
        job.in_turn = Some(InTurn {
            id: "0f".to_owned(),
            arm,
            against: "<b>main</b>".to_owned(),
            most_pairs: 5,
        });
        let rounds = job.rounds.clone();
        let fresh = rounds.into_iter().cycle().skip(job.rounds.len()).take(13);
        job.rounds = fresh.collect();
        for (index, round) in (0..).zip(&mut job.rounds) {
            round.index = index;
            round.phase = if index < 5 {
                Phase::Measure
            } else {
                Phase::Confirm
            };
        }
    }
    results
}

/// A job that has measured both arms, with a healthy baseline.
fn both(hub: &Hub, base: Results, candidate: Results) -> Project {
    let candidate = arm(candidate, ArmName::Candidate);
    let files = [("server.txt", "new")];
    measured_with(hub, 10, "acme/server", &files, &candidate).file(
        &format!("{DIR}/results.base.json"),
        &to_stable_text(&arm(base, ArmName::Base)),
    )
}

#[track_caller]
fn comment(hub: &Hub) -> String {
    let [comment] = &hub.ours()[..] else {
        panic!("{:?}", hub.ours());
    };
    comment.clone()
}

#[test]
fn the_base_decides_and_the_baseline_shows_the_drift() {
    let hub = Hub::new();
    // Both are slower than the baseline: that is no fault of this pull request.
    let drifted = both(&hub, scaled(400), scaled(404));
    publish(&drifted, &[]).code(0);
    let outputs = drifted.read("outputs");
    assert!(
        outputs.contains(&format!("{DIR}/results.base.json")),
        "{outputs}"
    );
    let text = comment(&hub);
    assert!(text.starts_with("**✅ mcpgate: pass**"), "{text}");
    assert!(
        text.contains("**Drift**, which does not decide here: since the baseline ("),
        "{text}"
    );
    assert!(text.contains("): regressed: "), "{text}");
    assert!(text.contains("measured in turn on this machine"), "{text}");
    assert!(text.contains("| base | now |"), "{text}");

    let hub = Hub::new();
    // As fast as the baseline, and slower than the base.
    let step_back = both(&hub, scaled(25), healthy());
    publish(&step_back, &[]).code(1);
    let text = comment(&hub);
    assert!(text.starts_with("**❌ mcpgate: regressed**"), "{text}");
    assert!(text.contains("confirmed by 8 fresh rounds"), "{text}");
    assert!(text.contains("): pass: "), "{text}");
    assert!(
        text.contains("mcpgate compare --against merge-base"),
        "{text}"
    );

    // Files that do not belong together are no pair.
    let hub = Hub::new();
    let mut stranger = arm(scaled(25), ArmName::Base);
    for job in &mut stranger.jobs {
        job.in_turn
            .iter_mut()
            .for_each(|turn| turn.id = "1".to_owned());
    }
    let strange = both(&hub, healthy(), healthy()).file(
        &format!("{DIR}/results.base.json"),
        &to_stable_text(&stranger),
    );
    publish(&strange, &[]).code(0);
    let text = comment(&hub);
    assert!(
        !text.contains("Drift") && text.contains("| baseline | now |"),
        "{text}"
    );
}

/// A pull request to a server whose options stand in a file that its build writes.
fn built(base_build: &str, base_options: &str, head_options: &str) -> Project {
    let server = shell_line(&command(Over::Stdio, &[]));
    let config = |build: &str| {
        format!(
            "[server]\ncommand = [\"sh\", \"-c\", '''exec {server} $(cat built)''']\n\
             build = '''{build}'''\n[[tool]]{WAIT}\n\
             [suite]\nsize = \"quick\"\nrounds = 5\ncalls = 20\nconcurrency = 2\n"
        )
    };
    let (base, head) = (config(base_build), config("cp options built"));
    let project = Project::measuring();
    let cache = project.path("cache").display().to_string();
    let project = project.env("XDG_CACHE_HOME", &cache);
    let base = [("mcpgate.toml", base.as_str()), ("options", base_options)];
    let head = [("mcpgate.toml", head.as_str()), ("options", head_options)];
    let (project, commits) = pull_request_in(project, &base, &head);
    let event = event(&commits, "acme/server");
    let project = step(project, None, "pull_request", 1, &commits.merge).file("event.json", &event);
    prepare(&project).code(0);
    project
}

fn compare(project: &Project) -> Outcome {
    project.run(&["compare", "--prepared", DIR, "--against", "auto", "--quiet"])
}

#[test]
fn a_pull_request_is_measured_against_its_base() {
    let project = built("cp options built", "", "--fault delay=wait:15");
    compare(&project)
        .code(1)
        .stdout_has("the base, measured in turn: commit")
        .stdout_has("regressed: wait");
    publish(&project, &["--measured-exit-code", "1"]).code(1);
    let report = project.read(&format!("{DIR}/report.md"));
    assert!(
        report.contains("measured in turn on this machine"),
        "{report}"
    );
}

#[test]
fn a_base_that_cannot_be_built_leaves_it_to_the_baseline() {
    let project = built("exit 3", "", "");
    compare(&project).code(0).stdout_has(
        "the base could not be measured, so the baseline decides: the base: the build hook failed",
    );
    publish(&project, &["--measured-exit-code", "0"]).code(0);
    let report = project.read(&format!("{DIR}/report.md"));
    assert!(report.contains("so the baseline decides"), "{report}");
}
