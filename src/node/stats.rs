//! What a node says of itself at a moment.

use std::time::Duration;

use super::Host;
use crate::key::PublicKey;
use crate::net::{Refusals, SocketErrors, StreamStats};
use crate::protocol::{Counters, Impairment, KeptPeer, LinkStats, TopicStats};

/// A snapshot of a node.
///
/// ```
/// # async fn f(node: vouchsafe::Node) -> Result<(), vouchsafe::Closed> {
/// let stats = node.stats().await?;
/// println!("{} links, silent for {:?}", stats.links.len(), stats.heard_ago);
/// for (what, since) in stats.impaired {
///     println!("{what:?}, for {since:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct NodeStats {
    /// Everything counted since the start.
    pub counters: Counters,
    /// One per link.
    pub links: Vec<LinkStats>,
    /// One per topic.
    pub topics: Vec<TopicStats>,
    /// Signatures that wait.
    pub waiting_verification: usize,
    /// Announced ids that we lack.
    pub wants: usize,
    /// For how long no peer has brought anything genuine that was new; `None` if none ever has. When others are known to
    /// speak, a long silence means that all links lead to liars: connect to somebody else.
    pub heard_ago: Option<Duration>,
    /// What keeps this node from its work, and for how long it has.
    pub impaired: Vec<(Impairment, Duration)>,
    /// Node keys that are banned now.
    pub banned: Vec<PublicKey>,
    /// Node keys that [`Node::expel`](super::Node::expel) keeps out now, each with for how long it still does.
    pub expelled: Vec<(PublicKey, Duration)>,
    /// Authors that were convicted of equivocation.
    pub convicted: Vec<PublicKey>,
    /// Handshakes refused, by reason.
    pub refusals: Refusals,
    /// The peers that links are kept to, in the order of their keys: whether each is linked, waited for or dialled, and what went
    /// wrong last. At most 1 024.
    pub kept: Vec<KeptPeer<Host>>,
    /// Dials begun since the start. A peer that is not linked is dialled after 200 ms at first and every 30 s in the end.
    pub dials: u64,
    /// Dials under way: one for a peer at the most, and 32 in all.
    pub dials_under_way: usize,
    /// Candidates that the node remembers, linked ones included: at most 1 024.
    pub candidates: usize,
    /// Feelers since the start: dials of candidates beyond the links that the node wants, since it heard nothing new.
    pub feelers: u64,
    /// How often the file of anchors, by which a member finds its network again, was damaged or could not be read or written. Check the disk:
    /// the next start knows its bootstrap peers only.
    pub anchor_errors: u64,
    /// Errors of the UDP socket.
    pub socket: SocketErrors,
    /// Streams of applications ([`Node::accept`](crate::Node::accept), [`Node::open`](crate::Node::open)).
    pub streams: StreamStats,
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::*;
    use crate::protocol::DialState;
    use crate::rumor::TopicId;

    fn stats() -> NodeStats {
        let key = PublicKey::from_bytes([7; 32]);
        let second = Duration::from_millis(1_250);
        let link = LinkStats {
            peer: key,
            dialled: true,
            live: true,
            rtt: second,
            copies_in: 1,
            accepted_first: 2,
            queued_bytes: 3,
            owed_pulls: 4,
            wanted_from: 5,
            serve_delay: Some(second),
            last_resort: false,
            waiting_verification: 6,
            waiting_bytes: 7,
            listens: true,
            sees_us_at: Some(([192, 0, 2, 7], 1).into()),
            members: 9,
            keep_alive_ms: 2_500,
        };
        let kept = KeptPeer {
            peer: key,
            addresses: vec!["node.example:1".parse().unwrap()],
            state: DialState::Waiting { remaining: second },
            dials: 8,
            last_error: Some("no".into()),
        };
        NodeStats {
            counters: Counters { frames_in: 9, ..Counters::default() },
            links: vec![link],
            topics: vec![TopicStats {
                topic: TopicId::from_bytes([8; 32]),
                bundles: 1,
                body_bytes: 2,
                links: 3,
            }],
            waiting_verification: 10,
            wants: 11,
            heard_ago: Some(second),
            impaired: vec![(Impairment::Clock, second)],
            banned: vec![key],
            expelled: vec![(key, second)],
            convicted: vec![key],
            refusals: Refusals { half_open: 12, ..Refusals::default() },
            kept: vec![kept],
            candidates: 17,
            feelers: 18,
            dials: 13,
            dials_under_way: 14,
            anchor_errors: 19,
            socket: SocketErrors { errors: 15, rebound: 16 },
            streams: StreamStats { open: 20, ..StreamStats::default() },
        }
    }

    #[test]
    fn statistics_survive_json_and_postcard() {
        let json = serde_json::to_value(stats()).unwrap();
        let back: NodeStats = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&back).unwrap(), json);
        assert_eq!(format!("{back:?}"), format!("{:?}", stats()));
        let packed = postcard::to_allocvec(&stats()).unwrap();
        let back: NodeStats = postcard::from_bytes(&packed).unwrap();
        assert_eq!(serde_json::to_value(&back).unwrap(), json);
        assert_eq!(json["links"][0]["peer"], "07".repeat(32));
        assert_eq!(json["kept"][0]["addresses"][0], "node.example:1");
    }

    #[test]
    fn counters_of_an_older_version_are_read_with_zero_for_what_it_did_not_count() {
        let old = serde_json::json!({ "frames_in": 9 });
        let counters: Counters = serde_json::from_value(old).unwrap();
        assert_eq!(counters, Counters { frames_in: 9, ..Counters::default() });
    }
}
