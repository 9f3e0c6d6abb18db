//! What is shown of members.

use core::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::life::MemberState;
use super::{Explanation, Members, table};
use crate::key::PublicKey;
use crate::protocol::links::{Link, Links};
use crate::protocol::{Config, Mono, Now};

/// A member as this node shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Member {
    /// Its node key.
    pub key: PublicKey,
    /// Where it says that it can be dialled.
    pub addresses: Vec<SocketAddr>,
    /// What its application says.
    pub metadata: Vec<u8>,
    /// Whether it lives.
    pub state: MemberState,
    /// Since when it is so, Unix milliseconds by this node's clock.
    pub since_ms: u64,
    /// When its present life began, Unix milliseconds by its clock.
    pub boot_ms: u64,
    /// How often it gives a sign of life, as this node counts it.
    pub period: Duration,
    /// What this node's own links tell of it.
    pub link: MemberLink,
}

/// What a node's own links tell of a member. That is no word about its state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum MemberLink {
    /// There is none.
    None,
    /// One is up, and something comes over it.
    Up,
    /// Over those that are up nothing comes, or the last has ended badly within a minute.
    Quiet {
        /// Since when nothing has come, Unix milliseconds by this node's clock.
        since_ms: u64,
    },
}

impl Members {
    /// All members that it knows.
    pub(in crate::protocol) fn list(&self, links: &Links, config: &Config, now: Now) -> Vec<Member> {
        let would_state = self.would_state(config.members.renewals_per_s);
        let mut all: Vec<_> =
            self.table.iter().map(|entry| self.shown(entry, would_state, links, now)).collect();
        if let Some(myself) = self.unsaid(would_state) {
            match all.binary_search_by_key(&self.me, |member| member.key) {
                Ok(at) => _ = all.get_mut(at).map(|shown| *shown = myself),
                Err(at) => all.insert(at, myself),
            }
        }
        all
    }

    /// This node itself, as long as it has said nothing in this life.
    fn unsaid(&self, would_state: u16) -> Option<Member> {
        self.own.is_unsaid().then(|| Member {
            key: self.me,
            addresses: self.own.addresses().to_vec(),
            metadata: self.own.metadata().to_vec(),
            state: MemberState::Alive,
            since_ms: self.own.boot_ms(),
            boot_ms: self.own.boot_ms(),
            period: Duration::from_secs(would_state.into()),
            link: MemberLink::None,
        })
    }

    /// One of them.
    pub(in crate::protocol) fn one(
        &self,
        key: &PublicKey,
        links: &Links,
        config: &Config,
        now: Now,
    ) -> Option<Member> {
        let would_state = self.would_state(config.members.renewals_per_s);
        let unsaid = (*key == self.me).then(|| self.unsaid(would_state)).flatten();
        unsaid.or_else(|| self.table.get(key).map(|entry| self.shown(entry, would_state, links, now)))
    }

    /// What is behind what is shown of one of them.
    pub(in crate::protocol) fn explain(
        &self,
        key: &PublicKey,
        links: &Links,
        config: &Config,
        now: Now,
    ) -> Option<Explanation> {
        // (What it has not said in this life nobody can verify.)
        if *key == self.me && self.own.is_unsaid() {
            return None;
        }
        let (member, entry) = (self.one(key, links, config, now)?, self.table.get(key)?);
        let pulse = entry.chain().filter(|chain| chain.known.index > 0);
        let pulse = pulse.map(|chain| (chain.terms, chain.known));
        Some(Explanation { member, record: Arc::clone(entry.bundle()), pulse })
    }

    fn shown(&self, entry: &table::Entry, would_state: u16, links: &Links, now: Now) -> Member {
        let beacon = entry.beacon();
        Member {
            key: entry.key(),
            addresses: beacon.map(|beacon| beacon.addresses.clone()).unwrap_or_default(),
            metadata: beacon.map(|beacon| beacon.metadata.to_vec()).unwrap_or_default(),
            state: entry.state(),
            since_ms: entry.life().since_ms(),
            boot_ms: entry.boot_ms(),
            period: entry.period(would_state),
            link: self.link(&entry.key(), links, now),
        }
    }

    fn link(&self, key: &PublicKey, links: &Links, now: Now) -> MemberLink {
        let ago = |since: Mono| u64::try_from(now.mono.since(since).as_millis()).unwrap_or(u64::MAX);
        match self.reach.lost_since(key) {
            Some(since) => MemberLink::Quiet { since_ms: now.unix_ms.saturating_sub(ago(since)) },
            None => {
                let in_use = || links.of_peer(key).filter(|link| link.is_in_use());
                match in_use().filter_map(Link::quiet_since).max() {
                    Some(since) if in_use().all(|link| link.quiet_since().is_some()) => {
                        MemberLink::Quiet { since_ms: now.unix_ms.saturating_sub(ago(since)) }
                    }
                    _ if in_use().next().is_some() => MemberLink::Up,
                    _ => MemberLink::None,
                }
            }
        }
    }
}
