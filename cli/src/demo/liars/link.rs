//! One link of a liar, from the handshake to its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use vouchsafe::net::BarePeer;
use vouchsafe::rumor::RuleSet;
use vouchsafe::wire::{self, Frame, Lane};
use vouchsafe::{PublicKey, Reason, SecretKey};

use super::super::plan::{Catch, Kind};
use super::super::watch::Seen;
use super::Fate;
use super::lies::{Lies, Write};
use super::target::{Target, greet};

/// A liar acts at the latest after this time, even if nobody talks.
const AT_THE_LATEST: Duration = Duration::from_secs(3);
/// How long a banned liar waits to hear whether it is let in again: a refusal needs milliseconds.
const KNOCKING: Duration = Duration::from_secs(3);

pub(super) struct LiarLink {
    pub(super) liar: usize,
    pub(super) node: usize,
    /// Which of the liar's links this is.
    pub(super) at: usize,
    pub(super) key: SecretKey,
    pub(super) peer: Target,
    pub(super) victim: PublicKey,
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
        if self.listen_and_act(&mut link).await {
            self.tell(Fate::Acted { node }).await;
        }
        // It goes on reading: a peer that does not read would be closed for that, and this is not its lie.
        while link.recv_frame().await.is_some() {}
        let (code, words) = link.closed().await;
        let why = Reason::from_code(code).filter(|_| code != 0).map_or(words, |reason| reason.to_string());
        self.tell(Fate::Closed { node, why }).await;
        if self.lies.kind().catch() == Some(Catch::Offence) {
            let refused = self.knock_again().await;
            self.tell(Fate::CameBack { node, refused }).await;
        }
    }

    /// Listens until its moment has come, then lies. False if the link ended before.
    async fn listen_and_act(&self, link: &mut BarePeer) -> bool {
        let latest = Instant::now() + AT_THE_LATEST;
        let mut heard = None;
        let mut frames = 0;
        while frames <= self.patience || (self.wants_to_replay() && heard.is_none()) {
            tokio::select! {
                frame = link.recv_frame() => {
                    let Some((_, payload)) = frame else { return false };
                    frames += 1;
                    if let Some(bundles) = self.overhear(link, payload).await {
                        heard = Some(bundles);
                    }
                }
                () = sleep_until(latest) => break,
            }
        }
        for write in self.lies.writes(self.at, self.victim, &self.rules, heard) {
            let written = match write {
                Write::Frame(lane, payload) => link.send_frame(lane, &payload).await,
                Write::Raw(lane, bytes) => link.send_raw(lane, &bytes).await,
            };
            // Caught while it was still talking.
            if written.is_err() {
                break;
            }
        }
        self.lies.kind() != Kind::StaysSilent
    }

    fn wants_to_replay(&self) -> bool {
        self.lies.kind() == Kind::Malforms
    }

    /// Returns a frame of bundles as it came. Who wants to replay asks for what is only announced, too.
    async fn overhear(&self, link: &mut BarePeer, payload: Bytes) -> Option<Bytes> {
        match Frame::decode(payload.clone()).ok()? {
            Frame::Bundles(_) => return Some(payload),
            Frame::Announce(announced) if self.wants_to_replay() => {
                let ids: Vec<_> = announced.items.iter().map(|(id, _)| *id).take(1).collect();
                let _ = link.send_frame(Lane::Control, &wire::pull(&announced.topic, &ids)).await;
            }
            _ => {}
        }
        None
    }

    /// Dials again with a banned key: whether it was turned away.
    async fn knock_again(&self) -> bool {
        let Ok(mut link) = greet(&self.key, self.peer, &self.rules).await else { return true };
        let ended = async {
            while link.recv_frame().await.is_some() {}
            link.closed().await
        };
        timeout(KNOCKING, ended).await.is_ok()
    }

    async fn tell(&self, fate: Fate) {
        // Fails only when the demo has ended.
        let _ = self.seen.send(Seen::Liar { liar: self.liar, fate }).await;
    }
}
