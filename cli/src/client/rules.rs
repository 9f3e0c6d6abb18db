//! `vouchsafe join`, `admit` and `expel`: who is here.

use vouchsafe::{PeerAddr, PublicKey};

use super::http::Ask;
use super::{Asked, line, one, text};
use crate::exit::Failure;

/// Have the agent keep a link to a node, and through it find the others
///
/// Does not wait for the link: `vouchsafe monitor` tells when it is up, and why it is not. It holds until the agent ends; what is to be found
/// at each start stands under bootstrap in the configuration.
///
/// Exit code: 0 done; 1 the agent keeps no more links, or nobody answers; 2 a flag can't be used.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct JoinArgs {
    /// The node
    #[arg(value_name = "KEY@HOST:PORT")]
    peer: PeerAddr,
    #[command(flatten)]
    asked: Asked,
}

/// Let a node key link to the agent: ends its expulsion, and adds it to the list of who may link
///
/// It is written to the file of allow_list, so that it holds after a restart.
///
/// Exit code: 0 done; 1 it failed, or nobody answers; 2 a flag can't be used.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct AdmitArgs {
    /// The node key
    #[arg(value_name = "KEY")]
    key: PublicKey,
    #[command(flatten)]
    asked: Asked,
}

/// Keep a node key out for a while: its links are closed, and it is shown as a member no more
///
/// It is this agent's own decision, which holds through restarts. Other nodes are not told.
///
/// Exit code: 0 done; 1 it failed, or nobody answers; 2 a flag can't be used.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ExpelArgs {
    /// The node key
    #[arg(value_name = "KEY")]
    key: PublicKey,
    /// For how long, as in 10m, 1h or 7d
    #[arg(long = "for", value_name = "TIME")]
    lasts: String,
    #[command(flatten)]
    asked: Asked,
}

pub(crate) fn join(args: &JoinArgs) -> Result<(), Failure> {
    let ask = Ask::post("/v1/connect").with("peer", &args.peer);
    one(&args.asked.at, ask, |answer| match args.asked.json {
        true => line(answer),
        false => format!("a link to {} is kept from now on\n", text(answer, "peer")),
    })
}

pub(crate) fn admit(args: &AdmitArgs) -> Result<(), Failure> {
    let ask = Ask::post("/v1/admit").with("key", args.key);
    one(&args.asked.at, ask, |answer| match (args.asked.json, answer["outcome"].as_str()) {
        (true, _) => line(answer),
        (false, Some("open")) => {
            "the agent has no list of who may link, so this key may already\n".to_owned()
        }
        (false, Some("unchanged")) => "this key may link already\n".to_owned(),
        (false, _) => "this key may link from now on\n".to_owned(),
    })
}

pub(crate) fn expel(args: &ExpelArgs) -> Result<(), Failure> {
    let ask = Ask::post("/v1/expel").with("key", args.key).with("for", &args.lasts);
    one(&args.asked.at, ask, |answer| match args.asked.json {
        true => line(answer),
        false => format!("this key is kept out for {} s\n", answer["for_s"]),
    })
}
