//! Which members this node's own links tell that they can't be reached. That is nobody else's verdict, and it changes no state.
//!
//! ```text
//!   a link is quiet, or ended badly ──> Unreachable ──> Reachable       a link is heard
//!                                            └────────> nothing more    it has failed or left, or a minute after the last link
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use super::Members;
use crate::key::PublicKey;
use crate::protocol::context::Cx;
use crate::protocol::links::{Link, Links};
use crate::protocol::member_event::MemberEvent;
use crate::protocol::{DownReason, Mono};
use crate::wire::Reason;

/// For how long a member is shown as unreachable after its last link was given up.
const SHOWN_FOR: Duration = Duration::from_secs(60);

/// What is said of one member.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// It was heard last then.
    since: Mono,
    /// When that is said no more; `None` while a link is quiet.
    until: Option<Mono>,
}

/// See the [module](self). Members only, so there are no more than of those.
#[derive(Debug, Default)]
pub(super) struct Reach {
    marks: BTreeMap<PublicKey, Mark>,
}

impl Reach {
    /// Since when a member can't be reached, if it can't.
    pub(super) fn lost_since(&self, key: &PublicKey) -> Option<Mono> {
        self.marks.get(key).map(|mark| mark.since)
    }

    /// A link is quiet, or has ended badly. True if that is news.
    fn marks(&mut self, key: PublicKey, mark: Mark) -> bool {
        let news = !self.marks.contains_key(&key);
        let since = self.marks.get(&key).map_or(mark.since, |before| before.since);
        self.marks.insert(key, Mark { since, ..mark });
        news
    }

    /// It is said no more, for whatever reason. True if it was.
    pub(super) fn forget(&mut self, key: &PublicKey) -> bool {
        self.marks.remove(key).is_some()
    }

    /// There is no link any more by which it could end.
    fn lapses(&mut self, key: &PublicKey, at: Mono) {
        if let Some(mark) = self.marks.get_mut(key) {
            mark.until.get_or_insert(at);
        }
    }

    /// What has been said for long enough is said no more.
    pub(super) fn expire(&mut self, now: Mono) {
        self.marks.retain(|_, mark| mark.until.is_none_or(|until| now < until));
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn check(
        &self,
        recount: &mut crate::protocol::check::Recount,
        is_here: impl Fn(&PublicKey) -> bool,
    ) {
        recount.holds(self.marks.keys().all(is_here), "somebody is unreachable who is no live member");
    }
}

/// Whether a link that ended so leaves its peer unreachable: it was not to end, as far as this node knows.
const fn ended_badly(why: &DownReason) -> bool {
    match why {
        DownReason::Silent
        | DownReason::FrameTooLong
        | DownReason::FrameTooSlow
        | DownReason::OutOfOrder
        | DownReason::PeerCode { .. }
        | DownReason::Transport(_)
        | DownReason::ClosedHere(Reason::Stalled | Reason::Offence)
        | DownReason::ClosedByPeer(Reason::Shutdown | Reason::Stalled) => true,
        DownReason::Dropped | DownReason::ClosedHere(_) | DownReason::ClosedByPeer(_) => false,
    }
}

impl Members {
    /// A link to a node has come up, or is quiet, or is heard again.
    pub(in crate::protocol) fn looks_at_links(&mut self, cx: &mut Cx, links: &Links, key: &PublicKey) {
        let in_use = || links.of_peer(key).filter(|link| link.is_in_use());
        if in_use().any(|link| link.quiet_since().is_none()) {
            if self.reach.forget(key) {
                self.tell(cx, MemberEvent::Reachable(*key));
            }
        } else if let Some(since) = in_use().filter_map(Link::quiet_since).max() {
            self.is_unreachable(cx, *key, Mark { since, until: None });
        }
    }

    /// A live link to a node has ended; the links are those that are left.
    pub(in crate::protocol) fn loses_link(
        &mut self,
        cx: &mut Cx,
        links: &Links,
        lost: &Link,
        why: &DownReason,
    ) {
        let key = lost.peer();
        if links.of_peer(&key).any(Link::is_in_use) {
            return self.looks_at_links(cx, links, &key);
        }
        let over = cx.now.mono.plus(SHOWN_FOR);
        if lost.quiet_since().is_some() || ended_badly(why) {
            let since = lost.quiet_since().unwrap_or(lost.last_frame());
            self.is_unreachable(cx, key, Mark { since, until: Some(over) });
        }
        // (It may have been heard again after this node had closed it.)
        self.reach.lapses(&key, over);
    }

    /// A member has failed or left: nothing more is told of this node's links to it.
    pub(super) fn looks_no_more(&mut self, key: &PublicKey) {
        self.reach.forget(key);
        self.told.forget_links(key);
    }

    fn is_unreachable(&mut self, cx: &mut Cx, key: PublicKey, mark: Mark) {
        let here = self.table.get(&key).is_some_and(|entry| entry.state().is_here());
        if here && key != self.me && self.reach.marks(key, mark) {
            self.tell(cx, MemberEvent::Unreachable(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    #[test]
    fn a_mark_is_news_once_and_ends_a_minute_after_the_last_link() {
        let at = |seconds: u64| Mono::from_nanos(seconds * 1_000_000_000);
        let key = SecretKey::from_seed(&[1; 32]).public();
        let mut reach = Reach::default();
        assert!(reach.marks(key, Mark { since: at(3), until: None }));
        assert!(!reach.marks(key, Mark { since: at(30), until: Some(at(99)) }));
        assert_eq!(reach.lost_since(&key), Some(at(3)), "since it was heard last");
        reach.expire(at(98));
        assert!(reach.lost_since(&key).is_some());
        reach.expire(at(99));
        assert!(reach.lost_since(&key).is_none() && !reach.forget(&key));
    }

    #[test]
    fn who_needs_a_link_no_more_is_not_unreachable() {
        use Reason::{Full, Shutdown, Stalled, Unneeded};
        let bad = [DownReason::Silent, DownReason::ClosedByPeer(Shutdown), DownReason::ClosedHere(Stalled)];
        assert!(bad.iter().all(ended_badly));
        let good = [DownReason::ClosedByPeer(Unneeded), DownReason::ClosedHere(Full), DownReason::Dropped];
        assert!(!good.iter().any(ended_badly));
    }
}
