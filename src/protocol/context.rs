//! What every part of the engine is given: the time, the choices of the operator, chance, and where it leaves what is to be done.

use std::collections::VecDeque;

use super::admission::Admission;
use super::linkset::LinkSet;
use super::owned::Owned;
use super::random::{Keyed, Random};
use super::timers::Timers;
use super::{Action, Config, Counters, Event, Now};
use crate::key::PublicKey;
use crate::rumor::{NetworkId, RuleSet, TopicId};

/// The context of an input.
#[derive(Debug)]
pub(super) struct Cx {
    /// The network that all links and topics belong to.
    pub(super) network: NetworkId,
    /// The topic of members of that network.
    pub(super) members: TopicId,
    /// Our node key, public half.
    pub(super) node: PublicKey,
    /// The time of the input.
    pub(super) now: Now,
    /// What the operator has chosen.
    pub(super) config: Config,
    /// Who may link and is shown as a member.
    pub(super) admission: Admission,
    /// Who may speak where the owner of a topic says so.
    pub(super) owned: Owned,
    /// What peers are told of our endpoint.
    pub(super) reach: Reach,
    pub(super) random: Random,
    /// The secret of all hash tables.
    pub(super) keyed: Keyed,
    pub(super) timers: Timers,
    pub(super) counters: Counters,
    /// What the driver is to do, in order.
    pub(super) actions: VecDeque<Action>,
    /// Links with something to send.
    pub(super) dirty: LinkSet,
    /// Changes whenever the number of links of any topic may have changed.
    pub(super) topology: u64,
}

/// What peers are told of our endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reach {
    /// Others can dial it.
    pub(super) listens: bool,
    /// How often it says something on a silent link, milliseconds; 0 if never.
    pub(super) keep_alive_ms: u16,
}

impl Cx {
    /// Whether a topic is one that the library itself speaks in, on the system lane.
    pub(super) fn is_system(&self, topic: &TopicId) -> bool {
        self.members == *topic
    }

    /// Whether an author may speak in a topic: by its rules, by whom its owner lists, and in the library's own by whom this node may link to. A key that is let in
    /// nowhere here is not kept and not passed on, or one peer could fill the table with throw-away keys.
    pub(super) fn admits(&self, rules: &RuleSet, author: &PublicKey) -> bool {
        rules.admits(author)
            && (rules.owner().is_none() || self.owned.admits(&rules.id(), author))
            && (!self.is_system(&rules.id()) || self.shows(author))
    }

    /// Whether a key may be a member here. The node itself always is.
    pub(super) fn shows(&self, key: &PublicKey) -> bool {
        self.admission.shows(key, self.now.mono)
    }

    /// Tells the application.
    pub(super) fn event(&mut self, event: Event) {
        self.actions.push_back(Action::Event(event));
    }
}
