//! What a node writes to `tracing`, with the feature of that name. Without it all of this compiles to nothing.
//!
//! What concerns the node itself (that it runs, what impairs it, who uses its keys) is info or warn: it happens on edges, so it is
//! rare. What strangers can cause is debug, however bad it is: the counters of
//! [`NodeStats`](super::NodeStats) say how often it happens. Keys stand in lines at debug only.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::protocol::{Event, MemberEvent};

/// The node runs.
#[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nobody reads it"))]
pub(super) fn started(listen: SocketAddr) {
    #[cfg(feature = "tracing")]
    tracing::info!(%listen, "the node runs");
}

/// The node has ended.
pub(super) fn ended() {
    #[cfg(feature = "tracing")]
    tracing::info!("the node has ended");
}

/// The file of anchors can't be used: the node starts without it.
#[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nobody reads it"))]
pub(super) fn anchors_lost(path: &Path, why: &io::Error) {
    #[cfg(feature = "tracing")]
    tracing::warn!(path = %path.display(), %why, "the file of anchors is of no use: it is made anew");
}

/// The file of anchors can't be written: the next start has older ones.
#[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nobody reads it"))]
pub(super) fn anchors_unwritten(path: &Path, why: &io::Error) {
    #[cfg(feature = "tracing")]
    tracing::warn!(path = %path.display(), %why, "the file of anchors can't be written: is the disk full?");
}

/// The application is told of `event`, whether or not it listens.
#[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nobody reads it"))]
pub(super) fn told(event: &Event) {
    #[cfg(feature = "tracing")]
    match event {
        Event::Impaired { .. } | Event::ClockSkew { .. } | Event::Stopped { .. } => tracing::warn!("{event}"),
        // The event itself names the topic.
        Event::DuplicateWriter { .. } => {
            tracing::warn!("another process writes under this author key: stop one of the two");
        }
        Event::Recovered { .. } => tracing::info!("{event}"),
        _ => tracing::debug!("{event}"),
    }
}

/// The application is told of `event`, whether or not it listens.
#[cfg_attr(not(feature = "tracing"), allow(unused_variables, reason = "nobody is told"))]
pub(super) fn told_of_member(event: &MemberEvent) {
    #[cfg(feature = "tracing")]
    match event {
        MemberEvent::Isolated => tracing::warn!("{event}"),
        MemberEvent::DuplicateIdentity(_) => {
            tracing::warn!("two processes run with one node key: stop one of them")
        }
        _ => tracing::debug!("{event}"),
    }
}

#[cfg(all(test, feature = "tracing"))]
mod tests {
    use std::fmt::{Debug, Write as _};
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Level, Metadata, Subscriber};

    use super::*;
    use crate::key::SecretKey;
    use crate::protocol::events_of_each_kind;

    /// Keeps each line with its level.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

    struct Text(String);

    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            let _ = write!(self.0, "{field}={value:?} ");
        }
    }

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, attributes: &Attributes<'_>) -> Id {
            let mut text = Text(format!("span {} ", attributes.metadata().name()));
            attributes.record(&mut text);
            self.0.lock().unwrap().push((*attributes.metadata().level(), text.0));
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push((*event.metadata().level(), text.0));
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    fn lines(write: impl FnOnce()) -> Vec<(Level, String)> {
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.clone(), write);
        std::mem::take(&mut *lines.0.lock().unwrap())
    }

    #[test]
    fn every_event_is_a_line_and_no_key_stands_above_debug() {
        let events = events_of_each_kind();
        let lines = lines(|| events.iter().for_each(told));
        assert_eq!(lines.len(), events.len());
        let (mut above, mut named) = (0, 0);
        let short = SecretKey::from_seed(&[1; 32]).public().short();
        for (level, line) in &lines {
            named += usize::from(line.contains(&short));
            if *level <= Level::INFO {
                above += 1;
                assert!(!line.contains(&short), "{line}");
                // No key or id is longer than the longest word of an address.
                let longest = line.split(|c: char| !c.is_ascii_hexdigit()).map(str::len).max();
                assert!(longest < Some(16), "{line}");
            }
        }
        assert!(above >= 5 && named >= 6, "{lines:?}");
    }
}
