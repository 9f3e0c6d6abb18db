//! Offences, events and errors: what a node can hold against a peer, and what it tells its application.

use core::net::SocketAddr;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{DialError, DownReason, Impairment, StopReason};
use crate::key::PublicKey;
use crate::rumor::{Evidence, Position, TopicId};
use crate::wire::Reason;

/// Bytes that no correct node sends, whatever its clock, state or configuration. Each closes the link and bans the key.
/// Nothing else ever does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Offence {
    /// A frame whose declared length is zero or over the wire's constant.
    #[error("a frame longer than any may be")]
    FrameTooLong,
    /// A frame that can't be decoded, or is not in its canonical form.
    #[error("a frame that can't be decoded")]
    Undecodable,
    /// Bodies that do not match their header's lengths or manifest.
    #[error("bodies that don't match their header")]
    BodyMismatch,
    /// Slots, lengths or count against the rules that the topic's id commits to.
    #[error("a bundle against the rules of its topic")]
    RuleBroken,
    /// An author key that can't sign, or a signature that doesn't hold.
    #[error("a forged signature")]
    BadSignature,
    /// Evidence whose own bytes prove nothing.
    #[error("evidence that proves nothing")]
    BogusEvidence,
}

/// The application's judgement of a bundle. It stands or falls as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a verdict that nobody looks at protects nobody"]
#[non_exhaustive]
pub enum Validation {
    /// Deliver and forward it.
    Accept,
    /// Neither deliver nor forward it, and think nothing of it.
    Ignore,
    /// As `Ignore`, and counted as rejected. Blames nobody: two versions of an application may disagree.
    Reject,
}

/// What an application may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Event {
    /// A peer is linked: both sides have said hello. Told once, until [`Event::PeerDown`], however many links follow each other.
    PeerUp {
        /// The peer's node key.
        peer: PublicKey,
        /// Whether we dialled.
        dialled: bool,
    },
    /// The last link to a peer is gone.
    PeerDown {
        /// The peer's node key.
        peer: PublicKey,
        /// Why that link ended.
        why: DownReason,
    },
    /// A link was refused before it was up, by us or by the peer.
    LinkRefused {
        /// The peer's node key.
        peer: PublicKey,
        /// Why.
        reason: Reason,
    },
    /// A peer that we keep a link to could not be dialled, and no other link to it is up. It is tried again, after 200 ms at first
    /// and 30 s in the end. Under this node's own key: it was told to keep a link to itself, which it does not try.
    DialFailed {
        /// The peer's node key.
        peer: PublicKey,
        /// Why. Its words say what to do.
        why: DialError,
    },
    /// Two processes use one node key at the same time: links of it come from these addresses in turn, and take each other's place.
    /// Told for each key once a minute at the most. Of this node's own key, [`Impairment::NodeKeyInUse`] tells too.
    NodeKeyShared {
        /// The node key.
        key: PublicKey,
        /// Where it is used: the last two addresses, or the one that is known.
        addrs: Vec<SocketAddr>,
    },
    /// A peer sent bytes that no correct node sends. Its link is closed and its key banned for a while.
    Offence {
        /// The peer's node key.
        peer: PublicKey,
        /// What it did.
        offence: Offence,
    },
    /// An author said two things at one position. Its rumors are refused everywhere until the node restarts (or 16 384 later convictions
    /// have taken its place); the evidence convinces anybody.
    Convicted {
        /// The proof.
        evidence: Box<Evidence>,
    },
    /// Somebody else writes under our author key: publishing has stopped, before it could look like equivocation.
    DuplicateWriter {
        /// Where it was seen.
        topic: TopicId,
        /// At which tick.
        tick: u64,
    },
    /// Our clock is this many milliseconds ahead of (or behind, if negative) the median of our links', or of each of one or two.
    /// Beyond 30 s our rumors are ignored: set the clock. (A node with one or two links is told from then on, and may be the one
    /// whose clock is right.)
    ClockSkew {
        /// Milliseconds.
        ahead_ms: i64,
    },
    /// Each link that keeps a topic was asked what it has, at least one lists nothing that we lack, and nothing is missing that any of
    /// them listed. Told again when something late has come since. Links that lie can bring it about that it is told too soon.
    CaughtUp {
        /// The topic.
        topic: TopicId,
    },
    /// What was missing of an author has come, after [`Event::Hole`].
    Filled {
        /// The topic.
        topic: TopicId,
        /// Whose.
        author: PublicKey,
    },
    /// Something that an author has said is missing, and none of our links has it. It is asked for again now and then.
    Hole {
        /// The topic.
        topic: TopicId,
        /// Whose.
        author: PublicKey,
        /// Where it starts.
        position: Position,
    },
    /// An author has said two things after one and the same, at different positions, and the later of them came while it was new. That
    /// is no equivocation. Its key may have been copied, or it has lost its last words in a power cut. Told once for each author
    /// of a topic, until the topic is left or the node ends, and of 1 024 authors of a topic at the most.
    AuthorForked {
        /// The topic.
        topic: TopicId,
        /// Whose.
        author: PublicKey,
        /// Where the second one starts.
        position: Position,
    },
    /// The store was damaged and has been made anew from what could be read. What was lost is asked of peers again.
    StoreDamaged {
        /// Where the damaged file is now.
        moved_to: PathBuf,
        /// Bundles that were read from it and are held again.
        saved: u64,
        /// Bundles that were read and not taken: their checksum or their contents did not hold.
        bad: u64,
        /// Stretches of the file that could not be read; how many bundles stood there is not known.
        unreadable: u64,
    },
    /// The store was last used by a clock that was ahead of this one. What it keeps begins with the earliest that it still holds.
    ClockBehind {
        /// Milliseconds that this clock is behind that one.
        behind_ms: u64,
    },
    /// The node can't speak, hear, record or judge as it should. Told once, until [`Event::Recovered`];
    /// [`Impairment::remedy`] says what to do.
    Impaired {
        /// What is wrong.
        what: Impairment,
        /// Unix time in milliseconds at which it is expected to end by itself, where that is known.
        until_ms: Option<u64>,
    },
    /// An impairment has ended.
    Recovered {
        /// What was wrong.
        what: Impairment,
        /// How long it lasted.
        lasted: Duration,
    },
    /// The node ends by itself, since its socket is lost for good: the application closed its QUIC endpoint, or the port can't be had
    /// again. Nothing more is published or heard. Check the network, then spawn a new node.
    Stopped {
        /// Why.
        why: StopReason,
    },
}

