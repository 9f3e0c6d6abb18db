//! Two nodes that gossip, and ask each other, over iroh on loopback, without relays: `cargo run --example two_nodes`. One is dialled where it is
//! said to be, the other by its key alone, which iroh looks up.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use iroh::address_lookup::memory::MemoryLookup;
use iroh::endpoint::presets;
use iroh::{Endpoint, EndpointAddr, RelayMode};
use vouchsafe::{Node, PeerAddr, SecretKey, Topic};
use vouchsafe_iroh::{IrohTransport, limits};

type Error = Box<dyn std::error::Error + Send + Sync>;

async fn node(entry: Option<PeerAddr>) -> Result<Node, Error> {
    let key = SecretKey::generate();
    let transport = IrohTransport::bind(&key, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    Ok(Node::builder(key).network("two.example").transport(transport).bootstrap(entry).spawn().await?)
}

/// One that is known by its key alone: its address says nothing, and `lookup` has it.
async fn node_by_key(lookup: &MemoryLookup, entry: Option<PeerAddr>) -> Result<Node, Error> {
    let key = SecretKey::generate();
    let endpoint = Endpoint::builder(presets::Minimal)
        .secret_key(iroh::SecretKey::from_bytes(&key.to_seed()))
        .transport_config(limits())
        .relay_mode(RelayMode::Disabled)
        .address_lookup(lookup.clone())
        .clear_ip_transports()
        .bind_addr((Ipv4Addr::LOCALHOST, 0))?
        .bind()
        .await?;
    let at = endpoint.bound_sockets().into_iter().next().ok_or("no socket")?;
    lookup.add_endpoint_info(EndpointAddr::new(endpoint.id()).with_ip_addr(at));
    let transport = IrohTransport::by_key(endpoint);
    Ok(Node::builder(key).network("two.example").transport(transport).bootstrap(entry).spawn().await?)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let lookup = MemoryLookup::new();
    let (first, second) = (node(None).await?, node_by_key(&lookup, None).await?);
    println!("{} by its address, {} by its key", first.local_addr(), second.local_addr());
    talk(&first, &node(first.addr()).await?).await?;
    talk(&second, &node_by_key(&lookup, second.addr()).await?).await
}

/// Says something, and asks something.
async fn talk(alice: &Node, bob: &Node) -> Result<(), Error> {
    let (here, there) = (alice.join(Topic::named("lobby")).await?, bob.join(Topic::named("lobby")).await?);
    let mut rumors = there.subscribe();
    here.wait_for_links(1).await?;
    here.publish("hello over iroh").await?;
    let heard = rumors.next().await.ok_or("closed")??;
    println!("{} heard {:?}", bob.id().short(), String::from_utf8_lossy(heard.body()));
    // A stream of applications, over the link.
    let mut questions = alice.accept("greeting/1")?;
    let answers = async {
        let mut stream = questions.next().await.ok_or("closed")?;
        let question = stream.recv.read_to_end(64).await?;
        stream.send.finish_with(&[b"you said ", &question[..]].concat()).await?;
        Ok::<_, Error>(())
    };
    let (answer, answered) =
        tokio::join!(bob.ask(alice.id(), "greeting/1", b"good day", Duration::from_secs(10)), answers);
    answered?;
    println!("{} answered {:?}", alice.id().short(), String::from_utf8_lossy(&answer?));
    bob.shutdown().await;
    alice.shutdown().await;
    Ok(())
}
