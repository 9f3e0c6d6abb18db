//! The `vouchsafe` command: keys, a node on the terminal, judging bytes offline, the demo among liars, the simulator, and the soak.

mod chart;
mod demo;
mod exit;
mod files;
mod inspect;
mod keygen;
mod lines;
mod node;
mod process;
mod sim;
mod soak;
mod svg;
mod text;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Signed gossip that liars cannot break.
///
/// Where a file is read, - is stdin; a file of that name is ./-
///
/// Exit code: 0 done; 1 it was tried and failed, or the verdict is no; 2 what was given can't be used (flags, values, files).
#[derive(Parser)]
#[command(name = "vouchsafe", version, about, long_about, verbatim_doc_comment)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Keygen(keygen::Args),
    Node(node::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Demo(demo::Args),
    Sim(Box<sim::Args>),
    Soak(soak::Args),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::parsed(&error),
    };
    let result = match cli.command {
        Command::Keygen(args) => keygen::run(&args),
        Command::Node(args) => node::run(args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Sim(args) => sim::run(&args),
        Command::Soak(args) => soak::run(&args),
    };
    exit::report(result)
}
