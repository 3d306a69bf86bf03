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
        let variable = |_: &str| Some("a value".to_owned());
        if let Err(mistakes) = config::parse("README.md", &text, &variable) {
            panic!("{}", mistakes.render(false));
        }
    }
}

#[test]
fn every_exit_code_is_listed() {
    let readme = readme();
    let table = readme.split("## Exit codes").nth(1).expect("the table");
    for code in [
        exit_code::OK,
        exit_code::REGRESSED,
        exit_code::USAGE,
        exit_code::NOT_MEASURED,
        exit_code::INCONCLUSIVE,
        exit_code::NOT_DELIVERED,
    ] {
        assert!(table.contains(&format!("\n| {code} | ")), "{code}");
    }
}
