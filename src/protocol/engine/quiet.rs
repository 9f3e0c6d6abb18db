//! What the transport tells of links over which nothing comes.

use std::time::Duration;

use crate::protocol::LinkId;
use crate::protocol::engine::Engine;

impl Engine {
    pub(super) fn on_silent(&mut self, id: LinkId, silence: Duration) {
        let now = self.cx.now.mono;
        let Some(link) = self.links.get_mut(id) else { return };
        if link.is_silent(silence, now) {
            let peer = link.peer();
            self.links_of_member_changed(&peer);
        }
    }

    pub(super) fn on_heard(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else { return };
        if link.is_heard_again() {
            let peer = link.peer();
            self.links_of_member_changed(&peer);
        }
    }
}
