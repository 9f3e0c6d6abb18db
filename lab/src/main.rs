//! The `vouchsafe-lab` command: what the project measures itself with. It is not published.

mod classic;
mod files;
mod limits;
mod matrix;
mod process;
mod soak;
mod study;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use vouchsafe_cli::exit;

/// Long runs that measure vouchsafe, or check its promises.
///
/// Exit code: 0 done; 1 it was tried and failed, or a promise was broken; 2 what was given can't be used (flags, values, files).
#[derive(Parser)]
#[command(name = "vouchsafe-lab", version, about, long_about, verbatim_doc_comment)]
struct Lab {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Soak(soak::Args),
    Matrix(Box<matrix::Args>),
    Study(Box<study::Args>),
    Classic(classic::Args),
}

fn main() -> ExitCode {
    let lab = match Lab::try_parse() {
        Ok(lab) => lab,
        Err(error) => return exit::parsed(&error),
    };
    let result = match lab.command {
        Command::Soak(args) => soak::run(&args),
        Command::Matrix(args) => matrix::run(&args),
        Command::Study(args) => study::run(&args),
        Command::Classic(args) => classic::run(&args),
    };
    exit::report(result)
}
