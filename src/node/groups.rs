//! How many links each network group has dialled: one neighbourhood of the Internet must not hold all our places, nor be all that
//! we dial.

use std::collections::HashMap;

use super::Host;
use crate::key::PublicKey;
use crate::net::{Connection, Endpoint, NetGroup};
use crate::protocol::{Config, Dialler, LinkId};
use crate::rumor::NetworkId;

/// The dialler of a node. Where anybody may link, it counts the groups of addresses.
pub(super) fn dialler(key: PublicKey, network: NetworkId, config: &Config, seed: &[u8; 32]) -> Dialler<Host> {
    let dialler = Dialler::new(key, network, config, seed);
    if config.is_open() { dialler.counting_groups(group_of) } else { dialler }
}

/// (Only peers that an application names have names.)
fn group_of(host: &Host) -> Option<NetGroup> {
    let Host::Socket(address) = host else { return None };
    Some(NetGroup::of(address.ip())).filter(|group| *group != NetGroup::Local)
}

/// Inbound links by group. At most as many as there are links.
#[derive(Debug, Default)]
pub(super) struct Groups {
    of_link: HashMap<LinkId, NetGroup>,
    links: HashMap<NetGroup, u32>,
}

impl Groups {
    /// Counts a link that a peer has dialled; false if its group has as many as it may.
    pub(super) fn enter(&mut self, link: LinkId, connection: &Connection, endpoint: &Endpoint) -> bool {
        let group = connection.group();
        let Some(most) = endpoint.links_of(group).filter(|_| !connection.dialled) else { return true };
        let links = self.links.entry(group).or_default();
        let room = *links < most;
        if room {
            *links += 1;
            self.of_link.insert(link, group);
        }
        room
    }

    /// The link is gone.
    pub(super) fn leave(&mut self, link: LinkId) {
        let Some(group) = self.of_link.remove(&link) else { return };
        if let Some(links) = self.links.get_mut(&group) {
            *links -= 1;
            if *links == 0 {
                self.links.remove(&group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_count_on_the_internet_where_anybody_may_link() {
        let group = |text: &str| group_of(&text.parse().unwrap());
        assert_eq!(group("203.0.113.9:4433"), group("203.0.113.77:1"));
        assert!(group("203.0.113.9:4433").is_some());
        for free in ["127.0.0.1:4433", "10.1.2.3:4433", "[fe80::1]:4433", "node.example.org:4433"] {
            assert_eq!(group(free), None, "{free}");
        }
        let counts = |config: &Config| {
            dialler(PublicKey::from_bytes([1; 32]), NetworkId::of("groups"), config, &[0; 32]).counts_groups()
        };
        let closed = Config { allow: Some(vec![PublicKey::from_bytes([2; 32])]), ..Config::default() };
        assert!(counts(&Config::default()) && !counts(&closed));
    }
}
