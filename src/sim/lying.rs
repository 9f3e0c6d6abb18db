//! Where a liar stands between its machine and the network.

use bytes::Bytes;

use super::network::Network;
use super::queue::NodeIndex;
use crate::protocol::LinkId;

impl Network {
    /// A liar hears a frame and may answer at once.
    pub(super) fn hear(&mut self, node: NodeIndex, link: LinkId, payload: &Bytes) {
        let now = self.now_of(node);
        let Some(this) = self.nodes.get_mut(node as usize) else { return };
        let links = if this.twist.is_some() { this.links() } else { return };
        let Some(twist) = &mut this.twist else { return };
        for (link, lie) in twist.incoming(now, &links, link, payload) {
            self.transmit(node, link, lie);
        }
    }
}
