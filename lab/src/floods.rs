//! Floods of what is genuine and worthless: each costs the node work and brings it nothing. The soak and the example
//! `hostile_cost` use them.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use vouchsafe::net::BarePeer;
use vouchsafe::rumor::{Bundle, BundleId, MAX_RUMORS, RuleSet, seal};
use vouchsafe::wire::{self, Frame, FrameWriter, Lane, TopicChange};
use vouchsafe::{Position, SecretKey};
use vouchsafe_cli::demo::liars::target::{Target, clock_ms, greet};

use crate::deeds::{BREATH, listen};

/// Far enough in the past for every window.
const EXPIRED_MS: u64 = 3_600_000;
/// Ahead of now, and inside the relay window, which ends at 60 s.
const AHEAD_MS: u64 = 55_000;
/// Changes of mind between two breaths.
const AT_ONCE: usize = 32;
/// Bundles that are announced in turn.
const SERVED: u64 = 64;

/// A bundle at the tick of a Unix time, from the first slot on.
fn bundle(key: &SecretKey, rules: &RuleSet, unix_ms: u64, bodies: &[Bytes]) -> Option<Bundle> {
    let position = Position { tick: rules.tick_len().tick_at(unix_ms), slot: 0 };
    seal(key, rules.id(), position, bodies).ok()
}

/// Announces the largest bundles there may be, serves each that is asked for, and all of them are an hour old (R3).
pub async fn serves_the_expired(peer: Target, rules: Arc<RuleSet>) {
    let key = SecretKey::generate();
    let Ok(mut link) = greet(&key, peer, &rules).await else { return };
    let len = rules.max_body() as usize;
    let tick_ms = u64::from(rules.tick_len().millis());
    for round in 0u64.. {
        let first = clock_ms().saturating_sub(EXPIRED_MS).saturating_sub(round * SERVED * tick_ms);
        let old = |n: u64| bundle(&key, &rules, first.saturating_sub(n * tick_ms), &[vec![7; len].into()]);
        let served: HashMap<BundleId, Bundle> =
            (0..SERVED).filter_map(old).map(|bundle| (bundle.id(), bundle)).collect();
        let ids: Vec<_> = served.keys().map(|id| (*id, 16)).collect();
        if link.send_frame(Lane::Control, &wire::announce(&rules.id(), &ids)).await.is_err()
            || !serve(&mut link, &served).await
        {
            return;
        }
    }
}

/// Answers pulls until nothing has been asked for in a while. False when the link has ended.
async fn serve(link: &mut BarePeer, served: &HashMap<BundleId, Bundle>) -> bool {
    while let Ok(next) = tokio::time::timeout(BREATH, link.recv_frame()).await {
        let Some((_, payload)) = next else { return false };
        let Ok(Frame::Pull(wanted)) = Frame::decode(payload) else { continue };
        for bundle in wanted.ids.iter().filter_map(|id| served.get(id)) {
            let mut frame = FrameWriter::with_capacity(0);
            frame.push(0, bundle);
            if link.send_frame(Lane::Replies, &frame.finish()).await.is_err() {
                return false;
            }
        }
    }
    true
}

/// A word for each of ever more keys, as far ahead as is relayed: newcomers' places in the index are all taken (R6).
pub async fn crowds(peer: Target, rules: Arc<RuleSet>) {
    let Ok(mut link) = greet(&SecretKey::generate(), peer, &rules).await else { return };
    loop {
        let mut frame = FrameWriter::with_capacity(0);
        for _ in 0..32 {
            let said =
                bundle(&SecretKey::generate(), &rules, clock_ms() + AHEAD_MS, &[Bytes::from_static(b"me")]);
            let Some(said) = said else { return };
            frame.push(0, &said);
        }
        if link.send_frame(Lane::Rumors, &frame.finish()).await.is_err() {
            return;
        }
        listen(&mut link, BREATH / 10).await;
    }
}

/// Bundles of as many bodies of one byte as there may be, an hour old: frame after frame of them (R10).
pub async fn crumbs(peer: Target, rules: Arc<RuleSet>) {
    let key = SecretKey::generate();
    let Ok(mut link) = greet(&key, peer, &rules).await else { return };
    let crumbs = vec![Bytes::from_static(b"."); MAX_RUMORS];
    let Some(old) = bundle(&key, &rules, clock_ms().saturating_sub(EXPIRED_MS), &crumbs) else { return };
    let mut frame = FrameWriter::with_capacity(0);
    while frame.has_room(wire::bundle_item_len(&old)) {
        frame.push(0, &old);
    }
    let frame = frame.finish();
    while link.send_frame(Lane::Rumors, &frame).await.is_ok() {
        listen(&mut link, BREATH / 10).await;
    }
}

/// Leaves the topic and joins it again, some thousands of times a second (R10).
pub async fn wavers(peer: Target, rules: Arc<RuleSet>) {
    let Ok(mut link) = greet(&SecretKey::generate(), peer, &rules).await else { return };
    let id = vec![*rules.id().as_bytes()];
    let leaves = wire::topics(&TopicChange { joined: Vec::new(), left: id.clone() });
    let joins = wire::topics(&TopicChange { joined: id, left: Vec::new() });
    let frames = [leaves, joins];
    loop {
        for frame in frames.iter().cycle().take(AT_ONCE) {
            if link.send_frame(Lane::Control, frame).await.is_err() {
                return;
            }
        }
        listen(&mut link, BREATH / 10).await;
    }
}
