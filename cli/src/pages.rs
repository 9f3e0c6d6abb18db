//! `vouchsafe completions` and `manpage`: made of the command's own flags, so that they say what it does.

use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;

use crate::exit::{self, Failure};
use crate::files;

/// Print the completions of a shell
///
/// For bash: `vouchsafe completions bash > /etc/bash_completion.d/vouchsafe`
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Print the manual page of the command, or write those of all commands into a folder
///
/// `vouchsafe manpage --out /usr/local/share/man/man1`, then `man vouchsafe-agent`.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Manpage {
    /// Folder for the pages, one for each command; made if it is missing
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn completions(args: &Completions, command: &mut Command) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, command, "vouchsafe", &mut text);
    exit::print(text)
}

pub(crate) fn manpage(args: &Manpage, command: Command) -> Result<(), Failure> {
    let command = command.disable_help_subcommand(true);
    match &args.out {
        None => exit::print(page(&command)?),
        Some(folder) => {
            files::folder(folder)?;
            clap_mangen::generate_to(command, folder).map_err(|error| Failure::file(folder, &error))
        }
    }
}

fn page(command: &Command) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    Ok(text)
}
