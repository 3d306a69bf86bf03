//! `data` in `[[tool]]`: rows reach the server, and its answers are checked against them.

use crate::{
    harness::Project,
    reference::{Over, small},
};

const TOOL: &str = r#"
    name = "echo"
    data = "words.csv"
    arguments = { message = "{{data.word}} {{random 1 6}}" }
"#;

fn project(expected: &str) -> Project {
    small(Project::new(), Over::Stdio, &[])
        .config("suite.rounds", 1)
        .tool(&format!("{TOOL}\nexpect = {{ contains = \"{expected}\" }}"))
        .file("words.csv", "word,other\n\"one, \"\"two\"\"\",a\nthrée,b\n")
}

#[test]
fn every_answer_holds_the_row_of_its_call() {
    let project = project("{{data.word}} {{random 1 6}}");
    project.run(&["run", "--quiet"]).code(0);
    let round = &project.results().jobs[0].rounds[0];
    let sample = &round.scenarios["echo/concurrent"];
    assert!(sample.successes > 0 && sample.errors.is_empty());
}

#[test]
fn an_answer_to_another_row_is_wrong() {
    let project = project("{{data.other}}{{data.other}}");
    project.run(&["run", "--quiet"]).code(1);
    let round = &project.results().jobs[0].rounds[0];
    let sample = &round.scenarios["echo/sequential"];
    assert!(sample.errors.contains_key("wrong-answer"), "{sample:?}");
}
