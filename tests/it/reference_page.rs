//! `docs/reference.md` is made from the program: the keys of the configuration, the command line, the
//! exit codes, the files and the variables.
#![expect(clippy::disallowed_methods, reason = "reads and writes the page")]

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use clap::{Arg, Command};
use mcpgate::{
    cli::reference::{FILES, VARIABLES, command},
    error::exit_code,
    suite::config::keys::SECTIONS,
};

use crate::{
    harness::{Project, repository},
    reference::{ECHO, Over, command as server, shell_line, small},
};

const PAGE: &str = "docs/reference.md";

#[test]
fn the_page_of_reference_is_that_of_the_program() {
    let page = page();
    let path = repository().join(PAGE);
    if std::env::var_os("MCPGATE_UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &page).expect("write the page");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "{PAGE} is out of date; write it anew with\n\
         MCPGATE_UPDATE_REFERENCE=1 cargo test --test it reference_page"
    );
}

/// All but the workflow, which `init` writes at the top of a repository.
#[test]
fn what_is_left_in_a_folder_is_what_the_page_names() {
    let project = small(Project::new(), Over::Stdio, &[])
        .config("suite.rounds", 5)
        .tool(ECHO);
    let same = shell_line(&server(Over::Stdio, &[]));
    project.run(&["run", "--quiet", "--record"]).code(0);
    project.run(&["baseline", "update"]).code(0);
    // What they say of this machine is not asked here.
    project.run(&["calibrate", "1", "--quiet"]).measured();
    // Those of the first run; the next ones are of the comparison.
    std::fs::remove_file(project.path("mcpgate-results.json")).expect("results");
    project
        .run(&["compare", "--base-command", &same, "--quiet"])
        .measured();

    let named = FILES.iter().map(|file| file.name);
    let named: BTreeSet<String> = named
        .filter(|name| !name.contains('`') && !name.starts_with(".github/"))
        .map(str::to_owned)
        .collect();
    let mut left = BTreeSet::new();
    let mut folders = vec![project.path("")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(project.path("")).expect("inside");
            let inside = inside.to_string_lossy().into_owned();
            // What the program printed, which this test's own harness keeps there.
            if ![".stdout", ".stderr"].contains(&inside.as_str()) {
                left.insert(inside);
            }
        }
    }
    assert_eq!(left, named);
}

fn page() -> String {
    let mut out = String::from(
        "# Reference\n\n\
         Made from the program, whose tests keep it so. [Configuration](#configuration) ·\n\
         [Commands](#commands) · [Exit codes](#exit-codes) · [Files](#files) ·\n\
         [Environment variables](#environment-variables)\n\n\
         ## Configuration\n\n\
         `mcpgate.toml` is TOML. Every mistake in it is reported at once, with its place; a key that is not here is a\n\
         mistake. Durations, sizes and percentages are strings with their unit. In `env`, `headers` and `client-secret`,\n\
         `${NAME}` is the value of a variable of the environment; in `command`, `url` and the other texts of `[server.oauth]`\n\
         it is refused, since reports show them. In all of these `$${` stands for `${`; elsewhere both stand for themselves.\n\
         Where no server is configured, the command line names it.\n",
    );
    for section in &SECTIONS {
        if !section.head.is_empty() {
            let _ = write!(out, "\n### `{}`\n", section.head);
        }
        let _ = write!(out, "\n{}\n\n", section.about);
        out += "| key | takes | default | meaning |\n|---|---|---|---|\n";
        for key in section.keys {
            let (takes, default) = (key.takes.in_words(), key.default.in_words());
            row(
                &mut out,
                &[&format!("`{}`", key.name), &takes, &default, key.about],
            );
        }
    }
    out += "\n## Commands\n";
    let mut command = command();
    command.build();
    describe(&mut out, &command, "mcpgate");
    out += "\n## Exit codes\n\n| code | meaning |\n|---|---|\n";
    for (code, meaning) in exit_code::ALL {
        row(&mut out, &[&code.to_string(), meaning]);
    }
    out += "\n1 beats 4 beats 5. A first run without a baseline is neutral: exit code 0 and how to make one.\n";
    out += "\n## Files\n\n| file | read by | written by | what it is |\n|---|---|---|---|\n";
    for file in &FILES {
        let name = if file.name.contains('`') {
            file.name.to_owned()
        } else {
            format!("`{}`", file.name)
        };
        row(
            &mut out,
            &[&name, file.read_by, file.written_by, file.about],
        );
    }
    out += "\nConfigurations, results, baselines and reports are written whole: to a file beside them, which then takes their place.\nSamples are added to line by line, and so is the history; one that is full is written whole, without its oldest lines.\n";
    out += "\n## Environment variables\n\n\
            Besides those that a configuration names by `${NAME}`. A server that mcpgate starts has all of them.\n\n\
            | variable | read for |\n|---|---|\n";
    for (names, about) in VARIABLES {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        row(&mut out, &[&names.join(", "), about]);
    }
    out
}

/// A row of a table. A cell holds no bar that would end it.
fn row(out: &mut String, cells: &[&str]) {
    for cell in cells {
        let cell = cell.replace('|', "\\|");
        *out += if cell.is_empty() { "|" } else { "| " };
        *out += &cell;
        *out += " ";
    }
    *out += "|\n";
}

