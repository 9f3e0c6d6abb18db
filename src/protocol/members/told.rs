//! What the application is told of members: at most one event of a member in ten seconds, the first at once. Later ones wait, and of
//! several the last is told: of those that say whether it is here, if there is one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::Mono;
use crate::protocol::member_event::MemberEvent;

/// The shortest time between two events of a member.
const EVERY: Duration = Duration::from_secs(10);

/// What an event is about. One kind takes no place of another, nor delays it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum About {
    /// What becomes of a member.
    Life,
    /// This node's own links to it.
    Links,
    /// Two processes have its key.
    Key,
}

impl About {
    const ALL: [Self; 3] = [Self::Life, Self::Links, Self::Key];

    const fn of(event: &MemberEvent) -> Self {
        match event {
            MemberEvent::DuplicateIdentity(_) => Self::Key,
            MemberEvent::Unreachable(_) | MemberEvent::Reachable(_) => Self::Links,
            _ => Self::Life,
        }
    }
}

/// Whether it says who is here. What a member says of itself takes no place of that.
const fn is_news(event: &MemberEvent) -> bool {
    !matches!(event, MemberEvent::Updated(_) | MemberEvent::Restarted(_))
}

/// See the [module](self). It has three entries for each member, at most.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// By member and what it is about.
    last: BTreeMap<(PublicKey, About), (Mono, Option<MemberEvent>)>,
}

impl Told {
    /// Something has happened. Gives it back if it is told now.
    pub(super) fn happens(&mut self, event: MemberEvent, now: Mono) -> Option<MemberEvent> {
        let Some(key) = event.member() else { return Some(event) };
        let key = (*key, About::of(&event));
        match self.last.get_mut(&key) {
            Some((at, waits)) if now.since(*at) < EVERY => {
                if is_news(&event) || waits.as_ref().is_none_or(|waits| !is_news(waits)) {
                    *waits = Some(event);
                }
                None
            }
            _ => {
                self.last.insert(key, (now, None));
                Some(event)
            }
        }
    }

    /// Nobody is remembered any more; what waits to be told of it is told no more.
    pub(super) fn forget(&mut self, key: &PublicKey) {
        About::ALL.iter().for_each(|about| _ = self.last.remove(&(*key, *about)));
    }

    /// What waits to be told of this node's links to a member is told no more.
    pub(super) fn forget_links(&mut self, key: &PublicKey) {
        if let Some((_, waits)) = self.last.get_mut(&(*key, About::Links)) {
            *waits = None;
        }
    }

    /// What has waited for long enough.
    pub(super) fn takes_due(&mut self, now: Mono) -> Vec<MemberEvent> {
        let mut due = Vec::new();
        self.last.retain(|_, (at, waits)| {
            if now.since(*at) < EVERY {
                return true;
            }
            let Some(event) = waits.take() else { return false };
            due.push(event);
            *at = now;
            true
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::protocol::member_event::FailedWhy;

    #[test]
    fn of_several_events_of_a_member_the_first_is_told_at_once_and_the_last_later() {
        let at = |seconds: u64| Mono::from_nanos(seconds * 1_000_000_000);
        let (one, two) = (SecretKey::from_seed(&[1; 32]).public(), SecretKey::from_seed(&[2; 32]).public());
        let mut told = Told::default();
        assert_eq!(told.happens(MemberEvent::Joined(one), at(0)), Some(MemberEvent::Joined(one)));
        assert_eq!(told.happens(MemberEvent::Updated(one), at(1)), None);
        assert_eq!(told.happens(MemberEvent::Joined(two), at(1)), Some(MemberEvent::Joined(two)));
        assert_eq!(told.happens(MemberEvent::Left(one), at(2)), None);
        assert_eq!(told.takes_due(at(9)), []);
        assert_eq!(told.takes_due(at(10)), [MemberEvent::Left(one)]);
        assert_eq!(told.happens(MemberEvent::Returned(one), at(19)), None, "ten seconds begin anew");
        assert_eq!(told.takes_due(at(20)), [MemberEvent::Returned(one)]);
        assert!(
            told.takes_due(at(40)).is_empty() && told.last.is_empty(),
            "nothing is remembered for longer"
        );
        // What waits to be told of links to a member is told no more once it has failed.
        assert!(told.happens(MemberEvent::Unreachable(one), at(40)).is_some());
        assert!(told.happens(MemberEvent::Reachable(one), at(41)).is_none());
        assert!(told.happens(MemberEvent::Left(one), at(42)).is_some(), "another kind waits for none");
        told.forget_links(&one);
        assert_eq!(told.takes_due(at(60)), []);
        // What a member says of itself takes no place of what became of it.
        assert!(told.happens(MemberEvent::Stale(two), at(70)).is_some());
        assert!(told.happens(MemberEvent::Updated(two), at(71)).is_none());
        assert!(told.happens(MemberEvent::Failed(two, FailedWhy::Lease), at(73)).is_none());
        assert!(told.happens(MemberEvent::Restarted(two), at(75)).is_none());
        assert_eq!(told.takes_due(at(80)), [MemberEvent::Failed(two, FailedWhy::Lease)]);
        assert_eq!(told.happens(MemberEvent::Isolated, at(40)), Some(MemberEvent::Isolated));
        assert_eq!(
            told.happens(MemberEvent::Isolated, at(40)),
            Some(MemberEvent::Isolated),
            "that is no member's"
        );
    }
}
