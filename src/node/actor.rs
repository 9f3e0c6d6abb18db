//! The one task that owns the engine. It waits only for its channels and its next deadline.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::anchors::Anchors;
use super::convicted::Convicted;
use super::folder::Folder;
use super::groups::{Groups, dialler};
use super::inbound::listen;
use super::keeper::Keeper;
use super::key_watch::KeyWatch;
use super::member_channels::MemberTellers;
use super::membership::Notice;
use super::message::{AdmissionAnswer, How, Joining, Message, Publish};
use super::outside::Outside;
use super::own_key::OwnKey;
use super::place::Place;
use super::port::Port;
use super::quiet::{LOOK_EVERY, News, Silences};
use super::reach::Reach;
use super::recording::Recording;
use super::requests::Requests;
use super::stats::NodeStats;
use super::unread::Unread;
use super::verifiers::InlineVerifier;
use super::{Host, VerifierPool, trace};
use crate::key::PublicKey;
use crate::net::{Endpoint, Link, LinkEvent, SocketState};
use crate::protocol::{Config, Dialler, Engine, Event, Impairment, Input, LinkId, Mono, Now, PublishError};
use crate::rumor::{NetworkId, TopicId};
use crate::store::PositionLog;
use crate::wire::Lane;

/// Things taken from a channel before the engine is asked what to do: what is batched into one bundle, one batch of
/// signatures, one write.
pub(super) const TURN: usize = 256;
/// Link events that may wait; a link with one more waits, and its peer with it.
const LINK_EVENTS: usize = 1024;
/// How long a node takes to say that it leaves: the position log may have to be written before. (Guess: a disk that is busy syncs within this.)
const LEAVING: Duration = Duration::from_secs(5);

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
    /// Where others can dial it, as far as that is known at the start.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) members: MemberTellers,
    pub(super) verifiers: VerifierPool,
    pub(super) position_log: Option<PositionLog>,
    /// Peers that are kept for the next start, if there is a place for that.
    pub(super) anchors: Option<Anchors>,
    pub(super) capacity: usize,
    pub(super) outside: Outside,
    /// The node key.
    pub(super) key: PublicKey,
    pub(super) network: NetworkId,
    pub(super) config: Config,
    /// The state folder, locked until the end.
    pub(super) folder: Option<Folder>,
}

pub(super) struct Actor {
    pub(super) parts: Parts,
    pub(super) links: HashMap<LinkId, Link>,
    pub(super) groups: Groups,
    pub(super) key_watch: KeyWatch,
    pub(super) inline: InlineVerifier,
    pub(super) links_made: u64,
    pub(super) link_events_in: mpsc::Sender<LinkEvent>,
    pub(super) link_events: mpsc::Receiver<LinkEvent>,
    pub(super) unread: Unread,
    pub(super) topics: HashMap<TopicId, Port>,
    /// Topics that stay relayed when no join of them is left. As many as the builder named, 64 at the most.
    pub(super) relayed: HashSet<TopicId>,
    /// Joins that the engine has not answered, in their order; `None` for those that nobody waits for.
    pub(super) joining: VecDeque<Option<Joining>>,
    pub(super) next_join: u64,
    /// Changes of who may link that the engine has not answered, in their order.
    pub(super) admissions: VecDeque<AdmissionAnswer>,
    pub(super) notices_in: mpsc::UnboundedSender<Notice>,
    pub(super) notices: mpsc::UnboundedReceiver<Notice>,
    pub(super) requests: Requests,
    /// Requests that nobody waits for any more.
    pub(super) taken_back_in: mpsc::UnboundedSender<u64>,
    taken_back: mpsc::UnboundedReceiver<u64>,
    pub(super) dialler: Dialler<Host>,
    pub(super) own_key: OwnKey,
    pub(super) place: Place,
    pub(super) reach: Reach,
    /// Dials under way. They end with the actor.
    pub(super) dials: JoinSet<()>,
    /// What kept topics say.
    pub(super) keeper: Keeper,
    pub(super) convicted: Convicted,
    pub(super) recording: Recording,
    /// The node is to end, and says until then that it leaves.
    leaves_by: Option<Instant>,
    pub(super) silences: Silences,
    /// The engine's topology when the counts of links were last published.
    pub(super) topology: u64,
}

