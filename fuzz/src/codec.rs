//! Bytes in, the same bytes out: every decoder of the library on anything at all.
//!
//! A fuzzer does not guess a BLAKE3 hash, so where the only fault is a manifest, the harness writes the right one (its
//! own computation of it, which is a second opinion on the format) and goes on.

use std::sync::Arc;

use bytes::Bytes;
use vouchsafe::rumor::{
    Bundle, BundleError, Cell, EPOCHS, EVIDENCE_LEN, HEADER_LEN, Header, LONGEST_CHAIN, MAX_KEY,
    MAX_MEMBER_ADDRESSES, MAX_METADATA, MAX_RULES_LEN, MemberRecord, Position, RuleSet, SIGNED_HEADER_LEN,
    SignedHeader,
};
use vouchsafe::wire::{self, Frame, FrameWriter, MAX_FRAME_LEN, MAX_HOPS};
use vouchsafe::{Evidence, PeerAddr, Proof, ProofError, PublicKey};

/// [`Frame::decode`] and a walk over the bundles: what decodes is what its meaning encodes to.
pub fn frame(data: &[u8]) {
    let payload = Bytes::copy_from_slice(data);
    let Ok(frame) = Frame::decode(payload.clone()) else { return };
    assert!(!data.is_empty() && data.len() <= MAX_FRAME_LEN);
    let again = match &frame {
        Frame::Hello(hello) => wire::hello(hello),
        Frame::Topics(change) => wire::topics(change),
        Frame::Bundles(_) => return bundles(data),
        Frame::Announce(announced) => wire::announce(&announced.topic, &announced.items),
        Frame::Headers(headers) => wire::headers(headers),
        Frame::Pull(ids) => wire::pull(&ids.topic, &ids.ids),
        Frame::Gone(ids) => wire::gone(&ids.topic, &ids.ids),
        Frame::Cancel(ids) => wire::cancel(&ids.topic, &ids.ids),
        Frame::Evidence(evidence) => wire::evidence(evidence),
        Frame::Goodbye(goodbye) => wire::goodbye(goodbye.reason),
        Frame::Ask(ask) => wire::ask(ask),
        Frame::Tell(tell) => wire::tell(tell),
        Frame::Fetch(fetch) => wire::fetch(fetch),
        Frame::Page(page) => wire::page(page),
        Frame::More(more) => wire::more(more),
        Frame::Pulses(pulses) => wire::pulses(pulses),
        Frame::MembersAsk(ask) => wire::members_ask(ask),
        Frame::Stop(session) => wire::stop(*session),
    };
    assert_eq!(again, payload, "{frame:?} has a second encoding");
}

/// A frame of bundles, with manifests mended, is read whole and written again.
fn bundles(data: &[u8]) {
    let Ok(Frame::Bundles(items)) = Frame::decode(Bytes::copy_from_slice(data)) else { return };
    let mut expected = vec![data[0]];
    let mut writer = FrameWriter::with_capacity(0);
    for raw in items {
        let Ok(raw) = raw else { return };
        assert_eq!(raw.id, raw.signed.header.id());
        assert!(raw.hops <= MAX_HOPS);
        let bundle = match raw.clone().check() {
            Ok(bundle) => bundle,
            Err(BundleError::Manifest) => {
                let mended = mended(&raw.encoded);
                Bundle::decode(mended).expect("the manifest was the only fault")
            }
            Err(_) => return,
        };
        assert!(writer.fits(&bundle), "a bundle that came in a frame does not fit one");
        // Larger hop budgets are read as the largest that means anything: the only byte that is not kept.
        expected.push(raw.hops);
        expected.extend_from_slice(bundle.encoded());
        writer.push(raw.hops, &bundle);
    }
    assert_eq!(writer.finish(), expected);
    let walked = Frame::decode(Bytes::from(expected)).expect("what was written is read");
    let Frame::Bundles(walked) = walked else { panic!("bundles became something else") };
    assert!(walked.into_iter().all(|raw| raw.is_ok_and(|raw| raw.check().is_ok())));
}

