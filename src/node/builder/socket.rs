//! Whose socket a node uses, and what else is spoken on its port.

use std::sync::Arc;

use super::Builder;
use crate::net::transport::Transport;

/// What is given of the port of a node.
#[derive(Debug, Default)]
pub(super) struct Port {
    pub(super) endpoint: Option<quinn::Endpoint>,
    pub(super) others: Option<quinn::rustls::ServerConfig>,
    /// Instead of a socket.
    pub(super) transport: Option<Arc<dyn Transport>>,
    /// Instead of a port.
    #[cfg(any(test, feature = "memory"))]
    pub(super) network: Option<crate::net::MemoryNetwork>,
}

impl Builder {
    /// Uses the application's QUIC endpoint instead of a socket of its own; `listen` is then ignored. The node takes all connections that
    /// come in on it, and ends with [`Event::Stopped`](crate::Event::Stopped) when the application closes it. The application may dial
    /// others from it. It must not call `accept` or `set_server_config` on it before the node has ended; after that it may. To be dialled
    /// on the same port for protocols of its own it gives [`other_protocols`](Self::other_protocols).
    ///
    /// A new major version of quinn, whose type this is, is a new major version of this crate. Apps that do not share a socket should
    /// leave it.
    pub fn endpoint(mut self, endpoint: quinn::Endpoint) -> Self {
        self.port.endpoint = Some(endpoint);
        self
    }

    /// Serves other protocols of the application, such as HTTP/3, on the UDP port of the node. Who dials for one that
    /// `tls.alpn_protocols` names is answered with `tls`, and [`Node::accept_other`](crate::Node::accept_other) gives the connection. Who offers a protocol that
    /// nobody here speaks is refused by TLS and told so (`no_application_protocol`). Links and streams of the node go on beside them.
    ///
    /// ```no_run
    /// # async fn f(tls: quinn::rustls::ServerConfig) -> Result<(), Box<dyn std::error::Error>> {
    /// use vouchsafe::{Node, SecretKey};
    /// // `tls` has a certificate, and its `alpn_protocols` are [b"h3"].
    /// let node = Node::builder(SecretKey::load("node.key")?).listen("0.0.0.0:443").other_protocols(tls).spawn().await?;
    /// while let Some(connection) = node.accept_other().await {
    ///     connection.set_max_concurrent_bi_streams(100u32.into());
    ///     // serve it, in a task of its own
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// **What holds for these connections.** Before their handshake they pass the node's gate, so [`GateConfig`](crate::GateConfig) bounds
    /// both together: raise its rates for a server with many clients behind one address. After it they are the application's: it bounds how
    /// many there are. They begin with the limits of links, which the application may change for each: no streams both ways and five one
    /// way, `set_max_concurrent_bi_streams` and `set_max_concurrent_uni_streams`; 1.5 MiB unacknowledged, `set_send_window`; no window
    /// for the connection as a whole, `set_receive_window`. quinn has one configuration of the transport for all that come in, so the rest
    /// can't be changed: 256 KiB of each stream that wait to be read, 30 s of silence until the end and a sign of life each 2.5 s, no
    /// datagrams, no migration to another address. There is no early data (0-RTT), whatever `tls` says. The transport configuration of a
    /// quinn endpoint that the application gives is not used for what comes in.
    ///
    /// With a socket of the node's own these connections end with the node; with an [`endpoint`](Self::endpoint) of the application they
    /// go on. This and `accept_other` have types of quinn and rustls, as `endpoint` has.
    pub fn other_protocols(mut self, tls: quinn::rustls::ServerConfig) -> Self {
        self.port.others = Some(tls);
        self
    }
}
