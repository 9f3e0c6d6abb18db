//! Links over which nothing comes, by what the transport counts.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::protocol::LinkId;

/// How often a node looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);
/// From so long a silence on it is told.
const TELL_FROM: Duration = Duration::from_secs(4);

/// One link, as it was when the node looked last.
#[derive(Debug)]
struct Silence {
    datagrams: u64,
    silence: Duration,
}

/// What is to be told of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum News {
    Silent(Duration),
    Heard,
}

/// Silences of the links that there are.
#[derive(Debug)]
pub(super) struct Silences {
    links: HashMap<LinkId, Silence>,
    looked: Instant,
}

impl Silences {
    pub(super) fn new(now: Instant) -> Self {
        Self { links: HashMap::new(), looked: now }
    }

    /// So many datagrams have come over each link. What came while the node did not look is not known: of a longer time it counts twice
    /// [`LOOK_EVERY`].
    pub(super) fn look(
        &mut self,
        now: Instant,
        datagrams: impl Iterator<Item = (LinkId, u64)>,
    ) -> Vec<(LinkId, News)> {
        let passed = now.duration_since(std::mem::replace(&mut self.looked, now)).min(LOOK_EVERY * 2);
        let mut before = std::mem::take(&mut self.links);
        let mut news = Vec::new();
        for (link, datagrams) in datagrams {
            let silence = match before.remove(&link) {
                Some(last) if last.datagrams == datagrams => last.silence.saturating_add(passed),
                Some(last) if last.silence >= TELL_FROM => {
                    news.push((link, News::Heard));
                    Duration::ZERO
                }
                _ => Duration::ZERO,
            };
            if silence >= TELL_FROM {
                news.push((link, News::Silent(silence)));
            }
            self.links.insert(link, Silence { datagrams, silence });
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_from_four_seconds_on_and_its_end_once() {
        let start = Instant::now();
        let (mut silences, link) = (Silences::new(start), LinkId(1));
        let mut look = |half_seconds: u32, datagrams| {
            silences.look(start + LOOK_EVERY * half_seconds, std::iter::once((link, datagrams)))
        };
        assert_eq!(look(1, 7), [], "a new link");
        for half_seconds in 2..9 {
            assert_eq!(look(half_seconds, 7), []);
        }
        assert_eq!(look(9, 7), [(link, News::Silent(Duration::from_secs(4)))]);
        assert_eq!(look(10, 7), [(link, News::Silent(Duration::from_millis(4_500)))]);
        assert_eq!(look(11, 8), [(link, News::Heard)]);
        assert_eq!(look(12, 9), []);
    }

    #[test]
    fn time_in_which_the_node_stood_still_is_no_silence() {
        let start = Instant::now();
        let (mut silences, link) = (Silences::new(start), LinkId(1));
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        silences.look(at(1), std::iter::once((link, 7)));
        assert_eq!(silences.look(at(60), std::iter::once((link, 7))), []);
        assert_eq!(silences.links[&link].silence, LOOK_EVERY * 2);
    }
}
