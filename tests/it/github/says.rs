//! What is said where: one comment, the summary, annotations, outputs; and that the verdict does
//! not depend on any of it.

use serde_json::json;
use wiremock::ResponseTemplate;

use super::{
    hub::{Accident, Hub},
    job::{CONFIG, DIR, measured, measured_with, publish, slower},
};
use crate::reference::{healthy, scale_times};

fn refusal(status: u16, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "message": message }))
}

#[test]
fn one_comment_is_kept_up_to_date_among_many() {
    let hub = Hub::new();
    for number in 0..135 {
        hub.comment("somebody", &format!("remark {number}"));
    }
    hub.comment("mallory", "<!-- mcpgate:default run=99.1 head=abc -->");
    let red = measured(&hub, 10, "acme/server", &slower());
    publish(&red, &[])
        .code(1)
        .stdout_has("::error file=mcpgate.toml,line=1,title=mcpgate%3A ");
    let [comment] = &hub.ours()[..] else {
        panic!("{:?}", hub.ours());
    };
    assert!(
        comment.starts_with("**❌ mcpgate: regressed**"),
        "{comment}"
    );
    assert!(comment.contains("What to do:") && comment.contains("/actions/runs/10)"));
    let summary = red.read("summary.md");
    assert!(summary.contains("mcpgate: regressed"), "{summary}");
    let outputs = red.read("outputs");
    for part in [
        "verdict<<",
        "\nregressed\n",
        "comment-url<<",
        "#issuecomment-",
        "exit-code<<",
    ] {
        assert!(outputs.contains(part), "{part}\n{outputs}");
    }
    assert!(red.read(&format!("{DIR}/report.md")).contains("regressed"));

    let asked = hub.count("PATCH");
    publish(&red, &[]).code(1).stderr_has("says so already");
    assert_eq!(
        hub.count("PATCH"),
        asked,
        "an unchanged text is not written again"
    );

    let green = measured(&hub, 11, "acme/server", &healthy());
    publish(&green, &[])
        .code(0)
        .stderr_has("updated the comment");
    publish(&red, &[])
        .code(1)
        .stderr_has("a newer run has commented");
    let [comment] = &hub.ours()[..] else {
        panic!("{:?}", hub.ours());
    };
    assert!(comment.starts_with("**✅ mcpgate: pass**"), "{comment}");
    publish(&green, &["--comment-key", "api"]).code(0);
    assert_eq!(hub.ours().len(), 2, "another key is another comment");
}

#[test]
fn what_the_comment_proposes_is_what_the_next_run_accepts() {
    let mut results = healthy();
    let is_gone = |name: &str| name.starts_with("echo/");
    results.suite.scenarios.retain(|s| !is_gone(&s.name));
    let job = &mut results.jobs[0];
    for round in &mut job.rounds {
        round.scenarios.retain(|name, _| !is_gone(name));
        for (name, sample) in &mut round.scenarios {
            scale_times(sample, if name.starts_with("wait/") { 400 } else { 100 });
        }
    }
    for soak in &mut job.soaks {
        soak.scenarios.retain(|name, _| !is_gone(name));
    }

    let hub = Hub::new();
    publish(&measured(&hub, 10, "acme/server", &results), &[]).code(1);
    let comment = hub.ours().remove(0);
    let (_, entries) = comment.split_once("```toml\n").expect("entries to copy");
    let (entries, _) = entries.split_once("```").expect("their end");
    assert!(entries.contains("metric = \"removed\""), "{entries}");

    let reasoned = entries.replace("reason = \"\"", "reason = \"exact search\"");
    let config = format!("{CONFIG}\n{reasoned}");
    let files = [("mcpgate.toml", config.as_str())];
    let project = measured_with(&hub, 11, "acme/server", &files, &results);
    publish(&project, &[])
        .code(0)
        .stderr_has("updated the comment");
    let comment = hub.ours().remove(0);
    assert!(comment.contains(": exact search"), "{comment}");
    assert!(!comment.contains("mcpgate: regressed"), "{comment}");
}