/// One line for a log or a status line: what happened, to which key (its first 8 digits), and what to do about it where there
/// is something. The words of a peer are quoted and escaped.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerUp { peer, dialled: true } => write!(f, "link up: this node reached {}", peer.short()),
            Self::PeerUp { peer, dialled: false } => {
                write!(f, "link up: {} reached this node", peer.short())
            }
            Self::PeerDown { peer, why } => write!(f, "link down: {} ({why})", peer.short()),
            Self::LinkRefused { peer, reason } => write!(f, "link refused: {} ({reason})", peer.short()),
            Self::DialFailed { peer, why } => write!(f, "dial failed: {} ({why})", peer.short()),
            Self::NodeKeyShared { key, addrs } => {
                write!(f, "two processes use the node key {} at once: it is seen at ", key.short())?;
                for (at, addr) in addrs.iter().enumerate() {
                    let between = if at == 0 { "" } else { " and " };
                    write!(f, "{between}{addr}")?;
                }
                f.write_str("; stop one of them")
            }
            Self::Offence { peer, offence } => {
                write!(f, "offence: {} sent {offence}; its key is banned for a while", peer.short())
            }
            Self::Convicted { evidence } => {
                let author = evidence.author();
                write!(
                    f,
                    "convicted: {} said two things at one position and is not heard any more",
                    author.short()
                )
            }
            Self::DuplicateWriter { topic, tick } => write!(
                f,
                "another process writes under this author key (topic {topic}, tick {tick}): nothing more is published; \
                 stop one of the two, then restart this one"
            ),
            Self::ClockSkew { ahead_ms } => {
                let side = if *ahead_ms < 0 { "behind" } else { "ahead of" };
                let by = ahead_ms.unsigned_abs();
                write!(f, "this clock is {by} ms {side} the peers': set it, or rumors are ignored")
            }
            Self::CaughtUp { .. }
            | Self::Filled { .. }
            | Self::Hole { .. }
            | Self::AuthorForked { .. }
            | Self::StoreDamaged { .. }
            | Self::ClockBehind { .. } => self.of_the_past(f),
            Self::Impaired { what, until_ms: None } => write!(f, "impaired: {what}; {}", what.remedy()),
            Self::Impaired { what, until_ms: Some(until) } => {
                write!(f, "impaired until {until} (Unix time, ms): {what}; {}", what.remedy())
            }
            Self::Recovered { what, lasted } => {
                write!(f, "recovered after {:.1} s: it is no longer so that {what}", lasted.as_secs_f64())
            }
            Self::Stopped { why } => {
                write!(f, "the node stops: {why}; check the network, then spawn a new node")
            }
        }
    }
}

