//! The node decides anew who may link to it and is shown as a member, and what follows from that at once.

use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::admission::{AdmissionChange, AdmissionRefusal};
use crate::protocol::engine::Engine;
use crate::protocol::members::Members;
use crate::protocol::timers::Timer;
use crate::protocol::topics::window::Window;
use crate::protocol::{Action, LinkId};
use crate::wire::Reason;

/// What a driver, as [`Node`](crate::Node) is one, may ask and set of who may link.
impl Engine {
    /// Takes links with these node keys only, and shows these members only, from now on. Links with others are closed. It takes the place
    /// of the allow-list that there was; who is expelled stays so.
    ///
    /// # Errors
    /// If there are more keys than an allow-list may have; then nothing is changed.
    pub fn allow_only(&mut self, keys: impl IntoIterator<Item = PublicKey>) -> Result<(), AdmissionRefusal> {
        self.cx.admission.allow_only(keys.into_iter().collect())?;
        let linked: Vec<_> = self.links.iter().map(|link| link.peer()).collect();
        let known: Vec<_> = self.members.iter().flat_map(Members::keys).collect();
        linked.iter().chain(&known).for_each(|key| self.part_with(key));
        self.hear_the_admitted();
        Ok(())
    }

    /// The node keys on the allow-list, those included that are expelled for now; `None` if all keys are admitted.
    #[must_use]
    pub fn allowed(&self) -> Option<Vec<PublicKey>> {
        self.cx.admission.allowed().map(|keys| keys.iter().copied().collect())
    }

    /// The node keys that are expelled now, each with for how long it still is.
    #[must_use]
    pub fn expelled(&self) -> Vec<(PublicKey, Duration)> {
        self.cx.admission.expelled(self.cx.now.mono).collect()
    }
}

impl Engine {
    pub(super) fn on_admission(&mut self, change: AdmissionChange) {
        let result = self.cx.admission.changes(change, self.cx.now.mono);
        self.part_with(&change.key());
        self.hear_the_admitted();
        self.cx.actions.push_back(Action::AdmissionChanged { result });
    }

    pub(super) fn on_expulsion_over(&mut self) {
        self.cx.admission.expire(self.cx.now.mono);
        self.hear_the_admitted();
    }

    /// Whoever is not admitted any more has no link, and is shown as no member.
    fn part_with(&mut self, key: &PublicKey) {
        if !self.cx.shows(key)
            && let Some(members) = &mut self.members
        {
            members.removes(&mut self.cx, key);
        }
        let Some(reason) = self.cx.admission.refuses(key, self.cx.now.mono) else { return };
        for link in self.open_links_of(key) {
            self.close(link, reason);
        }
    }

    fn open_links_of(&self, key: &PublicKey) -> Vec<LinkId> {
        self.links.of_peer(key).filter(|link| !link.is_closing()).map(|link| link.id()).collect()
    }

    /// Records that were refused since their members were not admitted are asked for again, and sets the timer for the next who will be.
    fn hear_the_admitted(&mut self) {
        if let Some(at) = self.cx.admission.next_alarm(self.cx.now.mono) {
            self.cx.timers.set(at, Timer::ExpulsionOver);
        }
        if !self.cx.admission.takes_grown() {
            return;
        }
        let Some(members) = &mut self.members else { return };
        members.asks_anew();
        let topic = members.topic();
        self.topics.get_mut(&topic).into_iter().for_each(Window::forget_refused);
        self.asker.topic_mut(&topic).into_iter().for_each(|asked| asked.refused_mut().clear());
    }

    /// Once a second: what the store has of those who were admitted is heard. (It is walked for all of them together.)
    pub(super) fn read_the_admitted(&mut self) {
        if !self.cx.admission.is_unread() {
            return;
        }
        let Some(topic) = self.members.as_ref().map(Members::topic) else { return };
        if self.read_members(&topic, None) {
            self.cx.admission.is_read();
        }
    }

    /// Why no link with this key is taken by this node's own choice, if none is.
    pub(super) fn is_kept_out(&self, peer: &PublicKey) -> Option<Reason> {
        self.cx.admission.refuses(peer, self.cx.now.mono)
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn check_admission(&self, recount: &mut crate::protocol::check::Recount) {
        self.cx.admission.check(recount);
        let kept_out = |key: &PublicKey| self.is_kept_out(key).is_some();
        let links = self.links.iter().filter(|link| !link.is_closing() && kept_out(&link.peer())).count();
        recount.same("links with keys that are not admitted", links, 0);
        let members = self.members.iter().flat_map(Members::keys).filter(|key| !self.cx.shows(key)).count();
        recount.same("members that are not admitted", members, 0);
    }
}
