//! Claims about the pure data: encodings round-trip, ids commit, conflicts are found, positions never repeat.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
#[cfg(feature = "serde")]
use crate::key::PublicKey;
use crate::key::SecretKey;

fn rules() -> RuleSet {
    Topic::named("lobby").bind(NetworkId::of("test")).unwrap()
}

fn sealed(tick: u64, slot: u16, bodies: &[&str]) -> Bundle {
    let bodies: Vec<_> = bodies.iter().map(|body| Bytes::copy_from_slice(body.as_bytes())).collect();
    seal(&SecretKey::from_seed(&[1; 32]), rules().id(), Position { tick, slot }, &bodies).unwrap()
}

#[test]
fn ids_and_positions_survive_their_text_and_bad_texts_name_the_fault() {
    let bytes: [u8; 32] = std::array::from_fn(|n| n as u8 * 7);
    let text = hex::encode(bytes);
    assert_eq!(text.parse(), Ok(TopicId::from_bytes(bytes)));
    assert_eq!(text.parse(), Ok(NetworkId::from_bytes(bytes)));
    assert_eq!(text.parse(), Ok(BundleId::from_bytes(bytes)));
    assert_eq!(text.parse(), Ok(RumorId::from_bytes(bytes)));
    let id = RumorId::from_bytes(bytes);
    assert_eq!((id.to_string(), id.as_ref()), (text, bytes.as_slice()));
    assert_eq!("abc".parse::<RumorId>(), Err(ParseIdError::Length(3)));
    assert_eq!("x".repeat(64).parse::<TopicId>(), Err(ParseIdError::Digit('x', 0)));

    let position = Position { tick: u64::MAX, slot: u16::MAX };
    assert_eq!(position.to_string().parse(), Ok(position));
    for bad in ["", "7", "7/", "/7", "7/65536", "-1/0", "7/0/0"] {
        assert!(bad.parse::<Position>().is_err(), "{bad:?}");
    }
}

#[cfg(feature = "serde")]
#[test]
fn ids_and_keys_are_text_in_json_and_32_bytes_in_postcard() {
    let bytes: [u8; 32] = std::array::from_fn(|n| n as u8 * 7);
    let (text, id, key) = (hex::encode(bytes), TopicId::from_bytes(bytes), PublicKey::from_bytes(bytes));
    assert_eq!(serde_json::to_value((id, key)).unwrap(), serde_json::json!([text, text]));
    let json = serde_json::to_string(&(id, key)).unwrap();
    assert_eq!(serde_json::from_str::<(TopicId, PublicKey)>(&json).unwrap(), (id, key));
    let packed = postcard::to_allocvec(&(id, key)).unwrap();
    assert_eq!(packed, [bytes, bytes].concat());
    assert_eq!(postcard::from_bytes::<(TopicId, PublicKey)>(&packed).unwrap(), (id, key));
    for bad in ["", "00", "zz"] {
        assert!(serde_json::from_value::<RumorId>(bad.into()).is_err(), "{bad:?}");
        assert!(serde_json::from_value::<PublicKey>(bad.into()).is_err(), "{bad:?}");
    }
    let position = Position { tick: 7, slot: 3 };
    let json = serde_json::to_string(&position).unwrap();
    assert_eq!(serde_json::from_str::<Position>(&json).unwrap(), position);
}

#[test]
fn a_bundle_survives_its_encoding() {
    let bundle = sealed(7, 3, &["one", "", "three"]);
    assert_eq!(Bundle::decode(bundle.encoded().clone()), Ok(bundle.clone()));
    let bundle = Arc::new(bundle);
    let rumors: Vec<_> = bundle.rumors().collect();
    assert_eq!(rumors[2].body(), "three");
    assert_eq!(rumors[2].position(), Position { tick: 7, slot: 5 });
}

#[test]
fn every_changed_byte_of_a_bundle_is_noticed_or_changes_its_id_or_signature() {
    let bundle = sealed(7, 3, &["one", "two"]);
    for at in 0..bundle.encoded().len() {
        let mut bytes = bundle.encoded().to_vec();
        bytes[at] ^= 1;
        match Bundle::decode(bytes.into()) {
            Err(_) => {}
            Ok(other) => {
                assert!(other.id() != bundle.id() || other.signed_header() != bundle.signed_header());
            }
        }
    }
}

