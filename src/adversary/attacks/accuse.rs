//! A liar that denounces.

use std::time::Duration;

use super::{Adversary, Me};
use crate::key::SecretKey;
use crate::protocol::Mono;
use crate::rumor::{Evidence, Position};
use crate::wire;

/// When it begins: links are up and greeted by then.
const BEGIN: u64 = 3;
const BEAT: Duration = Duration::from_secs(1);

/// B33: brings true evidence against ever more authors, each of which was made for it.
#[derive(Debug)]
pub(super) struct Accuser {
    next: Mono,
}

impl Accuser {
    /// Begins once links are up.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: me.about(BEGIN) }
    }
}

impl Adversary for Accuser {
    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(BEAT);
        let author = SecretKey::from_seed(&me.bytes());
        let position = Position { tick: me.tick(), slot: 0 };
        let (one, other) = (me.seal_as(&author, position, 1, BODY), me.seal_as(&author, position, 1, BODY));
        let (Some(one), Some(other)) = (one, other) else { return };
        if let Ok(proof) = Evidence::new(*one.signed_header(), *other.signed_header()) {
            let links = me.targets();
            me.say(&links, &wire::evidence(&proof));
        }
    }
}

/// Bytes of each of the two words.
const BODY: usize = 16;
