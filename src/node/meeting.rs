//! Members that a node may dial: what they say of their addresses goes to the dialler.

use std::net::{IpAddr, SocketAddr};

use super::Host;
use super::actor::Actor;
use crate::protocol::{Input, Member, MemberEvent, MemberState, Mono, Origin};

impl Actor {
    /// Something has happened to a member. What the dialler hears is what is shown of it now: of events that come soon one after another
    /// the last is told.
    pub(super) fn on_member(&mut self, event: MemberEvent) {
        if let Some(member) = event.member().and_then(|key| self.parts.engine.member(key)) {
            let now = self.now().mono;
            match member.state {
                MemberState::Failed(_) => self.dialler.member_failed(now, &member.key),
                MemberState::Left => self.dialler.member_left(&member.key),
                _ => self.meet(now, &member),
            }
        }
        if let MemberEvent::Removed(key) = &event {
            self.dialler.member_left(key);
        }
        super::trace::told_of_member(&event);
        // No receivers: ignored.
        drop(self.parts.members.events.send(event));
    }

    fn meet(&mut self, now: Mono, member: &Member) {
        for address in member.addresses.iter().filter(|address| self.place.dials(address)) {
            // At the bound it is not remembered: it comes again with the next event.
            let _ = self.dialler.suggest(now, member.key, Host::Socket(*address), Origin::Found);
        }
        self.dialler.member_returned(now, &member.key);
    }

    /// A peer was dialled that answered from there, and this node went out from here: where nothing else is known, others find it here too.
    pub(super) fn learns_address(&mut self, remote: IpAddr, local: Option<IpAddr>) {
        let port = self.parts.endpoint.local_addr().map_or(0, |addr| addr.port());
        if let Some(ip) = self.place.answers(remote, local) {
            self.handle(Input::Advertise { addresses: vec![SocketAddr::new(ip, port)] });
        }
    }
}
