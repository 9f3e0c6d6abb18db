//! Publish requests that are not yet answered in full.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::message::{Publish, PublishAnswer};
use crate::protocol::{PublishError, Ticket};
use crate::rumor::{RumorId, TopicId};

/// Each request has a row of tickets, one per body.
#[derive(Default)]
pub(super) struct Requests {
    /// By the first ticket of each.
    pending: BTreeMap<u64, Pending>,
    next_ticket: u64,
}

struct Pending {
    results: Vec<Option<Result<RumorId, PublishError>>>,
    /// Tickets without a result.
    open: usize,
    request: Publish,
}

impl Requests {
    /// Takes a request in and gives its bodies, each with the ticket under which the engine answers.
    pub(super) fn begin(&mut self, mut request: Publish) -> Vec<(Ticket, Bytes)> {
        let first = self.next_ticket;
        let bodies = std::mem::take(&mut request.bodies);
        self.next_ticket += bodies.len() as u64;
        let open = bodies.len();
        self.pending.insert(first, Pending { results: vec![None; open], open, request });
        if bodies.is_empty() {
            self.answer(first);
        }
        (first..).map(Ticket).zip(bodies).collect()
    }

    /// The tickets of a request that have no result.
    pub(super) fn open_of(&self, request: u64) -> Vec<(TopicId, Ticket)> {
        // Rare, and requests are few: no index is worth its upkeep.
        let Some((first, pending)) = self.pending.iter().find(|(_, pending)| pending.request.id == request)
        else {
            return Vec::new();
        };
        let tickets = (*first..).map(Ticket).zip(&pending.results);
        tickets
            .filter(|(_, result)| result.is_none())
            .map(|(ticket, _)| (pending.request.topic, ticket))
            .collect()
    }

    /// The engine has answered one ticket; the last one answers the request.
    pub(super) fn settle(&mut self, ticket: Ticket, result: Result<RumorId, PublishError>) {
        let Some((&first, pending)) = self.pending.range_mut(..=ticket.0).next_back() else { return };
        let at = usize::try_from(ticket.0 - first).unwrap_or(usize::MAX);
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
