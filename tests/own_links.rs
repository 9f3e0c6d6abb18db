//! Claims about what a node's own links tell of members, over QUIC and through a path that vanishes or changes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use vouchsafe::{MemberEvent, MemberLink, Node, PeerAddr, SecretKey, VerifierPool};

async fn soon<T>(what: &str, done: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(60), done).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen"))
}

async fn local() -> Arc<UdpSocket> {
    Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap())
}

/// What stands between one node and another, as a router does: it sends on what comes, from an address of its own.
struct Router {
    inside: SocketAddr,
    /// The socket that the node behind it sees packets from; none while the path is cut.
    outside: watch::Sender<Option<Arc<UdpSocket>>>,
    tasks: [JoinHandle<()>; 2],
}

impl Router {
    async fn before(node: SocketAddr) -> Self {
        let (inside, (outside, mapping)) = (local().await, watch::channel(Some(local().await)));
        let (client, who) = watch::channel(None);
        let (there, mut back) = (Arc::clone(&inside), mapping.clone());
        let forth = tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            while let Ok((len, from)) = there.recv_from(&mut buffer).await {
                client.send_replace(Some(from));
                let socket = mapping.borrow().clone();
                if let Some(socket) = socket {
                    // A datagram that is lost is lost.
                    let _ = socket.send_to(&buffer[..len], node).await;
                }
            }
        });
        let home = Arc::clone(&inside);
        let back = tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            loop {
                let socket = back.borrow_and_update().clone();
                let received = async {
                    match &socket {
                        Some(socket) => socket.recv_from(&mut buffer).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    changed = back.changed() => if changed.is_err() { return },
                    Ok((len, _)) = received => {
                        let to = *who.borrow();
                        if let Some(to) = to {
                            let _ = home.send_to(&buffer[..len], to).await;
                        }
                    }
                }
            }
        });
        Self { inside: inside.local_addr().unwrap(), outside, tasks: [forth, back] }
    }

    fn cut(&self) {
        self.outside.send_replace(None);
    }

    /// It forgets its mapping: from now on packets come from another address.
    async fn forget(&self) {
        self.outside.send_replace(Some(local().await));
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Two members, the second of which has dialled the first through a router and knows no other way.
async fn pair() -> (Node, Node, Router) {
    let pool = VerifierPool::new(1);
    let builder = || {
        let builder = Node::builder(SecretKey::generate()).network("links").listen("127.0.0.1:0");
        builder.verifiers(pool.clone())
    };
    // Nobody is told where it listens: there it is not.
    let one = builder().advertise("127.0.0.1:9").spawn().await.unwrap();
    let router = Router::before(one.local_addr()).await;
    let two = builder().advertise("127.0.0.1:9").bootstrap([PeerAddr::new(one.id(), router.inside)]);
    let two = two.spawn().await.unwrap();
    for node in [&one, &two] {
        soon("two members", node.wait_for_members(2)).await.unwrap();
    }
    (one, two, router)
}

/// The next one, but for what a machine tells that has stood still for some seconds: to it all are late, and come back.
async fn next(events: &mut vouchsafe::MemberEvents) -> MemberEvent {
    loop {
        let event =
            soon("an event", events.next()).await.expect("the node runs").expect("it is read in time");
        if !matches!(event, MemberEvent::Stale(_) | MemberEvent::Returned(_) | MemberEvent::Isolated) {
            return event;
        }
    }
}

#[tokio::test]
async fn a_path_that_vanishes_makes_both_ends_unreachable_and_fails_nobody_before_its_lease() {
    let (one, two, router) = pair().await;
    let (mut at_one, mut at_two) = (one.member_events(), two.member_events());
    router.cut();
    assert_eq!(next(&mut at_one).await, MemberEvent::Unreachable(two.id()));
    assert_eq!(next(&mut at_two).await, MemberEvent::Unreachable(one.id()));
    let shown = one.member(&two.id()).await.unwrap().unwrap();
    assert!(matches!(shown.link, MemberLink::Quiet { .. }));
    assert!(shown.state.is_here(), "own links change no state, but it is {:?}", shown.state);
}

#[tokio::test]
async fn a_rebound_path_is_linked_again_before_anybody_fails() {
    let (one, two, router) = pair().await;
    let mut at_two = two.member_events();
    router.forget().await;
    // What is said now gets through, though the old link hears nothing any more and would end only after its lease.
    one.set_metadata("again").await.unwrap();
    loop {
        match next(&mut at_two).await {
            MemberEvent::Updated(who) if who == one.id() => break,
            MemberEvent::Unreachable(_) | MemberEvent::Reachable(_) => {}
            event => panic!("{event}"),
        }
    }
    assert_eq!(two.member(&one.id()).await.unwrap().unwrap().link, MemberLink::Up);
}

#[tokio::test]
async fn who_ends_without_a_word_is_unreachable_at_once() {
    let (one, two, _router) = pair().await;
    let mut at_one = one.member_events();
    let gone = two.id();
    two.shutdown_silently().await;
    assert_eq!(next(&mut at_one).await, MemberEvent::Unreachable(gone));
    assert!(one.member(&gone).await.unwrap().unwrap().state.is_here());
}
