//! Questions to all who have joined a topic: over QUIC, and in memory where they wait for what takes its time.
#![cfg_attr(
    not(feature = "memory"),
    allow(unused_imports, dead_code, reason = "what is there for tests in memory")
)]

use std::time::Duration;

#[cfg(feature = "memory")]
use vouchsafe::net::MemoryNetwork;
use vouchsafe::{
    AnswerError, Answers, AnswersEnd, Authors, Node, QueryError, SecretKey, Topic, TopicHandle, VerifierPool,
};

const NETWORK: &str = "queries";
const LONG: Duration = Duration::from_secs(60);

async fn soon<T>(what: &str, done: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(LONG, done).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen"))
}

fn builder(pool: &VerifierPool) -> vouchsafe::Builder {
    let builder = Node::builder(SecretKey::generate()).network(NETWORK).listen("127.0.0.1:0");
    builder.verifiers(pool.clone()).topic(Topic::named("ops"))
}

#[cfg(feature = "memory")]
fn in_memory(network: &MemoryNetwork) -> vouchsafe::Builder {
    builder(&VerifierPool::new(1)).memory(network).listen("0.0.0.0:0")
}

/// So many nodes that know each other, each with the topic.
async fn network(count: usize, builder: impl Fn() -> vouchsafe::Builder) -> (Vec<Node>, Vec<TopicHandle>) {
    let mut nodes: Vec<Node> = Vec::new();
    for _ in 0..count {
        let known = nodes.first().and_then(Node::addr);
        nodes.push(builder().bootstrap(known).spawn().await.unwrap());
    }
    let mut topics = Vec::new();
    for node in &nodes {
        soon("all members", node.wait_for_members(count)).await.unwrap();
        topics.push(node.join(Topic::named("ops")).await.unwrap());
    }
    (nodes, topics)
}

/// Answers each question with its own words and this number.
async fn answer_all(topic: &TopicHandle, number: usize) -> tokio::task::JoinHandle<Vec<AnswerError>> {
    let mut questions = topic.questions().await.unwrap();
    tokio::spawn(async move {
        let mut refused = Vec::new();
        while let Some(question) = questions.next().await {
            let question = question.unwrap();
            let answer = format!("{} {number}", String::from_utf8_lossy(question.body()));
            refused.extend(question.answer(answer.as_bytes()).await.err());
        }
        refused
    })
}

