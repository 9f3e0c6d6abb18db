//! Questions that no honest asker says.

use std::time::Duration;

use super::accepting::MAX_ANSWER;
use super::envelope;
use super::questions::{MAX_WITHIN, beside};
use crate::key::SecretKey;
use crate::net::{MemoryNetwork, Opened, ProtocolName, StreamError, open};
use crate::node::Node;
use crate::rumor::Topic;

#[tokio::test]
async fn question_with_too_long_a_time_for_answers_is_none() {
    let node = || Node::builder(SecretKey::generate()).network("n").listen("127.0.0.1:0");
    let asker = node().spawn().await.unwrap();
    let other = node().bootstrap(asker.addr()).spawn().await.unwrap();
    let (asks, takes) =
        (asker.join(Topic::named("t")).await.unwrap(), other.join(Topic::named("t")).await.unwrap());
    let mut questions = takes.questions().await.unwrap();
    let topic = beside(&asks).await.unwrap();
    topic.wait_for_links(1).await.unwrap();
    let author = asker.author();
    for (number, within) in
        [MAX_WITHIN + Duration::from_millis(1), Duration::MAX, MAX_WITHIN].into_iter().enumerate()
    {
        let id = [u8::try_from(number).unwrap(); 16];
        let body = envelope::seal(asker.speaker().key(), (&topic.id(), &author), &id, within, b"?");
        topic.publish_unsynced(body).await.unwrap();
    }
    let question = questions.next().await.unwrap().unwrap();
    assert!(question.remaining() <= MAX_WITHIN);
    assert_eq!(questions.ignored(), 2);
}

#[tokio::test(start_paused = true)]
async fn answer_that_is_not_said_whole_in_time_is_none() {
    let memory = MemoryNetwork::new();
    let node = || Node::builder(SecretKey::generate()).network("n").memory(&memory);
    let asker = node().spawn().await.unwrap();
    let other = node().bootstrap(asker.addr()).spawn().await.unwrap();
    let (asks, takes) =
        (asker.join(Topic::named("t")).await.unwrap(), other.join(Topic::named("t")).await.unwrap());
    asker.wait_for_members(2).await.unwrap();
    let mut questions = takes.questions().await.unwrap();
    beside(&asks).await.unwrap().wait_for_links(1).await.unwrap();
    let within = Duration::from_secs(60);
    let mut answers = asks.query("?").within(within).await.unwrap();
    let id: Vec<u8> = questions.next().await.unwrap().unwrap().id.into();
    // One that has no end, one that is too long by a byte, and one that does not say to what.
    let (endless, long, short) =
        ([&id, &b"!"[..]].concat(), [id.clone(), vec![7; MAX_ANSWER + 1]].concat(), id[..8].to_vec());
    for (said, ends) in [(endless, false), (long, true), (short, true)] {
        let way = other.speaker().desk().way(&asker.id(), true).unwrap();
        let opened = open(other.speaker().desk(), way, &ProtocolName::of_library(), None).await;
        let Opened { mut send, mut recv } = opened.unwrap_or_else(|why| panic!("{why:?}"));
        send.write_all(&said).await.unwrap();
        if ends {
            send.finish().unwrap();
        }
        let verdict = tokio::time::timeout(within / 2, recv.chunk()).await;
        assert_eq!(verdict.expect("a verdict in time"), Err(StreamError::Dropped), "{} bytes", said.len());
    }
    assert_eq!((answers.next().await, answers.refused()), (None, 0));
}
