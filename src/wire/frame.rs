//! The frames: what two nodes can say to each other.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::MAX_TOPICS_PER_FRAME;
use super::bundles::Bundles;
use super::history::{Ask, Fetch, More, Page, Tell};
use super::members::{MembersAsk, Pulses};
use crate::rumor::{BundleId, Evidence, SignedHeader, TopicId};

/// Everything that travels on a link. The comment names the lane.
///
/// Exhaustive on purpose, as [`Kind`](super::Kind) and [`Lane`](super::Lane) are: a new kind of frame is a new version of the wire, and whoever
/// handles frames has to look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// "This is who I am and what I relay": the first frame, once. Control.
    Hello(Hello),
    /// "I now also relay these topics, and no longer those." Control.
    Topics(TopicChange),
    /// "Here are rumors": pushed on Rumors, pulled on Replies.
    Bundles(Bundles),
    /// "I hold these; pull what you lack." Control.
    Announce(Announced),
    /// "I hold these, and here are their whole signed headers" (hold-back topics). Control.
    Headers(Vec<SignedHeader>),
    /// "Send me these." Control.
    Pull(Ids),
    /// "I can't serve these (any more)." Control.
    Gone(Ids),
    /// "I have these now; drop the copies you still owe me." Control.
    Cancel(Ids),
    /// "This author equivocated; see for yourself." Control.
    Evidence(Box<Evidence>),
    /// "I close this link, because." The last frame. Control.
    Goodbye(Goodbye),
    /// "This is what I have of the past; what have you?" History.
    Ask(Ask),
    /// The answer to it. History.
    Tell(Tell),
    /// "Send me these stretches." History; [`Frame::Bundles`] and a page answer it.
    Fetch(Fetch),
    /// "That was it; here I stand." History.
    Page(Page),
    /// "I have more of the past." History.
    More(More),
    /// "These members gave a sign of life." System.
    Pulses(Pulses),
    /// "What do you know of these members?" System; [`Frame::Pulses`] answers it, and bundles on History.
    MembersAsk(MembersAsk),
    /// "I need nothing more for this session." History.
    Stop(u32),
}

/// The first frame of each side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`NetworkId`](crate::rumor::NetworkId) of the sender: links between networks are closed.
    pub network: [u8; 32],
    /// The sender's clock, Unix milliseconds. Only ever compared, never trusted.
    pub clock_ms: u64,
    /// Ids of the topics it relays, at most [`MAX_TOPICS_PER_FRAME`](super::MAX_TOPICS_PER_FRAME).
    pub topics: Vec<[u8; 32]>,
    /// Whether others can dial it.
    pub listens: bool,
    /// Whether the receiver, which has dialled, is a guest: the sender has no place for it, and will close the link soon.
    pub guest: bool,
    /// Where the sender sees the receiver: an IP address, IPv4 as `::ffff:a.b.c.d`, and a port; all zero if it can't tell. Shown, and
    /// never believed.
    pub you: ([u8; 16], u16),
    /// Live members that the sender knows; 0 if it knows of none.
    pub members: u32,
    /// How often the sender says something on a silent link, milliseconds; 0 if never.
    pub keep_alive_ms: u16,
    /// Whose past it keeps and tells: bit `i % 8` of byte `i / 8` stands for `topics[i]`. No bit stands for more than there are.
    pub keeps: [u8; MAX_TOPICS_PER_FRAME.div_ceil(8)],
}

impl Hello {
    /// Whether the sender keeps and tells the past of a topic that it names.
    #[must_use]
    pub fn keeps(&self, index: usize) -> bool {
        let byte = self.keeps.get(index / 8).copied().unwrap_or(0);
        index < self.topics.len() && byte >> (index % 8) & 1 == 1
    }

    /// Says so of `topics[index]`.
    pub fn set_keeps(&mut self, index: usize) {
        if let Some(byte) = self.keeps.get_mut(index / 8) {
            *byte |= 1 << (index % 8);
        }
    }

