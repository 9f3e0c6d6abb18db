//! Liars that keep things to themselves: all of it, or what one author, one topic or one victim would need.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::adversary::{Adversary, Me, Outgoing, frames};
use crate::protocol::LinkId;
use crate::rumor::BundleId;
use crate::wire::{self, Frame, Kind, Lane};

/// B1: takes everything, says hello, forwards nothing, serves nothing.
#[derive(Debug)]
pub(super) struct Silent;

impl Adversary for Silent {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        if matches!(Kind::of(&frame.payload), Some(Kind::Hello | Kind::Topics)) {
            me.send(frame);
        }
    }
}

/// Whom a [`Censor`] silences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(super) enum Censored {
    /// What the victim says.
    Author,
    /// Everything said in the topic, while all else goes on.
    Topic,
    /// What the victim would hear.
    Victim,
}

/// B2: honest, but for what concerns the victim, or one topic.
#[derive(Debug)]
pub(super) struct Censor {
    what: Censored,
    /// Bundles of the victim that it has seen.
    ids: BTreeSet<BundleId>,
}

impl Censor {
    /// One that silences `what`.
    pub(super) const fn new(what: Censored) -> Self {
        Self { what, ids: BTreeSet::new() }
    }

    /// What is left of a frame when the victim's words are taken out.
    fn without_author(&self, me: &Me, payload: Bytes) -> Option<Bytes> {
        match Kind::of(&payload) {
            Some(Kind::Bundles) => {
                let others = frames::bundles(&payload).filter(|raw| raw.signed.header.author != me.victim());
                frames::rewritten(others.map(|raw| (raw.hops, raw.encoded)))
            }
            Some(Kind::Announce) if !self.ids.is_empty() => {
                let Ok(Frame::Announce(announced)) = Frame::decode(payload) else { return None };
                let mut items = announced.items;
                items.retain(|(id, _)| !self.ids.contains(id));
                (!items.is_empty()).then(|| wire::announce(&announced.topic, &items))
            }
            _ => Some(payload),
        }
    }
}

impl Adversary for Censor {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        let talk = matches!(
            Kind::of(&frame.payload),
            Some(Kind::Bundles | Kind::Announce | Kind::Headers | Kind::Evidence)
        );
        match self.what {
            Censored::Topic if talk => {}
            Censored::Victim
                if talk && me.link(frame.link).is_some_and(|known| known.peer == me.victim()) => {}
            Censored::Author => {
                if let Some(payload) = self.without_author(me, frame.payload) {
                    me.send(Outgoing { payload, ..frame });
                }
            }
            Censored::Topic | Censored::Victim => me.send(frame),
        }
    }

    fn incoming(&mut self, me: &mut Me, _: LinkId, _: Lane, payload: &Bytes) {
        if self.what == Censored::Author {
            let theirs = frames::bundles(payload).filter(|raw| raw.signed.header.author == me.victim());
            self.ids.extend(theirs.map(|raw| raw.id));
        }
    }
}
