//! Publishing: what waits is sealed, stored and spread as soon as there are positions and room.

use std::sync::Arc;
use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::engine::Engine;
use crate::protocol::publisher::Request;
use crate::protocol::publisher::silence::Silence;
use crate::protocol::timers::Timer;
use crate::protocol::topics::entry::Entry;
use crate::protocol::topics::window::{Taker, Window};
use crate::protocol::{Action, PublishError, PublishId};
use crate::rumor::{Bundle, Position, Reservation, TopicId};

/// When an author who waits for room looks again whether expiry has made some.
const EXPIRY_ROUND: Duration = Duration::from_millis(100);

impl Engine {
    /// The key that signs what we publish.
    #[must_use]
    pub fn author(&self) -> PublicKey {
        self.publisher.author()
    }

    pub(super) fn on_publish(&mut self, topic: TopicId, request: Request, try_only: bool) {
        let publish_id = request.publish_id;
        match self.refuses_to_publish(&topic, &request.body) {
            Some(error) => self.cx.actions.push_back(Action::Published { publish_id, result: Err(error) }),
            None => self.publisher.submit(topic, request, try_only),
        }
    }

    /// Why a body can't be published, whatever there is room for.
    pub(super) fn refuses_to_publish(&self, topic: &TopicId, body: &[u8]) -> Option<PublishError> {
        if self.closed {
            return Some(PublishError::Closed);
        }
        let window = self.topics.get(topic).filter(|_| !self.cx.is_system(topic));
        let Some(window) = window else { return Some(PublishError::NotJoined(*topic)) };
        let (len, max, author) = (body.len(), window.rules().max_body(), self.publisher.signer_in(topic));
        if len > max as usize {
            return Some(PublishError::TooLarge { len, max });
        }
        if let Err(error) = window.rules().allows_body(body) {
            return Some(PublishError::NoCell(error));
        }
        if !self.cx.admits(window.rules(), &author) && !self.cx.owned.is_awaited(topic) {
            return Some(PublishError::NotAdmitted(author));
        }
        self.publisher.halted_in(topic).cloned()
    }

    /// Group commit: whatever waits goes into as few bundles as it fits, as soon as there are slots and room. An idle
    /// author's single rumor goes at once; what it says soon after goes together ([`Config::publishing.seal_every`](crate::protocol::Config::publishing)).
    pub(super) fn seal_waiting(&mut self) {
        for topic in self.publisher.take_awake() {
            if let Some(error) = self.publisher.halted_in(&topic).cloned() {
                self.fail_publishes(topic, &error);
            } else if self.links_of(&topic) == 0 && !self.needs_no_link(&topic) {
                let error = match self.live_links() {
                    0 => PublishError::NoLink,
                    links => PublishError::NotRelayed { links },
                };
                self.fail_publishes(topic, &error);
            } else {
                match self.silence(&topic) {
                    None => while self.seal_one(topic) {},
                    Some(Silence::For(wait)) => drop(self.sleep(topic, wait)),
                    Some(Silence::Fails(error)) => self.fail_publishes(topic, &error),
                }
            }
        }
    }

    /// Seals one bundle; false when nothing more can be said now.
    fn seal_one(&mut self, topic: TopicId) -> bool {
        let now = self.cx.now;
        let Some(next) = self.publisher.next(&topic, now.mono, self.cx.config.publishing.seal_every) else {
            return false;
        };
        if let Some(rest) = next.gathers {
            return self.sleep(topic, rest);
        }
        if self.repair.is_opening(&topic) || self.cx.owned.is_awaited(&topic) {
            // The store says what this author said there last, and who may speak; its answer wakes us.
            return self.sleep(topic, EXPIRY_ROUND);
        }
        if !self.store_takes(topic, next.bytes) {
            return self.publisher.has_waiting(&topic);
        }
        if !self.has_room(&topic, &self.publisher.signer_in(&topic), next.bytes) {
            // Written bytes wake us; the timer is for room that expiry makes.
            self.publisher.is_blocked(topic);
            return self.sleep(topic, EXPIRY_ROUND);
        }
        let Some(window) = self.topics.get(&topic) else { return false };
        // Two processes with one node key that start together notice each other before both use one position.
        let slots = usize::from(window.rules().slots_per_tick());
        let begins = if self.cx.is_system(&topic) { self.cx.random.below(slots) } else { 0 };
        let begins = u16::try_from(begins).unwrap_or(0);
        let (reservation, record) = self.publisher.reserve(window.rules(), next.rumors, begins, now);
        self.cx.actions.extend(record);
        match reservation {
            Reservation::Slots { first, count } => self.seal_at(topic, first, count),
            Reservation::WaitUntil(until_ms) => self.wait_until(topic, until_ms),
            Reservation::RecordFirst { .. } => false,
        }
    }

