//! What is compared, behind one trait: a network of members in virtual time, seen from outside.

mod chitchat;
mod datagrams;
mod foca;
mod ours;

use std::time::Duration;

pub(crate) use foca::Preset;
pub(crate) use ours::LIARS;
use vouchsafe::sim::Liar;

/// A network in which each node knows all others from the beginning.
pub(crate) trait System {
    /// Time since the beginning.
    fn now(&self) -> Duration;
    /// Lets this much time pass.
    fn run_for(&mut self, time: Duration);
    /// A node stops for good, and says nothing.
    fn crash(&mut self, node: usize);
    /// A node's process stands still: what comes waits, and so do its timers.
    fn pause(&mut self, node: usize, time: Duration);
    /// From now on the liar aims at a member. (Liars that lie of everybody all along need not be told.)
    fn aim(&mut self, aim: Aim, victim: usize);
    /// Whether a node lies.
    fn lies(&self, node: usize) -> bool;
    /// Each time that a node told its application that a member has failed, in order.
    fn verdicts(&self) -> Vec<Verdict>;
    /// Whether a node shows a member as here.
    fn shows(&self, node: usize, member: usize) -> bool;
    /// Bytes that all nodes have sent.
    fn bytes_sent(&self) -> u64;
}

/// A node told that a member has failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) at: Duration,
    pub(crate) by: usize,
    pub(crate) of: usize,
}

/// What a liar is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// A member that lives is to be shown as failed.
    Fail,
    /// A member that has crashed is to be shown as here.
    Revive,
}

/// Who is to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Engines of this library with so many renewals a second.
    Ours(u32),
    Foca(Preset),
    Chitchat,
}

impl Kind {
    /// What `--systems` calls it.
    pub(crate) const ALL: [(&'static str, Self); 5] = [
        ("ours", Self::Ours(10)),
        ("ours-50", Self::Ours(50)),
        ("foca-lan", Self::Foca(Preset::Lan)),
        ("foca-wan", Self::Foca(Preset::Wan)),
        ("chitchat", Self::Chitchat),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, kind)| *kind == self).map_or("?", |(name, _)| name)
    }

    pub(crate) fn build(self, setup: &Setup) -> Box<dyn System> {
        match self {
            Self::Ours(renewals) => Box::new(ours::Ours::new(setup, renewals)),
            Self::Foca(preset) => Box::new(foca::Network::new(setup, preset)),
            Self::Chitchat => Box::new(chitchat::Network::new(setup)),
        }
    }

    /// The liars that it is put among: how they are called, and what they are.
    pub(crate) fn liars(self) -> Vec<(String, Lies)> {
        match self {
            Self::Ours(_) => {
                let one = LIARS.iter().map(|liar| (format!("one {liar}"), Lies::One(liar.clone())));
                let third = LIARS.iter().map(|liar| (format!("a third {liar}"), Lies::Third(liar.clone())));
                one.chain(third).collect()
            }
            // Forged datagrams are sent by one member alone.
            Self::Foca(_) => vec![("one".to_owned(), Lies::One(Liar::Silent))],
            // No message says that another member has failed, and those that speak for others can't be made through its API.
            Self::Chitchat => Vec::new(),
        }
    }
}

/// Who lies. What the kinds of liars mean is known to engines only; elsewhere the one liar does what it is told with [`System::aim`].
#[derive(Clone, Debug, Default)]
pub(crate) enum Lies {
    #[default]
    Nobody,
    One(Liar),
    Third(Liar),
}

#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) nodes: usize,
    /// Chance of a packet to be lost.
    pub(crate) loss: f64,
    pub(crate) lies: Lies,
    pub(crate) seed: u64,
}
