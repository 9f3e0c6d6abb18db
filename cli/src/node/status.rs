//! What happens, in words, on stderr.

use std::fmt::Display;
use std::io::{self, Write as _};

use vouchsafe::Event;

/// One line of status. That nobody reads it is no reason to stop.
pub(super) fn status(what: impl Display) {
    let _ = writeln!(io::stderr(), "-- {what}");
}

/// An event as a sentence. Words that came from others (QUIC, a resolver, the operating system) are made printable.
pub(super) fn describe(event: &Event) -> String {
    match event {
        // Whoever reads a terminal wants the time of day.
        Event::Impaired { what, until_ms: Some(until) } => {
            format!("impaired until {}: {what}; {}", crate::text::time_of_day(*until), what.remedy())
        }
        other => crate::text::printable(other.to_string().as_bytes()),
    }
}