#[test]
fn a_rumor_id_does_not_depend_on_its_bundle() {
    let alone = Arc::new(sealed(7, 4, &["two"]));
    let together = Arc::new(sealed(7, 3, &["one", "two"]));
    assert_ne!(alone.id(), together.id());
    assert_eq!(alone.rumors().next().unwrap().id(), together.rumors().nth(1).unwrap().id());
}

#[test]
fn a_proof_stands_for_its_body_only() {
    let bundle = Arc::new(sealed(7, 3, &["one", "two"]));
    let rumor = bundle.rumors().nth(1).unwrap();
    let proof = Proof::decode(&rumor.proof().encode()).unwrap();
    assert_eq!(proof, rumor.proof());
    assert_eq!(proof.rumor_id(b"two"), Ok(rumor.id()));
    assert_eq!(proof.rumor_id(b"one"), Err(ProofError::Body));
    let mut bytes = proof.encode();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(Proof::decode(&bytes), Err(ProofError::Manifest));
}

#[test]
fn overlapping_bundles_are_evidence_and_neighbours_are_not() {
    let one = *sealed(7, 3, &["a", "b"]).signed_header();
    let regrouped = *sealed(7, 4, &["b"]).signed_header();
    let after = *sealed(7, 5, &["c"]).signed_header();
    let evidence = Evidence::new(one, regrouped).unwrap();
    assert_eq!(Evidence::new(regrouped, one), Ok(evidence));
    assert_eq!(Evidence::decode(&evidence.encode()), Ok(evidence));
    assert_eq!(Evidence::new(one, after), Err(EvidenceError::NoOverlap));
    assert_eq!(Evidence::new(one, one), Err(EvidenceError::Same));
    let [first, second] = evidence.headers();
    let mut swapped = [0u8; EVIDENCE_LEN];
    swapped[..SIGNED_HEADER_LEN].copy_from_slice(&second.encode());
    swapped[SIGNED_HEADER_LEN..].copy_from_slice(&first.encode());
    assert_eq!(Evidence::decode(&swapped), Err(EvidenceError::Order));
}

#[test]
fn too_much_is_refused_by_the_author() {
    let key = SecretKey::from_seed(&[1; 32]);
    let at = |slot| Position { tick: 1, slot };
    let body = |len| Bytes::from(vec![0u8; len]);
    let topic = rules().id();
    assert!(seal(&key, topic, at(0), &[]).is_err());
    assert!(seal(&key, topic, at(0), &[body(MAX_BODY as usize)]).is_ok());
    assert!(seal(&key, topic, at(0), &[body(MAX_BODY as usize + 1)]).is_err());
    assert!(seal(&key, topic, at(0), &[body(MAX_INLINE), body(1)]).is_err());
    assert!(seal(&key, topic, at(0), &vec![body(1); 65]).is_err());
    assert!(seal(&key, topic, at(u16::MAX), &[body(1)]).is_err());
}

#[test]
fn a_topic_id_commits_to_every_rule() {
    let network = NetworkId::of("test");
    let key = SecretKey::from_seed(&[1; 32]).public();
    let base = || Topic::named("lobby");
    let all = [
        base().bind(network),
        base().bind(NetworkId::of("other")),
        Topic::named("lobbY").bind(network),
        base().slots_per_tick(63).bind(network),
        base().tick_len(Duration::from_millis(999)).bind(network),
        base().max_body(1).bind(network),
        base().retention(Duration::from_secs(61)).bind(network),
        base().retention_forever().bind(network),
        base().state(1).retention_forever().bind(network),
        base().state(2).bind(network),
        base().guarantee(Guarantee::HoldBack(Duration::from_secs(2))).bind(network),
        base().authors(Authors::Listed(vec![key])).bind(network),
    ];
    let ids: std::collections::BTreeSet<_> = all.iter().map(|rules| rules.as_ref().unwrap().id()).collect();
    assert_eq!(ids.len(), all.len());
    for rules in all {
        let rules = rules.unwrap();
        assert_eq!(RuleSet::decode(&rules.encode()), Ok(rules.clone()));
        let mut longer = rules.encode();
        longer.push(0);
        assert_eq!(RuleSet::decode(&longer), Err(RuleError::Encoding));
    }
}

