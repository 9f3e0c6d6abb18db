//! What happens, in words, on stderr.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vouchsafe::Event;

/// The line that moves, if there is one: others are written above it.
static MOVING: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// One line of status. That nobody reads it is no reason to stop.
pub(crate) fn status(what: impl Display) {
    aside(|| {
        let _ = writeln!(io::stderr(), "-- {what}");
    });
}

/// Writes while the line that moves is out of the way.
pub(crate) fn aside<T>(write: impl FnOnce() -> T) -> T {
    let bar = MOVING.lock().ok().and_then(|bar| bar.clone());
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// A line of status that is written over, at the bottom of a terminal. It goes when this is dropped.
pub(super) struct Moving(ProgressBar);

impl Moving {
    /// Begins it with these words, if stderr is a terminal.
    pub(super) fn begin(what: String) -> Option<Self> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{elapsed:>4} {spinner} {msg}");
        let bar = style.map_or(bar.clone(), |style| bar.with_style(style)).with_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        *MOVING.lock().ok()? = Some(bar.clone());
        Some(Self(bar))
    }

    /// What it says from now on.
    pub(super) fn show(&self, what: String) {
        self.0.set_message(what);
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        if let Ok(mut bar) = MOVING.lock() {
            *bar = None;
        }
        self.0.finish_and_clear();
    }
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
