//! Bytes that are no frames, and frames at every limit.

use bytes::Bytes;
use vouchsafe::net::code;
use vouchsafe::rumor::{BundleId, Header, MAX_BODY, SIGNED_HEADER_LEN, seal};
use vouchsafe::wire::{self, Frame, Hello, Lane, MAX_FRAME_LEN};
use vouchsafe::{Offence, Position, PublishError, Reason, SecretKey, Topic, TopicHandle};

use crate::liar::{Liar, bundle, hello, pushed, tick_ago, unsigned};
use crate::scene::{Scene, until};

/// Frames that no correct node sends, what is wrong with each, and what it is called.
fn malformed(topic: &TopicHandle) -> Vec<(&'static str, Lane, Vec<u8>, Offence)> {
    use Lane::{Control, Rumors};
    use Offence::{BodyMismatch, RuleBroken, Undecodable};
    let key = SecretKey::generate();
    let good = bundle(&key, topic, 0, "good");
    let header = *good.signed_header();
    let with = |change: &dyn Fn(&mut Header)| {
        let mut header = header.header;
        change(&mut header);
        pushed(0, &[&unsigned(header).encode()[..], &good.encoded()[SIGNED_HEADER_LEN..]].concat())
    };
    let mut trailing = wire::hello(&hello(&[topic.id()])).to_vec();
    trailing.push(0);
    // A varint of one byte, padded to two: the same number.
    let mut padded = wire::hello(&Hello { clock_ms: 5, ..hello(&[]) }).to_vec();
    padded.splice(33..34, [0x85, 0x00]);
    let mut many_topics = vec![0; 34];
    many_topics.extend([129, 1]);
    many_topics.resize(34 + 2 + 129 * 32, 7);
    let ids = |kind: u8, count: usize| [vec![kind], vec![1; 32 + 32 * count]].concat();
    let mut lying_len = good.encoded().to_vec();
    lying_len[SIGNED_HEADER_LEN] += 1;
    let mut other_body = good.encoded().to_vec();
    *other_body.last_mut().unwrap() ^= 1;
    let beyond =
        seal(&key, topic.id(), Position { tick: tick_ago(topic, 0), slot: 64 }, &["x".into()]).unwrap();
    let long_body = Bytes::from(vec![1; topic.rules().max_body() as usize + 1]);
    let too_long =
        seal(&key, topic.id(), Position { tick: tick_ago(topic, 0), slot: 0 }, &[long_body]).unwrap();
    let mut crowd = vec![2];
    for _ in 0..65 {
        crowd.extend(&pushed(0, good.encoded())[1..]);
    }
    let two_same = [&[8][..], &header.encode(), &header.encode()].concat();
    vec![
        ("no such kind", Control, vec![10], Undecodable),
        ("no such kind", Rumors, vec![255, 0, 0], Undecodable),
        ("a hello with a byte too many", Control, trailing, Undecodable),
        ("a hello with a padded number", Control, padded, Undecodable),
        ("a hello cut short", Control, vec![0, 1, 2], Undecodable),
        ("a hello with too many topics", Control, many_topics, Undecodable),
        ("a goodbye without a known reason", Control, vec![9, 200], Undecodable),
        ("no ids", Control, ids(5, 0), Undecodable),
        ("too many ids", Control, ids(5, 257), Undecodable),
        ("half an id", Control, vec![6; 50], Undecodable),
        ("an empty announcement", Control, vec![3; 33], Undecodable),
        ("half a header", Control, vec![4; 100], Undecodable),
        ("evidence cut short", Control, vec![8; 436], Undecodable),
        ("evidence of one header twice", Control, two_same, Offence::BogusEvidence),
        ("no bundles", Rumors, vec![2], Undecodable),
        ("half a bundle", Rumors, pushed(0, &good.encoded()[..100]), Undecodable),
        (
            "a bundle without its last byte",
            Rumors,
            pushed(0, &good.encoded()[..good.encoded().len() - 1]),
            Undecodable,
        ),
        ("more bundles than a frame may have", Rumors, crowd, Undecodable),
        ("no rumors in it", Rumors, with(&|header| header.count = 0), Undecodable),
        ("more rumors than a bundle may have", Rumors, with(&|header| header.count = 65), Undecodable),
        ("slots that run over", Rumors, with(&|header| header.first_slot = u16::MAX), Undecodable),
        ("4 GiB of bodies", Rumors, with(&|header| header.bytes = u32::MAX), Undecodable),
        ("body lengths that do not add up", Rumors, pushed(0, &lying_len), BodyMismatch),
        ("another body", Rumors, pushed(0, &other_body), BodyMismatch),
        ("another manifest", Rumors, with(&|header| header.manifest = [1; 32]), BodyMismatch),
        ("a slot beyond the topic's", Rumors, pushed(0, beyond.encoded()), RuleBroken),
        ("a body longer than the topic's", Rumors, pushed(0, too_long.encoded()), RuleBroken),
    ]
}

