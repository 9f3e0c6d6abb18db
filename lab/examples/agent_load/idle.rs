//! An agent among members that say nothing, with its page open: what it costs to run one.

use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::task::JoinSet;
use vouchsafe::{Node, SecretKey};

use super::{Agent, NETWORK, Outcome};

/// Members, the agent among them.
const MEMBERS: usize = 20;
/// The links among them are there by then, and each has stated its period.
const SETTLES: Duration = Duration::from_secs(30);
/// The page looks again so often, and at members and evidence each fifteenth time.
const LOOK: Duration = Duration::from_secs(2);
const WHOLE: u32 = 15;

/// Prints the processor time of the agent, in parts of one core, without the page and with it, and its memory.
pub(super) async fn measure(words: &[&str]) -> Outcome<()> {
    let seconds = words.first().map_or(Ok(60), |word| word.parse())?;
    let program = match words.get(1) {
        Some(program) => program.into(),
        None => std::env::current_exe()?,
    };
    let agent = Agent::start(&program)?;
    let mut members = Vec::new();
    for _ in 1..MEMBERS {
        let node = Node::builder(SecretKey::generate()).network(NETWORK).listen("127.0.0.1:0");
        members.push(node.bootstrap([agent.peer.clone()]).spawn().await?);
    }
    for node in &members {
        node.wait_for_members(MEMBERS).within(Duration::from_secs(60)).await?;
    }
    tokio::time::sleep(SETTLES).await;
    let alone = share(&agent, seconds).await?;
    let page = tokio::spawn(page(agent.socket.clone()));
    tokio::time::sleep(LOOK).await;
    let watched = share(&agent, seconds).await?;
    if page.is_finished() {
        page.await??;
        return Err("the page has ended".into());
    }
    page.abort();
    println!("idle among {MEMBERS} members, {seconds} s each, in parts of one core");
    println!("alone          {:.2} %", alone * 100.0);
    println!("page open      {:.2} %", watched * 100.0);
    let [all, own, most] = ["VmRSS", "RssAnon", "VmHWM"].map(|which| agent.resident(which));
    println!(
        "memory         {} MiB, {} MiB of it its own and the rest the program; {} MiB at most",
        all?, own?, most?
    );
    Ok(())
}

/// What part of a core the agent takes, over some seconds.
async fn share(agent: &Agent, seconds: u64) -> Outcome<f64> {
    let before = agent.cpu()?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    Ok((agent.cpu()? - before) / seconds as f64)
}

/// Asks what the page asks, when it asks it.
async fn page(socket: std::path::PathBuf) -> Outcome<()> {
    let mut streams = JoinSet::new();
    for target in ["/v1/events".to_owned(), format!("/v1/subscribe?topic={}", super::TOPIC)] {
        let socket = socket.clone();
        streams.spawn(async move { ask(&socket, &target).await });
    }
    for turn in 0.. {
        let often = ["/v1/info", "/v1/topics", "/v1/stats"];
        let rarely: &[&str] = if turn % WHOLE == 0 { &["/v1/members", "/v1/evidence"] } else { &[] };
        for target in often.iter().chain(rarely) {
            ask(&socket, target).await?;
        }
        tokio::time::sleep(LOOK).await;
        if streams.try_join_next().is_some() {
            return Err("a stream has ended".into());
        }
    }
    Ok(())
}

/// Asks, and reads until the answer ends.
async fn ask(socket: &Path, target: &str) -> Outcome<()> {
    use tokio::io::AsyncWriteExt as _;
    let mut stream = tokio::net::UnixStream::connect(socket).await?;
    // A stream of events never ends by itself.
    let close = if target.starts_with("/v1/events") || target.starts_with("/v1/subscribe") {
        ""
    } else {
        "connection: close\r\n"
    };
    stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: x\r\n{close}\r\n").as_bytes()).await?;
    let mut some = [0; 16 * 1024];
    while stream.read(&mut some).await? > 0 {}
    Ok(())
}
