//! `vouchsafe agent`: a node as a service, with an interface for programs and operators.

mod api;
mod book;
mod config;
mod core;
mod expelled;
mod feed;
mod follow;
mod handlers;
mod happening;
mod log;
mod notify;
pub mod page;
mod pumps;
mod reload;
mod service;
mod shown;
mod signals;
mod words;

use crate::exit::{self, Failure};
use crate::node::in_runtime;
use crate::process;
use config::Flags;

pub(crate) use config::{SOCKET, STATE, duration, loopback};
pub(crate) use shown::Shown;
pub(crate) use words::is_name;

/// Run a node as a service: topics, members, an interface for programs, handlers of events
///
/// All that it keeps is in its state folder, and a second agent with the same folder is refused. Programs and the other commands ask it over
/// a socket there (docs/api.md), which its user alone may open.
///
/// SIGHUP has it read its file again: the list of who may link, what it says of itself, handlers and levels of the log change at once, and
/// it says what needs a restart. SIGTERM and ctrl-c end it, after it has said to the other members that it leaves. Under systemd it tells
/// when it is ready, and that it lives.
///
/// Exit code: 0 it was asked to end, or --check-config found no fault; 1 it failed; 2 a flag, the file or the state folder can't be used.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Say what is wrong with the file, the flags, and the files that they name, each fault with its line, and start nothing. Whether the
    /// ports are free, and this user may write to the state folder, shows the start alone
    #[arg(long)]
    check_config: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    // First: what was touched in large pages stays there.
    process::small_pages();
    let settings = args.flags.settings().map_err(|faults| refused(&faults))?;
    if args.check_config {
        let what = args.flags.config().map_or_else(|| "the flags".into(), |path| path.display().to_string());
        return exit::print(format!("{what}: no fault found\n"));
    }
    let log = log::begin(&settings.log).map_err(Failure::Failed)?;
    let result = in_runtime(service::serve(args.flags, settings, &log));
    log.end();
    result
}

/// All faults, a line for each.
fn refused(faults: &[config::Fault]) -> Failure {
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    let count = match config::Fault::count(faults) {
        1 => "1 fault".to_owned(),
        count => format!("{count} faults"),
    };
    Failure::Usage(format!("{count} in what the agent is told:\n{}", lines.join("\n")))
}