/// Asks as soon as the node knows of one that takes questions.
async fn ask(topic: &TopicHandle, words: &'static str, most: usize) -> Answers {
    let asked = async {
        loop {
            match topic.query(words).within(LONG).most(most).await {
                Err(QueryError::Nobody { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
                asked => return asked.unwrap(),
            }
        }
    };
    soon("one that takes questions", asked).await
}

async fn bodies(answers: &mut Answers) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(answer) = soon("an answer or the end", answers.next()).await {
        all.push(String::from_utf8(answer.body).unwrap());
    }
    all.sort();
    all
}

#[tokio::test]
async fn question_is_answered_by_all_who_take_it_and_by_each_once() {
    let pool = VerifierPool::new(1);
    let (nodes, topics) = network(6, || builder(&pool)).await;
    let mut tasks = Vec::new();
    for (number, topic) in topics.iter().enumerate().skip(1) {
        tasks.push(answer_all(topic, number).await);
    }
    let mut answers = ask(&topics[0], "load?", 5).await;
    assert_eq!(bodies(&mut answers).await, ["load? 1", "load? 2", "load? 3", "load? 4", "load? 5"]);
    assert_eq!(answers.end(), Some(AnswersEnd::Enough));
    assert_eq!(answers.refused(), 0);
    // The asker is named by its node key, and the answers by theirs.
    let mut again = topics[0].query("who?").within(LONG).most(5).await.unwrap();
    let mut from = Vec::new();
    while let Some(answer) = soon("an answer", again.next()).await {
        from.push(answer.from);
    }
    from.sort();
    let mut all: Vec<_> = nodes[1..].iter().map(Node::id).collect();
    all.sort();
    assert_eq!(from, all);
    // Nothing of it is said in the topic itself.
    let mut rumors = topics[1].subscribe();
    topics[0].publish("a rumor").await.unwrap();
    assert_eq!(soon("the rumor", rumors.next()).await.unwrap().unwrap().body()[..], b"a rumor"[..]);
}

#[cfg(feature = "memory")]
#[tokio::test(start_paused = true)]
async fn answers_end_when_the_time_is_over_or_there_are_enough() {
    let memory = MemoryNetwork::new();
    let (_nodes, topics) = network(4, || in_memory(&memory)).await;
    // Nobody takes questions, and then nobody answers them.
    assert_eq!(topics[0].query("anybody?").await.unwrap_err(), QueryError::Nobody { links: 3 });
    let unread = topics[1].questions().await.unwrap();
    soon("the neighbour that takes them", async {
        loop {
            let Ok(mut silent) = topics[0].query("anybody?").within(Duration::from_millis(300)).await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            assert!(bodies(&mut silent).await.is_empty());
            return assert_eq!(silent.end(), Some(AnswersEnd::Late));
        }
    })
    .await;
    drop(unread);
    let mut tasks = Vec::new();
    for (number, topic) in topics.iter().enumerate().skip(1) {
        tasks.push(answer_all(topic, number).await);
    }
    // Each of the three others has a share of 6 bytes, which the answers of six fill, and those of seven exceed.
    let mut few = topics[0].query("1234").within(Duration::from_secs(3)).bytes(3 * 6 + 2).await.unwrap();
    assert_eq!(bodies(&mut few).await.len(), 3);
    let mut none = topics[0].query("12345").within(Duration::from_secs(2)).bytes(3 * 6 + 2).await.unwrap();
    assert_eq!(bodies(&mut none).await.len(), 0);
    assert_eq!((none.end(), none.refused()), (Some(AnswersEnd::Late), 3));
    let mut one = topics[0].query("one").within(LONG).most(1).await.unwrap();
    assert_eq!(bodies(&mut one).await.len(), 1);
    assert_eq!(one.end(), Some(AnswersEnd::Enough));
}

#[cfg(feature = "memory")]
#[tokio::test(start_paused = true)]
async fn who_answers_too_late_too_long_or_in_vain_is_told() {
    let memory = MemoryNetwork::new();
    let (_nodes, topics) = network(2, || in_memory(&memory)).await;
    let mut questions = topics[1].questions().await.unwrap();
    let mut next = async || soon("a question", questions.next()).await.unwrap().unwrap();
    let answers = topics[0].query("?").within(LONG).most(1).await.unwrap();
    let question = next().await;
    assert!(question.remaining() > LONG / 2);
    let long = question.answer(&[0; 64 * 1024 + 1]).await.unwrap_err();
    assert_eq!(long, AnswerError::TooLong { len: 64 * 1024 + 1, most: 64 * 1024 });
    drop(answers);
    let answers = topics[0].query("?").within(LONG).most(1).await.unwrap();
    let question = next().await;
    drop(answers);
    assert_eq!(question.answer(b"!").await.unwrap_err(), AnswerError::NotAsked);
    let _answers = topics[0].query("?").within(LONG).most(0).await.unwrap();
    assert_eq!(next().await.answer(b"!").await.unwrap_err(), AnswerError::Enough);
    let _answers = topics[0].query("?").within(Duration::from_millis(50)).await.unwrap();
    let question = next().await;
    tokio::time::sleep(question.remaining()).await;
    assert_eq!(question.answer(b"!").await.unwrap_err(), AnswerError::Late);
}

#[cfg(feature = "memory")]
#[tokio::test(start_paused = true)]
async fn answers_end_with_the_node_that_asked() {
    let memory = MemoryNetwork::new();
    let (nodes, topics) = network(2, || in_memory(&memory)).await;
    let mut questions = topics[1].questions().await.unwrap();
    let mut answers = topics[0].query("?").within(LONG / 2).await.unwrap();
    let question = soon("a question", questions.next()).await.unwrap().unwrap();
    let (none, ()) = soon("the end", async { tokio::join!(answers.next(), nodes[0].shutdown()) }).await;
    assert_eq!((none, answers.end()), (None, Some(AnswersEnd::Closed)));
    // Nor does who would answer wait for longer than the asker said it would.
    let refused = soon("an error", question.answer(b"!")).await.unwrap_err();
    assert!(matches!(refused, AnswerError::NotReached(_) | AnswerError::Late), "{refused:?}");
}

/// Polls it until it is done, or has waited so often, and lets go of it.
#[cfg(feature = "memory")]
async fn waits_at_most<T>(times: usize, future: impl IntoFuture<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future.into_future());
    let mut waited = 0;
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        std::task::Poll::Ready(done) => std::task::Poll::Ready(Some(done)),
        std::task::Poll::Pending if waited == times => std::task::Poll::Ready(None),
        std::task::Poll::Pending => {
            waited += 1;
            std::task::Poll::Pending
        }
    })
    .await
}

#[cfg(feature = "memory")]
#[tokio::test(start_paused = true)]
async fn question_that_is_let_go_of_half_way_leaves_room_for_another() {
    let memory = MemoryNetwork::new();
    let (_nodes, topics) = network(2, || in_memory(&memory)).await;
    let task = answer_all(&topics[1], 1).await;
    // Far more often than there may be open questions, each at a place further on.
    let mut let_go = 0;
    while let_go < 200 {
        let mut times = 0;
        while waits_at_most(times, topics[0].query("?").within(LONG)).await.map(Result::unwrap).is_none() {
            times += 1;
        }
        let_go += times;
    }
    let mut answers = topics[0].query("!").within(LONG).most(1).await.unwrap();
    assert_eq!(bodies(&mut answers).await, ["! 1"]);
    task.abort();
}

