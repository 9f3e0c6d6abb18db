//! How many links each network group has dialled: one neighbourhood of the Internet must not hold all our places.

use std::collections::HashMap;

use crate::net::{Connection, Endpoint, NetGroup};
use crate::protocol::LinkId;

/// Inbound links by group. At most as many as there are links.
#[derive(Debug, Default)]
pub(super) struct Groups {
    of_link: HashMap<LinkId, NetGroup>,
    links: HashMap<NetGroup, u32>,
}

impl Groups {
    /// Counts a link that a peer has dialled; false if its group has as many as it may.
    pub(super) fn enter(&mut self, link: LinkId, connection: &Connection, endpoint: &Endpoint) -> bool {
        let group = connection.group();
        let Some(most) = endpoint.links_of(group).filter(|_| !connection.dialled) else { return true };
        let links = self.links.entry(group).or_default();
        let room = *links < most;
        if room {
            *links += 1;
            self.of_link.insert(link, group);
        }
        room
    }

    /// The link is gone.
    pub(super) fn leave(&mut self, link: LinkId) {
        let Some(group) = self.of_link.remove(&link) else { return };
        if let Some(links) = self.links.get_mut(&group) {
            *links -= 1;
            if *links == 0 {
                self.links.remove(&group);
            }
        }
    }
}
