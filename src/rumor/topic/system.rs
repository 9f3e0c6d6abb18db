//! Topics that the library itself speaks in. Each node of a network has the same ones, whatever its application joins.

use std::sync::Arc;

use super::{Kind, NetworkId, RuleSet, TopicId};
use crate::rumor::TickLen;

/// The topic in which nodes say that they are here.
const MEMBERS: &str = "vouchsafe members";
/// How long it keeps what it says, seconds: a chain of pulses lasts a day at most, so nobody who lives is forgotten.
const MEMBERS_KEPT: u32 = 26 * 3_600;

/// The rules of the topic in which the nodes of a network say that they are here: one key of each, the newest value.
pub(crate) fn members_topic(network: NetworkId) -> Arc<RuleSet> {
    let rules = RuleSet {
        network,
        name: MEMBERS.to_owned(),
        slots_per_tick: 64,
        tick_len: TickLen::SECOND,
        max_body: 640,
        kind: Kind::State { max_keys: 1 },
        retention: MEMBERS_KEPT,
        hold_back_ms: None,
        listed: None,
        owner: None,
        id: TopicId([0; 32]),
    };
    Arc::new(rules.identified())
}

impl RuleSet {
    /// Whether these are the rules of a topic that the library itself speaks in.
    pub(crate) fn is_system(&self) -> bool {
        self.name == MEMBERS && *self == *members_topic(self.network) || self.is_authors_topic()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rumor::{Retention, Topic};

    #[test]
    fn the_topic_of_members_is_one_that_anybody_could_bind_and_no_other_is() {
        let network = NetworkId::of("n");
        let same = |topic: Topic| topic.bind(network).unwrap();
        let topic = Topic::named(MEMBERS).state(1).max_body(640).retention(Duration::from_secs(26 * 3_600));
        let members = members_topic(network);
        assert_eq!((same(topic.clone()), members.is_system()), ((*members).clone(), true));
        assert_eq!(RuleSet::decode(&members.encode()), Ok((*members).clone()));
        assert!(members.is_kept() && members.retention() == Retention::For(Duration::from_secs(93_600)));
        assert!(same(topic.clone()).is_system(), "however it was made");
        // Another rule, another name, another network: another topic.
        assert!(!same(topic.clone().max_body(641)).is_system());
        assert!(!same(Topic::named("members").state(1)).is_system());
        assert_ne!(members_topic(NetworkId::of("m")).id(), members.id());
        assert!(members_topic(NetworkId::of("m")).is_system());
    }
}
