//! Claims about topics that have an owner, over QUIC.

use std::collections::BTreeSet;
use std::time::Duration;

use vouchsafe::{
    Authors, Builder, ForgetError, JoinError, Node, PublicKey, PublishError, SecretKey, SetAuthorsError,
    Topic, TopicHandle, VerifierPool,
};

async fn soon<T>(what: &str, done: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(60), done).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen"))
}

fn builder(key: &SecretKey, pool: &VerifierPool) -> Builder {
    Node::builder(key.clone()).network("owned").listen("127.0.0.1:0").verifiers(pool.clone())
}

/// Waits until a node knows that these may speak.
async fn knows(topic: &TopicHandle, authors: &[PublicKey]) {
    let authors: BTreeSet<_> = authors.iter().copied().collect();
    let known = async {
        while topic.authors().await.unwrap().unwrap() != authors {
            tokio::task::yield_now().await;
        }
    };
    soon("a list", known).await;
}

#[tokio::test]
async fn an_owner_says_who_may_speak_and_a_restart_knows_it() {
    let pool = VerifierPool::new(1);
    let (own, other) = (SecretKey::generate(), SecretKey::generate());
    let topic = Topic::named("board").authors(Authors::Owned(own.public()));
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let owner = builder(&own, &pool).store(data.path().join("own")).spawn().await.unwrap();
    let board = owner.join(topic.clone()).await.unwrap();
    let (owner_key, author) = (own.public(), other.public());
    let life = || {
        let builder = builder(&other, &pool).store(folder.path().join("other"));
        builder.bootstrap(owner.addr()).spawn()
    };
    let node = life().await.unwrap();
    let there = node.join(topic.clone()).await.unwrap();
    soon("a link", there.wait_for_links(1)).await.unwrap();
    // Until the owner has listed it, it may not speak; nor may it list anybody.
    knows(&there, &[owner_key]).await;
    // What it knows of the list stays as long as the topic is joined.
    let list = there.rules().authors_topic().unwrap().id();
    assert_eq!(node.forget_topic(list).await, Err(ForgetError::Joined(list)));
    assert_eq!(there.publish("may I?").await.unwrap_err(), PublishError::NotAdmitted(author));
    let not_owner = SetAuthorsError::NotOwner { owner: owner_key, author };
    assert_eq!(there.set_authors([author]).await, Err(not_owner));
    let first = board.set_authors([author, owner_key]).await.unwrap();
    knows(&there, &[owner_key, author]).await;
    let mut rumors = board.subscribe();
    there.publish("thanks").await.unwrap();
    let heard = soon("a rumor", rumors.next()).await.unwrap().unwrap();
    assert_eq!((heard.body().as_ref(), heard.author()), (b"thanks".as_ref(), author));
    // What it knows it knows after a restart, though the owner is gone.
    node.shutdown().await;
    let (gone, addr) = (owner.clone(), owner.addr());
    let again = builder(&other, &pool).store(folder.path().join("other")).spawn().await.unwrap();
    let there = again.join(topic.clone()).await.unwrap();
    knows(&there, &[owner_key, author]).await;
    // The next list counts, and whoever is off it may not speak.
    again.connect(addr.unwrap()).await.unwrap();
    assert!(board.set_authors([]).await.unwrap() > first);
    knows(&there, &[owner_key]).await;
    assert_eq!(there.publish("once more?").await.unwrap_err(), PublishError::NotAdmitted(author));
    assert_eq!(board.authors().await.unwrap(), Some([owner_key].into()));
    gone.shutdown().await;
    assert!(board.authors().await.is_err());
    assert_eq!(board.set_authors([]).await, Err(SetAuthorsError::NotPublished(PublishError::Closed)));
}

#[tokio::test]
async fn what_is_no_list_for_its_owner_to_say_is_refused_with_the_reason() {
    let pool = VerifierPool::new(1);
    let own = SecretKey::generate();
    let owner = builder(&own, &pool).spawn().await.unwrap();
    let open = owner.join(Topic::named("open")).await.unwrap();
    assert_eq!(open.set_authors([]).await, Err(SetAuthorsError::NotOwned(open.id())));
    assert_eq!(open.authors().await, Ok(None));
    let listed =
        owner.join(Topic::named("listed").authors(Authors::Listed(vec![own.public()]))).await.unwrap();
    assert_eq!(listed.authors().await, Ok(Some([own.public()].into())));
    let board = owner.join(Topic::named("board").authors(Authors::Owned(own.public()))).await.unwrap();
    let many: Vec<_> = (0..2_001u64)
        .map(|number| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_le_bytes());
            PublicKey::from_bytes(key)
        })
        .collect();
    assert_eq!(board.set_authors(many.iter().copied()).await, Err(SetAuthorsError::TooMany(2_001)));
    // As many as there may be, without a link.
    soon("a list", board.set_authors(many[1..].iter().copied())).await.unwrap();
    assert_eq!(board.authors().await.unwrap().unwrap().len(), 2_001, "and the owner");
    // The topic of the list is no application's.
    let name = format!("vouchsafe authors of {}", board.id());
    let error = owner.join(Topic::named(name)).await.unwrap_err();
    assert_eq!(error, JoinError::System);
    board.leave().await.unwrap();
    assert_eq!(board.authors().await, Ok(Some(BTreeSet::new())));
    let left = SetAuthorsError::NotPublished(PublishError::NotJoined(board.id()));
    assert_eq!(board.set_authors([]).await, Err(left));
}
