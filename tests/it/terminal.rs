//! What only a terminal sees: colours, columns, and a question.

use mcpgate::store::to_stable_text;

use crate::{
    harness::{Outcome, Project, repository},
    reference::{MCPGATE, healthy, scale_times},
};

/// Runs mcpgate in a terminal of 80 columns; `keys` are typed once `prompt` was written.
fn in_terminal(project: &Project, typed: (&str, &str), arguments: &[&str]) -> Outcome {
    in_columns(80, project, typed, arguments)
}

fn in_columns(
    columns: usize,
    project: &Project,
    (prompt, keys): (&str, &str),
    arguments: &[&str],
) -> Outcome {
    let script = repository().join("tests/terminal.py");
    let (script, columns) = (script.display().to_string(), columns.to_string());
    let words = [script.as_str(), &columns, prompt, keys, MCPGATE];
    project.run_other("python3", &[&words[..], arguments].concat())
}

fn compared() -> Project {
    let base = healthy();
    let mut now = base.clone();
    for round in &mut now.jobs[0].rounds {
        for sample in round.scenarios.values_mut() {
            scale_times(sample, 300);
        }
    }
    Project::new()
        .file("base.json", &to_stable_text(&base))
        .file("now.json", &to_stable_text(&now))
        .env("TERM", "xterm-256color")
        .env("LANG", "C.UTF-8")
}

#[test]
fn a_terminal_gets_colours_and_its_width_unless_it_is_told_otherwise() {
    let compare = ["compare", "base.json", "now.json"];
    let nothing_typed = ("", "");
    let of = |project: Project, more: &[&str]| {
        let arguments = [&compare[..], more].concat();
        in_terminal(&project, nothing_typed, &arguments)
            .code(1)
            .stdout
    };
    let escape = '\u{1b}';
    let coloured = of(compared(), &[]);
    assert!(coloured.contains(escape), "{coloured}");
    assert!(coloured.contains('┈'), "{coloured}");
    for width in [40, 60, 80, 120] {
        let outcome = in_columns(width, &compared(), nothing_typed, &compare).code(1);
        for line in outcome.stdout.lines() {
            // It leaves out escape sequences.
            let columns = textwrap::core::display_width(line);
            assert!(columns <= width, "{columns} columns in {width}: {line}");
        }
    }
    for (what, plain) in [
        ("NO_COLOR", of(compared().env("NO_COLOR", "1"), &[])),
        ("TERM=dumb", of(compared().env("TERM", "dumb"), &[])),
        ("--color never", of(compared(), &["--color", "never"])),
    ] {
        assert!(!plain.contains(escape), "{what}: {plain}");
    }
    let dumb = of(compared().env("TERM", "dumb"), &[]);
    assert!(dumb.is_ascii(), "{dumb}");
    // Elsewhere nothing has a colour unless it is asked for.
    let elsewhere = compared().run(&compare).code(1).stdout;
    assert!(!elsewhere.contains(escape), "{elsewhere}");
    let asked = [&compare[..], &["--color", "always"]].concat();
    assert!(compared().run(&asked).code(1).stdout.contains(escape));
}

#[test]
fn somebody_at_a_terminal_is_asked_for_the_workflow() {
    const WORKFLOW: &str = ".github/workflows/mcpgate.yml";
    let init = ["init", "--", MCPGATE, "reference-server"];
    for (keys, code, is_written) in [("y\\n", 0, true), ("\\n", 0, false), ("\\x03", 3, false)] {
        let project = Project::new().env("TERM", "xterm-256color");
        project.run_other("git", &["init", "--quiet"]).code(0);
        let outcome = in_terminal(&project, ("[y/N] ", keys), &init).code(code);
        let has = |file: &str| project.path(file).exists();
        assert_eq!(has(WORKFLOW), is_written, "{keys}: {outcome}");
        assert_eq!(has("mcpgate.toml"), code == 0, "{keys}: {outcome}");
    }
    // Where there is no repository it would measure nothing, and with --yes nobody is there.
    let alone = Project::new().env("TERM", "xterm-256color");
    in_terminal(&alone, ("", ""), &init)
        .code(0)
        .says_nothing_of("[y/N]");
    let unattended = Project::new().env("TERM", "xterm-256color");
    unattended.run_other("git", &["init", "--quiet"]).code(0);
    let yes = [&init[..1], &["--yes"], &init[1..]].concat();
    in_terminal(&unattended, ("", ""), &yes)
        .code(0)
        .says_nothing_of("[y/N]");
}