/// A command and those below it.
fn describe(out: &mut String, command: &Command, path: &str) {
    let below: Vec<&Command> = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set() && below.get_name() != "help")
        .collect();
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && is_told(argument, path))
        .collect();
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    let _ = write!(out, "\n### `{path}`\n\n{}.\n", about.trim_end_matches('.'));
    if !own.is_empty() {
        *out += "\n| option | default | meaning |\n|---|---|---|\n";
    }
    for argument in own {
        row(
            out,
            &[&name(argument), &default(argument), &meaning(argument)],
        );
    }
    for below in below {
        describe(out, below, &format!("{path} {}", below.get_name()));
    }
}

/// What every command has is told once.
fn is_told(argument: &Arg, path: &str) -> bool {
    path == "mcpgate"
        || !(argument.is_global_set() || ["help", "version"].contains(&argument.get_id().as_str()))
}

fn name(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default();
    let value = if argument.get_action().takes_values() {
        values.join(" ")
    } else {
        String::new()
    };
    let mut names = Vec::new();
    if let Some(short) = argument.get_short() {
        names.push(format!("-{short}"));
    }
    if let Some(long) = argument.get_long() {
        names.push(format!("--{long}"));
    }
    if names.is_empty() {
        let lead = if argument.is_last_set() { "-- " } else { "" };
        return format!("`{lead}{value}`");
    }
    let name = format!("{} {value}", names.join(", "));
    format!("`{}`", name.trim_end())
}

fn default(argument: &Arg) -> String {
    let values = argument.get_default_values().iter();
    let values: Vec<String> = values
        .filter(|_| argument.get_action().takes_values())
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    values.join(", ")
}

fn meaning(argument: &Arg) -> String {
    let help = argument
        .get_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let help = help.replace('\n', " ");
    let mut text = match help.ends_with(['.', '?']) {
        true => help,
        false => format!("{help}."),
    };
    let choices: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if argument.get_action().takes_values() && !choices.is_empty() {
        let _ = write!(text, " One of {}.", choices.join(", "));
    }
    text
}

/// Names of variables in the sources, outside of tests, that begin as those do that we read.
fn variables_in_the_sources(folder: &Path, found: &mut BTreeSet<String>) {
    const BEGINNINGS: [&str; 7] = [
        "GITHUB_",
        "MCPGATE_",
        "XDG_",
        "LC_",
        "NODE_OPTIONS",
        "SSL_",
        "RUNNER_",
    ];
    for entry in std::fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("a source").path();
        if path.is_dir() {
            variables_in_the_sources(&path, found);
            continue;
        }
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !name.ends_with(".rs") || name.contains("test") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source");
        let text = text
            .split("#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or_default();
        let is_name = |word: &&str| {
            BEGINNINGS
                .iter()
                .any(|beginning| word.starts_with(beginning))
                && word
                    .chars()
                    .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        };
        found.extend(text.split('"').filter(is_name).map(str::to_owned));
    }
}

#[test]
fn every_variable_that_is_read_is_in_the_reference() {
    let mut found = BTreeSet::new();
    variables_in_the_sources(&repository().join("src"), &mut found);
    // Is given to a process of a test.
    found.remove("MCPGATE_TEST_EXEC");
    assert!(found.len() > 10, "{found:?}");
    let told: BTreeSet<&str> = VARIABLES
        .iter()
        .flat_map(|(names, _)| names.iter().copied())
        .collect();
    let missing: Vec<&String> = found
        .iter()
        .filter(|name| !told.contains(name.as_str()))
        .collect();
    assert_eq!(missing, [""; 0]);
}

/// Of every page of the documentation and the README, to files, pictures and headings.
#[test]
fn links_lead_somewhere() {
    let docs = std::fs::read_dir(repository().join("docs")).expect("docs/");
    let mut pages: Vec<_> = docs
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .collect();
    pages.push(repository().join("README.md"));
    pages.push(repository().join("CONTRIBUTING.md"));
    let (mut links, mut lost) = (0, Vec::new());
    for path in &pages {
        let page = std::fs::read_to_string(path).expect("a page");
        for link in links_of(&page) {
            links += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = path.parent().expect("a folder");
            let target = match file {
                "" => path.clone(),
                file => folder.join(file),
            };
            let is_there = target.exists()
                && (anchor.is_empty() || {
                    let page = std::fs::read_to_string(&target).unwrap_or_default();
                    anchors(&page).any(|known| known == anchor)
                });
            if !is_there {
                lost.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(links > 60, "{links}");
    assert_eq!(lost, [""; 0]);
}

/// Where a page's links lead within the repository; what stands in code is none.
fn links_of(page: &str) -> Vec<String> {
    let mut is_code = false;
    let mut links = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect();
        let found = prose.split("](").skip(1);
        let found = found.filter_map(|rest| rest.split(')').next());
        let ours = found.filter(|link| !link.contains("://"));
        links.extend(ours.map(str::to_owned));
    }
    links
}

/// The names of a page's headings, as a forge makes them.
fn anchors(page: &str) -> impl Iterator<Item = String> {
    let heads = page.lines().filter(|line| line.starts_with('#'));
    heads.map(|head| {
        let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let text = head.trim_start_matches('#').trim().to_lowercase();
        let kept: String = text.chars().filter(is_kept).collect();
        kept.replace(' ', "-")
    })
}