/// [`Bundle::decode`]: one encoding, rumors that add up, proofs that hold.
pub fn bundle(data: &[u8]) {
    let encoded = Bytes::copy_from_slice(data);
    let bundle = match Bundle::decode(encoded.clone()) {
        Ok(bundle) => bundle,
        Err(BundleError::Manifest) => {
            Bundle::decode(mended(&encoded)).expect("the manifest was the only fault")
        }
        Err(_) => return,
    };
    let encoded = bundle.encoded().clone();
    assert_eq!(bundle.id(), bundle.header().id());
    assert_eq!(encoded[..SIGNED_HEADER_LEN], bundle.signed_header().encode());
    assert_eq!(encoded.len(), Bundle::encoded_len(bundle.header()));
    let bundle = Arc::new(bundle);
    let rumors: Vec<_> = bundle.rumors().collect();
    assert_eq!(rumors.len(), bundle.len());
    assert_eq!(rumors.iter().map(|rumor| rumor.body().len()).sum::<usize>(), bundle.header().bytes as usize);
    assert_eq!(rumors.iter().map(|rumor| rumor.body().len()).max(), Some(bundle.max_body_len() as usize));
    let mut written = bundle.signed_header().encode().to_vec();
    rumors.iter().for_each(|rumor| written.extend_from_slice(&(rumor.body().len() as u32).to_le_bytes()));
    rumors.iter().for_each(|rumor| written.extend_from_slice(rumor.body()));
    assert_eq!(encoded, written);
    for (index, rumor) in rumors.iter().enumerate() {
        assert_eq!(usize::from(rumor.position().slot), usize::from(bundle.header().first_slot) + index);
        let proof = rumor.proof();
        assert_eq!(proof.rumor_id(rumor.body()), Ok(rumor.id()));
        assert_eq!(Proof::decode(&proof.encode()), Ok(proof));
    }
}

/// [`Proof::decode`]: one encoding, and only the body meant is proved.
pub fn proof(data: &[u8]) {
    let decoded = match Proof::decode(data) {
        Err(ProofError::Manifest) => Proof::decode(&mended_proof(data)).ok(),
        other => other.ok().inspect(|proof| assert_eq!(proof.encode(), data)),
    };
    let Some(proof) = decoded else { return };
    assert_eq!(Proof::decode(&proof.encode()).as_ref(), Ok(&proof));
    let header = proof.signed_header().header;
    assert!(u32::from(proof.position().slot) < header.end_slot());
    // A hash of all zeros or of the fuzzer's choice has no known body.
    let _ = proof.rumor_id(data);
}

/// [`Evidence::decode`]: one encoding, whichever header came first.
pub fn evidence(data: &[u8]) {
    let Some(bytes) = data.first_chunk::<EVIDENCE_LEN>() else { return };
    if let Ok(evidence) = Evidence::decode(bytes) {
        assert_eq!(evidence.encode(), *bytes);
    }
    let ([first, second], []) = bytes.as_chunks::<SIGNED_HEADER_LEN>() else { unreachable!() };
    let (one, mut other) = (SignedHeader::decode(first), SignedHeader::decode(second));
    assert_eq!((one.encode(), other.encode()), (*first, *second));
    for _ in 0..2 {
        let made = Evidence::new(one, other);
        let turned = Evidence::new(other, one);
        assert_eq!(made, turned);
        if let Ok(evidence) = made {
            assert!(one.header.overlaps(&other.header) && one.header.id() != other.header.id());
            assert_eq!(Evidence::decode(&evidence.encode()), Ok(evidence));
            let [lesser, greater] = evidence.headers();
            assert!(lesser.header.id() < greater.header.id());
            let swapped = [greater.encode(), lesser.encode()].concat();
            assert!(Evidence::decode(swapped.as_slice().try_into().unwrap()).is_err());
        }
        // The same again at one place, which a fuzzer would have to copy 72 bytes for.
        (other.header.topic, other.header.author, other.header.tick) =
            (one.header.topic, one.header.author, one.header.tick);
    }
}

/// [`Cell::decode`]: one encoding, whose parts are those that a second reader finds.
pub fn cell(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let second = match data {
        [op @ 0..=1, low, high, rest @ ..] => {
            let len = usize::from(*low) + 256 * usize::from(*high);
            let fits = (1..=MAX_KEY).contains(&len) && len <= rest.len() && (*op == 0 || len == rest.len());
            fits.then(|| (&rest[..len], (*op == 0).then(|| &rest[len..])))
        }
        _ => None,
    };
    let Ok(cell) = Cell::decode(&body) else { return assert_eq!(second, None) };
    assert_eq!(second, Some((&cell.key()[..], cell.value().map(|value| &value[..]))));
    assert_eq!(cell.encode(), body);
    let (key, value) = cell.clone().into_parts();
    let again = match value {
        Some(value) => Cell::put(key, value),
        None => Cell::delete(key),
    };
    assert_eq!(again, Ok(cell));
}

