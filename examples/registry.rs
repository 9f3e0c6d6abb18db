//! A service registry: each process says which services it runs, and all know which of them are there. No server, no leader, and no
//! process can say that another has gone.
//!
//! ```text
//! cargo run --example registry -- web,db                 # the first one prints its address
//! cargo run --example registry -- web KEY@HOST:PORT      # all others need one address
//! ```
//!
//! On stdin it takes `find SERVICE`, `tags SERVICE,SERVICE` to say something else of itself, and ends with stdin, in order. It prints who
//! comes and goes. A third argument is a folder for its state: so a process that was killed is the same member when it is back.

use std::error::Error;

use tokio::sync::mpsc;
use vouchsafe::{Member, MemberEvent, Node, PeerAddr, SecretKey};

pub(crate) const NETWORK: &str = "registry.example";
const USAGE: &str = "arguments: SERVICE,.. [KEY@HOST:PORT | -] [FOLDER]";

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let done = run(std::env::args().skip(1)).await.inspect_err(|error| eprintln!("{error}"));
    u8::from(done.is_err()).into()
}

pub(crate) async fn run(mut args: impl Iterator<Item = String>) -> Outcome<()> {
    let tags = args.next().ok_or(USAGE)?;
    let peer = args.next().filter(|peer| peer != "-").map(|peer| peer.parse::<PeerAddr>()).transpose()?;
    let node = match args.next() {
        Some(folder) => Node::with_state(folder),
        None => Node::builder(SecretKey::generate()),
    };
    let node = node.network(NETWORK).listen("127.0.0.1:0").bootstrap(peer).metadata(tags).spawn().await?;
    println!("listening as {}", node.addr().ok_or("no address")?);
    let (mut events, mut lines) = (node.member_events(), lines());
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => tell(&node, &event).await?,
                Some(Err(lagged)) => println!("missed {} events: `find` still tells all", lagged.0),
                None => return Err("the node has stopped by itself".into()),
            },
            line = lines.recv() => match line.as_deref().map(|line| line.split_once(' ')) {
                Some(Some(("find", service))) => find(&node, service).await?,
                Some(Some(("tags", tags))) => node.set_metadata(tags.to_owned()).await?,
                Some(_) => println!("not understood: find SERVICE, or tags SERVICE,.."),
                None => break,
            },
        }
    }
    node.shutdown().await;
    Ok(())
}

/// Says who came, went, or says something else of itself.
async fn tell(node: &Node, event: &MemberEvent) -> Outcome<()> {
    let Some(key) = event.member() else {
        println!("{event}");
        return Ok(());
    };
    let tags = node.member(key).await?.map(|member| tags(&member)).unwrap_or_default();
    println!("{} {event} [{tags}]", key.short());
    Ok(())
}

/// Lists the members that are here and run a service.
async fn find(node: &Node, service: &str) -> Outcome<()> {
    let members = node.members().await?;
    let runs = |member: &&Member| member.state.is_here() && tags(member).split(',').any(|tag| tag == service);
    let found: Vec<_> = members.values().filter(runs).map(|member| member.key.short()).collect();
    println!("{service}: {} {}", found.len(), found.join(" "));
    Ok(())
}

fn tags(member: &Member) -> String {
    // Terminals obey some characters.
    String::from_utf8_lossy(&member.metadata).replace(char::is_control, "?")
}

/// The lines of stdin, which a thread reads.
fn lines() -> mpsc::Receiver<String> {
    let (lines_in, lines) = mpsc::channel(64);
    std::thread::spawn(move || {
        std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| lines_in.blocking_send(line))
    });
    lines
}
