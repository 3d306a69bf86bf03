//! `mcpgate completions` and `mcpgate man`: made from the command line's own definition.

use std::path::PathBuf;

use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Cli, options};
use crate::{
    error::{Error, exit_code},
    store,
};

/// The program's name.
const NAME: &str = "mcpgate";

/// Print a completion script for a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcpgate completions bash > ~/.local/share/bash-completion/completions/mcpgate
  mcpgate completions zsh > ~/.zfunc/_mcpgate    # a folder of $fpath
  mcpgate completions fish > ~/.config/fish/completions/mcpgate.fish")]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Print the manual page, or write a page for each verb.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcpgate man | man -l -
  mcpgate man ~/.local/share/man/man1")]
pub(super) struct Manual {
    /// Folder that the pages go into; without it, the main page is printed.
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(super) fn completions(arguments: &Completions) -> Result<u8, Error> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut shown(), NAME, &mut script);
    options::print(&String::from_utf8_lossy(&script))?;
    Ok(exit_code::OK)
}

pub(super) fn manual(arguments: &Manual) -> Result<u8, Error> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &arguments.folder else {
        let page = page(&Man::new(command))?;
        options::print(&String::from_utf8_lossy(&page))?;
        return Ok(exit_code::OK);
    };
    let mut pages = Vec::new();
    add_pages(command, &mut pages)?;
    for (name, page) in &pages {
        store::write_atomic(&folder.join(name), page)?;
    }
    options::print(&format!(
        "{} manual pages are in {}\n",
        pages.len(),
        folder.display()
    ))?;
    Ok(exit_code::OK)
}

/// The command line without the verbs that mcpgate itself alone uses: some shells would offer them.
fn shown() -> Command {
    let all = Cli::command();
    let verbs = all.get_subcommands().filter(|verb| !verb.is_hide_set());
    Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments())
        .subcommands(verbs.cloned().collect::<Vec<_>>())
}

/// The page of a command, and those of the commands below it.
fn add_pages(command: Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<(), Error> {
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        add_pages(below.clone(), pages)?;
    }
    let man = Man::new(command);
    pages.push((man.get_filename(), page(&man)?));
    Ok(())
}

fn page(man: &Man) -> Result<Vec<u8>, Error> {
    let mut page = Vec::new();
    man.render(&mut page)
        .map_err(|source| Error::NotDelivered {
            path: PathBuf::from("the manual page"),
            source,
        })?;
    Ok(page)
}
