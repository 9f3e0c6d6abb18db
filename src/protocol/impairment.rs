//! What can keep a node from its work.

use std::fmt;

/// Something that keeps a node from doing its work. None of them blames a peer. [`Event::Impaired`](super::Event::Impaired) tells when one begins,
/// [`Event::Recovered`](super::Event::Recovered) when it has ended, and [`Stats::impaired`](crate::protocol::Stats::impaired) lists those of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Impairment {
    /// The wall clock is wrong: more than 30 s off the median of the links', or so far off each of fewer than three that
    /// they pass nothing on (60 s ahead, 90 s behind). Nothing is published meanwhile, since peers would ignore it.
    Clock,
    /// The author may not publish yet: positions up to a later time may have been used. The event says until when.
    Silent,
    /// Recording the used positions takes longer than 2 s. Publishing goes on, late.
    RecordSlow,
    /// The used positions can't be recorded, so nothing can be published.
    RecordFailing,
    /// Keeping what is said takes longer than 5 s, or waits behind so much that some of it is not kept. The live path goes on; peers
    /// bring the rest again.
    StoreSlow,
    /// The store can't keep anything: its disk is full or fails. The live path goes on.
    StoreFailing,
    /// A topic is at its share of the store and drops nothing: what others say is relayed and not kept.
    StoreFull,
    /// The application's validators are slower than what comes in. Some rumors are neither delivered nor forwarded by this
    /// node until they are offered again.
    ValidatorsSlow,
    /// Peers bring rumors, and for half a minute none of them was inside the window of times that are accepted.
    Unheard,
    /// The UDP socket fails: nothing is sent or received until it is bound again.
    Socket,
    /// Another process uses this node key: its links and ours replace each other.
    NodeKeyInUse,
    /// Another process writes under this author key. Publishing has stopped for good.
    DuplicateWriter,
    /// This author key was convicted of equivocation. Publishing has stopped for good.
    Convicted,
}

impl Impairment {
    /// What an operator does about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Clock => "set the clock of this machine; publishing goes on by itself once it is right",
            Self::Silent => {
                "wait; keep the position log beside the key, and let the node end in good order, to wait less next time"
            }
            Self::RecordSlow => "move the position log to a faster disk, or find what keeps this one busy",
            Self::RecordFailing => "make room on the disk of the position log, or make its folder writable",
            Self::StoreSlow => "move the store to a faster disk, or find what keeps this one busy",
            Self::StoreFailing => {
                "make room on the disk of the store, of which `leave_free` is left to others, or make its folder writable"
            }
            Self::StoreFull => "raise the topic's reserve, or let it drop what is oldest",
            Self::ValidatorsSlow => {
                "make the validator faster, or raise `validators.patience` and `validators.at_once`"
            }
            Self::Unheard => "check the clock of this machine and the peers that it is linked to",
            Self::Socket => "check the network of this machine; the node binds its socket again by itself",
            Self::NodeKeyInUse => "give each process a node key of its own, and stop the other process",
            Self::DuplicateWriter => "stop one of the two processes, then restart this one",
            Self::Convicted => "make a new author key",
        }
    }
}

impl fmt::Display for Impairment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clock => "the clock of this machine is wrong, so peers would ignore what it says",
            Self::Silent => "this author key may not publish yet",
            Self::RecordSlow => "recording used positions is slow, so rumors leave late",
            Self::RecordFailing => "used positions can't be recorded, so nothing is published",
            Self::StoreSlow => "the store is slow, so some of what is said is kept late",
            Self::StoreFailing => "the store fails, so nothing is kept",
            Self::StoreFull => "a topic has no room left in the store, so what others say there is not kept",
            Self::ValidatorsSlow => "validators are too slow, so some rumors are not passed on",
            Self::Unheard => "all that peers bring is too old or too far ahead for this clock",
            Self::Socket => "the UDP socket fails, so nothing is sent or received",
            Self::NodeKeyInUse => "another process uses this node key, so links replace each other",
            Self::DuplicateWriter => "another process writes under this author key, so nothing is published",
            Self::Convicted => "this author key was convicted of equivocation, so nobody listens to it",
        })
    }
}
