//! Streams of applications from one node to another, over QUIC.

use std::time::Duration;

use vouchsafe::{
    AskError, Closed, IncomingStream, Node, OpenError, ProtocolError, SecretKey, StreamError, VerifierPool,
};

const NETWORK: &str = "streams";
const LONG: Duration = Duration::from_secs(60);

async fn soon<T>(what: &str, done: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(LONG, done).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen"))
}

fn builder() -> vouchsafe::Builder {
    let builder = Node::builder(SecretKey::generate()).network(NETWORK).listen("127.0.0.1:0");
    builder.verifiers(VerifierPool::new(1))
}

/// Two nodes with a link, which know each other as members.
async fn pair() -> (Node, Node) {
    let first = builder().spawn().await.unwrap();
    let second = builder().bootstrap(first.addr()).spawn().await.unwrap();
    for node in [&first, &second] {
        soon("two members", node.wait_for_members(2)).await.unwrap();
    }
    (first, second)
}

/// Answers every stream with what is said on it.
fn echo(node: &Node) -> tokio::task::JoinHandle<()> {
    let mut acceptor = node.accept("echo/1").unwrap();
    tokio::spawn(async move {
        while let Some(IncomingStream { mut recv, send, .. }) = acceptor.next().await {
            tokio::spawn(async move { send.finish_with(&recv.read_to_end(1 << 20).await?).await });
        }
    })
}

#[tokio::test]
async fn application_speaks_to_one_member_over_a_connection_of_its_own() {
    let (first, second) = pair().await;
    let mut acceptor = first.accept("chat/1").unwrap();
    let opened = soon("a stream", second.open(first.id(), "chat/1")).await;
    let (mut send, mut recv) = opened.unwrap();
    let mut incoming = soon("the stream", acceptor.next()).await.unwrap();
    assert_eq!(incoming.peer, second.id());
    send.write_all(b"hello").await.unwrap();
    assert_eq!(incoming.recv.chunk().await.unwrap().unwrap(), b"hello"[..]);
    incoming.send.finish_with(b"goodbye").await.unwrap();
    assert_eq!(recv.read_to_end(7).await.unwrap(), b"goodbye");
    send.finish().unwrap();
    assert_eq!(incoming.recv.chunk().await.unwrap(), None);
    let stats = [first.stats().await.unwrap().streams, second.stats().await.unwrap().streams];
    assert_eq!(stats.map(|stats| stats.connections), [1, 1]);
    assert_eq!((stats[0].accepted, stats[1].accepted), (1, 0));
    // The other side opens one over the same connection.
    let _answers = echo(&second);
    let (send, mut recv) = soon("a stream back", first.open(second.id(), "echo/1")).await.unwrap();
    send.finish_with(b"and back").await.unwrap();
    assert_eq!(recv.read_to_end(100).await.unwrap(), b"and back");
    assert_eq!(first.stats().await.unwrap().streams.connections, 1);
}

#[tokio::test]
async fn question_goes_over_the_link_where_there_is_one() {
    let (first, second) = pair().await;
    let _answers = echo(&first);
    for question in [&b""[..], b"are you there?", &[7; 600_000]] {
        let answer = second.ask(first.id(), "echo/1", question, LONG).await.unwrap();
        assert!(answer == question, "{} bytes came back as {}", question.len(), answer.len());
    }
    assert_eq!(second.stats().await.unwrap().streams.connections, 0);
    assert_eq!(first.stats().await.unwrap().streams.accepted, 3);
}

#[tokio::test]
async fn member_without_a_link_is_asked_at_the_address_that_it_tells() {
    // Given a network in which two members have no link to each other.
    let hub = builder().spawn().await.unwrap();
    let narrow = |config: &mut vouchsafe::Config| {
        config.dialling.outbound = 1;
        config.dialling.feelers = 0;
    };
    let leaf = || builder().bootstrap(hub.addr()).config(vouchsafe::Config::default().with(narrow)).spawn();
    let (asked, asker) = (leaf().await.unwrap(), leaf().await.unwrap());
    for node in [&asked, &asker] {
        soon("three members", node.wait_for_members(3)).await.unwrap();
    }
    assert!(asker.stats().await.unwrap().links.iter().all(|link| link.peer != asked.id()));
    // When one asks the other, then it dials it, and no link comes of that.
    let _answers = echo(&asked);
    assert_eq!(asker.ask(asked.id(), "echo/1", b"you?", LONG).await.unwrap(), b"you?");
    assert!(asker.stats().await.unwrap().links.iter().all(|link| link.peer != asked.id()));
    assert_eq!(asked.stats().await.unwrap().streams.connections, 1);
}

