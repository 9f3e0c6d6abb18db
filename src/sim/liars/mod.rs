//! Who lies, and what a liar can do.
//!
//! Whatever an honest node would do, a liar can do too, up to the moment of sending; so a liar is an honest engine behind
//! an [`Adversary`]. It filters what the engine sends, sees what comes in, acts at moments of its own, signs what it likes
//! with its own key or with new ones, and knows its accomplices.
//!
//! | File | Strategies (rows of docs/attacks.md) |
//! |---|---|
//! | `withhold` | silence, censorship (B1, B2) |
//! | `serve` | announce and serve late, badly or never (B3, B4, B5, B38, R4) |
//! | `numbers` | hop budgets and other numbers at their largest (B6, B28) |
//! | `flood` | much of what is allowed, and more (B7, B11, B29) |
//! | `stale` | what is old, early or refused (B10, B15, B36, B41, B42) |
//! | `forge` | signatures (B8, B16, B17, B18) and ids (B19) |
//! | `equivocate` | two words at one position, now, late, at the edge of a window (B12, B13, B37) |
//! | `combine` | two at once; from a moment on (B31); every inbound place (B20, B32) |
//!
//! An application can bring its own: [`Liar::custom`].

mod combine;
mod custom;
mod equivocate;
mod flood;
mod forge;
mod frames;
mod me;
mod names;
mod numbers;
mod placement;
mod serve;
mod stale;
mod withhold;

use std::fmt::Debug;

use bytes::Bytes;

use crate::key::PublicKey;
use crate::protocol::{LinkId, Mono};
use crate::wire::Lane;

pub use combine::{Both, SlotFiller, WakesUp};
pub use custom::Custom;
pub use equivocate::{EdgeEquivocator, Equivocator};
pub use flood::{Flooder, Phantoms, PullFlooder};
pub use forge::{Forger, PrefixLiar, TorsionSigner, WrongSignatureFirst};
pub use me::{Acquaintance, Me, Outgoing};
pub use names::{Liar, ParseLiarError};
pub use numbers::{HopResetter, Maxima};
pub use placement::Placement;
pub use serve::{AnnounceLiar, Parrot, SlowServer, Staller, StopAndGo};
pub use stale::{BackDated, RefusedAgain, Replayer, SkewedTicks};
pub use withhold::{Censor, Censored, Silent};

pub(super) use me::Plot;
pub(super) use placement::choose;

/// What a liar does beside or instead of what its honest engine would. The default of each method is honest.
pub trait Adversary: Debug {
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
