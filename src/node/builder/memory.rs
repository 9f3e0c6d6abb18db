//! A node without a socket.

use super::Builder;
use crate::net::MemoryNetwork;

impl Builder {
    /// Puts the node into a network in memory, with others of this process: it has no socket, and its time is the tokio runtime's. For
    /// tests ([`MemoryNetwork`] says what is otherwise). [`listen`](Self::listen) says at which address of that network the node is. Beside a
    /// [`transport`](Self::transport) it gives the node that time alone.
    ///
    /// # Errors
    /// [`Builder::spawn`] fails with [`SpawnError::Transport`](crate::SpawnError::Transport) if the builder was given an
    /// [`endpoint`](Self::endpoint) or [`other_protocols`](Self::other_protocols) as well, and with
    /// [`BindError::Socket`](crate::BindError::Socket) if another node has the address.
    pub fn memory(mut self, network: &MemoryNetwork) -> Self {
        let clock = network.clone();
        self.outside.set_in_memory(move || clock.unix_ms());
        self.port.network = Some(network.clone());
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use tokio::time::Instant;

    use crate::key::SecretKey;
    use crate::net::{BindError, MemoryNetwork};
    use crate::node::{Builder, Node, PeerAddr, SpawnError, VerifierPool};
    use crate::rumor::Topic;

    fn builder(network: &MemoryNetwork) -> Builder {
        Node::builder(SecretKey::generate()).network("n").memory(network)
    }

    async fn node(network: &MemoryNetwork, peers: Option<PeerAddr>) -> Node {
        builder(network).bootstrap(peers).spawn().await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_gossip_and_ask_each_other_without_a_socket() {
        let network = MemoryNetwork::with_delay(Duration::from_millis(10));
        let here = node(&network, None).await;
        let there = node(&network, here.addr()).await;
        let (lobby, other) = (
            here.join(Topic::named("lobby")).await.unwrap(),
            there.join(Topic::named("lobby")).await.unwrap(),
        );
        let mut rumors = other.subscribe();
        lobby.wait_for_links(1).within(Duration::from_secs(60)).await.unwrap();
        lobby.publish("hello").await.unwrap();
        assert_eq!(rumors.next().await.unwrap().unwrap().body(), &b"hello"[..]);
        let mut questions = here.accept("test/1").unwrap();
        let answers = async {
            let mut incoming = questions.next().await.unwrap();
            let question = incoming.recv.read_to_end(64).await.unwrap();
            incoming.send.finish_with(&[b"re: ", &question[..]].concat()).await.unwrap();
        };
        let asked = there.ask(here.id(), "test/1", b"who", Duration::from_secs(60));
        let (answer, ()) = tokio::join!(asked, answers);
        assert_eq!(answer.unwrap(), &b"re: who"[..]);
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_are_taken_once_and_who_has_gone_leaves_its_own() {
        let network = MemoryNetwork::new();
        let here = node(&network, None).await;
        let addr = here.local_addr();
        assert!(addr.ip().is_loopback() && here.addr().is_some());
        let again = builder(&network).listen(addr).spawn().await;
        assert!(matches!(again, Err(SpawnError::Bind(BindError::Socket { listen, .. })) if listen == addr));
        here.shutdown().await;
        assert_eq!(builder(&network).listen(addr).spawn().await.unwrap().local_addr(), addr);
        assert_ne!(node(&network, None).await.local_addr(), addr);
    }

    #[tokio::test(start_paused = true)]
    async fn clocks_of_all_nodes_follow_the_runtime() {
        let network = MemoryNetwork::new();
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let (first, _) = builder(&network).assemble().await.unwrap();
        let began = Instant::now();
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let (second, _) = builder(&network).assemble().await.unwrap();
        let times = [first.now(), second.now()].map(|now| now.unix_ms);
        assert_eq!(times[0], times[1]);
        let passed = u128::from(times[0]) - before;
        assert!((3_600_000..3_660_000).contains(&passed), "{passed} ms");
        assert_eq!(first.now().mono.as_nanos() / 1_000_000, began.elapsed().as_millis() as u64);
    }

    #[tokio::test(start_paused = true)]
    async fn time_stands_still_while_signatures_are_checked() {
        let (network, pool) = (MemoryNetwork::new(), VerifierPool::new(1));
        let reader = builder(&network).verifiers(pool.clone()).spawn().await.unwrap();
        let lobby = reader.join(Topic::named("lobby")).await.unwrap();
        let mut authors = Vec::new();
        for _ in 0..8 {
            let author = node(&network, reader.addr()).await;
            authors.push(author.join(Topic::named("lobby")).await.unwrap());
        }
        for author in &authors {
            author.wait_for_links(8).within(Duration::from_secs(600)).await.unwrap();
        }
        let mut rumors = lobby.subscribe();
        // The only thread of the reader has other things to do, and many signatures come together.
        pool.submit(Vec::new(), Box::new(|_| std::thread::sleep(Duration::from_millis(500))));
        let began = Instant::now();
        let said = authors.iter().map(|author| {
            let author = author.clone();
            tokio::spawn(async move { author.publish("all at once").await.unwrap() })
        });
        let said: Vec<_> = said.collect();
        for _ in &authors {
            rumors.next().await.unwrap().unwrap();
        }
        for said in said {
            said.await.unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_node_in_memory_has_no_port_for_others() {
        let tls = quinn::rustls::ServerConfig::builder_with_provider(std::sync::Arc::new(
            quinn::rustls::crypto::ring::default_provider(),
        ));
        let tls = tls.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let tls = tls.with_cert_resolver(std::sync::Arc::new(
            quinn::rustls::server::ResolvesServerCertUsingSni::new(),
        ));
        let refused = builder(&MemoryNetwork::new()).other_protocols(tls).spawn().await.unwrap_err();
        assert!(matches!(refused, SpawnError::Transport(why) if why.contains("other_protocols")));
    }
}