impl Event {
    /// The line of one that is about what is kept.
    fn of_the_past(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CaughtUp { topic } => write!(f, "topic {topic}: links have nothing more"),
            Self::Filled { topic, author } => {
                write!(f, "topic {topic}: what was missing of {} has come", author.short())
            }
            Self::Hole { topic, author, position } => {
                let author = author.short();
                write!(
                    f,
                    "topic {topic}: no link has what {author} said at {position}; it is asked for now and then"
                )
            }
            Self::AuthorForked { topic, author, position } => {
                write!(
                    f,
                    "topic {topic}: {} goes on twice, at {position} again: who has its key?",
                    author.short()
                )
            }
            Self::StoreDamaged { moved_to, saved, bad, unreadable } => write!(
                f,
                "the store was damaged: {saved} bundles were saved, {bad} were not, and {unreadable} stretches could not be read; \
                 the damaged file is {}; peers bring back what is missing",
                moved_to.display()
            ),
            Self::ClockBehind { behind_ms } => write!(
                f,
                "this clock is {behind_ms} ms behind the one by which the store was last used: if it is wrong, set it"
            ),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::rumor::{Position, Topic, seal};

    /// One event of each variant. A variant that is new does not compile here until it has one.
    pub(crate) fn one_of_each() -> Vec<Event> {
        let key = SecretKey::from_seed(&[1; 32]);
        let peer = key.public();
        let topic = TopicId::from_bytes([2; 32]);
        let addr = SocketAddr::from(([192, 0, 2, 7], 4433));
        let rules = Topic::named("t").bind(crate::rumor::NetworkId::of("n")).unwrap();
        let signed = |word: &'static str| {
            let position = Position { tick: 7, slot: 0 };
            *seal(&key, rules.id(), position, &[word.into()]).unwrap().signed_header()
        };
        let evidence = Box::new(Evidence::new(signed("one"), signed("other")).unwrap());
        let lasted = Duration::from_millis(1_500);
        let every = |event: &Event| match event {
            Event::PeerUp { .. }
            | Event::PeerDown { .. }
            | Event::LinkRefused { .. }
            | Event::DialFailed { .. }
            | Event::NodeKeyShared { .. }
            | Event::Offence { .. }
            | Event::Convicted { .. }
            | Event::DuplicateWriter { .. }
            | Event::ClockSkew { .. }
            | Event::CaughtUp { .. }
            | Event::Filled { .. }
            | Event::Hole { .. }
            | Event::AuthorForked { .. }
            | Event::StoreDamaged { .. }
            | Event::ClockBehind { .. }
            | Event::Impaired { .. }
            | Event::Recovered { .. }
            | Event::Stopped { .. } => 18,
        };
        let why = DownReason::PeerCode { code: 7, words: "bye\n".into() };
        let events = vec![
            Event::PeerUp { peer, dialled: true },
            Event::PeerUp { peer, dialled: false },
            Event::PeerDown { peer, why },
            Event::LinkRefused { peer, reason: Reason::Full },
            Event::DialFailed { peer, why: DialError::TimedOut { addr, peer } },
            Event::NodeKeyShared { key: peer, addrs: vec![addr, addr] },
            Event::Offence { peer, offence: Offence::BadSignature },
            Event::Convicted { evidence },
            Event::DuplicateWriter { topic, tick: 7 },
            Event::ClockSkew { ahead_ms: -31_000 },
            Event::CaughtUp { topic },
            Event::Filled { topic, author: peer },
            Event::Hole { topic, author: peer, position: Position { tick: 7, slot: 1 } },
            Event::AuthorForked { topic, author: peer, position: Position { tick: 8, slot: 0 } },
            Event::StoreDamaged { moved_to: "store.damaged".into(), saved: 9, bad: 1, unreadable: 2 },
            Event::ClockBehind { behind_ms: 70_000 },
            Event::Impaired { what: Impairment::Clock, until_ms: None },
            Event::Impaired { what: Impairment::Silent, until_ms: Some(1_700_000_000_000) },
            Event::Recovered { what: Impairment::Clock, lasted },
            Event::Stopped { why: super::super::StopReason::SocketLost { addr, why: "in use".into() } },
        ];
        let kinds: std::collections::HashSet<_> = events.iter().map(std::mem::discriminant).collect();
        assert_eq!(kinds.len(), every(&events[0]), "one variant has no event here");
        events
    }

