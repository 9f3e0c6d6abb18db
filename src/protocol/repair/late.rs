//! Late bundles on their way from a link to the store: verified apart from what is new, judged, kept.
//!
//! ```text
//!   asked for ──> Verifying ── genuine ──> Validating ──> Keeping ──> the store answers
//!                    │ forged: the next candidate, or it never came        │ the store has too much waiting: parked
//! ```

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::missing::Missing;
use crate::key::Signature;
use crate::protocol::LinkId;
use crate::protocol::keeping::Show;
use crate::protocol::limits::{MAX_CANDIDATES, MAX_LATE, MAX_LATE_PER_LINK, MAX_PARKED};
use crate::protocol::links::Sender;
use crate::protocol::random::{Keyed, KeyedMap};
use crate::protocol::total::Total as _;
use crate::rumor::{Bundle, BundleId, TopicId};

/// How far a late bundle has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Its signature waits, or is being checked.
    Verifying,
    /// A validator has it.
    Validating,
    /// The store has it, or will as soon as it has answered for others; shown so.
    Keeping(Show),
}

/// A late bundle.
#[derive(Debug)]
pub(in crate::protocol) struct LateBundle {
    bundle: Arc<Bundle>,
    from: Sender,
    /// Copies under other signatures, to be tried if this one is forged.
    others: VecDeque<(Sender, Signature)>,
    below: bool,
    stage: Stage,
}

impl LateBundle {
    /// What came.
    pub(in crate::protocol) const fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// The link that brought it.
    pub(in crate::protocol) const fn from(&self) -> Sender {
        self.from
    }

    /// Whether its author may have added it to its past.
    pub(in crate::protocol) const fn is_below(&self) -> bool {
        self.below
    }

    /// Which one it is.
    pub(in crate::protocol) fn missing(&self) -> Missing {
        Missing::of_bundle(&self.bundle)
    }
}

/// All late bundles that are not kept yet.
#[derive(Debug)]
pub(in crate::protocol) struct Late {
    bundles: KeyedMap<(TopicId, BundleId), LateBundle>,
    /// Those whose signatures wait, of each link.
    verifying: BTreeMap<LinkId, usize>,
    verifying_in_all: usize,
    /// Those that wait for the store to have room, in order, with their bytes.
    parked: VecDeque<(TopicId, BundleId, usize)>,
    parked_bytes: usize,
}

/// What is known of a late bundle that comes again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Known {
    /// Nothing.
    No,
    /// It is on its way, and this copy says nothing more.
    Has,
    /// This copy will be tried if the other is forged.
    Candidate,
}

impl Late {
    pub(in crate::protocol) fn new(keyed: Keyed) -> Self {
        Self {
            bundles: keyed.map(),
            verifying: BTreeMap::new(),
            verifying_in_all: 0,
            parked: VecDeque::new(),
            parked_bytes: 0,
        }
    }

    /// How many are on their way.
    #[cfg(any(test, feature = "sim"))]
    pub(in crate::protocol) fn len(&self) -> usize {
        self.bundles.len()
    }

    /// Whether nothing more of a link's history is to be read: too much of it waits, or of all, or too much waits for the store.
    pub(in crate::protocol) fn is_full(&self, link: LinkId) -> bool {
        let waiting = self.verifying.get(&link).copied().unwrap_or(0);
        self.parked_bytes >= MAX_PARKED
            || waiting >= MAX_LATE_PER_LINK
            || (waiting > 0 && self.verifying_in_all >= MAX_LATE)
    }

    /// Whether it may be read again.
    pub(in crate::protocol) fn has_room(&self, link: LinkId) -> bool {
        let waiting = self.verifying.get(&link).copied().unwrap_or(0);
        let store_has_room = self.parked_bytes < MAX_PARKED / 2;
        store_has_room
            && waiting < MAX_LATE_PER_LINK / 2
            && (waiting == 0 || self.verifying_in_all < MAX_LATE / 4 * 3)
    }

