//! What a peer said of itself when it greeted.

use core::net::SocketAddr;

use super::Link;
use crate::wire::Hello;

/// What a peer said in its hello, beside its topics and its clock: its word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::protocol) struct Greeting {
    /// Others can dial it.
    pub(in crate::protocol) listens: bool,
    /// Where it sees us, if it can tell.
    pub(in crate::protocol) you: Option<SocketAddr>,
    /// Live members that it knows; 0 if it knows of none.
    pub(in crate::protocol) members: u32,
    /// How often it says something on a silent link, milliseconds; 0 if never.
    pub(in crate::protocol) keep_alive_ms: u16,
    /// It has no place for us.
    pub(in crate::protocol) guest: bool,
}

impl Greeting {
    /// Of this hello.
    pub(in crate::protocol) fn of(hello: &Hello) -> Self {
        let Hello { listens, members, keep_alive_ms, guest, .. } = *hello;
        Self { listens, you: hello.you(), members, keep_alive_ms, guest }
    }
}

impl Link {
    /// Whether we dialled, and the peer has a place for us, as far as it has said: a link of our own choice.
    pub(in crate::protocol) const fn is_chosen(&self) -> bool {
        self.dialled && !self.said.guest
    }

    /// What the peer said of itself; nothing before its hello.
    pub(in crate::protocol) const fn hello_said(&self) -> &Greeting {
        &self.said
    }
}
