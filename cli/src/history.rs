//! `vouchsafe history`: what a node has kept of a topic, in the order in which it came. Offline: no node may have the store open.

use std::io::{self, Write};
use std::path::PathBuf;

use vouchsafe::protocol::keeping::{Arrival, Cursor, Scanned};
use vouchsafe::store::TopicReport;

use crate::exit::Failure;
use crate::store::{Opened, failure, open};
use crate::text::printable;

/// Bytes of bundles that are read at a time.
const PAGE: usize = 1 << 20;

/// Print what a node has kept of a topic
///
/// Prints each rumor as "AUTHOR POSITION TEXT", in the order in which it came to the node: the first 8 digits of the author's key, the
/// tick and slot, and the text with control characters escaped. Before the text of a rumor that came late, by repair, stands "late"; of
/// one that its author may have added to its past, "off-chain". What was removed while it was read is told on stderr.
///
/// Without a folder, or with the state folder of an agent that runs, the agent is asked.
///
/// Exit code: 0 it was printed; 1 that failed; 2 there is no such store or topic, or a node has the store open.
#[derive(clap::Args)]
#[command(verbatim_doc_comment, allow_missing_positional = true)]
pub(crate) struct Args {
    /// The folder that was given to the node with --store, or `store` in its state folder
    #[arg(value_name = "DIR", required = false)]
    folder: Option<PathBuf>,
    /// Name of the topic, or its id
    #[arg(value_name = "TOPIC", required = true)]
    topic: String,
    #[cfg(unix)]
    #[command(flatten)]
    at: crate::client::At,
    /// Only rumors of the author whose key begins with these digits
    #[arg(long, value_name = "KEY")]
    author: Option<String>,
    /// Only rumors of this tick and later ones
    #[arg(long, value_name = "TICK", default_value_t = 0)]
    from: u64,
    /// As JSON: one object a line; only of an agent
    #[cfg(unix)]
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let author = args.author.as_deref().map(author).transpose()?;
    #[cfg(unix)]
    if let Some(at) = crate::kv::agent(args.folder.as_deref(), &args.at)? {
        return crate::client::history(&at, &args.topic, author.as_deref(), args.from, args.json);
    }
    #[cfg(unix)]
    if args.json {
        return Err(Failure::usage(
            "--json is of an agent: leave out the folder, or start the agent with it",
        ));
    }
    let folder = args.folder.as_ref();
    let folder = folder.ok_or_else(|| Failure::usage("no folder is given: name the folder of the node"))?;
    let opened = open(folder)?;
    let topic = find(&opened, &args.topic)?;
    let reader = opened.reader();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut cursor = Cursor::START;
    loop {
        let scan = reader.scan(&topic.id, cursor, PAGE).map_err(|error| failure(&error))?;
        for item in &scan.items {
            let header = item.bundle.header();
            let wanted = author.as_ref().is_none_or(|digits| header.author.to_string().starts_with(digits));
            if wanted && header.tick >= args.from {
                print(&mut out, item)?;
            }
        }
        cursor = scan.next;
        if !scan.more {
            return Ok(out.flush()?);
        }
    }
}

/// The beginning of a key, as hexadecimal digits.
pub(crate) fn author(text: &str) -> Result<String, Failure> {
    let digits = text.to_ascii_lowercase();
    let hex = (1..=64).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then_some(digits).ok_or_else(|| {
        Failure::Usage(format!(
            "--author {text:?}: a key is 64 hexadecimal digits, of which some at the front are enough"
        ))
    })
}

/// The topic of that name or id.
pub(crate) fn find(opened: &Opened, name: &str) -> Result<TopicReport, Failure> {
    let mut topics = opened.report()?.topics;
    let found: Vec<_> = topics
        .iter()
        .enumerate()
        .filter(|(_, of)| of.name == name || of.id.to_string() == name)
        .map(|(at, _)| at)
        .collect();
    match found[..] {
        [at] => Ok(topics.swap_remove(at)),
        [] => {
            let names: Vec<_> = topics.iter().map(|of| printable(of.name.as_bytes())).collect();
            let has = if names.is_empty() { "no topic at all".to_owned() } else { names.join(", ") };
            Err(Failure::Usage(format!("the store has no topic {name:?}; it has {has}")))
        }
        _ => {
            let ids: Vec<_> = found.iter().map(|at| topics[*at].id.to_string()).collect();
            Err(Failure::Usage(format!(
                "the store has {} topics called {name:?}, with other rules each: give one of the ids {}",
                ids.len(),
                ids.join(", ")
            )))
        }
    }
}

fn print(out: &mut impl Write, item: &Scanned) -> Result<(), Failure> {
    let mark = match item.arrival {
        Arrival::Late { below: true } => "off-chain ",
        Arrival::Late { below: false } => "late ",
        _ => "",
    };
    for rumor in item.bundle.rumors() {
        writeln!(out, "{} {} {mark}{}", rumor.author().short(), rumor.position(), printable(rumor.body()))?;
    }
    Ok(())
}
