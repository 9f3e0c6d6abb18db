//! Signatures that wait to be verified: fair over senders, and batched so that nobody can spoil another's batch.

use crate::protocol::engine::Engine;
use crate::protocol::failpoint::Failpoint;
use crate::protocol::limits::MAX_WAITING;
use crate::protocol::links::Pause;
use crate::protocol::verification::queue::VerifyQueue;
use crate::protocol::verification::work::Work;
use crate::protocol::{Action, LinkId};
use crate::rumor::{BundleId, TopicId};

/// Which queue a batch is taken from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Of members.
    System,
    /// Of what is new.
    New,
    /// Of the past.
    Late,
}

impl Engine {
    /// Starts as many batches as there are verifiers.
    pub(super) fn dispatch_verification(&mut self) {
        self.start_batches();
        // No verdict will come for what was left out, so this is the moment to read on.
        if self.verifying.has_left_out() {
            self.resume_verified();
        }
    }

    /// Those of members first; then new signatures and those of the past in turn, where both wait, and then the latter have half a batch.
    fn start_batches(&mut self) {
        let under_way = |engine: &Self| {
            [&engine.system_verifying, &engine.verifying, &engine.late_verifying].map(VerifyQueue::under_way)
        };
        while under_way(self).iter().sum::<usize>() < self.cx.config.verifiers.max(1) {
            if self.start_batch(Class::System, false) {
                continue;
            }
            let both = self.verifying.total() > 0 && self.late_verifying.total() > 0;
            let late = if both { self.late_is_next } else { self.verifying.total() == 0 };
            let order = if late { [Class::Late, Class::New] } else { [Class::New, Class::Late] };
            if !order.into_iter().any(|class| self.start_batch(class, both)) {
                return;
            }
        }
    }

    fn start_batch(&mut self, class: Class, both: bool) -> bool {
        let links = &self.links;
        let shared = self.cx.config.lacks(Failpoint::SharedBatches);
        let alone = |id: LinkId| match links.slot_of(id).and_then(|slot| links.at(slot)) {
            _ if shared => None,
            Some(link) => link.verified_alone(),
            None => Some(1),
        };
        // When an author is convicted, all our links tell us, and one proof is enough.
        let book = &self.evidence;
        let stale = |work: &Work| matches!(work, Work::Evidence { evidence, .. } if book.is_convicted(&evidence.author()));
        let whole = self.cx.config.batch.max(1);
        let (queue, most) = match class {
            Class::System => (&mut self.system_verifying, whole),
            Class::New => (&mut self.verifying, whole),
            Class::Late => (&mut self.late_verifying, if both { whole.div_ceil(2) } else { whole }),
        };
        let Some((batch, work)) = queue.next_batch(most, alone, stale) else { return false };
        let jobs: Vec<_> = work.iter().map(|(_, work)| work.job()).collect();
        if class != Class::System {
            self.late_is_next = class == Class::New;
        }
        self.cx.counters.batches += 1;
        self.cx.counters.verified += jobs.len() as u64;
        self.cx.actions.push_back(Action::Verify { batch, jobs });
        true
    }

    /// Where the signatures of a topic wait.
    pub(super) fn queue_of(&self, topic: &TopicId) -> &VerifyQueue {
        if self.cx.is_system(topic) { &self.system_verifying } else { &self.verifying }
    }

    /// Where a piece of work waits.
    pub(super) fn queue_for(&mut self, work: &Work) -> &mut VerifyQueue {
        let system = work.topic().is_some_and(|topic| self.cx.is_system(topic));
        if system { &mut self.system_verifying } else { &mut self.verifying }
    }

    /// Reads again from links whose signatures no longer wait in such numbers.
    pub(super) fn resume_verified(&mut self) {
        let queues =
            [(Pause::Verification, &self.verifying), (Pause::SystemVerification, &self.system_verifying)];
        let mut resumed = Vec::new();
        for (why, queue) in queues.into_iter().filter(|(_, queue)| queue.total() < MAX_WAITING * 3 / 4) {
            let paused = self.links.iter().filter(|link| link.is_paused(why) && queue.has_room(link.id()));
            resumed.extend(paused.map(|link| (link.id(), why)));
        }
        for (id, why) in resumed {
            self.resume(id, why);
        }
    }

    /// A link is convicted with work still waiting: whoever else sent the same copy stands in for it, or else the other
    /// candidates, or else the id is as if never seen.
    pub(super) fn drop_work(&mut self, link: LinkId, work: &Work) {
        if let Work::Late { topic, job, .. } = work
            && self.asker.late().judged(topic, &job.id, &job.signature).is_some()
        {
            return self.late_never_came(*topic, &job.id);
        }
        let Work::Bundle { topic, job, .. } = work else { return };
        let entry = self.topics.get_mut(topic).and_then(|window| window.entry_mut(&job.id));
        let Some(entry) = entry else { return };
        let Some(first) = entry.first_copy() else { return };
        // The entry may be another by now, of the same id, with a copy that has nothing to do with this link.
        if first.link != link || first.signature != job.signature {
            return;
        }
        if let Some(other) = entry.hand_over() {
            return self.queue_signature(other, work.clone());
        }
        self.next_candidate(topic, &job.id);
    }

    /// Replaces a first candidate that is not to be trusted by the next one, if there is one.
    pub(super) fn next_candidate(&mut self, topic: &TopicId, id: &BundleId) {
        let Some(window) = self.topics.get_mut(topic) else { return };
        let Some(entry) = window.entry_mut(id) else { return };
        if entry.is_verified() {
            return;
        }
        // A copy whose only senders are banned by now is not worth a check.
        let (bans, now) = (&self.bans, self.cx.now.mono);
        let Some(next) = entry.next_candidate(|copy| !bans.is_banned(&copy.peer, now) || copy.hand_over())
        else {
            window.forget(id);
            // Whoever else announced it is asked next.
            return self.ask((*topic, *id));
        };
        let work = Work::bundle(*topic, *id, entry);
        self.queue_signature(next.link, work);
    }
}
