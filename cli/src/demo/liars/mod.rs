//! The liars: keys with valid TLS and a proper hello, and after that whatever they like. One task for each link.

mod lies;
mod link;
pub mod target;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use vouchsafe::SecretKey;

use super::plan::LiarPlan;
use super::watch::Seen;
use super::world::Directory;
use crate::exit::Failure;
use lies::Lies;
use target::Target;

/// What a liar met with on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It never got a link.
    NotMet { node: usize, why: String },
    /// It has done its deed.
    Acted { node: usize },
    /// The node closed the link.
    Closed { node: usize, why: String },
    /// It dialled again after it was banned, and was refused, or (which must not be) let in.
    CameBack { node: usize, refused: bool },
}

/// Lets a liar loose on all the nodes it meets.
pub(super) fn start(
    number: usize,
    key: SecretKey,
    plan: &LiarPlan,
    directory: &Directory,
    seen: &mpsc::Sender<Seen>,
    tasks: &mut JoinSet<()>,
) -> Result<(), Failure> {
    let lies = Arc::new(Lies::prepare(plan.kind, &key, directory).map_err(Failure::failed)?);
    for (at, (node, victim)) in plan.meets.iter().zip(&plan.victims).enumerate() {
        let peer = directory.honest.get(*node).and_then(Target::of);
        let (Some(peer), Some(victim)) = (peer, directory.honest.get(*victim)) else { continue };
        let link = link::LiarLink {
            liar: number,
            node: *node,
            at,
            key: key.clone(),
            peer,
            victim: victim.key,
            rules: directory.rules.clone(),
            patience: plan.patience,
            lies: Arc::clone(&lies),
            seen: seen.clone(),
        };
        tasks.spawn(link.run());
    }
    Ok(())
}

/// The same, where nobody asks what becomes of it: the honest nodes' own events tell.
pub fn start_unwatched(
    key: SecretKey,
    plan: &LiarPlan,
    directory: &Directory,
    tasks: &mut JoinSet<()>,
) -> Result<(), Failure> {
    let (fates, mut unread) = mpsc::channel(64);
    start(0, key, plan, directory, &fates, tasks)?;
    tasks.spawn(async move { while unread.recv().await.is_some() {} });
    Ok(())
}
