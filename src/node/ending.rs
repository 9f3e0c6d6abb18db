//! The end of a node: what is queued is sent, what is kept is committed, links and socket are closed.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::actor::{Actor, TURN};
use crate::net::LinkEvent;
use crate::protocol::Input;

/// How long a shutdown waits for what is queued, and then for the links to close.
const DRAIN: Duration = Duration::from_secs(2);

impl Actor {
    /// Sends what is queued, closes all links and the socket. With the actor goes the count of links, by which
    /// [`Node::shutdown`](super::Node::shutdown) knows that all of it is done.
    pub(super) async fn end(mut self) {
        self.parts.inbox.close();
        self.dialler.forget_all();
        self.dials.shutdown().await;
        let drained = Instant::now() + DRAIN;
        let mut events = Vec::new();
        self.act();
        while !self.parts.engine.is_drained() && Instant::now() < drained {
            self.wait_for_links(&mut events, drained).await;
        }
        self.handle(Input::Shutdown);
        self.act();
        let closed = Instant::now() + DRAIN;
        while !self.links.is_empty() && Instant::now() < closed {
            self.wait_for_links(&mut events, closed).await;
        }
        self.parts.endpoint.close().await;
        // However long the disk takes: a next life that opens the position log must not be overtaken by a record of this one. The
        // inbox is closed, so the record's answer waits for nobody.
        self.recording.end().await;
        if let Some(anchors) = self.parts.anchors.take() {
            anchors.end().await;
        }
        // Nor the store: what was given to it is committed, and then whoever waits for that is answered, however long the disk takes.
        let used = self.parts.engine.used_times();
        let told = self.keeper.end(used.end()).await;
        self.on_told(told);
        self.act();
        // Nothing more is said, so what was recorded ahead of it need not hold up the next life. If it can't be written the next
        // life waits.
        if let Some(position_log) = self.parts.position_log.take() {
            let _ = tokio::task::spawn_blocking(move || position_log.settle(&used)).await;
        }
        // A save that is under way is waited for. From here on the folder is free for a next life.
        if let Some(folder) = self.parts.folder.take() {
            // An error means that the runtime goes down.
            let _ = tokio::task::spawn_blocking(move || drop(folder)).await;
        }
        // Whoever waits for something of a topic is told before those who wait for the end.
        self.topics.clear();
    }

    async fn wait_for_links(&mut self, events: &mut Vec<LinkEvent>, until: Instant) {
        let until = until.min(self.deadline());
        tokio::select! {
            _ = self.link_events.recv_many(events, TURN) => self.on_link_events(events),
            () = self.keeper.wait() => self.on_kept(),
            () = sleep_until(until) => self.handle(Input::Tick),
        }
        self.act();
    }
}
