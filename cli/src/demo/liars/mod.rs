//! The liars: hostile peers with valid TLS, each an adversary of the library; and one kind that sends broken frames, in a task for
//! each link.

pub mod lies;
mod link;
pub mod target;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use vouchsafe::hostile::{self, HostilePeer, Target};
use vouchsafe::protocol::MemberSetup;
use vouchsafe::rumor::RuleSet;
use vouchsafe::{Reason, SecretKey};

use super::plan::{Catch, Kind, LiarPlan};
use super::watch::Seen;
use super::world::Directory;
use crate::exit::Failure;
use lies::Lies;

/// How much faster a liar's clock runs than in simulations: it acts some 0.8 s after its dial.
const HASTE: u32 = 4;
/// How long a banned liar waits to hear whether it is let in again: a refusal needs milliseconds.
const KNOCKING: Duration = Duration::from_secs(3);

/// What a liar met with on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It never got a link.
    NotMet { node: usize, why: String },
    /// The node closed the link.
    Closed { node: usize, why: String },
    /// It dialled again after it was banned, and was refused, or (which must not be) let in.
    CameBack { node: usize, refused: bool },
}

/// Lets a liar loose on all the nodes it meets, after a while.
pub(super) fn start(
    number: usize,
    key: SecretKey,
    plan: &LiarPlan,
    directory: &Directory,
    seen: &mpsc::Sender<Seen>,
    after: Duration,
    tasks: &mut JoinSet<()>,
) -> Result<(), Failure> {
    let met = plan.meets.iter().filter_map(|node| Some((*node, target::of(directory.honest.get(*node)?)?)));
    let Some(liar) = plan.kind.liar() else {
        let lies = Arc::new(Lies::prepare(&key, &directory.rules).map_err(Failure::failed)?);
        let link = |(at, (node, peer)): (usize, (usize, Target))| link::LiarLink {
            liar: number,
            node,
            at,
            key: key.clone(),
            peer,
            rules: directory.rules.clone(),
            patience: plan.patience,
            lies: Arc::clone(&lies),
            seen: seen.clone(),
        };
        met.enumerate().map(link).for_each(|link| drop(tasks.spawn(later(after, link.run()))));
        return Ok(());
    };
    // Nothing goes by way of the liars but lies, so that the picture shows what the honest do.
    let mut peer = HostilePeer::new(liar.silently(), key.clone(), directory.rules.clone()).hurried(HASTE);
    if let Some(victim) = directory.honest.get(plan.victim) {
        peer = peer.after(victim.key);
    }
    if plan.kind == Kind::LiesAboutMembers {
        peer = peer.as_member(MemberSetup::default());
    }
    let comes_back = plan.kind.catch() == Some(Catch::Offence);
    let (met, rules, seen): (Vec<_>, _, _) = (met.collect(), directory.rules.clone(), seen.clone());
    tasks.spawn(later(after, async move {
        let (fates_in, mut fates) = mpsc::unbounded_channel();
        let targets: Vec<_> = met.iter().map(|(_, target)| *target).collect();
        let lies = async {
            if let Ok(socket) = target::socket().await {
                peer = peer.from_socket(socket.clone());
            }
            // Fails only when nobody listens.
            peer.run(&targets, move |seen| drop(fates_in.send(seen))).await;
        };
        let listens = async {
            // Fails only when the demo has ended.
            let tell = async |fate| drop(seen.send(Seen::Liar { liar: number, fate }).await);
            while let Some(next) = fates.recv().await {
                match next {
                    hostile::Seen::NotMet(at, why) => tell(Fate::NotMet { node: met[at].0, why }).await,
                    hostile::Seen::Closed(at, code, words) => {
                        let (node, target) = met[at];
                        tell(ended(node, code, words)).await;
                        if comes_back {
                            let refused = knock_again(&key, target, &rules).await;
                            tell(Fate::CameBack { node, refused }).await;
                        }
                    }
                    _ => {}
                }
            }
        };
        tokio::join!(lies, listens);
    }));
    Ok(())
}

async fn later(after: Duration, task: impl Future<Output = ()>) {
    sleep(after).await;
    task.await;
}

/// A node has closed a link.
fn ended(node: usize, code: u64, words: String) -> Fate {
    let why = Reason::from_code(code).filter(|_| code != 0).map_or(words, |reason| reason.to_string());
    Fate::Closed { node, why }
}

/// Dials again with a banned key: whether it was turned away.
async fn knock_again(key: &SecretKey, peer: Target, rules: &RuleSet) -> bool {
    let Ok(mut link) = target::greet(key, peer, rules).await else { return true };
    let ended = async {
        while link.recv_frame().await.is_some() {}
        link.closed().await
    };
    timeout(KNOCKING, ended).await.is_ok()
}
