//! Futures that are let go of half way, each at all places where it waits, and ends of streams that wait when a node ends.
#![cfg(feature = "memory")]

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinSet;
use vouchsafe::net::MemoryNetwork;
use vouchsafe::{AdmissionOutcome, Builder, IncomingStream, Node, SecretKey, StreamError};

/// Time of the network: nothing here takes so long.
const SOON: Duration = Duration::from_secs(120);

async fn soon<T>(what: &str, done: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, done).await.unwrap_or_else(|_| panic!("{what} did not happen"))
}

fn builder(network: &MemoryNetwork, key: SecretKey) -> Builder {
    Node::builder(key).network("test").memory(network)
}

/// Two nodes that are members of each other.
async fn pair(network: &MemoryNetwork) -> [Node; 2] {
    let one = builder(network, SecretKey::generate()).spawn().await.unwrap();
    let two = builder(network, SecretKey::generate()).bootstrap(one.addr()).spawn().await.unwrap();
    for node in [&one, &two] {
        soon("two members", node.wait_for_members(2)).await.unwrap();
    }
    [one, two]
}

/// Polls it until it is done, or has waited so often, and lets go of it.
async fn waits_at_most<T>(times: usize, future: impl IntoFuture<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future.into_future());
    let mut waited = 0;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if waited == times => Poll::Ready(None),
        Poll::Pending => {
            waited += 1;
            Poll::Pending
        }
    })
    .await
}

/// Begins it again and again, each time to wait once more, until it is done; gives how often it was let go of.
async fn let_go_everywhere<T, F: IntoFuture<Output = T>>(begin: impl Fn() -> F) -> (T, usize) {
    for times in 0.. {
        if let Some(done) = waits_at_most(times, begin()).await {
            return (done, times);
        }
    }
    unreachable!()
}

#[tokio::test(start_paused = true)]
async fn open_that_is_let_go_of_leaves_no_stream_open() {
    let network = MemoryNetwork::with_delay(Duration::from_millis(10));
    let [one, two] = pair(&network).await;
    let mut acceptor = one.accept("chat/1").unwrap();
    let (id, mut let_go) = (one.id(), 0);
    // More often than streams may be open, from before there is a connection on.
    while let_go < 40 {
        let (opened, times) = soon("a stream", let_go_everywhere(|| two.open(id, "chat/1"))).await;
        assert!(times > usize::from(let_go == 0), "it waits for the connection, and for the answer");
        let_go += times;
        let (mut send, _recv) = opened.unwrap();
        send.write_all(b"whole").await.unwrap();
        send.finish().unwrap();
        // What was let go of is broken off, and not whole.
        loop {
            let mut stream = soon("the stream", acceptor.next()).await.unwrap();
            match soon("its end", stream.recv.read_to_end(9)).await {
                Err(StreamError::Dropped) => {}
                whole => break assert_eq!(whole.unwrap(), b"whole"),
            }
        }
    }
    // Nor is what was accepted there, and not yet heard of here: that takes 10 ms each way.
    let late = tokio::time::timeout(Duration::from_millis(15), two.open(id, "chat/1")).await;
    assert!(late.is_err());
    let mut stream = soon("the stream", acceptor.next()).await.unwrap();
    assert_eq!(soon("its end", stream.recv.chunk()).await, Err(StreamError::Dropped));
    drop(stream);
    let mut open = JoinSet::new();
    for _ in 0..16 {
        let two = two.clone();
        open.spawn(async move { two.open(id, "chat/1").await.unwrap() });
    }
    let open = soon("as many as there may be", open.join_all()).await;
    drop(open);
    // A stream is not lost with who has waited for it.
    while let Some(stream) = waits_at_most(0, acceptor.next()).await {
        drop(stream);
    }
    let _open = two.open(id, "chat/1").await.unwrap();
    assert_eq!(soon("the stream", acceptor.next()).await.unwrap().peer, two.id());
    assert_eq!(one.stats().await.unwrap().streams.open, 0);
}

