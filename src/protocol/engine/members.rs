//! Members: what peers say of each other's life.

use crate::protocol::engine::Engine;
use crate::protocol::links::Sender;
use crate::wire::Frame;

impl Engine {
    /// How many live members we tell peers of; 0 if we know of none.
    pub(super) const fn members_told(&self) -> u32 {
        0
    }

    /// A frame of pulses, or a question about members, of so many bytes. It is on the bill of the link's system lane already. It may come
    /// before the peer's hello.
    pub(super) fn on_members(&mut self, _: Sender, _: Frame, _: usize) {
        self.cx.counters.members_unheard += 1;
    }

    /// Joins the topic of members, as a node that takes part does.
    #[cfg(test)]
    pub(crate) fn join_members(&mut self) {
        let rules = crate::rumor::members_topic(self.cx.network);
        self.join(rules, false, false, Default::default());
    }

    /// Queues a pulse on each link.
    #[cfg(test)]
    pub(crate) fn say_pulse(&mut self, pulse: crate::wire::Pulse) {
        for link in self.links.iter_mut().filter(|link| link.is_open()) {
            link.outbox_mut().pulse(pulse);
            self.cx.dirty.insert(link.slot());
        }
    }
}