#[tokio::test]
async fn malformed_frames_are_offences() {
    let mut scene = Scene::new().await;
    for (what, lane, payload, offence) in malformed(&scene.victim.topic.clone()) {
        // What a hello is wrong in is seen in the first one; everything else comes after a good one.
        let mut liar = match payload.first() {
            Some(0) => Liar::dial(&scene.victim.node).await,
            _ => Liar::greet(&scene.victim.topic).await,
        };
        liar.send(lane, &payload).await;
        assert_eq!(scene.offence().await, (liar.key.public(), offence), "{what}");
        assert_eq!(liar.closed_for().await, Reason::Offence, "{what}");
        assert!(liar.is_banned_by(&scene.victim.node).await, "{what}");
    }
    let stats = scene.victim.node.stats().await.unwrap();
    assert_eq!((stats.counters.verified, stats.counters.accepted), (0, 0), "none of it cost a signature");
    scene.gossips_on().await;
}

#[tokio::test]
async fn frames_out_of_order_close_the_link_without_blame() {
    let mut scene = Scene::new().await;
    let topic = scene.victim.topic.clone();
    let good = bundle(&SecretKey::generate(), &topic, 0, "good");
    let pull = wire::pull(&topic.id(), &[good.id()]);
    let again = wire::hello(&hello(&[topic.id()]));
    let cases = [
        ("rumors on the control lane", true, Lane::Control, Bytes::from(pushed(0, good.encoded()))),
        ("control frames on the lane of rumors", true, Lane::Rumors, pull.clone()),
        ("a second hello", true, Lane::Control, again),
        (
            "a sign of life on the control lane",
            true,
            Lane::Control,
            wire::members_ask(&wire::MembersAsk::First),
        ),
        ("control frames on the system lane", true, Lane::System, pull.clone()),
        ("a pull before hello", false, Lane::Control, pull),
    ];
    for (what, greeted, lane, payload) in cases {
        let mut liar = if greeted { Liar::greet(&topic).await } else { Liar::dial(&scene.victim.node).await };
        liar.send(lane, &payload).await;
        assert_eq!(liar.closed_for().await, Reason::OutOfOrder, "{what}");
        assert!(scene.victim.node.stats().await.unwrap().banned.is_empty(), "{what}");
    }
    scene.nobody_is_blamed().await;
    scene.gossips_on().await;
}

#[tokio::test]
async fn declared_4gib_allocates_nothing() {
    let mut scene = Scene::new().await;
    let before = address_space();
    for declared in [u32::MAX, 1 << 30, MAX_FRAME_LEN as u32 + 1, 0] {
        let mut liar = Liar::greet(&scene.victim.topic).await;
        let _ = liar.bare.send_raw(Lane::Rumors, &declared.to_le_bytes()).await;
        assert_eq!(liar.closed().await, u64::from(code::FRAME_TOO_LONG), "{declared} declared");
        assert_eq!(scene.offence().await, (liar.key.public(), Offence::FrameTooLong));
        assert!(liar.is_banned_by(&scene.victim.node).await);
    }
    if let (Some(before), Some(after)) = (before, address_space()) {
        // Other tests run in the same process, so this is coarse; 1 GiB is coarser.
        assert!(after.saturating_sub(before) < 512 << 20, "{before} bytes grew to {after}");
    }
    scene.gossips_on().await;
}

