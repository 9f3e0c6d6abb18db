//! Keeping links: whom to dial, and how long to wait after a failure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::PeerAddr;
use super::message::Message;
use super::reach::Reach;
use crate::key::PublicKey;

/// The first pause after a failed dial or a lost link; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause: a node that comes back is found again within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A link that lived this long ends the doubling.
const STABLE: Duration = Duration::from_secs(10);

/// The peers that the application wants links to.
#[derive(Debug, Default)]
pub(super) struct Dialler {
    kept: HashMap<PublicKey, Kept>,
}

#[derive(Debug)]
struct Kept {
    addr: PeerAddr,
    pause: Duration,
    /// A dial is waiting or under way.
    dialling: bool,
    up_since: Option<Instant>,
}

impl Dialler {
    /// Adds a peer, or gives it a new address; true if it is to be dialled now.
    pub(super) fn keep(&mut self, addr: PeerAddr) -> bool {
        let kept = self.kept.entry(addr.key).or_insert(Kept {
            addr: addr.clone(),
            pause: FIRST_PAUSE,
            dialling: false,
            up_since: None,
        });
        kept.addr = addr;
        !std::mem::replace(&mut kept.dialling, true)
    }

    /// A link to `peer` is up, whoever dialled.
    pub(super) fn up(&mut self, peer: &PublicKey) {
        if let Some(kept) = self.kept.get_mut(peer) {
            kept.up_since = Some(Instant::now());
            kept.dialling = false;
        }
    }

    /// A dial has failed, or the link to `peer` is gone: whom to dial again, and after which pause.
    pub(super) fn down(&mut self, peer: &PublicKey) -> Option<(PeerAddr, Duration)> {
        let kept = self.kept.get_mut(peer)?;
        if kept.up_since.take().is_some_and(|since| since.elapsed() >= STABLE) {
            kept.pause = FIRST_PAUSE;
        }
        let pause = kept.pause;
        kept.pause = (pause * 2).min(LONGEST_PAUSE);
        kept.dialling = true;
        Some((kept.addr.clone(), pause))
    }

    /// Whether a link to `peer` is wanted and is not up.
    pub(super) fn waits_for(&self, peer: &PublicKey) -> bool {
        self.kept.get(peer).is_some_and(|kept| kept.up_since.is_none())
    }

    /// A peer is no longer wanted. What is under way is not taken back.
    pub(super) fn forget(&mut self, peer: &PublicKey) {
        self.kept.remove(peer);
    }

    /// No dial is wanted any more.
    pub(super) fn stop(&mut self) {
        self.kept.clear();
    }
}

/// Dials `peer` after `pause`, beside the loop, and tells the actor how it went.
pub(super) fn dial(reach: Reach, peer: PeerAddr, pause: Duration, inbox: mpsc::WeakSender<Message>) {
    tokio::spawn(async move {
        // A fifth of jitter, so that two nodes that lost each other do not dial at the same moment for ever.
        let mut random = [0u8; 1];
        let _ = getrandom::fill(&mut random);
        tokio::time::sleep(pause + pause.mul_f64(f64::from(random[0]) / 1280.0)).await;
        let result = reach.reach(peer.clone()).await;
        if let Some(inbox) = inbox.upgrade() {
            // An error means that the node is gone, and the connection closes with it.
            let _ = inbox.send(Message::Dialled { peer, result }).await;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_lost_is_dialled_again_after_ever_longer_and_who_is_forgotten_is_not() {
        let peer =
            PeerAddr::new(PublicKey::from_bytes([1; 32]), std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
        let mut dialler = Dialler::default();
        assert!(dialler.keep(peer.clone()));
        assert!(!dialler.keep(peer.clone()), "a dial is under way");
        dialler.up(&peer.key);
        let pauses: Vec<_> = (0..9).map(|_| dialler.down(&peer.key).map(|(_, pause)| pause)).collect();
        assert_eq!(pauses[0], Some(FIRST_PAUSE));
        assert_eq!(pauses[1], Some(FIRST_PAUSE * 2));
        assert_eq!(pauses[8], Some(LONGEST_PAUSE));
        dialler.forget(&peer.key);
        assert!(dialler.down(&peer.key).is_none());
        assert!(dialler.keep(peer.clone()), "wanted again, and dialled at once");
    }
}
