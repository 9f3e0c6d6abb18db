//! The log of an agent, on stderr: lines of `tracing`, of which no place in the code writes too many.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Metadata};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

use super::config;

/// Lines of one place in the code, of which there may be so many ...
const LINES: u32 = 20;
/// ... in so much time.
const WINDOW: Duration = Duration::from_secs(10);
/// Lines that may wait for stderr. Whoever does not read it holds nothing up.
const WAITING: usize = 1_024;

/// Lines that were left out since the start, of all places.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Lines that were left out since the start.
pub(crate) fn left_out() -> u64 {
    LEFT_OUT.load(Ordering::Relaxed)
}

/// The log that was begun: its levels can be changed.
pub(super) struct Log {
    levels: reload::Handle<EnvFilter, Registry>,
    written: Receiver<()>,
    lines: Lines,
}

/// Begins it, for the whole process.
pub(super) fn begin(log: &config::Log) -> Result<Log, String> {
    let (levels, handle) = reload::Layer::new(filter(&log.levels)?);
    let (lines, written) = Lines::begin().map_err(|error| format!("the log can't be begun: {error}"))?;
    let text = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(lines.clone());
    let layer = if log.json { text.json().flatten_event(true).boxed() } else { text.boxed() };
    let registry = tracing_subscriber::registry().with(levels).with(layer.with_filter(Seldom::default()));
    registry.try_init().map_err(|error| format!("the log can't be begun: {error}"))?;
    Ok(Log { levels: handle, written, lines })
}

fn filter(levels: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(levels).map_err(|error| format!("the levels {levels:?} of the log: {error}"))
}

impl Log {
    /// Takes other levels from now on.
    pub(super) fn set_levels(&self, levels: &str) -> Result<(), String> {
        self.levels.reload(filter(levels)?).map_err(|error| error.to_string())
    }

    /// Waits until what was logged is written, for a while.
    pub(super) fn end(self) {
        // An empty line is the end.
        if self.lines.0.try_send(Vec::new()).is_ok() {
            let _ = self.written.recv_timeout(Duration::from_secs(1));
        }
    }
}

/// Lines on their way to stderr.
#[derive(Clone)]
struct Lines(SyncSender<Vec<u8>>);

impl Lines {
    fn begin() -> io::Result<(Self, Receiver<()>)> {
        let (lines_in, lines) = sync_channel::<Vec<u8>>(WAITING);
        let (done, written) = sync_channel(1);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            while let Ok(line) = lines.recv() {
                if line.is_empty() {
                    let _ = done.try_send(());
                }
                // That nobody reads it is no reason to stop.
                let _ = io::stderr().write_all(&line);
            }
        })?;
        Ok((Self(lines_in), written))
    }
}

/// One line.
struct Line {
    bytes: Vec<u8>,
    to: SyncSender<Vec<u8>>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { bytes: Vec::new(), to: self.0.clone() }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let line = std::mem::take(&mut self.bytes);
        if !line.is_empty() && self.to.try_send(line).is_err() {
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Lets so many lines of each place in the code pass. Their number is bounded: it is that of places.
#[derive(Default, Clone)]
struct Seldom(Arc<Mutex<HashMap<Identifier, (Instant, u32)>>>);

impl Seldom {
    fn passes(&self, place: Identifier, now: Instant) -> bool {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, lines) = places.entry(place).or_insert((now, 0));
        if now.saturating_duration_since(*since) >= WINDOW {
            (*since, *lines) = (now, 0);
        }
        *lines += 1;
        let passes = *lines <= LINES;
        if !passes {
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
        passes
    }
}

impl<S> Filter<S> for Seldom {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        self.passes(event.metadata().callsite(), Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use tracing::Callsite as _;

    use super::*;

    #[test]
    fn one_place_writes_so_many_lines_and_others_are_not_held_back() {
        let [one, other] = [
            tracing::callsite!(name: "one", kind: tracing::metadata::Kind::EVENT, fields: a).metadata(),
            tracing::callsite!(name: "other", kind: tracing::metadata::Kind::EVENT, fields: a).metadata(),
        ]
        .map(Metadata::callsite);
        let (seldom, now) = (Seldom::default(), Instant::now());
        let before = left_out();
        assert_eq!((0..LINES * 3).filter(|_| seldom.passes(one.clone(), now)).count(), LINES as usize);
        assert_eq!(left_out() - before, u64::from(LINES) * 2);
        assert!(seldom.passes(other, now));
        assert!(seldom.passes(one, now + WINDOW));
    }
}
