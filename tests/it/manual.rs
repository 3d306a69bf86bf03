//! Completion scripts and manual pages, asked as a shell and `man` would.

use crate::harness::Project;

#[test]
fn bash_completes_verbs_options_and_values() {
    let project = Project::new();
    let script = project.run(&["completions", "bash"]).code(0).stdout;
    // What bash does when Tab is pressed: it calls the function that `complete` named.
    let asked = r#"
        source completions.bash
        complete_with() {
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            local function=$(complete -p mcpgate | sed 's/.*-F \([^ ]*\).*/\1/')
            "$function" mcpgate "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            echo "${COMPREPLY[*]}"
        }
        complete_with mcpgate comp
        complete_with mcpgate report --format j
        complete_with mcpgate compare --ag
        complete_with mcpgate __
    "#;
    let project = project
        .file("completions.bash", &script)
        .file("asked.bash", asked);
    let answers = project.run_other("bash", &["asked.bash"]).code(0).stdout;
    assert_eq!(
        answers.lines().collect::<Vec<_>>(),
        ["compare completions", "json junit", "--against", ""]
    );
}

#[test]
fn every_shell_has_a_script() {
    let project = Project::new();
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        project
            .run(&["completions", shell])
            .code(0)
            .stdout_has("baseline")
            .stdout_has("mcpgate");
    }
    project.run(&["completions", "csh"]).code(2);
}

#[test]
fn every_verb_has_a_manual_page() {
    let project = Project::new();
    project
        .run(&["man"])
        .code(0)
        .stdout_has(".TH mcpgate 1")
        .stdout_has("inconclusive");
    project
        .run(&["man", "pages"])
        .code(0)
        .stdout_has("manual pages are in pages");
    let mut pages: Vec<String> = std::fs::read_dir(project.path("pages"))
        .expect("the folder")
        .map(|entry| {
            entry
                .expect("a page")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    pages.sort();
    for page in ["mcpgate.1", "mcpgate-baseline-update.1", "mcpgate-run.1"] {
        assert!(pages.contains(&page.to_owned()), "{pages:?}");
    }
    assert!(
        !pages.iter().any(|page| page.contains("guard")),
        "{pages:?}"
    );
    let page = project.read("pages/mcpgate-compare.1");
    assert!(page.contains(".SH SYNOPSIS") && page.contains("mcpgate compare \\-\\-against main"));
    for page in &pages {
        let page = project.read(&format!("pages/{page}"));
        assert!(page.starts_with(".ie \\n(.g"), "{page}");
    }
}

#[test]
fn misspelt_verbs_options_and_values_are_put_right() {
    let project = Project::new();
    for (arguments, said) in [
        (&["comapre"][..], "'compare'"),
        (&["compare", "--agianst", "main"], "'--against'"),
        (&["report", "a.json", "--format", "junti"], "'junit'"),
    ] {
        project.run(arguments).code(2).stderr_has(said);
    }
}

#[test]
fn every_help_text_has_an_example() {
    fn lacking(command: &clap::Command, path: &str, lacks: &mut Vec<String>) {
        let path = format!("{path} {}", command.get_name());
        let text = command.get_after_help().map(ToString::to_string);
        let example = format!("  {}", path.trim());
        if !text.is_some_and(|text| text.contains("Example") && text.contains(&example)) {
            lacks.push(path.clone());
        }
        let verbs = command.get_subcommands();
        for verb in verbs.filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
            lacking(verb, &path, lacks);
        }
    }
    let mut lacks = Vec::new();
    lacking(&mcpgate::cli::reference::command(), "", &mut lacks);
    assert_eq!(lacks, [""; 0]);
}
