//! Connections of the application's own protocols, which come in on the port of the node.

use super::Node;

impl Node {
    /// The next connection of one of the application's [other protocols](crate::Builder::other_protocols), with its handshake done; `None` once the
    /// node has ended, or if it was built without them. `handshake_data` of the connection says for which protocol it is. Those that have
    /// ended before they were asked for are left out. Cancel safe.
    ///
    /// Call it in a loop and serve each connection in a task of its own: 64 wait, and one more is closed and counted in
    /// [`NodeStats::refusals`](crate::NodeStats).
    pub async fn accept_other(&self) -> Option<quinn::Connection> {
        self.speaker().endpoint().accept_other().await
    }
}
