//! Keeping links: does what the dialler orders, and reports to it.

use super::actor::Actor;
use super::message::Message;
use super::{Host, PeerAddr};
use crate::key::PublicKey;
use crate::net::Connection;
use crate::protocol::{DialError, Ending, Event, KeepError, Order, Origin};
use crate::wire::Reason;

impl Actor {
    /// Keeps a link to `peer` from now on. The node itself is skipped.
    pub(super) fn keep(&mut self, peer: PeerAddr) -> Result<(), KeepError> {
        let now = self.now().mono;
        let kept = self.dialler.keep(now, peer.key, peer.host.clone());
        self.unless_own_key(kept, peer.host)
    }

    /// Keeps the peers by which it finds its network again, if there is a place for them, and dials those of an earlier life.
    pub(super) fn anchor(&mut self, earlier: Vec<PeerAddr>) {
        if self.parts.anchors.is_some() {
            let now = self.now().mono;
            self.dialler.keep_anchors(now, earlier.into_iter().map(|peer| (peer.key, peer.host)).collect());
        }
    }

    /// Keeps a link to `peer` until the node has enough links of its own choice. The node itself is skipped.
    pub(super) fn enter(&mut self, peer: PeerAddr) -> Result<(), KeepError> {
        let now = self.now().mono;
        let kept = self.dialler.enter(now, peer.key, peer.host.clone());
        self.unless_own_key(kept, peer.host)
    }

    /// Where a node can be dialled, as far as this node knows: where links to it were, and what it says itself as a member. An error if
    /// this node does not speak with it.
    pub(super) fn whereabouts(&self, peer: &PublicKey) -> Result<Vec<Host>, Reason> {
        if let Some(reason) = self.parts.engine.bars(peer) {
            return Err(reason);
        }
        let mut hosts = self.dialler.addresses_of(peer);
        let says = self.parts.engine.member(peer).map(|member| member.addresses).unwrap_or_default();
        let says = says.into_iter().filter(|address| self.place.dials(address));
        for host in says.map(Host::Socket) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        Ok(hosts)
    }

    /// Remembers `peer` as one that the node may link to. The node itself is skipped.
    pub(super) fn suggest(&mut self, peer: PeerAddr) -> Result<(), KeepError> {
        let now = self.now().mono;
        let known = self.dialler.suggest(now, peer.key, peer.host.clone(), Origin::Told);
        self.unless_own_key(known, peer.host)
    }

    /// That the application names the node itself is no error. It is told of it, once.
    fn unless_own_key(&mut self, result: Result<(), KeepError>, host: Host) -> Result<(), KeepError> {
        if result != Err(KeepError::OwnKey) {
            return result;
        }
        self.own_key.is_given(host);
        Ok(())
    }

    /// Dials and hangs up, as the dialler orders. Never waits.
    pub(super) fn dial_due(&mut self) {
        self.tell_of_own_key();
        let now = self.now();
        while let Some(order) = self.dialler.poll(now, &self.parts.engine) {
            match order {
                Order::Dial { peer, addr } => {
                    let (reach, inbox) = (self.reach.clone(), self.parts.inbox_in.clone());
                    // Ended tasks give their places back here: there are no more than dials under way, and one batch of ended ones.
                    while self.dials.try_join_next().is_some() {}
                    self.dials.spawn(async move {
                        let result = reach.reach(PeerAddr { key: peer, host: addr }).await;
                        if let Some(inbox) = inbox.upgrade() {
                            // An error means that the node is gone, and the connection closes with it.
                            let _ = inbox.send(Message::Dialled { peer, result }).await;
                        }
                    });
                }
                Order::HangUp { link } => {
                    // One that has ended has its last event on its way.
                    if let Some(link) = self.links.get(&link) {
                        link.close(Reason::Unneeded.code(), &Reason::Unneeded.to_string());
                    }
                }
                Order::KeepAnchors { anchors } => {
                    self.parts.anchors.iter().for_each(|file| file.keep(anchors.clone()));
                }
                Order::Refused { peer, reason } => {
                    let refused = Event::LinkRefused { peer, reason };
                    super::trace::told(&refused);
                    // No receivers: ignored.
                    drop(self.parts.events.send(refused));
                }
            }
        }
    }

    /// A dial has ended.
    pub(super) fn on_dialled(&mut self, peer: PublicKey, result: Result<Connection, DialError>) {
        match result {
            Ok(connection) => {
                let (now, link) = (self.now().mono, self.next_link());
                if self.dialler.connected(now, &peer, link) {
                    self.on_link(link, connection);
                } else {
                    // It was forgotten meanwhile.
                    connection.close(Reason::Unneeded.code(), Reason::Unneeded.to_string().as_bytes());
                }
            }
            Err(error) => {
                let now = self.now().mono;
                let how = match error {
                    DialError::Refused { .. } => Ending::Closed,
                    DialError::WrongKey { answered, .. } => Ending::WrongKey(answered),
                    _ => Ending::Silent,
                };
                if self.dialler.failed(now, &peer, how, &error) {
                    self.tell(Event::DialFailed { peer, why: error });
                }
            }
        }
    }

    fn tell_of_own_key(&mut self) {
        if self.parts.events.receiver_count() > 0
            && let Some(host) = self.own_key.is_told()
        {
            let why = DialError::OwnKey { host: host.to_string() };
            self.tell(Event::DialFailed { peer: self.parts.key, why });
        }
    }

    /// Tells the application. An error means that nobody listens.
    pub(super) fn tell(&self, event: Event) {
        super::trace::told(&event);
        drop(self.parts.events.send(event));
    }
}
