//! How a link begins and ends for everybody who has to know: engine, dialler, groups, and who watches the keys.

use super::actor::Actor;
use crate::net::{Connection, Link, LinkClosed};
use crate::protocol::{DownReason, Ending, Event, Input, LinkId, Offence};
use crate::wire::{Lane, Reason};

impl Actor {
    /// A number for a link that is about to be.
    pub(super) fn next_link(&mut self) -> LinkId {
        self.links_made += 1;
        LinkId(self.links_made)
    }

    /// A peer has dialled us.
    pub(super) fn on_accepted(&mut self, connection: Connection) {
        if connection.is_for_streams() {
            return self.on_streams(connection);
        }
        let (link, peer) = (self.next_link(), connection.peer);
        if !self.groups.enter(link, &connection, &self.parts.endpoint) {
            let reason = Reason::Full;
            connection.close(reason.code(), reason.to_string().as_bytes());
            self.tell(Event::LinkRefused { peer, reason });
            return;
        }
        let now = self.now().mono;
        if peer == self.parts.key && self.key_watch.own_key(now) {
            self.tell(Event::NodeKeyShared { key: peer, addrs: vec![connection.remote] });
        }
        if let Some(addrs) = self.key_watch.inbound(now, link, peer, connection.remote) {
            self.tell(Event::NodeKeyShared { key: peer, addrs });
        }
        // One with our own key is for the engine to see, which tells of it.
        if let Some(reason) = self.parts.engine.would_refuse(&peer).filter(|_| peer != self.parts.key) {
            self.groups.leave(link);
            self.key_watch.leave(link);
            connection.close(reason.code(), reason.to_string().as_bytes());
            // A double one is nothing to tell where the peer is linked.
            if reason != Reason::Duplicate {
                self.tell(Event::LinkRefused { peer, reason });
            }
            return;
        }
        self.dialler.link_up(&peer, link);
        self.on_link(link, connection);
    }

    /// A peer has dialled us for streams of applications alone.
    fn on_streams(&mut self, connection: Connection) {
        let barred = self.parts.engine.bars(&connection.peer);
        if let Some(reason) = barred {
            connection.close(reason.code(), reason.to_string().as_bytes());
            return;
        }
        let most_of_group = self.parts.endpoint.links_of(connection.group());
        connection.serve_streams(most_of_group);
    }

    /// There is a connection, of which the dialler knows.
    pub(super) fn on_link(&mut self, id: LinkId, connection: Connection) {
        let (peer, dialled, rtt) = (connection.peer, connection.dialled, connection.rtt());
        let remote = connection.address();
        if let Some(remote) = remote.filter(|_| dialled) {
            self.learns_address(remote.ip(), connection.local_ip());
        }
        let link = Link::spawn(id, connection, self.link_events_in.clone());
        self.links.insert(id, link);
        self.handle(Input::LinkUp { link: id, peer, dialled, remote });
        self.handle(Input::RoundTrip { link: id, rtt });
    }

    pub(super) fn on_link_closed(&mut self, link: LinkId, why: &LinkClosed) {
        // No pause can slow it any more, and what it has said may be of use.
        for of in [Lane::System, Lane::Control, Lane::History] {
            while let Some((lane, payload)) = self.unread.next(link, of) {
                self.handle(Input::Frame { link, lane, payload });
            }
        }
        self.links.remove(&link);
        self.groups.leave(link);
        self.key_watch.leave(link);
        self.tell_refusal(link, why);
        let now = self.now().mono;
        let live_for = self.parts.engine.live_for(link, now);
        self.dialler.link_down(now, link, live_for, ending(why), why);
        let offence = matches!(why, LinkClosed::FrameTooLong { .. }).then_some(Offence::FrameTooLong);
        self.handle(Input::LinkDown { link, offence, why: down_reason(why) });
    }

    /// The peer has closed a link before it said hello: the application should know why it has no link. Where it has another, a
    /// double one that is refused is nothing to tell.
    fn tell_refusal(&self, link: LinkId, why: &LinkClosed) {
        if let LinkClosed::ByPeer { code, .. } = why
            && let Some(reason) = Reason::from_code(u64::from(*code))
            && self.parts.engine.is_greeting(link)
            && let Some(peer) = self.dialler.peer_of(link)
            && !(reason == Reason::Duplicate && self.parts.engine.has_other_link(link))
        {
            self.tell(Event::LinkRefused { peer, reason });
        }
    }
}

/// Whether the peer has gone without a word, for the dialler.
const fn ending(why: &LinkClosed) -> Ending {
    match why {
        LinkClosed::TimedOut | LinkClosed::Transport(_) => Ending::Silent,
        LinkClosed::FrameTooLong { .. }
        | LinkClosed::FrameTooSlow
        | LinkClosed::ProtocolOrder
        | LinkClosed::ByPeer { .. }
        | LinkClosed::ByUs => Ending::Closed,
    }
}

/// What the application is told of a link's end.
fn down_reason(why: &LinkClosed) -> DownReason {
    match why {
        LinkClosed::FrameTooLong { .. } => DownReason::FrameTooLong,
        LinkClosed::FrameTooSlow => DownReason::FrameTooSlow,
        LinkClosed::ProtocolOrder => DownReason::OutOfOrder,
        LinkClosed::ByPeer { code, reason } => match Reason::from_code(u64::from(*code)) {
            Some(reason) => DownReason::ClosedByPeer(reason),
            None => DownReason::PeerCode { code: *code, words: reason.clone() },
        },
        LinkClosed::TimedOut => DownReason::Silent,
        LinkClosed::Transport(why) => DownReason::Transport(why.clone()),
        LinkClosed::ByUs => DownReason::Dropped,
    }
}

#[cfg(test)]
mod tests {
    use crate::key::SecretKey;
    use crate::net::BarePeer;
    use crate::node::Node;
    use crate::protocol::Event;
    use crate::wire::Reason;

    #[tokio::test]
    async fn connection_that_is_refused_gets_no_link() {
        // Given a node that does not admit a peer, whose handshake is done all the same.
        let builder = Node::builder(SecretKey::generate()).network("n").listen("127.0.0.1:0");
        let (mut actor, node) = builder.allow([SecretKey::generate().public()]).assemble().await.unwrap();
        let mut events = node.events();
        let key = SecretKey::generate();
        let dialled = BarePeer::connect(&key, actor.parts.key, node.local_addr());
        let (peer, accepted) = tokio::join!(dialled, actor.parts.endpoint.accept());
        // When it is handed over, then nothing is made for it but a goodbye that says why.
        actor.on_accepted(accepted.unwrap().unwrap());
        assert!(actor.links.is_empty());
        assert_eq!(peer.unwrap().closed().await.0, u64::from(Reason::NotAdmitted.code()));
        let refused = Event::LinkRefused { peer: key.public(), reason: Reason::NotAdmitted };
        actor.act();
        assert_eq!(events.next().await.unwrap().unwrap(), refused);
    }
}