    /// Seals what waits at its positions.
    fn seal_at(&mut self, topic: TopicId, first: Position, count: u16) -> bool {
        let count = self.publisher.whole(&topic, count);
        if count == 0 {
            // What belongs together waits for a tick that has as many slots; those of this one stay unused.
            return true;
        }
        let taken = self.publisher.take(topic, count, self.cx.now.mono);
        let bodies: Vec<_> = taken.iter().map(|request| request.body.clone()).collect();
        let Ok(bundle) = self.publisher.seal(topic, first, &bodies, self.cx.now.mono) else { return false };
        let bundle = Arc::new(bundle);
        if !self.hold_own(&bundle) {
            // Somebody has written at our position: we must not say a second thing there.
            for Request { publish_id, .. } in taken {
                let result = Err(PublishError::DuplicateWriter);
                self.cx.actions.push_back(Action::Published { publish_id, result });
            }
            self.halt_duplicate(&topic, first.tick);
            return false;
        }
        self.answer_sealed(&bundle, &taken);
        let holds_back = |window: &Window| window.rules().hold_back().is_some();
        if self.topics.get(&topic).is_some_and(holds_back) {
            self.announce_header(topic, bundle.id());
        }
        self.accept(topic, bundle.id());
        true
    }

    /// Answers the requests of a bundle that is sealed, but for those that wait until it is kept.
    fn answer_sealed(&mut self, bundle: &Arc<Bundle>, requests: &[Request]) {
        let is_kept = self.repair.topic(&bundle.header().topic).is_some();
        let mut unkept = Vec::new();
        for (request, rumor) in requests.iter().zip(bundle.rumors()) {
            let (publish_id, waits) = (request.publish_id, request.kept && is_kept);
            unkept.push(waits.then_some(publish_id));
            if !waits {
                self.cx.actions.push_back(Action::Published { publish_id, result: Ok(rumor) });
            }
        }
        if unkept.iter().any(Option::is_some) {
            self.publisher.awaits(bundle.id(), bundle.header().position(), unkept);
        }
    }

    /// Gives up those requests whose bundle could not be kept; false if nothing is left to say.
    fn store_takes(&mut self, topic: TopicId, bytes: usize) -> bool {
        let Some(error) = self.refuses_to_keep(&topic, bytes) else { return true };
        let only_kept = matches!(error, PublishError::Store(_));
        if !only_kept {
            self.fail_publishes(topic, &error);
            return false;
        }
        let given_up = self.publisher.give_up_kept(&topic);
        let goes_on = given_up.is_empty();
        for publish_id in given_up {
            self.cx.actions.push_back(Action::Published { publish_id, result: Err(error.clone()) });
        }
        // What is left makes another bundle.
        goes_on
    }

    /// Puts an own bundle into its topic's window; false if its position is taken.
    fn hold_own(&mut self, bundle: &Arc<Bundle>) -> bool {
        let (id, signed) = (bundle.id(), *bundle.signed_header());
        let Some(window) = self.topics.get_mut(&signed.header.topic) else { return false };
        window.insert(id, Entry::own(Arc::clone(bundle), self.cx.config.hop_budget()), self.cx.now);
        let claimed = window.claim(id, &signed, Taker::Us, self.cx.now, &self.cx.config).is_ok();
        if !claimed {
            window.forget(&id);
        }
        claimed
    }

    /// Leaves a topic's waiting rumors for later, or until something changes. Gives false: nothing more can be said now.
    pub(super) fn sleep(&mut self, topic: TopicId, wait: Duration) -> bool {
        if let Some(at) = self.publisher.sleep(topic, wait, self.cx.now.mono) {
            self.cx.timers.set(at, Timer::SlotsFree(topic));
        }
        false
    }

    /// Room for an own bundle: in our own store, and towards at least half of the topic's links, or of those we dialled:
    /// nobody who came to us, however many they are, may make us fall silent by not reading. Where we dialled nobody, it is half
    /// of those that do not stand still.
    fn has_room(&mut self, topic: &TopicId, author: &PublicKey, bytes: usize) -> bool {
        let store = self
            .topics
            .get_mut(topic)
            .is_some_and(|window| window.has_room(author, bytes, self.cx.now.mono, &self.cx.config));
        let now = self.cx.now.mono;
        let (mut links, mut still, mut free, mut dialled, mut dialled_free) = (0, 0, 0, 0, 0);
        for link in self.links.iter().filter(|link| link.relays(topic)) {
            let (room, ours) = (usize::from(link.outbox().has_room_for_own()), usize::from(link.is_chosen()));
            links += 1;
            still += usize::from(link.outbox().stands_still(now));
            free += room;
            dialled += ours;
            dialled_free += ours * room;
        }
        let of_ours = match dialled {
            0 => free > 0 && free * 2 >= links - still,
            _ => dialled_free * 2 >= dialled,
        };
        store && (free * 2 >= links || of_ours)
    }

    /// Answers a publish request that still waits.
    pub(super) fn withdraw(&mut self, topic: TopicId, publish_id: PublishId, why: PublishError) {
        for publish_id in self.publisher.withdraw(topic, publish_id) {
            self.cx.actions.push_back(Action::Published { publish_id, result: Err(why.clone()) });
        }
    }

    /// What was only tried and still waits is answered; or, while the position log is being written, once that is done.
    pub(super) fn end_tries(&mut self) {
        for (topic, publish_id) in self.publisher.take_tries() {
            let why = self.why_waiting(&topic);
            self.withdraw(topic, publish_id, why);
        }
    }

    pub(super) fn fail_publishes(&mut self, topic: TopicId, error: &PublishError) {
        for publish_id in self.publisher.give_up(&topic) {
            self.cx.actions.push_back(Action::Published { publish_id, result: Err(error.clone()) });
        }
    }

    pub(super) fn fail_all_publishes(&mut self, error: &PublishError) {
        self.publisher.waiting().into_iter().for_each(|topic| self.fail_publishes(topic, error));
    }
}
