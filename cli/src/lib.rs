//! The `vouchsafe` command: keys, a node on the terminal, judging bytes offline, the demo among liars, and the simulator.
//!
//! This is a library only so that `vouchsafe-lab` can measure with the same liars, runs and charts. What is public here is
//! for it alone, and no stable API.

#[cfg(unix)]
mod agent;
#[doc(hidden)]
pub mod chart;
#[doc(hidden)]
pub mod demo;
#[doc(hidden)]
pub mod exit;
#[doc(hidden)]
pub mod files;
mod history;
mod inspect;
mod keygen;
mod kv;
mod lines;
mod members;
mod node;
#[doc(hidden)]
pub mod process;
#[doc(hidden)]
pub mod sim;
mod start;
mod store;
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
    #[cfg(unix)]
    Agent(Box<agent::Args>),
    Keygen(keygen::Args),
    Node(node::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    History(history::Args),
    Kv(kv::Args),
    Members(members::Args),
    Explain(members::Explain),
    Store(store::Args),
    Demo(demo::Args),
    Sim(Box<sim::Args>),
}

/// The whole command, with the arguments of this process.
#[doc(hidden)]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::parsed(&error),
    };
    let result = match cli.command {
        #[cfg(unix)]
        Command::Agent(args) => agent::run(*args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Node(args) => node::run(args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::History(args) => history::run(&args),
        Command::Kv(args) => kv::run(args),
        Command::Members(args) => members::run(args),
        Command::Explain(args) => members::explain(args),
        Command::Store(args) => store::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Sim(args) => sim::run(&args),
    };
    exit::report(result)
}
