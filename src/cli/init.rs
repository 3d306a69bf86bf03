//! `mcpgate init`: a first configuration, from a running server.

mod meet;
mod named;
mod secrets;
mod workflow;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use clap::{Args, builder::PossibleValuesParser};

use self::{
    meet::{PATIENCE, meet},
    named::{Named, lost},
    workflow::{WorkflowPlace, ask},
};
use super::{
    files::{self, CONFIG, Loaded},
    mask::Mask,
    measure,
    options::{self, Measuring},
};
use crate::{
    environment,
    error::{Error, exit_code},
    report::{self, Written},
    store,
    suite::{
        PROTOCOL_REVISIONS, config,
        first_config::{self, Build, Entry, Facts, Project, State},
    },
};

/// The workflow that the README shows.
const WORKFLOW_TEXT: &str = include_str!("../../examples/workflows/gate.yml");

/// Make a first configuration.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The file to write; its folder is the project's, and the server's command runs there.
    #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// URL of the server: with a command, where it listens (`{port}`: a free port); alone, a server
    /// that you started.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Header that an HTTP server is sent, as 'Name: value'; may be given several times. `${NAME}` in the
    /// value stands for a variable of the environment, and is written as it stands.
    #[arg(long = "header", value_name = "HEADER", requires = "url")]
    headers: Vec<String>,
    /// Revision of the protocol to speak; without it, the server is asked.
    #[arg(long, value_name = "REVISION", value_parser = PossibleValuesParser::new(PROTOCOL_REVISIONS))]
    protocol: Option<String>,
    /// Write a GitHub workflow as well, which measures each pull request.
    #[arg(long)]
    workflow: bool,
    /// Ask nothing; the workflow is written only with --workflow.
    #[arg(short, long)]
    yes: bool,
    /// Write over files that are there. Without a command and a URL, the `[server]` of the configuration
    /// that is there is asked, and kept; the rest of it is not.
    #[arg(long)]
    force: bool,
    /// Command of the server, after `--`.
    #[arg(last = true, value_name = "SERVER COMMAND")]
    command: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  mcpgate init -- node dist/index.js
  mcpgate init -- uv run my-server
  mcpgate init --url 'http://127.0.0.1:{port}/mcp' -- node dist/index.js --port '{port}'
  mcpgate init --url http://127.0.0.1:3000/mcp
  mcpgate init --url https://example.com/mcp --header 'Authorization: Bearer ${MCP_TOKEN}'
  mcpgate init --force    # asks the [server] of mcpgate.toml, such as one with OAuth, and keeps it";

pub(super) async fn run(arguments: Arguments) -> Result<u8, Error> {
    let folder = files::folder_of(&arguments.config);
    let git_folder = folder.clone().unwrap_or_else(|| PathBuf::from("."));
    let place = WorkflowPlace::find(&git_folder).await;
    let names_a_server = !arguments.command.is_empty() || arguments.url.is_some();
    if arguments.workflow && !names_a_server && !arguments.force && arguments.config.exists() {
        return workflow_alone(&arguments.config, &git_folder, &place);
    }
    refuse_existing(&arguments.config, arguments.force)?;
    if arguments.workflow {
        refuse_existing(&place.path, arguments.force)?;
    }
    let files = project_files(&git_folder);
    let read = |name: &str| store::read_text(&git_folder.join(name)).ok().flatten();
    let project = Project {
        files: &files,
        read: &read,
    };
    let variables = environment::variables();
    let Some(named) = Named::of(&arguments, &git_folder, &variables)? else {
        return Err(Error::Usage(no_server(&project)));
    };
    let mut loaded = Loaded::without_file();
    loaded.folder.clone_from(&folder);
    loaded.config.server = Some(named.server.clone());
    let given = loaded.config.secrets();
    let mask = Mask::of_values(secrets::hidden(&variables).chain(given.iter().copied()));
    let unwritten = Mask::of_values(secrets::secret(&variables).chain(given.iter().copied()));
    let measuring = Measuring::default();
    let server = measure::merge(&measuring, &mut loaded)?;
    let mut run = measure::begin(&measuring, PATIENCE)?;
    let met = meet(&mut run, &server, &loaded, (&mask, &unwritten))
        .await
        .map_err(|error| named.explained(error))?;
    run.progress.finish();

    let build = project.build(server.command.as_deref().unwrap_or_default());
    let facts = Facts {
        server: &met.server,
        command: server.command.as_deref().unwrap_or_default(),
        url: server.url.as_deref(),
        headers: &named.headers,
        protocol: server.protocol.as_deref(),
        kept: named.kept.as_ref(),
        build: &build,
        tools: &met.entries,
    };
    let text = first_config::text(&facts);
    // What is written must be what `run` reads.
    config::parse(
        &arguments.config.display().to_string(),
        &text,
        config::Outside {
            variable: &environment::variable,
            ..config::Outside::NOTHING
        },
    )
    .map_err(|mistakes| Error::Config {
        rendered: format!(
            "this server cannot be written into a configuration:\n{}",
            mistakes.render(false)
        ),
    })?;
    let style = options::style(false);
    let server = match met.entries.len() {
        1 => format!("{}: 1 tool", met.server),
        n => format!("{}: {n} tools", met.server),
    };
    options::print(&report::first_calls(&server, &met.tried, style))?;
    let wants_workflow = match arguments.workflow {
        true => true,
        false => !arguments.yes && place.may_be_offered() && ask(&mut run, &place.path).await?,
    };
    // It may have come while the tools were tried or the question was read.
    refuse_existing(&arguments.config, arguments.force)?;
    if wants_workflow {
        refuse_existing(&place.path, arguments.force)?;
    }
    let lost = lost(&arguments.config, named.kept.is_some());
    store::write_atomic(&arguments.config, text.as_bytes())?;
    let mut written = Written {
        files: vec![(
            arguments.config.display().to_string(),
            in_words(&met.entries),
        )],
        notes: lost.into_iter().chain(met.notes).collect(),
        next: next(&arguments.config, &met.entries),
    };
    if wants_workflow {
        written.files.push(write_workflow(&place, &build)?);
    }
    options::print(&report::written(&written, style))?;
    Ok(exit_code::OK)
}