    #[test]
    fn every_event_prints_as_one_line_that_names_its_peer_or_author() {
        let short = SecretKey::from_seed(&[1; 32]).public().short();
        for event in one_of_each() {
            let line = event.to_string();
            assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
            let about_a_key = matches!(
                event,
                Event::PeerUp { .. }
                    | Event::PeerDown { .. }
                    | Event::LinkRefused { .. }
                    | Event::DialFailed { .. }
                    | Event::NodeKeyShared { .. }
                    | Event::Offence { .. }
                    | Event::Convicted { .. }
                    | Event::Filled { .. }
                    | Event::Hole { .. }
                    | Event::AuthorForked { .. }
            );
            assert_eq!(line.contains(&short), about_a_key, "{line}");
            assert!(!line.contains("Some(") && !line.contains("{ "), "a debug form in {line}");
        }
    }

    #[test]
    fn what_can_be_mended_says_how() {
        let lines: Vec<_> = one_of_each().iter().map(ToString::to_string).collect();
        for (start, remedy) in [
            ("dial failed: ", "check that it runs"),
            ("two processes use", "192.0.2.7:4433 and 192.0.2.7:4433; stop one"),
            ("another process writes", "stop one of the two"),
            ("this clock is 31000 ms behind", "set it"),
            ("impaired: ", "set the clock"),
            ("impaired until 1700000000000", "keep the position log"),
            ("recovered after 1.5 s", "no longer"),
            ("the node stops: UDP 192.0.2.7:4433", "spawn a new node"),
        ] {
            let found = lines.iter().any(|line| line.starts_with(start) && line.contains(remedy));
            assert!(found, "no line begins with {start:?} and says {remedy:?}: {lines:#?}");
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn events_survive_json_and_postcard_and_keys_in_json_are_text() {
        for event in one_of_each() {
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event, "{json}");
            let bytes = postcard::to_allocvec(&event).unwrap();
            assert_eq!(postcard::from_bytes::<Event>(&bytes).unwrap(), event, "{json}");
        }
        let peer = SecretKey::from_seed(&[1; 32]).public();
        let json = serde_json::to_value(Event::PeerUp { peer, dialled: true }).unwrap();
        assert_eq!(json, serde_json::json!({ "PeerUp": { "peer": peer.to_string(), "dialled": true } }));
        // Evidence that does not hold together is not read back.
        let convicted =
            one_of_each().into_iter().find(|event| matches!(event, Event::Convicted { .. })).unwrap();
        let json = serde_json::to_string(&convicted).unwrap();
        // (Another author changes both ids, and the lesser one comes first: half of all keys leave the order as it is.)
        let peer = peer.to_string();
        let others = (0..=255u8).map(|byte| format!("{byte:02x}").repeat(32));
        let other = others
            .into_iter()
            .find(|other| serde_json::from_str::<Event>(&json.replace(&peer, other)).is_ok())
            .expect("a key that leaves the order as it is");
        assert!(serde_json::from_str::<Event>(&json.replacen(&peer, &other, 1)).is_err());
    }
}