#[test]
fn nothing_github_does_changes_the_verdict_or_makes_a_second_comment() {
    let limited = || {
        refusal(403, "You have exceeded a secondary rate limit").insert_header("retry-after", "1")
    };
    let hasty = || refusal(429, "slow down").insert_header("retry-after", "3600");
    for (what, method, accidents, comments, said) in [
        (
            "forbidden",
            "POST",
            vec![Accident::Answer(refusal(
                403,
                "Resource not accessible by integration",
            ))],
            0,
            "`pull-requests: write`",
        ),
        (
            "invalid",
            "POST",
            vec![Accident::Answer(refusal(422, "Body is too long"))],
            0,
            "422 Body is too long",
        ),
        (
            "lost answer",
            "POST",
            vec![Accident::AnswerLost],
            1,
            "commented",
        ),
        (
            "lost request",
            "POST",
            vec![Accident::Answer(ResponseTemplate::new(502))],
            1,
            "commented",
        ),
        (
            "down",
            "GET",
            vec![Accident::Answer(ResponseTemplate::new(503)); 9],
            0,
            "503",
        ),
        (
            "limited for a second",
            "GET",
            vec![Accident::Answer(limited())],
            1,
            "commented",
        ),
        (
            "limited for an hour",
            "GET",
            vec![Accident::Answer(hasty())],
            0,
            "3600 s of waiting",
        ),
        (
            "not JSON",
            "GET",
            vec![Accident::Answer(ResponseTemplate::new(200).set_body_string("<html>")); 9],
            0,
            "cannot be read",
        ),
    ] {
        let hub = Hub::new();
        let red = measured(&hub, 10, "acme/server", &slower());
        for accident in accidents {
            hub.next(method, accident);
        }
        let outcome = publish(&red, &[])
            .code(1)
            .says_nothing_of(super::hub::TOKEN);
        let all = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(all.contains(said), "{what}: no {said:?}\n{outcome}");
        assert_eq!(hub.ours().len(), comments, "{what}\n{outcome}");
        assert!(red.read("outputs").contains("\nregressed\n"), "{what}");
    }
}

#[test]
fn what_decides_cannot_be_changed_by_what_is_measured() {
    let hub = Hub::new();
    let job = measured(&hub, 10, "acme/server", &slower());
    let outputs = job.read("outputs");
    let digest = outputs.lines().nth(1).expect("a digest").to_owned();
    publish(&job, &["--digest", &digest]).code(1);
    let policy = job
        .read(&format!("{DIR}/policy.toml"))
        .replace("20%", "900%");
    let job = job.file(&format!("{DIR}/policy.toml"), &policy);
    publish(&job, &["--digest", &digest])
        .code(2)
        .stderr_has("has changed what decides");
}

#[test]
fn forks_get_the_verdict_without_a_comment() {
    let hub = Hub::new();
    let red = measured(&hub, 10, "mallory/server", &slower());
    publish(&red, &[])
        .code(1)
        .stdout_has("::warning title=mcpgate%3A no comment::this pull request comes from a fork");
    assert_eq!((hub.ours().len(), hub.count("POST")), (0, 0));
    assert!(red.read("summary.md").contains("regressed"));
}

#[test]
fn what_could_not_be_measured_is_said_and_no_old_green_stays() {
    let hub = Hub::new();
    let green = measured(&hub, 10, "acme/server", &healthy());
    publish(&green, &[]).code(0);
    let broken = measured(&hub, 11, "acme/server", &healthy()).file(
        &format!("{DIR}/error.txt"),
        "the server ended: exit status 1\n::error::@team <b>",
    );
    publish(&broken, &["--measured-exit-code", "3"])
        .code(3)
        .stdout_has("::error title=mcpgate%3A not measured::the server ended");
    let [comment] = &hub.ours()[..] else {
        panic!("{:?}", hub.ours());
    };
    assert!(
        comment.starts_with("**❌ mcpgate: not-measured**"),
        "{comment}"
    );
    assert!(!comment.contains("\n::error"), "{comment}");
}

#[test]
fn results_from_elsewhere_are_judged_here() {
    let hub = Hub::new();
    let job = measured(&hub, 10, "acme/server", &healthy());
    let mut hostile = slower();
    hostile.server.name = "</details><!-- mcpgate:default run=99.1 head=a --> @team".to_owned();
    hostile.jobs[0].notes = vec!["::error::x".to_owned()];
    let job = job.file(
        "artifact/results.json",
        &mcpgate::store::to_stable_text(&hostile),
    );
    publish(
        &job,
        &["--results", "artifact/results.json", "--fail-on", "never"],
    )
    .code(0);
    let [comment] = &hub.ours()[..] else {
        panic!("{:?}", hub.ours());
    };
    assert!(
        comment.starts_with("**❌ mcpgate: regressed**"),
        "{comment}"
    );
    assert_eq!(comment.matches("<!-- mcpgate:").count(), 1, "{comment}");
    let not_results = job.file("artifact/results.json", "{\"schema_version\": 1}");
    publish(&not_results, &["--results", "artifact/results.json"]).code(2);
}
