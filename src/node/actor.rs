//! The one task that owns the engine. It waits only for its channels and its next deadline.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::builder::unix_ms;
use super::dialler::{Dialler, dial};
use super::handle::NodeStats;
use super::message::{Joined, Message, Publish, PublishAnswer, Validator};
use super::stream::Delivery;
use super::{JoinError, PeerAddr, VerifierPool};
use crate::key::PublicKey;
use crate::net::{Connection, Endpoint, Link, LinkClosed, LinkEvent};
use crate::protocol::{
    Action, Engine, Event, Input, LinkId, MAX_TOPICS, Mono, Now, Offence, PublishError, Ticket, Validation,
};
use crate::rumor::{RuleSet, RumorId, TopicId};
use crate::store::LedgerFile;
use crate::wire::Reason;

/// Things taken from a channel before the engine is asked what to do: what is batched into one bundle, one batch of
/// signatures, one write.
const TURN: usize = 256;
/// Link events that may wait; a link with one more waits, and its peer with it.
const LINK_EVENTS: usize = 1024;
/// How often round trips are read from the transport.
const ROUND_TRIPS: Duration = Duration::from_secs(1);
/// How long a shutdown waits for what is queued, and then for the links to close.
const DRAIN: Duration = Duration::from_secs(2);

/// What an actor is made from.
pub(super) struct Parts {
    pub(super) engine: Engine,
    pub(super) started: Instant,
    pub(super) endpoint: Arc<Endpoint>,
    /// Weak, so that the node ends with its last handle.
    pub(super) inbox_in: mpsc::WeakSender<Message>,
    pub(super) inbox: mpsc::Receiver<Message>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) links: watch::Sender<usize>,
    pub(super) verifiers: VerifierPool,
    pub(super) ledger: Option<LedgerFile>,
    pub(super) capacity: usize,
}

pub(super) struct Actor {
    parts: Parts,
    links: HashMap<LinkId, Link>,
    /// Who is at the other end, also of links that the engine has refused.
    peers: HashMap<LinkId, PublicKey>,
    next_link: u64,
    link_events_in: mpsc::Sender<LinkEvent>,
    link_events: mpsc::Receiver<LinkEvent>,
    topics: HashMap<TopicId, Port>,
    /// By the first ticket of each.
    publishes: BTreeMap<u64, Pending>,
    next_ticket: u64,
    dialler: Dialler,
    /// The engine's topology when the counts of links were last published.
    topology: u64,
}

/// A topic's channels to the application.
struct Port {
    rumors: broadcast::Sender<Delivery>,
    links: watch::Sender<usize>,
    validator: Option<Validator>,
}

/// A publish request that is not yet answered in full.
struct Pending {
    results: Vec<Option<Result<RumorId, PublishError>>>,
    request: Publish,
}

impl Actor {
    pub(super) fn new(parts: Parts) -> Self {
        let (link_events_in, link_events) = mpsc::channel(LINK_EVENTS);
        Self {
            parts,
            links: HashMap::new(),
            peers: HashMap::new(),
            next_link: 0,
            link_events_in,
            link_events,
            topics: HashMap::new(),
            publishes: BTreeMap::new(),
            next_ticket: 0,
            dialler: Dialler::default(),
            topology: 0,
        }
    }

    /// Relays a topic that the application has not joined.
    pub(super) fn relay(&mut self, rules: Arc<RuleSet>) {
        self.handle(Input::Join { rules, deliver: false, validate: false });
    }

    /// Keeps a link to `peer` from now on.
    pub(super) fn keep(&mut self, peer: PeerAddr) {
        if self.dialler.keep(peer) {
            self.dial(peer, Duration::ZERO);
        }
    }

    pub(super) async fn run(mut self) {
        tokio::spawn(accept(Arc::clone(&self.parts.endpoint), self.parts.inbox_in.clone()));
        let mut messages = Vec::with_capacity(TURN);
        let mut events = Vec::with_capacity(TURN);
        let mut round_trips = interval(ROUND_TRIPS);
        round_trips.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut done = None;
        while done.is_none() {
            self.act();
            let deadline = self.deadline();
            tokio::select! {
                count = self.parts.inbox.recv_many(&mut messages, TURN) => {
                    if count == 0 {
                        // The last handle is gone.
                        done = Some(None);
                    }
                    for message in messages.drain(..) {
                        if let ControlFlow::Break(answer) = self.on_message(message) {
                            done = Some(Some(answer));
                        }
                    }
                }
                _ = self.link_events.recv_many(&mut events, TURN) => self.on_link_events(&mut events),
                () = sleep_until(deadline.into()) => self.handle(Input::Tick),
                _ = round_trips.tick() => self.round_trips(),
            }
        }
        self.end().await;
        if let Some(answer) = done.flatten() {
            // Whoever asked may have gone; the node is closed all the same.
            let _ = answer.send(());
        }
    }

