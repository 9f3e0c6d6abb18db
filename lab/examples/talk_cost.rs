//! What streams and questions cost, beside plain QUIC and beside the gossip.
//!
//! `cargo run --release -p vouchsafe-lab --example talk_cost -- throughput | beside | query [NODES [DELAY]]`
//!
//! | Row | What |
//! |---|---|
//! | `throughput` | one process sends to another over a stream of a member, and over plain quinn with its defaults, in turns |
//! | `beside` | what a rumor takes among four nodes, in turns alone, beside a full stream, and beside a member that floods another with streams |
//! | `query` | a question to so many nodes (100): the first and the last answer, beside the round trip of a question to a neighbour. With DELAY, in ms, the nodes are in a network in memory that takes so long one way: what is waited for is then the wire, and no handshake of TLS |

use std::error::Error;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use vouchsafe::net::MemoryNetwork;
use vouchsafe::{Node, PeerAddr, PublicKey, SecretKey, Topic, TopicHandle, VerifierPool};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Of one round over a stream.
const SENT: usize = 512 << 20;
const CHUNK: usize = 64 << 10;
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() -> Outcome<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => serve().await,
        ["throughput"] => throughput().await,
        ["beside"] => beside().await,
        ["query"] => query(100, None).await,
        ["query", nodes] => query(nodes.parse()?, None).await,
        ["query", nodes, delay] => {
            let delay = Duration::from_millis(delay.parse()?);
            query(nodes.parse()?, Some(MemoryNetwork::with_delay(delay))).await
        }
        _ => Err("give a row: throughput, beside, or query [NODES [DELAY]]".into()),
    }
}

