//! `vouchsafe kv`: the keys of a topic of state, in the folder of a node.

mod read;
mod said;
mod show;
mod write;

use std::path::PathBuf;

use vouchsafe::{Authors, NetworkId, PublicKey, Topic};

use crate::exit::Failure;
use crate::node::{Retention, parse_retention};

/// Read and write the keys of a topic of state, in the folder of a node
///
/// Without a folder, or with the state folder of an agent that runs, the agent is asked, and it has the rules of the topic.
///
/// Else `get` and `scan` read the folder of a node that does not run. `put`, `delete` and `watch` run a node with that folder for as long as
/// they take, and so does nothing else meanwhile: a folder belongs to one node at a time. `watch` goes on until ctrl-c, and is the node
/// that keeps the topic on a machine.
///
/// Each author has a key of the same name for itself. `get` shows the newest value, unless it is told otherwise.
///
/// Exit code: 0 done; 1 it was tried and failed, or the key has no value, or what was written is kept and was not sent; 2 there is no such
/// store or topic, a node has the store open, or a flag can't be used.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The folder of the node; `put`, `delete` and `watch` make it if it is missing
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    #[cfg(unix)]
    #[command(flatten)]
    at: crate::client::At,
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Get(read::Get),
    Scan(read::Scan),
    Put(Box<write::Put>),
    Delete(Box<write::Delete>),
    Watch(Box<write::Watch>),
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    #[cfg(unix)]
    if let Some(at) = agent(args.folder.as_deref(), &args.at)? {
        return match args.what {
            What::Get(args) => args.ask(&at),
            What::Scan(args) => args.ask(&at),
            What::Put(args) => args.ask(&at),
            What::Delete(args) => args.ask(&at),
            What::Watch(args) => args.ask(&at),
        };
    }
    let folder =
        args.folder.ok_or_else(|| Failure::usage("no folder is given: name the folder of the node"))?;
    match args.what {
        What::Get(args) => read::get(&folder, &args),
        What::Scan(args) => read::scan(&folder, &args),
        What::Put(args) => write::put(&folder, *args),
        What::Delete(args) => write::delete(&folder, *args),
        What::Watch(args) => write::watch(&folder, *args),
    }
}

/// The agent to ask, unless it is a folder that is read.
#[cfg(unix)]
pub(crate) fn agent(
    folder: Option<&std::path::Path>,
    at: &crate::client::At,
) -> Result<Option<crate::client::At>, Failure> {
    use crate::client::{At, answers_for};
    match folder {
        None => Ok(Some(at.clone())),
        Some(_) if at.is_given() => {
            Err(Failure::usage("a folder and --api can't be both: the agent has its own folder"))
        }
        Some(folder) => Ok(answers_for(folder).then(|| At::of(folder))),
    }
}

/// The rules of a topic of state: nodes with others are in another topic.
#[derive(clap::Args)]
struct Rules {
    /// How many keys an author may have, deleted ones among them. A rule of the topic: all its nodes must say the same
    #[arg(long, value_name = "N", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..))]
    max_keys: u32,
    /// How long a value is kept, as in 10m, 1h or 7d, or "forever". A rule of the topic
    #[arg(long, value_name = "TIME", value_parser = parse_retention, default_value = "forever")]
    retention: Retention,
    /// Who may write; may be given several times. Default: anybody. A rule of the topic
    #[arg(long = "writer", value_name = "KEY")]
    writers: Vec<PublicKey>,
}

impl Rules {
    /// The topic of that name with these rules.
    fn topic(&self, name: &str, network: &str) -> Result<Topic, Failure> {
        let topic = self.retention.of(Topic::named(name).state(self.max_keys));
        let topic = match self.writers.is_empty() {
            true => topic,
            false => topic.authors(Authors::Listed(self.writers.clone())),
        };
        topic
            .bind(NetworkId::of(network))
            .map_err(|error| Failure::Usage(format!("topic {name:?}: {error}")))?;
        Ok(topic)
    }
}
