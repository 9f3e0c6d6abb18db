//! What happens, in words, on stderr.

use std::fmt::Display;
use std::io::{self, Write as _};

use vouchsafe::Event;

/// One line of status. That nobody reads it is no reason to stop.
pub(super) fn status(what: impl Display) {
    let _ = writeln!(io::stderr(), "-- {what}");
}

/// An event as a sentence.
pub(super) fn describe(event: &Event) -> String {
    match event {
        Event::PeerUp { peer, dialled: true } => format!("link up: we reached {}", peer.short()),
        Event::PeerUp { peer, dialled: false } => format!("link up: {} reached us", peer.short()),
        Event::PeerDown { peer, why } => {
            format!("link down: {} ({})", peer.short(), crate::text::printable(why.to_string().as_bytes()))
        }
        Event::LinkRefused { peer, reason } => format!("link refused: {} ({reason})", peer.short()),
        Event::NodeKeyShared { key, addrs } => format!(
            "two processes use the node key {} at once: it is seen at {addrs:?}; stop one of them",
            key.short()
        ),
        Event::DialFailed { why, .. } => format!("dial failed: {why}"),
        Event::Offence { peer, offence } => format!("offence: {} sent {offence} and is banned", peer.short()),
        Event::Convicted { evidence } => format!(
            "convicted: {} said two things at one position and is not heard any more",
            evidence.author().short()
        ),
        Event::DuplicateWriter { .. } => {
            "another process writes under this key: nothing more is published; stop one of the two".to_owned()
        }
        Event::ClockSkew { ahead_ms } => format!(
            "this clock differs by {} s from the peers': set it, or rumors are ignored",
            ahead_ms / 1000
        ),
        Event::Impaired { what, until_ms: None } => format!("impaired: {what}; {}", what.remedy()),
        Event::Impaired { what, until_ms: Some(until) } => {
            format!("impaired until {}: {what}; {}", crate::text::time_of_day(*until), what.remedy())
        }
        Event::Recovered { what, lasted } => {
            format!("recovered after {:.1} s: it is no longer so that {what}", lasted.as_secs_f64())
        }
        Event::Stopped { why } => format!("the node stops: {why}"),
        other => format!("{other:?}"),
    }
}