    /// A copy has come: is it on its way already?
    pub(in crate::protocol) fn notes(
        &mut self,
        topic: &TopicId,
        id: &BundleId,
        sender: Sender,
        signature: &Signature,
    ) -> Known {
        let Some(late) = self.bundles.get_mut(&(*topic, *id)) else { return Known::No };
        let differs = late.bundle.signed_header().signature != *signature;
        let others = &mut late.others;
        let tried = others.iter().any(|(_, other)| other == signature);
        if late.stage != Stage::Verifying || !differs || tried || others.len() >= MAX_CANDIDATES {
            return Known::Has;
        }
        others.push_back((sender, *signature));
        Known::Candidate
    }

    /// It begins: its signature waits.
    pub(in crate::protocol) fn begins(&mut self, bundle: Arc<Bundle>, from: Sender, below: bool) {
        let key = (bundle.header().topic, bundle.id());
        self.waits(from.link);
        let late = LateBundle { bundle, from, others: VecDeque::new(), below, stage: Stage::Verifying };
        self.bundles.insert(key, late);
    }

    fn waits(&mut self, link: LinkId) {
        self.verifying.entry(link).or_default().gains(1);
        self.verifying_in_all.gains(1);
    }

    fn waits_no_more(&mut self, link: LinkId) {
        self.verifying_in_all.loses(1);
        if let Some(waiting) = self.verifying.get_mut(&link) {
            waiting.loses(1);
            if *waiting == 0 {
                self.verifying.remove(&link);
            }
        }
    }

    /// One that is on its way.
    pub(in crate::protocol) fn get(&self, topic: &TopicId, id: &BundleId) -> Option<&LateBundle> {
        self.bundles.get(&(*topic, *id))
    }

    /// The one whose signature is meant, if it still waits for the verdict.
    pub(in crate::protocol) fn judged(
        &self,
        topic: &TopicId,
        id: &BundleId,
        signature: &Signature,
    ) -> Option<&LateBundle> {
        let late = self.get(topic, id)?;
        let waits = late.stage == Stage::Verifying;
        (waits && late.bundle.signed_header().signature == *signature).then_some(late)
    }

    /// Its signature has held. Gives it.
    pub(in crate::protocol) fn is_genuine(&mut self, topic: &TopicId, id: &BundleId) -> Option<&LateBundle> {
        let late = self.bundles.get_mut(&(*topic, *id)).filter(|late| late.stage == Stage::Verifying)?;
        late.stage = Stage::Validating;
        late.others.clear();
        let link = late.from.link;
        self.waits_no_more(link);
        self.get(topic, id)
    }

    /// Its signature has not held, or its link is gone with it: the next candidate stands in for it, if there is one. Otherwise it
    /// never came.
    pub(in crate::protocol) fn is_forged(&mut self, topic: &TopicId, id: &BundleId) -> Option<&LateBundle> {
        let key = (*topic, *id);
        let late = self.bundles.get_mut(&key).filter(|late| late.stage == Stage::Verifying)?;
        let link = late.from.link;
        let next = late.others.pop_front();
        if let Some((from, signature)) = next {
            late.from = from;
            late.bundle = Arc::new(Bundle::clone(&late.bundle).with_signature(signature));
            self.waits(from.link);
        } else {
            self.bundles.remove(&key);
        }
        self.waits_no_more(link);
        next.and_then(|_| self.bundles.get(&key))
    }

    /// Whether a validator has it.
    pub(in crate::protocol) fn is_validating(&self, topic: &TopicId, id: &BundleId) -> bool {
        self.get(topic, id).is_some_and(|late| late.stage == Stage::Validating)
    }

    /// It is given to the store, to be shown so. Gives it, if it is still on its way.
    pub(in crate::protocol) fn is_given(
        &mut self,
        topic: &TopicId,
        id: &BundleId,
        show: Show,
    ) -> Option<&LateBundle> {
        let late = self.bundles.get_mut(&(*topic, *id))?;
        late.stage = Stage::Keeping(show);
        Some(late)
    }

    /// The store has no room for it among what waits: it is given later.
    pub(in crate::protocol) fn parks(&mut self, topic: &TopicId, id: &BundleId, show: Show) {
        let Some(bytes) = self.is_given(topic, id, show).map(|late| late.bundle.encoded().len()) else {
            return;
        };
        self.parked.push_back((*topic, *id, bytes));
        self.parked_bytes.gains(bytes);
    }