/// What the process takes now, where the system tells.
fn address_space() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmSize:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[tokio::test]
async fn frame_limits_agree_on_both_sides() {
    let topic = Topic::named("large").max_body(MAX_BODY);
    let mut scene = Scene::with(&topic, |victim| victim).await;
    let topic = scene.victim.topic.clone();
    let mut liar = Liar::greet(&topic).await;
    // Two bundles that fill a frame to its last byte, or leave one byte of it.
    for (slot, len) in [(0, MAX_FRAME_LEN - 1), (2, MAX_FRAME_LEN)] {
        let rest = len - 1 - 2 * (1 + SIGNED_HEADER_LEN + 4) - MAX_BODY as usize;
        let mut frame = vec![2];
        let mut bodies = Vec::new();
        for (slot, len) in [(slot, MAX_BODY as usize), (slot + 1, rest)] {
            let body = Bytes::from(vec![slot as u8 + 1; len]);
            let at = Position { tick: tick_ago(&topic, 0), slot };
            let bundle = seal(&liar.key, topic.id(), at, std::slice::from_ref(&body)).unwrap();
            frame.extend(&pushed(0, bundle.encoded())[1..]);
            bodies.push(body);
        }
        assert_eq!(frame.len(), len);
        liar.send(Lane::Rumors, &frame).await;
        for body in &bodies {
            scene.victim.hear(body).await;
            // Announced, pulled and packed again by the honest.
            scene.pair[1].hear(body).await;
        }
    }
    scene.nobody_is_blamed().await;
    // The longest body can be published and fetched, one byte more is refused at home.
    let longest = Bytes::from(vec![9; MAX_BODY as usize]);
    scene.pair[0].topic.publish(longest.clone()).await.unwrap();
    scene.victim.hear(&longest).await;
    let too_long = scene.victim.topic.publish(vec![9; MAX_BODY as usize + 1]).await;
    assert_eq!(too_long, Err(PublishError::TooLarge { len: MAX_BODY as usize + 1, max: MAX_BODY }));
    // Whatever the victim sends keeps the limit: the bare peer stops reading a lane at the first frame that does not.
    let pull = |frame| match frame {
        Frame::Announce(announced) => Some(announced.items.into_iter().map(|(id, _)| id).collect::<Vec<_>>()),
        _ => None,
    };
    let ids = liar.expect(pull).await;
    liar.control(wire::pull(&topic.id(), &ids)).await;
    liar.expect(|frame| matches!(frame, Frame::Bundles(_)).then_some(())).await;
    // One byte over.
    let _ = liar.bare.send_raw(Lane::Rumors, &(MAX_FRAME_LEN as u32 + 1).to_le_bytes()).await;
    assert_eq!(scene.offence().await, (liar.key.public(), Offence::FrameTooLong));
    scene.gossips_on().await;
}

#[tokio::test]
async fn numbers_from_the_wire_are_clamped() {
    let mut scene = Scene::new().await;
    let topic = scene.victim.topic.clone();
    // Clocks at both ends of the range.
    for clock_ms in [0, u64::MAX] {
        let mut liar = Liar::dial(&scene.victim.node).await;
        liar.control(wire::hello(&Hello { clock_ms, ..hello(&[topic.id()]) })).await;
        let from = liar.key.clone();
        liar.push(bundle(&from, &topic, 0, if clock_ms == 0 { "the past" } else { "the future" }).encoded())
            .await;
        scene.victim.hear(&if clock_ms == 0 { "the past".into() } else { "the future".into() }).await;
    }
    // The largest hop budget is read as the largest that has a meaning, less the one it has just used.
    let mut watcher = Liar::greet(&topic).await;
    let mut liar = Liar::greet(&topic).await;
    let far = bundle(&liar.key, &topic, 0, "far");
    liar.send(Lane::Rumors, &pushed(u8::MAX, far.encoded())).await;
    let hops = crate::scene::soon("a push", async {
        loop {
            let (_, payload) = watcher.bare.recv_frame().await.unwrap();
            if payload.starts_with(&[2]) && payload[2..].starts_with(far.encoded()) {
                return payload[1];
            }
        }
    });
    assert_eq!(hops.await, wire::MAX_HOPS - 1);
    // Sizes beyond any bundle, and ids of all ones.
    let all_ones = BundleId::from_bytes([0xff; 32]);
    liar.control(wire::announce(&topic.id(), &[(all_ones, u8::MAX)])).await;
    liar.expect(|frame| matches!(frame, Frame::Pull(ids) if ids.ids == [all_ones]).then_some(())).await;
    liar.control(wire::gone(&topic.id(), &[all_ones])).await;
    liar.control(wire::cancel(&topic.id(), &[all_ones])).await;
    until("one pull without an answer", &scene.victim.node, |stats| stats.counters.pulls_unserved > 0).await;
    // Ticks and slots at the top of their range.
    for slot in [0, 63] {
        let at = Position { tick: u64::MAX - u64::from(slot), slot };
        liar.push(crate::liar::bundle_at(&liar.key, &topic, at, "never").encoded()).await;
    }
    until("two refusals", &scene.victim.node, |stats| stats.counters.outside_relay_window == 2).await;
    scene.nobody_is_blamed().await;
    scene.gossips_on().await;
}
