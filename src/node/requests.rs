//! Publish requests that are not yet answered in full.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::message::{Publish, PublishAnswer};
use crate::protocol::{PublishError, PublishId};
use crate::rumor::{Rumor, TopicId};

/// Each request has a row of publish ids, one per body.
#[derive(Default)]
pub(super) struct Requests {
    /// By the first publish id of each.
    pending: BTreeMap<u64, Pending>,
    next_publish_id: u64,
}

struct Pending {
    results: Vec<Option<Result<Rumor, PublishError>>>,
    /// Tickets without a result.
    open: usize,
    request: Publish,
}

impl Requests {
    /// Takes a request in and gives its bodies, each with the publish id under which the engine answers.
    pub(super) fn begin(&mut self, mut request: Publish) -> Vec<(PublishId, Bytes)> {
        let first = self.next_publish_id;
        let bodies = std::mem::take(&mut request.bodies);
        self.next_publish_id += bodies.len() as u64;
        let open = bodies.len();
        self.pending.insert(first, Pending { results: vec![None; open], open, request });
        if bodies.is_empty() {
            self.answer(first);
        }
        (first..).map(PublishId).zip(bodies).collect()
    }

    /// The publish ids of a request that have no result.
    pub(super) fn open_of(&self, request: u64) -> Vec<(TopicId, PublishId)> {
        // Rare, and requests are few: no index is worth its upkeep.
        let Some((first, pending)) = self.pending.iter().find(|(_, pending)| pending.request.id == request)
        else {
            return Vec::new();
        };
        let publish_ids = (*first..).map(PublishId).zip(&pending.results);
        publish_ids
            .filter(|(_, result)| result.is_none())
            .map(|(publish_id, _)| (pending.request.topic, publish_id))
            .collect()
    }

    /// The engine has answered one publish id; the last one answers the request.
    pub(super) fn settle(&mut self, publish_id: PublishId, result: Result<Rumor, PublishError>) {
        let Some((&first, pending)) = self.pending.range_mut(..=publish_id.0).next_back() else { return };
        let at = usize::try_from(publish_id.0 - first).unwrap_or(usize::MAX);
        if let Some(place) = pending.results.get_mut(at)
            && place.replace(result).is_none()
        {
            pending.open -= 1;
            if pending.open == 0 {
                self.answer(first);
            }
        }
    }

    fn answer(&mut self, first: u64) {
        let Some(pending) = self.pending.remove(&first) else { return };
        let answer: PublishAnswer = pending.results.into_iter().flatten().collect();
        // Whoever asked may have gone; the rumors are published all the same.
        let _ = pending.request.answer.send(answer);
        drop(pending.request.places);
    }
}
