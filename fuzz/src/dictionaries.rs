//! Words that a fuzzer does not find by chance: numbers of kinds, limits and their neighbours, and names of formats.
//!
//! Taken from the library's own constants, so that a dictionary is never older than the wire.

use vouchsafe::rumor::{MAX_BODY, MAX_RUMORS};
use vouchsafe::wire::{
    ALPN, Lane, MAX_BUNDLES_PER_FRAME, MAX_FRAME_LEN, MAX_HEADERS_PER_FRAME, MAX_HOPS, MAX_IDS_PER_FRAME,
    MAX_TOPICS_PER_FRAME,
};
use vouchsafe::{NetworkId, Reason, Topic};

/// A target, and the text of its dictionary in the fuzzer's format.
pub fn all() -> Vec<(&'static str, String)> {
    let kinds = (0..=18u8).map(|kind| (format!("kind_{kind}"), vec![kind]));
    let lanes = Lane::ALL.iter().map(|lane| (format!("lane_{}", lane.index()), vec![lane.index() as u8]));
    let reasons = (0..=16u8).filter(|code| Reason::from_code(u64::from(*code)).is_some());
    let reasons = reasons.map(|code| (format!("goodbye_{code}"), vec![9, code]));
    let network = NetworkId::of("seeds");
    let topic = Topic::named("lobby").bind(network).expect("default rules");
    let names = [
        ("alpn".into(), ALPN.to_vec()),
        ("network".into(), network.as_bytes().to_vec()),
        ("topic".into(), topic.id().as_bytes().to_vec()),
    ];
    // postcard writes lengths as varints: the longest list of topics, and one more.
    let lists = [MAX_TOPICS_PER_FRAME, MAX_TOPICS_PER_FRAME + 1]
        .map(|count| (format!("varint_{count}"), vec![(count & 0x7f | 0x80) as u8, (count >> 7) as u8]));
    let padded = [("varint_padded_zero".into(), vec![0x80, 0])];
    let counts = [
        MAX_RUMORS,
        MAX_BUNDLES_PER_FRAME,
        MAX_HEADERS_PER_FRAME,
        MAX_IDS_PER_FRAME,
        usize::from(MAX_HOPS),
        usize::from(u16::MAX),
    ];
    let counts = edges_of(&counts, 2);
    let lengths = edges_of(&[0, 1, MAX_FRAME_LEN, MAX_BODY as usize, 16 * 1024, u32::MAX as usize], 4);
    let ticks =
        [0, 1, u64::MAX, i64::MAX as u64].map(|tick| (format!("u64_{tick}"), tick.to_le_bytes().to_vec()));

    let frame =
        words(kinds.chain(reasons).chain(names.clone()).chain(lists).chain(padded).chain(counts.clone()));
    let bundle = words(counts.clone().into_iter().chain(lengths.clone()).chain(ticks.clone()));
    let limits = [0, 1, 100, 10_000, 65_536, 65_537, 3_600, 60_000, 1_024];
    let rules = words(
        names
            .into_iter()
            .chain(edges_of(&limits, 4))
            .chain([("listed_none".into(), vec![0, 0])])
            .chain(counts),
    );
    let stream = words(lanes.chain(lengths));
    let position_log = words([("magic".into(), b"vs-ldg-1".to_vec())].into_iter().chain(ticks));
    let texts = ["@", ":", "[", "]", "[::1]:", "%", "0.0.0.0:", ":65535", ":65536", "7f7f7f7f"];
    let texts =
        words(texts.iter().enumerate().map(|(n, text)| (format!("text_{n}"), text.as_bytes().to_vec())));
    let lines =
        [("crlf", "\r\n"), ("digits", "0123456789abcdef"), ("upper", "0123456789ABCDEF"), ("wide", "é")];
    let key_file = words(lines.iter().map(|(name, text)| ((*name).into(), text.as_bytes().to_vec())));
    vec![
        ("frame", frame),
        ("bundle", bundle.clone()),
        ("proof", bundle.clone()),
        ("evidence", bundle),
        ("rules", rules),
        ("stream", stream),
        ("position_log", position_log),
        ("texts", texts),
        ("key_file", key_file),
    ]
}

/// Each number and its neighbours, little-endian in `width` bytes.
fn edges_of(numbers: &[usize], width: usize) -> Vec<(String, Vec<u8>)> {
    let mut edges: Vec<u64> = Vec::new();
    for number in numbers.iter().map(|number| *number as u64) {
        edges.extend([number.saturating_sub(1), number, number + 1]);
    }
    edges.sort_unstable();
    edges.dedup();
    let fits = edges.into_iter().filter(|edge| *edge < 1 << (8 * width));
    fits.map(|edge| (format!("u{}_{edge}", 8 * width), edge.to_le_bytes()[..width].to_vec())).collect()
}

fn words(words: impl IntoIterator<Item = (String, Vec<u8>)>) -> String {
    let line = |(name, bytes): (String, Vec<u8>)| {
        let bytes: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        format!("{name}=\"{bytes}\"\n")
    };
    words.into_iter().map(line).collect()
}