#[tokio::test]
async fn peer_that_tells_no_address_is_reached_over_its_link() {
    let first = builder().spawn().await.unwrap();
    let second = builder().without_members().bootstrap(first.addr()).spawn().await.unwrap();
    soon("a link", first.wait_for_links(1)).await.unwrap();
    let _answers = echo(&second);
    let (send, mut recv) = soon("a stream", first.open(second.id(), "echo/1")).await.unwrap();
    send.finish_with(b"over the link").await.unwrap();
    assert_eq!(recv.read_to_end(100).await.unwrap(), b"over the link");
    assert_eq!(first.stats().await.unwrap().streams.connections, 0);
}

#[tokio::test]
async fn protocol_that_nobody_accepts_is_refused_and_told() {
    let (first, second) = pair().await;
    let refused = |protocol: &str| OpenError::NotAccepted { peer: first.id(), protocol: protocol.into() };
    let refusals = async |round: &str| {
        let opened = soon("a refusal", second.open(first.id(), "chat/1")).await;
        assert_eq!(opened.unwrap_err(), refused("chat/1"), "{round}");
        let asked = second.ask(first.id(), "chat/1", b"?", LONG).await;
        assert_eq!(asked.unwrap_err(), AskError::Open(refused("chat/1")), "{round}");
    };
    refusals("nothing is accepted").await;
    let _other = first.accept("other/1").unwrap();
    refusals("something else is accepted").await;
    // It was accepted once and is no longer.
    let acceptor = first.accept("chat/1").unwrap();
    assert!(soon("a stream", second.open(first.id(), "chat/1")).await.is_ok());
    drop(acceptor);
    refusals("it is accepted no longer").await;
}

#[tokio::test]
async fn misuse_is_a_typed_error_that_says_what_to_do() {
    let (first, second) = pair().await;
    let own = second.open(second.id(), "chat/1").await.unwrap_err();
    assert_eq!(own, OpenError::OwnKey(second.id()));
    let stranger = SecretKey::generate().public();
    assert_eq!(second.open(stranger, "chat/1").await.unwrap_err(), OpenError::NoAddress(stranger));
    for name in ["", "chat 1", &"n".repeat(65)] {
        assert!(matches!(second.open(first.id(), name).await, Err(OpenError::Name(_))), "{name:?}");
        assert!(matches!(second.accept(name), Err(ProtocolError::Name(_))), "{name:?}");
        let asked = second.ask(first.id(), name, b"", LONG).await;
        assert!(matches!(asked, Err(AskError::Open(OpenError::Name(_)))), "{name:?}");
    }
    let _acceptor = second.accept("chat/1").unwrap();
    assert_eq!(second.accept("chat/1").unwrap_err(), ProtocolError::Twice("chat/1".into()));
    let _more: Vec<_> = (1..64).map(|number| second.accept(&format!("chat{number}/1")).unwrap()).collect();
    assert_eq!(second.accept("one-more/1").unwrap_err(), ProtocolError::TooMany);
    first.shutdown().await;
    assert_eq!(first.accept("chat/1").unwrap_err(), ProtocolError::Closed(Closed));
    assert_eq!(first.open(second.id(), "chat/1").await.unwrap_err(), OpenError::Closed(Closed));
}

/// Whoever is asked takes the question and does not answer it in time.
async fn is_late(first: &Node, second: &Node) {
    let mut acceptor = first.accept("slow/1").unwrap();
    let within = Duration::from_millis(100);
    loop {
        let mut ask = std::pin::pin!(second.ask(first.id(), "slow/1", b"", within));
        let (answer, held) = tokio::select! {
            answer = &mut ask => (answer, None),
            held = acceptor.next() => (ask.as_mut().await, held),
        };
        assert_eq!(answer.unwrap_err(), AskError::Late { peer: first.id(), within });
        // On a busy machine the time may be over before the question has come.
        if held.is_some() {
            return;
        }
    }
}