/// [`MemberRecord::decode`]: one encoding, within the bounds that a record has, whose chain begins near its position.
pub fn member_record(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let Ok(record) = MemberRecord::decode(&bytes) else { return };
    assert_eq!(record.encode().unwrap(), bytes);
    let MemberRecord::Beacon(beacon) = &record else { return assert_eq!(bytes.len(), 9) };
    assert!(beacon.addresses.len() <= MAX_MEMBER_ADDRESSES && beacon.metadata.len() <= MAX_METADATA);
    let chain = &beacon.chain;
    assert!(
        EPOCHS.contains(&chain.epoch_s) && u64::from(chain.len) * u64::from(chain.epoch_s) <= LONGEST_CHAIN
    );
    let begins = chain.starts(chain.start.into());
    let at = |tick| record.fits(Position { tick, slot: 0 }).is_ok();
    assert!(at(begins) && at(begins + LONGEST_CHAIN) && !at(begins + LONGEST_CHAIN + 1));
    for index in [1, chain.len] {
        assert_eq!(chain.index_of(chain.epoch_of(index)), Some(index));
    }
}

/// [`RuleSet::decode`]: one encoding, one id.
pub fn rules(data: &[u8]) {
    let Ok(rules) = RuleSet::decode(data) else { return };
    assert_eq!(rules.encode(), data);
    assert!(data.len() <= MAX_RULES_LEN);
    let again = RuleSet::decode(&rules.encode()).expect("canonical");
    assert_eq!((again.id(), &again), (rules.id(), &rules));
    // Nothing shorter or longer means the same.
    assert!(RuleSet::decode(&[data, &[0]].concat()).is_err());
    assert!(RuleSet::decode(&data[..data.len() - 1]).is_err());
}

/// Texts of keys and addresses: what is accepted prints as its equal.
pub fn texts(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string(), text.to_ascii_lowercase());
        assert_eq!(key.to_string().parse(), Ok(key));
    }
    let with_key = format!("{}@{text}", "7f".repeat(32));
    for text in [text, &with_key] {
        match text.parse::<PeerAddr>() {
            Ok(peer) => {
                assert_eq!(peer.to_string().parse(), Ok(peer.clone()));
                assert!(text.to_ascii_lowercase().starts_with(&peer.key.to_string()));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// BLAKE3 over (length, hash) of each body, written once more.
fn manifest<'a>(entries: impl Iterator<Item = (u32, &'a [u8])>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("vouchsafe manifest v1");
    for (len, hash) in entries {
        hasher.update(&len.to_le_bytes()).update(hash);
    }
    *hasher.finalize().as_bytes()
}

/// The same bundle with the manifest of its bodies. Only for encodings whose lengths are right.
fn mended(encoded: &[u8]) -> Bytes {
    let signed = SignedHeader::decode(encoded.first_chunk().unwrap());
    let count = usize::from(signed.header.count);
    let (lens, mut bodies) = encoded[SIGNED_HEADER_LEN..].split_at(4 * count);
    let entries: Vec<_> = lens
        .as_chunks::<4>()
        .0
        .iter()
        .map(|len| {
            let len = u32::from_le_bytes(*len);
            let (body, rest) = bodies.split_at(len as usize);
            bodies = rest;
            (len, blake3::hash(body))
        })
        .collect();
    let header = Header {
        manifest: manifest(entries.iter().map(|(len, hash)| (*len, hash.as_bytes().as_slice()))),
        ..signed.header
    };
    [&header.encode(), &encoded[HEADER_LEN..]].concat().into()
}

/// The same proof with the total and the manifest of its list. Only for proofs whose length is right.
fn mended_proof(data: &[u8]) -> Vec<u8> {
    let signed = SignedHeader::decode(data.first_chunk().unwrap());
    let list = data[SIGNED_HEADER_LEN + 2..].as_chunks::<36>().0;
    let len = |entry: &[u8; 36]| u32::from_le_bytes(*entry.first_chunk().unwrap());
    let total = list.iter().fold(0u32, |sum, entry| sum.saturating_add(len(entry)));
    let header = Header {
        bytes: total,
        manifest: manifest(list.iter().map(|entry| (len(entry), &entry[4..]))),
        ..signed.header
    };
    [&header.encode(), &data[HEADER_LEN..]].concat()
}
