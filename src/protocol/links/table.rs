//! The table of all links.

use std::collections::BTreeMap;

use super::link::Link;
use crate::key::PublicKey;
use crate::protocol::LinkId;
use crate::protocol::limits::MAX_LINKS;
use crate::protocol::linkset::{LinkSet, Slot};
use crate::rumor::TopicId;

/// All links, by place and by name.
#[derive(Debug)]
pub(in crate::protocol) struct Links {
    places: Vec<Option<Link>>,
    by_id: BTreeMap<LinkId, Slot>,
    /// Places whose links are gone and whose marks are not wiped yet.
    gone: LinkSet,
}

impl Links {
    pub(in crate::protocol) fn new() -> Self {
        Self { places: Vec::new(), by_id: BTreeMap::new(), gone: LinkSet::default() }
    }

    pub(in crate::protocol) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// A free place without marks of a former owner, if there is one.
    pub(in crate::protocol) fn free(&mut self) -> Option<Slot> {
        let gone = self.gone;
        let clean = |(place, link): (usize, &Option<Link>)| {
            link.is_none() && u8::try_from(place).is_ok_and(|place| !gone.contains(Slot(place)))
        };
        let place = match self.places.iter().enumerate().position(clean) {
            Some(place) => place,
            None if self.places.len() < MAX_LINKS => {
                self.places.push(None);
                self.places.len() - 1
            }
            None => return None,
        };
        u8::try_from(place).ok().map(Slot)
    }

    /// The places of links that are gone. They may be used again.
    pub(in crate::protocol) fn take_gone(&mut self) -> LinkSet {
        std::mem::take(&mut self.gone)
    }

    pub(in crate::protocol) fn insert(&mut self, link: Link) {
        self.by_id.insert(link.id(), link.slot());
        let place = usize::from(link.slot().0);
        if let Some(free) = self.places.get_mut(place) {
            *free = Some(link);
        }
    }

    pub(in crate::protocol) fn remove(&mut self, id: LinkId) -> Option<Link> {
        let slot = self.by_id.remove(&id)?;
        let link = self.places.get_mut(usize::from(slot.0))?.take()?;
        self.gone.insert(slot);
        Some(link)
    }

    pub(in crate::protocol) fn slot_of(&self, id: LinkId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    /// The links to `peer`: two at the most. (A walk over all links, for when links come and go.)
    pub(in crate::protocol) fn of_peer(&self, peer: &PublicKey) -> impl Iterator<Item = &Link> {
        let peer = *peer;
        self.iter().filter(move |link| link.peer() == peer)
    }

    pub(in crate::protocol) fn at(&self, slot: Slot) -> Option<&Link> {
        self.places.get(usize::from(slot.0))?.as_ref()
    }

    pub(in crate::protocol) fn at_mut(&mut self, slot: Slot) -> Option<&mut Link> {
        self.places.get_mut(usize::from(slot.0))?.as_mut()
    }

    pub(in crate::protocol) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.slot_of(id).and_then(|slot| self.at_mut(slot))
    }

    pub(in crate::protocol) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.places.iter().flatten()
    }

    pub(in crate::protocol) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.places.iter_mut().flatten()
    }

    /// The links that relay `topic` and are not in `except`.
    pub(in crate::protocol) fn relaying(&self, topic: &TopicId, except: &LinkSet) -> Vec<Slot> {
        self.iter()
            .filter(|link| !except.contains(link.slot()) && link.relays(topic))
            .map(|link| link.slot())
            .collect()
    }
}

#[cfg(any(test, feature = "sim"))]
impl Links {
    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        recount.same("links", self.by_id.len(), self.iter().count());
        for link in self.iter() {
            let peer = link.peer().short();
            recount.holds(
                self.slot_of(link.id()) == Some(link.slot()),
                format_args!("{peer} is not found by its link"),
            );
            link.outbox().check(recount);
        }
    }
}