#[test]
fn rules_out_of_range_are_named() {
    let network = NetworkId::of("test");
    let base = || Topic::named("lobby");
    assert_eq!(Topic::named("").bind(network), Err(RuleError::Name(0)));
    assert_eq!(base().slots_per_tick(0).bind(network), Err(RuleError::Slots));
    assert!(matches!(base().tick_len(Duration::from_millis(99)).bind(network), Err(RuleError::TickLen(_))));
    assert_eq!(base().max_body(MAX_BODY + 1).bind(network), Err(RuleError::MaxBody(MAX_BODY + 1)));
    assert!(matches!(base().retention(Duration::from_millis(1)).bind(network), Err(RuleError::Retention(_))));
    assert_eq!(base().authors(Authors::Listed(vec![])).bind(network), Err(RuleError::Authors(0)));
    assert_eq!(base().state(0).bind(network), Err(RuleError::Keys));
    let endless = Duration::from_secs(u32::MAX.into());
    assert_eq!(base().retention(endless).bind(network), Err(RuleError::Retention(endless)));
}

#[test]
fn for_ever_is_no_number_and_state_is_kept() {
    let bind = |topic: Topic| topic.bind(NetworkId::of("test")).unwrap();
    let longest = Duration::from_secs(LONGEST_RETENTION.into());
    let base = || Topic::named("lobby");
    for (topic, retention, kept) in [
        (base(), Retention::For(Duration::from_secs(60)), false),
        (base().retention(Duration::from_secs(90)), Retention::For(Duration::from_secs(90)), false),
        (base().retention(Duration::from_secs(91)), Retention::For(Duration::from_secs(91)), true),
        (base().retention(longest), Retention::For(longest), true),
        (base().retention_forever(), Retention::ForEver, true),
        (base().state(1), Retention::ForEver, true),
        (base().retention(Duration::from_secs(1)).state(1), Retention::For(Duration::from_secs(1)), true),
    ] {
        let rules = bind(topic);
        assert_eq!((rules.retention(), rules.is_kept()), (retention, kept));
        assert_eq!(RuleSet::decode(&rules.encode()), Ok(rules));
    }
    assert_eq!(bind(base()), bind(base().retention(Duration::from_secs(60))));
    assert_eq!(bind(base().state(7)), bind(base().retention_forever().state(7)));
    assert_eq!(bind(base().state(7)).kind().max_keys(), Some(7));
    assert_eq!(Retention::ForEver.at_most(longest), longest);
    assert_eq!(Retention::For(Duration::ZERO).at_most(longest), Duration::ZERO);
}

/// One step of an author's life, for the property below.
#[derive(Clone, Debug)]
enum Step {
    Reserve(u16),
    Clock(i64),
    Crash,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    let hours = prop_oneof![Just(-24i64), Just(-1), Just(1), Just(24)];
    prop_oneof![
        6 => (1u16..80).prop_map(Step::Reserve),
        4 => (-5_000i64..5_000).prop_map(Step::Clock),
        2 => (hours, -5_000i64..5_000).prop_map(|(hours, more)| Step::Clock(hours * 3_600_000 + more)),
        1 => Just(Step::Crash),
        1 => Just(Step::End),
    ]
}