impl Actor {
    pub(super) fn new(parts: Parts, keeper: Keeper) -> Self {
        let (link_events_in, link_events) = mpsc::channel(LINK_EVENTS);
        let mut jitter = [0; 32];
        // Without entropy the jitter is the same at each start, which harms nobody but two nodes that lack it.
        let _ = getrandom::fill(&mut jitter);
        let (taken_back_in, taken_back) = mpsc::unbounded_channel();
        let (notices_in, notices) = mpsc::unbounded_channel();
        Self {
            dialler: dialler(parts.key, parts.network, &parts.config, &jitter),
            own_key: OwnKey::default(),
            place: Place::new(parts.addresses.iter().map(|addr| addr.ip())),
            reach: Reach::new(Arc::clone(&parts.endpoint)),
            dials: JoinSet::new(),
            parts,
            links: HashMap::new(),
            groups: Groups::default(),
            key_watch: KeyWatch::default(),
            inline: InlineVerifier::default(),
            links_made: 0,
            link_events_in,
            link_events,
            unread: Unread::default(),
            topics: HashMap::new(),
            relayed: HashSet::new(),
            joining: VecDeque::new(),
            next_join: 0,
            admissions: VecDeque::new(),
            notices_in,
            notices,
            requests: Requests::default(),
            taken_back_in,
            taken_back,
            keeper,
            convicted: Convicted::default(),
            recording: Recording::default(),
            leaves_by: None,
            silences: Silences::new(Instant::now()),
            topology: 0,
        }
    }

    pub(super) async fn run(mut self) {
        if let Ok(addr) = self.parts.endpoint.local_addr() {
            trace::started(addr);
        }
        let mut listening = listen(&self.parts.endpoint, &self.parts.inbox_in);
        let mut messages = Vec::with_capacity(TURN);
        let mut events = Vec::with_capacity(TURN);
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut goes_on = true;
        while goes_on {
            self.act();
            if self.is_done_leaving() {
                break;
            }
            self.dial_due();
            let deadline = self.leaves_by.map_or(self.deadline(), |by| by.min(self.deadline()));
            tokio::select! {
                count = self.parts.inbox.recv_many(&mut messages, TURN) => {
                    // Without a message the last handle is gone.
                    goes_on = count > 0;
                    for message in messages.drain(..) {
                        goes_on &= self.on_message(message).is_continue();
                    }
                }
                _ = self.link_events.recv_many(&mut events, TURN) => self.on_link_events(&mut events),
                Some(request) = self.taken_back.recv() => self.take_back(request),
                Some(notice) = self.notices.recv() => self.on_notice(notice),
                () = self.keeper.wait() => self.on_kept(),
                () = sleep_until(deadline) => self.handle(Input::Tick),
                _ = looks.tick() => self.look_at_links(),
            }
        }
        listening.shutdown().await;
        self.end().await;
        trace::ended();
    }

    /// Whether it is to end, and has said that it leaves, or has had the time for it.
    fn is_done_leaving(&self) -> bool {
        self.leaves_by.is_some_and(|by| self.parts.engine.has_left() || Instant::now() >= by)
    }

    /// Whether nothing has come in that waits for this loop.
    pub(super) fn is_idle(&self) -> bool {
        self.link_events.is_empty() && self.parts.inbox.is_empty()
    }

    pub(super) fn now(&self) -> Now {
        let since = self.parts.started.elapsed();
        Now { mono: Mono::default().plus(since), unix_ms: self.parts.outside.unix_ms() }
    }

