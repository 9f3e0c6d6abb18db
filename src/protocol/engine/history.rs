//! What peers ask about the past. A node that keeps no history says so.

use crate::protocol::engine::Engine;
use crate::protocol::links::Sender;
use crate::wire::{self, Answer, Ask, Fetch, Frame, MAX_PAUSE_MS, Page, Reason, Tell};

impl Engine {
    pub(super) fn on_history(&mut self, sender: Sender, frame: Frame) {
        let answer = match frame {
            Frame::Ask(ask) => wire::tell(&keeps_nothing(&ask)),
            Frame::Fetch(fetch) => wire::page(&serves_nothing(&fetch)),
            // A hint, or the end of what was asked of us: there is nothing that it could change.
            Frame::More(_) | Frame::Stop(_) => return,
            // We asked for nothing.
            Frame::Tell(_) | Frame::Page(_) | Frame::Bundles(_) => {
                self.cx.counters.unasked_history += 1;
                return;
            }
            _ => return self.close(sender.link, Reason::OutOfOrder),
        };
        let Some(link) = self.links.at_mut(sender.slot) else { return };
        if !link.outbox_mut().history(answer) {
            self.cx.counters.history_unanswered += 1;
        }
        self.cx.dirty.insert(sender.slot);
    }
}

/// "No" to the first range: the others are not answered, which says the same.
fn keeps_nothing(ask: &Ask) -> Tell {
    let no = Answer::No { after_ms: MAX_PAUSE_MS };
    Tell { topic: ask.topic, session: ask.session, floor: ask.as_of, answers: vec![no] }
}

/// A page that stands where each range begins: nothing was begun.
fn serves_nothing(fetch: &Fetch) -> Page {
    let next = fetch.ranges.iter().map(|range| range.from).collect();
    let floor = fetch.ranges.iter().map(|range| range.upto.tick.saturating_add(1)).max().unwrap_or(0);
    Page { topic: fetch.topic, session: fetch.session, floor, next }
}