#[cfg(feature = "memory")]
#[tokio::test(start_paused = true)]
async fn question_is_not_lost_with_who_has_waited_for_it() {
    let memory = MemoryNetwork::new();
    let owner = in_memory(&memory).spawn().await.unwrap();
    let other = in_memory(&memory).bootstrap(owner.addr()).spawn().await.unwrap();
    // The list of the owner is looked at for each question.
    let owned = || Topic::named("owned").authors(Authors::Owned(owner.author()));
    let topics = [owner.join(owned()).await.unwrap(), other.join(owned()).await.unwrap()];
    topics[0].set_authors([other.author()]).await.unwrap();
    let mut questions = topics[0].questions().await.unwrap();
    soon("members", other.wait_for_members(2)).await.unwrap();
    soon("a link", topics[1].wait_for_links(1)).await.unwrap();
    let _answers = topics[1].query("?").within(LONG).await.unwrap();
    let mut let_go = 0;
    let question = soon("the question", async {
        loop {
            match waits_at_most(let_go, questions.next()).await {
                None => let_go += 1,
                Some(question) => return question,
            }
        }
    });
    assert_eq!(question.await.unwrap().unwrap().body()[..], b"?"[..]);
    assert!(let_go > 0, "it was let go of while the list was looked at");
}

#[tokio::test]
async fn question_that_nobody_could_answer_is_not_asked() {
    let pool = VerifierPool::new(1);
    // It is no member, so nobody knows where it is.
    let hidden = builder(&pool).without_members().spawn().await.unwrap();
    let topic = hidden.join(Topic::named("ops")).await.unwrap();
    assert_eq!(topic.query("load?").await.unwrap_err(), QueryError::NoAddress);
    // It listens on all interfaces and has no link that would tell it where it is.
    let anywhere = builder(&pool).listen("0.0.0.0:0").spawn().await.unwrap();
    let topic = anywhere.join(Topic::named("ops")).await.unwrap();
    assert_eq!(topic.query("load?").await.unwrap_err(), QueryError::NoAddress);
    let node = builder(&pool).spawn().await.unwrap();
    let topic = node.join(Topic::named("ops")).await.unwrap();
    let most = 16 * 1024;
    let long = topic.query(vec![0; most + 1]).await.unwrap_err();
    assert_eq!(long, QueryError::TooLong { len: most + 1, most });
    let never = topic.query("load?").within(Duration::ZERO).await.unwrap_err();
    assert_eq!(never, QueryError::Within(Duration::ZERO));
    assert_eq!(topic.query("load?").await.unwrap_err(), QueryError::Nobody { links: 0 });
    let other = builder(&pool).bootstrap(node.addr()).spawn().await.unwrap();
    let others = other.join(Topic::named("ops")).await.unwrap();
    let _unanswered = others.questions().await.unwrap();
    soon("a link", node.wait_for_links(1)).await.unwrap();
    let mut open = vec![ask(&topic, "load?", 1).await];
    for _ in 1..64 {
        open.push(topic.query("load?").within(LONG).await.unwrap());
    }
    assert_eq!(topic.query("load?").await.unwrap_err(), QueryError::TooMany);
    open.pop();
    assert!(topic.query("load?").await.is_ok());
    node.shutdown().await;
    assert!(matches!(topic.query("load?").await, Err(QueryError::Closed(_))));
}

#[cfg(feature = "memory")]
#[tokio::test(start_paused = true)]
async fn only_those_whom_the_owner_lists_ask() {
    let memory = MemoryNetwork::new();
    let owner = in_memory(&memory).spawn().await.unwrap();
    let other = in_memory(&memory).bootstrap(owner.addr()).spawn().await.unwrap();
    let owned = || Topic::named("owned").authors(Authors::Owned(owner.author()));
    for node in [&owner, &other] {
        soon("members", node.wait_for_members(2)).await.unwrap();
    }
    let topics = [owner.join(owned()).await.unwrap(), other.join(owned()).await.unwrap()];
    let mut questions = topics[0].questions().await.unwrap();
    let _answers = topics[1].query("may I?").within(LONG).await.unwrap();
    // Lists come to be known at once here; what is not listed is counted and not given.
    let asked = tokio::time::timeout(Duration::from_secs(2), questions.next()).await;
    assert!(asked.is_err(), "{asked:?}");
    assert_eq!(questions.ignored(), 1);
    topics[0].set_authors([other.author()]).await.unwrap();
    let _answers = topics[1].query("and now?").within(LONG).await.unwrap();
    let question = soon("a question", questions.next()).await.unwrap().unwrap();
    assert_eq!(question.body()[..], b"and now?"[..]);
    assert_eq!((question.author(), question.asker()), (other.author(), other.id()));
}