    pub(super) fn handle(&mut self, input: Input) {
        let now = self.now();
        self.parts.engine.handle(now, input);
    }

    pub(super) fn deadline(&self) -> Instant {
        // An engine always has a deadline: its cycle.
        let nanos = self.parts.engine.next_deadline().map_or(0, Mono::as_nanos);
        let nanos = self.dialler.next_deadline().map_or(nanos, |at| nanos.min(at.as_nanos()));
        self.parts.started + Duration::from_nanos(nanos)
    }

    fn on_message(&mut self, message: Message) -> ControlFlow<()> {
        match message {
            Message::Publish(request) => self.on_publish(request),
            Message::TakeBack { request, told } => {
                self.take_back(request);
                // What is withdrawn is answered first. What is not answered then is sealed.
                self.act();
                // Whoever asked may have gone.
                let _ = told.send(());
            }
            Message::Join(joining) => self.on_join(joining),
            Message::Connect { peer, answer } => {
                // Whoever asked may have gone; the peer is kept all the same.
                let _ = answer.send(self.keep(peer));
            }
            Message::Suggest { peer, answer } => {
                // Whoever asked may have gone; the peer is remembered all the same.
                let _ = answer.send(self.suggest(peer));
            }
            Message::Kv { rules, join, answer } => self.on_kv(rules, join, answer),
            Message::SetAuthors { of, publish } => self.on_set_authors(of, publish),
            Message::Authors { topic, answer } => {
                let _ = answer.send(self.parts.engine.owned_authors(&topic));
            }
            Message::Leave { topic, join } => self.leave(topic, join),
            Message::ForgetTopic { topic, answer } => self.forget_topic(topic, answer),
            Message::StopDialling(peer) => self.dialler.forget(&peer),
            Message::Admission { change, answer } => self.on_admission(change, answer),
            Message::Allowed(answer) => {
                let _ = answer.send(self.parts.engine.allowed());
            }
            Message::Stats(answer) => {
                let _ = answer.send(self.stats());
            }
            Message::Members(answer) => {
                let _ = answer.send(self.parts.engine.members());
            }
            Message::Member { key, answer } => {
                let _ = answer.send(self.parts.engine.member(&key));
            }
            Message::Explain { key, answer } => {
                let _ = answer.send(self.parts.engine.explain(&key));
            }
            Message::Whereabouts { peer, answer } => {
                let _ = answer.send(self.whereabouts(&peer));
            }
            Message::Describe(metadata) => self.handle(Input::Describe { metadata }),
            Message::LeaveNetwork => self.handle(Input::LeaveNetwork),
            Message::Shutdown { silently } => {
                if silently {
                    return ControlFlow::Break(());
                }
                self.handle(Input::LeaveNetwork);
                self.leaves_by.get_or_insert(Instant::now() + LEAVING);
            }
            Message::Socket(state) => return self.on_socket(state),
            Message::Accepted(connection) => self.on_accepted(connection),
            Message::Dialled { peer, result } => self.on_dialled(peer, result),
            Message::Verdicts { batch, verdicts } => self.handle(Input::Verdicts { batch, verdicts }),
            Message::Validated { question, verdict } => self.handle(Input::Validated { question, verdict }),
            Message::Recorded { until_ms, result } => self.recorded(until_ms, result),
        }
        ControlFlow::Continue(())
    }

    /// Tells the application how the socket does; the node can't go on without one.
    fn on_socket(&mut self, state: SocketState) -> ControlFlow<()> {
        let holds = state != SocketState::Works;
        self.handle(Input::Impaired { what: Impairment::Socket, holds });
        self.act();
        let SocketState::Lost(why) = state else { return ControlFlow::Continue(()) };
        self.tell(Event::Stopped { why });
        ControlFlow::Break(())
    }

