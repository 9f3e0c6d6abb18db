//! Who lies: attacks as behaviour, apart from what carries their frames.
//!
//! **This is the lower level**, behind the feature `sim`: anything here may change in a minor version ([stability](crate#stability)).
//!
//! Whatever an honest node would do, a liar can do too, up to the moment of sending. So a hostile peer is an honest engine
//! behind an [`Adversary`], which filters what the engine sends, sees what comes in, acts at moments of its own, signs what it
//! likes with its own key or with new ones, and knows its accomplices. An adversary is written once, and three stages run it:
//!
//! ```text
//!   Liar (a name) ──> Adversary + Me = Actor ─┬─────────────────> sim: hundreds of nodes, virtual time
//!                                             └─ + Engine = Impostor ─┬─> tests of the engine: one link or a few, virtual time
//!                                                                     └─> hostile: real QUIC
//! ```
//!
//! | File | What is in it |
//! |---|---|
//! | `attacks` | the attacks, and the register that names each ([`Liar`]) |
//! | `me` | what an adversary knows at one moment, and how it sends |
//! | `actor` | an adversary and what it knows, as a stage drives it |
//! | `impostor` | an actor and the honest engine behind it: a whole hostile peer but for its links |
//! | `custom` | attacks that an application brings along ([`Liar::custom`]) |
//!
//! What is not a matter of frames stays apart: half-open handshakes, noise, other addresses, bytes that are no frame.

mod actor;
mod attacks;
mod custom;
#[cfg_attr(not(feature = "sim"), allow(dead_code, reason = "the simulator draws from it too"))]
pub(crate) mod dice;
mod frames;
mod impostor;
mod liar;
mod me;

use std::fmt::Debug;

use bytes::Bytes;

use crate::key::PublicKey;
use crate::protocol::{LinkId, Mono};
use crate::wire::Lane;

pub use actor::Actor;
pub use attacks::Liar;
pub use custom::Custom;
pub use impostor::{Impostor, Step};
pub use liar::ParseLiarError;
pub use me::{Acquaintance, Me, Outgoing, Plot};

/// What a liar does beside or instead of what its honest engine would. The default of each method is honest.
pub trait Adversary: Debug + Send {
    /// The engine wants to send this. Whatever is to leave goes through [`Me::send`]: the frame itself, another, or none.
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        me.send(frame);
    }

    /// A frame has come in; the engine sees it after this.
    fn incoming(&mut self, me: &mut Me, from: LinkId, lane: Lane, payload: &Bytes) {
        let _ = (me, from, lane, payload);
    }

    /// When [`Adversary::wake`] is to be called next. Each wake must move it on, or drop it.
    fn next_wake(&self) -> Option<Mono> {
        None
    }

    /// A moment of its own.
    fn wake(&mut self, me: &mut Me) {
        let _ = me;
    }

    /// Whom it wants to dial now, by node key. Asked at every wake, in networks whose links change while they run.
    fn dials(&mut self, me: &mut Me) -> Vec<PublicKey> {
        let _ = me;
        Vec::new()
    }
}