#[tokio::test]
async fn answer_that_is_late_or_broken_off_or_too_long_is_none() {
    let (first, second) = pair().await;
    soon("a late answer", is_late(&first, &second)).await;
    // What is let go of is not whole.
    let mut acceptor = first.accept("bad/1").unwrap();
    let ask = || second.ask(first.id(), "bad/1", b"", LONG);
    let broken = async {
        let mut stream = soon("a question", acceptor.next()).await.unwrap();
        stream.send.write_all(b"half of").await.unwrap();
    };
    let (answer, ()) = tokio::join!(ask(), broken);
    let none = |why| AskError::NoAnswer { peer: first.id(), why };
    assert_eq!(answer.unwrap_err(), none(StreamError::Dropped));
    let coded = async { soon("a question", acceptor.next()).await.unwrap().send.reset(17) };
    let (answer, ()) = tokio::join!(ask(), coded);
    assert_eq!(answer.unwrap_err(), none(StreamError::Reset { code: 17 }));
    let long = async {
        let stream = soon("a question", acceptor.next()).await.unwrap();
        let said = stream.send.finish_with(&vec![0; (1 << 20) + 1]).await;
        assert!(matches!(said, Ok(()) | Err(StreamError::Stopped { .. })), "{said:?}");
    };
    let (answer, ()) = tokio::join!(ask(), long);
    assert_eq!(answer.unwrap_err(), none(StreamError::TooLong { limit: 1 << 20 }));
}

#[tokio::test]
async fn stream_that_nobody_takes_is_refused_when_enough_wait() {
    let (first, second) = pair().await;
    let mut acceptor = first.accept("chat/1").unwrap();
    // As many as one connection may have wait at the other side's application, from several members.
    let mut others = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..5 {
        let other = builder().bootstrap(first.addr()).spawn().await.unwrap();
        soon("members", other.wait_for_members(2)).await.unwrap();
        for _ in 0..16 {
            streams.push(soon("a stream or a refusal", other.open(first.id(), "chat/1")).await);
        }
        others.push(other);
    }
    assert_eq!(streams.iter().filter(|stream| stream.is_ok()).count(), 64);
    let busy = streams.iter().filter(|stream| matches!(stream, Err(OpenError::Busy(_)))).count();
    assert_eq!(busy, 16);
    assert_eq!(first.stats().await.unwrap().streams.busy, 16);
    assert!(acceptor.next().await.is_some());
    assert!(soon("a stream", second.open(first.id(), "chat/1")).await.is_ok());
}

#[tokio::test]
async fn node_of_another_network_has_no_streams_here() {
    let first = builder().spawn().await.unwrap();
    let other =
        Node::builder(SecretKey::generate()).network("another").listen("127.0.0.1:0").spawn().await.unwrap();
    let _answers = echo(&first);
    // It can't be a member, so it learns the address in another way.
    other.suggest(first.addr().unwrap()).await.unwrap();
    let opened = soon("a refusal", other.open(first.id(), "echo/1")).await;
    let Err(OpenError::Refused { peer, reason }) = opened else { panic!("{opened:?}") };
    assert_eq!((peer, reason), (first.id(), vouchsafe::Reason::OtherNetwork));
}