#[tokio::test(start_paused = true)]
async fn ask_that_is_let_go_of_leaves_no_stream_open_and_undoes_nothing() {
    let network = MemoryNetwork::with_delay(Duration::from_millis(10));
    let [one, two] = pair(&network).await;
    let heard = Arc::new(AtomicUsize::new(0));
    let hears = Arc::clone(&heard);
    let answering = one.answer("echo/1", move |_, question| {
        hears.fetch_add(1, Ordering::SeqCst);
        async move { question }
    });
    let _answering = answering.unwrap();
    let (id, mut let_go, mut answered) = (one.id(), 0, 0);
    // More often than there may be streams over a link.
    while let_go < 40 {
        let asked = let_go_everywhere(|| two.ask(id, "echo/1", b"?", SOON));
        let (answer, times) = soon("an answer", asked).await;
        assert_eq!(answer.unwrap(), b"?");
        let_go += times;
        answered += 1;
    }
    let before = heard.load(Ordering::SeqCst);
    assert!((answered..=answered + let_go).contains(&before), "{before} of {answered} and {let_go}");
    // The question is there after 10 ms, and its answer would be here after 20.
    let late = tokio::time::timeout(Duration::from_millis(15), two.ask(id, "echo/1", b"?", SOON)).await;
    assert!(late.is_err());
    assert_eq!(heard.load(Ordering::SeqCst), before + 1, "it is heard, whoever waits");
    soon("an answer", two.ask(id, "echo/1", b"?", SOON)).await.unwrap();
    let left = one.stats().await.unwrap().streams.open;
    assert_eq!(left, 0);
}

#[tokio::test(start_paused = true)]
async fn admission_that_is_let_go_of_takes_no_other_callers_answer() {
    let network = MemoryNetwork::new();
    let node = builder(&network, SecretKey::generate()).spawn().await.unwrap();
    let keys: Vec<_> = (0..8).map(|_| SecretKey::generate().public()).collect();
    let long = Duration::from_secs(3_600);
    for key in &keys {
        // It is let go of when the node has been told, and before that.
        assert!(waits_at_most(0, node.expel(*key, long)).await.is_none());
        // Each caller is told of its own: nobody has expelled this one.
        let outcome = soon("an answer", node.admit(SecretKey::generate().public())).await;
        assert_eq!(outcome.unwrap(), AdmissionOutcome::Open);
    }
    for key in &keys {
        soon("an answer", node.expel(*key, long)).await.unwrap();
        assert!(waits_at_most(0, node.admit(*key)).await.is_none());
        assert_eq!(soon("an answer", node.allowed()).await.unwrap(), None);
        assert!(soon("an answer", node.admit(*key)).await.is_ok());
    }
    assert!(node.stats().await.unwrap().expelled.is_empty());
}

/// How a node ends.
async fn ends(node: Node, in_order: bool) {
    if in_order {
        node.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_at_a_stream_learn_that_either_node_has_ended() {
    for case in 0..8_u8 {
        let [over_link, opener_ends, in_order] = [1, 2, 4].map(|bit| case & bit != 0);
        let network = MemoryNetwork::with_delay(Duration::from_millis(10));
        let opener = builder(&network, SecretKey::generate()).spawn().await.unwrap();
        let accepts = builder(&network, SecretKey::generate()).bootstrap(opener.addr());
        // Whoever tells nobody an address is reached over its link.
        let accepts = if over_link { accepts.without_members() } else { accepts }.spawn().await.unwrap();
        let known = if over_link { 1 } else { 2 };
        soon("members", opener.wait_for_members(known)).await.unwrap();
        soon("a link", opener.wait_for_links(1)).await.unwrap();
        let mut acceptor = accepts.accept("chat/1").unwrap();
        // Given a stream on which nothing is said, and one on which nothing more can be.
        let mut waits = JoinSet::new();
        for is_read in [true, false] {
            let (send, recv) = soon("a stream", opener.open(accepts.id(), "chat/1")).await.unwrap();
            let IncomingStream { send: back, recv: heard, .. } = acceptor.next().await.unwrap();
            for (mut send, mut recv) in [(send, recv), (back, heard)] {
                waits.spawn(async move {
                    if is_read {
                        let (read, told) = tokio::join!(recv.chunk(), send.acknowledged());
                        assert_eq!(read.map_err(drop), told.map(|()| None).map_err(drop));
                        return recv.chunk().await.unwrap_err();
                    }
                    loop {
                        if let Err(error) = send.write_all(&[7; 4096]).await {
                            return error;
                        }
                    }
                });
            }
        }
        assert_eq!(opener.stats().await.unwrap().streams.connections, usize::from(!over_link));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(waits.try_join_next().is_none(), "all of them wait");
        // When one of the nodes ends, then all learn of it.
        let (ended, _lives) = if opener_ends { (opener, accepts) } else { (accepts, opener) };
        ends(ended, in_order).await;
        let mut told = 0;
        while let Some(error) = soon("the end of a stream", waits.join_next()).await {
            let error = error.unwrap();
            assert!(matches!(error, StreamError::Lost(_)), "case {case}: {error:?}");
            told += 1;
        }
        assert_eq!(told, 4);
        let next = if opener_ends { None } else { soon("no more streams", acceptor.next()).await };
        assert!(next.is_none());
    }
}
