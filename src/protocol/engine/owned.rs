//! Topics with an owner: their lists are joined and left with them, and what a new list means for what was refused by the one before.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::key::PublicKey;
use crate::protocol::engine::Engine;
use crate::protocol::keeping::{Found, KeepOptions, Query, StoreJob, StoreTrouble};
use crate::protocol::links::Link;
use crate::protocol::repair::Purpose;
use crate::protocol::topics::window::Window;
use crate::protocol::{Action, PublishError};
use crate::rumor::{Bundle, MAX_BODY, RuleSet, TopicId, newest_list};

/// More than one bundle that has a list.
const LIST_BYTES: usize = 2 * MAX_BODY as usize;

impl Engine {
    /// Who may speak in a joined topic, as far as this node knows: `None` if anybody may, or the rules name them. The owner is among them,
    /// and nobody is where the owner was convicted.
    #[must_use]
    pub fn owned_authors(&self, topic: &TopicId) -> Option<BTreeSet<PublicKey>> {
        self.cx.owned.authors(topic)
    }
}

impl Engine {
    /// A topic is joined: if it has an owner, so is the topic of its list, before anything is heard of the one.
    pub(super) fn enter_owned(&mut self, rules: &RuleSet) {
        let Some(list) = rules.authors_topic() else { return };
        let is_convicted = rules.owner().is_some_and(|owner| self.evidence.is_convicted(&owner));
        self.cx.owned.enter(rules, &list, is_convicted);
        self.join(list, false, false, KeepOptions::default());
    }

    /// The store has opened a topic. If it is a list, what it says is known from now on.
    pub(super) fn read_list(&mut self, topic: &TopicId) {
        if !self.cx.owned.is_list(topic) {
            return;
        }
        let look = self.repair.looks_mut().ask(Purpose::List(*topic));
        self.cx.owned.set_unread(topic, look.is_none());
        if let Some(look) = look {
            let query = Query::Live { topic: *topic, after: None, max_bytes: LIST_BYTES };
            self.cx.actions.push_back(Action::Store(StoreJob::Look { look, query }));
        }
    }

    pub(super) fn on_list_read(&mut self, topic: &TopicId, found: Result<Found, StoreTrouble>) {
        match found {
            Ok(Found::Live(live)) => {
                let bundles = live.items.iter().filter_map(|item| item.bundle.as_ref());
                bundles.for_each(|bundle| self.lists_hear(bundle));
            }
            _ => self.cx.owned.set_unread(topic, true),
        }
        self.list_is_told(topic);
    }

    /// The store has said which list it has, or that it can't: what waits to be published waits for that no longer.
    pub(super) fn list_is_told(&mut self, topic: &TopicId) {
        if let Some(topic) = self.cx.owned.is_told(topic) {
            self.may_not_publish(topic);
            self.publisher.wake(topic);
        }
    }

    /// A genuine bundle, from wherever it came: if it is a list, the newest one counts.
    pub(super) fn lists_hear(&mut self, bundle: &Arc<Bundle>) {
        let list = bundle.header().topic;
        if !self.cx.owned.is_list(&list) || self.evidence.is_convicted(&bundle.header().author) {
            return;
        }
        let (Some(last), Some(listed)) = (bundle.rumors().last(), newest_list(bundle)) else { return };
        if let Some(topic) = self.cx.owned.hears(&list, last.position(), listed) {
            self.topics.get_mut(&topic).into_iter().for_each(Window::forget_refused);
            self.may_not_publish(topic);
            self.begin_anew();
        }
    }

    /// An author was convicted. Where it is the owner, nobody may speak any more.
    pub(super) fn close_owned(&mut self, author: &PublicKey) {
        for topic in self.cx.owned.closes(author) {
            self.may_not_publish(topic);
        }
    }

    /// What waits to be published where this author may not speak any more is given up.
    fn may_not_publish(&mut self, topic: TopicId) {
        let author = self.publisher.signer_in(&topic);
        // (While the store is awaited, a link may have brought a list that is older than what it has.)
        if !self.cx.owned.admits(&topic, &author) && !self.cx.owned.is_awaited(&topic) {
            self.fail_publishes(topic, &PublishError::NotAdmitted(author));
        }
    }

    /// Once a second, and when a list has come: what lists before it had refused is asked for again.
    pub(super) fn begin_anew(&mut self) {
        for topic in self.cx.owned.unread() {
            self.read_list(&topic);
        }
        for topic in self.cx.owned.takes_new(self.cx.now.mono) {
            if self.cx.owned.takes_refused(&topic) {
                let relaying = |link: &&mut Link| link.relays(&topic);
                self.links.iter_mut().filter(relaying).for_each(|link| link.has_more(topic));
            }
            // Heads of authors that were not listed were passed over, so whoever had nothing more may have more.
            let open = self.repair.topic(&topic).filter(|kept| kept.is_open());
            if let Some(rules) = open.map(|kept| Arc::clone(kept.rules())) {
                self.stop_asking(&topic);
                self.begin_asking(&rules);
            }
        }
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn check_owned(&self, recount: &mut crate::protocol::check::Recount) {
        let owned = self.topics.values().filter(|window| window.rules().owner().is_some()).count();
        self.cx.owned.check(recount, |topic| self.topics.contains_key(topic), owned);
    }
}
