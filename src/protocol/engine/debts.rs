//! What found no room, or no validator in time: debts, not facts. Each is asked for again when there is room for it.
//!
//! A debt names the links that had the bundle, so nothing is asked for in vain and nobody need announce it again. Links leave
//! each other places in the list as authors do in the index; what finds none is made up for by asking its link to announce
//! everything once more.

use crate::protocol::engine::Engine;
use crate::protocol::linkset::Slot;
use crate::protocol::pulls::Want;
use crate::protocol::topics::entry::size_class;
use crate::rumor::{Bundle, BundleId, Header};

impl Engine {
    /// Notes a debt towards a link, or that the link has more than can be noted.
    pub(super) fn owe(&mut self, slot: Slot, header: &Header, id: BundleId) {
        let wanted = (header.topic, id);
        let Some(window) = self.topics.get_mut(&header.topic) else { return };
        let Some(link) = self.links.at(slot) else { return };
        let by = link.sender();
        let noted = window.debts_mut().add(id, header, by, self.cx.now.mono);
        // Others that announced it may serve it as well.
        for source in self.wants.get(&wanted).into_iter().flat_map(Want::sources) {
            window.debts_mut().note(&id, source, self.cx.now.mono);
        }
        if !noted && let Some(link) = self.links.at_mut(slot) {
            link.has_more(header.topic);
        }
    }

    /// Asks for what there is room for now: those links that said so lately themselves, the others to say what they have.
    pub(super) fn pay_debts(&mut self) {
        let mut payable = Vec::new();
        for (topic, window) in &mut self.topics {
            if window.is_judged() && !self.questions.has_room() {
                continue;
            }
            let links = &self.links;
            let peer = |slot| links.at(slot).map(|link| (link.id(), link.peer()));
            let paid = window.payable(self.cx.now, &self.cx.config, peer);
            payable.extend(paid.into_iter().map(|(id, debt)| (*topic, id, debt)));
        }
        for (topic, id, debt) in payable {
            // Asked too late, a peer has nothing any more and would look bad.
            let age = self.cx.now.mono.since(debt.said);
            let serves = self.topics.get(&topic).is_some_and(|window| window.is_still_held(age));
            for slot in debt.links.iter() {
                let Some(link) = self.links.at_mut(slot).filter(|link| link.relays(&topic)) else { continue };
                if serves {
                    let sender = link.sender();
                    self.want(sender, topic, id, size_class(Bundle::encoded_len(&debt.header)));
                } else {
                    link.has_more(topic);
                }
            }
        }
    }
}
