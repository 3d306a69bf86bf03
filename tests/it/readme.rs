//! What the README shows is what the program takes and says.
#![expect(clippy::disallowed_methods, reason = "reads the README")]

use mcpgate::{error::exit_code, suite::config};

use crate::harness::repository;

fn readme() -> String {
    std::fs::read_to_string(repository().join("README.md")).expect("README.md")
}

fn configuration() -> String {
    let readme = readme();
    let start = readme.find("```toml\n").expect("a TOML block") + "```toml\n".len();
    let end = readme[start..].find("```").expect("its end");
    readme[start..start + end].to_owned()
}

#[test]
fn the_configuration_is_accepted_as_it_stands_and_with_every_line_switched_on() {
    let shown = configuration();
    let all: String = shown
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(line)))
        .collect();
    assert_ne!(shown, all);
    for text in [shown, all] {
        let outside = config::Outside {
            variable: &|_| Some("a value".to_owned()),
            file: &|_| Ok("query\nfirst\n".to_owned()),
        };
        if let Err(mistakes) = config::parse("README.md", &text, outside) {
            panic!("{}", mistakes.render(false));
        }
    }
}

#[test]
fn the_workflow_is_the_one_that_is_tested() {
    let path = repository().join("examples/workflows/gate.yml");
    let example = std::fs::read_to_string(path).expect("the example");
    assert!(readme().contains(&format!("```yaml\n{example}```\n")));
}

#[test]
fn every_input_and_output_of_the_action_is_described() {
    let read = |path: &str| std::fs::read_to_string(repository().join(path)).expect("a file");
    let (action, docs) = (read("action.yml"), read("docs/github.md"));
    let keys_of = |section: &str| -> Vec<String> {
        let start = action
            .find(&format!("\n{section}:\n"))
            .expect("the section")
            + 1;
        action[start..]
            .lines()
            .skip(1)
            .take_while(|line| line.is_empty() || line.starts_with(' '))
            .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
            .filter(|key| !key.starts_with(' '))
            .map(str::to_owned)
            .collect()
    };
    let keys = [keys_of("inputs"), keys_of("outputs")].concat();
    assert_eq!(keys.len(), 15 + 7, "{keys:?}");
    for key in keys {
        assert!(docs.contains(&format!("| `{key}` | ")), "{key}");
    }
}

#[test]
fn every_exit_code_is_listed() {
    let readme = readme();
    let table = readme.split("## Exit codes").nth(1).expect("the table");
    for (code, meaning) in exit_code::ALL {
        let row = format!("\n| {code} | {meaning} |\n");
        assert!(table.contains(&row), "{row}");
    }
}