    pub(super) fn on_link_events(&mut self, events: &mut Vec<LinkEvent>) {
        for event in events.drain(..) {
            match event {
                LinkEvent::Frames { link, lane, frames, permit } => {
                    let mut frames = frames.into_iter();
                    while self.reads(link, lane)
                        && let Some(payload) = frames.next()
                    {
                        self.handle(Input::Frame { link, lane, payload });
                    }
                    if frames.len() > 0 {
                        self.unread.add(link, lane, frames, permit);
                    }
                }
                LinkEvent::Written { link, lane, bytes } => self.handle(Input::Written { link, lane, bytes }),
                LinkEvent::Closed { link, why } => {
                    self.on_link_closed(link, &why);
                }
            }
        }
    }

    /// Whether the next frame of a lane may be handled at once: it is read, and none waits before it.
    fn reads(&self, link: LinkId, lane: Lane) -> bool {
        self.unread.is_empty(link, lane) && self.parts.engine.is_read(link, lane)
    }

    /// Handles what waits of a lane, and of those that are paused with it, until the engine has enough again.
    pub(super) fn read_on(&mut self, link: LinkId, lane: Lane) {
        while self.parts.engine.is_read(link, lane)
            && let Some((lane, payload)) = self.unread.next(link, lane)
        {
            self.handle(Input::Frame { link, lane, payload });
        }
    }

    /// Reads what the transport measures.
    fn look_at_links(&mut self) {
        let heard = self.links.iter().map(|(id, link)| (*id, link.heard()));
        for (link, news) in self.silences.look(Instant::now(), heard) {
            match news {
                News::Silent(silence) => {
                    self.handle(Input::Silent { link, silence });
                    self.dialler.is_silent(link, silence);
                }
                News::Heard => {
                    self.handle(Input::Heard { link });
                    self.dialler.is_heard(link);
                }
            }
        }
        let times: Vec<_> = self.links.iter().map(|(id, link)| (*id, link.rtt())).collect();
        for (link, rtt) in times {
            self.handle(Input::RoundTrip { link, rtt });
        }
    }

    /// The publisher has stopped waiting: what is not sealed yet is not published.
    fn take_back(&mut self, request: u64) {
        for (topic, publish_id) in self.requests.open_of(request) {
            self.handle(Input::Withdraw { topic, publish_id });
        }
    }

    fn on_publish(&mut self, request: Publish) {
        if request.answer.is_closed() {
            // Taken back before we came to it.
            return;
        }
        let (topic, join, how) = (request.topic, request.join, request.how);
        let publish_ids = self.requests.begin(request);
        if !self.topics.get(&topic).is_some_and(|port| port.has(join)) {
            let refused = || Err(PublishError::NotJoined(topic));
            return publish_ids
                .iter()
                .for_each(|(publish_id, _)| self.requests.settle(*publish_id, refused()));
        }
        let waits = match how {
            How::Together => {
                return self.handle(Input::PublishTogether { topic, rumors: publish_ids, kept: true });
            }
            How::Waits { kept } => Some(kept),
            How::Tries => None,
        };
        for (publish_id, body) in publish_ids {
            self.handle(match waits {
                None => Input::TryPublish { topic, body, publish_id },
                Some(kept) => Input::Publish { topic, body, publish_id, kept },
            });
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
            heard_ago: stats.heard_ago,
            impaired: stats.impaired,
            banned: self.parts.engine.banned(),
            expelled: self.parts.engine.expelled(),
            convicted: self.parts.engine.convicted().into_iter().map(|(author, _)| author).collect(),
            refusals: self.parts.endpoint.refusals(),
            kept: self.dialler.list(self.now().mono),
            dials: self.dialler.dials(),
            dials_under_way: self.dialler.under_way(),
            candidates: self.dialler.candidates(),
            feelers: self.dialler.feelers(),
            anchor_errors: self.parts.anchors.as_ref().map_or(0, Anchors::errors),
            socket: self.parts.endpoint.socket_errors(),
            streams: self.parts.endpoint.streams().stats(),
        }
    }
}
