//! One attack under way, drawn from all that there are.

use std::sync::Arc;

use tokio::task::JoinSet;
use vouchsafe::adversary::Liar;
use vouchsafe_cli::demo::liars::target;
use vouchsafe_cli::demo::plan::Dice;
use vouchsafe_cli::demo::world::Directory;
use vouchsafe_lab::attacks::Attack;
use vouchsafe_lab::deeds::Deed;

/// Nodes that an attacker meets.
const MEETS: usize = 4;

/// An adversary or something that is no matter of frames, as likely one as the other.
pub(super) fn chosen(dice: &mut Dice) -> Attack {
    let (lies, does) = (Liar::ALL.get(dice.below(Liar::ALL.len())), Deed::ALL[dice.below(Deed::ALL.len())]);
    match lies.filter(|_| dice.below(2) == 0) {
        Some(liar) => Attack::Lies(liar),
        None => Attack::Does(does),
    }
}

/// Whether it takes the places of all newcomers.
pub(super) fn is_crowd(attack: Attack) -> bool {
    attack == Attack::Lies(&Liar::Crowd)
}

/// Lets an attack loose on some of the nodes that are up. It ends when the set is dropped.
pub(super) fn start(attack: Attack, directory: &Directory, dice: &mut Dice) -> JoinSet<()> {
    let meets = dice.some_of(directory.honest.len(), MEETS, None);
    let peers: Vec<_> = meets.into_iter().filter_map(|at| target::of(directory.honest.get(at)?)).collect();
    let rules = Arc::new(directory.rules.clone());
    match attack {
        // One that has a link to each: some lie to one about another.
        Attack::Lies(_) => std::iter::once(attack.again(peers, rules)).collect(),
        Attack::Does(_) => {
            peers.into_iter().map(|peer| attack.again(vec![peer], Arc::clone(&rules))).collect()
        }
    }
}