#[tokio::test]
async fn node_that_is_not_allowed_has_no_streams_here() {
    let friend = SecretKey::generate();
    let first = builder().allow([friend.public()]).spawn().await.unwrap();
    let _answers = echo(&first);
    let (friend, stranger) = (Node::builder(friend), Node::builder(SecretKey::generate()));
    for (builder, is_heard) in [(friend, true), (stranger, false)] {
        let node = builder.network(NETWORK).listen("127.0.0.1:0").spawn().await.unwrap();
        node.suggest(first.addr().unwrap()).await.unwrap();
        let opened = soon("an answer", node.open(first.id(), "echo/1")).await;
        match opened {
            Ok(_) => assert!(is_heard),
            Err(OpenError::Refused { reason, .. }) => {
                assert_eq!((reason, is_heard), (vouchsafe::Reason::NotAdmitted, false));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn streams_end_with_the_node() {
    let (first, second) = pair().await;
    let mut acceptor = first.accept("chat/1").unwrap();
    let (mut send, mut recv) = second.open(first.id(), "chat/1").await.unwrap();
    let mut incoming = acceptor.next().await.unwrap();
    first.shutdown().await;
    assert!(soon("no more streams", acceptor.next()).await.is_none());
    for recv in [&mut recv, &mut incoming.recv] {
        assert!(matches!(soon("the end", recv.chunk()).await, Err(StreamError::Lost(_))));
    }
    let lost = soon("the end", async {
        loop {
            if let Err(error) = send.write_all(&[0; 1024]).await {
                return error;
            }
        }
    });
    assert!(matches!(lost.await, StreamError::Lost(_)));
}

#[tokio::test]
async fn bytes_arrive_whole_and_in_order_while_many_streams_share_a_connection() {
    let (first, second) = pair().await;
    let _answers = echo(&first);
    let mut tasks = tokio::task::JoinSet::new();
    // More than may be open at once: the others wait for their turn.
    for number in 0..100_u8 {
        let (second, first) = (second.clone(), first.id());
        tasks.spawn(async move {
            let said = vec![number; 10_000 + usize::from(number)];
            let (send, mut recv) = second.open(first, "echo/1").await.unwrap();
            let (sent, heard) = tokio::join!(send.finish_with(&said), recv.read_to_end(1 << 20));
            sent.unwrap();
            assert!(heard.unwrap() == said);
        });
    }
    while let Some(done) = soon("all answers", tasks.join_next()).await {
        done.unwrap();
    }
    assert_eq!(second.stats().await.unwrap().streams.connections, 1);
}

#[tokio::test]
async fn questions_are_answered_side_by_side_until_nobody_answers_any_more() {
    let (first, second) = pair().await;
    let asker = second.id();
    // The one that is asked first is answered last.
    let release = std::sync::Arc::new(tokio::sync::Notify::new());
    let waits = release.clone();
    let answering = first.answer("side/1", move |peer, question| {
        let waits = waits.clone();
        async move {
            assert_eq!(peer, asker);
            if question == b"slow" {
                waits.notified().await;
            }
            question
        }
    });
    let answering = answering.unwrap();
    let slow = second.ask(first.id(), "side/1", b"slow", LONG);
    let quick = async {
        let answer = second.ask(first.id(), "side/1", b"quick", LONG).await.unwrap();
        release.notify_one();
        answer
    };
    let (slow, quick) = soon("both answers", async { tokio::join!(slow, quick) }).await;
    assert_eq!((slow.unwrap(), quick), (b"slow".to_vec(), b"quick".to_vec()));
    // What is under way when it is dropped is broken off.
    let (broken, ()) = tokio::join!(second.ask(first.id(), "side/1", b"slow", LONG), async {
        while first.stats().await.unwrap().streams.accepted < 3 {
            tokio::task::yield_now().await;
        }
        drop(answering);
    });
    assert!(matches!(broken, Err(AskError::NoAnswer { .. })), "{broken:?}");
    let after = second.ask(first.id(), "side/1", b"quick", LONG).await;
    assert!(matches!(after, Err(AskError::Open(OpenError::NotAccepted { .. }))), "{after:?}");
}

#[tokio::test]
async fn question_that_is_too_long_is_not_answered() {
    let (first, second) = pair().await;
    let _answering = first.answer("echo/1", |_, question| async move { question[..1].to_vec() }).unwrap();
    let whole = vec![7; 1 << 20];
    assert_eq!(second.ask(first.id(), "echo/1", &whole, LONG).await.unwrap(), [7]);
    let longer = second.ask(first.id(), "echo/1", &vec![7; (1 << 20) + 1], LONG).await;
    assert!(matches!(longer, Err(AskError::NoAnswer { .. })), "{longer:?}");
}

#[tokio::test]
async fn expelled_member_loses_its_streams_and_opens_no_more() {
    let (first, second) = pair().await;
    let _answers = echo(&first);
    let (_send, mut recv) = soon("a stream", second.open(first.id(), "echo/1")).await.unwrap();
    first.expel(second.id(), LONG).await.unwrap();
    assert!(matches!(soon("the end", recv.chunk()).await, Err(StreamError::Lost(_))));
    let again = soon("a refusal", second.open(first.id(), "echo/1")).await;
    assert!(matches!(again, Err(OpenError::Refused { .. })), "{again:?}");
    // Nor does the node that expelled it speak with it.
    let back = first.open(second.id(), "echo/1").await;
    assert!(matches!(back, Err(OpenError::Barred { .. })), "{back:?}");
}
