//! From the node's streams to those who are told: one task for each stream, which ends with the node.

use std::sync::Arc;

use vouchsafe::{Gap, MemberEvent, TopicHandle};

use super::core::Agent;
use super::happening::{Happening, What};
use super::words;

/// Starts them.
pub(super) fn start(agent: &Arc<Agent>) {
    tokio::spawn(node(Arc::clone(agent)));
    tokio::spawn(members(Arc::clone(agent)));
    tokio::spawn(events(Arc::clone(agent)));
    tokio::spawn(questions(Arc::clone(agent)));
    for (name, topic) in agent.topics() {
        tokio::spawn(rumors(Arc::clone(agent), name.clone(), topic.handle.clone()));
    }
}

async fn node(agent: Arc<Agent>) {
    let mut events = agent.node.events();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => agent.tell(Happening::now(What::Node(event))),
            Err(lagged) => {
                agent.book().missed(lagged.0);
                tracing::warn!(
                    events = lagged.0,
                    "events of the node were not told: there were too many at once"
                );
            }
        }
    }
    agent.feed().close();
}

async fn members(agent: Arc<Agent>) {
    let mut events = agent.node.member_events();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                let member = match event.member() {
                    Some(key) => agent.members().await.ok().and_then(|members| members.get(key).cloned()),
                    None => None,
                };
                log(&event);
                agent.tell(Happening::now(What::Member(event, member.map(Box::new))));
            }
            Err(lagged) => {
                agent.book().missed(lagged.0);
                tracing::warn!(
                    events = lagged.0,
                    "events of members were not told: there were too many at once"
                );
            }
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
            Err(gap) => missed(&gap),
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
            Err(gap) => missed(&gap),
        }
    }
}

/// What is said in a topic, for handlers that want it.
async fn rumors(agent: Arc<Agent>, topic: String, handle: TopicHandle) {
    let mut rumors = handle.subscribe();
    while let Some(delivery) = rumors.next().await {
        match delivery {
            Ok(delivery) => agent.said(&topic, &delivery),
            Err(gap) => missed(&gap),
        }
    }
}

fn missed(gap: &Gap) {
    match gap {
        Gap::Lagged(rumors) => {
            tracing::warn!(rumors, "rumors were not given to handlers: there were too many at once");
        }
        gap => tracing::info!("{gap}"),
    }
}