    /// Sends what is queued, closes all links and the socket.
    async fn end(mut self) {
        self.parts.inbox.close();
        self.dialler.stop();
        let drained = Instant::now() + DRAIN;
        let mut events = Vec::new();
        self.act();
        while !self.parts.engine.is_drained() && Instant::now() < drained {
            self.wait_for_links(&mut events, drained).await;
        }
        self.handle(Input::Shutdown);
        self.act();
        let closed = Instant::now() + DRAIN;
        while !self.links.is_empty() && Instant::now() < closed {
            self.wait_for_links(&mut events, closed).await;
        }
        self.parts.endpoint.close().await;
    }

    async fn wait_for_links(&mut self, events: &mut Vec<LinkEvent>, until: Instant) {
        let until = until.min(self.deadline());
        tokio::select! {
            _ = self.link_events.recv_many(events, TURN) => self.on_link_events(events),
            () = sleep_until(until.into()) => self.handle(Input::Tick),
        }
        self.act();
    }

    fn now(&self) -> Now {
        let since = self.parts.started.elapsed();
        Now { mono: Mono::default().plus(since), unix_ms: unix_ms() }
    }

    fn handle(&mut self, input: Input) {
        let now = self.now();
        self.parts.engine.handle(now, input);
    }

    fn deadline(&self) -> Instant {
        // An engine always has a deadline: its cycle.
        let nanos = self.parts.engine.next_deadline().map_or(0, Mono::as_nanos);
        self.parts.started + Duration::from_nanos(nanos)
    }

    fn on_message(&mut self, message: Message) -> ControlFlow<oneshot::Sender<()>> {
        match message {
            Message::Publish(request) => self.on_publish(request),
            Message::Join { rules, validator, answer } => {
                // Whoever asked may have gone; the topic is joined all the same.
                let _ = answer.send(self.on_join(rules, validator));
            }
            Message::Leave(topic) => {
                self.topics.remove(&topic);
                self.handle(Input::Leave { topic });
            }
            Message::Connect(peer) => self.keep(peer),
            Message::Stats(answer) => {
                let _ = answer.send(self.stats());
            }
            Message::Shutdown(answer) => return ControlFlow::Break(answer),
            Message::Accepted(connection) => self.on_connection(connection),
            Message::Dialled { peer, result } => match result {
                Ok(connection) => self.on_connection(connection),
                Err(_) => self.redial(&peer.key),
            },
            Message::Verdicts { batch, verdicts } => self.handle(Input::Verdicts { batch, verdicts }),
            Message::Validated { question, verdict } => self.handle(Input::Validated { question, verdict }),
            Message::Recorded { until_ms, result } => match result {
                Ok(()) => self.handle(Input::Recorded { until_ms }),
                Err(error) => self.handle(Input::RecordFailed { why: error.to_string() }),
            },
        }
        ControlFlow::Continue(())
    }

    fn on_link_events(&mut self, events: &mut Vec<LinkEvent>) {
        for event in events.drain(..) {
            match event {
                LinkEvent::Frames { link, lane, frames, permit } => {
                    for payload in frames {
                        self.handle(Input::Frame { link, lane, payload });
                    }
                    drop(permit);
                }
                LinkEvent::Written { link, lane, bytes } => self.handle(Input::Written { link, lane, bytes }),
                LinkEvent::Closed { link, why } => {
                    self.links.remove(&link);
                    let offence =
                        matches!(why, LinkClosed::FrameTooLong { .. }).then_some(Offence::FrameTooLong);
                    self.tell_refusal(link, &why);
                    self.handle(Input::LinkDown { link, offence, why: why.to_string() });
                    if let Some(peer) = self.peers.remove(&link) {
                        self.redial(&peer);
                    }
                }
            }
        }
    }

