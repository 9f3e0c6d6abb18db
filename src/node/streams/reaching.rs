//! Over which connection a stream to a member runs.

use tokio::sync::oneshot;

use super::error::OpenError;
use crate::key::PublicKey;
use crate::net::{NotOpened, Opened, ProtocolName, RecvStream, SendStream, UsedWay, open};
use crate::node::error::Closed;
use crate::node::message::Message;
use crate::node::{Host, Node, PeerAddr};

/// Addresses of one member that are tried, so that a stream fails within a minute.
const ADDRESSES: usize = 4;

/// Over what a stream goes first, and how a member is dialled that has no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dials {
    /// It is dialled rather than a link is taken: the stream is to last.
    First,
    /// It is dialled if there is no link.
    Any,
    /// The same, few at a time, and not where nobody has answered before: the member asked for it, and may have named an address of
    /// somebody else.
    WithCare,
}

impl Node {
    /// Opens a stream to a member, for an application there that [accepts](Node::accept) `protocol`. It answers when that application's node
    /// has said so, after a round trip, and a handshake before where there is no connection yet.
    ///
    /// The stream runs over a connection for streams alone, which takes no place of the gossip and outlives its links. All streams
    /// between the two nodes share it, whoever opens them, and it ends when there was none for half a minute. A member that can't be
    /// dialled is reached over the link to it, if there is one; such a stream breaks when that link is given up.
    ///
    /// At most 16 streams are open over one connection from each side; one more waits here until another has ended. Dropping this future
    /// leaves no stream open.
    ///
    /// ```
    /// # async fn f(node: vouchsafe::Node, member: vouchsafe::PublicKey) -> Result<(), Box<dyn std::error::Error>> {
    /// let (mut send, mut recv) = node.open(member, "chat/1").await?;
    /// send.write_all(b"hello").await?;
    /// send.finish()?;
    /// let answer = recv.read_to_end(64 * 1024).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`OpenError`] says why there is none, and what to do about it.
    pub async fn open(
        &self,
        member: PublicKey,
        protocol: &str,
    ) -> Result<(SendStream, RecvStream), OpenError> {
        let name = ProtocolName::new(protocol)?;
        let Opened { send, recv } = self.opened(member, &name, None, Dials::First).await?;
        Ok((send, recv))
    }

    /// A stream that is open, with a whole question on it, if there is one.
    pub(super) async fn opened(
        &self,
        peer: PublicKey,
        name: &ProtocolName,
        question: Option<&[u8]>,
        dials: Dials,
    ) -> Result<Opened, OpenError> {
        let once = self.open_once(peer, name, question, dials).await?;
        match once {
            // Nobody has heard of it: the connection was given up when it came.
            Err(NotOpened::Unheard(_)) => self.open_once(peer, name, question, dials).await?,
            once => once,
        }
        .map_err(|why| OpenError::of(peer, name, why))
    }

    async fn open_once(
        &self,
        peer: PublicKey,
        name: &ProtocolName,
        question: Option<&[u8]>,
        dials: Dials,
    ) -> Result<Result<Opened, NotOpened>, OpenError> {
        let way = self.way(peer, dials).await?;
        Ok(open(self.speaker().desk(), way, name, question).await)
    }

    /// A connection to a member: one that there is, else one that is dialled, else that of a link.
    async fn way(&self, peer: PublicKey, dials: Dials) -> Result<UsedWay, OpenError> {
        if peer == self.id() {
            return Err(OpenError::OwnKey(peer));
        }
        let desk = self.speaker().desk();
        if let Some(way) = desk.way(&peer, dials != Dials::First) {
            return Ok(way);
        }
        let failed = match self.dial_for_streams(peer, dials).await {
            Ok(way) => return Ok(way),
            Err(error @ (OpenError::Closed(_) | OpenError::Barred { .. })) => return Err(error),
            Err(failed) => failed,
        };
        desk.way(&peer, true).ok_or(failed)
    }

    async fn dial_for_streams(&self, peer: PublicKey, dials: Dials) -> Result<UsedWay, OpenError> {
        let speaker = self.speaker();
        let hosts = self.whereabouts(peer).await?;
        let mut failed = OpenError::NoAddress(peer);
        if hosts.is_empty() {
            return Err(failed);
        }
        // Before its turn, or an asker that many answer would be waited for by who just wants to speak to it.
        let _careful = match dials {
            Dials::WithCare => speaker.careful().await,
            Dials::First | Dials::Any => None,
        };
        let turn = speaker.turn(peer);
        let _dials = turn.comes().await;
        // Who had the turn before may have dialled it.
        if let Some(way) = speaker.desk().way(&peer, false) {
            return Ok(way);
        }
        for host in hosts.into_iter().take(ADDRESSES) {
            let peer_addr = PeerAddr { key: peer, host };
            let dialled = match dials {
                Dials::WithCare => speaker.dial_with_care(peer_addr).await,
                Dials::First | Dials::Any => speaker.dial(peer_addr).await,
            };
            match dialled {
                Ok(connection) => {
                    // It may have been expelled meanwhile.
                    self.whereabouts(peer).await?;
                    return connection.use_for_streams().ok_or(OpenError::TooMany);
                }
                Err(error) => failed = error.into(),
            }
        }
        Err(failed)
    }

    /// Where a node can be dialled, as far as this node knows.
    async fn whereabouts(&self, peer: PublicKey) -> Result<Vec<Host>, OpenError> {
        let (answer, hosts) = oneshot::channel();
        self.send(Message::Whereabouts { peer, answer }).await?;
        let hosts = hosts.await.map_err(|_| Closed)?;
        hosts.map_err(|reason| OpenError::Barred { peer, reason })
    }
}
