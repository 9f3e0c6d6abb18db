//! The frames of the lane [`System`](super::Lane::System) that are no rumors: signs of life, and questions about members.
//!
//! ```text
//!   Pulses       page u8 (0 pushed, 1 an answer and more follows, 2 the end of an answer) | count u16, 1 to 256 (0 with page 2 only)
//!                | count x { key prefix 8 | index u32 | value 16 }
//!                index: which value of its chain, 30 bits; bit 30: "failed here"; bit 31 is 0
//!   MembersAsk   0 First | 1 Pulses: count u16, 1 to 256, x prefix 8 | 2 Since: since u32 (Unix s) | after prefix 8
//!                | 3 Records: count u16, 1 to 64, x prefix 8
//! ```
//! Numbers are little-endian, and decoding is strict. A wrong value of a chain is no offence: two keys may share a prefix.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::bundles::DecodeError;
use super::kind::Kind;
use super::read::Reader;
use crate::key::PublicKey;
use crate::rumor::{PULSE_LEN, PulseValue};

/// Most pulses of a frame, and most keys of a question for pulses.
pub const MAX_PULSES: usize = 256;
/// Most keys of a question for records.
pub const MAX_RECORDS_ASKED: usize = 64;

/// Bytes of a prefix.
const PREFIX: usize = 8;
/// Bytes of a pulse.
pub const PULSE_ITEM_LEN: usize = PREFIX + 4 + PULSE_LEN;
/// "The teller shows it as failed."
const FAILED: u32 = 1 << 30;
/// The bits of an index.
const INDEX: u32 = FAILED - 1;

/// The first bytes of a key: which member. Of several members that share them each is tried.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct KeyPrefix(pub [u8; 8]);

impl KeyPrefix {
    /// Of this key.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        Self(key.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

/// A sign of life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pulse {
    /// Whose.
    pub member: KeyPrefix,
    /// Which value of its chain, from 1: below 2^30.
    pub index: u32,
    /// The value.
    pub value: PulseValue,
    /// The teller shows the member as failed: it is dialled last, and that is all. Only in answers.
    pub failed_here: bool,
}

/// What a frame of pulses is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PulsePage {
    /// News.
    Pushed = 0,
    /// Part of an answer.
    More = 1,
    /// The end of an answer.
    Last = 2,
}

/// Signs of life.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pulses {
    /// News, or an answer.
    pub page: PulsePage,
    /// 1 to [`MAX_PULSES`]; none at the end of an answer only.
    pub pulses: Vec<Pulse>,
}

/// A question about members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MembersAsk {
    /// "Whom should I know first?" Once a link.
    First,
    /// "What are the newest pulses of these?" 1 to [`MAX_PULSES`].
    Pulses(Vec<KeyPrefix>),
    /// "Which pulses have come since?" In the order of prefixes, from behind one on.
    Since {
        /// Unix seconds: of epochs that begin then or later.
        since: u32,
        /// Behind which prefix.
        after: KeyPrefix,
    },
    /// "Which records have you of these?" 1 to [`MAX_RECORDS_ASKED`].
    Records(Vec<KeyPrefix>),
}

/// Encodes [`Pulses`]; those beyond [`MAX_PULSES`] are left out, so callers split before.
#[must_use]
pub fn pulses(pulses: &Pulses) -> Bytes {
    let some = pulses.pulses.get(..MAX_PULSES).unwrap_or(&pulses.pulses);
    let mut out = BytesMut::with_capacity(some.len().saturating_mul(PULSE_ITEM_LEN).saturating_add(4));
    out.put_u8(Kind::Pulses as u8);
    out.put_u8(pulses.page as u8);
    out.put_u16_le(some.len() as u16);
    for pulse in some {
        out.put_slice(&pulse.member.0);
        out.put_u32_le((pulse.index & INDEX) | if pulse.failed_here { FAILED } else { 0 });
        out.put_slice(&pulse.value);
    }
    out.freeze()
}

/// Encodes a [`MembersAsk`]; keys beyond the most are left out, so callers split before.
#[must_use]
pub fn members_ask(ask: &MembersAsk) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(Kind::MembersAsk as u8);
    match ask {
        MembersAsk::First => out.put_u8(0),
        MembersAsk::Pulses(keys) => put_keys(&mut out, 1, keys, MAX_PULSES),
        MembersAsk::Since { since, after } => {
            out.put_u8(2);
            out.put_u32_le(*since);
            out.put_slice(&after.0);
        }
        MembersAsk::Records(keys) => put_keys(&mut out, 3, keys, MAX_RECORDS_ASKED),
    }
    out.freeze()
}

fn put_keys(out: &mut BytesMut, mode: u8, keys: &[KeyPrefix], most: usize) {
    let keys = keys.get(..most).unwrap_or(keys);
    out.put_u8(mode);
    out.put_u16_le(keys.len() as u16);
    keys.iter().for_each(|key| out.put_slice(&key.0));
}

pub(super) fn decode_pulses(content: &[u8]) -> Result<Pulses, DecodeError> {
    let mut rest = Reader(content);
    let page = match rest.u8()? {
        0 => PulsePage::Pushed,
        1 => PulsePage::More,
        2 => PulsePage::Last,
        _ => return Err(DecodeError::NotCanonical),
    };
    let count = usize::from(rest.u16()?);
    let pulses = rest.list(count, MAX_PULSES, PULSE_ITEM_LEN, pulse)?;
    rest.end()?;
    // Only the end of an answer may be all that there is to say.
    if pulses.is_empty() && page != PulsePage::Last {
        Err(DecodeError::Length)
    } else {
        Ok(Pulses { page, pulses })
    }
}