    /// The next one that waits for the store: which one, its bytes, and how it is to be shown.
    pub(in crate::protocol) fn next_parked(&mut self) -> Option<(TopicId, BundleId, usize, Show)> {
        while let Some((topic, id, bytes)) = self.parked.front().copied() {
            if let Some(Stage::Keeping(show)) = self.get(&topic, &id).map(|late| late.stage) {
                return Some((topic, id, bytes, show));
            }
            self.unparks();
        }
        None
    }

    /// It is given now.
    pub(in crate::protocol) fn unparks(&mut self) {
        if let Some((.., bytes)) = self.parked.pop_front() {
            self.parked_bytes.loses(bytes);
        }
    }

    /// Whether some wait for the store: then nothing more is asked for.
    pub(in crate::protocol) fn is_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// It is over. Gives what it was.
    pub(in crate::protocol) fn ends(&mut self, topic: &TopicId, id: &BundleId) -> Option<LateBundle> {
        let late = self.bundles.remove(&(*topic, *id))?;
        if late.stage == Stage::Verifying {
            self.waits_no_more(late.from.link);
        }
        Some(late)
    }

    /// A topic is left: none of it is waited for. Verdicts and answers that still come mean nothing.
    pub(in crate::protocol) fn forget_topic(&mut self, topic: &TopicId) {
        let gone: Vec<_> = self.bundles.keys().filter(|(of, _)| of == topic).copied().collect();
        for (topic, id) in gone {
            self.ends(&topic, &id);
        }
        self.parked.retain(|(of, ..)| of != topic);
        self.parked_bytes = self.parked.iter().map(|(.., bytes)| bytes).sum();
    }
}

