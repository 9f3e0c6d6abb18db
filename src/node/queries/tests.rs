//! Questions that no honest asker says.

use std::time::Duration;

use super::envelope;
use super::questions::{MAX_WITHIN, beside};
use crate::key::SecretKey;
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
