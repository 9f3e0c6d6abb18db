//! One link of a liar that malforms, from the handshake to its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use vouchsafe::SecretKey;
use vouchsafe::hostile::Target;
use vouchsafe::net::BarePeer;
use vouchsafe::rumor::RuleSet;
use vouchsafe::wire::{self, Frame, Lane};

use super::super::watch::Seen;
use super::lies::Lies;
use super::target::greet;
use super::{Fate, ended, knock_again};

/// A liar acts at the latest after this time, even if nobody talks.
const AT_THE_LATEST: Duration = Duration::from_secs(3);

pub(super) struct LiarLink {
    pub(super) liar: usize,
    pub(super) node: usize,
    /// Which of the liar's links this is.
    pub(super) at: usize,
    pub(super) key: SecretKey,
    pub(super) peer: Target,
    pub(super) rules: RuleSet,
    pub(super) patience: usize,
    pub(super) lies: Arc<Lies>,
    pub(super) seen: mpsc::Sender<Seen>,
}

impl LiarLink {
    pub(super) async fn run(self) {
        let node = self.node;
        let mut link = match greet(&self.key, self.peer, &self.rules).await {
            Ok(link) => link,
            Err(error) => return self.tell(Fate::NotMet { node, why: error.to_string() }).await,
        };
        self.listen_and_act(&mut link).await;
        // It goes on reading: a peer that does not read would be closed for that, and this is not its lie.
        while link.recv_frame().await.is_some() {}
        let (code, words) = link.closed().await;
        self.tell(ended(node, code, words)).await;
        let refused = knock_again(&self.key, self.peer, &self.rules).await;
        self.tell(Fate::CameBack { node, refused }).await;
    }

    /// Listens until its moment has come, then lies, unless the link has ended before.
    async fn listen_and_act(&self, link: &mut BarePeer) {
        let latest = Instant::now() + AT_THE_LATEST;
        let mut heard = None;
        let mut frames = 0;
        while frames <= self.patience || heard.is_none() {
            tokio::select! {
                frame = link.recv_frame() => {
                    let Some((_, payload)) = frame else { return };
                    frames += 1;
                    if let Some(bundles) = overhear(link, payload).await {
                        heard = Some(bundles);
                    }
                }
                () = sleep_until(latest) => break,
            }
        }
        self.lies.write(link, self.at, &self.rules, heard).await;
    }

    async fn tell(&self, fate: Fate) {
        // Fails only when the demo has ended.
        let _ = self.seen.send(Seen::Liar { liar: self.liar, fate }).await;
    }
}

/// Returns a frame of bundles as it came, to be replayed. What is only announced is asked for.
async fn overhear(link: &mut BarePeer, payload: Bytes) -> Option<Bytes> {
    match Frame::decode(payload.clone()).ok()? {
        Frame::Bundles(_) => return Some(payload),
        Frame::Announce(announced) => {
            let ids: Vec<_> = announced.items.iter().map(|(id, _)| *id).take(1).collect();
            let _ = link.send_frame(Lane::Control, &wire::pull(&announced.topic, &ids)).await;
        }
        _ => {}
    }
    None
}
