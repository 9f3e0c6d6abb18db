//! Links that are not read, and links that say goodbye.

use super::*;
use crate::protocol::Config;
use crate::wire::Lane;

/// Two nodes and one link.
pub(super) fn pair(uplink: Option<u64>, config: Config) -> Network {
    let topology = Topology::Edges(vec![(0, 1)]);
    let latency = Latency::Fixed(millis(10));
    let mut network =
        Network::new(Scenario { nodes: 2, links: 1, topology, latency, uplink, config, ..small() });
    network.run_checked(GREETED).unwrap();
    network
}

fn unread(network: &Network, node: usize) -> usize {
    network.nodes[node].ends[0].unread_bytes.iter().sum()
}

pub(super) fn thrifty() -> Config {
    Config::default().with(|config| {
        config.budget.bytes_per_s = 50_000;
        config.budget.bytes_burst = 20_000;
    })
}

#[test]
fn a_link_over_its_budget_is_read_at_its_pace_and_in_order() {
    let mut network = pair(None, thrifty());
    for number in 0..20u8 {
        network.publish(0, vec![number; 10_000]);
    }
    network.run_checked(millis(100)).unwrap();
    assert!(unread(&network, 1) > 50_000, "{} bytes wait", unread(&network, 1));
    let early = network.measures().spreads.iter().filter(|spread| spread.missed.is_empty()).count();
    assert!(early < 10, "{early} of 20 delivered");
    network.run_checked(Duration::from_secs(10)).unwrap();
    let measures = network.measures();
    assert_eq!((measures.coverage(), measures.repeated, unread(&network, 1)), (1.0, 0, 0));
    let times: Vec<_> = measures.spreads.iter().map(|spread| spread.delay(1.0)).collect();
    assert!(times.is_sorted(), "{times:?}");
    // 200 kB, of which 20 are free: 3.6 s at this pace.
    assert!(times[19] > Duration::from_secs(3), "{times:?}");
}

#[test]
fn a_full_window_holds_up_its_sender() {
    let mut network = pair(Some(10_000_000), thrifty());
    for number in 0..60u8 {
        network.publish(0, vec![number; 10_000]);
    }
    network.run_checked(Duration::from_secs(2)).unwrap();
    // What was under way when the window filled comes on top: 10 ms of the line. Without a window all 480 kB would be here.
    assert!(unread(&network, 1) <= 256 * 1024 + 100_000, "{} bytes wait", unread(&network, 1));
    assert!(network.nodes[0].uplink.has(crate::protocol::LinkId(0)), "nothing waits at the sender");
    network.run_checked(Duration::from_secs(20)).unwrap();
    assert_eq!((network.measures().coverage(), unread(&network, 1)), (1.0, 0));
}

/// Announcements in a topic that nobody relays, 33 bytes each: nothing comes of them but that the line is busy.
fn chatter(ids: usize) -> bytes::Bytes {
    let items = vec![(crate::rumor::BundleId::from_bytes([1; 32]), 9); ids];
    crate::wire::announce(&crate::rumor::TopicId::from_bytes([2; 32]), &items)
}

/// Node 1 has this many frames of 200 ids (6.6 kB) to write when node 0 breaks the protocol.
fn breaks_while_busy(uplink: u64, frames: usize) -> Network {
    let mut network = pair(Some(uplink), Config::default());
    for _ in 0..frames {
        network.inject(1, 0, Lane::Control, chatter(200));
    }
    network.inject(0, 1, Lane::Control, bytes::Bytes::from_static(&[99]));
    network
}

#[test]
fn a_goodbye_waits_for_what_is_queued_before_it() {
    // 0.4 s of the line.
    let mut network = breaks_while_busy(50_000, 3);
    network.run_for(millis(200));
    assert_eq!((network.links(1).len(), network.links(0).len()), (0, 1), "the goodbye is under way");
    network.run_for(millis(400));
    assert_eq!(network.links(0).len(), 0);
}

#[test]
fn a_goodbye_is_given_a_second() {
    // Seven seconds of the line.
    let mut network = breaks_while_busy(1_000, 1);
    network.run_for(millis(900));
    assert_eq!((network.links(1).len(), network.links(0).len()), (0, 1));
    network.run_for(millis(300));
    assert_eq!(network.links(0).len(), 0);
}