fn builder(network: &str) -> vouchsafe::Builder {
    Node::builder(SecretKey::generate()).network(network).listen("127.0.0.1:0")
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value below which a part of all lies.
fn quantile(all: &mut [f64], part: f64) -> f64 {
    all.sort_by(f64::total_cmp);
    let at = ((all.len() as f64 * part).ceil() as usize).saturating_sub(1);
    all.get(at).copied().unwrap_or(f64::NAN)
}

/// The other process: reads all that it is sent, and says when it has.
async fn serve() -> Outcome<()> {
    let node = builder("talk").spawn().await?;
    let mut acceptor = node.accept("sink/1")?;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let key = quinn::rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = quinn::ServerConfig::with_single_cert(vec![made.cert.der().clone()], key.into())?;
    let plain = quinn::Endpoint::server(config, SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let certificate: String = made.cert.der().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{} {} {certificate}", node.addr().ok_or("no address")?, plain.local_addr()?);
    tokio::spawn(async move {
        while let Some(incoming) = plain.accept().await {
            let Ok(connection) = incoming.await else { continue };
            while let Ok((mut send, mut recv)) = connection.accept_bi().await {
                while let Ok(Some(_)) = recv.read_chunk(CHUNK, true).await {}
                let _ = send.write_all(b"1").await;
                let _ = send.finish();
            }
        }
    });
    while let Some(mut stream) = acceptor.next().await {
        while let Ok(Some(_)) = stream.recv.chunk().await {}
        // Who measures waits for it.
        let _ = stream.send.finish_with(b"1").await;
    }
    Ok(())
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn throughput() -> Outcome<()> {
    use std::io::BufRead as _;
    let mut child = Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().ok_or("no output")?;
    let _server = Server(child);
    let mut line = String::new();
    std::io::BufReader::new(stdout).read_line(&mut line)?;
    let words: Vec<_> = line.split_whitespace().collect();
    let [member, plain, certificate] = words[..] else {
        return Err("the other process did not start".into());
    };
    let member: PeerAddr = member.parse()?;
    let node = builder("talk").candidates([member.clone()]).spawn().await?;
    let bytes = (0..certificate.len()).step_by(2).map(|at| u8::from_str_radix(&certificate[at..at + 2], 16));
    let certificate: Vec<u8> = bytes.collect::<Result<_, _>>()?;
    let mut roots = quinn::rustls::RootCertStore::empty();
    roots.add(certificate.into())?;
    let client = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let config = quinn::ClientConfig::with_root_certificates(Arc::new(roots))?;
    let plain = client.connect_with(config, plain.parse()?, "localhost")?.await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let chunk = vec![7; CHUNK];
    for round in 0..=ROUNDS {
        let begun = Instant::now();
        let (mut send, mut recv) = node.open(member.key, "sink/1").await?;
        for _ in 0..SENT / CHUNK {
            send.write_all(&chunk).await?;
        }
        send.finish()?;
        recv.read_to_end(1).await?;
        let our_time = begun.elapsed();
        let begun = Instant::now();
        let (mut send, mut recv) = plain.open_bi().await?;
        for _ in 0..SENT / CHUNK {
            send.write_all(&chunk).await?;
        }
        send.finish()?;
        recv.read_to_end(1).await?;
        let their_time = begun.elapsed();
        let rate = |time: Duration| SENT as f64 / 1e6 / time.as_secs_f64();
        println!("stream {:.0} MB/s, plain quinn {:.0} MB/s", rate(our_time), rate(their_time));
        // The first warms up.
        if round > 0 {
            ours.push(rate(our_time));
            theirs.push(rate(their_time));
        }
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("medians: {ours:.0} and {theirs:.0} MB/s, {:.2} of plain quinn", ours / theirs);
    Ok(())
}

/// Four nodes that are all linked, in one topic.
async fn mesh(count: usize, memory: Option<&MemoryNetwork>) -> Outcome<Vec<(Node, TopicHandle)>> {
    let pool = VerifierPool::new(1);
    let mut nodes: Vec<(Node, TopicHandle)> = Vec::new();
    for _ in 0..count {
        let known = nodes.first().and_then(|(node, _)| node.addr());
        let node = builder("mesh");
        let node = match memory {
            Some(memory) => node.memory(memory).listen("0.0.0.0:0"),
            None => node,
        };
        let node =
            node.verifiers(pool.clone()).topic(Topic::named("beside").slots_per_tick(512)).bootstrap(known);
        let node = node.spawn().await?;
        let topic = node.join(Topic::named("beside").slots_per_tick(512)).await?;
        nodes.push((node, topic));
    }
    for (node, topic) in &nodes {
        node.wait_for_members(count).within(Duration::from_secs(60)).await?;
        topic.wait_for_links(3.min(count - 1)).within(Duration::from_secs(60)).await?;
    }
    Ok(nodes)
}

/// What each of so many rumors takes from one node to another, ms.
async fn latencies(from: &TopicHandle, to: &TopicHandle, rumors: usize) -> Outcome<Vec<f64>> {
    let mut heard = to.subscribe();
    let mut all = Vec::new();
    for number in 0..rumors {
        let begun = Instant::now();
        let said = from.publish(format!("{number}")).await?;
        while heard.next().await.ok_or("the node has stopped")??.id() != said.id() {}
        all.push(begun.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(all)
}

async fn beside() -> Outcome<()> {
    let nodes = mesh(4, None).await?;
    let (first, second) = (&nodes[0], &nodes[1]);
    let mut sink = second.0.accept("sink/1")?;
    tokio::spawn(async move {
        while let Some(mut stream) = sink.next().await {
            tokio::spawn(async move { while let Ok(Some(_)) = stream.recv.chunk().await {} });
        }
    });
    let mut figures = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (kind, all) in figures.iter_mut().enumerate() {
            let load = match kind {
                1 => Some(tokio::spawn(fill(first.0.clone(), second.0.id()))),
                2 => Some(tokio::spawn(flood(nodes[2].0.clone(), second.0.id()))),
                _ => None,
            };
            all.extend(latencies(&first.1, &second.1, 200).await?);
            if let Some(load) = load {
                load.abort();
                let _ = load.await;
            }
        }
    }
    let [mut alone, mut full, mut flooded] = figures;
    let base = quantile(&mut alone, 0.99);
    for (what, all) in
        [("alone", &mut alone), ("beside a full stream", &mut full), ("beside a flood", &mut flooded)]
    {
        let (p50, p99) = (quantile(all, 0.5), quantile(all, 0.99));
        println!("{what}: p50 {p50:.2} ms, p99 {p99:.2} ms, {:.2} of alone", p99 / base);
    }
    let stats = second.0.stats().await?.streams;
    println!(
        "streams accepted {}, refused {}",
        stats.accepted,
        stats.not_accepted + stats.busy + stats.no_header
    );
    Ok(())
}

/// Sends as much as the other end takes.
async fn fill(node: Node, to: PublicKey) {
    let chunk = vec![7; CHUNK];
    if let Ok((mut send, _recv)) = node.open(to, "sink/1").await {
        while send.write_all(&chunk).await.is_ok() {}
    }
}

/// Opens streams, and lets go of them, as fast as it can.
async fn flood(node: Node, to: PublicKey) {
    loop {
        let opening = (0..16).map(|_| node.open(to, "sink/1"));
        for opened in opening {
            drop(opened.await);
        }
    }
}

async fn query(count: usize, memory: Option<MemoryNetwork>) -> Outcome<()> {
    let nodes = mesh(count, memory.as_ref()).await?;
    for (_, topic) in nodes.iter().skip(1) {
        let mut questions = topic.questions().await?;
        tokio::spawn(async move {
            while let Some(Ok(question)) = questions.next().await {
                // Whoever is late is told, and counts as missing below.
                tokio::spawn(async move { question.answer(b"here").await });
            }
        });
    }
    let (asker, topic) = &nodes[0];
    let neighbour = asker.stats().await?.links.first().ok_or("no link")?.peer;
    let neighbour = nodes.iter().find(|(node, _)| node.id() == neighbour).ok_or("no such node")?;
    let _echo = neighbour.0.answer("echo/1", |_, question| async move { question })?;
    let (mut trips, mut firsts, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=2 * ROUNDS {
        let begun = Instant::now();
        asker.ask(neighbour.0.id(), "echo/1", b"?", Duration::from_secs(10)).await?;
        let trip = begun.elapsed().as_secs_f64() * 1e3;
        let begun = Instant::now();
        let mut answers = topic.query("who?").within(Duration::from_secs(10)).most(count - 1).await?;
        let (mut heard, mut first) = (0, 0.0);
        while answers.next().await.is_some() {
            heard += 1;
            if heard == 1 {
                first = begun.elapsed().as_secs_f64() * 1e3;
            }
        }
        let last = begun.elapsed().as_secs_f64() * 1e3;
        println!(
            "{heard} of {} answers: first {first:.1} ms, last {last:.1} ms; a round trip {trip:.1} ms",
            count - 1
        );
        if round > 0 {
            trips.push(trip);
            firsts.push(first);
            lasts.push(last);
        }
    }
    let (trip, first, last) = (median(trips), median(firsts), median(lasts));
    println!("medians: first {:.1} and last {:.1} round trips of {trip:.1} ms", first / trip, last / trip);
    Ok(())
}
