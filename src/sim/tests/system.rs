//! Signs of life on a line that rumors fill.

use super::reading::{pair, thrifty};
use super::*;
use crate::wire::{KeyPrefix, Lane, Pulse};

const LINE: u64 = 50_000;

/// One more sign of life from each node.
fn say_pulses(network: &mut Network, index: u32) {
    for node in 0..2u32 {
        let member = KeyPrefix([node as u8; 8]);
        let pulse = Pulse { member, index, value: [index as u8; 16], failed_here: false };
        let at = &mut network.nodes[node as usize];
        at.machine.engine_mut().unwrap().say_pulse(pulse);
        network.drive(node);
    }
}

fn heard(network: &Network) -> [u64; 2] {
    [0, 1].map(|node| network.engine(node).unwrap().stats().counters.members_unheard)
}

#[test]
fn system_frames_wait_behind_no_rumor() {
    // Given a line that rumors fill both ways, and two nodes that read rumors more slowly than that.
    let config = thrifty().with(|config| config.budget.bytes_per_s = LINE / 4);
    let mut network = pair(Some(LINE), config);
    for number in 0..100u8 {
        network.publish(0, vec![number; 10_000]);
        network.publish(1, vec![number; 10_001]);
    }
    network.run_checked(Duration::from_secs(2)).unwrap();
    for second in 1..=5 {
        for node in [0, 1] {
            let waits = network.nodes[node].uplink.has(crate::protocol::LinkId(0));
            assert!(
                waits && !network.nodes[node].ends[0].reads(Lane::Rumors),
                "the line is not full, or all is read"
            );
        }
        // When each says that it is there, then the other hears it within a second, each time.
        say_pulses(&mut network, second);
        network.run_checked(Duration::from_secs(1)).unwrap();
        assert_eq!(heard(&network), [u64::from(second); 2]);
    }
}