proptest! {
    /// B14: whatever the clock does and however often the author crashes, its position log keeps it from using a position
    /// twice or from running ahead of its clock.
    #[test]
    fn crash_restart_never_reuses_a_position(steps in proptest::collection::vec(step(), 1..200)) {
        let rules = rules();
        let mut disk = Spans::default(); // what the position log has made durable
        let mut durable = (0, 0); // in this life
        let mut clock = 1_000_000_000u64;
        let mut pen = Pen::new(&rules, disk.clone());
        let mut used = std::collections::BTreeSet::new();
        for step in steps {
            match step {
                Step::Clock(by) => clock = clock.saturating_add_signed(by),
                Step::Crash => (pen, durable) = (Pen::new(&rules, disk.clone()), (0, 0)),
                Step::End => {
                    // What was recorded ahead and not used is free for the next life.
                    let mut earlier = pen.earlier().clone();
                    earlier.add_all(&pen.used());
                    disk = earlier;
                    (pen, durable) = (Pen::new(&rules, disk.clone()), (0, 0));
                }
                Step::Reserve(want) => {
                    let mut answer = pen.reserve(clock, want, Some(durable));
                    if let Reservation::RecordFirst { from_ms, until_ms } = answer {
                        durable = (from_ms, until_ms + POSITION_LOG_LEAD);
                        disk.add(durable.0, durable.1);
                        answer = pen.reserve(clock, want, Some(durable));
                    }
                    match answer {
                        Reservation::Slots { first, count } => {
                            prop_assert_eq!(first.tick, rules.tick_len().tick_at(clock));
                            for slot in first.slot..first.slot + count {
                                prop_assert!(slot < rules.slots_per_tick());
                                prop_assert!(used.insert(Position { slot, ..first }), "{first} given twice");
                            }
                        }
                        Reservation::WaitUntil(at) => prop_assert!(at > clock),
                        Reservation::RecordFirst { .. } => prop_assert!(false, "it was recorded"),
                    }
                }
            }
        }
    }
}

#[test]
fn a_tick_may_begin_with_another_slot_and_goes_on_from_there() {
    let mut pen = Pen::new(&rules(), Spans::default());
    let at = |tick, slot, count| Reservation::Slots { first: Position { tick, slot }, count };
    pen.begins_at(40);
    assert_eq!(pen.reserve(5_000, 1, None), at(5, 40, 1));
    // What is drawn later in a tick changes nothing in it.
    pen.begins_at(3);
    assert_eq!(pen.reserve(5_100, 60, None), at(5, 41, 23));
    assert_eq!(pen.reserve(5_200, 1, None), Reservation::WaitUntil(6_000));
    assert_eq!(pen.reserve(8_000, 1, None), at(8, 3, 1));
    pen.begins_at(63);
    assert_eq!(pen.reserve(8_100, 1, None), at(8, 4, 1));
    assert_eq!(pen.reserve(20_000, 9, None), at(20, 63, 1));
    // Nor does it in one that the clock comes back to.
    assert_eq!(pen.reserve(8_200, 1, None), at(8, 5, 1));
    pen.begins_at(u16::MAX);
    assert_eq!(pen.reserve(30_000, 2, None), at(30, 63, 1), "the last is the last");
}

#[test]
fn an_author_out_of_slots_waits_for_the_next_tick() {
    let mut pen = Pen::new(&rules(), Spans::default());
    assert!(matches!(pen.reserve(5_500, 64, None), Reservation::Slots { count: 64, .. }));
    assert_eq!(pen.reserve(5_600, 1, None), Reservation::WaitUntil(6_000));
    let Reservation::Slots { first, count } = pen.reserve(6_000, 100, None) else { panic!("no slots") };
    assert_eq!((first, count), (Position { tick: 6, slot: 0 }, 64));
}

#[test]
fn a_pen_that_may_have_spoken_says_when_it_may_again() {
    let mut pen = Pen::new(&rules(), Spans::before(31_500));
    assert_eq!(pen.silent_until(500), 32_000);
    assert_eq!(pen.reserve(500, 1, None), Reservation::WaitUntil(32_000));
    assert!(matches!(pen.reserve(32_000, 1, None), Reservation::Slots { .. }));
}

#[test]
fn a_clock_that_is_set_right_finds_slots_that_were_not_used() {
    // Given an author that has used some slots of each tick for ten minutes, and all of one.
    let mut pen = Pen::new(&rules(), Spans::default());
    for tick in 1_000..1_600 {
        assert!(matches!(pen.reserve(tick * 1_000, 10, None), Reservation::Slots { .. }));
    }
    assert!(matches!(pen.reserve(1_600_000, 64, None), Reservation::Slots { count: 64, .. }));
    let _ = pen.reserve(9_000_000, 1, None);
    // When its clock goes back over them, it goes on where it stopped in each.
    let Reservation::Slots { first, count } = pen.reserve(999_000, 64, None) else {
        panic!("nothing said there")
    };
    assert_eq!((first.slot, count), (0, 64));
    assert_eq!(pen.used().end(), 9_001_000);
    // (One that was full among them makes all of them full: they are remembered together.)
    assert_eq!(pen.reserve(1_300_000, 1, None), Reservation::WaitUntil(1_601_000));
}
