//! What history costs over real QUIC on loopback: how fast a node that was away has all again, and what a store beside the live path takes.
//!
//! `cargo run --release -p vouchsafe-lab --example history_cost -- catch-up [--minutes 10] [--rumors 1] ..` or
//! `.. -- live [--seconds 10] [--rate 500] ..` or `.. -- memory [--bundles 1000000] ..`; `--help` names all options.
//! All nodes are in this process, so the CPU is that of all of them.

mod askers;
mod catch_up;
mod live;
mod memory;

use clap::{Parser, Subcommand};

type Error = Box<dyn std::error::Error>;

#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// One node has all of a topic, another lacks the last minutes of it and gets them over one link.
    CatchUp(catch_up::Options),
    /// A full mesh that publishes, first in memory and then with a store at each node, in turns.
    Live(live::Options),
    /// A node whose past many links ask for, all the time, while it hears the living.
    Askers(askers::Options),
    /// Two nodes with a year of 64 topics on disk: what that takes in memory.
    Memory(memory::Options),
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    match Options::parse().what {
        What::CatchUp(options) => catch_up::run(&options).await,
        What::Live(options) => live::run(&options).await,
        What::Askers(options) => askers::run(&options).await,
        What::Memory(options) => memory::run(&options).await,
    }
}
