//! Serving what we announced: copies that are asked for, and those that are no longer.

use crate::protocol::engine::Engine;
use crate::protocol::links::Sender;
use crate::wire::{self, Ids};

impl Engine {
    pub(super) fn on_pull(&mut self, sender: Sender, pull: Ids) {
        let now = self.cx.now.mono;
        for id in pull.ids {
            let held = self.topics.get_mut(&pull.topic).and_then(|window| window.entry_mut(&id));
            let body = held.filter(|entry| entry.is_accepted()).and_then(|entry| entry.body().cloned());
            let turn = body.as_ref().map(|bundle| self.turn_of(&pull.topic, &bundle.header().author));
            let Some(link) = self.links.at_mut(sender.slot) else { return };
            self.cx.dirty.insert(sender.slot);
            let (Some(bundle), Some(turn)) = (body, turn) else {
                self.cx.counters.gone += 1;
                link.outbox_mut().gone(pull.topic, id);
                continue;
            };
            // Charged before the work: asking for much with little empties the asker's own budget.
            link.bill_mut(&pull.topic).charge_bytes(now, wire::bundle_item_len(&bundle) as u64);
            if link.outbox_mut().reply(turn, bundle) {
                self.cx.counters.served += 1;
                if let Some(entry) = self.topics.get_mut(&pull.topic).and_then(|window| window.entry_mut(&id))
                {
                    entry.is_shown_by(sender.slot);
                }
            } else {
                self.cx.counters.gone += 1;
                link.outbox_mut().gone(pull.topic, id);
                // We do hold it and only lack the room: it is announced again when there is some.
                link.outbox_mut().falls_behind(pull.topic);
                if let Some(entry) = self.topics.get_mut(&pull.topic).and_then(|window| window.entry_mut(&id))
                {
                    entry.may_be_told_again(sender.slot);
                }
            }
        }
    }

    pub(super) fn on_cancel(&mut self, sender: Sender, cancel: Ids) {
        for id in cancel.ids {
            if let Some(entry) = self.topics.get_mut(&cancel.topic).and_then(|window| window.entry_mut(&id)) {
                entry.is_shown_by(sender.slot);
            }
            if self.links.at_mut(sender.slot).is_some_and(|link| link.outbox_mut().drop_reply(&id)) {
                self.cx.counters.cancelled += 1;
            }
        }
    }
}
