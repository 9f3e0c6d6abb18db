//! The newest record of each key, and who gives way.

use super::super::life::{MemberState, Of};
use super::super::table::{Table, Taken, sign_of};
use super::{Speaker, at, tick};
use crate::protocol::limits::{KEYS_OF_PREFIX, MAX_MEMBERS};
use crate::rumor::{ChainPoint, MemberRecord, Position};
use crate::wire::KeyPrefix;

#[test]
fn the_newest_record_of_a_key_counts() {
    let speaker = Speaker::new(1);
    let mut table = Table::default();
    let said = |table: &Table| table.get(&speaker.key()).unwrap().beacon().unwrap().metadata.clone();
    assert_eq!(table.takes(&speaker.beacon(tick(10), b"one"), at(0)), Taken::New);
    assert_eq!(table.takes(&speaker.beacon(tick(9), b"old"), at(0)), Taken::Older);
    assert_eq!(table.takes(&speaker.beacon(tick(10), b"one"), at(0)), Taken::Older);
    let taken = table.takes(&speaker.beacon(Position { slot: 1, ..tick(10) }, b"two"), at(0));
    assert!(
        matches!(taken, Taken::Newer { restarts: false, boot_set_back: false, updates: true, .. }),
        "{taken:?}"
    );
    assert_eq!(&said(&table)[..], b"two");
    let again = Speaker { boot_ms: speaker.boot_ms + 1, ..Speaker::new(1) };
    let taken = table.takes(&again.beacon(tick(11), b"two"), at(0));
    assert!(matches!(taken, Taken::Newer { restarts: true, updates: false, .. }), "{taken:?}");
    let taken = table.takes(&speaker.beacon(tick(12), b"two"), at(0));
    assert!(matches!(taken, Taken::Newer { boot_set_back: true, .. }), "{taken:?}");
    // A leave keeps what was said before.
    let leave = speaker.says(tick(13), MemberRecord::Leave { boot_ms: 9 });
    assert!(matches!(table.takes(&leave, at(0)), Taken::Newer { updates: false, .. }));
    assert_eq!(&said(&table)[..], b"two");
}

#[test]
fn other_metadata_keep_the_chain_and_its_pulses() {
    let speaker = Speaker::new(1);
    let mut table = Table::default();
    table.takes(&speaker.beacon(tick(0), b"one"), at(0));
    let known = ChainPoint { index: 7, value: speaker.chain.reveal(7).unwrap() };
    assert!(table.is_true(&speaker.key(), &speaker.terms, known, at(0).mono).is_some());
    assert!(table.is_true(&speaker.key(), &speaker.terms, known, at(0).mono).is_none(), "known");
    table.takes(&speaker.beacon(tick(40), b"two"), at(0));
    let newest = |table: &Table| {
        table.get(&speaker.key()).unwrap().chains().map(|chain| chain.known.index).collect::<Vec<_>>()
    };
    assert_eq!(newest(&table), [7]);
    // Another chain: the last pulses of the old one and the beacon may cross.
    let mut other = Speaker::new(1);
    other.terms.start += 10;
    table.takes(&other.beacon(tick(50), b"two"), at(0));
    assert_eq!(newest(&table), [0, 7]);
}

#[test]
fn keys_that_begin_alike_share_few_places() {
    let speakers: Vec<_> = (1..=3).map(Speaker::new).collect();
    let mut table = Table::default();
    speakers.iter().for_each(|speaker| _ = table.takes(&speaker.beacon(tick(0), b""), at(0)));
    for speaker in &speakers {
        let found: Vec<_> = table.of_prefix(KeyPrefix::of(&speaker.key())).map(|entry| entry.key()).collect();
        assert_eq!(found, [speaker.key()]);
    }
    let mut keys: Vec<_> = speakers.iter().map(Speaker::key).collect();
    keys.sort_unstable();
    let after = |prefix| table.after(prefix).map(|entry| entry.key()).collect::<Vec<_>>();
    assert_eq!(after(None), keys);
    assert_eq!(after(Some(KeyPrefix::of(&keys[0]))), keys[1..]);
    assert_eq!(after(Some(KeyPrefix::of(&keys[2]))), []);
}

#[test]
fn a_fifth_key_with_a_prefix_is_refused() {
    let speaker = Speaker::new(1);
    let mut table = Table::default();
    let takes = |table: &mut Table, last: usize| {
        let mut record = speaker.beacon(tick(0), b"");
        let mut key = [7; 32];
        key[31] = last as u8;
        record.author = crate::key::PublicKey::from_bytes(key);
        table.takes(&record, at(0))
    };
    assert!((0..KEYS_OF_PREFIX).all(|last| takes(&mut table, last) == Taken::New));
    assert_eq!(takes(&mut table, KEYS_OF_PREFIX), Taken::Full);
}

#[test]
fn at_the_cap_nobody_who_is_here_gives_way() {
    let speaker = Speaker::new(1);
    let mut table = Table::default();
    // Keys are not looked at as points here, so any bytes do.
    let record = |number: usize| {
        let mut record = speaker.beacon(tick(0), b"");
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(number as u64).to_be_bytes());
        record.author = crate::key::PublicKey::from_bytes(key);
        record
    };
    for number in 0..MAX_MEMBERS {
        let record = record(number);
        assert_eq!(table.takes(&record, at(0)), Taken::New);
        let sign = sign_of(&record, at(0).mono).unwrap();
        table.lives(&record.author, |life| life.hears(sign, Of::New, 5, at(0)));
    }
    assert_eq!((table.here(), table.gives_way()), (MAX_MEMBERS, (false, None)));
    assert_eq!(table.takes(&record(MAX_MEMBERS), at(0)), Taken::Full);
    table.lives(&record(7).author, |life| life.leaves(at(5)));
    assert_eq!(table.gives_way(), (false, Some(record(7).author)));
    table.forget(&record(7).author);
    assert_eq!(table.takes(&record(MAX_MEMBERS), at(6)), Taken::New);
    assert!(table.get(&record(7).author).is_none());
    // A newer record of a member that is there needs no room.
    assert!(matches!(
        table.takes(&super::Record { position: tick(1), ..record(8) }, at(6)),
        Taken::Newer { .. }
    ));
    let mut recount = crate::protocol::check::Recount::default();
    table.check(&mut recount);
    assert_eq!(recount.complaints(), Vec::<String>::new());
    assert_eq!(table.get(&record(8).author).unwrap().state(), MemberState::Alive);
}

/// Else a node whose first minute was a flood of keys would neither show itself nor ever be heard of.
#[test]
fn there_is_always_room_for_this_node() {
    let speaker = Speaker::new(1);
    let own = speaker.beacon(tick(0), b"");
    let mut table = Table::of(own.author);
    for number in 0..MAX_MEMBERS {
        let mut record = speaker.beacon(tick(0), b"");
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(number as u64).to_be_bytes());
        record.author = crate::key::PublicKey::from_bytes(key);
        let taken = if number + 1 < MAX_MEMBERS { Taken::New } else { Taken::Full };
        assert_eq!(table.takes(&record, at(0)), taken);
    }
    assert_eq!(table.takes(&own, at(0)), Taken::New);
    assert_eq!(table.len(), MAX_MEMBERS);
}
