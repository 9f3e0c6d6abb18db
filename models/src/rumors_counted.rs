//! What a reader that came at any time and read too slowly is told that it has missed.

use std::collections::VecDeque;

use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::delivered_count::{DeliveredCount, Seen};
use crate::model;

/// Rumors of each bundle: not one, so that bundles and rumors are told apart.
const RUMORS: u64 = 10;

/// What tokio's broadcast channel promises, for bundles: one order of sending, the newest are kept, a receiver gets what is
/// sent after it has subscribed and is told how many it has missed.
#[derive(Clone)]
struct Channel(Arc<Mutex<Sent>>);

struct Sent {
    /// What is kept: for each bundle the rumors before it.
    kept: VecDeque<u64>,
    capacity: usize,
    /// How many were sent before those.
    gone: u64,
}

struct Receiver {
    channel: Channel,
    next: u64,
}

impl Channel {
    fn new(capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(Sent { kept: VecDeque::new(), capacity, gone: 0 })))
    }

    fn send(&self, before: u64) {
        let mut sent = self.0.lock().unwrap();
        sent.kept.push_back(before);
        if sent.kept.len() > sent.capacity {
            sent.kept.pop_front();
            sent.gone += 1;
        }
    }

    fn subscribe(&self) -> Receiver {
        let next = self.0.lock().unwrap().sent();
        Receiver { channel: self.clone(), next }
    }
}

impl Sent {
    fn sent(&self) -> u64 {
        self.gone + self.kept.len() as u64
    }
}

impl Receiver {
    fn is_empty(&self) -> bool {
        self.channel.0.lock().unwrap().sent() == self.next
    }

    /// How many bundles were missed, and then the next one, if there is one.
    fn receive(&mut self) -> (u64, Option<u64>) {
        let sent = self.channel.0.lock().unwrap();
        let missed = sent.gone.saturating_sub(self.next);
        self.next += missed;
        let next = sent.kept.get((self.next - sent.gone) as usize).copied();
        self.next += u64::from(next.is_some());
        (missed, next)
    }
}

/// Reads what is there, as a subscription does: the rumors read, and those reported as missed.
fn read(receiver: &mut Receiver, seen: &mut Seen) -> (u64, u64) {
    let (mut read, mut lagged) = (0, 0);
    loop {
        let (missed, next) = receiver.receive();
        let Some(before) = next else { return (read, lagged) };
        if missed > 0 {
            lagged += seen.missed(before);
        }
        seen.read(before, RUMORS);
        read += RUMORS;
    }
}

/// A reader subscribes, and may read, while `bundles` are delivered after `before` others; then it reads the rest.
fn subscribe_meanwhile(before: u64, bundles: u64, capacity: usize, reads_meanwhile: bool) {
    model(move || {
        let (delivered, channel) = (DeliveredCount::default(), Channel::new(capacity));
        let deliver = |delivered: &DeliveredCount, channel: &Channel| {
            delivered.deliver(RUMORS, |before| channel.send(before))
        };
        for _ in 0..before {
            deliver(&delivered, &channel);
        }
        let reader = thread::spawn({
            let (delivered, channel) = (delivered.clone(), channel.clone());
            move || {
                let (mut receiver, mut seen) = delivered.begin(|| channel.subscribe(), Receiver::is_empty);
                let since = receiver.next;
                let so_far = if reads_meanwhile { read(&mut receiver, &mut seen) } else { (0, 0) };
                (receiver, seen, since, so_far)
            }
        });
        for _ in 0..bundles {
            deliver(&delivered, &channel);
        }
        let (mut receiver, mut seen, since, so_far) = reader.join().unwrap();
        let rest = read(&mut receiver, &mut seen);
        let (read, lagged) = (so_far.0 + rest.0, so_far.1 + rest.1);
        let due = (before + bundles - since) * RUMORS;
        assert!(since >= before);
        if lagged == 0 {
            assert_eq!(read, due, "nothing is missed in silence");
        } else {
            // One bundle may be on its way while the reader subscribes: it is of before or of after.
            assert!(read + lagged >= due, "{lagged} reported, {read} read of {due}");
            assert!(read + lagged <= (due + RUMORS).min(bundles * RUMORS), "{lagged} and {read} of {due}");
        }
        assert_eq!(lagged % RUMORS, 0, "{lagged} rumors are no number of bundles");
    });
}

#[test]
fn what_is_missed_is_counted_in_full_whenever_the_reader_came() {
    subscribe_meanwhile(0, 3, 1, false);
    subscribe_meanwhile(1, 3, 1, false);
    subscribe_meanwhile(1, 3, 2, false);
}

#[test]
fn what_is_missed_is_counted_in_full_while_the_reader_reads() {
    subscribe_meanwhile(0, 3, 1, true);
    subscribe_meanwhile(1, 2, 1, true);
}
