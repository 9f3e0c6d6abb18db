//! What comes from the endpoint: peers that dialled us, and how the socket does.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::message::Message;
use crate::net::{Endpoint, SocketState, handshake_failed};
use crate::protocol::StopReason;

/// The tasks that tell the actor. They end when the set is dropped.
pub(super) fn listen(endpoint: &Arc<Endpoint>, inbox: &mpsc::WeakSender<Message>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(accept(Arc::clone(endpoint), inbox.clone()));
    tasks.spawn(watch(Arc::clone(endpoint), inbox.clone()));
    tasks
}

/// Hands finished handshakes to the actor.
async fn accept(endpoint: Arc<Endpoint>, inbox: mpsc::WeakSender<Message>) {
    loop {
        let message = match endpoint.accept().await {
            Some(Ok(connection)) => Message::Accepted(connection),
            // Failed handshakes are counted by the endpoint.
            Some(Err(error)) => {
                handshake_failed(&error);
                continue;
            }
            // Not by us: this task ends before the actor closes the endpoint.
            None => Message::Socket(SocketState::Lost(StopReason::EndpointClosed)),
        };
        let ends = matches!(message, Message::Socket(_));
        let Some(inbox) = inbox.upgrade() else { return };
        if inbox.send(message).await.is_err() || ends {
            return;
        }
    }
}

/// Tells the actor when the socket fails, works again, or is lost.
async fn watch(endpoint: Arc<Endpoint>, inbox: mpsc::WeakSender<Message>) {
    let mut known = SocketState::Works;
    loop {
        known = endpoint.state_other_than(&known).await;
        let Some(inbox) = inbox.upgrade() else { return };
        if inbox.send(Message::Socket(known.clone())).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use crate::key::SecretKey;
    use crate::node::Node;
    use crate::protocol::{Event, Impairment, StopReason};

    #[tokio::test]
    async fn node_whose_socket_is_lost_says_so_and_ends() {
        let builder = Node::builder(SecretKey::from_seed(&[1; 32])).listen("127.0.0.1:0");
        let (actor, node) = builder.assemble().await.unwrap();
        let endpoint = std::sync::Arc::clone(&actor.parts.endpoint);
        let mut events = node.events();
        tokio::spawn(actor.run());
        endpoint.faults().hopeless.store(true, Ordering::SeqCst);
        endpoint.faults().binds.store(u64::MAX, Ordering::SeqCst);
        endpoint.faults().broken.store(true, Ordering::SeqCst);
        let noise = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        noise.send_to(b"noise", node.local_addr()).await.unwrap();
        let impaired = Event::Impaired { what: Impairment::Socket, until_ms: None };
        assert_eq!(events.next().await.unwrap().unwrap(), impaired);
        let stopped = events.next().await.unwrap().unwrap();
        let lost = |event: &Event| matches!(event, Event::Stopped { why: StopReason::SocketLost { addr, .. } } if *addr == node.local_addr());
        assert!(lost(&stopped), "{stopped:?}");
        assert!(events.next().await.is_none());
        assert!(node.stats().await.is_err());
    }
}
