//! All that can be done to a node: the library's adversaries over QUIC, and what is no matter of frames.

use std::sync::Arc;
use std::time::Duration;

use vouchsafe::SecretKey;
use vouchsafe::adversary::Liar;
use vouchsafe::hostile::{HostilePeer, Target};
use vouchsafe::rumor::RuleSet;
use vouchsafe_cli::demo::liars::target;

use crate::deeds::Deed;

/// Between two tries of one attacker: all of them together must leave this machine's few cores to the nodes.
pub const BREATH: Duration = Duration::from_millis(50);
/// How much faster an adversary's clock runs than in simulations: what begins after three seconds there begins at once.
const HASTE: u32 = 16;
/// The same for floods, whose beat this is too: as much as a link takes.
const FLOOD: u32 = 256;

/// One attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// An adversary of the library.
    Lies(&'static Liar),
    /// No matter of frames.
    Does(Deed),
}

impl Attack {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Liar::ALL.iter().map(Self::Lies).chain(Deed::ALL.into_iter().map(Self::Does))
    }

    /// What it does, in a line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lies(liar) => liar.about().unwrap_or_default().trim_end_matches('.'),
            Self::Does(deed) => deed.name(),
        }
    }

    /// How long it must go on to be measured.
    pub const fn least(self) -> Duration {
        match self {
            Self::Lies(_) => Duration::ZERO,
            Self::Does(deed) => deed.least(),
        }
    }

    /// Attacks these nodes, under a new key, until they have closed all links or the deed is done.
    pub async fn once(self, peers: &[Target], rules: Arc<RuleSet>) {
        match self {
            Self::Lies(liar) => {
                let Ok(socket) = target::socket().await else { return };
                let (liar, haste) = match is_flood(liar) {
                    // So that a link carries the flood and nothing else.
                    true => (liar.clone().silently(), FLOOD),
                    false => (liar.clone(), HASTE),
                };
                let peer = HostilePeer::new(liar, SecretKey::generate(), RuleSet::clone(&rules));
                peer.hurried(haste).from_socket(socket.clone()).run(peers, |_| ()).await;
            }
            Self::Does(deed) => {
                for peer in peers {
                    deed.once(*peer, Arc::clone(&rules)).await;
                }
            }
        }
    }

    /// As [`Attack::once`], over and over, until it is stopped. A refused or ended link is not a reason to give up.
    pub async fn again(self, peers: Vec<Target>, rules: Arc<RuleSet>) {
        loop {
            self.once(&peers, Arc::clone(&rules)).await;
            tokio::time::sleep(BREATH).await;
        }
    }
}

/// Whether more of it at once is what it is about.
fn is_flood(liar: &Liar) -> bool {
    matches!(
        liar,
        Liar::Phantoms
            | Liar::PullFlood
            | Liar::Replay
            | Liar::Topics
            | Liar::Waver
            | Liar::Expired
            | Liar::Crowd
            | Liar::Crumbs
    )
}
