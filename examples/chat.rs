//! A chat: who is here, what was said while you were away, and words for one reader alone.
//!
//! ```text
//! cargo run --example chat -- FOLDER NICK [KEY@HOST:PORT]     # each prints its address, and all but the first need one
//! ```
//!
//! On stdin it takes what is to be said, `/who`, and `/msg NICK-OR-KEY WORDS`, and it ends with stdin. The folder has its identity, what was said in
//! the last day, and what of it was shown: each line is shown once, though the process was killed or off.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use vouchsafe::{Item, Node, PeerAddr, PublicKey, Topic};

const PRIVATE: &str = "chat-private/1";
const LIMIT: Duration = Duration::from_secs(10);
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let done = run(std::env::args().skip(1)).await.inspect_err(|error| eprintln!("{error}"));
    u8::from(done.is_err()).into()
}

pub(crate) async fn run(mut args: impl Iterator<Item = String>) -> Outcome<()> {
    let (folder, nick) = args.next().zip(args.next()).ok_or("arguments: FOLDER NICK [KEY@HOST:PORT]")?;
    let peer = args.next().map(|peer| peer.parse::<PeerAddr>()).transpose()?;
    let node = Node::with_state(folder).network("chat.example").listen("127.0.0.1:0").bootstrap(peer);
    let node = node.metadata(nick).spawn().await?;
    println!("listening as {}", node.addr().ok_or("no address")?);
    let room = node.join(Topic::named("room").retention(Duration::from_secs(86_400))).await?;
    let mut shown = room.replay_named("shown")?;
    let _whispers = node.answer(PRIVATE, |peer, said| async move {
        println!("{} whispers: {}", peer.short(), text(&said));
        b"read".to_vec()
    })?;
    let (mut events, mut lines) = (node.member_events(), lines());
    loop {
        tokio::select! {
            line = lines.recv() => match line.as_deref().map(|line| line.split_once(' ').unwrap_or((line, ""))) {
                Some(("/who", _)) => names(&node).await?.values().for_each(|(key, nick)| println!("{key} {nick}")),
                Some(("/msg", message)) => whisper(&node, message).await?,
                Some(_) => _ = room.publish(line.unwrap_or_default()).within(LIMIT).await.map_err(|error| println!("not said: {error}")),
                None => break,
            },
            item = shown.next() => match item.ok_or("the node has stopped")?? {
                Item::Rumor { rumor, late, .. } => {
                    let (key, nick) = names(&node).await?.remove(&rumor.author()).unwrap_or_default();
                    println!("{key} {nick}: {}{}", text(rumor.body()), if late { " (earlier)" } else { "" });
                    shown.save().await?;
                }
                missed => println!("some of what was said is lost: {missed:?}"),
            },
            event = events.next() => match event.ok_or("the node has stopped")? {
                Ok(event) => println!("* {event}"),
                Err(lagged) => println!("* {lagged}"),
            },
        }
    }
    node.shutdown().await;
    Ok(())
}

/// Says something to one member, named by its nick or by the beginning of its key. A nick is anybody's, so there may be several.
async fn whisper(node: &Node, message: &str) -> Outcome<()> {
    let (who, words) = message.split_once(' ').unwrap_or((message, ""));
    let found: Vec<_> =
        names(node).await?.into_iter().filter(|(_, (key, nick))| key == who || nick == who).collect();
    let [(member, (_, name))] = &found[..] else {
        println!("{} members are called {who}: /who tells their names", found.len());
        return Ok(());
    };
    match node.ask(*member, PRIVATE, words.as_bytes(), LIMIT).await {
        Ok(_) => println!("{name} has read it"),
        Err(error) => println!("{name} has not read it: {error}"),
    }
    Ok(())
}

/// The members, each by the beginning of its key and by what it calls itself.
async fn names(node: &Node) -> Outcome<BTreeMap<PublicKey, (String, String)>> {
    let members = node.members().await?.into_values();
    Ok(members.map(|member| (member.key, (member.key.short(), text(&member.metadata)))).collect())
}

/// What others say may be anything, and terminals obey some of it.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(char::is_control, "?")
}

/// The lines of stdin, which a thread reads.
fn lines() -> mpsc::Receiver<String> {
    let (lines_in, lines) = mpsc::channel(64);
    std::thread::spawn(move || {
        std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| lines_in.blocking_send(line))
    });
    lines
}
