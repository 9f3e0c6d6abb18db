//! What a dialler asks of the node that it dials for.

use super::super::{LinkId, Mono};
use crate::key::PublicKey;
use crate::wire::Reason;

/// What a [`Dialler`](super::Dialler) asks of its node. An [`Engine`](crate::protocol::Engine) answers it.
pub trait View {
    /// Why the node itself would refuse a link to `peer` that it dials now, if it would.
    fn refuses(&self, peer: &PublicKey) -> Option<Reason>;

    /// Whether a link has ever brought anything genuine.
    fn is_proven(&self, link: LinkId) -> bool;

    /// Whether a link has brought a sign of life of a member other than its peer, before others did. A link of a network in which nobody
    /// publishes brings nothing else.
    fn brings_signs(&self, link: LinkId) -> bool {
        let _ = link;
        false
    }

    /// Whether links have brought signs of life of members other than their peers lately: they lead into the network, though nobody
    /// publishes.
    fn hears_members(&self, now: Mono) -> bool {
        let _ = now;
        false
    }

    /// Whether both ends of a link have said hello.
    fn is_live(&self, link: LinkId) -> bool;

    /// Whether the peer has said that it has no place for this node, and will close the link soon.
    fn is_guest(&self, link: LinkId) -> bool;

    /// How many nodes the network has, where the node itself knows it better than its configuration.
    fn expected_nodes(&self) -> Option<u32>;

    /// When a peer last brought something genuine that was new, if one ever has.
    fn heard_at(&self) -> Option<Mono>;
}