    /// Where the sender sees the receiver, if it can tell.
    #[must_use]
    pub fn you(&self) -> Option<SocketAddr> {
        let (ip, port) = self.you;
        let known = port != 0 && ip != [0; 16];
        known.then(|| SocketAddr::new(Ipv6Addr::from(ip).to_canonical(), port))
    }

    /// Says where the receiver is seen; what is no address that can be dialled is left out.
    pub fn set_you(&mut self, seen: SocketAddr) {
        let ip = match seen.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        if seen.port() != 0 && !seen.ip().is_unspecified() {
            self.you = (ip.octets(), seen.port());
        }
    }

    /// Whether each bit stands for a topic, and an address has a port.
    pub(super) fn is_canonical(&self) -> bool {
        let (ip, port) = self.you;
        if (ip == [0; 16]) != (port == 0) {
            return false;
        }
        let all = MAX_TOPICS_PER_FRAME.div_ceil(8).saturating_mul(8);
        let bit = |index: usize| self.keeps.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1);
        (self.topics.len()..all).all(|index| !bit(index))
    }
}

/// Topics joined or left while the link lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicChange {
    /// Newly relayed; or relayed already, and please announce once more all that you hold of it.
    pub joined: Vec<[u8; 32]>,
    /// No longer relayed.
    pub left: Vec<[u8; 32]>,
    /// Topics whose past it keeps and tells from now on, or no longer. One that it relays newly it keeps only if this says so.
    pub keeps: Vec<([u8; 32], bool)>,
}

/// The last frame of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodbye {
    /// Why.
    pub reason: Reason,
}

/// Why a link is closed, in words that both sides know. The number is also the QUIC application error code.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
#[non_exhaustive]
pub enum Reason {
    /// The node is going down.
    #[error("the peer is shutting down")]
    Shutdown,
    /// What was sent convicts the link: see `Offence` on the side that closed.
    #[error("the peer received bytes that no correct node sends")]
    Offence,
    /// The node's key is still banned for an earlier offence.
    #[error("the peer has banned this key for an earlier offence")]
    Banned,
    /// The key is not on the node's allow-list.
    #[error("this key is not on the peer's allow-list")]
    NotAdmitted,
    /// The other side belongs to another network.
    #[error("the peer belongs to another network: check the network name on both sides")]
    OtherNetwork,
    /// No place for another link.
    #[error("the peer has no place for another link")]
    Full,
    /// Another link between the same two nodes is kept instead.
    #[error("another link between the same two nodes is kept")]
    Duplicate,
    /// More topics than a link may have.
    #[error("more topics than a link may have")]
    TooManyTopics,
    /// Frames out of order or on the wrong lane, or streams that the protocol does not use.
    #[error("frames or streams out of order")]
    OutOfOrder,
    /// Nothing was read for too long, or a frame was started and not finished.
    #[error("the link made no progress")]
    Stalled,
    /// The node is well and no longer needs the link: it has others.
    #[error("the peer no longer needs this link")]
    Unneeded,
    /// The node has expelled the key for a while, by its own choice.
    #[error("the peer has expelled this key for a while: ask its operator")]
    Expelled,
}

impl Reason {
    const ALL: [Self; 12] = [
        Self::Shutdown,
        Self::Offence,
        Self::Banned,
        Self::NotAdmitted,
        Self::OtherNetwork,
        Self::Full,
        Self::Duplicate,
        Self::TooManyTopics,
        Self::OutOfOrder,
        Self::Stalled,
        Self::Unneeded,
        Self::Expelled,
    ];

    /// The number that stands for the reason on the wire.
    #[must_use]
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The reason of a number.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        usize::try_from(code).ok().and_then(|code| Self::ALL.get(code).copied())
    }
}

/// Ids that somebody holds, with how large each bundle is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The topic of all of them.
    pub topic: TopicId,
    /// Id, and log2 of the bundle's encoded length, rounded up: enough to pace pulls by size.
    pub items: Vec<(BundleId, u8)>,
}

/// Bundle ids of one topic, 1 to [`MAX_IDS_PER_FRAME`](super::MAX_IDS_PER_FRAME).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The topic of all of them.
    pub topic: TopicId,
    /// The ids.
    pub ids: Vec<BundleId>,
}