/// Writes the workflow and what it does; the configuration that is there stays as it is.
fn workflow_alone(config: &Path, folder: &Path, place: &WorkflowPlace) -> Result<u8, Error> {
    refuse_existing(&place.path, false)?;
    let loaded = files::load_config(Some(config))?;
    let server = loaded.config.server.and_then(|server| server.command);
    let files = project_files(folder);
    let read = |name: &str| store::read_text(&folder.join(name)).ok().flatten();
    let project = Project {
        files: &files,
        read: &read,
    };
    let build = project.build(server.as_deref().unwrap_or_default());
    let written = Written {
        files: vec![write_workflow(place, &build)?],
        notes: vec![format!(
            "{} is there already, and is kept",
            config.display()
        )],
        next: Vec::new(),
    };
    options::print(&report::written(&written, options::style(false)))?;
    Ok(exit_code::OK)
}

/// The file, and what is to be said of it.
fn write_workflow(place: &WorkflowPlace, build: &Build) -> Result<(String, String), Error> {
    let text = first_config::workflow(WORKFLOW_TEXT, &place.prefix, build);
    store::write_atomic(&place.path, text.as_bytes())?;
    let owner = if text.contains("OWNER/") {
        " and put the action's owner in place of OWNER"
    } else {
        ""
    };
    let said = format!("measures each pull request; read it before you commit it{owner}");
    Ok((place.path.display().to_string(), said))
}

fn refuse_existing(path: &Path, force: bool) -> Result<(), Error> {
    if force || !path.exists() {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{}: it is there already, and nothing was written; --force writes over it, and `mcpgate doctor` \
         checks the configuration that you have",
        path.display()
    )))
}

fn no_server(project: &Project<'_>) -> String {
    let mut text =
        "no server was given: write its command behind `--`, or its url with --url".to_owned();
    let suggestions = project.suggestions();
    if suggestions.is_empty() {
        let example = if project.files.contains("requirements.txt") {
            ".venv/bin/python server.py"
        } else {
            "node dist/index.js"
        };
        text.push_str(&format!(", such as:\n  mcpgate init -- {example}"));
    } else {
        text.push_str("; this project's files suggest:");
        for suggestion in suggestions {
            text.push_str(&format!(
                "\n  mcpgate init -- {}    ({})",
                suggestion.command, suggestion.from
            ));
        }
    }
    text
}

/// Names in the project's folder, and in two more that tell of commands.
fn project_files(folder: &Path) -> BTreeSet<String> {
    let mut out = store::names(folder);
    for inside in ["cmd", ".venv/bin", "src"] {
        let names = store::names(&folder.join(inside));
        out.extend(names.into_iter().map(|name| format!("{inside}/{name}")));
    }
    out
}

/// Words that name files of the project's folder by their whole path become relative to it, so that
/// the file means the same in another clone.
fn relative(command: Vec<String>, folder: &Path) -> Vec<String> {
    let Ok(top) = std::path::absolute(folder).map(|top| top.components().collect::<PathBuf>())
    else {
        return command;
    };
    let shorter = |word: String| -> String {
        let inside = Path::new(&word).strip_prefix(&top).ok();
        match inside.and_then(Path::to_str) {
            Some(inside) if !inside.is_empty() && top.join(inside).exists() => {
                // A program without a slash would be looked for in PATH.
                if inside.contains('/') {
                    inside.to_owned()
                } else {
                    format!("./{inside}")
                }
            }
            _ => word,
        }
    };
    command.into_iter().map(shorter).collect()
}

fn in_words(entries: &[Entry]) -> String {
    let measured = entries
        .iter()
        .filter(|entry| matches!(entry.state, State::Measured { .. }))
        .count();
    let off = entries.len() - measured;
    let measured = match measured {
        0 => "no tool is measured yet".to_owned(),
        1 => "1 tool is measured".to_owned(),
        n => format!("{n} tools are measured"),
    };
    match off {
        0 => measured,
        1 => format!("{measured}, 1 stands switched off with its reason"),
        n => format!("{measured}, {n} stand switched off, each with its reason"),
    }
}

fn next(config: &Path, entries: &[Entry]) -> Vec<(String, String)> {
    let named = |verb: &str| {
        if config == Path::new(CONFIG) {
            format!("mcpgate {verb}")
        } else {
            let path = config.display().to_string();
            let path = shlex::try_quote(&path).map_or(path.clone(), std::borrow::Cow::into_owned);
            format!("mcpgate {verb} --config {path}")
        }
    };
    let is_measured = |entry: &Entry| matches!(entry.state, State::Measured { .. });
    let run = if entries.iter().any(is_measured) {
        "measures; takes some minutes, `--suite quick` fewer"
    } else {
        "measures, once a tool is switched on in the file"
    };
    vec![
        (named("run"), run.to_owned()),
        (
            named("baseline update"),
            "accepts the results as the baseline; commit it".to_owned(),
        ),
        (
            named("compare"),
            "after a change: says what it did".to_owned(),
        ),
        (
            ".gitignore".to_owned(),
            "keep results out of commits there: `mcpgate-results*.json`".to_owned(),
        ),
    ]
}
