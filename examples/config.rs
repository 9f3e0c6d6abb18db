//! A configuration that five processes share. A value counts once three of them say it, so two may be off, and one may lie.
//!
//! ```text
//! for n in a b c d e; do mkdir -m 700 $n; vouchsafe keygen --out $n/node.key; done
//! cargo run --example config -- FOLDER WRITER,WRITER,.. [KEY@HOST:PORT ..]
//! ```
//!
//! Each process has a folder for its state, with its key. It is given the public keys of all five, and the addresses of those that run. On
//! stdin it takes `set KEY VALUE` and `delete KEY`, and it ends with stdin. It prints what changes, and misses nothing while it is off.

use std::collections::BTreeMap;
use std::error::Error;

use tokio::sync::mpsc;
use vouchsafe::{Authors, Change, Kv, Node, PeerAddr, PublicKey, Resolve, Topic};

pub(crate) const NETWORK: &str = "config.example";
/// So many of the five must say the same: more than lie, and more than half.
const ENOUGH: Resolve = Resolve::Agreed(3);
const USAGE: &str = "arguments: FOLDER WRITER,WRITER,.. [KEY@HOST:PORT ..]";

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let done = run(std::env::args().skip(1)).await.inspect_err(|error| eprintln!("{error}"));
    u8::from(done.is_err()).into()
}

/// Who may write, and how much: all processes must say the same.
pub(crate) fn topic(writers: Vec<PublicKey>) -> Topic {
    Topic::named("config").state(1_000).authors(Authors::Listed(writers))
}

pub(crate) async fn run(mut args: impl Iterator<Item = String>) -> Outcome<()> {
    let folder = args.next().ok_or(USAGE)?;
    let writers = args.next().ok_or(USAGE)?.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let peers = args.map(|peer| peer.parse()).collect::<Result<Vec<PeerAddr>, _>>()?;
    let node =
        Node::with_state(folder).network(NETWORK).listen("127.0.0.1:0").bootstrap(peers).spawn().await?;
    let config = node.kv(topic(writers)).await?;
    println!("listening as {}", node.addr().ok_or("no address")?);
    // One of our links may lie.
    let caught_up = config.topic().caught_up(2);
    tokio::spawn(async move { caught_up.await.map(|_| println!("caught up")) });
    follow(&config, lines()).await?;
    node.shutdown().await;
    Ok(())
}

/// Does what stdin says, and prints what changes, until stdin ends.
async fn follow(config: &Kv, mut lines: mpsc::Receiver<String>) -> Outcome<()> {
    let mut changes = config.watch("");
    let mut printed = BTreeMap::new();
    loop {
        tokio::select! {
            line = lines.recv() => {
                let Some(line) = line else { return Ok(()) };
                let done = match line.split(' ').collect::<Vec<_>>()[..] {
                    ["set", key, value] => config.put(key.to_owned(), value.to_owned()).await.map(drop),
                    ["delete", key] => config.delete(key.to_owned()).await.map(drop),
                    _ => { println!("not understood: {line}"); Ok(()) }
                };
                done.unwrap_or_else(|error| println!("not done: {error}"));
            }
            change = changes.next() => match change {
                Some(Change::Put { key, .. } | Change::Delete { key, .. } | Change::Gone { key, .. }) => {
                    print(config, &mut printed, String::from_utf8_lossy(&key).into_owned());
                }
                // What it said counts no more, of whatever key.
                Some(Change::Convicted { author }) => {
                    println!("convicted {author}");
                    let keys: Vec<_> = printed.keys().cloned().collect();
                    keys.into_iter().for_each(|key| print(config, &mut printed, key));
                }
                Some(_) => {}
                None => return Err("the node has stopped".into()),
            },
        }
    }
}

/// Prints what the configuration says of a key, if it is news.
fn print(config: &Kv, printed: &mut BTreeMap<String, Option<String>>, key: String) {
    let value = config.shared(&key, ENOUGH).map(|value| String::from_utf8_lossy(&value).into_owned());
    if printed.get(&key).cloned().flatten() != value {
        println!("{key} {}", value.as_ref().map_or("is not set".to_owned(), |value| format!("= {value}")));
    }
    printed.insert(key, value);
}

/// The lines of stdin.
fn lines() -> mpsc::Receiver<String> {
    let (lines_in, lines) = mpsc::channel(64);
    std::thread::spawn(move || {
        std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| lines_in.blocking_send(line))
    });
    lines
}
