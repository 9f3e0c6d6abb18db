//! `vouchsafe members` and `vouchsafe explain`: who is here, as one node sees it that says nothing of itself.

mod show;

use std::time::Duration;

use vouchsafe::rumor::MemberRecord;
use vouchsafe::{MemberEvent, MemberState, Node, PeerAddr, PublicKey, SecretKey};

use crate::exit::Failure;
use crate::node::{Leave, in_runtime, status};

/// A node that has no link by then gives up.
const LINK_WITHIN: Duration = Duration::from_secs(10);
/// When nothing new was heard for so long, what is known is shown.
const QUIET: Duration = Duration::from_secs(2);
/// And when so much time has passed, whatever was heard.
const LONGEST: Duration = Duration::from_secs(20);

/// How to find the network.
#[derive(clap::Args)]
struct Where {
    /// Nodes to ask; may be given several times. Without one the agent of this machine is asked
    #[arg(long = "peer", value_name = "KEY@HOST:PORT")]
    #[cfg_attr(unix, arg(conflicts_with = "api"))]
    #[cfg_attr(not(unix), arg(required = true))]
    peers: Vec<PeerAddr>,
    /// Name of the network
    #[arg(long, value_name = "NAME", default_value = "vouchsafe")]
    network: String,
    #[cfg(unix)]
    #[command(flatten)]
    agent: crate::client::At,
}

/// Show the members of a network: who is here, who has failed, who has left
///
/// Asks the agent of this machine; with --peer it asks the network.
///
/// With --peer it links to the given nodes and to others that they tell of, with a key of its own that is forgotten afterwards. It says nothing of
/// itself, so the members do not see it come and go. What it shows is what members have signed, and its own judgement of who lives: of a
/// member that gives a sign of life only every few minutes it may say "unknown" at first.
///
/// Exit code: 0 done; 1 no node answered; 2 a flag can't be used.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(flatten)]
    at: Where,
    /// One JSON object for each member, or with --watch for each event
    #[arg(long)]
    json: bool,
    /// Go on, and tell what happens, until ctrl-c
    #[arg(long)]
    watch: bool,
}

/// Show what is behind the state of one member: its signed record and its newest sign of life
///
/// Both are checked before they are shown. Whoever has them can check them again, without a network.
///
/// Exit code: 0 it is known and what it has said holds; 1 it is not known, or no node answered; 2 a flag can't be used.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Explain {
    /// The node key of the member
    #[arg(value_name = "KEY")]
    key: PublicKey,
    #[command(flatten)]
    at: Where,
    /// As JSON, with the signed record; only of an agent
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    in_runtime(async move {
        let leave = Leave::listen()?;
        #[cfg(unix)]
        if args.at.peers.is_empty() {
            return tokio::select! {
                asked = leave.asked() => asked,
                result = crate::client::list(&args.at.agent, args.json, args.watch) => result,
            };
        }
        let node = observer(&args.at).await?;
        let mut events = node.member_events();
        let result = tokio::select! {
            asked = leave.asked() => asked,
            result = list(&node, &mut events, &args) => result,
        };
        node.shutdown().await;
        result
    })
}

pub(crate) fn explain(args: Explain) -> Result<(), Failure> {
    #[cfg(unix)]
    if args.at.peers.is_empty() {
        return crate::client::explain(&args.at.agent, &args.key, args.json);
    }
    if args.json {
        return Err(Failure::usage("--json is of an agent: leave out --peer"));
    }
    in_runtime(async move {
        let node = observer(&args.at).await?;
        let mut events = node.member_events();
        settle(&node, &mut events).await?;
        let found = node.explain(&args.key).await.map_err(Failure::failed)?;
        let network = node.network();
        node.shutdown().await;
        let Some(found) = found else {
            return Err(Failure::Failed(format!("{} is not known to the nodes that were asked", args.key)));
        };
        found.verify(network).map_err(|error| Failure::Failed(error.to_string()))?;
        print!("{}", show::explanation(&found, record(&found)));
        Ok(())
    })
}

/// A table of members, as objects.
#[cfg(unix)]
pub(crate) fn table(members: &[serde_json::Value]) -> String {
    show::table(members)
}

/// A member as an object.
pub(crate) fn json(member: &vouchsafe::Member) -> serde_json::Value {
    show::value(member)
}

/// What is behind the state of a member, in lines.
pub(crate) fn explained(found: &vouchsafe::Explanation) -> String {
    show::explanation(found, record(found))
}

fn record(found: &vouchsafe::Explanation) -> Option<MemberRecord> {
    let cell = vouchsafe::rumor::Cell::decode(found.record.rumors().next()?.body()).ok()?;
    MemberRecord::decode(cell.value()?).ok()
}

/// A node that looks and says nothing, with a link.
async fn observer(at: &Where) -> Result<Node, Failure> {
    let builder = Node::builder(SecretKey::generate()).network(&at.network).observe_members();
    let node = builder.bootstrap(at.peers.clone()).spawn().await?;
    match tokio::time::timeout(LINK_WITHIN, node.wait_for_links(1)).await {
        Ok(_) => Ok(node),
        Err(_) => {
            let tried = node.stats().await.map(|stats| stats.kept).unwrap_or_default();
            let why = tried.iter().find_map(|peer| peer.last_error.clone());
            node.shutdown().await;
            let why =
                why.map(|why| format!(": {}", crate::text::printable(why.as_bytes()))).unwrap_or_default();
            Err(Failure::Failed(format!("no node answered within {} s{why}", LINK_WITHIN.as_secs())))
        }
    }
}

/// Waits until nothing new is heard of any member.
async fn settle(node: &Node, events: &mut vouchsafe::MemberEvents) -> Result<(), Failure> {
    let begun = tokio::time::Instant::now();
    loop {
        let unknown = node.members().await.map_err(Failure::failed)?;
        let unknown =
            unknown.values().any(|member| member.state == MemberState::Unknown) || unknown.is_empty();
        match tokio::time::timeout(QUIET, events.next()).await {
            Ok(None) => return Err(Failure::failed("the node has stopped by itself")),
            Err(_) if !unknown => return Ok(()),
            _ if begun.elapsed() >= LONGEST => return Ok(()),
            _ => {}
        }
    }
}

async fn list(node: &Node, events: &mut vouchsafe::MemberEvents, args: &Args) -> Result<(), Failure> {
    settle(node, events).await?;
    let members = node.members().await.map_err(Failure::failed)?;
    match args.json {
        true => members.values().for_each(|member| println!("{}", show::json(member))),
        false => print!("{}", show::table(&members.values().map(json).collect::<Vec<_>>())),
    }
    if !args.watch {
        return Ok(());
    }
    loop {
        match events.next().await {
            Some(Ok(event)) => tell(node, &event, args.json).await,
            Some(Err(lagged)) => status(format_args!("{} events were not shown", lagged.0)),
            None => return Err(Failure::failed("the node has stopped by itself: start it again")),
        }
    }
}

async fn tell(node: &Node, event: &MemberEvent, json: bool) {
    if !json {
        return println!("{}", show::event(event));
    }
    let member = match event.member() {
        Some(key) => node.member(key).await.ok().flatten(),
        None => None,
    };
    println!("{}", show::json_event(event, member.as_ref()));
}
