//! One UDP port for a node and for another QUIC protocol: here "greet/1", with a certificate as an HTTP/3 server has it.
//!
//! ```text
//! cargo run --example shared_socket
//! ```
//!
//! Two sites begin on a port each. One greets the other over its own protocol while the nodes gossip, all of it over these two ports.

use std::error::Error;
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use quinn::rustls::{ClientConfig, RootCertStore, ServerConfig};
use vouchsafe::{Node, PeerAddr, SecretKey, Topic};

/// The other protocol, and the name in its certificates.
pub(crate) const GREET: &[u8] = b"greet/1";
pub(crate) const NAME: &str = "greet.example";

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A node and a server of greetings on one port.
pub(crate) struct Site {
    pub(crate) node: Node,
    /// What dials from this port for the other protocol.
    pub(crate) endpoint: quinn::Endpoint,
    pub(crate) certificate: CertificateDer<'static>,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let done = run().await.inspect_err(|error| eprintln!("{error}"));
    done.iter().flatten().for_each(|line| println!("{line}"));
    u8::from(done.is_err()).into()
}

/// What was said over both protocols.
pub(crate) async fn run() -> Outcome<[String; 2]> {
    let here = Site::start(None).await?;
    let there = Site::start(here.node.addr()).await?;
    let mut rumors = here.node.join(Topic::named("lobby")).await?.subscribe();
    let lobby = there.node.join(Topic::named("lobby")).await?;
    lobby.wait_for_links(1).await?;
    lobby.publish("hello to all").await?;
    let rumor = rumors.next().await.ok_or("the node has ended")??;
    let greeting = there.greet(&here, "hello to you").await?;
    there.node.shutdown().await;
    here.node.shutdown().await;
    Ok([String::from_utf8_lossy(rumor.body()).into_owned(), greeting])
}

/// A certificate, and what shows it to whoever dials for the other protocol.
pub(crate) fn tls() -> Outcome<(ServerConfig, CertificateDer<'static>)> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    let (certificate, key) =
        (made.cert.der().clone(), PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let tls = ServerConfig::builder().with_no_client_auth();
    let mut tls = tls.with_single_cert(vec![certificate.clone()], key.into())?;
    tls.alpn_protocols = vec![GREET.to_vec()];
    Ok((tls, certificate))
}

impl Site {
    pub(crate) async fn start(peer: Option<PeerAddr>) -> Outcome<Self> {
        let (tls, certificate) = tls()?;
        let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse()?)?;
        let builder = Node::builder(SecretKey::generate()).network("shared.example").bootstrap(peer);
        let node = builder.endpoint(endpoint.clone()).other_protocols(tls).spawn().await?;
        tokio::spawn(serve(node.clone()));
        Ok(Self { node, endpoint, certificate })
    }

    /// Says something to another site over a connection of the other protocol, and gives its answer.
    pub(crate) async fn greet(&self, to: &Site, greeting: &str) -> Outcome<String> {
        let connection = self.dial(to, GREET).await?;
        let (mut send, mut recv) = connection.open_bi().await?;
        send.write_all(greeting.as_bytes()).await?;
        send.finish()?;
        Ok(String::from_utf8(recv.read_to_end(1024).await?)?)
    }

    pub(crate) async fn dial(&self, to: &Site, protocol: &[u8]) -> Outcome<quinn::Connection> {
        let mut roots = RootCertStore::empty();
        roots.add(to.certificate.clone())?;
        let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![protocol.to_vec()];
        let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        Ok(self.endpoint.connect_with(config, to.node.local_addr(), NAME)?.await?)
    }
}

/// Serves the other protocol until the node ends.
async fn serve(node: Node) {
    while let Some(connection) = node.accept_other().await {
        // None at the start: how many there may be, the application says.
        connection.set_max_concurrent_bi_streams(8u32.into());
        tokio::spawn(async move {
            while let Ok((mut send, mut recv)) = connection.accept_bi().await {
                let Ok(greeting) = recv.read_to_end(1024).await else { continue };
                // Errors mean that the other side has gone.
                let _ = send.write_all(&[b"you said: ", &greeting[..]].concat()).await;
                let _ = send.finish();
            }
        });
    }
}