fn pulse(rest: &mut Reader<'_>) -> Result<Pulse, DecodeError> {
    let (member, index, value) = (KeyPrefix(rest.bytes()?), rest.u32()?, rest.bytes()?);
    if index & !(INDEX | FAILED) != 0 {
        return Err(DecodeError::NotCanonical);
    }
    Ok(Pulse { member, index: index & INDEX, value, failed_here: index & FAILED != 0 })
}

pub(super) fn decode_members_ask(content: &[u8]) -> Result<MembersAsk, DecodeError> {
    let mut rest = Reader(content);
    let ask = match rest.u8()? {
        0 => MembersAsk::First,
        1 => MembersAsk::Pulses(keys(&mut rest, MAX_PULSES)?),
        2 => MembersAsk::Since { since: rest.u32()?, after: KeyPrefix(rest.bytes()?) },
        3 => MembersAsk::Records(keys(&mut rest, MAX_RECORDS_ASKED)?),
        _ => return Err(DecodeError::NotCanonical),
    };
    rest.end()?;
    Ok(ask)
}

fn keys(rest: &mut Reader<'_>, most: usize) -> Result<Vec<KeyPrefix>, DecodeError> {
    let count = usize::from(rest.u16()?);
    let keys = rest.list(count, most, PREFIX, |rest| rest.bytes().map(KeyPrefix))?;
    if keys.is_empty() { Err(DecodeError::Length) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Frame;

    fn a_pulse(number: u32) -> Pulse {
        Pulse {
            member: KeyPrefix([number as u8; 8]),
            index: number,
            value: [7; 16],
            failed_here: number % 2 == 1,
        }
    }

    #[test]
    fn frames_have_the_sizes_that_the_format_says() {
        let some = |count: u32| {
            pulses(&Pulses { page: PulsePage::Pushed, pulses: (1..=count).map(a_pulse).collect() })
        };
        assert_eq!((some(1).len(), some(256).len()), (1 + 3 + 28, 1 + 7_171));
        // What is beyond is left out, and not written so that it can't be read.
        assert_eq!(some(300), some(256));
        let keys = |count| vec![KeyPrefix([3; 8]); count];
        let asks = [
            (MembersAsk::First, 1),
            (MembersAsk::Pulses(keys(256)), 3 + 8 * 256),
            (MembersAsk::Since { since: 5, after: KeyPrefix([9; 8]) }, 13),
            (MembersAsk::Records(keys(64)), 3 + 8 * 64),
        ];
        for (ask, len) in asks {
            let frame = members_ask(&ask);
            assert_eq!(frame.len(), 1 + len);
            assert_eq!(Frame::decode(frame), Ok(Frame::MembersAsk(ask)));
        }
    }

    #[test]
    fn what_is_no_frame_of_members_is_refused() {
        let refused = |frame: Bytes| Frame::decode(frame).unwrap_err();
        let said = |page, count: u32| pulses(&Pulses { page, pulses: (1..=count).map(a_pulse).collect() });
        assert!(Frame::decode(said(PulsePage::Last, 0)).is_ok());
        for page in [PulsePage::Pushed, PulsePage::More] {
            assert_eq!(refused(said(page, 0)), DecodeError::Length);
        }
        let spoilt = |frame: &Bytes, at: usize, byte: u8| {
            let mut frame = frame.to_vec();
            frame[at] = byte;
            refused(frame.into())
        };
        let one = said(PulsePage::Pushed, 1);
        assert_eq!(spoilt(&one, 1, 3), DecodeError::NotCanonical, "no such page");
        assert_eq!(spoilt(&one, 2, 2), DecodeError::Length, "one is missing");
        assert_eq!(spoilt(&one, 15, 0x80), DecodeError::NotCanonical, "bit 31 of the index");
        let asked = members_ask(&MembersAsk::Records(vec![KeyPrefix([1; 8]); 64]));
        assert_eq!(spoilt(&asked, 1, 4), DecodeError::NotCanonical, "no such mode");
        assert_eq!(spoilt(&asked, 2, 65), DecodeError::Length);
        let too_many = [&asked[..2], &65u16.to_le_bytes(), &[1; 65 * 8]].concat();
        assert_eq!(refused(too_many.into()), DecodeError::Length, "more than may be asked for");
        assert!(Frame::decode([&[16, 1], &65u16.to_le_bytes()[..], &[1; 65 * 8]].concat().into()).is_ok());
        assert_eq!(refused(members_ask(&MembersAsk::Pulses(Vec::new()))), DecodeError::Length);
        // Lengths are compared before anything is allocated.
        assert_eq!(refused(vec![15, 0, 0xff, 0xff].into()), DecodeError::Length);
    }

    proptest! {
        #[test]
        fn what_is_read_has_one_encoding(kind in 15u8..17, page in 0u8..4, count in 0u16..4, rest in prop::collection::vec(any::<u8>(), 0..90)) {
            let frame = Bytes::from([&[kind, page], &count.to_le_bytes()[..], &rest].concat());
            match Frame::decode(frame.clone()) {
                Ok(Frame::Pulses(read)) => prop_assert_eq!(pulses(&read), frame),
                Ok(Frame::MembersAsk(read)) => prop_assert_eq!(members_ask(&read), frame),
                Ok(other) => prop_assert!(false, "{other:?}"),
                Err(_) => {}
            }
        }
    }
}
