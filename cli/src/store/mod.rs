//! `vouchsafe store`: what a node's folder holds, and whether it is sound. Offline: no node may have it open.

mod open;
mod table;

use std::path::PathBuf;

use vouchsafe::store::Report;

use crate::exit::{self, Failure};
pub(crate) use open::{Opened, failure, open};

/// Look into the store of a node that is not running
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Check(Check),
    Stat(Stat),
}

/// Read everything in a store and count it again
///
/// Reads every record, compares its checksum, and counts heads, holes and sizes again. It takes some 2 us for each bundle. A file that
/// is damaged is moved aside and made anew from what can be read, as a node does when it starts; what is lost is printed.
///
/// Exit code: 0 all is as it should be; 1 something is not, or was lost; 2 there is no store, or a node has it open.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
struct Check {
    /// The folder that was given to the node with --store
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Print what a store holds, topic by topic
///
/// Exit code: 0 it was read; 1 that failed; 2 there is no store, or a node has it open.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
struct Stat {
    /// The folder that was given to the node with --store
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// As JSON: one object, with a list of topics
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match &args.what {
        What::Check(args) => check(args),
        What::Stat(args) => stat(args),
    }
}

fn check(args: &Check) -> Result<(), Failure> {
    let opened = open(&args.folder)?;
    let report = opened.report()?;
    let mut text = String::new();
    if let Some(damage) = opened.damage() {
        text += &format!(
            "the file was damaged and is now {}: {} bundles were saved, {} were not, {} stretches could not be read\n",
            damage.moved_to.display(),
            damage.saved,
            damage.bad,
            damage.unreadable
        );
    }
    text += &report.to_string();
    let sound = opened.damage().is_none() && is_sound(&report);
    match exit::print(text) {
        Ok(()) | Err(Failure::OutputClosed) if !sound => Err(Failure::No),
        printed => printed,
    }
}

fn is_sound(report: &Report) -> bool {
    report.count == 0 && report.topics.iter().all(|topic| topic.rotten == 0)
}

fn stat(args: &Stat) -> Result<(), Failure> {
    let opened = open(&args.folder)?;
    let report = opened.report()?;
    let bytes = opened.file_bytes();
    exit::print(if args.json { table::json(&report, bytes) } else { table::text(&report, bytes) })
}
