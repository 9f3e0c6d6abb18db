//! Members that a node may dial: what they say of their addresses goes to the dialler.

use std::net::{IpAddr, SocketAddr};

use super::Host;
use super::actor::Actor;
use crate::protocol::{Input, MemberEvent, Origin};

impl Actor {
    /// Something has happened to a member.
    pub(super) fn on_member(&mut self, event: MemberEvent) {
        if let MemberEvent::Joined(key) | MemberEvent::Returned(key) | MemberEvent::Updated(key) = event {
            let now = self.now().mono;
            let addresses = self.parts.engine.member(&key).map(|member| member.addresses).unwrap_or_default();
            for address in addresses.into_iter().filter(|address| self.place.dials(address)) {
                // At the bound it is not remembered: it comes again when it is updated.
                let _ = self.dialler.suggest(now, key, Host::Socket(address), Origin::Found);
            }
        }
        let now = self.now().mono;
        match event {
            MemberEvent::Failed(key, _) => self.dialler.member_failed(now, &key),
            // (Of events that come soon one after another the last is told.)
            MemberEvent::Joined(key)
            | MemberEvent::Returned(key)
            | MemberEvent::Restarted(key)
            | MemberEvent::Updated(key) => self.dialler.member_returned(now, &key),
            MemberEvent::Left(key) => self.dialler.member_left(&key),
            _ => {}
        }
        super::trace::told_of_member(&event);
        // No receivers: ignored.
        drop(self.parts.members.events.send(event));
    }

    /// A peer was dialled that answered from there, and this node went out from here: where nothing else is known, others find it here too.
    pub(super) fn learns_address(&mut self, remote: IpAddr, local: Option<IpAddr>) {
        let port = self.parts.endpoint.local_addr().map_or(0, |addr| addr.port());
        if let Some(ip) = self.place.answers(remote, local) {
            self.handle(Input::Advertise { addresses: vec![SocketAddr::new(ip, port)] });
        }
    }
}