#[tokio::test]
async fn address_that_an_asker_made_up_is_dialled_once() {
    // Given a liar that says it is where a victim is, and one who answers and has no link to it.
    let pool = VerifierPool::new(1);
    let narrow = || {
        vouchsafe::Config::default().with(|config| {
            config.dialling.outbound = 1;
            config.dialling.feelers = 0;
        })
    };
    let hub = builder(&pool).spawn().await.unwrap();
    let _relays = hub.join(Topic::named("ops")).await.unwrap();
    let _relayed = _relays.questions().await.unwrap();
    let victim = Node::builder(SecretKey::generate()).network("another").listen("127.0.0.1:0").spawn();
    let victim = victim.await.unwrap();
    let honest = builder(&pool).config(narrow()).bootstrap(hub.addr()).spawn().await.unwrap();
    let liar = builder(&pool).config(narrow()).bootstrap(hub.addr()).advertise(victim.local_addr());
    let liar = liar.spawn().await.unwrap();
    for node in [&honest, &liar] {
        soon("three members", node.wait_for_members(3)).await.unwrap();
    }
    let topic = honest.join(Topic::named("ops")).await.unwrap();
    let mut questions = topic.questions().await.unwrap();
    let asks = liar.join(Topic::named("ops")).await.unwrap();
    soon("a link", asks.wait_for_links(1)).await.unwrap();
    let mut asked = async || {
        let answers = asks.query("who is there?").within(LONG / 3).await.unwrap();
        let question = soon("a question", questions.next()).await.unwrap().unwrap();
        (answers, tokio::spawn(async move { question.answer(b"me").await.unwrap_err() }))
    };
    let is_not_reached = async |answer: tokio::task::JoinHandle<AnswerError>| {
        let refused = soon("the end of a question", answer).await.unwrap();
        assert!(matches!(refused, AnswerError::NotReached(_)), "{refused:?}");
    };
    // When it asks, then the victim is dialled,
    let (_first, first_answer) = asked().await;
    let failed = async || victim.stats().await.unwrap().refusals.failed;
    let is_dialled = async {
        while failed().await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("a dial", is_dialled).await;
    // And when it asks again and again, it is not dialled again.
    let (_second, second_answer) = asked().await;
    let (_third, third_answer) = asked().await;
    for answer in [first_answer, second_answer, third_answer] {
        is_not_reached(answer).await;
    }
    assert_eq!(failed().await, 1);
}

#[cfg(feature = "memory")]
#[tokio::test(start_paused = true)]
async fn whoever_is_no_member_is_not_heard() {
    let memory = MemoryNetwork::new();
    let (nodes, topics) = network(2, || in_memory(&memory)).await;
    let hidden = in_memory(&memory).without_members().bootstrap(nodes[0].addr()).spawn().await.unwrap();
    let topic = hidden.join(Topic::named("ops")).await.unwrap();
    let mut questions = topic.questions().await.unwrap();
    let task = answer_all(&topics[1], 1).await;
    soon("links", topics[0].wait_for_links(2)).await.unwrap();
    let mut answers = topics[0].query("?").within(Duration::from_secs(3)).await.unwrap();
    let question = soon("a question", questions.next()).await.unwrap().unwrap();
    assert_eq!(question.answer(b"me too").await.unwrap_err(), AnswerError::Enough);
    assert_eq!(bodies(&mut answers).await, ["? 1"]);
    assert_eq!(answers.refused(), 1);
    task.abort();
}

/// A node that has asked before hears in that topic already, and what was said there waits for its first reader.
#[cfg(feature = "memory")]
#[tokio::test(start_paused = true)]
async fn questions_of_before_come_to_nobody_who_takes_them_later() {
    let memory = MemoryNetwork::new();
    let (_nodes, topics) = network(2, || in_memory(&memory)).await;
    let task = answer_all(&topics[1], 1).await;
    let mut answers = ask(&topics[0], "?", 1).await;
    assert_eq!(bodies(&mut answers).await, ["? 1"]);
    let mut unheard = topics[1].query("before").within(Duration::from_secs(3)).await.unwrap();
    assert_eq!(bodies(&mut unheard).await, [""; 0]);
    let mut questions = topics[0].questions().await.unwrap();
    let _asked = topics[1].query("now").within(LONG).await.unwrap();
    let question = soon("a question", questions.next()).await.unwrap().unwrap();
    assert_eq!(question.body(), "now");
    task.abort();
}
