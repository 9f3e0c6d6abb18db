//! What is left of the gate for an honest dialler while others begin handshakes and never finish them, in simulated time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::net::config::{GateConfig, HANDSHAKE_DEADLINE};
use crate::net::gate::{Admission, Gate};
use crate::net::half_open::HandshakePermit;

/// A slow line, for the honest: half a second from the first packet of a handshake to the last.
const ROUND_TRIP: Duration = Duration::from_millis(500);
/// How often each hostile address begins a handshake: far more often than any group is let in.
const ATTEMPTS: Duration = Duration::from_millis(20);
/// How often the honest dialler tries: within what one group may.
const TRIES: Duration = Duration::from_millis(700);
const LENGTH: Duration = Duration::from_secs(80);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A hostile address tries to begin one more, and has answered the Retry.
    Hostile(IpAddr),
    Honest {
        proven: bool,
    },
    /// The honest one is done, if it was let.
    Done(u64),
    /// The deadline of any handshake.
    Over(u64),
}

/// Honest handshakes that were tried and that succeeded.
fn share(hostile: &[IpAddr], honest: IpAddr) -> (u32, u32) {
    let start = Instant::now();
    let mut gate = Gate::new(GateConfig::default(), start);
    let mut steps: BinaryHeap<Reverse<(Duration, Step)>> = BinaryHeap::new();
    for (at, address) in hostile.iter().enumerate() {
        steps.push(Reverse((ATTEMPTS * at as u32 / hostile.len() as u32, Step::Hostile(*address))));
    }
    // After the attack has filled what it can.
    steps.push(Reverse((Duration::from_secs(20), Step::Honest { proven: false })));
    let mut permits: Vec<HandshakePermit> = Vec::new();
    let (mut live, mut honest_tried, mut honest_done) = (std::collections::HashSet::new(), 0, 0);
    while let Some(Reverse((at, step))) = steps.pop() {
        if at > LENGTH {
            break;
        }
        let now = start + at;
        let (address, proven) = match step {
            Step::Hostile(address) => {
                steps.push(Reverse((at + ATTEMPTS, step)));
                (address, true)
            }
            Step::Honest { proven } => {
                if !proven {
                    honest_tried += 1;
                    steps.push(Reverse((at + TRIES, step)));
                }
                (honest, proven)
            }
            Step::Done(id) | Step::Over(id) => {
                let permit = permits[id as usize];
                if live.remove(&permit) {
                    honest_done += u32::from(matches!(step, Step::Done(_)));
                    gate.finished(permit);
                }
                continue;
            }
        };
        let admission = gate.admit(now, address, proven);
        while let Some(ended) = gate.next_ended() {
            assert!(live.remove(&ended), "a handshake ends once");
        }
        match admission {
            Admission::Accept(permit) => {
                let id = permits.len() as u64;
                permits.push(permit);
                live.insert(permit);
                steps.push(Reverse((at + HANDSHAKE_DEADLINE, Step::Over(id))));
                if address == honest {
                    steps.push(Reverse((at + ROUND_TRIP, Step::Done(id))));
                }
            }
            Admission::Retry => steps.push(Reverse((at + ROUND_TRIP, Step::Honest { proven: true }))),
            Admission::Refuse(_) => {}
        }
        assert!(gate.half_open() <= GateConfig::default().half_open);
        assert_eq!(gate.half_open() as usize, live.len());
    }
    (honest_done, honest_tried)
}

/// In percent. The last two tries are still under way when the time is over.
fn percent((done, tried): (u32, u32)) -> u32 {
    done * 100 / (tried - 2)
}

#[test]
fn handshakes_that_never_end_leave_the_honest_their_share() {
    let honest = IpAddr::from([203, 0, 113, 9]);
    let group = |number: usize| IpAddr::from([11, 0, number as u8, 1]);
    for (groups, least) in [(1, 95), (4, 95), (5, 95), (20, 95)] {
        let hostile: Vec<_> = (0..groups).map(group).collect();
        let percent = percent(share(&hostile, honest));
        println!("{groups} groups that never finish: {percent} % of honest handshakes succeed");
        assert!(percent >= least, "{percent} % with {groups} groups");
    }
}

#[test]
fn address_that_never_finishes_keeps_no_other_of_our_own_machine_out() {
    let honest = IpAddr::from([127, 0, 0, 100]);
    let local = |number: usize| IpAddr::from([127, 0, 0, number as u8]);
    for addresses in [1, 5, 20] {
        let hostile: Vec<_> = (1..=addresses).map(local).collect();
        let percent = percent(share(&hostile, honest));
        println!("{addresses} local addresses that never finish: {percent} % of honest handshakes succeed");
        assert!(percent >= 95, "{percent} % with {addresses} addresses");
    }
}
