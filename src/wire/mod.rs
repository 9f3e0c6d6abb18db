//! How it travels: frames, their limits, and a codec that accepts one encoding of each meaning and nothing else.
//!
//! ```text
//!   stream:  lane u8 | frame | frame | ...            one stream per lane and direction
//!   frame:   length u32 | kind u8 | content           length counts kind and content, 1 ..= MAX_FRAME_LEN
//! ```
//!
//! The frames that carry rumors, ids and evidence are of fixed-width fields, so a receiver can look at an id without
//! decoding a body; the rare frames ([`Hello`], [`TopicChange`], [`Goodbye`]) are postcard, re-encoded to prove that
//! they were canonical. Each limit here is a constant of the wire version: a reader treats its breach as an offence, so a
//! writer must never exceed it. A new kind of frame means a new [`ALPN`].
//!
//! **This is the lower level.** The bytes are fixed by the wire version; the functions and types here may change in a minor version
//! ([stability](crate#stability)).

// Lengths and times here are a peer's. Where they run over, a release build would go on with what is left of them.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod buffer;
mod bundles;
mod decode;
mod encode;
mod frame;
mod history;
mod history_codec;
mod kind;
mod members;
mod read;

pub use buffer::{BadLength, FrameBuffer, PREFIX_LEN};
pub use bundles::{Bundles, DecodeError, RawBundle};
pub use encode::{
    FrameWriter, announce, bundle_item_len, cancel, evidence, gone, goodbye, headers, hello, pull, topics,
};
pub use frame::{Announced, Frame, Goodbye, Hello, Ids, Reason, TopicChange};
pub use history::{
    Answer, Ask, AskedRange, Bound, Fetch, FetchedRange, Head, MAX_FETCH_BYTES, MAX_HEADS_PER_LIST,
    MAX_PARTS, MAX_PAUSE_MS, MAX_RANGES_PER_ASK, MAX_RANGES_PER_FETCH, MAX_TELL_LEN, Mark, More, Page, Part,
    Tell,
};
pub use history_codec::{answer_len, ask, fetch, more, page, stop, tell};
pub use kind::Kind;
pub use members::{
    KeyPrefix, MAX_PULSES, MAX_RECORDS_ASKED, MembersAsk, PULSE_ITEM_LEN, Pulse, PulsePage, Pulses,
    members_ask, pulses,
};

use crate::rumor::{HEADER_LEN, MAX_BODY};

/// Application protocol of the handshake; carries the version of the wire.
pub const ALPN: &[u8] = b"vouchsafe/2";
/// Largest frame, in bytes of kind and content. Fits the largest bundle with room for many small ones in one write.
/// Without it one length field could make a reader allocate 4 GiB.
pub const MAX_FRAME_LEN: usize = 128 * 1024;
/// Most bundles in a frame: what one frame can add to a link's verification queue.
pub const MAX_BUNDLES_PER_FRAME: usize = 64;
/// Most signed headers in a frame; each costs a signature check.
pub const MAX_HEADERS_PER_FRAME: usize = 64;
/// Most ids in an announcement, pull, cancel or gone frame: 8 KiB of ids (guess).
pub const MAX_IDS_PER_FRAME: usize = 256;
/// Most topics that a link may have at once: what a hostile peer can make us remember per link.
pub const MAX_TOPICS_PER_LINK: usize = 128;
/// Most topics in a hello or topic-change frame. All of a link's topics fit one.
pub const MAX_TOPICS_PER_FRAME: usize = MAX_TOPICS_PER_LINK;
/// Largest hop budget with a meaning: 8^4 pushes reach 5 % of 80 000 nodes. Larger values are read as this.
pub const MAX_HOPS: u8 = 4;
/// Longest frame of the lane [`System`](Lane::System), bytes of kind and content: an announcement with the most ids. What is urgent waits
/// behind no more than that.
pub const MAX_SYSTEM_FRAME: usize = 33 + 33 * MAX_IDS_PER_FRAME;
/// What a hello says beside its topics, at most, bytes: whether it listens, whether the other is a guest, an address and a port, members, and
/// the keep-alive.
const HELLO_EXTRA: usize = 1 + 1 + 16 + 3 + 5 + 3;
/// Longest hello, topic-change or goodbye content, bytes: checked before postcard sees it.
pub const MAX_RARE_LEN: usize =
    64 + 16 + HELLO_EXTRA + 2 * (3 + 32 * MAX_TOPICS_PER_FRAME) + (3 + 33 * MAX_TOPICS_PER_FRAME);

const _: () = assert!(MAX_FRAME_LEN > 2 + HEADER_LEN + 64 + 4 + MAX_BODY as usize);
const _: () = assert!(MAX_SYSTEM_FRAME > 4 + PULSE_ITEM_LEN * MAX_PULSES);
const _: () = assert!(MAX_FRAME_LEN > MAX_TELL_LEN + 46 && MAX_TELL_LEN >= 4 + 74 * MAX_HEADS_PER_LIST);
const _: () = assert!(MAX_FRAME_LEN > 1 + 33 * MAX_IDS_PER_FRAME + 32 && MAX_FRAME_LEN > MAX_RARE_LEN);

/// Which of a link's five streams a frame travels on, so that flow control on one never holds up another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Hello, announcements, pulls, evidence: small and urgent.
    Control = 0,
    /// Rumors pushed unasked.
    Rumors = 1,
    /// Rumors that were pulled.
    Replies = 2,
    /// What was said before: comparing, fetching, and the bundles that were fetched.
    History = 3,
    /// Signs of life, and all that is said of members: before everything else.
    System = 4,
}

impl Lane {
    /// Every lane, by index.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Control, Self::Rumors, Self::Replies, Self::History, Self::System];
    /// How many lanes there are.
    pub const COUNT: usize = 5;

    /// Its number, which is also the first byte of its stream.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The lane that a stream's first byte names.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Control),
            1 => Some(Self::Rumors),
            2 => Some(Self::Replies),
            3 => Some(Self::History),
            4 => Some(Self::System),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
