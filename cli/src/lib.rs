//! The `vouchsafe` command: an agent and what asks it, keys, a node on the terminal, judging bytes offline, the demo among liars, and the
//! simulator.
//!
//! This is a library only so that `vouchsafe-lab` can measure with the same liars, runs and charts. What is public here is
//! for it alone, and no stable API.

#[cfg(unix)]
#[doc(hidden)]
pub mod agent;
#[doc(hidden)]
pub mod chart;
#[cfg(unix)]
mod client;
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
mod pages;
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

use clap::{CommandFactory as _, Parser, Subcommand};

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
    #[cfg(unix)]
    Info(client::InfoArgs),
    #[cfg(unix)]
    Monitor(client::MonitorArgs),
    #[cfg(unix)]
    Publish(client::PublishArgs),
    #[cfg(unix)]
    Event(client::EventArgs),
    #[cfg(unix)]
    Query(client::QueryArgs),
    #[cfg(unix)]
    Stats(client::StatsArgs),
    #[cfg(unix)]
    Evidence(client::EvidenceArgs),
    #[cfg(unix)]
    Join(client::JoinArgs),
    #[cfg(unix)]
    Admit(client::AdmitArgs),
    #[cfg(unix)]
    Expel(client::ExpelArgs),
    #[cfg(unix)]
    Leave(client::LeaveArgs),
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
    Completions(pages::Completions),
    Manpage(pages::Manpage),
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
        #[cfg(unix)]
        Command::Info(args) => client::info(&args),
        #[cfg(unix)]
        Command::Monitor(args) => client::monitor(args),
        #[cfg(unix)]
        Command::Publish(args) => client::publish(args),
        #[cfg(unix)]
        Command::Event(args) => client::event(args),
        #[cfg(unix)]
        Command::Query(args) => client::query(args),
        #[cfg(unix)]
        Command::Stats(args) => client::stats(&args),
        #[cfg(unix)]
        Command::Evidence(args) => client::evidence(&args),
        #[cfg(unix)]
        Command::Join(args) => client::join(&args),
        #[cfg(unix)]
        Command::Admit(args) => client::admit(&args),
        #[cfg(unix)]
        Command::Expel(args) => client::expel(&args),
        #[cfg(unix)]
        Command::Leave(args) => client::leave(&args),
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
        Command::Completions(args) => pages::completions(&args, &mut Cli::command()),
        Command::Manpage(args) => pages::manpage(&args, Cli::command()),
    };
    exit::report(result)
}