    fn on_connection(&mut self, connection: Connection) {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        let (peer, dialled, rtt) = (connection.peer, connection.dialled, connection.rtt());
        let link = Link::spawn(id, connection, self.link_events_in.clone());
        self.links.insert(id, link);
        self.peers.insert(id, peer);
        self.dialler.up(&peer);
        self.handle(Input::LinkUp { link: id, peer, dialled });
        self.handle(Input::RoundTrip { link: id, rtt });
    }

    /// The peer has closed a link before it said hello: the application should know why it has no link.
    fn tell_refusal(&self, link: LinkId, why: &LinkClosed) {
        if let LinkClosed::ByPeer { code, .. } = why
            && let Some(reason) = Reason::from_code(u64::from(*code))
            && self.parts.engine.is_greeting(link)
            && let Some(peer) = self.peers.get(&link)
        {
            // An error means that nobody listens.
            let _ = self.parts.events.send(Event::LinkRefused { peer: *peer, reason });
        }
    }

    fn redial(&mut self, peer: &PublicKey) {
        // Another link to it may be up: then it is dialled when that one goes.
        if self.parts.engine.has_link_to(peer) {
            return;
        }
        if let Some((peer, pause)) = self.dialler.down(peer) {
            self.dial(peer, pause);
        }
    }

    fn dial(&self, peer: PeerAddr, pause: Duration) {
        dial(Arc::clone(&self.parts.endpoint), peer, pause, self.parts.inbox_in.clone());
    }

    fn round_trips(&mut self) {
        let times: Vec<_> = self.links.iter().map(|(id, link)| (*id, link.rtt())).collect();
        for (link, rtt) in times {
            self.handle(Input::RoundTrip { link, rtt });
        }
    }

    fn on_join(&mut self, rules: Arc<RuleSet>, validator: Option<Validator>) -> Result<Joined, JoinError> {
        let topic = rules.id();
        if self.parts.engine.rules(&topic).is_none() && self.parts.engine.topic_count() >= MAX_TOPICS {
            return Err(JoinError::TooMany);
        }
        let validate = validator.is_some();
        self.handle(Input::Join { rules: Arc::clone(&rules), deliver: true, validate });
        let capacity = self.parts.capacity;
        let port = self.topics.entry(topic).or_insert_with(|| Port {
            rumors: broadcast::channel(capacity).0,
            links: watch::Sender::new(0),
            validator: None,
        });
        port.links.send_replace(self.parts.engine.links_of(&topic));
        port.validator = validator.or(port.validator.take());
        Ok(Joined { rules, rumors: port.rumors.downgrade(), links: port.links.subscribe() })
    }

    fn on_publish(&mut self, mut request: Publish) {
        let first = self.next_ticket;
        let count = request.bodies.len();
        self.next_ticket += count as u64;
        let (topic, bodies) = (request.topic, std::mem::take(&mut request.bodies));
        let try_only = request.try_only;
        self.publishes.insert(first, Pending { results: vec![None; count], request });
        for (ticket, body) in (first..).zip(bodies) {
            self.handle(Input::Publish { topic, body, ticket: Ticket(ticket) });
        }
        if try_only {
            self.act();
            for ticket in (first..).take(count).map(Ticket) {
                if self.parts.engine.withdraw(topic, ticket) {
                    self.on_published(ticket, Err(PublishError::WouldWait));
                }
            }
        }
        if count == 0 {
            self.answer(first);
        }
    }

    fn on_published(&mut self, ticket: Ticket, result: Result<RumorId, PublishError>) {
        let Some((&first, pending)) = self.publishes.range_mut(..=ticket.0).next_back() else { return };
        let at = usize::try_from(ticket.0 - first).unwrap_or(usize::MAX);
        if let Some(place) = pending.results.get_mut(at) {
            *place = Some(result);
            if pending.results.iter().all(Option::is_some) {
                self.answer(first);
            }
        }
    }

    fn answer(&mut self, first: u64) {
        let Some(pending) = self.publishes.remove(&first) else { return };
        let answer: PublishAnswer = pending.results.into_iter().flatten().collect();
        // Whoever asked may have gone; the rumors are published all the same.
        let _ = pending.request.answer.send(answer);
        drop(pending.request.places);
    }

