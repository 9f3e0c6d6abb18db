//! Listens to what every honest node tells its application.

use std::time::Instant;

use tokio::sync::mpsc;
use vouchsafe::{Delivery, Event, Gap, MemberEvent, RumorId};

use super::world::World;

/// Something that was seen. What can't be passed on waits; the readers behind it have room for thousands.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A node was given a rumor.
    Delivery { node: usize, id: RumorId, delivery: Delivery, at: Instant },
    /// A node tells what happened.
    Event { node: usize, event: Event },
    /// The same, of a member.
    Member { node: usize, event: MemberEvent },
    /// The demo read too slowly, and does not know what it missed.
    Missed(u64),
    /// A publish call was answered.
    Published { rumor: usize, called: Instant, result: Result<RumorId, vouchsafe::PublishError> },
    /// What a liar met with on one of its links.
    Liar { liar: usize, fate: super::liars::Fate },
}

/// Room for what was seen and is not yet written down.
const WAITING: usize = 8192;

/// Starts a reader for the rumors, one for the events and one for the members of each node.
pub(super) fn watch(world: &World) -> (mpsc::Sender<Seen>, mpsc::Receiver<Seen>) {
    let (seen_in, seen) = mpsc::channel(WAITING);
    for (node, topic) in world.topics.iter().enumerate() {
        let (mut rumors, seen_in) = (topic.subscribe(), seen_in.clone());
        tokio::spawn(async move {
            while let Some(next) = rumors.next().await {
                let at = Instant::now();
                let seen = match next {
                    Ok(delivery) => Seen::Delivery { node, id: delivery.id(), delivery, at },
                    Err(Gap::Lagged(count)) => Seen::Missed(count),
                    // What a node can't have heard is counted as not delivered.
                    Err(_) => continue,
                };
                if seen_in.send(seen).await.is_err() {
                    return;
                }
            }
        });
    }
    for (node, handle) in world.nodes.iter().enumerate() {
        let (mut events, seen_in) = (handle.events(), seen_in.clone());
        tokio::spawn(async move {
            while let Some(next) = events.next().await {
                let seen = match next {
                    Ok(event) => Seen::Event { node, event },
                    Err(lagged) => Seen::Missed(lagged.0),
                };
                if seen_in.send(seen).await.is_err() {
                    return;
                }
            }
        });
    }
    for (node, handle) in world.nodes.iter().enumerate() {
        let (mut events, seen_in) = (handle.member_events(), seen_in.clone());
        tokio::spawn(async move {
            while let Some(next) = events.next().await {
                let seen = match next {
                    Ok(event) => Seen::Member { node, event },
                    Err(lagged) => Seen::Missed(lagged.0),
                };
                if seen_in.send(seen).await.is_err() {
                    return;
                }
            }
        });
    }
    (seen_in, seen)
}