#[cfg(any(test, feature = "sim"))]
impl Late {
    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        let waits = |late: &&LateBundle| late.stage == Stage::Verifying;
        let counted = self.bundles.values().filter(waits).count();
        recount.same("late signatures", self.verifying_in_all, counted);
        recount.same("late signatures of links", self.verifying_in_all, self.verifying.values().sum());
        let parked = self.parked.iter().map(|(.., bytes)| bytes).sum();
        recount.same("bytes that wait for the store", self.parked_bytes, parked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{PublicKey, SecretKey};
    use crate::protocol::linkset::Slot;
    use crate::rumor::{Position, seal};

    const TOPIC: TopicId = TopicId::from_bytes([4; 32]);

    fn bundle(tick: u64) -> Arc<Bundle> {
        let (key, position) = (SecretKey::from_seed(&[1; 32]), Position { tick, slot: 0 });
        Arc::new(seal(&key, TOPIC, position, &["word".into()]).unwrap())
    }

    fn large(tick: u64) -> Arc<Bundle> {
        let (key, position) = (SecretKey::from_seed(&[1; 32]), Position { tick, slot: 0 });
        Arc::new(seal(&key, TOPIC, position, &[vec![7; 30_000].into()]).unwrap())
    }

    fn sender(link: u8) -> Sender {
        Sender { link: LinkId(link.into()), slot: Slot(link), peer: PublicKey::from_bytes([link; 32]) }
    }

    fn sound(late: &Late) {
        let mut recount = crate::protocol::check::Recount::default();
        late.check(&mut recount);
        assert_eq!(recount.complaints(), Vec::<String>::new());
    }

    #[test]
    fn a_bad_copy_in_flight_hides_no_good_one() {
        let (mut late, good) = (Late::new(Keyed::default()), bundle(1));
        let id = good.id();
        let bad = Arc::new(Bundle::clone(&good).with_signature(Signature::from_bytes([7; 64])));
        late.begins(Arc::clone(&bad), sender(1), false);
        let signature = good.signed_header().signature;
        assert_eq!(late.notes(&TOPIC, &id, sender(2), &bad.signed_header().signature), Known::Has);
        assert_eq!(late.notes(&TOPIC, &id, sender(2), &signature), Known::Candidate);
        assert_eq!(late.notes(&TOPIC, &id, sender(3), &signature), Known::Has);
        for number in 0..9 {
            late.notes(&TOPIC, &id, sender(4), &Signature::from_bytes([100 + number; 64]));
        }
        assert_eq!(late.get(&TOPIC, &id).unwrap().others.len(), MAX_CANDIDATES);
        sound(&late);
        let next = late.is_forged(&TOPIC, &id).unwrap();
        assert_eq!((next.from().link, next.bundle().signed_header()), (LinkId(2), good.signed_header()));
        assert!(late.judged(&TOPIC, &id, &bad.signed_header().signature).is_none());
        assert!(late.judged(&TOPIC, &id, &signature).is_some());
        sound(&late);
        assert!(late.is_genuine(&TOPIC, &id).is_some() && late.is_genuine(&TOPIC, &id).is_none());
        assert!(late.is_validating(&TOPIC, &id) && late.is_forged(&TOPIC, &id).is_none());
        assert!(late.is_given(&TOPIC, &id, Show::Now).is_some());
        assert_eq!(late.notes(&TOPIC, &id, sender(5), &Signature::from_bytes([9; 64])), Known::Has);
        assert_eq!(late.ends(&TOPIC, &id).unwrap().missing(), Missing::of_bundle(&good));
        assert_eq!(late.notes(&TOPIC, &id, sender(5), &signature), Known::No);
        sound(&late);
    }

    #[test]
    fn late_signatures_stop_the_history_of_their_own_link() {
        let mut late = Late::new(Keyed::default());
        for tick in 0..MAX_LATE_PER_LINK as u64 {
            assert!(!late.is_full(LinkId(1)));
            late.begins(bundle(tick), sender(1), false);
        }
        assert!(late.is_full(LinkId(1)) && !late.has_room(LinkId(1)) && !late.is_full(LinkId(2)));
        for tick in 0..=MAX_LATE_PER_LINK as u64 / 2 {
            assert!(!late.has_room(LinkId(1)));
            late.is_genuine(&TOPIC, &bundle(tick).id());
        }
        assert!(late.has_room(LinkId(1)));
        // Together they stop whoever has something waiting.
        let mut tick = 10_000;
        for link in 2..=9 {
            for _ in 0..300 {
                tick += 1;
                if late.verifying_in_all < MAX_LATE {
                    late.begins(bundle(tick), sender(link), false);
                }
            }
        }
        assert!(late.is_full(LinkId(2)) && late.is_full(LinkId(1)) && !late.is_full(LinkId(100)));
        sound(&late);
        late.forget_topic(&TOPIC);
        assert_eq!((late.len(), late.verifying_in_all), (0, 0));
    }

    #[test]
    fn what_waits_for_the_store_stops_the_history_of_all_links() {
        let mut late = Late::new(Keyed::default());
        let mut all = VecDeque::new();
        while !late.is_full(LinkId(9)) {
            assert!(all.len() < 1_000, "more than 8 MiB");
            let bundle = large(all.len() as u64);
            late.begins(Arc::clone(&bundle), sender(1), false);
            late.is_genuine(&TOPIC, &bundle.id());
            late.parks(&TOPIC, &bundle.id(), Show::Now);
            all.push_back(bundle);
        }
        let bytes: usize = all.iter().map(|bundle| bundle.encoded().len()).sum();
        assert!((MAX_PARKED..MAX_PARKED + 40_000).contains(&bytes), "{bytes}");
        sound(&late);
        let half = all.len() / 2;
        while all.len() > half {
            assert!(!late.has_room(LinkId(9)));
            late.unparks();
            all.pop_front();
        }
        late.unparks();
        assert!(late.has_room(LinkId(9)) && !late.is_full(LinkId(9)));
        late.forget_topic(&TOPIC);
        assert!(!late.is_parked());
        sound(&late);
    }

    #[test]
    fn what_the_store_has_no_room_for_waits_in_order() {
        let mut late = Late::new(Keyed::default());
        let all: Vec<_> = (0..3).map(bundle).collect();
        for bundle in &all {
            late.begins(Arc::clone(bundle), sender(1), false);
            late.is_genuine(&TOPIC, &bundle.id());
            late.parks(&TOPIC, &bundle.id(), Show::Held);
        }
        late.ends(&TOPIC, &all[1].id());
        assert!(late.is_parked());
        let next = || {
            let (_, id, bytes, show) = late.next_parked()?;
            late.unparks();
            Some((id, bytes, show))
        };
        let order: Vec<_> = std::iter::from_fn(next).collect();
        let expected = [0, 2].map(|at: usize| (all[at].id(), all[at].encoded().len(), Show::Held));
        assert_eq!(order, expected);
        assert!(!late.is_parked());
    }
}