    /// Does whatever the engine wants done. Nothing here waits.
    fn act(&mut self) {
        while let Some(action) = self.parts.engine.poll() {
            match action {
                Action::Send { link, lane, frame } => {
                    if let Some(link) = self.links.get(&link) {
                        // Refused only by a link that has ended, whose last event is on its way.
                        link.send(lane, frame);
                    }
                }
                Action::Verify { batch, jobs } => {
                    let Some(inbox) = self.parts.inbox_in.upgrade() else { continue };
                    let answer = move |verdicts| {
                        // An error means that the node is gone.
                        let _ = inbox.blocking_send(Message::Verdicts { batch, verdicts });
                    };
                    self.parts.verifiers.submit(jobs, Box::new(answer));
                }
                Action::Validate { question, bundle } => self.validate(question, bundle),
                Action::Deliver { bundle, from } => {
                    if let Some(port) = self.topics.get(&bundle.header().topic)
                        && port.rumors.receiver_count() > 0
                    {
                        for rumor in bundle.rumors() {
                            // An error means that nobody listens any more.
                            let _ = port.rumors.send(Delivery::new(rumor, from));
                        }
                    }
                }
                Action::PauseReading(link) => self.links.get(&link).into_iter().for_each(Link::pause_reading),
                Action::ResumeReading(link) => {
                    self.links.get(&link).into_iter().for_each(Link::resume_reading)
                }
                Action::Close { link, reason } => {
                    if let Some(link) = self.links.get(&link) {
                        link.close(reason.code(), &reason.to_string());
                    }
                }
                Action::Record { until_ms } => self.record(until_ms),
                Action::Published { ticket, result } => self.on_published(ticket, result),
                Action::Event(event) => {
                    // An error means that nobody listens.
                    let _ = self.parts.events.send(event);
                }
            }
        }
        self.publish_counts();
    }

    fn validate(&self, question: crate::protocol::ValidationId, bundle: Arc<crate::rumor::Bundle>) {
        let validator = self.topics.get(&bundle.header().topic).and_then(|port| port.validator.clone());
        let Some(validator) = validator else { return };
        let inbox = self.parts.inbox_in.clone();
        let patience = self.parts.engine.validator_patience();
        tokio::spawn(async move {
            let judge = async {
                for rumor in bundle.rumors() {
                    let verdict = validator(rumor).await;
                    if verdict != Validation::Accept {
                        return verdict;
                    }
                }
                Validation::Accept
            };
            // The engine stops waiting at the same time and counts it; this only ends the task.
            let Ok(verdict) = tokio::time::timeout(patience, judge).await else { return };
            if let Some(inbox) = inbox.upgrade() {
                let _ = inbox.send(Message::Validated { question, verdict }).await;
            }
        });
    }

    fn record(&self, until_ms: u64) {
        let Some(ledger) = self.parts.ledger.clone() else { return };
        let inbox = self.parts.inbox_in.clone();
        tokio::task::spawn_blocking(move || {
            let result = ledger.record(until_ms);
            if let Some(inbox) = inbox.upgrade() {
                let _ = inbox.blocking_send(Message::Recorded { until_ms, result });
            }
        });
    }

    fn publish_counts(&mut self) {
        let topology = self.parts.engine.topology();
        if std::mem::replace(&mut self.topology, topology) == topology {
            return;
        }
        self.parts.links.send_replace(self.parts.engine.live_links());
        for (topic, port) in &self.topics {
            port.links.send_replace(self.parts.engine.links_of(topic));
        }
    }

    fn stats(&self) -> NodeStats {
        let stats = self.parts.engine.stats();
        NodeStats {
            counters: stats.counters,
            links: stats.links,
            topics: stats.topics,
            waiting_verification: stats.waiting_verification,
            wants: stats.wants,
            banned: self.parts.engine.banned(),
            convicted: self.parts.engine.convicted().into_iter().map(|(author, _)| author).collect(),
            refusals: self.parts.endpoint.refusals(),
        }
    }
}

/// Hands finished handshakes to the actor.
async fn accept(endpoint: Arc<Endpoint>, inbox: mpsc::WeakSender<Message>) {
    while let Some(accepted) = endpoint.accept().await {
        let Some(inbox) = inbox.upgrade() else { return };
        // Failed handshakes are counted by the endpoint.
        if let Ok(connection) = accepted
            && inbox.send(Message::Accepted(connection)).await.is_err()
        {
            return;
        }
    }
}
