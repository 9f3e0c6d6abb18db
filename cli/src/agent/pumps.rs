//! From the node's streams to those who are told: one task for each stream, which ends with the node.

use std::sync::Arc;

use vouchsafe::{Event, Events, Gap, Lagged, MemberEvent, MemberEvents, Node, TopicHandle};

use super::core::Agent;
use super::happening::{Happening, What};
use super::words;

/// What a node tells, from when this was made.
pub(super) struct Heard {
    events: Events,
    members: MemberEvents,
}

impl Heard {
    /// To be made at once: what was told before it nobody hears.
    pub(super) fn of(node: &Node) -> Self {
        Self { events: node.events(), members: node.member_events() }
    }
}

/// Starts them.
pub(super) fn start(agent: &Arc<Agent>, heard: Heard) {
    let Heard { mut events, mut members } = heard;
    tokio::spawn(node(Arc::clone(agent), async move || events.next().await));
    tokio::spawn(self::members(Arc::clone(agent), async move || members.next().await));
    tokio::spawn(self::events(Arc::clone(agent)));
    tokio::spawn(questions(Arc::clone(agent)));
    for (name, topic) in agent.topics() {
        tokio::spawn(rumors(Arc::clone(agent), name.clone(), topic.handle.clone()));
    }
}

async fn node(agent: Arc<Agent>, mut next: impl AsyncFnMut() -> Option<Result<Event, Lagged>>) {
    while let Some(event) = next().await {
        match event {
            Ok(event) => agent.tell(Happening::now(What::Node(event))),
            Err(Lagged(events)) => agent.lagged("node", events),
        }
    }
    agent.feed().close();
}

async fn members(agent: Arc<Agent>, mut next: impl AsyncFnMut() -> Option<Result<MemberEvent, Lagged>>) {
    while let Some(event) = next().await {
        match event {
            Ok(event) => {
                // (Not as of a moment ago: it has just changed.)
                let member = match event.member() {
                    Some(key) => agent.node.member(key).await.ok().flatten(),
                    None => None,
                };
                log(&event);
                agent.tell(Happening::now(What::Member(event, member.map(Box::new))));
            }
            Err(Lagged(events)) => agent.lagged("members", events),
        }
    }
}

/// What an operator wants to see of it, without a key.
fn log(event: &MemberEvent) {
    match event {
        MemberEvent::Joined(_) => tracing::info!("a member has joined"),
        MemberEvent::Failed(..) => tracing::info!("a member has failed"),
        MemberEvent::Left(_) => tracing::info!("a member has left"),
        MemberEvent::Returned(_) => tracing::info!("a member is back"),
        _ => {}
    }
}

/// Events that operators and programs send.
async fn events(agent: Arc<Agent>) {
    let mut rumors = agent.events.subscribe();
    while let Some(delivery) = rumors.next().await {
        match delivery {
            Ok(delivery) => match words::read(delivery.body()) {
                Some((name, payload)) => {
                    let (author, position) = (delivery.author(), delivery.position());
                    agent.tell(Happening::now(What::Event { name, payload, author, position }));
                }
                None => agent.count_odd(),
            },
            Err(gap) => missed(&agent, "events", &gap),
        }
    }
}

/// Questions, which handlers answer.
async fn questions(agent: Arc<Agent>) {
    let mut questions = match agent.events.questions().await {
        Ok(questions) => questions,
        Err(error) => return tracing::warn!(%error, "this node answers no queries"),
    };
    while let Some(question) = questions.next().await {
        match question {
            Ok(question) => match words::read(question.body()) {
                Some((name, payload)) => {
                    let asked = Happening::now(What::Query { name, payload, asker: question.asker() });
                    agent.asked(asked, question);
                }
                None => agent.count_odd(),
            },
            Err(gap) => missed(&agent, "queries", &gap),
        }
    }
}

/// What is said in a topic, for handlers that want it.
async fn rumors(agent: Arc<Agent>, topic: String, handle: TopicHandle) {
    let mut rumors = handle.subscribe();
    while let Some(delivery) = rumors.next().await {
        match delivery {
            Ok(delivery) => agent.said(&topic, &delivery),
            // Nobody misses what no handler is run for.
            Err(_) if !agent.handlers.want_rumors_of(&topic) => {}
            Err(gap) => missed(&agent, "rumors", &gap),
        }
    }
}

fn missed(agent: &Agent, of: &'static str, gap: &Gap) {
    match gap {
        Gap::Lagged(count) => agent.lagged(of, *count),
        Gap::Missed { from_ms, to_ms } => {
            tracing::warn!(of, from_ms, to_ms, "this node was away: what was said meanwhile may be missing");
            agent.tell(Happening::now(What::Away { of, from_ms: *from_ms, to_ms: *to_ms }));
        }
        gap => tracing::info!("{gap}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use vouchsafe::{Node, Offence, SecretKey};

    use super::*;
    use crate::agent::config::Settings;
    use crate::agent::expelled::Expelled;
    use crate::agent::feed::Next;

    #[tokio::test]
    async fn what_of_the_node_is_not_read_in_time_is_told_and_counted() {
        let settings = Settings::default();
        let builder = Node::builder(SecretKey::generate()).network("n").listen("127.0.0.1:0");
        let of = builder.topic(settings.events.clone()).spawn().await.unwrap();
        let topic = of.join(settings.events.clone()).await.unwrap();
        let agent = Arc::new(Agent::new(of, &settings, BTreeMap::new(), topic, Expelled::nobody()));
        let mut told = agent.feed().from_start();
        let mut next = async |kind: &str| {
            let part = tokio::time::timeout(Duration::from_secs(10), told.next()).await;
            let Ok(Next::Part(_, part)) = part else { panic!("nothing was told of {kind}") };
            let text = String::from_utf8(part.to_vec()).unwrap();
            assert!(text.starts_with(&format!("event: {kind}\n")), "{text}");
            text
        };
        let mut events = [Err(Lagged(5))].into_iter();
        members(Arc::clone(&agent), async move || events.next()).await;
        let text = next("lagged").await;
        assert!(text.contains("\"of\":\"members\"") && text.contains("\"count\":5"), "{text}");
        let peer = SecretKey::generate().public();
        let offence = Event::Offence { peer, offence: Offence::BadSignature };
        let mut events = [Err(Lagged(2)), Ok(offence)].into_iter();
        node(Arc::clone(&agent), async move || events.next()).await;
        next("lagged").await;
        next("offence").await;
        missed(&agent, "queries", &Gap::Lagged(1));
        next("lagged").await;
        missed(&agent, "events", &Gap::Missed { from_ms: 7, to_ms: 9 });
        let text = next("away").await;
        assert!(text.contains("\"of\":\"events\"") && text.contains("\"to_ms\":9"), "{text}");
        assert_eq!(agent.lagged.load(Ordering::Relaxed), 8);
        assert_eq!(agent.book().json(&[])["missed_events"], 7);
    }
}
