//! What impairs the node, as far as it was told: each once when it begins, and once when it ends.

use std::collections::BTreeSet;
use std::time::Duration;

use vouchsafe::{Event, Impairment};

/// The impairments that were told and have not ended.
#[derive(Default)]
pub(crate) struct Troubles(BTreeSet<Impairment>);

impl Troubles {
    /// Whether an event is to be told: not of an impairment that is known, nor of the end of one that is not.
    pub(crate) fn is_news(&mut self, event: &Event) -> bool {
        match event {
            Event::Impaired { what, .. } => self.0.insert(*what),
            Event::Recovered { what, .. } => self.0.remove(what),
            _ => true,
        }
    }

    /// After events were missed: sentences on what holds `now` and was not told, and on what has ended.
    pub(crate) fn compare(&mut self, now: &[(Impairment, Duration)]) -> Vec<String> {
        let holds: BTreeSet<_> = now.iter().map(|(what, _)| *what).collect();
        let ended: Vec<_> = self.0.difference(&holds).copied().collect();
        let mut sentences: Vec<_> =
            ended.iter().map(|what| format!("recovered: it is no longer so that {what}")).collect();
        let new = now.iter().filter(|(what, _)| !self.0.contains(what));
        sentences.extend(new.map(|(what, since)| {
            format!("impaired for {:.1} s: {what}; {}", since.as_secs_f64(), what.remedy())
        }));
        self.0 = holds;
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_is_told_once_when_it_begins_and_once_when_it_ends() {
        let (clock, silent) = (Impairment::Clock, Impairment::Silent);
        let begins = |what| Event::Impaired { what, until_ms: None };
        let ends = |what| Event::Recovered { what, lasted: Duration::from_secs(1) };
        let mut troubles = Troubles::default();
        let told = troubles.compare(&[(silent, Duration::from_millis(1500))]);
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("impaired for 1.5 s: ") && told[0].contains(silent.remedy()), "{told:?}");
        // The event of what was on the list may still come.
        assert!(!troubles.is_news(&begins(silent)));
        assert!(troubles.is_news(&begins(clock)) && !troubles.is_news(&begins(clock)));
        assert!(troubles.is_news(&ends(clock)) && !troubles.is_news(&ends(clock)));
        // Events were missed: the one has ended, the other has begun.
        let told = troubles.compare(&[(clock, Duration::ZERO)]);
        assert_eq!(told.len(), 2);
        assert!(told[0].contains(&silent.to_string()) && told[1].contains(&clock.to_string()), "{told:?}");
        assert!(troubles.is_news(&ends(clock)));
        assert_eq!(troubles.compare(&[]), Vec::<String>::new());
    }
}
