//! The catalogue that the soak draws from, and one attack under way.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use vouchsafe::{PeerAddr, SecretKey};

use super::deeds;
use crate::demo::liars;
use crate::demo::plan::{Dice, Kind, LiarPlan};
use crate::demo::world::Directory;
use crate::exit::Failure;

/// What can be done to the nodes. The first are the demo's liars, who act once and are caught; the rest go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attack {
    Lies(Kind),
    /// Says hello and never reads (B25).
    Deaf,
    /// Announces what does not exist (B29).
    Announces,
    /// Asks for the same again and again (B11).
    Pulls,
    /// Connects and leaves (B30).
    Knocks,
    /// Begins handshakes and never ends them (B30).
    HalfOpen,
    /// Resets its streams, or closes, in the middle of frames (B5, B9).
    Resets,
    /// Joins ever more topics (B27).
    Topics,
    /// Sends back all that it hears, on every lane (B10).
    Repeats,
    /// Sends datagrams that are no QUIC.
    Noise,
}

impl Attack {
    const ALL: [Self; 14] = [
        Self::Lies(Kind::Forges),
        Self::Lies(Kind::Floods),
        Self::Lies(Kind::Equivocates),
        Self::Lies(Kind::Malforms),
        Self::Lies(Kind::StaysSilent),
        Self::Deaf,
        Self::Announces,
        Self::Pulls,
        Self::Knocks,
        Self::HalfOpen,
        Self::Resets,
        Self::Topics,
        Self::Repeats,
        Self::Noise,
    ];

    pub(super) fn chosen(dice: &mut Dice) -> Self {
        Self::ALL.get(dice.below(Self::ALL.len())).copied().unwrap_or(Self::Deaf)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Lies(kind) => kind.name(),
            Self::Deaf => "never reads",
            Self::Announces => "announces nothing real",
            Self::Pulls => "pulls without end",
            Self::Knocks => "connects and leaves",
            Self::HalfOpen => "half-open handshakes",
            Self::Resets => "resets streams",
            Self::Topics => "joins ever more topics",
            Self::Repeats => "repeats all it hears",
            Self::Noise => "noise on the sockets",
        }
    }
}

/// Lets an attack loose on some of the nodes that are up. It ends when the set is dropped.
pub(super) fn start(attack: Attack, directory: &Directory, dice: &mut Dice) -> Result<JoinSet<()>, Failure> {
    let mut tasks = JoinSet::new();
    let nodes = directory.honest.len();
    let meets = dice.some_of(nodes, 4, None);
    if let Attack::Lies(kind) = attack {
        let victims = meets.iter().map(|_| dice.below(nodes)).collect();
        let plan = LiarPlan { kind, meets, patience: dice.below(20), victims };
        // Nobody asks what becomes of them: the honest nodes' own events tell.
        let (fates, mut unread) = mpsc::channel(64);
        liars::start(0, SecretKey::generate(), &plan, directory, &fates, &mut tasks)?;
        tasks.spawn(async move { while unread.recv().await.is_some() {} });
        return Ok(tasks);
    }
    let rules = Arc::new(directory.rules.clone());
    for peer in meets.into_iter().filter_map(|at| directory.honest.get(at).copied()) {
        let rules = Arc::clone(&rules);
        match attack {
            Attack::Lies(_) => {}
            Attack::Deaf => drop(tasks.spawn(again(peer, move |peer| deeds::deaf(peer, Arc::clone(&rules))))),
            Attack::Announces => {
                tasks.spawn(again(peer, move |peer| deeds::announces(peer, Arc::clone(&rules))));
            }
            Attack::Pulls => {
                drop(tasks.spawn(again(peer, move |peer| deeds::pulls(peer, Arc::clone(&rules)))))
            }
            Attack::Knocks => drop(tasks.spawn(again(peer, deeds::knocks))),
            Attack::HalfOpen => {
                // Eight at a time, since each takes as long as the node waits for it.
                for _ in 0..8 {
                    tasks.spawn(again(peer, deeds::half_open));
                }
            }
            Attack::Resets => {
                tasks.spawn(again(peer, move |peer| deeds::resets(peer, Arc::clone(&rules))));
            }
            Attack::Topics => {
                tasks.spawn(again(peer, move |peer| deeds::topics(peer, Arc::clone(&rules))));
            }
            Attack::Repeats => {
                tasks.spawn(again(peer, move |peer| deeds::repeats(peer, Arc::clone(&rules))));
            }
            Attack::Noise => drop(tasks.spawn(again(peer, deeds::noise))),
        }
    }
    Ok(tasks)
}

/// Under a new key each time, until it is stopped. A refused or ended link is not a reason to give up.
async fn again<F: Future<Output = ()>>(peer: PeerAddr, deed: impl Fn(PeerAddr) -> F) {
    loop {
        deed(peer).await;
        tokio::time::sleep(deeds::BREATH).await;
    }
}
